"""Expressions: polynomials, rational functions, radicals, logarithms, trigonometric ones, and random trees."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from random import Random
from typing import Any

import mpmath  # type: ignore[import-untyped]

from .parts import (
    LETTERS,
    PRIMES,
    SQUAREFREE,
    VARIABLES,
    coefficient,
    fraction,
    integer,
    joined,
    loose,
    other,
    other_fraction,
    pick,
    power,
    rational,
    size,
    tex,
    write_fraction,
)
from .tables import Made, Texts, equal, kind, wrong

Terms = dict[tuple[int, ...], Fraction]
"""A polynomial: the exponents of each monomial to its coefficient."""


def monomial(r: Random, names: str, exponents: tuple[int, ...]) -> str:
    """A product of powers of letters."""
    parts = [power(r, name, e) for name, e in zip(names, exponents, strict=True) if e]
    return "".join(r.sample(parts, len(parts)))


def write_polynomial(r: Random, terms: Terms, names: str) -> str:
    """Its monomials in any order."""
    return joined(r, [(value, monomial(r, names, exponents)) for exponents, value in terms.items()])


def polynomial(r: Random, letters: int, degree: int = 3) -> Terms:
    """Two to four monomials."""
    count = r.randint(2, min(4, (degree + 1) ** letters))
    terms: Terms = {}
    while len(terms) < count or not any(map(any, terms)):
        terms[tuple(r.randint(0, degree) for _ in range(letters))] = rational(r)
    return terms


def _changed_terms(r: Random, terms: Terms) -> Terms:
    """One coefficient, sign or exponent changed, or a monomial dropped."""
    key = r.choice(list(terms))
    rest = {k: v for k, v in terms.items() if k != key}
    longer = tuple(e + (i == 0) for i, e in enumerate(key))
    changes: list[Callable[[], Terms]] = [
        lambda: {**terms, key: other_fraction(r, terms[key])},
        lambda: {**terms, key: -terms[key]},
        lambda: {**rest, longer: rest.get(longer, Fraction(0)) + terms[key]},
        lambda: {**terms, longer: terms.get(longer, Fraction(0)) + 1},
        lambda: {k: -v for k, v in terms.items()},
    ]
    return _nonzero(other(r, terms, *changes))


def _nonzero(terms: Terms) -> Terms:
    return {key: value for key, value in terms.items() if value}


@kind("polynomials")
def _polynomials(r: Random) -> Made:
    names = "".join(r.sample(VARIABLES, r.randint(1, 3)))
    terms = polynomial(r, len(names))
    changed = other(r, terms, lambda: _changed_terms(r, terms))
    return tuple(write_polynomial(r, t, names) for t in (terms, terms, changed))  # type: ignore[return-value]


@kind("factored polynomials")
def _factored(r: Random) -> Made:
    x = r.choice(VARIABLES)
    roots = [(r.randint(1, 5), integer(r, 1)) for _ in range(r.randint(2, 3))]
    lead = integer(r, 1)
    changed = list(roots)
    place = r.randrange(len(roots))
    a, b = roots[place]
    changed[place] = other(r, (a, b), lambda: (a, -b), lambda: (a + 1, b), lambda: (a, b + pick(r, 1, 2)))
    if _expanded(lead, changed) == _expanded(lead, roots):
        changed[place] = (a, b * 11)
    texts = [_factors(r, x, lead, roots), _factors(r, x, lead, roots), _factors(r, x, lead, changed)]
    if r.random() < 0.5:
        texts[1] = write_polynomial(r, _nonzero(_expanded(lead, roots)), x)
        texts[2] = write_polynomial(r, _nonzero(_expanded(lead, changed)), x)
    return texts[0], texts[1], texts[2]


def _factors(r: Random, x: str, lead: int, roots: list[tuple[int, int]]) -> str:
    parts = [f"({joined(r, [(Fraction(a), x), (Fraction(b), '')])})" for a, b in r.sample(roots, len(roots))]
    return loose(r, coefficient(Fraction(lead), "".join(parts)))


def _expanded(lead: int, roots: list[tuple[int, int]]) -> Terms:
    values = [Fraction(lead)]
    for a, b in roots:
        shifted, scaled = [Fraction(0), *(v * a for v in values)], [*(v * b for v in values), Fraction(0)]
        values = [u + v for u, v in zip(shifted, scaled, strict=True)]
    return {(e,): value for e, value in enumerate(values)}


@kind("letters swapped or merged")
def _letters(r: Random) -> Made:
    a, b = r.sample("xyzabr", 2)
    p, q = r.sample(range(1, 30), 2)
    m, n = r.sample((1, 2, 3), 2)
    first, second = Fraction(p), Fraction(q * pick(r, 1, -1))
    gold = joined(r, [(first, power(r, a, m)), (second, power(r, b, n))])
    same = joined(r, [(second, power(r, b, n)), (first, power(r, a, m))])
    swapped = joined(r, [(first, power(r, b, m)), (second, power(r, a, n))])
    merged = joined(r, [(first, power(r, a, m)), (second, power(r, a, n))])
    return gold, same, pick(r, swapped, merged)


@wrong("another letter")
def _another_letter(r: Random) -> Texts:
    a, b = r.sample("xyabrhd", 2)
    p, q = integer(r, 2), Fraction(integer(r, 2))
    body = pick(r, "{}^2", "{}", r"\sqrt{{{}}}", r"\pi {}^2", "{}^{{3}}")
    value = Fraction(p)
    return joined(r, [(value, body.format(a)), (q, "")]), joined(r, [(value, body.format(b)), (q, "")])


@kind("radicals")
def _radicals(r: Random) -> Made:
    root = r.choice(SQUAREFREE)
    value = (Fraction(integer(r, 2)) if r.random() < 0.5 else Fraction(0), rational(r), root)
    changed = other(
        r,
        value,
        lambda: (value[0], -value[1], root),
        lambda: (value[0], value[1] + pick(r, 1, -1), root),
        lambda: (value[0], value[1], r.choice(SQUAREFREE)),
        lambda: (value[0] + 1, value[1], root),
        lambda: (-value[0], value[1], root),
        lambda: (value[0] + value[1], Fraction(0), 2),
    )
    return _write_surd(r, value), _write_surd(r, value), _write_surd(r, changed)


def _write_surd(r: Random, value: tuple[Fraction, Fraction, int]) -> str:
    a, b, root = value
    forms = [joined(r, [(a, ""), (b, rf"\sqrt{{{root}}}")])]
    if b.denominator == 1 and b:
        inside = int(b * b * root)
        forms.append(joined(r, [(a, ""), (Fraction(1 if b > 0 else -1), rf"\sqrt{{{inside}}}")]))
        forms.append(joined(r, [(a, ""), (b, f"√{root}")]))
        forms.append(joined(r, [(a, ""), (b * root, rf"\frac{{1}}{{\sqrt{{{root}}}}}")]))
    if a.denominator == b.denominator == 1 and a and b:
        k = r.randint(2, 9)
        inner = joined(r, [(a * k, ""), (b * k, rf"\sqrt{{{root}}}")])
        forms.append(rf"\frac{{{inner}}}{{{k}}}")
    if b and b.denominator > 1 and not a:
        top = coefficient(Fraction(b.numerator), rf"\sqrt{{{root}}}")
        forms.append(rf"\frac{{{top}}}{{{b.denominator}}}")
    return loose(r, r.choice(forms))


@kind("roots of other degree")
def _higher_roots(r: Random) -> Made:
    degree, inside, factor = r.randint(3, 5), r.choice(PRIMES), r.randint(2, 9)
    value = (degree, factor, inside)
    changed = other(
        r,
        value,
        lambda: (degree + 1, factor, inside),
        lambda: (degree, factor + 1, inside),
        lambda: (degree, factor, r.choice(PRIMES)),
        lambda: (2, factor, inside),
        lambda: (degree, -factor, inside),
    )

    def write(value: tuple[int, int, int]) -> str:
        d, f, n = value
        sign = "-" if f < 0 else ""
        forms = [rf"{f}\sqrt[{d}]{{{n}}}", rf"{f} \cdot {n}^{{1/{d}}}", rf"{f} \cdot {n}^{{\frac{{1}}{{{d}}}}}"]
        return r.choice([*forms, rf"{sign}\sqrt[{d}]{{{abs(f) ** d * n}}}"])

    return write(value), write(value), write(changed)


@kind("nested radicals")
def _nested_radicals(r: Random) -> Made:
    # The square of sqrt(a) + sqrt(b) is a + b + 2 sqrt(ab).
    a, b = sorted(r.sample(PRIMES, 2), reverse=True)
    sign = pick(r, "+", "-")
    nested = rf"\sqrt{{{a + b} {sign} 2\sqrt{{{a * b}}}}}"
    same = pick(r, rf"\sqrt{{{a}}} {sign} \sqrt{{{b}}}", rf"\sqrt{{{a + b} {sign} \sqrt{{{4 * a * b}}}}}")
    flipped = "-" if sign == "+" else "+"
    changed = pick(
        r,
        rf"\sqrt{{{a}}} {flipped} \sqrt{{{b}}}",
        rf"\sqrt{{{a + b}}} {sign} 2\sqrt{{{a * b}}}",
        rf"\sqrt{{{a + b + 1} {sign} 2\sqrt{{{a * b}}}}}",
        rf"\sqrt{{{b}}} - \sqrt{{{a}}}",
        rf"-\sqrt{{{a}}} {flipped} \sqrt{{{b}}}",
    )
    return nested, same, changed


@kind("multiples of pi and e")
def _constants(r: Random) -> Made:
    body = pick(r, r"\pi", r"\pi", "e", r"\pi^2", "e^2", r"e^{-1}")
    value = (rational(r), Fraction(integer(r, 1)) if r.random() < 0.4 else Fraction(0))
    changed = other(
        r,
        value,
        lambda: (other_fraction(r, value[0]), value[1]),
        lambda: (value[0], value[1] + 1),
        lambda: (-value[0], value[1]),
    )

    def write(value: tuple[Fraction, Fraction], body: str) -> str:
        a, b = value
        text = joined(r, [(a, body), (b, "")])
        if body == "e":  # 2e+8 could be a power of ten
            text = text.replace("e+", "e + ").replace("e-", "e - ")
        if a.denominator > 1 and not b and r.random() < 0.5:
            text = rf"\frac{{{coefficient(Fraction(a.numerator), body)}}}{{{a.denominator}}}"
        return text.replace(r"\pi", pick(r, r"\pi", "π", r"\pi ")) if not text.endswith("^2") else text

    wrong_body = {r"\pi": r"\pi^2", "e": "e^2", r"\pi^2": r"\pi", "e^2": "e", "e^{-1}": "e"}[body]
    different = pick(r, write(changed, body), write(changed, body), write(value, wrong_body))
    return write(value, body), write(value, body), different


@kind("logarithms")
def _logarithms(r: Random) -> Made:
    p, q = r.sample(PRIMES, 2)
    a, b = integer(r, 1), integer(r, 1)
    name = pick(r, r"\ln", r"\ln", r"\log_{2}", r"\log_{3}", r"\log_{10}")

    def write(a: int, b: int, p: int, q: int) -> str:
        sum_ = joined(r, [(Fraction(a), f"{name} {p}"), (Fraction(b), f"{name} {q}")])
        inside = Fraction(p) ** a * Fraction(q) ** b
        called = joined(r, [(Fraction(a), f"{name}({p})"), (Fraction(b), f"{name}({q})")])
        return pick(r, sum_, called, rf"{name}\left({tex(inside)}\right)")

    changed = pick(r, (a + 1, b, p, q), (a, -b, p, q), (-a, b, p, q), (b, a, p, q) if a != b else (a, b + 1, p, q))
    if 0 in changed:
        changed = (2 * a, b, p, q)
    return write(a, b, p, q), write(a, b, p, q), write(*changed)


@kind("logarithms to a base")
def _bases_of_logarithms(r: Random) -> Made:
    b, p = r.sample(PRIMES, 2)
    k = r.randint(1, 9)
    gold = rf"{k if k > 1 else ''}\log_{{{b}}} {p}"
    same = pick(r, rf"\frac{{{k}\ln {p}}}{{\ln {b}}}", rf"\log_{{{b}}} {p**k}", rf"\log_{{{b}}}({p**k})")
    changed = pick(
        r,
        rf"\frac{{{k}\ln {b}}}{{\ln {p}}}",
        rf"\log_{{{p}}} {b**k}",
        rf"\log_{{{b}}} {p ** (k + 1)}",
        rf"\log_{{{b}}} {p**k + 1}",
        rf"-\log_{{{b}}} {p**k}",
    )
    return gold, same, changed


@kind("trigonometric expressions")
def _trigonometric(r: Random) -> Made:
    x = pick(r, "x", "t", r"\theta", r"\alpha")
    a, b = Fraction(integer(r, 1)), Fraction(integer(r, 1))
    m, n = r.randint(1, 5), r.randint(1, 5)

    def write(a: Fraction, b: Fraction, m: int, n: int) -> str:
        inner, outer = ((str(k) if k > 1 else "") + x for k in (m, n))
        return loose(r, joined(r, [(a, rf"\sin {inner}"), (b, rf"\cos({outer})")]))

    changed = other(
        r,
        (a, b, m, n),
        lambda: (a + 1 if a != -1 else a + 2, b, m, n),
        lambda: (a, -b, m, n),
        lambda: (a, b, m + 1, n),
        lambda: (a, b, m, n + 1),
        lambda: (b, a, m, n),
        lambda: (-a, b, m, n),
    )
    return write(a, b, m, n), write(a, b, m, n), write(*changed)


@kind("trigonometric identities")
def _identities(r: Random) -> Made:
    x = pick(r, "x", "t", r"\theta", r"\alpha", "y")
    a = integer(r, 2)
    gold, same, changed = pick(
        r,
        (r"2\sin X\cos X", r"\sin 2X", r"2\sin 2X"),
        (r"\cos^2 X - \sin^2 X", r"\cos 2X", r"1 - \cos 2X"),
        (r"\frac{\sin X}{\cos X}", r"\tan X", r"\cot X"),
        (r"1 - 2\sin^2 X", r"2\cos^2 X - 1", r"2\sin^2 X - 1"),
        (r"\sin^2 X", r"1 - \cos^2 X", r"\cos^2 X - 1"),
        (r"\sin(X+\frac{\pi}{2})", r"\cos X", r"-\cos X"),
    )
    tail = f"{a:+d}"
    return tuple(text.replace("X", x) + tail for text in (gold, same, changed))  # type: ignore[return-value]


@kind("exponentials")
def _exponentials(r: Random) -> Made:
    x = r.choice("xtn")
    base, a, b = pick(r, "2", "3", "e", "10"), integer(r, 1), integer(r, 1)
    k = integer(r, 2)

    def write(a: int, b: int, k: int) -> str:
        up = joined(r, [(Fraction(a), x), (Fraction(b), "")])
        split = rf"{base}^{{{b}}} \cdot {base}^{{{coefficient(Fraction(a), x)}}}"
        return pick(r, f"{base}^{{{up}}}{k:+d}", f"{split} {k:+d}")

    return write(a, b, k), write(a, b, k), write(*pick(r, (a, -b, k), (a, b + 1, k), (-a, b, k), (a, b, -k)))


@kind("rational functions")
def _rational_functions(r: Random) -> Made:
    x = r.choice(VARIABLES)
    top, bottom = polynomial(r, 1, 2), polynomial(r, 1, 2)
    while not any(map(any, bottom)) or not any(map(any, top)):
        top, bottom = polynomial(r, 1, 2), polynomial(r, 1, 2)
    k = integer(r, 1)
    scaled = {key: value * k for key, value in top.items()}, {key: value * k for key, value in bottom.items()}

    def write(top: Terms, bottom: Terms) -> str:
        return loose(r, rf"\frac{{{write_polynomial(r, top, x)}}}{{{write_polynomial(r, bottom, x)}}}")

    changed = other(
        r, (top, bottom), lambda: (_changed_terms(r, top), bottom), lambda: (top, _changed_terms(r, bottom))
    )
    while _same_ratio(changed, (top, bottom)) or not changed[1]:
        changed = (_changed_terms(r, top), bottom)
    return write(top, bottom), write(*pick(r, (top, bottom), scaled)), write(*changed)


def _times(a: Terms, b: Terms) -> Terms:
    found: Terms = {}
    for (ka, va), (kb, vb) in product(a.items(), b.items()):
        key = tuple(i + j for i, j in zip(ka, kb, strict=True))
        found[key] = found.get(key, Fraction(0)) + va * vb
    return _nonzero(found)


def _same_ratio(a: tuple[Terms, Terms], b: tuple[Terms, Terms]) -> bool:
    return _times(a[0], b[1]) == _times(b[0], a[1])


# Random trees: (name, parts...); what a tree is worth is computed with 40 digits at a few points.

Tree = tuple[Any, ...]
FUNCTIONS = {
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "ln": mpmath.log,
    "sqrt": mpmath.sqrt,
    "abs": abs,
    "neg": lambda a: -a,
    "exp": mpmath.exp,
}


def _tree(r: Random, depth: int, names: str) -> Tree:
    if depth == 0 or r.random() < 0.15:
        return ("letter", r.choice(names)) if r.random() < 0.55 else ("number", rational(r))
    name = pick(r, "add", "add", "sub", "mul", "mul", "div", "pow", "sqrt", "sin", "cos", "ln", "abs", "neg", "exp")
    first = _tree(r, depth - 1, names)
    if name == "pow":
        return name, first, pick(r, 2, 2, 3, 4)
    return (name, first) if name in FUNCTIONS else (name, first, _tree(r, depth - 1, names))


_LARGEST = 1e6
"""Largest value of a part of an expression."""


def _worth(tree: Tree, point: dict[str, Any]) -> Any:
    name, *parts = tree
    if name == "letter":
        return point[parts[0]]
    if name == "number":
        return mpmath.mpf(parts[0].numerator) / parts[0].denominator
    if name == "pow":
        return _worth(parts[0], point) ** parts[1]
    values = [_worth(part, point) for part in parts]
    if any(abs(value) > _LARGEST for value in values):
        raise ArithmeticError("a function of something this large could take forever")
    if name in FUNCTIONS:
        return FUNCTIONS[name](*values)
    a, b = values
    return {"add": a + b, "sub": a - b, "mul": a * b}[name] if name != "div" else a / b


def _write_tree(r: Random, tree: Tree, shuffled: bool = False) -> str:
    name, *parts = tree
    if name in ("letter", "number"):
        return parts[0] if name == "letter" else tex(parts[0])
    if name == "pow":
        return rf"\left({_write_tree(r, parts[0], shuffled)}\right)^{{{parts[1]}}}"
    if shuffled and name in ("add", "mul") and r.random() < 0.5:
        parts.reverse()
    texts = [_write_tree(r, part, shuffled) for part in parts]
    form = {
        "sin": r"\sin\left({}\right)",
        "cos": r"\cos\left({}\right)",
        "ln": r"\ln\left({}\right)",
        "sqrt": r"\sqrt{{{}}}",
        "abs": r"\left|{}\right|",
        "neg": r"-\left({}\right)",
        "exp": r"e^{{{}}}",
        "add": "{} + ({})",
        "sub": r"{} - \left({}\right)",
        "mul": r"({}) \cdot ({})",
        "div": r"\frac{{{}}}{{{}}}",
    }[name]
    return form.format(*texts)


def _mutated(r: Random, tree: Tree, names: str) -> Tree:
    """One node changed: a number, a letter, a sign, an exponent or a function."""
    name, *parts = tree
    if name == "letter":
        return ("letter", r.choice(names))
    if name == "number":
        return ("number", other_fraction(r, parts[0]))
    if r.random() < 0.25:
        swaps = {"add": "sub", "sub": "add", "mul": "div", "div": "mul", "sin": "cos", "cos": "sin"}
        if name in swaps:
            return (swaps[name], *parts)
        return ("pow", parts[0], parts[1] + 1) if name == "pow" else parts[0]
    place = 0 if name == "pow" else r.randrange(len(parts))
    parts[place] = _mutated(r, parts[place], names)
    return (name, *parts)


def _differ(a: Tree, b: Tree, names: str) -> bool:
    """Whether two trees have clearly different real values at some point; raises where neither is defined."""
    seen = False
    for point in ("1.37", "0.71"), ("2.213", "3.091"), ("0.313", "5.77"), ("7.9", "0.09"), ("-1.7", "2.9"):
        values = dict(zip(names, map(mpmath.mpf, point), strict=False))
        try:
            left, right = (mpmath.mpmathify(_worth(tree, values)) for tree in (a, b))
        except ZeroDivisionError:
            continue
        if left.imag or right.imag or max(abs(left), abs(right)) > 1e12:
            continue
        seen = True
        if abs(left - right) > 1e-4 * max(1, abs(left), abs(right)):
            return True
    if not seen:
        raise ArithmeticError("defined at none of the points")
    return False


def _letters_of(tree: Tree) -> set[str]:
    name, *parts = tree
    if name == "letter":
        return {parts[0]}
    return set().union(*(_letters_of(part) for part in parts if isinstance(part, tuple)))


@kind("nested expressions")
def _nested(r: Random) -> Made:
    names = "".join(r.sample(VARIABLES, 2))
    with mpmath.workdps(40):
        while True:
            tree = _tree(r, r.randint(2, 4), names)
            changed = _mutated(r, tree, names)
            try:
                differ = _letters_of(changed) == _letters_of(tree) and _differ(tree, changed, names)
            except (ArithmeticError, ValueError):
                continue
            if differ:
                break
    return _write_tree(r, tree), loose(r, _write_tree(r, tree, True)), _write_tree(r, changed)


@wrong("absolute values dropped")
def _absolute(r: Random) -> Texts:
    x, a = r.choice(VARIABLES), integer(r, 2)
    inner = joined(r, [(Fraction(1), x), (Fraction(a), "")])
    return pick(
        r,
        (rf"\sqrt{{({inner})^2}}", inner),
        (f"|{inner}|", inner),
        (rf"\left|{inner}\right|", f"-({inner})"),
        (inner, rf"\sqrt{{({inner})^2}}"),
        (rf"\sqrt{{{x}^2}}+{abs(a)}", f"{x}+{abs(a)}"),
    )


@equal("absolute values")
def _same_absolute(r: Random) -> Texts:
    x, a = r.choice(VARIABLES), integer(r, 2)
    inner, turned = joined(r, [(Fraction(1), x), (Fraction(a), "")]), joined(r, [(Fraction(-1), x), (Fraction(-a), "")])
    forms = [rf"\sqrt{{({inner})^2}}", f"|{inner}|", rf"\left|{turned}\right|", rf"\lvert {inner} \rvert"]
    return r.choice(forms), r.choice(forms)


@wrong("one answer's text in the other's")
def _affixes(r: Random) -> Texts:
    n, root = size(r, 3), r.choice(SQUAREFREE)
    digit = r.randint(1, 9)
    x = r.choice(LETTERS)
    two = pick(
        r,
        (str(n), f"{digit}{n}"),
        (str(n), f"{n}{digit}"),
        (rf"{n}\sqrt{{{root}}}", str(n)),
        (f"{n}√{root}", str(n)),
        (rf"{n}\sqrt{{{root}}}", rf"\sqrt{{{root}}}" if n > 1 else f"{root}"),
        (str(n + 1), f"{n + 1}\\pi"),
        (str(n + 2), f"{n + 2}!!!" if n < 900 and n > 2 else f"{n + 2}^2"),
        (f"{n + 1}{x}", f"{n + 1}"),
        (f"{n + 1}{x}", x),
        (f"{n}.{digit}", str(n)),
        (rf"\frac{{{n}}}{{{n + digit}}}", str(n)),
        (f"{n + 1}^{{2}}", str(n + 1)),
        (rf"{n}+\sqrt{{{root}}}", rf"\sqrt{{{root}}}"),
        (f"({n}, {digit})", str(n)),
        (f"-{n}", str(n)),
        (f"{n} - {x}", f"{n}"),
    )
    return two if r.random() < 0.5 else two[::-1]


@equal("fractions of letters")
def _letter_fractions(r: Random) -> Texts:
    a, b, c = r.sample(LETTERS, 3)
    value = fraction(r, 1)
    p, q = abs(value.numerator), value.denominator
    forms = [
        rf"\frac{{{p}{a}{b}}}{{{q}{c}}}",
        rf"\frac{{{p}{b}{a}}}{{{q}{c}}}",
        rf"\frac{{{p}}}{{{q}}} \cdot \frac{{{a}{b}}}{{{c}}}",
        rf"\dfrac{{{a}}}{{{c}}} \cdot {write_fraction(r, Fraction(p, q))} \cdot {b}",
        rf"{p}{a}{b}/({q}{c})",
    ]
    return r.choice(forms), r.choice(forms)
