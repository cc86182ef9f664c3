"""How often verdicts are right: ours and math-verify's, on the same pairs.

    python -m prm.benchmarks.perf.verify_accuracy [--show]

A verdict is right if it accepts an equal pair or does not accept a different one; undecided counts as not accepted.
math-verify is skipped if it is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections import Counter

from .job import machine
from .verify_pairs import SETS, math_verify, ours


def main() -> None:
    """Measure, and print one table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="print every pair that our checker gets wrong")
    arguments = parser.parse_args()
    checkers = {"ours": ours} | ({"math-verify": math_verify} if importlib.util.find_spec("math_verify") else {})
    print(f"{machine()}\n\n| pairs | checker | right | missed | wrongly accepted | undecided |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, pairs in SETS.items():
        for checker, verdict in checkers.items():
            found = [(pair, verdict(pair.prediction, pair.gold)) for pair in pairs()]
            counts = Counter((pair.label, outcome == "correct") for pair, outcome in found)
            right = (counts[True, True] + counts[False, False]) / len(found)
            undecided = sum(outcome not in ("correct", "incorrect") for _, outcome in found)
            row = f"{right:.2%} | {counts[True, False]} | {counts[False, True]} | {undecided}"
            print(f"| {name} ({len(found):,}) | {checker} | {row} |", flush=True)
            if arguments.show and checker == "ours":
                for pair, outcome in found:
                    if pair.label != (outcome == "correct"):
                        print(f"    {outcome}, label {pair.label}: {pair.prediction[-150:]!r} against {pair.gold!r}")


if __name__ == "__main__":
    main()
