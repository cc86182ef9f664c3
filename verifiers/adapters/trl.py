r"""TRL (`GRPOTrainer`, `RLOOTrainer`; as of 1.16): pass one of these as `reward_funcs`.

    from prm.verifiers.adapters import TrlReward, accuracy_reward
    from prm.verifiers.rewards import RuleReward

    accuracy_reward
    TrlReward(RuleReward({"correct": 1.0, "boxed": 0.1}))

The gold answers are the column `solution` or `answer` of the data set; a rule without the part "correct" needs none.
Parts that look at the problem get the column `problem`, or else the prompt. A reward of None excludes a completion if
no other reward function gives it a number; if one does, TRL counts None as 0, so combine rewards in `RuleReward`
instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..rewards import Reward, RuleReward
from .texts import Completion, completion_text, described, gold_text

LogExtra = Callable[[str, list[Any]], None]
"""TRL's callback that adds a column (name, values) to its table of completions."""


def accuracy_reward(
    completions: Sequence[Completion],
    solution: Sequence[Any] | None = None,
    answer: Sequence[Any] | None = None,
    log_extra: LogExtra | None = None,
    **kwargs: Any,
) -> list[float | None]:
    r"""TRL: 1.0 if the completion is correct, 0.0 if it is incorrect or has no answer, None if undecided.

    See `TrlReward` for the arguments.

    >>> from prm.verifiers.adapters import accuracy_reward
    >>> accuracy_reward([r"\boxed{0.5}", [{"role": "assistant", "content": r"\boxed{2}"}]], solution=["1/2", "3"])
    [1.0, 0.0]
    """
    return TrlReward(RuleReward())(completions, solution, answer, log_extra=log_extra)


@dataclass(frozen=True, slots=True)
class TrlReward:
    r"""TRL: a `RuleReward` as one reward function, with its parts in the table of completions.

    >>> from prm.verifiers.adapters import TrlReward
    >>> from prm.verifiers.rewards import RuleReward
    >>> TrlReward(RuleReward({"correct": 1.0, "boxed": 0.5}))([r"\boxed{7}", "It is 7."], answer=["7", "7"])
    [1.5, 1.0]
    """

    rule: RuleReward

    __name__ = "rule_reward"  # TRL logs a reward function under its name, which an instance has not by itself

    def __call__(
        self,
        completions: Sequence[Completion],
        solution: Sequence[Any] | None = None,
        answer: Sequence[Any] | None = None,
        completion_ids: Sequence[Sequence[int]] | None = None,
        prompts: Sequence[Any] | None = None,
        problem: Sequence[Any] | None = None,
        log_extra: LogExtra | None = None,
        **kwargs: Any,
    ) -> list[float | None]:
        """One reward per completion, in order.

        Args:
            completions: texts or conversations.
            solution: gold answers, one per completion, as for `check`; numbers are converted to text. A completion
                whose gold answer is None is excluded.
            answer: the same, used if there is no `solution`.
            completion_ids: token ids of each completion.
            prompts: the prompt of each completion, a text or messages.
            problem: the problem of each, if it is another text than the prompt.
            log_extra: receives a column of verdicts with their reasons, one column per part, and one that names the
                parts that refused the completion, if there are parts of your own.
            kwargs: further arguments from TRL, ignored.

        Raises:
            TypeError: a gold answer has the wrong type.
            ValueError: `solution` and `answer` are both missing, or their number differs from that of the completions.
        """
        golds = solution if solution is not None else answer
        if "correct" not in self.rule.weights:
            golds = [""] * len(completions)
        if golds is None:
            raise ValueError("no gold answers: the data set needs a column 'solution' or 'answer'")
        tokens = completion_ids if completion_ids is not None else [None] * len(completions)
        asked = problem or prompts or [None] * len(completions)
        rows = [
            (completion_text(completion), gold_text(gold), ids, posed)
            for completion, gold, ids, posed in zip(completions, golds, tokens, asked, strict=True)
            if gold is not None
        ]
        found = iter(self.rule.many(*map(list, zip(*rows, strict=True))) if rows else ())
        rewards = [None if gold is None else next(found) for gold in golds]
        if log_extra is not None:
            self._log(rewards, log_extra)
        return [None if reward is None else reward.total for reward in rewards]

    def _log(self, rewards: Sequence[Reward | None], log_extra: LogExtra) -> None:
        if "correct" in self.rule.weights:
            log_extra(
                "verdict", [described(reward.verdict) if reward and reward.verdict else None for reward in rewards]
            )
        if self.rule.parts:
            log_extra("refused", [", ".join(reward.refused) if reward else None for reward in rewards])
        for name in self.rule.weights:
            log_extra(name, [reward.parts.get(name) if reward else None for reward in rewards])
