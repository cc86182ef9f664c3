"""Pairs per second in one process, ours and math-verify's on the same pairs, and how the work scales over cores.

    python -m prm.benchmarks.perf.verify_throughput

Our checker gets all pairs of each set, math-verify a sample; no verdict is cached. Latency is shown as percentiles.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from itertools import islice
from random import Random

from prm.verifiers import check_many

from .job import machine
from .verify_pairs import SETS, Pair, math_verify, ours

PEER_PAIRS = 300
"""Pairs of each set that math-verify gets."""


def main() -> None:
    """Measure, and print one table in Markdown."""
    has_peer = importlib.util.find_spec("math_verify") is not None
    print(f"{machine()}\n\n| pairs | ours, pairs/s | math-verify, pairs/s | speedup | ours p50, p99, worst (ms) |")
    print("| --- | --- | --- | --- | --- |")
    ours("\\boxed{(x+1)^2}", "x^2+2x+1")  # starts the worker before timing
    for name, pairs in SETS.items():
        chosen = list(pairs())
        Random(0).shuffle(chosen)
        own = seconds_each(ours, chosen)
        peer = seconds_each(math_verify, chosen[:PEER_PAIRS]) if has_peer else []
        rate, peer_rate = len(own) / sum(own), len(peer) / sum(peer) if peer else float("nan")
        own.sort()
        shown = ", ".join(f"{1000 * own[int(q * (len(own) - 1))]:.2f}" for q in (0.5, 0.99, 1))
        print(f"| {name} | {rate:,.0f} | {peer_rate:,.0f} | {rate / peer_rate:,.1f} | {shown} |", flush=True)
    print(f"\nsymbolic pairs, check_many: {os.cpu_count()} cores are {speedup_of_cores():.2f} times as fast as one")


def seconds_each(verdict: Callable[[str, str], str], pairs: list[Pair]) -> list[float]:
    """Seconds for each pair."""
    taken = []
    for pair in pairs:
        started = time.perf_counter()
        verdict(pair.prediction, pair.gold)
        taken.append(time.perf_counter() - started)
    return taken


def speedup_of_cores(count: int = 600) -> float:
    """Speedup of `check_many` on all cores over one worker, on pairs that all need algebra."""
    rates: list[float] = []
    for workers in (1, None):
        pairs = islice(symbolic_pairs(Random(len(rates))), count)
        list(check_many([("\\boxed{(x+1)^2}", "x^2+2x+1")] * 8, workers=workers))
        started = time.perf_counter()
        found = list(check_many(pairs, workers=workers))
        rates.append(len(found) / (time.perf_counter() - started))
    return rates[1] / rates[0]


def symbolic_pairs(draw: Random) -> Iterator[tuple[str, str]]:
    """Yield products paired with their expansions, all distinct."""
    while True:
        a, b, c = (draw.randint(2, 999) for _ in range(3))
        yield (
            f"\\boxed{{({a}x+{b})({c}x-{a})(x+{c})}}",
            f"{a * c}x^3+{a * c * c + b * c - a * a}x^2+{(b * c - a * a) * c - a * b}x-{a * b * c}",
        )


if __name__ == "__main__":
    main()
