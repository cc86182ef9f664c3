"""The charts of a report, each with the table of its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..results import Bin, Curve, Metric, Picture, Point, is_share
from .drawing import FAINT, MUTED, RIGHT, SERIES, WRONG, Canvas, draw, legible, width_of
from .tables import Table
from .wording import NOTHING, metric_text, number, owner, scaled, title_of, unit_of, with_interval

_SMALL, _LARGE = 340, 480
"""Widths in CSS pixels: of charts shown three to a row, and two to a row."""
_STYLES = ("solid", "dashed", "dotted", "dashdot")
_LINE = 15
"""Distance between the labels of lines, in pixels."""
_LENGTH_BINS = 10
MEANS = ("macro", "weighted", "all")
"""Pseudo-splits: summaries over several splits or all."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and its numbers."""

    title: str
    """Short, since the heading of the part names the kind of chart."""
    note: str
    """Shown beside the title; may be empty."""
    svg: str
    table: Table
    is_large: bool = False


@dataclass(frozen=True, slots=True)
class _Line:
    label: str
    points: Sequence[Point]
    color: str
    style: str


def best_of_k(key: str, scorer: str, curves: Sequence[Curve], baselines: Sequence[Curve]) -> Chart:
    """Share of right choices over k, one line per selector; baselines in gray."""
    lines = [*_lines(curves), *_baseline_lines(baselines)]
    ks = sorted({point.x for line in lines for point in line.points})

    def axis(axes: Any) -> None:
        axes.set_xscale("log", base=2)
        axes.set_xticks(ks, labels=[f"{k:g}" for k in ks], minor=False)
        axes.set_xticks([], minor=True)
        axes.set(xlabel="k", ylabel="right choices, %")

    return _line_chart(key, "Best of k", scorer, lines, 100.0, axis, _points_table("k", lines, "accuracy"))


def over_optimization(key: str, name: str, curves: Sequence[Curve]) -> Chart:
    """Gold and proxy score over the KL divergence of best of n from the policy."""

    def axis(axes: Any) -> None:
        axes.set(xlabel="KL from the policy, nats", ylabel="mean")

    lines = _lines(curves)
    return _line_chart(key, "Over-optimization", name, lines, 1.0, axis, _points_table("KL", lines, "margin"))


def _lines(curves: Sequence[Curve]) -> list[_Line]:
    """One color per variant; a vote is dashed, in the color of its weights."""
    bases = list(dict.fromkeys(_base(curve) for curve in curves))
    return [
        _Line(
            c.variant or c.name, c.points, _color(bases.index(_base(c))), "solid" if _base(c) == c.variant else "dashed"
        )
        for c in curves
    ]


def _base(curve: Curve) -> str:
    return curve.variant.removesuffix("vote").strip()


def _color(place: int) -> str:
    return SERIES[place % len(SERIES)]


def _baseline_lines(curves: Sequence[Curve]) -> list[_Line]:
    return [_Line(c.variant or c.name, c.points, MUTED, _STYLES[(i + 1) % len(_STYLES)]) for i, c in enumerate(curves)]


def _line_chart(
    key: str,
    what: str,
    title: str,
    lines: Sequence[_Line],
    factor: float,
    axis: Callable[[Any], None],
    table: Table,
) -> Chart:
    height = max(300, _LINE * len(lines) + 70)

    def paint(axes: Any) -> None:
        for line in lines:
            _paint_line(axes, line, factor)
        axis(axes)
        axes.margins(x=0.02)
        _paint_labels(axes, [line for line in lines if line.points], factor, height - 50)

    canvas = Canvas(_LARGE, height, left=56, right=46 + width_of(line.label for line in lines))
    svg = draw(key, f"{what}: {title}" if title else what, canvas, paint)
    return Chart(title, "Bands: 95% intervals.", svg, table, is_large=True)


def _paint_line(axes: Any, line: _Line, factor: float) -> None:
    xs, values = [p.x for p in line.points], [factor * p.value for p in line.points]
    axes.plot(xs, values, color=line.color, linestyle=line.style, linewidth=1.8, marker="o", markersize=3.5)
    band = [(p.x, factor * p.low, factor * p.high) for p in line.points if p.low is not None and p.high is not None]
    if band:
        axes.fill_between(*zip(*band, strict=True), color=line.color, alpha=0.07, linewidth=0)


def _paint_labels(axes: Any, lines: Sequence[_Line], factor: float, pixels: float) -> None:
    """Label each line at the right, as close to its end as the other labels allow."""
    low, high = axes.get_ylim()
    ends = [factor * line.points[-1].value for line in lines]
    places = apart(ends, (high - low) * _LINE / pixels, low, high)
    across = axes.get_yaxis_transform()  # x is a part of the width, y a value
    axes.set_ylim(low, high)
    for line, end, place in zip(lines, ends, places, strict=True):
        style = {"color": line.color, "linestyle": line.style, "linewidth": 1.2, "clip_on": False}
        axes.plot([1.0, 1.03, 1.06], [end, place, place], transform=across, **style)
        axes.text(1.075, place, legible(line.label), transform=across, va="center", fontsize=11)


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


def _points_table(x: str, lines: Sequence[_Line], name: str) -> Table:
    xs = sorted({point.x for line in lines for point in line.points})
    cells = {(line.label, p.x): with_interval(name, p.value, p.low, p.high) for line in lines for p in line.points}
    rows = tuple((f"{k:.4g}", *(cells.get((line.label, k), NOTHING) for line in lines)) for k in xs)
    return Table((x, *(line.label for line in lines)), rows)


def bars(key: str, metrics: Sequence[Metric], owners: Mapping[str, str], title: str) -> Chart:
    """One metric by split, one bar per owner, with its interval.

    Args:
        key: see `draw`.
        metrics: all of the same name; at most one per split and owner.
        owners: name (see `prm.benchmarks.report.wording.owner`) to color, in the order of the bars.
        title: heading without the unit.
    """
    splits = list(dict.fromkeys(m.split for m in metrics))
    cells = {(m.split, owner(m)): m for m in metrics}
    drawn = [who for who in owners if any((split, who) in cells for split in splits)]
    places = _places(splits)

    def paint(axes: Any) -> None:
        for j, who in enumerate(drawn):
            own = [(y + _offset(j, len(drawn)), cells.get((split, who))) for split, y in places.items()]
            _paint_bars(axes, [(y, m) for y, m in own if m is not None], owners[who], 0.69 / len(drawn))
        axes.set_yticks(list(places.values()), labels=[legible(split) for split in splits])
        axes.set_ylim(max(places.values()) + 0.5, -0.5)
        axes.set_xlim(*_range_of(metrics))
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)

    rows = tuple((split, *(metric_text(cells.get((split, who))) for who in drawn)) for split in splits)
    heading = title + unit_of(metrics[0].name)
    height = 32 + (max(places.values()) + 1) * (11 * len(drawn) + 9)
    canvas = Canvas(_SMALL, height, left=12 + width_of(splits), right=14, bottom=28, top=4)
    return Chart(heading, "", draw(key, heading, canvas, paint), Table(("", *drawn), rows))


def _places(splits: Sequence[str]) -> dict[str, float]:
    """Position of each split's bars; summaries are set apart from the splits."""
    first_mean = next((i for i, split in enumerate(splits) if split in MEANS), 0)
    return {split: i + (0.35 if first_mean and i >= first_mean else 0.0) for i, split in enumerate(splits)}


def _offset(place: int, count: int) -> float:
    """Offset of a bar from the middle of its group, which is 0.8 units wide."""
    return 0.8 * ((place + 0.5) / count - 0.5)


def _paint_bars(axes: Any, placed: Sequence[tuple[float, Metric]], color: str, height: float) -> None:
    known = [(y, m.name, m.value, m.low, m.high) for y, m in placed if m.value is not None]
    axes.barh(
        [row[0] for row in known], [scaled(n, v) for _, n, v, *_ in known], height=height, color=color, linewidth=0
    )
    ends = [
        (y, scaled(n, low), scaled(n, high)) for y, n, _, low, high in known if low is not None and high is not None
    ]
    if ends:
        axes.hlines(*zip(*ends, strict=True), color="#000000", linewidth=1.1)


def _range_of(metrics: Sequence[Metric]) -> tuple[float, float]:
    name = metrics[0].name
    ends = [scaled(name, v) for m in metrics for v in (m.value, m.low, m.high) if v is not None]
    whole = 100.0 if is_share(name) else 1.0
    low, high = min(0.0, *ends, 0.0), max(0.0, *ends, 0.0)
    return (1.05 * low, whole if 0.3 * whole < high <= whole else 1.05 * high or whole)


def reliability(key: str, picture: Picture, note: str) -> Chart:
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
        axes.plot([b.mean_score for b in rows], [b.share_right for b in rows], color=RIGHT, marker="o", linewidth=1.8)
        axes.set(xlabel="mean score", ylabel="share right", xlim=(0, 1.02), ylim=(0, 1.02))

    title = _picture_title(picture)
    svg = draw(key, f"Reliability: {title}", Canvas(_SMALL, 290), paint)
    return Chart(title, note, svg, _bins_table(picture.bins))


def margins(key: str, picture: Picture) -> Chart:
    """Histogram of the better response's score minus the worse one's; below 0 the order is wrong."""

    def paint(axes: Any) -> None:
        for b in picture.bins:
            color = WRONG if b.high <= 0 else RIGHT if b.low >= 0 else MUTED
            axes.bar((b.low + b.high) / 2, b.count, width=0.92 * (b.high - b.low), color=color, linewidth=0)
        axes.axvline(0, color="#000000", linewidth=1)
        axes.set(xlabel="better minus worse", ylabel="pairs")

    title = _picture_title(picture)
    svg = draw(key, f"Margins: {title}", Canvas(_SMALL, 250), paint)
    return Chart(title, "", svg, _bins_table(picture.bins))


def lengths(key: str, picture: Picture, words: tuple[str, str]) -> Chart:
    """Scores over length in characters; `words` names right and wrong chains."""

    def paint(axes: Any) -> None:
        for is_right, color, cap in ((True, RIGHT, "round"), (False, WRONG, "projecting")):
            points = [(x, y) for x, y, right in picture.points if right is is_right]
            _paint_points(axes, points, color, cap)
        axes.set(xlabel="characters", ylabel="score")
        axes.set_xlim(left=0)

    title = _picture_title(picture)
    svg = draw(key, f"Score against length: {title}", Canvas(_SMALL, 270), paint)
    return Chart(title, "", svg, _lengths_table(picture.points, words))


def _paint_points(axes: Any, points: Sequence[tuple[float, float]], color: str, cap: str) -> None:
    """Draw points as the caps of zero-length lines in a single path, so that thousands of them are one element."""
    xs = [x for point in points for x in (point[0], point[0], math.nan)]
    ys = [y for point in points for y in (point[1], point[1], math.nan)]
    axes.plot(xs, ys, color=color, linewidth=3.4, solid_capstyle=cap, alpha=0.5)


def _picture_title(picture: Picture) -> str:
    return f"{picture.scorer} ({picture.variant})" if picture.variant else picture.scorer


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
