"""Labels, equations, curves and piecewise functions."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from .algebra import polynomial, write_polynomial
from .parts import LETTERS, another, integer, joined, loose, other, other_fraction, pick, power, rational, size, tex
from .tables import Made, Texts, equal, kind, wrong

QUANTITIES = (
    r"\angle {A}{B}{C}",
    r"S_{{\triangle {A}{B}{C}}}",
    r"|{A}{B}|",
    r"{A}{B}",
    r"\text{{Area}}",
    r"\text{{Total}}",
    r"\lim_{{x \to 0}} f(x)",
    "v_{{\\max}}",
    "f({n})",
    "x_{n}",
    "a_{{{n}}}",
    "P({A})",
    r"\sin {A}",
    r"\overline{{{A}{B}}}",
    r"{A}_{{\text{{min}}}}",
    r"E[X]",
    r"N",
    r"\theta",
    r"\text{{Var}}(X)",
    r"m\angle {B}",
)


def _quantity(r: Random) -> str:
    a, b, c = r.sample("ABCDPQRM", 3)
    return r.choice(QUANTITIES).format(A=a, B=b, C=c, n=r.randint(2, 9))


@kind("labels")
def _labels(r: Random) -> Made:
    x, value = r.choice(LETTERS), rational(r)
    changed = other_fraction(r, value)

    def write(value: Fraction, labeled: bool) -> str:
        return (f"{x}{pick(r, ' = ', '=', ' =')}" if labeled else "") + tex(value)

    first, second = pick(r, (True, False), (False, True), (True, True))
    return write(value, first), write(value, second), write(changed, second)


@kind("named quantities")
def _named(r: Random) -> Made:
    name, value = _quantity(r), rational(r)
    degrees = r"^\circ" if "angle" in name and "tri" not in name else ""
    changed = other_fraction(r, value)
    if r.random() < 0.3:
        return f"{name} = {tex(value)}{degrees}", f"{tex(value)}{degrees}", f"{tex(changed)}{degrees}"
    return f"{tex(value)}{degrees}", f"{name} = {tex(value)}{degrees}", f"{name} = {tex(changed)}{degrees}"


@kind("chains of equal numbers")
def _number_chains(r: Random) -> Made:
    a, b = size(r, 3), size(r, 3)
    n = a + b
    m = abs(another(r, n)) + 1
    m = m + 1 if m == n else m
    same = pick(r, f"{a}+{b}={n}", rf"\frac{{{2 * n}}}{{2}} = {n}", f"{n} = {a} + {b}", f"x = {a}+{b} = {n}")
    changed = pick(
        r, f"{n}={m}", f"{m}={n}", f"x={m}={n}", f"{a}+{b}={m}", f"x = {n} = {m}", f"{m} = {a} + {b}", f"{n} \\neq {n}"
    )
    return str(n), same, changed


@wrong("a number on the left is no label")
def _number_left(r: Random) -> Texts:
    names = "".join(r.sample("abcxyz", r.randint(1, 2)))
    number, right = size(r, 3), write_polynomial(r, polynomial(r, len(names), 2), names)
    two = f"{number} = {right}", pick(r, right, f"{number}", f"{number + 1} = {right}")
    zero = f"0 = {right}", right
    return pick(r, two, zero, (two[1], two[0]))


@kind("linear equations")
def _lines(r: Random) -> Made:
    x, y = pick(r, ("x", "y"), ("x", "y"), ("a", "b"), ("s", "t"))
    a, b, c = (Fraction(integer(r, 1)) for _ in range(3))

    def write(a: Fraction, b: Fraction, c: Fraction) -> str:
        k = pick(r, 1, 1, 2, -1, 3)
        a, b, c = a * k, b * k, c * k
        zero = f"{joined(r, [(a, x), (b, y), (c, '')])} = 0"
        solved = f"{y} = {joined(r, [(-a / b, x), (-c / b, '')])}"
        return pick(
            r,
            zero,
            solved,
            f"{joined(r, [(a, x), (b, y)])} = {tex(-c)}",
            f"{joined(r, [(a, x), (c, '')])} = {coef(-b, y)}",
        )

    changed = pick(r, (a, b, c + 1), (-a, b, c), (a, b, -c), (a + (1 if a != -1 else 2), b, c))
    return write(a, b, c), write(a, b, c), write(*changed)


def coef(value: Fraction, name: str) -> str:
    """A number times a letter."""
    return joined(Random(0), [(value, name)])


@kind("functions with a name")
def _functions(r: Random) -> Made:
    x, f = r.choice("xtn"), r.choice("fghy")
    terms = polynomial(r, 1, 3)
    key = r.choice(list(terms))
    changed = {**terms, key: other_fraction(r, terms[key])}
    name = "y" if f == "y" else f"{f}({x})"

    def write(named: bool, changed_terms: bool) -> str:
        right = write_polynomial(r, changed if changed_terms else terms, x)
        return f"{name} = {right}" if named else right

    labeled = r.random() < 0.5
    return write(True, False), write(labeled, False), write(labeled, True)


@kind("functions of a renamed variable")
def _renamed_functions(r: Random) -> Made:
    terms = polynomial(r, 1, 3)
    key = r.choice(list(terms))
    changed = {**terms, key: other_fraction(r, terms[key])}
    f, (x, t) = r.choice("fgh"), r.sample("xtnus", 2)
    gold, same, different = (
        f"{f}({name}) = {write_polynomial(r, values, name)}" for name, values in ((x, terms), (t, terms), (t, changed))
    )
    return gold, same, different


@kind("circles and conics")
def _conics(r: Random) -> Made:
    a, b = r.sample(range(2, 15), 2)
    sign = pick(r, "+", "-")

    def conic(a: int, b: int, sign: str) -> str:
        standard = rf"\frac{{x^2}}{{{a * a}}} {sign} \frac{{y^2}}{{{b * b}}} = 1"
        return pick(r, standard, f"{b * b}x^2 {sign} {a * a}y^2 = {a * a * b * b}", standard)

    changed = pick(r, (b, a, sign), (a + 1, b, sign), (a, b, "-" if sign == "+" else "+"))
    return conic(a, b, sign), conic(a, b, sign), conic(*changed)


@kind("circles")
def _circles(r: Random) -> Made:
    a, b, radius = integer(r, 1), integer(r, 1), r.randint(1, 12)

    def circle(a: int, b: int, square: int) -> str:
        centered = f"(x{-a:+d})^2 + (y{-b:+d})^2 = {square}"
        spread = f"x^2 + y^2 {-2 * a:+d}x {-2 * b:+d}y {a * a + b * b - square:+d} = 0"
        return pick(r, centered, centered, f"(y{-b:+d})^2 + (x{-a:+d})^2 = {square}", spread)

    square = radius * radius
    changed = pick(r, (-a, b, square), (a, -b, square), (a, b, square + 1), (a, b, radius + square + 2))
    return circle(a, b, square), circle(a, b, square), circle(*changed)


@kind("piecewise functions")
def _piecewise(r: Random) -> Made:
    a, b, c = integer(r, 1), integer(r, 1), r.randint(-9, 9)
    m, n = r.sample((1, 2, 3), 2)

    def write(a: int, b: int, c: int, m: int, n: int, closed: bool = True) -> str:
        upper, lower = (r"\ge", "<") if closed else (">", r"\le")
        upper = pick(r, upper, upper + "q" if upper == r"\ge" else upper)
        comma, if_ = pick(r, "", ","), pick(r, "", r"\text{if } ", r"\text{ if }")
        first = f"{joined(r, [(Fraction(a), power(r, 'x', m))])}{comma} & {if_}x {upper} {c}"
        second = f"{joined(r, [(Fraction(b), power(r, 'x', n))])}{comma} & {if_}x {lower} {c}"
        branches = [first, second] if r.random() < 0.7 else [second, first]
        return rf"\begin{{cases}} {branches[0]} \\ {branches[1]} \end{{cases}}"

    value = (a, b, c, m, n)
    b_other = b + 1 if b != -1 else 1
    changed = pick(r, (a, b_other, c, m, n), (a, b, c + 1, m, n), (b, a, c, n, m), (a, b, c, n, m), (-a, b, c, m, n))
    label = pick(r, "", "f(x) = ")
    return label + write(*value), pick(r, label, "") + write(*value), label + write(*changed)


@kind("lines in space")
def _symmetric_lines(r: Random) -> Made:
    point, way = [integer(r, 1) for _ in range(3)], [r.randint(2, 9) for _ in range(3)]

    def write(point: list[int], way: list[int]) -> str:
        return " = ".join(rf"\frac{{{name}{-p:+d}}}{{{w}}}" for name, p, w in zip("xyz", point, way, strict=True))

    i = r.randrange(3)
    moved = [p + (k == i) if p != -1 or k != i else p - 1 for k, p in enumerate(point)]
    turned = [w + (k == i) for k, w in enumerate(way)]
    return write(point, way), loose(r, write(point, way)), pick(r, write(moved, way), write(point, turned))


@wrong("labels of other letters")
def _two_labels(r: Random) -> Texts:
    (x, y), value = r.sample(LETTERS, 2), rational(r)
    changed = other(r, value, lambda: other_fraction(r, value))
    return f"{x} = {tex(value)}", f"{y} = {tex(changed)}"


@wrong("negated equations")
def _negated(r: Random) -> Texts:
    x, value = r.choice(LETTERS), tex(rational(r))
    return f"{x} = {value}", pick(r, rf"{x} \neq {value}", f"{x} > {value}", rf"{x} \le {value}", f"{x} = -({value})")


@equal("reversed equations")
def _reversed(r: Random) -> Texts:
    x, value = r.choice(LETTERS), tex(rational(r))
    return f"{x} = {value}", pick(r, f"{value} = {x}", value, f"{x}={value}", f"{x} = {value}.")


@wrong("subscripted names")
def _subscripts(r: Random) -> Texts:
    x, (i, j) = r.choice("axvR"), r.sample(range(1, 9), 2)
    a, b = several_values(r)
    return pick(
        r,
        (f"{x}_{i} = {a}", f"{x}_{i} = {b}"),
        (f"{x}_{i} + {a}", f"{x}_{j} + {a}"),
        (f"{a}{x}_{i}", f"{b}{x}_{i}"),
        (f"{x}_{{{i}}} + {x}_{{{j}}}", f"{x}_{{{i}}} - {x}_{{{j}}}"),
        (f"{x}_{i} = {a}, {x}_{j} = {b}", f"{x}_{i} = {b}, {x}_{j} = {a}"),
        (rf"\frac{{{x}_{i}}}{{{x}_{j}}}", rf"\frac{{{x}_{j}}}{{{x}_{i}}}"),
    )


def several_values(r: Random) -> tuple[int, int]:
    """Two different whole numbers from 2 on."""
    a, b = r.sample(range(2, 100), 2)
    return a, b


@equal("subscripted names")
def _same_subscripts(r: Random) -> Texts:
    x, (i, j) = r.choice("axvR"), r.sample(range(1, 9), 2)
    a, b = several_values(r)
    return pick(
        r,
        (f"{x}_{i} = {a}", f"{x}_{{{i}}} = {a}"),
        (f"{a}{x}_{i}", rf"{a} \cdot {x}_{{{i}}}"),
        (f"{x}_{i} + {x}_{j}", f"{x}_{{{j}}} + {x}_{{{i}}}"),
        (f"{x}_{i} = {a}, {x}_{j} = {b}", f"{x}_{{{j}}}={b}, {x}_{{{i}}}={a}"),
        (rf"\frac{{{x}_{i}}}{{{x}_{j}}}", f"{x}_{i}/{x}_{j}"),
    )
