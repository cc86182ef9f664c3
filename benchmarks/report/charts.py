"""The charts of a report, each with the table of its numbers, and with its data as plain numbers for `--figures`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from ..results import Bin, Curve, Metric, Picture, Point, is_share
from .drawing import FAINT, MUTED, SERIES, Canvas, draw, legible, width_of
from .tables import Data, Table
from .wording import NOTHING, metric_text, number, owner, scaled, title_of, unit_of, with_interval

_WIDTH = 380
"""Of a chart, in CSS pixels: three fit in a row of the page, and one in a column of a paper."""
_STYLES = ("solid", "dashed", "dotted", "dashdot")
_MARKERS = ("o", "s", "^")
"""By eights of scorers, so that colors that resemble each other come with other marks."""
_LINE = 15
"""Distance between the labels of lines, in pixels."""
_BANDS = 3
"""Intervals are drawn for up to this many lines: bands of more hide each other."""
_MOST_POINTS = 600
"""Points drawn; an even sample of more."""
_LENGTH_BINS = 10
MEANS = ("macro", "weighted", "all")
"""Pseudo-splits: summaries over several splits or all."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and its numbers. It is drawn when asked for its `svg`."""

    key: str
    """See `draw`."""
    title: str
    """Short, since the heading of the part names the kind of chart."""
    note: str
    """Shown beside the title; may be empty."""
    alt: str
    """What it shows, for screen readers."""
    canvas: Canvas
    paint: Callable[[Any], None]
    """Draws on the axes it is given."""
    table: Table
    data: Data

    @property
    def svg(self) -> str:
        """The drawing, for the page. Raises PrmError: matplotlib is not installed."""
        return draw(self.key, self.alt, self.canvas, self.paint)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart."""

    label: str
    points: Sequence[Point]
    color: str
    style: str = "solid"
    has_band: bool = False
    """Whether its intervals are drawn."""
    is_stepped: bool = False
    """Whether it stays at a value up to the next one."""


def best_of_k(key: str, title: str, lines: Sequence[Line]) -> Chart:
    """Share of right choices over k."""
    ks = sorted({point.x for line in lines for point in line.points})

    def axis(axes: Any) -> None:
        axes.set_xscale("log", base=2)
        axes.set_xticks(ks, labels=[f"{k:g}" for k in ks], minor=False)
        axes.set_xticks([], minor=True)
        axes.set(xlabel="k", ylabel="right choices, %")

    return _line_chart(key, "Best of k", title, lines, 100.0, axis, _points_table("k", lines, "accuracy"))


def over_tokens(key: str, title: str, lines: Sequence[Line], table: Table) -> Chart:
    """Share of problems solved over tokens for a problem."""
    xs = [point.x for line in lines for point in line.points]

    def axis(axes: Any) -> None:
        axes.set_xscale("log")
        ticks = _decimal_ticks(min(xs), max(xs))
        axes.set_xticks(ticks, labels=[f"{tick:,.0f}" for tick in ticks], minor=False)
        axes.set_xticks([], minor=True)
        axes.set(xlabel=f"{title.lower()}, for a problem", ylabel="solved, %")

    return _line_chart(key, "Accuracy against tokens", title, lines, 100.0, axis, table)


def _decimal_ticks(low: float, high: float) -> list[float]:
    """The 1, 2 and 5 times powers of ten between these, and the ends where there are fewer than two.

    >>> _decimal_ticks(180, 1200), _decimal_ticks(21, 24)
    ([200.0, 500.0, 1000.0], [21, 24])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [tick for power in powers for step in (1.0, 2.0, 5.0) if low <= (tick := step * 10**power) <= high]
    return ticks if len(ticks) > 1 else sorted({low, high})


def over_optimization(key: str, title: str, lines: Sequence[Line]) -> Chart:
    """Gold and proxy score over the KL divergence of best of n from the policy."""

    def axis(axes: Any) -> None:
        axes.set(xlabel="KL from the policy, nats", ylabel="mean")

    return _line_chart(key, "Over-optimization", title, lines, 1.0, axis, _points_table("KL", lines, "margin"))


def by_score(key: str, kind: str, title: str, lines: Sequence[Line], note: str) -> Chart:
    """What is accepted by its score: a ROC curve, precision against recall, or risk against coverage.

    Args:
        key: see `draw`.
        kind: of the curves.
        title: short.
        lines: one for each scorer or variant.
        note: the areas under them.
    """
    what, x, y = BY_SCORE[kind]

    def axis(axes: Any) -> None:
        if kind == "roc":
            axes.plot([0, 1], [0, 1], color=MUTED, linestyle="dashed", linewidth=1)
        axes.set(xlabel=x, ylabel=y, xlim=(0, 1))

    chart = _line_chart(key, what, title, lines, 1.0, axis, _points_table(x, lines, "share"))
    return replace(chart, note=" ".join(filter(None, (note, chart.note))))


BY_SCORE = {
    "roc": ("ROC", "wrong ones accepted", "right ones accepted"),
    "precision-recall": ("Precision and recall", "right ones accepted (recall)", "right among accepted (precision)"),
    "risk-coverage": ("Risk and coverage", "accepted (coverage)", "wrong among accepted (risk)"),
}
"""Kind of curve to its title and axes."""


def lines_of(curves: Iterable[Curve], color: str, main: str = "") -> list[Line]:
    """The curve of the main variant in color with its band, the others in gray; a vote is dashed."""
    return [
        Line(
            c.variant or c.name,
            c.points,
            color if c.variant == main else MUTED,
            "dashed" if c.variant.endswith("vote") else "solid",
            c.variant == main,
        )
        for c in curves
    ]


def baseline_lines(curves: Iterable[Curve]) -> list[Line]:
    """Gray lines without bands, each in its own style."""
    return [Line(c.variant or c.name, c.points, MUTED, _STYLES[(i + 1) % 4]) for i, c in enumerate(curves)]


def _line_chart(
    key: str,
    what: str,
    title: str,
    lines: Sequence[Line],
    factor: float,
    axis: Callable[[Any], None],
    table: Table,
) -> Chart:
    height = max(290, _LINE * len(lines) + 70)
    has_bands = sum(line.has_band for line in lines) <= _BANDS

    def paint(axes: Any) -> None:
        for line in lines:
            _paint_line(axes, line, factor, has_band=has_bands and line.has_band)
        axis(axes)
        axes.margins(x=0.02)
        _paint_labels(axes, lines, factor, height - 50)

    canvas = Canvas(_WIDTH, height, left=52, right=30 + min(150, width_of(line.label for line in lines)))
    note = "Band: 95% interval." if any(line.has_band for line in lines) and has_bands else ""
    rows = tuple((line.label, p.x, p.value, p.low, p.high) for line in lines for p in line.points)
    data = Data(("line", table.header[0], "value", "low", "high"), rows)
    return Chart(key, title, note, f"{what}: {title}" if title else what, canvas, paint, table, data)


def _paint_line(axes: Any, line: Line, factor: float, *, has_band: bool) -> None:
    xs, values = [p.x for p in line.points], [factor * p.value for p in line.points]
    width, mark = (1.2, 2.5) if line.color == MUTED else (2.0, 4)
    axes.plot(
        xs, values, color=line.color, linestyle=line.style, linewidth=width, marker=_mark(line.color), markersize=mark,
        drawstyle="steps-post" if line.is_stepped else "default",
    )  # fmt: skip
    band = [(p.x, factor * p.low, factor * p.high) for p in line.points if p.low is not None and p.high is not None]
    if len(band) == 1 and has_band:
        axes.vlines(*band[0], color=line.color, alpha=0.35, linewidth=2)
    elif band and has_band:
        axes.fill_between(*zip(*band, strict=True), color=line.color, alpha=0.12, linewidth=0)


def _mark(color: str) -> str:
    """The mark of a scorer's points."""
    return _MARKERS[SERIES.index(color) // 8] if color in SERIES else "o"


def _paint_labels(axes: Any, lines: Sequence[Line], factor: float, pixels: float) -> None:
    """Label each line at the right, as close to its end as the other labels allow."""
    low, high = axes.get_ylim()
    ends = [factor * line.points[-1].value for line in lines]
    places = apart(ends, (high - low) * _LINE / pixels, low, high)
    across = axes.get_yaxis_transform()  # x is a part of the width, y a value
    axes.set_ylim(low, high)
    for line, end, place in zip(lines, ends, places, strict=True):
        style = {"color": line.color, "linestyle": line.style, "linewidth": 1.2, "clip_on": False}
        axes.plot([1.0, 1.03, 1.06], [end, place, place], transform=across, **style)
        axes.text(1.075, place, legible(line.label, 24), transform=across, va="center", fontsize="small")


def apart(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions close to the values, in the same order, at least `gap` apart and not below `low`.

    >>> apart([5.0, 5.0, 1.0], 2.0, 0.0, 10.0)
    [4.0, 6.0, 1.0]
    """
    places = [0.0] * len(values)
    order = sorted(range(len(values)), key=values.__getitem__)
    for at, wanted in zip(order, _spread([values[i] for i in order], gap), strict=True):
        places[at] = wanted
    above, below = max(places, default=high) - high, low - min(places, default=low)
    shift = below if below > 0 else -min(above, -below) if above > 0 else 0.0
    return [place + shift for place in places]


def _spread(values: Sequence[float], gap: float) -> list[float]:
    """Spread ascending values: values closer than the gap form a group, centered on their mean."""
    groups: list[list[float]] = []
    for value in values:
        groups.append([value])
        while len(groups) > 1 and _top(groups[-2], gap) + gap > _bottom(groups[-1], gap):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_bottom(group, gap) + gap * i for group in groups for i in range(len(group))]


def _bottom(group: Sequence[float], gap: float) -> float:
    return sum(group) / len(group) - gap * (len(group) - 1) / 2


def _top(group: Sequence[float], gap: float) -> float:
    return sum(group) / len(group) + gap * (len(group) - 1) / 2


def _points_table(x: str, lines: Sequence[Line], name: str) -> Table:
    xs = sorted({point.x for line in lines for point in line.points})
    cells = {(line.label, p.x): with_interval(name, p.value, p.low, p.high) for line in lines for p in line.points}
    rows = tuple((f"{k:.4g}", *(cells.get((line.label, k), NOTHING) for line in lines)) for k in xs)
    return Table((x, *(line.label for line in lines)), rows)


def by_split(key: str, metrics: Sequence[Metric], owners: Mapping[str, str], title: str) -> Chart:
    """One metric by split: a dot with its interval per owner.

    Args:
        key: see `draw`.
        metrics: all of the same name; at most one per split and owner. The table holds all of them.
        owners: who is drawn: name (see `prm.benchmarks.report.wording.owner`) to color, from top to bottom.
        title: heading without the unit.
    """
    known = [m for m in metrics if m.value is not None]
    splits = list(dict.fromkeys(m.split for m in known))
    cells = {(m.split, owner(m)): m for m in known}
    everyone = list(dict.fromkeys([*owners, *(owner(m) for m in known)]))
    named = [who for who in everyone if any((split, who) in cells for split in splits)]
    drawn = [who for who in named if who in owners]
    places = _places(splits)

    def paint(axes: Any) -> None:
        for j, who in enumerate(drawn):
            own = [
                (y + _offset(j, len(drawn)), cells[split, who]) for split, y in places.items() if (split, who) in cells
            ]
            _paint_dots(axes, own, owners[who], legible(who))
        axes.set_yticks(list(places.values()), labels=[legible(split) for split in splits])
        axes.set_ylim(max(places.values()) + 0.5, -0.5)
        axes.set_xlim(*_range_of(known))
        axes.spines["left"].set_visible(False)

    rows = tuple((split, *(metric_text(cells.get((split, who))) for who in named)) for split in splits)
    data = tuple((m.split, owner(m), m.variant, m.value, m.low, m.high, m.n) for m in known)
    heading = title + unit_of(metrics[0].name)
    height = 32 + (max(places.values()) + 1) * (8 * len(drawn) + 8)
    canvas = Canvas(_WIDTH, height, left=12 + width_of(splits), right=14, bottom=28, top=4)
    table = Table(("", *named), rows)
    return Chart(
        key,
        heading,
        "",
        f"{heading} by split, of {', '.join(drawn)}",
        canvas,
        paint,
        table,
        Data(("split", "scorer", "variant", "value", "low", "high", "n"), data),
    )


def _places(splits: Sequence[str]) -> dict[str, float]:
    """Position of each split's dots; summaries are set apart from the splits."""
    first_mean = next((i for i, split in enumerate(splits) if split in MEANS), 0)
    return {split: i + (0.35 if first_mean and i >= first_mean else 0.0) for i, split in enumerate(splits)}


def _offset(place: int, count: int) -> float:
    """Offset of a dot from the middle of its group, which is 0.75 units wide."""
    return 0.75 * ((place + 0.5) / count - 0.5)


def _paint_dots(axes: Any, placed: Sequence[tuple[float, Metric]], color: str, name: str) -> None:
    ends = [
        (y, scaled(m.name, m.low), scaled(m.name, m.high))
        for y, m in placed
        if m.low is not None and m.high is not None
    ]
    if ends:
        axes.hlines(*zip(*ends, strict=True), color=color, linewidth=1.6, alpha=0.45)
    values = [scaled(m.name, m.value) for _, m in placed if m.value is not None]
    marks = {"color": color, "linestyle": "none", "marker": _mark(color), "markersize": 4.5}
    axes.plot(values, [y for y, _ in placed], label=name, **marks)


@dataclass(frozen=True, slots=True)
class Reach:
    """A row of `intervals`, in the unit of the chart."""

    label: str
    color: str
    value: float
    low: float | None
    high: float | None


def intervals(key: str, title: str, rows: Sequence[Reach], *, has_zero: bool = False) -> Chart:
    """Numbers with their intervals, one row each, from top to bottom; with a line at 0 for differences."""

    def paint(axes: Any) -> None:
        for y, row in enumerate(rows):
            if row.low is not None and row.high is not None:
                axes.hlines(y, row.low, row.high, color=row.color, linewidth=2.2, alpha=0.45)
            axes.plot(row.value, y, color=row.color, linestyle="none", marker=_mark(row.color), markersize=5.5)
        if has_zero:
            axes.axvline(0, color="#000000", linewidth=0.8)
        axes.set_yticks(range(len(rows)), labels=[legible(row.label, 34) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(title)
        axes.spines["left"].set_visible(False)

    left = 12 + min(200, width_of((row.label for row in rows), 34))
    canvas = Canvas(_WIDTH, 58 + 17 * len(rows), left=left, right=14, bottom=44, top=4)
    data = Data(("name", "value", "low", "high"), tuple((r.label, r.value, r.low, r.high) for r in rows))
    return Chart(key, title, "", title, canvas, paint, Table((), ()), data)


def _range_of(metrics: Sequence[Metric]) -> tuple[float, float]:
    name = metrics[0].name
    ends = [scaled(name, v) for m in metrics for v in (m.value, m.low, m.high) if v is not None]
    whole = 100.0 if is_share(name) else 1.0
    low, high = min(0.0, *ends, 0.0), max(0.0, *ends, 0.0)
    return (1.05 * low - 0.015 * whole, 1.015 * whole if 0.3 * whole < high <= whole else 1.05 * high or whole)


def reliability(key: str, picture: Picture, color: str, note: str) -> Chart:
    """Share right over mean score; on the diagonal, scores are calibrated."""
    rows = [b for b in picture.bins if b.count and b.mean_score is not None and b.share_right is not None]
    most = max((b.count for b in rows), default=1.0)

    def paint(axes: Any) -> None:
        axes.bar(
            [(b.low + b.high) / 2 for b in rows],
            [0.25 * b.count / most for b in rows],
            width=[0.9 * (b.high - b.low) for b in rows],
            color=FAINT,
            alpha=0.6,
            linewidth=0,
        )
        axes.plot([0, 1], [0, 1], color=MUTED, linestyle="dashed", linewidth=1)
        means, shares = [b.mean_score for b in rows], [b.share_right for b in rows]
        axes.plot(means, shares, color=color, marker=_mark(color), linewidth=2)
        axes.set(xlabel="mean score", ylabel="share right", xlim=(0, 1.02), ylim=(0, 1.02))

    return _picture(key, "Reliability", picture, note, Canvas(_WIDTH, 300), paint, _bins_table(picture.bins))


def margins(key: str, picture: Picture, color: str) -> Chart:
    """Histogram of the better response's score minus the worse one's; below 0 the order is wrong."""

    def paint(axes: Any) -> None:
        for b in picture.bins:
            is_wrong = b.high <= 0
            style = {"facecolor": "none", "edgecolor": color} if is_wrong else {"color": color}
            axes.bar((b.low + b.high) / 2, b.count, width=0.92 * (b.high - b.low), linewidth=1, **style)
        axes.axvline(0, color="#000000", linewidth=1)
        axes.set(xlabel="better minus worse", ylabel="pairs")

    return _picture(key, "Margins", picture, "", Canvas(_WIDTH, 250), paint, _bins_table(picture.bins))


def lengths(key: str, picture: Picture, color: str, words: tuple[str, str]) -> Chart:
    """Scores over length in characters, right chains in color; `words` names right and wrong chains."""
    drawn = picture.points[:: max(1, -(-len(picture.points) // _MOST_POINTS))]

    def paint(axes: Any) -> None:
        for is_right, own, cap in ((False, MUTED, "projecting"), (True, color, "round")):
            _paint_points(axes, [(x, y) for x, y, right in drawn if right is is_right], own, cap)
        axes.set(xlabel="characters", ylabel="score")
        axes.set_xlim(left=0)

    table = _lengths_table(picture.points, words)
    return _picture(key, "Score against length", picture, "", Canvas(_WIDTH, 270), paint, table)


def _picture(
    key: str, what: str, picture: Picture, note: str, canvas: Canvas, paint: Callable[[Any], None], table: Table
) -> Chart:
    title = f"{picture.scorer} ({picture.variant})" if picture.variant else picture.scorer
    bins = tuple((b.low, b.high, b.count, b.mean_score, b.share_right) for b in picture.bins)
    data = (
        Data(("low", "high", "count", "mean_score", "share_right"), bins)
        if bins
        else Data(("characters", "score", "is_right"), picture.points)
    )
    return Chart(key, title, note, f"{what}: {title}", canvas, paint, table, data)


def _paint_points(axes: Any, points: Sequence[tuple[float, float]], color: str, cap: str) -> None:
    """Draw points as the caps of zero-length lines in a single path, so that thousands of them are one element."""
    xs = [x for point in points for x in (point[0], point[0], math.nan)]
    ys = [y for point in points for y in (point[1], point[1], math.nan)]
    axes.plot(xs, ys, color=color, linewidth=3.4, solid_capstyle=cap, alpha=0.5)


def _bins_table(bins: Sequence[Bin]) -> Table:
    has_means = any(b.mean_score is not None for b in bins)
    header = ("from", "to", "count", *(("mean score", "share right") if has_means else ()))
    return Table(header, tuple(_bin_row(b)[: len(header)] for b in bins))


def _bin_row(b: Bin) -> tuple[str, ...]:
    means = (NOTHING if v is None else f"{v:.3f}" for v in (b.mean_score, b.share_right))
    return (f"{b.low:.3g}", f"{b.high:.3g}", f"{b.count:,.6g}", *means)


def _lengths_table(points: Sequence[tuple[float, float, bool]], words: tuple[str, str]) -> Table:
    """Mean scores by decile of length."""
    ordered = sorted(points)
    edges = [round(i * len(ordered) / _LENGTH_BINS) for i in range(_LENGTH_BINS + 1)]
    header = ("characters", *(f"{word}{part}" for word in words for part in ("", ", mean score")))
    parts = [ordered[a:b] for a, b in pairwise(edges) if b > a]
    return Table(header, tuple(_lengths_row(part) for part in parts))


def _lengths_row(part: Sequence[tuple[float, float, bool]]) -> tuple[str, ...]:
    row = [f"{part[0][0]:,.0f} to {part[-1][0]:,.0f}"]
    for kind in (True, False):
        scores = [score for _, score, is_right in part if is_right is kind]
        row += [str(len(scores)), f"{sum(scores) / len(scores):.3f}" if scores else NOTHING]
    return tuple(row)


def calibration_note(metrics: Sequence[Metric], picture: Picture) -> str:
    """ECE and Brier score of the scores in a reliability diagram."""
    own = [m for m in metrics if m.scorer == picture.scorer and m.variant in (picture.variant, "")]
    found = {m.name: m for m in own if m.name in ("ece", "brier") and m.value is not None}
    return " · ".join(
        f"{title_of(name)} {number(name, found[name].value)}" for name in ("ece", "brier") if name in found
    )
