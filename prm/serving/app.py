"""The web application: routes, what a request goes through before its handler, and errors as JSON.

A handler takes the service, the body and the parameters of the address, and returns what is sent as JSON. The work of a
request ends when its client leaves.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from functools import partial
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from prm.errors import PrmError

from . import own
from .contracts import nemo_gym, openrlhf, slime, vllm
from .limits import STATUSES, DeniedError, Gate, Limits, TooMuchError
from .metrics import Metrics
from .process import ScorerFailureError, ScorerGoneError
from .service import Handler, Routes, Service

ROUTES: Routes = {
    "/v1/score": (own.ScoreBody, own.score),
    "/v1/rerank": (own.RerankBody, own.rerank),
    "/v1/verify": (own.VerifyBody, own.verify),
    **vllm.ROUTES,
    **openrlhf.ROUTES,
    **slime.ROUTES,
    **nemo_gym.ROUTES,
}
OPEN = ("/health", "/ready")
"""Paths that need no token."""
UNREAD = 128 * 2**20
"""Bytes of a body over the limit that are read and thrown away, so that its sender gets to read the answer."""
_STATUSES: dict[type[Exception], int] = {**STATUSES, ScorerFailureError: 500, ScorerGoneError: 503, TimeoutError: 503}
_encode = msgspec.json.Encoder().encode


def make_app(service: Service, metrics: Metrics, token: str | None, started: Callable[[], Awaitable[None]]) -> ASGIApp:
    """The application.

    Args:
        service: what it serves.
        metrics: what it counts.
        token: that requests must bring; None for none.
        started: runs beside the application from its start on.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        beginning = asyncio.ensure_future(started())
        yield
        beginning.cancel()
        await service.close()

    bodies = Gate(service.limits.bodies, "bytes of requests")
    posts = [
        Route(path, partial(_endpoint, service, metrics, bodies, path, kind, handler), methods=["POST"])
        for path, (kind, handler) in ROUTES.items()
    ]
    gets = [
        Route("/health", _health),
        Route("/ready", partial(_ready, service)),
        Route("/metrics", partial(_metrics, metrics)),
        Route("/v1/scorers", partial(_scorers, service)),
        Route("/v1/models", partial(_models, service)),
    ]
    app = Starlette(routes=[*posts, *gets], lifespan=lifespan)
    return app if token is None else _Guard(app, token)


async def _endpoint(
    service: Service,
    metrics: Metrics,
    bodies: Gate,
    path: str,
    kind: Any,
    handler: Handler,
    request: Request,
) -> Response:
    """Answer one request."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(service.limits.seconds):
            size = _declared(request, service.limits)
            with bodies.entered(size):
                content = await _content(request, service.limits)
                body = _decoded(content, kind)
                work = handler(service, body, request.query_params)
                response = _json(await _unless_gone(request, work))
    except ClientDisconnect:
        response = Response(status_code=499)  # as nginx counts it; nobody reads it
    except (PrmError, TimeoutError) as error:
        response = _refused(error)
    metrics.answered(path, response.status_code, started)
    return response


def _declared(request: Request, limits: Limits) -> int:
    """The size of the body as it is announced; without an announcement, the largest allowed."""
    text = request.headers.get("content-length", "")
    return min(int(text), limits.body) if text.isdecimal() and len(text) < 20 else limits.body


async def _content(request: Request, limits: Limits) -> bytes:
    """The body of a request.

    Raises:
        TooMuchError: it is over the limit.
    """
    content, size = bytearray(), 0
    announced = request.headers.get("content-length", "0")
    too_much = TooMuchError(
        f"the body is over {limits.body:,} bytes", "send several requests, or raise --max-body of the server"
    )
    if len(announced) > 19 or int(announced) > UNREAD:
        raise too_much
    async for chunk in request.stream():
        size += len(chunk)
        if size <= limits.body:
            content += chunk
        elif size > UNREAD:
            break
    if size > limits.body:
        raise too_much
    return bytes(content)


def _decoded(content: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _MalformedError(f"the body cannot be read: {error}", "see docs/serving.md") from error


class _MalformedError(PrmError):
    """A body that is not JSON, or not of the right form."""


async def _unless_gone(request: Request, work: Awaitable[Any]) -> Any:
    """The result of the work, which is canceled if the client leaves.

    Raises:
        ClientDisconnect: it left.
    """
    task, gone = asyncio.ensure_future(work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for left in (task, gone):
            left.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _json(found: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(_encode(found), status, headers, "application/json")


def _refused(error: Exception) -> Response:
    status = next((code for kind, code in _STATUSES.items() if isinstance(error, kind)), 400)
    message = str(error) or "the request took too long"
    about = {"message": message, "hint": getattr(error, "hint", ""), "code": status, "type": type(error).__name__}
    headers = {"Retry-After": "1"} if status in (429, 503) else {}
    if status == 413:
        headers["Connection"] = "close"
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _json({"error": about}, status, headers)


async def _health(_: Request) -> Response:
    """Whether the server runs."""
    return _json({"status": "ok"})


async def _ready(service: Service, _: Request) -> Response:
    """Whether the scorers can be asked."""
    if service.scorers is None or service.scorers.is_ready:
        return _json({"status": "ready"})
    return _refused(ScorerGoneError(service.scorers.trouble, "try again"))


async def _metrics(metrics: Metrics, _: Request) -> Response:
    return Response(metrics.text(), media_type="text/plain; version=0.0.4")


async def _scorers(service: Service, request: Request) -> Response:
    """What is served, and within which limits."""
    if service.scorers is not None and not service.cards:
        return await _ready(service, request)
    return _json({"scorers": list(service.cards.values()), "limits": asdict(service.limits)})


async def _models(service: Service, _: Request) -> Response:
    """The scorers as OpenAI's clients list models."""
    cards = [{"id": name, "object": "model", "created": 0, "owned_by": "prm"} for name in service.cards]
    return _json({"object": "list", "data": cards})


class _Guard:
    """Lets only requests with the token pass: as a bearer's, or as the password of an address, `http://user:TOKEN@…`."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN:
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(_token_in(given), self._token):
                await _refused(DeniedError("the token is missing or wrong", "Authorization: Bearer TOKEN"))(
                    scope, receive, send
                )
                return
        await self._app(scope, receive, send)


def _token_in(authorization: bytes) -> bytes:
    way, _, value = authorization.partition(b" ")
    if way.lower() == b"bearer":
        return value.strip()
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2] if way.lower() == b"basic" else b""
    except ValueError:
        return b""
