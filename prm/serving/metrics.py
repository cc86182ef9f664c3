"""Prometheus metrics of the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from .wire import Done

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """What `/metrics` shows, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        own: dict[str, Any] = {"namespace": "prm", "registry": self.registry}
        counter: Callable[..., Counter] = partial(Counter, **own)
        histogram: Callable[..., Histogram] = partial(Histogram, **own)
        gauge: Callable[..., Gauge] = partial(Gauge, **own)
        self._requests = counter("requests", "Answered requests", ["path", "status"])
        self._seconds = histogram("request_seconds", "From request to answer", ["path"], buckets=SECONDS)
        self._chains = counter("chains", "Chains by what became of them", ["scorer", "result"])
        self._tokens = counter("tokens", "Tokens scored, without padding", ["scorer"])
        self._busy = counter("pass_seconds", "Time in forward passes", ["scorer"])
        self._passes = histogram("pass_chains", "Chains in a pass", ["scorer"], buckets=SIZES)
        self._restarts = counter("scorer_restarts", "Starts of the scorers' process after it ended")
        self._waiting = gauge("waiting", "Chains, solutions and pairs under way")
        self._ready = gauge("ready", "Whether the scorers can be asked")

    def watch(self, waiting: Callable[[], float], ready: Callable[[], float]) -> None:
        """Read the gauges from these."""
        self._waiting.set_function(waiting)
        self._ready.set_function(ready)

    def answered(self, path: str, status: int, started: float) -> None:
        """Count an answer to a request that came at this time of `time.monotonic`."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(time.monotonic() - started)

    def passed(self, done: Done) -> None:
        """See `prm.serving.process.Observer`."""
        for result in done.results:
            kind = "failed" if result.failure else "refused" if result.refusal is not None else "scored"
            self._chains.labels(done.scorer, kind).inc()
        if done.tokens:
            self._tokens.labels(done.scorer).inc(done.tokens)
            self._busy.labels(done.scorer).inc(done.seconds)
            self._passes.labels(done.scorer).observe(len(done.results))

    def restarted(self) -> None:
        """See `prm.serving.process.Observer`."""
        self._restarts.inc()

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)
