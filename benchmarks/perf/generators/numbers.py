# ruff: noqa: RUF001 (the characters that look like others are meant)
"""Numbers: whole, decimal, fractions, mixed, percents, scientific, huge, of other bases, complex, infinite."""

from __future__ import annotations

from decimal import Decimal, getcontext
from fractions import Fraction
from random import Random

from .parts import (
    FULL_WIDTH,
    another,
    decimal,
    finite,
    fraction,
    integer,
    joined,
    other,
    other_fraction,
    pick,
    size,
    tex,
    times,
    write_fraction,
    write_integer,
    write_number,
)
from .tables import Made, Texts, equal, kind, wrong


@kind("integers")
def _integers(r: Random) -> Made:
    n = integer(r, 9)
    return write_integer(r, n), write_integer(r, n), write_integer(r, another(r, n))


@kind("huge integers")
def _huge(r: Random) -> Made:
    n = r.randint(10**15, 10 ** r.randint(16, 60)) * pick(r, 1, -1)
    place = r.randrange(len(str(abs(n))) - 1)
    m = n + pick(r, 1, -1, 10**place)
    return write_integer(r, n), write_integer(r, n), write_integer(r, m)


@kind("full-width digits")
def _full_width(r: Random) -> Made:
    n = size(r, 5)
    return str(n), str(n).translate(FULL_WIDTH), str(n + pick(r, 1, 10, 100)).translate(FULL_WIDTH)


def _other_decimal(r: Random, value: Fraction, places: int) -> Fraction:
    unit = Fraction(1, 10**places)
    return other(
        r,
        value,
        lambda: value + unit * r.choice((1, -1, 2, -2, 10, -10)),
        lambda: -value,
        lambda: value * 10,
        lambda: value / 10,
        lambda: Fraction(another(r, int(value * 10**places)), 10**places),
        lambda: Fraction(int(value * 10**places) // 10, 10 ** (places - 1)) if places > 1 else value,
    )


@kind("decimals")
def _decimals(r: Random) -> Made:
    places = r.randint(1, 6)
    value = Fraction(integer(r, 7) * 10 + r.randint(1, 9), 10**places)
    if value == 0:
        value = Fraction(1, 10**places)
    changed = _other_decimal(r, value, places)
    same = pick(r, decimal(value), decimal(value) + ("0" if value.denominator > 1 else ""), write_fraction(r, value))
    return decimal(value), same, pick(r, decimal(changed), write_fraction(r, changed))


@kind("decimals without a leading zero")
def _no_zero(r: Random) -> Made:
    places = r.randint(1, 5)
    top = r.randint(0, 10 ** (places - 1) - 1) * 10 + r.randint(1, 9)
    value, changed = Fraction(top, 10**places), Fraction(another(r, top), 10**places)
    return decimal(value), decimal(value).lstrip("0"), decimal(changed).replace("0.", ".", 1)


@kind("fractions")
def _fractions(r: Random) -> Made:
    value = fraction(r, r.randint(1, 4))
    return write_fraction(r, value), write_number(r, value), write_number(r, other_fraction(r, value))


def _write_mixed(r: Random, value: Fraction) -> str:
    sign = "-" if value < 0 else ""
    whole, rest = divmod(abs(value), 1)
    if whole == 0 or rest == 0:
        return write_fraction(r, value)
    top, bottom = rest.numerator, rest.denominator
    spread = rf"{sign}\left({whole}+\frac{{{top}}}{{{bottom}}}\right)"
    forms = [rf"{sign}{whole}\frac{{{top}}}{{{bottom}}}", rf"{sign}{whole} \tfrac{{{top}}}{{{bottom}}}", spread]
    return r.choice([*forms, f"{sign}{whole} {top}/{bottom}", f"{sign}{whole}\\dfrac{{{top}}}{{{bottom}}}"])


@kind("mixed numbers")
def _mixed(r: Random) -> Made:
    whole, bottom = size(r, 2), r.randint(2, 15)
    part = Fraction(r.randint(1, bottom - 1), bottom)
    sign = pick(r, 1, 1, -1)
    value = sign * (whole + part)
    changed = other(
        r,
        value,
        lambda: sign * (abs(another(r, whole)) + part),
        lambda: sign * whole + -sign * part,
        lambda: -value,
        lambda: sign * whole * part,
        lambda: sign * Fraction(int(f"{whole}{part.numerator}"), part.denominator),
        lambda: other_fraction(r, value),
    )
    return _write_mixed(r, value), pick(r, _write_mixed(r, value), write_number(r, value)), _write_mixed(r, changed)


def _write_percent(r: Random, value: Fraction) -> str:
    sign = pick(r, r"\%", r"\%", "%", r" \%", " percent")
    return (decimal(value) if finite(value) else tex(value)) + sign


@kind("percents")
def _percents(r: Random) -> Made:
    places = r.randint(0, 2)
    top = size(r, 3 + places)
    value = Fraction(top + 1 if top % 10 == 0 else top, 10**places)  # the last digit counts, as in all decimal golds
    changed = other(
        r,
        value,
        lambda: value + Fraction(pick(r, 1, -1, 2), 10**places) * pick(r, 1, 1, 10),
        lambda: value * 10,
        lambda: value / 10,
        lambda: -value,
        lambda: abs(100 - value) or Fraction(100),
    )
    while changed in (value * 100, value / 100, 0):
        changed += 3
    gold = _write_percent(r, value)
    same = pick(r, _write_percent(r, value), write_fraction(r, value / 100), decimal(value / 100))
    return gold, same, pick(r, _write_percent(r, changed), write_fraction(r, changed / 100), decimal(changed / 100))


def _write_scientific(r: Random, mantissa: Fraction, exponent: int) -> str:
    head = decimal(mantissa)
    forms = [f"{head}{times(r)}10^{{{exponent}}}" for _ in range(4)]
    forms += [f"{head} x 10^{exponent}", f"{head}e{exponent}", f"{head}E{exponent:+d}", f"{head} × 10^{exponent}"]
    return r.choice(forms)


@kind("scientific notation")
def _scientific(r: Random) -> Made:
    places = r.randint(0, 3)
    top = r.randint(10**places, 10 ** (places + 1) - 1)
    top = (top + 1 if top % 10 == 0 else top) * pick(
        r, 1, 1, -1
    )  # the last digit counts: rounding to the gold is equal
    mantissa, exponent = Fraction(top, 10**places), pick(r, 1, -1) * r.randint(2, 30)
    value = (mantissa, exponent)
    changed = other(
        r,
        value,
        lambda: (mantissa, exponent + pick(r, 1, -1, 2)),
        lambda: (mantissa, -exponent),
        lambda: (-mantissa, exponent),
        lambda: (mantissa + Fraction(pick(r, 1, -1), 10**places), exponent),
    )
    if changed[0] == 0:
        changed = (mantissa, exponent + 1)
    same = _write_scientific(r, *value)
    if abs(exponent) < 8 and r.random() < 0.3:
        same = decimal(mantissa * Fraction(10) ** exponent)
    return _write_scientific(r, *value), same, _write_scientific(r, *changed)


DIGITS = "0123456789ABCDEF"
BASES = {2: "two", 3: "three", 5: "five", 7: "seven", 8: "eight", 9: "nine", 12: "twelve", 16: "sixteen"}


def _in_base(number: int, base: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, base)
        text = DIGITS[digit] + text
    return text or "0"


def _write_based(r: Random, text: str, base: int) -> str:
    forms = [f"{text}_{{{base}}}", f"({text})_{{{base}}}", f"{text}_{{\\text{{{BASES.get(base, base)}}}}}"]
    forms += [f"{text} \\text{{ (base {base})}}", f"{text}_{{({base})}}"]
    return r.choice([*forms, f"{text}_{base}", f"({text})_{base}"] if base < 10 else forms)


@kind("other bases")
def _bases(r: Random) -> Made:
    base = r.choice([base for base in BASES if base <= 9])
    number = r.randint(base, 10**5)
    text = _in_base(number, base)
    changed = other(
        r,
        (text, base),
        lambda: (_in_base(number + pick(r, 1, -1, base), base), base),
        lambda: (text, base + 1),
        lambda: (text[::-1].lstrip("0"), base),
        lambda: (text + "0", base),
    )
    return _write_based(r, text, base), _write_based(r, text, base), _write_based(r, *changed)


def _write_complex(r: Random, value: tuple[Fraction, Fraction]) -> str:
    text = joined(r, [(value[0], ""), (value[1], "i")])
    return text.replace(r"\frac", r"\dfrac") if r.random() < 0.2 else text


@kind("complex numbers")
def _complex(r: Random) -> Made:
    a, b = Fraction(integer(r, 2)), Fraction(integer(r, 2))
    if r.random() < 0.3:
        a, b = fraction(r, 1), fraction(r, 1)
    changed = other(
        r,
        (a, b),
        lambda: (a, -b),
        lambda: (-a, b),
        lambda: (b, a),
        lambda: (-b, a),
        lambda: (a + 1, b),
        lambda: (a, b - 1),
        lambda: (a, Fraction(0)),
        lambda: (a + b, Fraction(0)),
    )
    return _write_complex(r, (a, b)), _write_complex(r, (a, b)), _write_complex(r, changed)


@wrong("infinities")
def _infinities(r: Random) -> Texts:
    plus, minus = pick(r, r"\infty", r"+\infty", "infinity", "∞"), pick(r, r"-\infty", "-infinity", "−∞")
    number = str(integer(r, 3))
    return pick(r, (plus, minus), (minus, plus), (plus, number), (number, plus), (minus, number), (number, minus))


@equal("infinities")
def _same_infinity(r: Random) -> Texts:
    plus, minus = (r"\infty", r"+\infty", "infinity", "∞", "+∞"), (r"-\infty", "-infinity", "−∞", r"- \infty")
    forms = pick(r, plus, minus)
    return r.choice(forms), r.choice(forms)


@wrong("decimal commas")
def _decimal_commas(r: Random) -> Texts:
    whole, part = r.randint(1, 9999), r.randint(1, 99)
    other_part = other(r, part, lambda: r.randint(1, 99))
    gold, number = f"{whole}.{part:02d}", f"{whole},{other_part:02d}"
    return pick(r, (gold, number), (f"{whole}{part:02d}", f"{whole + 1},{part:02d}"), (gold, f"{whole + 1},{part:02d}"))


@wrong("relative difference of 1e-9")
def _tiny_difference(r: Random) -> Texts:
    n = r.randint(10**9, 10**12) * pick(r, 1, -1)
    small = Fraction(n, 10**9) if n % 10 else Fraction(n + 1, 10**9)
    number = size(r, 4)
    nudged = decimal(number + Fraction(pick(r, 1, -1), 10 ** r.randint(9, 14)))
    ratio = fraction(r, 3)
    return pick(
        r,
        (str(n), str(n + pick(r, 1, -1))),
        (decimal(small), decimal(small + Fraction(1, 10**9))),
        (str(number), nudged),
        (tex(ratio), write_fraction(r, ratio + Fraction(1, 10**12))),
        (tex(ratio), f"\\frac{{{ratio.numerator * 10**9 + 1}}}{{{ratio.denominator * 10**9}}}"),
    )


@kind("decimals of exact golds")
def _long_decimals(r: Random) -> Made:
    getcontext().prec = 60
    root = r.choice([n for n in range(2, 200) if int(n**0.5) ** 2 != n])
    factor, places = r.randint(1, 20), r.randint(12, 15)
    value = Decimal(root).sqrt() * factor
    unit = Decimal(1).scaleb(-places)
    text = str(value.quantize(unit))
    place = text.index(".") + r.randint(1, 9)
    digit = r.choice([d for d in "0123456789" if d != text[place]])
    gold = rf"{factor if factor > 1 else ''}\sqrt{{{root}}}"
    return gold, text, text[:place] + digit + text[place + 1 :]


@kind("repeating decimals")
def _repeating(r: Random) -> Made:
    head, tail = str(r.randint(0, 99)), str(r.randint(1, 98)).zfill(2)
    if tail[0] == tail[1]:
        tail = str((int(tail) + 1) % 99).zfill(2)
    value = Fraction(int(head)) + Fraction(int(tail), 99)
    changed = other_fraction(r, value) if r.random() < 0.5 else Fraction(int(head)) + Fraction(int(tail), 100)
    return rf"{head}.\overline{{{tail}}}", write_fraction(r, value), pick(r, write_number(r, changed), tex(changed))
