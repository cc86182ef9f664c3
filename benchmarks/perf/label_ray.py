"""How much faster do two Ray workers label than one, and do they give the same counts for each chain?

    python -m prm.benchmarks.perf.label_ray --out runs/ray

The engine of each worker is a server that answers after a fixed wait, so that one machine can stand in for many: a
worker's rate is bounded by its requests in flight, not by the cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from prm.data.files import write_records
from prm.data.records import Chain, Problem

from ..arithmetic import POLICY
from .job import counts, machine, run
from .waiting_server import serve


def main() -> None:
    """Measure, and print one line per number of workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/ray"))
    parser.add_argument("--chains", type=int, default=4096)
    parser.add_argument("--wait", type=float, default=4.0, help="seconds before the server answers")
    arguments = parser.parse_args()
    out: Path = arguments.out
    write_records(out / "problems.jsonl", [Problem("p", "What is 2 + 2?", "4")])
    steps = ("2 + 2 = 5\n", "so it is 5\n", "The answer is 5")
    write_records(out / "chains.jsonl", (Chain(f"c{i}", "p", steps) for i in range(arguments.chains)))
    print(machine())
    seconds = {}
    with serve(arguments.wait) as server:
        given = [f"--model={POLICY}", f"--problems={out}/problems.jsonl", f"--chains={out}/chains.jsonl"]
        given += ["--rollouts=1", f"--endpoint={server.url}", "--engine=ray", "--overwrite", "--reproducible"]
        for workers in (1, 2):
            labels = out / f"labels{workers}.jsonl"
            run("label", *given, f"--workers={workers}", f"--out={labels}")
            seconds[workers] = counts(labels)["seconds"]
            print(f"{workers} workers: {seconds[workers]:.1f} s, {seconds[1] / seconds[workers]:.2f} times as fast")
    is_same = (out / "labels1.jsonl").read_bytes() == (out / "labels2.jsonl").read_bytes()
    print("same counts for each chain" if is_same else "COUNTS DIFFER")


if __name__ == "__main__":
    main()
