"""An endpoint that answers chat completions by search: any client of OpenAI's protocol gets test-time compute.

    prm solve --serve 8000 --model M --chat --scorer runs/prm --method rebase
    curl localhost:8000/v1/chat/completions -d '{"messages": [{"role": "user", "content": "…"}], "budget": 8}'

`budget` is the number of chains or branches, as in its_hub, and `method` a name in `METHODS`; without them, those of
the command hold. `max_tokens` (or `max_completion_tokens`) shortens chains; the other settings of sampling are those of
the command. All requests are in one stream of one engine. The reply is the chosen chain; with `stream` its steps come
as server-sent events, once it is chosen, and comments until then. `usage` counts what was generated and scored. A
search whose client leaves is given up: what is in the engine comes to its end, and nothing more is asked for.
"""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from prm import console
from prm.data.records import Chain, Drop, Problem
from prm.data.steps import step_stops
from prm.errors import EngineError, InputError, PrmError, require_number
from prm.models.vllm_process import last_line
from prm.serving import web
from prm.serving.limits import Gate, GoneError, Limits, RefusedError

from .ending import Solved
from .methods import METHODS, Method, method_named
from .plan import Plan
from .searcher import Searcher
from .setup import Setup

LIMITS = Limits(body=2**20, seconds=3600.0)
"""Bounds on requests. What is under way is counted in branches."""
KEEP_ALIVE = 10.0
"""Seconds between two comments of a stream while its search goes on."""


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
        searcher.on_end = self._hand
        self.is_closed = False
        """Whether it answers no more; set it to end the work."""
        self.failure: PrmError | None = None
        """Why the engine or the scorer cannot go on."""
        self._waiting, self._numbers = _Waiting(), count()
        self._answers: dict[str, Future[Solved | Drop]] = {}
        self._arrived = threading.Event()

    async def solve(self, text: str, method: Method, plan: Plan) -> Solved:
        """Wait for the search of a problem, which is given up if this is canceled.

        Raises:
            RefusedError: the problem cannot be searched.
            GoneError: the engine or the scorer cannot go on.
        """
        problem = Problem(f"request-{next(self._numbers)}", text)
        answer = self._answers[problem.id] = Future[Solved | Drop]()
        self.require_open()
        self.searcher.own[problem.id] = method, plan
        self._waiting.queue.put(problem)
        self._arrived.set()
        try:
            found = await asyncio.wrap_future(answer)
        except asyncio.CancelledError:
            self.searcher.abandoned.add(problem.id)
            raise
        if isinstance(found, Drop):
            raise RefusedError(found.reason, found.detail)
        if found.choice is None:
            raise RefusedError("nothing was drawn")
        return found

    def require_open(self) -> None:
        """Refuse what comes after the end of the work; raises GoneError."""
        if self.is_closed:
            raise GoneError("the server is stopping", "try another one")

    def meant(self, asked: Mapping[str, Any]) -> tuple[Method, Plan]:
        """The method and the settings of a request.

        Raises:
            InputError: `budget`, `method` or `max_tokens` cannot be used.
        """
        name = self.method if asked.get("method") is None else asked["method"]
        if not isinstance(name, str):
            raise InputError(f"method={name!r} is not a name", "see docs/search.md")
        method, n = method_named(name), asked.get("budget", self.plan.n)
        require_number("budget", n, "[1, 4096]", whole=True)
        longest = self._longest(asked)
        if method.is_scored and self.searcher.scorer is None:
            raise InputError(
                f"the method {name!r} needs a scorer, and this server has none", "choose majority or refine"
            )
        if method is METHODS["prune"] and self.plan.threshold is None:
            raise InputError("the scorer has no threshold", "choose another method")
        if method.is_stepwise:
            step_stops(self.searcher.splitter)
        if method.is_stepwise and self.plan.is_orm:
            raise InputError(f"the method {name!r} scores steps, which an ORM cannot", "choose weighted or best-of-n")
        selection = self.plan.selection if name == self.method else method.selection
        budget = min(self.plan.budget, n * longest)
        return method, replace(self.plan, n=n, selection=selection, budget=budget, max_tokens=longest)

    def _longest(self, asked: Mapping[str, Any]) -> int:
        """Most tokens of a chain: as asked, or as the server allows."""
        names = ("max_tokens", "max_completion_tokens")
        wanted: dict[str, int] = {name: asked[name] for name in names if asked.get(name) is not None}
        for name, tokens in wanted.items():
            require_number(name, tokens, "[1, inf)", whole=True)
        return min([self.plan.max_tokens, *wanted.values()])

    def work(self) -> None:
        """Search what comes in, in a thread of its own, until `is_closed` is set.

        If the engine or the scorer fails, all who wait are told, and `failure` is set.
        """
        try:
            while not self.is_closed:
                self._arrived.wait(0.2)
                self._arrived.clear()
                for _ in self.searcher.run(self._waiting):
                    pass
        except Exception as error:  # the boundary: whatever an engine or a scorer raises, those who wait are told
            self.failure = error if isinstance(error, PrmError) else EngineError(_said(error), "start the server again")
            self.is_closed = True
            for name in list(self._answers):
                self._give(name, GoneError(str(self.failure), self.failure.hint))

    def _hand(self, end: Solved | Drop) -> None:
        self._give(end.id if isinstance(end, Drop) else end.problem_id, end)

    def _give(self, name: str, found: Solved | Drop | GoneError) -> None:
        self.searcher.own.pop(name, None)
        self.searcher.abandoned.discard(name)
        answer = self._answers.pop(name)
        if not answer.set_running_or_notify_cancel():
            return
        if isinstance(found, GoneError):
            answer.set_exception(found)
        else:
            answer.set_result(found)


def answer_forever(setup: Setup, host: str, port: int, token: str | None = None) -> None:
    """Load the scorer, start the engine, and answer until a signal to stop, or until the engine fails.

    Raises:
        PrmError: one of them cannot be had or go on, or the port is taken.
    """
    socket, address = web.listening(host, port, token)
    setup.engine.announce()
    with socket, setup.searcher() as searcher:
        counter = Counter(searcher, setup.method)
        server = web.server_of(make_app(counter, setup.engine.model, token))

        def work() -> None:
            try:
                counter.work()
            finally:
                server.should_exit = True

        worker = threading.Thread(target=work)
        worker.start()
        console.say(f"listening on {address}/v1")
        try:
            server.run(sockets=[socket])
        finally:
            counter.is_closed = True
            worker.join()
        if counter.failure is not None:
            raise counter.failure


def make_app(counter: Counter, model: str, token: str | None = None, limits: Limits = LIMITS) -> ASGIApp:
    """The application, which answers with what `Counter.work` finds.

    Args:
        counter: at work in another thread.
        model: its name, for clients.
        token: that requests must bring; None for none.
        limits: on requests; `waiting` counts the branches of all of them.
    """
    bodies, branches = Gate(limits.bodies, "bytes of requests"), Gate(limits.waiting, "branches")

    async def complete(asked: dict[str, Any]) -> Any:
        counter.require_open()
        text, (method, plan) = _question(asked), counter.meant(asked)
        if _is_stream(asked):
            events = _events(partial(counter.solve, text, method, plan), branches, plan.n, limits.seconds, model)
            first = await anext(events)  # if there is no room, that has a status of its own
            return StreamingResponse(_after(first, events), media_type="text/event-stream")
        with branches.entered(plan.n):
            return _completion(await counter.solve(text, method, plan), model)

    async def completions(request: Request) -> Response:
        return await web.answered(request, dict[str, Any], limits, bodies, complete)

    async def models(_: Request) -> Response:
        return web.listed([model])

    async def ready(_: Request) -> Response:
        try:
            counter.require_open()
        except GoneError as error:
            return web.refused(error)
        return web.as_json({"status": "ready"})

    routes = [
        Route("/v1/chat/completions", completions, methods=["POST"]),
        Route("/v1/models", models),
        Route("/health", web.health),
        Route("/ready", ready),
    ]
    return web.guarded(Starlette(routes=routes, exception_handlers=web.ASTRAY), token)


async def _events(
    solve: Callable[[], Awaitable[Solved]], branches: Gate, n: int, seconds: float, model: str
) -> AsyncIterator[str]:
    """The events of a stream: comments while the search goes on, then the chosen answer, or what is wrong."""
    until = time.monotonic() + seconds
    with branches.entered(n):
        search = asyncio.ensure_future(solve())
        try:
            while True:
                yield ": searching\n\n"
                if (await asyncio.wait({search}, timeout=min(KEEP_ALIVE, until - time.monotonic())))[0]:
                    break
                if time.monotonic() >= until:
                    raise TimeoutError
            for chunk in _chunks(search.result(), model):
                yield f"data: {json.dumps(chunk)}\n\n"
        except (PrmError, TimeoutError) as error:
            yield f"data: {json.dumps({'error': web.said(error)})}\n\n"
        finally:
            search.cancel()
    yield "data: [DONE]\n\n"


async def _after(first: str, others: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    async for other in others:
        yield other


def _chunks(found: Solved, model: str) -> Iterator[dict[str, Any]]:
    """The chosen answer, step by step."""
    whole = _completion(found, model)
    head = {name: whole[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    steps = _chosen(found).steps
    for delta in ({"role": "assistant", "content": ""}, *({"content": step} for step in steps)):
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    end = [{"index": 0, "delta": {}, "finish_reason": whole["choices"][0]["finish_reason"]}]
    yield {**head, "choices": end, "usage": whole["usage"]}


def _chosen(found: Solved) -> Chain:
    assert found.choice is not None
    return found.chains[found.choice.index]


def _is_stream(asked: Mapping[str, Any]) -> bool:
    """Whether the answer is to come as events."""
    stream = asked.get("stream")
    if not isinstance(stream, bool | None):
        raise InputError(f"stream={stream!r} is not true or false", "leave it out for a reply in one piece")
    return bool(stream)


def _said(error: Exception) -> str:
    return f"the search failed: {type(error).__name__}: {last_line(error)}"


def _question(asked: Mapping[str, Any]) -> str:
    """The one question of a request, which has one answer."""
    if asked.get("n") not in (None, 1):
        raise InputError(f"n={asked['n']!r}: there is one answer", "budget is the number of chains to choose from")
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
                "finish_reason": "length" if _chosen(found).finish == "length" else "stop",
            }
        ],
        "usage": {"completion_tokens": generated, "total_tokens": generated, "scored_tokens": scored},
    }
