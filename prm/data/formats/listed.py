"""Formats in which problem and solution are separate fields: TRL's stepwise rows, and plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..rows import Row, RowError, optional_text, question_of
from ..steps import split_steps
from .solutions import Labels, Reading, Solution, Written, as_labels, ended, texts, typed


def trl(row: Row, _: Reading) -> Iterator[Solution]:
    """TRL's stepwise supervision: `prompt`, `completions` (the steps) and `labels` (booleans, or shares)."""
    steps, labels = texts(row, "completions"), typed(row, "labels", list)
    if len(labels) != len(steps):
        raise RowError("labels and steps differ in number", f"{len(labels)}, {len(steps)}")
    yield Solution(typed(row, "prompt", str), tuple(map(ended, steps)), as_labels(labels))


def trl_row(problem: str, steps: Sequence[str], labels: Labels, _: str) -> Written:
    """TRL's stepwise supervision: `prompt`, `completions` and `labels`."""
    return {"prompt": problem, "completions": list(steps), "labels": list(labels)}


def plain(row: Row, reading: Reading) -> Iterator[Solution]:
    """A problem with one or many solutions as plain text, cut into steps by `reading.splitter`; no labels."""
    name, answer = _name(row, _PROBLEM), optional_text(row, *_ANSWER)
    problem = question_of({**row, "question": typed(row, name, str)})
    for text in _solutions(row):
        yield Solution(problem, split_steps(text, reading.splitter), answer=answer)


_PROBLEM = ("problem", "question", "prompt")
_ANSWER = ("answer", "gold", "final_answer")
_MANY = ("solutions", "completions")
_ONE = ("solution", "completion", "response", "text")


def _solutions(row: Row) -> list[str]:
    name = _name(row, (*_MANY, *_ONE))
    return texts(row, name) if name in _MANY else [typed(row, name, str)]


def _name(row: Row, names: tuple[str, ...]) -> str:
    name = next((name for name in names if name in row), None)
    if name is None:
        raise RowError("lacks a field", f"one of {', '.join(map(repr, names))}")
    return name
