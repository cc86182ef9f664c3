"""Is a difference between two scorers on the same rows more than chance? p-values, and their correction for many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binom

from .arrays import Floats

_MOST_SUMS = 2**21
"""Exact up to this many sums; beyond it they are drawn."""
_FLIPS = 100_000
_DIGITS = 9
"""Decimal digits to which differences are told apart, as a share of the largest."""
_SAME = 1e-7
"""Sums that are no further apart are equal, but for their rounding."""


def sign_flip_p(differences: Floats, seed: int = 0) -> float:
    """Two-sided p of a sum of paired differences: how often it is at least as far from 0 with random signs.

    The permutation test of Fisher 1935 (The Design of Experiments, section 21); with differences of -1, 0 and 1 it is
    the exact sign test, and for right and wrong answers McNemar's. Exact, by the binomial distribution of each distinct
    size, where these have few enough sums; else from 100,000 draws, which count the data as one of them.

    Args:
        differences: (pairs,), one for each independent pair; a difference of 0 says nothing.
        seed: of the draws.

    Returns:
        In (0, 1]; 1 if all differences are 0.

    >>> round(sign_flip_p(np.array([1.0, 1.0, 1.0, 1.0, 1.0, -1.0, 0.0])), 6)  # 2 * (1 + 6) / 2**6
    0.21875
    """
    largest = float(np.abs(differences).max(initial=0.0))
    if largest == 0:
        return 1.0
    rounded = np.round(differences / largest, _DIGITS)
    sizes, counts = np.unique(np.abs(rounded[rounded != 0]), return_counts=True)
    observed = abs(float(rounded.sum())) - _SAME
    if np.prod(counts + 1.0) > _MOST_SUMS:
        rng = np.random.default_rng(seed)
        sums = sum(size * (2 * rng.binomial(n, 0.5, _FLIPS) - n) for size, n in zip(sizes, counts, strict=True))
        return float((1 + (np.abs(sums) >= observed).sum()) / (1 + _FLIPS))
    sums, chances = np.zeros(1), np.ones(1)
    for size, n in zip(sizes, counts, strict=True):
        positives = np.arange(n + 1)
        sums = np.add.outer(sums, size * (2 * positives - n)).ravel()
        chances = np.multiply.outer(chances, binom.pmf(positives, n, 0.5)).ravel()
    return min(1.0, float(chances[np.abs(sums) >= observed].sum()))


def bootstrap_p(drawn: Floats) -> float | None:
    """Two-sided p of a difference from its bootstrap draws: twice the share on the far side of 0, draws of 0 included.

    The interval inverted, with one added to both counts, so that it is never 0 (Davison and Hinkley 1997, Bootstrap
    Methods and their Application, section 4.2).

    Args:
        drawn: (draws + 1,), the value first; draws that are not finite are skipped.

    Returns:
        In (0, 1]; None if the value is undefined.

    >>> bootstrap_p(np.array([0.3] + [0.2] * 97 + [-0.1] * 2))  # 2 * (1 + 2) / (1 + 99)
    0.06
    """
    others = drawn[1:][np.isfinite(drawn[1:])]
    if not np.isfinite(drawn[0]):
        return None
    beyond = min((others <= 0).sum(), (others >= 0).sum())
    return min(1.0, float(2 * (1 + beyond) / (1 + len(others))))


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """p-values corrected for their number (Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure).

    The smallest of m is multiplied by m, the next by m - 1 and so on; none may fall below the one before it or rise
    above 1. All below a level may be believed together at that level. None stays None, and does not count.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    known = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        corrected[i] = highest
    return corrected
