"""Best of k from N scored solutions, computed exactly: no subsets are sampled, so there is no sampling noise.

Sort the N solutions of a problem by ascending score: the i-th (from 1) is the best of k drawn without replacement with
probability C(i-1, k-1) / C(N, k); solutions with equal scores share theirs. A vote has no closed form: it is exact for
k = 1 and k = N, and otherwise averaged over a few random orders of the solutions, each k voting with the first k.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, Ints

_SAME = 1e-12
"""Relative difference below which totals are a tie: their weights were summed in different orders."""
_AT_ONCE = 256
"""Problems whose votes are counted in one batch."""


def place_weights(n: int, ks: Sequence[int]) -> Floats:
    """Probability that the i-th of `n` in ascending order is the best of k: (n, len(ks)).

    >>> place_weights(4, [2])[:, 0] * 6  # of the 6 pairs
    array([0., 1., 2., 3.])
    """
    weights = np.zeros((n, len(ks)))
    for column, k in enumerate(ks):
        weights[n - 1, column] = k / n
        for i in range(n - 1, k - 1, -1):
            weights[i - 1, column] = weights[i, column] * (i + 1 - k) / i
    return weights


def best_of_k(scores: Floats, gains: Floats, ks: Sequence[int]) -> Floats:
    """Expected gain of the solution with the highest score among k.

    Args:
        scores: (problems, n), higher is better; -inf is allowed, nan is not.
        gains: (problems, n), for instance 1 for a right solution and 0 for a wrong one.
        ks: each from 1 to n.

    Returns:
        (problems, len(ks)).

    >>> best_of_k(np.array([[0.1, 0.9, 0.9]]), np.array([[1.0, 0.0, 1.0]]), [1, 3])  # half of the tie is right
    array([[0.66666667, 0.5       ]])
    """
    order = np.argsort(scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    expected: Floats = _shared(ranked, np.take_along_axis(gains, order, axis=1)) @ place_weights(scores.shape[1], ks)
    return expected


def first_of_k(scores: Floats, gains: Floats, ks: Sequence[int]) -> Floats:
    """Gain of the solution with the highest score among the first k, the first of equals; as `best_of_k`.

    >>> first_of_k(np.array([[0.1, 0.9, 0.9]]), np.array([[1.0, 0.0, 1.0]]), [1, 3])
    array([[1., 0.]])
    """
    places = np.stack([np.argmax(scores[:, :k], axis=1) for k in ks], axis=1)
    chosen: Floats = np.take_along_axis(gains, places, axis=1)
    return chosen


def first_vote_of_k(weights: Floats, groups: Ints, gains: Floats, ks: Sequence[int]) -> Floats:
    """Gain of the first solution that gives the answer with the largest total weight among the first k.

    Args:
        weights: (problems, n), of any sign.
        groups: (problems, n), as in `vote_of_k`; solutions without an answer, -1, vote for having none.
        gains: (problems, n).
        ks: each from 1 to n.

    Returns:
        (problems, len(ks)). Of answers with equal totals, the one that is given first wins.

    >>> first_vote_of_k(np.ones((1, 3)), np.array([[1, 0, 0]]), np.array([[1.0, 0.0, 0.0]]), [2, 3])
    array([[1., 0.]])
    """
    width = int(groups.max(initial=-1)) + 2
    keys = groups + 1 + np.arange(len(groups))[:, None] * width
    totals = [
        np.bincount(keys[:, :k].ravel(), weights[:, :k].ravel(), minlength=len(groups) * width)[keys[:, :k]] for k in ks
    ]
    places = np.stack([np.argmax(own, axis=1) for own in totals], axis=1)
    chosen: Floats = np.take_along_axis(gains, places, axis=1)
    return chosen


def kl_of_best(ks: Sequence[int]) -> Floats:
    """KL divergence of best of k from the policy, ``log k - (k - 1)/k`` nats; one per k, from 1.

    Source: Scaling Laws for Reward Model Overoptimization, arXiv 2210.10760, section 2.
    """
    sizes = np.array(ks)
    kl: Floats = np.log(sizes) - (sizes - 1) / sizes
    return kl


def fit_best_of_n(kl: Floats, gold: Floats) -> tuple[Floats, Floats]:
    """Alpha and beta of ``gain = d·(alpha - beta·d)`` with ``d = sqrt(KL)``, by least squares.

    Source: Scaling Laws for Reward Model Overoptimization, arXiv 2210.10760, section 3.1.

    Args:
        kl: (points,), ascending from 0; at least three.
        gold: (draws, points), the gold score at each; its gain is counted from the first.

    Returns:
        Two numbers for each draw, (draws,) each.

    >>> kl = np.array([0.0, 1.0, 4.0])
    >>> [one.round(6).tolist() for one in fit_best_of_n(kl, np.array([[0.5, 1.5, 1.5]]))]  # 1 at d = 1, 1 at d = 2
    [[1.5], [0.5]]
    """
    d = np.sqrt(kl[1:])
    fit = (gold[:, 1:] - gold[:, :1]) @ np.linalg.pinv(np.stack([d, -(d**2)], axis=1)).T
    return fit[:, 0], fit[:, 1]


def runs_of(ranked: Floats) -> tuple[NDArray[np.bool_], Ints]:
    """Whether each value begins a run of equal values, (rows, n), and the number of each value's run, row by row."""
    begins = np.ones(ranked.shape, dtype=bool)
    begins[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    return begins, np.cumsum(begins) - 1


def _shared(ranked: Floats, gains: Floats) -> Floats:
    """Replace each gain by the mean gain of its run of equal scores."""
    _, runs = runs_of(ranked)
    means: Floats = (np.bincount(runs, gains.ravel()) / np.bincount(runs))[runs].reshape(ranked.shape)
    return means


def vote_of_k(
    weights: Floats, groups: Ints, gains: Floats, ks: Sequence[int], *, orders: int = 8, seed: int = 0
) -> Floats:
    """Expected gain of the answer with the largest total weight among k solutions.

    Args:
        weights: (problems, n), not negative. If all of the k are 0, each counts as one.
        groups: (problems, n), from `prm.scoring.reranking.group_answers`: equal for equal answers. -1 for no answer:
            such a solution has no vote, and its gain counts only if none of the k has an answer.
        gains: (problems, n); the gain of an answer is the mean over all solutions that give it.
        ks: each from 1 to n.
        orders: number of random orders to average over for k between 1 and n. Answers with equal totals share the win.
        seed: seed of these orders.

    Returns:
        (problems, len(ks)).
    """
    out = np.empty((len(weights), len(ks)))
    by_answers = np.argsort(
        groups.max(axis=1, initial=0), kind="stable"
    )  # batch problems with the same number of answers
    for start in range(0, len(weights), _AT_ONCE):
        rows = by_answers[start : start + _AT_ONCE]
        rng = np.random.default_rng([seed, start])
        out[rows] = _votes(weights[rows], groups[rows], gains[rows], ks, orders, rng)
    return out


def _votes(
    weights: Floats, groups: Ints, gains: Floats, ks: Sequence[int], orders: int, rng: np.random.Generator
) -> Floats:
    problems, n = weights.shape
    width = int(groups.max(initial=0)) + 2
    keys = groups + 1 + np.arange(problems)[:, None] * width  # place 0 of each problem stands for no answer
    gain_of = _means(keys, gains, problems * width)
    out = np.zeros((problems, len(ks)))
    for done in range(0, orders, copies := max(1, _AT_ONCE // problems)):  # several orders at once if problems are few
        count = min(copies, orders - done)
        order = np.argsort(rng.random((count * problems, n)), axis=1)
        places = np.repeat(np.arange(count), problems)[:, None] * (problems * width)
        ordered_keys = np.take_along_axis(np.tile(keys, (count, 1)) + places, order, 1)
        ordered_weights = np.take_along_axis(np.tile(weights, (count, 1)), order, 1)
        for column, k in enumerate(ks):
            if 1 < k < n:
                won = _winners(ordered_keys[:, :k], ordered_weights[:, :k], np.tile(gain_of, count), width)
                out[:, column] += won.reshape(count, problems).sum(axis=0) / orders
    out[:, [k == n for k in ks]] = _winners(keys, weights, gain_of, width)[:, None]
    out[:, [k == 1 for k in ks]] = gains.mean(axis=1)[:, None]
    return out


def _means(keys: Ints, values: Floats, size: int) -> Floats:
    counts = np.bincount(keys.ravel(), minlength=size)
    means: Floats = np.bincount(keys.ravel(), values.ravel(), minlength=size) / np.maximum(counts, 1)
    return means


def _winners(keys: Ints, weights: Floats, gain_of: Floats, width: int) -> Floats:
    """Gain of each problem's winning answer."""
    flat = keys.ravel()
    # An answer whose weights are all 0 still beats no answer, which wins only if no solution has an answer.
    totals = np.bincount(flat, weights.ravel() + 1e-300, minlength=len(gain_of)).reshape(-1, width)
    totals[:, 0] = np.where(totals[:, 1:].any(axis=1), 0.0, totals[:, 0])
    wins = totals >= totals.max(axis=1, keepdims=True) * (1 - _SAME)
    gains: Floats = (wins * gain_of.reshape(-1, width)).sum(axis=1) / wins.sum(axis=1)
    return gains
