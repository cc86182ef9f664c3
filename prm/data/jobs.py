"""What every command does with its output: make it once, count and write down what was dropped, say where it is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from prm import console

from .drops import Drops, drops_path
from .manifest import Job


def is_main_process() -> bool:
    """Whether this is the one process that writes, of those that torchrun started."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def making(job: Job, what: str, overwrite: bool) -> Iterator[dict[str, Any] | None]:
    """Yield a dict for the counts of a job's output, or None where the output is there already; then say so.

    Of several processes that run the same command only the main one holds, finishes and speaks of the output.
    """
    if not is_main_process():
        console.be_quiet()
        yield None if job.is_done(overwrite=overwrite) else {}
        return
    if job.is_done(overwrite=overwrite):
        console.summary(f"{what} already there, reused", job.counts(), job.output)
        yield None
        return
    started, counts = time.time(), dict[str, Any]()
    with job.taken_up(overwrite=overwrite) if job.unfinished else nullcontext():
        try:
            yield counts
        except KeyboardInterrupt:
            again = "goes on where this one was" if job.unfinished else "starts anew; nothing is left behind"
            console.say(f"stopped: the same command{', without --overwrite,' if overwrite else ''} {again}")
            raise
        job.finish(counts, started)
    beside = drops_path(job.output)
    console.summary(what, counts, job.output, beside if beside.exists() else None)


def write_drops(drops: Drops, out: Path, counts: dict[str, Any]) -> None:
    """Write down beside `out` what was dropped, and add how many for each reason to `counts`."""
    drops.write(out)
    counts |= {f"dropped ({reason})": number for reason, number in drops.by_reason().items()}
