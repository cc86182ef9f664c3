"""verl (as of 0.9): a score for its reward loop.

In the configuration,

    reward.custom_reward_function.path=pkg://prm.verifiers.adapters
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.rules.weights='{correct: 1.0, boxed: 0.1}'

Older versions of verl take only the path of a file, which can hold one line:

    from prm.verifiers.adapters import compute_score

A rule with parts of your own is built in a file, whose path and name the configuration gives:

    compute_score = VerlReward(RuleReward({"correct": 1.0, "prm": 0.5}, parts={"prm": part}, undecided=0.0))

verl calls the function in a thread, so that algebra does not hold up its event loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..checking import answer_key
from ..rewards import RuleReward
from ..verdict import Verdict
from .texts import completion_text, described, gold_text, require_numbers, require_text


@dataclass(frozen=True, slots=True)
class VerlReward:
    """verl: a `RuleReward` as a custom reward function, for rules that a configuration cannot spell.

    Raises:
        ValueError: at construction, if the rule would exclude a completion, or needs token ids.
    """

    rule: RuleReward
    problem: str = "question"
    """The field of `extra_info` with the problem, for parts that look at it; without it they get None."""

    def __post_init__(self) -> None:
        """Refuse rules that would fail in the middle of training."""
        require_numbers(self.rule, "verl")
        require_text(self.rule)

    def __call__(
        self,
        data_source: str,
        solution_str: str | None,
        ground_truth: Any,
        extra_info: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, float | str]:
        """The score of one completion, with its parts; see `compute_score`."""
        problem = (extra_info or {}).get(self.problem)
        gold = gold_text(ground_truth) if "correct" in self.rule.weights else ""
        reward = self.rule(completion_text(solution_str), gold, problem=problem)
        fields = {} if reward.verdict is None else _verdict_fields(reward.verdict)
        own: dict[str, float | str] = {"refused": ", ".join(reward.refused)} if self.rule.parts else {}
        return {"score": reward.total or 0.0, **reward.parts, **fields, **own}


def compute_score(
    data_source: str,
    solution_str: str | None,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    *,
    rules: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> dict[str, float | str]:
    """verl: the score of one completion, with its parts.

    Args:
        data_source: ignored: the answer itself determines how it is compared.
        solution_str: the completion; None counts as "".
        ground_truth: the gold answer as for `check`; a number is converted to text.
        extra_info: fields of the row; see `VerlReward.problem`.
        rules: fields of `RuleReward`, from `reward_kwargs`. verl cannot exclude a completion, so `undecided` defaults
            to 0.0 and cannot be None; it passes no token ids, so lengths are measured in text.
        kwargs: further arguments from verl, ignored.

    Returns:
        "score", the total; each part by name; if "correct" is a part, "acc" (1.0 if shown to be correct), "decided"
        (1.0 or 0.0; verl averages it: keep an eye on it), "pred" (a key for majority votes, "" for none) and "verdict"
        with its reason; and with parts of your own, "refused", which names those that had no number.

    Raises:
        TypeError: the ground truth has the wrong type.
        ValueError: the rules are invalid, or would exclude a completion.

    >>> from prm.verifiers.adapters import compute_score
    >>> score = compute_score("gsm8k", "The answer is 7", "7")
    >>> score["score"], score["acc"], score["decided"], score["pred"]
    (1.0, 1.0, 1.0, '7')
    """
    reward = VerlReward(RuleReward(**{"undecided": 0.0, "measured_in": "text", **(rules or {})}))
    return reward(data_source, solution_str, ground_truth, extra_info)


def _verdict_fields(verdict: Verdict) -> dict[str, float | str]:
    key = None if verdict.answer is None else answer_key(verdict.answer)
    return {
        "acc": float(verdict.is_correct),
        "decided": float(verdict.is_decided),
        "pred": key or verdict.answer or "",
        "verdict": described(verdict),
    }
