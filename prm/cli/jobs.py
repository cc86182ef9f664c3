"""What every command does with its output: make it once, count and write down what was dropped, say where it is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prm import console
from prm.drops import Drops
from prm.errors import OutputError
from prm.manifest import Job


@contextmanager
def making(job: Job, what: str, overwrite: bool) -> Iterator[dict[str, Any] | None]:
    """Yield a dict for the counts of a job's output, or None where the output is there already; then say so."""
    if job.is_done(overwrite=overwrite):
        console.summary(f"{what} already there, reused", job.counts(), job.output)
        yield None
        return
    started, counts = time.time(), dict[str, Any]()
    yield counts
    job.finish(counts, started)
    beside = job.output.with_name(job.output.name + ".dropped.jsonl")
    console.summary(what, counts, job.output, beside if beside.exists() else None)


def write_drops(drops: Drops, out: Path, counts: dict[str, Any]) -> None:
    """Write down beside `out` what was dropped, and add how many for each reason to `counts`."""
    drops.write(out)
    counts |= {f"dropped ({reason})": number for reason, number in drops.by_reason().items()}


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a result as one JSON object.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}", "choose another --out") from error
