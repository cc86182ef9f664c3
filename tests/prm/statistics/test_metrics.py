"""Metrics, checked by hand and by brute force."""

import math
import random

import pytest

from prm.statistics.metrics import auroc, grouped_auroc


def brute_force(scores, labels):
    pairs = [(p, n) for p, is_p in zip(scores, labels, strict=True) if is_p
             for n, is_n in zip(scores, labels, strict=True) if not is_n]  # fmt: skip
    return sum((p > n) + (p == n) / 2 for p, n in pairs) / len(pairs) if pairs else None


@pytest.mark.parametrize("seed", range(20))
def test_auroc_is_the_share_of_pairs(seed):
    rng = random.Random(seed)
    scores = [rng.randint(0, 5) / 5 for _ in range(30)]  # many ties
    labels = [rng.random() < 0.3 for _ in scores]
    expected = brute_force(scores, labels)
    assert auroc(scores, labels) == (None if expected is None else pytest.approx(expected))


def test_auroc_in_edge_cases():
    assert auroc([1, 2, 3], [False, True, True]) == 1.0
    assert auroc([3, 1, 2], [False, True, True]) == 0.0
    assert auroc([1, 1, 1], [False, True, True]) == 0.5
    assert auroc([-math.inf, 0.0], [False, True]) == 1.0
    assert auroc([1, 2], [True, True]) is None
    assert auroc([], []) is None


def test_grouped_auroc_compares_only_within_groups():
    # a: one pair, won; b: two pairs, both lost; c: no pair. Without groups the result would differ.
    rows = [("a", 0.2, True), ("a", 0.1, False), ("b", 0.7, True), ("b", 0.8, False), ("b", 0.9, False), ("c", 0, True)]
    assert grouped_auroc(rows) == pytest.approx(1 / 3)
    assert grouped_auroc(reversed(rows)) == pytest.approx(1 / 3)
    assert grouped_auroc([("a", 1, True), ("b", 0, False)]) is None
