"""The charts of a result, under headings; charts without data are omitted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..protocols import PROTOCOLS
from ..results import Curve, Metric, Picture, Result
from . import charts
from .charts import MEANS, Chart
from .drawing import FAINT, MUTED, class_of
from .tables import Table
from .wording import metric_text, owner, title_of

_FIRST = (
    "first_error_accuracy",
    "all_right_accuracy",
    "f1",
    "accuracy",
    "accuracy_easy",
    "accuracy_normal",
    "accuracy_hard",
)
"""Metrics shown first, in this order."""
_OPEN = 3
"""Number of bar-chart parts shown unfolded."""
_STYLES = ("accuracy_easy", "accuracy_normal", "accuracy_hard")
"""RM-Bench (arXiv 2410.16184, section 3.4): accuracy by the styles of the two responses."""
_MATRIX = (*_STYLES, "accuracy")
_PICTURES = {
    "reliability": (
        "Reliability",
        "On the dashed line, scores are calibrated. Gray bars: number of scores.",
    ),
    "margins": ("Margins", "Left of 0, the worse response has the higher score."),
    "lengths": ("Score against length", "An even sample of the chains."),
}
"""Kind to title and note."""


@dataclass(frozen=True, slots=True)
class Part:
    """Charts under one heading."""

    id: str
    title: str
    note: str
    charts: tuple[Chart, ...]
    legend: tuple[tuple[str, str], ...] = ()
    """(name, CSS class)."""
    more: tuple[Chart, ...] = ()
    """Folded charts: those of the other aggregators."""
    table: Table | None = None
    """Shown beside the charts, or instead of them."""
    is_folded: bool = False


def parts_of(key: str, result: Result, colors: Mapping[str, str]) -> Iterator[Part]:
    """All charts of a result.

    Args:
        key: prefix of every id.
        result: a result of `prm eval`.
        colors: by scorer.
    """
    makers: tuple[Callable[..., Iterator[Part]], ...] = (_best_of_k, _styles, _bars, _over_optimization, _pictures)
    for maker in makers:
        yield from (part for part in maker(key, result, colors) if part.charts or part.table)


def _best_of_k(key: str, result: Result, colors: Mapping[str, str]) -> Iterator[Part]:
    by_scorer = _by_scorer(result.curves, "best-of-k")
    baselines = by_scorer.pop("", [])
    panels = by_scorer or ({"": []} if baselines else {})
    drawn = tuple(
        charts.best_of_k(f"{key}-best-{i}", scorer, own, baselines) for i, (scorer, own) in enumerate(panels.items())
    )
    note = "Share of problems where the solution chosen from k is right."
    yield Part(
        f"{key}-best-of-k", "Best of k", note + (" Gray: baselines, which use no scorer." if baselines else ""), drawn
    )


def _over_optimization(key: str, result: Result, colors: Mapping[str, str]) -> Iterator[Part]:
    curves = [curve for curve in result.curves if curve.kind == "over-optimization"]
    rewards = {curve.name for curve in curves if not all(0 <= point.value <= 1 for point in curve.points)}
    groups: defaultdict[tuple[str, str], list[Curve]] = defaultdict(list)
    for curve in curves:
        apart = curve.variant if curve.name in rewards else ""  # a share and a reward share no axis
        groups[f"{curve.scorer} {apart}", f"{curve.name}: {apart}" if apart else curve.name].append(curve)
    shown, more = _first_and_others(
        (first, charts.over_optimization(f"{key}-over-{i}", name, own))
        for i, ((first, name), own) in enumerate(groups.items())
    )
    note = "True quality (gold) and the score itself (proxy), over the distance from the policy."
    yield Part(f"{key}-over-optimization", "Over-optimization", note, shown, more=more)


def _first_and_others(drawn: Iterable[tuple[str, Chart]]) -> tuple[tuple[Chart, ...], tuple[Chart, ...]]:
    """Split (scorer, chart) pairs into the first chart of each scorer and all others."""
    first: dict[str, Chart] = {}
    more = []
    for scorer, chart in drawn:
        if first.setdefault(scorer, chart) is not chart:
            more.append(chart)
    return tuple(first.values()), tuple(more)


def _styles(key: str, result: Result, colors: Mapping[str, str]) -> Iterator[Part]:
    """Table of easy, normal and hard pairs, over the splits of the headline."""
    splits = {m.split for m in result.headline}
    own = [m for m in result.metrics if m.name in (*_STYLES, "accuracy") and m.split in splits]
    if not set(_STYLES) <= {m.name for m in own}:
        return
    cells = {(m.scorer, m.variant, m.name): m for m in own}
    rows = tuple(
        (
            scorer or variant,
            variant if scorer else "",
            *(metric_text(cells.get((scorer, variant, name))) for name in _MATRIX),
        )
        for scorer, variant in dict.fromkeys((m.scorer, m.variant) for m in own)
    )
    table = Table(("", "variant", *(f"{name.removeprefix('accuracy_')}, %" for name in _MATRIX)), rows)
    yield Part(
        f"{key}-styles", "By style", "In hard pairs, the worse response is the more ornate one.", (), table=table
    )


def _by_scorer(curves: Sequence[Curve], kind: str) -> dict[str, list[Curve]]:
    found: defaultdict[str, list[Curve]] = defaultdict(list)
    for curve in curves:
        if curve.kind == kind:
            found[curve.scorer].append(curve)
    return dict(found)


def _bars(key: str, result: Result, colors: Mapping[str, str]) -> Iterator[Part]:
    """Every metric reported by split, one part per kind of variant; single charts share a part."""
    groups = {
        (mode, name): own
        for name in sorted({m.name for m in result.metrics}, key=_place)
        for mode, own in _by_mode([m for m in result.metrics if m.name == name]).items()
        if len({m.split for m in own} - set(MEANS)) > 1
    }
    owners = _owners(result.metrics, colors)
    legend = tuple((name, class_of(color)) for name, color in owners.items())
    parts = _parts_of_modes(list(groups))
    for i, (title, members) in enumerate(parts.items()):
        drawn = tuple(
            charts.bars(f"{key}-bars-{i}-{j}", groups[mode, name], owners, _title(name, mode, title))
            for j, (mode, name) in enumerate(members)
        )
        heading = f"By split: {title}" if title else "By split"
        yield Part(f"{key}-splits-{i}", heading, "Lines: 95% intervals.", drawn, legend, is_folded=i >= _OPEN)


def _title(name: str, mode: str, part: str) -> str:
    """Title of a chart: the metric, and its mode unless the part has it as title."""
    return title_of(name) if mode in ("", part) else f"{title_of(name)} ({mode})"


def _parts_of_modes(members: Sequence[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """Title of each part to its (mode, name) pairs: one part per mode with several, and one for the rest."""
    modes = Counter(mode for mode, _ in members)
    several = {mode: [m for m in members if m[0] == mode] for mode, count in modes.items() if count > 1}
    lone = [m for m in members if m[0] not in several]
    return several | ({"other measures" if several else "": lone} if lone else {})


def _by_mode(metrics: Sequence[Metric]) -> dict[str, list[Metric]]:
    """Numbers of one metric by variant; scorers without variants and baselines appear under every one."""
    modes = {m.scorer: set[str]() for m in metrics}
    for m in metrics:
        modes[m.scorer].add(_mode(m))
    everywhere = {scorer for scorer, own in modes.items() if own == {""}}
    named = dict.fromkeys(_mode(m) for m in metrics if m.scorer not in everywhere)
    return {mode: [m for m in metrics if m.scorer in everywhere or _mode(m) == mode] for mode in named or {"": None}}


def _mode(metric: Metric) -> str:
    """The variant, where fixed thresholds omit the number; "" for a baseline."""
    if not metric.scorer:
        return ""
    return "fixed threshold" if metric.variant.startswith("fixed ") else metric.variant


def _place(name: str) -> tuple[int, str]:
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)


def _owners(metrics: Iterable[Metric], colors: Mapping[str, str]) -> dict[str, str]:
    """Owners of bars to their colors."""
    baselines = dict.fromkeys(owner(m) for m in metrics if not m.scorer)
    grays = dict(zip(baselines, (MUTED, FAINT) * len(baselines), strict=False))
    return {m.scorer: colors.get(m.scorer, MUTED) for m in metrics if m.scorer} | grays


def _pictures(key: str, result: Result, colors: Mapping[str, str]) -> Iterator[Part]:
    words = PROTOCOLS[result.protocol].words
    drawers: dict[str, Callable[[str, Picture], Chart]] = {
        "reliability": lambda k, p: charts.reliability(k, p, charts.calibration_note(result.metrics, p)),
        "margins": charts.margins,
        "lengths": lambda k, p: charts.lengths(k, p, words),
    }
    legends = {"lengths": ((words[0], "series-1"), (words[1], "series-2 square"))}
    for kind, draw in drawers.items():
        shown, more = _first_and_others(
            (p.scorer, draw(f"{key}-picture-{i}", p)) for i, p in enumerate(result.pictures) if p.kind == kind
        )
        yield Part(f"{key}-{kind}", *_PICTURES[kind], shown, legends.get(kind, ()), more)
