"""The tables that `prm gate` prints."""

from __future__ import annotations

from prm import console
from prm.benchmarks.gate.card import Card, Row, ScorerCard, interval, number


def show(card: Card) -> None:
    """Print the card on stdout: for each scorer its limits, the worst outcomes first; then how alike choices are."""
    for scorer in card.scorers:
        _show_scorer(scorer)
    rows = [_cells(row, names) for names, own in card.agreements.items() for row in own]
    if rows:
        console.table("Choices of several scorers", ["scorers", "measure", "value", "95%"], rows)


def _show_scorer(scorer: ScorerCard) -> None:
    order = {"fail": 0, "not measured": 1, "open": 2, "pass": 3}
    limited = sorted((row for row in scorer.rows if row.outcome), key=lambda row: order[row.outcome or "pass"])
    rows = [[*_cells(row), row.limit, row.outcome or ""] for row in limited]
    by = f", steps by {scorer.aggregator}" if scorer.aggregator else ""
    console.table(f"{scorer.name}: {scorer.verdict}{by}", ["measure", "value", "95%", "limit", "outcome"], rows)


def _cells(row: Row, *before: str) -> list[str]:
    return [*before, row.name, number(row.value), interval(row)]
