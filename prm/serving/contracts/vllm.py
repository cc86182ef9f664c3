"""vLLM's pooling server (as of 0.32): `/pooling`, `/classify`, `/score` and `/rerank`.

The scorer takes the place of a reward model's raw head: it gives one number for each step (`/pooling`) or for the whole
solution. A conversation comes as messages, or as a text with the markup of a chat template, which is taken off: the
scorer writes its own. A setting of vLLM's that would change the numbers is refused.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from prm.data.records import Asked, Message
from prm.errors import InputError
from prm.scoring.scorer import Refusal, Scores

from ..limits import RefusedError
from ..own import scored, split_texts
from ..service import Routes, Service, outcome_of
from ..wire import Card
from .prompts import conversation_in, problem_in

MARKER = "<extra_0>"
"""What ends a step in the requests that the cards of Qwen's process reward models show."""


class _Common(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all bodies may have, and what does nothing here."""

    model: str | None = None
    """Name of the scorer."""
    user: str | None = None
    request_id: str | None = None
    priority: int = 0
    encoding_format: Literal["float"] = "float"
    use_activation: bool | None = None
    """Of a raw head: a scorer's number is the one of `prm score`."""
    activation: bool | None = None
    """Its older name."""
    add_special_tokens: bool | None = None


class ConversationBody(_Common, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A conversation whose last turn is the solution, or several as texts."""

    messages: list[Message] | None = None
    input: str | list[str] | None = None
    task: str | None = None


class PairsBody(_Common, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Problems and solutions, as many of each, or one problem; under any of vLLM's names for them."""

    queries: str | list[str] | None = None
    text_1: str | list[str] | None = None
    data_1: str | list[str] | None = None
    documents: str | list[str] | None = None
    items: str | list[str] | None = None
    text_2: str | list[str] | None = None
    data_2: str | list[str] | None = None


class RerankBody(_Common, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A problem and solutions."""

    query: str
    documents: list[str]
    top_n: Annotated[int, msgspec.Meta(ge=0)] = 0
    """0 for all."""
    return_documents: bool = True


async def pooling(service: Service, body: ConversationBody, _: Mapping[str, str]) -> dict[str, Any]:
    """For each conversation, a row of one score for each step; for an ORM one row."""
    card = service.card(body.model)
    found = _all_scored(await _scored(service, card, _conversations(body)))
    data = [
        {"index": place, "object": "pooling", "data": [[score] for score in scores]}
        for place, scores in enumerate(found)
    ]
    return _listed("pool", card, data)


async def classify(service: Service, body: ConversationBody, _: Mapping[str, str]) -> dict[str, Any]:
    """For each conversation, the score of the whole solution in place of a probability."""
    card = service.card(body.model)
    outcomes = _outcomes(card, await _scored(service, card, _conversations(body)))
    data = [
        {"index": place, "label": None, "probs": [outcome], "num_classes": 1} for place, outcome in enumerate(outcomes)
    ]
    return _listed("classify", card, data)


async def score(service: Service, body: PairsBody, _: Mapping[str, str]) -> dict[str, Any]:
    """For each pair, the score of the solution."""
    card = service.card(body.model)
    firsts = _texts(body.queries, body.text_1, body.data_1)
    seconds = _texts(body.documents, body.items, body.text_2, body.data_2)
    if len(firsts) not in (1, len(seconds)):
        raise InputError(f"{len(firsts)} queries for {len(seconds)} documents", "give one query, or as many")
    firsts = firsts * len(seconds) if len(firsts) == 1 else firsts
    outcomes = _outcomes(card, await _scored(service, card, list(zip(firsts, seconds, strict=True))))
    data = [{"index": place, "object": "score", "score": outcome} for place, outcome in enumerate(outcomes)]
    return _listed("score", card, data)


async def rerank(service: Service, body: RerankBody, _: Mapping[str, str]) -> dict[str, Any]:
    """The solutions of a problem, the best first."""
    card = service.card(body.model)
    outcomes = _outcomes(card, await _scored(service, card, [(body.query, text) for text in body.documents]))
    order = sorted(range(len(outcomes)), key=lambda place: -outcomes[place])
    results = [
        {"index": place, **_shown(body, place), "relevance_score": outcomes[place]}
        for place in order[: body.top_n or None]
    ]
    return {"id": f"rerank-{uuid.uuid4().hex}", "model": card.name, "usage": _USAGE, "results": results}


def _shown(body: RerankBody, place: int) -> dict[str, Any]:
    return {"document": {"text": body.documents[place]}} if body.return_documents else {}


def _conversations(body: ConversationBody) -> list[tuple[Asked, str]]:
    """The problem and the solution of each conversation."""
    if (body.messages is None) == (body.input is None):
        raise InputError("the body has not one of messages and input", "give one of the two")
    if body.messages is not None:
        if len(body.messages) < 2 or body.messages[-1].role != "assistant":
            raise InputError("the last message is not the assistant's", "end with the solution")
        return [(problem_in(body.messages[:-1]), body.messages[-1].content)]
    found = [conversation_in(text) for text in _texts(body.input)]
    if None in found:
        raise InputError(
            f"text {found.index(None)} is no conversation in a known chat template", "give messages instead of input"
        )
    return [pair for pair in found if pair is not None]


def _texts(*given: str | list[str] | None) -> list[str]:
    """The texts of the one field that is there."""
    found = [value for value in given if value is not None]
    if len(found) != 1:
        raise InputError(f"{len(found)} fields instead of one for the same texts", "such as queries and documents")
    return [found[0]] if isinstance(found[0], str) else found[0]


async def _scored(service: Service, card: Card, pairs: Sequence[tuple[Asked, str]]) -> list[Scores | Refusal]:
    """One result for each pair; a solution with the marker of Qwen's cards is cut there."""
    texts = [text for _, text in pairs]
    split = split_texts(service, texts, None)
    chains = [_cut(text) if MARKER in text else steps for text, steps in zip(texts, split, strict=True)]
    return await scored(service, card, [problem for problem, _ in pairs], chains)


def _cut(text: str) -> list[str]:
    return [step for step in text.split(MARKER) if step.strip()]


def _all_scored(found: Sequence[Scores | Refusal]) -> list[Scores]:
    for place, item in enumerate(found):
        if isinstance(item, Refusal):
            raise RefusedError.of(place, item)
    return [item for item in found if not isinstance(item, Refusal)]


def _outcomes(card: Card, found: Sequence[Scores | Refusal]) -> list[float]:
    return [outcome for item in _all_scored(found) if (outcome := outcome_of(card, item, None)) is not None]


_USAGE = {"prompt_tokens": 0, "total_tokens": 0, "completion_tokens": 0}
"""Tokens are counted in `/metrics`."""


def _listed(name: str, card: Card, data: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"{name}-{uuid.uuid4().hex}", "object": "list", "created": int(time.time()), "model": card.name,
        "data": data, "usage": _USAGE,
    }  # fmt: skip


ROUTES: Routes = {
    "/pooling": (ConversationBody, pooling),
    "/classify": (ConversationBody, classify),
    "/score": (PairsBody, score),
    "/rerank": (RerankBody, rerank),
}
