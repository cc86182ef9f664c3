"""Commands that measure, with their tables: `eval best-of-n` (scorers) and `eval steps` (labels and step scores)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from prm import console
from prm.cli.jobs import making
from prm.cli.options import Chains, ChainsEach, Out, Overwrite, Problems, Seed, Splitter, key_values
from prm.errors import InputError
from prm.files import by_id, read_chains, read_problems, read_records
from prm.manifest import Job
from prm.records import StepLabels, StepScores
from prm.writing import write_json


def best_of_n(
    problems: Problems,
    chains: Chains,
    out: Out,
    scores: Annotated[list[str], typer.Option(help="NAME=FILE of scores; may be given several times")],
    n: ChainsEach = 16,
    draws: Annotated[int, typer.Option(min=100, help="bootstrap draws")] = 1000,
    seed: Seed = 0,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Pass@1, majority, every scorer's best of k and weighted votes, and the oracle, with 95% intervals."""
    named = key_values("--scores", "NAME=FILE", scores, "such as --scores PRM=scores.jsonl")
    files = {name: Path(path) for name, path in named.items()}
    inputs = {"problems": problems, "chains": chains, **{f"scores {k}": v for k, v in files.items()}}
    job = Job(out, "eval best-of-n", {"n": n, "draws": draws, "seed": seed, "splitter": splitter}, inputs)
    with making(job, "result", overwrite) as counts:
        if counts is not None:
            from benchmarks.best_of_n import evaluate, make_pools

            by_scorer = {name: by_id(read_records(path, StepScores)) for name, path in files.items()}
            pools = make_pools(by_id(read_problems(problems)), list(read_chains(chains, splitter)), n)
            result = evaluate(pools, by_scorer, draws=draws, seed=seed)
            write_json(out, result)
            counts |= {"problems": len(pools), "undecided chains": result["protocol"]["undecided"]}
    _show_best_of_n(json.loads(out.read_text(encoding="utf-8")))


def _show_best_of_n(result: Mapping[str, Any]) -> None:
    ks = sorted({row["k"] for row in result["rows"]})
    cells = {(row["selector"], row["k"]): row for row in result["rows"]}
    rows = []
    for name in dict.fromkeys(row["selector"] for row in result["rows"]):
        last = cells[name, ks[-1]]
        interval = f"{100 * last['low']:.1f}-{100 * last['high']:.1f}"
        rows.append([name, *(f"{100 * cells[name, k]['value']:.1f}" for k in ks), interval])
    title = f"Right answers in %, best of k, {result['protocol']['problems']} problems"
    console.table(title, ["selector", *(f"k={k}" for k in ks), f"95% at {ks[-1]}"], rows)
    auroc = [
        [f"{s} {a}", f"{v:.3f}"] for s, by in result["chain_auroc"].items() for a, v in by.items() if v is not None
    ]
    console.table("Right chain above wrong chain of the same problem", ["scorer", "AUROC"], auroc)


def steps(
    problems: Problems,
    chains: Chains,
    out: Out,
    labels: Annotated[Path | None, typer.Option(help="step labels to measure")] = None,
    scores: Annotated[Path | None, typer.Option(help="PRM scores to measure")] = None,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Labels and PRM scores of steps against the exact truth of the arithmetic world."""
    if labels is None and scores is None:
        raise InputError("there is nothing to measure", "give --labels or --scores")
    given = {"labels": labels, "scores": scores}
    inputs = {"problems": problems, "chains": chains, **{k: v for k, v in given.items() if v}}
    job = Job(out, "eval steps", {"splitter": splitter}, inputs)
    with making(job, "result", overwrite) as counts:
        if counts is not None:
            from benchmarks.step_truth import label_quality, score_quality, truths

            truth = truths(by_id(read_problems(problems)), read_chains(chains, splitter))
            result: dict[str, Any] = {"schema": "step-truth/1"}
            if labels:
                result["labels"] = label_quality(truth, read_records(labels, StepLabels))
            if scores:
                result["scores"] = score_quality(truth, read_records(scores, StepScores))
            write_json(out, result)
            counts["chains"] = len(truth)
    _show_steps(json.loads(out.read_text(encoding="utf-8")))


def _show_steps(result: Mapping[str, Any]) -> None:
    for part in ("labels", "scores"):
        if part in result:
            rows = [[k, f"{v:.4g}"] for k, v in result[part].items() if isinstance(v, int | float)]
            console.table(f"Step {part} against the exact truth", ["measure", "value"], rows)
