"""Intervals by resampling whole problems.

Every statistic is a function of how often each problem is drawn: from a matrix of counts with one row per draw it
computes one number per draw. The first row counts every problem once, so the first number is the value itself; the
interval comes from the others. Numbers of two scorers on the same rows are paired, so the difference is a subtraction.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from .arrays import Floats, Ints
from .intervals import credible_interval

_CELLS = 20_000_000
"""Numbers in memory at once, draws times rows, where draws need not be together."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95% percentile bootstrap interval; None where undefined."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Resampling:
    """Draws of a suite's problems, made separately in each part of it (stratum)."""

    weights: Floats
    """How often each problem is drawn, (draws + 1, problems). Row 0 is the data itself. Each problem's counts are
    contiguous in memory (column-major), which suits sums over many problems."""
    owners: Ints
    """The problem of each row of the suite."""

    @property
    def of_rows(self) -> Floats:
        """How often each row is drawn, (draws + 1, rows)."""
        weights: Floats = self.weights[:, self.owners]
        return weights

    def at(self, rows: Ints) -> Resampling:
        """The same draws for these rows; a row may be repeated, for instance once per step of a chain."""
        return Resampling(self.weights, self.owners[rows])

    def sums(self, values: Floats) -> Floats:
        """Sums of values (rows, columns) over the drawn rows: (draws + 1, columns)."""
        by_problem = [np.bincount(self.owners, column, minlength=self.weights.shape[1]) for column in values.T]
        sums: Floats = self.weights @ np.stack(by_problem, axis=1)
        return sums

    def binned(self, values: Floats, bins: Ints, count: int) -> Floats:
        """Sums over the drawn rows of each bin: (draws + 1, count)."""
        problems = self.weights.shape[1]
        by_problem = np.bincount(self.owners * count + bins, values, minlength=problems * count)
        sums: Floats = self.weights @ by_problem.reshape(problems, count)
        return sums

    def placed(self, values: Floats | None, places: Ints, count: int) -> Floats:
        """As `binned`, for so many places that most have few rows; None counts the rows."""
        own = np.ones(len(places)) if values is None else values
        by_problem = csr_matrix((own, (self.owners, places)), shape=(self.weights.shape[1], count))
        sums: Floats = self.weights @ by_problem
        return sums

    def means(self, values: Floats) -> Floats:
        """Means over the drawn rows, shaped as in `sums`; a column skips the rows where it is nan."""
        counted = ~np.isnan(values)
        return ratio(self.sums(np.where(counted, values, 0.0)), self.sums(counted.astype(float)))

    def auroc(self, scores: Floats, labels: NDArray[np.bool_], groups: Ints | None = None) -> Floats:
        """`prm.statistics.metrics.auroc` of each draw, (draws + 1,); nan where a draw lacks positives or negatives.

        Args:
            scores: one per row, higher for positives.
            labels: whether each row is positive.
            groups: compare only within these groups, each weighted by its number of pairs; None for a single group.
        """
        groups = np.zeros(len(scores), dtype=np.int64) if groups is None else groups
        wins, pairs = np.zeros((2, len(self.weights)))
        for group in np.unique(groups):
            own = np.flatnonzero(groups == group)
            won, all_pairs = self.at(own)._pairs_won(scores[own], labels[own])
            wins, pairs = wins + won, pairs + all_pairs
        return ratio(wins, pairs)

    def calibration_error(self, scores: Floats, labels: Floats, bins: int = 10) -> Floats:
        """`prm.statistics.metrics.expected_calibration_error` of each draw, (draws + 1,).

        Args:
            scores: one per row, in [0, 1].
            labels: one per row, in [0, 1].
            bins: of equal width.
        """
        places = np.searchsorted(np.arange(1, bins) / bins, scores, side="left")
        gaps = np.abs(self.binned(scores - labels, places, bins)).sum(axis=1)
        return ratio(gaps, self.sums(np.ones((len(scores), 1)))[:, 0])

    def _pairs_won(self, scores: Floats, labels: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """In each draw: the (positive, negative) pairs that the positive wins, ties as half, and the number of all."""
        most = max(_CELLS // max(len(scores), 1), 1)
        parts = [
            replace(self, weights=self.weights[first : first + most])._pairs_won_at_once(scores, labels)
            for first in range(0, len(self.weights), most)
        ]
        wins, pairs = zip(*parts, strict=True)
        return np.concatenate(wins), np.concatenate(pairs)

    def _pairs_won_at_once(self, scores: Floats, labels: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """The distinct scores of the rarer class are the places; the other class is counted at and between these."""
        few = labels if labels.sum() * 2 <= len(labels) else ~labels
        places = np.unique(scores[few])
        if not len(places):
            return np.zeros(len(self.weights)), np.zeros(len(self.weights))
        own = self.at(np.flatnonzero(few)).placed(None, np.searchsorted(places, scores[few]), len(places))
        between = np.searchsorted(places, scores[~few], side="left") + np.searchsorted(
            places, scores[~few], side="right"
        )
        others = self.at(np.flatnonzero(~few)).placed(None, between, 2 * len(places) + 1)
        below = np.cumsum(others, axis=1)[:, :-1:2]  # strictly below each place
        wins = (own * (below + others[:, 1::2] / 2)).sum(axis=1)
        pairs = own.sum(axis=1) * others.sum(axis=1)
        return (wins if few is labels else pairs - wins), pairs


def resample(owners: Sequence[Hashable], strata: Sequence[Hashable], draws: int = 1000, seed: int = 0) -> Resampling:
    """Resample the problems of each stratum with replacement, as many as it has (Efron 1979).

    Args:
        owners: the problem of each row.
        strata: the stratum of each row. A problem with rows in several strata counts as one problem in each.
        draws: the number of draws.
        seed: the same seed and rows give the same draws.
    """
    keys = list(zip(strata, owners, strict=True))
    numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    members: dict[Hashable, list[int]] = {}
    for (stratum, _), i in numbers.items():
        members.setdefault(stratum, []).append(i)
    weights, rng = np.ones((draws + 1, len(numbers)), order="F"), np.random.default_rng(seed)
    for own in members.values():
        weights[1:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), size=draws)
    return Resampling(weights, np.array([numbers[key] for key in keys], dtype=np.int64))


def ratio(above: Floats, below: Floats, otherwise: float = np.nan) -> Floats:
    """Elementwise above / below, or `otherwise` where `below` is not positive."""
    quotient: Floats = np.divide(above, below, out=np.full(np.shape(above), otherwise), where=below > 0)
    return quotient


def harmonic(a: Floats, b: Floats) -> Floats:
    """Harmonic mean; 0 where both are 0, nan where either is nan."""
    return np.where(np.isnan(a + b), np.nan, ratio(2 * a * b, a + b, 0.0))


def matthews(called: NDArray[np.bool_], actual: NDArray[np.bool_], weights: Floats) -> Floats:
    """Matthews correlation coefficient; 0 if all predictions are the same, nan if all labels are."""
    kinds = [(called & actual), (called & ~actual), (~called & actual), (~called & ~actual)]
    tp, fp, fn, tn = (weights @ kind.astype(float) for kind in kinds)
    below = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.where((tp + fn > 0) & (tn + fp > 0), ratio(tp * tn - fp * fn, below, 0.0), np.nan)


def estimate(drawn: Floats) -> Estimate:
    """Value and interval from draws + 1 numbers. Draws without a finite number are skipped.

    >>> estimate(np.array([0.5] + [0.25, 0.75] * 500))
    Estimate(value=0.5, low=0.25, high=0.75)
    """
    value, others = drawn[0], drawn[1:][np.isfinite(drawn[1:])]
    if not np.isfinite(value):
        return Estimate(None, None, None)
    if not len(others):
        return Estimate(float(value), None, None)
    low, high = np.percentile(others, [2.5, 97.5])
    return Estimate(float(value), float(low), float(high))


def estimate_share(drawn: Floats, count: int) -> Estimate:
    """The same of a share: if it is 0 in all draws, or 1 in all, with Jeffreys' interval of `count` independent rows.

    The draws alone cannot tell then how many rows it takes to be so sure.

    >>> low, high = estimate_share(np.zeros(1001), 8).low, estimate_share(np.zeros(1001), 8).high
    >>> low, round(high, 3)
    (0.0, 0.262)
    """
    found = estimate(drawn)
    if count and found.value in (0.0, 1.0) and found.low == found.high == found.value:
        low, high = credible_interval(*((count, 0) if found.value else (0, count)))
        return Estimate(found.value, low, high)
    return found
