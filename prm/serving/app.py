"""The web application: its routes; `prm.serving.web` has what a request goes through before its handler.

A handler takes the service, the body and the parameters of the address, and returns what is sent as JSON.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from . import own, web
from .contracts import nemo_gym, openrlhf, slime, vllm
from .limits import Gate
from .metrics import Metrics
from .process import ScorerGoneError
from .service import Handler, Routes, Service
from .web import as_json, refused

ROUTES: Routes = {
    "/v1/score": (own.ScoreBody, own.score),
    "/v1/rerank": (own.RerankBody, own.rerank),
    "/v1/verify": (own.VerifyBody, own.verify),
    **vllm.ROUTES,
    **openrlhf.ROUTES,
    **slime.ROUTES,
    **nemo_gym.ROUTES,
}


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
        Route("/health", web.health),
        Route("/ready", partial(_ready, service)),
        Route("/metrics", partial(_metrics, metrics)),
        Route("/v1/scorers", partial(_scorers, service)),
        Route("/v1/models", partial(_models, service)),
    ]
    return web.guarded(Starlette(routes=[*posts, *gets], lifespan=lifespan, exception_handlers=web.ASTRAY), token)


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

    async def work(body: Any) -> Any:
        return await handler(service, body, request.query_params)

    response = await web.answered(request, kind, service.limits, bodies, work)
    metrics.answered(path, response.status_code, started)
    return response


async def _ready(service: Service, _: Request) -> Response:
    """Whether the scorers can be asked."""
    if service.scorers is None or service.scorers.is_ready:
        return as_json({"status": "ready"})
    return refused(ScorerGoneError(service.scorers.trouble, "try again"))


async def _metrics(metrics: Metrics, _: Request) -> Response:
    return Response(metrics.text(), media_type="text/plain; version=0.0.4")


async def _scorers(service: Service, request: Request) -> Response:
    """What is served, and within which limits."""
    if service.scorers is not None and not service.cards:
        return await _ready(service, request)
    return as_json({"scorers": list(service.cards.values()), "limits": asdict(service.limits)})


async def _models(service: Service, _: Request) -> Response:
    """The scorers as OpenAI's clients list models."""
    return web.listed(service.cards)
