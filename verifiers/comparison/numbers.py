"""Two numbers: exact, rounded, within a tolerance, as percentages, in units, in bases."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction

from ..policy import Policy
from ..reading.answers import Answer
from ..reading.units import measure
from ..verdict import Finding, Outcome
from .rules import OTHER_NUMBER, SAME_NUMBER, Judge, correct, incorrect, undecided

_DOUBLE_DIGITS = 15
"""Digits at which floating-point arithmetic may have changed the last one."""
PRECISE_DIGITS = 9
"""A decimal of this many significant digits stands for the exact number that it is rounded or cut from."""
_ROUNDED = correct("equal to the digits of the gold")
_UNIT_DIFFERS = incorrect("the units measure different things")


def compare_numbers(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    """For two numbers."""
    if answer.kind != "number" or gold.kind != "number" or answer.value is None or gold.value is None:
        return None
    if judge.policy.units == "required" and gold.unit and not answer.unit:
        return incorrect("the unit is missing")
    if judge.policy.units == "ignored" or answer.unit == gold.unit:
        return compare_values(answer, answer.value, gold, judge.policy)
    if answer.unit.startswith("base ") or gold.unit.startswith("base "):
        return _compare_bases(answer, gold)
    if answer.unit and gold.unit:
        return _compare_units(answer, gold, judge.policy)
    if answer.unit == "%":
        return _against_bare_gold(answer.value, gold)
    if gold.unit == "%" and answer.value != gold.value:
        finding = compare_values(answer, 100 * answer.value, gold, judge.policy)
        return _as_percentage(True) if finding == SAME_NUMBER else finding
    finding = compare_values(answer, answer.value, gold, judge.policy)
    return _without_unit(answer, gold) or finding if finding == OTHER_NUMBER else finding


def _without_unit(answer: Answer, gold: Answer) -> Finding | None:
    """For 0.2 nm against 2e-10: the gold may be meant in base units."""
    found = measure(answer.unit or gold.unit)
    if found is None or answer.value is None or not gold.value:
        return None
    ratio = answer.value / gold.value if answer.unit else gold.value / answer.value if answer.value else Fraction(0)
    is_converted = found.size != 1 and ratio * found.size in (1, 1000)
    return undecided("equal only if the number without a unit is meant in base units") if is_converted else None


def compare_values(answer: Answer, value: Fraction, gold: Answer, policy: Policy) -> Finding:
    """Compare a value, in the unit of the gold, with the gold.

    Args:
        answer: Where the value comes from.
        value: The value.
        gold: A number.
        policy: May allow a tolerance.
    """
    if gold.value is None or value == gold.value:
        return SAME_NUMBER
    if rounds_to(value, gold, 2 if answer.node and _is_recurring(value) else 3):
        return _ROUNDED
    if is_tolerated(value, gold.value, policy):
        return correct("equal within the tolerance")
    if not gold.written and is_precise(answer, value, gold.value):
        return correct(f"equal to {PRECISE_DIGITS} digits")
    return _differently_rounded(answer, value, gold) or OTHER_NUMBER


def _is_recurring(value: Fraction) -> bool:
    """Whether the decimal expansion of a fraction never ends."""
    rest = value.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    return rest > 1


def rounds_to(value: Fraction, gold: Answer, digits: int) -> bool:
    """Whether a value rounds to a gold that is a decimal of at least `digits` digits."""
    if not gold.written or gold.value is None or _digits(gold.written) < digits:
        return False
    return abs(value - gold.value) * 2 <= gold.step


def _digits(written: str) -> int:
    """The number of significant digits of a decimal; 0 for "", which is none."""
    return len(written.replace(".", "").lstrip("0"))


def is_precise(answer: Answer, value: Fraction, exact: Fraction, noise: Fraction = Fraction(0)) -> bool:
    """Whether a decimal of many digits is what an exact number is rounded to, or cut to.

    Args:
        answer: Where the decimal comes from.
        value: The decimal, in the unit of the gold.
        exact: The exact number, or a floating-point value.
        noise: How far the floating-point value may be off.
    """
    digits = _digits(answer.written)
    if digits < PRECISE_DIGITS or value * exact < 0:
        return False
    off = abs(exact) - abs(value)
    is_cut = -noise <= off < answer.step and not _ends_within(exact, answer.step)
    return is_cut or 2 * abs(off) <= answer.step + noise or (digits >= _DOUBLE_DIGITS and abs(off) <= noise)


def _ends_within(exact: Fraction, step: Fraction) -> bool:
    """Whether a number has no digit below a place."""
    return step > 0 and (exact / step).denominator == 1


def is_tolerated(value: Fraction, gold: Fraction, policy: Policy) -> bool:
    """Whether a policy counts a value as equal to the gold."""
    if policy.relative and abs(value - gold) <= Fraction(policy.relative) * abs(gold):
        return True
    if policy.significant is None:
        return False
    context = Context(prec=policy.significant)
    return _in_digits(value, context) == _in_digits(gold, context)


def _in_digits(value: Fraction, context: Context) -> Decimal:
    return context.divide(Decimal(value.numerator), Decimal(value.denominator))


def _differently_rounded(answer: Answer, value: Fraction, gold: Answer) -> Finding | None:
    """For two decimals that may be the same number, rounded or cut to different places: nobody can tell."""
    if not gold.written or gold.value is None:
        return None
    if value == answer.value and abs(value - gold.value) * 2 <= _own_step(answer):
        return undecided("rounded to fewer digits than the gold")
    digits = _digits(gold.written)
    if digits >= 2 and abs(value - gold.value) * 2 <= gold.step:
        return undecided("it rounds to the gold, which has too few digits to be sure that it is rounded")
    if digits > 2 and answer.step < gold.step and value.denominator > 1 and abs(value - gold.value) < gold.step:
        return undecided("it differs from the gold by less than one unit of the gold's last digit")
    return None


def _own_step(answer: Answer) -> Fraction:
    """One unit in the last place of a decimal of two digits, or of a whole number of three; else 0."""
    if answer.written:
        return answer.step if _digits(answer.written) >= 2 else Fraction(0)
    return Fraction(answer.value is not None and answer.value.denominator == 1 and abs(answer.value) >= 100)


def _compare_units(answer: Answer, gold: Answer, policy: Policy) -> Finding:
    if {answer.unit, gold.unit} == {"pound", "pound sterling"}:
        return compare_values(answer, answer.value or Fraction(0), gold, policy)
    mine, theirs = measure(answer.unit), measure(gold.unit)
    if mine is None or theirs is None:
        return undecided("unknown units")
    if mine.kind != theirs.kind or answer.value is None:
        return _UNIT_DIFFERS
    finding = compare_values(answer, answer.value * mine.size / theirs.size, gold, policy)
    return correct("equal after conversion") if finding.outcome is Outcome.CORRECT else finding


def _against_bare_gold(percent: Fraction, gold: Answer) -> Finding:
    if percent == gold.value:
        is_clear = abs(percent) > 1 and gold.node is None  # 0.5% and 0.5, or 40/9, may differ by a factor of 100
        return Finding(Outcome.CORRECT if is_clear else Outcome.ERROR, "the gold answer omits the percent sign")
    return _as_percentage(percent == 100 * (gold.value or 0))


def _as_percentage(is_equal: bool) -> Finding:
    return correct("equal as a percentage") if is_equal else OTHER_NUMBER


def _compare_bases(answer: Answer, gold: Answer) -> Finding:
    if answer.unit and gold.unit and answer.value != gold.value:
        return incorrect("the bases differ")
    return undecided("a different or unstated base")
