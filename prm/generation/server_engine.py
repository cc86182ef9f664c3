"""An engine on one or more OpenAI-compatible completions servers.

The server must take token ids as the prompt, as vLLM does: a prefix is cut from the chain's own ids, and must not be
tokenized again. Each draw is one HTTP request with its own seed, since not every server supports `n`; draws from one
prompt share its cache on the server.

Requests go to the server with the fewest in flight. A server that cannot be reached rests for a while, longer each
time, and its requests go elsewhere; the job stops only when no server has answered for `PATIENCE` seconds.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import openai

from prm.data.records import as_finish
from prm.errors import EngineError

from .engine import Completion, Request, Sampling

IN_FLIGHT = 256
"""Draws sent to each server at once: vLLM's default batch."""
PATIENCE = 600.0
"""Seconds without an answer from any server after which a job stops."""
LONGEST_REST = 30.0
"""Most seconds for which a failed server rests."""

REFUSALS = 8
"""Failures at one draw, on servers that answer other draws, after which it stops the job."""

_PASSING = (408, 409, 429)
"""Statuses below 500 that are worth a retry: timeout, conflict, overload."""


@dataclass(slots=True)
class _Server:
    client: openai.AsyncOpenAI
    in_flight: int = 0
    failures: int = 0
    """Consecutive failures."""
    rested: float = 0.0
    """Time from which it may be asked again."""

    def failed(self) -> None:
        """Let it rest, longer each time; of the failures in flight together, only the first counts."""
        now = time.monotonic()
        if self.rested <= now:
            self.rested = now + min(2.0 ** min(self.failures, 10), LONGEST_REST)
            self.failures += 1


class ServerEngine:
    """Continues token ids on servers of one model.

    Args:
        endpoints: base URLs, such as `http://host:8000/v1`. An API key, if needed, is read from `OPENAI_API_KEY`.
        model: name of the served model; None for the first one that the servers list.
        max_length: longest prompt and continuation together, in tokens; None to ask the servers.

    Raises:
        EngineError: no server answers, they serve different models, or the length is unknown.
    """

    def __init__(self, endpoints: Sequence[str], *, model: str | None = None, max_length: int | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="servers")
        self._thread.start()
        key = os.environ.get("OPENAI_API_KEY", "none")
        self._servers = [
            _Server(openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0, timeout=PATIENCE)) for url in endpoints
        ]
        self._answered = time.monotonic()
        try:
            self.model, self.max_length = self._ask_what_is_served(model, max_length)
        except BaseException:
            self.close()
            raise

    def _ask_what_is_served(self, model: str | None, max_length: int | None) -> tuple[str, int]:
        """Name and length that the answering servers agree on; given values take precedence."""
        if model and max_length:
            return model, max_length
        found = [card for server in self._servers if (card := self._run(_model_card(server.client, model)))]
        if not found:
            raise EngineError(
                f"no server answers at {', '.join(str(s.client.base_url) for s in self._servers)}",
                "check the endpoints; most end in /v1",
            )
        names, lengths = ({card[i] for card in found} for i in (0, 1))
        if len(names) > 1:
            raise EngineError(
                f"the servers serve different models: {', '.join(sorted(names))}", "serve the same model on all"
            )
        known = [length for length in lengths if length]
        if not known and max_length is None:
            raise EngineError(
                "the servers do not report the context length",
                "set the engine option max_length, such as max_length=4096",
            )
        return names.pop(), max_length or min(known)

    def stream(
        self, requests: Iterator[Request | None], sampling: Sampling
    ) -> Iterator[tuple[Request, list[Completion]]]:
        """See `prm.generation.engine.Engine.stream`."""
        done: queue.SimpleQueue[tuple[Request, list[Completion] | Exception]] = queue.SimpleQueue()
        in_flight, room = 0, IN_FLIGHT * len(self._servers)
        tasks = dict[str, Future[None]]()
        try:
            while True:
                while in_flight < room and (request := next(requests, None)):
                    if not in_flight:
                        self._answered = time.monotonic()  # patience starts when a server is asked
                    tasks[request.id] = self._submit(self._answer(request, sampling, done))
                    in_flight += request.n
                if not in_flight:
                    return
                finished, answer = done.get()
                in_flight -= finished.n
                del tasks[finished.id]
                if isinstance(answer, Exception):
                    raise answer
                yield finished, answer
        finally:
            for task in tasks.values():
                task.cancel()

    async def _answer(self, request: Request, sampling: Sampling, done: queue.SimpleQueue[Any]) -> None:
        """Put the completions of a request, or the error, into `done`."""
        try:
            first = request.seed(sampling)
            draws = (self._draw(request, sampling, first + i) for i in range(request.n))
            done.put((request, list(await asyncio.gather(*draws))))
        except Exception as error:  # raised in the thread that reads the stream
            done.put((request, error))

    async def _draw(self, request: Request, sampling: Sampling, seed: int) -> Completion:
        refusals = 0
        while True:
            server = await self._choose()
            server.in_flight += 1
            try:
                reply = await self._complete(server.client, request, sampling, seed)
            except (openai.APIConnectionError, ValueError) as error:  # not reached, timed out, or an incomplete answer
                server.failed()
                self._give_up_after(error, request)
            except openai.APIStatusError as error:
                refusals += error.status_code == 500 and server.failures == 0  # on a server that answers other draws
                is_passing = error.status_code in _PASSING or error.status_code >= 500
                if not is_passing or refusals == REFUSALS:
                    raise EngineError(
                        f"{server.client.base_url}: refuses {request.id}: {error.message}", "see the server's log"
                    ) from error
                server.failed()
                self._give_up_after(error, request)
            else:
                server.failures, self._answered = 0, time.monotonic()
                return _read(reply, server)
            finally:
                server.in_flight -= 1

    async def _choose(self) -> _Server:
        """The server with the fewest draws in flight, among those not resting."""
        while True:
            now = time.monotonic()
            awake = [server for server in self._servers if server.rested <= now]
            if awake:
                return min(awake, key=lambda server: server.in_flight)
            await asyncio.sleep(min(server.rested for server in self._servers) - now)

    async def _complete(self, client: openai.AsyncOpenAI, request: Request, sampling: Sampling, seed: int) -> Any:
        return await client.completions.create(
            model=self.model,
            prompt=list(request.prompt_ids),
            max_tokens=min(sampling.max_tokens, self.max_length - len(request.prompt_ids)),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=seed,
            stop=list(sampling.stop) or None,
        )

    def _give_up_after(self, error: Exception, request: Request) -> None:
        if time.monotonic() - self._answered > PATIENCE:
            raise EngineError(
                f"no server has answered for {PATIENCE:.0f} s; last error, for {request.id}: {error}",
                "start the servers or see their logs, then run the same job again",
            ) from error

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._submit(work).result()

    def _submit(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Cancel the requests in flight and close the connections."""
        self._run(_cancel_all())
        for server in self._servers:
            self._run(server.client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _model_card(client: openai.AsyncOpenAI, model: str | None) -> tuple[str, int] | None:
    """Name and context length (0 if not reported) of a served model; None if the server does not answer."""
    try:
        cards = (await client.with_options(timeout=10.0).models.list()).data
    except (openai.OpenAIError, AttributeError):  # AttributeError: the answer is not a list of models
        return None
    card = next((c for c in cards if model in (None, c.id)), None)
    return None if card is None else (card.id, int(getattr(card, "max_model_len", 0) or 0))


def _read(reply: Any, server: _Server) -> Completion:
    try:
        return _completion(reply)
    except (AttributeError, IndexError, TypeError) as error:
        raise EngineError(
            f"{server.client.base_url}: does not answer like a completions server", "check the endpoints"
        ) from error


def _completion(reply: Any) -> Completion:
    choice = reply.choices[0]
    tokens = (reply.usage and reply.usage.completion_tokens) or 0
    text = choice.text.encode("utf-8", "replace").decode()  # a lone surrogate could not be written to a file
    return Completion(text=text, tokens=tokens, finish=as_finish(choice.finish_reason))
