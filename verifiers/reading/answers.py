r"""Reads one answer: a number, an expression, a list, a set of numbers, words, or unreadable text.

`read_answer` takes the extracted text and never raises. Text that it cannot read becomes an answer of kind "unread",
which can still be compared as text, or "unusable" (too long, empty, unbalanced).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise, product
from typing import Literal, NamedTuple

from ..expressions.matrices import evaluated, has_matrix
from ..expressions.numeric import approximate, certainly_differ
from ..expressions.parser import MAX_CHARACTERS, ParseError, parse, parsed
from ..expressions.regions import Region, interval
from ..expressions.tree import Node, fold, names, without_spelling
from .conditions import Relation, depth_of, read_region, read_relations
from .literals import CLOCK, NOTHING, Number, compound, fixed_words, numeral, plain_number, scientific
from .normalize import compact, plain_words, shown_words, tidy
from .splitting import LABEL, NAME, SIGNS, both_signs, encloses, split_commas, split_list, split_relations
from .units import measure, split_unit

__all__ = ["INTERVALS", "NOTHING", "Answer", "Kind", "read_answer", "read_measured"]

Kind = Literal[
    "number", "expression", "equation", "list", "region", "relation", "congruence", "cases", "words", "unread",
    "unusable",
]  # fmt: skip

INTERVALS = ("()", "[]", "(]", "[)")
"""The brackets of a list of two items that may be the ends of an interval."""
MAX_ITEMS = 50
MAX_LIST_DEPTH = 5
_TUPLE_LABEL = re.compile(rf"\( ?{NAME}(?:\({NAME}\))?(?: ?, ?{NAME}(?:\({NAME}\))?)+ ?\)")
_POINT = re.compile(r"([A-Z](?:'|_\{?\w\}?|\d)?) ?(\([^()]*,.*\))")
_CONGRUENCE = re.compile(r"(?:(.*?) ?\\equiv ?)?(.*?) ?(?:\( ?)?\\?(?:pmod|mod|bmod)(?![A-Za-z]) ?\{? ?(.*?) ?\}? ?\)?")
_BOTH = re.compile(
    r"(?:both|either|exactly|precisely|just|at|about|around|roughly|approximately|nearly) (?=[-\d\\$.(])"
)
_FREE = r"(?:where|for (?:all|any|every|some|each|integers?)|is|are|which|because|since|with)"
_MEMBER = r"[a-zA-Z](?:,[a-z]){0,5} ?\\in ?(?:\\mathbb\{[ZNQRC]\}|Z|N)(?:\^[+*]|_\+|_\{[^{}]*\}|\^\{[^{}]*\})?"
_REMARK = re.compile(r"(.*(?:[\d})%°]|\d [a-z]+)) (?:\\text\{ ?)?\(([A-Za-z][A-Za-z ./-]*)\)(?: ?\})?")
_CLAUSE = re.compile(  # which values a free variable takes, or why: not part of the answer's form
    rf"^\\text\{{ ?only ?\}} ?|,? ?\\text\{{ ?,? ?{_FREE}\b.*$"
    r"|,? (?:where|for (?:all|any|every|some|each)) .*$"
    rf"|(?:, ?\(?| \(?|\(|^|(?<=\}}))(?:\\text\{{ ?(?:for|where|with) ?\}} ?)?{_MEMBER}\)?$"
)
_SIDE_BY_SIDE = re.compile(r"[\w)}\]] +\\?[A-Za-z]\w*(?:_\{[^{}]*\})?(?:\([a-z]\))?$")
"""A value, a space and the name of the next one: the middle of `x=3 y=4`."""
_BRACED_TEXT = re.compile(r"\\text ?\{([^{}]*)\}")
_QUANTIFIER = re.compile(
    r",? ?(?:\\text\{ ?for (?:all|any|every) ?\} ?[a-z]|for (?:all|any|every) [a-z])"
    r"(?= ?,| ?\\text\{ ?,? ?(?:or|and)| (?:or|and) )"
)
"""A quantifier within a list: `f(x) = 0 for all x, or f(x) = x`."""
_FUNCTION = re.compile(r"[a-z]\([a-z]\) ?=")
_COMMON_WORDS = """
    where for all any every some each integer integers is are which because since with only if real reals number numbers
    constant constants arbitrary an the and or be of to in mathbb text natural rational value values fixed function
    functions satisfies satisfy it that solution solutions
"""
_COMMON = frozenset(_COMMON_WORDS.split())
"""Words of a condition that do not narrow it."""
_REASON = re.compile(r"^,? ?(?:\\text\{)?[ ,]*(?:is|are|which|because|since)\b")
"""What says something about an answer, and is no condition on it."""
REMARK = "remark: "
"""The beginning of a clause that is no condition: an answer may lack it."""
_DIGIT = re.compile(r"\d|\\(?:pi|sqrt)")
_LETTER = re.compile(r"[a-z]")
_DENIAL = re.compile(r"\b(?:not|no|never|impossible|lower|upper|least|most|greater|less)\b")
_QUALIFIED = re.compile(
    rf"{_DENIAL.pattern}|\b(?:below|above|under|over|before|after|except|but|all|every|any|between|than"
    r"|wrong|false|incorrect)\b",
    re.IGNORECASE,
)
_CASES = re.compile(
    r"(?:\\\{|\{)? ?\\begin\{(cases|array|aligned|align\*?|gathered)\}(?:\{[lcr|]*\})?(.*)\\end\{\1\}(?: ?\})?",
    re.DOTALL,
)
_WORDS = re.compile(r"\(?[^\W\d_](?:(?:[^\W\d_]|[ '-])*[^\W\d_])?\)?\.?")
_COLON_LABEL = re.compile(r"(?:\\text\{([A-Za-z ]{2,20}):? ?\}:?|([A-Za-z]{2,20}):)\s*(?=[-\d\\($])([^:]*)")
_NAMING = re.compile(r":|(?:\b(?:is|are|equals|therefore|thus|so|hence)|[Aa]nswer|[Tt]otal|[Rr]esult) ?\}\s*$")
"""The end of words before a number that say what it is, rather than change it: "Area:", "The answer is"."""
_ESCAPED = re.compile(r"\\.")
_DOLLARS = re.compile(r"-?\\?\$ ?-?[\d.,]+")
_FAMILIES = re.compile(r"\\mathbb\{([ZNQC])\}(\^[+*]|\^\{[+*]\}|_\+|_\{\\geq|_\{>)?")


class Answer(NamedTuple):
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
    """Of a list, its items; of cases, the value and the condition of each in turn; of a congruence, its modulus and its
    residues; of an equation such as `a + b = 5`, the number on its right."""
    brackets: str = ""
    """For a list: its two brackets, "{}" for a set, "U" for a union, ":" for a ratio, "matrix 2x1", or "" for none."""
    clause: str = ""
    """What a condition in words says beyond which kind of number a letter is; "" if there is none."""
    region: Region | None = None
    relations: tuple[Relation, ...] = ()
    written: str = ""
    """The digits of a number written as a decimal, such as "30.52" or the "1.50" of 1.50e3; "" for any other answer."""
    step: Fraction = Fraction(0)
    """One unit in the last place of such a decimal."""
    unit: str = ""
    choice: str = ""
    """The letter of a choice that stands behind the answer, as in `12 cm (A)`."""
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
    if (quick := plain_number(raw)) is not None:
        return _number(quick, raw)
    if _DOLLARS.fullmatch(raw) and (quick := plain_number(raw.replace("\\", "").replace("$", "").replace(" ", ""))):
        return _number(quick._replace(unit="dollar"), raw)
    tidied = tidy(raw)
    if problem := _unusable(tidied):
        return _read_closed(tidied) or Answer("unusable", "", reason=problem)
    return _read_tidied(tidied)


def _number(number: Number, text: str) -> Answer:
    return Answer(
        "number", text, words=text, value=number.value, written=number.written, step=number.step, unit=number.unit
    )


@lru_cache(maxsize=1_024)
def read_measured(text: str) -> Answer:
    """Read an answer whose last letter may be a unit: the N of `40 N`."""
    core, unit = split_unit(text, letters=True)
    return _read_tidied(core)._replace(unit=unit, text=text) if unit and core else Answer("unread", text)


def _read_tidied(tidied: str, depth: int = 0) -> Answer:
    answer = _read(tidied, depth)
    return answer._replace(text=compact(tidied), words=answer.words or shown_words(tidied))


def _read_closed(tidied: str) -> Answer | None:
    """The answer with up to two braces, or one round bracket, added at the end; None if it is still unreadable."""
    plain = _ESCAPED.sub("", tidied)
    missing = plain.count("{") - plain.count("}")
    tidied = tidied[:-1] if missing == -1 and tidied.endswith("}") else tidied  # one brace too many
    is_open = plain.count("(") == plain.count(")") + 1 and not re.search(r"[\[\]]", plain)
    closed = tidied + ("}" * missing if 0 < missing < 3 else ")" if is_open else "")
    if _unusable(closed):
        return None
    answer = _read_tidied(closed)
    return None if answer.kind in ("unread", "words") else answer


def _unusable(tidied: str) -> str:
    if not tidied:
        return "empty"
    plain = _ESCAPED.sub("", tidied)  # \{ and \} are printed brackets, which need not pair: \left\{ … \right.
    if plain.count("{") != plain.count("}"):
        return "unbalanced braces"
    return "unbalanced brackets" if depth_of(plain) else ""


_Rule = Callable[[str, int], Answer | None]
"""Reads a text at a depth of nesting; None if the text is not of the rule's form."""
_Row = tuple[str, _Rule]
"""A mark that every text of the rule's form has, and the rule."""


def _read(text: str, depth: int) -> Answer:
    return _first((*_CONTEXTS, *_KINDS), text, depth)


def _first(rows: tuple[_Row, ...], text: str, depth: int) -> Answer:
    """The answer of the first rule that reads the text; the last rule of each table reads any text."""
    for mark, rule in rows:
        if mark in text and (answer := rule(text, depth)) is not None:
            return answer
    raise LookupError("no rule applies")


def _at_any_depth(rule: Callable[[str], Answer | None]) -> _Rule:
    return lambda text, _depth: rule(text)


def _unread(reason: str) -> Answer:
    return Answer("unread", "", reason=reason)


# Contexts: an answer with something around it.


def _read_without_hedge(text: str, depth: int) -> Answer | None:
    """`both 3 and 5`, `about 45`."""
    shorter = _BOTH.sub("", text, count=1) if _BOTH.match(text) else text
    return None if shorter == text or depth >= MAX_LIST_DEPTH else _read(shorter, depth + 1)


def _read_with_remark(text: str, depth: int) -> Answer | None:
    """`7 (jars)`, `x = 4 (only solution)`, `12 cm (A)`: a unit, a remark or the letter of a choice in brackets."""
    remark = _REMARK.fullmatch(text)
    if remark is None or depth >= MAX_LIST_DEPTH or _QUALIFIED.search(remark[2]):
        return None
    if len(remark[2]) == 1:
        return _read(remark[1], depth + 1)._replace(choice=remark[2]) if remark[2] in "ABCDEFGHIJ" else None
    answer = _read(remark[1], depth + 1)
    if answer.kind not in ("number", "expression"):
        return None
    unit = answer.unit or answer.label or split_unit(rf"1 \text{{{remark[2]}}}").unit
    return answer if answer.unit or answer.label else answer._replace(unit=unit)


def _read_with_clause(text: str, depth: int) -> Answer | None:
    r"""`2k, k \in \mathbb{Z}`; None if the rest is words or unreadable."""
    if "for" in text and _QUANTIFIER.search(text) and depth < MAX_LIST_DEPTH:
        return _read(_QUANTIFIER.sub("", text), depth + 1)
    clause = _CLAUSE.search(text) if "\\" in text or " " in text else None
    if clause is None or depth >= MAX_LIST_DEPTH or (_DENIAL.search(clause[0]) and not _FUNCTION.match(text)):
        return None
    answer = _read(_CLAUSE.sub("", text) or "?", depth + 1)
    found = _FAMILIES.search(clause[0])
    family = "?" if found is None else "N" if found[2] else found[1]
    if family in ("Z", "N") and (answer.kind == "region" or answer.brackets in INTERVALS):
        return _unread("a set of whole numbers between two ends")
    if answer.kind in ("words", "unread"):
        return None
    said = " ".join(
        word for word in shown_words(clause[0]).split() if word not in _COMMON and not _LETTER.fullmatch(word)
    )
    return answer._replace(family=family, clause=f"{REMARK}{said}" if said and _REASON.search(clause[0]) else said)


def _read_region(text: str, depth: int) -> Answer | None:
    """An inequality, an exclusion, a union of intervals, set-builder notation, or all real numbers."""
    found = read_region(text)
    if found is not None:
        return Answer("region", "", region=found.region, label=found.variable)
    relations = read_relations(text)
    return None if relations is None else Answer("relation", "", relations=relations)


def _read_congruence(text: str, depth: int) -> Answer | None:
    r"""`N \equiv 42 \pmod{100}`."""
    if (match := _CONGRUENCE.fullmatch(text)) is None:
        return None
    label, value, modulus = match[1], match[2], match[3]
    if label is None and "pmod" not in text and "(" not in text:
        return None  # 17 mod 5 is a number
    residue, base = _read_tidied(value, depth + 1), _read_tidied(modulus, depth + 1)
    residues = residue.items if residue.kind == "list" and not residue.brackets else (residue,)
    if base.value is None or not base.value or any(item.value is None or item.unit for item in residues):
        return None
    return Answer("congruence", "", value=residue.value, items=(base, *residues), label=(label or "").strip())


def _read_after_colon(text: str, depth: int) -> Answer | None:
    """`Area: 5`."""
    named = _COLON_LABEL.fullmatch(text)
    if named is None or _QUALIFIED.search(named[0]) or not _NAMING.search(text[: named.start(3)]):
        return None
    return _read(named[3], depth + 1)._replace(label=plain_words(named[1] or named[2]))


def _read_approximation(text: str, depth: int) -> Answer | None:
    r"""The exact side of `\pi \approx 3.14`; the rounded side of `x \approx 3.14`."""
    exact, about, rounded = text.partition(r"\approx")
    if not about or len(split_commas(text)) > 1:
        return None
    is_exact = exact.strip() and (not LABEL.fullmatch(exact.strip()) or _is_constant(exact))
    first, second = _tree(exact.rpartition("=")[2]), _tree(rounded)
    if is_exact and first and second and certainly_differ(first, second) and not _is_near(first, second):
        return _unread("numbers that are not near each other")
    return _read((exact if is_exact else rounded).strip() or "?", depth + 1)


def _read_relation(text: str, depth: int) -> Answer | None:
    """The right side of `x = 5`, with its label, or of `2 + 3 = 5`."""
    parts = split_relations(text)
    if not 2 <= len(parts) <= 6 or not all(parts[1:]):
        return None
    if not parts[0]:
        return _first(_KINDS, parts[-1], depth) if len(parts) == 2 else None
    if all(map(_is_constant, parts)):
        return _first(_KINDS, _best(parts), depth) if _are_equal(parts) else _unread("numbers that are not equal")
    if len(parts) == 2 and parts[1].isalpha() and len(parts[1]) == 1 and _is_constant(parts[0]):
        return _read(parts[0], depth)._replace(label=parts[1])
    if _TUPLE_LABEL.fullmatch(parts[0]) and len(parts) == 2:
        return _read(parts[1], depth)._replace(label=compact(parts[0]))
    if not LABEL.fullmatch(parts[0]) or _is_constant(parts[0]) or (" " in parts[0] and _QUALIFIED.search(parts[0])):
        return None
    if any(_tree(part) is None for part in parts[1:]) and len(parts) > 2:
        return None
    if not _are_equal([part for part in parts[1:] if _is_constant(part)]) and len(parts) > 2:
        return _unread("numbers that are not equal")
    if any(_SIDE_BY_SIDE.search(part) for part in parts[1:-1]):
        return _unread("equations side by side, with nothing between them")
    answer = _read(_best(parts[1:]), depth)._replace(label=_label_of(parts[0]))
    return _as_interval(answer) if r"\in" in text and len(parts) == 2 else answer


def _as_interval(answer: Answer) -> Answer:
    r"""The two ends in `x \in (2, 3)` as the numbers between them."""
    ends = [item.node or Node("num", str(item.value)) for item in answer.items if item.kind in ("number", "expression")]
    if answer.brackets not in INTERVALS or len(ends) != 2 or answer.family:
        return answer
    return Answer("region", "", region=interval(answer.brackets, *ends), label=answer.label)


def _label_of(text: str) -> str:
    r"""A label in one spelling: `S_{\text{total}}` as "S_total", `\text{Area}` as "area"."""
    label = _BRACED_TEXT.sub(r"\1", compact(text)).replace("{", "").replace("}", "").strip()
    return label.casefold() if len(label) > 1 and label.replace(" ", "").isalpha() else label


def _are_equal(parts: Sequence[str]) -> bool:
    """Whether the parts of a chain are expressions with the same value, as far as can be told without algebra."""
    trees = [tree for tree in map(_tree, parts) if tree is not None]
    return len(trees) == len(parts) and not any(
        certainly_differ(first, second) and not _rounds(first, second) for first, second in pairwise(trees)
    )


def _rounds(exact: Node, rounded: Node) -> bool:
    """Whether the second tree is a decimal to which the first one rounds."""
    value = approximate(exact)
    if value is None or rounded.op != "num" or "." not in rounded.value or rounded.value.count("/"):
        return False
    return abs(value - float(rounded.value)) <= 0.5 * 10.0 ** -len(rounded.value.partition(".")[2])


def _is_near(exact: Node, rounded: Node) -> bool:
    """Whether two trees are numbers that agree to 1%, or cannot be compared."""
    value, other = approximate(exact), approximate(rounded)
    return value is None or other is None or abs(value - other) <= 0.01 * abs(value)


def _best(parts: Sequence[str]) -> str:
    """The last part of a chain, or the one before it if the last is rounded."""
    if len(parts) > 1 and (first := _tree(parts[-2])) and (last := _tree(parts[-1])):
        return parts[-2] if certainly_differ(first, last) and _rounds(first, last) else parts[-1]
    return parts[-1]


def _tree(text: str) -> Node | None:
    core, unit = split_unit(text)
    tree = parsed(core)
    return Node("*", args=(tree, Node("num", "1/100"))) if tree and unit == "%" else tree


def _is_constant(text: str) -> bool:
    tree = _tree(text)
    return tree is not None and not names(tree)


# Fixed forms, points, ratios.


def _read_number(text: str) -> Answer | None:
    number = plain_number(text)
    return None if number is None else _number(number, text)


def _read_quantity(text: str) -> Answer | None:
    """`1,454 ft`."""
    core, unit = split_unit(text)
    number = plain_number(core) if core != text else None
    return None if number is None else _number(number._replace(unit=unit), "")


def _read_numeral(text: str) -> Answer | None:
    found = numeral(text)
    if isinstance(found, str):
        return _unread(found)
    return None if found is None else _number(found, text)


def _read_compound(text: str) -> Answer | None:
    found = compound(text)
    return None if found is None else _number(found, text)


def _read_fixed_words(text: str) -> Answer | None:
    words = fixed_words(text)
    return None if words is None else Answer("words", "", words=words)


def _read_point(text: str, depth: int) -> Answer | None:
    """`P(4, -1)`."""
    point = _POINT.fullmatch(text)
    if point is None or not encloses(point[2]):
        return None
    answer = _read_list(point[2], depth)
    return None if answer is None or answer.brackets != "()" else answer._replace(label=point[1])


def _read_ratio(text: str) -> Answer | None:
    """A ratio, each part divided by the first, so that 3:4 equals 6:8."""
    parts = text.split(":")
    if not 2 <= len(parts) <= 6:
        return None
    values = [None if (tree := parsed(part)) is None else fold(tree) for part in parts]
    if None in values or not values[0]:
        return None
    parts = [str(value / values[0]) for value in values if value is not None]
    items = [Answer("number", part, value=Fraction(part)) for part in parts]
    return Answer("list", "", items=tuple(items), brackets=":", family="clock" if CLOCK.fullmatch(text) else "")


def _read_cases(text: str, depth: int) -> Answer | None:
    r"""A function in pieces, or a system: the rows of `\begin{cases}…\end{cases}`."""
    match = _CASES.fullmatch(text)
    if match is None or r"\begin" in match[2] or depth >= MAX_LIST_DEPTH:
        return None
    rows = [row.strip(" ,;") for row in re.split(r"\\\\(?:\[\w*\])?|\\newline", match[2]) if row.strip(" ,;")]
    if (
        all("&" in row for row in rows)
        and match[1] == "cases"
        and not all("=" in row.partition("&")[0] for row in rows)
    ):
        pairs = [row.partition("&")[::2] for row in rows]
        read = [_read_tidied(part, depth + 1) for pair in pairs for part in (_case(pair[0]), _condition(pair[1]))]
        return Answer("cases", "", items=tuple(read)) if 0 < len(rows) <= MAX_ITEMS else None
    if match[1] == "array" and (r"&" in match[2] or "=" not in match[2]):
        return None
    return _read(", ".join(row.replace("&", "") for row in rows), depth + 1)


def _case(text: str) -> str:
    return text.strip(" ,;") or "?"


def _condition(text: str) -> str:
    """A condition without the words before it."""
    plain = re.sub(r"\\text\{ ?,? ?(?:if|for|when|where|as|in case)? ?\}|^ ?(?:if|for|when|where) ", "", text)
    return plain.strip(" ,;&") or "?"


# Lists.


def _read_list(text: str, depth: int) -> Answer | None:
    return _read_signed_tuples(text, depth) or _read_items(text, depth)


def _read_signed_tuples(text: str, depth: int) -> Answer | None:
    r"""`(1, \pm 2)` is (1, 2) and (1, -2); `(\pm 1, \pm 2)` is four points."""
    if text[:1] != "(" or not SIGNS.search(text) or not encloses(text):
        return None
    parts = [both_signs(part) for part in split_commas(text[1:-1])]
    if len(parts) < 2 or max(map(len, parts)) < 2 or len(parts) > MAX_LIST_DEPTH:
        return None
    return Answer("list", "", items=tuple(_read_item(f"({', '.join(part)})", depth) for part in product(*parts)))


def _read_items(text: str, depth: int) -> Answer | None:
    split = split_list(text)
    if split is None:
        return None
    brackets, parts = split
    parts = [item for part in parts for item in both_signs(part)]
    if len(parts) > MAX_ITEMS or depth >= MAX_LIST_DEPTH:
        return _unread("list too large")
    items = [_read_item(part, depth) for part in parts]
    if brackets == "{}" or (brackets == "" and all(item.kind == "list" for item in items)):
        items = list(
            {(item.value, item.unit, item.text if item.value is None else ""): item for item in items}.values()
        )
    return Answer("list", "", items=tuple(_flattened(items, brackets)), brackets=brackets)


def _flattened(items: Sequence[Answer], brackets: str) -> Iterator[Answer]:
    r"""The items, with those of a list without brackets in its place: `(1, \pm 2), (3, 4)` is three points."""
    for item in items:
        yield from item.items if item.kind == "list" and item.brackets == "" and brackets in ("", "{}") else (item,)


def _read_item(part: str, depth: int) -> Answer:
    return _read_tidied(part, depth + 1) if part else _unread("empty item")


# Words and expressions.


def _read_words(text: str) -> Answer | None:
    r"""Text in `\text{…}`, or letters and spaces with at least one real word among them."""
    if text.startswith(r"\text{") and text.endswith("}") and text.count("{") == 1:
        inner = text[6:-1].strip()
        return _read_number(inner) or _read_numeral(inner) or Answer("words", "")
    if not _WORDS.fullmatch(text) or _is_spelled(text):
        return None
    is_word = (
        (text[0] == "(" and len(text) <= 4) or any(len(word) > 4 for word in text.split()) or _is_short_phrase(text)
    )
    return Answer("words", "") if is_word else None


def _is_spelled(text: str) -> bool:
    """Whether a text of letters is mathematics: infinity, alpha."""
    tree = _tree(text)
    return tree is not None and not tree.args and len(text) > 1


def _is_short_phrase(text: str) -> bool:
    if parsed(text) is None:
        return True
    # "Yes" and "Bob" parse as products of letters, but nobody writes a product that way.
    return (text[0].isupper() and len(text) > 2 and text[1:].islower()) or text.casefold() in ("yes", "no", "true")


def _read_equation(text: str) -> Answer | None:
    """An equation that is not a label and its value."""
    left, equals, right = text.partition("=")
    if not equals or "=" in right:
        return None
    first, second = parsed(left), parsed(right)
    if first is None or second is None:
        return None
    tree = Node("+", args=(first, Node("neg", args=(second,))))
    value = _read_expression(right.strip())
    is_quantity = names(first) and not names(second) and _is_quantity(first) and fold(second) != 0
    return Answer("equation", "", node=tree, items=(value,) if is_quantity else ())


def _is_quantity(tree: Node) -> bool:
    """Whether a tree is put together from names alone, as `a + b` or `AB/CD` is: something to be asked for."""
    return tree.op == "name" or (tree.op in ("+", "*", "inv") and all(map(_is_quantity, tree.args)))


def _read_expression(text: str) -> Answer:
    core, unit = split_unit(text)
    if unit and measure(unit) is None and not _DIGIT.search(core):
        return _unread("words after letters")
    try:
        node = without_spelling(parse(core))
    except ParseError as error:
        return _unread(str(error))
    if has_matrix(node):
        return _read_matrix(node)
    value = fold(node)
    if value is not None and (found := scientific(core)):
        return _number(found._replace(unit=unit), "")._replace(node=node)
    return Answer("expression" if value is None else "number", "", value=value, node=node, unit=unit)


def _read_matrix(node: Node) -> Answer:
    """Sums and products of matrices, worked out."""
    matrix = evaluated(node)
    if matrix is None:
        return _unread("matrices that cannot be combined")
    cells = [
        Answer("expression" if fold(cell) is None else "number", "", value=fold(cell), node=cell)
        for cell in matrix.args
    ]
    return Answer("list", "", items=tuple(cells), brackets=f"matrix {matrix.value}")


_CONTEXTS: tuple[_Row, ...] = (
    (" ", _read_without_hedge),
    ("(", _read_with_remark),
    ("", _read_with_clause),
    (r"\begin", _read_cases),
    ("mod", _read_congruence),
    ("", _read_region),
    ("", _read_after_colon),
    (r"\approx", _read_approximation),
    ("", _read_relation),
)
"""Tried first, in this order; most remove what surrounds an answer and read the rest."""
_KINDS: tuple[_Row, ...] = (
    ("", _at_any_depth(_read_number)),
    ("", _at_any_depth(_read_numeral)),
    ("", _at_any_depth(_read_fixed_words)),
    ("", _at_any_depth(_read_compound)),
    ("", _at_any_depth(_read_quantity)),
    ("(", _read_point),
    ("", _read_list),
    ("", _at_any_depth(_read_words)),
    (":", _at_any_depth(_read_ratio)),
    ("=", _at_any_depth(_read_equation)),
    ("", _at_any_depth(_read_expression)),
)
"""The kinds of answer, in order; the last reads any text. A new kind is a function and a row here."""
