r"""The checker and the rewards in the forms that other tools call. Importing this module needs none of those tools.

TRL (`GRPOTrainer`, `RLOOTrainer`; as of 1.16): pass one of these as `reward_funcs`,

    from prm.verifiers.adapters import TrlReward, accuracy_reward
    from prm.verifiers.rewards import RuleReward

    accuracy_reward
    TrlReward(RuleReward({"correct": 1.0, "boxed": 0.1}))

The gold answers are the column `solution` or `answer` of the data set. A reward of None excludes a completion if no
other reward function gives it a number; if one does, TRL counts None as 0, so combine rewards in `RuleReward` instead.

verl (as of 0.9), in the configuration:

    reward.custom_reward_function.path=pkg://prm.verifiers.adapters
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.rules.weights='{correct: 1.0, boxed: 0.1}'

Older versions of verl take only the path of a file, which can hold one line:

    from prm.verifiers.adapters import compute_score

lm-evaluation-harness (as of 0.4.13), in the YAML of a task of type `generate_until`, either

    process_results: !function prm.verifiers.adapters.process_results
    metric_list:
      - {metric: exact_match, aggregation: mean, higher_is_better: true}
      - {metric: no_answer, aggregation: mean, higher_is_better: false}
      - {metric: undecided, aggregation: mean, higher_is_better: false}

or, if `doc_to_target` gives the gold answer,

    metric_list:
      - {metric: !function prm.verifiers.adapters.answer_match, aggregation: mean, higher_is_better: true}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from .checking import answer_key, check
from .rewards import Reward, RuleReward
from .verdict import Outcome, Verdict

Completion = str | Sequence[Mapping[str, Any]]
"""A text, or the messages of a conversation, the last of which is the completion."""
LogExtra = Callable[[str, list[Any]], None]
"""TRL's callback that adds a column (name, values) to its table of completions."""

_GOLD_FIELDS = ("answer", "solution", "gold", "ground_truth", "target")


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
            log_extra: receives a column of verdicts with their reasons, and one column per part.
            kwargs: further arguments from TRL, ignored.

        Raises:
            TypeError: a completion or a gold answer has the wrong type.
            ValueError: `solution` and `answer` are both missing, or their number differs from that of the completions.
        """
        golds = solution if solution is not None else answer
        if golds is None:
            raise ValueError("no gold answers: the data set needs a column 'solution' or 'answer'")
        tokens = completion_ids if completion_ids is not None else [None] * len(completions)
        rewards = [
            None if gold is None else self.rule(completion_text(completion), _as_text(gold), ids)
            for completion, gold, ids in zip(completions, golds, tokens, strict=True)
        ]
        if log_extra is not None:
            self._log(rewards, log_extra)
        return [None if reward is None else reward.total for reward in rewards]

    def _log(self, rewards: Sequence[Reward | None], log_extra: LogExtra) -> None:
        if "correct" in self.rule.weights:
            log_extra(
                "verdict", [_describe(reward.verdict) if reward and reward.verdict else None for reward in rewards]
            )
        for name in self.rule.weights:
            log_extra(name, [reward.parts.get(name) if reward else None for reward in rewards])


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
    if rule.undecided is None or rule.no_answer is None:
        raise ValueError("verl needs a number for every completion: undecided and no_answer cannot be None")
    reward = rule(solution_str, _as_text(ground_truth))
    fields = {} if reward.verdict is None else _verdict_fields(reward.verdict)
    return {"score": reward.total or 0.0, **reward.parts, **fields}


def process_results(doc: Mapping[str, Any], results: Sequence[str | Sequence[str]]) -> dict[str, float]:
    """lm-evaluation-harness: the measures of one document.

    Args:
        doc: a row of the data set; its gold answer is the first of the fields answer, solution, gold, ground_truth and
            target that is present.
        results: one element: a text, or several texts if the task repeats its requests.

    Returns:
        Fractions of the texts, in [0, 1]: "exact_match" (shown to be correct), "no_answer", and "undecided" (the check
        ran out of time or failed).

    Raises:
        ValueError: the document has no gold answer.

    >>> from prm.verifiers.adapters import process_results
    >>> process_results({"question": "3 + 4?", "answer": "#### 7"}, ["It is 7."])
    {'exact_match': 1.0, 'no_answer': 0.0, 'undecided': 0.0}
    """
    gold = next((doc[name] for name in _GOLD_FIELDS if doc.get(name) is not None), None)
    if gold is None:
        raise ValueError(
            f"the document has no gold answer: its fields are {', '.join(doc)}, none of {', '.join(_GOLD_FIELDS)}"
        )
    texts = [results[0]] if isinstance(results[0], str) else results[0]
    outcomes = [check(text, _as_text(gold)).outcome for text in texts]
    return {
        "exact_match": _share(outcomes, Outcome.CORRECT),
        "no_answer": _share(outcomes, Outcome.NO_ANSWER),
        "undecided": _share(outcomes, Outcome.TIMEOUT, Outcome.ERROR),
    }


def answer_match(references: Sequence[Any], predictions: Sequence[str], **kwargs: Any) -> float:
    """lm-evaluation-harness: the fraction of predictions shown to be correct, as a metric.

    >>> from prm.verifiers.adapters import answer_match
    >>> answer_match(references=["1/2", "3"], predictions=["0.5", "4"])
    0.5
    """
    pairs = zip(references, predictions, strict=True)
    return _share([check(prediction, _as_text(gold)).outcome for gold, prediction in pairs], Outcome.CORRECT)


def completion_text(completion: Completion) -> str:
    """The text of a completion; for a conversation, of its last message ("" if that only calls a tool).

    Raises:
        TypeError: the completion is neither a text nor messages with text.
    """
    if isinstance(completion, str):
        return completion
    content: Any = completion[-1].get("content") if completion else None
    if isinstance(content, list):  # content blocks, as multimodal models have them
        return "".join(block.get("text") or "" for block in content)
    if content is None or isinstance(content, str):
        return content or ""
    raise TypeError(
        f"a completion must be a text, or messages with text, but its content is a {type(content).__name__}"
    )


def _as_text(gold: Any) -> str:
    """A gold answer as text; in some data sets it is a number."""
    if isinstance(gold, bool) or not isinstance(gold, str | Real):
        raise TypeError(f"a gold answer must be a text or a number, not a {type(gold).__name__}")
    return str(gold)


def _verdict_fields(verdict: Verdict) -> dict[str, float | str]:
    key = None if verdict.answer is None else answer_key(verdict.answer)
    return {
        "acc": float(verdict.is_correct),
        "decided": float(verdict.is_decided),
        "pred": key or verdict.answer or "",
        "verdict": _describe(verdict),
    }


def _describe(verdict: Verdict) -> str:
    return f"{verdict.outcome}: {verdict.reason}"


def _share(outcomes: Sequence[Outcome], *counted: Outcome) -> float:
    return sum(outcome in counted for outcome in outcomes) / len(outcomes)
