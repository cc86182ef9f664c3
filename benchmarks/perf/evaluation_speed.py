"""Time and memory of `prm eval` on made-up scores, in the sizes of real suites.

    python -m prm.benchmarks.perf.evaluation_speed --out runs/evaluation-speed

* all metrics of ProcessBench: 3,400 rows in its four splits, two scorers, 1,000 bootstrap draws (limit: 3 s);
* best of k: 5,000 problems with 256 solutions each, six aggregators, with votes and intervals, from checked pools and a
  file of step scores (limit: 20 s and 4 GiB).

Each is one run of the command, timed from start to end, imports included; memory is the peak.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from prm.data.files import to_json
from prm.data.records import StepScores
from prm.data.writing import write_lines

from ..pools import Pool, pool_to_json
from .job import machine, prm

SPLITS = {"gsm8k": 400, "math": 1000, "olympiadbench": 1000, "omnimath": 1000}
"""Rows per split of ProcessBench."""


def main() -> None:
    """Make the missing files, run both measurements, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/evaluation-speed"))
    parser.add_argument("--problems", type=int, default=5000, help="problems for best of k (default: 5,000)")
    parser.add_argument("--n", type=int, default=256, help="solutions per problem (default: 256)")
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    made = {
        "ProcessBench, 3,400 rows, 2 scorers": process_bench(out),
        f"best of k, {arguments.problems:,} x {arguments.n}, 6 aggregators": pools(
            out, arguments.problems, arguments.n
        ),
    }
    print(f"{machine()}\n\n| command | seconds | GiB |\n| --- | --- | --- |")
    for name, words in made.items():
        seconds, memory = measured([*words, "--overwrite"])
        print(f"| {name} | {seconds:.1f} | {memory:.2f} |", flush=True)


def measured(words: list[str]) -> tuple[float, float]:
    """Seconds and peak GiB of one run of a command; the peak is over all runs so far, so the smaller one goes first."""
    started = time.monotonic()
    subprocess.run(prm(*words), check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - started
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def process_bench(out: Path) -> list[str]:
    """Write rows with errors in half of the solutions, and two scorers; return the command to run."""
    data, rng = out / "processbench", random.Random(0)
    data.mkdir(exist_ok=True)
    scores: dict[str, list[StepScores]] = {"good": [], "poor": []}
    for split, count in SPLITS.items():
        rows = [_row(rng, f"{split}-{i}") for i in range(count)]
        (data / f"{split}.json").write_text(json.dumps(rows), encoding="utf-8")
    run_suite = [*prm("suite", "processbench", data, "--out", out / "suite"), "--overwrite"]
    subprocess.run(run_suite, check=True, stdout=subprocess.DEVNULL)
    with (out / "suite" / "chains.jsonl").open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            for name, own in scores.items():
                values = tuple(rng.random() ** (0.3 if name == "good" else 0.8) for _ in row["steps"])
                own.append(StepScores(row["id"], row["problem_id"], values, "prm"))
    for name, own in scores.items():
        write_lines(out / f"{name}.jsonl", map(to_json, own))
    files = [f"--scores={name}={out}/{name}.jsonl" for name in scores]
    return ["eval", "processbench", str(data), *files, f"--out={out}/processbench.json"]


def _row(rng: random.Random, identity: str) -> dict[str, object]:
    steps = [f"Step {i} of {identity}: " + "so it goes on. " * rng.randint(2, 12) for i in range(rng.randint(3, 14))]
    label = rng.randrange(len(steps)) if rng.random() < 0.5 else -1
    return {
        "id": identity, "generator": "made up", "problem": f"What is {identity}?", "steps": steps,
        "final_answer_correct": label < 0 or rng.random() < 0.2, "label": label,
    }  # fmt: skip


def pools(out: Path, problems: int, n: int) -> list[str]:
    """Write checked pools with some 30 answers each, and scores of some eight steps; return the command to run."""
    rng, chances = random.Random(0), random.Random(1)
    rights = [[chances.random() < chance for _ in range(n)] for chance in (chances.random() for _ in range(problems))]
    name = f"{problems}x{n}"
    if not (out / f"{name}.scores.jsonl").exists():
        write_lines(out / f"{name}.pools.jsonl", (pool_to_json(_pool(rng, i, own)) for i, own in enumerate(rights)))
        write_lines(out / f"{name}.scores.jsonl", map(to_json, _scores(rng, rights)))
    given = [f"--pools={out}/{name}.pools.jsonl", f"--scores=PRM={out}/{name}.scores.jsonl"]
    return ["eval", "best-of-n", *given, f"--out={out}/{name}.json"]


def _pool(rng: random.Random, number: int, is_right: list[bool]) -> Pool:
    groups = tuple(0 if right else min(1 + int(rng.expovariate(0.1)), 60) for right in is_right)
    ids = tuple(f"p{number}/{i}" for i in range(len(is_right)))
    return Pool(f"p{number}", "all", ids, tuple(is_right), groups, tuple(rng.randint(200, 2000) for _ in ids))


def _scores(rng: random.Random, rights: list[list[bool]]) -> Iterator[StepScores]:
    for number, own in enumerate(rights):
        for place, right in enumerate(own):
            values = tuple(round(rng.random() ** (0.4 if right else 0.7), 6) for _ in range(rng.randint(4, 12)))
            yield StepScores(f"p{number}/{place}", f"p{number}", values, "prm")


if __name__ == "__main__":
    main()
