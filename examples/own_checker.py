"""Label with an answer checker of your own: here an answer counts if it is within one per cent of the gold answer.

python examples/own_checker.py --model Qwen/Qwen2.5-Math-1.5B
"""

import argparse
import re

from label_own_chains import CHAINS, PROBLEMS

import prm
from prm.benchmarks.arithmetic import POLICY


def is_close(solution: str, gold: str, problem: prm.Problem) -> bool | None:
    """Whether the last number of a solution is close to the gold answer; None (undecided) if it has no number."""
    numbers = re.findall(r"-?\d+\.?\d*", solution)
    return abs(float(numbers[-1]) - float(gold)) <= 0.01 * abs(float(gold)) if numbers else None


def main() -> None:
    """Label, and print the verdict on each chain's own answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(POLICY), help="causal language model: a directory or Hub name")
    parser.add_argument("--endpoint", nargs="*", default=[], help="servers of the model, in place of vLLM here")
    options = parser.parse_args()
    labels = prm.label(
        PROBLEMS, CHAINS, model=options.model, rollouts=4, max_tokens=128, checker=is_close, endpoints=options.endpoint
    )
    for row in labels:
        print(row.chain_id, row.outcome)


if __name__ == "__main__":
    main()
