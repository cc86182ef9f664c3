"""One value per item from pairwise comparisons: judgments of which of two chains is better become a label of each.

The values maximize the likelihood of all outcomes under a weak Gaussian prior around 0. The prior keeps the value of an
item that won or lost all its comparisons finite. If the comparisons fall into parts with no path between them, the mean
of each part is 0 under any prior: nothing compares one part with another. A tie is half a win for each side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import cg
from scipy.special import expit, log_ndtr

from prm.errors import InputError, require_known

from .arrays import Floats

ComparisonModel = Literal["bradley-terry", "thurstone"]
"""Probability that one item beats another, as a function of the difference of their values: the logistic function, with
values in log-odds; or the normal distribution function, with values in standard deviations of such a difference."""

PRIOR = 0.01
"""Precision (inverse variance) of the prior on a value: a standard deviation of 10."""

_CLOSE = 1e-9
"""Values have converged once none moves by more than this, or by this share of the largest."""
_ROUNDS = 100
"""Most Newton steps. About ten suffice, unless rounding keeps the last digits from converging."""


class PairOutcome(NamedTuple):
    """One outcome of a comparison."""

    winner: str
    loser: str
    weight: float = 1.0
    """How often it was observed, above 0."""


def strengths(
    comparisons: Iterable[tuple[str, str, float]], model: ComparisonModel = "bradley-terry", prior: float = PRIOR
) -> dict[str, float]:
    """Estimate values from comparisons.

    `bradley-terry`: Bradley and Terry 1952, Rank Analysis of Incomplete Block Designs. `thurstone`: Thurstone 1927, A
    Law of Comparative Judgment, case V. Both likelihoods are concave; the maximum is found by Newton's method, each
    step by conjugate gradients, so that 100,000 items take seconds.

    Args:
        comparisons: (winner, loser, weight), in any order; a pair may occur several times; see `PairOutcome`. A tie is
            two comparisons, one each way, with half the weight.
        model: see `ComparisonModel`.
        prior: precision of the Gaussian prior, from 0. With 0, there is a maximum only if, within each part, a path of
            wins leads from every item to every other.

    Returns:
        Id → value, sorted by id. The mean is 0 within each part that comparisons connect.

    Raises:
        InputError: there are no comparisons, an item is compared with itself, a weight is not above 0, or there is no
            maximum without a prior.

    >>> found = strengths([("a", "b", 3.0), ("b", "a", 1.0)], prior=0)
    >>> round(found["a"] - found["b"], 4)  # log(3 / 1)
    1.0986
    """
    require_known("model", model, get_args(ComparisonModel))
    if not (math.isfinite(prior) and prior >= 0):
        raise InputError(f"prior is {prior}, not a precision", "give a number from 0")
    ids, pairs = _gather(comparisons)
    parts = _parts(pairs, len(ids), prior)
    values = _maximum(pairs, len(ids), _MODELS[model], prior)
    means = np.bincount(parts, values) / np.bincount(parts)
    return dict(zip(ids, (values - means[parts]).tolist(), strict=True))


class _Pairs(NamedTuple):
    """Outcomes, one row per (winner, loser)."""

    winners: NDArray[np.intp]
    losers: NDArray[np.intp]
    weights: Floats


def _gather(comparisons: Iterable[tuple[str, str, float]]) -> tuple[list[str], _Pairs]:
    totals: dict[tuple[str, str], float] = {}
    for winner, loser, weight in comparisons:
        if winner == loser:
            raise InputError(f"{winner!r} is compared with itself", "omit that comparison")
        if not (math.isfinite(weight) and weight > 0):
            raise InputError(f"{winner!r} against {loser!r} has the weight {weight}", "give a number above 0")
        totals[winner, loser] = totals.get((winner, loser), 0.0) + weight
    if not totals:
        raise InputError("there are no comparisons", "give at least one")
    if not math.isfinite(sum(totals.values())):
        raise InputError("the weights of the comparisons are too large to sum", "give smaller ones")
    ids = sorted({identity for pair in totals for identity in pair})
    places = {identity: place for place, identity in enumerate(ids)}
    rows = sorted((places[winner], places[loser], weight) for (winner, loser), weight in totals.items())
    winners, losers, weights = zip(*rows, strict=True)
    return ids, _Pairs(np.array(winners), np.array(losers), np.array(weights, dtype=float))


def _parts(pairs: _Pairs, count: int, prior: float) -> NDArray[np.intp]:
    """Number of each item's part; raises if there is no maximum (Ford 1957)."""
    graph = coo_array((pairs.weights, (pairs.winners, pairs.losers)), shape=(count, count)).tocsr()
    number, parts = connected_components(graph, directed=False)
    if prior == 0 and connected_components(graph, connection="strong", return_labels=False) != number:
        raise InputError(
            "some items would get an infinite value: they only won, or only lost, against the rest",
            "give a prior above 0",
        )
    return np.asarray(parts)


Chances = Callable[[Floats], tuple[Floats, Floats, Floats]]
"""Value of the winner minus the loser's → log-probability of that outcome, its first derivative, and the negative of
its second."""


def _bradley_terry(differences: Floats) -> tuple[Floats, Floats, Floats]:
    against = expit(-differences)
    return -np.logaddexp(0, -differences), against, against * (1 - against)


def _thurstone(differences: Floats) -> tuple[Floats, Floats, Floats]:
    logarithms = log_ndtr(differences)
    slopes = np.exp(-(differences**2) / 2 - math.log(2 * math.pi) / 2 - logarithms)
    return logarithms, slopes, np.maximum(slopes * (differences + slopes), 0)


_MODELS: Mapping[ComparisonModel, Chances] = {"bradley-terry": _bradley_terry, "thurstone": _thurstone}


def _maximum(pairs: _Pairs, count: int, chances: Chances, prior: float) -> Floats:
    """Values at the maximum, by Newton's method; a step that would descend is halved."""

    def at(values: Floats) -> tuple[float, Floats, Floats]:
        logarithms, slopes, curvatures = chances(values[pairs.winners] - values[pairs.losers])
        height = float(pairs.weights @ logarithms - prior / 2 * (values @ values))
        return height, pairs.weights * slopes, pairs.weights * curvatures

    values = np.zeros(count)
    height, slopes, curvatures = at(values)
    for _ in range(_ROUNDS):
        gradient = _sums(pairs, slopes, -slopes, count) - prior * values
        step = _newton_step(pairs, curvatures, gradient, prior)
        while True:
            above, slopes, curvatures = at(values + step)
            if above >= height - 1e-12 * abs(height):
                break
            step = step / 2
        values, height = values + step, above
        if np.abs(step).max() < _CLOSE * max(1.0, np.abs(values).max()):
            break
    return values


def _sums(pairs: _Pairs, of_winners: Floats, of_losers: Floats, count: int) -> Floats:
    """Sum, for each item, over the rows that it won and those that it lost."""
    sums = np.bincount(pairs.winners, of_winners, count) + np.bincount(pairs.losers, of_losers, count)
    return np.asarray(sums, dtype=float)


def _newton_step(pairs: _Pairs, curvatures: Floats, gradient: Floats, prior: float) -> Floats:
    """Solve (graph Laplacian of the curvatures + prior) · step = gradient."""
    count = len(gradient)
    diagonal = _sums(pairs, curvatures, curvatures, count) + prior
    off_diagonal = coo_array((curvatures, (pairs.winners, pairs.losers)), shape=(count, count)).tocsr()
    matrix = diags_array(diagonal).tocsr() - off_diagonal - off_diagonal.T
    step, _ = cg(matrix, gradient, rtol=1e-4, M=diags_array(1 / diagonal))
    return np.asarray(step)
