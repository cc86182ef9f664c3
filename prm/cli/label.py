"""`prm label`: chains → step labels by Monte Carlo rollouts.

`prm label stats`: statistics of a label file. `prm label quality`: its accuracy, where the truth is known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from prm import console
from prm.benchmarks.arithmetic.step_truth import measure_label_quality
from prm.data.files import read_records
from prm.data.records import StepLabels
from prm.errors import InputError
from prm.labeling import job, rejudging
from prm.labeling.allocation import STRATEGIES
from prm.labeling.estimate import Cost
from prm.labeling.judging import SOLVED
from prm.labeling.stats import label_stats

from .options import (
    Chains,
    Chat,
    Checker,
    Endpoint,
    EngineOption,
    MaxTokens,
    MinP,
    Model,
    OutFile,
    Overwrite,
    Prefix,
    Problems,
    Prompt,
    RepetitionPenalty,
    Reproducible,
    Seed,
    Splitter,
    Stop,
    System,
    Temperature,
    TemplateOption,
    TopK,
    TopP,
    engine_options,
    one_of,
    whole_prompt,
)


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
    check_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="share of chains to label at every prefix too, as a check")
    ] = 0.0,
    max_unusable: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="share of problems whose gold answers may be unusable")
    ] = 0.1,
    drop_solved: Annotated[str, typer.Option(help=f"drop the problems that their chains solve {one_of(SOLVED)}")] = "",
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    top_k: TopK = 0,
    min_p: MinP = 0.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    max_tokens: MaxTokens = 1024,
    stop: Stop = None,
    seed: Seed = 0,
    reproducible: Reproducible = False,
    splitter: Splitter = "newline",
    chat: Chat = False,
    prompt: Prompt = "",
    system: System = "",
    template_option: TemplateOption = None,
    prefix: Prefix = "",
    checker: Checker = "exact",
    endpoint: Endpoint = None,
    engine_option: EngineOption = None,
    engine: Annotated[
        str, typer.Option(help="vllm (in this process) or ray (workers on many machines, each with its own vLLM)")
    ] = "vllm",
    workers: Annotated[int, typer.Option(min=1, help="ray: number of workers")] = 1,
    worker_gpus: Annotated[float, typer.Option(min=0.0, help="ray: GPUs per worker")] = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only print what it would cost")] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="go on although none of the first 200 rollouts is right")
    ] = False,
    extend: Annotated[
        bool, typer.Option("--extend", help="go on from labels of fewer rollouts or chains, or of another strategy")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Chains → step labels: Monte Carlo rollouts from prefixes, checked against the gold answers.

    A killed job resumes when the same command is run again. Every rollout is kept beside the labels.

    For a label file: `prm label stats` prints statistics, `prm label quality` compares it with exact truth.
    """
    if engine not in ("vllm", "ray"):
        raise InputError(f"unknown --engine {engine!r}", "choose from vllm, ray")
    plan: dict[str, Any] = {
        "strategy": strategy, "rollouts": rollouts, "width": width, "check_share": check_share,
        "splitter": splitter, "chat": chat, "prompt": whole_prompt(prompt, system, template_option or [], prefix),
        "checker": checker,
    }  # fmt: skip
    if dry_run:
        _say_cost(job.labeling_cost(problems, chains, model=model, **plan))
        return
    job.label(
        problems, chains, out,
        model=model, **plan, max_unusable=max_unusable, drop_solved=drop_solved,
        temperature=temperature, top_p=top_p,
        top_k=top_k, min_p=min_p, repetition_penalty=repetition_penalty, max_tokens=max_tokens,
        stop=stop or (), seed=seed, reproducible=reproducible,
        endpoints=endpoint or (), engine_options=engine_options(engine_option or []),
        ray_workers=workers if engine == "ray" else 0, ray_gpus=worker_gpus,
        keep_going=keep_going, extend=extend, overwrite=overwrite,
    )  # fmt: skip


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
    file: Annotated[Path, typer.Argument(help="step labels, from `prm label`, with their rollouts beside them")],
    problems: Problems,
    chains: Chains,
    out: OutFile,
    checker: Checker = "exact",
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Judge the stored rollouts again, with another checker or mended gold answers; nothing is generated."""
    rejudging.rejudge(file, problems, chains, out, checker=checker, splitter=splitter, overwrite=overwrite)


def quality(
    problems: Problems,
    chains: Chains,
    labels: Annotated[Path, typer.Option(help="step labels, from `prm label`")],
    out: OutFile,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Compare hard labels with the exact truth of the arithmetic world: agreement, false negatives, false positives."""
    found = measure_label_quality(problems, chains, labels, out, splitter=splitter, overwrite=overwrite)
    _print_measures("Step labels compared with the exact truth", found.measures)
