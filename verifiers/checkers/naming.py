"""A checker by one text: the name of a policy, `module:function`, or `command: …`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from ..checking import DEFAULT_TIMEOUT
from ..policy import PRESETS, Policy
from .command import Command
from .protocol import Checker, CheckerError, name_of
from .rules import Rules

Named = Checker | Policy | str
"""A checker, a policy for our own one, or the text that names a checker; see `checker_of`."""

_FORMS = f"give one of {', '.join(PRESETS)}; or module:function; or 'command: program arguments'"
_TAKES = "it takes the prediction, the gold answer and the problem: lambda text, gold, problem: …"
_COMMAND = re.compile(r"command\s*(?:\((?P<settings>[^)]*)\))?\s*:(?P<line>.*)", re.DOTALL)
_SETTINGS = {"seconds": float, "processes": int}


def checker_of(given: Named, *, timeout: float = DEFAULT_TIMEOUT) -> Checker:
    """The checker that is meant.

    Args:
        given: a checker, which is returned as it is; a policy for our own rules; or a text:

            - the name of a policy in `PRESETS`;
            - `module:function`, imported from the current folder too;
            - `command: program arguments`, or `command(seconds=10, processes=2): program arguments`; see `Command`.

        timeout: of our own rules, as in `check`.

    Raises:
        CheckerError: there is no such checker, or it cannot be called with a prediction, a gold answer and a problem.

    >>> str(checker_of("minerva")), str(checker_of("command(seconds=9): grep -c ok"))
    ('minerva', 'command(seconds=9): grep -c ok')
    """
    if isinstance(given, Policy):
        return Rules(given, timeout)
    if not isinstance(given, str):
        return _callable(given)
    if command := _COMMAND.fullmatch(given.strip()):
        return Command(command["line"].strip(), **_settings(command["settings"] or ""))
    if given in PRESETS:
        return Rules(PRESETS[given], timeout)
    module, _, function = given.partition(":")
    if not function:
        raise CheckerError(f"there is no checker {given!r}{_like(given, PRESETS)}", _FORMS)
    return _callable(_imported(module, function))


def _settings(text: str) -> dict[str, Any]:
    """The settings of a command, as written in its parentheses."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    try:
        return {name.strip(): _SETTINGS[name.strip()](value) for name, _, value in pairs}
    except (KeyError, ValueError) as error:
        raise CheckerError(f"{text!r} are not settings of a command", "such as seconds=10, processes=2") from error


def _imported(module: str, function: str) -> Any:
    if str(Path.cwd()) not in sys.path:  # last, so that a file there replaces no installed module
        sys.path.append(str(Path.cwd()))
    try:
        found = import_module(module)
    except Exception as error:  # importing runs the user's code, which may raise anything
        hint = f"is {module}.py in the current folder, {Path.cwd()}?"
        raise CheckerError(f"the checker {module}:{function} cannot be imported: {error}", hint) from error
    checker = getattr(found, function, None)
    if checker is None:
        raise CheckerError(f"module {module} has no {function!r}{_like(function, vars(found))}", "name a function")
    return checker


def _like(name: str, known: Iterable[str]) -> str:
    """The names that one may have meant, as a clause."""
    close = get_close_matches(name, known)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


def _callable(given: Any) -> Checker:
    """The checker itself, if its signature fits as far as it tells."""
    checker: Checker = given
    if not callable(given):
        raise CheckerError(f"checker={checker!r} is not a function", _TAKES)
    try:
        signature = inspect.signature(checker)
    except (TypeError, ValueError):  # some built-in functions have none
        return checker
    try:
        signature.bind("text", "gold", "problem")
    except TypeError as error:
        raise CheckerError(f"the checker {name_of(checker)} cannot be called: {error}", _TAKES) from error
    return checker
