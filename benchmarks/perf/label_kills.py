"""Kill `prm label` at random moments and rerun it: are the labels those of an uninterrupted run?

    python -m prm.benchmarks.perf.label_kills --out runs/kills --kills 20

Four kinds of jobs in turn: on a server, in the process, extending labels of half the rollouts, and judging again. The
engine is a real vLLM that runs one sequence at a time without a prefix cache, so that its output depends on prompt and
seed alone; in a batch, the last bits of a logit depend on the other sequences. Each job is killed with SIGKILL at a
random moment, and its rerun must reproduce the reference byte for byte; every rollout in the journal at the kill must
still be there exactly once.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .job import machine, make_chains, prm, run, server


@dataclass(frozen=True)
class Kind:
    """A kind of job."""

    words: list[str]
    """Of its command, without the output."""
    before: Path | None = None
    """The output that it extends."""


def main() -> None:
    """Run the trials and print the outcome."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/kills"))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--problems", type=int, default=10)
    parser.add_argument("--port", type=int, default=8123)
    arguments = parser.parse_args()
    shutil.rmtree(arguments.out, ignore_errors=True)
    rng = random.Random(0)
    with server(arguments.port, "--max-num-seqs=1", "--no-enable-prefix-caching") as url:
        data = make_chains(arguments.out, arguments.problems, 4, 11, f"--endpoint={url}")
        kinds = {name: (kind, *reference(arguments.out, name, kind)) for name, kind in jobs(arguments.out, data, url)}
        for trial in range(arguments.kills):
            name = list(kinds)[trial % len(kinds)]
            kind, expected, seconds = kinds[name]
            output = arguments.out / f"trial{trial}.jsonl"
            begin(kind, output)
            while not was_killed(kind.words, output, rng.uniform(0.2, 0.95) * seconds):
                clear(output)
                begin(kind, output)
            finish(kind.words, output)
            compare(expected, output)
            print(f"{trial + 1} of {arguments.kills}: {name}: the same", flush=True)
    print(f"{arguments.kills} jobs killed and rerun: same labels and rollouts as without a kill ({machine()})")


def jobs(out: Path, data: list[str], url: str) -> Iterator[tuple[str, Kind]]:
    """The kinds of jobs by name; makes what they start from."""
    alone = ["--engine-option=max_num_seqs=1", "--engine-option=enable_prefix_caching=false"]
    job, half = ["label", *data, "--strategy=bisect", "--reproducible"], out / "half.jsonl"
    served = [*job, f"--endpoint={url}"]
    yield "on a server", Kind(served)
    yield "in the process", Kind([*job, *alone])
    run(*served, "--rollouts=4", f"--out={half}")
    yield "extended", Kind([*served, "--extend"], half)
    rows = [word for word in data if word.startswith(("--problems", "--chains"))]
    yield "judged again", Kind(["label", "rejudge", str(half), *rows, "--checker=minerva"])


def reference(out: Path, name: str, kind: Kind) -> tuple[Path, float]:
    """The output of a job that is not interrupted, and how long it took."""
    output = out / f"{name.replace(' ', '-')}.jsonl"
    begin(kind, output)
    started = time.monotonic()
    run(*kind.words, f"--out={output}")
    return output, time.monotonic() - started


def begin(kind: Kind, output: Path) -> None:
    """Put what a job extends in the place of its output."""
    if kind.before is not None:
        for path in kind.before.parent.glob(kind.before.name + "*"):
            shutil.copy(path, output.with_name(output.name + path.name.removeprefix(kind.before.name)))


def was_killed(job: list[str], output: Path, seconds: float) -> bool:
    """Start a job and kill it after some seconds; False if it finished first."""
    process = subprocess.Popen(prm(*job, f"--out={output}"))
    try:
        process.wait(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True


def clear(output: Path) -> None:
    """Delete all files of a job."""
    for path in output.parent.glob(output.name + "*"):
        path.unlink()


def finish(job: list[str], output: Path) -> None:
    """Rerun a killed job to its end; every earlier rollout must still be there."""
    before = whole_lines(rollouts_path(output))
    run(*job, f"--out={output}")
    if not before <= whole_lines(rollouts_path(output)):
        raise SystemExit(f"{output}: rollouts were lost")


def rollouts_path(output: Path) -> Path:
    """Path of the rollouts of an output."""
    return output.with_name(output.name + ".rollouts.jsonl")


def whole_lines(path: Path) -> set[bytes]:
    """Complete lines of a journal."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return {line for line in lines if line.endswith(b"\n")}


def compare(reference: Path, trial: Path) -> None:
    """Exit with an error if labels differ, or a rollout is missing or duplicated."""
    if trial.read_bytes() != reference.read_bytes():
        raise SystemExit(f"{trial}: labels differ from {reference}")
    rollouts = [sorted(rollouts_path(path).read_bytes().splitlines()) for path in (reference, trial)]
    if rollouts[0] != rollouts[1]:
        raise SystemExit(f"{trial}: rollouts differ from {reference}")


if __name__ == "__main__":
    main()
