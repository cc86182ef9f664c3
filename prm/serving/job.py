"""`prm serve`: scorers and the verifier behind HTTP, until it is told to stop."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from prm import console
from prm.errors import PrmError, require_number
from prm.scoring.scorer import Scorer
from prm.verifiers.checkers import Named

from .app import make_app
from .limits import Limits
from .metrics import Metrics
from .process import ScorerProcess
from .service import Service
from .web import listening, server_of
from .worker import Loader


def serve(
    scorers: Mapping[str, str | Mapping[str, Any] | Scorer] | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8400,
    token: str | None = None,
    checker: Named = "exact",
    splitter: str = "newline",
    patience: float = 0.002,
    limits: Limits | None = None,
) -> None:
    """Serve scorers and the checker, until a signal to stop.

    Requests under way then finish, for at most 30 seconds.

    Args:
        scorers: by the name under which requests ask for them: a model's directory or Hub name, the arguments of
            `prm.load_scorer`, or a scorer, which is pickled. None to check answers alone.
        host: address to listen at. Beyond this machine, use a token.
        port: to listen at; 0 for any free one.
        token: that requests must bring; None for none.
        checker: see `prm.verifiers.checkers.checker_of`.
        splitter: what ends a step; see `prm.split_steps`.
        patience: seconds, from 0, for which the first chain of a forward pass waits, at most, for others.
        limits: bounds on requests; None for the usual ones.

    Raises:
        PrmError: a scorer cannot be loaded, an argument is wrong, or the port is taken.
    """
    require_number("patience", patience, "[0, 60]")
    require_number("port", port, "[0, 65535]", whole=True)
    metrics = Metrics()
    loaders = {name: _loader(given) for name, given in (scorers or {}).items()}
    process = ScorerProcess(loaders, metrics, patience) if loaders else None
    service = Service(process, limits or Limits(), checker, splitter)
    metrics.watch(lambda: service.gate.inside, lambda: float(process is None or process.is_ready))
    failures = list[PrmError]()
    socket, address = listening(host, port, token)

    async def start() -> None:
        try:
            if process is not None:
                console.say(f"loading {', '.join(loaders)} …")
                await process.start()
            console.say(f"serving {', '.join(loaders) or 'the checker'} at {address}")
        except PrmError as error:
            failures.append(error)
            server.should_exit = True

    server = server_of(make_app(service, metrics, token, start))
    server.run(sockets=[socket])
    if failures:
        raise failures[0]


def _loader(given: str | Mapping[str, Any] | Scorer) -> Loader:
    if isinstance(given, Scorer):
        return partial(_same, given)
    return partial(_loaded, {"name": given} if isinstance(given, str) else dict(given))


def _same(scorer: Scorer) -> Scorer:
    return scorer


def _loaded(arguments: dict[str, Any]) -> Scorer:
    from prm.scoring.loading import load_scorer  # torch is loaded in the process of the scorers alone

    return load_scorer(**arguments)
