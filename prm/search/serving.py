"""An endpoint that answers chat completions by search: any client of OpenAI's protocol gets test-time compute.

    prm solve --serve 8000 --model M --chat --scorer runs/prm --method rebase
    curl localhost:8000/v1/chat/completions -d '{"messages": [{"role": "user", "content": "…"}], "budget": 8}'

`budget` is the number of chains or branches, as in its_hub, and `method` a name in `METHODS`; without them, those of
the command hold. All requests are in one stream of one engine. The reply is the chosen chain; with `stream` its steps
come as events, once it is chosen. `usage` counts what was generated and scored.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

from prm import console
from prm.data.records import Drop, Problem
from prm.data.steps import step_stops
from prm.errors import InputError, OutputError, PrmError, require_number

from .ending import Solved
from .methods import Method, method_named
from .plan import Plan
from .searcher import Searcher
from .setup import Setup

LARGEST = 2**20
"""Most bytes of a request."""


class _Waiting:
    """The problems that came in: an iterator that is empty for now, never for good."""

    def __init__(self) -> None:
        self.queue = queue.SimpleQueue[Problem]()

    def __iter__(self) -> Iterator[Problem]:
        return self

    def __next__(self) -> Problem:
        try:
            return self.queue.get_nowait()
        except queue.Empty:
            raise StopIteration from None


class Counter:
    """Hands problems to a searcher and gives each client its answer.

    Args:
        searcher: one whose engine and scorer are used by nobody else; its plan holds for a request that does not say
            otherwise.
        method: the name of its method.
    """

    def __init__(self, searcher: Searcher, method: str) -> None:
        self.searcher, self.method, self.plan = searcher, method, searcher.plan
        self.is_closed = False
        self._waiting, self._numbers = _Waiting(), count()
        self._answers: dict[str, queue.SimpleQueue[Solved | Drop | PrmError]] = {}
        self._arrived = threading.Event()

    def solve(self, text: str, asked: Mapping[str, Any]) -> Solved | Drop:
        """Wait for the search of a problem.

        Raises:
            InputError: `budget` or `method` cannot be used.
            PrmError: the engine or the scorer cannot go on.
        """
        method, plan = self._meant(asked)
        problem = Problem(f"request-{next(self._numbers)}", text)
        answer = self._answers[problem.id] = queue.SimpleQueue()
        self.searcher.own[problem.id] = method, plan
        self._waiting.queue.put(problem)
        self._arrived.set()
        found = answer.get()
        if isinstance(found, PrmError):
            raise found
        return found

    def _meant(self, asked: Mapping[str, Any]) -> tuple[Method, Plan]:
        name = asked.get("method") or self.method
        if not isinstance(name, str):
            raise InputError(f"method={name!r} is not a name", "see docs/search.md")
        method, n = method_named(name), asked.get("budget", self.plan.n)
        require_number("budget", n, "[1, 4096]", whole=True)
        if method.is_scored and self.searcher.scorer is None:
            raise InputError(
                f"the method {name!r} needs a scorer, and this server has none", "choose majority or refine"
            )
        if method.is_stepwise:
            step_stops(self.searcher.splitter)
        if method.is_stepwise and self.plan.is_orm:
            raise InputError(f"the method {name!r} scores steps, which an ORM cannot", "choose weighted or best-of-n")
        selection = self.plan.selection if name == self.method else method.selection
        budget = min(self.plan.budget, n * self.plan.max_tokens)
        return method, replace(self.plan, n=n, selection=selection, budget=budget, is_scored=method.is_scored)

    def work(self) -> None:
        """Search what comes in, until `close` is called or the engine fails; for one thread."""
        try:
            while not self.is_closed:
                self._arrived.wait(0.2)
                self._arrived.clear()
                for event in self.searcher.run(self._waiting):
                    if isinstance(event, Solved | Drop):
                        self._give(event.id if isinstance(event, Drop) else event.problem_id, event)
        except PrmError as error:
            self.is_closed = True
            for name in list(self._answers):
                self._give(name, error)
            raise

    def _give(self, name: str, answer: Solved | Drop | PrmError) -> None:
        self.searcher.own.pop(name, None)
        self._answers.pop(name).put(answer)


def answer_forever(setup: Setup, host: str, port: int) -> None:
    """Load the scorer, start the engine, and answer until the process is stopped or the engine fails.

    Raises:
        PrmError: one of them cannot be had, or the port is taken.
    """
    setup.engine.announce()
    with setup.searcher() as searcher:
        counter = Counter(searcher, setup.method)
        try:
            server = serve(counter, setup.engine.model, host, port)
        except OSError as error:
            raise OutputError(f"cannot listen on {host}:{port}: {error.strerror}", "choose another port") from error
        with server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            counter.work()


def serve(desk: Counter, model: str, host: str, port: int) -> ThreadingHTTPServer:
    """A server on this port; `serve_forever` answers with what `Counter.work` finds."""

    class Handler(_Handler):
        pass

    Handler.desk, Handler.model = desk, model
    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    console.say(f"listening on http://{host}:{server.server_port}/v1")
    return server


class _Handler(BaseHTTPRequestHandler):
    desk: Counter
    model: str
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The name of the model."""
        if self.path.rstrip("/") == "/v1/models":
            self._reply({"object": "list", "data": [{"id": self.model, "object": "model"}]})
        else:
            self._refuse(404, f"no such path: {self.path}")

    def do_POST(self) -> None:
        """A chat completion."""
        try:
            if self.path.rstrip("/") != "/v1/chat/completions":
                self._refuse(404, f"no such path: {self.path}")
                return
            asked = self._asked()
            found = self.desk.solve(_question(asked), asked)
        except InputError as error:
            self._refuse(400, f"{error}; {error.hint}")
        except PrmError as error:
            self._refuse(503, str(error))
        else:
            if isinstance(found, Drop) or found.choice is None:
                self._refuse(422, found.reason if isinstance(found, Drop) else "nothing was drawn")
            elif asked.get("stream"):
                self._stream(found)
            else:
                self._reply(_completion(found, self.model))

    def _asked(self) -> dict[str, Any]:
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= LARGEST:
            self.close_connection = True
            raise InputError(f"the body has {length} bytes", f"send 1 to {LARGEST:,}")
        try:
            asked = json.loads(self.rfile.read(length))
        except ValueError as error:
            raise InputError(f"the body is not JSON: {error}", "send one object") from error
        if not isinstance(asked, dict):
            raise InputError("the body is not an object", "send messages")
        return asked

    def _stream(self, found: Solved) -> None:
        whole = _completion(found, self.model)
        head = {name: whole[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
        chain = next(chain for i, chain in enumerate(found.chains) if found.choice and i == found.choice.index)
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": s} for s in chain.steps)]
        chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        end = [{"index": 0, "delta": {}, "finish_reason": whole["choices"][0]["finish_reason"]}]
        chunks.append({**head, "choices": end, "usage": whole["usage"]})
        body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        self._send(200, body, "text/event-stream")

    def _reply(self, body: Mapping[str, Any], status: int = 200) -> None:
        self._send(status, json.dumps(body), "application/json")

    def _refuse(self, status: int, why: str) -> None:
        self._reply({"error": {"message": why, "type": "invalid_request_error", "code": status}}, status)

    def _send(self, status: int, body: str, kind: str) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def _question(asked: Mapping[str, Any]) -> str:
    """The one question of a request."""
    messages = asked.get("messages")
    if not isinstance(messages, list) or len(messages) != 1:
        raise InputError("messages is not a list of one message", "ask one question; the server has the system prompt")
    message = messages[0] if isinstance(messages[0], dict) else {}
    text = message.get("content")
    if message.get("role") != "user" or not isinstance(text, str) or not text.strip():
        raise InputError("the message is not a text of the user", 'send {"role": "user", "content": "…"}')
    return text


def _completion(found: Solved, model: str) -> dict[str, Any]:
    choice = found.choice
    assert choice is not None
    chain = found.chains[choice.index]
    generated, scored = choice.generated or 0, choice.scored or 0
    return {
        "id": found.problem_id,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": choice.best},
                "finish_reason": "length" if chain.finish == "length" else "stop",
            }
        ],
        "usage": {"completion_tokens": generated, "total_tokens": generated, "scored_tokens": scored},
    }
