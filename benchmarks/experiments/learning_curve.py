r"""What more chains buy: a PRM by hard labels and an ORM, trained on more and more of the same chains.

    python -m prm.benchmarks.experiments.learning_curve --data runs/world --out runs/learning-curve

`runs/world` is made by the commands of `prm.benchmarks.experiments.objectives`, with `--count 3000` for the training
problems, of which 12,000 chains are sampled. The models are trained and measured as there. Each training sees at least
4,000 chains, a small set for that up to four times, so that few chains are not confused with few steps. One table row
for each number of chains: mean, minimum and maximum over the seeds; `learning-curve.json` has the figures of every
seed, and `learning-curve.png` shows them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from prm.data.writing import write_bytes, write_json
from prm.plots import Panel, lines_in_panels

from ..perf.job import machine
from .objectives import FITS, Test, cell, limited, measured, read_test

MODELS = {"PRM hard labels": "PRM, hard labels", "ORM": "ORM"}
"""Name in `FITS` to name of the head."""
SEEN, EPOCHS = 4_000, 4
"""Chains that each training sees at least, and how often it may see the same one for that."""
COLUMNS = {
    "PRM: steps within position": ("PRM, hard labels", "step_auroc_within_position"),
    "right chain above wrong": ("PRM, hard labels", "chain_auroc"),
    "best of 16": ("PRM, hard labels", "best_of_n"),
    "ORM: right chain above wrong": ("ORM", "chain_auroc"),
    "ORM: best of 16": ("ORM", "best_of_n"),
}
"""Heading to head and figure."""


def main() -> None:
    """Train and score the missing models, measure all, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="directory of the data")
    parser.add_argument("--out", type=Path, default=Path("runs/learning-curve"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1_000, 2_000, 4_000, 8_000, 12_000])
    parser.add_argument("--each", type=int, default=4, help="chains of a problem (default: 4)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="models trained at once, sharing the cores (default: 2)")
    arguments = parser.parse_args()
    test = read_test(arguments.data, 16)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // arguments.jobs)))
    data = {
        size: limited(arguments.data, arguments.out / f"{size}-chains", size // arguments.each)
        for size in arguments.sizes
    }
    with ThreadPoolExecutor(arguments.jobs) as pool:
        waiting = [
            pool.submit(rows_of, name, size, seed, data[size], test)
            for seed in range(arguments.seeds)
            for size in arguments.sizes
            for name in MODELS
        ]
        rows = [row for future in waiting for row in future.result()]
    print(f"{machine()}, {arguments.seeds} seeds, {len(test.pools)} problems\n")
    print_table(rows)
    write_json(arguments.out / "learning-curve.json", {"machine": machine(), "data": str(arguments.data), "rows": rows})
    draw(rows, arguments.out / "learning-curve.png")
    print(f"\n{arguments.out}/learning-curve.json and .png")


def rows_of(name: str, size: int, seed: int, data: Path, test: Test) -> list[dict[str, Any]]:
    """The figures of a model that is trained on so many chains."""
    fit = replace(FITS[name], epochs=min(EPOCHS, max(1, SEEN / size)))
    return [{"chains": size, **row} for row in measured(name, fit, seed, data, test, data.parent)]


def values_of(rows: Sequence[Mapping[str, Any]], size: int, head: str, figure: str) -> list[float]:
    """A figure of all seeds."""
    return [row[figure] for row in rows if (row["chains"], row["model"]) == (size, head)]


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print one row for each number of chains."""
    print(f"| chains | {' | '.join(COLUMNS)} |\n|{' --- |' * (len(COLUMNS) + 1)}")
    for size in sorted({row["chains"] for row in rows}):
        print(f"| {size:,} | {' | '.join(cell(values_of(rows, size, *what)) for what in COLUMNS.values())} |")


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the figures over the chains: the mean of the seeds, in a band from the least to the largest."""
    panels: dict[str, Panel] = {}
    for name, title in {"chain_auroc": "right chain above wrong", "best_of_n": "best of 16"}.items():
        panels[title] = Panel("chains", "", {})
        for head in MODELS.values():
            by_size = {size: values_of(rows, size, head, name) for size in sorted({row["chains"] for row in rows})}
            panels[title].lines[head] = [(size, fmean(own), min(own), max(own)) for size, own in by_size.items()]
    write_bytes(path, lines_in_panels(panels))


if __name__ == "__main__":
    main()
