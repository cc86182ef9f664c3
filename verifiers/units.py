r"""What stands behind a number: a percent sign, a degree sign, or the words of a unit.

Rules:

* `18 dollars`, `18 \text{ cm}^2`, `40 %` and `40°` are numbers with a unit. The words must be set off by a space or by
  `\text{…}`: in `3m` the letter is a variable. Without `\text{…}` a single letter is never a unit.
* Words that connect (`5 or 6`) are no unit. Scale words multiply: `3 million dollars` is 3,000,000 dollars.
* Common spellings of one unit are one (`grams`, `gm`); different units are different, nothing is converted.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_CONNECTIVES = """
    or and to than over plus minus times divided by if is are not but pi sqrt sin cos tan ln log exp half through for
    either mod choose less squared cubed halves thirds fifths tenths hundredths thousandths
"""
_NOT_UNITS = frozenset(_CONNECTIVES.split())
_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9}
_SPELLINGS = {
    "percent": "%",
    "percentage": "%",
    "degree": "°",
    "gm": "g",
    "gram": "g",
    "kilogram": "kg",
    "meter": "m",
    "metre": "m",
    "centimeter": "cm",
    "centimetre": "cm",
    "millimeter": "mm",
    "kilometer": "km",
    "kilometre": "km",
    "inch": "in",
    "inche": "in",
    "feet": "ft",
    "foot": "ft",
    "hr": "hour",
    "min": "minute",
    "sec": "second",
    "usd": "dollar",
    "liter": "l",
    "litre": "l",
}
_WORD = re.compile(r"[A-Za-z][A-Za-z.'/-]*")
_TEXT_UNIT = re.compile(r"\\text\{([^{}]*)\}\s?(?:\^\s?\{?([23])\}?)?")
_MAX_WORDS = 8


class Split(NamedTuple):
    """A text and the unit taken from its end."""

    core: str
    unit: str
    """The unit in one spelling; "" for none."""


def split_unit(tidied: str) -> Split:
    r"""Take a unit from the end of a tidied answer.

    >>> split_unit("18 square inches"), split_unit(r"12 \text{ gm}"), split_unit("5 or 6")
    (Split(core='18', unit='in^2'), Split(core='12', unit='g'), Split(core='5 or 6', unit=''))
    """
    if tidied.endswith(("%", "°")):
        return Split(tidied[:-1].rstrip(), tidied[-1])
    if (start := tidied.rfind(r"\text{")) > 0 and (match := _TEXT_UNIT.fullmatch(tidied, start)):
        words = match[1].split()
        core = tidied[:start].rstrip()
        return _split(core, words, match[2]) if _are_unit(words) else Split(tidied, "")
    return _split_words(tidied)


def _split_words(tidied: str) -> Split:
    tokens = tidied.split(" ")
    start = len(tokens)
    while start > 1 and _WORD.fullmatch(tokens[start - 1]):
        start -= 1
    words = tokens[start:]
    if not words or len(words[0]) < 2 or not _are_unit(words):
        return Split(tidied, "")
    return _split(" ".join(tokens[:start]), words, None)


def _are_unit(words: list[str]) -> bool:
    return 0 < len(words) <= _MAX_WORDS and all(
        _WORD.fullmatch(word) and word.casefold() not in _NOT_UNITS for word in words
    )


def _split(core: str, words: list[str], power: str | None) -> Split:
    scale = 1
    while words and words[0].casefold() in _SCALES:
        scale *= _SCALES[words[0].casefold()]
        words = words[1:]
    unit = _spelling(words) + (f"^{power}" if power else "")
    return Split(core if scale == 1 else f"({core})*{scale}", unit)


def _spelling(words: list[str]) -> str:
    spelt = [_word_spelling(word.casefold().replace(".", "")) for word in words]
    match spelt:
        case ["square", *rest]:
            return " ".join(rest) + "^2"
        case ["cubic", *rest]:
            return " ".join(rest) + "^3"
    return " ".join(spelt)


def _word_spelling(word: str) -> str:
    single = word[:-1] if len(word) > 2 and word.endswith("s") and not word.endswith("ss") else word
    return _SPELLINGS.get(single, single)
