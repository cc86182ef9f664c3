r"""The unit after a number: a percent sign, a degree sign, a unit of measurement, or words.

Rules:

* `18 dollars`, `18 \text{ cm}^2`, `9.8 m/s^2`, `40 %` and `40°` are numbers with a unit. A space or `\text{…}` must
  come before it, except before a known unit of several letters (`15cm`): in `3m` the letter is a variable. A single
  letter is a unit only if it is set as text, or is a part of a compound unit.
* Connecting words (`5 or 6`) are not units. Scale words multiply: `3 million dollars` is 3,000,000 dollars.
* A unit of measurement has dimensions and a size, by which units of one kind compare: `kJ/mol`, `J/(mol K)`,
  `\mathrm{m\,s^{-1}}`, square feet. Any other words are compared in one spelling (`apples`, `apple`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

_PARTS = (
    "half third quarter fourth fifth sixth seventh eighth ninth tenth eleventh twelfth hundredth thousandth millionth"
)
_CONNECTIVES = """
    or and to than over plus minus times divided multiplied raised by if is are not but pi sqrt sin cos tan sec csc cot
    ln log exp root roots halves through for either mod remainder choose less more below above squared cubed power
    factorial point base out fails fail does do would could will cannot contradicts was were has have had that which who
    because so then
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
    "dozen": 12, "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "万": 10**4, "亿": 10**8,
}  # fmt: skip


class Measure(NamedTuple):
    """What a unit measures, and the unit's size."""

    kind: str
    """The dimensions, such as "g^1 m^2 s^-2"; the same for two units that can be converted into each other."""
    size: Fraction
    """In grams, meters, seconds, amperes, kelvins, moles and so on."""


# The table. A unit is a size and dimensions in these base units; money and other things are dimensions of their own.

_UNITS = {
    "m": "1 m", "g": "1 g", "s": "1 s", "A": "1 A", "K": "1 K", "mol": "1 mol", "cd": "1 cd",
    "N": "1000 g m s-2", "J": "1000 g m2 s-2", "W": "1000 g m2 s-3", "Pa": "1000 g m-1 s-2", "Hz": "1 s-1",
    "C": "1 A s", "V": "1000 g m2 s-3 A-1", "Ω": "1000 g m2 s-3 A-2", "F": "1/1000 g-1 m-2 s4 A2",
    "T": "1000 g s-2 A-1", "Wb": "1000 g m2 s-2 A-1", "H": "1000 g m2 s-2 A-2", "L": "1/1000 m3", "M": "1000 mol m-3",
    "eV": "1.602176634e-16 g m2 s-2", "cal": "4184 g m2 s-2", "Wh": "3600000 g m2 s-2",
    "bar": "100000000 g m-1 s-2", "atm": "101325000 g m-1 s-2", "mmHg": "133322.387415 g m-1 s-2",
    "in": "0.0254 m", "ft": "0.3048 m", "yd": "0.9144 m", "mi": "1609.344 m", "Å": "1e-10 m",
    "t": "1000000 g", "lb": "453.59237 g", "pound": "453.59237 g", "oz": "28.349523125 g",
    "min": "60 s", "h": "3600 s", "day": "86400 s", "week": "604800 s", "year": "1 year", "month": "1/12 year",
    "ha": "10000 m2", "acre": "4046.8564224 m2", "mph": "0.44704 m s-1", "knot": "1852/3600 m s-1",
    "gal": "0.003785411784 m3", "qt": "0.000946352946 m3", "pt": "0.000473176473 m3",
    "dollar": "1 dollar", "cent": "1/100 dollar", "euro": "1 euro", "yuan": "1 yuan", "yen": "1 yen",
    "rupee": "1 rupee", "pound sterling": "1 pound_sterling", "%": "1 share", "°": "1 angle",
}  # fmt: skip
_PREFIXES = {
    "p": "1e-12", "n": "1e-9", "µ": "1e-6", "m": "1e-3", "c": "1e-2", "d": "1e-1", "k": "1e3", "M": "1e6", "G": "1e9",
    "T": "1e12",
}  # fmt: skip
_PREFIXED_NAMES = "m g s A K mol N J W Pa Hz C V Ω F T Wb H L M eV cal Wh bar"
_PREFIXED = frozenset(_PREFIXED_NAMES.split())
_PREFIX_WORDS = {
    "pico": "p", "nano": "n", "micro": "µ", "milli": "m", "centi": "c", "deci": "d", "kilo": "k", "mega": "M",
    "giga": "G", "tera": "T",
}  # fmt: skip
_NAMES = {
    "meter": "m", "metre": "m", "gram": "g", "gm": "g", "second": "s", "sec": "s", "ampere": "A", "amp": "A",
    "kelvin": "K", "mole": "mol", "newton": "N", "joule": "J", "watt": "W", "pascal": "Pa", "hertz": "Hz",
    "coulomb": "C", "volt": "V", "ohm": "Ω", "farad": "F", "tesla": "T", "weber": "Wb", "henry": "H", "liter": "L",
    "litre": "L", "l": "L", "electronvolt": "eV", "calorie": "cal", "atmosphere": "atm", "inch": "in", "inche": "in",
    "foot": "ft", "feet": "ft", "yard": "yd", "mile": "mi", "angstrom": "Å", "tonne": "t", "ton": "t",
    "ounce": "oz", "minute": "min", "hour": "h", "hr": "h", "yr": "year", "wk": "week", "hectare": "ha",
    "gallon": "gal", "quart": "qt", "pint": "pt", "usd": "dollar", "buck": "dollar", "eur": "euro", "rmb": "yuan",
    "cny": "yuan", "rs": "rupee", "pct": "%", "percent": "%", "percentage": "%", "degree": "°", "deg": "°",
    "kmh": "km/h", "kph": "km/h", "kmph": "km/h", "cc": "cm^3", "sqft": "ft^2", "sqm": "m^2",
    "元": "yuan", "美元": "dollar", "米": "m", "厘米": "cm", "分米": "dm", "毫米": "mm", "千米": "km", "公里": "km",
    "克": "g", "千克": "kg", "公斤": "kg", "吨": "t", "秒": "s", "分钟": "min", "小时": "h", "时": "h", "天": "day",
    "升": "L", "毫升": "mL", "度": "°", "牛": "N", "牛顿": "N", "焦耳": "J", "瓦": "W", "年": "year", "周": "week",
}  # fmt: skip
"""Other names, in lower case and without the plural's s."""
_TWO_LETTER_NAMES = "am pm pa ms db kb mb gb tb px hz kw"
_TWO_LETTERS = frozenset(_TWO_LETTER_NAMES.split())
"""Other units of two letters, in lower case; any further two letters are variables."""
_PRODUCTS = frozenset({"hr", "gm", "mg", "ms", "pt", "mi"})
"""Units that are products of letters unless a number and a space stand before them."""
_CJK = "\u4e00-\u9fff"
_WORD = re.compile(rf"[A-Za-z{_CJK}][A-Za-z{_CJK}.'/-]*")
_SYMBOL = rf"[A-Za-zµΩÅ°%{_CJK}]+"
_WORD_POWER = re.compile(rf"({_WORD.pattern})\^\{{?([23])\}}?")
_WORD_AT_END = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}$")
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_COUNTED = re.compile(rf"(.*\d)([{_CJK}]+)")
_BRACED_DIGIT = re.compile(r"\^ ?\{ ?([+-]?\d) ?\}")
_UNIT_TOKEN = re.compile(
    rf"\s*(?:(?P<symbol>{_SYMBOL})\.?|\^ ?\(?(?P<power>[+-]?\d)\)?|(?<=\S)(?P<digit>\d)|(?P<sign>[/·*()]))"
)
_TRIGONOMETRY = re.compile(r"(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_TEMPERATURE = re.compile(r"° ?(?:\\text\{ ?)?([CF])(?: ?\})?$")
_TAIL = re.compile(rf"(?<=[\w)}}\].]) ?(?P<unit>{_SYMBOL}[\^A-Za-zµΩÅ°{_CJK}\d/·*().' -]*)$")
_ATTACHED = re.compile(
    rf"[\d.)] ?((?![ap]m$)[µΩÅ]?[A-Za-z]{{2,}}(?:\^?[23])?|[µΩÅ]?[A-Za-z]+[/·]\S+|[{_CJK}][{_CJK}A-Za-z/]*)$"
)
_TEXT = re.compile(r"\\text ?\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")
_SPELLED_OUT = (
    ("sq", re.compile(r"\b(?:square|sq\.?) (?=[A-Za-z])(\w+)", re.IGNORECASE), r"\1^2"),
    ("cubic", re.compile(r"\bcubic (\w+)", re.IGNORECASE), r"\1^3"),
    ("squared", re.compile(r"(\w+) squared\b"), r"\1^2"),
    ("cubed", re.compile(r"(\w+) cubed\b"), r"\1^3"),
    ("平方", re.compile(rf"平方([{_CJK}]+)"), r"\1^2"),
    ("立方", re.compile(rf"立方([{_CJK}]+)"), r"\1^3"),
    (" ", re.compile(r"\b(?:per|a|an|each) (?=[A-Za-z])", re.IGNORECASE), "/"),
    ("每", re.compile(r"每"), "/"),
)
"""What is written for each pattern; a pattern is looked for only in a text with its mark, in any case of letters."""
_MAX_WORDS = 8
_MAX_UNIT = 80


class Split(NamedTuple):
    """A text without its unit, and the unit."""

    core: str
    unit: str
    """The unit in one spelling; "" for none."""


@lru_cache(maxsize=4_096)
def measure(unit: str) -> Measure | None:
    """The measure of a unit; None for words that are no unit of measurement.

    >>> measure("km"), measure("cm^2"), measure("J/(mol K)").kind, measure("apple")
    (Measure(kind='m^1', size=Fraction(1000, 1)), Measure(kind='m^2', size=Fraction(1, 10000)), 'K^-1 g^1 m^2 mol^-1 s^-2', None)
    """  # noqa: E501
    if unit in _UNITS:
        return _measured(Counter({unit: 1}))
    powers = _powers(_spelled_out(unit))
    return None if powers is None else _measured(powers)


def _measured(powers: Counter[str]) -> Measure:
    size, dimensions = Fraction(1), Counter[str]()
    for name, power in powers.items():
        one, kinds = _one(name)
        size *= one**power
        for kind, exponent in kinds.items():
            dimensions[kind] += exponent * power
    return Measure(" ".join(f"{kind}^{power}" for kind, power in sorted(dimensions.items()) if power), size)


def _one(name: str) -> tuple[Fraction, Counter[str]]:
    """The size and the dimensions of one unit, which may have a prefix before a colon."""
    prefix, _, base = name.rpartition(":")
    size, *kinds = _UNITS[base].split()
    dimensions = Counter[str]()
    for kind in kinds:
        letters = kind.rstrip("-0123456789")
        dimensions[letters] = int(kind[len(letters) :] or 1)
    return Fraction(size) * Fraction(_PREFIXES.get(prefix, 1)), dimensions


@lru_cache(maxsize=4_096)
def _powers(text: str) -> Counter[str] | None:
    """How often each unit is a factor; None if a part is no unit, or the text is no product or quotient of units."""
    powers, sign, outer, last = Counter[str](), 1, list[int](), Counter[str]()
    for token in _tokens(text):
        if token is None:
            return None
        match token:
            case "/":
                sign = -(outer[-1] if outer else 1)  # what follows a slash is below it, as in J/mol K
            case "(":
                outer.append(sign)
            case ")" if outer:
                sign = outer.pop()
            case "·" | "*":
                pass
            case int() if len(last) == 1:
                (name,) = last
                powers[name] += sign * last.pop(name) * (token - 1)
            case Counter():
                last = Counter(token)
                for name, power in token.items():
                    powers[name] += sign * power
            case _:
                return None
    return powers if powers and not outer else None


def _tokens(text: str) -> Iterator[Counter[str] | int | str | None]:
    """The units, powers and signs of a text; None for a part that is none."""
    end = 0
    text = text.rstrip() if len(text) <= _MAX_UNIT else "?"
    while end < len(text):
        token = _UNIT_TOKEN.match(text, end)
        if token is None:
            yield None
            return
        end = token.end()
        power = token["power"] or token["digit"]
        yield _symbol(token["symbol"]) if token["symbol"] else int(power) if power else token["sign"]


@lru_cache(maxsize=4_096)
def _symbol(text: str) -> Counter[str] | None:
    """The unit of a symbol or name, with its prefix: "km" is {"k:m": 1}; None for other words."""
    if text in _UNITS:
        return Counter({text: 1})
    if text[:1] in _PREFIXES and text[1:] in _PREFIXED:
        return Counter({f"{text[0]}:{text[1:]}": 1})
    if text[:1] == "u" and text[1:] in _PREFIXED:
        return Counter({f"µ:{text[1:]}": 1})
    name = text.casefold()
    for spelled in (name, name.removesuffix("s") if not name.endswith("ss") else name, name.removesuffix("es")):
        if spelled in _NAMES:
            return _powers(_NAMES[spelled])
        if spelled in _UNITS and len(spelled) > 1:
            return Counter({spelled: 1})
        prefix = next((word for word in _PREFIX_WORDS if spelled.startswith(word)), None)
        if prefix and (base := _NAMES.get(spelled.removeprefix(prefix))) in _PREFIXED:
            return Counter({f"{_PREFIX_WORDS[prefix]}:{base}": 1})
    if name[:1] in _PREFIXES and name[1:] in ("m", "g", "l", "hz", "w", "pa"):  # KM, Kg, ml, KW
        return Counter({f"{name[0]}:{ {'l': 'L', 'hz': 'Hz', 'w': 'W', 'pa': 'Pa'}.get(name[1:], name[1:]) }": 1})
    return None


@lru_cache(maxsize=1_024)
def split_unit(tidied: str, *, letters: bool = False) -> Split:
    r"""Split the unit from the end of a tidied answer.

    Args:
        tidied: An answer as `prm.verifiers.normalize.tidy` writes it.
        letters: Whether a single letter after a space is a unit too: the N of `40 N`.

    >>> split_unit("18 square inches"), split_unit(r"12 \text{ gm}"), split_unit("5 or 6")
    (Split(core='18', unit='square inches'), Split(core='12', unit='g'), Split(core='5 or 6', unit=''))
    """
    if tidied.endswith("°") and _TRIGONOMETRY.search(tidied):
        return Split(tidied, "")
    if match := _TEMPERATURE.search(tidied):
        return Split(tidied[: match.start()].rstrip(), f"°{match[1]}")
    if tidied.endswith(("%", "°")):
        return Split(tidied[:-1].rstrip(), tidied[-1])
    split = _split_text(tidied) or _split_measured(tidied, letters) or _split_words(tidied)
    return Split(_scaled(split.core), _one_spelling(split.unit))


def _scaled(core: str) -> str:
    """`3 million` as a product."""
    number, _, word = core.rpartition(" ")
    scale = _SCALES.get(word.casefold().removesuffix("s")) if number else None
    return core if scale is None else f"({_scaled(number)})*{scale}"


def _one_spelling(unit: str) -> str:
    """The symbol of a plain unit: "%" for percent."""
    powers = _powers(_spelled_out(unit)) if unit else None
    (name, power), *rest = powers.items() if powers else [("", 0)]
    return name.replace(":", "") if power == 1 and not rest else unit


def _split_text(tidied: str) -> Split | None:
    r"""A unit that is set as text, from the first `\text{…}` to the end."""
    start = tidied.find(r"\text{")
    if start <= 0:
        return None
    if tidied[:start].rstrip().endswith("\\mu"):
        start = tidied.rfind("\\mu", 0, start)
    plain, core = _flat(tidied[start:]).replace("µ ", "µ"), tidied[:start].rstrip()
    if "\\" in plain or "{" in plain or "," in plain:
        return None
    words = plain.split()
    if _powers(_spelled_out(plain)) is not None:
        return Split(core, plain)
    if _are_unit([word.strip("()") for word in words]):
        return _split(core, [word.strip("()") for word in words])
    power = re.fullmatch(r"(.*[A-Za-z])\^([23])", plain)
    return _split(core, [*power[1].split(), f"^{power[2]}"]) if power and _are_unit(power[1].split()) else None


def _flat(text: str) -> str:
    r"""Text without `\text{…}` and braces: `\text{ J mol}^{-1}` is `J mol^-1`."""
    for _ in range(2):
        text = _TEXT.sub(r"\1", text)
    text = re.sub(r"\^ ?\{ ?([+-]? ?\d+) ?\}", lambda power: "^" + power[1].replace(" ", ""), text)
    text = re.sub(r"\\(?:cdot|times)(?![A-Za-z]) ?", "·", text)
    text = re.sub(r"\\mu ?", "µ", re.sub(r"\\Omega", "Ω", text))
    return text.strip(" .")


@lru_cache(maxsize=4_096)
def _spelled_out(text: str) -> str:
    lowered = text.lower()
    for mark, pattern, short in _SPELLED_OUT:
        if mark in lowered:
            text = pattern.sub(short, text)
    return text


def _split_measured(tidied: str, letters: bool) -> Split | None:
    """A unit of measurement in plain text; one letter alone is one only if the caller says so."""
    if attached := _ATTACHED.search(tidied):
        unit = _flat(attached[1])
        if unit.rstrip("^23") not in _PRODUCTS and _powers(_spelled_out(unit)) is not None:
            return Split(tidied[: attached.start(1)].rstrip(), unit)
    text = _flat_powers(tidied)
    tail = _TAIL.search(text) if " " in text else None
    unit = tail["unit"] if tail and _may_end_unit(tail["unit"].rpartition(" ")[2]) else ""
    while unit:  # the longest tail that is a unit: "x km/h" has the unit km/h
        core = text[: len(text) - len(unit)]
        if core.endswith(" ") and _is_plain_unit(unit, core.rstrip(), letters):
            return Split(core.rstrip(), unit)
        _, _, unit = unit.partition(" ")
    return None


def _may_end_unit(word: str) -> bool:
    """Whether a unit may end in a word: in a unit itself, a power or a bracket."""
    return not word.isalpha() or word in ("squared", "cubed") or _powers(_spelled_out(word)) is not None


def _is_plain_unit(unit: str, core: str, letters: bool) -> bool:
    """Whether a tail is a unit and no product of variables: `9.8 m/s^2` has one, `3 m g` and `15 m^2` do not."""
    spelled = _spelled_out(unit)
    if spelled.startswith("/") or _powers(spelled) is None or _WORD_AT_END.search(core):
        return False
    if _LETTERS.match(spelled) and spelled.rstrip("^23") not in _PRODUCTS:
        return True
    follows_number = core[-1:].isdigit() or core[-1:] in (")", "}", "]")
    return follows_number and (letters or "/" in spelled or "^-" in spelled or bool(_LETTERS.search(spelled)))


def _flat_powers(text: str) -> str:
    return _BRACED_DIGIT.sub(r"^\1", text) if "^" in text else text


def _split_words(tidied: str) -> Split:
    tokens = tidied.split(" ")
    power = _WORD_POWER.fullmatch(tokens[-1])
    if power:
        tokens[-1:] = [power[1], f"^{power[2]}"]
    start = len(tokens) - bool(power)
    while start > 1 and _WORD.fullmatch(tokens[start - 1]):
        start -= 1
    words = tokens[start:]
    if cjk := _COUNTED.fullmatch(tidied):
        return _split(cjk[1], [cjk[2]])
    plain = [word for word in words if not word.startswith("^")]
    is_known = len(plain) > 1 or not plain or len(plain[0]) > 2 or plain[0].casefold() in _TWO_LETTERS
    if not plain or len(plain[0]) < 2 or not is_known or not _are_unit(plain):
        return Split(tidied, "")
    return _split(" ".join(tokens[:start]), words)


def _are_unit(words: list[str]) -> bool:
    if len(words) == 1 and len(words[0]) == 1 and words[0] not in _UNITS:
        return False
    return 0 < len(words) <= _MAX_WORDS and all(
        _WORD.fullmatch(word) and word.casefold() not in NOT_UNITS for word in words
    )


def _split(core: str, words: list[str]) -> Split:
    scales = 0
    while scales < len(words) and words[scales].casefold() in _SCALES:
        scales += 1
    return Split(" ".join([core, *words[:scales]]), _spelling(words[scales:]))


def _spelling(words: list[str]) -> str:
    """A unit of words in one spelling: lower case, no plural, "square feet" as "foot^2"."""
    text = _spelled_out(" ".join(words).replace(" ^", "^"))
    if _powers(text) is not None:
        return text
    return " ".join(_singular(word) for word in text.replace(".", "").split())


def _singular(word: str) -> str:
    word = word.casefold()
    return word[:-1] if len(word) > 2 and word.endswith("s") and not word.endswith("ss") else word
