"""Every chart of a report as SVG and PDF for a paper, one column wide, each with its data as CSV; and all numbers."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path

from ..results import Difference, Metric, Result
from .charts import Chart
from .drawing import save
from .sections import Section, sections
from .tables import Data

_LONGEST = 80
"""Characters of a file's name."""


def write_figures(results: Mapping[str, Result], directory: Path) -> int:
    """Write the charts of all results.

    `<result>-<kind>-<title>.svg`, `.pdf` and `.csv` for each chart, and `<result>-all-numbers.csv`
    and `<result>-all-differences.csv`.

    Args:
        results: by file name.
        directory: made if missing; files of the same names are replaced.

    Returns:
        The number of charts.

    Raises:
        PrmError: matplotlib is not installed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    for section, result in zip(sections(results), results.values(), strict=True):
        suite = _slug(section.title)
        _write_csv(directory / f"{suite}-all-numbers.csv", _rows_of(Metric, result.metrics))
        _write_csv(directory / f"{suite}-all-differences.csv", _rows_of(Difference, result.differences))
        for title, chart in _charts(section):
            stem = directory / _free(_slug(f"{suite}-{title}"), taken)
            save(stem, chart.title, chart.canvas, chart.paint)
            _write_csv(stem.with_name(f"{stem.name}.csv"), chart.data)
    return len(taken)


def _charts(section: Section) -> Iterator[tuple[str, Chart]]:
    """All charts of a section, also those that the page has only as tables."""
    for chart in section.figures:
        yield chart.key.removeprefix(f"{section.id}-"), chart
    for part in section.parts:
        for chart in (*part.charts, *part.others):
            yield f"{part.title}-{chart.title}", chart


def _slug(text: str) -> str:
    """Text as part of a file name.

    >>> _slug("mr-math-By split-F1, %")
    'mr-math-by-split-f1'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_LONGEST] or "chart"


def _free(name: str, taken: set[str]) -> str:
    """The name, numbered if it is taken."""
    numbered = (name if i == 1 else f"{name}-{i}" for i in range(1, len(taken) + 2))
    free = next(n for n in numbered if n not in taken)
    taken.add(free)
    return free


def _rows_of(kind: type[Metric] | type[Difference], rows: Sequence[Metric] | Sequence[Difference]) -> Data:
    return Data(tuple(f.name for f in fields(kind)), tuple(astuple(row) for row in rows))


def _write_csv(path: Path, data: Data) -> None:
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(data.header)
        writer.writerows(data.rows)
