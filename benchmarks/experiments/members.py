"""One step head or several on one backbone: what they cost, and what their scores and their spread are worth.

    python -m prm.benchmarks.experiments.members --out runs/members

For each seed, problems of the arithmetic world with labels by `bisect` train a PRM with one head and one with four on
the same data; other problems, whose steps are judged exactly, measure them. Reported: training time of four heads as a
multiple of one (in one run, each in its own process); AUROC of steps within a position; best of n by `min`; and, of the
four, what a vote loses and saves when it stops early, whether members that disagree err more, and how often two spreads
cover how far a score is from the rate of right steps, in groups of steps with like scores.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

from prm.data.files import by_id, read_chains, read_problems, read_records, write_records
from prm.data.records import Choice, StepScores
from prm.scoring.ensembles import combined, how_named
from prm.statistics.metrics import grouped_auroc
from prm.verifiers import check

from ..arithmetic import POLICY
from ..arithmetic.step_truth import truths
from ..perf.job import machine, make_chains, run, server

WAYS = ("mean", "min", "mean-sd:1")
GROUPS = 10


def main() -> None:
    """Train and measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/members"))
    parser.add_argument("--problems", type=int, default=200, help="to train on; half as many to measure on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[31, 32, 33])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--port", type=int, default=8125)
    arguments = parser.parse_args()
    found: defaultdict[str, list[float]] = defaultdict(list)
    with server(arguments.port) as url:
        for seed in arguments.seeds:
            make_data(arguments.out / f"seed{seed}", arguments.problems, seed, f"--endpoint={url}")
    for seed in arguments.seeds:
        for name, value in measured(arguments.out / f"seed{seed}", seed, arguments.epochs):
            found[name].append(value)
            print(f"seed {seed}: {name}: {value:.4f}", flush=True)
    print(f"\n{machine()}, seeds {arguments.seeds}\n\n| | mean | standard deviation over seeds |\n| --- | --- | --- |")
    for name, values in found.items():
        print(f"| {name} | {fmean(values):.3f} | {stdev(values) if len(values) > 1 else 0:.3f} |")


def make_data(out: Path, problems: int, seed: int, at: str) -> None:
    """Problems and chains to train on, with labels, and others to measure on."""
    job = make_chains(out / "train", problems, 4, seed, at)
    run("label", *job, at, "--strategy=bisect", f"--out={out}/train/labels.jsonl")
    make_chains(out / "test", problems // 2, 8, seed + 500, at)


def measured(out: Path, seed: int, epochs: int) -> Iterable[tuple[str, float]]:
    """The figures of one seed."""
    seconds = {members: trained(out, members, seed, epochs) for members in (1, 4)}
    yield "training time of four heads, of one", seconds[4] / seconds[1]
    yield from worth(out)


def worth(out: Path) -> Iterator[tuple[str, float]]:
    """What the scores of both models, and their spread, are worth on the chains to measure on."""
    for members in (1, 4):
        data = [f"--{name}={out}/test/{name}.jsonl" for name in ("problems", "chains")]
        run("score", f"--scorer={out}/prm{members}", *data, f"--out={out}/scores{members}.jsonl", "--overwrite")
    one, four = (list(read_records(out / f"scores{members}.jsonl", StepScores)) for members in (1, 4))
    tables = {"one head": one, **{f"four heads, {how}": again(four, how) for how in WAYS}}
    truth = truths(by_id(read_problems(out / "test" / "problems.jsonl")), read_chains(out / "test" / "chains.jsonl"))
    for name, rows in tables.items():
        yield f"AUROC within a position, {name}", float(grouped_auroc(list(judged(rows, truth))) or 0.0)
    for name, rows in tables.items():
        write_records(out / "rows.jsonl", rows)
        yield f"best of 8 by min, {name}", chosen(out, "rows", ()).accuracy
    for vote in ("majority", "weighted"):
        for sure in (None, 0.95, 0.9):
            found = chosen(out, "scores4", [f"--selection={vote}", *([f"--stop-when={sure}"] if sure else [])])
            stops = f", stopped when {sure} sure" if sure else " of 8"
            yield f"{vote}{stops}: right", found.accuracy
            yield f"{vote}{stops}: chains looked at", found.looked_at
    yield from worth_of_spread(
        [t for row in four for t in zip(row.scores, row.spread, truth[row.chain_id], strict=True)]
    )


def worth_of_spread(steps: Sequence[tuple[float, float, bool]]) -> Iterator[tuple[str, float]]:
    """What the spread of several heads tells, from score, spread and truth of each step.

    A step's error is the distance of its score from 0 or 1. Errors are largest where scores are near a half, with one
    head as with several: so the spread is worth something only where it correlates better than p(1 - p) does.
    """
    score, spread, is_right = np.array(steps, dtype=float).T
    error = np.abs(score - is_right)
    yield "rank correlation of spread and error", float(spearmanr(error, spread).statistic)
    yield "rank correlation of p(1 - p) and error", float(spearmanr(error, score * (1 - score)).statistic)
    groups = np.array_split(np.argsort(score), GROUPS)
    covered = [abs(score[group].mean() - is_right[group].mean()) <= 2 * spread[group].mean() for group in groups]
    yield f"groups of {GROUPS} whose rate of right steps lies within two spreads of their score", float(sum(covered))
    yield "mean spread", float(spread.mean())


def trained(out: Path, members: int, seed: int, epochs: int) -> float:
    """Seconds that the training of a PRM with so many heads took, its start included."""
    files = [f"--{name}={out}/train/{name}.jsonl" for name in ("problems", "chains", "labels")]
    settings = [f"--members={members}", f"--seed={seed}", f"--epochs={epochs}", "--lr=3e-4", "--batch-size=8"]
    started = time.monotonic()
    run("train", f"--base={POLICY}", *files, *settings, f"--out={out}/prm{members}", "--overwrite")
    return time.monotonic() - started


def again(rows: Iterable[StepScores], how: str) -> list[StepScores]:
    """The scores of an ensemble, combined in another way."""
    rule = how_named(how)
    return [replace(row, scores=tuple(combined(row.by_member, rule))) for row in rows]


def judged(rows: Iterable[StepScores], truth: Mapping[str, Sequence[bool]]) -> Iterator[tuple[int, float, bool]]:
    """Position, score and truth of each step."""
    for row in rows:
        for place, (score, is_right) in enumerate(zip(row.scores, truth[row.chain_id], strict=True)):
            yield place, score, is_right


class Chosen(NamedTuple):
    """What a choice of each problem is worth."""

    accuracy: float
    """Share of the problems whose chosen answer is right."""
    looked_at: float
    """Chains of a problem that were looked at, on average."""


def chosen(out: Path, scores: str, options: Sequence[str]) -> Chosen:
    """What `prm rerank` chooses by a file of scores."""
    data = [f"--{part}={out}/test/{part}.jsonl" for part in ("problems", "chains")]
    run("rerank", *data, f"--scores={out}/{scores}.jsonl", f"--out={out}/choices.jsonl", "--overwrite", *options)
    golds = {problem.id: problem.answer for problem in read_problems(out / "test" / "problems.jsonl")}
    choices = list(read_records(out / "choices.jsonl", Choice))
    return Chosen(
        fmean(check(choice.best or "", golds[choice.problem_id] or "").is_correct for choice in choices),
        fmean(choice.read or len(choice.scores) for choice in choices),
    )


if __name__ == "__main__":
    main()
