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
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache

from .tree import RANGES, Node, exchanged, fold, operations

MAX_CHARACTERS = 2_000
MAX_DEPTH = 40
MAX_NODES = 500
MAX_DIGITS = 400
MAX_EXPONENT = 400
"""Largest power of ten in scientific notation, either sign."""

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
_APART = (FUNCTIONS - {"sqrt"}) | MANY | RANGES | {"int", "lim"}
"""Functions that end the argument of a function before them: sin x cos x."""
_MODULO = frozenset({"\\bmod", "\\mod"})
_VARIANTS = {"varepsilon": "epsilon", "vartheta": "theta", "varphi": "phi", "varrho": "rho", "varsigma": "sigma"}
_ACCENTS = frozenset({"vec", "hat", "overrightarrow", "widehat", "mathbf", "boldsymbol", "bm", "mathcal", "mathscr"})
"""Marks of a letter that leave it the same letter."""
_UNIT_VECTORS = frozenset("ijkxyznr")
_FUNCTION_LETTERS = frozenset("fgh") | {"F", "G", "H", "T", "P", "E", "phi", "psi", "Phi", "Psi"}
"""Letters that, before a bracket, may be functions."""
_BARS = frozenset({"bar", "overline", "conj"})
_TIMES = frozenset({"*", "\\cdot", "\\times"})
_OVER = frozenset({"/", "\\div"})
_CLOSING = {"(": ")", "{": "}", "[": "]"}
_NO_ATOMS = _TIMES | _OVER | _MODULO | {"\\rfloor", "\\rceil", "\\to", "\\rangle"}
_ROUNDED = {"\\lfloor": ("\\rfloor", "floor"), "\\lceil": ("\\rceil", "ceil")}
_MAX_LETTERS = 4
_MAX_DETERMINANT = 4
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


def parse(text: str) -> Node:
    r"""Parse `text`.

    >>> parse("2x").op, parse(r"\frac12") == parse("1/2")
    ('*', True)

    Raises:
        ParseError: the text cannot be parsed, or is longer, deeper or larger than the limits above.
    """
    tree = _parse(text)
    if isinstance(tree, str):
        raise ParseError(tree)
    return tree


def parsed(text: str) -> Node | None:
    """The tree of a text; None if it cannot be parsed."""
    tree = _parse(text)
    return None if isinstance(tree, str) else tree


@lru_cache(maxsize=4_096)
def _parse(text: str) -> Node | str:
    """The tree of a text, or why there is none."""
    if len(text) > MAX_CHARACTERS:
        return "too long"
    if _TWO_WORDS.search(text):
        return "words"
    try:
        return _Parser(_tokens(text)).whole()
    except ParseError as error:
        return str(error)


def _tokens(text: str) -> list[tuple[str, str]]:
    return [token for match in _TOKEN.finditer(text) for token in _split(str(match.lastgroup), match)]


def _split(kind: str, match: re.Match[str]) -> Iterator[tuple[str, str]]:
    value = match[kind]
    if value.casefold() in _ENGLISH:
        raise ParseError(f'the word "{value}"')
    if kind == "repeating":
        yield "number", str(_repeating(value))
    elif kind != "word" or value.startswith("\\"):
        yield kind, value
    elif value in _SPELLED:
        yield kind, "\\" + _SPELLED[value]
    elif len(value) > _MAX_LETTERS or (len(value) > 2 and match.string[match.end() : match.end() + 1] == "("):
        raise ParseError(f'unknown word "{value[:20]}"')
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
            raise ParseError(f'"{self.peek()[:20]}" in an unexpected place')
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
            raise ParseError(f'no "{value}" where one is needed')

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
        if token in _COMMANDS:
            return _COMMANDS[token](self)
        if token in _ROUNDED:
            closing, name = _ROUNDED[token]
            return self.node("call", self.group(closing), value=name)
        return self.word(token)

    def group(self, closing: str) -> Node:
        outer, self.bars, self.may_mix = (self.bars, self.may_mix), 0, True
        tree = self.remainder()
        self.expect(closing)
        self.bars, self.may_mix = outer
        return tree

    def matrix(self, text: str) -> Node:
        rows = [[_Parser(_tokens(cell)).whole() for cell in row] for row in matrix_cells(text)]
        cells = [cell for row in rows for cell in row]
        self.nodes += len(cells)
        if "vmatrix" in text:
            return self.determinant(rows)
        return self.node("matrix", *cells, value=f"{len(rows)}x{len(rows[0])}")

    def determinant(self, rows: list[list[Node]]) -> Node:
        """By expansion along the first row."""
        if len(rows) != len(rows[0]) or len(rows) > _MAX_DETERMINANT:
            raise ParseError("a determinant that is not square, or too large")
        if len(rows) == 1:
            return rows[0][0]
        terms = []
        for i, cell in enumerate(rows[0]):
            minor = self.determinant([row[:i] + row[i + 1 :] for row in rows[1:]])
            term = self.node("*", cell, minor)
            terms.append(self.node("neg", term) if i % 2 else term)
        return self.node("+", *terms)

    def range(self, op: str) -> Node:
        r"""`\sum_{k=1}^{n} k`; its variable gets a name that no text can hold, so that it does not matter."""
        self.expect("_")
        self.expect("{")
        variable = self.word(self.take())  # i and e, too
        self.expect("=")
        first = self.group("}")
        self.expect("^")
        last, body = self.argument(), self.summand()
        bound = f"#{sum(op in RANGES for op in operations(body))}"
        return self.node(op, first, last, exchanged(body, variable, Node("name", bound)), value=bound)

    def integral(self) -> Node:
        r"""`\int_0^1 x^2 dx`, with its variable as that of a sum; without bounds, just as it is written."""
        bounds = [self.argument() for mark in ("_", "^") if self.accept(mark)]
        body = self.summand()
        if len(bounds) != len("_^") or body.op != "*" or body.args[-2] != Node("name", "d"):
            return self.node("call", *bounds, body, value="int")
        *factors, _, variable = body.args
        integrand = self.node("*", *factors) if factors else self.node("num", value="1")
        return self.node("int", *bounds, exchanged(integrand, variable, Node("name", "#int")), value="#int")

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
        top, bottom = self.argument(), self.argument()
        if _is_differential(top) and _is_differential(bottom):
            return self.node("call", top, bottom, value="derivative")
        return self.node("*", top, self.node("inv", bottom))

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
            return self.accented(name.removeprefix("wide"))
        if name in _CONSTANTS:
            return self.node("const", value=_CONSTANTS[name])
        return self.counted(self.name_of(token))

    def accented(self, mark: str) -> Node:
        r"""A marked letter is that letter; marked letters are one name, for `\overrightarrow{AB}` is not that of BA."""
        tree = self.argument()
        if mark == "hat" and tree.op == "name" and tree.value not in _UNIT_VECTORS:
            return self.node("name", value=f"{tree.value}^")
        letters = [arg.value for arg in tree.args if arg.op == "name"]
        is_pair = tree.op == "*" and len(letters) == len(tree.args)
        return self.node("name", value="".join(letters)) if is_pair else tree

    def name_of(self, token: str) -> str:
        name = token.removeprefix("\\")
        if not (token.isalpha() and len(token) == 1) and not (token.startswith("\\") and name in _GREEK):
            raise ParseError(f'"{token[:20]}" has no meaning here')
        return _VARIANTS.get(name, name) + self.primes() + self.subscript() + self.primes()

    def counted(self, name: str) -> Node:
        r"""A name, or a number of choices: `C_5^2` and `A_5^2`, of whole numbers only."""
        if self.peek() in ("(", "[") and name.rstrip("'").partition("_")[0] in _FUNCTION_LETTERS:
            return self.applied(name)
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

    def applied(self, name: str) -> Node:
        """`f(x)`, `f(x, y)`, or a product that looks like it, such as P(1 + r)."""
        closing = _CLOSING[self.take()]
        found = [self.sum()]
        while self.accept(","):
            found.append(self.sum())
        self.expect(closing)
        return self.node("apply", *found, value=name)

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
        found: list[Node] = []
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


def _is_differential(tree: Node) -> bool:
    """Whether a tree is dy or d: a part of dy/dx."""
    return Node("name", "d") in (tree, *tree.args[:1]) and tree.op in ("name", "*")


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


_COMMANDS: dict[str, Callable[[_Parser], Node]] = {
    "|": _Parser.absolute,
    "\\frac": _Parser.fraction,
    "\\sqrt": _Parser.root,
    "\\binom": lambda parser: parser.node("binom", parser.argument(), parser.argument()),
    "\\sum": lambda parser: parser.range("sum"),
    "\\prod": lambda parser: parser.range("prod"),
    "\\int": _Parser.integral,
    "\\lim": _Parser.limit,
}
"""What begins an atom that is neither a number, a name nor a group."""
