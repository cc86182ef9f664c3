r"""Reads one answer: a number, an expression, a list, words, or unreadable text.

`read_answer` takes the extracted text and never raises. Text that it cannot read becomes an answer of kind "unread",
which can still be compared as text, or "unusable" (too long, empty, unbalanced).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from .expressions.parser import MAX_CHARACTERS, MAX_DIGITS, Node, ParseError, fold, names, parse, without_spelling
from .normalize import compact, plain_words, shown_words, tidy
from .regions import built_member, read_region
from .units import measure, split_unit

Kind = Literal["number", "expression", "equation", "list", "words", "unread", "unusable"]

MAX_ITEMS = 50
MAX_LIST_DEPTH = 5
_NUMBER = re.compile(r"([+-]?)\s?((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d{1,3}))?")
_BASED = re.compile(r"(-?)([0-9A-Za-z]+)_\{?(?:\\text\{)?\s?(\d{1,2}|two|eight|ten|sixteen)\s?\}{0,2}")
_LABEL = re.compile(
    r"(\\?[A-Za-z]+(?:_\{?\w{1,5}\}?)?(?:\([^()]{1,20}\))?|\|?[A-Z]{2,3}\|?|\\(?:sin|cos|tan) ?\\?[A-Za-z]+"
    r"|\\text\{[^{}]*\}|[A-Za-z]+(?: [A-Za-z]+){1,5})"
)
_RELATION = re.compile(r"=|\\in(?![A-Za-z])")
_CONJUNCTION = re.compile(r"(?:, ?)?(?: (?:and|or) |\\text\{ ?(?:and|or) ?\})")
_INNER_CONJUNCTION = re.compile(r"(\\text\{[^{}]*?),? (?:and|or) ?\} ?")
_SIGNS = re.compile(r"\\pm(?![A-Za-z])|\\mp(?![A-Za-z])|\+/-")
_FREE = r"(?:where|for (?:all|any|every|some|each|integers?)|is|are|which|because|since)"
_MEMBER = r"[a-zA-Z](?:,[a-z]){0,5} ?\\in ?(?:\\mathbb\{[ZNQRC]\}|Z|N)(?:\^[+*]|_\+)?"
_CLAUSE = re.compile(  # which values a free variable takes, or why: not part of the answer's form
    rf"^\\text\{{ ?only ?\}} ?|,? ?\\text\{{ ?,? ?{_FREE}\b.*$"
    r"|,? (?:where|for (?:all|any|every|some|each)) .*$"
    rf"|,? ?\(?(?:\\text\{{ ?(?:for|where|with) ?\}} ?)?{_MEMBER}\)?$"
)
_DENIAL = re.compile(r"\b(?:not|no|never|impossible|lower|upper|least|most|greater|less)\b")
_EMPTY_NAMES = r"""
    \emptyset|\{\}|{}|no solution|no solutions|no real solution|no real solutions|none|empty set|the empty set
    |no real roots|there is no solution|there are no solutions|there is none
"""
_EMPTY = frozenset(name.strip() for name in _EMPTY_NAMES.split("|"))
_UNDEFINED = frozenset({"dne", "does not exist", "undefined", "not defined", "it does not exist"})
_COMPOUND = re.compile(
    r"(\d+(?:\.\d+)?) ?(?:\\text\{ ?)?([a-z]+)\.?(?: ?\})?,? ?(?:\\text\{ ?)?(?:and ?)?(?:\} ?)?"
    r"(\d+(?:\.\d+)?) ?(?:\\text\{ ?)?([a-z]+)\.?(?: ?\})?"
)
"""Such as "2 hours and 30 minutes"."""
NOTHING = "no solution"
"""The words of an answer that says there is no solution."""
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
_GROUPED = re.compile(
    r"([+-]?)(\d{1,3}(?:(?:[ '\u2019]\d{3})+|(?:\.\d{3}){2,}))|([+-]?)(\d{1,3}(?:\.\d{3})+),(\d{1,2})"
)
"""Thousands in European notation: 1 234 567, 1'234'567, 1.234.567, and 1.234,56."""
_DOLLARS = re.compile(r"-?\\?\$ ?-?[\d.,]+")
_CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d)?")
_TIME = re.compile(r"(\d{1,2})(?::(\d{2}))? ?([AaPp])\.? ?[Mm]\.?")
_MATRIX = re.compile(r"[(\[]?\\begin\{([pbB]?matrix|array)\}(?:\{[lcr|]*\})?(.*)\\end\{\1\}[)\]]?")
_WORDS = re.compile(r"\(?[A-Za-z](?:[A-Za-z '-]*[A-Za-z])?\)?\.?")
_COLON_LABEL = re.compile(r"(?:\\text\{([A-Za-z ]{2,20}):? ?\}:?|([A-Za-z]{2,20}):)\s*(?=[-\d\\($])([^:]*)")
_DEPTHS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_CURRENCY = {"€": "euro", "£": "pound sterling", "₹": "rupee", "¥": "yen"}
_BASES = {"two": 2, "eight": 8, "ten": 10, "sixteen": 16}
_NUMERAL_WORDS = "zero one two three four five six seven eight nine ten eleven twelve"
_NUMERALS = {word: Fraction(value) for value, word in enumerate(_NUMERAL_WORDS.split())}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that has been read; which fields are set depends on `kind`."""

    kind: Kind
    text: str
    """Tidied text without meaningless spaces: equal texts are equal answers."""
    words: str = ""
    """Lower-case words, numbers and signs, for comparing answers that are text."""
    value: Fraction | None = None
    """Exact value of a number; of a percentage, the number before the sign (50 for 50%)."""
    node: Node | None = None
    """Tree of an expression or computed number; for an equation, the left side minus the right."""
    family: str = ""
    """The set over which its variable ranges: one of "Z", "N", "Q" and "C"; "?" if the text says only that the variable
    is free; "" if it says nothing."""
    items: tuple[Answer, ...] = ()
    brackets: str = ""
    """For a list: its two brackets, "{}" for a set, "U" for a union, ":" for a ratio, "matrix 2x1", or "" for none."""
    written: str = ""
    """The digits of a number written as a decimal, such as "30.52"; "" for any other answer."""
    unit: str = ""
    label: str = ""
    """The left side of a labeled answer: "x" in "x = 5"."""
    reason: str = ""
    """Why the answer could not be read; "" if it could."""


@lru_cache(maxsize=16_384)
def read_answer(raw: str) -> Answer:
    r"""Read the text of one answer.

    >>> read_answer("18 dollars").value, read_answer(r"(1, \sqrt{2})").kind, read_answer("3m").kind
    (Fraction(18, 1), 'list', 'expression')
    """
    if len(raw) > MAX_CHARACTERS:
        return Answer("unusable", "", reason="too long")
    if (quick := _plain_number(raw)) is not None:
        return quick
    if _DOLLARS.fullmatch(raw) and (quick := _plain_number(raw.replace("\\", "").replace("$", "").replace(" ", ""))):
        return replace(quick, unit="dollar")
    tidied = tidy(raw)
    if problem := _unusable(tidied):
        return _read_closed(tidied) or Answer("unusable", "", reason=problem)
    return _read_tidied(tidied)


def _read_tidied(tidied: str, depth: int = 0) -> Answer:
    answer = _read(tidied, depth)
    return replace(answer, text=compact(tidied), words=answer.words or shown_words(tidied))


def _read_closed(tidied: str) -> Answer | None:
    """The answer with up to two braces, or one round bracket, added at the end; None if it is still unreadable."""
    plain = re.sub(r"\\.", "", tidied)
    missing = plain.count("{") - plain.count("}")
    is_open = plain.count("(") == plain.count(")") + 1 and not re.search(r"[\[\]]", plain)
    closed = tidied + ("}" * missing if 0 < missing < 3 else ")" if is_open else "")
    if _unusable(closed):
        return None
    answer = _read_tidied(closed)
    return None if answer.kind in ("unread", "words") else answer


def _unusable(tidied: str) -> str:
    if not tidied:
        return "empty"
    plain = re.sub(r"\\.", "", tidied)  # \{ and \} are printed brackets, which need not pair: \left\{ … \right.
    if plain.count("{") != plain.count("}"):
        return "unbalanced braces"
    return "unbalanced brackets" if sum(_DEPTHS.get(mark, 0) for mark in plain) else ""


def _plain_number(text: str) -> Answer | None:
    match = _NUMBER.fullmatch(text)
    if len(text) > MAX_DIGITS:
        return None
    if match is None:
        return _european_number(text)
    if re.fullmatch(r"\d{1,3}[eE][+-]\d", text) and text[:2].lower() != "1e":
        return None  # 2e+1 is Euler's number, 1e-3 is not
    sign, digits, exponent = match.groups()
    value = Fraction(digits.replace(",", "").rstrip(".") + ("e" + exponent if exponent else ""))
    written = digits.replace(",", "") if "." in digits and not exponent else ""
    return Answer("number", text, words=text, value=-value if sign == "-" else value, written=written)


def _european_number(text: str) -> Answer | None:
    match = _GROUPED.fullmatch(text)
    if match is None:
        return None
    whole = re.sub(r"\D", "", match[2] or match[4])
    value = Fraction(f"{whole}.{match[5] or 0}")
    return Answer("number", text, words=text, value=-value if "-" in (match[1], match[3]) else value)


_Rule = Callable[[str, int], Answer | None]
"""Reads a text at a depth of nesting; None if the text is not of the rule's form."""


def _read(text: str, depth: int) -> Answer:
    return _first((*_CONTEXTS, *_KINDS), text, depth)


def _first(rules: tuple[_Rule, ...], text: str, depth: int) -> Answer:
    """The answer of the first rule that reads the text; the last rule of each table reads any text."""
    for rule in rules:
        answer = rule(text, depth)
        if answer is not None:
            return answer
    raise LookupError("no rule applies")


def _at_any_depth(rule: Callable[[str], Answer | None]) -> _Rule:
    return lambda text, _depth: rule(text)


# Contexts: an answer with something around it.


def _read_with_clause(text: str, depth: int) -> Answer | None:
    r"""`2k, k \in \mathbb{Z}`; None if the rest is words or unreadable."""
    clause = _CLAUSE.search(text)
    if clause is None or depth >= MAX_LIST_DEPTH or _DENIAL.search(clause[0]):
        return None
    answer = _read(_CLAUSE.sub("", text) or "?", depth + 1)
    family = next((mark for mark in "ZNQC" if rf"\mathbb{{{mark}}}" in clause[0]), "?")
    if family != "?" and answer.brackets in ("()", "[]", "(]", "[)"):
        return Answer("unread", "", reason="an interval of whole numbers")
    return None if answer.kind in ("words", "unread") else replace(answer, family=family)


def _read_region(text: str, depth: int) -> Answer | None:
    """An inequality, set-builder notation, or all real numbers, as intervals."""
    region = read_region(text)
    if region is None or depth >= MAX_LIST_DEPTH:
        return None
    texts = [text.replace("(,", "(").replace(",)", ")") for text in region.intervals]
    read = [_read_list(text, depth + 1) or Answer("unread", "", reason="not an interval") for text in texts]
    answer = read[0] if len(read) == 1 else Answer("list", "", items=tuple(read), brackets="U")
    return replace(answer, label=region.variable)


def _read_after_colon(text: str, depth: int) -> Answer | None:
    """`Area: 5`."""
    named = _COLON_LABEL.fullmatch(text)
    if named is None or _DENIAL.search(named[0]):
        return None
    return replace(_read(named[3], depth + 1), label=plain_words(named[1] or named[2]))


def _read_approximation(text: str, depth: int) -> Answer | None:
    r"""The exact side of `\pi \approx 3.14`; the rounded side of `x \approx 3.14`."""
    exact, about, rounded = text.partition(r"\approx")
    if not about:
        return None
    is_exact = exact.strip() and not _LABEL.fullmatch(exact.strip())
    return _read((exact if is_exact else rounded).strip() or "?", depth + 1)


def _read_relation(text: str, depth: int) -> Answer | None:
    """The right side of `x = 5`, with its label, or of `2 + 3 = 5`."""
    label, value = _split_label(text)
    if label:
        return replace(_read(value, depth), label=label)
    return None if value == text else _first(_KINDS, value, depth)


def _split_label(text: str) -> tuple[str, str]:
    """Split `x = 5` into ("x", "5"), `5 = x` too; of `2 + 3 = 5` keep the last part."""
    parts = _split_relations(text)
    if not 2 <= len(parts) <= 5 or not all(parts[1:]):
        return "", text
    if not parts[0] or _is_constant(parts[0]):
        return (parts[1], parts[0]) if len(parts) == 2 and parts[1].isalpha() and parts[0] else ("", parts[-1])
    is_chain = _is_constant(parts[-1]) and all(map(_is_expression, parts[1:]))
    if _LABEL.fullmatch(parts[0]) and (len(parts) == 2 or is_chain):
        label = plain_words(parts[0]).replace("text", "").strip()
        return (parts[0] if len(label) < 2 else label), parts[-1]
    return "", text


def _split_relations(text: str) -> list[str]:
    r"""Split at = and \in outside brackets: the equation in P(X=2) is part of a label."""
    parts, start = [], 0
    for match in _RELATION.finditer(text):
        if sum(_DEPTHS.get(mark, 0) for mark in text[start : match.start()]) == 0:
            parts.append(text[start : match.start()].strip())
            start = match.end()
    return [*parts, text[start:].strip()]


def _is_expression(text: str) -> bool:
    try:
        return parse(text) is not None
    except ParseError:
        return False


def _is_constant(text: str) -> bool:
    return _is_expression(text) and not names(parse(text))


def _read_numeral(text: str) -> Answer | None:
    based = _BASED.fullmatch(text)
    if based:
        return _read_based(based[1], based[2], _BASES.get(based[3]) or int(based[3]))
    if text[:1] in _CURRENCY and (number := _plain_number(text[1:].strip())):
        return replace(number, unit=_CURRENCY[text[0]])
    value = _NUMERALS.get(text.casefold())
    return None if value is None else Answer("number", text, value=value)


def _read_based(sign: str, digits: str, base: int) -> Answer | None:
    if not digits[0].isdigit() and (base <= 10 or not digits.isupper()):  # x_2 is a name
        return None
    try:
        value = Fraction(int(sign + digits, base))
    except ValueError:
        return Answer("unread", "", reason=f"not a number in base {base}")
    return Answer("number", "", value=value, unit=f"base {base}")


def _read_nothing(text: str) -> Answer | None:
    """No solution, in any wording, or an undefined value."""
    words = plain_words(text)
    if text in _EMPTY or words in _EMPTY:
        return Answer("words", "", words=NOTHING)
    return Answer("words", "", words="undefined") if words in _UNDEFINED else None


def _read_compound(text: str) -> Answer | None:
    """The sum of two numbers in units of one kind, in the first of the two units."""
    compound = _COMPOUND.fullmatch(text)
    if compound is None:
        return None
    first, unit, second, smaller = compound.groups()
    (_, unit), (_, smaller) = split_unit(f"1 {unit}"), split_unit(f"1 {smaller}")
    large, small = measure(unit), measure(smaller)
    if large is None or small is None or large.kind != small.kind:
        return None
    return Answer("number", "", value=Fraction(first) + Fraction(second) * small.size / large.size, unit=unit)


def _read_date(text: str) -> Answer | None:
    words = plain_words(text)
    match = next(filter(None, (pattern.fullmatch(words) for pattern in _DATES)), None)
    if match is None:
        return None
    year, name, day = int(match["year"] or 0), match["month"], int(match["day"])
    month = int(name) if name.isdigit() else _MONTHS.find(name[:3]) // 3 + 1
    return Answer("words", "", words=f"{year:04}-{month:02}-{day:02}") if 1 <= month <= 12 else None


def _read_time(text: str) -> Answer | None:
    """A time of day."""
    moment = _TIME.fullmatch(text.replace(r"\text{", "").replace("}", "").strip())
    if moment is None:
        return None
    hour, minute = int(moment[1]), int(moment[2] or 0)
    if not 1 <= hour <= 12 or minute >= 60:
        return None
    hour = hour % 12 + (12 if moment[3].lower() == "p" else 0)
    return Answer("words", "", words=f"{hour}:{minute:02} o'clock")


def _read_ratio(text: str) -> Answer | None:
    """A ratio, each part divided by the first, so that 3:4 equals 6:8."""
    parts = text.split(":")
    if not 2 <= len(parts) <= 6 or _CLOCK.fullmatch(text):
        return None
    try:
        values = [fold(parse(part)) for part in parts]
    except ParseError:
        return None
    if None in values or not values[0]:
        return None
    parts = [str(value / values[0]) for value in values if value is not None]
    items = [Answer("number", part, value=Fraction(part)) for part in parts]
    return Answer("list", "", items=tuple(items), brackets=":")


# Lists.


def _read_list(text: str, depth: int) -> Answer | None:
    return _read_two_tuples(text, depth) or _read_items(text, depth)


def _read_two_tuples(text: str, depth: int) -> Answer | None:
    r"""`(1, \pm 2)` is (1, 2) and (1, -2)."""
    if text[:1] != "(" or "," not in text or not _encloses(text) or len(both := _both_signs(text)) < 2:
        return None
    return Answer("list", "", items=tuple(_read_item(part, depth) for part in both))


def _read_items(text: str, depth: int) -> Answer | None:
    split = next(filter(None, (splitter(text) for splitter in _SPLITTERS)), None)
    if split is None:
        return None
    brackets, parts = split
    parts = [item for part in parts for item in _both_signs(part)]
    if len(parts) > MAX_ITEMS or depth >= MAX_LIST_DEPTH:
        return Answer("unread", "", reason="list too large")
    texts = [_read_item(part, depth) for part in parts]
    found = {(item.value, item.unit, item.text if item.value is None else ""): item for item in texts}
    return Answer("list", "", items=tuple(found.values()) if brackets == "{}" else tuple(texts), brackets=brackets)


def _read_item(part: str, depth: int) -> Answer:
    return _read_tidied(part, depth + 1) if part else Answer("unread", "", reason="empty item")


def _split_matrix(text: str) -> tuple[str, list[str]] | None:
    match = _MATRIX.fullmatch(text)
    if match is None or r"\begin" in match[2]:
        return None
    rows = [row.split("&") for row in match[2].strip().removesuffix("\\\\").split("\\\\")]
    return f"matrix {len(rows)}x{len(rows[0])}", [cell.strip() for row in rows for cell in row]


def _split_union(text: str) -> tuple[str, list[str]] | None:
    parts = re.split(r"\\cup(?![A-Za-z])", text) if "\\cup" in text else []
    return ("U", [part.strip() for part in parts]) if len(parts) > 1 else None


def _split_built_set(text: str) -> tuple[str, list[str]] | None:
    member = built_member(text)
    return None if member is None else ("{}", [member])


def _split_set(text: str) -> tuple[str, list[str]] | None:
    r"""`\{1, 2\}`."""
    braces = text.replace(r"\{", "{").replace(r"\}", "}")
    return ("{}", _split_commas(braces[1:-1])) if len(braces) < len(text) and _encloses(braces) else None


def _split_tuple(text: str) -> tuple[str, list[str]] | None:
    parts = _split_commas(text[1:-1]) if _is_bracketed(text) else []
    return (text[0] + text[-1], parts) if len(parts) > 1 else None


def _split_vector(text: str) -> tuple[str, list[str]] | None:
    r"""`\langle 1, 2 \rangle`."""
    is_vector = text.startswith("\\langle") and text.endswith("\\rangle")
    return ("()", _split_commas(text[7:-7])) if is_vector else None


def _split_bare(text: str) -> tuple[str, list[str]] | None:
    r"""`1, 2`, `1 and 2` or `\pm 1`."""
    if _is_bracketed(text):
        return None
    parts = _split_commas(_INNER_CONJUNCTION.sub(r"\1}, ", _CONJUNCTION.sub(", ", text)))
    return ("", parts) if len(parts) > 1 or len(_both_signs(parts[0])) > 1 else None


_SPLITTERS = (
    _split_matrix,
    _split_union,
    _split_built_set,
    _split_set,
    _split_tuple,
    _split_vector,
    _split_bare,
)
"""The kinds of list, in order: each gives the brackets and the items' texts, or None. The first that splits wins."""


def _is_bracketed(text: str) -> bool:
    return text[0] in "([" and text[-1] in ")]" and _encloses(text)


def _both_signs(part: str) -> list[str]:
    r"""`1 \pm 2` is two answers; several signs are left as they are, since their pairing is unknown."""
    if len(_SIGNS.findall(part)) != 1:
        return [part]
    return [" ".join(_SIGNS.sub(sign, part).split()).removeprefix("+").strip() for sign in ("+", "-")]


def _encloses(text: str) -> bool:
    depth = 0
    for position, character in enumerate(text):
        depth += _DEPTHS.get(character, 0)
        if depth <= 0:
            return position == len(text) - 1 > 0
    return False


def _split_commas(text: str) -> list[str]:
    """Split at commas and semicolons outside all brackets."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += _DEPTHS.get(character, 0)
        if character in ",;" and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    return [*parts, text[start:].strip()]


# Words and expressions.


def _read_words(text: str) -> Answer | None:
    r"""Text in `\text{…}`, or letters and spaces with at least one real word among them."""
    if text.startswith(r"\text{") and text.endswith("}") and text.count("{") == 1:
        inner = text[6:-1].strip()
        return _plain_number(inner) or _read_numeral(inner) or Answer("words", "")
    if not _WORDS.fullmatch(text):
        return None
    is_word = (
        (text[0] == "(" and len(text) <= 4) or any(len(word) > 4 for word in text.split()) or _is_short_phrase(text)
    )
    return Answer("words", "") if is_word else None


def _is_short_phrase(text: str) -> bool:
    try:
        parse(text)
    except ParseError:
        return True
    # "Yes" and "Bob" parse as products of letters, but nobody writes a product that way.
    return (text[0].isupper() and len(text) > 2 and text[1:].islower()) or text.casefold() in ("yes", "no", "true")


def _read_equation(text: str) -> Answer | None:
    """An equation that is not a label and its value."""
    left, equals, right = text.partition("=")
    if not equals or "=" in right:
        return None
    try:
        return Answer("equation", "", node=Node("+", args=(parse(left), Node("neg", args=(parse(right),)))))
    except ParseError:
        return None


def _read_expression(text: str) -> Answer:
    core, unit = split_unit(text)
    if core != text and (number := _plain_number(core)):
        return replace(number, unit=unit)
    try:
        node = without_spelling(parse(core))
    except ParseError as error:
        return Answer("unread", "", reason=str(error))
    value = fold(node)
    return Answer("expression" if value is None else "number", "", value=value, node=node, unit=unit)


_CONTEXTS: tuple[_Rule, ...] = (
    _read_with_clause,
    _read_region,
    _read_after_colon,
    _read_approximation,
    _read_relation,
)
"""Tried first, in this order; each removes what surrounds an answer and reads the rest."""
_KINDS: tuple[_Rule, ...] = (
    _at_any_depth(_plain_number),
    _at_any_depth(_read_numeral),
    _at_any_depth(_read_nothing),
    _at_any_depth(_read_compound),
    _at_any_depth(_read_date),
    _at_any_depth(_read_time),
    _read_list,
    _at_any_depth(_read_words),
    _at_any_depth(_read_ratio),
    _at_any_depth(_read_equation),
    _at_any_depth(_read_expression),
)
"""The kinds of answer, in order; the last reads any text. A new kind is a function and a row here."""
