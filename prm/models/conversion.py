"""Convert one of our PRMs to another architecture, for servers and tools that support it; scores stay the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prm.data.jobs import Output, making
from prm.data.manifest import Job
from prm.data.writing import whole_directory
from prm.errors import ModelError, require_known

from .architectures import Qwen2ForProcessRewardModel, load_config
from .checkpoint import METADATA, load_metadata, load_model

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


def to_qwen2_process_reward(source: Path, target: Path) -> None:
    """Write one of our PRMs on Qwen2 as a `Qwen2ForProcessRewardModel`, the architecture of Qwen2.5-Math-PRM.

    Its head has two layers with a ReLU between. Since ReLU(x) - ReLU(-x) = x, a first layer that holds each label's
    weights and their negatives and a second of +1 and -1 compute our single layer exactly. Inputs stay the same, and so
    does the read position: the end of each step's separator, which `prm.json` names, not `<extra_0>`.

    Args:
        source: a directory that `prm train` wrote.
        target: the directory to write.

    Raises:
        ModelError: it is not one of our PRMs, not on Qwen2, or narrower than the four rows that the first layer needs.
    """
    name, kind = str(source), load_metadata(source).kind
    config = load_config(name)
    if kind != "prm":
        raise ModelError(f"{name}: is of kind {kind}; this architecture has step scores only", "give a PRM")
    if config.model_type != "qwen2":
        raise ModelError(f"{name}: is a {config.model_type} model; this architecture is Qwen2", "give a PRM on Qwen2")
    if config.hidden_size < 4:
        raise ModelError(f"{name}: has hidden size {config.hidden_size}; at least 4 is needed", "give a wider model")
    model = load_model(name, kind, dtype=config.dtype or torch.float32, is_trained=True)
    with torch.device("meta"):
        other = Qwen2ForProcessRewardModel(model.config)
    backbone = {key: value for key, value in model.state_dict().items() if not key.startswith("score.")}
    other.load_state_dict({**backbone, **_two_layers(model.score)}, assign=True)
    other.save_pretrained(target)
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


CONVERSIONS: dict[str, Callable[[Path, Path], None]] = {"qwen2-process-reward": to_qwen2_process_reward}
"""By the name of the target architecture."""


def convert(scorer: str | Path, out: str | Path, *, to: str, overwrite: bool = False) -> Output:
    """Convert one of our checkpoints to another architecture.

    Args:
        scorer: a directory that `prm.train` wrote.
        out: the directory to write.
        to: name in `CONVERSIONS`.
        overwrite: replace an existing output.

    Raises:
        PrmError: the checkpoint or the output cannot be used, or the architecture is unknown.
    """
    require_known("target architecture", to, CONVERSIONS)
    job = Job(Path(out), "convert", {"to": to}, {"scorer": Path(scorer)})
    with making(job, "checkpoint", overwrite) as counts:
        if counts is not None:
            with whole_directory(job.output) as directory:
                CONVERSIONS[to](Path(scorer), directory)
            counts["converted models"] = 1
    return Output(job.output, job.counts())
