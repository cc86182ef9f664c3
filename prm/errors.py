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
from typing import TypeVar

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
