"""`prm label`: chains → step labels by Monte Carlo rollouts.

`prm label stats`: statistics of a label file. `prm label quality`: its accuracy, where the truth is known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prm import console
from prm.benchmarks.arithmetic.step_truth import measure_label_quality
from prm.data.files import read_records
from prm.data.records import TARGET_VIEWS, StepLabels
from prm.labeling import job, rejudging
from prm.labeling.allocation import STRATEGIES
from prm.labeling.choosing import SOLVED
from prm.labeling.estimate import Cost
from prm.labeling.growing import trees
from prm.labeling.stats import label_stats
from prm.models.vllm_process import run_in_this_process

from .options import (
    Chains,
    Checker,
    Engine,
    Model,
    OutFile,
    Overwrite,
    Problems,
    Splitter,
    WorkerGpus,
    Workers,
    generating,
    on_ray,
    one_of,
)

if TYPE_CHECKING:
    from prm.labeling.planning import Option

LabelFile = Annotated[Path, typer.Argument(help="step labels, from `prm label`, with their rollouts beside them")]


@generating
def run(
    model: Model,
    problems: Problems,
    chains: Chains,
    out: OutFile,
    strategy: Annotated[
        str, typer.Option(help="; ".join(f"{name}: {entry.help}" for name, entry in STRATEGIES.items()))
    ] = "fixed",
    rollouts: Annotated[
        int, typer.Option("-k", "--rollouts", min=1, help="maximum number of rollouts from one prefix")
    ] = 8,
    width: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="adaptive: widest 95% credible interval to accept")
    ] = 0.35,
    from_problem: Annotated[
        int, typer.Option(min=0, help="rollouts from the bare problem for each chain, for progress labels")
    ] = 0,
    check_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="share of chains to label at every prefix too, as a check")
    ] = 0.0,
    max_unusable: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="share of problems whose gold answers may be unusable")
    ] = 0.1,
    drop_solved: Annotated[str, typer.Option(help=f"drop the problems that their chains solve {one_of(SOLVED)}")] = "",
    scores: Annotated[
        list[Path] | None,
        typer.Option(help="step scores of the chains by a PRM (repeatable): drop the chains that it is sure of"),
    ] = None,
    sure: Annotated[
        float,
        typer.Option(min=0.5, max=1.0, help="--scores: a step is sure from this score on, or below 1 - this"),
    ] = 0.9,
    spread: Annotated[
        float, typer.Option(min=0.0, help="several --scores: and if their standard deviation is at most this")
    ] = 0.01,
    engine: Engine = "vllm",
    workers: Workers = 1,
    worker_gpus: WorkerGpus = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only print what it would cost at most")] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="go on although none of the first 200 rollouts is right")
    ] = False,
    extend: Annotated[
        bool, typer.Option("--extend", help="go on from labels of fewer rollouts or chains, or of another strategy")
    ] = False,
    overwrite: Overwrite = False,
    **settings: Any,
) -> None:
    """Chains → step labels: Monte Carlo rollouts from prefixes, checked against the gold answers.

    A killed job resumes when the same command is run again. Every rollout is kept beside the labels.

    Before a long job, `prm label plan` finds the strategy by a pilot. For a label file: `prm label stats` prints
    statistics, `prm label quality` compares it with exact truth.
    """
    plan: dict[str, Any] = {
        "strategy": strategy, "rollouts": rollouts, "width": width, "from_problem": from_problem,
        "check_share": check_share,
    }  # fmt: skip
    if dry_run:
        read = {name: settings[name] for name in ("splitter", "chat", "prompt", "checker")}
        _say_cost(job.labeling_cost(problems, chains, model=model, **plan, **read))
        return
    run_in_this_process()
    job.label(
        problems, chains, out,
        model=model, **plan, max_unusable=max_unusable, drop_solved=drop_solved,
        scores=scores or (), sure=sure, spread=spread, **on_ray(engine, workers, worker_gpus),
        keep_going=keep_going, extend=extend, overwrite=overwrite, **settings,
    )  # fmt: skip


@generating
def plan(
    model: Model,
    problems: Problems,
    chains: Chains,
    out: OutFile,
    pilot: Annotated[int, typer.Option(min=1, help="rollouts to draw, about")] = 400,
    target: Annotated[float, typer.Option(min=0.0, max=1.0, help="label error that is good enough")] = 0.05,
    price_per_million: Annotated[
        float | None, typer.Option(min=0.0, help="price of a million drawn tokens, in any currency")
    ] = None,
    overwrite: Overwrite = False,
    **settings: Any,
) -> None:
    """What labels would cost and how good they would be, by strategy and K: a pilot, then simulated jobs.

    The pilot's rollouts stay beside the plan. Errors are those against unlimited rollouts.
    """
    from prm.labeling.planning import plan_labels

    run_in_this_process()
    found = plan_labels(
        problems, chains, out, model=model, pilot=pilot, target=target, price_per_million=price_per_million,
        overwrite=overwrite, **settings,
    )  # fmt: skip
    header = ["strategy", "K", "labeled", "hard error", "soft error", "rollouts", "tokens", "hours", "price"]
    console.table("All chains", header, [_option_row(option) for option in found.options], keys=2)
    for kind, option in (("hard", found.hard), ("soft", found.soft)):
        error = option.hard_error if kind == "hard" else option.value_error
        reached = "" if error is not None and error <= target else f", the least error (wanted: {target:.3f})"
        console.say(f"for {kind} labels: --strategy {option.strategy} -k {option.k}  (error {error:.3f}{reached})")


def _option_row(option: Option) -> list[str]:
    return [
        option.strategy, str(option.k), f"{option.labeled:.0%}",
        f"{option.hard_error:.3f} ± {option.hard_error_se:.3f}", _cell(option.value_error),
        f"{option.rollouts:,}", f"{option.tokens:,}",
        *("-" if value is None else f"{value:,.2f}" for value in (option.hours, option.price)),
    ]  # fmt: skip


def _say_cost(cost: Cost) -> None:
    console.say(
        f"{cost.chains:,} chains ({cost.right:,} right, {cost.unusable:,} unusable), {cost.prefixes:,} prefixes: "
        f"at most {cost.rollouts:,} rollouts and about {cost.tokens:,} tokens, if continuations are as long as the "
        "rest of their chains"
    )


def stats(
    file: Annotated[Path, typer.Argument(help="step labels, from `prm label`")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Print label rates by position, undecided share, intervals, rollouts spent, and agreement of checked chains."""
    found = label_stats(read_records(file, StepLabels))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    _print_measures(f"Step labels in {file}", found)
    by_position = [[_cell(value) for value in row.values()] for row in found["by_position"]]
    if by_position:
        console.table("By position", [n.replace("_", " ") for n in found["by_position"][0]], by_position)


def _print_measures(title: str, found: Mapping[str, Any]) -> None:
    rows = [[name.replace("_", " "), _cell(value)] for name, value in found.items() if not isinstance(value, list)]
    console.table(title, ["measure", "value"], rows)


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else f"{value:,}"


def rejudge(
    file: LabelFile,
    problems: Problems,
    chains: Chains,
    out: OutFile,
    checker: Checker = "exact",
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Judge the stored rollouts again, with another checker or mended gold answers; nothing is generated."""
    rejudging.rejudge(file, problems, chains, out, checker=checker, splitter=splitter, overwrite=overwrite)


def tree(
    file: LabelFile,
    problems: Problems,
    chains: Chains,
    out: OutFile,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Write the chains and rollouts of each problem as one tree (MATH-APS): states, counts, values and visits."""
    trees.export_trees(file, problems, chains, out, splitter=splitter, overwrite=overwrite)


def grow(
    file: LabelFile,
    problems: Problems,
    chains: Chains,
    out: OutFile,
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="most new chains of each problem")] = 1,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Add the most promising wrong rollouts to the chains (OmegaPRM); then label those with `prm label --extend`."""
    trees.grow(file, problems, chains, out, n=n, splitter=splitter, overwrite=overwrite)


def quality(
    problems: Problems,
    chains: Chains,
    labels: Annotated[Path, typer.Option(help="step labels, from `prm label`")],
    out: OutFile,
    view: Annotated[str, typer.Option("--labels-as", help=one_of(TARGET_VIEWS))] = "hard",
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Compare labels with the exact truth of the arithmetic world: agreement, false negatives, false positives."""
    labels_as: Any = view  # the job refuses an unknown view
    found = measure_label_quality(
        problems, chains, labels, out, labels_as=labels_as, splitter=splitter, overwrite=overwrite
    )
    _print_measures("Step labels compared with the exact truth", found.measures)
