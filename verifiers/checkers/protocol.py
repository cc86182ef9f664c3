"""What a checker is, and how any checker is asked: the one place that reads what a checker returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from ..verdict import Outcome, Verdict

Checker = Callable[[str, str, Any], Verdict | str | bool | None]
"""From the prediction, the gold answer and the problem to a verdict: a `Verdict`, an outcome, or whether the answer is
right (None: no answer). The problem is a `prm.Problem`; None where the caller has only texts. What a checker raises is
the outcome `error`. It must be picklable for Ray, and a job resumes with the same checker only."""

Question = tuple[str, str, Any]
"""A prediction, a gold answer and a problem."""

_OUTCOMES: dict[Any, Outcome] = {
    True: Outcome.CORRECT, False: Outcome.INCORRECT, None: Outcome.NO_ANSWER, **{name: name for name in Outcome}
}  # fmt: skip
"""By the values that a checker may return; an outcome is equal to its text."""
_REASON = "as the checker says"


class CheckerError(ValueError):
    """A checker that cannot be used.

    Args:
        message: what is wrong, in one line.
        hint: what to do about it, in one line.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        return self.message


class StreamChecker(ABC):
    """A checker that can work on several answers at once."""

    @abstractmethod
    def __call__(self, prediction: str, gold: str, problem: Any = None) -> Verdict:
        """The verdict on one answer."""

    @abstractmethod
    def check_each(self, questions: Iterable[Question]) -> Iterator[Verdict]:
        """One verdict per question, in order; reads some questions ahead, so the stream may be endless."""


def as_verdict(found: Any, reason: str = _REASON) -> Verdict:
    """What a checker may return, as a verdict.

    Raises:
        ValueError: it is something else.

    >>> as_verdict(True).outcome, as_verdict("timeout").outcome
    (<Outcome.CORRECT: 'correct'>, <Outcome.TIMEOUT: 'timeout'>)
    """
    verdict = found if isinstance(found, Verdict) else Verdict(found, reason, None)
    try:
        return replace(verdict, outcome=_OUTCOMES[verdict.outcome])
    except (KeyError, TypeError) as error:  # TypeError: it cannot be a key
        raise ValueError(f"{found!r} is not a verdict") from error


def judge(checker: Checker, prediction: str, gold: str, problem: Any) -> Verdict:
    """Ask a checker for one verdict.

    Raises:
        CheckerError: the checker returned something that is not a verdict, or cannot go on.
    """
    try:
        found = checker(prediction, gold, problem)
    except CheckerError:
        raise
    except Exception as error:  # a caller's checker may raise anything; it costs only this verdict
        return Verdict(Outcome.ERROR, f"the checker raised {type(error).__name__}", None)
    try:
        return as_verdict(found)
    except ValueError as error:
        raise CheckerError(
            f"the checker {name_of(checker)} returned {found!r}, which is not a verdict",
            f"return True, False, None, or one of {', '.join(Outcome)}",
        ) from error


def judge_each(checker: Checker, questions: Iterable[Question]) -> Iterator[Verdict]:
    """Ask a checker for one verdict per question, in order, several at once if it can.

    Raises:
        CheckerError: as `judge`.
    """
    if isinstance(checker, StreamChecker):
        return checker.check_each(questions)
    return (judge(checker, *question) for question in questions)


def name_of(checker: Checker) -> str:
    """How messages name a checker."""
    return str(getattr(checker, "__qualname__", type(checker).__qualname__))
