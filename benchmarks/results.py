"""The result of an evaluation, as one JSON file (`eval/1`): numbers with intervals, and the settings behind them.

A result is self-contained: tables, reports and leaderboards are made from these files alone. `<result>.chains.jsonl`
(`shown-chain/1`) sits beside it and holds chains for a person to look at, with truth and scores.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from prm.data.reading import read_rows
from prm.data.rows import Row
from prm.errors import InputError

from .conventions import ConventionName

RESULT_SCHEMA = "eval/1"
SHOWN_SCHEMA = "shown-chain/1"
Protocol = Literal["localization", "steps", "best-of-n", "preference", "search"]


def label_of(scorer: str, variant: str) -> str:
    """Name of a scorer's variant, or of a baseline, in tables and legends.

    >>> label_of("PRM", "min vote"), label_of("ORM", ""), label_of("", "majority")
    ('PRM min vote', 'ORM', 'majority')
    """
    return f"{scorer} {variant}".strip()


_PLAIN = ("alpha", "auprc", "aurc", "auroc", "beta", "brier", "correlation", "ece", "loss", "margin", "mcc")
"""A metric with one of these words in its name is not a share, and is shown unscaled."""


def is_share(name: str) -> bool:
    """Whether a metric is a share, in [0, 1].

    >>> is_share("f1"), is_share("step_auroc")
    (True, False)
    """
    return not is_count(name) and not any(word in _PLAIN for word in name.split("_"))


def is_count(name: str) -> bool:
    """Whether a metric is a number of tokens.

    >>> is_count("generated_tokens"), is_count("f1")
    (True, False)
    """
    return name.endswith("_tokens")


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of one scorer."""

    scorer: str
    """Name of the scorer; "" for a baseline (majority, pass@k, length)."""
    name: str
    """Such as "f1", "first_error_accuracy", "accuracy", "prmscore"; the docs define each."""
    split: str
    """A split of the suite; or "macro" (mean over splits), "weighted" (mean weighted by rows), "all" (rows pooled)."""
    variant: str
    """What else the number depends on: a threshold mode, an aggregator, a selector; "" for nothing."""
    value: float | None
    """None if undefined, such as an AUROC without a wrong step."""
    low: float | None = None
    """Lower end of the 95% interval."""
    high: float | None = None
    """Upper end of the 95% interval."""
    n: int = 0
    """Rows behind the number."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`a` minus `b` in one metric (paired bootstrap: both are resampled together)."""

    a: str
    b: str
    name: str
    split: str
    variant: str
    value: float
    low: float
    """Lower end of the 95% interval."""
    high: float
    """Upper end of the 95% interval."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a curve, with its 95% interval."""

    x: float
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart."""

    kind: Literal["best-of-k", "over-optimization", "roc", "precision-recall", "risk-coverage", "search"]
    """best-of-k: x is k, the value is the share of right choices. over-optimization: x is the KL divergence of best of
    n from the policy, in nats. Of those accepted by their score: roc: x is the share of the wrong ones, the value that
    of the right ones; precision-recall: x is the share of the right ones, the value how many of the accepted are right;
    risk-coverage: x is the share of all, the value how many of the accepted are wrong. search: x is tokens for a
    problem, `variant` says which, the value is the share of problems solved; the curve of the runs that no other beats
    has no scorer."""
    name: str
    """The selector, as the legend shows it; for over-optimization, `variant` is "gold" or "proxy"; for those by score,
    "solutions", "steps" or an aggregator."""
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
    """The data of one diagram of a scorer."""

    kind: Literal["reliability", "margins", "lengths"]
    """reliability: bins of scores with the share that is right. margins: a histogram of the better response's score
    minus the worse one's. lengths: points of (characters, score, is right)."""
    scorer: str
    variant: str
    """Which scores: "steps", or those of an aggregator."""
    bins: tuple[Bin, ...] = ()
    points: tuple[tuple[float, float, bool], ...] = ()
    """At most some 2,000, sampled evenly."""


@dataclass(frozen=True, slots=True)
class Result:
    """One suite, any number of scorers."""

    suite: str
    protocol: Protocol
    settings: Mapping[str, Any]
    """Every choice that a metric leaves open: threshold modes, aggregators, k, tie rule, draws, seed. Two results of
    one suite are comparable if these are equal."""
    data: Mapping[str, Any]
    """Counts: "rows", "problems", "chains", "splits" {name: rows}, "dropped" {reason: rows}, "undecided", and the
    digest of the rows and their truth."""
    versions: Mapping[str, str]
    scorers: tuple[str, ...]
    headline: tuple[Metric, ...]
    """The suite's main metric for each scorer and baseline, in display order."""
    metrics: tuple[Metric, ...]
    differences: tuple[Difference, ...] = ()
    curves: tuple[Curve, ...] = ()
    pictures: tuple[Picture, ...] = ()
    convention: ConventionName = "exact"
    """Whose way of counting; see `prm.benchmarks.conventions`. A file that names none is from before there were two."""
    rows: str = ""
    """Digest of the file of rows beside it, see `prm.benchmarks.eval_rows`; "" if it is from before there was one."""
    schema: str = field(default=RESULT_SCHEMA)


@dataclass(frozen=True, slots=True)
class ShownChain:
    """A chain for a person to look at."""

    problem_id: str
    problem: str
    answer: str | None
    """Gold answer."""
    chain_id: str
    split: str
    steps: tuple[str, ...]
    truth: tuple[bool | None, ...] | None
    """As `StepTruth.steps`; None if the truth of its steps is unknown."""
    is_right: bool | None
    """Whether its final answer is right (best of n, localization) or it is a better response (preference)."""
    scores: Mapping[str, tuple[float, ...]]
    """By scorer: one score per step, or exactly one for the whole chain."""
    chosen_by: tuple[str, ...] = ()
    """The selectors that choose it among the chains of its problem."""
    is_whole: bool = True
    """Whether it came to an end; False for a branch that a search gave up."""


_SHOWN_FIELDS = tuple(f.name for f in fields(ShownChain))


def shown_path(result: Path) -> Path:
    """Path of the chains that belong to a result."""
    return result.with_name(result.name + ".chains.jsonl")


def result_to_json(result: Result) -> dict[str, Any]:
    """The result as a JSON object."""
    return asdict(result)


def read_result(path: Path) -> Result:
    """Read a result of `prm eval`.

    Raises:
        InputError: the file is not a result.
    """
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", "check the path") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON: {error}", "give a result of `prm eval`") from error
    if not isinstance(row, dict) or row.get("schema") != RESULT_SCHEMA:
        raise InputError(f"{path}: is not an {RESULT_SCHEMA} file", "give a result of `prm eval`")
    try:
        return Result(**row | {name: tuple(build(part) for part in row[name]) for name, build in _PARTS.items()})
    except (TypeError, KeyError) as error:
        raise InputError(f"{path}: is not a valid {RESULT_SCHEMA} file: {error}", "rerun `prm eval`") from error


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
    """The chain as one line of JSONL."""
    row = {name: getattr(chain, name) for name in _SHOWN_FIELDS}  # asdict would copy every step
    return json.dumps({"schema": SHOWN_SCHEMA, **row}, ensure_ascii=False)


def read_shown(path: Path) -> list[ShownChain]:
    """Read the chains beside a result; none if the file is missing.

    Raises:
        InputError: a row is not such a chain; the message names file and line.
    """
    return [_shown(path, number, row) for number, row in read_rows(path)] if path.exists() else []


def _shown(path: Path, number: int, row: Row) -> ShownChain:
    try:
        if row["schema"] != SHOWN_SCHEMA:
            raise ValueError(f"is not a {SHOWN_SCHEMA} row")
        scores = {name: tuple(map(float, values)) for name, values in row["scores"].items()}
        row = {"is_whole": True, **row}
        lists = {name: row[name] if row[name] is None else tuple(row[name]) for name in ("steps", "truth", "chosen_by")}
        return ShownChain(**{name: row[name] for name in _SHOWN_FIELDS} | lists | {"scores": scores})
    except KeyError as error:
        raise InputError(f"{path}:{number}: the field {error} is missing", "rerun `prm eval`") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}:{number}: {error}", "rerun `prm eval`") from error
