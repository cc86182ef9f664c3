"""Labeling on many machines: each Ray worker runs the same `Labeler` as a single process does, on blocks of chains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeGuard

from prm.data.files import ProblemFile, Record, from_json, sound_chains, to_json
from prm.data.records import Chain, Drop, Rollout, StepLabels
from prm.generation.ray_blocks import on_ray, over_gpus

from .journal import StoredRollouts
from .labeler import Event
from .setup import Setup

BLOCK = 256
"""Chains per block. An engine drains at the end of each block; a block is lost with its worker."""


@dataclass(frozen=True, slots=True)
class JobFiles:
    """The files that a worker reads."""

    problems: Path
    chains: Path
    splitter: str
    rollouts: Path
    """Rollouts of earlier runs; the job appends to it."""

    def absolute(self) -> JobFiles:
        """The same files, whatever directory the worker starts in. Links stay: rows may be named after their file."""
        names = ("problems", "chains", "rollouts")
        return replace(self, **{name: getattr(self, name).absolute() for name in names})


def label_on_ray(
    setup: Setup, files: JobFiles, first: int, total: int, *, workers: int, gpus: float
) -> Iterator[Event]:
    """Label the chains from the `first` on, of `total`, on `workers` workers; see `Labeler.run` and `on_ray`."""
    setup = replace(setup, engine=over_gpus(setup.engine, gpus))
    blocks = [f"{start} {min(BLOCK, total - start)}" for start in range(first, total, BLOCK)]
    begin = partial(_LabelWorker, setup, files.absolute(), files.rollouts.stat().st_size)
    for line in on_ray(begin, blocks, workers=workers, gpus=gpus):
        if _is_event(event := from_json(line)):
            yield event


def _is_event(record: Record) -> TypeGuard[Event]:
    return isinstance(record, Rollout | StepLabels | Drop)


class _LabelWorker:
    """Labels blocks of chains with its own engine.

    Args:
        setup: how to label.
        files: of the job.
        size: of the file of rollouts when the job began, in bytes: what was drawn since is not of this worker's blocks.
    """

    def __init__(self, setup: Setup, files: JobFiles, size: int) -> None:
        self._files = files
        self._problems, self._earlier = ProblemFile(files.problems), StoredRollouts(files.rollouts, size)
        self._restart()
        self._labeler = setup.labeler(setup.engine.start())

    def _restart(self) -> None:
        self._chains, self._position = sound_chains(self._files.chains, self._files.splitter, self._problems), 0

    def lines(self, block: str) -> Iterator[str]:
        """Label a block, named by its first chain and their number; yield the events."""
        first, number = map(int, block.split())
        return map(to_json, self._labeler.run(self._block(first, number), self._problems, self._earlier))

    def _block(self, first: int, number: int) -> Iterator[Chain]:
        """The chains of a block; most blocks follow an earlier one of this worker, so the file is read once."""
        if first < self._position:
            self._restart()
        skipped, self._position = first - self._position, first + number
        return islice(self._chains, skipped, skipped + number)
