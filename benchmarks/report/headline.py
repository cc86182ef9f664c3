"""The headline numbers and differences of a result, as table rows with a small interval plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..results import Difference, Metric, Result, label_of
from .drawing import MUTED, class_of
from .wording import interval, number, owner, title_of, unit_of

_FEW = 12
"""Up to this many differences are all shown; of more, only a selection."""


@dataclass(frozen=True, slots=True)
class Span:
    """A number and its interval as positions on a small axis, in percent of its width."""

    value: float
    low: float
    high: float
    zero: float | None = None
    """Position of 0, if it is on the axis."""


@dataclass(frozen=True, slots=True)
class HeadlineRow:
    """One scorer or baseline."""

    name: str
    detail: str
    """Variant, and the metric if the table mixes several."""
    value: str
    interval: str
    span: Span | None
    n: str
    color: str
    """CSS class: `series-1`, …; `baseline`."""
    is_baseline: bool
    is_first: bool
    """First of consecutive rows of one scorer."""


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """`a` minus `b`."""

    a: str
    b: str
    what: str
    value: str
    interval: str
    span: Span
    verdict: str


def headline_title(headline: Sequence[Metric]) -> str:
    """Metric of the numbers; "Value" if there are several."""
    names = list(dict.fromkeys(m.name for m in headline))
    return title_of(names[0]) + unit_of(names[0]) if len(names) == 1 else "Value"


def headline_rows(headline: Sequence[Metric], colors: Mapping[str, str]) -> tuple[HeadlineRow, ...]:
    """One row per number, all on one axis; `colors` by scorer."""
    low, high = _axis([v for m in headline for v in (m.value, m.low, m.high) if v is not None])
    mixed = len({m.name for m in headline}) > 1
    before = [None, *(m.scorer or None for m in headline)]
    return tuple(
        _headline_row(m, colors, (low, high), mixed=mixed, is_first=m.scorer != scorer)
        for m, scorer in zip(headline, before, strict=False)
    )


def _headline_row(
    m: Metric, colors: Mapping[str, str], axis: tuple[float, float], *, mixed: bool, is_first: bool
) -> HeadlineRow:
    details = [m.variant if m.scorer else "", title_of(m.name) if mixed and owner(m) != title_of(m.name) else ""]
    return HeadlineRow(
        name=owner(m),
        detail=" · ".join(filter(None, details)),
        value=number(m.name, m.value),
        interval=interval(m.name, m.low, m.high),
        span=None if m.value is None else _span(m.value, m.low, m.high, *axis),
        n=f"{m.n:,}",
        color=class_of(colors.get(m.scorer, MUTED)),
        is_baseline=not m.scorer,
        is_first=is_first,
    )


def _axis(values: Sequence[float]) -> tuple[float, float]:
    """Range of the values with a small margin."""
    if not values:
        return 0.0, 1.0
    margin = 0.04 * (max(values) - min(values)) or 0.01
    return min(values) - margin, max(values) + margin


def _span(value: float, low: float | None, high: float | None, start: float, end: float) -> Span:
    ends = (value, value if low is None else low, value if high is None else high, 0.0)
    middle, left, right, zero = (round(100 * (v - start) / (end - start), 2) for v in ends)
    return Span(middle, left, right, zero if 0 <= zero <= 100 else None)


def differences(result: Result) -> tuple[tuple[DifferenceRow, ...], tuple[DifferenceRow, ...]]:
    """The differences to show, and those to fold away."""
    main = {(m.name, m.split, variant) for m in result.headline for variant in (m.variant, "")}
    named = [d for d in result.differences if (d.name, d.split, d.variant) in main] or list(result.differences)
    shown = named if len(named) <= _FEW else _between_firsts(named, result.headline)
    seen = set(map(id, shown))
    return _difference_rows(shown), _difference_rows([d for d in result.differences if id(d) not in seen])


def _between_firsts(found: Sequence[Difference], headline: Sequence[Metric]) -> list[Difference]:
    """Differences between the scorers' first variants, and between these and the baselines."""
    firsts = {m.scorer: m for m in reversed(headline)}
    scorers = {name for s, m in firsts.items() if s for name in (s, label_of(s, m.variant))}
    names = scorers | {owner(m) for m in headline if not m.scorer}
    return [d for d in found if {d.a, d.b} <= names and {d.a, d.b} & scorers]


def _difference_rows(found: Sequence[Difference]) -> tuple[DifferenceRow, ...]:
    reach = max((abs(v) for d in found for v in (d.low, d.high, d.value)), default=1.0) * 1.05 or 1.0
    return tuple(
        DifferenceRow(
            a=d.a,
            b=d.b,
            what=" · ".join(filter(None, (title_of(d.name) + unit_of(d.name), d.split, d.variant))),
            value=_signed(d.name, d.value),
            interval=interval(d.name, d.low, d.high),
            span=_span(d.value, d.low, d.high, -reach, reach),
            verdict=f"{d.a} is higher" if d.low > 0 else f"{d.b} is higher" if d.high < 0 else "open",
        )
        for d in found
    )


def _signed(name: str, value: float) -> str:
    return ("+" if value > 0 else "") + number(name, value)
