"""Metrics of scores against labels, on plain numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .arrays import average_ranks

_NEVER_SURE = 2.0**-24
"""Probabilities are clipped to this distance from 0 and 1 before a logarithm: the precision of 32-bit floats near 1."""


def auroc(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """Probability that a positive scores above a negative, ties as half; None without positives or without negatives.

    >>> auroc([0.9, 0.3, 0.3], [True, True, False])
    0.75
    """
    values, is_positive = np.asarray(scores, dtype=float), np.asarray(labels, dtype=bool)
    positives, negatives = int(is_positive.sum()), int((~is_positive).sum())
    if not positives or not negatives:
        return None
    ranks = average_ranks(values)
    return float((ranks[is_positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def grouped_auroc(groups: Iterable[tuple[object, float, bool]]) -> float | None:
    """AUROC that compares only within groups, such as steps of the same position or chains of the same problem.

    Each group is weighted by its number of (positive, negative) pairs, so the result is the probability over all these
    pairs. None without any.
    """
    members: defaultdict[object, tuple[list[float], list[bool]]] = defaultdict(lambda: ([], []))
    for group, score, label in groups:
        members[group][0].append(score)
        members[group][1].append(label)
    total, pairs = 0.0, 0
    for scores, labels in members.values():
        weight = sum(labels) * (len(labels) - sum(labels))
        if weight:
            total += weight * (auroc(scores, labels) or 0.0)
            pairs += weight
    return total / pairs if pairs else None


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The scores in an interval of [0, 1], and how many of them were right."""

    low: float
    """Exclusive lower bound; the first bin includes 0."""
    high: float
    """Inclusive upper bound."""
    count: float
    """Number of scores in the bin, or the sum of their weights."""
    mean_score: float | None
    """None in an empty bin."""
    share_right: float | None
    """Mean label, in [0, 1]; None in an empty bin."""


def reliability(
    scores: Sequence[float], labels: Sequence[float], weights: Sequence[float] | None = None, bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Bins of equal width for a reliability diagram (Guo et al. 2017, arXiv 1706.04599, section 2).

    Args:
        scores: probabilities, in [0, 1].
        labels: true or false, or the share that is right, in [0, 1]; one per score.
        weights: how often each score counts; None for once.
        bins: number of bins, from 1. Empty ones are returned too.

    >>> lower, upper = reliability([0.25, 0.75, 1.0], [0, 1, 0], bins=2)
    >>> (upper.low, upper.high, upper.count, upper.mean_score, upper.share_right)
    (0.5, 1.0, 2.0, 0.875, 0.5)
    """
    values, is_right = np.asarray(scores, dtype=float), np.asarray(labels, dtype=float)
    counts = np.ones_like(values) if weights is None else np.asarray(weights, dtype=float)
    edges = np.arange(bins + 1) / bins
    places = np.maximum(np.searchsorted(edges, values, side="left") - 1, 0)
    totals, score_sums, right_sums = (
        np.bincount(places, counts * factor, minlength=bins).tolist() for factor in (1.0, values, is_right)
    )
    return tuple(
        ReliabilityBin(low, high, total, score / total if total else None, right / total if total else None)
        for low, high, total, score, right in zip(
            edges[:-1].tolist(), edges[1:].tolist(), totals, score_sums, right_sums, strict=True
        )
    )


def expected_calibration_error(scores: Sequence[float], labels: Sequence[float], bins: int = 10) -> float | None:
    """Mean gap between scores and the share that is right among similar scores; lower is better, in [0, 1].

    The mean over bins of equal width, weighted by their counts (Naeini, Cooper and Hauskrecht 2015, Obtaining Well
    Calibrated Probabilities Using Bayesian Binning; Guo et al. 2017, arXiv 1706.04599, section 2). None without
    scores. It depends on the number of bins, and noise keeps it above 0 where bins hold few scores.

    >>> expected_calibration_error([0.25, 0.75, 1.0, 1.0], [0, 1, 0, 1], bins=2)  # 1/4·|0.25 - 0| + 3/4·|2.75/3 - 2/3|
    0.25
    """
    rows = [row for row in reliability(scores, labels, bins=bins) if row.count]
    gaps = [row.count * abs((row.mean_score or 0.0) - (row.share_right or 0.0)) for row in rows]
    return sum(gaps) / len(scores) if rows else None


def brier_score(scores: Sequence[float], labels: Sequence[float]) -> float | None:
    """Mean squared distance of probabilities from labels in [0, 1]; lower is better, in [0, 1]. None without scores.

    Brier 1950, Verification of Forecasts Expressed in Terms of Probability, for two outcomes.

    >>> brier_score([0.5, 1.0], [0, 1])  # (0.25 + 0) / 2
    0.125
    """
    if not len(scores):
        return None
    return float(np.mean((np.asarray(scores, dtype=float) - np.asarray(labels, dtype=float)) ** 2))


def log_loss(scores: Sequence[float], labels: Sequence[float]) -> float | None:
    """Mean cross-entropy of probabilities with labels in [0, 1], in nats; lower is better. None without scores.

    Probabilities are clipped to 2^-24 from 0 and 1, so that one certain mistake costs 16.6 and not infinity.

    >>> log_loss([0.5, 0.5], [0, 1]) == float(np.log(2))
    True
    """
    if not len(scores):
        return None
    values = np.clip(np.asarray(scores, dtype=float), _NEVER_SURE, 1 - _NEVER_SURE)
    is_right = np.asarray(labels, dtype=float)
    return float(-np.mean(is_right * np.log(values) + (1 - is_right) * np.log1p(-values)))


def localization(found: Iterable[tuple[int | None, int | None]]) -> dict[str, float]:
    """How well the first error is located (ProcessBench, arXiv 2412.06559, section 3).

    Args:
        found: for each chain, the predicted and the true first wrong step; None for none.

    Returns:
        `first_error_accuracy` on chains with an error, which must be located exactly; `all_right_accuracy` on chains
        without; `f1`, their harmonic mean. Each is 0 if there is no such chain.

    >>> localization([(2, 2), (1, 3), (None, None)])["f1"] == 2 * 0.5 * 1 / (0.5 + 1)
    True
    """
    hits: dict[bool, list[bool]] = {True: [], False: []}
    for called, actual in found:
        hits[actual is not None].append(called == actual)
    wrong, clean = (sum(hits[kind]) / len(hits[kind]) if hits[kind] else 0.0 for kind in (True, False))
    f1 = 2 * wrong * clean / (wrong + clean) if wrong + clean else 0.0
    return {"first_error_accuracy": wrong, "all_right_accuracy": clean, "f1": f1}
