"""Split a solution into steps. The steps joined are the text again, character by character, whatever the text.

A step keeps the separator that ends it. Blank parts are never steps of their own: they stay with the step before
them (or, at the very start, with the step after).
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
"""Name to the regular expression that ends a step. An empty match cuts without eating anything."""


def split_steps(text: str, splitter: str = "newline") -> tuple[str, ...]:
    r"""Cut `text` into steps.

    Args:
        text: any text.
        splitter: a name in `SPLITTERS`, or "regex:" and a regular expression whose match ends a step.

    Returns:
        Steps that are not blank, with `"".join(steps) == text`; empty for a text that is blank.

    Raises:
        InputError: there is no such splitter, or its expression is not one.

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
    """Add a part; one that is blank, or follows nothing but blanks, joins its neighbor."""
    if steps and (not part.strip() or not steps[-1].strip()):
        steps[-1] += part
    elif part:
        steps.append(part)


def _pattern(splitter: str) -> re.Pattern[str]:
    source = splitter.removeprefix("regex:") if splitter.startswith("regex:") else SPLITTERS.get(splitter)
    if source is None:
        raise InputError(f"there is no splitter {splitter!r}", f"choose from {', '.join(SPLITTERS)}, regex:EXPRESSION")
    try:
        return re.compile(source, re.MULTILINE)
    except re.error as error:
        raise InputError(f"{source!r} is not a regular expression: {error}", "mend the --splitter") from error
