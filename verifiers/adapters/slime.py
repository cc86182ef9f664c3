"""slime and its fork miles (as of November 2026): a custom reward function, in the process or behind an address.

In the process, `--custom-rm-path prm.verifiers.adapters.slime_reward`, or in a module of your own

    from prm.verifiers.adapters import SlimeReward
    from prm.verifiers.rewards import RuleReward

    reward = SlimeReward(RuleReward({"correct": 1.0, "boxed": 0.1}))

for `--custom-rm-path module.reward`. Behind an address, `--rm-type remote_rm --rm-url URL --reward-key reward`, where
any web framework serves `remote`:

    app = FastAPI()
    app.post("/")(reward.remote)
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..rewards import Reward, RuleReward
from .texts import described, gold_text


@dataclass(frozen=True, slots=True)
class SlimeReward:
    """slime: a `RuleReward` as a custom reward function."""

    rule: RuleReward

    async def __call__(self, args: Any, sample: Any, **kwargs: Any) -> float | list[float]:
        """The reward of one sample, or with `--group-rm` those of a list of samples.

        Args:
            args: slime's arguments, ignored.
            sample: a `slime.utils.types.Sample`, whose `label` is the gold answer, as for `check`. An excluded sample
                gets `remove_sample`, with which slime leaves it out of the loss; slime's normalization of rewards over
                a group still counts it as 0.0. Its `metadata` gets "verdict" with the reason, and "reward_parts".
            kwargs: further arguments from slime, ignored.

        Raises:
            TypeError: a label has the wrong type.
        """
        if isinstance(sample, list):
            return list(await asyncio.gather(*map(self._of, sample)))
        return await self._of(sample)

    def remote(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request of slime's `remote_rm`: "reward", "decided" (1.0 or 0.0), "verdict" and the parts.

        slime cannot exclude a sample here: it gets a reward of 0.0.

        >>> slime_reward.remote({"prompt": "3 + 4?", "response": "It is 7.", "label": "7"})
        {'reward': 1.0, 'decided': 1.0, 'verdict': 'correct: same text', 'correct': 1.0}
        """
        reward = self.rule(payload["response"] or "", gold_text(payload["label"]), problem=payload.get("prompt"))
        verdict = reward.verdict
        fields = {} if verdict is None else {"decided": float(verdict.is_decided), "verdict": described(verdict)}
        return {"reward": reward.total or 0.0, **fields, **reward.parts}

    async def _of(self, sample: Any) -> float:
        tokens = sample.tokens[len(sample.tokens) - sample.response_length :]
        gold = gold_text(sample.label)
        reward = await asyncio.to_thread(self.rule, sample.response or "", gold, tokens, sample.prompt)
        _note(sample, reward)
        return reward.total or 0.0


slime_reward = SlimeReward(RuleReward())
"""slime: 1.0 if the answer is correct, 0.0 if it is incorrect or missing; undecided samples are removed."""


def _note(sample: Any, reward: Reward) -> None:
    sample.metadata["reward_parts"] = dict(reward.parts)
    if reward.verdict is not None:
        sample.metadata["verdict"] = described(reward.verdict)
    if reward.total is None:
        sample.remove_sample = True
