"""What the server can do, whatever the form of the request: score, choose, check."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import takewhile
from typing import Any, TypeVar

from prm.data.records import Asked, Message, Problem, texts_of
from prm.data.steps import SPLITTERS, split_steps
from prm.errors import InputError, require_known
from prm.scoring.checking import job_checker, solution_verdicts
from prm.scoring.scorer import Refusal, Scores
from prm.statistics.aggregation import aggregate as aggregate_scores
from prm.verifiers import PRESETS, Checker, Verdict
from prm.verifiers.checkers import Named

from .limits import Gate, Limits, UnknownError
from .process import ScorerGoneError, ScorerProcess
from .wire import Card

T = TypeVar("T")
Handler = Callable[["Service", Any, Mapping[str, str]], Awaitable[Any]]
"""From the body and the parameters of the address to what is sent as JSON."""
Routes = dict[str, tuple[Any, Handler]]
"""By path: the type of the body, and the handler."""
THREADS = 8
"""In which answers are checked; the algebra of a check runs in processes of its own."""


class Service:
    """The scorers and the checker, with what bounds their use.

    Args:
        scorers: their process; None for a server that only checks answers.
        limits: see `Limits`.
        checker: how answers are checked unless a request names a policy; see `prm.verifiers.checkers.checker_of`.
        splitter: what ends a step unless a request says otherwise.
    """

    def __init__(self, scorers: ScorerProcess | None, limits: Limits, checker: Named, splitter: str) -> None:
        split_steps("", splitter)  # raises if there is none
        self.scorers, self.limits, self.splitter = scorers, limits, splitter
        self._checker = job_checker(checker)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="checking")
        self.gate = Gate(limits.waiting, "chains, solutions and pairs")
        """Of what all requests ask for."""

    @property
    def cards(self) -> Mapping[str, Card]:
        """What the scorers are, by name."""
        return {} if self.scorers is None else self.scorers.cards

    def card(self, name: str | None) -> Card:
        """The scorer that a request names; the first one if it names none.

        Raises:
            UnknownError: it is not served.
            ScorerGoneError: none is loaded yet.
        """
        if self.scorers is None:
            raise UnknownError("this server has no scorer", "prm serve --scorer …")
        if not self.cards:
            raise ScorerGoneError(self.scorers.trouble, "try again")
        found = self.cards.get(next(iter(self.cards)) if name is None else name)
        if found is None:
            raise UnknownError(f"{name!r} is not served", f"choose from {', '.join(self.cards)}")
        return found

    def split(self, text: str, splitter: str | None) -> list[str]:
        """The steps of a text. A request may name a splitter, but not bring a regular expression of its own.

        Raises:
            InputError: the splitter is unknown.
        """
        if splitter not in (None, self.splitter):
            require_known("splitter", str(splitter), SPLITTERS)
        return list(split_steps(text, splitter or self.splitter))

    def checker(self, name: str | None) -> Checker:
        """The checker that a request names: one of our policies, never a program or a function.

        Raises:
            InputError: it is unknown.
        """
        if name is None:
            return self._checker
        require_known("checker", name, PRESETS)
        return job_checker(name)

    async def scores(
        self, card: Card, problems: Sequence[Asked], chains: Sequence[Sequence[str]]
    ) -> list[Scores | Refusal]:
        """One result for each chain, in order. Raises as `ScorerProcess.score`, and as `Limits` and `Gate` do."""
        if self.scorers is None:
            raise InputError("this server has no scorer", "prm serve --scorer …")
        self.limits.require_chains(len(chains))
        for place, (problem, steps) in enumerate(zip(problems, chains, strict=True)):
            self.limits.require_size(place, steps, *texts_of(problem))
        with self.gate.entered(len(chains)):
            return await self.scorers.score(card.name, problems, chains)

    async def verdicts(self, checker: Checker, solutions: Sequence[tuple[str, Problem]]) -> list[Verdict]:
        """One verdict for each solution, in order. Raises as `Limits` and `Gate` do."""
        self.limits.require_chains(len(solutions))
        for place, (text, problem) in enumerate(solutions):
            self.limits.require_size(place, (text,), problem.text, *problem.golds)
        with self.gate.entered(len(solutions)):
            return await self.in_thread(partial(_verdicts, checker, solutions))

    async def in_thread(self, work: Callable[[threading.Event], T]) -> T:
        """The result of work in a thread; it gets an event that is set once nobody waits for it any more."""
        left = threading.Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, left)
        finally:
            left.set()

    async def close(self) -> None:
        """End the process of the scorers."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self.scorers is not None:
            await self.scorers.close()


def _verdicts(checker: Checker, solutions: Sequence[tuple[str, Problem]], left: threading.Event) -> list[Verdict]:
    return list(solution_verdicts(checker, takewhile(lambda _: not left.is_set(), solutions)))


def outcome_of(card: Card, found: Scores | Refusal, aggregate: str | None) -> float | None:
    """The score of a whole chain; None for a chain without scores.

    Args:
        card: of the scorer.
        found: what it gave.
        aggregate: name in `prm.AGGREGATORS`; None for the scorer's own, or "min".

    Raises:
        InputError: the aggregator is unknown.
    """
    by = "last" if card.kind == "orm" else aggregate or card.aggregator or "min"
    return None if isinstance(found, Refusal) or not found else aggregate_scores(found, by)


def problem_with(text: str, golds: Sequence[str]) -> Problem:
    """A problem of a request, for a checker; without a text of its own, a mark stands for it.

    >>> problem_with("", ["7", "7.0"]).golds
    ('7', '7.0')
    """
    return Problem("request", text if text.strip() else "-", next(iter(golds), None), {}, tuple(golds[1:]))


def plain_text(problem: str | Sequence[Message]) -> str:
    """The text of a problem; of messages, that of the last one."""
    return next(reversed(texts_of(problem)), "")
