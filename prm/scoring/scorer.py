"""The scorer interface: chains in, and for each chain its scores or the reason it has none. No model is loaded here.

Anything that scores chains is a `Scorer`: a reward model (`prm.load_scorer`), an ensemble, a judge, or your own class
with `kind` and `score_each`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from prm.data.records import Asked, Chain, Drop, Problem, StepScores
from prm.errors import InputError, RenderError

CHAINS_A_ROUND = 512
"""Chains scored together, so that a backend can sort them by length; results come out in rounds of this many."""

ScoreKind = Literal["prm", "orm"]
Scores = tuple[float, ...]
"""The scores of a chain, all finite: one per step from a PRM (none for an empty chain), a single reward from an ORM."""

NOT_STEPS = "not a list of texts"
TOO_LONG = "longer than the model's context"
NOT_FINITE = "scores that are not finite"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a chain has no scores."""

    reason: str
    """A fixed phrase, such as `TOO_LONG`, that can be counted."""
    detail: str = ""
    """The particulars of this chain."""
    hint: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason

    @classmethod
    def of(cls, error: RenderError) -> Refusal:
        """The refusal of a chain that cannot be rendered."""
        return cls(error.reason, str(error), error.hint)


class Scorer(ABC):
    """Scores the steps of chains (PRM) or whole chains (ORM). Can be pickled, to run in another process."""

    kind: ScoreKind
    name: str = ""
    """How manifests name it: the directory or Hub name of a reward model; "" for the name of the class. Scorers of one
    name are taken for the same."""
    threshold: float | None = None
    """Score from which a step counts as right; None if there is no such score."""
    aggregator: str | None = None
    """Name in `prm.AGGREGATORS`: how its authors combine step scores into a chain score; None for an ORM or if
    unknown."""

    @abstractmethod
    def score_each(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Scores | Refusal]:
        """Score chains independently of each other.

        Args:
            problems: the problem of each chain, as a text or, if the model has a chat template, as messages.
            chains: the steps of each chain.

        Returns:
            For each chain, in the order given, its scores or the reason it has none. A bad chain never affects another.
        """

    def score(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Scores]:
        """Like `score_each`, for chains that should all be usable.

        Raises:
            RenderError: at the first refusal; the message gives its index, from 0.
        """
        found: list[Scores] = []
        for place, item in enumerate(self.score_each(problems, chains)):
            if isinstance(item, Refusal):
                raise RenderError(f"chain {place}: {item}", item.hint, reason=item.reason)
            found.append(item)
        return found

    def close(self) -> None:  # noqa: B027  # most scorers hold nothing
        """Free what the scorer holds."""


def malformed(steps: object) -> Refusal | None:
    """The refusal of a chain that is not a list of texts; None for a well-formed chain."""
    if isinstance(steps, str):
        return Refusal(NOT_STEPS, f"one text instead of a list of steps: {steps[:40]!r}", "prm.split_steps(text)")
    if not isinstance(steps, Sequence):
        return Refusal(NOT_STEPS, f"a {type(steps).__name__} instead of a list of steps")
    wrong = next((number for number, step in enumerate(steps, start=1) if not isinstance(step, str)), None)
    return None if wrong is None else Refusal(NOT_STEPS, f"step {wrong} is a {type(steps[wrong - 1]).__name__}")


def require_as_many(problems: Sequence[object], chains: Sequence[object]) -> None:
    """Refuse two lists that do not match.

    Raises:
        InputError: their lengths differ.
    """
    if isinstance(problems, str) or len(problems) != len(chains):
        count = "one text" if isinstance(problems, str) else f"{len(problems)} problems"
        raise InputError(f"{count} for {len(chains)} chains", "pass one problem per chain")


def score_chains(
    scorer: Scorer, chains: Iterable[Chain], problems: Mapping[str, Problem]
) -> Iterator[StepScores | Drop]:
    """Yield for each chain, in order, its scores or the reason it has none; a PRM gives one score per step.

    A chain is dropped if its problem is missing, it has no steps, or the scorer refuses it. Chains are read and scored
    in rounds of `CHAINS_A_ROUND`, so that many are in memory at once. A stream that starts at a round boundary gets the
    same scores as the whole stream gets from there.
    """
    remaining = iter(chains)
    while part := list(islice(remaining, CHAINS_A_ROUND)):
        usable = [chain for chain in part if chain.steps and chain.problem_id in problems]
        texts = [problems[chain.problem_id].text for chain in usable]
        results = iter(scorer.score_each(texts, [chain.steps for chain in usable]))
        for chain in part:
            yield _unusable(chain, problems) or _recorded(chain, next(results), scorer.kind)


def _unusable(chain: Chain, problems: Mapping[str, Problem]) -> Drop | None:
    if chain.problem_id not in problems:
        return Drop(chain.id, "its problem is missing")
    return None if chain.steps else Drop(chain.id, "empty chain")


def _recorded(chain: Chain, result: Scores | Refusal, kind: ScoreKind) -> StepScores | Drop:
    if isinstance(result, Refusal):
        return Drop(chain.id, result.reason, result.detail)
    return StepScores(chain.id, chain.problem_id, result, kind)
