"""Memory of `prm serve` under mixed load: scores, choices, verdicts, hostile bodies, and clients that leave.

    PRM_SAMPLE_DATA=../shared/data OMP_NUM_THREADS=1 python -m prm.benchmarks.perf.serving.endurance --minutes 30

It prints the resident memory of the server and of the scorers' process and the number of answers every half a minute,
and at the end what became of the requests. The first tenth of the time is left out of the growth.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import aiohttp
import psutil

from prm import console
from prm.data.records import Chain

from ..job import machine
from ..score_throughput import Problems, real_chains
from .throughput import Body, model_in, serving

SECONDS = 30
"""Between two looks at the memory."""
HOSTILE = (
    b"",
    b"[" * 50_000,
    b'{"chains": [{"problem": "p", "steps": [' + b'"",' * 200_000 + b'""]}]}',
    b" " * 9 * 2**20,
)


def main() -> None:
    """Load the server, and print its memory and the counts of answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("PRM_SAMPLE_DATA", "../shared/data")))
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--port", type=int, default=8410)
    arguments = parser.parse_args()
    console.quiet()
    problems, chains = real_chains(arguments.data)
    with tempfile.TemporaryDirectory() as folder, serving(model_in(Path(folder)), arguments.port) as (url, process):
        answers, memory = asyncio.run(load(url, process, problems, chains[:5_000], arguments))
    settled = memory[len(memory) // 10 :]
    for number, what in enumerate(("server", "scorers")):
        first, last = settled[0][number], settled[-1][number]
        print(f"{what}: {first:.1f} MiB after a tenth of the time, {last:.1f} MiB at the end ({last - first:+.1f})")
    print(f"{sum(answers.values()):,} requests: {dict(answers)} ({machine()}, {arguments.minutes:g} minutes)")


async def load(
    url: str, server: int, problems: Problems, chains: Sequence[Chain], arguments: argparse.Namespace
) -> tuple[Counter[str], list[tuple[float, float]]]:
    """Send requests until the time is over; what became of them by kind and status, and the memory in MiB."""
    end = time.monotonic() + 60 * arguments.minutes
    answers, memory = Counter[str](), list[tuple[float, float]]()
    processes = [psutil.Process(server), *psutil.Process(server).children()]

    async def client(session: aiohttp.ClientSession, draw: Random) -> None:
        while time.monotonic() < end:
            kind, path, body = request(draw, problems, chains)
            limit = aiohttp.ClientTimeout(total=0.05 if kind == "leaves" else 120)
            way = {"data": body} if isinstance(body, bytes) else {"json": body}
            try:
                async with session.post(url + path, timeout=limit, **way) as reply:
                    await reply.read()
                    answers[f"{kind} {reply.status}"] += 1
            except (TimeoutError, aiohttp.ClientError) as error:
                answers[f"{kind} {type(error).__name__}"] += 1

    async def watch() -> None:
        while time.monotonic() < end:
            memory.append(tuple(process.memory_info().rss / 2**20 for process in processes[:2]))
            here, there = memory[-1]
            print(f"{here:.1f} MiB the server, {there:.1f} MiB the scorers, {answers.total():,} answers", flush=True)
            await asyncio.sleep(min(SECONDS, max(0.0, end - time.monotonic())))

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(watch(), *(client(session, Random(seed)) for seed in range(arguments.clients)))
    return answers, memory


def request(draw: Random, problems: Problems, chains: Sequence[Chain]) -> tuple[str, str, Body | bytes]:
    """A request: its kind, its path and its body."""
    some = [draw.choice(chains) for _ in range(draw.randrange(1, 5))]
    rows = [{"problem": problems[chain.problem_id].text, "steps": chain.steps} for chain in some]
    kind = draw.choices(("score", "rerank", "verify", "hostile", "leaves"), (60, 10, 15, 5, 10))[0]
    if kind == "rerank":
        return kind, "/v1/rerank", {"problem": rows[0]["problem"], "solutions": [chain.text for chain in some]}
    if kind == "verify":
        return kind, "/v1/verify", {"pairs": [{"prediction": chain.text, "gold": "2x + 1"} for chain in some]}
    return kind, "/v1/score", draw.choice(HOSTILE) if kind == "hostile" else {"chains": rows}


if __name__ == "__main__":
    main()
