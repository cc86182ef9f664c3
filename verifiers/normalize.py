r"""One spelling for the many ways to typeset the same answer.

`tidy` turns LaTeX, unicode and Markdown decoration into a small plain dialect: `\frac`, `\text{…}`, `°`, `%`, no
dollar signs, single spaces. It changes how an answer is written, never what it says. All patterns are linear.
"""

from __future__ import annotations

import re

_CHARACTERS = str.maketrans(
    {
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "\N{MULTIPLICATION SIGN}": r"\times ",
        "\N{DIVISION SIGN}": r"\div ",
        "\N{MIDDLE DOT}": r"\cdot ",
        "\N{DOT OPERATOR}": r"\cdot ",
        "\N{GREEK SMALL LETTER PI}": r"\pi ",
        "\N{INFINITY}": r"\infty ",
        "\N{UNION}": r"\cup ",
        "\N{ELEMENT OF}": r"\in ",
        "\N{GREEK SMALL LETTER THETA}": r"\theta ",
        "\N{SUPERSCRIPT TWO}": "^2",
        "\N{SUPERSCRIPT THREE}": "^3",
        "\N{SQUARE ROOT}": r"\sqrt ",
        "\N{FULLWIDTH PERCENT SIGN}": "%",
        "\N{MASCULINE ORDINAL INDICATOR}": "°",
        "$": " ",
        "\u00a0": " ",
        "\u202f": " ",
        "\u2009": " ",
        "~": " ",
    }
)
_POWER = re.compile(r"(?<=[\w)])\*\*(?=[\w(+-])")
_ROOT_OF_DIGITS = re.compile(r"√(\d+)")
_THOUSANDS_SPACE = re.compile(r"(?<=\d)\\,(?=\d{3}(?!\d))")
_FRACTION = re.compile(r"\\[dtc]frac(?![A-Za-z])")
_SIZING = re.compile(r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|limits)(?![A-Za-z])\.?|\\!")
_SPACING = re.compile(
    r"(?<!\\)\\(?:[,;:> ()\[\]]|q?quad(?![A-Za-z]))"
)  # not the row break of a matrix (two backslashes)
_TEXT = re.compile(r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt)|mbox|operatorname\*?)\s*(?=\{)")
_DEGREES = re.compile(r"\^\s?(?:\\circ(?![A-Za-z])|\{\s?\\circ\s?\})|\\degrees?(?![A-Za-z])")
_NEEDLESS_SPACE = re.compile(r" (?![A-Za-z0-9])|(?<![A-Za-z0-9]) ")
_WORDS_IN_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_NOT_WORD = re.compile(r"[\W_]+")
_LOOSE_ENDS = " \t\r\n.,;:*\"'`"


def tidy(text: str) -> str:
    r"""Write `text` in the plain dialect that the readers of this package expect.

    >>> tidy(r" $\dfrac{1}{2}\,\mathrm{cm}.$ ")
    '\\frac{1}{2} \\text{cm}'
    """
    text = _ROOT_OF_DIGITS.sub(r"\\sqrt{\1}", _POWER.sub("^", text.replace(r"\$", " ").replace("{,}", ",")))
    text = _THOUSANDS_SPACE.sub("", text.translate(_CHARACTERS))
    if "\\" in text:
        text = _tidy_commands(text.replace(r"\%", "%"))
    return _unwrap(" ".join(text.split()))


def _tidy_commands(text: str) -> str:
    text = _SIZING.sub("", _FRACTION.sub(r"\\frac", text))
    text = _TEXT.sub(r"\\text", _SPACING.sub(" ", text))
    return _DEGREES.sub("°", text)


def _unwrap(text: str) -> str:
    """Take off what may stand around an answer: loose punctuation, a box, one pair of braces."""
    for _ in range(4):  # a box in braces in a box is the most that real text shows
        text, before = _unwrap_once(text), text
        if text == before:
            break
    return text


def _unwrap_once(text: str) -> str:
    # A leading full stop is a decimal point (".5"); a trailing one ends the sentence.
    text = text.rstrip(_LOOSE_ENDS).lstrip(_LOOSE_ENDS.replace(".", ""))
    for opening in (r"\boxed{", r"\fbox{", "{"):
        if text.startswith(opening) and _closes_at_end(text, len(opening)):
            return text[len(opening) : -1]
    return text


def _closes_at_end(text: str, start: int) -> bool:
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position == len(text) - 1
    return False


def compact(tidied: str) -> str:
    """Drop the spaces that carry no meaning; `1 1/2` keeps its own.

    >>> compact("( 1, 2 ) + 1 1/2")
    '(1,2)+1 1/2'
    """
    return _NEEDLESS_SPACE.sub("", tidied)


def plain_words(tidied: str) -> str:
    r"""Give the words alone, in lower case, for answers that are text.

    >>> plain_words(r"\text{The Ellipse}")
    'the ellipse'
    """
    return " ".join(_NOT_WORD.sub(" ", _WORDS_IN_TEXT.sub(r"\1", tidied).casefold()).split())
