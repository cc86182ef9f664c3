"""One solution in a row of another tool's file, before it has ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..records import Chain, Outcome, Problem, StepLabels
from ..rows import RowError

T = TypeVar("T")
Label = bool | float | None
"""As in the file: right or wrong, a share in [0, 1], or none."""
Labels = Sequence[bool | float]
"""Of a chain whose steps all have one."""
Written = dict[str, Any]
"""A row of another tool's format."""

TAG = "ки"
"""Ends a step in Math-Shepherd's texts."""


class KnownProblems:
    """Problems by their texts, without the whitespace around these."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self._by_text = {problem.text.strip(): problem for problem in problems}
        self.ids = frozenset(problem.id for problem in self._by_text.values())
        self._longest_first = sorted(set(map(len, self._by_text)), reverse=True)

    def get(self, text: str) -> Problem | None:
        """The problem with this text."""
        return self._by_text.get(text.strip())

    def beginning(self, text: str) -> int:
        """Length of the longest problem that the text begins with, leading whitespace included; 0 if there is none."""
        blank = len(text) - len(text.lstrip())
        ends = (blank + length for length in self._longest_first)
        return next((n for n in ends if text[blank:n] in self._by_text and text[n : n + 1].isspace()), 0)


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a file; each setting affects the formats that it names."""

    neutral_is_right: bool = True
    """PRM800K: whether a rating of 0 counts as right. OpenAI, Qwen and PURE say yes, TRL said no. Trajectories: whether
    a turn labeled 0 has no label; else it is wrong."""
    tag: str = TAG
    """Math-Shepherd and OpenRLHF: ends a step in `input`."""
    splitter: str = "newline"
    """Plain text: cuts it into steps, see `prm.split_steps`."""
    known: KnownProblems = field(default_factory=lambda: KnownProblems(()))
    """All formats: a solution to one of these problems gets its id and answer."""


@dataclass(frozen=True, slots=True)
class Solution:
    """One solution in a file of another tool."""

    problem: str
    steps: tuple[str, ...]
    labels: tuple[Label, ...] | None = None
    """One per step; None for a format without labels."""
    is_rated: bool = False
    """Whether people gave the labels."""
    outcome: Outcome = "no_answer"
    """Verdict on its own answer, if the format has it."""
    answer: str | None = None
    """Gold answer of the problem, if the row has it."""
    id: str | None = None
    """Of the row, if it has one."""

    def as_labels(self, chain: Chain) -> StepLabels | None:
        """Its step labels: ratings as counts of one, other labels as given."""
        if self.labels is None:
            return None
        none = (0,) * len(self.labels)
        is_rated = self.is_rated
        return StepLabels(
            chain_id=chain.id,
            problem_id=chain.problem_id,
            right=tuple(int(value is True) for value in self.labels) if is_rated else none,
            wrong=tuple(int(value is False) for value in self.labels) if is_rated else none,
            undecided=none,
            known=tuple("none" if value is None else "human" if is_rated else "given" for value in self.labels),
            outcome=self.outcome,
            given=None if is_rated else self.labels,
        )


def ended(step: str) -> str:
    """A step of a list, with the newline that ends it in a text; a blank step stays blank."""
    return step.rstrip("\n") + "\n"


def typed(row: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """A field of a row.

    Raises:
        RowError: it is missing, or of the wrong type.
    """
    if name not in row:
        raise RowError("lacks a field", repr(name))
    value = row[name]
    if not isinstance(value, kind):
        raise RowError("a field of the wrong kind", f"{name!r} is not a {_KINDS[kind]}")
    return value


_KINDS: dict[type, str] = {str: "text", list: "list", dict: "object"}


def texts(row: Mapping[str, Any], name: str) -> list[str]:
    """A field that is a list of texts; raises as `typed`."""
    return _list_of(row, name, str)


def objects(row: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """A field that is a list of objects; raises as `typed`."""
    return _list_of(row, name, dict)


def _list_of(row: Mapping[str, Any], name: str, kind: type[T]) -> list[T]:
    values = typed(row, name, list)
    if not all(isinstance(value, kind) for value in values):
        raise RowError("a field of the wrong kind", f"{name!r} does not hold {_KINDS[kind]}s only")
    return values


MARKS = {"+": True, "-": False}


def as_label(value: Any) -> Label:
    """A label as files write it: "+" and "-", true and false, 1 and 0, a share with a decimal point, or null.

    >>> as_label("-"), as_label(1), as_label(1.0)
    (False, True, 1.0)

    Raises:
        RowError: it is anything else.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip() in MARKS:
        return MARKS[value.strip()]
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    return as_share(value)


def as_labels(values: Sequence[Any]) -> tuple[Label, ...]:
    """The labels of one solution, each read by `as_label`; if any has a decimal point, 0 and 1 are shares too.

    >>> as_labels([1, 0]), as_labels([1, 0.5])
    ((True, False), (1.0, 0.5))
    """
    are_shares = any(isinstance(value, float) for value in values)
    return tuple(as_share(value) if are_shares and type(value) is int else as_label(value) for value in values)


def as_share(value: Any) -> float | None:
    """A share in [0, 1], or null.

    Raises:
        RowError: it is neither.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise RowError("a label that cannot be read", repr(value))
    return float(value)
