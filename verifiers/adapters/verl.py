"""verl (as of 0.9): a score for its reward loop.

In the configuration,

    reward.custom_reward_function.path=pkg://prm.verifiers.adapters
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.rules.weights='{correct: 1.0, boxed: 0.1}'

Older versions of verl take only the path of a file, which can hold one line:

    from prm.verifiers.adapters import compute_score

verl calls the function in a thread, so that algebra does not hold up its event loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..checking import answer_key
from ..rewards import RuleReward
from ..verdict import Verdict
from .texts import described, gold_text, require_numbers


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    *,
    rules: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> dict[str, float | str]:
    """verl: the score of one completion, with its parts.

    Args:
        data_source: ignored: the answer itself determines how it is compared.
        solution_str: the completion.
        ground_truth: the gold answer as for `check`; a number is converted to text.
        extra_info: ignored.
        rules: fields of `RuleReward`, from `reward_kwargs`. verl cannot exclude a completion, so `undecided` defaults
            to 0.0 and cannot be None; it passes no token ids, so lengths are measured in text.
        kwargs: further arguments from verl, ignored.

    Returns:
        "score", the total; each part by name; and, if "correct" is a part, "acc" (1.0 if shown to be correct),
        "decided" (1.0 or 0.0; verl averages it: keep an eye on it), "pred" (a key for majority votes, "" for none) and
        "verdict" with its reason.

    Raises:
        TypeError: the ground truth has the wrong type.
        ValueError: the rules are invalid, or would exclude a completion.

    >>> from prm.verifiers.adapters import compute_score
    >>> score = compute_score("gsm8k", "The answer is 7", "7")
    >>> score["score"], score["acc"], score["decided"], score["pred"]
    (1.0, 1.0, 1.0, '7')
    """
    rule = RuleReward(**{"undecided": 0.0, "measured_in": "text", **(rules or {})})
    require_numbers(rule, "verl")
    reward = rule(solution_str, gold_text(ground_truth))
    fields = {} if reward.verdict is None else _verdict_fields(reward.verdict)
    return {"score": reward.total or 0.0, **reward.parts, **fields}


def _verdict_fields(verdict: Verdict) -> dict[str, float | str]:
    key = None if verdict.answer is None else answer_key(verdict.answer)
    return {
        "acc": float(verdict.is_correct),
        "decided": float(verdict.is_decided),
        "pred": key or verdict.answer or "",
        "verdict": described(verdict),
    }
