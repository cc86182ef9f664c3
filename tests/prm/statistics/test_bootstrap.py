"""Resampling of problems, checked against rows that are really repeated and with weights against all pairs."""

import numpy as np
import pytest
from definitions import auroc_of_pairs

from prm.statistics import bootstrap
from prm.statistics.bootstrap import Estimate, estimate, harmonic, ratio, resample
from prm.statistics.metrics import auroc, grouped_auroc

DRAWS = 40


def clustered(seed, problems=12, strata=("a", "b")):
    """(problem, stratum) of rows in random order; each problem has one to four rows, all in one stratum."""
    rng = np.random.default_rng(seed)
    rows = [(f"p{i}", str(strata[i % len(strata)])) for i in range(problems) for _ in range(rng.integers(1, 5))]
    return [rows[i] for i in rng.permutation(len(rows))]


def drawn(rows, draws=DRAWS, seed=0):
    return resample([problem for problem, _ in rows], [stratum for _, stratum in rows], draws, seed)


def repeated(resampling, draw):
    """The rows of a draw, each repeated as often as it was drawn."""
    return np.repeat(np.arange(len(resampling.owners)), resampling.of_rows[draw].astype(int))


def test_the_first_draw_is_the_data():
    resampling = drawn(clustered(0))
    assert resampling.weights.shape == (DRAWS + 1, 12)
    assert (resampling.weights[0] == 1).all()
    assert not (resampling.weights[1:] == 1).all(axis=1).any()


@pytest.mark.parametrize("seed", range(3))
def test_each_stratum_keeps_its_number_of_problems(seed):
    rows = clustered(seed, problems=15, strata=("a", "b", "c"))
    resampling = drawn(rows)
    for stratum in "abc":
        problems = {problem: resampling.owners[i] for i, (problem, own) in enumerate(rows) if own == stratum}
        assert (resampling.weights[:, list(problems.values())].sum(axis=1) == len(problems)).all()


def test_the_rows_of_a_problem_are_drawn_together():
    rows = clustered(1)
    counts = drawn(rows).of_rows
    for problem in {problem for problem, _ in rows}:
        own = counts[:, [i for i, (name, _) in enumerate(rows) if name == problem]]
        assert (own == own[:, :1]).all()
        assert own[1:].max() > 1
        assert own[1:].min() == 0


def test_a_problem_in_two_strata_is_drawn_separately_in_each():
    resampling = drawn([("p", "a"), ("q", "a"), ("p", "b"), ("q", "b")])
    assert resampling.weights.shape[1] == 4
    counts = resampling.of_rows
    assert (counts[:, 0] + counts[:, 1] == 2).all()
    assert (counts[:, 2] + counts[:, 3] == 2).all()
    assert (counts[:, 0] != counts[:, 2]).any()


def test_a_stratum_of_one_problem_is_always_drawn():
    assert (drawn([("p", "a"), ("p", "a"), ("q", "b")]).of_rows == 1).all()


def test_problems_are_drawn_evenly():
    """Over 4,000 draws, each of 10 problems is drawn once on average, with a variance of 10 · 0.1 · 0.9 = 0.9."""
    counts = drawn([(f"p{i}", "a") for i in range(10)], draws=4000).weights[1:]
    assert counts.mean(axis=0) == pytest.approx(1, abs=0.06)
    assert counts.var(axis=0) == pytest.approx(0.9, abs=0.1)


def test_a_seed_repeats_its_draws():
    rows = clustered(2)
    assert np.array_equal(drawn(rows, seed=3).weights, drawn(rows, seed=3).weights)
    assert not np.array_equal(drawn(rows, seed=3).weights, drawn(rows, seed=4).weights)


def test_sums_and_means_are_those_of_the_repeated_rows():
    rows, rng = clustered(3), np.random.default_rng(3)
    resampling, values = drawn(rows), rng.normal(size=(len(rows), 3))
    values[rng.random(values.shape) < 0.2] = np.nan
    sums, means = resampling.sums(np.nan_to_num(values)), resampling.means(values)
    for draw in range(DRAWS + 1):
        own = values[repeated(resampling, draw)]
        assert sums[draw] == pytest.approx(np.nansum(own, axis=0))
        assert means[draw] == pytest.approx(np.nanmean(own, axis=0))


def test_a_mean_over_no_rows_is_undefined():
    assert np.isnan(drawn([("p", "a"), ("q", "a")]).means(np.full((2, 1), np.nan))).all()


def test_bins_are_those_of_the_repeated_rows():
    rows, rng = clustered(4), np.random.default_rng(4)
    resampling, values, bins = drawn(rows), rng.normal(size=len(rows)), rng.integers(0, 5, len(rows))
    found = resampling.binned(values, bins, 6)
    for draw in range(DRAWS + 1):
        own = repeated(resampling, draw)
        assert found[draw] == pytest.approx([values[own][bins[own] == b].sum() for b in range(6)])


def test_some_of_the_rows_keep_their_draws():
    resampling = drawn(clustered(5))
    rows = np.array([4, 4, 0])
    assert np.array_equal(resampling.at(rows).of_rows, resampling.of_rows[:, rows])


def test_auroc_by_hand():
    """Positives 0.9 and 0.3, negatives 0.3 and 0.1: three of the 4 pairs are won and one is tied, 3.5/4.

    Within the groups, the pairs are (0.9, 0.3) and (0.3, 0.1), both won.
    """
    resampling = drawn([(f"p{i}", "a") for i in range(4)], draws=1)
    scores, labels = np.array([0.9, 0.3, 0.3, 0.1]), np.array([True, True, False, False])
    assert resampling.auroc(scores, labels)[0] == 3.5 / 4
    assert resampling.auroc(scores, labels, np.array([0, 1, 0, 1]))[0] == 1.0


@pytest.mark.parametrize("share", [0.15, 0.5, 0.85])
@pytest.mark.parametrize("ties", [4, 10**6])
def test_auroc_of_each_draw_is_that_of_all_weighted_pairs(share, ties):
    rng = np.random.default_rng(int(share * 100))
    rows = clustered(6, problems=40)
    resampling, labels = drawn(rows), rng.random(len(rows)) < share
    scores = rng.integers(0, ties, len(rows)) / ties + 0.2 * labels
    found, weights = resampling.auroc(scores, labels), resampling.of_rows
    for draw in range(DRAWS + 1):
        assert found[draw] == pytest.approx(auroc_of_pairs(labels, scores, weights[draw]))


def test_auroc_is_the_same_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    rows = clustered(6, problems=40)
    resampling, labels, scores = drawn(rows), rng.random(len(rows)) < 0.5, rng.random(len(rows))
    whole = resampling.auroc(scores, labels)
    monkeypatch.setattr(bootstrap, "_CELLS", 7 * len(rows))
    assert np.array_equal(resampling.auroc(scores, labels), whole)


@pytest.mark.parametrize("seed", range(3))
def test_auroc_within_groups_is_that_of_the_repeated_rows(seed):
    rng, rows = np.random.default_rng(seed), clustered(seed, problems=30)
    resampling, labels = drawn(rows), rng.random(len(rows)) < 0.4
    scores, groups = rng.integers(0, 6, len(rows)) / 6, rng.integers(0, 5, len(rows))
    found = resampling.auroc(scores, labels, groups)
    for draw in range(DRAWS + 1):
        own = repeated(resampling, draw)
        expected = grouped_auroc(zip(groups[own].tolist(), scores[own], labels[own].tolist(), strict=True))
        assert found[draw] == pytest.approx(expected)


def test_auroc_handles_infinite_scores():
    resampling = drawn([(f"p{i}", "a") for i in range(4)], draws=1)
    scores, labels = np.array([-np.inf, np.inf, -np.inf, 0.0]), np.array([False, True, True, False])
    assert resampling.auroc(scores, labels)[0] == auroc(scores.tolist(), labels.tolist()) == 2.5 / 4


@pytest.mark.parametrize("labels", [[True, True], [False, False]])
def test_auroc_of_one_class_is_undefined(labels):
    found = drawn([("p", "a"), ("q", "a")]).auroc(np.array([0.1, 0.2]), np.array(labels))
    assert estimate(found) == Estimate(None, None, None)


def test_draws_without_both_classes_are_skipped():
    """Two problems, one of each class: half of the draws have both, and there the positive wins."""
    found = drawn([("p", "a"), ("q", "a")], draws=200).auroc(np.array([0.9, 0.1]), np.array([True, False]))
    assert 50 < np.isnan(found).sum() < 150
    assert estimate(found) == Estimate(1.0, 1.0, 1.0)


def test_the_order_of_rows_changes_no_value():
    rows, rng = clustered(7, problems=30), np.random.default_rng(7)
    scores, labels, order = rng.integers(0, 9, len(rows)) / 9, rng.random(len(rows)) < 0.5, rng.permutation(len(rows))
    one, two = drawn(rows), drawn([rows[i] for i in order])
    assert one.auroc(scores, labels)[0] == pytest.approx(two.auroc(scores[order], labels[order])[0])
    assert one.means(scores[:, None])[0] == pytest.approx(two.means(scores[order, None])[0])


def test_the_interval_of_a_known_case():
    """100 coins, half heads: the standard error is 0.05, so the interval is 0.5 ± 1.96 · 0.05."""
    rows = [(f"p{i}", "a") for i in range(100)]
    found = estimate(drawn(rows, draws=4000, seed=1).means(np.array([[0.0], [1.0]] * 50))[:, 0])
    assert found.value == 0.5
    assert (found.low, found.high) == (pytest.approx(0.402, abs=0.015), pytest.approx(0.598, abs=0.015))


def test_a_stratified_interval_ignores_differences_between_strata():
    """All heads in one stratum, all tails in the other: every draw has equally many of each."""
    rows = [(f"p{i}", "ab"[i % 2]) for i in range(100)]
    assert estimate(drawn(rows).means(np.array([[0.0], [1.0]] * 50))[:, 0]) == Estimate(0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([0.5, 0.25, 0.75], Estimate(0.5, 0.2625, 0.7375)),  # percentiles 2.5 and 97.5 of two numbers
        ([0.5, 0.25, np.nan, 0.25], Estimate(0.5, 0.25, 0.25)),
        ([0.5, np.nan, np.nan], Estimate(0.5, None, None)),
        ([0.5], Estimate(0.5, None, None)),
        ([np.nan, 0.5, 0.5], Estimate(None, None, None)),
        ([-np.inf, 0.5, 0.5], Estimate(None, None, None)),
    ],
)
def test_estimates_by_hand(numbers, expected):
    assert estimate(np.array(numbers)) == expected


def test_ratio_and_harmonic_mean_by_hand():
    a, b = np.array([0.5, 0.0, 0.0, np.nan]), np.array([1.0, 0.0, 1.0, 1.0])
    assert harmonic(a, b) == pytest.approx([2 / 3, 0.0, 0.0, np.nan], nan_ok=True)
    assert ratio(a, b) == pytest.approx([0.5, np.nan, 0.0, np.nan], nan_ok=True)
    assert ratio(a, b, 7.0)[1] == 7.0


def coverage(rows_a_problem, is_clustered, runs=300, problems=40):
    """How often the interval of a mean covers the true mean, 0, if the rows of a problem are nearly alike."""
    rng, hits = np.random.default_rng(8), 0
    owners = np.repeat(np.arange(problems), rows_a_problem)
    for run in range(runs):
        values = (rng.normal(size=problems)[owners] + 0.1 * rng.normal(size=len(owners)))[:, None]
        names = owners if is_clustered else np.arange(len(owners))
        found = estimate(resample(names.tolist(), ["a"] * len(names), draws=300, seed=run).means(values)[:, 0])
        hits += found.low <= 0 <= found.high
    return hits / runs


def test_the_interval_has_its_nominal_coverage():
    """A little under 95% with 40 problems; half as wide if the four rows of a problem count as four problems."""
    assert 0.9 <= coverage(1, is_clustered=True) <= 0.98
    assert 0.9 <= coverage(4, is_clustered=True) <= 0.98
    assert coverage(4, is_clustered=False) < 0.8
