"""A reward model on disk: an ordinary Hugging Face directory and one small file, `prm.json`, that says how to read it.

A PRM is a token classifier with two labels (read at each step's end), an ORM a sequence classifier with one (read at
the last token). Plain transformers loads both.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from prm.errors import ModelError
from prm.rendering import Renderer

METADATA = "prm.json"
SCHEMA = "checkpoint/1"
Kind = Literal["prm", "orm"]


@dataclass(frozen=True, slots=True)
class Metadata:
    """How to feed and read a checkpoint."""

    kind: Kind
    separator: str = "\n"
    """Ends every step; a PRM is read at its last token."""
    chat: bool = False
    """Whether the problem stands in the tokenizer's chat template."""
    labels: str = "hard"
    """What a PRM's score estimates: "hard" (some rollout succeeds), "soft" or "pooled" (the share that do); "outcome"
    for an ORM."""

    def __post_init__(self) -> None:
        if self.kind not in ("prm", "orm"):
            raise ValueError(f"kind must be prm or orm, not {self.kind!r}")
        if not isinstance(self.separator, str) or not self.separator:
            raise ValueError(f"separator must be a text that is not empty, not {self.separator!r}")
        if not isinstance(self.chat, bool):
            raise ValueError(f"chat must be true or false, not {self.chat!r}")

    def save(self, directory: Path) -> None:
        """Write `prm.json`."""
        text = json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2)
        (directory / METADATA).write_text(text + "\n", encoding="utf-8")


def load_metadata(directory: Path) -> Metadata:
    """Read `prm.json`.

    Raises:
        ModelError: the directory is none of ours.
    """
    try:
        row = json.loads((directory / METADATA).read_text(encoding="utf-8"))
        if not isinstance(row, dict):
            raise ValueError("it is not a JSON object")
        if row.pop("schema") != SCHEMA:
            raise ModelError(f"{directory}/{METADATA}: is of another version", "train it again or update prm-toolkit")
        return Metadata(**row)
    except OSError as error:
        raise ModelError(f"{directory}: has no {METADATA}", "give a directory that `prm train` wrote") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{directory}/{METADATA}: cannot be understood: {error}", "train it again") from error


def load_tokenizer(name: str) -> Any:
    """Load the tokenizer of a directory or Hub name.

    Raises:
        ModelError: there is none.
    """
    _require_model(name)
    try:
        return AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ModelError(f"{name}: has no tokenizer that can be loaded: {_first_line(error)}", _HINT) from error


def load_model(name: str, kind: Kind, pad_token_id: int | None = None, seed: int = 0) -> Any:
    """Load a backbone with the head for `kind`: the stored one, or a new one on a base model, drawn from `seed`.

    Raises:
        ModelError: it is not a model, or the stored head has the wrong shape.
    """
    _require_model(name)
    labels = 2 if kind == "prm" else 1
    auto = AutoModelForTokenClassification if kind == "prm" else AutoModelForSequenceClassification
    try:
        config = AutoConfig.from_pretrained(name, num_labels=labels)
        config.classifier_dropout = 0.0
        if pad_token_id is not None:
            config.pad_token_id = pad_token_id
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return auto.from_pretrained(name, config=config)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{name}: cannot be loaded as {'a PRM' if kind == 'prm' else 'an ORM'}: {_first_line(error)}", _HINT
        ) from error


def make_renderer(tokenizer: Any, metadata: Metadata) -> Renderer:
    """The renderer that a checkpoint was trained with."""
    return Renderer(tokenizer, separator=metadata.separator, chat=metadata.chat)


_HINT = "give a Hugging Face model directory or a Hub name"


def _require_model(name: str) -> None:
    """Refuse an existing path that is no model here, where the message can be plain."""
    path = Path(name)
    if path.exists() and not (path / "config.json").is_file():
        raise ModelError(f"{name}: is not a model directory (it has no config.json)", _HINT)
    if not path.exists() and (path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1):
        raise ModelError(f"{name}: there is no such directory", _HINT)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
