"""The checker of a job: which one is meant, what the manifest records of it, and its verdicts.

checker = job_checker("minerva")
job = Job(out, "verify", settings | recorded(checker), inputs | command_files(checker))
for verdict in verdicts(checker, questions): ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import tee
from pathlib import Path
from typing import Any

from prm.data.identity import identity_of
from prm.data.records import Problem
from prm.errors import InputError
from prm.verifiers import DEFAULT_TIMEOUT, Checker, CheckerError, Command, Verdict, gold_problem
from prm.verifiers.checkers import RULES, Named, Question, Rules, checker_of, judge, judge_each
from prm.verifiers.verdict import of_any


@contextmanager
def _as_input_error() -> Iterator[None]:
    try:
        yield
    except CheckerError as error:
        raise InputError(str(error), error.hint) from error


def job_checker(given: Named, *, timeout: float = DEFAULT_TIMEOUT) -> Checker:
    """The checker that a caller means; see `prm.verifiers.checkers.checker_of`.

    Raises:
        InputError: there is no such checker, or it cannot be called as one.
    """
    with _as_input_error():
        return checker_of(given, timeout=timeout)


def verdict(checker: Checker, prediction: str, gold: str, problem: Any) -> Verdict:
    """One verdict; as `verdicts`."""
    with _as_input_error():
        return judge(checker, prediction, gold, problem)


def verdicts(checker: Checker, questions: Iterable[Question]) -> Iterator[Verdict]:
    """One verdict per question, in order; several questions are worked on at once if the checker can.

    Raises:
        InputError: the checker returned something that is not a verdict, or cannot go on.
    """
    with _as_input_error():
        yield from judge_each(checker, questions)


def solution_verdicts(checker: Checker, solutions: Iterable[tuple[str, Problem]]) -> Iterator[Verdict]:
    """One verdict per solution, in order; of a problem with several gold answers, on the one that it equals.

    Raises:
        InputError: as `verdicts`.
    """
    asked, again = tee(solutions)
    questions = ((text, gold, problem) for text, problem in again for gold in _golds(checker, problem.golds))
    found = verdicts(checker, questions)
    for _, problem in asked:
        yield of_any([next(found) for _ in _golds(checker, problem.golds)])


def _golds(checker: Checker, golds: tuple[str, ...]) -> tuple[str, ...]:
    """The gold answers to compare with: of several, those that our own rules can read, or they would decide nothing."""
    if len(golds) > 1 and isinstance(checker, Rules):
        return tuple(gold for gold in golds if trouble_of(gold) is None) or golds
    return golds or ("",)


@lru_cache(maxsize=4_096)
def trouble_of(gold: str) -> str | None:
    """`prm.verifiers.gold_problem`, remembered: the solutions of one problem are mostly adjacent."""
    return gold_problem(gold)


def recorded(checker: Checker) -> dict[str, str]:
    """The setting that records a checker: our own by its policy, a command as it is, a function by its code.

    Empty for the default, so that manifests keep their keys.
    """
    if isinstance(checker, Rules) and checker.policy == RULES.policy:
        return {}
    return {"checker": str(checker) if isinstance(checker, Rules | Command) else identity_of(checker)}


def command_files(checker: Checker) -> dict[str, Path]:
    """The files that a command names, such as its script, as inputs of the job."""
    return {f"checker {path}": path for path in checker.files} if isinstance(checker, Command) else {}
