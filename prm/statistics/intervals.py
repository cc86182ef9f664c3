"""How sure a share of successes is."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=65_536)
def credible_interval(right: int, wrong: int, level: float = 0.95) -> tuple[float, float]:
    """Equal-tailed credible interval of a success probability under Jeffreys' prior, Beta(1/2, 1/2).

    Where all draws agree, the interval reaches to that end (Brown, Cai and DasGupta 2001, Interval Estimation for a
    Binomial Proportion).

    Args:
        right: successes, from 0.
        wrong: failures, from 0.
        level: probability that the interval holds, in (0, 1).

    Returns:
        Lower and upper end, in [0, 1]; the whole range without a draw.

    >>> low, high = credible_interval(0, 8)
    >>> low, round(high, 3)
    (0.0, 0.262)
    """
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(right + 0.5, wrong + 0.5, tail)) if right else 0.0
    high = float(betaincinv(right + 0.5, wrong + 0.5, 1 - tail)) if wrong else 1.0
    return low, high
