"""An OpenAI-compatible completions server with a fixed delay, whose text depends on prompt and seed alone.

For measuring the code around an engine, and for testing failures that no real server produces on demand.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def text(prompt: Sequence[int], seed: int) -> str:
    """The completion: its answer is 4 for about half of the seeds."""
    digest = hashlib.blake2b(f"{list(prompt)}/{seed}".encode(), digest_size=1).digest()[0]
    return f"The answer is {4 if digest % 2 else 5}"


class WaitingServer(ThreadingHTTPServer):
    """Answers each request after `delay` seconds, and the first ones with the statuses in `failures`."""

    request_queue_size = 512
    daemon_threads = True

    def __init__(self, delay: float, failures: Sequence[int], port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.delay = delay
        self.failures = list(failures)
        self.most = 2**31
        """Most draws in one answer."""
        self.root = "models/tiny"
        """The model, as its card names it."""
        self.page = ""
        """Sent in place of every answer, with status 200, if there is one."""
        self.tokens: list[int] = []
        """Ids of any text, if the server tokenizes."""
        self.poison: list[int] | None = None
        """A prompt that the server always rejects."""
        self.asked: list[dict[str, Any]] = []
        """All requests so far."""
        self.keys: set[str | None] = set()
        """The authorizations of all requests so far."""
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: WaitingServer

    def do_GET(self) -> None:
        """Send the model's card."""
        card = {"id": "tiny", "object": "model", "root": self.server.root, "max_model_len": 256}
        self._reply(self.server.page or {"object": "list", "data": [card]})

    def do_POST(self) -> None:
        """Send a completion, or a failure."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/tokenize"):
            ids = self.server.tokens
            self._reply({"tokens": ids} if ids else {"detail": "Not Found"}, 200 if ids else 404)
            return
        self.server.asked.append(asked)
        self.server.keys.add(self.headers["Authorization"])
        time.sleep(self.server.delay)
        if asked["prompt"] == self.server.poison:
            self._reply({"error": {"message": "broken"}}, 500)
            return
        if self.server.failures:
            self._reply({"error": {"message": "not now"}}, self.server.failures.pop(0))
            return
        n = min(asked.get("n", 1), self.server.most)
        seed = asked["seed"] if "seed" in asked else random.getrandbits(31)
        said = [text(asked["prompt"], seed + i) for i in range(n)]
        choices = [{"index": i, "text": said[i], "finish_reason": "stop", "logprobs": None} for i in range(n)]
        usage = {"prompt_tokens": len(asked["prompt"]), "completion_tokens": 4 * n, "total_tokens": 0}
        head = {"id": "x", "object": "text_completion", "created": 0, "model": "tiny"}
        self._reply(self.server.page or head | {"choices": choices, "usage": usage})

    def _reply(self, body: dict[str, Any] | str, status: int = 200) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def serve(delay: float = 0.0, failures: Sequence[int] = (), port: int = 0) -> Iterator[WaitingServer]:
    """Run a server in a thread of this process."""
    server = WaitingServer(delay, failures, port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
