"""What scores are worth when they decide what to accept: ROC, precision and recall, and risk against coverage.

Right ones should be accepted, wrong ones not; all that score at least a threshold are accepted. A true positive is a
right one that is accepted, a false positive a wrong one. Where a share falls between two thresholds, equal scores are
accepted at random, so curves join their points by straight lines of counts.

All numbers are per bootstrap draw, the data first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .arrays import Floats
from .bootstrap import Resampling, ratio

_MOST = 400
"""Thresholds; of more distinct scores, quantiles."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """How many are accepted at each threshold, from none to all, (draws + 1, thresholds + 1)."""

    right: Floats
    wrong: Floats

    @classmethod
    def of(cls, scores: Floats, is_right: Floats, drawn: Resampling) -> Accepted:
        """Of scored rows.

        Args:
            scores: (rows,), higher is better; -inf is allowed, nan is not.
            is_right: (rows,), 1 for right and 0 for wrong, or the chance to be right.
            drawn: the draws of these rows.
        """
        different = np.unique(scores)
        if len(different) > _MOST:
            different = np.unique(np.quantile(scores, np.linspace(0, 1, _MOST + 1), method="lower"))
        places = np.searchsorted(different, scores, side="right") - 1
        counts = (drawn.placed(kind, places, len(different)) for kind in (is_right, 1 - is_right))
        return cls(*(np.pad(np.cumsum(own[:, ::-1], axis=1), ((0, 0), (1, 0))) for own in counts))

    @property
    def all_right(self) -> Floats:
        """(draws + 1, 1)."""
        return self.right[:, -1:]

    @property
    def all_wrong(self) -> Floats:
        """(draws + 1, 1)."""
        return self.wrong[:, -1:]

    def recall_at(self, shares: Sequence[float]) -> Floats:
        """ROC: the share of the right ones accepted where these shares of the wrong ones are, (draws + 1, shares).

        Of several thresholds with the same share of wrong ones, the lowest; nan without right or without wrong ones.
        """
        wrong, right = (ratio(own, np.broadcast_to(own[:, -1:], own.shape)) for own in (self.wrong, self.right))
        return _read(shares, wrong, right)

    def precision_at(self, recalls: Sequence[float]) -> Floats:
        """Share of right ones among the accepted where these shares of the right ones are, (draws + 1, recalls).

        Of several thresholds with the same recall, the highest; nan without right or without wrong ones. Recalls are
        above 0.
        """
        right = np.asarray(recalls) * self.all_right
        accepted = _read(recalls, ratio(self.right, np.broadcast_to(self.all_right, self.right.shape)), self._all, -1)
        return np.where(self.all_wrong > 0, ratio(right, accepted), np.nan)

    def average_precision(self) -> Floats:
        """Area under precision and recall: the mean precision at each right one, (draws + 1,); nan as above.

        Precision is taken at each threshold, not interpolated (Davis and Goadrich 2006, The Relationship Between
        Precision-Recall and ROC Curves, section 4).
        """
        precision = ratio(self.right[:, 1:], self._all[:, 1:], 0.0)
        area = ratio((np.diff(self.right, axis=1) * precision).sum(axis=1), self.all_right[:, 0])
        return np.where(self.all_wrong[:, 0] > 0, area, np.nan)

    def risk_at(self, coverages: Sequence[float]) -> Floats:
        """Share of wrong ones among the accepted where these shares of all are accepted, (draws + 1, coverages).

        The risk of a scorer that abstains on the rest (El-Yaniv and Wiener 2010, On the Foundations of Noise-free
        Selective Classification, section 2). Coverages are above 0; nan in a draw without rows.
        """
        everything = self._all[:, -1:]
        wrong = _read(coverages, ratio(self._all, np.broadcast_to(everything, self._all.shape)), self.wrong)
        return ratio(wrong, np.asarray(coverages) * everything)

    @property
    def _all(self) -> Floats:
        return self.right + self.wrong


def _read(at: Sequence[float], xs: Floats, ys: Floats, side: int = 1) -> Floats:
    """Each row's y where its x, which never falls, is at these points; of several such y the last, or first for -1."""
    read = np.full((len(xs), len(at)), np.nan)
    points = np.asarray(at, dtype=float)
    for i in np.flatnonzero(np.isfinite(xs[:, -1]) & np.isfinite(ys[:, -1])):
        read[i] = np.interp(side * points, side * xs[i, ::side], ys[i, ::side])
    return read
