"""What all jobs share, from Python and the command line: rows in, one output made once, dropped rows recorded.

    place = Workspace(out, "scores.jsonl")
    files = place.files(problems=problems, chains=chains)
    job = Job(place.out, "score", settings, files)
    with making(job, "scores", overwrite) as counts:
        if counts is not None:
            …  # write job.output, fill in counts
    return place.records(job, StepScores)

A job reads and writes files, whatever its caller passes in, so a killed job can resume and a notebook runs the same
code as the command line.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
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


def pandas_table(rows: list[dict[str, Any]], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A table with one row per row, and one column per key; `columns` names them even if there is no row.

    Raises:
        PrmError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise PrmError("pandas is not installed", "pip install pandas") from error
    return pd.DataFrame(rows, columns=columns)


class Output:
    """The output of a job.

    Without a path of its own (`out=None`) it lives in a temporary directory, for as long as this object does.
    """

    def __init__(self, path: Path, counts: Mapping[str, Any], place: Workspace | None = None) -> None:
        self.path = path
        """A file, or the directory of a checkpoint."""
        self.counts = counts
        """The number of records, and of rows dropped for each reason."""
        self._place = place

    @property
    def drops(self) -> list[Drop]:
        """The dropped rows, each with its reason."""
        path = drops_path(self.path)
        return list(read_records(path, Drop)) if path.exists() else []


class Records(Output, Generic[R]):
    """A file of records: iterate over it, take its `len`, or turn it into a table."""

    def __init__(self, path: Path, kind: type[R], counts: Mapping[str, Any], place: Workspace | None = None) -> None:
        super().__init__(path, counts, place)
        self.kind: type[R] = kind

    def __iter__(self) -> Iterator[R]:
        yield from read_records(self.path, self.kind)  # holds this object, and with it a temporary file

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def to_pandas(self) -> pd.DataFrame:
        """A pandas table with one row per record, and one column per field of the file.

        Raises:
            PrmError: pandas is not installed.
        """
        return pandas_table(self._rows(), self._columns())

    def to_dataset(self) -> datasets.Dataset:
        """A `datasets.Dataset` with one row per record, and one column per field of the file."""
        import datasets

        if rows := self._rows():
            return datasets.Dataset.from_list(rows)
        return datasets.Dataset.from_dict({column: [] for column in self._columns()})

    def _columns(self) -> list[str]:
        return ["schema", *(field.name for field in fields(self.kind))]

    def _rows(self) -> list[dict[str, Any]]:
        """The rows of the file. Their `schema` makes them the same records again where they are a source."""
        return [json.loads(to_json(record)) for record in self]


Source = str | os.PathLike[str] | Output | Iterable[Any]
"""Rows in any form: a file, the output of another job, records, plain rows, a `datasets.Dataset` or a pandas table.
Files and folders are read in place, see `prm.data.reading`; everything else is written to a temporary file first."""


class _Files(dict[str, Path]):
    """The files of a job; one that was not given is refused when it is asked for."""

    def __missing__(self, name: str) -> Path:
        raise InputError(f"{name} is missing", "pass a file or a list of rows")


def _named(out: str | os.PathLike[str]) -> Path:
    if not isinstance(out, str | os.PathLike) or "\0" in os.fspath(out) or not Path(out).resolve().name:
        raise InputError(f"out={out!r} does not name a file", "give a path")
    return Path(out) if Path(out).name else Path(out).resolve()


def _delete(scratch: Path, owner: int) -> None:
    """Delete a temporary directory, but not on behalf of a process that was forked from its owner."""
    if os.getpid() == owner:
        shutil.rmtree(scratch, ignore_errors=True)


class Workspace:
    """Where one call of a job reads and writes.

    Args:
        out: path of the output; None for a temporary one, kept for as long as the job's result.
        name: file name of a temporary output.
    """

    def __init__(self, out: str | os.PathLike[str] | None, name: str) -> None:
        self._scratch: Path | None = None
        self.out = self._temporary(name) if out is None else _named(out)

    def _temporary(self, name: str) -> Path:
        """A path in a directory that is deleted with this object."""
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="prm-"))
            weakref.finalize(self, _delete, self._scratch, os.getpid())
        return self._scratch / name

    def __deepcopy__(self, _: object) -> Workspace:
        return self  # a copy of a result shares its files

    def files(self, **sources: Source | None) -> dict[str, Path]:
        """Name the file of each source; a source of None has none.

        Raises:
            InputError: a row is neither a record nor a mapping, or cannot be written as JSON.
        """
        return _Files({name: self._file(name, source) for name, source in sources.items() if source is not None})

    def _file(self, name: str, source: Source) -> Path:
        if isinstance(source, str | os.PathLike):
            return Path(source)
        if isinstance(source, Output):
            return source.path
        path = self._temporary(f"{name}.jsonl")
        write_lines(path, _lines(name, source))
        return path

    def records(self, job: Job, kind: type[R]) -> Records[R]:
        """The output of the job, as records."""
        return Records(job.output, kind, job.counts(), self)

    def output(self, job: Job) -> Output:
        """The output of the job."""
        return Output(job.output, job.counts(), self)


def _lines(name: str, source: Any) -> Iterator[str]:
    """The rows of a source, as lines of JSON."""
    if type(source).__module__.partition(".")[0] == "pandas" and type(source).__name__ == "DataFrame":
        source = source.astype(object).where(source.notna(), None).to_dict("records")
        plain: Any = _plain
    else:
        plain = _numpy
    if isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise InputError(f"{name}: a {type(source).__name__} is not a source of rows", "pass a file or a list of rows")
    for number, row in enumerate(source, start=1):
        if type(row) not in SCHEMAS and not isinstance(row, Mapping):
            raise InputError(f"{name}: row {number} is a {type(row).__name__}", "pass records or mappings")
        try:
            line = to_json(row) if type(row) in SCHEMAS else _json(dict(row), plain)
            line.encode()  # a lone surrogate could not be written
        except (TypeError, ValueError, RecursionError) as error:
            why = "it is nested too deeply, or within itself" if isinstance(error, RecursionError) else error
            raise InputError(f"{name}: row {number} cannot be written as JSON: {why}", "use plain values") from error
        yield line


def _json(row: dict[str, Any], plain: Callable[[Any], Any]) -> str:
    """A row as JSON; a number that is not a number is a missing value, as in a table of pandas."""
    try:
        return json.dumps(row, ensure_ascii=False, default=plain, allow_nan=False)
    except ValueError:
        return json.dumps(_without_nan(row), ensure_ascii=False, default=plain)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value


def _numpy(value: Any) -> Any:
    """A value of numpy as one of Python."""
    if type(value).__module__ == "numpy":
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is not a plain value")


def _plain(value: Any) -> Any:
    """A cell of a table that JSON has no type for: lists for numpy's arrays, text for dates and the like."""
    return _numpy(value) if type(value).__module__ == "numpy" else str(value)


def is_main_process() -> bool:
    """Whether this process writes the output: the first of those that torchrun started."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def making(job: Job, what: str, overwrite: bool) -> Iterator[dict[str, Any] | None]:
    """Yield a dict to fill with the counts of a job's output, or None if the output already exists; report either.

    Of several processes that run the same job, only the main one locks, finishes and reports the output.
    """
    if not is_main_process():
        console.quiet()
        yield None if job.is_done(overwrite=overwrite) else {}
        return
    if job.is_done(overwrite=overwrite):
        console.summary(f"{what} already there, reused", job.counts(), job.output)
        yield None
        return
    started, counts = time.time(), dict[str, Any]()
    with job.taken_up(overwrite=overwrite):
        try:
            yield counts
        except KeyboardInterrupt:
            again = "resumes it" if job.unfinished else "starts over; nothing is left behind"
            console.say(f"stopped: the same command{', without --overwrite,' if overwrite else ''} {again}")
            raise
        job.finish(counts, started)
    beside = drops_path(job.output)
    console.summary(what, counts, job.output, beside if beside.exists() else None)


def write_drops(drops: Drops, out: Path, counts: dict[str, Any]) -> None:
    """Write the drops beside `out`, and add the number for each reason to `counts`."""
    drops.write(out)
    counts |= {f"dropped ({reason})": number for reason, number in drops.by_reason().items()}
