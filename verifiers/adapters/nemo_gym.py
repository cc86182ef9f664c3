"""NeMo Gym (as of 0.7): the `/verify` of a resources server.

    class AnswerRequest(BaseVerifyRequest):
        expected_answer: str

    class AnswerResponse(BaseVerifyResponse):
        model_config = ConfigDict(extra="allow")

    class AnswerServer(SimpleResourcesServer):
        async def verify(self, body: AnswerRequest) -> AnswerResponse:
            return AnswerResponse(**await REWARD(body.model_dump()))

where `REWARD` is `NemoGymReward(RuleReward())`, `ConfigDict` is pydantic's, and the bases are those of
`nemo_gym.base_resources_server`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..rewards import Reward, RuleReward
from ..verdict import Outcome
from .texts import described, gold_text, require_text


@dataclass(frozen=True, slots=True)
class NemoGymReward:
    """NeMo Gym: a `RuleReward` that answers requests to `/verify`.

    Raises:
        ValueError: at construction, if the rule needs token ids, which a request does not have.
    """

    rule: RuleReward

    def __post_init__(self) -> None:
        """Refuse rules that would fail at every request."""
        require_text(self.rule)

    async def __call__(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The response to one request.

        Args:
            request: `response` as the Responses API gives it, and `expected_answer`, the gold answer as for `check`.
                Parts that look at the problem get the request's `input`; see `asked_in`.

        Returns:
            The request with "reward"; "mask_sample", true if the completion is excluded, which NeMo Gym leaves out of
            its scores (its reward is 0.0); "failure_kind" and "failure_reason" if the answer is undecided, else None;
            "verdict" with its reason; "extracted_answer"; and "reward_components", each part by name.

        Raises:
            KeyError: the request has no expected answer.
            TypeError: the expected answer has the wrong type.
        """
        gold = gold_text(request["expected_answer"])
        text, problem = output_text(request["response"]), asked_in(request)
        reward = await asyncio.to_thread(self.rule, text, gold, problem=problem)
        return {
            **request,
            "reward": reward.total or 0.0,
            "mask_sample": reward.total is None,
            "reward_components": {name: reward.parts.get(name, 0.0) for name in self.rule.weights},
            **_verdict_fields(reward),
        }


def asked_in(request: Mapping[str, Any]) -> str | list[dict[str, str]] | None:
    """What was asked: a text, or messages with `role` and `content`; of a lone message of the user its text.

    >>> asked_in({"responses_create_params": {"input": [{"role": "user", "content": "3 + 4?"}]}})
    '3 + 4?'
    """
    given = (request.get("responses_create_params") or {}).get("input")
    if not isinstance(given, list):
        return given if isinstance(given, str) else None
    turns = [
        {"role": str(item.get("role")), "content": _content(item.get("content"))} for item in given if "role" in item
    ]
    return turns[0]["content"] if [turn["role"] for turn in turns] == ["user"] else turns


def _content(content: Any) -> str:
    """The text of a message, which may be in parts."""
    return content if isinstance(content, str) else "".join(part.get("text") or "" for part in content or ())


def output_text(response: Mapping[str, Any]) -> str:
    """The text of a response of the Responses API."""
    messages = [item for item in response["output"] if item["type"] == "message"]
    return "".join(block["text"] for item in messages for block in item["content"] if block["type"] == "output_text")


def _verdict_fields(reward: Reward) -> dict[str, str | None]:
    verdict = reward.verdict
    if verdict is None:
        return {}
    has_failed = verdict.outcome in (Outcome.TIMEOUT, Outcome.ERROR)
    return {
        "failure_kind": "verifier_error" if has_failed else None,
        "failure_reason": described(verdict) if has_failed else None,
        "verdict": described(verdict),
        "extracted_answer": verdict.answer,
    }
