"""Best of k and votes, checked against all subsets of size k."""

from itertools import combinations
from math import comb

import numpy as np
import pytest

from prm.statistics.order_statistics import best_of_k, place_weights, vote_of_k


def best(scores, gains, k):
    """Mean over all subsets of the gain of their best solution; tied solutions share."""
    means = []
    for subset in combinations(range(len(scores)), k):
        highest = max(scores[i] for i in subset)
        means.append(np.mean([gains[i] for i in subset if scores[i] == highest]))
    return np.mean(means)


def vote(weights, groups, gains, subset):
    """Gain of the answer with the largest total weight; tied answers share."""
    answered = [i for i in subset if groups[i] >= 0]
    if not answered:
        return np.mean([gain for gain, group in zip(gains, groups, strict=True) if group < 0])
    if all(weights[i] == 0 for i in answered):
        weights = np.ones(len(weights))
    totals = {group: sum(weights[i] for i in answered if groups[i] == group) for group in {groups[i] for i in answered}}
    winners = [group for group, total in totals.items() if abs(total - max(totals.values())) < 1e-9]
    own = [np.mean([gain for gain, group in zip(gains, groups, strict=True) if group == w]) for w in winners]
    return np.mean(own)


def votes(weights, groups, gains, k):
    return np.mean([vote(weights, groups, gains, subset) for subset in combinations(range(len(weights)), k)])


def answers(rng, n, kinds=3):
    """Groups, some solutions without an answer, and gains that are equal within a group."""
    groups = rng.integers(-1, kinds, n)
    return groups, (groups == rng.integers(0, kinds)).astype(float)


@pytest.mark.parametrize(("n", "ks"), [(1, [1]), (7, range(1, 8)), (256, [1, 2, 17, 128, 255, 256])])
def test_place_weights_are_ratios_of_binomials(n, ks):
    expected = [[comb(i - 1, k - 1) / comb(n, k) for k in ks] for i in range(1, n + 1)]
    assert place_weights(n, list(ks)) == pytest.approx(np.array(expected), rel=1e-10)
    assert place_weights(n, list(ks)).sum(axis=0) == pytest.approx(1)


def test_best_of_k_by_hand():
    """Scores 0.1, 0.5, 0.9, of which the first and the last are right.

    k = 1: 2/3. k = 2: the best of (0.1, 0.5), (0.1, 0.9), (0.5, 0.9) are wrong, right, right: 2/3. k = 3: right.
    """
    found = best_of_k(np.array([[0.1, 0.5, 0.9]]), np.array([[1.0, 0.0, 1.0]]), [1, 2, 3])
    assert found[0] == pytest.approx([2 / 3, 2 / 3, 1])


def test_ties_share_by_hand():
    """Scores 0.5, 0.5, 0.1 with one of the tied two right: for k = 2, all three subsets give 1/2."""
    found = best_of_k(np.array([[0.5, 0.5, 0.1]]), np.array([[1.0, 0.0, 0.0]]), [1, 2, 3])
    assert found[0] == pytest.approx([1 / 3, 1 / 2, 1 / 2])


@pytest.mark.parametrize("seed", range(8))
def test_best_of_k_is_the_mean_over_all_subsets(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    scores = rng.integers(0, 4, (6, n)) / 4  # many ties
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    gains = rng.normal(size=(6, n)) if seed % 2 else rng.integers(0, 2, (6, n)).astype(float)
    ks = list(range(1, n + 1))
    found = best_of_k(scores, gains, ks)
    for row in range(6):
        assert found[row] == pytest.approx([best(scores[row], gains[row], k) for k in ks])


@pytest.mark.parametrize("n", [1, 5, 16, 100])
def test_an_oracle_gives_pass_at_k(n):
    """1 - C(n - c, k) / C(n, k) for c right solutions (Chen et al. 2021, arXiv 2107.03374, section 2.1)."""
    right = np.tril(np.ones((n + 1, n)), -1)  # 0 to n right ones
    ks = sorted({1, 2, n // 2, n} & set(range(1, n + 1)))
    expected = [[1 - comb(n - c, k) / comb(n, k) for k in ks] for c in range(n + 1)]
    assert best_of_k(right, right, ks) == pytest.approx(np.array(expected), abs=1e-12)


def test_increasing_functions_of_the_scores_change_nothing():
    rng = np.random.default_rng(0)
    scores, gains = rng.integers(-8, 8, (20, 12)) / 8, rng.integers(0, 2, (20, 12)).astype(float)
    ks = [1, 2, 5, 12]
    for other in (scores + 3, scores * 7, np.exp(scores)):
        assert np.array_equal(best_of_k(other, gains, ks), best_of_k(scores, gains, ks))


def test_the_order_of_solutions_changes_nothing():
    rng = np.random.default_rng(1)
    scores, gains = rng.integers(0, 5, (20, 12)) / 5, rng.integers(0, 2, (20, 12)).astype(float)
    order = rng.permutation(12)
    assert best_of_k(scores[:, order], gains[:, order], [1, 3, 12]) == pytest.approx(
        best_of_k(scores, gains, [1, 3, 12])
    )


def test_equal_scores_give_a_random_choice():
    gains = np.array([[1.0, 0.0, 0.0, 1.0, 1.0]])
    assert best_of_k(np.zeros((1, 5)), gains, [1, 2, 5]) == pytest.approx(0.6)
    assert best_of_k(np.full((1, 5), -np.inf), gains, [1, 2, 5]) == pytest.approx(0.6)


def test_votes_by_hand():
    """Answers a, b, b with weights 0.9, 0.5, 0.3; only a is right.

    k = 1: 1/3. k = 3: 0.9 against 0.8, right. Without weights b has two of three votes: wrong. k = 2: of (a, b) twice
    and (b, b), a wins by weight in the first two, 2/3; without weights it shares them, 1/3.
    """
    groups, gains, ks = np.array([[0, 1, 1]]), np.array([[1.0, 0.0, 0.0]]), [1, 2, 3]
    found = vote_of_k(np.array([[0.9, 0.5, 0.3]]), groups, gains, ks, orders=4000)[0]
    assert found == pytest.approx([1 / 3, 2 / 3, 1], abs=0.03)
    plain = vote_of_k(np.ones((1, 3)), groups, gains, ks, orders=4000)[0]
    assert plain == pytest.approx([1 / 3, 1 / 3, 0], abs=0.03)


@pytest.mark.parametrize("seed", range(4))
def test_votes_are_the_mean_over_all_subsets(seed):
    """With 3,000 orders, four standard errors of a mean in [0, 1] are at most 4 · 0.5 / sqrt(3000) = 0.037."""
    rng = np.random.default_rng(seed)
    groups, gains = map(np.array, zip(*(answers(rng, 7) for _ in range(5)), strict=True))
    weights = rng.integers(0, 4, groups.shape) / 4 if seed % 2 else np.ones(groups.shape)  # totals are often equal
    found = vote_of_k(weights, groups, gains, range(1, 8), orders=3000)
    expected = [[votes(w, g, r, k) for k in range(1, 8)] for w, g, r in zip(weights, groups, gains, strict=True)]
    assert found == pytest.approx(np.array(expected), abs=0.037)
    assert found[:, [0, 6]] == pytest.approx(np.array(expected)[:, [0, 6]])


@pytest.mark.parametrize("n", [1, 2, 9])
def test_all_votes_are_counted_exactly(n):
    """For k = n, with more problems than are counted in one batch."""
    rng = np.random.default_rng(n)
    groups, gains = map(np.array, zip(*(answers(rng, n, kinds=5) for _ in range(600)), strict=True))
    weights = rng.integers(0, 3, groups.shape) / 10  # 0.1 + 0.2 and 0.3 are a tie
    found = vote_of_k(weights, groups, gains, [n], orders=1)[:, 0]
    expected = [vote(w, g, r, range(n)) for w, g, r in zip(weights, groups, gains, strict=True)]
    assert found == pytest.approx(np.array(expected))


def test_totals_that_differ_only_by_rounding_are_a_tie():
    weights, groups = np.array([[0.1, 0.2, 0.3]]), np.array([[0, 0, 1]])
    assert 0.1 + 0.2 != 0.3
    assert vote_of_k(weights, groups, np.array([[1.0, 1.0, 0.0]]), [3])[0] == 0.5


@pytest.mark.parametrize(
    ("weights", "groups", "gains", "expected"),
    [
        ([9.0, 0.1], [-1, 0], [0.0, 1.0], 1.0),  # no answer has no vote
        ([9.0, 0.0], [-1, 0], [0.0, 1.0], 1.0),  # and even an answer without weight beats it
        ([9.0, 1.0], [-1, -1], [0.0, 1.0], 0.5),  # without any answer, the choice is random
        ([0.0, 0.0, 0.0], [0, 1, 1], [1.0, 0.0, 0.0], 0.0),  # without any weight, all count the same
        ([0.0, 0.0, 0.1], [0, 0, 1], [1.0, 1.0, 0.0], 0.0),
        ([1e-200, 0.0, 0.0], [0, 1, 1], [1.0, 0.0, 0.0], 1.0),  # however small
        ([1.0, 1.0], [0, 1], [1.0, 0.0], 0.5),
    ],
)
def test_votes_in_edge_cases(weights, groups, gains, expected):
    found = vote_of_k(np.array([weights]), np.array([groups]), np.array([gains]), [len(weights)])
    assert found.tolist() == [[expected]]


def test_votes_are_reproducible_by_seed():
    rng = np.random.default_rng(3)
    groups, gains = map(np.array, zip(*(answers(rng, 9) for _ in range(30)), strict=True))
    one, two, three = (vote_of_k(np.ones(groups.shape), groups, gains, [4], seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, three)


def test_the_order_of_problems_and_solutions_changes_no_exact_vote():
    rng = np.random.default_rng(4)
    groups, gains = map(np.array, zip(*(answers(rng, 9) for _ in range(300)), strict=True))
    weights, rows, columns = rng.random(groups.shape), rng.permutation(300), rng.permutation(9)
    one = vote_of_k(weights, groups, gains, [1, 9])
    two = vote_of_k(*(part[rows][:, columns] for part in (weights, groups, gains)), [1, 9])
    assert two == pytest.approx(one[rows])
