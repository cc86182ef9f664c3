"""Score chains and look at the scores as a table: `datasets` in, pandas out.

python examples/scores_as_table.py --scorer Qwen/Qwen2.5-Math-PRM-7B
"""

import argparse

from datasets import Dataset
from rerank_solutions import PROBLEM, SOLUTIONS

import prm


def main() -> None:
    """Score, and print a row per step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scorer", default="runs/demo/prm", help="reward model: a directory or Hub name")
    problems = Dataset.from_list([{"id": "pens", "question": PROBLEM, "answer": "52"}])
    chains = Dataset.from_list([{"problem_id": "pens", "solution": solution} for solution in SOLUTIONS])
    table = prm.score(parser.parse_args().scorer, problems, chains).to_pandas()
    print(table.explode("scores")[["chain_id", "scores"]].to_string(index=False))


if __name__ == "__main__":
    main()
