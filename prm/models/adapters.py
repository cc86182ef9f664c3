"""Adapters of a decoder: made, and merged into the weights at the end (LoRA, arXiv 2106.09685)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from prm.errors import ModelError

from .architectures import first_line, require_complete
from .heads import Kind


@dataclass(frozen=True, slots=True)
class LoraForm:
    """Which adapters a model gets."""

    rank: int
    """1 or more."""
    alpha: float | None = None
    """Scale times rank; None for twice the rank."""
    dropout: float = 0.0
    """Share of an adapter's inputs that is dropped in training."""
    targets: tuple[str, ...] = ()
    """Names of the layers that get one; empty for all linear layers (QLoRA, arXiv 2305.14314)."""


def with_adapters(model: Any, kind: Kind | None, form: LoraForm) -> Any:
    """The model with new adapters, in float32. They and a copy of its head are trained, and nothing else.

    Args:
        model: from `prm.models.checkpoint.load_model`, or from `load_policy`.
        kind: its kind; None for a language model without a head of its own.
        form: of the adapters.

    Raises:
        ModelError: the model has no such layers.
    """
    from peft import LoraConfig, get_peft_model

    heads = None if kind is None else [model.head_name]
    config = LoraConfig(
        r=form.rank,
        lora_alpha=form.alpha or 2 * form.rank,
        lora_dropout=form.dropout,
        target_modules=list(form.targets) or "all-linear",
        exclude_modules=heads,
        modules_to_save=heads,
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft's, of what it does by itself: transposed weights, ranks of experts
            adapted = get_peft_model(model, config)
    except ValueError as error:
        raise ModelError(f"LoRA does not fit this backbone: {first_line(error)}", "give other lora_targets") from error
    config.task_type = _TASKS[kind]  # for those who load it; no other class here
    return adapted


_TASKS: dict[Kind | None, str] = {"prm": "TOKEN_CLS", "joint": "TOKEN_CLS", "orm": "SEQ_CLS", None: "CAUSAL_LM"}


def give_adapters(adapted: Any, weights: Mapping[str, Tensor]) -> None:
    """Give a model from `with_adapters` the trained weights of another one with the same adapters.

    Raises:
        ModelError: they are not those of its adapters and head.
    """
    names = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    require_complete("the adapter", sorted(names - weights.keys()), sorted(weights.keys() - names))
    adapted.load_state_dict(weights, strict=False)
