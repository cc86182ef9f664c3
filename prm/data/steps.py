"""Split a solution into steps. Joined, the steps are exactly the text, whatever it is.

A step keeps the separator that ends it. A blank part is never a step of its own: it belongs to the step before it (or,
at the very start, to the step after it).
"""

from __future__ import annotations

import re

from prm.errors import InputError

SPLITTERS: dict[str, str] = {
    "newline": r"\n+",
    "blank-line": r"\n[^\S\n]*\n\s*",
    "step-marker": r"(?=^[ \t]*Step[ \t]+\d+[ \t]*[:.])",
    "sentence": r"(?<=[.!?])\s+(?=[A-Z\\$(])|\n+",
}
"""Name → regular expression whose match ends a step. An empty match cuts between two characters."""


def split_steps(text: str, splitter: str = "newline") -> tuple[str, ...]:
    r"""Cut `text` into steps.

    Args:
        text: any text.
        splitter: a name in `SPLITTERS`, or "regex:" and a regular expression whose match ends a step.

    Returns:
        Non-blank steps with `"".join(steps) == text`; empty for a blank text.

    Raises:
        InputError: the splitter is unknown, or not a valid regular expression.

    >>> split_steps("So 2 + 2 = 4\nThe answer is 4")
    ('So 2 + 2 = 4\n', 'The answer is 4')
    """
    steps: list[str] = []
    start = 0
    for match in _pattern(splitter).finditer(text):
        _append(steps, text[start : match.end()])
        start = match.end()
    _append(steps, text[start:])
    return tuple(steps) if text.strip() else ()


def _append(steps: list[str], part: str) -> None:
    """Add a part; a blank part, or one that follows only blank parts, is joined to the part before it."""
    if steps and (not part.strip() or not steps[-1].strip()):
        steps[-1] += part
    elif part:
        steps.append(part)


def _pattern(splitter: str) -> re.Pattern[str]:
    source = splitter.removeprefix("regex:") if splitter.startswith("regex:") else SPLITTERS.get(splitter)
    if source is None:
        raise InputError(f"unknown splitter {splitter!r}", f"choose from {', '.join(SPLITTERS)}, regex:EXPRESSION")
    try:
        return re.compile(source, re.MULTILINE)
    except re.error as error:
        raise InputError(f"{source!r} is not a regular expression: {error}", "fix the expression") from error
