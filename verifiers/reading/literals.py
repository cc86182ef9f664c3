"""Reads answers in a fixed form: numbers, bases, ordinals, dates, times, sums of units, angles, "no solution"."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from ..expressions.parser import MAX_DIGITS
from .normalize import plain_words
from .units import measure, split_unit

NOTHING = "no solution"
"""The words of an answer that says there is no solution."""

_NUMBER = re.compile(r"([+-]?)\s?((?:[1-9]\d{0,2}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d{1,3}))?")
_GROUPED = re.compile(
    r"([+-]?)(\d{1,3}(?:(?:[ '\u2019]\d{3})+|(?:\.\d{3}){2,}))|([+-]?)(\d{1,3}(?:\.\d{3})+),(\d{1,2})"
)
"""Thousands in European notation: 1 234 567, 1'234'567, 1.234.567, and 1.234,56."""
_SCIENTIFIC = re.compile(r"(-?) ?(\d*\.\d+) ?(?:\\times|\\cdot|\*) ?10 ?\^ ?\{? ?\(?([+-]? ?\d{1,3})\)? ?\}?")
_ORDINAL = re.compile(r"(\d+) ?\^? ?\{? ?(?:\\text\{ ?)?(?:st|nd|rd|th) ?\}{0,2}")
_BASED = re.compile(
    r"(-?)\(?([0-9A-Za-z]+)\)?(?:_\{? ?(?:\\text\{)?\(?\s?(\d{1,2}|[a-z]{3,9})\s?\)?\}{0,2}"
    r"| ?(?:\\text\{ ?)?\(? ?(?:in )?base[- ](\d{1,2}|[a-z]{3,9}) ?\)? ?\}?)"
)
_BASE_WORDS = "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_BASES = {word: base for base, word in enumerate(_BASE_WORDS.split(), 2)}
_ANGLE = re.compile(r"(-?\d+(?:\.\d+)?) ?° ?(\d+(?:\.\d+)?) ?['\u2032](?: ?(\d+(?:\.\d+)?) ?(?:''|\"|\u2033))?")
_CURRENCY = {
    "€": "euro", "£": "pound sterling", "₹": "rupee", "¥": "yuan or yen", "USD": "dollar", "EUR": "euro",
    "GBP": "pound sterling", "CNY": "yuan", "RMB": "yuan", "JPY": "yen", "INR": "rupee", "Rs": "rupee",
}  # fmt: skip
_PAID = re.compile(rf"(-?) ?({'|'.join(_CURRENCY)})\.? ?(-?[\d.,]+)")
_NUMERAL_WORDS = "zero one two three four five six seven eight nine ten eleven twelve"
_NUMERALS = {word: Fraction(value) for value, word in enumerate(_NUMERAL_WORDS.split())}
_EMPTY_NAMES = r"""
    \emptyset|\{\}|{}|no solution|no solutions|no real solution|no real solutions|none|empty set|the empty set
    |no real roots|there is no solution|there are no solutions|there is none|无解|空集|不存在
"""
_EMPTY = frozenset(name.strip() for name in _EMPTY_NAMES.split("|"))
_UNDEFINED = frozenset({"dne", "does not exist", "undefined", "not defined", "it does not exist"})
_COMPOUND = re.compile(
    r"(\d+(?:\.\d+)?) ?(?:\\text\{ ?)?([a-z]+)\.?(?: ?\})?,? ?(?:\\text\{ ?)?(?:and ?)?(?:\} ?)?"
    r"(\d+(?:\.\d+)?) ?(?:\\text\{ ?)?([a-z]+)\.?(?: ?\})?"
)
"""Such as "2 hours and 30 minutes"."""
_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"
_MONTH = (
    "(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    "|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DATES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_MONTH} {_DAY}(?: (?P<year>\d{{4}}))?",
        rf"(?:the )?{_DAY} (?:of )?{_MONTH}(?: (?P<year>\d{{4}}))?",
        r"(?P<year>\d{4}) (?P<month>\d{2}) (?P<day>\d{2})",
    )
)
CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")
"""A time of day on a clock of 24 hours, or a ratio."""
_TIME = re.compile(r"(\d{1,2})(?::(\d{2}))? ?([AaPp])\.? ?[Mm]\.?")


_NO_STEP = Fraction(0)


class Number(NamedTuple):
    """A number and its unit."""

    value: Fraction
    written: str = ""
    """Its digits if it is written as a decimal."""
    step: Fraction = _NO_STEP
    """One unit in the last place of such a decimal."""
    unit: str = ""


def plain_number(text: str, *, powers: bool = False) -> Number | None:
    """A number in digits, with any thousands separator: 1,234.5; 1e-3; 1 234 567; 1.234,56.

    Args:
        text: The text.
        powers: Whether the e of 2e-5 is a power of ten, and not Euler's number.
    """
    if len(text) > MAX_DIGITS or not (text[-1:].isdigit() or text[-1:] == "."):
        return None
    match = _NUMBER.fullmatch(text)
    if match is None:
        return _european_number(text)
    if match[3] and not powers and re.fullmatch(r"\d{1,3}e[+-]\d", text) and text[:2] != "1e":
        return None  # 2e+1 is Euler's number, 1e-3 is not
    sign, digits, exponent = match.groups()
    if digits.isdecimal() and not exponent:
        return Number(Fraction(int(sign + digits)))
    value = Fraction(digits.replace(",", "").rstrip(".") + ("e" + exponent if exponent else ""))
    written = digits.replace(",", "") if "." in digits else ""
    return Number(-value if sign == "-" else value, written, _step(written, int(exponent or 0)))


def _step(written: str, exponent: int) -> Fraction:
    return Fraction(10) ** (exponent - len(written.partition(".")[2])) if written else _NO_STEP


def scientific(text: str) -> Number | None:
    r"""A decimal times a power of ten: `1.50 \times 10^{3}`."""
    match = _SCIENTIFIC.fullmatch(text)
    if match is None or len(text) > MAX_DIGITS:
        return None
    sign, written, exponent = match[1], match[2], int(match[3].replace(" ", ""))
    value = Fraction(written) * Fraction(10) ** exponent
    return Number(-value if sign else value, written, _step(written, exponent))


def _european_number(text: str) -> Number | None:
    match = _GROUPED.fullmatch(text)
    if match is None:
        return None
    whole = re.sub(r"\D", "", match[2] or match[4])
    value = Fraction(f"{whole}.{match[5] or 0}")
    return Number(-value if "-" in (match[1], match[3]) else value)


def numeral(text: str) -> Number | str | None:
    """A number in another notation: in a base, as an ordinal, in words, after a currency sign, in degrees and minutes.

    Returns:
        The number; or why it is none, such as a digit that its base lacks; None for any other text.
    """
    if ("_" in text or "base" in text) and (based := _BASED.fullmatch(text)):
        named = based[3] or based[4]
        base = _BASES.get(named) or (int(named) if named.isdigit() else 0)
        if base > 1 and (base > 10 or based[2].isdigit()):
            return _based(based[1], based[2], base)
    if ordinal := _ORDINAL.fullmatch(text):
        return Number(Fraction(ordinal[1]))
    if "°" in text and (angle := _ANGLE.fullmatch(text)):
        parts = [Fraction(part or 0) for part in angle.groups()]
        size = abs(parts[0]) + parts[1] / 60 + parts[2] / 3600
        return Number(-size if text[0] == "-" else size, unit="°")
    if (paid := _PAID.fullmatch(text)) and (number := plain_number(paid[1] + paid[3])):
        return number._replace(unit=_CURRENCY[paid[2]])
    value = _NUMERALS.get(text.casefold())
    return None if value is None else Number(value)


def _based(sign: str, digits: str, base: int) -> Number | str | None:
    if not digits[0].isdigit() and (base <= 10 or not digits.isupper()):  # x_2 is a name
        return None
    try:
        return Number(Fraction(int(sign + digits, base)), unit=f"base {base}")
    except ValueError:
        return f"not a number in base {base}"


def compound(text: str) -> Number | None:
    """The sum of two numbers in units of one kind, in the first of the two units."""
    match = _COMPOUND.fullmatch(text)
    if match is None:
        return None
    first, unit, second, smaller = match.groups()
    (_, unit), (_, smaller) = split_unit(f"1 {unit}"), split_unit(f"1 {smaller}")
    large, small = measure(unit), measure(smaller)
    if large is None or small is None or large.kind != small.kind or large.size <= small.size:
        return None
    return Number(Fraction(first) + Fraction(second) * small.size / large.size, unit=unit)


def fixed_words(text: str) -> str | None:
    """The words for an answer in a fixed form: no solution in any wording, an undefined value, a date, a time."""
    words = plain_words(text)
    if text in _EMPTY or words in _EMPTY:
        return NOTHING
    if words in _UNDEFINED:
        return "undefined"
    return _date(words) or _time(" ".join(text.replace(r"\text{", "").replace("}", "").split()))


def _date(words: str) -> str | None:
    is_possible = words[:1].isdigit() or words[:3] in _MONTHS or words.startswith("the ")
    match = next(filter(None, (pattern.fullmatch(words) for pattern in _DATES)), None) if is_possible else None
    if match is None:
        return None
    year, name, day = int(match["year"] or 0), match["month"], int(match["day"])
    month = int(name) if name.isdigit() else _MONTHS.find(name[:3]) // 3 + 1
    return f"{year:04}-{month:02}-{day:02}" if 1 <= month <= 12 else None


def _time(text: str) -> str | None:
    moment = _TIME.fullmatch(text)
    if moment is None:
        return None
    hour, minute = int(moment[1]), int(moment[2] or 0)
    if not 1 <= hour <= 12 or minute >= 60:
        return None
    hour = hour % 12 + (12 if moment[3].lower() == "p" else 0)
    return f"{hour}:{minute:02} o'clock"
