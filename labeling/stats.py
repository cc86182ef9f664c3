"""Statistics of a file of step labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from prm.data.records import StepLabels


@dataclass(slots=True)
class _Position:
    chains: int = 0
    hard: Counter[bool | None] = field(default_factory=Counter)
    soft: list[float] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    rollouts: int = 0

    def row(self, position: int) -> dict[str, Any]:
        known = self.hard[True] + self.hard[False]
        return {
            "step": position + 1,
            "chains": self.chains,
            "hard": self.hard[True] / known if known else None,
            "soft": _mean(self.soft),
            "width": _mean(self.widths),
            "rollouts": self.rollouts,
        }


def label_stats(labels: Iterable[StepLabels]) -> dict[str, Any]:
    """Summarize labels.

    Returns:
        `chains`, `right_chains` (by their own answers), `steps`; `rollouts` that the labels rest on (those that a grown
        chain shares with another count for both), and the `undecided_share` of them;
        `steps_<known>`: number of steps whose label is known in this way (`prm.data.records.Known`); `checked_chains`:
        chains drawn from every prefix afterward; `checked_agreement`: share of their steps whose hard label stayed the
        same, among those that draws could change (None without any); `by_position`: per step number, the share of hard
        labels that are right (`hard`), the mean soft label (`soft`), the mean width of its 95% credible interval
        (`width`) and the rollouts spent.
    """
    positions: list[_Position] = []
    known: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    agreements: list[bool] = []
    for item in labels:
        totals["chains"] += 1
        totals["right"] += item.outcome == "correct"
        totals["rollouts"] += sum(item.drawn) + sum(item.start)
        totals["undecided"] += sum(item.undecided) + item.start[2]
        known.update(item.known)
        _add_positions(positions, item)
        if item.unchecked is not None:
            totals["checked"] += 1
            agreements += _agreements(item.unchecked, item)
    return {
        "chains": totals["chains"],
        "right_chains": totals["right"],
        "steps": known.total(),
        "rollouts": totals["rollouts"],
        "undecided_share": totals["undecided"] / totals["rollouts"] if totals["rollouts"] else None,
        **{f"steps_{name}": number for name, number in known.most_common()},
        "checked_chains": totals["checked"],
        "checked_agreement": _mean(agreements),
        "by_position": [position.row(i) for i, position in enumerate(positions)],
    }


def _add_positions(positions: list[_Position], item: StepLabels) -> None:
    views = zip(item.hard, item.soft, item.intervals(), item.drawn, strict=True)
    for i, (hard, soft, interval, rollouts) in enumerate(views):
        if i == len(positions):
            positions.append(_Position())
        position = positions[i]
        position.chains += 1
        position.hard[hard] += 1
        position.rollouts += rollouts
        position.soft += [] if soft is None else [soft]
        position.widths += [] if interval is None else [interval[1] - interval[0]]


def _agreements(before: tuple[bool | None, ...], item: StepLabels) -> list[bool]:
    """Whether each label stayed the same, among those that draws could change: all but the last of a wrong chain."""
    if item.outcome == "correct":
        return []
    pairs = zip(before[:-1], item.hard[:-1], strict=True)
    return [old == new for old, new in pairs if (old, new) != (None, None)]


def _mean(values: list[Any]) -> float | None:
    return sum(values) / len(values) if values else None
