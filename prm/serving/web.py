"""What all servers share: how a request is read, bounded, refused, let in and given up, and how a server runs.

The work of a request ends when its client leaves, or when its time is over.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from prm import console
from prm.errors import InputError, PrmError

from .limits import STATUSES, DeniedError, Gate, Limits, TooMuchError

OPEN = ("/health", "/ready")
"""Paths that need no token."""
UNREAD = 128 * 2**20
"""Bytes of a body over the limit that are read and thrown away, so that its sender gets to read the answer."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
STOPPING = 30
"""Seconds that requests under way have to finish once the server is told to stop."""
_encode = msgspec.json.Encoder().encode


async def answered(
    request: Request, kind: Any, limits: Limits, bodies: Gate, work: Callable[[Any], Awaitable[Any]]
) -> Response:
    """The answer to a request: what the work on its body gives, as JSON unless it is a response, or a refusal.

    Args:
        request: with a body of JSON.
        kind: the type of the body.
        limits: its size, and its time.
        bodies: counts the bytes of all requests under way.
        work: from the body to the answer; canceled if the client leaves.
    """
    try:
        async with asyncio.timeout(limits.seconds):
            with bodies.entered(_declared(request, limits)):
                body = _decoded(await _content(request, limits), kind)
                found = await _unless_gone(request, work(body))
                return found if isinstance(found, Response) else as_json(found)
    except ClientDisconnect:
        return Response(status_code=499)  # as nginx counts it; nobody reads it
    except (PrmError, TimeoutError) as error:
        return refused(error)


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
        f"the body is over {limits.body:,} bytes", "send several requests, or raise the limit of the server"
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
        raise MalformedError(f"the body cannot be read: {error}", "see docs/serving.md") from error


class MalformedError(PrmError):
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


def as_json(found: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response that holds this as JSON."""
    return Response(_encode(found), status, headers, "application/json")


def said(error: Exception) -> dict[str, Any]:
    """What a refusal says, under "error"."""
    status = next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 400)
    message = str(error) or "the request took too long"
    return {"message": message, "hint": getattr(error, "hint", ""), "code": status, "type": type(error).__name__}


def refused(error: Exception) -> Response:
    """A refusal, with the status of the error."""
    about = said(error)
    status = about["code"]
    headers = {"Retry-After": "1"} if status in (429, 503) else {}
    if status == 413:
        headers["Connection"] = "close"
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return as_json({"error": about}, status, headers)


async def _astray(request: Request, error: Exception) -> Response:
    """The refusal of a request that no route takes, in the form of all others."""
    assert isinstance(error, HTTPException)
    about = {
        "message": f"{request.method} {request.url.path}: {error.detail}",
        "hint": "see docs/serving.md",
        "code": error.status_code,
        "type": "RouteError",
    }
    return as_json({"error": about}, error.status_code, error.headers)


ASTRAY = {HTTPException: _astray}
"""Handler for what no route takes."""


async def health(_: Request) -> Response:
    """Whether the server runs."""
    return as_json({"status": "ok"})


def listed(names: Iterable[str]) -> Response:
    """Names as OpenAI's clients list models."""
    cards = [{"id": name, "object": "model", "created": 0, "owned_by": "prm"} for name in names]
    return as_json({"object": "list", "data": cards})


def guarded(app: ASGIApp, token: str | None) -> ASGIApp:
    """The application, behind a token unless it is None."""
    return app if token is None else _Guard(app, token)


class _Guard:
    """Lets only requests with the token pass: as a bearer's, or as the password of an address, `http://user:TOKEN@…`."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN:
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(_token_in(given), self._token):
                error = DeniedError("the token is missing or wrong", "Authorization: Bearer TOKEN")
                await refused(error)(scope, receive, send)
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


def listening(host: str, port: int, token: str | None) -> tuple[socket.socket, str]:
    """A socket to serve at, and its address.

    Args:
        host: beyond this machine, a server without a token is pointed out.
        port: 0 for any free one.
        token: that requests must bring; None for none.

    Raises:
        InputError: the port is taken, or the host is no address of this machine.
    """
    if token is None and host not in LOOPBACK:
        console.say(f"{host}: whoever reaches this address may use it; a token would limit that")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise InputError(f"cannot listen at {host}, port {port}: {error.strerror}", "choose another port") from error
    return made, f"http://{f'[{host}]' if ':' in host else host}:{made.getsockname()[1]}"


def server_of(app: ASGIApp) -> uvicorn.Server:
    """A server; `run(sockets=[…])` answers until a signal, or until its `should_exit` is set.

    Requests under way then have `STOPPING` seconds to finish.
    """
    return uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=STOPPING, lifespan="on")
    )
