"""A checker that is a function: multiple choice, with the options in the problem's `meta`.

    prm verify answers.jsonl --checker choice_checker:check_options

in the folder of this file. An answer may be the letter of an option, or its text.
"""

import prm
from prm.verifiers import Verdict, check_choice

ROWS = [
    {"completion": "So the side is 12 cm.", "answer": "B", "options": ["10 cm", "12 cm", "14 cm"]},
    {"completion": "The answer is (A).", "answer": "B", "options": ["10 cm", "12 cm", "14 cm"]},
]


def check_options(prediction: str, gold: str, problem: prm.Problem) -> Verdict:
    """Whether a solution chooses the same option as the gold answer."""
    return check_choice(prediction, gold, problem.meta["options"])


def main() -> None:
    """Check two rows, and print the verdicts."""
    for row in prm.verify(ROWS, checker=check_options):
        print(row.outcome, row.reason)


if __name__ == "__main__":
    main()
