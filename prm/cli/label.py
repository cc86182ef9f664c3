"""`prm label`: chains → step labels by Monte Carlo rollouts.

`prm label stats`: what a label file holds. `prm label quality`: how true it is, where the truth is known.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from prm import console
from prm.data.files import ProblemFile, by_id, read_chains, read_problems, read_records
from prm.data.jobs import making
from prm.data.manifest import Job
from prm.data.records import Chain, StepLabels
from prm.data.writing import write_json
from prm.errors import InputError
from prm.generation.engine import Sampling
from prm.labeling.allocation import STRATEGIES, Budget
from prm.labeling.estimate import estimate
from prm.labeling.journal import Journal, unfinished
from prm.labeling.labeler import WINDOW, Earlier, Event, Plan
from prm.labeling.setup import Setup, labeling
from prm.labeling.stats import label_stats
from prm.labeling.tally import Tally

from .options import (
    Chains,
    Chat,
    Endpoint,
    EngineOption,
    MaxTokens,
    Model,
    Out,
    Overwrite,
    Problems,
    Seed,
    Splitter,
    Stop,
    Temperature,
    TopP,
    announce,
    engine_choice,
    local_model,
)


def run(
    model: Model,
    problems: Problems,
    chains: Chains,
    out: Out,
    strategy: Annotated[
        str,
        typer.Option(
            help="fixed (hard and soft labels), first-success or bisect (hard labels, far cheaper), "
            "adaptive (soft labels, rollouts where they are needed)"
        ),
    ] = "fixed",
    rollouts: Annotated[int, typer.Option("-k", "--rollouts", min=1, help="most rollouts from one prefix")] = 8,
    width: Annotated[float, typer.Option(min=0.01, max=0.99, help="adaptive: 95% credible interval to reach")] = 0.35,
    check_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="share of chains to draw from every prefix too, as a check")
    ] = 0.0,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    max_tokens: MaxTokens = 1024,
    stop: Stop = None,
    seed: Seed = 0,
    splitter: Splitter = "newline",
    chat: Chat = False,
    endpoint: Endpoint = None,
    engine_option: EngineOption = None,
    engine: Annotated[
        str, typer.Option(help="vllm, in this process, or ray: workers on many machines, each with its own vLLM")
    ] = "vllm",
    workers: Annotated[int, typer.Option(min=1, help="ray: how many workers")] = 1,
    worker_gpus: Annotated[float, typer.Option(min=0.0, help="ray: GPUs of each worker")] = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what it would cost, and stop")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Chains → step labels: Monte Carlo rollouts from prefixes, checked against the gold answers.

    A killed job goes on where it was when the same command is run again. Every rollout is kept beside the labels.
    """
    if strategy not in STRATEGIES:
        raise InputError(f"there is no strategy {strategy!r}", f"choose from {', '.join(STRATEGIES)}")
    if engine not in ("vllm", "ray"):
        raise InputError(f"there is no engine {engine!r}", "choose from vllm, ray")
    plan = Plan(strategy, Budget(rollouts, width), check_share)
    sampling = Sampling(temperature, top_p, max_tokens, seed, tuple(stop or ()))
    setup = Setup(engine_choice(model, endpoint, engine_option), chat, plan, sampling)
    if dry_run:
        _say_cost(problems, chains, splitter, setup)
        return
    settings = {"model": model, "splitter": splitter, "chat": chat, **asdict(plan), **asdict(sampling)}
    inputs = {"problems": problems, "chains": chains, **local_model(model)}
    job = Job(out, "label", settings, inputs, unfinished(out))
    with making(job, "labels", overwrite) as counts:
        if counts is None:
            return
        total, golds = sum(1 for _ in read_chains(chains, splitter)), ProblemFile(problems)
        with Journal(out, fixed=rollouts) as journal:
            rows, earlier = _remaining(journal, chains, splitter)
            if journal.finished < total:
                on_ray = {"workers": workers, "gpus": worker_gpus} if engine == "ray" else {}
                announce(setup.engine, workers if on_ray else None)
                with _labeling(setup, rows, golds, earlier, on_ray) as events:
                    counts |= _record(events, journal, total)
            journal.finish(total)
            counts |= _summary(journal.tally)


def _labeling(
    setup: Setup,
    chains: Iterator[Chain],
    problems: ProblemFile,
    earlier: Earlier,
    on_ray: Mapping[str, Any],
) -> AbstractContextManager[Iterator[Event]]:
    if not on_ray:
        return labeling(setup, chains, problems, earlier)
    from prm.labeling.ray_labeling import label_on_ray

    return nullcontext(label_on_ray(setup, chains, problems, earlier, **on_ray))


def _remaining(journal: Journal, chains: Path, splitter: str) -> tuple[Iterator[Chain], Earlier]:
    """The chains that are not finished, and the rollouts of theirs that are there already."""
    if journal.cut:
        console.say(f"{journal.output}: a line that was half written is cut off")
    ids = (c.id for c in read_chains(chains, splitter))
    done, following = set(islice(ids, journal.finished)), set(islice(ids, WINDOW))
    earlier = journal.earlier(done, following)
    if journal.tally.rollouts:
        console.say(f"going on after {journal.tally.chains:,} chains and {journal.tally.rollouts:,} rollouts")
    return islice(read_chains(chains, splitter), journal.finished, None), earlier


def _record(events: Iterator[Event], journal: Journal, total: int) -> dict[str, Any]:
    """Write down what comes, and show how fast it comes; gives the rate of labels."""
    tally = journal.tally
    started, rollouts, tokens, steps = time.time(), tally.rollouts, tally.tokens, tally.steps
    with console.progress("labeling", total) as advance:
        advance(tally.chains)
        for event in events:
            before = tally.chains
            journal.append(event)
            seconds = max(time.time() - started, 1e-3)
            advance(
                tally.chains - before,
                f"{(tally.rollouts - rollouts) / seconds:,.0f} rollouts/s  {(tally.tokens - tokens) / seconds:,.0f} "
                f"tokens/s  {tally.undecided_share:.1%} undecided  {tally.saved:.0%} saved",
            )
    seconds = max(time.time() - started, 1e-3)
    is_rate = tally.rollouts > rollouts == 0  # labels that rest on an earlier run's rollouts tell none
    rate = {"step labels an hour": round(3600 * (tally.steps - steps) / seconds)} if is_rate else {}
    return {**rate, "seconds": round(seconds, 1)}


def _summary(tally: Tally) -> dict[str, Any]:
    per_rollout = {"labels a rollout": tally.steps / tally.rollouts} if tally.rollouts else {}
    return {
        "labeled chains": tally.labeled,
        "step labels": tally.steps,
        "rollouts": tally.rollouts,
        "tokens": tally.tokens,
        "undecided rollouts": tally.undecided,
        **per_rollout,
        "% saved against fixed": 100 * tally.saved,
        **{f"dropped ({reason})": number for reason, number in tally.reasons.items()},
    }


def _say_cost(problems: Path, chains: Path, splitter: str, setup: Setup) -> None:
    cost = estimate(read_chains(chains, splitter), ProblemFile(problems), setup.renderer(), setup.plan)
    console.say(
        f"{cost.chains:,} chains ({cost.right:,} right, {cost.unusable:,} not usable), {cost.prefixes:,} prefixes: "
        f"at most {cost.rollouts:,} rollouts and about {cost.tokens:,} tokens, if continuations are as long as the "
        "chains' own"
    )


def stats(
    file: Annotated[Path, typer.Argument(help="step labels, from `prm label`")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Label rate by position, undecided share, intervals, rollouts spent, agreement of the checked chains."""
    found = label_stats(read_records(file, StepLabels))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    rows = [[name.replace("_", " "), _cell(value)] for name, value in found.items() if not isinstance(value, list)]
    console.table(f"Step labels in {file}", ["measure", "value"], rows)
    by_position = [[_cell(value) for value in row.values()] for row in found["by_position"]]
    if by_position:
        console.table("By position", [n.replace("_", " ") for n in found["by_position"][0]], by_position)


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else f"{value:,}"


def quality(
    problems: Problems,
    chains: Chains,
    labels: Annotated[Path, typer.Option(help="step labels, from `prm label`")],
    out: Out,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Hard labels against the exact truth of the arithmetic world: agreement, false negatives, false positives."""
    inputs = {"problems": problems, "chains": chains, "labels": labels}
    with making(Job(out, "label quality", {"splitter": splitter}, inputs), "quality", overwrite) as counts:
        if counts is not None:
            from prm.benchmarks.arithmetic.step_truth import label_quality, truths

            truth = truths(by_id(read_problems(problems)), read_chains(chains, splitter))
            found = label_quality(truth, read_records(labels, StepLabels))
            write_json(out, found)
            counts |= {"chains": len(truth), "steps": found["steps"], "agreement": found["agreement"]}
    found = json.loads(out.read_text(encoding="utf-8"))
    rows = [[name.replace("_", " "), _cell(value)] for name, value in found.items() if not isinstance(value, list)]
    console.table("Step labels against the exact truth", ["measure", "value"], rows)
