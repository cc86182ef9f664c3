"""Peak memory of `prm label` itself, without the engine, for 1,000 and 20,000 chains.

    python -m prm.benchmarks.perf.label_memory --out runs/memory

vLLM's engine is a separate process, so the peak of the command's process (`VmHWM`) is the labeler's alone.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from itertools import islice
from pathlib import Path

from .job import machine, make_chains, peak_of, prm


def main() -> None:
    """Measure, and print one line per size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/memory"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 20_000])
    arguments = parser.parse_args()
    *data, _ = make_chains(arguments.out, max(arguments.sizes) // 8, 8)
    print(machine())
    peaks = []
    for size in arguments.sizes:
        chains = arguments.out / f"chains{size}.jsonl"
        with (arguments.out / "chains.jsonl").open() as source, chains.open("w") as target:
            target.writelines(islice(source, size))
        peaks.append(labeling_peak(data, chains, arguments.out / f"labels{size}.jsonl"))
        print(f"{size:7,} chains: peak {peaks[-1] / 1024:,.0f} MiB, {peaks[-1] / peaks[0] - 1:+.1%}")


def labeling_peak(data: list[str], chains: Path, out: Path) -> int:
    """Peak memory of the command, in KiB."""
    job = [*data, f"--chains={chains}", "--strategy=bisect", "--rollouts=4", f"--out={out}", "--overwrite"]
    process, peak = subprocess.Popen(prm("label", *job)), 0
    while process.poll() is None:
        peak = max(peak, peak_of(process.pid))
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"the job failed with exit code {process.returncode}")
    return peak


if __name__ == "__main__":
    main()
