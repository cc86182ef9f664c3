"""OpenRLHF (as of 0.11): a reward function in a Python file.

`--reward.remote_url rewards.py` names the file, which can hold one line:

    from prm.verifiers.adapters import reward_func

or a reward of several parts:

    from prm.verifiers.adapters import OpenRlhfReward
    from prm.verifiers.rewards import RuleReward

    reward_func = OpenRlhfReward(RuleReward({"correct": 1.0, "boxed": 0.1}, undecided=0.0))
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..rewards import Reward, RuleReward
from .texts import gold_text, require_numbers, require_text

_PROMPT_TAIL = 200
"""Characters at the end of a prompt that say where the completion begins: OpenRLHF cuts off the start of a long one."""
_END_TOKENS = re.compile(r"(?:\s*(?:<\|[^<>|]+\|>|<\uff5c[^<>\uff5c]+\uff5c>|</s>|<eos>|<end_of_turn>))+\s*$")


@dataclass(frozen=True, slots=True)
class OpenRlhfReward:
    """OpenRLHF: a `RuleReward` as `reward_func`.

    OpenRLHF cannot exclude a completion: the rule must give a number to undecided answers. It passes no token ids:
    lengths must be measured in text.

    Raises:
        ValueError: at construction, if the rule would exclude a completion, or needs token ids.
    """

    rule: RuleReward

    def __post_init__(self) -> None:
        """Refuse rules that would fail in the middle of training, where OpenRLHF hides the error."""
        require_numbers(self.rule, "OpenRLHF")
        require_text(self.rule)

    def __call__(
        self, queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any], **kwargs: Any
    ) -> dict[str, Any]:
        """The rewards of a batch.

        Args:
            queries: prompts with their completions, special tokens included.
            prompts: the prompts alone, and the problems for parts that look at them.
            labels: gold answers, as for `check`; numbers are converted to text.
            kwargs: further arguments from OpenRLHF, ignored.

        Returns:
            "rewards", the totals; "scores", whether the answers are correct (the totals, if that is not a part); and
            "extra_logs": each part by name, and "decided" (1.0 or 0.0). OpenRLHF averages these.

        Raises:
            TypeError: a label has the wrong type.
            ValueError: a query does not contain its prompt, or the numbers of texts differ.

        >>> reward = OpenRlhfReward(RuleReward(undecided=0.0))
        >>> reward(["3 + 4 = 7</s>"], ["3 + 4 = "], ["7"])
        {'rewards': [1.0], 'scores': [1.0], 'extra_logs': {'correct': [1.0], 'decided': [1.0]}}
        """
        texts = [completion_in(query, prompt) for query, prompt in zip(queries, prompts, strict=True)]
        rewards = self.rule.many(texts, list(map(gold_text, labels)), problems=prompts)
        totals = [reward.total for reward in rewards]
        logs = {name: [reward.parts[name] for reward in rewards] for name in self.rule.weights}
        scores = logs.get("correct", totals)
        if "correct" in logs:
            logs["decided"] = [_decided(reward) for reward in rewards]
        return {"rewards": totals, "scores": scores, "extra_logs": logs}


reward_func = OpenRlhfReward(RuleReward(undecided=0.0))
"""OpenRLHF: 1.0 if the completion is correct, else 0.0; "decided" in the logs is 0.0 if the check failed."""


def completion_in(query: str, prompt: str) -> str:
    """The completion of a query, without the special tokens at its end.

    Raises:
        ValueError: the query does not contain its prompt.
    """
    tail = prompt[-_PROMPT_TAIL:]
    start = query.find(tail)
    if start < 0:
        raise ValueError(f"the query does not contain the end of its prompt, {tail[-40:]!r}")
    return without_end(query[start + len(tail) :])


def without_end(text: str) -> str:
    """A completion without the special tokens at its end."""
    return _END_TOKENS.sub("", text)


def _decided(reward: Reward) -> float:
    return float(reward.verdict is not None and reward.verdict.is_decided)
