"""Free letters: families with parameters that are whole numbers, and letters that may be renamed."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from .parts import joined, other, pick, tex
from .tables import Made, Texts, equal, kind, wrong

INTEGERS = (
    r", {k} \in \mathbb{{Z}}",
    r", {k}\in\mathbb{{Z}}",
    r" \quad ({k} \in \mathbb{{Z}})",
    r", \text{{ where }} {k} \in \mathbb{{Z}}",
)


def _pi(value: Fraction) -> str:
    if value == 0:
        return ""
    if value.denominator == 1:
        return {1: r"\pi", -1: r"-\pi"}.get(value.numerator, rf"{value.numerator}\pi")
    top = (str(abs(value.numerator)) if abs(value.numerator) > 1 else "") + r"\pi"
    return rf"{'-' if value < 0 else ''}\frac{{{top}}}{{{value.denominator}}}"


def _family(r: Random, start: Fraction, step: int, k: str) -> str:
    body = rf"{step if step > 1 else ''}{k}\pi"
    return pick(r, f"{_pi(start)} + {body}", f"{body}{_signed(start)}") if start else body


def _signed(start: Fraction) -> str:
    text = _pi(start)
    return text if text.startswith("-") else f"+{text}"


@kind("families with a whole parameter")
def _families(r: Random) -> Made:
    bottom = pick(r, 2, 3, 4, 6, 5, 8, 12)
    start, step = Fraction(r.randint(1, bottom - 1), bottom) * pick(r, 1, -1), pick(r, 1, 2)
    k, n = r.sample("knm", 2)
    x = pick(r, "", "x = ", r"\theta = ")
    changed = other(
        r,
        (start, step),
        lambda: (start, 3 - step),
        lambda: (start + Fraction(1, 7), step),
        lambda: (start, step + 2),
        lambda: (start / 2, step),
    )
    tail = r.choice(INTEGERS)
    gold = x + _family(r, start, step, k) + tail.format(k=k)
    same = x + _family(r, start, step, n) + r.choice(INTEGERS).format(k=n)
    return gold, same, x + _family(r, changed[0], changed[1], n) + r.choice(INTEGERS).format(k=n)


@wrong("two families")
def _two_families(r: Random) -> Texts:
    a, b = (Fraction(1, n) for n in r.sample((3, 4, 5, 6, 7, 8), 2))
    tail = r", k \in \mathbb{Z}"
    return (
        f"{_pi(a)} + 2k\\pi, {_pi(1 - a)} + 2k\\pi{tail}",
        pick(
            r,
            f"{_pi(b)} + 2k\\pi, {_pi(1 - b)} + 2k\\pi{tail}",
            f"{_pi(a)} + 2k\\pi{tail}",
            f"{_pi(a)} + 2k\\pi, {_pi(1 - b)} + 2k\\pi{tail}",
            f"{_pi(a)} + 2k\\pi, {_pi(-a)} + 2k\\pi{tail}",
        ),
    )


@kind("renamed constants")
def _renamed_constants(r: Random) -> Made:
    c, k = r.sample("ckCKA", 2)
    up, low = r.sample((1, 2, 3, 4), 2)
    x = "x"
    one = f"f({x}) = {c}{x}" + (f"^{up}" if up > 1 else "")
    same = f"f({x}) = {k}{x}" + (f"^{up}" if up > 1 else "")
    changed = f"f({x}) = {k}{x}" + (f"^{low}" if low > 1 else "")
    return one, same, changed


@kind("renamed parameters of tuples")
def _renamed_tuples(r: Random) -> Made:
    s, t = r.sample("stkmn", 2)
    a, b = r.sample(range(1, 12), 2)

    def write(a: int, b: int, t: str) -> str:
        return f"({a if a > 1 else ''}{t}, {b if b > 1 else ''}{t})"

    return (
        write(a, b, t),
        write(a, b, pick(r, s, t)),
        pick(r, write(a, b + 1, s), write(a + b, b, s), write(a, b + a, t)),
    )


@kind("arithmetic progressions")
def _progressions(r: Random) -> Made:
    k, n = r.sample("knm", 2)
    step, start = r.randint(2, 30), r.randint(1, 29)
    changed = pick(
        r, (step + 1, start), (step, start + 1 if (start + 1) % step != start % step else start + 2), (step * 2, start)
    )

    def write(step: int, start: int, k: str) -> str:
        return joined(r, [(Fraction(step), k), (Fraction(start), "")])

    tail = r" \in \mathbb{Z}"
    gold = f"{write(step, start, k)}, {k}{tail}" if r.random() < 0.4 else write(step, start, k)
    far = pick(r, k, n)
    return gold, write(step, start, pick(r, k, n)), write(*changed, far)


@kind("constants of integration")
def _integration(r: Random) -> Made:
    a, b = tex(Fraction(r.randint(1, 9), r.randint(2, 9))), r.randint(2, 6)
    c, d = r.sample("CKc", 2)
    return f"{a}x^{b} + {c}", pick(r, f"{c} + {a}x^{b}", f"{a}x^{{{b}}}+{c}"), f"{a}x^{b + 1} + {d}"


@wrong("swapped letters of a problem")
def _swapped_letters(r: Random) -> Texts:
    a, b, c = r.sample("abcmpq", 3)
    return pick(
        r,
        (f"{a}x + {b}", f"{b}x + {a}"),
        (rf"\frac{{{a}}}{{{b}}}", rf"\frac{{{b}}}{{{a}}}"),
        (f"{a} - {b}", f"{b} - {a}"),
        (f"{a}^2{b}", f"{b}^2{a}"),
        (rf"\frac{{{a}{b}}}{{{c}}}", rf"\frac{{{a}{c}}}{{{b}}}"),
        (f"{a} + 2{b} + 3{c}", f"{b} + 2{a} + 3{c}"),
        (f"({a}, {b})", f"({b}, {a})"),
        (f"{a}^{{{b}}}", f"{b}^{{{a}}}"),
        (rf"\sqrt{{{a}^2 + {b}}}", rf"\sqrt{{{b}^2 + {a}}}"),
    )


@equal("physics formulas")
def _formulas(r: Random) -> Texts:
    label = r.random() < 0.5
    name, gold, same = pick(
        r,
        ("T", r"2\pi\sqrt{\frac{L}{g}}", r"2\pi \sqrt{L/g}"),
        ("v", r"\sqrt{2gh}", r"\sqrt{2 g h}"),
        ("E", r"\frac{1}{2}mv^2", r"\frac{m v^{2}}{2}"),
        ("F", r"\frac{GMm}{r^2}", r"G \frac{M m}{r^{2}}"),
        ("E", r"\frac{3}{2}\hbar\omega", r"\frac{3\hbar\omega}{2}"),
        ("v", r"\frac{mg}{k}", r"\frac{g m}{k}"),
        (r"\lambda", r"\frac{h}{mv}", r"h/(mv)"),
        ("R", r"\frac{R_1 R_2}{R_1+R_2}", r"\frac{R_1R_2}{R_2 + R_1}"),
        ("t", r"\sqrt{\frac{2h}{g}}", r"\sqrt{2h/g}"),
        ("P", r"I^2 R", "RI^2"),
    )
    factor = r.randint(2, 99)
    return f"{factor} \\cdot {gold}", (f"{name} = " if label else "") + f"{factor} \\cdot {same}"


@wrong("physics formulas")
def _other_formulas(r: Random) -> Texts:
    gold, changed = pick(
        r,
        (r"2\pi\sqrt{\frac{L}{g}}", r"2\pi\sqrt{\frac{g}{L}}"),
        (r"\sqrt{2gh}", r"\sqrt{gh}"),
        (r"\frac{1}{2}mv^2", r"\frac{1}{2}m^2v"),
        (r"\frac{GMm}{r^2}", r"\frac{GMm}{r}"),
        (r"\hbar\omega", r"h\omega"),
        (r"\frac{mg}{k}", r"\frac{mg}{2k}"),
        (r"\frac{R_1 R_2}{R_1+R_2}", r"\frac{R_1+R_2}{R_1 R_2}"),
        (r"I^2 R", r"I R^2"),
        (r"\frac{kQ}{r}", r"\frac{kq}{r}"),
        (r"\frac{mv^2}{R}", r"\frac{mv^2}{r}"),
        (r"\vec{a} \times \vec{b}", r"\vec{b} \times \vec{a}"),
    )
    factor = r.randint(2, 99)
    prefix, other_prefix = (rf"{factor} \cdot ", rf"{factor} \cdot ") if r.random() < 0.8 else ("", "")
    return other(r, "", lambda: prefix + gold), other_prefix + changed
