"""Label the steps of chains that you already have: Monte Carlo rollouts, checked against the gold answers.

    python examples/label_own_chains.py --model Qwen/Qwen2.5-Math-1.5B

Without a model it uses the small policy that this package ships, which solves stories like the one below.
"""

import argparse

import prm
from prm.benchmarks.arithmetic import POLICY

STORY = "Sam has 54 pens. Joy would need 4 more to match that. Eve has 9 more than that. How many pens does Eve have?"
PROBLEMS = [{"id": "pens", "question": STORY, "answer": "59"}]
CHAINS = [
    {"problem_id": "pens", "solution": "needing: 54 - 4 = 50\nahead: 50 + 9 = 59\nThe answer is 59"},
    {"problem_id": "pens", "solution": "needing: 54 + 4 = 58\nahead: 58 + 9 = 67\nThe answer is 67"},
]


def main() -> None:
    """Label, and print each step with its labels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(POLICY), help="causal language model: a directory or Hub name")
    parser.add_argument("--endpoint", nargs="*", default=[], help="servers of the model, in place of vLLM here")
    options = parser.parse_args()
    labels = prm.label(PROBLEMS, CHAINS, model=options.model, rollouts=4, max_tokens=128, endpoints=options.endpoint)
    for chain, row in zip(CHAINS, labels, strict=True):
        for step, hard, soft in zip(chain["solution"].splitlines(), row.hard, row.soft, strict=True):
            print(f"{step:30} hard {hard!s:5} soft {soft}")


if __name__ == "__main__":
    main()
