"""p-values of paired differences, and their correction, against values by hand and counts over all signs."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from prm.statistics.paired import bootstrap_p, holm, sign_flip_p


def over_all_signs(differences):
    """How often a sum with any signs is at least as far from 0."""
    observed = abs(sum(differences))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in signs_of(differences)]
    return sum(own >= observed - 1e-9 for own in sums) / len(sums)


def signs_of(differences):
    return list(itertools.product((1, -1), repeat=len(differences)))


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1, 1, 1, 1], 2 / 16),
        ([1, 1, 1, -1], 10 / 16),  # 4 heads, 3 heads, and their mirror images
        ([1, -1], 1.0),
        ([1, 0, 0], 1.0),  # one flip of one coin
        ([], 1.0),
        ([0, 0], 1.0),
        ([0.5, 1, 1], 2 / 8),
        ([3, -1], 1.0),  # |2| of 4, 2, -2, -4
        ([3, 1], 2 / 4),
    ],
)
def test_p_by_hand(differences, p):
    assert sign_flip_p(np.array(differences, dtype=float)) == pytest.approx(p)


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 1 / 3]), max_size=9))
def test_p_is_the_share_of_all_signs(differences):
    assert sign_flip_p(np.array(differences, dtype=float)) == pytest.approx(over_all_signs(differences))


@given(st.lists(st.floats(-1, 1), max_size=8), st.randoms(use_true_random=False))
def test_order_and_sign_do_not_matter(differences, random):
    p = sign_flip_p(np.array(differences, dtype=float))
    assert 0 < p <= 1
    assert sign_flip_p(-np.array(differences, dtype=float)) == pytest.approx(p)
    random.shuffle(differences)
    assert sign_flip_p(np.array(differences, dtype=float)) == pytest.approx(p)


def test_many_sizes_are_drawn_and_close_to_the_normal_law():
    rng = np.random.default_rng(0)
    differences = rng.uniform(-0.9, 1.0, 400)
    z = abs(differences.sum()) / np.sqrt((differences**2).sum())
    assert sign_flip_p(differences) == pytest.approx(2 * norm.sf(z), abs=0.006)
    assert sign_flip_p(np.abs(differences)) == pytest.approx(1 / 100_001)


def test_a_bootstrap_p_is_twice_the_far_tail():
    draws = np.array([0.5] * 19 + [-0.1])
    assert bootstrap_p(np.array([0.4, *draws])) == pytest.approx(2 * 2 / 21)
    assert bootstrap_p(np.array([-0.4, *-draws])) == pytest.approx(2 * 2 / 21)
    assert bootstrap_p(np.zeros(100)) == 1.0
    assert bootstrap_p(np.array([0.4, np.nan, 0.1])) == pytest.approx(1.0)
    assert bootstrap_p(np.array([np.nan, 0.1])) is None


@pytest.mark.parametrize(
    ("ps", "corrected"),
    [
        ([0.04], [0.04]),
        ([0.01, 0.02, 0.03], [0.03, 0.04, 0.04]),  # 3·0.01, 2·0.02, and not below the one before
        ([0.03, 0.01, 0.02], [0.04, 0.03, 0.04]),
        ([0.5, 0.6, 0.7], [1.0, 1.0, 1.0]),
        ([None, 0.02, 0.02], [None, 0.04, 0.04]),
        ([], []),
    ],
)
def test_holm_by_hand(ps, corrected):
    assert holm(ps) == [p if p is None else pytest.approx(p) for p in corrected]


@given(st.lists(st.floats(0.0001, 1), max_size=8))
def test_holm_lies_between_p_and_bonferroni(ps):
    for p, corrected in zip(ps, holm(ps), strict=True):
        assert p <= corrected <= min(1.0, p * len(ps)) + 1e-12
