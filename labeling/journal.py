"""The journal of a labelling job: work once done is not lost, done twice or counted twice.

Beside an output `labels.jsonl` lie, while it is made:

    labels.jsonl.rollouts.jsonl   every finished rollout, in the order in which they came; stays
    labels.jsonl.partial          the labels of the first chains, in the chains' order; becomes the output
    labels.jsonl.dropped.jsonl    the chains among them that cannot be labelled; stays
    labels.jsonl.lock             held by the process that writes

Each event is one line, given to the operating system before the next is looked at, so a process can be killed at any
moment; a line that was half written is cut off when the job goes on. A chain's rollouts are written before its labels.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from labeling.label import Event
from labeling.tally import Tally
from prm.drops import drops_path
from prm.errors import OutputError
from prm.files import read_records, to_json
from prm.manifest import Job
from prm.records import Drop, Rollout, StepLabels


def rollouts_path(output: Path) -> Path:
    """Where the rollouts of an output are written down."""
    return output.with_name(output.name + ".rollouts.jsonl")


class _Lines:
    """A file of lines that grows: what was half written is cut off at the start, and each line is written at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cut, self.count = _mend(path)
        self._file = path.open("ab", buffering=0)

    def append(self, line: str) -> None:
        rest = memoryview(line.encode() + b"\n")
        while rest:
            rest = rest[self._file.write(rest) :]
        self.count += 1

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        try:
            self.sync()
        finally:
            self._file.close()


def _mend(path: Path) -> tuple[int, int]:
    """Cut off a last line without an end. Returns how many bytes were cut, and how many lines are left."""
    path.touch()
    lines, whole, size = 0, 0, path.stat().st_size
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                lines, whole = lines + 1, whole + len(line)
    os.truncate(path, whole)
    return size - whole, lines


def unfinished(output: Path) -> tuple[Path, Path, Path]:
    """Where a job keeps its rollouts, the labels so far, and the drops."""
    return rollouts_path(output), output.with_name(output.name + ".partial"), drops_path(output)


class Journal:
    """The events of a job on disk. Use it as a context: one process at a time holds it.

    Args:
        job: with `unfinished(job.output)`.
        overwrite: throw away what is there.
        fixed: K of the job, against which `tally` reckons what was saved.

    Raises:
        OutputError: another process works on the same output or has just made it, or the disk cannot be written.
    """

    def __init__(self, job: Job, *, overwrite: bool = False, fixed: int = 8) -> None:
        self.job = job
        self.output = job.output
        self.tally = Tally(fixed)
        """Of all events, those of earlier runs included."""
        self._overwrite = overwrite
        self._lock = FileLock(self.output.with_name(self.output.name + ".lock"))

    def __enter__(self) -> Journal:
        try:
            self.output.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise OutputError(
                f"{self.output}: another process is working on it", "wait for it, or choose another --out"
            ) from error
        except OSError as error:
            raise self._disk_error(error) from error
        try:
            self._open()
        except BaseException as error:
            self._lock.release()
            raise self._disk_error(error) if isinstance(error, OSError) else error from error
        return self

    def _open(self) -> None:
        if self.job.is_done(overwrite=self._overwrite):
            raise OutputError(f"{self.output}: another process has just made it", "run the same command again")
        paths = unfinished(self.output)
        if self._overwrite:
            for path in (self.output, *paths):
                path.unlink(missing_ok=True)
        self.job.begin()
        self._rollouts, self._labels, self._drops = map(_Lines, paths)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with ExitStack() as stack:  # closes all, also where one cannot be written
                for lines in (self._rollouts, self._labels, self._drops):
                    stack.callback(lines.close)
            if not self._drops.count:
                self._drops.path.unlink()
        except OSError as problem:
            if error is None:
                raise self._disk_error(problem) from problem
        finally:
            self._lock.release()

    @property
    def finished(self) -> int:
        """How many chains, from the first on, are labelled or dropped."""
        return self._labels.count + self._drops.count

    @property
    def cut(self) -> int:
        """How many bytes of half-written lines were cut off."""
        return self._rollouts.cut + self._labels.cut + self._drops.cut

    def earlier(self, done: Collection[str], following: Collection[str]) -> dict[str, list[Rollout]]:
        """Read what is there into `tally`, and return the rollouts of the chains that follow.

        Args:
            done: ids of the first `finished` chains.
            following: ids of the next `labeling.label.WINDOW` chains: no others can have rollouts that still matter.

        Raises:
            OutputError: the labels and drops that are there are not those of the first chains.
        """
        found: defaultdict[str, list[Rollout]] = defaultdict(list)
        for rollout in read_records(self._rollouts.path, Rollout):
            self.tally.add(rollout)
            if rollout.chain_id in following:
                found[rollout.chain_id].append(rollout)
        if self._settled() != set(done):
            raise OutputError(
                f"{self.output}: the labels and drops that are there are not those of the first {len(done):,} chains",
                "a file of the job was taken away: choose another --out, or give --overwrite",
            )
        return dict(found)

    def _settled(self) -> set[str]:
        """Ids of the chains whose labels or drops are there; reads them into `tally`."""
        ids = set()
        for labels in read_records(self._labels.path, StepLabels):
            self.tally.add(labels)
            ids.add(labels.chain_id)
        for drop in read_records(self._drops.path, Drop):
            self.tally.add(drop)
            ids.add(drop.id)
        return ids

    def append(self, event: Event) -> None:
        """Write an event down.

        Raises:
            OutputError: it cannot be written; all before it are safe.
        """
        try:
            self._file_of(event).append(to_json(event))
        except OSError as error:
            raise self._disk_error(error) from error
        self.tally.add(event)

    def _file_of(self, event: Event) -> _Lines:
        if isinstance(event, Rollout):
            return self._rollouts
        return self._labels if isinstance(event, StepLabels) else self._drops

    def finish(self, chains: int) -> None:
        """All chains are done: the labels become the output.

        Raises:
            OutputError: they are not so many.
        """
        if self.finished != chains:
            raise OutputError(
                f"{self.output}: {self.finished:,} of {chains:,} chains are done", "run the same command again"
            )
        try:
            self._labels.sync()
            self._labels.path.replace(self.output)
        except OSError as error:
            raise self._disk_error(error) from error

    def _disk_error(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self.output}: cannot be written: {os.strerror(error.errno or 0)}",
            "free space and run the same command again: it goes on, nothing that is written is lost",
        )
