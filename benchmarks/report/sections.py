"""The contents of each result, as plain values for the page: headline, differences, charts, all numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..protocols import PROTOCOLS
from ..results import Metric, Result
from .drawing import SERIES
from .headline import DifferenceRow, HeadlineRow, differences, headline_rows, headline_title
from .parts import Part, parts_of
from .tables import Table
from .wording import NOTHING, metric_text, title_of, unit_of


@dataclass(frozen=True, slots=True)
class Section:
    """One result."""

    id: str
    title: str
    protocol: str
    facts: tuple[tuple[str, str], ...]
    """The protocol in words: (setting, value)."""
    counts: tuple[tuple[str, str], ...]
    """Size of the data: (name, count)."""
    dropped: tuple[tuple[str, str], ...]
    """(reason, rows)."""
    versions: str
    headline_title: str
    headline: tuple[HeadlineRow, ...]
    differences: tuple[DifferenceRow, ...]
    more_differences: tuple[DifferenceRow, ...]
    """Differences in other metrics and splits."""
    parts: tuple[Part, ...]
    numbers: Table


def sections(results: Mapping[str, Result]) -> tuple[Section, ...]:
    """One section per result.

    Args:
        results: by file name, which distinguishes results of one suite.
    """
    colors = _colors(results.values())
    titles = titles_of(results)
    return tuple(
        _section(f"result-{i}", titles[file], result, colors)
        for i, (file, result) in enumerate(results.items(), start=1)
    )


def titles_of(results: Mapping[str, Result]) -> dict[str, str]:
    """Titles by file: the suite, with the file name if several results share the suite."""
    times = Counter(result.suite for result in results.values())
    return {file: r.suite if times[r.suite] == 1 else f"{r.suite} [{file}]" for file, r in results.items()}


def _colors(results: Iterable[Result]) -> dict[str, str]:
    """Color of each scorer, the same in every chart."""
    names = dict.fromkeys(name for result in results for name in result.scorers)
    return {name: SERIES[i % len(SERIES)] for i, name in enumerate(names)}


def _section(key: str, title: str, result: Result, colors: Mapping[str, str]) -> Section:
    shown, folded = differences(result)
    return Section(
        id=key,
        title=title,
        protocol=PROTOCOLS[result.protocol].title,
        facts=tuple(_spelled_out({"convention": result.convention, **result.settings})),
        counts=tuple(_spelled_out({k: v for k, v in result.data.items() if k != "dropped"})),
        dropped=tuple((reason, _text(rows)) for reason, rows in dict(result.data.get("dropped") or {}).items()),
        versions=", ".join(f"{name} {version}" for name, version in result.versions.items()),
        headline_title=headline_title(result.headline),
        headline=headline_rows(result.headline, colors),
        differences=shown,
        more_differences=folded,
        parts=tuple(parts_of(key, result, colors)),
        numbers=_numbers(result.metrics),
    )


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


def _numbers(metrics: Sequence[Metric]) -> Table:
    rows = (
        (m.scorer or NOTHING, title_of(m.name) + unit_of(m.name), m.split, m.variant, metric_text(m), f"{m.n:,}")
        for m in metrics
    )
    return Table(("scorer", "metric", "split", "variant", "value (95% interval)", "n"), tuple(rows))
