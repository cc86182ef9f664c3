"""The process that holds the scorers: `python -m prm.serving.worker`, started by `prm.serving.process`.

One thread reads requests and turns chains into token ids; the main one runs the model. The process ends when its input
does, and so with the server, however that ended.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec

from prm.errors import EngineError, PrmError
from prm.scoring.scorer import Prepared, PreparingScorer, Refusal, Scorer, Scores, checked_scores

from .batching import Pool, Waiting
from .wire import Ask, Card, Done, Failed, FromWorker, Ready, Result, ToWorker, frame, frames

Loader = Callable[[], Scorer]
CHARACTERS = 4
"""Of a token, for scorers that do not say how long a chain is."""
TOKENS = 16_384
"""Of a pass, for the same."""


@dataclass(frozen=True, slots=True)
class Loaders:
    """What the process needs before all else."""

    path: list[str]
    """Where modules are found."""
    scorers: dict[str, Loader]
    """By the name under which requests ask for them."""
    patience: float
    """See `Pool`."""


def main() -> None:
    """Serve the other end of stdin and stdout."""
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print is no message
    incoming = frames(sys.stdin.buffer)
    worker = _Worker(output)
    try:
        loaders = _loaders(next(incoming))
        scorers = {name: load() for name, load in loaders.scorers.items()}
    except PrmError as error:
        worker.send(Failed(str(error), error.hint))
        return
    worker.run(scorers, incoming, loaders.patience)


def _loaders(content: bytes) -> Loaders:
    path, pickled = pickle.loads(content)
    sys.path[:] = path
    loaders: Loaders = pickle.loads(pickled)
    return loaders


def greeting(loaders: Loaders) -> bytes:
    """The first frame for the process."""
    return pickle.dumps((loaders.path, pickle.dumps(loaders)))


class _Worker:
    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._lock = threading.Lock()

    def send(self, message: FromWorker) -> None:
        content = memoryview(frame(message))
        with self._lock:
            while content:
                content = content[self._output.write(content) :]

    def run(self, scorers: dict[str, Scorer], incoming: Iterator[bytes], patience: float) -> None:
        pool = Pool({name: _budget(scorer) for name, scorer in scorers.items()}, patience)
        threading.Thread(target=self._receive, args=(incoming, scorers, pool), daemon=True).start()
        self.send(Ready([_card(name, scorer) for name, scorer in scorers.items()]))
        while (batch := pool.take()) is not None:
            started = time.monotonic()
            results = _results(scorers[batch[0].scorer], batch)
            tokens = sum(chain.tokens for chain in batch)
            self.send(Done(batch[0].scorer, results, tokens, time.monotonic() - started))

    def _receive(self, incoming: Iterator[bytes], scorers: dict[str, Scorer], pool: Pool) -> None:
        decode = msgspec.msgpack.Decoder(ToWorker).decode
        try:
            for content in incoming:
                message = decode(content)
                if isinstance(message, Ask):
                    self._prepare(message, scorers[message.scorer], pool)
                else:
                    pool.remove(message.ids)
        finally:
            pool.close()

    def _prepare(self, ask: Ask, scorer: Scorer, pool: Pool) -> None:
        """Let chains wait for their pass, and answer at once for those that need none."""
        problems, chains = [chain.problem for chain in ask.chains], [chain.steps for chain in ask.chains]
        ready = list(zip(ask.chains, _prepared(scorer, problems, chains), strict=True))
        pool.add(Waiting(c.id, ask.scorer, p.row, p.tokens) for c, p in ready if isinstance(p, Prepared))
        if others := [_refused(chain.id, item) for chain, item in ready if not isinstance(item, Prepared)]:
            self.send(Done(ask.scorer, others, 0, 0.0))


def _card(name: str, scorer: Scorer) -> Card:
    title = scorer.name or f"{type(scorer).__module__}.{type(scorer).__qualname__}"
    return Card(name, title, scorer.kind, scorer.threshold, scorer.aggregator, dict(scorer.settings))


def _budget(scorer: Scorer) -> int:
    return scorer.tokens_per_pass if isinstance(scorer, PreparingScorer) else TOKENS


def _prepared(scorer: Scorer, problems: Sequence[Any], chains: Sequence[list[str]]) -> list[Prepared | Refusal | str]:
    """Each chain ready for its pass, its refusal, or what failed."""
    if not isinstance(scorer, PreparingScorer):
        return [Prepared((p, c), _about(p, c)) for p, c in zip(problems, chains, strict=True)]
    try:
        return list(scorer.prepare(problems, chains))
    except Exception as error:  # a renderer that fails on one text must cost no other
        if len(chains) == 1:
            return [_said(error)]
        return [_prepared(scorer, [p], [c])[0] for p, c in zip(problems, chains, strict=True)]


def _about(problem: object, steps: Sequence[str]) -> int:
    """Tokens that a chain may have."""
    return 1 + (len(str(problem)) + sum(map(len, steps))) // CHARACTERS


def _refused(number: int, item: Refusal | str) -> Result:
    return Result(number, failure=item) if isinstance(item, str) else Result.of(number, item)


def _results(scorer: Scorer, batch: Sequence[Waiting]) -> list[Result]:
    """One result for each chain; what fails in a pass of several is tried again alone."""
    try:
        found = _scored(scorer, [chain.row for chain in batch])
    except EngineError:  # what runs the model is gone, and starts again with this process
        raise
    except Exception as error:  # the boundary: whatever a model raises costs only the chains that raise it
        if len(batch) == 1:
            return [Result(batch[0].id, failure=_said(error))]
        return [result for chain in batch for result in _results(scorer, [chain])]
    return [Result.of(chain.id, item) for chain, item in zip(batch, found, strict=True)]


def _scored(scorer: Scorer, rows: list[Any]) -> list[Scores | Refusal]:
    if isinstance(scorer, PreparingScorer):
        return scorer.score_prepared(rows)
    return checked_scores(scorer, [problem for problem, _ in rows], [steps for _, steps in rows])


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


if __name__ == "__main__":
    main()
