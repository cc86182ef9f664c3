"""An engine on one or more OpenAI-compatible completions servers.

The server must take token ids as the prompt, as vLLM does: a prefix is cut from the chain's own ids, and must not be
tokenized again. Every sampling parameter is sent, for what a request leaves open a server fills in as it likes: vLLM
from the model's `generation_config.json`. The draws of a request are one HTTP request.

Requests go to the server with the fewest draws in flight. A server that cannot be reached rests for a while, longer
each time, and its requests go elsewhere; the job stops only when no server has answered for `PATIENCE` seconds. A
request may take any time, as long as its server answers others or says what it serves: one that does so and yet never
answers is not noticed.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import aiohttp
import msgspec

from prm import console
from prm.data.records import as_finish
from prm.errors import EngineError

from .engine import Completion, Request, Sampling, longest

IN_FLIGHT = 256
"""Draws sent to each server at once: vLLM's default batch."""
PATIENCE = 600.0
"""Seconds without an answer from any server after which a job stops."""
LONGEST_REST = 30.0
"""Most seconds for which a failed server rests."""
REFUSALS = 8
"""Failures at one request, on servers that answer other requests, after which it stops the job."""
FIRST_REFUSALS = 3
"""Status 500 in a row from servers that have never answered, after which the job stops."""
LISTING = 10.0
"""Seconds that a server may take to say what it serves."""
STIRRING = 60.0
"""Seconds that a server may take to accept a connection or, while it works on a request, to say what it serves."""
POLLING = 0.05
"""Seconds after which the requests are asked for more while there is room."""
KEY = "OPENAI_API_KEY"
"""Environment variable with the API key."""

_PASSING = (408, 409, 429)
"""Statuses below 500 that are worth a retry: timeout, conflict, overload."""
_REFUSED = (400, 422)
"""Statuses of a request that a server does not understand."""
_ENDPOINTS = "check the endpoints; most end in /v1"
_PROBE = "Thus $x^2 = 12{,}345$ and \u221a2 \u2248 1.414;\n\n\u8bc1\u660e: def f(n): return n // 2  # \N{GRINNING FACE}"
"""Text that tokenizers of different models cut in different places."""


class _StatusError(Exception):
    """An answer with a status other than 200."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"{status}: {said}")
        self.status = status

    @property
    def is_passing(self) -> bool:
        return self.status in _PASSING or self.status >= 500


@dataclass(frozen=True, slots=True)
class Served:
    """What the servers serve."""

    model: str
    """The name under which they serve it."""
    root: str
    """The model itself, as the servers name it; "" if they do not say."""
    max_length: int
    """Longest prompt and continuation together, in tokens."""


@dataclass(slots=True)
class _Server:
    url: str
    in_flight: int = 0
    failures: int = 0
    """Consecutive failures."""
    answers: int = 0
    rested: float = 0.0
    """Time from which it may be asked again."""

    def failed(self, why: str) -> None:
        """Let it rest, longer each time; of the failures in flight together, only the first counts."""
        now = time.monotonic()
        if self.rested <= now:
            self.rested = now + min(2.0 ** min(self.failures, 10), LONGEST_REST)
            self.failures += 1
            if self.failures == 1:
                console.say(f"{self.url}: {why}; it is asked again later")

    def answered(self) -> None:
        self.failures, self.answers = 0, self.answers + 1


class _Client:
    """HTTP with JSON on both sides."""

    def __init__(self) -> None:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        connector = aiohttp.TCPConnector(limit=0, socket_factory=_lasting_socket)
        self._session = aiohttp.ClientSession(connector=connector, headers=headers)

    async def ask(self, url: str, body: Any = None, timeout: float | None = None) -> Any:
        """The answer to a POST of `body`, or to a GET if there is none; `timeout` in seconds, None for any time.

        Raises:
            _StatusError: the server refuses.
            EngineError: the server wants a key, or answers with something that is not JSON.
            aiohttp.ClientError, TimeoutError: the server cannot be reached.
        """
        data = None if body is None else msgspec.json.encode(body)
        limit = aiohttp.ClientTimeout(total=timeout, sock_connect=STIRRING)
        async with self._session.request("GET" if body is None else "POST", url, data=data, timeout=limit) as reply:
            status, content = reply.status, await reply.read()
        if status in (401, 403):
            raise EngineError(f"{url}: refuses the API key ({status}): {_said(content)}", f"set {KEY}")
        if status != 200:
            raise _StatusError(status, _said(content))
        try:
            found = _decoded(content)
        except ValueError as error:
            raise EngineError(f"{url}: does not answer with JSON: {_said(content)}", _ENDPOINTS) from error
        if isinstance(found, dict) and found.get("error"):  # some gateways say 200 all the same
            code = found["error"].get("code") if isinstance(found["error"], dict) else None
            raise _StatusError(code if isinstance(code, int) else 500, _said(content))
        return found

    async def close(self) -> None:
        await self._session.close()


def _lasting_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for a connection that may be silent for long: routers do not forget it, and a dead peer is noticed."""
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":  # elsewhere the first sign of life is sent after the system's own time
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 30)
    return made


def _decoded(content: bytes) -> Any:
    """The value of a JSON text; `json` reads lone surrogates too, which some servers send."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(content.decode("utf-8", "replace"))


def _said(content: bytes) -> str:
    """What a server says about a failure, in one line."""
    try:
        found = _decoded(content)
    except ValueError:
        found = content.decode("utf-8", "replace")
    for name in ("error", "message", "detail"):
        found = found.get(name, found) if isinstance(found, dict) else found
    return " ".join(str(found).split())[:300] or "no reason given"


def ask_what_is_served(
    endpoints: Sequence[str], tokenizer: Any, *, model: str | None = None, max_length: int | None = None
) -> Served:
    """Ask the servers what they serve, and compare their tokenizer with the one at hand where they can be asked.

    Args:
        endpoints: base URLs.
        tokenizer: of the model that the job names.
        model: name of the served model; None for the first one that the servers list.
        max_length: longest prompt and continuation together, in tokens; None for what the servers say.

    Raises:
        EngineError: no server answers, they serve different models, or another one than the job names; or the length is
            unknown.
    """
    if wrong := [url for url in endpoints if not url.startswith(("http://", "https://"))]:
        raise EngineError(f"{wrong[0]!r} is not the URL of a server", "such as http://host:8000/v1")
    return asyncio.run(_found([url.rstrip("/") for url in endpoints], tokenizer, model, max_length))


async def _found(endpoints: Sequence[str], tokenizer: Any, model: str | None, max_length: int | None) -> Served:
    client = _Client()
    try:
        cards = await asyncio.gather(*(_card(client, url, model) for url in endpoints))
        found = [card for card in cards if isinstance(card, Served)]
        if model and max_length and not found:
            return Served(model, "", max_length)
        if not found:
            raise EngineError(f"no server answers: {'; '.join(map(str, cards))}", _ENDPOINTS)
        served = _agreed(found, max_length)
        await asyncio.gather(*(_compare(client, url, served.model, tokenizer) for url in endpoints))
        return served
    finally:
        await client.close()


async def _card(client: _Client, url: str, model: str | None) -> Served | str:
    """What one server serves, or why that is not known."""
    try:
        found = await client.ask(f"{url}/models", timeout=LISTING)
        names = [str(card["id"]) for card in found["data"]]
        card = next((card for card in found["data"] if model in (None, card["id"])), None)
        if card is not None:
            length = int(card.get("max_model_len") or 0)
            return Served(str(card["id"]), str(card.get("root") or ""), max(length, 0))
        if not names:
            return f"{url}/models: lists no model"
    except (aiohttp.ClientError, OSError, TimeoutError, _StatusError) as error:
        return f"{url}/models: {str(error) or type(error).__name__}"
    except (AttributeError, KeyError, TypeError, ValueError):
        return f"{url}/models: does not list models"
    raise EngineError(f"{url}: does not serve {model!r}, but {', '.join(names)}", "name one of these with model=NAME")


def _agreed(found: Sequence[Served], max_length: int | None) -> Served:
    names = sorted({served.model for served in found})
    if len(names) > 1:
        raise EngineError(f"the servers serve different models: {', '.join(names)}", "serve the same model on all")
    lengths = [served.max_length for served in found if served.max_length]
    if not lengths and max_length is None:
        raise EngineError(
            "the servers do not report the context length",
            "set the engine option max_length, such as max_length=4096",
        )
    return Served(names[0], found[0].root, max_length or min(lengths))


async def _compare(client: _Client, url: str, model: str, tokenizer: Any) -> None:
    """Refuse a server whose tokenizer cuts a text in other places; one that cannot be asked (vLLM can) is trusted."""
    try:
        root = url.removesuffix("/v1")
        body = {"model": model, "prompt": _PROBE, "add_special_tokens": False}
        theirs = (await client.ask(f"{root}/tokenize", body, timeout=LISTING))["tokens"]
    except (aiohttp.ClientError, OSError, TimeoutError, EngineError, _StatusError, KeyError, TypeError):
        return
    ours = tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
    if list(theirs) != list(ours):
        raise EngineError(
            f"{url}: serves {model!r}, whose tokenizer is not that of --model: it cuts a text into {len(theirs)} "
            f"tokens {str(theirs[:4])[:-1]}, …], not {len(ours)} tokens {str(ours[:4])[:-1]}, …]",
            "name the model that is served",
        )


class ServerEngine:
    """Continues token ids on servers of one model.

    Args:
        endpoints: base URLs, such as `http://host:8000/v1`. An API key, if needed, is read from `OPENAI_API_KEY`.
        model: name of the served model; see `ask_what_is_served`.
        max_length: longest prompt and continuation together, in tokens.
    """

    def __init__(self, endpoints: Sequence[str], *, model: str, max_length: int) -> None:
        self.model, self.max_length = model, max_length
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="servers")
        self._thread.start()
        self._servers = [_Server(url.rstrip("/")) for url in endpoints]
        self._gives_many = True
        """Whether the servers give several draws in one answer, as far as is known."""
        self._is_cut = False
        """Whether a server was seen to cut draws early."""
        self._answered = time.monotonic()
        self._client = self._run(_started())

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
                    tasks[request.id] = self._submit(self._answer(request, sampling, done.put))
                    in_flight += request.n
                if not in_flight:
                    return
                try:
                    finished, answer = done.get(timeout=POLLING)
                except queue.Empty:
                    continue
                in_flight -= finished.n
                del tasks[finished.id]
                if isinstance(answer, Exception):
                    raise answer
                yield finished, answer
        finally:
            for task in tasks.values():
                task.cancel()

    async def _answer(self, request: Request, sampling: Sampling, put: Callable[[Any], None]) -> None:
        """Hand over the completions of a request, or the error."""
        try:
            found = await self._draws(request, sampling, 0, request.n) if self._gives_many else []
            missing = (self._draws(request, sampling, i, 1) for i in range(len(found), request.n))
            put((request, [*found, *(draw for draws in await asyncio.gather(*missing) for draw in draws)]))
        except Exception as error:  # raised in the thread that reads the stream
            put((request, error))

    async def _draws(self, request: Request, sampling: Sampling, first: int, n: int) -> list[Completion]:
        """At least one and at most `n` draws of a request, from the draw `first` on."""
        refusals = 0
        while True:
            server, asked = await self._choose(), n
            server.in_flight += asked
            try:
                reply = await self._reply(server, self._body(request, sampling, first, n))
                found = _completions(reply, server, n)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                server.failed(str(error) or type(error).__name__)
                self._give_up_after(error, request)
            except _StatusError as error:
                if n > 1 and error.status in _REFUSED and not server.answers:
                    n, self._gives_many = 1, False  # perhaps it gives one draw at a time
                    continue
                refusals += error.status == 500 and server.failures == 0  # on a server that answers other requests
                if not error.is_passing or refusals == REFUSALS or self._has_never_answered(error):
                    raise EngineError(f"{server.url}: refuses {request.id}: {error}", "see the server's log") from error
                server.failed(str(error))
                self._give_up_after(error, request)
            else:
                server.answered()
                self._answered = time.monotonic()
                self._say_if_cut(found, longest(request, sampling), server)
                self._gives_many = self._gives_many and len(found) == n
                return found
            finally:
                server.in_flight -= asked

    async def _reply(self, server: _Server, body: dict[str, Any]) -> Any:
        """What a server says to a request for draws: at any time, unless it falls silent. Raises as `_Client.ask`."""
        reply = asyncio.ensure_future(self._client.ask(f"{server.url}/completions", body))
        try:
            while not reply.done():
                answers = server.answers
                await asyncio.wait([reply], timeout=PATIENCE / 2)
                if not reply.done() and server.answers == answers:
                    await self._require_alive(server, reply)
            return reply.result()
        finally:
            reply.cancel()

    async def _require_alive(self, server: _Server, reply: asyncio.Future[Any]) -> None:
        """Ask a server that works on a request what it serves; silence is an error, unless the reply has come."""
        try:
            await self._client.ask(f"{server.url}/models", timeout=STIRRING)
        except (_StatusError, EngineError):
            pass  # not what was asked for, but an answer
        except (aiohttp.ClientError, OSError, TimeoutError):
            if not reply.done():
                raise
        if not server.failures:
            self._answered = time.monotonic()

    def _say_if_cut(self, found: list[Completion], most: int, server: _Server) -> None:
        """Say once if a server has a limit of its own: such draws are undecided."""
        cut = [draw.tokens for draw in found if draw.finish == "length" and 0 < draw.tokens < most]
        if cut and not self._is_cut and cut[0] < self.max_length // 2:
            self._is_cut = True
            console.say(f"{server.url}: cut a draw after {cut[0]:,} tokens, though {most:,} are allowed")

    def _has_never_answered(self, error: _StatusError) -> bool:
        """Whether no server has answered any request yet, and all fail again and again: they will not get better."""
        return error.status == 500 and all(
            not server.answers and server.failures >= FIRST_REFUSALS for server in self._servers
        )

    async def _choose(self) -> _Server:
        """The server with the fewest draws in flight, among those not resting."""
        while True:
            now = time.monotonic()
            awake = [server for server in self._servers if server.rested <= now]
            if awake:
                return min(awake, key=lambda server: server.in_flight)
            await asyncio.sleep(min(server.rested for server in self._servers) - now)

    def _body(self, request: Request, sampling: Sampling, first: int, n: int) -> dict[str, Any]:
        own = request.seed(sampling)
        seed = {} if own is None else {"seed": own + first}
        texts = [*sampling.stop, *request.stop]
        stop = {"stop": texts} if texts else {}
        return {
            "model": self.model,
            "prompt": request.prompt_ids,
            "n": n,
            "max_tokens": min(longest(request, sampling), self.max_length - len(request.prompt_ids)),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or -1,
            "min_p": sampling.min_p,
            "repetition_penalty": sampling.repetition_penalty,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "return_token_ids": True,  # the only way to learn the length of each draw
            **seed,
            **stop,
        }

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
        self._run(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _started() -> _Client:
    """A client in the loop that runs this."""
    return _Client()


async def _cancel_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _completions(reply: Any, server: _Server, n: int) -> list[Completion]:
    """The draws in an answer, in their order."""
    try:
        choices = sorted(reply["choices"], key=lambda choice: choice.get("index") or 0)[:n]
        texts = [choice["text"].encode("utf-8", "replace").decode() for choice in choices]  # a lone surrogate
        total = int((reply.get("usage") or {}).get("completion_tokens") or 0)
        counts = _token_counts(choices, texts, max(total, 0))
        found = [
            Completion(text, tokens, as_finish(choice.get("finish_reason")), _ids(choice), _stop(choice))
            for text, tokens, choice in zip(texts, counts, choices, strict=True)
        ]
    except (AttributeError, KeyError, TypeError, ValueError):
        found = []
    if not found:
        raise EngineError(f"{server.url}: does not answer like a completions server", "check the endpoints")
    return found


def _ids(choice: Any) -> tuple[int, ...]:
    ids = choice.get("token_ids")
    return tuple(ids) if isinstance(ids, list) else ()


def _stop(choice: Any) -> str:
    """The text that ended a draw, which vLLM tells."""
    stop = choice.get("stop_reason")
    return stop if isinstance(stop, str) else ""


def _token_counts(choices: Sequence[Any], texts: Sequence[str], total: int) -> list[int]:
    """Number of tokens of each draw; where only their sum is known, each gets its share by length."""
    ids = [choice.get("token_ids") for choice in choices]
    if all(isinstance(found, list) for found in ids):
        return [len(found) for found in ids]
    ends, characters, length = [0], 0, sum(map(len, texts))
    for text in texts:
        characters += len(text)
        ends.append(round(total * characters / length) if length else 0)
    return [end - start for start, end in pairwise(ends)]
