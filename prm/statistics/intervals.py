"""The uncertainty of a success rate."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=65_536)
def credible_interval(right: int, wrong: int, level: float = 0.95) -> tuple[float, float]:
    """Equal-tailed credible interval of a success probability under Jeffreys' prior, Beta(1/2, 1/2).

    If all draws agree, the interval extends to 0 or 1 (Brown, Cai and DasGupta 2001, Interval Estimation for a
    Binomial Proportion).

    Args:
        right: number of successes.
        wrong: number of failures.
        level: probability mass of the interval, in (0, 1).

    Returns:
        Lower and upper end, in [0, 1]; the whole range if there is no draw.

    >>> low, high = credible_interval(0, 8)
    >>> low, round(high, 3)
    (0.0, 0.262)
    """
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(right + 0.5, wrong + 0.5, tail)) if right else 0.0
    high = float(betaincinv(right + 0.5, wrong + 0.5, 1 - tail)) if wrong else 1.0
    return low, high
