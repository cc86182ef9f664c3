"""Verdicts on answers: which chains can be labeled, and what each finished text is worth.

The checker is a parameter: our own (`prm.verifiers.check`) unless another is given.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from prm.data.records import Chain, Drop, Finish, Outcome, Problem
from prm.verifiers import check, gold_problem

Checker = Callable[[str, str, Problem], "Outcome | bool | None"]
"""From a solution's text, the gold answer and the problem to a verdict: an `Outcome`, or whether the answer is right,
None for undecided. One for Ray must be picklable."""

_VERDICTS: dict[bool | None, Outcome] = {True: "correct", False: "incorrect", None: "no_answer"}


def check_answer(text: str, gold: str, problem: Problem) -> Outcome:
    """The checker of this toolkit, see `prm.verifiers.check`."""
    return check(text, gold).outcome.value


def name_of(checker: Checker) -> str:
    """How a manifest names a checker."""
    return f"{checker.__module__}.{getattr(checker, '__qualname__', type(checker).__qualname__)}"


def verdict(checker: Checker, text: str, finish: Finish, problem: Problem) -> Outcome:
    """Verdict on a finished text of a problem with a gold answer; one that was cut by length is undecided in any case.

    Of a rollout only the continuation is judged: a number in the prefix is not the answer of a rollout without one.
    """
    if finish == "length":
        return "no_answer"
    try:
        found = checker(text, problem.answer or "", problem)
    except Exception:  # of a checker from elsewhere anything may come; it costs this verdict alone
        return "error"
    return found if isinstance(found, str) else _VERDICTS[found]


def unusable(checker: Checker, chain: Chain, problem: Problem) -> Drop | None:
    """Why a chain cannot be labeled; None for one that can. Only our own checker is asked about its gold answers."""
    if problem.answer is None:
        return Drop(chain.id, "its problem has no gold answer", problem.id)
    if checker is check_answer and (trouble := _gold_trouble(problem.answer)):
        return Drop(chain.id, "gold answer that cannot be used", trouble)
    return None if chain.steps else Drop(chain.id, "empty chain")


@lru_cache(maxsize=4096)
def _gold_trouble(answer: str) -> str | None:
    return gold_problem(answer)
