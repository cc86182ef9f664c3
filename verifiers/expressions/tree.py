"""The tree of an expression: its nodes, its variables, and its exact value where it has one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from math import ceil, comb, factorial, floor, gcd, isqrt, lcm, prod
from operator import add, mul
from typing import Any, NamedTuple

MAX_TERMS = 1_000
"""Most terms of a sum or product over a range that are added up."""
MAX_BITS = 12_000
"""Largest integer, in bits, that `fold` builds; below the 4,300 digits beyond which Python refuses to print it."""
_MAX_FACTORIAL = 800
_MAX_TOP = 2_000
RANGES = frozenset({"sum", "prod", "int"})
"""Operations that have a bound variable."""


class Node(NamedTuple):
    """One node of the tree.

    `op` is "num", "name", "const" (leaf, text in `value`), "+", "*" (any number of arguments), "neg", "inv", "^",
    "!", "!!", "binom" (top, bottom), "root" (degree, radicand), "log" (base, argument), "mod" (dividend, divisor),
    "call" (function's name in `value`), "sum", "prod" or "int" (bound variable in `value`; first, last, term), "apply"
    (the function's name in `value`; a letter before a bracket), or "matrix" (its shape in `value`, such as "2x3"; cells
    by rows).
    """

    op: str
    value: str = ""
    args: tuple[Node, ...] = ()

    def as_json(self) -> list[Any]:
        """The tree as nested lists, to send to the worker."""
        return [self.op, self.value, [arg.as_json() for arg in self.args]]


def fold(node: Node) -> Fraction | None:
    """The exact value of a tree; None if it is not rational, not constant or too large.

    >>> fold(Node("+", args=(Node("num", "1.5"), Node("num", "1/2"))))
    Fraction(2, 1)
    """
    if node.op == "num":
        return _number(node.value)
    if node.op in RANGES:
        return _fold_range(node) if node.op != "int" else None
    values = []
    for arg in node.args:
        value = fold(arg)
        if value is None:
            return None
        values.append(value)
    return _bounded(_combine(node.value if node.op == "call" else node.op, values)) if values else None


@lru_cache(maxsize=4_096)
def _number(text: str) -> Fraction:
    return Fraction(text)


def _bounded(value: Fraction | None) -> Fraction | None:
    return None if value is None or _bits(value) > MAX_BITS else value


def _fold_range(node: Node) -> Fraction | None:
    """The sum or product of the terms, if there are at most `MAX_TERMS`."""
    terms = terms_of(node)
    if terms is None:
        return None
    total = Fraction(node.op == "prod")
    for term in terms:
        value = fold(term)
        total = total + value if node.op == "sum" and value is not None else total * (value or 0)
        if value is None or _bits(total) > MAX_BITS:
            return None
    return total


def terms_of(node: Node) -> Iterator[Node] | None:
    """The terms of a sum or product whose range is known and has at most `MAX_TERMS`; else None."""
    first, last = fold(node.args[0]), fold(node.args[1])
    if first is None or last is None or first.denominator != 1 or last.denominator != 1:
        return None
    if not 0 <= last - first < MAX_TERMS:
        return None
    numbers = (Node("num", str(number)) for number in range(int(first), int(last) + 1))
    return (substitute(node.args[2], {node.value: number}) for number in numbers)


def _combine(op: str, values: list[Fraction]) -> Fraction | None:
    if op in _WHOLE_VALUES:
        return _WHOLE_VALUES[op](values) if all(value.denominator == 1 for value in values) else None
    if op in _VALUES:
        return _VALUES[op](values)
    match op, values:
        case "inv", [value] if value:
            return 1 / value
        case "^", [base, exponent]:
            return _power(base, exponent)
        case "root", [degree, radicand]:
            return _root(degree, radicand)
        case "mod", [value, divisor] if divisor:
            return value % divisor
    return None


def _factorial(values: list[Fraction]) -> Fraction | None:
    return Fraction(factorial(int(values[0]))) if 0 <= values[0] <= _MAX_FACTORIAL else None


def _double_factorial(values: list[Fraction]) -> Fraction | None:
    number = int(values[0])
    return Fraction(prod(range(number, 0, -2))) if 0 <= number <= _MAX_FACTORIAL else None


def _binomial(values: list[Fraction]) -> Fraction | None:
    top, bottom = map(int, values)
    return Fraction(comb(top, bottom)) if 0 <= bottom <= top <= _MAX_TOP else None


_WHOLE_VALUES: dict[str, Callable[[list[Fraction]], Fraction | None]] = {
    "!": _factorial,
    "!!": _double_factorial,
    "binom": _binomial,
    "gcd": lambda values: Fraction(gcd(*map(int, values))),
    "lcm": lambda values: Fraction(lcm(*map(int, values))),
}
"""The operations that only whole numbers have."""
_VALUES: dict[str, Callable[[list[Fraction]], Fraction | None]] = {
    "+": lambda values: _reduce(add, values),
    "*": lambda values: _reduce(mul, values),
    "neg": lambda values: -values[0],
    "max": max,
    "min": min,
    "abs": lambda values: abs(values[0]),
    "floor": lambda values: Fraction(floor(values[0])),
    "ceil": lambda values: Fraction(ceil(values[0])),
}


def _reduce(combine: Callable[[Fraction, Fraction], Fraction], values: list[Fraction]) -> Fraction | None:
    result = values[0]
    for value in values[1:]:
        result = combine(result, value)
        if _bits(result) > MAX_BITS:
            return None
    return result


def _power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if exponent.denominator != 1 or abs(exponent) > MAX_BITS or (not base and exponent <= 0):
        return None
    return base ** int(exponent) if _bits(base) * abs(exponent) <= MAX_BITS else None


def _root(degree: Fraction, radicand: Fraction) -> Fraction | None:
    """The root if it is rational, else None; of a negative number the real root, of odd degree only."""
    if degree.denominator != 1 or not 1 < degree <= 12 or (radicand < 0 and degree % 2 == 0):
        return None
    parts = [_whole_root(abs(part), int(degree)) for part in (radicand.numerator, radicand.denominator)]
    if parts[0] is None or parts[1] is None:
        return None
    return Fraction(parts[0] if radicand >= 0 else -parts[0], parts[1])


def _whole_root(value: int, degree: int) -> int | None:
    """The root if it is whole, else None; by Newton's method, from above."""
    if degree == 2:
        root = isqrt(value)
    else:
        root = 1 << -(-value.bit_length() // degree)
        while (better := ((degree - 1) * root + value // root ** (degree - 1)) // degree) < root:
            root = better
    return root if root**degree == value else None


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


_NONE = frozenset[str]()


def names(node: Node) -> frozenset[str]:
    """The names of a tree's variables."""
    own = frozenset({node.value}) if node.op in ("name", "apply") else _NONE
    if not node.args:
        return own
    found = own.union(*map(names, node.args))
    return found - {node.value} if node.op in RANGES else found


def constants(node: Node) -> frozenset[str]:
    """The names of a tree's constants, such as "pi"."""
    own = frozenset({node.value}) if node.op == "const" else _NONE
    return own.union(*map(constants, node.args)) if node.args else own


def substitute(node: Node, values: Mapping[str, Node]) -> Node:
    """The tree with other trees in place of variables."""
    if node.op == "name":
        return values.get(node.value, node)
    return _with(node, tuple(substitute(arg, values) for arg in node.args)) if node.args else node


def has_calls(node: Node) -> bool:
    """Whether a letter stands before a bracket somewhere in a tree."""
    return node.op == "apply" or any(map(has_calls, node.args))


def as_products(node: Node) -> Node:
    """The tree with P(1 + r) as a product; f and g are functions always."""
    if node.op == "^" and _is_product(node.args[0]):  # P(1 + r)^2 has the power on the bracket
        (inner,), exponent = node.args[0].args, node.args[1]
        power = Node("^", args=(as_products(inner), as_products(exponent)))
        return Node("*", args=(Node("name", node.args[0].value), power))
    args = tuple(map(as_products, node.args))
    return Node("*", args=(Node("name", node.value), *args)) if _is_product(node) else node._replace(args=args)


def _is_product(node: Node) -> bool:
    return node.op == "apply" and len(node.args) == 1 and node.value not in ("f", "g")


def exchanged(node: Node, old: Node, new: Node) -> Node:
    """The tree with a new leaf in place of an old one."""
    return new if node == old else node._replace(args=tuple(exchanged(arg, old, new) for arg in node.args))


def operations(node: Node) -> Iterator[str]:
    """The operations of a tree, its own first."""
    yield node.op
    for arg in node.args:
        yield from operations(arg)


def without_spelling(node: Node) -> Node:
    """The tree with each number in one spelling: 1.50 and 1.5 become 3/2."""
    if node.op == "num":
        return node if node.value.isdigit() and node.value[0] != "0" else Node("num", str(Fraction(node.value)))
    return _with(node, tuple(map(without_spelling, node.args))) if node.args else node


def _with(node: Node, args: tuple[Node, ...]) -> Node:
    """The node with other arguments; itself if they are the same."""
    is_same = all(new is old for new, old in zip(args, node.args, strict=True))
    return node if is_same else Node(node.op, node.value, args)
