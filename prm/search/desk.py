"""Scoring beside generation: whatever waits is scored as one batch, in a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from prm.scoring.scorer import CHAINS_A_ROUND, Refusal, Scorer, Scores, checked_scores

T = TypeVar("T")


class Desk(Generic[T]):
    """A scorer at work.

    Args:
        scorer: used by one thread at a time; stays open.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._waiting: list[tuple[T, str, tuple[str, ...]]] = []
        self._batch: list[T] = []
        self._running: Future[list[Scores | Refusal]] | None = None
        self._thread = ThreadPoolExecutor(1, "scorer")

    def add(self, ticket: T, problem: str, steps: tuple[str, ...]) -> None:
        """Hand in a chain, or the first steps of one."""
        self._waiting.append((ticket, problem, steps))

    def done(self, *, is_patient: bool = False) -> Iterator[tuple[T, Scores | Refusal]]:
        """What has been scored, by the tickets it was handed in with; then begin the next batch.

        Args:
            is_patient: whether to wait for what is being scored.

        Raises:
            PrmError: as `prm.scoring.scorer.checked_scores`.
        """
        self._begin()
        if self._running is None or not (is_patient or self._running.done()):
            return
        found = list(zip(self._batch, self._running.result(), strict=True))
        self._running = None
        self._begin()
        yield from found

    def _begin(self) -> None:
        if self._running is not None or not self._waiting:
            return
        now, self._waiting = self._waiting[:CHAINS_A_ROUND], self._waiting[CHAINS_A_ROUND:]
        self._batch = [ticket for ticket, _, _ in now]
        problems, chains = [problem for _, problem, _ in now], [steps for _, _, steps in now]
        self._running = self._thread.submit(checked_scores, self._scorer, problems, chains)

    def settle(self) -> None:
        """Wait for what is being scored, and forget it and what waits: its stream has ended."""
        if self._running is not None:
            wait([self._running])
        self._running, self._waiting = None, []
