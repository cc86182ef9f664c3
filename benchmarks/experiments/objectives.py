r"""Compare objectives on the same data: PRMs by views of the labels and by losses, an ORM, a joint and an implicit one.

    prm world --count 1160 --seed 1 --out runs/world/train.problems.jsonl
    prm world --count 300 --seed 2 --out runs/world/test.problems.jsonl
    prm sample --model benchmarks/arithmetic/policy --problems runs/world/train.problems.jsonl -n 4 \
        --max-tokens 128 --out runs/world/train.chains.jsonl
    prm sample --model benchmarks/arithmetic/policy --problems runs/world/test.problems.jsonl -n 16 \
        --max-tokens 128 --out runs/world/test.chains.jsonl
    prm label --model benchmarks/arithmetic/policy --problems runs/world/train.problems.jsonl \
        --chains runs/world/train.chains.jsonl --strategy adaptive -k 16 --max-tokens 128 \
        --out runs/world/train.labels.jsonl
    python -m prm.benchmarks.experiments.objectives --data runs/world --out runs/objectives

The problems come from the arithmetic world, where the truth of every step is known. Labels use up to 16 rollouts per
step, allocated adaptively: with the same number everywhere, counts would carry no more than soft labels. Every model is
trained on all training chains with several seeds (for the head and the order of the chains); finished models are
reused. Measured on the test chains, against the exact truth:

    step AUROC       how often a right step scores above a wrong one; `within position` compares only steps at the same
                     position
    first-error F1   as in ProcessBench, at threshold 0.5, if scores are probabilities; and at the best threshold, since
                     a soft value of 0.5 does not separate right from wrong steps
    chain AUROC      how often a right chain scores above a wrong one of the same problem: a PRM by its lowest step, an
                     ORM by its reward, an implicit PRM by its last step, whose score is the reward
    best of N        share of problems whose highest-scoring chain, by the same score, is right
    seconds, tokens  of the training loop, with `--jobs` of them sharing the cores; start-up and padding are excluded

One row per head, so the joint model has two; each cell is the mean over the seeds, with minimum and maximum. A second
table has differences from the first row, seed by seed, with their intervals.
`objectives.json` in `--out` holds the figures of every seed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as student

from prm.data.drops import Drops
from prm.data.files import by_id, read_chains, read_problems, read_records, write_records
from prm.data.records import StepLabels
from prm.data.writing import write_json

from ..arithmetic import POLICY, REVIEW
from ..numbers import ALL, EvalSettings, Number, is_probability
from ..perf.job import machine, run
from ..pools import Pool, make_pools, of_size
from ..protocols.best_of_n import best_of_n
from ..protocols.localization import ORACLE, localization
from ..scores import read_scores
from ..suites.own import BEST_OF_N, WORLD, read_own
from ..suites.truth import Candidates, StepTruth


@dataclass(frozen=True, slots=True)
class Fit:
    """How to train a model, and which of its heads to measure."""

    epochs: float
    options: tuple[str, ...]
    """Options of `prm train`."""
    heads: Mapping[str, tuple[str, ...]]
    """Name of a row to options of `prm score`."""
    aggregator: str = "min"
    """Of the step scores of a PRM."""


_TOLD = f"--template={REVIEW}".replace("\n", r"\n")
_PRM = ("--objective=prm", "--lr=1e-4", "--batch-size=8", _TOLD)
_COUNTS = "--labels-as=counts"
_VIEWS = {f"{view} labels": (f"--labels-as={view}",) for view in ("hard", "soft", "pooled", "counts")}
_LOSSES = {
    "beta-binomial": (_COUNTS, "--loss=beta-binomial=1"),
    "squared error": ("--labels-as=soft", "--loss=step-squared-error=1"),
    "q-ranking": ("--loss=q-ranking=1",),
}
_OUTCOME = ("--lr=1e-4", "--batch-size=2", _TOLD)
_ORM_LOSSES = ("--loss=bradley-terry=1", "--loss=every-step=3")
FITS = {
    **{f"PRM {name}": Fit(1, (*_PRM, *how), {f"PRM, {name}": ()}) for name, how in {**_VIEWS, **_LOSSES}.items()},
    "ORM": Fit(1, ("--objective=orm", *_OUTCOME, *_ORM_LOSSES), {"ORM": ()}),
    "joint": Fit(
        1,
        ("--objective=joint", *_OUTCOME),
        {"joint, steps": ("--head=step",), "joint, reward": ("--head=outcome",)},
    ),
    "implicit PRM": Fit(1, ("--objective=implicit", "--lr=1e-4", "--batch-size=2"), {"implicit PRM": ()}, "last"),
}
"""The demo's settings, but heads that begin with random numbers: one that begins as the policy's verdicts leaves the
objectives little to do. The implicit PRM is told nothing, as the policy that its reward is relative to."""
COLUMNS = {
    "step AUROC": "step_auroc",
    "within position": "step_auroc_within_position",
    "first-error F1": "f1",
    "at its best threshold": "f1_oracle",
    "chain AUROC": "chain_auroc",
    "best of N": "best_of_n",
    "seconds": "seconds",
    "tokens": "tokens",
}
"""Heading of a column to the name of its figure."""
COMPARED = ("step_auroc_within_position", "f1", "chain_auroc", "best_of_n")
"""Figures of which differences are shown."""


@dataclass(frozen=True, slots=True)
class Test:
    """The test data."""

    files: list[str]
    """Options naming the problems and chains."""
    truths: list[StepTruth]
    lengths: list[int]
    """Characters of each chain."""
    pools: list[Pool]


def main() -> None:
    """Train and score the missing models, measure all, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="directory of the data, made by the commands above")
    parser.add_argument("--out", type=Path, default=Path("runs/objectives"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2, help="models trained at once, sharing the cores (default: 2)")
    parser.add_argument("--n", type=int, default=16, help="chains per test problem (default: 16)")
    parser.add_argument("--limit", type=int, help="problems to train and test on, for a quick try (default: all)")
    arguments = parser.parse_args()
    out = arguments.out / f"first-{arguments.limit}" if arguments.limit else arguments.out
    data = limited(arguments.data, out, arguments.limit) if arguments.limit else arguments.data
    test = read_test(data, arguments.n)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // arguments.jobs)))
    with ThreadPoolExecutor(arguments.jobs) as pool:
        waiting = [
            pool.submit(measured, name, fit, seed, data, test, out)
            for seed in range(arguments.seeds)
            for name, fit in FITS.items()
        ]
        rows = [row for future in waiting for row in future.result()]
    found = best_of_n(test.pools, {}, EvalSettings())
    plain = {number.variant: float(number.drawn[0]) for number in found.numbers if found.headline(number)}
    steps = [is_right for truth in test.truths for is_right in truth.steps]
    right = sum(map(bool, steps)) / len(steps)
    print(
        f"{machine()}\n\n{len(test.pools)} problems, {len(test.truths):,} chains; {right:.0%} of their steps are right."
    )
    print(f"Best of {arguments.n}: " + ", ".join(f"{name} {value:.1%}" for name, value in plain.items()) + "\n")
    print_table(rows)
    print_differences(rows)
    write_json(
        out / "objectives.json",
        {
            "machine": machine(),
            "data": str(data),
            "epochs": {name: fit.epochs for name, fit in FITS.items()},
            "options": {name: fit.options for name, fit in FITS.items()},
            "n": arguments.n,
            "jobs": arguments.jobs,
            "without_scores": plain,
            "rows": rows,
        },
    )


def limited(data: Path, out: Path, problems: int) -> Path:
    """Copy the first problems of both sides, with their chains and labels, to a directory of their own."""
    few = out / "data"
    few.mkdir(parents=True, exist_ok=True)
    for side in ("train", "test"):
        kept = by_id(islice(read_problems(data / f"{side}.problems.jsonl"), problems))
        write_records(few / f"{side}.problems.jsonl", kept.values())
        chains = (chain for chain in read_chains(data / f"{side}.chains.jsonl") if chain.problem_id in kept)
        write_records(few / f"{side}.chains.jsonl", chains)
        if side == "train":
            labels = read_records(data / "train.labels.jsonl", StepLabels)
            write_records(few / "train.labels.jsonl", (label for label in labels if label.problem_id in kept))
    return few


def files_of(data: Path, side: str) -> list[str]:
    """Options naming the problems and chains of a side."""
    return [f"--problems={data}/{side}.problems.jsonl", f"--chains={data}/{side}.chains.jsonl"]


def read_test(data: Path, n: int) -> Test:
    """Read test problems and chains, with the exact truth of every step and the verdict on every answer."""
    files, drops = (data / "test.problems.jsonl", data / "test.chains.jsonl"), Drops()
    world, own = read_own(WORLD, *files, drops), read_own(BEST_OF_N, *files, drops)
    truths = [truth for truth in world.truths if isinstance(truth, StepTruth)]
    candidates = [truth for truth in own.truths if isinstance(truth, Candidates)]
    pools = of_size(make_pools(candidates, own.problems, own.chains, drops), n, drops)
    return Test(files_of(data, "test"), truths, [len(world.chains[t.chain_id].text) for t in truths], pools)


def measured(name: str, fit: Fit, seed: int, data: Path, test: Test, out: Path) -> list[dict[str, Any]]:
    """Train a model, and return the figures of each of its heads."""
    model = out / f"{slug(name)}-{seed}"
    given = [f"--base={POLICY}", *files_of(data, "train"), f"--labels={data}/train.labels.jsonl"]
    fixed = ["--held-out=0", "--report-to=none", f"--seed={seed}", f"--epochs={fit.epochs}"]
    run("train", *given, *fixed, *fit.options, f"--out={model}")
    rows = []
    for head, how in fit.heads.items():
        path = out / f"{slug(head)}-{seed}.jsonl"
        run("score", f"--scorer={model}", *test.files, *how, f"--out={path}")
        rows.append({"model": head, "seed": seed, **quality(path, test, fit.aggregator), **cost(model, fit)})
        print(f"{head}, seed {seed}: {rows[-1]}", file=sys.stderr, flush=True)
    return rows


def quality(scores: Path, test: Test, of_steps: str) -> dict[str, float]:
    """Quality of scores against the truth: each figure of `COLUMNS` that applies to them.

    Args:
        scores: file of scores.
        test: the test data.
        of_steps: aggregator of step scores.
    """
    table, settings = read_scores(scores), EvalSettings()
    aggregator = of_steps if table.kind == "prm" else ""
    numbers = list(best_of_n(test.pools, {"own": table}, settings).numbers)
    if table.kind == "prm":
        numbers += localization(test.truths, test.lengths, {"own": table}, settings).numbers
    most = f"best-of-{len(test.pools[0].chain_ids)}"
    wanted = {
        "chain_auroc": ("chain_auroc", aggregator),
        "best_of_n": (most, aggregator),
        "step_auroc": ("step_auroc", ""),
        "step_auroc_within_position": ("step_auroc_within_position", ""),
        "f1_oracle": ("f1", ORACLE),
    }
    if is_probability(table.values):
        wanted["f1"] = ("f1", "fixed 0.5")
    return {figure: value for figure, what in wanted.items() for value in _values(numbers, *what)}


def _values(numbers: Sequence[Number], name: str, variant: str) -> list[float]:
    """Values of a metric over the whole suite: one, or none if it is missing."""
    alike = [n for n in numbers if (n.scorer, n.name, n.split, n.variant) == ("own", name, ALL, variant)]
    return [float(number.drawn[0]) for number in alike]


def cost(model: Path, fit: Fit) -> dict[str, float]:
    """Seconds and tokens of the training loop."""
    log = json.loads((model / "training_log.json").read_text(encoding="utf-8"))["log"]
    audit = json.loads((model / "audit.json").read_text(encoding="utf-8"))
    seconds = next(row["train_runtime"] for row in reversed(log) if "train_runtime" in row)
    return {"seconds": seconds, "tokens": audit["train"]["tokens"] * fit.epochs}


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print one row per head."""
    print(f"| model | {' | '.join(COLUMNS)} |\n|{' --- |' * (len(COLUMNS) + 1)}")
    for name in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == name]
        print(f"| {name} | {' | '.join(cell([row.get(figure) for row in own]) for figure in COLUMNS.values())} |")


def print_differences(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print how each model differs from the first, seed by seed, with a 95% interval of Student's t over the seeds."""
    figures = {heading: name for heading, name in COLUMNS.items() if name in COMPARED}
    names = list(dict.fromkeys(row["model"] for row in rows))
    print(f"\n| less {names[0]} | {' | '.join(figures)} |\n|{' --- |' * (len(figures) + 1)}")
    for name in names[1:]:
        cells = [difference(rows, name, names[0], figure) for figure in figures.values()]
        print(f"| {name} | {' | '.join(cells)} |")


def difference(rows: Sequence[Mapping[str, Any]], name: str, other: str, figure: str) -> str:
    """The mean difference of two models over the seeds, and its interval."""
    ours, theirs = ({row["seed"]: row.get(figure) for row in rows if row["model"] == model} for model in (name, other))
    gaps = [value - theirs[seed] for seed, value in ours.items() if value is not None and theirs.get(seed) is not None]
    if len(gaps) < 2:
        return "-"
    return over_seeds(gaps, 3)


def over_seeds(values: Sequence[float], digits: int) -> str:
    """The mean of at least two seeds, with its 95% interval of Student's t."""
    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    mean, low, high = (f"{value:+.{digits}f}" for value in (fmean(values), fmean(values) - half, fmean(values) + half))
    return f"{mean} ({low} to {high})"


def cell(values: Sequence[float | None]) -> str:
    """Mean, minimum and maximum; a dash without values."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    mean, form = sum(known) / len(known), ",.0f" if max(known) > 1 else ".3f"
    spread = f" ({min(known):{form}} to {max(known):{form}})" if min(known) < max(known) else ""
    return f"{mean:{form}}{spread}"


def slug(name: str) -> str:
    """File name for a model or head."""
    return name.lower().replace(",", "").replace(" ", "-")


if __name__ == "__main__":
    main()
