"""Problems → chains: `prm sample`, and `prm solve`, which searches with a scorer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from prm.errors import InputError
from prm.generation import sampling
from prm.models.vllm_process import run_in_this_process
from prm.scoring.reranking import SELECTIONS
from prm.search import job
from prm.search.methods import METHODS
from prm.search.setup import setup_of
from prm.statistics.aggregation import AGGREGATORS

from .options import (
    ChainsEach,
    Engine,
    Model,
    OutFile,
    Overwrite,
    Problems,
    WorkerGpus,
    Workers,
    engine_options,
    generating,
    on_ray,
    one_of,
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
    run_in_this_process()
    sampling.sample(
        problems, out, model=model, n=n, **on_ray(engine, workers, worker_gpus), overwrite=overwrite, **settings
    )


@generating
def solve(
    model: Model,
    problems: Annotated[Path | None, typer.Option(help="problems as JSONL, unless --serve is given")] = None,
    out: Annotated[Path | None, typer.Option(help="file to write, unless --serve is given")] = None,
    scorer: Annotated[
        str | None, typer.Option(help="from `prm train`, or a public reward model; not for majority and refine")
    ] = None,
    method: Annotated[str, typer.Option(help=one_of(METHODS))] = "weighted",
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="chains, or branches that a search keeps")] = 16,
    width: Annotated[int, typer.Option(min=1, help="beam, dvts, best-first: continuations of a branch")] = 4,
    budget_tokens: Annotated[
        int | None, typer.Option(min=1, help="most tokens to generate for a problem (default: n · max-tokens)")
    ] = None,
    aggregate: Annotated[
        str | None, typer.Option(help=f"{one_of(AGGREGATORS)} (default: the scorer's own, or min)")
    ] = None,
    selection: Annotated[
        str | None, typer.Option(help=f"at the end: {one_of(SELECTIONS)} (default: the method's)")
    ] = None,
    rebase_temperature: Annotated[float, typer.Option(min=0.001, help="rebase: of the softmax over values")] = 0.1,
    threshold: Annotated[
        float | None, typer.Option(help="prune: give a chain up at its first step below (default: the scorer's)")
    ] = None,
    settled: Annotated[
        float, typer.Option(min=0.51, max=0.999, help="refine: draw no more once the winner is this sure")
    ] = 0.95,
    scorer_option: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE for the scorer, such as backend=vllm; repeatable")
    ] = None,
    serve: Annotated[
        int | None, typer.Option(min=1, max=65535, help="answer chat completions on this port instead of a file")
    ] = None,
    host: Annotated[str, typer.Option(help="with --serve: address to listen on")] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(
            envvar="PRM_SERVE_TOKEN", help="with --serve: that requests must bring; better in the environment"
        ),
    ] = None,
    engine: Engine = "vllm",
    workers: Workers = 1,
    worker_gpus: WorkerGpus = 0.0,
    overwrite: Overwrite = False,
    **settings: Any,
) -> None:
    """Problems → chains by search guided by a scorer, with step scores and the chosen one.

    A killed job resumes when the same command is run again. The scores and the choices lie beside the chains.
    """
    given: dict[str, Any] = {
        "model": model, "scorer": scorer, "scorer_options": engine_options(scorer_option or []), "method": method,
        "n": n, "width": width, "budget_tokens": budget_tokens, "aggregate": aggregate, "selection": selection,
        "rebase_temperature": rebase_temperature, "threshold": threshold, "settled": settled, **settings,
    }  # fmt: skip
    if serve is not None:
        if problems or out or overwrite or engine != "vllm":
            raise InputError(
                "--serve reads and writes no file, and runs in this process",
                "leave out --problems, --out, --overwrite and --engine",
            )
        _answer(given, host, serve, token)
    elif problems is None or out is None:
        raise InputError("--problems or --out is missing", "give both, or --serve PORT")
    else:
        job.solve(problems, out, **given, **on_ray(engine, workers, worker_gpus), overwrite=overwrite)


def _answer(given: dict[str, Any], host: str, port: int, token: str | None) -> None:
    try:
        from prm.search.serving import answer_forever
    except ImportError as error:
        raise InputError(f"{error.name} is not installed", 'pip install "prm-toolkit[serve]"') from error
    answer_forever(setup_of(**given), host, port, token)
