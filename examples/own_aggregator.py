"""An aggregator of your own, used by every function and command that takes one by name.

python examples/own_aggregator.py
"""

from statistics import median

import prm

prm.AGGREGATORS["median"] = prm.Aggregator(median, help="median score")


def main() -> None:
    """Aggregate, and choose by it."""
    scores = [(0.9, 0.2, 0.8), (0.6, 0.6, 0.6)]
    print([prm.aggregate(own, "median") for own in scores])
    choice = prm.choose("p", ["The answer is 7", "The answer is 8"], scores, aggregate="median")
    print(choice.answer)


if __name__ == "__main__":
    main()
