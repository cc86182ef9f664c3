"""Verdicts on answers: which chains can be labeled, and whether each finished text is right.

The checker is a parameter; the default is our own, `prm.verifiers.check`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, get_args

from prm.data.identity import name_of
from prm.data.records import Chain, Drop, Finish, Outcome, Problem
from prm.errors import InputError
from prm.verifiers import Verdict, check, gold_problem

Checker = Callable[[str, str, Problem], Verdict | Outcome | bool | None]
"""From a solution's text, the gold answer and the problem to a verdict: a `prm.verifiers.Verdict` or its outcome, or
whether the answer is right (None: undecided). Must be picklable for Ray. A job resumes with the same checker only; see
`prm.data.identity` for what makes it the same."""

_TAKES = "it takes the solution's text, the gold answer and the problem: lambda text, gold, problem: …"
_OUTCOMES: dict[object, Outcome] = {
    True: "correct", False: "incorrect", None: "no_answer", **{name: name for name in get_args(Outcome)}
}  # fmt: skip
"""By the values that a checker may return; the texts are those of `prm.verifiers.Outcome` too."""


def check_answer(text: str, gold: str, problem: Problem) -> Outcome:
    """The checker of this toolkit; see `prm.verifiers.check`."""
    return check(text, gold).outcome.value


def require_checker(checker: Any) -> None:
    """Refuse a checker that cannot be called as `Checker` says, as far as its signature tells.

    Raises:
        InputError: it is not a function, or takes other arguments.
    """
    if not callable(checker):
        raise InputError(f"checker={checker!r} is not a function", _TAKES)
    try:
        signature = inspect.signature(checker)
    except (TypeError, ValueError):  # some built-in functions have none
        return
    try:
        signature.bind("text", "gold", "problem")
    except TypeError as error:
        raise InputError(f"the checker {name_of(checker)} cannot be called: {error}", _TAKES) from error


def verdict(checker: Checker, text: str, finish: Finish, problem: Problem) -> Outcome:
    """Verdict on a finished text for a problem with a gold answer; one cut off by the length limit is undecided.

    Pass only the continuation of a rollout: a number in the prefix is not the answer of a rollout without one.

    Raises:
        InputError: the checker returned something that is not a verdict.
    """
    if finish == "length":
        return "no_answer"
    try:
        found = checker(text, problem.answer or "", problem)
    except Exception:  # a caller's checker may raise anything; it costs only this verdict
        return "error"
    try:
        return _OUTCOMES[found.outcome if isinstance(found, Verdict) else found]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"the checker {name_of(checker)} returned {found!r}, which is not a verdict",
            f"return True, False, None, or one of {', '.join(get_args(Outcome))}",
        ) from error


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
