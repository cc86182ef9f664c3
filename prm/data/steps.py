"""Split a solution into steps. Joined, the steps are exactly the text, whatever it is.

A step keeps the separator that ends it. A blank part is never a step of its own: it belongs to the step before it (or,
at the very start, to the step after it).
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import lru_cache

from prm.errors import InputError

_TITLES = ("Mr", "Mrs", "Ms", "Dr", "Prof", "St", "Jr", "Sr", "Fig", "Eq", "No", "vs", "e.g", "i.e", "approx")
_NO_END = "".join(rf"(?<!\b{title.replace('.', '[.]')}[.])" for title in _TITLES)
"""Not after a title or another abbreviation, whose full stop ends no sentence."""
SPLITTERS: dict[str, str] = {
    "newline": r"\n+",
    "blank-line": r"\n[^\S\n]*\n\s*",
    "step-marker": r"(?=^[ \t]*Step[ \t]+\d+[ \t]*[:.])",
    "sentence": rf"{_NO_END}(?<=[.!?])\s+(?=[A-Z\\$(])|\n+",
}
"""Name → regular expression whose match ends a step. An empty match cuts between two characters."""


_STOPS: dict[str, tuple[tuple[str, ...], str]] = {
    "newline": (("\n",), ""),
    "blank-line": (("\n\n",), ""),
    "step-marker": (("\nStep ",), "1: "),
    "sentence": ((". ", "! ", "? ", "\n"), ""),
}
"""Name of a splitter to the texts after which a step may end, and how a next step then goes on."""


_NUMBER = re.compile(r"[0-9]{1,9}")
_THOUGHT = re.compile(r".*</think>\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Way:
    """How to cut a text: a splitter with its options."""

    pattern: re.Pattern[str]
    least: int = 0
    """A step of fewer characters is joined to the next one."""
    most: int = sys.maxsize
    """But not to more characters than this."""
    keeps_thought: bool = False
    """Whether all up to `</think>` is one step."""


def split_steps(text: str, splitter: str = "newline") -> tuple[str, ...]:
    r"""Cut `text` into steps.

    Args:
        text: any text.
        splitter: a name in `SPLITTERS`, or "regex:" and a regular expression whose match ends a step. Options may
            follow a name: `,min=40` joins a step of fewer than 40 characters to the next one, `,max=400` does so only
            up to 400 characters, and `,thought=one` makes all up to `</think>` one step.

    Returns:
        Non-blank steps with `"".join(steps) == text`; empty for a blank text.

    Raises:
        InputError: the splitter or an option is unknown, or not a valid regular expression.

    >>> split_steps("So 2 + 2 = 4\nThe answer is 4")
    ('So 2 + 2 = 4\n', 'The answer is 4')
    >>> split_steps("<think>2 and\n\n2?</think>\n\nSo\n\n2 + 2 = 4", "blank-line,min=5,thought=one")
    ('<think>2 and\n\n2?</think>\n\n', 'So\n\n2 + 2 = 4')
    """
    way = _way(splitter)
    thought = _thought(text) if way.keeps_thought else ""
    parts = [thought] if thought else []
    for part in _joined(_cut(text[len(thought) :], way.pattern), way.least, way.most):
        _append(parts, part)
    return tuple(parts) if text.strip() else ()


def step_stops(splitter: str) -> tuple[str, ...]:
    r"""Texts at which a generator is to stop, so that no step ends unseen; not every one of them ends a step.

    Raises:
        InputError: the splitter is unknown, or an expression, of which no such texts are known.

    >>> step_stops("blank-line,min=40")
    ('\n\n',)
    """
    return _stopping(splitter)[0]


def finished_steps(text: str, splitter: str = "newline") -> tuple[str, ...]:
    r"""The first steps of a text that goes on: those that end in it, whatever follows; raises as `step_stops`.

    >>> finished_steps("So 2 + 2 = 4\nThe answer"), finished_steps("Mr. ", "sentence")
    (('So 2 + 2 = 4\n',), ())
    """
    following = _stopping(splitter)[1] + "S" * (1 + _way(splitter).least)
    return split_steps(text + following, splitter)[:-1]


def _stopping(splitter: str) -> tuple[tuple[str, ...], str]:
    way, name = _way(splitter), splitter.partition(",")[0]
    if name not in _STOPS:
        raise InputError(
            f"the ends of steps cannot be told while they are generated: {way.pattern.pattern!r} is an expression",
            f"choose from {', '.join(_STOPS)}",
        )
    return _STOPS[name]


def _thought(text: str) -> str:
    """All up to the end of the last thought, whose first tag may stand in the prompt; a thought that is cut is all."""
    if match := _THOUGHT.match(text):
        return match[0]
    return text if "<think>" in text else ""


def _cut(text: str, pattern: re.Pattern[str]) -> list[str]:
    steps: list[str] = []
    start = 0
    for match in pattern.finditer(text):
        _append(steps, text[start : match.end()])
        start = match.end()
    _append(steps, text[start:])
    return steps


def _append(steps: list[str], part: str) -> None:
    """Add a part; a blank part, or one that follows only blank parts, is joined to the part before it."""
    if steps and (not part.strip() or not steps[-1].strip()):
        steps[-1] += part
    elif part:
        steps.append(part)


def _joined(steps: list[str], least: int, most: int) -> list[str]:
    """The steps, with each one that is too short joined to the next one, and the last one to the one before it."""
    found: list[str] = []
    for number, step in enumerate(steps, start=1):
        is_short = bool(found) and (_is_short(found[-1], least) or (number == len(steps) and _is_short(step, least)))
        if is_short and len(found[-1]) + len(step) <= most:
            found[-1] += step
        else:
            found.append(step)
    return found


def _is_short(step: str, least: int) -> bool:
    return len(step.strip()) < least


@lru_cache(maxsize=64)
def _way(splitter: str) -> _Way:
    if splitter.startswith("regex:"):
        return _Way(_compiled(splitter.removeprefix("regex:")))
    name, *options = splitter.split(",")
    if name not in SPLITTERS:
        raise InputError(f"unknown splitter {name!r}", f"choose from {', '.join(SPLITTERS)}, regex:EXPRESSION")
    given = dict(option.strip().partition("=")[::2] for option in options)
    if unknown := given.keys() - {"min", "max", "thought"}:
        raise InputError(
            f"{splitter!r}: unknown option {sorted(unknown)[0]!r}", "choose from min=N, max=N, thought=one"
        )
    numbers = [given[key] for key in ("min", "max") if key in given]
    if given.get("thought", "one") != "one" or not all(map(_NUMBER.fullmatch, numbers)):
        raise InputError(f"{splitter!r}: a wrong value", "such as blank-line,min=40,max=400,thought=one")
    most = int(given.get("max", sys.maxsize))
    return _Way(_compiled(SPLITTERS[name]), int(given.get("min", 0)), most, "thought" in given)


def _compiled(source: str) -> re.Pattern[str]:
    try:
        return re.compile(source, re.MULTILINE)
    except re.error as error:
        raise InputError(f"{source!r} is not a regular expression: {error}", "fix the expression") from error
