"""The value of a tree in floating point, with an error bound: values that are far apart need no algebra.

Every value carries a bound on its rounding error, so that two values are called different only if they are. A tree that
leaves the real numbers or the range of floats has no value here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from .tree import Node, fold, names, terms_of

_EPSILON = 2.0**-50
_LARGEST = 1e250
_SCALES = (0.7310585, 1.8214927, -1.2941176)
"""The variables take the square roots of 1, 2, 3, … times each of these."""
_CONSTANTS = {"pi": math.pi, "e": math.e}


class Value(NamedTuple):
    """A number, and a bound on its distance from the true value."""

    value: float
    error: float


def evaluate(node: Node, values: Mapping[str, float]) -> Value | None:
    """The value of a tree at these values of its variables.

    Returns:
        None if it is not a real number or too large, or if a small error in an argument leaves the function's domain.
    """
    try:
        found = _evaluate(node, values)
    except (ArithmeticError, ValueError, KeyError):
        return None
    is_usable = math.isfinite(found.value) and abs(found.value) < _LARGEST and math.isfinite(found.error)
    return found if is_usable else None


def approximate(node: Node) -> float | None:
    """The value of a tree without variables, good to ten digits; None if that precision is out of reach.

    >>> approximate(Node("const", "pi"))
    3.141592653589793
    """
    found = evaluate(node, {})
    return None if found is None or found.error > abs(found.value) * 1e-10 else found.value


def certainly_differ(first: Node, second: Node) -> bool:
    """Whether two trees have different values at one of a few points; False proves nothing.

    >>> certainly_differ(Node("name", "x"), Node("name", "y"))
    True
    """
    variables = tuple(sorted(names(first) | names(second)))
    scales = _SCALES if variables else _SCALES[:1]
    return any(_are_apart(_value_at(first, variables, at), _value_at(second, variables, at)) for at in scales)


@lru_cache(maxsize=4_096)
def _value_at(tree: Node, variables: tuple[str, ...], scale: float) -> Value | None:
    """The value of a tree at one of the points at which trees are compared."""
    return evaluate(tree, {name: scale * (i + 1) ** 0.5 for i, name in enumerate(variables)})


def _are_apart(first: Value | None, second: Value | None) -> bool:
    if first is None or second is None:
        return False
    return abs(first.value - second.value) > first.error + second.error


@lru_cache(maxsize=1_024)
def step_of(tree: Node) -> float | None:
    """The growth of a linear tree in one variable from one integer to the next; None if not linear."""
    (variable,) = names(tree)
    first, second = (evaluate(tree, {variable: value}) for value in (1.0, 2.0))
    return second.value - first.value if first and second and is_linear(tree) else None


@lru_cache(maxsize=1_024)
def is_linear(tree: Node) -> bool:
    """Whether a tree's values lie on a line in two directions: then it counts as linear in its variables.

    >>> is_linear(Node("*", args=(Node("name", "x"), Node("num", "2"))))
    True
    """
    variables = sorted(names(tree))
    return all(_is_straight(tree, variables, slope) for slope in (0.7310585, -1.2941176))


def _is_straight(tree: Node, variables: list[str], slope: float) -> bool:
    steps = [{name: 1 + t * slope ** (i + 1) for i, name in enumerate(variables)} for t in (0, 1, 2)]
    found = [evaluate(tree, values) for values in steps]
    if found[0] is None or found[1] is None or found[2] is None:
        return False
    bend = found[0].value - 2 * found[1].value + found[2].value
    return abs(bend) <= 1e-9 * sum(abs(value.value) + value.error for value in found if value is not None)


def _evaluate(node: Node, values: Mapping[str, float]) -> Value:
    if node.op == "num":
        top, _, bottom = node.value.partition("/")
        return _rounded(float(top) / float(bottom or 1), 0.0)
    if node.op == "const":
        return _rounded(_CONSTANTS[node.value], 0.0)
    if node.op == "name":
        return Value(values[node.value], 0.0)
    if node.op in ("sum", "prod", "mod"):
        return _evaluate_range(node, values)
    if node.op == "apply":
        return _apply(node.value, [_evaluate(arg, values) for arg in node.args])
    arguments = [_evaluate(arg, values) for arg in node.args]
    return (_FUNCTIONS[node.value] if node.op == "call" else _OPERATIONS[node.op])(*arguments)


def _evaluate_range(node: Node, values: Mapping[str, float]) -> Value:
    """A sum or product over a known range; a remainder only if it is exact, for it jumps."""
    if node.op == "mod":
        exact = fold(node)
        if exact is None:
            raise ValueError
        return _rounded(float(exact), 0.0)
    terms = terms_of(node)
    if terms is None:
        raise ValueError
    return _OPERATIONS["+" if node.op == "sum" else "*"](*(_evaluate(term, values) for term in terms))


def _apply(name: str, arguments: list[Value]) -> Value:
    """The value of an unknown function: expressions in it that are equal are so for this one too."""
    seed = float(sum(name.encode()))
    return _spread(
        lambda *found: sum(math.sin(seed + 1.7 * x) + x * x / (i + 3) for i, x in enumerate(found)), *arguments
    )


def _rounded(value: float, error: float) -> Value:
    return Value(value, error + abs(value) * _EPSILON)


def _add(*terms: Value) -> Value:
    scale = sum(abs(term.value) for term in terms)
    return Value(sum(term.value for term in terms), sum(term.error for term in terms) + scale * _EPSILON)


def _multiply(*factors: Value) -> Value:
    product = Value(1.0, 0.0)
    for factor in factors:
        error = abs(product.value) * factor.error + abs(factor.value) * product.error + product.error * factor.error
        product = _rounded(product.value * factor.value, error)
    return product


def _inverse(argument: Value) -> Value:
    room = abs(argument.value) - argument.error
    if room <= 0:
        raise ValueError
    return _rounded(1 / argument.value, argument.error / (room * abs(argument.value)))


def _power(base: Value, exponent: Value) -> Value:
    if base.value < 0 and (exponent.error or exponent.value != int(exponent.value)):
        raise ValueError
    return _spread(lambda b, e: math.pow(b, e), base, exponent)


def _whole_power(base: Value, exponent: Value) -> Value:
    is_whole = exponent.value == int(exponent.value)
    return _power(base, Value(exponent.value, 0.0) if is_whole else exponent)


def _root(degree: Value, radicand: Value) -> Value:
    if radicand.value - radicand.error < 0:
        raise ValueError
    return _spread(lambda d, r: math.pow(r, 1 / d), Value(degree.value, 0.0), radicand)


def _spread(function: Callable[..., float], *arguments: Value) -> Value:
    """A function's value; its error is twice how far it moves when its arguments move by their errors."""
    value = function(*(argument.value for argument in arguments))
    moved = 0.0
    for i, argument in enumerate(arguments):
        step = max(argument.error, abs(argument.value) * _EPSILON, 1e-300)
        for sign in (-1, 1):
            shifted = [a.value + sign * step if j == i else a.value for j, a in enumerate(arguments)]
            moved += abs(_or_nan(function, *shifted) - value)
    if math.isnan(moved):
        raise ValueError
    return _rounded(value, 2 * moved)


def _or_nan(function: Callable[..., float], *arguments: float) -> float:
    try:
        return function(*arguments)
    except (ArithmeticError, ValueError):
        return math.nan


def _of(function: Callable[[float], float]) -> Callable[..., Value]:
    return lambda argument: _spread(function, argument)


def _factorial(argument: Value) -> Value:
    if argument.value != int(argument.value) or not 0 <= argument.value <= 150:
        raise ValueError
    return _rounded(float(math.factorial(int(argument.value))), 0.0)


def _double_factorial(argument: Value) -> Value:
    if argument.value != int(argument.value) or not 0 <= argument.value <= 150:
        raise ValueError
    return _rounded(float(math.prod(range(int(argument.value), 0, -2))), 0.0)


_OPERATIONS: dict[str, Callable[..., Value]] = {
    "+": _add,
    "*": _multiply,
    "neg": lambda argument: Value(-argument.value, argument.error),
    "inv": _inverse,
    "^": _whole_power,
    "root": _root,
    "!": _factorial,
    "!!": _double_factorial,
    "log": lambda base, argument: _spread(lambda b, a: math.log(a) / math.log(b), base, argument),
}
_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "abs": lambda argument: Value(abs(argument.value), argument.error),
    "sqrt": lambda argument: _root(Value(2.0, 0.0), argument),
    "ln": _of(math.log),
    **{name: _of(getattr(math, name)) for name in ("sin", "cos", "tan", "exp", "sinh", "cosh", "tanh")},
    "max": lambda *arguments: Value(max(a.value for a in arguments), max(a.error for a in arguments)),
    "min": lambda *arguments: Value(min(a.value for a in arguments), max(a.error for a in arguments)),
    "arcsin": _of(math.asin),
    "arccos": _of(math.acos),
    "arctan": _of(math.atan),
    "cot": _of(lambda x: 1 / math.tan(x)),
    "coth": _of(lambda x: 1 / math.tanh(x)),
    "arccot": _of(lambda x: math.pi / 2 - math.atan(x)),
    "sec": _of(lambda x: 1 / math.cos(x)),
    "csc": _of(lambda x: 1 / math.sin(x)),
}
