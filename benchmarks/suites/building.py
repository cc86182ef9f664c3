"""The fields of a row → records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from prm.data.formats.solutions import ended
from prm.data.records import Chain, Problem, StepScores
from prm.data.rows import RowError

from .fields import BLANK_PROBLEM, EMPTY_CHAIN, WRONG_BLANK
from .truth import Found, StepTruth

Judged = tuple[bool | None, ...]
"""Whether each step is right; None if unknown."""


def make_problem(identity: str, text: str, answer: str | None = None, meta: Mapping[str, Any] | None = None) -> Problem:
    """A problem; RowError if its text is blank."""
    if not text.strip():
        raise RowError(BLANK_PROBLEM)
    return Problem(identity, text, answer, meta or {})


def up_to(first_error: int | None, count: int) -> Judged:
    """The truth that the first wrong step implies: steps before it are right, those after it unknown.

    >>> up_to(1, 4), up_to(None, 2)
    ((True, False, None, None), (True, True))
    """
    if first_error is None:
        return (True,) * count
    return (True,) * first_error + (False,) + (None,) * (count - first_error - 1)


def judged_chain(
    problem: Problem,
    identity: str,
    texts: Sequence[str],
    judged: Judged,
    split: str,
    *,
    is_answer_right: bool | None = None,
    scores: Mapping[str, Sequence[float]] | None = None,
) -> Found:
    """A chain with some steps known to be right or wrong.

    Blank steps are left out, with their judgments and scores.

    Args:
        problem: of the chain.
        identity: id of the chain.
        texts: its steps; each gets the newline that ends it.
        judged: one per step.
        split: the part of the suite.
        is_answer_right: as in `StepTruth`.
        scores: one per step, by scorer.

    Raises:
        RowError: all steps are blank, or a wrong one is.
    """
    kept = [i for i, text in enumerate(texts) if text.strip()]
    if not kept:
        raise RowError(EMPTY_CHAIN)
    for i, is_right in enumerate(judged):
        if is_right is False and i not in kept:
            raise RowError(WRONG_BLANK, f"step {i}, from 0")
    chain = Chain(identity, problem.id, tuple(ended(texts[i]) for i in kept))
    truth = StepTruth(identity, problem.id, split, tuple(judged[i] for i in kept), is_answer_right)
    stored = {name: (score(chain, [values[i] for i in kept], "prm"),) for name, values in (scores or {}).items()}
    return Found(problem, (chain,), (truth,), stored)


def score(chain: Chain, values: Sequence[float], kind: Literal["prm", "orm"]) -> StepScores:
    """The scores of a chain."""
    return StepScores(chain.id, chain.problem_id, tuple(values), kind)
