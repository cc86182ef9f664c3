"""Intervals by resampling whole problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over problems with its 95% percentile bootstrap interval."""

    value: float
    low: float
    high: float


def bootstrap_mean(values: Sequence[float], draws: int = 1000, seed: int = 0) -> Estimate:
    """Mean of one value a problem, with its interval (Efron 1979; percentiles 2.5 and 97.5).

    The same seed and number of problems resamples the same problems, so that two selectors are resampled alike.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("no problem to average over")
    data = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    picks = rng.multinomial(len(data), np.full(len(data), 1 / len(data)), size=draws)
    low, high = np.percentile(picks @ data / len(data), [2.5, 97.5])
    return Estimate(float(data.mean()), float(low), float(high))
