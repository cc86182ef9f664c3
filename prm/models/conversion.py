"""Convert a PRM to another architecture, for servers and tools that support it; scores stay the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prm.data.jobs import Output, making
from prm.data.manifest import Job, directories
from prm.data.writing import whole_directory
from prm.errors import ModelError, require_known

from .architectures import Qwen2ForProcessRewardModel, adapter_of, load_config
from .checkpoint import METADATA, load_metadata, load_model, save_model
from .decoders import form_of, is_decoder
from .dialects import Dialect
from .heads import candidate_head
from .public import Wanted, load_public

Given = str | Dialect | None
"""A dialect, its name or file; None for the one that follows from the model."""
_INPUT_FILES = (
    METADATA,
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "*.jinja",
)
"""Files that define a model's input. They are copied: transformers may write a tokenizer other than the one it read."""


def to_qwen2_process_reward(name: str | Path, target: Path, dialect: Given = None) -> None:
    """Write one of our PRMs on Qwen2 as a `Qwen2ForProcessRewardModel`, the architecture of Qwen2.5-Math-PRM.

    Its head has two layers with a ReLU between. Since ReLU(x) - ReLU(-x) = x, a first layer that holds each label's
    weights and their negatives and a second of +1 and -1 compute our single layer exactly. Inputs stay the same, and so
    does the read position: the end of each step's separator, which `prm.json` names, not `<extra_0>`.

    Args:
        name: a directory that `prm train` wrote.
        target: the directory to write.
        dialect: must be None: our own models say how they are read.

    Raises:
        ModelError: it is not one of our PRMs, not on Qwen2, or narrower than the four rows that the first layer needs.
    """
    source = Path(name)
    metadata, config = load_metadata(source), load_config(str(name))
    kind = metadata.kind
    if metadata.members > 1:
        raise ModelError(f"{name}: has {metadata.members} members; this architecture has one head", "train one member")
    if dialect is not None:
        raise ModelError(f"{name}: its {METADATA} says how it is read", "omit dialect")
    if kind != "prm":
        raise ModelError(f"{name}: is of kind {kind}; this architecture has step scores only", "give a PRM")
    if config.model_type != "qwen2":
        raise ModelError(f"{name}: is a {config.model_type} model; this architecture is Qwen2", "give a PRM on Qwen2")
    if config.hidden_size < 4:
        raise ModelError(f"{name}: has hidden size {config.hidden_size}; at least 4 is needed", "give a wider model")
    model = load_model(str(name), kind, dtype=config.dtype or torch.float32, is_trained=True)
    with torch.device("meta"):
        other = Qwen2ForProcessRewardModel(model.config)
    backbone = {key: value for key, value in model.state_dict().items() if not key.startswith("score.")}
    other.load_state_dict({**backbone, **_two_layers(model.score)}, assign=True)
    other.save_pretrained(target)
    _copy_input_files(source, target)


def _copy_input_files(source: Path, target: Path) -> None:
    for path in sorted({path for pattern in _INPUT_FILES for path in source.glob(pattern)}):
        shutil.copy(path, target)


def _two_layers(head: Any) -> dict[str, Tensor]:
    """Weights of two layers that compute the same as `head`, which has two labels."""
    weights: Tensor = head.weight.detach()
    labels, width = weights.shape
    first, second = weights.new_zeros(width, width), weights.new_zeros(labels, width)
    for label in range(labels):
        first[2 * label], first[2 * label + 1] = weights[label], -weights[label]
        second[label, 2 * label], second[label, 2 * label + 1] = 1, -1
    return {
        "score.0.weight": first,
        "score.0.bias": weights.new_zeros(width),
        "score.2.weight": second,
        "score.2.bias": head.bias.detach().clone(),
    }


def to_token_classifier(name: str, target: Path, dialect: Given) -> None:
    """Write a causal PRM, which is read by the logits of two tokens, as a token classifier with these two classes.

    The rows of the output embedding for its wrong and right token are the classifier's head, so one forward pass gives
    all scores, without the logits of the vocabulary, in any tool that has a token classifier of the backbone. The
    directory keeps the dialect, in `dialect.json`.

    Args:
        name: directory or Hub name of a model with a causal dialect; an adapter is merged.
        target: the directory to write.
        dialect: its dialect, a name or a file; None for that of a known model.

    Raises:
        ModelError: the model is not read by two tokens, or changes its logits after the embedding.
    """
    wanted = Wanted(name, dialect)
    found = load_public(wanted)
    candidates = getattr(found.head, "keywords", {}).get("candidates", ())
    if getattr(found.head, "func", None) is not candidate_head or len(candidates) != 2:
        raise ModelError(f"{name}: is not read by the plain logits of two tokens", "use it as it is")
    # before an adapter is merged, which may change the weights that a tied output embedding shares
    rows = found.model.get_output_embeddings().weight.detach()[list(candidates)].clone()
    model = load_public(replace(wanted, merges=True)).model if adapter_of(name) else found.model
    config = model.config
    if not is_decoder(config):
        raise ModelError(f"{name}: a {config.model_type} is not a decoder alone", "use it as it is")
    config.tie_word_embeddings = False
    config.id2label, config.label2id = {0: "wrong", 1: "right"}, {"wrong": 0, "right": 1}
    head = form_of(config, "prm").head
    backbone = {
        key: value for key, value in model.state_dict().items() if key.startswith(f"{model.base_model_prefix}.")
    }
    save_model(config, {**backbone, f"{head}.weight": rows, f"{head}.bias": rows.new_zeros(2)}, "prm", target)
    found.renderer.tokenizer.save_pretrained(target)
    if Path(name).is_dir():
        _copy_input_files(Path(name), target)
    architectures = ("*ForTokenClassification",)
    own = replace(found.dialect, architectures=architectures, labels=2, hub_names=(), ids={})
    own.save(target)


CONVERSIONS: dict[str, Callable[[str, Path, Given], None]] = {
    "qwen2-process-reward": to_qwen2_process_reward,
    "token-classifier": to_token_classifier,
}
"""By the name of the target architecture."""


def convert(
    scorer: str | Path, out: str | Path, *, to: str, dialect: str | None = None, overwrite: bool = False
) -> Output:
    """Convert a PRM to another architecture.

    Args:
        scorer: for "qwen2-process-reward", a directory that `prm.train` wrote; for "token-classifier", a causal PRM,
            directory or Hub name.
        out: the directory to write.
        to: name in `CONVERSIONS`.
        dialect: of a causal PRM, if its name does not tell: a name or a file.
        overwrite: replace an existing output.

    Raises:
        PrmError: the checkpoint or the output cannot be used, or the architecture is unknown.
    """
    require_known("target architecture", to, CONVERSIONS)
    settings = {"to": to, **({"scorer": str(scorer), "dialect": dialect} if to == "token-classifier" else {})}
    inputs = directories(scorer=str(scorer))
    inputs |= {"dialect": Path(dialect)} if dialect and Path(dialect).is_file() else {}
    job = Job(Path(out), "convert", settings, inputs)
    with making(job, "checkpoint", overwrite) as counts:
        if counts is not None:
            with whole_directory(job.output) as directory:
                CONVERSIONS[to](str(scorer), directory, dialect)
            counts["converted models"] = 1
    return Output(job.output, job.counts())
