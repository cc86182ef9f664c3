"""A PRM of ours in another architecture, for servers and tools that know that one; its scores stay the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prm.errors import ModelError

from .architectures import Qwen2ForProcessRewardModel, load_config
from .checkpoint import METADATA, load_metadata, load_model

_FEEDING = (
    METADATA,
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "*.jinja",
)
"""Files that say how a model is fed. They are copied: transformers may write another tokenizer than it has read."""


def to_qwen2_process_reward(source: Path, target: Path) -> None:
    """Write a PRM of ours on Qwen2 as a `Qwen2ForProcessRewardModel`, the architecture of Qwen2.5-Math-PRM.

    That one has two layers with a ReLU between. As ReLU(x) - ReLU(-x) = x, a first layer of each label's weights and
    their negatives, and a second of +1 and -1, compute our one layer exactly. It is fed and read as before: at the end
    of each step's separator, which `prm.json` names, not at `<extra_0>`.

    Args:
        source: a directory that `prm train` wrote.
        target: the directory to write.

    Raises:
        ModelError: it is no PRM of ours, not on Qwen2, or narrower than the four rows that the first layer takes.
    """
    name, kind = str(source), load_metadata(source).kind
    config = load_config(name)
    if kind != "prm":
        raise ModelError(f"{name}: is of kind {kind}; that architecture holds step scores alone", "give a PRM")
    if config.model_type != "qwen2":
        raise ModelError(f"{name}: is a {config.model_type} model, that architecture is Qwen2", "leave it as it is")
    if config.hidden_size < 4:
        raise ModelError(f"{name}: has hidden size {config.hidden_size}, 4 are needed", "leave it as it is")
    model = load_model(name, kind, dtype=config.dtype or torch.float32, is_trained=True)
    with torch.device("meta"):
        other = Qwen2ForProcessRewardModel(model.config)
    backbone = {key: value for key, value in model.state_dict().items() if not key.startswith("score.")}
    other.load_state_dict({**backbone, **_two_layers(model.score)}, assign=True)
    other.save_pretrained(target)
    for path in sorted({path for pattern in _FEEDING for path in source.glob(pattern)}):
        shutil.copy(path, target)


def _two_layers(head: Any) -> dict[str, Tensor]:
    """Two layers that compute what `head`, of two labels, does."""
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
"""By the name of what becomes of a checkpoint."""
