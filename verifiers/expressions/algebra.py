"""Compares two trees with sympy. Imported by the worker process only: everything here may hang or eat memory.

A tree has the form that `Node.as_json` returns: `[op, value, [arguments]]`. Sizes of powers and factorials are bounded
before sympy builds them; a comparison that is still too slow is stopped from outside, by killing the process.

First both trees are evaluated at the same few points with 50 digits: unequal values prove a difference. Points where
either value is not finite, or where a value should be real but is not, decide nothing. If the values agree at all
points, `expand` and `simplify` look for a proof: a difference that is a nonzero number proves the trees different.
Without a proof either way, equality at all points counts as equality, and the reason says so.

A `log` without a base may be base 10 or e, so it is `k * ln` with an unknown k, distinct from `ln`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import sympy
from sympy.core.function import AppliedUndef

MAX_BITS = 100_000
"""Largest integer, in bits, that a power may produce."""
MAX_FACTORIAL = 5_000
MAX_TERMS = 1_000
"""Most terms of a sum or product that are added one by one."""
DIGITS = 50
POINTS = 10
"""Points drawn per comparison; half of them may be negative in each variable."""
SCALES = (1, 1, 1, 1, 1, 10, 100, 1000)
"""Factors for the coordinates of the points: small ones alone cannot tell |x - 100| from 100 - x."""
_LOG_FACTOR = sympy.Symbol("log_base_factor", positive=True)
_CONSTANTS = {"pi": sympy.pi, "oo": sympy.oo, "i": sympy.I, "e": sympy.E}
_FUNCTIONS = {
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "cot": sympy.cot,
    "sec": sympy.sec,
    "csc": sympy.csc,
    "arcsin": sympy.asin,
    "arccos": sympy.acos,
    "arctan": sympy.atan,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "tanh": sympy.tanh,
    "coth": sympy.coth,
    "arccot": lambda argument: sympy.pi / 2 - sympy.atan(argument),
    "max": sympy.Max,
    "min": sympy.Min,
    "gcd": lambda *arguments: _of_whole(sympy.gcd_list, "gcd", arguments),
    "lcm": lambda *arguments: _of_whole(sympy.lcm_list, "lcm", arguments),
    "bar": sympy.Function("bar"),
    "int": sympy.Function("int"),
    "derivative": sympy.Function("derivative"),
    "ln": sympy.log,
    "exp": sympy.exp,
    "abs": sympy.Abs,
    "sqrt": sympy.sqrt,
    "floor": sympy.floor,
    "ceil": sympy.ceiling,
    "log": lambda argument: _LOG_FACTOR * sympy.log(argument),
}


class TooLargeError(ValueError):
    """A power or factorial beyond the limits."""


_UNDONE = (sympy.Sum, sympy.Product, sympy.Integral, sympy.Limit, AppliedUndef)
_NOT_WORKED_OUT = "a sum, a limit or an integral that could not be worked out"


def compare(left: list[Any], right: list[Any]) -> tuple[str, str]:
    """Compare two trees: ("correct" | "incorrect" | "error", reason)."""
    try:
        first, second = (_built(json.dumps(side)) for side in (left, right))
    except TooLargeError as error:
        return "error", str(error)
    if first == second and not first.has(sympy.nan, sympy.zoo):
        return "correct", "equal in sympy"
    if first.has(_LOG_FACTOR) is not second.has(_LOG_FACTOR):
        return _compare_bases(first, second)
    if first.has(sympy.oo, sympy.nan, sympy.zoo) or second.has(sympy.oo, sympy.nan, sympy.zoo):
        return _compare_infinite(first, second)
    return _compare_finite(first, second)


@lru_cache(maxsize=128)
def _built(tree: str) -> Any:
    """The expression of a tree as JSON: an answer is often compared with many, and to integrate takes long."""
    return build(json.loads(tree))


def _compare_bases(first: Any, second: Any) -> tuple[str, str]:
    """Only one side has a `log` without a base: undecided if base e makes them equal, correct if only base 10 does."""
    found = {}
    for base in (10, sympy.E):
        sides = [side.subs(_LOG_FACTOR, 1 / sympy.log(base)) for side in (first, second)]
        found[base] = _compare_finite(*sides)[0]
    if found[sympy.E] == "correct":
        return "error", "a logarithm without a stated base"
    return (found[10], "equal as base-10 logarithms") if found[10] == "correct" else ("incorrect", "different values")


def _compare_infinite(first: Any, second: Any) -> tuple[str, str]:
    if first.has(sympy.nan, sympy.zoo) or second.has(sympy.nan, sympy.zoo):
        return "error", "not a number"
    if any(side.has(*_UNDONE) for side in (first, second)):
        return "error", _NOT_WORKED_OUT
    return "incorrect", "only one side is infinite, or the signs differ"


def _compare_finite(first: Any, second: Any) -> tuple[str, str]:
    agreed = 0
    # With variables and no i, a non-real value comes from leaving a function's domain, as in ln(-2).
    is_complex = first.has(sympy.I) or second.has(sympy.I) or not (first.free_symbols | second.free_symbols)
    for point in _points(first, second):
        if not is_complex and (_leaves_domain(first, point) or _leaves_domain(second, point)):
            continue
        same = _agree(_value(first, point), _value(second, point), is_complex)
        if same is False:
            return "incorrect", "different values"
        agreed += same is True
    if not agreed and first.has(*_UNDONE) is not second.has(*_UNDONE):  # nothing to simplify them to each other
        return "error", _NOT_WORKED_OUT
    return _prove(first - second, agreed)


def _leaves_domain(expression: Any, point: dict[Any, Any]) -> bool:
    """Whether a point leads to an even root or a logarithm of a negative number."""
    inner = [power.base for power in expression.atoms(sympy.Pow) if power.exp.is_Rational and power.exp.q % 2 == 0]
    inner += [log.args[0] for log in expression.atoms(sympy.log)]
    return any(argument.subs(point).is_negative for argument in inner)


def _prove(difference: Any, agreed: int) -> tuple[str, str]:
    if sympy.expand(difference) == 0:
        return "correct", "equal in sympy"
    simplified = sympy.simplify(difference)
    if simplified == 0 or sympy.simplify(_of_reals(difference)) == 0:
        return "correct", "equal in sympy"
    if simplified.is_Rational or _is_other_polynomial(difference) or _is_other_number(simplified):
        return "incorrect", "different by a small amount"
    if difference.has(sympy.Abs, sympy.floor, sympy.ceiling):
        return "error", f"equal at {agreed} points, without proof"
    return ("correct", f"equal at {agreed} points") if agreed else ("error", "no point to compare at")


def _of_reals(expression: Any) -> Any:
    """The expression with its variables real, if it has no i: then the root of x^2 is |x|."""
    if expression.has(sympy.I):
        return expression
    return expression.subs({s: sympy.Symbol(s.name, real=True) for s in expression.free_symbols})


def _is_other_polynomial(difference: Any) -> bool:
    """Whether a difference that did not expand to 0 is a polynomial, and so not 0 everywhere."""
    symbols = difference.free_symbols
    return bool(symbols) and bool(difference.is_polynomial(*symbols)) and not difference.has(sympy.Abs)


def _is_other_number(difference: Any) -> bool:
    """Whether a difference without variables is certainly not 0, at whatever precision that takes, up to 400 digits."""
    if difference.free_symbols:
        return False
    value = difference.evalf(15, maxn=400)
    return bool(value.is_Float and value._prec > 1 and value != 0)


def _points(first: Any, second: Any) -> Iterator[dict[Any, Any]]:
    symbols = sorted(first.free_symbols | second.free_symbols, key=str)
    if not symbols:
        yield {}
        return
    draw = random.Random(0)  # seeded: the same pair gets the same verdict every time
    for index in range(POINTS):
        scale = SCALES[index % len(SCALES)]
        yield {symbol: scale * _coordinate(draw, signed=index % 2 == 1 and symbol != _LOG_FACTOR) for symbol in symbols}


def _coordinate(draw: random.Random, *, signed: bool) -> Any:
    size = sympy.Rational(draw.randint(300, 3_000), 997)
    return -size if signed and draw.random() < 0.75 else size


def _value(expression: Any, point: dict[Any, Any]) -> Any:
    return sympy.N(expression.subs(point), DIGITS)


def _agree(first: Any, second: Any, is_complex: bool) -> bool | None:
    """Whether the values agree; None if one is not finite, or not real where both should be."""
    if not (first.is_finite and second.is_finite and first.is_number and second.is_number):
        return None
    if not (_is_precise(first) and _is_precise(second)):
        return None
    if not is_complex and not (_is_real(first) and _is_real(second)):
        return None
    if _is_real(first) is not _is_real(second):
        return False
    scale = max(abs(first), abs(second))
    return bool(abs(first - second) <= scale * sympy.Float("1e-35", DIGITS))


def _is_precise(value: Any) -> bool:
    """Whether a value has its digits: cancellation may have taken them, as in cosh x - sinh x for a large x."""
    return all(number._prec >= 100 for number in value.atoms(sympy.Float))


def _is_real(value: Any) -> bool:
    real, imaginary = value.as_real_imag()
    return bool(abs(imaginary) <= abs(real) * sympy.Float("1e-35", DIGITS))


# From trees to sympy.


def build(tree: list[Any]) -> Any:
    """Build the sympy object of a tree.

    Raises:
        TooLargeError: a power or a factorial is over the limits.
    """
    op, value, arguments = tree
    if op in ("sum", "prod", "int"):
        return _range(op, value, *arguments)
    if op == "call" and value == "lim":
        return _limit(*arguments)
    if op == "num":
        return sympy.Rational(value)
    if op == "const":
        return _CONSTANTS[value]
    if op == "name":
        return sympy.Symbol(value)
    return _apply(op, value, [build(argument) for argument in arguments])


def _range(op: str, variable: str, first: list[Any], last: list[Any], term: list[Any]) -> Any:
    """A sum or product; term by term if its range is known and short."""
    symbol, low, high, body = sympy.Symbol(variable), build(first), build(last), build(term)
    if op == "int":
        return sympy.integrate(body, (symbol, low, high))
    if not (low.is_Integer and high.is_Integer and high - low < MAX_TERMS):
        return (sympy.Sum if op == "sum" else sympy.Product)(body, (symbol, low, high)).doit()
    terms = [body.subs(symbol, number) for number in range(int(low), int(high) + 1)]
    return sympy.Add(*terms) if op == "sum" else sympy.Mul(*terms)


def _limit(variable: list[Any], target: list[Any], term: list[Any]) -> Any:
    return sympy.limit(build(term), build(variable), build(target))


def _of_whole(function: Any, name: str, arguments: tuple[Any, ...]) -> Any:
    """A function of whole numbers; of anything else it stays as written."""
    is_whole = all(argument.is_Integer for argument in arguments)
    return function(arguments) if is_whole else sympy.Function(name)(*sorted(arguments, key=str))


def _apply(op: str, value: str, arguments: list[Any]) -> Any:
    if op == "call":
        return _FUNCTIONS[value](*arguments)
    if op == "apply":
        return sympy.Function(value)(*arguments)
    if op not in _OPERATIONS:
        raise ValueError(f"unknown node {op!r}")
    return _OPERATIONS[op](*arguments)


def _power(base: Any, exponent: Any) -> Any:
    if exponent.is_Rational:
        size = int(abs(exponent)) + 1
        # (a + b)^1000 is harmless until it is expanded, and that is what the difference will be.
        if (base.is_Rational and _bits(base) * size > MAX_BITS) or (not base.is_Rational and size > 1_000):
            raise TooLargeError("power too large")
        # An odd root of a negative number means the real root; sympy takes the principal one.
        if base.is_Rational and base < 0 and exponent.q % 2 == 1:
            return sympy.Integer(-1) ** exponent.p * sympy.Pow(-base, exponent)
    return sympy.Pow(base, exponent)


def _bits(number: Any) -> int:
    return max(int(number.p).bit_length(), int(number.q).bit_length())


def _factorial(argument: Any) -> Any:
    if argument.is_Rational and argument > MAX_FACTORIAL:
        raise TooLargeError("factorial too large")
    return sympy.factorial(argument)


def _factorial2(argument: Any) -> Any:
    if argument.is_Rational and not 0 <= argument <= MAX_FACTORIAL:
        raise TooLargeError("double factorial too large")
    return sympy.factorial2(argument)


def _binomial(top: Any, bottom: Any) -> Any:
    if max((abs(n) for n in (top, bottom) if n.is_Rational), default=0) > MAX_FACTORIAL:
        raise TooLargeError("binomial too large")
    return sympy.binomial(top, bottom)


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "+": sympy.Add,
    "*": sympy.Mul,
    "neg": lambda argument: -argument,
    "inv": lambda argument: _power(argument, sympy.Integer(-1)),
    "^": _power,
    "root": lambda degree, radicand: _power(radicand, 1 / degree),
    "log": lambda base, argument: sympy.log(argument) / sympy.log(base),
    "!": _factorial,
    "!!": _factorial2,
    "mod": sympy.Mod,
    "binom": _binomial,
}
