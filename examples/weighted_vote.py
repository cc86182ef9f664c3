"""Best of n, majority and weighted vote on the same chains, from the files of `make demo`.

python examples/weighted_vote.py --folder runs/demo
"""

import argparse

import prm


def main() -> None:
    """Choose in three ways and print how many answers are right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", default="runs/demo", help="holds test.problems, test.chains and test.prm (.jsonl)")
    folder = parser.parse_args().folder
    problems, chains, scores = (f"{folder}/test.{part}.jsonl" for part in ("problems", "chains", "prm"))
    golds = {problem.id: problem.answer for problem in prm.read_problems(problems)}
    for selection in prm.SELECTIONS:
        choices = prm.rerank_chains(problems, chains, scores, aggregate="min", selection=selection)
        right = sum(prm.check(choice.best, golds[choice.problem_id]).is_correct for choice in choices)
        print(f"{selection:10} {right} of {len(choices)} right")


if __name__ == "__main__":
    main()
