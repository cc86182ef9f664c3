"""Counting and number theory: binomials, factorials, sums, remainders, and functions of whole numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from random import Random

from .parts import another, integer, other, pick, rational, several, size, tex, write_integer
from .tables import Made, Texts, equal, kind, wrong


@kind("binomials")
def _binomials(r: Random) -> Made:
    n = r.randint(4, 24)
    k = r.randint(1, n - 1)

    def write(n: int, k: int) -> str:
        forms = [rf"\binom{{{n}}}{{{k}}}", rf"\dbinom{{{n}}}{{{k}}}", rf"{{{n} \choose {k}}}", f"C_{{{n}}}^{{{k}}}"]
        return r.choice([*forms, rf"\binom{{{n}}}{{{n - k}}}", str(math.comb(n, k)), rf"C({n},{k})"])

    value = math.comb(n, k)
    choices = [(n + 1, k), (n, k + 1), (n - 1, k), (n, k - 1), (n + 1, k + 1)]
    changed = r.choice([c for c in choices if 0 < c[1] < c[0] and math.comb(*c) != value] or [(n + 2, k)])
    return rf"\binom{{{n}}}{{{k}}}", write(n, k), pick(r, write(*changed), str(another(r, value)))


def _double(n: int) -> int:
    return math.prod(range(n, 0, -2))


@kind("factorials", boxed=True)
def _factorials(r: Random) -> Made:
    n, k = r.randint(4, 20), r.randint(1, 9)
    value = math.factorial(n)
    factor = f"{k} \\cdot " if k > 1 else ""
    gold = f"{factor}{n}!"
    same = pick(r, f"{factor}{n}!", f"{factor}{n} \\cdot {n - 1}!", str(k * value), f"{factor}({n})!")
    changed = pick(
        r,
        f"{factor}{n - 1}!",
        f"{factor}{n + 1}!",
        f"{factor}{n}!!",
        f"{factor}{n}",
        f"{k + 1} \\cdot {n}!",
        str(k * value + 1),
        rf"\frac{{{n}!}}{{{k + 1}}}",
    )
    return gold, same, changed


@kind("double factorials", boxed=True)
def _double_factorials(r: Random) -> Made:
    n = r.randint(4, 15)
    value = _double(n)
    same = pick(r, f"{n}!!", str(value), f"{n} \\cdot {n - 2}!!")
    changed = pick(r, f"{n}!", f"({n}!)!", f"{n}!!!", str(value + 1), f"{n + 1}!!", f"{n}", f"{n - 2}!!")
    return pick(r, f"{n}!!", str(value)), same, changed


def _sum_of(values: list[Fraction], is_product: bool) -> Fraction:
    return math.prod(values, start=Fraction(1)) if is_product else sum(values, Fraction(0))


@kind("sums and products over ranges")
def _ranges(r: Random) -> Made:
    letter = r.choice("kijn")
    is_product = r.random() < 0.25
    body, worth = _summand(r, letter)
    low, high = r.randint(1, 3), r.randint(4, 7 if is_product else 12)

    def value(low: int, high: int) -> Fraction:
        return _sum_of([worth(k) for k in range(low, high + 1)], is_product)

    def write(low: int, high: int) -> str:
        name = r"\prod" if is_product else r"\sum"
        return rf"{name}_{{{letter}={low}}}^{{{high}}} {body}"

    right = value(low, high)
    ranges = [(low, high + 1), (low + 1, high), (low, high - 1)]
    changed = [span for span in ranges if value(*span) != right]
    number, wrong_number = tex(right), tex(right + pick(r, 1, -1, 2))
    different = write(*r.choice(changed)) if changed and r.random() < 0.5 else wrong_number
    if r.random() < 0.5:
        return number, write(low, high), different if changed and r.random() < 0.5 else wrong_number
    return write(low, high), number, wrong_number


def _summand(r: Random, k: str) -> tuple[str, Callable[[int], Fraction]]:
    a, b = r.randint(2, 9), r.randint(1, 9)
    return pick(
        r,
        (k, lambda n: Fraction(n)),
        (f"{k}^2", lambda n: Fraction(n * n)),
        (f"{k}^{{3}}", lambda n: Fraction(n**3)),
        (f"({a}{k}+{b})", lambda n: Fraction(a * n + b)),
        (f"({k}+{b})", lambda n: Fraction(n + b)),
        (rf"\frac{{1}}{{{k}}}", lambda n: Fraction(1, n)),
        (f"2^{k}", lambda n: Fraction(2**n)),
        (rf"{k}({k}+{b})", lambda n: Fraction(n * (n + b))),
    )


@kind("functions of whole numbers")
def _functions(r: Random) -> Made:
    a, b, c = size(r, 3), size(r, 2), size(r, 2)
    value = rational(r) + Fraction(1, 7)
    gold, right = pick(
        r,
        (rf"\gcd({a}, {b})", math.gcd(a, b)),
        (rf"\operatorname{{lcm}}({a}, {b})", math.lcm(a, b)),
        (rf"\text{{lcm}}({a},{b})", math.lcm(a, b)),
        (rf"\max({a}, {b}, {c})", max(a, b, c)),
        (rf"\min({a},{b})", min(a, b)),
        (rf"\max\{{{a}, {b}\}}", max(a, b)),
        (rf"\lfloor {tex(value)} \rfloor", math.floor(value)),
        (rf"\left\lceil {tex(value)} \right\rceil", math.ceil(value)),
        (rf"{a} \bmod {b + 1}", a % (b + 1)),
        (rf"|{a} - {b}|", abs(a - b)),
    )
    other_number = str(another(r, right))
    return (gold, str(right), other_number) if r.random() < 0.5 else (str(right + 0), gold, _off_by_one(r, right, a, b))


def _off_by_one(r: Random, right: int, a: int, b: int) -> str:
    forms = [
        (rf"\gcd({a}, {b})", math.gcd(a, b)),
        (rf"\operatorname{{lcm}}({a}, {b + 1})", math.lcm(a, b + 1)),
        (rf"\max({a}, {b})", max(a, b)),
        (rf"\min({a}, {b})", min(a, b)),
        (rf"\lfloor \frac{{{a}}}{{{b}}} \rfloor", a // b),
        (rf"{a} \bmod {b + 1}", a % (b + 1)),
        (rf"\lceil \frac{{{a}}}{{{b}}} \rceil", -(-a // b)),
    ]
    wrong_forms = [text for text, value in forms if value != right]
    return r.choice(wrong_forms)


def _congruence(r: Random, x: str, residue: int, modulus: int) -> str:
    forms = [rf"{x} \equiv {residue} \pmod{{{modulus}}}", rf"{x} \equiv {residue} \mod {modulus}"]
    forms += [rf"{x} \equiv {residue} \ (\text{{mod }} {modulus})", rf"{x}\equiv {residue} (\bmod {modulus})"]
    return r.choice(forms)


@kind("congruences")
def _congruences(r: Random) -> Made:
    x, modulus = r.choice("xnmk"), r.randint(3, 200)
    residue = r.randrange(modulus)
    lifted = residue + modulus * pick(r, 0, 0, 1, 2, -1)
    changed = pick(
        r,
        (residue + pick(r, 1, -1), modulus),
        (residue, modulus + 1),
        (residue, modulus * 2),
        ((residue + 1) % modulus, modulus),
    )
    return _congruence(r, x, residue, modulus), _congruence(r, x, lifted, modulus), _congruence(r, x, *changed)


@kind("several congruences")
def _several_congruences(r: Random) -> Made:
    x, modulus = r.choice("xn"), r.randint(7, 60)
    first, second, third = r.sample(range(modulus), 3)

    def write(*residues: int) -> str:
        return _congruence(r, x, ", ".join(map(str, residues)), modulus)  # type: ignore[arg-type]

    changed = pick(r, (first, third), (third, second), (first, second, third), (first,))
    return write(first, second), write(*pick(r, (first, second), (second, first))), write(*changed)


@equal("residues without their modulus")
def _residues(r: Random) -> Texts:
    modulus = r.randint(20, 1000)
    residue = r.randrange(modulus)
    return str(residue), _congruence(r, r.choice("xNn"), residue, modulus)


@wrong("residues without their modulus")
def _other_residues(r: Random) -> Texts:
    modulus = r.randint(20, 1000)
    residue = r.randrange(modulus)
    far = other(r, residue, lambda: r.randrange(modulus))
    return str(residue), _congruence(r, r.choice("xNn"), far, modulus)


@wrong("prime factors")
def _other_factors(r: Random) -> Texts:
    a, b = r.sample((2, 3, 5, 7, 11), 2)
    i, j = r.randint(1, 6), r.randint(1, 6)
    gold = rf"{a}^{{{i}}} \cdot {b}^{{{j}}}"
    return gold, pick(
        r,
        rf"{a}^{{{i + 1}}} \cdot {b}^{{{j}}}",
        rf"{a}^{{{i}}} \cdot {b}^{{{j + 1}}}",
        rf"{a}^{{{i}}} + {b}^{{{j}}}",
        rf"{a}^{{{i}}}",
        str(a**i * b**j + 1),
        rf"{a}{i} \cdot {b}^{{{j}}}",
        f"({a * b})^{{{i + j}}}",
    )


@equal("prime factors")
def _same_factors(r: Random) -> Texts:
    a, b = r.sample((2, 3, 5, 7, 11), 2)
    i, j = r.randint(1, 6), r.randint(1, 6)
    forms = [rf"{a}^{{{i}}} \cdot {b}^{{{j}}}", rf"{b}^{{{j}}} \times {a}^{{{i}}}", write_integer(r, a**i * b**j)]
    return r.choice(forms), r.choice(forms)


@kind("powers and towers")
def _powers(r: Random) -> Made:
    base, up = r.randint(2, 30), r.randint(2, 40)
    c = integer(r, 1)
    texts = {(base, up, c): f"{base}^{{{up}}} {c:+d}"}
    changed = other(
        r,
        (base, up, c),
        lambda: (base, up + 1, c),
        lambda: (base + 1, up, c),
        lambda: (base, up, -c),
        lambda: (base, up, c + 1 if c != -1 else 1),
    )
    same = f"{base} \\cdot {base}^{{{up - 1}}} {c:+d}"
    b, u, d = changed
    return texts[base, up, c], pick(r, same, f"{c} + {base}^{up}" if up < 10 else same), f"{b}^{{{u}}} {d:+d}"


@kind("symbolic binomials and factorials", boxed=True)
def _symbolic(r: Random) -> Made:
    n, c = r.choice("nmN"), r.randint(2, 9)
    gold, same, changed = pick(
        r,
        (rf"\binom{{{n}}}{{2}}", rf"\frac{{{n}({n}-1)}}{{2}}", rf"\frac{{{n}({n}+1)}}{{2}}"),
        (rf"\binom{{{n}+1}}{{2}}", rf"\frac{{{n}({n}+1)}}{{2}}", rf"\binom{{{n}}}{{2}}"),
        (f"{n}!", rf"{n} \cdot ({n}-1)!", rf"({n}-1)!"),
        (f"({n}+1)!", rf"({n}+1) \cdot {n}!", rf"{n} \cdot {n}!"),
        (rf"\binom{{{n}}}{{3}}", rf"\frac{{{n}({n}-1)({n}-2)}}{{6}}", rf"\frac{{{n}({n}-1)({n}-2)}}{{3}}"),
        (rf"\binom{{{n}}}{{k}}", rf"\frac{{{n}!}}{{k!({n}-k)!}}", rf"\frac{{{n}!}}{{({n}-k)!}}"),
    )
    return f"{c} {gold}", f"{c} \\cdot {same}", f"{c} \\cdot {changed}"


@kind("lists of residues or counts")
def _counts(r: Random) -> Made:
    values = several(r, lambda r: size(r, 2), 3, 5)
    place = r.randrange(len(values))
    changed = [*values[:place], another(r, values[place]) + 1000, *values[place + 1 :]]
    text = ", ".join(map(str, values))
    return text, pick(r, text, text.replace(", ", ",")), ", ".join(map(str, changed))
