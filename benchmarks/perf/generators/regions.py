# ruff: noqa: RUF001 (the characters that look like others are meant)
"""Sets of real numbers: intervals, inequalities, their unions, exclusions and set-builder notation."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from random import Random

from .parts import coefficient, integer, joined, other, pick, rational, tex
from .tables import Made, Texts, equal, kind, wrong

Interval = tuple[Fraction | None, bool, Fraction | None, bool]
"""Low end (none: unbounded), whether it belongs, high end, whether it belongs."""

LESS = {True: (r"\le", r"\leq", "≤", r"\leqslant", "<="), False: ("<", "<", r"\lt ")}
MORE = {True: (r"\ge", r"\geq", "≥", r"\geqslant", ">="), False: (">", ">", r"\gt ")}


def _interval(r: Random) -> Interval:
    low, high = sorted((rational(r), rational(r)))
    if low == high:
        high += r.randint(1, 9)
    shape = r.random()
    if shape < 0.2:
        return None, False, high, r.random() < 0.5
    if shape < 0.4:
        return low, r.random() < 0.5, None, False
    return low, r.random() < 0.5, high, r.random() < 0.5


def _write_interval(r: Random, interval: Interval) -> str:
    low, low_in, high, high_in = interval
    ends = (
        tex(low) if low is not None else r"-\infty",
        tex(high) if high is not None else pick(r, r"\infty", r"+\infty"),
    )
    sized = pick(r, ("", ""), ("", ""), (r"\left", r"\right"))
    return (
        f"{sized[0]}{'[' if low_in else '('}{ends[0]}{pick(r, ',', ', ')}{ends[1]}{sized[1]}{']' if high_in else ')'}"
    )


def _less(r: Random, strict: bool) -> str:
    return pick(r, "{}", " {} ").format(r.choice(LESS[not strict])) + " "


def _more(r: Random, strict: bool) -> str:
    return pick(r, "{}", " {} ").format(r.choice(MORE[not strict])) + " "


def _write_inequality(r: Random, interval: Interval, x: str) -> str:
    low, low_in, high, high_in = interval
    if low is None and high is not None:
        down = f"{x}{_less(r, not high_in)}{tex(high)}", f"{tex(high)}{_more(r, not high_in)}{x}"
        return r.choice(down)
    if high is None and low is not None:
        up = f"{x}{_more(r, not low_in)}{tex(low)}", f"{tex(low)}{_less(r, not low_in)}{x}"
        return r.choice(up)
    assert low is not None
    assert high is not None
    between = f"{tex(low)}{_less(r, not low_in)}{x}{_less(r, not high_in)}{tex(high)}"
    turned = f"{tex(high)}{_more(r, not high_in)}{x}{_more(r, not low_in)}{tex(low)}"
    apart = _write_inequality(r, (low, low_in, None, False), x), _write_inequality(r, (None, False, high, high_in), x)
    return pick(r, between, between, turned, r" \text{ and } ".join(apart))


def _write_region(r: Random, interval: Interval, x: str) -> str:
    inequality = _write_inequality(r, interval, x)
    text = _write_interval(r, interval)
    bar = pick(r, "|", r"\mid", ":")
    builder = rf"\{{{x} {bar} {inequality}\}}"
    return pick(r, text, text, inequality, inequality, builder, rf"{x} \in {text}")


def _changed_interval(r: Random, interval: Interval) -> Interval:
    low, low_in, high, high_in = interval
    changes: list[Callable[[], Interval]] = []
    if low is not None:
        changes += [lambda: (low, not low_in, high, high_in), lambda: (low - rational(r) ** 2, low_in, high, high_in)]
        changes += [lambda: (None, False, high, high_in) if high is not None else (low - 1, low_in, high, high_in)]
    if high is not None:
        changes += [lambda: (low, low_in, high, not high_in), lambda: (low, low_in, high + rational(r) ** 2, high_in)]
        changes += [lambda: (low, low_in, None, False) if low is not None else (low, low_in, high + 1, high_in)]
    if high is None:
        changes += [lambda: (None, False, low, low_in)]
    if low is None:
        changes += [lambda: (high, high_in, None, False)]
    if low is not None and high is not None and low != -high:
        changes += [lambda: (-high, high_in, -low, low_in)]
    return other(r, interval, *changes)


@kind("intervals")
def _intervals(r: Random) -> Made:
    interval = _interval(r)
    return (
        _write_interval(r, interval),
        _write_interval(r, interval),
        _write_interval(r, _changed_interval(r, interval)),
    )


@kind("solved inequalities")
def _solved(r: Random) -> Made:
    x, interval = r.choice("xyatmk"), _interval(r)
    changed = _changed_interval(r, interval)
    return tuple(_write_inequality(r, i, x) for i in (interval, interval, changed))  # type: ignore[return-value]


@kind("intervals, inequalities and set-builders")
def _mixed_notations(r: Random) -> Made:
    x, interval = r.choice("xyatmk"), _interval(r)
    changed = _changed_interval(r, interval)
    return tuple(_write_region(r, i, x) for i in (interval, interval, changed))  # type: ignore[return-value]


@kind("unsolved inequalities")
def _unsolved(r: Random) -> Made:
    x, a, closed = r.choice("xyztm"), Fraction(integer(r, 1)), r.random() < 0.5
    bound = Fraction(integer(r, 1)) if r.random() < 0.7 else rational(r)
    up = r.random() < 0.5

    def write(bound: Fraction, up: bool, closed: bool) -> str:
        right = a * bound
        greater = up == (a > 0)
        sign = r.choice((MORE if greater else LESS)[closed])
        left = coefficient(a, x)
        whole = joined(r, [(a, x), (-right, "")]) if right else left
        return pick(r, f"{left} {sign} {tex(right)}", f"{whole} {sign} 0", f"{left} {sign} {tex(right)}")

    solved = f"{x} {r.choice((MORE if up else LESS)[closed])} {tex(bound)}"
    changed = other(
        r,
        (bound, up, closed),
        lambda: (bound + rational(r), up, closed),
        lambda: (bound, not up, closed),
        lambda: (bound, up, not closed),
        lambda: (-bound, up, closed),
    )
    return solved, write(bound, up, closed), write(*changed)


@kind("inequalities in two letters")
def _two_letters(r: Random) -> Made:
    x, y = r.sample("xyabuv", 2)
    a, b, c = (Fraction(integer(r, 1)) for _ in range(3))
    closed = r.random() < 0.5

    def write(a: Fraction, b: Fraction, c: Fraction, up: bool, closed: bool) -> str:
        left = joined(r, [(a, x), (b, y)])
        forward, backward = (MORE, LESS) if up else (LESS, MORE)
        signs = r.choice(forward[closed]), r.choice(backward[closed])
        return pick(r, f"{left} {signs[0]} {tex(c)}", f"{tex(c)} {signs[1]} {left}", f"{left} {signs[0]} {tex(c)}")

    values = (a, b, c, True, closed)
    changed = pick(
        r,
        (a, b, c, False, closed),
        (a, b, c, True, not closed),
        (a, b, c + 1, True, closed),
        (a, -b, c, True, closed),
        (-a, b, c, True, closed),
    )
    return write(*values), write(*values), write(*changed)


@kind("chains of letters")
def _chains(r: Random) -> Made:
    letters = tuple(r.sample("abcdpqrxyz", r.randint(3, 4)))
    moved = other(r, letters, lambda: tuple(r.sample(letters, len(letters))))
    upward, downward = "<".join(letters), ">".join(reversed(letters))
    spaced = " < ".join(letters)
    changed = pick(r, "<".join(moved), ">".join(letters), " < ".join(moved), ">".join(reversed(moved)))
    return upward, pick(r, upward, downward, spaced), changed


Union = tuple[Interval, ...]


def _union(r: Random) -> Union:
    """Two or three intervals with gaps between."""
    ends = sorted({Fraction(integer(r, 1)) + r.randint(-9, 9) for _ in range(12)})
    while len(ends) < 6:
        ends.append(ends[-1] + r.randint(1, 5))
    first: Interval = (None if r.random() < 0.5 else ends[0], False, ends[1], r.random() < 0.5)
    last: Interval = (ends[-2], r.random() < 0.5, None if r.random() < 0.5 else ends[-1], False)
    return (first, (ends[2], True, ends[3], True), last) if r.random() < 0.2 and len(ends) > 6 else (first, last)


def _write_union(r: Random, union: Union) -> str:
    parts = r.sample(union, len(union)) if r.random() < 0.3 else union
    return pick(r, r" \cup ", r"\cup ", "∪", " U ").join(_write_interval(r, part) for part in parts)


def _write_or(r: Random, union: Union, x: str) -> str:
    parts = []
    for part in union:
        text = _write_inequality(r, part, x)
        while r"\text" in text:
            text = _write_inequality(r, part, x)
        parts.append(text)
    return pick(r, r" \text{ or } ", " or ", r"\text{ or }", "或").join(parts)


def _changed_union(r: Random, union: Union) -> Union:
    place = r.randrange(len(union))
    if r.random() < 0.2:
        return union[:place] + union[place + 1 :]
    low, low_in, high, high_in = union[place]
    nudge = Fraction(pick(r, 1, 2, 3), 7)
    changes: list[Interval] = []
    if low is not None:
        changes += [(low - nudge, low_in, high, high_in), (low, not low_in, high, high_in)]
    if high is not None:
        changes += [(low, low_in, high + nudge, high_in), (low, low_in, high, not high_in)]
    return (*union[:place], r.choice(changes), *union[place + 1 :])


@kind("unions of intervals")
def _unions(r: Random) -> Made:
    union = _union(r)
    return _write_union(r, union), _write_union(r, union), _write_union(r, _changed_union(r, union))


@kind("unions of inequalities")
def _unions_of_inequalities(r: Random) -> Made:
    union, x = _union(r), r.choice("xyatm")
    changed = _changed_union(r, union)
    same = pick(r, _write_or(r, union, x), _write_or(r, union, x), _write_union(r, union))
    return (
        _write_or(r, union, x),
        same,
        pick(r, _write_or(r, changed, x), _write_or(r, changed, x), _write_union(r, changed)),
    )


@kind("exclusions")
def _exclusions(r: Random) -> Made:
    x = r.choice("xyatm")
    holes = sorted({rational(r) for _ in range(r.randint(1, 3))})
    place = r.randrange(len(holes))
    changed = sorted({*holes[:place], pick(r, -holes[place], holes[place] + pick(r, 1, -1)), *holes[place + 1 :]})
    if changed == holes:
        changed = [*holes, holes[-1] + 1]
    if len(holes) > 1 and r.random() < 0.2:
        changed = holes[:-1]

    def write(holes: list[Fraction]) -> str:
        texts = list(map(tex, holes))
        ends = [None, *holes, None]
        pieces: Union = tuple((a, False, b, False) for a, b in pairwise(ends))
        listed, unequal = ", ".join(texts), pick(r, r"\neq", r"\ne", "≠")
        conditions = ", ".join(f"{x} {unequal} {text}" for text in texts)
        forms = [rf"\mathbb{{R}} \setminus \{{{listed}\}}", rf"\mathbb R\setminus\{{{listed}\}}", conditions]
        forms += [_write_union(r, pieces), rf"\{{{x} \mid {conditions}\}}"]
        if len(texts) == 1:
            forms += [f"all real numbers except {texts[0]}", rf"\text{{all real numbers except }} {texts[0]}"]
        return r.choice(forms)

    return write(holes), write(holes), write(changed)


@kind("intervals with a hole")
def _holes(r: Random) -> Made:
    x = r.choice("xyatm")
    low = Fraction(r.randint(-30, 20))
    high = low + r.randint(4, 20)
    hole = low + r.randint(1, int(high - low) - 1)
    ends = r.random() < 0.5, r.random() < 0.5

    def write(low: Fraction, hole: Fraction, high: Fraction, ends: tuple[bool, bool]) -> str:
        whole: Interval = (low, ends[0], high, ends[1])
        pieces: Union = ((low, ends[0], hole, False), (hole, False, high, ends[1]))
        inequality = f"{tex(low)}{_less(r, not ends[0])}{x}{_less(r, not ends[1])}{tex(high)}"
        forms = [_write_union(r, pieces), rf"{_write_interval(r, whole)} \setminus \{{{tex(hole)}\}}"]
        forms += [rf"{inequality} \text{{ and }} {x} \neq {tex(hole)}", rf"{inequality}, {x} \neq {tex(hole)}"]
        return r.choice([*forms, rf"\{{{x} \mid {inequality}, {x} \neq {tex(hole)}\}}"])

    changed = other(
        r,
        (low, hole, high, ends),
        lambda: (low, hole + (1 if hole + 1 < high else Fraction(-1, 2)), high, ends),
        lambda: (low - 1, hole, high, ends),
        lambda: (low, hole, high + 1, ends),
        lambda: (low, hole, high, (not ends[0], ends[1])),
        lambda: (low, hole, high, (ends[0], not ends[1])),
    )
    return write(low, hole, high, ends), write(low, hole, high, ends), write(*changed)


@wrong("holes left out")
def _no_hole(r: Random) -> Texts:
    low = r.randint(-30, 20)
    high = low + r.randint(4, 20)
    hole = r.randint(low + 1, high - 1)
    gold = rf"({low},{hole}) \cup ({hole},{high})"
    return gold, pick(
        r, f"({low},{high})", rf"({low},{hole}] \cup ({hole},{high})", rf"({low},{hole}) \cup [{hole},{high})"
    )


@kind("absolute inequalities")
def _absolute(r: Random) -> Made:
    x, center, radius = r.choice("xyatm"), Fraction(r.randint(-9, 9)), Fraction(r.randint(1, 12))
    inside, closed = r.random() < 0.5, r.random() < 0.5

    def absolute(center: Fraction, radius: Fraction, inside: bool, closed: bool) -> str:
        sign = r.choice((LESS if inside else MORE)[closed])
        inner = joined(r, [(Fraction(1), x), (-center, "")])
        return f"|{inner}| {sign} {tex(radius)}"

    def spread(center: Fraction, radius: Fraction, inside: bool, closed: bool) -> str:
        low, high = center - radius, center + radius
        if inside:
            return _write_region(r, (low, closed, high, closed), x)
        union: Union = ((None, False, low, closed), (high, closed, None, False))
        return pick(r, _write_or(r, union, x), _write_union(r, union))

    value = (center, radius, inside, closed)
    changed = other(
        r,
        value,
        lambda: (center, radius + 1, inside, closed),
        lambda: (-center, radius, inside, closed),
        lambda: (center, radius, not inside, closed),
        lambda: (center, radius, inside, not closed),
        lambda: (center + 1, radius, inside, closed),
    )
    gold, write = pick(r, (absolute, absolute), (absolute, spread), (spread, absolute))
    return gold(*value), write(*value), write(*changed)


@wrong("regions and single values")
def _single_values(r: Random) -> Texts:
    x, a = r.choice("xyatm"), rational(r)
    inequality = f"{x} {r.choice(LESS[False] + MORE[True])} {tex(a)}"
    two = pick(
        r,
        (inequality, tex(a)),
        (inequality, f"{x} = {tex(a)}"),
        (rf"{x} \neq {tex(a)}", f"{x} = {tex(a)}"),
        (rf"(-\infty, {tex(a)})", tex(a)),
        (r"\mathbb{R}", tex(a)),
        (r"\emptyset", r"\mathbb{R}"),
        (rf"[{tex(a)}, \infty)", rf"\{{{tex(a)}\}}"),
    )
    return two if r.random() < 0.5 else two[::-1]


@wrong("two intervals and two points")
def _points_and_intervals(r: Random) -> Texts:
    a = r.randint(-20, 20)
    b = a + r.randint(2, 20)
    two = pick(
        r,
        (f"({a}, {b}]", f"({a}, {b})"),
        (f"[{a}, {b}]", rf"\{{{a}, {b}\}}"),
        (rf"\{{{a}, {b}\}}", f"{a} < x < {b}"),
        (f"{a} < x < {b}", f"x = {a}, x = {b}"),
        (f"[{a}, {b}]", f"({a}, {b})"),
    )
    return two if r.random() < 0.5 else two[::-1]


@equal("all real numbers")
def _everything(r: Random) -> Texts:
    forms = [r"\mathbb{R}", r"(-\infty, \infty)", r"(-\infty,+\infty)", "all real numbers", r"x \in \mathbb{R}"]
    forms += [r"\text{all real numbers}", r"\left(-\infty, \infty\right)"]
    return r.choice(forms), r.choice(forms)
