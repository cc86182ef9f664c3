"""Metrics of scores against labels, on plain numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np


def auroc(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """Chance that a positive scores higher than a negative, ties counted half; None without both kinds.

    >>> auroc([0.9, 0.3, 0.3], [True, True, False])
    0.75
    """
    values, is_positive = np.asarray(scores, dtype=float), np.asarray(labels, dtype=bool)
    positives, negatives = int(is_positive.sum()), int((~is_positive).sum())
    if not positives or not negatives:
        return None
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[is_positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def grouped_auroc(groups: Iterable[tuple[object, float, bool]]) -> float | None:
    """AUROC that compares only within groups, such as steps of the same position or chains of the same problem.

    Each group counts by the number of its (positive, negative) pairs, so it is the chance over all such pairs.
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
