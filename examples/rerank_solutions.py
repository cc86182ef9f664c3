"""Choose one of eight solutions by the scores of their steps.

    python examples/rerank_solutions.py --scorer Qwen/Qwen2.5-Math-PRM-7B

The default scorer is the one that `make demo` trains.
"""

import argparse

import prm

PROBLEM = (
    "Sam has 54 pens. Joy would need 4 more to match that. Eve has 9 more than that. That is 7 more than Ann has. "
    "How many pens does Ann have?"
)
SOLUTIONS = [
    "needing: 54 - 4 = 50\nahead: 50 + 9 = 59\nabove: 59 + 7 = 66\nThe answer is 66",
    "needing: 54 + 4 = 58\nahead: 58 + 9 = 67\nabove: 67 + 7 = 74\nThe answer is 74",
    "needing: 54 + 4 = 58\nahead: 58 + 9 = 67\nabove: 67 + 7 = 74\nThe answer is 74",
    "needing: 54 - 4 = 50\nahead: 50 + 9 = 59\nabove: 59 - 7 = 52\nThe answer is 52",
    "needing: 54 - 4 = 50\nahead: 50 + 9 = 59\nabove: 59 + 7 = 66\nThe answer is 66",
    "needing: 54 + 4 = 58\nahead: 58 + 9 = 67\nabove: 67 + 7 = 74\nThe answer is 74",
    "needing: 54 + 4 = 58\nahead: 58 + 9 = 67\nabove: 67 - 7 = 60\nThe answer is 60",
    "I do not know.",
]


def main() -> None:
    """Rerank, and print the choice with all scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scorer", default="runs/demo/prm", help="reward model: a directory or Hub name")
    scorer = prm.load_scorer(parser.parse_args().scorer)
    choice = prm.rerank(PROBLEM, SOLUTIONS, scorer, aggregate="min")
    print(f"chosen: {choice.index}, its answer: {choice.answer}")
    for score, steps, refusal in zip(choice.scores, choice.step_scores, choice.refusals, strict=True):
        print(refusal or f"{score:.3f} = min of {', '.join(f'{step:.3f}' for step in steps)}")


if __name__ == "__main__":
    main()
