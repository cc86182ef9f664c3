"""Sampling on many machines: each Ray worker draws the chains of blocks of problems."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from prm.data.drops import Drops
from prm.data.files import ProblemFile, from_json, to_json
from prm.data.records import Chain, Drop

from .ray_blocks import on_ray, over_gpus
from .sampling import Sampler

BLOCK = 64
"""Problems per block. An engine drains at the end of each block; a block is lost with its worker."""


def sample_on_ray(
    sampler: Sampler, problems: Path, ids: Sequence[str], drops: Drops, *, workers: int, gpus: float
) -> Iterator[list[Chain]]:
    """The chains of these problems of a file, one problem at a time, sampled on `workers` workers; see `on_ray`."""
    begin = partial(_SampleWorker, replace(sampler, engine=over_gpus(sampler.engine, gpus)), problems.absolute())
    blocks = [json.dumps(ids[i : i + BLOCK]) for i in range(0, len(ids), BLOCK)]
    group: list[Chain] = []
    for line in on_ray(begin, blocks, workers=workers, gpus=gpus):
        record = from_json(line)
        if isinstance(record, Drop):
            drops.add(record.id, record.reason, record.detail)
        elif isinstance(record, Chain):
            group.append(record)
        if len(group) == sampler.n:
            yield group
            group = []


class _SampleWorker:
    """Samples blocks of problems with its own engine."""

    def __init__(self, sampler: Sampler, problems: Path) -> None:
        self._sampler, self._problems = sampler, ProblemFile(problems)
        self._engine = sampler.engine.start()

    def lines(self, block: str) -> Iterator[str]:
        """Sample for the problems with these ids; yield chains, problem by problem, and drops."""
        drops, chosen = Drops(), (self._problems[identity] for identity in json.loads(block))
        for group in self._sampler.groups(self._engine, chosen, drops):
            yield from map(to_json, group)
        yield from map(to_json, drops)
