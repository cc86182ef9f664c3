"""Cost and accuracy of each labeling strategy, on the arithmetic world.

    python -m prm.benchmarks.perf.label_strategies --out runs/strategies

Hard labels are compared with the exact truth, on chains sampled at several temperatures (and so with several shares of
right chains); rollouts are sampled at temperature 1. Soft labels, plain and pooled over neighboring steps, are compared
with the share over 256 rollouts drawn with another seed, by mean absolute error over all steps but the last.
"""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path

from prm.data.files import by_id, read_records
from prm.data.records import LabelView, StepLabels

from ..arithmetic import POLICY
from .job import LIMIT, machine, run

HARD = {
    "fixed, K = 8": ["--strategy=fixed", "--rollouts=8"],
    "fixed, K = 4": ["--strategy=fixed", "--rollouts=4"],
    "fixed, K = 16": ["--strategy=fixed", "--rollouts=16"],
    "first-success, K = 8": ["--strategy=first-success", "--rollouts=8"],
    "bisect, K = 4": ["--strategy=bisect", "--rollouts=4"],
    "bisect, K = 8": ["--strategy=bisect", "--rollouts=8"],
    "bisect, K = 16": ["--strategy=bisect", "--rollouts=16"],
}
SOFT = {
    "fixed, K = 8": ["--strategy=fixed", "--rollouts=8"],
    "fixed, K = 16": ["--strategy=fixed", "--rollouts=16"],
    **{f"adaptive, width {w}": ["--strategy=adaptive", "--rollouts=64", f"--width={w}"] for w in (0.3, 0.35, 0.4)},
}


VIEWS: tuple[LabelView, ...] = ("soft", "pooled")


def main() -> None:
    """Measure, and print two tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/strategies"))
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[1.0, 1.15, 0.3])
    parser.add_argument("--soft-chains", type=int, default=100)
    arguments = parser.parse_args()
    print(f"{machine()}\n\n| right chains | strategy | rollouts per chain | of fixed | agreement with the truth |")
    print("| --- | --- | --- | --- | --- |")
    for temperature in arguments.temperatures:
        measure_hard(arguments.out / f"t{temperature}", arguments.problems, temperature)
    print("\n| strategy | rollouts per step | of K = 16 | error of the share | error, pooled |")
    print("| --- | --- | --- | --- | --- |")
    measure_soft(arguments.out / f"t{arguments.temperatures[0]}", arguments.soft_chains)


def measure_hard(out: Path, problems: int, temperature: float) -> None:
    """Print one row per strategy: rollouts, and agreement with the exact truth."""
    given = [f"--model={POLICY}", LIMIT]
    run("world", f"--count={problems}", "--seed=21", f"--out={out}/problems.jsonl")
    data = [f"--problems={out}/problems.jsonl", f"--chains={out}/chains.jsonl"]
    run("sample", *given, data[0], f"--temperature={temperature}", "--n=4", f"--out={out}/chains.jsonl")
    spent = {}
    for name, options in HARD.items():
        labels, result = out / f"{slug(name)}.jsonl", out / f"{slug(name)}.json"
        run("label", *given, *data, *options, f"--out={labels}")
        run("eval", "steps", *data, f"--labels={labels}", f"--out={result}")
        rows = list(read_records(labels, StepLabels))
        spent[name] = sum(sum(row.drawn) for row in rows) / len(rows)
        right = sum(row.outcome == "correct" for row in rows) / len(rows)
        agreement = json.loads(result.read_text())["labels"]["agreement"]
        share = spent[name] / spent["fixed, K = 8"]
        print(f"| {right:.0%} | {name} | {spent[name]:.1f} | {share:.2f} | {agreement:.1%} |", flush=True)


def measure_soft(out: Path, chains: int) -> None:
    """Print one row per strategy: rollouts, and distance of the soft labels from those of 256 rollouts."""
    few = out / "few-chains.jsonl"
    with (out / "chains.jsonl").open() as source:
        few.write_text("".join(islice(source, chains)))
    job = ["label", f"--model={POLICY}", LIMIT]
    job += [f"--problems={out}/problems.jsonl", f"--chains={few}"]
    run(*job, "--strategy=fixed", "--rollouts=256", "--seed=1", f"--out={out}/reference.jsonl")
    reference = by_id(read_records(out / "reference.jsonl", StepLabels))
    dearest = 0.0
    for name, options in SOFT.items():
        labels = out / f"soft-{slug(name)}.jsonl"
        run(*job, *options, f"--out={labels}")
        rows = list(read_records(labels, StepLabels))
        errors, pooled = (
            [error for row in rows for error in distances(row, reference[row.chain_id], view)] for view in VIEWS
        )
        spent = sum(sum(row.drawn) for row in rows) / len(errors)
        dearest = spent if name == "fixed, K = 16" else dearest
        share = spent / dearest if dearest else float("nan")
        found = " | ".join(f"{sum(e) / len(e):.4f}" for e in (errors, pooled))
        print(f"| {name} | {spent:.1f} | {share:.2f} | {found} |", flush=True)


def distances(labels: StepLabels, reference: StepLabels, view: LabelView) -> list[float]:
    """Distance of each label from the reference's share, without the last step, which has no rollouts."""
    pairs = zip(labels.view(view)[:-1], reference.soft[:-1], strict=True)
    return [abs(own - other) for own, other in pairs if own is not None and other is not None]


def slug(name: str) -> str:
    """File name for a strategy."""
    return name.replace(", ", "-").replace(" = ", "").replace(" ", "-").lower()


if __name__ == "__main__":
    main()
