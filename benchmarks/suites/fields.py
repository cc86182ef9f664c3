"""Fields of suites' rows in their many spellings: numbers as texts, "N/A", counted from 0 or 1."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from reprlib import repr as short
from typing import Any

from prm.data.rows import Row, RowError
from prm.scoring.foreign import BAD_SCORE

UNREADABLE = "a label that cannot be read"
NO_SUCH_STEP = "a wrong step that is not there"
WRONG_BLANK = "a wrong step that is blank"
RIGHT_WITH_ERROR = "a right solution with a wrong step"
WRONG_WITHOUT_ERROR = "a wrong solution without its wrong step"
OTHER_TASK = "another task"
UNEQUAL = "lists that differ in number"
EMPTY_CHAIN = "empty chain"
BLANK_PROBLEM = "a problem that is blank"
TWICE = "the same row twice"
ID_TWICE = "its id comes twice"
"""Reasons to drop a row, besides those of `prm.data.formats`, of its sources, and `prm.data.preferences`."""

_LARGEST = sys.float_info.max
_NONE = ("", "n/a", "na", "none", "null")
_NUMBER = re.compile(r"(?:step\s*)?(-?\d{1,18})", re.IGNORECASE)
_RIGHT = {"correct": True, "right": True, "incorrect": False, "wrong": False}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row was found, which gives its contents their ids."""

    stem: str
    """Name of its file without ending, or its split on the Hub."""
    number: int
    """From 1."""
    splitter: str = "newline"
    """What ends a step in a text without steps of its own; see `prm.data.steps`."""
    suffix: str = ""
    """Appended to each id if another row has the same."""
    takes_all: bool = False
    """As in `prm.benchmarks.conventions.Convention`."""

    def id(self, own: object = None, *, is_unique: bool = False) -> str:
        """An id that is unique over the files of a suite.

        It is the row's own id after the file's name (unless it begins with that, or is unique anyway); without an own
        id, the file's name and the row's number.

        >>> Place("gsm8k", 3).id(7), Place("gsm8k", 3).id("gsm8k-7"), Place("gsm8k", 3).id()
        ('gsm8k/7', 'gsm8k-7', 'gsm8k-3')
        """
        if own is None or own == "":
            return f"{self.stem}-{self.number}{self.suffix}"
        name = str(own)
        prefix = "" if is_unique or name.startswith(self.stem) else f"{self.stem}/"
        return f"{prefix}{name}{self.suffix}"


def present(row: Row, name: str) -> Any:
    """A required field, which may be null.

    Raises:
        RowError: it is missing.
    """
    if name not in row:
        raise RowError("lacks a field", repr(name))
    return row[name]


def whole_number(value: Any) -> int | None:
    """A whole number in any of its spellings; None for null and "N/A".

    >>> whole_number("3"), whole_number("Step 3"), whole_number(3.0), whole_number("N/A")
    (3, 3, 3, None)

    Raises:
        RowError: it is not a whole number.
    """
    if value is None or (isinstance(value, str) and value.strip().lower() in _NONE):
        return None
    if isinstance(value, str) and (found := _NUMBER.fullmatch(value.strip())):
        return int(found[1])
    is_whole = isinstance(value, float) and value.is_integer()
    if not (is_whole or isinstance(value, int)) or isinstance(value, bool):
        raise RowError(UNREADABLE, repr(value))
    return int(value)


def step_index(value: Any, base: int, count: int) -> int | None:
    """The step, from 0, for a number counted from `base`; None for null and "N/A".

    Raises:
        RowError: it is not a number, or not one of `count` steps.
    """
    number = whole_number(value)
    if number is None:
        return None
    if not 0 <= number - base < count:
        raise RowError(NO_SUCH_STEP, f"{value!r}, counted from {base}, of {count} steps")
    return number - base


def verdict(value: Any) -> bool | None:
    """Whether something is right, given as a boolean, 1 or 0, or a word; None for null.

    >>> verdict("wrong"), verdict("Correct"), verdict(1), verdict(None)
    (False, True, True, None)

    Raises:
        RowError: it is anything else.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _RIGHT:
        return _RIGHT[value.strip().lower()]
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    raise RowError(UNREADABLE, repr(value))


def answer_text(value: Any) -> str | None:
    """An answer as text, a whole number without its ".0"; None for null and blank texts.

    >>> answer_text(266.0), answer_text(" 1/2 "), answer_text("")
    ('266', '1/2', None)
    """
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = "" if value is None else str(value).strip()
    return text or None


def real_number(value: Any) -> float:
    """A score.

    Raises:
        RowError: it is not a finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise RowError(BAD_SCORE, short(value))
    return float(value)


def require_equal(what: str, *lengths: int) -> None:
    """Raise RowError if lists that belong together differ in length."""
    if len(set(lengths)) > 1:
        raise RowError(UNEQUAL, f"{what}: {', '.join(map(str, lengths))}")
