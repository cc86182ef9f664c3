"""A reward for TRL's GRPO that mixes correctness, the scores of the steps, and length.

    python examples/grpo_reward.py --scorer runs/demo/prm

With TRL installed: `GRPOTrainer(..., reward_funcs=reward_of(scorer))` on a data set with the columns `prompt` and
`answer`.
"""

import argparse

from rerank_solutions import PROBLEM, SOLUTIONS

import prm
from prm.rl import ScorePart
from prm.verifiers.adapters import TrlReward
from prm.verifiers.rewards import RuleReward


def reward_of(scorer: prm.Scorer) -> TrlReward:
    """Correctness, plus the lowest step score, minus a penalty for solutions of more than 1,500 characters."""
    weights = {"correct": 1.0, "prm": 0.3, "overlong": 0.5}
    parts = {"prm": ScorePart(scorer, "min")}
    return TrlReward(RuleReward(weights, parts=parts, longest=2000, cache=500, measured_in="text"))


def main() -> None:
    """The rewards of a few completions, as GRPO asks for them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scorer", default="runs/demo/prm", help="reward model: a directory or Hub name")
    reward = reward_of(prm.load_scorer(parser.parse_args().scorer))
    count = len(SOLUTIONS)
    for value in reward(SOLUTIONS, prompts=[PROBLEM] * count, answer=["52"] * count):
        print(value)


if __name__ == "__main__":
    main()
