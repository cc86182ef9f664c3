"""A reward for TRL's GRPO that mixes correctness, the scores of the steps, and length.

    python examples/grpo_reward.py --scorer runs/demo/prm

With TRL installed: `GRPOTrainer(..., reward_funcs=StepReward(scorer))` on a data set with the columns `prompt` and
`answer`.
"""

import argparse

from rerank_solutions import PROBLEM, SOLUTIONS

import prm


class StepReward:
    """Correctness, plus the lowest step score, minus a little for each character beyond a limit.

    Args:
        scorer: from `prm.load_scorer`; a PRM.
        weight: of the lowest step score.
        limit: characters that cost nothing.
    """

    __name__ = "step_reward"  # TRL logs a reward under its name

    def __init__(self, scorer: prm.Scorer, weight: float = 0.3, limit: int = 2000) -> None:
        self.scorer = scorer
        self.weight = weight
        self.limit = limit

    def __call__(
        self, prompts: list[str], completions: list[str], answer: list[str], **columns: object
    ) -> list[float | None]:
        """One reward per completion; None, which TRL leaves out, where the answer cannot be decided."""
        results = self.scorer.score_each(prompts, [prm.split_steps(text) for text in completions])
        return [
            self._reward(text, gold, scores) for text, gold, scores in zip(completions, answer, results, strict=True)
        ]

    def _reward(self, text: str, gold: str, scores: tuple[float, ...] | prm.Refusal) -> float | None:
        verdict = prm.check(text, gold)
        if not verdict.is_decided:
            return None
        lowest = 0.0 if isinstance(scores, prm.Refusal) else prm.aggregate(scores, "min")
        return float(verdict.is_correct) + self.weight * lowest - max(0, len(text) - self.limit) / 10_000


def main() -> None:
    """The rewards of a few completions, as GRPO asks for them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scorer", default="runs/demo/prm", help="reward model: a directory or Hub name")
    reward = StepReward(prm.load_scorer(parser.parse_args().scorer))
    count = len(SOLUTIONS)
    for value in reward([PROBLEM] * count, SOLUTIONS, answer=["52"] * count):
        print(value)


if __name__ == "__main__":
    main()
