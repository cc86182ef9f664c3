"""How far the length of a solution alone tells which of two is preferred."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from .collation import pairs
from .examples import GroupExample

PRECISION = 0.01
"""Of the Gaussian prior on the coefficient, in pairs: keeps it finite where the longer solution always wins."""


def length_coefficient(groups: Sequence[GroupExample]) -> float:
    """Log-odds of being the better one, per unit of the logarithm of the ratio of the two solutions' lengths in tokens.

    The most probable coefficient of a logistic regression without intercept on all pairs of the groups, each group of
    equal weight; above 0 if the longer solution tends to be better.
    """
    table = {name: column.double().numpy() for name, column in pairs(groups).items()}
    lengths = np.log(table["lengths"])
    ratios = lengths[table["chosen"].astype(int)] - lengths[table["rejected"].astype(int)]

    def slope(coefficient: float) -> float:
        errors = expit(coefficient * ratios) - table["pair_targets"]
        return float((table["pair_weights"] * ratios * errors).sum() + PRECISION * coefficient)

    bound = 1 + float((table["pair_weights"] * abs(ratios)).sum()) / PRECISION
    return float(brentq(slope, -bound, bound))
