r"""Reads sets of real numbers as people write them, and inequalities that describe no such set.

`read_region` takes inequalities in one variable (`x < 1 or x \geq 3`, `2x > 4`, `|x - 1| < 2`, `x^2 > 4`), set-builder
notation, all reals, exclusions (`\mathbb{R} \setminus \{1, 2\}`, `x \neq 1, 2`) and unions of intervals. An inequality
in several variables (`a < b < c`) is read by `read_relations`. Texts are tidied (`prm.verifiers.normalize`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from ..expressions.numeric import approximate, is_linear
from ..expressions.parser import parse, parsed
from ..expressions.regions import (
    EVERYTHING,
    NOTHING,
    Region,
    any_of,
    both,
    bounded,
    compare_regions,
    interval,
    outside,
    points,
)
from ..expressions.tree import Node, fold, names, substitute
from ..verdict import Finding, Outcome

_VARIABLE = r"\\?[A-Za-z](?:[a-z]{3,6})?'?(?:_\{?\w{1,3}\}?)?"
_NAME = re.compile(rf"{_VARIABLE}(?:\({_VARIABLE}\))?|\|[A-Z]{{2}}\||[A-Z]{{2}}|\\angle ?[A-Z]{{1,3}}")
_PARAMETERS = frozenset("abc")
_SIGN = re.compile(r"(\\(?:leq|geq|neq)(?![A-Za-z])|<=|>=|!=|=|<|>)")
_INEQUALITY = re.compile(r"\\(?:leq|geq|neq)(?![A-Za-z])|!=|<|>")
_OPPOSITE = {"<": ">", ">": "<", r"\leq": r"\geq", r"\geq": r"\leq", r"\neq": r"\neq", "=": "="}
_PLAIN = {"<=": r"\leq", ">=": r"\geq", "!=": r"\neq"}
_OR = re.compile(r",? ?(?:\\text\{ ?,? ?or ?\}|\bor\b|\\vee(?![A-Za-z])|\\lor(?![A-Za-z])) ?")
_AND = re.compile(r",? ?(?:\\text\{ ?,? ?(?:and|but) ?\}|\b(?:and|but)\b|\\wedge(?![A-Za-z])|\\land(?![A-Za-z])) ?")
_BUILDER = re.compile(rf"\\?\{{ ?({_VARIABLE})(?: ?\\in ?\\mathbb\{{R\}})? ?[|:] ?(.*?) ?\\?\}}")
_REALS = re.compile(
    r"\\mathbb\{R\}|\(?(?:the )?(?:set of )?all (?:the )?reals?(?: numbers?)?\)?"
    r"|\\text\{ ?\(?all reals?(?: numbers?)?\)? ?\}",
    re.IGNORECASE,
)
_EXCEPT = re.compile(
    r"(?:all real numbers?|all reals|all values|all (?:real )?(?:values of )?[a-z])(?: [a-z])?,? "
    r"(?:except|other than|but|not equal to)(?: for| when| at)?(?: [a-z] ?=)? ?(.+)",
    re.IGNORECASE,
)
_COMBINED = re.compile(r"\\(?:c[ua]p|setminus|backslash|mathbb)|[-\\] ?\\?\{|\breal|\ball\b", re.IGNORECASE)
"""Something that only a combination of sets has."""
_MINUS = re.compile(r" ?(?:\\setminus|\\backslash)(?![A-Za-z]) ?| ?(?:-|\\(?= ?\\)) ?(?=\\?\{)")
DEPTHS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
"""How each bracket changes the depth of nesting."""


def depth_of(text: str) -> int:
    """How many more brackets a text opens than it closes."""
    return sum(map(text.count, "([{")) - sum(map(text.count, ")]}"))


class Found(NamedTuple):
    """A region, and the variable that lies in it."""

    region: Region
    variable: str
    """As written; "" for a dummy variable, as in set-builder notation."""


class Relation(NamedTuple):
    r"""An inequality: a tree that is below, at most, or not zero."""

    sign: str
    r"""One of "<", "\leq" and "\neq"."""
    tree: Node


def read_region(text: str) -> Found | None:
    r"""Read a text that describes a set of real numbers; None for any other text, a single interval too.

    >>> read_region("x < 1").region.op, read_region("2x > 4").variable, read_region("(1, 2)")
    ('<', 'x', None)
    """
    if built := _BUILDER.fullmatch(text):
        inner = _condition(built[2])
        return None if inner is None or inner.variable != built[1] else Found(inner.region, "")
    if _INEQUALITY.search(text):
        return _condition(text)
    region = _combined(text) if _COMBINED.search(text) else None
    return None if region is None else Found(region, "")


def built_member(text: str) -> str | None:
    r"""The condition of a set-builder text: `x = 3k, k \in …` for `\{x | x = 3k, k \in \mathbb{Z}\}`."""
    built = _BUILDER.fullmatch(text)
    label, equals, _ = built[2].partition("=") if built else ("", "", "")
    return built[2].strip() if built and (not equals or label.strip() == built[1]) else None


# Unions, exclusions and all reals.


def _combined(text: str) -> Region | None:
    if _REALS.fullmatch(text):
        return EVERYTHING
    if excepted := _EXCEPT.fullmatch(text):
        excluded = _points(_AND.sub(", ", excepted[1].strip()))
        return None if excluded is None else outside(excluded)
    for mark, combine in _OPERATORS:
        parts = _split(text, mark)
        if len(parts) > 1:
            read = [_part(part) for part in parts]
            found = [part for part in read if part is not None]
            return combine(found) if len(found) == len(parts) else None
    return None


def _without(parts: Sequence[Region]) -> Region:
    return both(parts[0], outside(any_of(parts[1:])))


def _within_all(parts: Sequence[Region]) -> Region:
    return Region("and", parts=tuple(parts))


_OPERATORS: tuple[tuple[re.Pattern[str], Callable[[Sequence[Region]], Region]], ...] = (
    (re.compile(r" ?\\cup(?![A-Za-z]) ?"), any_of),
    (re.compile(r" ?\\cap(?![A-Za-z]) ?"), _within_all),
    (_MINUS, _without),
)


def _part(text: str) -> Region | None:
    r"""One operand of `\cup`: an interval, a set of numbers, or a combination."""
    if text[:1] in ("(", "[") and text[-1:] in (")", "]") and len(ends := _split(text[1:-1], _COMMA)) == 2:
        low, high = map(parsed, ends)
        return None if low is None or high is None else interval(text[0] + text[-1], low, high)
    plain = text.replace(r"\{", "{").replace(r"\}", "}")
    if plain.startswith("{") and plain.endswith("}"):
        built = read_region(text)
        return built.region if built else _points(plain[1:-1])
    return _combined(text)


def _points(text: str) -> Region | None:
    r"""`1, 2` or `\pm 1`."""
    trees = [
        parsed(part.replace(r"\pm", sign, 1).removeprefix("+").strip())
        for part in _split(text, _COMMA)
        for sign in (("+", "-") if r"\pm" in part else ("",))
    ]
    found = [tree for tree in trees if tree is not None]
    return points(found) if len(found) == len(trees) else None


_COMMA = re.compile(r" ?[,;] ?")


def _split(text: str, mark: re.Pattern[str]) -> list[str]:
    """The parts between the marks outside all brackets."""
    parts, start = [], 0
    for match in mark.finditer(text):
        if match.start() > 0 and depth_of(text[start : match.start()]) == 0:
            parts.append(text[start : match.start()].strip())
            start = match.end()
    return [*parts, text[start:].strip()]


# Inequalities.


def _condition(text: str) -> Found | None:
    return _joined(_split(text, _OR), _conjunction, any_of)


def _conjunction(text: str) -> Found | None:
    return _joined(_split(text, _AND), _commas, _within_all)


def _commas(text: str) -> Found | None:
    r"""Conditions with commas between them; if no number can meet all, any one will do: `x < -2, x > 2`."""
    parts = _split(text, _COMMA)
    for i in range(len(parts) - 1, 0, -1):  # "x \neq 1, 2"
        if not _SIGN.search(parts[i]) and r"\neq" in parts[i - 1]:
            excluded = parts.pop(i)
            name = parts[i - 1].partition(r"\neq")[0].strip()
            parts.insert(i, rf"{name} \neq {excluded}")
    found = _joined(parts, _chain, _within_all)
    if found is None or len(parts) < 2 or not _is_empty(found.region):
        return found
    return Found(any_of(found.region.parts), found.variable)


def _is_empty(region: Region) -> bool:
    return compare_regions(region, NOTHING, _same_number).outcome is Outcome.CORRECT


def _same_number(first: Node, second: Node) -> Finding:
    mine, theirs = fold(first), fold(second)
    if mine is None or theirs is None:
        return Finding(Outcome.ERROR if first != second else Outcome.CORRECT, "")
    return Finding(Outcome.CORRECT if mine == theirs else Outcome.INCORRECT, "")


def _joined(
    parts: Sequence[str], read: Callable[[str], Found | None], combine: Callable[[Sequence[Region]], Region]
) -> Found | None:
    """The combination of the parts, which must be about one variable."""
    found = [read(part) for part in parts]
    known = [part for part in found if part is not None]
    if len(known) < len(found) or len({part.variable for part in known}) != 1:
        return None
    return known[0] if len(known) == 1 else Found(combine([part.region for part in known]), known[0].variable)


def _chain(text: str) -> Found | None:
    r"""`x < 3`, `3 > x`, `1 < 2x \leq 3`, `x = 1`, `x \in [1, 2)`."""
    name, member, where = text.partition(r"\in ")
    if member and _NAME.fullmatch(name.strip()):
        region = _part(where.strip())
        return None if region is None else Found(region, name.strip())
    terms, signs = _terms(text)
    if not signs or not all(terms):
        return None
    steps = zip(pairwise(terms), signs, strict=True)
    return _joined_steps([_solved(left, sign, right) for (left, right), sign in steps])


def _joined_steps(steps: Sequence[Found | None]) -> Found | None:
    known = [step for step in steps if step is not None]
    if len(known) < len(steps) or len({step.variable for step in known}) != 1:
        return None
    return Found(_within_all([step.region for step in known]), known[0].variable) if len(known) > 1 else known[0]


def _terms(text: str) -> tuple[list[str], list[str]]:
    parts = [part.strip() for part in _SIGN.split(text)]
    return parts[::2], [_PLAIN.get(sign, sign) for sign in parts[1::2]]


def _solved(left: str, sign: str, right: str) -> Found | None:
    """The numbers for which `left sign right`; None if that is not known."""
    if _is_variable(right) and not _is_variable(left):
        left, sign, right = right, _OPPOSITE[sign], left
    if _is_variable(left) and not _is_variable(right):
        return _bounded(left, sign, right)
    first, second = parsed(left), parsed(right)
    if first is None or second is None:
        return None
    found = names(first) | names(second)
    if len(found) != 1:
        return None
    (variable,) = found
    region = _solve(first, sign, second, variable)
    return None if region is None else Found(region, variable)


def _is_variable(text: str) -> bool:
    """Whether a text is the name of what is bounded; a, b and c are taken for bounds where there is another name."""
    return _NAME.fullmatch(text) is not None and text not in _PARAMETERS


def _bounded(name: str, sign: str, right: str) -> Found | None:
    if r"\pm" in right and sign in ("=", r"\neq"):
        both_points = _points(right)
        region = both_points if sign == "=" or both_points is None else outside(both_points)
        return None if region is None else Found(region, name)
    bound, own = parsed(right), parsed(name)
    if bound is None or (own is not None and names(own) & names(bound)):
        return None
    return Found(bounded(sign, bound), name)


def _solve(left: Node, sign: str, right: Node, variable: str) -> Region | None:
    """The numbers for which `left sign right`, of sides that are linear or quadratic, or an absolute value."""
    for side, other, turned in ((left, right, sign), (right, left, _OPPOSITE[sign])):
        if side.op == "call" and side.value == "abs" and not names(other):
            return _solve_absolute(side.args[0], turned, other, variable)
    tree = Node("+", args=(left, Node("neg", args=(right,))))
    return _solve_linear(tree, sign, variable) or _solve_quadratic(tree, sign, variable)


def _solve_absolute(inner: Node, sign: str, limit: Node, variable: str) -> Region | None:
    size = approximate(limit)
    if size is None:
        return None
    if size < 0:
        return NOTHING if sign in ("<", r"\leq", "=") else EVERYTHING
    upper = _solve(inner, sign, limit, variable)
    lower = _solve(inner, _OPPOSITE[sign], Node("neg", args=(limit,)), variable)
    if upper is None or lower is None:
        return None
    return both(upper, lower) if sign in ("<", r"\leq", r"\neq") else any_of([upper, lower])


def _solve_linear(tree: Node, sign: str, variable: str) -> Region | None:
    if not is_linear(tree):
        return None
    start, end = (substitute(tree, {variable: Node("num", value)}) for value in "01")
    slope = Node("+", args=(end, Node("neg", args=(start,))))
    direction = approximate(slope)
    if not direction:
        return None
    root = Node("neg", args=(Node("*", args=(start, Node("inv", args=(slope,)))),))
    exact = fold(root)
    return bounded(sign if direction > 0 else _OPPOSITE[sign], root if exact is None else Node("num", str(exact)))


def _solve_quadratic(tree: Node, sign: str, variable: str) -> Region | None:
    values = [fold(substitute(tree, {variable: Node("num", str(point))})) for point in _PROBES]
    exact = [value for value in values if value is not None]
    if len(exact) < len(values):
        return None
    c, b, a = exact[0], (exact[1] - exact[2]) / 2, (exact[1] + exact[2]) / 2 - exact[0]
    if not a or any(a * x * x + b * x + c != value for x, value in zip(_PROBES, exact, strict=True)):
        return None
    if a < 0:
        a, b, c, sign = -a, -b, -c, _OPPOSITE[sign]
    square = b * b - 4 * a * c
    if square < 0:
        return EVERYTHING if sign in (">", r"\geq", r"\neq") else NOTHING
    low, high = (parse(f"(-({b})+({side})*sqrt({square}))/({2 * a})") for side in (-1, 1))
    outer = any_of([bounded(_OPPOSITE.get(sign, sign), low), bounded(sign, high)])
    return outer if sign in (">", r"\geq", "=") else both(bounded(_OPPOSITE[sign], low), bounded(sign, high))


_PROBES = tuple(Fraction(text) for text in ["0", "1", "-1", "2", "-2", "5", "7/3", "-11/7"])
"""Points at which a tree must agree with the parabola through the first three to count as quadratic."""


# Other inequalities.


def read_relations(text: str) -> tuple[Relation, ...] | None:
    r"""Read inequalities in several variables, `a < b < c` or `x + y \leq 3, x > y`; None for any other text.

    >>> [relation.sign for relation in read_relations("a < b < c")]
    ['<', '<']
    """
    if not _INEQUALITY.search(text) or _OR.search(text):
        return None
    found: list[Relation] = []
    for part in (piece for commas in _split(text, _AND) for piece in _split(commas, _COMMA)):
        terms, signs = _terms(part)
        trees = [tree for tree in map(parsed, terms) if tree is not None]
        if not signs or len(trees) < len(terms) or "=" in signs:
            return None
        found += [_relation(*pair, sign) for pair, sign in zip(pairwise(trees), signs, strict=True)]
    return tuple(found)


def _relation(left: Node, right: Node, sign: str) -> Relation:
    if sign in (">", r"\geq"):
        left, right, sign = right, left, _OPPOSITE[sign]
    return Relation(sign, Node("+", args=(left, Node("neg", args=(right,)))))
