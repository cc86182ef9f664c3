"""Our own requests: `/v1/score`, `/v1/rerank` and `/v1/verify`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import msgspec

from prm.data.records import Asked, Choice, Message
from prm.data.rows import golds_of
from prm.errors import InputError
from prm.scoring.reranking import AnswerGroups, choose, require_options
from prm.scoring.scorer import EMPTY, CombinedScores, Refusal, Scores, UncertainScores
from prm.statistics.aggregation import aggregator_named
from prm.verifiers import Checker, Verdict

from .limits import GoneError
from .service import Service, outcome_of, plain_text, problem_with
from .wire import Card

Gold = str | int | float | list[str | int | float] | None
"""A gold answer, or several, each of them right; None for none."""
Asking = str | list[Message]


class ChainBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One chain, as steps or as a text to be split."""

    problem: Asking
    steps: list[str] | None = None
    text: str | None = None
    gold: Gold = None
    """With one, the chain's answer is checked."""


class ScoreBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request for step scores."""

    chains: list[ChainBody]
    scorer: str | None = None
    aggregate: str | None = None
    splitter: str | None = None
    checker: str | None = None


class RerankBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request for the best of a problem's solutions."""

    problem: Asking
    solutions: list[str]
    scorer: str | None = None
    aggregate: str | None = None
    selection: str = "best-of-n"
    splitter: str | None = None
    checker: str | None = None


class PairBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer and what it should be."""

    prediction: str
    gold: Gold
    problem: str = ""
    """For a checker that looks at it."""


class VerifyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request for verdicts."""

    pairs: list[PairBody]
    checker: str | None = None


async def score(service: Service, body: ScoreBody, _: Mapping[str, str]) -> dict[str, Any]:
    """Scores of steps with their places in the text, the outcome, and a verdict where there is a gold answer."""
    card, checker = service.card(body.scorer), service.checker(body.checker)
    aggregator_named(body.aggregate or "min")
    service.limits.require_chains(len(body.chains))
    chains = [_steps(service, place, chain, body.splitter) for place, chain in enumerate(body.chains)]
    found = await service.scores(card, [chain.problem for chain in body.chains], chains)
    texts, golds = ["".join(steps) for steps in chains], [golds_in(chain.gold) for chain in body.chains]
    verdicts = await verdicts_where_known(service, checker, texts, [chain.problem for chain in body.chains], golds)
    rows = zip(chains, found, verdicts, strict=True)
    results = [
        _shown(card, steps, item, body.aggregate) | {"verdict": None if verdict is None else verdict_shown(verdict)}
        for steps, item, verdict in rows
    ]
    return {"scorer": card.name, "kind": card.kind, "results": results}


def _steps(service: Service, place: int, chain: ChainBody, splitter: str | None) -> list[str]:
    if (chain.steps is None) == (chain.text is None):
        raise InputError(f"chain {place} has not one of steps and text", "give one of the two")
    if chain.steps is not None:
        return chain.steps
    service.limits.require_size(place, (chain.text or "",))
    return service.split(chain.text or "", splitter)


async def verdicts_where_known(
    service: Service,
    checker: Checker,
    texts: Sequence[str],
    problems: Sequence[Asked],
    golds: Sequence[tuple[str, ...]],
) -> list[Verdict | None]:
    """A verdict on each solution with a gold answer; None for the others."""
    rows = zip(texts, problems, golds, strict=True)
    asked = [(text, problem_with(plain_text(problem), own)) for text, problem, own in rows if own]
    found = iter(await service.verdicts(checker, asked) if asked else ())
    return [next(found) if own else None for own in golds]


def _shown(card: Card, steps: Sequence[str], found: Scores | Refusal, aggregate: str | None) -> dict[str, Any]:
    ends = list(accumulate(map(len, steps), initial=0))
    row: dict[str, Any] = {
        "scores": () if isinstance(found, Refusal) else tuple(found),
        "spans": list(pairwise(ends)),
        "outcome": outcome_of(card, found, aggregate) if steps else None,
        "refusal": found if isinstance(found, Refusal) else None,
    }
    if isinstance(found, UncertainScores):
        row["deviations"] = found.deviations
    if isinstance(found, CombinedScores):
        row["members"] = found.members
    return row


async def rerank(service: Service, body: RerankBody, _: Mapping[str, str]) -> dict[str, Any]:
    """The best of a problem's solutions, with the scores of all; see `prm.rerank`."""
    card, checker = service.card(body.scorer), service.checker(body.checker)
    by = body.aggregate or card.aggregator or "min"
    require_options(by, body.selection)
    if not body.solutions:
        raise InputError("there is no solution to choose from", "give at least one text")
    chains = split_texts(service, body.solutions, body.splitter)
    found = await scored(service, card, [body.problem] * len(chains), chains)

    problem = problem_with(plain_text(body.problem), ())

    def chosen(left: threading.Event) -> Choice:
        return choose(
            problem, body.solutions, found, kind=card.kind, aggregate=by, selection=body.selection, checker=checker,
            groups=_groups(AnswerGroups(checker, problem), body.solutions, left),
        )  # fmt: skip

    with service.gate.entered(len(chains)):
        choice = await service.in_thread(chosen)
    return {
        "scorer": card.name, "best": choice.best, "index": choice.index, "answer": choice.answer,
        "scores": choice.scores, "step_scores": choice.step_scores, "refusals": choice.refusals,
    }  # fmt: skip


def _groups(known: AnswerGroups, solutions: Sequence[str], left: threading.Event) -> Iterator[int | None]:
    """The groups of the solutions by their answers, as long as somebody waits for them."""
    for solution in solutions:
        if left.is_set():
            raise GoneError("nobody waits for the choice", "ask again")
        yield known.number(solution)


def split_texts(service: Service, texts: Sequence[str], splitter: str | None) -> list[list[str]]:
    """The steps of each text, once all are known to be within the limits."""
    service.limits.require_chains(len(texts))
    for place, text in enumerate(texts):
        service.limits.require_size(place, (text,))
    return [service.split(text, splitter) for text in texts]


async def scored(
    service: Service, card: Card, problems: Sequence[Asked], chains: Sequence[Sequence[str]]
) -> list[Scores | Refusal]:
    """One result for each chain, in order; one without steps is refused."""
    pairs = [(problem, steps) for problem, steps in zip(problems, chains, strict=True) if steps]
    found = iter(await service.scores(card, [problem for problem, _ in pairs], [steps for _, steps in pairs]))
    return [next(found) if steps else Refusal(EMPTY) for steps in chains]


async def verify(service: Service, body: VerifyBody, _: Mapping[str, str]) -> dict[str, Any]:
    """A verdict on each answer; see `prm.check`."""
    checker = service.checker(body.checker)
    asked = [(pair.prediction, problem_with(pair.problem, golds_in(pair.gold))) for pair in body.pairs]
    return {"verdicts": [verdict_shown(verdict) for verdict in await service.verdicts(checker, asked)]}


def golds_in(gold: Gold) -> tuple[str, ...]:
    """The gold answers of a request; none for null and blank texts.

    Raises:
        InputError: a number is too large.
    """
    try:
        return golds_of(gold)
    except (ValueError, OverflowError) as error:
        raise InputError(f"a gold answer cannot be read: {error}", "give it as a text") from error


def verdict_shown(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON."""
    return {"outcome": verdict.outcome, "reason": verdict.reason, "answer": verdict.answer}
