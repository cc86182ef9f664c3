"""Models and heads that transformers lacks, and loading that refuses missing weights.

Transformers initializes a head that is missing from the file at random, with a warning; here that is an error. No
remote code is run: the few architectures that need it on the Hub are implemented below.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import AutoConfig, Qwen2Model, Qwen2PreTrainedModel
from transformers.utils.peft_utils import find_adapter_config_file

from prm.errors import ModelError


class Qwen2ForProcessRewardModel(Qwen2PreTrainedModel):
    """Qwen2 with a two-layer head, two classes per token; modeling_qwen2_rm.py of Qwen/Qwen2.5-Math-PRM-7B."""

    labels = 2

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = Qwen2Model(config)
        width = config.hidden_size
        self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, self.labels))
        self.post_init()


class Qwen2ForRewardModel(Qwen2ForProcessRewardModel):
    """The same with one output per token; modeling_qwen2_rm.py of Qwen/Qwen2.5-Math-RM-72B."""

    labels = 1


class Qwen2ForPrmModel(Qwen2PreTrainedModel):
    """Qwen2 with a value head; prm_model.py of SkyworkAI/skywork-o1-prm-inference."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = Qwen2Model(config)
        self.v_head = nn.ModuleDict({"summary": nn.Linear(config.hidden_size, 1)})
        self.post_init()

    @property
    def score(self) -> nn.Module:
        """The head."""
        return self.v_head["summary"]


ARCHITECTURES: dict[str, Any] = {
    "Qwen2ForProcessRewardModel": Qwen2ForProcessRewardModel,
    "Qwen2ForRewardModel": Qwen2ForRewardModel,
    "Qwen2ForPrmModel": Qwen2ForPrmModel,
}
"""By their name in config.json; all others come from transformers."""


def load_config(name: str) -> Any:
    """Load the configuration of a directory or Hub name.

    Raises:
        ModelError: it is missing, or names no architecture.
    """
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{name}: cannot be loaded: {first_line(error)}", GIVE_A_MODEL) from error
    if not config.architectures:
        raise ModelError(f"{name}: its config.json names no architecture", GIVE_A_MODEL)
    return config


def load_strictly(name: str, config: Any, dtype: str | torch.dtype = "auto") -> Any:
    """Load a model of the architecture that its configuration names, with every weight from the file.

    Raises:
        ModelError: transformers has no such architecture, or weights are missing, unexpected or of another shape.
            Only a language model's output embedding is allowed in addition.
    """
    architecture = config.architectures[0]
    model_class = ARCHITECTURES.get(architecture) or getattr(transformers, architecture, None)
    if model_class is None:
        raise ModelError(f"{name}: transformers has no architecture {architecture}", "update transformers")
    try:
        model, info = model_class.from_pretrained(name, config=config, dtype=dtype, output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{name}: cannot be loaded as {architecture}: {first_line(error)}", GIVE_A_MODEL) from error
    # a classifier's file may still hold the output embedding of the language model that it was trained from
    left_over = [key for key in info["unexpected_keys"] if key != "lm_head.weight"]
    require_complete(name, info["missing_keys"], left_over)
    return model


def require_complete(name: str, missing: Sequence[str], unexpected: Sequence[str] = ()) -> None:
    """Refuse a model with missing or unexpected weights.

    Raises:
        ModelError: there are some; the message names up to three.
    """
    for keys, what in ((missing, "lacks"), (unexpected, "has unexpected weights:")):
        if keys:
            shown = ", ".join(sorted(keys)[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
            raise ModelError(f"{name}: its weight file {what} {shown}", "give the directory of the trained model")


def adapter_base(name: str) -> str | None:
    """The base model of a LoRA adapter, as its configuration names it; None if `name` is not an adapter."""
    try:
        found = find_adapter_config_file(name)
    except (OSError, ValueError):
        return None
    if found is None:
        return None
    base = json.loads(Path(found).read_text(encoding="utf-8")).get("base_model_name_or_path")
    if not base:
        raise ModelError(f"{name}: its adapter_config.json names no base model", _ADAPTER)
    return str(base)


def load_adapted(name: str, base: Any) -> Any:
    """Load the adapter `name`, a directory or Hub name, into the model `base`.

    Raises:
        ModelError: peft is not installed, or the adapter does not fit.
    """
    try:
        import peft
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{name}: is an adapter, but peft is not installed", "pip install 'prm-toolkit[lora]'"
        ) from error
    try:
        model = peft.PeftModel(base, peft.PeftConfig.from_pretrained(name, inference_mode=True))
        found = model.load_adapter(name, "default")
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{name}: does not fit its base model: {first_line(error)}", GIVE_A_MODEL) from error
    require_complete(name, found.missing_keys, found.unexpected_keys)
    adapted = model.get_base_model()
    if type(adapted.get_output_embeddings()) is not nn.Linear:
        raise ModelError(f"{name}: adapts the output embedding, of which only some rows are read", _ADAPTER)
    return adapted


def require_model(name: str, *files: str) -> None:
    """Refuse a missing directory, or one with none of these files, with a plain message.

    Without `files`, any file that marks one of our checkpoints, a model or an adapter will do.
    """
    path, files = Path(name), files or ("prm.json", "config.json", "adapter_config.json")
    if path.exists() and not any((path / file).is_file() for file in files):
        raise ModelError(f"{name}: is not a model directory (it has no {' or '.join(files)})", GIVE_A_MODEL)
    if not path.exists() and (path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1):
        raise ModelError(f"{name}: no such directory", GIVE_A_MODEL)


def first_line(error: BaseException) -> str:
    """First line of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


_ADAPTER = "merge it into its base model first (peft's merge_and_unload) and give the result"
GIVE_A_MODEL = "give a Hugging Face model directory or a Hub name"
