"""What a suite knows about its chains: the gold that scores are measured against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from prm.data.records import Chain, Problem, StepScores
from prm.verifiers import Verdict

Rule = Literal["pairs", "sections", "styles", "best"]
"""How a comparison is decided; see `prm.benchmarks.protocols.preference`."""


@dataclass(frozen=True, slots=True)
class StepTruth:
    """Which steps of one chain are right: the gold of first-error localization and of step classification."""

    chain_id: str
    problem_id: str
    split: str
    """The part that is reported separately: a subset, a subject, a class of errors."""
    steps: tuple[bool | None, ...]
    """Whether each step is right; None if unknown, as after a first error."""
    is_answer_right: bool | None = None
    """Whether the chain's final answer is right; None if unknown."""
    places: tuple[int, ...] | None = field(default=None, repr=False)
    """The step of the chain that each belongs to, if the set judges blank steps, which a chain has none of: a blank one
    belongs to the step before it, the first ones to the one after them. None if they are the chain's steps."""
    original: str | None = field(default=None, repr=False)
    """PRMBench: the chain that it was made from; itself for such an original, which is measured only by comparison."""

    @property
    def is_original(self) -> bool:
        """Whether others were made from it."""
        return self.original == self.chain_id

    @property
    def of_chain(self) -> tuple[bool | None, ...]:
        """Whether each step of the chain is right: none of those that belong to it is wrong, or it is unknown."""
        if self.places is None:
            return self.steps
        own = [[s for s, place in zip(self.steps, self.places, strict=True) if place == i] for i in set(self.places)]
        return tuple(False if False in judged else None if None in judged else True for judged in own)

    def fitted(self, scores: Sequence[float]) -> Sequence[float]:
        """One score per judged step, from those or from one per step of the chain."""
        if self.places is None or len(scores) == len(self.steps):
            return scores
        return [scores[place] for place in self.places]

    @property
    def id(self) -> str:
        """The chain's."""
        return self.chain_id

    @property
    def chain_ids(self) -> tuple[str, ...]:
        """The one chain."""
        return (self.chain_id,)

    @property
    def to_score(self) -> tuple[str, ...]:
        """The one chain."""
        return (self.chain_id,)

    @property
    def first_error(self) -> int | None:
        """The first wrong step, from 0; None if there is none."""
        return next((i for i, is_right in enumerate(self.steps) if is_right is False), None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Responses to one prompt of which some are better than others: the gold of preference suites."""

    id: str
    """Unique in the suite; a prompt may appear in several comparisons."""
    problem_id: str
    split: str
    """The subset it belongs to."""
    better: tuple[str, ...]
    """Chain ids; each should score above each of `worse`. In RM-Bench their positions are the styles."""
    worse: tuple[str, ...]
    """Chain ids."""
    section: str = ""
    """The group of subsets that is reported together; "" if there is none."""
    weight: float = 1.0
    """Its weight in its section."""

    @property
    def chain_ids(self) -> tuple[str, ...]:
        """The better responses, then the worse."""
        return (*self.better, *self.worse)

    @property
    def to_score(self) -> tuple[str, ...]:
        """All of them."""
        return self.chain_ids


@dataclass(frozen=True, slots=True)
class Candidates:
    """The solutions of one problem, to choose one of them: the gold of best of n."""

    problem_id: str
    split: str
    chain_ids: tuple[str, ...]
    is_right: tuple[bool | None, ...] | None = None
    """Verdicts of the file, each None if undecided; None for the whole if answers are still to be checked."""
    answers: tuple[str | None, ...] | None = None
    """Final answers of the file; None if they are still to be found in the texts."""

    @property
    def id(self) -> str:
        """The problem's."""
        return self.problem_id


Truth = StepTruth | Comparison | Candidates


@dataclass(frozen=True, slots=True)
class Found:
    """The contents of one row of a suite's file."""

    problem: Problem
    chains: tuple[Chain, ...]
    truths: tuple[Truth, ...]
    stored: Mapping[str, tuple[StepScores, ...]] = field(default_factory=dict)
    """Scores found in the file, by scorer; one per scored chain."""


def decided(verdict: Verdict) -> bool | None:
    """Whether an answer is right; None where its check decides neither."""
    return verdict.is_correct if verdict.is_decided else None
