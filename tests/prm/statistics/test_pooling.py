"""Values from the rollouts of all steps, checked against an explicit sum over all partitions of a chain."""

from itertools import pairwise, product

import numpy as np
import pytest

from prm.data.records import StepLabels
from prm.statistics.pooling import CHANGE, GRID, PRIOR, pooled_intervals, pooled_values, posterior


def by_partitions(right, wrong):
    """Barry and Hartigan 1993: each set of change points, weighted by its probability and its likelihood."""
    likelihood = np.array([[v**r * (1 - v) ** w for v in GRID] for r, w in zip(right, wrong, strict=True)])
    total = np.zeros_like(likelihood)
    for changes in product([False, True], repeat=len(right) - 1):
        weight = np.prod([CHANGE if change else 1 - CHANGE for change in changes])
        bounds = [0, *(i for i, change in enumerate(changes, start=1) if change), len(right)]
        shared = [PRIOR * likelihood[a:b].prod(axis=0) for a, b in pairwise(bounds)]
        weight *= np.prod([s.sum() for s in shared])
        for (a, b), s in zip(pairwise(bounds), shared, strict=True):
            total[a:b] += weight * s / s.sum()
    return total / total.sum(axis=1, keepdims=True)


COUNTS = [([3], [5]), ([4, 0], [0, 4]), ([0, 2, 0, 4], [0, 2, 6, 1]), ([8, 7, 5, 0, 0], [0, 1, 3, 8, 0])]


@pytest.mark.parametrize(("right", "wrong"), COUNTS)
def test_the_posterior_is_the_sum_over_all_partitions(right, wrong):
    np.testing.assert_allclose(posterior(right, wrong), by_partitions(right, wrong), atol=1e-12)


@pytest.mark.parametrize(("right", "wrong"), COUNTS)
def test_symmetry_in_time_and_in_right_and_wrong(right, wrong):
    there = posterior(right, wrong)
    np.testing.assert_allclose(posterior(right[::-1], wrong[::-1])[::-1], there, atol=1e-12)
    np.testing.assert_allclose(posterior(wrong, right)[:, ::-1], there, atol=1e-12)


def test_many_draws_outweigh_the_neighbors():
    assert pooled_values([0, 300, 0], [500, 700, 500]) == (0, pytest.approx(0.3, abs=0.02), 0)


def test_any_number_of_draws_works():
    assert pooled_values([0, 60_000, 3], [1, 60_000, 5])[1] == pytest.approx(0.5)


def test_neighbors_narrow_an_interval():
    (alone,), shared = pooled_intervals([2], [2]), pooled_intervals([2, 2, 2], [2, 2, 2])
    assert all(high - low < alone[1] - alone[0] for low, high in shared)
    assert all(low < value < high for (low, high), value in zip(shared, pooled_values([2] * 3, [2] * 3), strict=True))


def test_the_view_covers_only_steps_with_draws():
    drawn = ("drawn", "drawn", "none", "answer")
    labels = StepLabels("c", "p", (4, 0, 0, 0), (4, 0, 0, 0), (0, 2, 0, 0), drawn, "incorrect")
    assert labels.pooled == (pytest.approx(0.5, abs=0.02), None, None, 0.0)
    assert labels.view("pooled") == labels.pooled
    rated = StepLabels("c", "p", (1, 0), (0, 1), (0, 0), ("human", "human"), "no_answer")
    assert rated.pooled == rated.soft == (1.0, 0.0)
