"""PRM800K (Let's Verify Step by Step, arXiv 2305.20050): steps rated by people, 1 good, 0 neutral, -1 bad."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..rows import Row, RowError, optional_text
from .solutions import Reading, Solution, ended, objects, texts, typed

Step = tuple[str, Any]
"""Text and rating."""


def prm800k(row: Row, reading: Reading) -> Iterator[Solution]:
    """The raw form (`question`, `label`), or derived chains (`problem`, `steps`, `step_ratings`)."""
    return _raw(row, reading) if "question" in row else _rated(row, reading)


def _rated(row: Row, reading: Reading) -> Iterator[Solution]:
    """A chain that ends at its first bad step, or that was accepted."""
    steps, ratings = texts(row, "steps"), typed(row, "step_ratings", list)
    if len(ratings) != len(steps):
        number = f"field 'step_ratings' has {len(ratings)} entries for {len(steps)} steps"
        raise RowError("labels and steps differ in number", number)
    labels = tuple(_label(rating, reading) for rating in ratings)
    yield Solution(
        problem=typed(row, "problem", str),
        steps=tuple(map(ended, steps)),
        labels=labels,
        is_rated=True,
        outcome="incorrect" if False in labels else "correct",
        answer=optional_text(row, "final_answer"),
        id=optional_text(row, "id"),
    )


def _raw(row: Row, reading: Reading) -> Iterator[Solution]:
    """One solution for each rated alternative that was not taken, which ends it; and one for the path that was taken.

    As in TRL's `examples/datasets/prm800k.py`. Differs from it: a step written by the annotator, which nobody rated,
    has no label (TRL calls it right); and the path is omitted if alternatives already continue from its end.
    """
    question, path = typed(row, "question", dict), list[Step]()
    for step in objects(typed(row, "label", dict), "steps"):
        options, taken = _options(step)
        for option in options:
            yield _unrolled(question, [*path, option], reading)
        if taken is None:
            break
        path.append(taken)
    else:
        options = []
    if not options:
        yield _unrolled(question, path, reading)


def _options(step: Row) -> tuple[list[Step], Step | None]:
    """The completions of a step that were not taken, and the step that was: a completion, or the annotator's own."""
    rated = [_step(option) for option in objects(step, "completions")] if step.get("completions") else []
    chosen, own = step.get("chosen_completion"), step.get("human_completion")
    if chosen is None:
        return rated, None if own is None else (typed(own, "text", str), None)
    if chosen not in range(len(rated)):
        raise RowError("the chosen completion is missing", repr(chosen))
    return rated[:chosen] + rated[chosen + 1 :], rated[chosen]


def _step(option: Row) -> Step:
    return typed(option, "text", str), option.get("rating")


def _unrolled(question: Row, path: list[Step], reading: Reading) -> Solution:
    labels = tuple(_label(rating, reading) for _, rating in path)
    is_answered = bool(path) and "# Answer" in path[-1][0]
    return Solution(
        problem=typed(question, "problem", str),
        steps=tuple(ended(text) for text, _ in path),
        labels=labels,
        is_rated=True,
        outcome="incorrect" if False in labels else "correct" if is_answered else "no_answer",
        answer=optional_text(question, "ground_truth_answer"),
    )


def _label(rating: Any, reading: Reading) -> bool | None:
    if rating is None:
        return None
    if rating not in (-1, 0, 1) or isinstance(rating, bool):
        raise RowError("a label that cannot be read", f"step_ratings: {rating!r}")
    return bool(rating >= (0 if reading.neutral_is_right else 1))
