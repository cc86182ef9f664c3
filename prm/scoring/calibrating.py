"""The calibration jobs: calibrate scores on labels, and recover chain values from pairwise outcomes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from prm.data.comparisons import read_comparisons, write_values
from prm.data.drops import Drops
from prm.data.files import by_id, read_records
from prm.data.identity import own_aggregators_in
from prm.data.jobs import Output, Source, Workspace, making, write_drops
from prm.data.manifest import Job
from prm.data.records import TARGET_VIEWS, LabelView, StepLabels, StepScores
from prm.data.splits import is_in_share
from prm.data.writing import write_bytes, write_json
from prm.errors import InputError, require_known, require_number
from prm.plots import reliability_diagram
from prm.statistics.aggregation import aggregate as aggregate_scores
from prm.statistics.aggregation import is_logarithm
from prm.statistics.calibration import Calibration, Method, Scale, fit
from prm.statistics.metrics import brier_score, expected_calibration_error, log_loss, reliability
from prm.statistics.strengths import PRIOR, ComparisonModel, strengths

from .foreign import Links, Siblings, read_step_scores
from .reranking import common_kind
from .scorer import ScoreKind

if TYPE_CHECKING:
    from prm.models.checkpoint import Metadata

Level = Literal["step", "chain"]
"""What to calibrate: a PRM's step scores, on step labels, or one score per chain, on the chain's own answer."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A calibration, and its effect on problems it was not fitted on."""

    fit: Calibration
    level: Level
    before: Mapping[str, Any]
    """Metrics of the scores as they are; a reward counts as log-odds."""
    after: Mapping[str, Any]
    """The same metrics of the calibrated scores."""
    counts: Mapping[str, int]
    output: Output


def calibrate(
    scores: Source,
    labels: Source,
    out: str | Path | None = None,
    *,
    method: Method = "platt",
    level: Level = "step",
    aggregate: str | None = None,
    labels_as: LabelView | None = None,
    fit_on: float = 0.5,
    scorer: str | Path | None = None,
    plot: bool = False,
    overwrite: bool = False,
) -> Calibrated:
    """Fit a calibration to scores with known labels, and measure it on other problems.

    Args:
        scores: scores from `prm.score` or another tool, of chains the scorer was not trained on; see `prm.Source`.
        labels: step labels of the same chains.
        out: file of the calibration; None for a temporary one.
        method: see `prm.statistics.calibration.fit`.
        level: see `Level`.
        aggregate: for the level "chain" of a PRM: a name in `prm.AGGREGATORS`; None for "min".
        labels_as: for the level "step": a view of step labels; None for "hard".
        fit_on: share of the problems to fit on, in (0, 1); the rest is measured on.
        scorer: directory of a checkpoint to store the calibration in, also when `out` exists already.
        plot: whether to save a reliability diagram as `<out>.png`.
        overwrite: whether to replace an existing output.

    Raises:
        PrmError: an input or the output cannot be used, or an argument does not fit the others.
    """
    _require_fitting(level, aggregate, labels_as)
    require_number("fit_on", fit_on, "(0, 1)")
    place = Workspace(out, "calibration.json")
    files = place.files(scores=scores, labels=labels)
    settings = {
        "method": method, "level": level, "aggregate": aggregate, "labels_as": labels_as, "fit_on": fit_on,
        "scorer": scorer, "plot": plot, **own_aggregators_in(aggregate or "min"),
    }  # fmt: skip
    job = Job(place.out, "calibrate", settings, files)
    with making(job, "calibration", overwrite) as counts:
        if counts is not None:
            labeled, drops = by_id(read_records(files["labels"], StepLabels)), Drops()
            scored = list(read_step_scores(files["scores"], drops, partial(_links, labeled)).values())
            kind = common_kind(scored)
            if scorer is not None:
                _metadata(Path(scorer), kind)
            scale, aggregator = _scale(kind, level, aggregate)
            points = (
                _step_points(scored, labeled, labels_as or "hard", drops)
                if level == "step"
                else _chain_points(scored, labeled, aggregator or "last", drops)
            )
            result = _fit(points, method, level, labels_as, scale, aggregator, fit_on)
            picture = _picture(result) if plot and method != "standardize" else None
            plot_path(place.out).unlink(missing_ok=True)
            if picture:
                write_bytes(plot_path(place.out), picture)
            write_json(place.out, result)
            counts |= result["counts"]
            write_drops(drops, place.out, counts)
    found = json.loads(place.out.read_text(encoding="utf-8"))
    if scorer is not None:
        _store(Path(scorer), level, found["fit"])
    output = place.output(job)
    return Calibrated(
        Calibration.from_json(found["fit"]), level, found["before"], found["after"], found["counts"], output
    )


def _links(labeled: Mapping[str, StepLabels]) -> Links:
    """The labeled chains of each problem, for scores of other tools."""
    groups: dict[str, list[str]] = {}
    for labels in labeled.values():
        groups.setdefault(labels.problem_id, []).append(labels.chain_id)
    return Links(Siblings(problem_id, tuple(own)) for problem_id, own in groups.items())


def _store(scorer: Path, level: Level, fit: Mapping[str, Any]) -> None:
    """Store a calibration in a checkpoint, beside those of other levels."""
    is_reward = fit["scale"] == "reward"
    metadata = _metadata(scorer, "orm" if is_reward else "prm")
    stored = {**(metadata.calibration or {}), "reward" if is_reward else level: fit}
    if stored != metadata.calibration:
        replace(metadata, calibration=stored).save(scorer)


def plot_path(out: Path) -> Path:
    """Path of an output's reliability diagram."""
    return out.with_name(out.name + ".png")


def _require_fitting(level: str, aggregate: str | None, labels_as: str | None) -> None:
    require_known("level", level, get_args(Level))
    if level == "step" and aggregate is not None:
        raise InputError(f"aggregate={aggregate!r} cannot be used with the level 'step'", "omit it")
    if level == "chain" and labels_as is not None:
        raise InputError(f"labels_as={labels_as!r} cannot be used: a chain's label is its own outcome", "omit it")
    if labels_as is not None:
        require_known("labels_as", labels_as, TARGET_VIEWS)


def _metadata(scorer: Path, kind: ScoreKind) -> Metadata:
    from prm.models.checkpoint import load_metadata

    metadata = load_metadata(scorer)
    if metadata.kind not in (kind, "joint"):
        raise InputError(
            f"the scorer {scorer} is of kind {metadata.kind}, the scores are of kind {kind}",
            "give the scorer that made them",
        )
    if len(metadata.outputs) > 1:
        raise InputError(f"the scorer {scorer} has several outputs, and stores no calibration", "omit scorer")
    return metadata


def _scale(kind: ScoreKind, level: Level, aggregate: str | None) -> tuple[Scale, str | None]:
    """The scale of the scores, and the aggregator that makes them."""
    if kind == "orm":
        if level == "step":
            raise InputError("the scores come from an ORM, which does not score steps", "calibrate the level 'chain'")
        if aggregate is not None:
            raise InputError(f"aggregate={aggregate!r} cannot be used: an ORM gives one score per chain", "omit it")
        return "reward", None
    if level == "step":
        return "probability", None
    aggregator = aggregate or "min"
    return "log-probability" if is_logarithm(aggregator) else "probability", aggregator


class _Point(NamedTuple):
    """A score and its label."""

    problem_id: str
    score: float
    label: float


def _pairs(
    scored: Iterable[StepScores], labeled: Mapping[str, StepLabels], drops: Drops
) -> Iterable[tuple[StepScores, StepLabels]]:
    for row in scored:
        labels = labeled.get(row.chain_id)
        if labels is None:
            drops.add(row.chain_id, "it has no labels")
        else:
            yield row, labels


def _step_points(
    scored: Iterable[StepScores], labeled: Mapping[str, StepLabels], view: LabelView, drops: Drops
) -> list[_Point]:
    """Every step with a label, however many rollouts it rests on: otherwise the strategy would weight the steps."""
    points: list[_Point] = []
    for row, labels in _pairs(scored, labeled, drops):
        values = labels.view(view)
        if len(values) != len(row.scores):
            drops.add(row.chain_id, "scores and labels differ in number", f"{len(row.scores)}, {len(values)}")
            continue
        known = [(score, value) for score, value in zip(row.scores, values, strict=True) if value is not None]
        if not known:
            drops.add(row.chain_id, f"no step has a {view} label")
        points += [_Point(row.problem_id, score, float(value)) for score, value in known]
    return points


def _chain_points(
    scored: Iterable[StepScores], labeled: Mapping[str, StepLabels], aggregator: str, drops: Drops
) -> list[_Point]:
    points: list[_Point] = []
    for row, labels in _pairs(scored, labeled, drops):
        if labels.outcome not in ("correct", "incorrect"):
            drops.add(row.chain_id, "its answer is undecided", labels.outcome)
        elif not row.scores:
            drops.add(row.chain_id, "empty chain")
        else:
            score = aggregate_scores(row.scores, aggregator)
            points.append(_Point(row.problem_id, score, float(labels.outcome == "correct")))
    return points


def _fit(
    points: Iterable[_Point],
    method: Method,
    level: Level,
    labels_as: LabelView | None,
    scale: Scale,
    aggregator: str | None,
    fit_on: float,
) -> dict[str, Any]:
    """The output: fitted on one share of the problems, measured on the rest."""
    sides: tuple[list[_Point], list[_Point]] = ([], [])
    for point in points:  # a hash of its own: otherwise all problems that a training held out would fall on one side
        sides[is_in_share(f"calibrate {point.problem_id}", fit_on)].append(point)
    measured, fitted = sides
    if not measured:
        raise InputError("no problem is left to measure on", "lower fit_on, or give more problems")
    targets = None if method == "standardize" else [p.label for p in fitted]
    found = fit(method, [p.score for p in fitted], targets, scale=scale, aggregator=aggregator)
    return {
        "schema": "calibration/1",
        "level": level,
        "labels_as": (labels_as or "hard") if level == "step" else "outcome",
        "fit": found.to_json(),
        **_before_and_after(found, measured),
        "counts": _counts(level, fitted=fitted, measured=measured),
    }


def _picture(result: Mapping[str, Any]) -> bytes:
    return reliability_diagram({name: result[name] for name in ("before", "after")})


def _counts(level: Level, **parts: Sequence[_Point]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, points in parts.items():
        counts |= {f"{name} {level}s": len(points), f"{name} problems": len({p.problem_id for p in points})}
    return counts


def _before_and_after(found: Calibration, points: Sequence[_Point]) -> dict[str, dict[str, Any]]:
    scores, labels = [p.score for p in points], [p.label for p in points]
    after = found.apply(scores).tolist()
    if found.method == "standardize":
        return {"before": _spread(scores), "after": _spread(after)}
    as_they_are = replace(found, method="temperature", parameters={"temperature": 1.0})
    return {"before": _measures(as_they_are.apply(scores).tolist(), labels), "after": _measures(after, labels)}


def _spread(scores: Sequence[float]) -> dict[str, Any]:
    import numpy as np

    return {"mean": float(np.mean(scores)), "deviation": float(np.std(scores))}


def _measures(scores: Sequence[float], labels: Sequence[float]) -> dict[str, Any]:
    return {
        "ece": expected_calibration_error(scores, labels),
        "brier": brier_score(scores, labels),
        "log_loss": log_loss(scores, labels),
        "bins": [asdict(row) for row in reliability(scores, labels)],
    }


def chain_values(
    pairs: Source,
    out: str | Path | None = None,
    *,
    model: ComparisonModel = "bradley-terry",
    prior: float = PRIOR,
    overwrite: bool = False,
) -> Output:
    """Recover one value per chain from the outcomes of pairs, to train an outcome head on.

    Args:
        pairs: rows with `winner` and `loser`, and optionally `weight` or `"tie": true`; see `prm.Source`.
        out: file of values (`chain-value/1`); None for a temporary one.
        model: "bradley-terry" (values are log-odds) or "thurstone" (standard deviations).
        prior: precision of the Gaussian prior on each value, at least 0.
        overwrite: whether to replace an existing output.

    Raises:
        PrmError: an input or the output cannot be used.
    """
    place = Workspace(out, "values.jsonl")
    files = place.files(pairs=pairs)
    job = Job(place.out, "strengths", {"model": model, "prior": prior}, files)
    with making(job, "values", overwrite) as counts:
        if counts is not None:
            comparisons = list(read_comparisons(files["pairs"]))
            values = strengths(comparisons, model, prior)
            counts["chains"] = write_values(place.out, values, comparisons)
            counts["comparisons"] = sum(c.weight for c in comparisons)
    return place.output(job)
