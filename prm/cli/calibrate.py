"""`calibrate`: scores → probabilities to be taken at their word. `strengths`: outcomes of pairs → values of chains."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_args

import typer

from prm import console
from prm.data.drops import Drops
from prm.data.files import by_id, read_records
from prm.data.jobs import making, write_drops
from prm.data.manifest import Job
from prm.data.records import LabelView, StepLabels, StepScores
from prm.data.splits import is_in_share
from prm.data.writing import write_bytes, write_json
from prm.errors import InputError
from prm.plots import reliability_diagram
from prm.scoring.reranking import common_kind
from prm.statistics.aggregation import aggregate as aggregate_scores

from .options import Out, Overwrite

if TYPE_CHECKING:
    from prm.models.checkpoint import Metadata
    from prm.statistics.calibration import Calibration, Scale


def calibrate(
    scores: Annotated[Path, typer.Option(help="from `prm score`, of chains that the scorer was not trained on")],
    labels: Annotated[Path, typer.Option(help="step labels of the same chains, from `prm label`")],
    out: Out,
    method: Annotated[str, typer.Option(help="temperature, platt, isotonic or standardize (rewards for RL)")] = "platt",
    level: Annotated[
        str, typer.Option(help="step (a PRM's scores, on step labels) or chain (one score a chain, on its own answer)")
    ] = "step",
    aggregate: Annotated[
        str | None, typer.Option(help="chain, PRM: min (default), product, mean, last or max of the step scores")
    ] = None,
    view: Annotated[
        str | None, typer.Option("--labels-as", help="step: hard (default), soft or pooled step labels")
    ] = None,
    fit_on: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="share of problems to fit on; the others are measured on")
    ] = 0.5,
    scorer: Annotated[Path | None, typer.Option(help="checkpoint to store the calibration with")] = None,
    plot: Annotated[bool, typer.Option("--plot/--no-plot", help="draw the reliability into <out>.png")] = True,
    overwrite: Overwrite = False,
) -> None:
    """Scores and labels → calibration, with the reliability before and after on problems it was not fitted on."""
    _require_options(level, aggregate, view)
    settings = {
        "method": method, "level": level, "aggregate": aggregate, "labels_as": view, "fit_on": fit_on,
        "scorer": scorer, "plot": plot,
    }  # fmt: skip
    job = Job(out, "calibrate", settings, {"scores": scores, "labels": labels})
    with making(job, "calibration", overwrite) as counts:
        if counts is not None:
            scored = list(read_records(scores, StepScores))
            counts |= _calibrate(job, scored, by_id(read_records(labels, StepLabels)))
    if _plot_path(out).exists():
        console.say(f"  {_plot_path(out)}")
    _show(json.loads(out.read_text(encoding="utf-8")))


def _require_options(level: str, aggregate: str | None, view: str | None) -> None:
    if level not in ("step", "chain"):
        raise InputError(f"there is no --level {level!r}", "choose from step, chain")
    if level == "step" and aggregate is not None:
        raise InputError(f"--aggregate {aggregate} cannot be used with --level step", "leave it out")
    if level == "chain" and view is not None:
        raise InputError(f"--labels-as {view} cannot be used: a chain's label is its own outcome", "leave it out")
    if view is not None and view not in get_args(LabelView):
        raise InputError(f"there is no --labels-as {view!r}", f"choose from {', '.join(get_args(LabelView))}")


class _Point(NamedTuple):
    """A score and what is known of it."""

    problem_id: str
    score: float
    label: float


def _calibrate(job: Job, scored: Sequence[StepScores], labeled: Mapping[str, StepLabels]) -> dict[str, Any]:
    """Fit, measure and write; return the counts."""
    from prm.statistics.calibration import fit

    s, drops, kind = job.settings, Drops(), common_kind(scored)
    metadata = _metadata(s["scorer"], kind) if s["scorer"] else None
    scale, aggregator = _scale(kind, s["level"], s["aggregate"])
    points = _points(s, scored, labeled, aggregator, drops)
    fitted = [p for p in points if _is_fitted_on(p, s["fit_on"])]
    measured = [p for p in points if not _is_fitted_on(p, s["fit_on"])]
    if not measured:
        raise InputError("there is nothing left to measure on", "lower --fit-on, or give more problems")
    targets = None if s["method"] == "standardize" else [p.label for p in fitted]
    found = fit(s["method"], [p.score for p in fitted], targets, scale=scale, aggregator=aggregator)
    result = {
        "schema": "calibration/1",
        "level": s["level"],
        "labels_as": (s["labels_as"] or "hard") if s["level"] == "step" else "outcome",
        "fit": found.to_json(),
        **_before_and_after(found, measured),
        "counts": _counts(s["level"], fitted=fitted, measured=measured),
    }
    picture = (
        reliability_diagram({name: result[name] for name in ("before", "after")})
        if s["plot"] and s["method"] != "standardize"
        else None
    )
    _plot_path(job.output).unlink(missing_ok=True)
    if picture:
        write_bytes(_plot_path(job.output), picture)
    if metadata is not None:
        stored = {**(metadata.calibration or {}), "reward" if kind == "orm" else s["level"]: found.to_json()}
        replace(metadata, calibration=stored).save(s["scorer"])
    write_json(job.output, result)
    counts = dict(result["counts"])
    write_drops(drops, job.output, counts)
    return counts


def _metadata(scorer: Path, kind: str) -> Metadata:
    from prm.models.checkpoint import load_metadata

    metadata = load_metadata(scorer)
    if metadata.kind not in (kind, "joint"):
        raise InputError(
            f"--scorer {scorer} is of kind {metadata.kind}, the scores are of kind {kind}",
            "give the one that made them",
        )
    return metadata


def _scale(kind: str, level: str, aggregate: str | None) -> tuple[Scale, str | None]:
    """What the scores are, and the aggregator that makes them."""
    if kind == "orm":
        if level == "step":
            raise InputError("the scores are an ORM's, which has none of steps", "give --level chain")
        if aggregate is not None:
            raise InputError(f"--aggregate {aggregate} cannot be used: an ORM gives one score a chain", "leave it out")
        return "reward", None
    if level == "step":
        return "probability", None
    return "log-probability" if aggregate == "product" else "probability", aggregate or "min"


def _is_fitted_on(point: _Point, share: float) -> bool:
    """By an id of its own: else the problems that `prm train --held-out` left out would all be on the same side."""
    return is_in_share(f"calibrate {point.problem_id}", share)


def _points(
    settings: Mapping[str, Any],
    scored: Iterable[StepScores],
    labeled: Mapping[str, StepLabels],
    aggregator: str | None,
    drops: Drops,
) -> list[_Point]:
    points: list[_Point] = []
    for row in scored:
        labels = labeled.get(row.chain_id)
        if labels is None:
            drops.add(row.chain_id, "it has no labels")
        elif settings["level"] == "step":
            points += _step_points(row, labels, settings["labels_as"] or "hard", drops)
        else:
            points += _chain_points(row, labels, aggregator or "last", drops)
    return points


def _step_points(row: StepScores, labels: StepLabels, view: LabelView, drops: Drops) -> list[_Point]:
    """Each step with a label, whatever number of rollouts it rests on: else the strategy would weigh the steps."""
    values = labels.view(view)
    if len(values) != len(row.scores):
        drops.add(row.chain_id, "scores and labels differ in number", f"{len(row.scores)}, {len(values)}")
        return []
    known = [(score, value) for score, value in zip(row.scores, values, strict=True) if value is not None]
    if not known:
        drops.add(row.chain_id, f"no step has a {view} label")
    return [_Point(row.problem_id, score, float(value)) for score, value in known]


def _chain_points(row: StepScores, labels: StepLabels, aggregator: str, drops: Drops) -> list[_Point]:
    if labels.outcome not in ("correct", "incorrect"):
        drops.add(row.chain_id, "its answer is undecided", labels.outcome)
        return []
    if not row.scores:
        drops.add(row.chain_id, "empty chain")
        return []
    return [_Point(row.problem_id, aggregate_scores(row.scores, aggregator), float(labels.outcome == "correct"))]


def _counts(level: str, **parts: Sequence[_Point]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, points in parts.items():
        counts |= {f"{name} {level}s": len(points), f"{name} problems": len({p.problem_id for p in points})}
    return counts


def _before_and_after(found: Calibration, points: Sequence[_Point]) -> dict[str, dict[str, Any]]:
    """Measures of the scores as they are (a reward stands for log-odds) and calibrated."""
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
    from prm.statistics.metrics import brier_score, expected_calibration_error, log_loss, reliability

    return {
        "expected_calibration_error": expected_calibration_error(scores, labels),
        "brier_score": brier_score(scores, labels),
        "log_loss": log_loss(scores, labels),
        "bins": [asdict(row) for row in reliability(scores, labels)],
    }


# What a person sees.


def _show(result: Mapping[str, Any]) -> None:
    before, after, level, counts = result["before"], result["after"], result["level"], result["counts"]
    rows = [
        [name.replace("_", " "), f"{value:.4f}", f"{after[name]:.4f}"]
        for name, value in before.items()
        if name != "bins"
    ]
    title = f"{counts[f'measured {level}s']:,} {level}s of {counts['measured problems']:,} problems not fitted on"
    console.table(title, [result["fit"]["method"], "before", "after"], rows)
    if "bins" in before:
        cells = [
            [f"{old['low']:.1f}-{old['high']:.1f}", *_bin_cells(old), *_bin_cells(new)]
            for old, new in zip(before["bins"], after["bins"], strict=True)
        ]
        header = ["score", "before", "mean", "right", "after", "mean", "right"]
        console.table(f"Reliability: {level}s, their mean score, and the share that is right", header, cells)


def _bin_cells(row: Mapping[str, Any]) -> list[str]:
    shares = ["-" if row[name] is None else f"{row[name]:.3f}" for name in ("mean_score", "share_right")]
    return [f"{row['count']:,.0f}", *shares]


def _plot_path(out: Path) -> Path:
    return out.with_name(out.name + ".png")


def strengths(
    pairs: Annotated[Path, typer.Argument(help='JSONL: {"winner": id, "loser": id}, with a weight or "tie": true')],
    out: Out,
    model: Annotated[str, typer.Option(help="bradley-terry (log-odds) or thurstone (standard deviations)")] = (
        "bradley-terry"
    ),
    prior: Annotated[float, typer.Option(min=0.0, help="one over the variance of the Gaussian prior")] = 0.01,
    overwrite: Overwrite = False,
) -> None:
    """Outcomes of pairs → one value for each chain, to train on."""
    job = Job(out, "strengths", {"model": model, "prior": prior}, {"pairs": pairs})
    with making(job, "values", overwrite) as counts:
        if counts is None:
            return
        from prm.data.comparisons import read_comparisons, write_values
        from prm.statistics.strengths import strengths

        comparisons = list(read_comparisons(pairs))
        values = strengths(comparisons, model, prior)  # type: ignore[arg-type]  # an unknown model is refused there
        counts["chains"] = write_values(out, values, comparisons)
        counts["comparisons"] = sum(c.weight for c in comparisons)
