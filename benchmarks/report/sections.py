"""The contents of each result, as plain values for the page: headline, differences, charts, all numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..protocols import TITLES, who_of
from ..results import Difference, Metric, Result
from . import charts
from .charts import Chart, Reach
from .drawing import MUTED, SERIES
from .headline import (
    Plot,
    best_of_each,
    common_variant,
    compared,
    differences_plot,
    headline_plot,
    headline_title,
    leading,
    ranked,
    reference_of,
    signed,
    verdict,
)
from .parts import Part, parts_of
from .tables import Table
from .wording import NOTHING, interval, metric_text, owner, scaled, title_of, unit_of

SMALL = 30
"""With fewer problems, intervals by resampling are too short, and a warning says so."""
_MOST_DIFFERENCES = 2000
"""Of a result, in the page."""


@dataclass(frozen=True, slots=True)
class Section:
    """One result."""

    id: str
    title: str
    protocol: str
    who: str
    """What it compares: scorers, or methods of search."""
    size: str
    """Problems, chains and dropped rows, in words."""
    warning: str
    """Few problems; "" for enough."""
    facts: tuple[tuple[str, str], ...]
    """The protocol in words: (setting, value)."""
    counts: tuple[tuple[str, str], ...]
    """Size of the data: (name, count)."""
    dropped: tuple[tuple[str, str], ...]
    """(reason, rows)."""
    versions: str
    headline_title: str
    headline: Plot
    """The best variant of each scorer, and the baselines."""
    choice: str
    """How the rows were chosen; "" if there are no others."""
    variants: Plot | None
    """Every number of the headline; None if there are no more."""
    reference: str
    """The best scorer, to which the differences are."""
    differences: Plot | None
    difference_title: str
    all_differences: Table
    left_out: int
    """Differences that are not in the page."""
    parts: tuple[Part, ...]
    numbers: Table
    figures: tuple[Chart, ...]
    """Headline and differences as charts, for files."""


def sections(results: Mapping[str, Result]) -> tuple[Section, ...]:
    """One section per result.

    Args:
        results: by file name, which distinguishes results of one suite.
    """
    colors = colors_of(results.values())
    titles = titles_of(results)
    return tuple(
        _section(f"result-{i}", titles[file], result, colors)
        for i, (file, result) in enumerate(results.items(), start=1)
    )


def titles_of(results: Mapping[str, Result]) -> dict[str, str]:
    """Titles by file: the suite, with the file name if several results share the suite."""
    times = Counter(result.suite for result in results.values())
    return {file: r.suite if times[r.suite] == 1 else f"{r.suite} [{file}]" for file, r in results.items()}


def colors_of(results: Iterable[Result]) -> dict[str, str]:
    """Color of each scorer, the same in every chart; scorers after the 24th repeat them."""
    names = dict.fromkeys(name for result in results for name in result.scorers)
    return {name: SERIES[i % len(SERIES)] for i, name in enumerate(names)}


def _section(key: str, title: str, result: Result, colors: Mapping[str, str]) -> Section:
    best = best_of_each(result.headline)
    shown, every = leading(best), ranked(result.headline)
    found, reference = compared(result, shown), reference_of(shown)
    heading, common = headline_title(shown), common_variant(shown)
    return Section(
        id=key,
        title=title,
        protocol=TITLES[result.protocol],
        who=who_of(result.protocol),
        size=_size(result.data),
        warning=_warning(result.data),
        facts=tuple(_spelled_out({"convention": result.convention, **result.settings})),
        counts=tuple(_spelled_out({k: v for k, v in result.data.items() if k not in ("dropped", "choices")})),
        dropped=tuple((reason, _text(rows)) for reason, rows in dict(result.data.get("dropped") or {}).items()),
        versions=", ".join(f"{name} {version}" for name, version in result.versions.items()),
        headline_title=heading,
        headline=headline_plot(shown, colors),
        choice=_choice(who_of(result.protocol), best, shown, every),
        variants=headline_plot(every, colors) if len(every) > len(shown) else None,
        reference="" if reference is None else reference.scorer,
        differences=differences_plot(found, colors, common),
        difference_title="difference, points" if ", %" in heading else "difference",
        all_differences=_differences(result),
        left_out=max(0, len(result.differences) - _MOST_DIFFERENCES),
        parts=tuple(parts_of(key, result, colors)),
        numbers=_numbers(result.metrics),
        figures=tuple(_figures(key, heading, shown, found, reference, colors)),
    )


def _size(data: Mapping[str, Any]) -> str:
    counts = [f"{data[name]:,} {name}" for name in ("problems", "chains") if isinstance(data.get(name), int)]
    dropped = sum(rows for rows in dict(data.get("dropped") or {}).values() if isinstance(rows, int))
    return ", ".join([*counts, f"{dropped:,} dropped" if dropped else ""]).strip(", ")


def _warning(data: Mapping[str, Any]) -> str:
    problems = data.get("problems")
    if not isinstance(problems, int) or problems >= SMALL:
        return ""
    return f"Only {problems} problem{'s' * (problems != 1)}: intervals are rough, and differences may be chance."


def _choice(who: str, best: Sequence[Metric], shown: Sequence[Metric], every: Sequence[Metric]) -> str:
    parts = []
    if len(every) > len(best):
        parts.append(f"Each {who} in its best variant, chosen on these data, which flatters it.")
    if len(best) > len(shown):
        parts.append(f"The {len({m.scorer for m in shown if m.scorer})} best {who}s.")
    return " ".join(parts)


def _figures(
    key: str,
    heading: str,
    shown: Sequence[Metric],
    found: Sequence[tuple[Metric, Difference]],
    reference: Metric | None,
    colors: Mapping[str, str],
) -> Iterator[Chart]:
    known = [m for m in shown if m.value is not None]
    reaches = [_reach(_name(m), m.scorer, m, colors) for m in known]
    if reaches:
        yield charts.intervals(f"{key}-headline", heading, reaches)
    if found and reference is not None:
        against = [_reach(_name(m), m.scorer, d, colors) for m, d in found]
        title = f"{heading}: minus {reference.scorer}"
        yield charts.intervals(f"{key}-differences", title, against, has_zero=True)


def _name(m: Metric) -> str:
    return f"{m.scorer} ({m.variant})" if m.scorer and m.variant else owner(m)


def _reach(label: str, scorer: str, found: Metric | Difference, colors: Mapping[str, str]) -> Reach:
    value, low, high = (None if v is None else scaled(found.name, v) for v in (found.value, found.low, found.high))
    return Reach(label, colors.get(scorer, MUTED), value or 0.0, low, high)


def _spelled_out(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    return ((name.replace("_", " "), _text(value)) for name, value in values.items())


def _text(value: Any) -> str:
    """A setting in readable form.

    >>> _text({"PRM": 0.5, "ks": [1, 2]}), _text(True), _text(None), _text(12000)
    ('PRM 0.5, ks 1 2', 'yes', 'none', '12,000')
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def _differences(result: Result) -> Table:
    """Differences as text: those of the headline first, and at most `_MOST_DIFFERENCES`."""
    main = {(m.name, m.split) for m in result.headline}
    ordered = sorted(result.differences, key=lambda d: (d.name, d.split) not in main)
    rows = (
        (
            f"{d.a} \u2212 {d.b}",
            title_of(d.name) + unit_of(d.name),
            d.split,
            d.variant,
            signed(d.name, d.value),
            interval(d.name, d.low, d.high),
            verdict(d),
        )
        for d in ordered[:_MOST_DIFFERENCES]
    )
    return Table(("a \u2212 b", "metric", "split", "variant", "difference", "95% interval", "verdict"), tuple(rows))


def _numbers(metrics: Sequence[Metric]) -> Table:
    rows = (
        (m.scorer or NOTHING, title_of(m.name) + unit_of(m.name), m.split, m.variant, metric_text(m), f"{m.n:,}")
        for m in metrics
    )
    return Table(("scorer", "metric", "split", "variant", "value (95% interval)", "n"), tuple(rows))
