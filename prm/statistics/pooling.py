"""The value of each step of a chain from the rollouts of all its steps: neighboring steps mostly share their value.

A product partition model (Barry and Hartigan 1993, A Bayesian Analysis for Change Point Problems): from one step to
the next the value stays the same or, with probability `CHANGE`, is drawn anew from a prior with extra mass at 0 and 1.
The posterior is exact on a grid of values, by one forward and one backward pass over the chain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import xlog1py, xlogy

from .arrays import Floats

CHANGE = 0.4
"""Probability that a step's value differs from the previous step's. Results depend little on it."""
GRID: Floats = np.linspace(0, 1, 51)
"""Possible values of a step."""
PRIOR: Floats = np.where((GRID == 0) | (GRID == 1), 0.2, 0.6 / (len(GRID) - 2))
"""Probability of each value: dead ends and solved problems are common, all values between are equally likely."""


def posterior(right: Sequence[int], wrong: Sequence[int]) -> Floats:
    """Probability of each value of `GRID` for each step.

    Args:
        right: number of successes from each step.
        wrong: number of failures from each step.

    Returns:
        Floats of shape (steps, values); each row sums to 1.
    """
    likelihood, forward = _forward(right, wrong)
    backward = np.ones_like(likelihood)
    for i in reversed(range(len(likelihood) - 1)):
        ahead = likelihood[i + 1] * backward[i + 1]
        backward[i] = _normal((1 - CHANGE) * ahead + CHANGE * (PRIOR @ ahead))
    return _normal(forward * backward)


def _forward(right: Sequence[int], wrong: Sequence[int]) -> tuple[Floats, Floats]:
    """Likelihood of each value of each step, and its probability given the rollouts up to that step."""
    exponents = xlogy(np.array(right)[:, None], GRID) + xlog1py(np.array(wrong)[:, None], -GRID)
    likelihood = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    forward, before = np.empty_like(likelihood), PRIOR
    for i, row in enumerate(likelihood):
        before = forward[i] = _normal(((1 - CHANGE) * before + CHANGE * PRIOR) * row)
    return likelihood, forward


def sampled_values(right: Sequence[int], wrong: Sequence[int], draws: int, rng: np.random.Generator) -> Floats:
    """Draw the values of all steps together from their posterior; floats of shape (draws, steps), values of `GRID`."""
    _, forward = _forward(right, wrong)
    found = np.empty((draws, len(forward)), dtype=int)
    for i in reversed(range(len(forward))):
        weights = np.broadcast_to(forward[i], (draws, len(GRID)))
        if i + 1 < len(forward):
            stays = np.arange(len(GRID)) == found[:, i + 1, None]
            weights = weights * ((1 - CHANGE) * stays + CHANGE * PRIOR[found[:, i + 1], None])
        shares = _normal(weights).cumsum(axis=1)
        found[:, i] = np.minimum((shares < rng.random((draws, 1))).sum(axis=1), len(GRID) - 1)
    values: Floats = GRID[found]
    return values


def _normal(weights: Floats) -> Floats:
    total: Floats = weights / weights.sum(axis=-1, keepdims=True)
    return total


def pooled_values(right: Sequence[int], wrong: Sequence[int]) -> tuple[float, ...]:
    """Posterior median of each step's value, in [0, 1]: the estimate with the least expected absolute error.

    >>> pooled_values([8, 8, 0], [0, 0, 8])
    (1.0, 1.0, 0.0)
    """
    return _quantile(posterior(right, wrong), 0.5)


def pooled_intervals(
    right: Sequence[int], wrong: Sequence[int], level: float = 0.95
) -> tuple[tuple[float, float], ...]:
    """Equal-tailed credible interval of each step's value, for a `level` in (0, 1)."""
    weights, tail = posterior(right, wrong), (1 - level) / 2
    return tuple(zip(_quantile(weights, tail), _quantile(weights, 1 - tail), strict=True))


def _quantile(weights: Floats, share: float) -> tuple[float, ...]:
    """The quantile at `share` of each row: the first value whose cumulative probability reaches it."""
    return tuple(GRID[(weights.cumsum(axis=1) >= share - 1e-12).argmax(axis=1)].tolist())
