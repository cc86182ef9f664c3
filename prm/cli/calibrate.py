"""`calibrate`: scores → probabilities. `pruning`: scores → a threshold. `strengths`: pairs → values of chains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prm import console
from prm.data.records import TARGET_VIEWS
from prm.errors import InputError
from prm.statistics.aggregation import AGGREGATORS

from .options import Chains, Checker, OutFile, Overwrite, Problems, Splitter, one_of

if TYPE_CHECKING:
    from prm.scoring.calibrating import Calibrated


def calibrate(
    scores: Annotated[Path, typer.Option(help="from `prm score`, of chains the scorer was not trained on")],
    labels: Annotated[Path, typer.Option(help="step labels of the same chains, from `prm label`")],
    out: OutFile,
    method: Annotated[str, typer.Option(help="temperature, platt, isotonic or standardize (rewards for RL)")] = "platt",
    level: Annotated[
        str,
        typer.Option(help="step (a PRM's scores, on step labels) or chain (one score per chain, on its answer)"),
    ] = "step",
    aggregate: Annotated[
        str | None,
        typer.Option(help=f"with --level chain and a PRM: {one_of(AGGREGATORS)} of the step scores; default: min"),
    ] = None,
    view: Annotated[
        str | None, typer.Option("--labels-as", help=f"with --level step: {one_of(TARGET_VIEWS)}; default: hard")
    ] = None,
    fit_on: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="share of problems to fit on; the rest is for measuring")
    ] = 0.5,
    scorer: Annotated[Path | None, typer.Option(help="checkpoint to store the calibration in")] = None,
    plot: Annotated[bool, typer.Option("--plot/--no-plot", help="save a reliability diagram as <out>.png")] = True,
    overwrite: Overwrite = False,
) -> None:
    """Scores and labels → calibration, with the reliability before and after, on problems it was not fitted on."""
    if level == "step" and aggregate is not None:
        raise InputError(f"--aggregate {aggregate} cannot be used with --level step", "omit it")
    if level == "chain" and view is not None:
        raise InputError(f"--labels-as {view} cannot be used: a chain's label is its own outcome", "omit it")
    from prm.scoring import calibrating

    made = calibrating.calibrate(
        scores, labels, out,
        method=method, level=level, aggregate=aggregate, labels_as=view,  # type: ignore[arg-type]  # checked there
        fit_on=fit_on, scorer=scorer, plot=plot, overwrite=overwrite,
    )  # fmt: skip
    picture = calibrating.plot_path(out)
    if picture.exists():
        console.say(f"  {picture}")
    _show(made)


def _show(made: Calibrated) -> None:
    before, after, level, counts = made.before, made.after, made.level, made.counts
    rows = [
        [name.replace("_", " "), f"{value:.4f}", f"{after[name]:.4f}"]
        for name, value in before.items()
        if name != "bins"
    ]
    title = f"{counts[f'measured {level}s']:,} {level}s of {counts['measured problems']:,} problems not fitted on"
    console.table(title, [made.fit.method, "before", "after"], rows)
    if "bins" in before:
        cells = [
            [f"{old['low']:.1f}-{old['high']:.1f}", *_bin_cells(old), *_bin_cells(new)]
            for old, new in zip(before["bins"], after["bins"], strict=True)
        ]
        header = ["score", "before", "mean", "right", "after", "mean", "right"]
        console.table(f"Reliability: {level}s, their mean score, and the share that are right", header, cells)


def _bin_cells(row: Mapping[str, Any]) -> list[str]:
    shares = ["-" if row[name] is None else f"{row[name]:.3f}" for name in ("mean_score", "share_right")]
    return [f"{row['count']:,.0f}", *shares]


def pruning(
    problems: Problems,
    chains: Chains,
    scores: Annotated[Path, typer.Option(help="step scores of the chains, from `prm score`")],
    out: OutFile,
    lost: Annotated[float, typer.Option(min=0.001, max=0.999, help="share of right chains that may be lost")] = 0.05,
    fit_on: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="share of problems to fit on; the rest is for measuring")
    ] = 0.5,
    checker: Checker = "exact",
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Scored chains → the threshold of `prm solve --method prune` that loses a wanted share of right chains."""
    from prm.search.pruning import fit_pruning

    found = fit_pruning(
        problems, chains, scores, out, lost=lost, fit_on=fit_on, checker=checker, splitter=splitter,
        overwrite=overwrite,
    )  # fmt: skip
    rows = [
        ["threshold", f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f})"],
        ["right chains lost", f"{found.lost:.1%} ({found.lost_low:.1%} to {found.lost_high:.1%})"],
        ["wrong chains given up", f"{found.wrong_given_up:.1%}"],
        ["steps saved", f"{found.saved:.1%}"],
    ]
    console.table("Measured on other problems", ["measure", "value"], rows)


def strengths(
    pairs: Annotated[
        Path, typer.Argument(help='JSONL: {"winner": id, "loser": id}, optionally with "weight" or "tie": true')
    ],
    out: OutFile,
    model: Annotated[str, typer.Option(help="bradley-terry (log-odds) or thurstone (standard deviations)")] = (
        "bradley-terry"
    ),
    prior: Annotated[float, typer.Option(min=0.0, help="precision (1/variance) of the Gaussian prior")] = 0.01,
    overwrite: Overwrite = False,
) -> None:
    """Outcomes of pairs → one value per chain, to train on."""
    from prm.scoring import calibrating

    calibrating.chain_values(pairs, out, model=model, prior=prior, overwrite=overwrite)  # type: ignore[arg-type]
