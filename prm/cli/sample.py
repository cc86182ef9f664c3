"""`prm sample`: problems → chains."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict

from labeling.engine import Sampling
from labeling.sampling import sample_chains
from labeling.setup import Setup
from prm import console
from prm.cli.engines import Endpoint, EngineOption, announce, engine_choice
from prm.cli.jobs import making, write_drops
from prm.cli.options import (
    ChainsEach,
    Chat,
    MaxTokens,
    Model,
    Out,
    Overwrite,
    Problems,
    Seed,
    Splitter,
    Stop,
    Temperature,
    TopP,
)
from prm.drops import Drops
from prm.files import read_problems, write_records
from prm.manifest import Job
from prm.records import Chain
from prm.steps import split_steps


def sample(
    model: Model,
    problems: Problems,
    out: Out,
    n: ChainsEach = 16,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    max_tokens: MaxTokens = 1024,
    stop: Stop = None,
    seed: Seed = 0,
    splitter: Splitter = "newline",
    chat: Chat = False,
    endpoint: Endpoint = None,
    engine_option: EngineOption = None,
    overwrite: Overwrite = False,
) -> None:
    """Problems → chains: N solutions for each problem, with vLLM."""
    split_steps("", splitter)  # a wrong name must not be found out after the engine has started
    sampling = Sampling(temperature, top_p, max_tokens, seed, tuple(stop or ()))
    settings = {"model": model, "n": n, "splitter": splitter, "chat": chat, **asdict(sampling)}
    job = Job(out, "sample", settings, {"problems": problems})
    with making(job, "chains", overwrite) as counts:
        if counts is None:
            return
        setup = Setup(engine_choice(model, endpoint, engine_option), chat, sampling=sampling)
        rows, drops, renderer = list(read_problems(problems)), Drops(), setup.renderer()
        announce(setup.engine)
        chains: list[Chain] = []
        with (
            closing(setup.engine.start()) as engine,
            console.progress("sampling", len(rows)) as advance,
        ):
            for group in sample_chains(rows, engine, renderer, drops, n=n, sampling=sampling, splitter=splitter):
                chains += group
                advance(1, f"{len(chains):,} chains")
        order = {p.id: i for i, p in enumerate(rows)}
        chains.sort(key=lambda c: order[c.problem_id])
        counts["chains"] = write_records(out, chains)
        write_drops(drops, out, counts)
