"""A scorer behind `prm serve`: `prm.RemoteScorer`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from prm.data.records import Asked, texts_of
from prm.errors import EngineError, InputError

from ..scorer import Refusal, Scorer, Scores, malformed, matched, posed, scores_with
from .connection import CONNECTIONS, PATIENCE, Connection

CHAINS = 64
"""Chains of a request: enough to fill a pass, and few enough that several clients take turns."""
CHARACTERS = 500_000
"""Characters of a request, from which no further chain is added."""
BYTES = 6
"""Of a character in JSON, at most."""
OVER = "over a limit of the server"

Chain = dict[str, Any]
"""A chain as it is sent: `problem` and `steps`."""
Answer = dict[str, Any]


class RemoteScorer(Scorer):
    """A scorer of a server, in place of one in this process: `prm.rerank`, `prm.score` and `prm.evaluate` take it.

        scorer = prm.RemoteScorer("http://localhost:8400")
        choice = prm.rerank(problem, solutions, scorer)
        scores = await scorer.score_async([problem], [steps])

    A server that is busy, or whose scorers are being started again, is asked again until patience ends. Can be
    pickled; the token of the environment variable `PRM_SERVE_TOKEN` is looked up where it is unpickled.

    Args:
        url: of the server.
        scorer: its name there; None for the first one.
        token: that the server asks for; None for that of the environment.
        patience: seconds without an answer after which a request fails.

    Raises:
        EngineError: the server cannot be reached, or wants another token.
        InputError: it does not serve this scorer.
        ModelError: httpx is not installed.
    """

    def __init__(
        self, url: str, scorer: str | None = None, *, token: str | None = None, patience: float = PATIENCE
    ) -> None:
        self._again: Callable[[], RemoteScorer] = partial(RemoteScorer, url, scorer, token=token, patience=patience)
        self._connection = Connection(url, token, patience)
        try:
            self._scorer, card, limits = _served(url, self._connection.ask("/v1/scorers"), scorer)
        except BaseException:
            self._connection.close()
            raise
        self._most = limits["steps"], limits["characters"]
        self._chains = min(CHAINS, limits["chains"])
        self._characters = min(CHARACTERS, limits["body"] // (2 * BYTES))
        self.kind, self.threshold, self.aggregator = card["kind"], card["threshold"], card["aggregator"]
        self.name, self.settings = card["scorer"], card["settings"]

    def __reduce__(self) -> tuple[Callable[[], RemoteScorer], tuple[()]]:
        """Pickle the arguments: connections cannot be sent elsewhere."""
        return self._again, ()

    def score_each(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Scores | Refusal]:
        """See `Scorer.score_each`; several requests are under way at once.

        Raises:
            InputError: problems and chains differ in number.
            EngineError: the server gives no answer, or its scorer fails.
        """
        items = self._items(problems, chains)
        requests = list(self._requests(items))
        if len(requests) < 2:
            return _merged(items, map(self._asked, requests))
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            return _merged(items, pool.map(self._asked, requests))

    async def score_async(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Scores | Refusal]:
        """As `score_each`, for coroutines, any number of which may run at once. Canceled, it frees the server too."""
        items = self._items(problems, chains)
        free = asyncio.Semaphore(CONNECTIONS)

        async with self._connection.session() as session:

            async def asked(request: list[Chain]) -> list[Answer]:
                async with free:
                    reply = await self._connection.ask_async(session, "/v1/score", self._body(request))
                    return _results(reply, request)

            return _merged(items, iter(await asyncio.gather(*map(asked, self._requests(items)))))

    def close(self) -> None:
        """Let go of the connections."""
        self._connection.close()

    def _items(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Chain | Refusal]:
        """The chains as they are sent, and the refusals of those that cannot be."""
        return [self._item(problem, steps) for problem, steps in zip(*matched(problems, chains), strict=True)]

    def _item(self, problem: object, steps: Sequence[str]) -> Chain | Refusal:
        asked = malformed(steps) or posed(problem)
        if isinstance(asked, Refusal):
            return asked
        most_steps, most_characters = self._most
        characters = _characters(asked, steps)
        if len(steps) > most_steps or characters > most_characters:
            detail = f"{len(steps):,} steps, {characters:,} characters; it takes {most_steps:,} and {most_characters:,}"
            return Refusal(OVER, detail, "raise the limits of the server, or drop the chain")
        return {"problem": asked if isinstance(asked, str) else list(asked), "steps": list(steps)}

    def _requests(self, items: Sequence[Chain | Refusal]) -> Iterator[list[Chain]]:
        """The chains in parts that one request holds."""
        part, size = list[Chain](), 0
        for item in items:
            if isinstance(item, Refusal):
                continue
            if len(part) == self._chains or size >= self._characters:
                yield part
                part, size = [], 0
            part.append(item)
            size += _characters(item["problem"], item["steps"])
        if part:
            yield part

    def _body(self, chains: list[Chain]) -> dict[str, Any]:
        return {"scorer": self._scorer, "chains": chains}

    def _asked(self, chains: list[Chain]) -> list[Answer]:
        return _results(self._connection.ask("/v1/score", self._body(chains)), chains)


def _served(url: str, found: Any, scorer: str | None) -> tuple[str, dict[str, Any], dict[str, int]]:
    """The name of the scorer, what it is, and the limits of the server.

    Raises:
        EngineError: the answer is not that of `prm serve`.
        InputError: the scorer is not served.
    """
    try:
        cards, limits = {card["name"]: card for card in found["scorers"]}, found["limits"]
    except (KeyError, TypeError) as error:
        raise EngineError(f"{url}: does not answer as prm serve does", "is it the right server?") from error
    name = next(iter(cards), "") if scorer is None else scorer
    if name not in cards:
        raise InputError(f"{url}: does not serve {name!r}", f"choose from {', '.join(cards) or 'none'}")
    return name, cards[name], limits


def _characters(problem: Asked, steps: Sequence[str]) -> int:
    return sum(map(len, texts_of(problem))) + sum(map(len, steps))


def _results(reply: Any, chains: Sequence[Chain]) -> list[Answer]:
    """The results in an answer.

    Raises:
        EngineError: they are not as many as the chains.
    """
    results = reply.get("results") if isinstance(reply, dict) else None
    if not isinstance(results, list) or len(results) != len(chains):
        raise EngineError("the server does not answer with one result per chain", "is it the right server?")
    return results


def _merged(items: Sequence[Chain | Refusal], answers: Iterator[list[Answer]]) -> list[Scores | Refusal]:
    """One result for each item: its own refusal, or the next of the answers."""
    results = (answer for part in answers for answer in part)
    return [item if isinstance(item, Refusal) else _found(next(results)) for item in items]


def _found(answer: Answer) -> Scores | Refusal:
    if answer["refusal"] is not None:
        return Refusal(**answer["refusal"])
    members = {name: tuple(scores) for name, scores in (answer.get("members") or {}).items()}
    return scores_with(answer["scores"], members, tuple(answer.get("deviations") or ()))
