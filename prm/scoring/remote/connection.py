"""JSON over HTTP to one server, sync and async: asked again while it is busy or gone, for as long as patience lasts."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from prm.errors import EngineError, InputError, ModelError

TOKEN = "PRM_SERVE_TOKEN"
"""Environment variable with the token of the server."""
PATIENCE = 600.0
"""Seconds without an answer after which a request fails."""
LONGEST_REST = 10.0
"""Most seconds between two tries."""
CONNECTIONS = 8
"""Requests at once by one scorer of this process."""
_PASSING = (408, 429, 502, 503, 504)
"""Statuses that are worth another try."""


class Connection:
    """A server.

    Args:
        url: base URL, such as `http://localhost:8400`.
        token: that it asks for; None for that of the environment, if there is one.
        patience: see `PATIENCE`.

    Raises:
        ModelError: httpx is not installed.
        InputError: the address is none.
    """

    def __init__(self, url: str, token: str | None = None, patience: float = PATIENCE) -> None:
        try:
            import httpx
        except ImportError as error:
            raise ModelError("httpx is not installed", 'pip install "prm-toolkit[serve]"') from error
        if not url.startswith(("http://", "https://")) or not _is_sound(url):
            raise InputError(f"{url!r} is not the URL of a server", "such as http://localhost:8400")
        self.url, self.token, self.patience = url.rstrip("/"), token, patience
        key = token or os.environ.get(TOKEN)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=256)
        self._options: dict[str, Any] = {
            "headers": {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})},
            "verify": httpx.create_ssl_context(),
            "timeout": httpx.Timeout(patience, connect=10),
            "limits": limits,
        }
        self._broken: type[Exception] = httpx.TransportError
        self._client = httpx.Client(**self._options)

    def ask(self, path: str, body: Any = None) -> Any:
        """The answer to a POST of `body`, or to a GET if there is none.

        Raises:
            InputError: the server refuses the request.
            EngineError: it cannot be reached, fails, or wants another token.
        """
        tries = _Tries(self, path)
        for rest in tries:
            time.sleep(rest)
            with tries.watching(self._broken):
                reply = self._client.request(*self._request(path, body), content=_content(body))
                return tries.read(reply.status_code, reply.content)
        raise tries.over()

    def session(self) -> Any:
        """Connections for coroutines, an async context manager: they belong to one event loop."""
        import httpx

        return httpx.AsyncClient(**self._options)

    async def ask_async(self, session: Any, path: str, body: Any) -> Any:
        """As `ask`, for coroutines; if it is canceled, the server stops working on it."""
        tries = _Tries(self, path)
        for rest in tries:
            await asyncio.sleep(rest)
            with tries.watching(self._broken):
                reply = await session.request(*self._request(path, body), content=_content(body))
                return tries.read(reply.status_code, reply.content)
        raise tries.over()

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _request(self, path: str, body: Any) -> tuple[str, str]:
        return "GET" if body is None else "POST", self.url + path


def _is_sound(url: str) -> bool:
    import httpx

    try:
        return bool(httpx.URL(url).host)
    except httpx.InvalidURL:
        return False


def _content(body: Any) -> bytes | None:
    return None if body is None else msgspec.json.encode(body)


class _Tries:
    """The pauses before the tries of a request, and what came of the last one."""

    def __init__(self, server: Connection, path: str) -> None:
        self._server, self._where = server, server.url + path
        self._trouble = "no answer"
        self._end = time.monotonic() + server.patience

    def __iter__(self) -> Iterator[float]:
        rest = 0.0
        while time.monotonic() + rest <= self._end:
            yield rest
            rest = min(2 * rest + 0.1, LONGEST_REST)

    def watching(self, broken: type[Exception]) -> _Watch:
        return _Watch(self, broken)

    def read(self, status: int, content: bytes) -> Any:
        """What an answer holds.

        Raises:
            _PassingError: it is worth another try.
        """
        if status in _PASSING:
            raise _PassingError(_said(content))
        if status != 200:
            kind = EngineError if status in (401, 403) or status >= 500 else InputError
            hint = f"set {TOKEN}" if status in (401, 403) else ""
            raise kind(f"{self._where}: {status}: {_said(content)}", hint)
        try:
            return msgspec.json.decode(content)
        except msgspec.DecodeError as error:
            raise EngineError(f"{self._where}: does not answer with JSON", "is it the right server?") from error

    def failed(self, error: Exception) -> None:
        self._trouble = str(error) or type(error).__name__

    def over(self) -> EngineError:
        seconds = f"{self._server.patience:g} s"
        return EngineError(f"{self._where}: no answer within {seconds}: {self._trouble}", "does the server run?")


class _PassingError(Exception):
    """An answer that is worth another try."""


class _Watch:
    """Notes a try that failed for now."""

    def __init__(self, tries: _Tries, broken: type[Exception]) -> None:
        self._tries, self._kinds = tries, (_PassingError, broken)

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if isinstance(error, self._kinds):
            self._tries.failed(error)
            return True
        return False


def _said(content: bytes) -> str:
    """What a server says about a failure, in one line."""
    found: Any = content.decode("utf-8", "replace")
    with suppress(msgspec.DecodeError):
        found = msgspec.json.decode(content)
    for name in ("error", "message", "detail"):
        found = found.get(name, found) if isinstance(found, dict) else found
    return " ".join(str(found).split())[:300] or "no reason given"
