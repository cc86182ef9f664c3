r"""The unit after a number: a percent sign, a degree sign, or words.

Rules:

* `18 dollars`, `18 \text{ cm}^2`, `40 %` and `40°` are numbers with a unit. A space or
  `\text{…}` must come before the words: in `3m` the letter is a variable. Without `\text{…}` a single letter is not a
  unit.
* Connecting words (`5 or 6`) are not units. Scale words multiply: `3 million dollars` is 3,000,000 dollars.
* Common spellings of a unit are merged (`grams`, `gm`). Each unit has a size, by which units of one kind compare.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

_PARTS = (
    "half third quarter fourth fifth sixth seventh eighth ninth tenth eleventh twelfth hundredth thousandth millionth"
)
_CONNECTIVES = """
    or and to than over plus minus times divided multiplied raised by if is are not but pi sqrt sin cos tan sec csc cot
    ln log exp root roots halves through for either mod remainder choose less more below above squared cubed power
    factorial point base out
"""
FRACTION_WORDS = frozenset(part + end for part in _PARTS.split() for end in ("", "s")) | {
    "halves",
    "factorial",
    "squared",
}
"""Words that change the number before them."""
NOT_UNITS = frozenset(_CONNECTIVES.split()) | FRACTION_WORDS
"""Words after a number that are not a unit, and mean that the answer goes on."""
_SCALES = {
    "dozen": 12, "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12
}  # fmt: skip
_LETTERS = frozenset("mgslhLNJWVAKCFt")
"""Single letters that are units when set as text."""
_SPELLINGS = {
    "pct": "%",
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
    "yard": "yd",
    "ounce": "oz",
    "milliliter": "ml",
    "mph": "mile/hour",
    "h": "hour",
    "s": "second",
    "hr": "hour",
    "min": "minute",
    "sec": "second",
    "usd": "dollar",
    "liter": "l",
    "litre": "l",
}
_SIZES = {
    "length": {"mm": "1/1000", "cm": "1/100", "dm": "1/10", "m": "1", "km": "1000", "in": "0.0254", "ft": "0.3048",
               "yd": "0.9144", "mile": "1609.344"},
    "mass": {"mg": "1/1000", "g": "1", "kg": "1000", "ton": "1000000", "lb": "453.59237", "oz": "28.349523125"},
    "time": {"second": "1", "minute": "60", "hour": "3600", "day": "86400", "week": "604800"},
    "volume": {"ml": "1", "cl": "10", "l": "1000", "m^3": "1000000", "cm^3": "1",
               "gallon": "3785.411784", "quart": "946.352946", "pint": "473.176473"},
    "money in dollars": {"dollar": "1", "cent": "1/100"},
    "money in euros": {"euro": "1"},
    "money in pounds": {"pound sterling": "1"},
    "share": {"%": "1"},
    "angle": {"°": "1"},
}  # fmt: skip
_SHORT_NAMES = "cm mm km dm kg mg ml cl ft in yd lb oz hr kw hz pa ms am pm mi px gb mb kb tb db"
_SHORT = frozenset(_SHORT_NAMES.split())
"""Units of two letters; any other two letters are variables."""
_WORD = re.compile(r"[A-Za-z][A-Za-z.'/-]*")
_TRIGONOMETRY = re.compile(r"(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_TEMPERATURE = re.compile(r"° ?(?:\\text\{ ?)?([CF])(?: ?\})?$")
_TEXT_UNIT = re.compile(r"\\text\{([^{}]*)\}\s?(?:\^\s?\{?([23])\}?)?")
_MAX_WORDS = 8


class Split(NamedTuple):
    """A text without its unit, and the unit."""

    core: str
    unit: str
    """The unit in its canonical spelling; "" for none."""


class Measure(NamedTuple):
    """The kind of quantity that a unit measures, and the unit's size."""

    kind: str
    size: Fraction


def measure(unit: str) -> Measure | None:
    """The measure of a unit in the spelling of `split_unit`; None for an unknown unit.

    >>> measure("km"), measure("cm^2"), measure("apple")
    (Measure(kind='length', size=Fraction(1000, 1)), Measure(kind='length^2', size=Fraction(1, 10000)), None)
    """
    if unit in _MEASURES:
        return _MEASURES[unit]
    if "/" in unit:
        return _rate(*unit.split("/", 1))
    base, _, power = unit.partition("^")
    found = _MEASURES.get(base)
    if found is None or found.kind != "length" or power not in ("2", "3"):
        return None
    return Measure(f"length^{power}", found.size ** int(power))


def _rate(top: str, bottom: str) -> Measure | None:
    mine, theirs = (measure(_SPELLINGS.get(part, part)) for part in (top, bottom))
    return None if mine is None or theirs is None else Measure(f"{mine.kind}/{theirs.kind}", mine.size / theirs.size)


_MEASURES = {name: Measure(kind, Fraction(size)) for kind, sizes in _SIZES.items() for name, size in sizes.items()}


def split_unit(tidied: str) -> Split:
    r"""Split the unit from the end of a tidied answer.

    >>> split_unit("18 square inches"), split_unit(r"12 \text{ gm}"), split_unit("5 or 6")
    (Split(core='18', unit='in^2'), Split(core='12', unit='g'), Split(core='5 or 6', unit=''))
    """
    if tidied.endswith("°") and _TRIGONOMETRY.search(tidied):
        return Split(tidied, "")
    if match := _TEMPERATURE.search(tidied):
        return Split(tidied[: match.start()].rstrip(), f"°{match[1]}")
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
    is_known = len(words) > 1 or not words or len(words[0]) > 2 or words[0].casefold() in _SHORT
    if not words or len(words[0]) < 2 or not is_known or not _are_unit(words):
        return Split(tidied, "")
    return _split(" ".join(tokens[:start]), words, None)


def _are_unit(words: list[str]) -> bool:
    if len(words) == 1 and len(words[0]) == 1 and words[0] not in _LETTERS:
        return False
    return 0 < len(words) <= _MAX_WORDS and all(
        _WORD.fullmatch(word) and word.casefold() not in NOT_UNITS for word in words
    )


def _split(core: str, words: list[str], power: str | None) -> Split:
    scale = 1
    while words and words[0].casefold() in _SCALES:
        scale *= _SCALES[words[0].casefold()]
        words = words[1:]
    unit = _spelling(words) + (f"^{power}" if power else "")
    return Split(core if scale == 1 else f"({core})*{scale}", unit)


def _spelling(words: list[str]) -> str:
    spelled = [_word_spelling(word.casefold().replace(".", "")) for word in words]
    match spelled:
        case [top, "per", bottom]:
            return f"{top}/{bottom}"
        case ["square" | "sq", *rest]:
            return " ".join(rest) + "^2"
        case ["cubic", *rest]:
            return " ".join(rest) + "^3"
    return " ".join(spelled)


def _word_spelling(word: str) -> str:
    if "/" in word:
        return "/".join(map(_word_spelling, word.split("/")))
    single = word[:-1] if len(word) > 2 and word.endswith("s") and not word.endswith("ss") else word
    return _SPELLINGS.get(single, single)
