"""The tables that `prm eval` prints: the suite's main metric first, then the other metrics over all rows."""

from __future__ import annotations

from prm import console
from prm.benchmarks.report.wording import NOTHING, number, title_of, unit_of
from prm.benchmarks.results import Metric, Result, label_of
from prm.benchmarks.search.points import SearchPoint, search_points
from prm.statistics.aggregation import AGGREGATORS

_MOST_KS = 6
"""With more, the best-of-k table shows every other k."""
_MOST_SPLITS = 10
"""With more, the table shows only their summary; the result holds all."""


def show_result(result: Result) -> None:
    """Print the tables of a result on stdout."""
    if result.protocol == "search":
        _show_search(result)
    elif any(curve.kind == "best-of-k" for curve in result.curves):
        _show_curves(result)
    else:
        _show_splits(result)


def _show_curves(result: Result) -> None:
    curves = [curve for curve in result.curves if curve.kind == "best-of-k"]
    stride = 1 if len(curves[0].points) <= _MOST_KS else 2
    points = {curve.name: [*curve.points[:-1:stride], curve.points[-1]] for curve in curves}
    ks = [int(point.x) for point in points[curves[0].name]]
    rows = [
        [name, *(f"{100 * p.value:.1f}" for p in own), _interval(own[-1].low, own[-1].high)]
        for name, own in points.items()
    ]
    title = f"Right answers in %, best of k, {result.data['problems']} problems{_convention(result)}"
    console.table(title, ["selector", *(f"k={k}" for k in ks), f"95% at {ks[-1]}"], rows)
    auroc = [metric for metric in result.metrics if metric.name == "chain_auroc"]
    rows = [[label_of(m.scorer, m.variant), _value(m), _interval(m.low, m.high)] for m in auroc]
    console.table("Right chain above wrong chain of the same problem, in %", ["scorer", "AUROC", "95%"], rows)


def _show_search(result: Result) -> None:
    """Print one row per run; then for every budget what the best run of each level of difficulty reaches."""
    points = search_points(result)
    runs, best = [p for p in points if p.is_run], [p for p in points if not p.is_run]
    title = f"Problems solved in %, {result.data['problems']:,} problems; tokens for a problem"
    rows = [[*_point_cells(p), "yes" if p.is_on_front else ""] for p in runs]
    console.table(title, ["run", *_POINT, "front"], rows)
    if best:
        title = "Compute-optimal: the best run of each level of difficulty, chosen on the other half of the problems"
        console.table(title, ["budget", *_POINT], [_point_cells(p, p.variant) for p in best])
    else:
        console.say("no run draws whole chains, so difficulty is unknown: name a field of the problems with --by")
    front = sorted((p for p in runs if p.is_on_front), key=lambda p: p.metrics["generated_tokens"].value or 0.0)
    console.say(
        "front, by tokens generated: " + ", ".join(f"{p.label} {_value(p.metrics['accuracy'])}%" for p in front)
    )


_POINT = ("solved", "95%", "any leaf right", "generated", "scored")


def _point_cells(point: SearchPoint, name: str = "") -> list[str]:
    main, *others = (point.metrics[key] for key in ("accuracy", "any_right", "generated_tokens", "scored_tokens"))
    return [
        name or point.label,
        _value(main),
        _interval(main.low, main.high),
        *(number(m.name, m.value) for m in others),
    ]


def _show_splits(result: Result) -> None:
    """Print the suite's main metric: one row per scorer and variant, one column per split."""
    name, split = result.headline[0].name, result.headline[0].split
    own = [metric for metric in result.metrics if metric.name == name]
    others = [s for s in dict.fromkeys(metric.split for metric in own) if s != split]
    splits = others if 1 < len(others) <= _MOST_SPLITS else []  # a single split repeats the column of all rows
    cells = {(m.scorer, m.variant, m.split): m for m in own}
    rows = []
    for scorer, variant in dict.fromkeys((m.scorer, m.variant) for m in own):
        main = cells[scorer, variant, split]
        parts = [_value(cells.get((scorer, variant, s))) for s in splits]
        rows.append([scorer, variant, *parts, _value(main), _interval(main.low, main.high)])
    title = f"{result.suite}: {title_of(name)} in %, {result.data['rows']:,} rows{_convention(result)}"
    console.table(title, ["scorer", "", *splits, split, "95%"], rows, keys=2)
    _show_others(result, name)


def _show_others(result: Result, headline: str) -> None:
    """Print the other metrics over all rows, as the report formats them: one row per metric, one column per scorer."""
    first: dict[tuple[str, str], Metric] = {}
    for metric in result.metrics:
        if metric.split == "all" and metric.name != headline and metric.scorer and metric.value is not None:
            first.setdefault((metric.scorer, metric.name), metric)  # first variant only: fixed, or min
    names = list(dict.fromkeys(name for _, name in first))
    cells = {key: number(metric.name, metric.value) for key, metric in first.items()}
    rows = [
        [title_of(name) + unit_of(name), *(cells.get((s, name), NOTHING) for s in result.scorers)] for name in names
    ]
    by = next((m.variant for m in first.values() if m.variant in AGGREGATORS), "")
    if names:
        console.table(f"All rows{by and f', steps by {by}'}", ["metric", *result.scorers], rows)


def _convention(result: Result) -> str:
    return "" if result.convention == "exact" else f", {result.convention} convention"


def _value(metric: Metric | None) -> str:
    return "-" if metric is None or metric.value is None else f"{100 * metric.value:.1f}"


def _interval(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{100 * low:.1f}-{100 * high:.1f}"
