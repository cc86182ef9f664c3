"""`prm sample`: problems → chains."""

from __future__ import annotations

from typing import Any

from prm.generation import sampling

from .options import (
    ChainsEach,
    Engine,
    Model,
    OutFile,
    Overwrite,
    Problems,
    WorkerGpus,
    Workers,
    generating,
    on_ray,
)


@generating
def sample(
    model: Model,
    problems: Problems,
    out: OutFile,
    n: ChainsEach = 16,
    engine: Engine = "vllm",
    workers: Workers = 1,
    worker_gpus: WorkerGpus = 0.0,
    overwrite: Overwrite = False,
    **settings: Any,
) -> None:
    """Problems → chains: N solutions for each problem, with vLLM here, on Ray or on servers.

    A killed job resumes when the same command is run again.
    """
    sampling.sample(
        problems, out, model=model, n=n, **on_ray(engine, workers, worker_gpus), overwrite=overwrite, **settings
    )
