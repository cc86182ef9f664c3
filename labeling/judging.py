"""Verdicts on answers: which chains can be labeled, and whether each finished text is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from prm.data.records import Chain, Drop, Finish, Outcome, Problem
from prm.scoring.checking import verdicts
from prm.verifiers import Checker, gold_problem
from prm.verifiers.checkers import Rules


def outcomes(checker: Checker, texts: Sequence[tuple[str, Finish]], problem: Problem) -> Iterator[Outcome]:
    """Verdicts on finished texts for a problem with a gold answer; one cut off by the length limit is undecided.

    Pass only the continuation of a rollout: a number in the prefix is not the answer of a rollout without one.

    Raises:
        InputError: the checker returned something that is not a verdict, or cannot go on.
    """
    whole = ((text, problem.answer or "", problem) for text, finish in texts if finish != "length")
    found = verdicts(checker, whole)
    for _, finish in texts:
        yield "no_answer" if finish == "length" else next(found).outcome.value


def unusable(checker: Checker, chain: Chain, problem: Problem) -> Drop | None:
    """Why a chain cannot be labeled, or None if it can; only our own checker can say that a gold answer is unusable."""
    if problem.answer is None:
        return Drop(chain.id, "its problem has no gold answer", problem.id)
    if isinstance(checker, Rules) and (trouble := _gold_trouble(problem.answer)):
        return Drop(chain.id, "gold answer that cannot be used", trouble)
    return None if chain.steps else Drop(chain.id, "empty chain")


@lru_cache(maxsize=4096)
def _gold_trouble(answer: str) -> str | None:
    return gold_problem(answer)
