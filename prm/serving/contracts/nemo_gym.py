"""NeMo Gym (as of 0.7): the server as a resources server, with `/seed_session` and `/verify`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from prm.data.records import Message
from prm.errors import InputError
from prm.scoring.scorer import Refusal
from prm.verifiers.adapters.nemo_gym import output_text
from prm.verifiers.adapters.texts import described

from ..own import Asking, Gold
from ..service import Routes, Service
from .rewards import Reward, Sample, Wish, rewards


class _Part(msgspec.Struct, frozen=True):
    text: str = ""


class _Turn(msgspec.Struct, frozen=True):
    content: str | list[_Part] = ""
    role: str = "user"


class _Request(msgspec.Struct, frozen=True):
    """What is read of a body; it has more, which the answer repeats."""

    asked: str | list[_Turn]
    gold: Gold = None


async def verify(service: Service, body: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    """The request with `reward`, `reward_components`, `step_scores`, the verdict, and what kept it from being scored.

    `mask_sample` is true where `reward` is the number of the address: NeMo Gym leaves it out of its scores.
    """
    wish = Wish.of(query)
    (found,) = await rewards(service, [_sample(body)], wish)
    return body | {
        "reward": found.total,
        "mask_sample": found.is_given,
        "reward_components": found.parts(),
        "step_scores": () if isinstance(found.scores, Refusal) else found.scores,
        "failure_kind": "verifier_error" if found.is_given else None,
        "failure_reason": _why(found) if found.is_given else None,
        "verdict": None if found.verdict is None else described(found.verdict),
        "extracted_answer": None if found.verdict is None else found.verdict.answer,
    }


def _sample(body: dict[str, Any]) -> Sample:
    try:
        asked = {"asked": body["responses_create_params"]["input"], "gold": body.get("expected_answer")}
        request = msgspec.convert(asked, _Request)
        return Sample(_prompt(request.asked), output_text(body["response"]), request.gold)
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise InputError(
            f"the body is not one of NeMo Gym's /verify: {_wrong(error)}",
            "responses_create_params, response, expected_answer",
        ) from error


def _wrong(error: KeyError | TypeError | msgspec.ValidationError) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return "a part of it is of another type" if isinstance(error, TypeError) else str(error)


def _prompt(asked: str | list[_Turn]) -> Asking:
    return asked if isinstance(asked, str) else [Message(turn.role, _text(turn)) for turn in asked]


def _text(turn: _Turn) -> str:
    return turn.content if isinstance(turn.content, str) else "".join(part.text for part in turn.content)


def _why(found: Reward) -> str:
    if isinstance(found.scores, Refusal):
        return str(found.scores)
    return "" if found.verdict is None else described(found.verdict)


async def seed_session(_: Service, __: dict[str, Any], ___: Mapping[str, str]) -> dict[str, Any]:
    """Nothing: the server keeps no sessions."""
    return {}


ROUTES: Routes = {"/verify": (dict[str, Any], verify), "/seed_session": (dict[str, Any], seed_session)}
