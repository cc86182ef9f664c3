"""What a model is trained for: a sum of weighted terms, each a loss over the items of a batch.

    prm      {"step": 1}
    orm      {"bradley-terry": 1}
    joint    {"step": 1, "bradley-terry": 1}          both heads in one forward pass
    hybrid   {"bradley-terry": 1, "pointwise": 1}     an ORM whose rewards are log-odds too

Every term is a weighted mean over its items in the whole batch of an optimizer step, on all devices. So it makes no
difference to the result into how many forward passes a batch is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from prm.errors import InputError
from prm.models.heads import HEADS, Head, Kind

from .losses import (
    bradley_terry,
    centering,
    next_token,
    plackett_luce,
    pointwise,
    regression,
    step_cross_entropy,
    step_squared_error,
)

Batch = Mapping[str, Tensor]
"""See `prm.training.collation.collate`."""

DEFAULT: dict[Kind, dict[str, float]] = {
    "prm": {"step": 1.0},
    "orm": {"bradley-terry": 1.0},
    "joint": {"step": 1.0, "bradley-terry": 1.0},
}
"""The terms of each kind where none are named."""


@dataclass(frozen=True, slots=True)
class Read:
    """What a model says at the places of a batch; empty where it has not the head, or no term asks."""

    margins: Tensor
    """``(labeled steps,)`` log-odds."""
    rewards: Tensor
    """``(chains,)``."""
    end_rewards: Tensor
    """``(steps,)`` what the outcome head says at each step's end."""
    token_logits: Tensor
    """``(tokens of the steps, vocabulary)``."""


@dataclass(frozen=True, slots=True)
class Term:
    """One loss over a batch."""

    head: Head | None
    """The head that it trains; None for the backbone alone."""
    weights: str
    """Name of the weights of its items in a batch."""
    loss: Callable[[Read, Batch], Tensor]
    """Loss of each item, of the shape of the weights."""
    needs_pairs: bool = False
    """Whether it compares chains of one problem, so that one without a rival teaches nothing."""


def _rewards_of_pairs(read: Read, batch: Batch) -> tuple[Tensor, Tensor]:
    return read.rewards[batch["chosen"]], read.rewards[batch["rejected"]]


TERMS: dict[str, Term] = {
    "step": Term("step", "step_weights", lambda r, b: step_cross_entropy(r.margins, b["step_targets"])),
    "step-squared-error": Term("step", "step_weights", lambda r, b: step_squared_error(r.margins, b["step_targets"])),
    "bradley-terry": Term(
        "outcome", "pair_weights", lambda r, b: bradley_terry(*_rewards_of_pairs(r, b), b["pair_margins"]), True
    ),
    "centering": Term("outcome", "pair_weights", lambda r, b: centering(*_rewards_of_pairs(r, b)), True),
    "plackett-luce": Term(
        "outcome", "list_weights", lambda r, b: plackett_luce(r.rewards, b["values"], b["groups"]), True
    ),
    "pointwise": Term("outcome", "value_weights", lambda r, b: pointwise(r.rewards, b["values"])),
    "regression": Term("outcome", "value_weights", lambda r, b: regression(r.rewards, b["values"])),
    "every-step": Term("outcome", "end_weights", lambda r, b: pointwise(r.end_rewards, b["end_values"])),
    "language-model": Term(None, "token_weights", lambda r, b: next_token(r.token_logits, b["token_targets"])),
}
"""Name to term; what each computes stands in `prm.training.losses`."""


def check_terms(kind: Kind, terms: Mapping[str, float]) -> None:
    """Refuse terms that do not fit the kind of model.

    Raises:
        InputError: there is no such term, its head is not trained, a head is trained by none, or a weight is not
            above 0.
    """
    for name, weight in terms.items():
        if name not in TERMS:
            raise InputError(f"there is no loss {name!r}", f"choose from {', '.join(TERMS)}")
        if TERMS[name].head not in (*HEADS[kind], None):
            raise InputError(f"the loss {name!r} trains a head that a {kind} has not", "choose another --objective")
        if not 0 < weight < float("inf"):
            raise InputError(f"the weight of the loss {name!r} is {weight}", "give a number above 0")
    idle = set(HEADS[kind]) - {TERMS[name].head for name in terms}
    if idle:
        raise InputError(f"no loss trains the {idle.pop()} head of a {kind}", f"such as {DEFAULT[kind]}")


def need_pairs(terms: Iterable[str]) -> bool:
    """Whether all that the outcome head learns comes from comparing chains of one problem."""
    outcome = [TERMS[name] for name in terms if TERMS[name].head == "outcome"]
    return bool(outcome) and all(term.needs_pairs for term in outcome)


def total_weights(terms: Iterable[str], batch: Batch) -> dict[str, Tensor]:
    """The sum of each term's weights."""
    return {name: batch[TERMS[name].weights].sum() for name in terms}


def losses(terms: Mapping[str, float], read: Read, batch: Batch, totals: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each term's part of the loss.

    Args:
        terms: name to weight.
        read: what the heads said of the batch.
        batch: one forward pass.
        totals: `total_weights` of all passes of the optimizer step; a term of weight 0 there contributes nothing.

    Returns:
        Name to scalar: the weighted sum over its items, by the total, times the term's own weight.
    """
    return {
        name: weight * (TERMS[name].loss(read, batch) * batch[TERMS[name].weights]).sum() / totals[name].clamp(min=1e-9)
        for name, weight in terms.items()
    }
