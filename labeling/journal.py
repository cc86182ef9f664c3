"""The journal of a labeling job: finished work is never lost, repeated or counted twice.

While an output `labels.jsonl` is made, these files are beside it:

    labels.jsonl.rollouts.jsonl   every finished rollout, in the order of completion; stays
    labels.jsonl.partial          the labels so far, in the order of the chains; becomes the output
    labels.jsonl.dropped.jsonl    the chains so far that cannot be labeled; stays
    labels.jsonl.lock             held by the process that is writing

Each event is one line, handed to the operating system before the next event is read, so the process can be killed at
any moment; a half-written line is removed when the job resumes. A chain's rollouts are written before its labels.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from prm.data.drops import drops_path
from prm.data.files import from_json, read_records, to_json
from prm.data.jobs import Output
from prm.data.reading import numbered_lines
from prm.data.records import Drop, Rollout, StepLabels
from prm.data.writing import GrowingFile, partial_path
from prm.errors import OutputError

from .labeler import Event
from .tally import Tally


def stored_labels(labels: str | Path | Output) -> dict[str, Path]:
    """The file of labels that a job made, and that of its rollouts, which lies beside it."""
    path = labels.path if isinstance(labels, Output) else Path(labels)
    return {"labels": path, "rollouts": rollouts_path(path)}


def rollouts_path(output: Path) -> Path:
    """Path of an output's rollouts."""
    return output.with_name(output.name + ".rollouts.jsonl")


def unfinished(output: Path) -> tuple[Path, Path, Path]:
    """Paths of the labels so far, the rollouts and the drops."""
    return partial_path(output), rollouts_path(output), drops_path(output)


class StoredRollouts(Mapping[str, Sequence[Rollout]]):
    """The rollouts of a file by chain, each read on access: memory holds only their positions.

    Args:
        path: the file.
        size: its size, in bytes, when it was last whole; what was appended since is not read. None for all of it.
    """

    def __init__(self, path: Path, size: int | None = None) -> None:
        self._path = path
        self._places: defaultdict[str, list[int]] = defaultdict(list)
        for _, start, line in numbered_lines(path):
            if size is not None and start >= size:
                break
            self._places[json.loads(line)["chain_id"]].append(start)

    def __getitem__(self, chain_id: str) -> Sequence[Rollout]:
        if chain_id not in self._places:
            raise KeyError(chain_id)
        with self._path.open("rb") as file:
            return [_rollout(file, start) for start in self._places[chain_id]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _rollout(file: BinaryIO, start: int) -> Rollout:
    file.seek(start)
    record = from_json(file.readline().decode())
    assert isinstance(record, Rollout)  # the file holds nothing else
    return record


class Journal:
    """The events of a job on disk: a context manager, for a process that has locked the output (`Job.taken_up`).

    Args:
        output: path of the labels.
        fixed: K of the job, against which `tally` computes the share saved.
        strange: rows of the chains' file that hold none: they are written with the drops, and count as no chain.

    Raises:
        OutputError: the disk cannot be written.
    """

    def __init__(self, output: Path, *, fixed: int = 8, strange: Iterable[Drop] = ()) -> None:
        self.output = output
        self._strange = {drop.id: drop for drop in strange}
        self.tally = Tally(fixed)
        """Counts of all events, those of earlier runs included."""

    def __enter__(self) -> Journal:
        with ExitStack() as stack:
            files = (stack.enter_context(closing(GrowingFile(path))) for path in unfinished(self.output))
            self._labels, self._rollouts, self._drops = files
            self._write_strange()
            stack.callback(self._remove_empty_drops)
            self._stack = stack.pop_all()
        return self

    def _write_strange(self) -> None:
        """Those that an earlier run has not written."""
        written = {drop.id for drop in read_records(self._drops.path, Drop)}
        self._drops.append(*(to_json(drop) for identity, drop in self._strange.items() if identity not in written))

    def _remove_empty_drops(self) -> None:
        if not self._drops.count:
            self._drops.path.unlink()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stack.close()
        except OutputError:
            if error is None:
                raise

    @property
    def finished(self) -> int:
        """Number of chains labeled or dropped so far; these are always the first ones."""
        return self._labels.count + self._drops.count - len(self._strange)

    @property
    def cut(self) -> int:
        """Number of bytes removed, of half-written lines."""
        return self._rollouts.cut + self._labels.cut + self._drops.cut

    def earlier(self, done: Collection[str], following: Collection[str]) -> dict[str, list[Rollout]]:
        """Read the events so far into `tally`, and return the rollouts of the chains to come.

        Args:
            done: ids of the first `finished` chains.
            following: ids of the next `prm.labeling.labeler.WINDOW` chains: no others can have rollouts that are still
                needed.

        Raises:
            OutputError: the labels and drops on disk do not belong to the first chains.
        """
        found: defaultdict[str, list[Rollout]] = defaultdict(list)
        is_whole = True
        for rollout in read_records(self._rollouts.path, Rollout):
            self.tally.add(rollout)
            if rollout.chain_id in following:
                found[rollout.chain_id].append(rollout)
            elif rollout.chain_id not in done:
                is_whole = False
        if not is_whole or self._settled() != set(done):
            raise OutputError(
                f"{self.output}: the labels and drops on disk do not belong to the first {len(done):,} chains",
                "a file of the job is missing: choose another output, or overwrite it (--overwrite, overwrite=True)",
            )
        return dict(found)

    def stored(self) -> StoredRollouts:
        """Read the events so far into `tally`, and return the rollouts of all chains, whichever job drew them."""
        for rollout in read_records(self._rollouts.path, Rollout):
            self.tally.add(rollout)
        self._settled()
        return StoredRollouts(self._rollouts.path)

    def _settled(self) -> set[str]:
        """Ids of the chains with labels or drops on disk; counts these in `tally`."""
        ids = set()
        for labels in read_records(self._labels.path, StepLabels):
            self.tally.add(labels)
            ids.add(labels.chain_id)
        for drop in read_records(self._drops.path, Drop):
            if drop.id not in self._strange:
                self.tally.add(drop)
                ids.add(drop.id)
        return ids

    def append(self, event: Event) -> None:
        """Write an event to disk.

        Raises:
            OutputError: it cannot be written; all earlier events are safe.
        """
        self._file_of(event).append(to_json(event))
        self.tally.add(event)

    def _file_of(self, event: Event) -> GrowingFile:
        if isinstance(event, Rollout):
            return self._rollouts
        return self._labels if isinstance(event, StepLabels) else self._drops

    def finish(self, chains: int) -> None:
        """Turn the labels into the output, once all chains are done.

        Raises:
            OutputError: fewer than `chains` are done.
        """
        if self.finished != chains:
            raise OutputError(
                f"{self.output}: {self.finished:,} of {chains:,} chains are done", "run the same job again"
            )
        self._labels.become(self.output)
