"""Step scores in the rows of ReasonEval's sets: `prm_scores`, by scorer.

A score is a number, or the three probabilities of ReasonEval (arXiv 2404.05692, section 3.1): that the line is invalid,
neutral, positive. Entries that are not lists (verdicts of judges, one number per solution) are not step scores and are
left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from prm.data.formats.solutions import typed
from prm.data.rows import Row, RowError
from prm.scoring.foreign import BAD_SCORE

from .fields import real_number, require_equal, whole_number

Three = Callable[[Sequence[float]], float]
"""One score from three probabilities; higher is better."""


def validity(three: Sequence[float]) -> float:
    """Probability that a line is not invalid: the second plus the third.

    >>> validity((0.25, 0.25, 0.5))
    0.75
    """
    return three[1] + three[2]


def usefulness(three: Sequence[float]) -> float:
    """Probability that a line is not redundant: one minus the second.

    ReasonEval's codes/mr-math_eval.py takes minus the second; this gives the same order, in [0, 1].

    >>> usefulness((0.25, 0.25, 0.5))
    0.75
    """
    return 1 - three[1]


def lines_of(row: Row) -> tuple[list[str], list[int]]:
    """The steps of MR-MATH, which are lists of lines, and the step of each line with a score."""
    lines = [[step] if isinstance(step, str) else step for step in typed(row, "model_output_step_format", list)]
    if not all(isinstance(step, list) and all(isinstance(line, str) for line in step) for step in lines):
        raise RowError("a field of the wrong kind", "'model_output_step_format' does not hold lists of texts only")
    steps, places = ["\n".join(step) for step in lines], row.get("score_index_to_step")
    if places is None:
        return steps, [i for i, step in enumerate(lines) for _ in step]
    return steps, [-1 if place is None else place for place in map(whole_number, places)]


def line_scores(row: Row, places: Sequence[int], count: int, one_of_three: Three) -> dict[str, list[float]]:
    """By scorer, one score per step: the lowest of its lines.

    Args:
        row: with or without `prm_scores`.
        places: the step of each line; every step must have a line.
        count: number of steps.
        one_of_three: three probabilities → one score.
    """
    if row.get("prm_scores") is None:
        return {}
    found: dict[str, list[float]] = {}
    for name, values in typed(row, "prm_scores", dict).items():
        if isinstance(values, list):
            require_equal(f"scores of {name} and lines", len(values), len(places))
            found[name] = _lowest([_one(value, one_of_three) for value in values], places, count)
    return found


def _lowest(values: Sequence[float], places: Sequence[int], count: int) -> list[float]:
    by_step: dict[int, float] = {}
    for place, value in zip(places, values, strict=True):
        by_step[place] = min(value, by_step.get(place, value))
    if sorted(by_step) != list(range(count)):
        raise RowError(BAD_SCORE, "lines with scores that are not those of the steps")
    return [by_step[step] for step in range(count)]


def _one(value: Any, one_of_three: Three) -> float:
    if not isinstance(value, list):
        return real_number(value)
    if len(value) != 3:
        raise RowError(BAD_SCORE, f"{len(value)} numbers")
    return one_of_three([real_number(part) for part in value])
