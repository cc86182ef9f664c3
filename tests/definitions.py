"""Metrics by their definitions: every pair counted, every cell of a table added up. Slow, and short enough to check."""

import numpy as np


def auroc_of_pairs(labels, scores, weights=None):
    """The weight of (positive, negative) pairs in the right order; half of it for ties."""
    labels, scores = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=float)
    weights = np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=float)
    gaps = scores[labels][:, None] - scores[~labels][None, :]
    pairs = weights[labels][:, None] * weights[~labels][None, :]
    return float((pairs * ((gaps > 0) + 0.5 * (gaps == 0))).sum() / pairs.sum())


def f1s(labels, called, weights=None):
    """F1 of the positive and of the negative class; 0 where there is nothing to count."""
    labels, called = np.asarray(labels, dtype=bool), np.asarray(called, dtype=bool)
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights, dtype=float)

    def one(is_it, is_called):
        hits = weights[is_it & is_called].sum()
        either = weights[is_it].sum() + weights[is_called].sum()
        return float(2 * hits / either) if either else 0.0

    return one(labels, called), one(~labels, ~called)
