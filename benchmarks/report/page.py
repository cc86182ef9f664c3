"""The page: sections, charts and chains in one HTML file that opens from disk, without network or server.

A strict content security policy admits the scripts of this package by their digests, and blocks every request.
Texts of models and data sets are escaped in the HTML, and inserted as text by the script.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from ..protocols import TITLES
from ..results import Result, ShownChain
from .browse import make_browser
from .drawing import MUTED, class_of
from .headline import best_of_each
from .leaderboard import LeaderboardRow, leaderboard, plus_minus
from .sections import SMALL, colors_of, sections
from .tables import Table
from .wording import NOTHING, number, title_of, unit_of

_OPEN = 2
"""With up to this many results, charts are shown unfolded."""

_NONE = "'none'"


@dataclass(frozen=True, slots=True)
class Page:
    """A report."""

    html: str
    shown: int
    """Chains in it."""
    total: int
    """Chains in the files."""


def make_page(results: Mapping[str, Result], chains: Mapping[str, Sequence[ShownChain]], most: int = 5000) -> Page:
    """Make the report of some results.

    Args:
        results: by file name.
        chains: the chains stored beside the results, by the same names.
        most: limit on the chains to browse.

    Raises:
        PrmError: there are charts to draw, but matplotlib is not installed.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    browser, found, tables = make_browser(results, chains, most), sections(results), Tables()
    style, *scripts = (asset(name) for name in ("report.css", "page.js", "temml.min.js", "browser.js"))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    html = environment.from_string(asset("page.html.j2")).render(
        sections=found,
        overview=_overview(results),
        browser=browser,
        is_open=len(results) <= _OPEN,
        hold=tables.hold,
        tables=tables,
        embedded=lambda data: Markup(_embedded(data)),
        policy=policy(style, *scripts),
        style=Markup(style),
        scripts=[Markup(script) for script in scripts],
    )
    return Page(html.lstrip().encode("utf-8", "replace").decode(), browser.shown, browser.total)


def asset(name: str) -> str:
    """The text of a file in `assets`."""
    return (files("prm.benchmarks.report") / "assets" / name).read_text(encoding="utf-8")


def _embedded(data: Any) -> str:
    """Data as JSON that cannot open or close a tag."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


class Tables(dict[str, tuple[Sequence[str], Sequence[Sequence[str]]]]):
    """Tables that the page's script builds when a reader opens them: id to (header, rows)."""

    def hold(self, table: Table) -> str:
        """Keep a table, and return its id."""
        name = f"table-{len(self) + 1}"
        self[name] = (table.header, table.rows)
        return name


def policy(style: str, *scripts: str) -> str:
    """Content security policy: only these scripts and this style; nothing loaded or sent, and no HTML from text."""
    return "; ".join(
        [
            f"default-src {_NONE}",
            f"script-src {' '.join(map(_digest, scripts)) or _NONE}",
            f"style-src {_digest(style)}",
            "img-src data:",
            f"base-uri {_NONE}",
            f"form-action {_NONE}",
            "require-trusted-types-for 'script'",
            f"trusted-types {_NONE}",
        ]
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _overview(results: Mapping[str, Result]) -> dict[str, Any] | None:
    """All scorers on all suites, each in its best variant, with the suites by protocol; None for a single result."""
    if len(results) < 2:
        return None
    best = {
        file: replace(r, headline=tuple(m for m in best_of_each(r.headline) if m.scorer)) for file, r in results.items()
    }
    board = leaderboard(best, allow_mixed=True)
    protocols = {r.suite: r.protocol for r in results.values()}
    few = {r.suite: r.data["problems"] for r in results.values() if _is_small(r)}
    groups = [(TITLES[name], own) for name in TITLES if (own := [s for s in board.suites if protocols[s] == name])]
    suites = [suite for _, own in groups for suite in own]
    colors = colors_of(results.values())
    return {
        "groups": [(title, len(own)) for title, own in groups],
        "columns": [(suite, _metrics(board.suites[suite]), few.get(suite)) for suite in suites],
        "rows": [_overview_row(row, suites, colors) for row in board.rows],
        "notes": board.notes,
        "has_variants": any(len(r.headline) > len(best_of_each(r.headline)) for r in results.values()),
        "small": SMALL if few else None,
    }


def _is_small(result: Result) -> bool:
    problems = result.data.get("problems")
    return isinstance(problems, int) and problems < SMALL


def _metrics(names: Sequence[str]) -> str:
    return " / ".join(title_of(name) + unit_of(name) for name in names)


def _overview_row(row: LeaderboardRow, suites: Sequence[str], colors: Mapping[str, str]) -> dict[str, Any]:
    cells = [
        {"value": number(c.metric, c.value), "half": plus_minus(c), "is_best": c.is_best}
        if (c := row.cells.get(suite))
        else {"value": NOTHING, "half": "", "is_best": False}
        for suite in suites
    ]
    return {"name": row.name, "color": class_of(colors.get(row.name, MUTED)), "cells": cells}
