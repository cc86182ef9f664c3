"""From step scores to one score of the chain."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from prm.errors import InputError


def _log_product(scores: Sequence[float]) -> float:
    """Sum of logarithms: the same order as the product, without underflow on long chains. -inf where a score is 0."""
    return sum(math.log(s) if s > 0 else -math.inf for s in scores)


AGGREGATORS: dict[str, Callable[[Sequence[float]], float]] = {
    "min": min,
    "product": _log_product,
    "geometric-mean": lambda scores: _log_product(scores) / len(scores),
    "mean": lambda scores: sum(scores) / len(scores),
    "last": lambda scores: scores[-1],
    "max": max,
}
"""Name to function. `min` and `product`: Let's Verify Step by Step, arXiv 2305.20050, appendix F; `product` and
`geometric-mean`, the product that a chain's length does not lower, are given as their logarithms, in (-inf, 0]."""


def aggregate(scores: Sequence[float], aggregator: str = "min") -> float:
    """One score for a chain, higher is better; -inf for a chain without steps.

    >>> aggregate([0.9, 0.2, 0.8], "min")
    0.2

    Raises:
        InputError: there is no such aggregator.
    """
    if aggregator not in AGGREGATORS:
        raise InputError(f"there is no aggregator {aggregator!r}", f"choose from {', '.join(AGGREGATORS)}")
    return float(AGGREGATORS[aggregator](scores)) if scores else -math.inf
