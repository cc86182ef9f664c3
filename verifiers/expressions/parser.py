r"""Parses math in LaTeX or plain text into a small tree. Nothing is ever evaluated as code.

Recursive descent on this grammar (the text never reaches `eval`, `sympify` or `parse_expr`):

    sum      = ["+" | "-"] product {("+" | "-") product}
    product  = factor {["*" | "/"] factor}          a missing sign is a multiplication, from left to right
    factor   = ("-" | "+") factor | power
    power    = atom ["!"] ["^" factor]
    atom     = number | name | "(" sum ")" | "{" sum "}" | "|" sum "|" | \frac a b | \sqrt[n] a | function atom

Letters side by side are a product (`xy`); a run of more than four that is not a known function is a word, and an error.
A whole number before a fraction of whole numbers is a mixed number: `1\frac{1}{2}` and `1 1/2` are 3/2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import comb, factorial, isqrt
from operator import add, mul
from typing import Any

MAX_CHARACTERS = 2_000
MAX_DEPTH = 40
MAX_NODES = 500
MAX_DIGITS = 400
MAX_EXPONENT = 400
"""Largest power of ten in scientific notation, either sign."""
MAX_BITS = 12_000
"""Largest integer, in bits, that `fold` builds; below the 4,300 digits beyond which Python refuses to print it."""
_MAX_FACTORIAL = 800
_MAX_TOP = 2_000

_FUNCTION_NAMES = "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh ln log exp abs sqrt"
_GREEK_NAMES = """
    alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta kappa lambda mu nu xi rho sigma tau phi varphi
    chi psi omega Gamma Delta Theta Lambda Sigma Phi Psi Omega ell
"""
FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_GREEK = frozenset(_GREEK_NAMES.split())
_CONSTANTS = {"pi": "pi", "infty": "oo", "i": "i", "e": "e"}
_TIMES = frozenset({"*", "\\cdot", "\\times"})
_OVER = frozenset({"/", "\\div"})
_CLOSING = {"(": ")", "{": "}", "[": "]"}
_ROUNDED = {"\\lfloor": ("\\rfloor", "floor"), "\\lceil": ("\\rceil", "ceil")}
_MAX_LETTERS = 4
_ENGLISH = frozenset(
    {"is", "the", "of", "to", "so", "we", "or", "and", "for", "per", "not", "are", "with", "than", "then"}
)
_TWO_WORDS = re.compile(r"(?<![\\A-Za-z])(?!(?:sin|cos|tan|cot|sec|csc|log|ln|pi|exp)\b)[A-Za-z]{2,} +[A-Za-z]{2,}")

_TOKEN = re.compile(
    r"\s*(?:(?P<repeating>\d*\.\d*"
    r"(?:\\overline ?\{\d{1,40}\}|\\overline ?\d|\\dot ?\{\d\}|\\dot ?\d|(?<=\.)\(\d{1,40}\)))"
    r"|(?P<number>(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+)"
    r"(?:[eE]\d+(?![\dA-Za-z\\({^.]))?)"  # 4e+7 is forty million, 4e+7p is not
    r"|(?P<word>\\?[A-Za-z]+)|(?P<sign>[-+*/^_!(){}\[\]|])|(?P<other>\S))"
)


class ParseError(ValueError):
    """The text is not math that this parser knows, or it exceeds a limit."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the tree.

    `op` is "num", "name", "const" (leaf, text in `value`), "+", "*" (any number of arguments), "neg", "inv", "^",
    "!", "binom" (top, bottom), "root" (degree, radicand), "log" (base, argument) or "call" (function's name in
    `value`).
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
    values = []
    for arg in node.args:
        value = fold(arg)
        if value is None:
            return None
        values.append(value)
    return _bounded(_combine(node.op, values))


def _bounded(value: Fraction | None) -> Fraction | None:
    return None if value is None or _bits(value) > MAX_BITS else value


def _combine(op: str, values: list[Fraction]) -> Fraction | None:
    match op, values:
        case "+", _:
            return _reduce(add, values)
        case "*", _:
            return _reduce(mul, values)
        case "neg", [value]:
            return -value
        case "inv", [value] if value:
            return 1 / value
        case "^", [base, exponent]:
            return _power(base, exponent)
        case "root", [degree, radicand]:
            return _root(degree, radicand)
        case "!", [value] if value.denominator == 1 and 0 <= value <= _MAX_FACTORIAL:
            return Fraction(factorial(int(value)))
        case "binom", [top, bottom] if top.denominator == bottom.denominator == 1 and 0 <= bottom <= top <= _MAX_TOP:
            return Fraction(comb(int(top), int(bottom)))
    return None


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
    return own.union(*(names(arg) for arg in node.args))


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
    elif value in FUNCTIONS or value == "pi":
        yield kind, "\\" + value
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
        tree = self.sum()
        if self.at < len(self.tokens):
            raise ParseError(f"unexpected {self.peek()[:20]!r}")
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
            raise ParseError(f"expected {value!r}")

    def node(self, op: str, *args: Node, value: str = "") -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise ParseError("too many terms")
        return Node(op, value, args)

    # The grammar.

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
                factors.append(self.power() if factors[-1].op == "!" else self.adjacent())
            else:
                return factors[0] if len(factors) == 1 else self.node("*", *factors)

    def starts_atom(self) -> bool:
        token = self.peek()
        if token == "|":
            return self.bars == 0
        return self.kind() == "number" or token in ("(", "{", "[") or self.is_name_or_command()

    def is_name_or_command(self) -> bool:
        return self.kind() == "word" and self.peek() not in _TIMES | _OVER | {"\\rfloor", "\\rceil"}

    def adjacent(self) -> Node:
        """The factor after one with no sign between; two numbers side by side have no agreed meaning."""
        if self.kind() == "number":
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
        if self.accept("!"):
            base = self.node("!", base)
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
        token = self.take()
        if token in _CLOSING:
            return self.group(_CLOSING[token])
        if token == "|":
            return self.absolute()
        if token == "\\frac":
            return self.fraction()
        if token == "\\sqrt":
            return self.root()
        if token == "\\binom":
            return self.node("binom", self.argument(), self.argument())
        if token in _ROUNDED:
            closing, name = _ROUNDED[token]
            return self.node("call", self.group(closing), value=name)
        return self.word(token)

    def group(self, closing: str) -> Node:
        outer, self.bars, self.may_mix = (self.bars, self.may_mix), 0, True
        tree = self.sum()
        self.expect(closing)
        self.bars, self.may_mix = outer
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
            return self.call(name)
        if name in _CONSTANTS:
            return self.node("const", value=_CONSTANTS[name])
        if (token.isalpha() and len(token) == 1) or (token.startswith("\\") and name in _GREEK):
            return self.node("name", value=name + self.subscript())
        raise ParseError(f"unknown {token[:20]!r}")

    def subscript(self) -> str:
        if not self.accept("_"):
            return ""
        if not self.accept("{"):
            return "_" + self.take()
        inner = self.take()
        self.expect("}")
        return "_" + inner

    def call(self, name: str) -> Node:
        base = self.argument() if name == "log" and self.accept("_") else None
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
        while self.starts_atom() and self.peek().removeprefix("\\") not in FUNCTIONS - {"sqrt"}:
            factors.append(self.adjacent())
        return factors[0] if len(factors) == 1 else self.node("*", *factors)


def without_spelling(node: Node) -> Node:
    """The tree with each number in one spelling: 1.50 and 1.5 become 3/2."""
    if node.op == "num":
        return replace(node, value=str(Fraction(node.value)))
    return replace(node, args=tuple(without_spelling(arg) for arg in node.args))
