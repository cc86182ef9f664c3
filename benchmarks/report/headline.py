"""The headline numbers of a result and their differences, as rows with a small interval plot on a common axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..results import Difference, Metric, Result, label_of
from .drawing import MUTED, class_of
from .wording import interval, is_lower_better, number, owner, scaled, title_of, unit_of

MOST = 10
"""Scorers shown unfolded: the best ones. Baselines are few, and always shown."""


@dataclass(frozen=True, slots=True)
class Span:
    """A number and its interval as positions on the axis, in percent of its width."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Axis:
    """The common axis of some rows."""

    ticks: tuple[tuple[float, str], ...]
    """(position in percent of the width, label)."""
    zero: float | None
    """Position of 0, for differences."""


@dataclass(frozen=True, slots=True)
class Row:
    """One number: of a scorer or baseline, or a difference."""

    name: str
    detail: str
    """Variant, and the metric if the rows mix several."""
    value: str
    interval: str
    span: Span | None
    """None if the number is undefined."""
    n: str
    color: str
    """CSS class: `series-1`, …; `baseline`."""
    is_baseline: bool
    is_open: bool = False
    """Of a difference: whether its interval contains 0."""


@dataclass(frozen=True, slots=True)
class Plot:
    """Rows on one axis."""

    rows: tuple[Row, ...]
    axis: Axis


def headline_title(headline: Sequence[Metric]) -> str:
    """Metric of the numbers, "Value" if there are several; with the variant, if all scorers have the same."""
    names = list(dict.fromkeys(m.name for m in headline))
    title = title_of(names[0]) + unit_of(names[0]) if len(names) == 1 else "Value"
    common = common_variant(headline)
    return f"{title} ({common})" if common else title


def common_variant(headline: Iterable[Metric]) -> str:
    """The variant of all scorers; "" if they differ."""
    variants = {m.variant for m in headline if m.scorer}
    return variants.pop() if len(variants) == 1 else ""


def _detail(m: Metric, common: str) -> str:
    return m.variant if m.scorer and m.variant != common else ""


def best_of_each(headline: Sequence[Metric]) -> list[Metric]:
    """The best number of each scorer among its variants, and every baseline; sorted by metric, the best first."""
    best: dict[tuple[str, str, str], Metric] = {}
    for m in ranked(headline):
        best.setdefault((m.scorer, m.name, "" if m.scorer else owner(m)), m)
    return list(best.values())


def ranked(metrics: Iterable[Metric]) -> list[Metric]:
    """Numbers by metric, in the order of their first, and by value, the best first; undefined ones last."""
    metrics = list(metrics)
    names = list(dict.fromkeys(m.name for m in metrics))
    return sorted(metrics, key=lambda m: (names.index(m.name), -goodness(m)))


def goodness(m: Metric) -> float:
    """The value, higher for better."""
    return -math.inf if m.value is None else -m.value if is_lower_better(m.name) else m.value


def leading(shown: Sequence[Metric]) -> list[Metric]:
    """The first `MOST` scorers among rows, and all baselines."""
    scorers = list(dict.fromkeys(m.scorer for m in shown if m.scorer))[:MOST]
    return [m for m in shown if not m.scorer or m.scorer in scorers]


def headline_plot(shown: Sequence[Metric], colors: Mapping[str, str]) -> Plot:
    """One row per number, in the given order; `colors` by scorer."""
    mixed, common = len({m.name for m in shown}) > 1, common_variant(shown)
    start, end, axis = _axis([v for m in shown for v in _scaled(m.name, m.value, m.low, m.high)])
    rows = (
        Row(
            name=owner(m),
            detail=" · ".join(filter(None, (_detail(m, common), title_of(m.name) if mixed else ""))),
            value=number(m.name, m.value),
            interval=interval(m.name, m.low, m.high),
            span=_span(m.name, m.value, m.low, m.high, start, end),
            n=f"{m.n:,}",
            color=class_of(colors.get(m.scorer, MUTED)),
            is_baseline=not m.scorer,
        )
        for m in shown
    )
    return Plot(tuple(rows), axis)


def reference_of(shown: Sequence[Metric]) -> Metric | None:
    """The best scorer, to which the others are compared; None without a number."""
    return next((m for m in shown if m.scorer and m.value is not None), None)


def compared(result: Result, shown: Sequence[Metric]) -> list[tuple[Metric, Difference]]:
    """The paired difference of each other row from the best scorer, as far as the result holds it."""
    reference = reference_of(shown)
    if reference is None:
        return []
    same = [
        d
        for d in result.differences
        if (d.name, d.split) == (reference.name, reference.split) and d.variant in ("", reference.variant)
    ]
    found = {(d.a, d.b): d for d in map(_reversed, same)} | {(d.a, d.b): d for d in same}
    pairs = (
        (m, next((found[a, b] for a in _labels(m) for b in _labels(reference) if (a, b) in found), None))
        for m in shown
        if m is not reference
    )
    return [(m, d) for m, d in pairs if d is not None]


def _labels(m: Metric) -> tuple[str, ...]:
    """Names that differences give to the owner of a number."""
    return (label_of(m.scorer, m.variant), m.scorer) if m.scorer else (owner(m),)


def _reversed(d: Difference) -> Difference:
    return Difference(d.b, d.a, d.name, d.split, d.variant, -d.value, -d.high, -d.low)


def differences_plot(found: Sequence[tuple[Metric, Difference]], colors: Mapping[str, str], common: str) -> Plot | None:
    """A forest plot; None without a difference. `common` is the variant of all scorers, which the heading names."""
    if not found:
        return None
    start, end, axis = _axis([0.0, *(v for _, d in found for v in _scaled(d.name, d.value, d.low, d.high))], True)
    rows = (
        Row(
            name=owner(m),
            detail=_detail(m, common),
            value=signed(d.name, d.value),
            interval=interval(d.name, d.low, d.high),
            span=_span(d.name, d.value, d.low, d.high, start, end),
            n="",
            color=class_of(colors.get(m.scorer, MUTED)),
            is_baseline=not m.scorer,
            is_open=d.low <= 0 <= d.high,
        )
        for m, d in found
    )
    return Plot(tuple(rows), axis)


def verdict(d: Difference) -> str:
    """Which side is higher; "open" if the interval contains 0."""
    return f"{d.a} is higher" if d.low > 0 else f"{d.b} is higher" if d.high < 0 else "open"


def signed(name: str, value: float) -> str:
    """A difference as text, with its sign."""
    return ("+" if value > 0 else "") + number(name, value)


def _scaled(name: str, *values: float | None) -> list[float]:
    return [scaled(name, v) for v in values if v is not None]


def _span(
    name: str, value: float | None, low: float | None, high: float | None, start: float, end: float
) -> Span | None:
    if value is None:
        return None
    ends = (value, value if low is None else low, value if high is None else high)
    return Span(*(_place(scaled(name, v), start, end) for v in ends))


def _axis(values: Sequence[float], has_zero: bool = False) -> tuple[float, float, Axis]:
    """Ends of an axis for these values, with a margin of 4%, and the axis itself."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    margin = 0.04 * (high - low) or 0.01 * (abs(low) or 1.0)
    start, end = low - margin, high + margin
    ticks = tuple((_place(v, start, end), text) for v, text in round_numbers(start, end))
    return start, end, Axis(ticks, _place(0.0, start, end) if has_zero else None)


def _place(value: float, start: float, end: float) -> float:
    """Position between the ends, in percent."""
    return round(100 * (value - start) / (end - start), 2)


def round_numbers(start: float, end: float) -> list[tuple[float, str]]:
    """Three to six round numbers between two ends, with their texts.

    >>> [text for _, text in round_numbers(48.2, 81.0)]
    ['50', '60', '70', '80']
    """
    raw = (end - start) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(m for m in (1, 2, 2.5, 5, 10) if m * power >= 0.8 * raw)
    digits = max(0, -math.floor(math.log10(step) + 1e-9) + (1 if round(step / power, 1) == 2.5 else 0))
    places = range(math.ceil(start / step - 1e-9), math.floor(end / step + 1e-9) + 1)
    return [(i * step, f"{i * step:.{digits}f}".replace("-", "\u2212")) for i in places]
