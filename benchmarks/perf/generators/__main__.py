"""How the checker judges generated pairs, of which it is known by construction whether they are equal.

    python -m prm.benchmarks.perf.generators --pairs 100000 --seed 1

Per kind: pairs, pairs accepted wrongly, called incorrect though equal, and undecided. Every pair accepted wrongly is
printed in full; `--show N` prints up to N equal pairs of each kind that are not accepted. The exit status is 1 if a
pair was accepted wrongly.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Mapping

from ..job import machine
from ..verify_pairs import ours
from . import EQUAL, WRONG, Pair, pairs
from .tables import Generator


def main() -> None:
    """Measure both tables, print each in Markdown, and the pairs accepted wrongly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10_000, help="pairs in all (default: 10,000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", default="", help="only kinds whose name contains this")
    parser.add_argument("--show", type=int, default=0, help="equal pairs to print of each kind that are not accepted")
    arguments = parser.parse_args()
    print(machine())
    half, started = arguments.pairs // 2, time.monotonic()
    accepted = measure("different", chosen(WRONG, arguments.kind), half, arguments.seed, 0)
    measure("equal", chosen(EQUAL, arguments.kind), arguments.pairs - half, arguments.seed, arguments.show)
    print(f"\n{arguments.pairs:,} pairs in {time.monotonic() - started:.0f} s; accepted wrongly: {accepted}")
    sys.exit(accepted > 0)


def chosen(table: Mapping[str, Generator], part: str) -> dict[str, Generator]:
    """The kinds whose name contains a text."""
    return {name: make for name, make in table.items() if part in name}


def measure(relation: str, table: Mapping[str, Generator], count: int, seed: int, show: int) -> int:
    """Check pairs of one table, print its counts and its mistakes, and return how many were accepted wrongly."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in table}
    mistakes: list[tuple[str, Pair]] = []
    mistaken = {"different": ("correct",), "equal": ("incorrect", "no_answer", "timeout", "error")}[relation]
    for pair in pairs(table, count, seed) if table else ():
        outcome = ours(pair.prediction, pair.gold)
        counts[pair.kind][outcome] += 1
        if outcome in mistaken and (relation == "different" or counts[pair.kind][f"shown {outcome}"] < show):
            counts[pair.kind][f"shown {outcome}"] += 1
            mistakes.append((outcome, pair))
    print(f"\n| {relation} pairs | number | correct | incorrect | undecided |\n| --- | --- | --- | --- | --- |")
    for name, found in counts.items():
        undecided = found["no_answer"] + found["timeout"] + found["error"]
        total = found["correct"] + found["incorrect"] + undecided
        print(f"| {name} | {total} | {found['correct']} | {found['incorrect']} | {undecided} |")
    for outcome, pair in mistakes:
        print(f"    {outcome}, {relation} ({pair.kind}): gold {pair.gold!r}, prediction {pair.prediction!r}")
    return sum(found["correct"] for found in counts.values()) if relation == "different" else 0


if __name__ == "__main__":
    main()
