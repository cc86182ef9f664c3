"""Labeling on many machines with Ray Data: one engine per worker, blocks of chains, the same events as on one machine.

Each worker runs the same `Labeler` as a single process does. If a worker dies, another one redoes its block with the
same seeds. Blocks come back in order, so the job's journal is the same file as without Ray, and a killed job resumes
after the last block that came back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeGuard

import ray
import ray.data
import ray.exceptions

from prm.data.files import Record, from_json, to_json
from prm.data.records import Chain, Drop, Problem, Rollout, StepLabels
from prm.errors import EngineError

from .labeler import Earlier, Event
from .setup import Setup

BLOCK = 256
"""Chains per block. An engine drains at the end of each block; a block is lost with its worker."""


def label_on_ray(
    setup: Setup,
    chains: Iterable[Chain],
    problems: Mapping[str, Problem],
    earlier: Earlier,
    *,
    workers: int,
    gpus: float = 0,
) -> Iterator[Event]:
    """Label chains on `workers` workers, each with its own engine and `gpus` GPUs; see `Labeler.run`.

    The cluster is that of `RAY_ADDRESS`, or one on this machine; all its machines must see the model directory. The
    chains go into Ray's object store, which spills to disk.
    """
    ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level="ERROR")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    blocks = [{"block": _pack(block, problems, earlier)} for block in _blocks(chains)]
    if not blocks:
        return
    labeled = ray.data.from_items(blocks, override_num_blocks=len(blocks)).map_batches(
        _Worker,
        fn_constructor_args=(setup,),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(blocks))),
        num_gpus=gpus,
    )
    try:
        for row in labeled.iter_rows():
            yield from (event for line in row["events"].split("\n") if _is_event(event := from_json(line)))
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise EngineError(f"a Ray worker stopped: {lines[-1]}", "run the same job again") from error


def _blocks(chains: Iterable[Chain]) -> Iterator[list[Chain]]:
    source = iter(chains)
    return iter(lambda: list(islice(source, BLOCK)), [])


def _is_event(record: Record) -> TypeGuard[Event]:
    return isinstance(record, Rollout | StepLabels | Drop)


def _pack(block: Sequence[Chain], problems: Mapping[str, Problem], earlier: Earlier) -> str:
    """Chains with their problems and earlier rollouts, one record per line."""
    owners = {c.problem_id: problems[c.problem_id] for c in block if c.problem_id in problems}
    rollouts = [rollout for c in block for rollout in earlier.get(c.id, ())]
    records: list[Record] = [*block, *owners.values(), *rollouts]
    return "\n".join(map(to_json, records))


class _Worker:
    """Labels blocks of chains with its own engine, in a process that Ray starts."""

    def __init__(self, setup: Setup) -> None:
        self._labeler = setup.labeler(setup.engine.start())

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Label the blocks of a batch; return the events of each, one per line."""
        return {"events": ["\n".join(map(to_json, self._label(block))) for block in batch["block"]]}

    def _label(self, block: str) -> Iterator[Event]:
        records = [from_json(line) for line in block.split("\n")]
        problems = {r.id: r for r in records if isinstance(r, Problem)}
        earlier: dict[str, list[Rollout]] = {}
        for record in records:
            if isinstance(record, Rollout):
                earlier.setdefault(record.chain_id, []).append(record)
        return self._labeler.run((r for r in records if isinstance(r, Chain)), problems, earlier)
