"""What every job does, called from Python or from the command line: rows in, one output made once, drops written down.

    place = Workspace(out, "scores.jsonl")
    files = place.files(problems=problems, chains=chains)
    job = Job(place.out, "score", settings, files)
    with making(job, "scores", overwrite) as counts:
        if counts is not None:
            …  # write job.output, count what is in it
    return place.records(job, StepScores)

A job reads and writes files, whatever its caller holds: so it can be killed and go on, and a notebook takes the same
way as the command line.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from prm import console
from prm.errors import InputError, PrmError

from .drops import Drops, drops_path
from .files import SCHEMAS, R, read_records, to_json
from .manifest import Job
from .records import Drop
from .writing import write_lines

if TYPE_CHECKING:
    import datasets
    import pandas as pd


class Output:
    """What a job made.

    Without a name of its own it lies in a temporary directory, for as long as this object lives.
    """

    def __init__(self, path: Path, counts: Mapping[str, Any], place: Workspace | None = None) -> None:
        self.path = path
        """A file, or the directory of a checkpoint."""
        self.counts = counts
        """What it holds, and how many rows were dropped for each reason."""
        self._place = place

    @property
    def drops(self) -> list[Drop]:
        """The rows that could not be used, each with its reason."""
        path = drops_path(self.path)
        return list(read_records(path, Drop)) if path.exists() else []


class Records(Output, Generic[R]):
    """A file of records: iterate over it, take its length, or make a table of it."""

    def __init__(self, path: Path, kind: type[R], counts: Mapping[str, Any], place: Workspace | None = None) -> None:
        super().__init__(path, counts, place)
        self.kind: type[R] = kind

    def __iter__(self) -> Iterator[R]:
        return read_records(self.path, self.kind)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def to_pandas(self) -> pd.DataFrame:
        """A table with a column per field and a row per record.

        Raises:
            PrmError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise PrmError("pandas is not installed", "pip install pandas") from error
        return pd.DataFrame([asdict(record) for record in self])

    def to_dataset(self) -> datasets.Dataset:
        """A `datasets.Dataset` with a column per field and a row per record."""
        import datasets

        return datasets.Dataset.from_list([asdict(record) for record in self])


Source = str | os.PathLike[str] | Output | Iterable[Any]
"""Rows as a caller holds them: a file, what another job made, records, plain rows, a `datasets.Dataset`, or a table of
pandas. A path is read where it lies; all else is written to a temporary file first."""


class Workspace:
    """Where one call of a job reads and writes.

    Args:
        out: the output; None for one that is kept for as long as the result of the job lives.
        name: of the output in that case.
    """

    def __init__(self, out: str | os.PathLike[str] | None, name: str) -> None:
        self._scratch: Path | None = None
        self.out = self._temporary(name) if out is None else Path(out)

    def _temporary(self, name: str) -> Path:
        """A path in a directory that is deleted with this object."""
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="prm-"))
            weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        return self._scratch / name

    def files(self, **sources: Source | None) -> dict[str, Path]:
        """The files of these sources by name; sources that are None are left out.

        Raises:
            InputError: a row is neither a record nor a mapping, or cannot be written as JSON.
        """
        return {name: self._file(name, source) for name, source in sources.items() if source is not None}

    def _file(self, name: str, source: Source) -> Path:
        if isinstance(source, str | os.PathLike):
            return Path(source)
        if isinstance(source, Output):
            return source.path
        path = self._temporary(f"{name}.jsonl")
        write_lines(path, _lines(name, source))
        return path

    def records(self, job: Job, kind: type[R]) -> Records[R]:
        """What the job made, as records."""
        return Records(job.output, kind, job.counts(), self)

    def output(self, job: Job) -> Output:
        """What the job made."""
        return Output(job.output, job.counts(), self)


def _lines(name: str, source: Any) -> Iterator[str]:
    """The rows of a source as JSONL."""
    if type(source).__module__.partition(".")[0] == "pandas":
        yield from source.to_json(orient="records", lines=True, force_ascii=False).splitlines()
        return
    if isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise InputError(f"{name}: a {type(source).__name__} is not a source of rows", "give a file, or a list of rows")
    for number, row in enumerate(source, start=1):
        if type(row) in SCHEMAS:
            yield to_json(row)
        elif isinstance(row, Mapping):
            yield _json(name, number, row)
        else:
            raise InputError(f"{name}: row {number} is a {type(row).__name__}", "give records, or rows as mappings")


def _json(name: str, number: int, row: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(row), ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: row {number} cannot be written as JSON: {error}", "use plain values") from error


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
