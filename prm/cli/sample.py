"""`prm sample`: problems → chains."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from prm import console
from prm.data.drops import Drops, drops_path
from prm.data.files import read_problems, read_records, to_json
from prm.data.jobs import making, write_drops
from prm.data.manifest import Job
from prm.data.records import Chain
from prm.data.steps import split_steps
from prm.data.writing import GrowingFile, write_lines
from prm.generation.engine import Sampling
from prm.generation.sampling import sample_chains
from prm.labeling.setup import Setup

from .options import (
    ChainsEach,
    Chat,
    Endpoint,
    EngineOption,
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
    announce,
    engine_choice,
    local_model,
)


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
    """Problems → chains: N solutions for each problem, with vLLM.

    A killed job goes on where it was when the same command is run again.
    """
    split_steps("", splitter)  # a wrong name must not be found out after the engine has started
    sampling = Sampling(temperature, top_p, max_tokens, seed, tuple(stop or ()))
    settings = {"model": model, "n": n, "splitter": splitter, "chat": chat, **asdict(sampling)}
    job = Job(out, "sample", settings, {"problems": problems, **local_model(model)}, (_sampled(out), drops_path(out)))
    setup = Setup(engine_choice(model, endpoint, engine_option), chat, sampling=sampling)
    with making(job, "chains", overwrite) as counts:
        if counts is None:
            return
        with closing(GrowingFile(_sampled(out), group=n)) as file:
            drops = _go_on(file, setup, problems, n, splitter)
            write_drops(drops, out, counts)
            counts["chains"] = write_lines(out, _in_order(file.path, problems, n))
            file.path.unlink()


def _sampled(out: Path) -> Path:
    """Where the chains stand while they are sampled, a problem after the other as each is finished."""
    return out.with_name(out.name + ".sampled.jsonl")


def _go_on(file: GrowingFile, setup: Setup, problems: Path, n: int, splitter: str) -> Drops:
    """Sample for the problems whose chains are not in the file yet; gives those that cannot be sampled."""
    done = {chain.problem_id for chain in read_records(file.path, Chain)}
    if done:
        console.say(f"going on after {len(done):,} problems")
    total, drops, renderer = sum(1 for _ in read_problems(problems)), Drops(), setup.renderer()
    if len(done) == total:
        return drops
    rows = (problem for problem in read_problems(problems) if problem.id not in done)
    announce(setup.engine)
    with closing(setup.engine.start()) as engine, console.progress("sampling", total) as advance:
        advance(len(done))
        for group in sample_chains(rows, engine, renderer, drops, n=n, sampling=setup.sampling, splitter=splitter):
            file.append(*map(to_json, group))
            advance(1, f"{file.count:,} chains")
    return drops


def _in_order(sampled: Path, problems: Path, n: int) -> Iterator[str]:
    """The lines of the sampled chains in the order of their problems; only where each problem's stand is in memory."""
    places: dict[str, int] = {}
    with sampled.open("rb") as file:
        while line := file.readline():
            places[json.loads(line)["problem_id"]] = file.tell() - len(line)
            for _ in range(n - 1):
                file.readline()
        for problem in read_problems(problems):
            if problem.id in places:
                file.seek(places[problem.id])
                yield from (file.readline().decode().rstrip("\n") for _ in range(n))
