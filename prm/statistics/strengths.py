"""One value an item from comparisons of two: which chain is the better one, said pair by pair, becomes a label of each.

A value is the maximum of the likelihood of all outcomes together with a weak Gaussian prior around 0. The prior keeps
the value of an item that won or lost all its comparisons finite. Where the comparisons fall into parts with no path
between them, the mean of each part is 0, with any prior: nothing is known of one part against another. A tie is half a
win for each.
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

from prm.errors import InputError

Array = NDArray[np.float64]

Model = Literal["bradley-terry", "thurstone"]
"""Chance that one item beats another, by the difference of their values: its logistic function, so that values are in
log-odds; or the normal distribution's, so that values are in standard deviations of such a difference."""

PRIOR = 0.01
"""Precision of the prior on a value, one over its variance: a standard deviation of 10."""

_CLOSE = 1e-9
"""Values have settled when none of them moves by more than this, or this share of the largest."""
_ROUNDS = 100
"""Newton's method takes some ten; more are taken only where rounding keeps the last digits from settling."""


class Comparison(NamedTuple):
    """One outcome."""

    winner: str
    loser: str
    weight: float = 1.0
    """How often it was seen, above 0."""


def strengths(
    comparisons: Iterable[tuple[str, str, float]], model: Model = "bradley-terry", prior: float = PRIOR
) -> dict[str, float]:
    """Recover values from comparisons.

    `bradley-terry`: Bradley and Terry 1952, Rank Analysis of Incomplete Block Designs. `thurstone`: Thurstone 1927, A
    Law of Comparative Judgment, case V. Both likelihoods are concave; the maximum is found by Newton's method, each
    step by conjugate gradients, so that 100,000 items take seconds.

    Args:
        comparisons: (winner, loser, weight), in any order, also several of one pair; see `Comparison`. A tie is two,
            one each way, of half the weight.
        model: see `Model`.
        prior: precision of the Gaussian prior, from 0. At 0 the maximum exists only where, within each part, every
            item can be reached from every other by a path of wins.

    Returns:
        Id → value, sorted by id. The mean is 0 within each part that comparisons connect.

    Raises:
        InputError: there is no comparison, one is of an item with itself or has a weight that is not above 0, or there
            is no maximum without a prior.

    >>> found = strengths([("a", "b", 3.0), ("b", "a", 1.0)], prior=0)
    >>> round(found["a"] - found["b"], 4)  # log(3 / 1)
    1.0986
    """
    if model not in get_args(Model):
        raise InputError(f"there is no model {model!r}", f"choose from {', '.join(get_args(Model))}")
    if not (math.isfinite(prior) and prior >= 0):
        raise InputError(f"a prior of {prior} is no precision", "give a number from 0")
    ids, pairs = _gather(comparisons)
    parts = _parts(pairs, len(ids), prior)
    values = _maximum(pairs, len(ids), _MODELS[model], prior)
    means = np.bincount(parts, values) / np.bincount(parts)
    return dict(zip(ids, (values - means[parts]).tolist(), strict=True))


class _Pairs(NamedTuple):
    """Outcomes, one row for each winner and loser."""

    winners: NDArray[np.intp]
    losers: NDArray[np.intp]
    weights: Array


def _gather(comparisons: Iterable[tuple[str, str, float]]) -> tuple[list[str], _Pairs]:
    totals: dict[tuple[str, str], float] = {}
    for winner, loser, weight in comparisons:
        if winner == loser:
            raise InputError(f"{winner!r} is compared with itself", "leave that comparison out")
        if not (math.isfinite(weight) and weight > 0):
            raise InputError(f"{winner!r} against {loser!r} has the weight {weight}", "give a number above 0")
        totals[winner, loser] = totals.get((winner, loser), 0.0) + weight
    if not totals:
        raise InputError("there is no comparison", "give at least one")
    if not math.isfinite(sum(totals.values())):
        raise InputError("the weights of the comparisons are too large to be added up", "give smaller ones")
    ids = sorted({identity for pair in totals for identity in pair})
    places = {identity: place for place, identity in enumerate(ids)}
    rows = sorted((places[winner], places[loser], weight) for (winner, loser), weight in totals.items())
    winners, losers, weights = zip(*rows, strict=True)
    return ids, _Pairs(np.array(winners), np.array(losers), np.array(weights, dtype=float))


def _parts(pairs: _Pairs, count: int, prior: float) -> NDArray[np.intp]:
    """Number of the part that each item belongs to, after a look at whether there is a maximum (Ford 1957)."""
    graph = coo_array((pairs.weights, (pairs.winners, pairs.losers)), shape=(count, count)).tocsr()
    number, parts = connected_components(graph, directed=False)
    if prior == 0 and connected_components(graph, connection="strong", return_labels=False) != number:
        raise InputError(
            "there are items whose best value is infinite: some only won, or only lost, against the rest",
            "give a prior above 0",
        )
    return np.asarray(parts)


Chances = Callable[[Array], tuple[Array, Array, Array]]
"""From the winner's value less the loser's: the logarithm of the chance of that outcome, its slope, and how fast the
slope falls."""


def _bradley_terry(differences: Array) -> tuple[Array, Array, Array]:
    against = expit(-differences)
    return -np.logaddexp(0, -differences), against, against * (1 - against)


def _thurstone(differences: Array) -> tuple[Array, Array, Array]:
    logarithms = log_ndtr(differences)
    slopes = np.exp(-(differences**2) / 2 - math.log(2 * math.pi) / 2 - logarithms)
    return logarithms, slopes, np.maximum(slopes * (differences + slopes), 0)


_MODELS: Mapping[Model, Chances] = {"bradley-terry": _bradley_terry, "thurstone": _thurstone}


def _maximum(pairs: _Pairs, count: int, chances: Chances, prior: float) -> Array:
    """Values at the maximum, by Newton's method; a step that does not rise is halved."""

    def at(values: Array) -> tuple[float, Array, Array]:
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


def _sums(pairs: _Pairs, of_winners: Array, of_losers: Array, count: int) -> Array:
    """Of each item, over the rows in which it won and those in which it lost."""
    sums = np.bincount(pairs.winners, of_winners, count) + np.bincount(pairs.losers, of_losers, count)
    return np.asarray(sums, dtype=float)


def _newton_step(pairs: _Pairs, curvatures: Array, gradient: Array, prior: float) -> Array:
    """Solve (graph Laplacian of the curvatures + prior) · step = gradient."""
    count = len(gradient)
    diagonal = _sums(pairs, curvatures, curvatures, count) + prior
    beside = coo_array((curvatures, (pairs.winners, pairs.losers)), shape=(count, count)).tocsr()
    matrix = diags_array(diagonal).tocsr() - beside - beside.T
    step, _ = cg(matrix, gradient, rtol=1e-4, M=diags_array(1 / diagonal))
    return np.asarray(step)
