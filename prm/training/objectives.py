"""The training objective: a weighted sum of terms, each a loss over the items of a batch.

    prm      {"step": 1}
    orm      {"bradley-terry": 1}
    joint    {"step": 1, "bradley-terry": 1}          both heads in one forward pass
    hybrid   {"bradley-terry": 1, "pointwise": 1}     an ORM whose rewards are log-odds too
    implicit {"pointwise": 1}                         a language model whose reward is beta · log(itself / its base)

Each term is a weighted mean over its items in the whole batch of an optimizer step, on all devices. So cutting a batch
into more or fewer forward passes does not change the result.

To add a loss, write its function in `prm.training.losses` and its row in `TERMS`: all else asks the row. A test then
asks for its row in docs/training.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from prm.errors import InputError, entry

if TYPE_CHECKING:
    from torch import Tensor

    from prm.models.heads import Head

Batch: TypeAlias = "Mapping[str, Tensor]"
"""See `prm.training.collation.collate`."""

Objective = Literal["prm", "orm", "joint", "implicit"]
"""What is trained: a backbone with the heads of a `prm.models.heads.Kind`, or a language model as it is."""
DEFAULT: dict[Objective, dict[str, float]] = {
    "prm": {"step": 1.0},
    "orm": {"bradley-terry": 1.0},
    "joint": {"step": 1.0, "bradley-terry": 1.0},
    "implicit": {"pointwise": 1.0},
}
"""The terms of each objective where none are given: one for each of its heads. An implicit reward is that of a whole
chain, and takes the losses of the outcome head."""
A_KIND: dict[Objective, str] = {
    "prm": "a PRM",
    "orm": "an ORM",
    "joint": "a joint model",
    "implicit": "an implicit PRM",
}
"""The kinds of model in messages."""


@dataclass(frozen=True, slots=True)
class Read:
    """What a model outputs at the positions of a batch; empty where the head is missing or no term asks."""

    step_logits: Tensor
    """``(labeled steps, 2)`` logits of wrong and right."""
    rewards: Tensor
    """``(chains, outputs)``."""
    end_rewards: Tensor
    """``(steps, outputs)`` outcome head at each step's end."""
    token_logits: Tensor
    """``(tokens of the steps, vocabulary)``."""

    @property
    def margins(self) -> Tensor:
        """``(labeled steps,)`` log-odds of right."""
        return self.step_logits[:, 1] - self.step_logits[:, 0]

    @property
    def reward(self) -> Tensor:
        """``(chains,)`` of a model with a single output."""
        return self.rewards[:, 0]


@dataclass(frozen=True, slots=True)
class LossOptions:
    """Numbers that losses depend on; `Term.heeds` says which depends on which."""

    margin: float = 0.0
    """Bradley-Terry margin per unit that one chain is better than another; 0 or more."""
    label_smoothing: float = 0.0
    """See `prm.training.losses.step_cross_entropy`; in [0, 0.5)."""
    zeta: float = 4.0
    """See `prm.training.losses.q_ranking`; 0 or more."""
    length_coefficient: float = 0.0
    """See `prm.training.losses.length_debiased`; the trainer fits it."""


@dataclass(frozen=True, slots=True)
class Term:
    """One loss over a batch, and what it needs."""

    head: Head | None
    """The head that it trains; None for the backbone alone."""
    weights: str
    """Name of its items' weights in a batch."""
    loss: Callable[[Read, Batch, LossOptions], Tensor]
    """Loss of each item; same shape as the weights."""
    summary: str
    """What it computes, in a few words, for the help text and docs/training.md."""
    needs_pairs: bool = False
    """Whether it compares chains of one problem by one value, so that a chain without a rival teaches nothing."""
    heeds: tuple[str, ...] = ()
    """The `LossOptions` that change it."""
    needs_shares: bool = False
    """Whether the value of a chain must be in [0, 1]."""
    needs_hard: bool = False
    """Whether the label of a step must be 0 or 1."""
    needs_counts: bool = False
    """Whether the weight of a step label must be its number of rollouts."""
    reads_ends: bool = False
    """Whether it reads the outcome head at every step's end."""
    reads_tokens: bool = False
    """Whether it reads the token logits."""


def _losses() -> Any:
    """The loss functions; loaded when one is computed, so that the help text can list the table without torch."""
    from . import losses

    return losses


def _of_pairs(values: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """The values of the chosen and of the rejected chains."""
    return values[batch["chosen"]], values[batch["rejected"]]


def _log_ratios(batch: Batch) -> Tensor:
    chosen, rejected = _of_pairs(batch["lengths"].log(), batch)
    return chosen - rejected


TERMS: dict[str, Term] = {
    "step": Term(
        "step",
        "step_weights",
        lambda r, b, o: _losses().step_cross_entropy(r.margins, b["step_targets"], o.label_smoothing),
        "cross-entropy of step labels",
        heeds=("label_smoothing",),
    ),
    "step-squared-error": Term(
        "step",
        "step_weights",
        lambda r, b, o: _losses().step_squared_error(r.margins, b["step_targets"]),
        "squared error of step probabilities",
    ),
    "beta-binomial": Term(
        "step",
        "count_weights",
        lambda r, b, o: _losses().beta_binomial(r.step_logits, b["step_targets"], b["step_draws"]),
        "likelihood of the counts of rollouts",
        needs_counts=True,
    ),
    "q-ranking": Term(
        "step",
        "rank_weights",
        lambda r, b, o: _losses().q_ranking(r.margins, b["step_targets"], b["step_chains"], o.zeta),
        "order of a chain's steps",
        heeds=("zeta",),
        needs_hard=True,
    ),
    "bradley-terry": Term(
        "outcome",
        "pair_weights",
        lambda r, b, o: _losses().bradley_terry(*_of_pairs(r.reward, b), o.margin * b["pair_gaps"], b["pair_targets"]),
        "better against worse chains",
        needs_pairs=True,
        heeds=("margin",),
    ),
    "bradley-terry-scaled": Term(
        "outcome",
        "pair_weights",
        lambda r, b, o: _losses().scaled_bradley_terry(*_of_pairs(r.reward, b), b["pair_gaps"], b["pair_targets"]),
        "better against worse chains, times the gap",
        needs_pairs=True,
    ),
    "length-debiased": Term(
        "outcome",
        "pair_weights",
        lambda r, b, o: _losses().length_debiased(
            *_of_pairs(r.reward, b),
            o.margin * b["pair_gaps"],
            b["pair_targets"],
            _log_ratios(b),
            o.length_coefficient,
        ),
        "better against worse chains, beyond their lengths",
        needs_pairs=True,
        heeds=("margin", "length_coefficient"),
    ),
    "centering": Term(
        "outcome",
        "pair_weights",
        lambda r, b, o: _losses().centering(*_of_pairs(r.reward, b)),
        "keeps rewards around 0",
        needs_pairs=True,
    ),
    "plackett-luce": Term(
        "outcome",
        "list_weights",
        lambda r, b, o: _losses().plackett_luce(r.reward, b["values"][:, 0], b["groups"]),
        "order of a problem's chains",
        needs_pairs=True,
    ),
    "pointwise": Term(
        "outcome",
        "value_weights",
        lambda r, b, o: _losses().pointwise(r.rewards, b["values"]),
        "cross-entropy of outcomes",
        needs_shares=True,
    ),
    "regression": Term(
        "outcome",
        "value_weights",
        lambda r, b, o: _losses().regression(r.rewards, b["values"]),
        "squared error of values",
    ),
    "every-step": Term(
        "outcome",
        "end_weights",
        lambda r, b, o: _losses().pointwise(r.end_rewards, b["end_values"]),
        "outcomes, read at each step's end",
        needs_shares=True,
        reads_ends=True,
    ),
    "language-model": Term(
        None,
        "token_weights",
        lambda r, b, o: _losses().next_token(r.token_logits, b["token_targets"]),
        "next tokens of solutions",
        reads_tokens=True,
    ),
}
"""Name to term; each loss is defined in `prm.training.losses`."""


def heads_of(kind: Objective) -> set[Head]:
    """The heads that a model of this kind trains."""
    return {head for name in DEFAULT[kind] if (head := TERMS[name].head)}


def _fits(kind: Objective, term: Term) -> bool:
    """Whether a model of this kind has what a term reads; the reference of an implicit reward is of whole chains."""
    return term.head in (*heads_of(kind), None) and not (kind == "implicit" and term.reads_ends)


def check_terms(kind: Objective, terms: Mapping[str, float], outputs: int = 1) -> None:
    """Refuse terms that do not fit the kind of model, or the number of its outcome head's outputs.

    Raises:
        InputError: a term is unknown, its head is not trained, a head has no loss, a term compares chains by one value
            where there are several, or a weight is not above 0.
    """
    for name, weight in terms.items():
        if not _fits(kind, entry("loss", name, TERMS)):
            fitting = ", ".join(other for other, term in TERMS.items() if _fits(kind, term))
            raise InputError(f"the loss {name!r} trains a head that {A_KIND[kind]} lacks", f"choose from {fitting}")
        if outputs > 1 and TERMS[name].needs_pairs:
            several = ", ".join(other for other, term in TERMS.items() if term.weights == "value_weights")
            raise InputError(
                f"the loss {name!r} compares chains by one value, and there are {outputs} outputs",
                f"choose from {several}",
            )
        if not 0 < weight < float("inf"):
            raise InputError(f"the weight of the loss {name!r} is {weight}", "give a number above 0")
    idle = heads_of(kind) - {TERMS[name].head for name in terms}
    if idle:
        raise InputError(f"no loss trains the {idle.pop()} head of {A_KIND[kind]}", f"add one, as in {DEFAULT[kind]}")


def need_pairs(terms: Iterable[str]) -> bool:
    """Whether all that the outcome head learns comes from comparing chains of one problem."""
    outcome = [TERMS[name] for name in terms if TERMS[name].head == "outcome"]
    return bool(outcome) and all(term.needs_pairs for term in outcome)


def heeded(terms: Iterable[str]) -> set[str]:
    """The names of the `LossOptions` that change one of these terms."""
    return {option for name in terms for option in TERMS[name].heeds}


def total_weights(terms: Iterable[str], batch: Batch) -> dict[str, Tensor]:
    """The sum of each term's weights."""
    return {name: batch[TERMS[name].weights].sum() for name in terms}


def losses(
    terms: Mapping[str, float], read: Read, batch: Batch, totals: Mapping[str, Tensor], options: LossOptions
) -> dict[str, Tensor]:
    """Each term's part of the loss.

    Args:
        terms: name to weight.
        read: the outputs of the heads for the batch.
        batch: one forward pass.
        totals: `total_weights` summed over all passes of the optimizer step; a term whose total is 0 adds nothing.
        options: of the losses.

    Returns:
        Name to scalar: the weighted sum over its items, divided by the total, times the term's own weight.
    """
    sums = {name: (TERMS[name].loss(read, batch, options) * batch[TERMS[name].weights]).sum() for name in terms}
    return {name: weight * sums[name] / totals[name].clamp(min=1e-9) for name, weight in terms.items()}
