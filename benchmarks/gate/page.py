"""The card as one HTML page that opens from disk: the report's style, no script, nothing loaded."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from ..report.page import asset, policy
from .card import Card, Row, ScorerCard, interval, number
from .limits import Outcome
from .overoptimization import CurvePoint
from .probes import PROBES

_ORDER: tuple[Outcome, ...] = ("fail", "not measured", "open", "pass")


def card_page(card: Card) -> str:
    """The page of a card."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    style = asset("report.css")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = (files("prm.benchmarks.gate") / "card.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        card=card,
        scorers=[_section(scorer) for scorer in card.scorers],
        agreements={names: [_cells(row) for row in rows] for names, rows in card.agreements.items()},
        run=_curve(card.run),
        data={name: f"{value:,}" for name, value in card.data.items() if isinstance(value, int)},
        left_out=[
            (probe, reason, count) for probe, own in card.data["not made"].items() for reason, count in own.items()
        ],
        policy=policy(style),
        style=Markup(style),
    )


def _section(scorer: ScorerCard) -> dict[str, Any]:
    limited = sorted((row for row in scorer.rows if row.outcome), key=lambda row: _ORDER.index(row.outcome or "pass"))
    return {
        "name": scorer.name,
        "aggregator": scorer.aggregator,
        "verdict": scorer.verdict,
        "unscored": scorer.unscored,
        "limited": [_cells(row) for row in limited],
        "others": [_cells(row) for row in scorer.rows if not row.outcome],
        "curve": _curve(scorer.curve),
    }


def _cells(row: Row) -> dict[str, Any]:
    probe = PROBES.get(row.name.split(".")[1]) if row.name.startswith("stress.") else None
    return {
        "name": row.name,
        "help": probe.help if probe else "",
        "value": number(row.value),
        "interval": interval(row),
        "n": f"{row.n:,}" if row.n else "",
        "limit": row.limit,
        "outcome": row.outcome or "",
        "why": row.why,
    }


def _curve(points: Sequence[CurvePoint]) -> list[tuple[str, ...]]:
    return [
        (
            "" if p.n is None else str(p.n),
            f"{p.kl:.2f}",
            number(p.gold),
            "" if p.low is None or p.high is None else f"{p.low:.3f} to {p.high:.3f}",
            number(p.proxy),
        )
        for p in points
    ]
