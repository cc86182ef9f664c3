"""The card of a gate (`gate-card/1`, JSON): each scorer's measures, what the limits say of them, and the verdict."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prm.errors import InputError

from .limits import Limit, Limits, Outcome, Verdict, verdict
from .measures import Measure, Scene, Subject, fixed_set, measures
from .overoptimization import CurvePoint, Optimized, agreements, best_of_n

SCHEMA = "gate-card/1"


@dataclass(frozen=True, slots=True)
class Row:
    """A measure, or a limit that could not be measured."""

    name: str
    value: float | None
    """None if not measured."""
    low: float | None
    """Lower end of the 95% interval."""
    high: float | None
    """Upper end of the 95% interval."""
    n: int
    """Pairs or chains."""
    problems: int | None
    """None if the certainty does not depend on their number."""
    limit: str = ""
    """Such as "at least 0.6"; "" for a measure without a limit."""
    outcome: Outcome | None = None
    """None without a limit."""
    is_required: bool = False
    why: str = ""
    """The reason of the limit."""


@dataclass(frozen=True, slots=True)
class ScorerCard:
    """What was found of one scorer."""

    name: str
    aggregator: str
    """How its step scores were combined; "" for an ORM."""
    verdict: Verdict
    rows: tuple[Row, ...]
    curve: tuple[CurvePoint, ...]
    """Best of n."""
    fixed: Mapping[str, float]
    """"mean" and "spread" of the scores of the static chains, to compare a later card with."""
    unscored: int
    """Chains without a score; pairs with one of them do not count."""


@dataclass(frozen=True, slots=True)
class Card:
    """The result of a gate."""

    scorers: tuple[ScorerCard, ...]
    data: Mapping[str, Any]
    """Counts of problems, chains and pairs; the digest of the static chains; what could not be made, and why."""
    settings: Mapping[str, Any]
    agreements: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    """By "A and B"; see `overoptimization.agreements`."""
    run: tuple[CurvePoint, ...] = ()
    """The checkpoints of a run of reinforcement learning."""
    schema: str = SCHEMA

    @property
    def is_fit(self) -> bool:
        """Whether every scorer is fit."""
        return all(scorer.verdict == "fit" for scorer in self.scorers)


def scorer_card(
    name: str,
    subject: Subject,
    limits: Limits,
    *,
    overlap: int | None = None,
    run: Optimized | None = None,
    baseline: Mapping[str, float] | None = None,
) -> ScorerCard:
    """Measure a scorer and hold it against the limits.

    Args:
        name: of the scorer.
        subject: its scores.
        limits: what is good enough.
        overlap: problems that it was also trained on; None if unknown.
        run: a run against it.
        baseline: its `ScorerCard.fixed` on an earlier card of the same chains.
    """
    chosen = best_of_n(subject)
    found = [*measures(subject, baseline), *chosen.measures, *(run.measures if run else ())]
    if overlap is not None:
        problems = len({c.problem_id for c in subject.scene.chains})
        found.insert(0, Measure("split.overlap", float(overlap), float(overlap), float(overlap), problems, None))
    judged = limits.judge(found)
    unscored = sum(score != score for score in subject.scores.tolist())
    rows = tuple(_rows(found, judged))
    return ScorerCard(name, subject.aggregator, verdict(judged), rows, chosen.curve, fixed_set(subject), unscored)


def _rows(found: list[Measure], judged: list[tuple[Limit, Outcome]]) -> list[Row]:
    """All measures in their order; at the end, the limits of measures that there are not."""
    of = {limit.name: (limit, outcome) for limit, outcome in judged}
    rows = [_row(measure, *of.pop(measure.name, (None, None))) for measure in found]
    absent = (Measure(name, None, None, None, 0, None) for name in of)
    return rows + [_row(measure, *of[measure.name]) for measure in absent]


def _row(measure: Measure, limit: Limit | None, outcome: Outcome | None) -> Row:
    if limit is None:
        return Row(**asdict(measure))
    return Row(**asdict(measure), limit=limit.text, outcome=outcome, is_required=limit.is_required, why=limit.why)


def compared(subjects: Mapping[str, Subject]) -> dict[str, tuple[Row, ...]]:
    """How alike the choices of every two scorers are, as rows."""
    return {names: tuple(Row(**asdict(m)) for m in found) for names, found in agreements(subjects).items()}


def data_of(scene: Scene) -> dict[str, Any]:
    """What a card says of its data."""
    rows = scene.rows
    parts = {f"{part} chains": len(scene.of(part)) for part in ("static", "fresh", "probe")}
    undecided = sum(chain.is_right is None for chain in rows.chains if chain.part != "probe")
    counts = {"problems": len({c.problem_id for c in rows.chains}), **parts, "pairs": len(rows.pairs)}
    return {**counts, "undecided": undecided, "digest": rows.about["digest"], "not made": rows.about["not made"]}


def read_card(path: Path) -> Card:
    """Read a card.

    Raises:
        InputError: the file is not one.
    """
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(row, dict) or row.get("schema") != SCHEMA:
            raise InputError(f"{path}: is not a {SCHEMA} file", "give the card of an earlier `prm gate`")
        scorers = tuple(
            ScorerCard(**scorer | {"rows": _read(scorer["rows"]), "curve": _points(scorer["curve"])})
            for scorer in row["scorers"]
        )
        pairs = {names: _read(own) for names, own in row["agreements"].items()}
        return Card(**row | {"scorers": scorers, "agreements": pairs, "run": _points(row["run"])})
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", "check the path") from error
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: is not a card: {error}", "give the card of an earlier `prm gate`") from error


def _read(rows: list[dict[str, Any]]) -> tuple[Row, ...]:
    return tuple(Row(**row) for row in rows)


def _points(rows: list[dict[str, Any]]) -> tuple[CurvePoint, ...]:
    return tuple(CurvePoint(**row) for row in rows)


def to_json(card: Card) -> dict[str, Any]:
    """The card as a JSON object."""
    return asdict(card)


def number(value: float | None) -> str:
    """A number of a card as text.

    >>> number(-0.5), number(None)
    ('-0.500', '-')
    """
    return "-" if value is None else f"{value:.3f}"


def interval(row: Row) -> str:
    """The interval of a row as text; "" without one, or of an exact number."""
    return "" if row.low is None or row.high is None or row.low == row.high else f"{row.low:.3f} to {row.high:.3f}"
