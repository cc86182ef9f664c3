"""Inspect (as of 0.3.285): the scorer of a task.

    from inspect_ai import Task
    from prm.verifiers.adapters import inspect_scorer

    Task(dataset=dataset, solver=solver, scorer=inspect_scorer())

The log counts undecided answers as `unscored_samples`.
"""

from __future__ import annotations

from typing import Any

from ..checking import DEFAULT_TIMEOUT, check_async
from ..policy import DEFAULT, Policy
from ..verdict import Outcome, of_any


def inspect_scorer(*, policy: Policy = DEFAULT, timeout: float = DEFAULT_TIMEOUT) -> Any:
    """Inspect: a scorer, with accuracy and its standard error as metrics.

    A correct answer is "C", an incorrect one "I", none "N" (counted as 0). An undecided one is unscored, and so
    left out of the metrics. If a sample has several targets, an answer equal to any of them is correct. The explanation
    is the reason of the verdict.

    Args:
        policy: see `check`.
        timeout: see `check`.
    """
    from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, Score, accuracy, scorer, stderr

    values = {Outcome.CORRECT: CORRECT, Outcome.INCORRECT: INCORRECT, Outcome.NO_ANSWER: NOANSWER}

    def answer() -> Any:
        async def score(state: Any, target: Any) -> Score:
            completion = state.output.completion
            verdicts = [await check_async(completion, gold, policy=policy, timeout=timeout) for gold in target]
            verdict = of_any(verdicts)
            about = {"answer": verdict.answer, "explanation": verdict.reason}
            if verdict.outcome in values:
                return Score(value=values[verdict.outcome], **about)
            return Score.unscored(reason="scoring_failed", **about)

        return score

    return scorer(metrics=[accuracy(), stderr()])(answer)()
