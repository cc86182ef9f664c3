"""Search on many machines: each Ray worker solves blocks of problems with an engine and a scorer of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from prm.data.files import ProblemFile
from prm.data.records import Drop
from prm.generation.ray_blocks import on_ray, over_gpus

from .ending import Solved
from .journal import event_of, line_of
from .searcher import Event
from .setup import Setup

BLOCK = 64
"""Problems per block. An engine drains at the end of each block; a block is lost with its worker."""


def search_on_ray(setup: Setup, problems: Path, ids: Sequence[str], *, workers: int, gpus: float) -> Iterator[Event]:
    """The ends of the searches for these problems of a file, on `workers` workers; see `on_ray`."""
    begin = partial(_SearchWorker, replace(setup, engine=over_gpus(setup.engine, gpus)), problems.absolute())
    blocks = [json.dumps(ids[i : i + BLOCK]) for i in range(0, len(ids), BLOCK)]
    yield from map(event_of, on_ray(begin, blocks, workers=workers, gpus=gpus))


class _SearchWorker:
    """Solves blocks of problems."""

    def __init__(self, setup: Setup, problems: Path) -> None:
        self._problems = ProblemFile(problems)
        self._held = ExitStack()
        self._searcher = self._held.enter_context(setup.searcher())

    def lines(self, block: str) -> Iterator[str]:
        """Solve the problems with these ids; yield how each search ended."""
        chosen = (self._problems[identity] for identity in json.loads(block))
        yield from (line_of(event) for event in self._searcher.run(chosen) if isinstance(event, Solved | Drop))
