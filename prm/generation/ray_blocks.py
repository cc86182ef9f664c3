"""Work on many machines with Ray Data: blocks of a job's rows, each worker with its own engine, results in order.

Workers read the job's files themselves; only the blocks' names and what was made of them pass through the driver. If a
worker dies, another one redoes its block. A killed job resumes after the last block that came back.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import ray
import ray.data
import ray.exceptions

from prm.errors import EngineError, require_number

from .choice import EngineChoice


class Worker(Protocol):
    """What works on blocks, in a process that Ray starts."""

    def lines(self, block: str) -> Iterator[str]:
        """Work on a block; yield what was made of it, without line ends."""


def on_ray(start: Callable[[], Worker], blocks: Sequence[str], *, workers: int, gpus: float) -> Iterator[str]:
    """Work on blocks with `workers` workers, each with `gpus` GPUs; yield the lines of each block, in order.

    The cluster is that of `RAY_ADDRESS`, or one on this machine; all its machines must see the files of the job.

    Raises:
        EngineError: a worker stopped.
    """
    if not blocks:
        return
    ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level="ERROR")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    made = ray.data.from_items([{"block": block} for block in blocks], override_num_blocks=len(blocks)).map_batches(
        _Actor,
        fn_constructor_args=(start,),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(blocks))),
        num_gpus=gpus,
    )
    try:
        for row in made.iter_rows():
            yield from (line for line in row["lines"].split("\n") if line)
    except ray.exceptions.RayError as error:
        raise EngineError(
            f"a Ray worker stopped: {_said(error)}",
            "run the same job again; all machines must see the model and the files of the job",
        ) from error


def _said(error: BaseException) -> str:
    """What went wrong: the error within Ray's message, our own first; or the message's last line."""
    text = str(error).strip()
    own = re.search(r"^prm\.errors\.\w+: (.+)", text, re.MULTILINE) or re.search(r"^\w+Error: (.+)", text, re.MULTILINE)
    return own[0].removeprefix("prm.errors.") if own else (text.splitlines() or [type(error).__name__])[-1]


class _Actor:
    def __init__(self, start: Callable[[], Worker]) -> None:
        self._worker = start()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Work on the blocks of a batch; return what was made of each, one line per record."""
        return {"lines": ["\n".join(self._worker.lines(block)) for block in batch["block"]]}


def over_gpus(choice: EngineChoice, gpus: float) -> EngineChoice:
    """The choice of an engine that uses all GPUs of a worker: vLLM divides the model among them.

    Raises:
        InputError: more than one GPU, and not a whole number.
    """
    if gpus <= 1 or choice.endpoints:
        return choice
    require_number("ray_gpus", gpus, "[0, inf)", whole=True)
    divided = {"tensor_parallel_size": int(gpus), "distributed_executor_backend": "mp"}
    return replace(choice, options={**divided, **choice.options})
