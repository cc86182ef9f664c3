"""Verdicts on answers: which chains can be labeled, and whether each finished text is right.

The checker is a parameter; the default is our own, `prm.verifiers.check`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from prm.data.records import Chain, Drop, Finish, Outcome, Problem
from prm.verifiers import check, gold_problem

Checker = Callable[[str, str, Problem], Outcome | bool | None]
"""From a solution's text, the gold answer and the problem to a verdict: an `Outcome`, or whether the answer is right
(None: undecided). Must be picklable for Ray."""

_VERDICTS: dict[bool | None, Outcome] = {True: "correct", False: "incorrect", None: "no_answer"}


def check_answer(text: str, gold: str, problem: Problem) -> Outcome:
    """The checker of this toolkit; see `prm.verifiers.check`."""
    return check(text, gold).outcome.value


def name_of(checker: Checker) -> str:
    """Name of a checker in manifests."""
    return f"{checker.__module__}.{getattr(checker, '__qualname__', type(checker).__qualname__)}"


def verdict(checker: Checker, text: str, finish: Finish, problem: Problem) -> Outcome:
    """Verdict on a finished text for a problem with a gold answer; one cut off by the length limit is undecided.

    Pass only the continuation of a rollout: a number in the prefix is not the answer of a rollout without one.
    """
    if finish == "length":
        return "no_answer"
    try:
        found = checker(text, problem.answer or "", problem)
    except Exception:  # a caller's checker may raise anything; it costs only this verdict
        return "error"
    return found if isinstance(found, str) else _VERDICTS[found]


def unusable(checker: Checker, chain: Chain, problem: Problem) -> Drop | None:
    """Why a chain cannot be labeled, or None if it can; only our own checker can say that a gold answer is unusable."""
    if problem.answer is None:
        return Drop(chain.id, "its problem has no gold answer", problem.id)
    if checker is check_answer and (trouble := _gold_trouble(problem.answer)):
        return Drop(chain.id, "gold answer that cannot be used", trouble)
    return None if chain.steps else Drop(chain.id, "empty chain")


@lru_cache(maxsize=4096)
def _gold_trouble(answer: str) -> str | None:
    return gold_problem(answer)
