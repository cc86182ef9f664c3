"""What an evaluation says, as one JSON file (`eval/1`): numbers with intervals, and what their definitions leave open.

A result is complete by itself: tables, reports and leaderboards are made from such files alone. Beside it lies
`<result>.chains.jsonl` (`shown-chain/1`), the chains that a person may want to look at, with truth and scores.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from prm.data.rows import Row, read_rows
from prm.errors import InputError

SCHEMA = "eval/1"
SHOWN_SCHEMA = "shown-chain/1"
Protocol = Literal["localization", "steps", "best-of-n", "preference"]


def label_of(scorer: str, variant: str) -> str:
    """What tables and legends call a way of choosing or judging.

    >>> label_of("PRM", "min vote"), label_of("ORM", ""), label_of("", "majority")
    ('PRM min vote', 'ORM', 'majority')
    """
    return f"{scorer} {variant}".strip()


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of one scorer."""

    scorer: str
    """Name of the scorer; "" for one that needs none (majority, pass@k, length)."""
    name: str
    """Such as "f1", "first_error_accuracy", "accuracy", "prmscore"; also in the docs, with its definition."""
    split: str
    """A part of the suite; or "macro" (mean of the parts), "weighted" (their mean weighted by rows), "all" (pooled)."""
    variant: str
    """What else the number depends on: a threshold mode, an aggregator, a way of choosing; "" for nothing."""
    value: float | None
    """None where it is not defined, as an AUROC without a wrong step."""
    low: float | None = None
    """Of the 95% interval."""
    high: float | None = None
    n: int = 0
    """Rows it is made from."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`a` minus `b` of one metric, both resampled alike (paired bootstrap)."""

    a: str
    b: str
    name: str
    split: str
    variant: str
    value: float
    low: float
    high: float
    """The 95% interval."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place on a curve, with its 95% interval."""

    x: float
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a picture."""

    kind: Literal["best-of-k", "over-optimization"]
    """best-of-k: x is k, the value is the share of right choices. over-optimization: x is the KL divergence of best of
    n from the policy, in nats."""
    name: str
    """What the legend says: the selector; for over-optimization "gold" or "proxy" is in `variant`."""
    scorer: str
    variant: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Bin:
    """A bar of a reliability diagram or a histogram; see `prm.statistics.metrics.ReliabilityBin`."""

    low: float
    high: float
    count: float
    mean_score: float | None = None
    share_right: float | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """What a scorer's diagram of one kind is drawn from."""

    kind: Literal["reliability", "margins", "lengths"]
    """reliability: bins of scores with the share that is right. margins: a histogram of the score of the better minus
    that of the worse. lengths: points of (characters, score, is right)."""
    scorer: str
    variant: str
    """Of what: "steps", or an aggregator."""
    bins: tuple[Bin, ...] = ()
    points: tuple[tuple[float, float, bool], ...] = ()
    """At most some 2,000, drawn evenly."""


@dataclass(frozen=True, slots=True)
class Result:
    """One suite, any number of scorers."""

    suite: str
    protocol: Protocol
    settings: Mapping[str, Any]
    """All that a definition leaves open: threshold modes, aggregators, k, tie rule, draws, seed. Two results of one
    suite can be compared where these are equal."""
    data: Mapping[str, Any]
    """Counts: "rows", "problems", "chains", "splits" {name: rows}, "dropped" {reason: rows}, "undecided", and the
    digest of what was read."""
    versions: Mapping[str, str]
    scorers: tuple[str, ...]
    headline: tuple[Metric, ...]
    """The suite's own number for each scorer and for each baseline, in the order to be shown."""
    metrics: tuple[Metric, ...]
    differences: tuple[Difference, ...] = ()
    curves: tuple[Curve, ...] = ()
    pictures: tuple[Picture, ...] = ()
    schema: str = field(default=SCHEMA)


@dataclass(frozen=True, slots=True)
class ShownChain:
    """A chain as a person looks at it."""

    problem_id: str
    problem: str
    answer: str | None
    """Gold answer."""
    chain_id: str
    split: str
    steps: tuple[str, ...]
    truth: tuple[bool | None, ...] | None
    """As `StepTruth.steps`; None where nothing is known of its steps."""
    is_right: bool | None
    """Whether its final answer is right (best of n, localization), or whether it is of the better ones (preference)."""
    scores: Mapping[str, tuple[float, ...]]
    """By scorer: one a step, or exactly one for the whole chain."""
    chosen_by: tuple[str, ...] = ()
    """The selectors that choose it among all of its problem's."""


_SHOWN_FIELDS = tuple(f.name for f in fields(ShownChain))


def shown_path(result: Path) -> Path:
    """Where the chains of a result lie."""
    return result.with_name(result.name + ".chains.jsonl")


def result_to_json(result: Result) -> dict[str, Any]:
    """One JSON object."""
    return asdict(result)


def read_result(path: Path) -> Result:
    """Read what `prm eval` wrote.

    Raises:
        InputError: it is not such a file.
    """
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", "check the path") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON: {error}", "give files that `prm eval` wrote") from error
    if not isinstance(row, dict) or row.get("schema") != SCHEMA:
        raise InputError(f"{path}: is not an {SCHEMA} file", "give files that `prm eval` wrote")
    try:
        return Result(**row | {name: tuple(build(part) for part in row[name]) for name, build in _PARTS.items()})
    except (TypeError, KeyError) as error:
        raise InputError(f"{path}: is not a whole {SCHEMA} file: {error}", "make it anew with `prm eval`") from error


def _curve(row: dict[str, Any]) -> Curve:
    return Curve(**row | {"points": tuple(Point(**point) for point in row["points"])})


def _picture(row: dict[str, Any]) -> Picture:
    bins = tuple(Bin(**part) for part in row["bins"])
    return Picture(**row | {"bins": bins, "points": tuple(map(tuple, row["points"]))})


_PARTS: dict[str, Any] = {
    "scorers": str,
    "headline": lambda row: Metric(**row),
    "metrics": lambda row: Metric(**row),
    "differences": lambda row: Difference(**row),
    "curves": _curve,
    "pictures": _picture,
}


def shown_to_json(chain: ShownChain) -> str:
    """One line of JSONL."""
    row = {name: getattr(chain, name) for name in _SHOWN_FIELDS}  # asdict would copy every step
    return json.dumps({"schema": SHOWN_SCHEMA, **row}, ensure_ascii=False)


def read_shown(path: Path) -> list[ShownChain]:
    """The chains that lie beside a result; none where there is no such file.

    Raises:
        InputError: naming file and line, for a row that is no such chain.
    """
    return [_shown(path, number, row) for number, row in read_rows(path)] if path.exists() else []


def _shown(path: Path, number: int, row: Row) -> ShownChain:
    try:
        if row["schema"] != SHOWN_SCHEMA:
            raise ValueError(f"is not a {SHOWN_SCHEMA} row")
        scores = {name: tuple(map(float, values)) for name, values in row["scores"].items()}
        lists = {name: row[name] if row[name] is None else tuple(row[name]) for name in ("steps", "truth", "chosen_by")}
        return ShownChain(**{name: row[name] for name in _SHOWN_FIELDS} | lists | {"scores": scores})
    except KeyError as error:
        message = f"{path}:{number}: lacks the field {error}"
        raise InputError(message, "make it anew with `prm eval`") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}:{number}: {error}", "make it anew with `prm eval`") from error
