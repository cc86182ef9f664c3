"""Draws per second that `ServerEngine` asks for and reads, against a server that answers at once.

    python -m prm.benchmarks.perf.engines.client_rate

The server is a process of its own on the same machine and builds every answer anew: 8 draws of 60 tokens for a prompt
of 300 tokens. `--singly` makes it give one draw for each request, as servers without `n` do.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time

from aiohttp import web

from prm.generation.engine import Request, Sampling
from prm.generation.server_engine import ServerEngine

from ..job import machine

PROMPT, DRAWS, TOKENS = 300, 8, 60


def main() -> None:
    """Start the server, measure, and print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--singly", action="store_true", help="a server that gives one draw for each request")
    parser.add_argument("--port", type=int, default=8134)
    arguments = parser.parse_args()
    server = multiprocessing.Process(target=serve, args=(arguments.port, arguments.singly), daemon=True)
    server.start()
    time.sleep(2)
    requests = [Request(f"c{i}@0", tuple(range(i, i + PROMPT)), DRAWS) for i in range(arguments.requests)]
    engine = ServerEngine([f"http://127.0.0.1:{arguments.port}/v1"], model="m", max_length=4096)
    wall, processor = time.monotonic(), time.process_time()
    draws = sum(len(found) for _, found in engine.stream(iter(requests), Sampling(max_tokens=1024)))
    wall, processor = time.monotonic() - wall, time.process_time() - processor
    engine.close()
    server.terminate()
    print(
        f"{draws:,} draws: {draws / wall:,.0f} draws/s, {1e3 * processor / draws:.2f} ms of the client's CPU a draw "
        f"({machine()})"
    )


def serve(port: int, singly: bool) -> None:
    """Answer every request at once."""

    async def complete(request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        n = 1 if singly else asked.get("n", 1)
        choices = [
            {"index": i, "text": "so it is 4 and " * 16, "finish_reason": "stop", "token_ids": list(range(TOKENS))}
            for i in range(n)
        ]
        return web.json_response({"choices": choices, "usage": {"completion_tokens": n * TOKENS}})

    app = web.Application()
    app.router.add_post("/v1/completions", complete)
    web.run_app(app, host="127.0.0.1", port=port, print=lambda *_: None)


if __name__ == "__main__":
    main()
