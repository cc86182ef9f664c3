"""The page: sections, charts and chains in one HTML file that opens from disk, without network or server.

A strict content security policy admits the two scripts of this package by their digests, and blocks every request.
Texts of models and data sets are escaped in the HTML, and inserted as text by the script.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from ..results import Result, ShownChain
from .browse import Browser, make_browser
from .leaderboard import LeaderboardRow, heading, leaderboard, plus_minus
from .sections import sections
from .wording import NOTHING, number

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

    browser = make_browser(results, chains, most)
    style, *scripts = (asset(name) for name in ("report.css", "page.js", "browser.js"))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    html = environment.from_string(asset("page.html.j2")).render(
        sections=sections(results),
        overview=_overview(results),
        browser=browser,
        data=Markup(_embedded(browser)),
        policy=policy(style, *scripts),
        style=Markup(style),
        scripts=[Markup(script) for script in scripts],
    )
    return Page(html.lstrip().encode("utf-8", "replace").decode(), browser.shown, browser.total)


def asset(name: str) -> str:
    """The text of a file in `assets`."""
    return (files("prm.benchmarks.report") / "assets" / name).read_text(encoding="utf-8")


def _embedded(browser: Browser) -> str:
    """Data as JSON that cannot open or close a tag."""
    return json.dumps(browser.data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


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
    """All results as one table; None for a single result."""
    if len(results) < 2:
        return None
    board = leaderboard(results, allow_mixed=True)
    rows = [_overview_row(row, list(board.suites)) for row in board.rows]
    columns = [heading(suite, metrics) for suite, metrics in board.suites.items()]
    return {"columns": columns, "rows": rows, "notes": board.notes}


def _overview_row(row: LeaderboardRow, suites: Sequence[str]) -> dict[str, Any]:
    cells = [
        {"value": number(c.metric, c.value), "half": plus_minus(c), "is_best": c.is_best}
        if (c := row.cells.get(suite))
        else {"value": NOTHING, "half": "", "is_best": False}
        for suite in suites
    ]
    return {"name": row.name, "is_baseline": row.is_baseline, "cells": cells}
