"""What can go wrong, as one tree.

    PrmError                    anything this toolkit refuses with a message meant for a person
    ├── InputError              a file or row that cannot be used: names file, line and field
    ├── RenderError             text that cannot be turned into token ids with sure step ends
    ├── ModelError              a model directory or name that is not what it should be
    ├── EngineError             what generates text cannot be reached, or refuses
    └── OutputError             an output that exists already with other settings, or cannot be written

A message says what, with which value; `hint` says what to do about it. The command line prints both and exits with 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any, TypeVar

T = TypeVar("T")


class PrmError(Exception):
    """Base of all errors that are meant for a person.

    Args:
        message: what is wrong, in one line.
        hint: what to do about it, in one line; empty where there is nothing to add.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")  # shown under a traceback


class InputError(PrmError):
    """A file or row that cannot be used."""


class RenderError(PrmError):
    """Text that cannot be turned into token ids with sure step ends.

    Args:
        message: what is wrong, in one line.
        hint: what to do about it, in one line; empty where there is nothing to add.
        reason: the kind of fault, a fixed phrase by which refused chains are counted.
    """

    def __init__(self, message: str, hint: str = "", *, reason: str = "cannot be rendered") -> None:
        super().__init__(message, hint)
        self.reason = reason


class ModelError(PrmError):
    """A model directory or name that is not what it should be."""


class EngineError(PrmError):
    """What generates text cannot be reached, or refuses."""


class OutputError(PrmError):
    """An output that exists with other settings, or that cannot be written."""


def require_known(what: str, name: str, known: Iterable[str]) -> None:
    """Refuse a name that a table or a list of choices lacks.

    Args:
        what: of which kind it is, for the message.
        name: as it was given.
        known: all there are.

    Raises:
        InputError: it is unknown.
    """
    choices = tuple(known)
    if name not in choices:
        raise InputError(f"unknown {what} {name!r}", f"choose from {', '.join(choices)}")


def entry(what: str, name: str, table: Mapping[str, T]) -> T:
    """The entry of a table of this name; raises as `require_known`."""
    require_known(what, name, table)
    return table[name]


def require_number(name: str, value: Any, within: str, *, whole: bool = False) -> None:
    """Refuse a value that is not a number in an interval; a bool is not a number.

    Args:
        name: of the parameter, for the message.
        value: as it was given.
        within: the interval, such as "(0, 1]" or "[1, inf)".
        whole: whether it must be a whole number.

    Raises:
        InputError: it is something else, or outside the interval.
    """
    low, high = map(float, within[1:-1].split(","))
    is_number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    outside = [end for end, bracket in ((low, within[0]), (high, within[-1])) if bracket in "()"]
    if not is_number or not low <= value <= high or value in outside:
        kind = "whole number" if whole else "number"
        raise InputError(f"{name}={value!r} is not a {kind} in {within}", "give one, or omit it for the default")


def require_texts(name: str, value: str | Iterable[str]) -> tuple[str, ...]:
    """One text, or several, as a tuple.

    Args:
        name: of the parameter, for the message.
        value: as it was given.

    Raises:
        InputError: it is something else.
    """
    is_one = isinstance(value, str) or not isinstance(value, Iterable)
    texts: tuple[Any, ...] = (value,) if is_one else tuple(value)
    if wrong := [text for text in texts if not isinstance(text, str)]:
        raise InputError(f"{name}: {wrong[0]!r} is not a text", "give one text, or a list of texts")
    return texts
