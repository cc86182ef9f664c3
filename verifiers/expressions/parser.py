r"""Parses math in LaTeX or plain text into a small tree. Nothing is ever evaluated as code.

Recursive descent on this grammar (the text never reaches `eval`, `sympify` or `parse_expr`):

    whole    = sum ["\\bmod" sum]
    sum      = ["+" | "-"] product {("+" | "-") product}
    product  = factor {["*" | "/"] factor}          a missing sign is a multiplication, from left to right
    factor   = ("-" | "+") factor | power
    power    = atom ["!" | "!!"] ["^" factor]
    atom     = number | name | "(" whole ")" | "{" whole "}" | "|" sum "|" | \frac a b | \sqrt[n] a | function atom
             | \max(a, b, …) | \sum_{k=a}^{b} product | \int_a^b product | \lim_{x \to a} product | matrix

Letters side by side are a product (`xy`); a run of more than four that is not a known function is a word, and an error.
A whole number before a fraction of whole numbers is a mixed number: `1\frac{1}{2}` and `1 1/2` are 3/2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, comb, factorial, floor, gcd, isqrt, lcm, prod
from operator import add, mul
from typing import Any

MAX_CHARACTERS = 2_000
MAX_DEPTH = 40
MAX_NODES = 500
MAX_DIGITS = 400
MAX_EXPONENT = 400
"""Largest power of ten in scientific notation, either sign."""
MAX_TERMS = 1_000
"""Most terms of a sum or product over a range that are added up."""
MAX_BITS = 12_000
"""Largest integer, in bits, that `fold` builds; below the 4,300 digits beyond which Python refuses to print it."""
_MAX_FACTORIAL = 800
_MAX_TOP = 2_000

_FUNCTION_NAMES = "sin cos tan cot sec csc arcsin arccos arctan arccot sinh cosh tanh coth ln log lg exp abs sqrt"
_GREEK_NAMES = """
    alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta kappa lambda mu nu xi rho sigma tau phi varphi
    varrho varsigma chi psi omega Gamma Delta Theta Xi Upsilon Lambda Sigma Phi Psi Omega ell hbar
"""
FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
MANY = frozenset({"max", "min", "gcd", "lcm"})
"""Functions of any number of arguments."""
_GREEK = frozenset(_GREEK_NAMES.split())
_SPELLED = {
    **{name: name for name in FUNCTIONS | MANY | {"pi", "infty"}},
    **{"Abs": "abs", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "acot": "arccot"},
    **{name: name for name in _GREEK if len(name) > 2 and name not in ("eta", "ell")},
    "mod": "bmod",
    "infinity": "infty",
    "inf": "infty",
    "oo": "infty",
}
"""Commands that plain text spells without a backslash."""
_CONSTANTS = {"pi": "pi", "infty": "oo", "i": "i", "e": "e"}
_RANGES = frozenset({"sum", "prod"})
_APART = (FUNCTIONS - {"sqrt"}) | MANY | _RANGES | {"int", "lim"}
"""Functions that end the argument of a function before them: sin x cos x."""
_MODULO = frozenset({"\\bmod", "\\mod"})
_VARIANTS = {"varepsilon": "epsilon", "vartheta": "theta", "varphi": "phi", "varrho": "rho", "varsigma": "sigma"}
_ACCENTS = frozenset({"vec", "hat", "overrightarrow", "widehat", "mathbf", "boldsymbol", "bm", "mathcal", "mathscr"})
"""Marks of a letter that leave it the same letter."""
_BARS = frozenset({"bar", "overline", "conj"})
_TIMES = frozenset({"*", "\\cdot", "\\times"})
_OVER = frozenset({"/", "\\div"})
_CLOSING = {"(": ")", "{": "}", "[": "]"}
_NO_ATOMS = _TIMES | _OVER | _MODULO | {"\\rfloor", "\\rceil", "\\to", "\\rangle"}
_ROUNDED = {"\\lfloor": ("\\rfloor", "floor"), "\\lceil": ("\\rceil", "ceil")}
_MAX_LETTERS = 4
_ENGLISH = frozenset(
    {"is", "the", "of", "to", "so", "we", "or", "and", "for", "per", "not", "are", "with", "than", "then"}
)
_TWO_WORDS = re.compile(r"(?<![\\A-Za-z])(?!(?:sin|cos|tan|cot|sec|csc|log|ln|pi|exp)\b)[A-Za-z]{2,} +[A-Za-z]{2,}")

_TOKEN = re.compile(
    r"\s*(?:(?P<repeating>\d*\.\d*"
    r"(?:\\overline ?\{\d{1,40}\}|\\overline ?\d|\\dot ?\{\d\}|\\dot ?\d|(?<=\.)\(\d{1,40}\)))"
    r"|(?P<number>(?:(?:[1-9]\d{0,2}(?:,\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+)"
    r"(?:[eE]\d+(?![\dA-Za-z\\({^.]))?)"  # 4e+7 is forty million, 4e+7p is not
    r"|(?P<matrix>\\begin ?\{[pbvB]?matrix\}.*?\\end ?\{[pbvB]?matrix\})"
    r"|(?P<word>\\?[A-Za-z]+)|(?P<sign>!!|[-+*/^_!(){}\[\]|,=])|(?P<other>\S))",
    re.DOTALL,
)


class ParseError(ValueError):
    """The text is not math that this parser knows, or it exceeds a limit."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the tree.

    `op` is "num", "name", "const" (leaf, text in `value`), "+", "*" (any number of arguments), "neg", "inv", "^",
    "!", "!!", "binom" (top, bottom), "root" (degree, radicand), "log" (base, argument), "mod" (dividend, divisor),
    "call" (function's name in `value`), "sum" or "prod" (bound variable in `value`; first, last, term), or "matrix"
    (its shape in `value`, such as "2x3"; cells by rows).
    """

    op: str
    value: str = ""
    args: tuple[Node, ...] = ()

    def as_json(self) -> list[Any]:
        """The tree as nested lists, to send to the worker."""
        return [self.op, self.value, [arg.as_json() for arg in self.args]]


def parse(text: str) -> Node:
    r"""Parse `text`.

    >>> parse("2x").op, parse(r"\frac12") == parse("1/2")
    ('*', True)

    Raises:
        ParseError: the text cannot be parsed, or is longer, deeper or larger than the limits above.
    """
    if len(text) > MAX_CHARACTERS:
        raise ParseError("too long")
    if _TWO_WORDS.search(text):
        raise ParseError("words")
    return _Parser(_tokens(text)).whole()


def fold(node: Node) -> Fraction | None:
    """The exact value of a tree; None if it is not rational, not constant or too large.

    >>> fold(parse("1 1/2 + 2^-1"))
    Fraction(2, 1)
    """
    if node.op == "num":
        return Fraction(node.value)
    if node.op in _RANGES:
        return _fold_range(node)
    values = []
    for arg in node.args:
        value = fold(arg)
        if value is None:
            return None
        values.append(value)
    return _bounded(_combine(node.value if node.op == "call" else node.op, values)) if values else None


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


def names(node: Node) -> frozenset[str]:
    """The names of a tree's variables."""
    own = frozenset({node.value}) if node.op == "name" else frozenset[str]()
    found = own.union(*(names(arg) for arg in node.args))
    return found - {node.value} if node.op in _RANGES else found


def constants(node: Node) -> frozenset[str]:
    """The names of a tree's constants, such as "pi"."""
    own = frozenset({node.value}) if node.op == "const" else frozenset[str]()
    return own.union(*(constants(arg) for arg in node.args))


def substitute(node: Node, values: Mapping[str, Node]) -> Node:
    """The tree with other trees in place of variables."""
    if node.op == "name":
        return values.get(node.value, node)
    return replace(node, args=tuple(substitute(arg, values) for arg in node.args)) if node.args else node


def _tokens(text: str) -> list[tuple[str, str]]:
    return [token for match in _TOKEN.finditer(text) for token in _split(str(match.lastgroup), match)]


def _split(kind: str, match: re.Match[str]) -> Iterator[tuple[str, str]]:
    value = match[kind]
    if value.casefold() in _ENGLISH:
        raise ParseError(f"the word {value!r}")
    if kind == "repeating":
        yield "number", str(_repeating(value))
    elif kind != "word" or value.startswith("\\"):
        yield kind, value
    elif value in _SPELLED:
        yield kind, "\\" + _SPELLED[value]
    elif len(value) > _MAX_LETTERS:
        raise ParseError(f"unknown word {value[:20]!r}")
    else:
        yield from ((kind, letter) for letter in value)


def _repeating(text: str) -> Fraction:
    r"""The value of 0.1\overline{6}, 0.\dot{3} or 0.(3)."""
    whole, _, rest = text.partition(".")
    fixed, repeated = re.findall(r"^\d*|\d+", rest)[:2]
    if len(fixed) > MAX_DIGITS:
        raise ParseError("number too large")
    shift = 10 ** len(fixed)
    tail = Fraction(int(repeated), (10 ** len(repeated) - 1) * shift)
    return Fraction(int(whole or 0)) + Fraction(int(fixed or 0), shift) + tail


class _Parser:
    """A cursor over the tokens, with the counts needed for the limits."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.nodes = 0
        self.bars = 0
        self.may_mix = True

    def whole(self) -> Node:
        tree = self.remainder()
        if self.at < len(self.tokens):
            raise ParseError(f"{self.peek()[:20]!r} in an unexpected place")
        return tree

    # The cursor.

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def kind(self, ahead: int = 0) -> str:
        return self.tokens[self.at + ahead][0] if self.at + ahead < len(self.tokens) else "end"

    def take(self) -> str:
        value = self.peek()
        if not value:
            raise ParseError("unexpected end")
        self.at += 1
        return value

    def accept(self, value: str) -> bool:
        found = self.peek() == value
        self.at += found
        return found

    def expect(self, value: str) -> None:
        if not self.accept(value):
            raise ParseError(f"no {value!r} where one is needed")

    def node(self, op: str, *args: Node, value: str = "") -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise ParseError("too many terms")
        return Node(op, value, args)

    # The grammar.

    def remainder(self) -> Node:
        r"""A sum, or the remainder of one modulo another: `17 \bmod 5`."""
        tree = self.sum()
        return self.node("mod", tree, self.sum()) if self.take_any(_MODULO) else tree

    def take_any(self, values: frozenset[str]) -> bool:
        return self.peek() in values and bool(self.take())

    def sum(self) -> Node:
        terms = [self.product()]
        while self.peek() in ("+", "-"):
            negative = self.take() == "-"
            term = self.product()
            terms.append(self.node("neg", term) if negative else term)
        return terms[0] if len(terms) == 1 else self.node("+", *terms)

    def product(self) -> Node:
        factors = [self.factor()]
        while True:
            if self.peek() in _OVER:
                self.take()
                factors.append(self.node("inv", self.factor()))
            elif self.peek() in _TIMES:
                self.take()
                factors.append(self.factor())
            elif self.starts_atom():
                factors.append(self.adjacent(after_power=factors[-1].op in ("!", "!!", "^")))
            else:
                return factors[0] if len(factors) == 1 else self.node("*", *factors)

    def starts_atom(self) -> bool:
        token = self.peek()
        if token == "|":
            return self.bars == 0
        return self.kind() == "number" or token in ("(", "{", "[") or self.is_name_or_command()

    def is_name_or_command(self) -> bool:
        return self.kind() == "matrix" or (self.kind() == "word" and self.peek() not in _NO_ATOMS)

    def adjacent(self, *, after_power: bool = False) -> Node:
        """The factor after one with no sign between; two numbers side by side have no agreed meaning."""
        if self.kind() == "number" and not after_power:
            raise ParseError("two numbers side by side")
        return self.power()

    def factor(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ParseError("nested too deeply")
        tree = self.signed()
        self.depth -= 1
        return tree

    def signed(self) -> Node:
        if self.accept("-"):
            return self.node("neg", self.factor())
        if self.accept("+"):
            return self.factor()
        return self.power()

    def power(self) -> Node:
        base = self.atom()
        if self.peek() in ("!", "!!"):
            base = self.node(self.take(), base)
        if self.accept("°"):
            base = self.node("*", base, self.node("const", value="pi"), self.node("inv", self.node("num", value="180")))
        return self.node("^", base, self.exponent()) if self.accept("^") else base

    def exponent(self) -> Node:
        """A factor, but not a mixed number: the exponent of `x^2 1/3` is just 2."""
        may_mix, self.may_mix = self.may_mix, False
        tree = self.factor()
        self.may_mix = may_mix
        return tree

    def atom(self) -> Node:
        if self.kind() == "number":
            return self.number()
        if self.kind() == "matrix":
            return self.matrix(self.take())
        token = self.take()
        if token in _CLOSING:
            return self.group(_CLOSING[token])
        if token in self.commands:
            return self.commands[token]()
        if token in _ROUNDED:
            closing, name = _ROUNDED[token]
            return self.node("call", self.group(closing), value=name)
        return self.word(token)

    @property
    def commands(self) -> Mapping[str, Callable[[], Node]]:
        return {
            "|": self.absolute,
            "\\frac": self.fraction,
            "\\sqrt": self.root,
            "\\binom": lambda: self.node("binom", self.argument(), self.argument()),
            "\\sum": lambda: self.range("sum"),
            "\\prod": lambda: self.range("prod"),
            "\\int": self.integral,
            "\\lim": self.limit,
        }

    def group(self, closing: str) -> Node:
        outer, self.bars, self.may_mix = (self.bars, self.may_mix), 0, True
        tree = self.remainder()
        self.expect(closing)
        self.bars, self.may_mix = outer
        return tree

    def matrix(self, text: str) -> Node:
        rows = matrix_cells(text)
        cells = [_Parser(_tokens(cell)).whole() for row in rows for cell in row]
        self.nodes += len(cells)
        return self.node("matrix", *cells, value=f"{len(rows)}x{len(rows[0])}")

    def range(self, op: str) -> Node:
        r"""`\sum_{k=1}^{n} k`; its variable gets a name that no text can hold, so that it does not matter."""
        self.expect("_")
        self.expect("{")
        variable = self.word(self.take())  # i and e, too
        self.expect("=")
        first = self.group("}")
        self.expect("^")
        last, body = self.argument(), self.summand()
        bound = f"#{sum(op in _RANGES for op in _operations(body))}"
        return self.node(op, first, last, _exchanged(body, variable, Node("name", bound)), value=bound)

    def integral(self) -> Node:
        bounds = [self.argument() for mark in ("_", "^") if self.accept(mark)]
        return self.node("call", *bounds, self.summand(), value="int")

    def limit(self) -> Node:
        self.expect("_")
        self.expect("{")
        variable = self.node("name", value=self.name_of(self.take()))
        self.expect("\\to")
        return self.node("call", variable, self.group("}"), self.summand(), value="lim")

    def summand(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ParseError("nested too deeply")
        tree = self.product()
        self.depth -= 1
        return tree

    def absolute(self) -> Node:
        self.bars += 1
        tree = self.sum()
        self.expect("|")
        self.bars -= 1
        return self.node("call", tree, value="abs")

    def number(self) -> Node:
        whole = self.literal(self.take())
        part = self.mixed_part() if whole.value.isdigit() and self.may_mix else None
        return whole if part is None else self.node("+", whole, part)

    def literal(self, text: str) -> Node:
        mantissa, _, exponent = text.replace(",", "").lower().partition("e")
        if len(mantissa) > MAX_DIGITS or len(exponent) > 5 or abs(int(exponent or 0)) > MAX_EXPONENT:
            raise ParseError("number too large")
        return self.node("num", value=text.replace(",", ""))

    def mixed_part(self) -> Node | None:
        r"""The fraction of a mixed number, if one follows: `\frac{1}{2}` or `1/2`, of whole numbers only."""
        start = self.at
        if self.accept("\\frac"):
            part = self.fraction()
            if all(arg.op == "num" for arg in (part.args[0], part.args[1].args[0])):
                return part
        elif self.kind() == "number" and [token for _, token in self.tokens[start + 1 : start + 2]] == ["/"]:
            top = self.literal(self.take())
            self.take()
            if self.kind() == "number":
                return self.node("*", top, self.node("inv", self.literal(self.take())))
        self.at = start
        return None

    def fraction(self) -> Node:
        top = self.argument()
        return self.node("*", top, self.node("inv", self.argument()))

    def argument(self) -> Node:
        r"""The argument of a command: a group, a command, a letter, or (as in `\frac12`) one digit."""
        if self.accept("{"):
            return self.group("}")
        if self.kind() == "number":
            return self.digit()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ParseError("nested too deeply")
        tree = self.atom()
        self.depth -= 1
        return tree

    def digit(self) -> Node:
        text = self.peek()
        if not text.isdigit():
            raise ParseError("a decimal without braces")
        self.tokens[self.at : self.at + 1] = [("number", text[0])] + ([("number", text[1:])] if text[1:] else [])
        return self.literal(self.take())

    def root(self) -> Node:
        degree = self.group("]") if self.accept("[") else self.node("num", value="2")
        # In LaTeX \sqrt12 is the root of 1 times 2; in plain text it is the root of 12: undecided.
        if self.kind() == "number" and len(self.peek()) > 1:
            raise ParseError("a root without braces")
        return self.node("root", degree, self.argument())

    def word(self, token: str) -> Node:
        name = token.removeprefix("\\")
        if token.startswith("\\") and name in FUNCTIONS:
            return self.call("log" if name == "lg" else name, self.node("num", value="10") if name == "lg" else None)
        if token.startswith("\\") and name in MANY:
            return self.node("call", *self.arguments(), value=name)
        if name in _BARS:
            return self.node("call", self.argument(), value="bar")
        if name in _ACCENTS:
            return self.argument()
        if name in _CONSTANTS:
            return self.node("const", value=_CONSTANTS[name])
        return self.counted(self.name_of(token))

    def name_of(self, token: str) -> str:
        name = token.removeprefix("\\")
        if not (token.isalpha() and len(token) == 1) and not (token.startswith("\\") and name in _GREEK):
            raise ParseError(f"{token[:20]!r} has no meaning here")
        return _VARIANTS.get(name, name) + self.primes() + self.subscript() + self.primes()

    def counted(self, name: str) -> Node:
        r"""A name, or a number of choices: `C_5^2` and `A_5^2`, of whole numbers only."""
        letter, _, top = name.partition("_")
        if letter not in ("C", "A") or not top.isdigit() or self.peek() != "^":
            return self.node("name", value=name)
        start = self.at
        self.take()
        bottom = fold(self.argument())
        if bottom is None or not 0 < bottom <= int(top) > 1:
            self.at = start
            return self.node("name", value=name)
        tree = self.node("binom", self.node("num", value=top), self.node("num", value=str(bottom)))
        return tree if letter == "C" else self.node("*", tree, self.node("!", tree.args[1]))

    def primes(self) -> str:
        found = ""
        while self.accept("'"):
            found += "'"
        return found

    def subscript(self) -> str:
        if not self.accept("_"):
            return ""
        if not self.accept("{"):
            return "_" + self.take().removeprefix("\\")
        found, open_braces = "", 1
        while open_braces:
            token = self.take()
            open_braces += {"{": 1, "}": -1}.get(token, 0)
            found += token.removeprefix("\\").removeprefix("text") if token not in "{}" else ""
        return "_" + found

    def arguments(self) -> list[Node]:
        r"""The arguments of `\max(a, b)` or `\max\{a, b\}`."""
        is_printed = self.accept("\\")
        closing = _CLOSING.get(self.peek())
        if closing is None:
            raise ParseError("a function of several numbers without brackets")
        found = []
        while not found or self.peek() == ",":
            self.take()
            self.split_thousands()
            found.append(self.sum())
        if is_printed:
            self.expect("\\")
        self.expect(closing)
        return found

    def split_thousands(self) -> None:
        """Read 12,180 as two arguments."""
        if self.kind() == "number" and "," in self.peek():
            parts = [("number", part) for part in self.peek().split(",")]
            self.tokens[self.at : self.at + 1] = [token for part in parts for token in (("sign", ","), part)][1:]

    def call(self, name: str, base: Node | None = None) -> Node:
        if name == "log" and base is None and self.accept("_"):
            base = self.argument()
        exponent = self.factor() if self.accept("^") else None
        if exponent is not None and exponent.op == "neg":
            name, exponent = self.inverse(name, exponent), None
        argument = self.call_argument()
        tree = self.node("log", base, argument) if base else self.node("call", argument, value=name)
        return tree if exponent is None else self.node("^", tree, exponent)

    def inverse(self, name: str, exponent: Node) -> str:
        r"""The name of the function that `\sin^{-1}` means."""
        if f"arc{name}" not in FUNCTIONS or exponent.args != (Node("num", "1"),):
            raise ParseError("a negative power of a function's name")
        return f"arc{name}"

    def call_argument(self) -> Node:
        """A bracketed argument, or the product that follows without a sign, as in `sin 2x`."""
        if self.peek() in ("(", "{", "["):
            return self.argument() if self.peek() == "{" else self.atom()
        factors = [self.factor()]
        while self.starts_atom() and self.peek().removeprefix("\\") not in _APART:
            factors.append(self.adjacent())
        return factors[0] if len(factors) == 1 else self.node("*", *factors)


def matrix_cells(text: str) -> list[list[str]]:
    r"""The texts of the cells of `\begin{pmatrix}…\end{pmatrix}`, row by row.

    Raises:
        ParseError: the rows have different lengths, or there are no cells.
    """
    inner = re.sub(r"\\(?:begin|end) ?\{[a-zA-Z]+\}", "", text).strip().removesuffix("\\\\")
    rows = [[cell.strip() for cell in row.split("&")] for row in inner.split("\\\\")]
    if not inner or len({len(row) for row in rows}) > 1:
        raise ParseError("a matrix with rows of different lengths")
    return rows


def _exchanged(node: Node, old: Node, new: Node) -> Node:
    """The tree with a new leaf in place of an old one."""
    return new if node == old else replace(node, args=tuple(_exchanged(arg, old, new) for arg in node.args))


def _operations(node: Node) -> Iterator[str]:
    yield node.op
    for arg in node.args:
        yield from _operations(arg)


def without_spelling(node: Node) -> Node:
    """The tree with each number in one spelling: 1.50 and 1.5 become 3/2."""
    if node.op == "num":
        return replace(node, value=str(Fraction(node.value)))
    return replace(node, args=tuple(without_spelling(arg) for arg in node.args))
