"""The five possible outcomes of a check, and the reason for each.

Only `correct` and `incorrect` are evidence. An undecided pair stays undecided and says why; it is never turned into
"wrong".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """The outcome of a check: one of five."""

    CORRECT = "correct"
    INCORRECT = "incorrect"
    NO_ANSWER = "no_answer"
    """The prediction contains no answer."""
    TIMEOUT = "timeout"
    """Time or memory ran out before a decision."""
    ERROR = "error"
    """One of the answers cannot be read, or the two cannot be compared."""


class Finding(NamedTuple):
    """An outcome and its reason, without the answer found in the prediction."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one check.

    >>> Verdict(Outcome.CORRECT, "equal as numbers", "7").is_correct
    True
    """

    outcome: Outcome
    reason: str
    """Short, for people to read and for counting, such as "equal as numbers"."""
    answer: str | None
    """The answer found in the prediction, as written there; None where none was found."""

    @property
    def is_correct(self) -> bool:
        """True only if the answer was shown to equal the gold answer."""
        return self.outcome is Outcome.CORRECT

    @property
    def is_decided(self) -> bool:
        """True only for correct and incorrect, the two outcomes that are evidence."""
        return self.outcome is Outcome.CORRECT or self.outcome is Outcome.INCORRECT


def of_any(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict where any of several golds is right: one that is correct, else one that is undecided, else the first.

    Args:
        verdicts: one on each gold, at least one.
    """
    order = {Outcome.CORRECT: 0, Outcome.TIMEOUT: 1, Outcome.ERROR: 1}
    return min(verdicts, key=lambda verdict: order.get(verdict.outcome, 2))
