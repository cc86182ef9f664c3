"""Chains per second of `prm serve` with many clients, against `prm score` and against one request at a time.

    PRM_SAMPLE_DATA=../shared/data OMP_NUM_THREADS=1 python -m prm.benchmarks.perf.serving.throughput

The model is the demo's policy with a two-label head, the chains are real and of many lengths. Every client sends one
chain, waits for its scores, and sends the next. The sides take turns in every repeat; ratios are medians over the
repeats. On a busy machine look at the processor times, which other work changes little. Every answer is compared with
the scores of `prm score`: none may be lost or mixed up. The last line is all figures as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import psutil
import torch

from prm import console
from prm.data.records import Chain, Drop
from prm.models.checkpoint import Metadata, load_model, load_tokenizer
from prm.scoring.loading import load_scorer
from prm.scoring.remote.client import RemoteScorer
from prm.scoring.scorer import score_chains

from ...arithmetic import POLICY
from ..job import machine
from ..score_throughput import Problems, Side, ratio, real_chains, taken

Body = dict[str, object]
CLOSE = 1e-5
"""Two scores that differ by less are the same: the last bits depend on the other chains of a pass."""


def main() -> None:
    """Measure, and print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("PRM_SAMPLE_DATA", "../shared/data")))
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--chains", type=int, default=2_000)
    parser.add_argument("--steps", type=int, help="cut chains to so many steps; None for whole chains")
    parser.add_argument("--single", type=int, default=100, help="chains that are sent one at a time")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--port", type=int, default=8409)
    arguments = parser.parse_args()
    console.quiet()
    with tempfile.TemporaryDirectory() as folder, serving(model_in(Path(folder)), arguments.port) as (url, server):
        problems, chains = real_chains(arguments.data)
        cut = [replace(chain, steps=chain.steps[: arguments.steps]) for chain in chains[: arguments.chains]]
        found = measured(folder, url, server, problems, cut, arguments)
    settings = f"{arguments.clients} clients, {torch.get_num_threads()} thread(s)"
    print(f"{machine()}, {settings}\n")
    for name, value in found.items():
        print(f"{name:72} {value:10,.3f}")
    print(json.dumps({"machine": machine(), "settings": settings, **found}))


def model_in(folder: Path) -> Path:
    """The demo's policy with a new head, in a directory."""
    model = load_model(str(POLICY), "prm")
    torch.manual_seed(1)
    model.score.weight.data.normal_(0, 0.3)
    model.save_pretrained(folder)
    load_tokenizer(str(POLICY)).save_pretrained(folder)
    Metadata("prm").save(folder)
    return folder


@contextmanager
def serving(model: Path, port: int, *options: str) -> Iterator[tuple[str, int]]:
    """Run `prm serve`, and yield its address and process id once it is ready."""
    command = [sys.executable, "-m", "prm.cli", "serve", "--scorer", f"prm={model}", f"--port={port}", *options]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        with closing(RemoteScorer(f"http://127.0.0.1:{port}")) as scorer:
            scorer.score(["ready?"], [("yes",)])
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait()


def measured(
    folder: str, url: str, server: int, problems: Problems, chains: Sequence[Chain], arguments: argparse.Namespace
) -> dict[str, float]:
    """All figures."""
    scorer = load_scorer(folder)
    expected = {row.chain_id: row.scores for row in score_chains(scorer, chains, problems) if not isinstance(row, Drop)}
    usable = [chain for chain in chains if chain.id in expected]
    bodies: dict[str, Body] = {
        c.id: {"chains": [{"problem": problems[c.problem_id].text, "steps": c.steps}]} for c in usable
    }
    latencies, wrong = list[float](), list[str]()

    def asked(some: Sequence[Chain], clients: int) -> list[float]:
        seconds, answers = asyncio.run(ask(url, {c.id: bodies[c.id] for c in some}, clients))
        wrong.extend(c.id for c in some if not is_same(answers.get(c.id), expected[c.id]))
        return seconds

    here, (worker,) = psutil.Process(), psutil.Process(server).children()
    times: dict[str, list[float]] = {"score": [], "served": []}

    def timed(name: str, process: psutil.Process, side: Side) -> Side:
        def run() -> None:
            before = process.cpu_times()
            side()
            after = process.cpu_times()
            times[name].append(after.user + after.system - before.user - before.system)

        return run

    few = usable[: arguments.single]
    seconds = taken(
        {
            "score": timed("score", here, lambda: list(score_chains(scorer, usable, problems))),
            "served": timed("served", worker, lambda: latencies.extend(asked(usable, arguments.clients))),
            "single": lambda: asked(few, 1),
            "few": lambda: asked(few, arguments.clients),
        },
        arguments.repeats,
    )
    rates = {
        name: len(few if name in ("single", "few") else usable) / statistics.median(s) for name, s in seconds.items()
    }
    return {
        "chains": len(usable),
        "answers that are lost or those of another chain": len(wrong),
        "prm score, chains/s": rates["score"],
        "prm serve, chains/s": rates["served"],
        "prm serve, relative to prm score": ratio(seconds["score"], seconds["served"]),
        "processor time of prm score, relative to that of the served scorer": ratio(times["score"], times["served"]),
        "one request at a time, chains/s": rates["single"],
        "prm serve, relative to one request at a time, the same chains": ratio(seconds["single"], seconds["few"]),
        "prm serve, chains/s, relative to one request at a time, chains/s": rates["served"] / rates["single"],
        "p50 of the time to an answer, s": statistics.median(latencies),
        "p99 of the time to an answer, s": statistics.quantiles(latencies, n=100)[98],
    }


def is_same(found: Sequence[float] | None, expected: Sequence[float]) -> bool:
    """Whether scores are those that are expected."""
    return (
        found is not None
        and len(found) == len(expected)
        and all(abs(a - b) < CLOSE for a, b in zip(found, expected, strict=True))
    )


async def ask(url: str, bodies: dict[str, Body], clients: int) -> tuple[list[float], dict[str, Sequence[float]]]:
    """Send all bodies from so many clients at once; the times to each answer, and the scores."""
    remaining = iter(bodies.items())
    seconds, answers = list[float](), dict[str, Sequence[float]]()

    async def client(session: aiohttp.ClientSession) -> None:
        for name, body in remaining:
            started = time.perf_counter()
            async with session.post(f"{url}/v1/score", json=body) as reply:
                found = await reply.json()
            seconds.append(time.perf_counter() - started)
            answers[name] = found["results"][0]["scores"] if reply.status == 200 else ()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    return seconds, answers


if __name__ == "__main__":
    main()
