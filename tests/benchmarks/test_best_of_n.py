"""Best of n: by hand, against the choices of `prm.rerank`, and where answers, scores or solutions are missing."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import spearmanr

from prm.benchmarks.numbers import EvalSettings
from prm.benchmarks.pools import Pool
from prm.benchmarks.protocols.best_of_n import best_of_n, pairs_won, vote_weights
from prm.benchmarks.scores import table_of
from prm.data.records import StepScores
from prm.scoring.reranking import select
from prm.statistics.aggregation import AGGREGATORS, aggregate
from prm.statistics.bootstrap import resample
from prm.statistics.metrics import brier_score, expected_calibration_error, grouped_auroc

DRAWS = 100
T, F, N = True, False, None


def pool(is_right, groups, lengths=None, name="p"):
    ids = tuple(f"{name}/{i}" for i in range(len(groups)))
    return Pool(name, "all", ids, tuple(is_right), tuple(groups), tuple(lengths or [10] * len(ids)))


def table(scores, kind="prm"):
    """Of chain id to its scores; one number is the score of a chain with one step."""
    own = {i: s if isinstance(s, (tuple, list)) else (s,) for i, s in scores.items()}
    return table_of(StepScores(i, "p", tuple(s), kind) for i, s in own.items())


def measured(pools, scorers, **settings):
    findings = best_of_n(pools, scorers, EvalSettings(**{"draws": DRAWS} | settings))
    keys = [(n.scorer, n.name, n.variant) for n in findings.numbers]
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, (n.metric() for n in findings.numbers), strict=True)), findings


def made(seed, problems=30, sizes=(4, 8), ties=10**6):
    """Pools with answers of four kinds, of which one is right, and some without; chains of one to four steps."""
    rng, pools, scores = np.random.default_rng(seed), [], {}
    for p in range(problems):
        n = int(rng.choice(sizes))
        groups = [None if g == 4 else int(g) for g in rng.integers(0, 5, n)]
        gold = int(rng.integers(0, 4))
        own = pool([g == gold for g in groups], groups, rng.integers(20, 60, n).tolist(), f"p{p}")
        pools.append(own)
        scores |= {i: (rng.integers(0, ties + 1, rng.integers(1, 5)) / ties).tolist() for i in own.chain_ids}
    return pools, scores


HAND = pool((T, F, F, T), (0, 1, 1, 0))
PRM = table({"p/0": 0.2, "p/1": 0.9, "p/2": 0.3, "p/3": 0.8})
ORM = table({"p/0": 6.0, "p/1": -2.0, "p/2": 5.0, "p/3": 4.0}, "orm")
BY_HAND = {  # right, wrong, wrong, right: the mean over all subsets of one, two (six of them) and four
    ("", "pass@1"): (1 / 2, 1 / 2, 1 / 2),
    ("", "majority"): (1 / 2, 1 / 2, 1 / 2),  # of two: one is both right, one both wrong, four are ties
    ("", "oracle"): (1 / 2, 5 / 6, 1),
    ("PRM", "min"): (1 / 2, 1 / 3, 0),  # 0.2 0.9 0.3 0.8: right are the best of (0.2, 0.8) and (0.3, 0.8)
    ("PRM", "product"): (1 / 2, 1 / 3, 0),
    ("PRM", "geometric-mean"): (1 / 2, 1 / 3, 0),
    ("PRM", "mean"): (1 / 2, 1 / 3, 0),
    ("PRM", "last"): (1 / 2, 1 / 3, 0),
    ("PRM", "max"): (1 / 2, 1 / 3, 0),
    ("PRM", "min vote"): (1 / 2, 1 / 3, 0),  # of all: 0.2 + 0.8 against 0.9 + 0.3
    ("PRM", "product vote"): (1 / 2, 1 / 3, 0),  # weighs by the exponentials of the logarithms, which is the same
    ("ORM", ""): (1 / 2, 2 / 3, 1),  # 6 -2 5 4: wrong are the best of (-2, 5) and (5, 4)
    ("ORM", "vote"): (1 / 2, 2 / 3, 1),  # e^6 + e^4 against e^-2 + e^5
}


@pytest.mark.parametrize("key", BY_HAND, ids=" ".join)
def test_best_of_k_by_hand(key):
    """Votes of two are counted in random orders: a thousand of them for one problem, so within 4 · 0.5 / sqrt(1000)."""
    found, findings = measured([HAND], {"PRM": PRM, "ORM": ORM})
    values = [found[key[0], f"best-of-{k}", key[1]].value for k in (1, 2, 4)]
    assert values[::2] == pytest.approx(BY_HAND[key][::2])
    assert values[1] == pytest.approx(BY_HAND[key][1], abs=0.063 if key[1].endswith(("vote", "majority")) else 1e-12)
    between = [m for m in found.values() if m.value not in (None, 0, 1)]
    assert all(m.low == m.value == m.high for m in between), "one problem has no spread"
    (curve,) = (c for c in findings.curves if (c.kind, c.scorer, c.variant) == ("best-of-k", *key))
    assert [(p.x, p.value) for p in curve.points] == [(k, v) for k, v in zip((1, 2, 4), values, strict=True)]
    assert curve.name == " ".join(filter(None, key))


def test_shortest_and_longest_by_hand():
    """Characters 10, 20, 20, 30 and 5 without an answer, which is never chosen; of 20 and 20 one is right."""
    own = pool((F, T, F, T, F), (0, 1, 0, 1, None), (10, 20, 20, 30, 5))
    found, _ = measured([own], {"PRM": table({f"p/{i}": 0.5 for i in range(5)})})
    assert [found["", "best-of-5", variant].value for variant in ("shortest", "longest")] == [0, 1]
    # of two: 10 before all; (20, 20) half, (20, 30) half; with 5: 0, 1, 0, 1. So 0·3 + 1/2·3 + 2 of 10
    assert found["", "best-of-2", "shortest"].value == pytest.approx(3.5 / 10)


def test_sizes_are_powers_of_two_and_the_fewest_solutions_of_a_problem():
    pools, scores = made(0, sizes=(7, 12))
    found, findings = measured(pools, {"PRM": table(scores)})
    names = [key[1] for key in found if key[::2] == ("", "oracle")]
    assert names == ["best-of-1", "best-of-2", "best-of-4", "best-of-7"]
    assert findings.settings["n"] == "7 to 12"
    assert {n.name for n in findings.numbers if findings.headline(n)} == {"best-of-7"}


@pytest.mark.parametrize("sizes", [(6,), (1,), (2, 5, 9)])
def test_an_oracle_is_pass_at_k_of_each_problem(sizes):
    """1 - C(n - c, k) / C(n, k), for problems with different numbers of solutions."""
    pools, scores = made(1, sizes=sizes)
    found, _ = measured(pools, {"PRM": table(scores)})
    for k in {1, 2, min(sizes)} & set(range(1, min(sizes) + 1)):
        rows = [(len(p.chain_ids), sum(p.is_right)) for p in pools]
        expected = np.mean([1 - math.comb(n - c, k) / math.comb(n, k) for n, c in rows])
        assert found["", f"best-of-{k}", "oracle"].value == pytest.approx(expected)
    share = np.mean([sum(p.is_right) / len(p.chain_ids) for p in pools])
    assert {round(m.value, 12) for key, m in found.items() if key[2] == "pass@1"} == {round(share, 12)}


def answered(own, scores, aggregator):
    """Chain scores, -inf for a solution without an answer."""
    groups = zip(own.chain_ids, own.groups, strict=True)
    return [-math.inf if g is None else aggregate(scores[i], aggregator) for i, g in groups]


@pytest.mark.parametrize("shift", [0, -0.5, -2])
def test_all_solutions_are_chosen_from_as_by_prm_rerank(shift):
    """No two scores are equal, so there is no tie to share; shifted, some or all weights of a vote are exponentials."""
    pools, scores = made(2, problems=60, sizes=(8,))
    scores = {i: [s + shift for s in own] for i, own in scores.items()}
    found, _ = measured(pools, {"PRM": table(scores)})
    for aggregator in AGGREGATORS:
        if shift and aggregator in ("product", "geometric-mean"):
            continue  # the logarithms of numbers below 0 are equal
        for selection, variant in (("best-of-n", aggregator), ("weighted", f"{aggregator} vote")):
            picks = [select(answered(own, scores, aggregator), own.groups, selection) for own in pools]
            expected = np.mean([own.is_right[pick] for own, pick in zip(pools, picks, strict=True)])
            assert found["PRM", "best-of-8", variant].value == pytest.approx(expected)


def subsets(own, values, k):
    """The mean over all subsets of k of the gain of the best, ties shared."""
    means = []
    for subset in combinations(range(len(values)), k):
        highest = max(values[i] for i in subset)
        means.append(np.mean([own.is_right[i] for i in subset if values[i] == highest]))
    return np.mean(means)


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_best_of_k_is_the_mean_over_all_subsets(aggregator):
    """Scores are 0, 1/2 and 1, so that products are often 0, and many chains are equal; ragged."""
    pools, scores = made(3, problems=12, sizes=(4, 6, 7), ties=2)
    found, _ = measured(pools, {"PRM": table(scores)})
    for k in (1, 2, 4):
        expected = []
        for own in pools:
            # A product of 0 is below all other answers, and above a solution without one.
            values = [(g is not None, v) for g, v in zip(own.groups, answered(own, scores, aggregator), strict=True)]
            expected.append(subsets(own, values, k))
        assert found["PRM", f"best-of-{k}", aggregator].value == pytest.approx(np.mean(expected))


def test_a_product_of_zero_is_still_before_no_answer():
    """By hand: a right solution with a step of 0, and one without an answer. `prm.rerank` takes the first."""
    own = pool((T, F), (0, None))
    found, _ = measured([own], {"PRM": table({"p/0": (0.9, 0.0), "p/1": (0.9, 0.9)})})
    assert {v: found["PRM", "best-of-2", v].value for v in AGGREGATORS} == dict.fromkeys(AGGREGATORS, 1.0)
    assert found["PRM", "best-of-2", "product vote"].value == 1.0
    assert found["PRM", "chain_auroc", "product"].value == 1.0
    assert found["PRM", "length_correlation", "product"].n == 1


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.5, 0.25, 0.0], [0.5, 0.25, 0.0]),
        ([0.5, 0.25, -math.inf], [0.5, 0.25, 0.0]),  # without an answer
        ([0.0, 0.0, -math.inf], [1.0, 1.0, 0.0]),  # none above 0: exponentials
        ([1.0, -1.0, -math.inf], [1.0, math.exp(-2), 0.0]),
        ([-5000.0, -5001.0, -5000.0], [1.0, math.exp(-1), 1.0]),
        ([-math.inf, -math.inf, -math.inf], [1.0, 1.0, 1.0]),
    ],
)
def test_vote_weights_by_hand(scores, expected):
    assert vote_weights(np.array([scores]))[0] == pytest.approx(expected)


def test_chain_auroc_by_hand():
    """Of the four pairs only 0.8 against 0.3 is won; with the ORM 6 wins two, 4 wins one."""
    found, _ = measured([HAND], {"PRM": PRM, "ORM": ORM})
    assert {found["PRM", "chain_auroc", a].value for a in AGGREGATORS} == {1 / 4}
    assert (found["ORM", "chain_auroc", ""].value, found["ORM", "chain_auroc", ""].n) == (3 / 4, 4)


@pytest.mark.parametrize("ties", [3, 10**6])
def test_chain_auroc_is_that_of_all_pairs(ties):
    pools, scores = made(4, sizes=(3, 8), ties=ties)
    found, _ = measured(pools, {"PRM": table(scores)})
    for aggregator in ("min", "mean"):
        rows = [(own.problem_id, s, is_right) for own in pools
                for s, is_right in zip(answered(own, scores, aggregator), own.is_right, strict=True)]  # fmt: skip
        assert found["PRM", "chain_auroc", aggregator].value == pytest.approx(grouped_auroc(rows))


def test_pairs_won_by_hand():
    """Right 3 and 1, wrong 1 and 2: 3 wins twice, 1 ties once and loses once. All right, or all wrong: no pair."""
    scores = np.array([[3.0, 1.0, 1.0, 2.0]] * 3)
    right = np.array([[1.0, 1.0, 0.0, 0.0], [1.0] * 4, [0.0] * 4])
    assert pairs_won(scores, right).tolist() == [[2.5, 4], [0, 0], [0, 0]]


def test_length_matched_auroc_by_hand():
    """In order of length 90 (right), 100 (wrong), 110 (right), 130 (wrong), 131 (wrong), 145 (right).

    Neighbors of different verdicts whose lengths differ by at most a tenth of the longer: (90, 100), (100, 110) and
    (131, 145); 110 and 130 are too far apart. Scores 0.5 > 0.4 wins, 0.4 = 0.4 is half, 0.1 < 0.2 loses.
    """
    own = pool((F, T, T, F, T, F), (0, 1, 1, 0, 1, 0), (131, 90, 145, 100, 110, 130))
    scores = table({f"p/{i}": s for i, s in enumerate((0.2, 0.5, 0.1, 0.4, 0.4, 0.3))})
    found, _ = measured([own], {"PRM": scores})
    number = found["PRM", "length_matched_auroc", "min"]
    assert (number.value, number.n) == (0.5, 3)


def flat(pools, scores, aggregator):
    """Score, length and verdict of every solution with an answer."""
    return [
        (aggregate(scores[i], aggregator), size, bool(is_right))
        for own in pools
        for i, g, size, is_right in zip(own.chain_ids, own.groups, own.lengths, own.is_right, strict=True)
        if g is not None
    ]


def test_numbers_of_chain_scores_are_those_of_prm_metrics():
    pools, scores = made(5, sizes=(3, 8))
    found, _ = measured(pools, {"PRM": table(scores)})
    for aggregator in AGGREGATORS:
        values, lengths, right = zip(*flat(pools, scores, aggregator), strict=True)
        assert found["PRM", "length_correlation", aggregator].value == pytest.approx(
            spearmanr(lengths, values).statistic
        )
        if aggregator in ("product", "geometric-mean"):
            assert ("PRM", "ece", aggregator) not in found, "logarithms are no probabilities"
        else:
            assert found["PRM", "ece", aggregator].value == pytest.approx(expected_calibration_error(values, right))
            assert found["PRM", "brier", aggregator].value == pytest.approx(brier_score(values, right))
    own = [s for p in pools for s in (scores[i] for i in p.chain_ids) if len(s) > 1]
    assert found["PRM", "lowest_is_last", ""].value == pytest.approx(np.mean([s[-1] < min(s[:-1]) for s in own]))
    assert found["PRM", "lowest_is_last", ""].n == len(own)


def test_intervals_resample_problems():
    """The best of all solutions, drawn by hand with the same counts."""
    pools, scores = made(6, sizes=(4,))
    found, _ = measured(pools, {"PRM": table(scores)})
    right = [own.is_right[select(answered(own, scores, "min"), own.groups)] for own in pools]
    weights = resample([own.problem_id for own in pools], [""] * len(pools), DRAWS, 0).weights
    low, high = np.percentile((weights @ np.array(right, float) / len(pools))[1:], [2.5, 97.5])
    assert (found["PRM", "best-of-4", "min"].low, found["PRM", "best-of-4", "min"].high) == pytest.approx((low, high))


def test_overoptimization():
    """Gold and proxy by x = log n - (n-1)/n; alpha and beta by least squares of the gain on sqrt(x) and -x."""
    pools, scores = made(7, sizes=(8,))
    found, findings = measured(pools, {"PRM": table(scores)})
    gold, proxy = (
        next(c for c in findings.curves if (c.kind, c.name, c.variant) == ("over-optimization", "PRM mean", variant))
        for variant in ("gold", "proxy")
    )
    kl = [0.0, math.log(2) - 1 / 2, math.log(4) - 3 / 4, math.log(8) - 7 / 8]
    assert [p.x for p in gold.points] == [p.x for p in proxy.points] == pytest.approx(kl)
    assert [p.value for p in gold.points] == [found["PRM", f"best-of-{k}", "mean"].value for k in (1, 2, 4, 8)]
    least = min(v for v, _, _ in flat(pools, scores, "mean"))
    highest = [max(max(answered(own, scores, "mean")), least) for own in pools]
    assert proxy.points[-1].value == pytest.approx(np.mean(highest))
    assert sorted(p.value for p in proxy.points) == [p.value for p in proxy.points]
    d = np.sqrt(kl[1:])
    gains = [p.value - gold.points[0].value for p in gold.points[1:]]
    (alpha, beta), *_ = np.linalg.lstsq(np.stack([d, -(d**2)], axis=1), np.array(gains), rcond=None)
    assert found["PRM", "alpha", "mean"].value == pytest.approx(alpha)
    assert found["PRM", "beta", "mean"].value == pytest.approx(beta)


def test_a_proxy_of_zero_products_stays_finite():
    pools, scores = made(8, sizes=(4,), ties=2)
    _, findings = measured(pools, {"PRM": table(scores)})
    values = [p.value for c in findings.curves for p in c.points]
    values += [value for picture in findings.pictures for _, value, _ in picture.points]
    assert np.isfinite(values).all()
    assert np.abs(values).max() < 1000  # a score of 0 counts as 2^-149, whose logarithm is -103


def test_undecided_solutions_are_counted_and_not_right():
    found, findings = measured([pool((N, F, T, N), (None, 0, 1, 2))], {"PRM": PRM})
    assert findings.counts == {"undecided": 2}
    assert found["", "best-of-1", "pass@1"].value == 1 / 4
    assert found["", "best-of-4", "oracle"].value == 1.0
    assert found["PRM", "best-of-4", "min"].value == 0.0  # 0.9 is wrong


def test_a_solution_without_an_answer_needs_no_score():
    found, _ = measured([pool((F, F, T), (None, 0, 1))], {"PRM": table({"p/1": (0.2, 0.4), "p/2": (0.9, 0.1, 0.9)})})
    assert found["PRM", "best-of-3", "min"].value == 0.0
    assert found["PRM", "best-of-3", "last vote"].value == 1.0
    assert (found["PRM", "lowest_is_last", ""].value, found["PRM", "lowest_is_last", ""].n) == (0.0, 2)


def test_no_answer_anywhere():
    """Every way of choosing is a random one, and nothing can be said of scores."""
    pools = [pool((F, F), (None, None), (3, 4)), pool((T, F), (None, None), (3, 3), "q")]
    scores = {i: 0.5 for own in pools for i in own.chain_ids}
    found, findings = measured(pools, {"PRM": table(scores), "ORM": table(scores, "orm")})
    chosen = {key: m.value for key, m in found.items() if key[1] == "best-of-2" and key[2] != "oracle"}
    assert set(chosen.values()) == {1 / 4}
    assert found["", "best-of-2", "oracle"].value == 1 / 2
    assert found["PRM", "chain_auroc", "min"].value == 1 / 2  # all are ranked last alike
    assert found["PRM", "length_correlation", "min"].value is None
    assert {p.points for p in findings.pictures} == {()}


def test_a_problem_without_answers_among_others():
    """In a draw of that problem alone there are no chains to correlate."""
    pools = [pool((T, F), (0, 1), (3, 4)), pool((F, F), (None, None), (3, 5), "q")]
    found, _ = measured(pools, {"PRM": table({"p/0": 0.9, "p/1": 0.8, "q/0": 0.1, "q/1": 0.2})})
    number = found["PRM", "length_correlation", "min"]
    assert (number.value, number.low, number.high, number.n) == (-1, -1, -1, 2)
    assert found["PRM", "best-of-2", "min"].value == 1 / 2


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (pool((T,), (0,)), 1.0),
        (pool((F,), (0,)), 0.0),
        (pool((N,), (None,)), 0.0),
    ],
)
def test_one_problem_with_one_solution(own, expected):
    found, _ = measured([own], {"PRM": table({"p/0": 0.3})})
    assert {m.value for key, m in found.items() if key[1] == "best-of-1"} == {expected}
    assert found["PRM", "chain_auroc", "min"].value is None
    assert found["PRM", "lowest_is_last", ""].value is None
    assert ("PRM", "alpha", "min") not in found


def test_equal_scores_are_a_random_choice():
    own = pool((T, F, F, T, F), (0, 1, 2, 0, 3), (10, 20, 30, 40, 50))
    found, _ = measured([own], {"PRM": table({f"p/{i}": (0.5, 0.5) for i in range(5)})})
    chosen = [found["PRM", f"best-of-{k}", a].value for k in (1, 2, 4, 5) for a in AGGREGATORS]
    assert chosen == [pytest.approx(2 / 5)] * len(chosen)
    assert found["PRM", "best-of-5", "min vote"].value == 1.0
    assert {found["PRM", name, "min"].value for name in ("chain_auroc", "length_matched_auroc")} == {1 / 2, None}
    assert found["PRM", "length_correlation", "min"].value is None
    assert found["PRM", "lowest_is_last", ""].value == 0.0


def shuffled(pools, seed=1):
    """The problems in another order, and the solutions of each."""
    rng = np.random.default_rng(seed)
    for p in rng.permutation(len(pools)):
        own, order = pools[p], rng.permutation(len(pools[p].chain_ids))
        parts = [tuple(part[i] for i in order) for part in (own.chain_ids, own.is_right, own.groups, own.lengths)]
        yield Pool(own.problem_id, own.split, *parts)


def test_the_order_of_problems_and_solutions_changes_no_value():
    """Votes of a part of the solutions are counted in random orders, so they are left out here."""
    pools, scores = made(9, sizes=(4, 8), ties=4)
    pools = [
        Pool(o.problem_id, o.split, o.chain_ids, o.is_right, o.groups, tuple(n // 10 for n in o.lengths)) for o in pools
    ]
    one, _ = measured(pools, {"PRM": table(scores)})
    two, _ = measured(list(shuffled(pools)), {"PRM": table(dict(reversed(scores.items())))})
    exact = [key for key in one if not (key[1] in ("best-of-2", "best-of-4") and key[2].endswith(("vote", "majority")))]
    assert {key: two[key].value for key in exact} == {key: pytest.approx(one[key].value) for key in exact}
    assert {key: m.n for key, m in two.items()} == {key: m.n for key, m in one.items()}


def test_a_constant_changes_no_choice():
    pools, scores = made(10, ties=8)
    one, _ = measured(pools, {"PRM": table(scores)})
    two, _ = measured(pools, {"PRM": table({i: [s + 16 for s in own] for i, own in scores.items()})})
    for aggregator in ("min", "last", "max"):  # eighths stay exact, but a mean is rounded
        for name in (
            "best-of-1",
            "best-of-2",
            "best-of-4",
            "chain_auroc",
            "length_matched_auroc",
            "length_correlation",
        ):
            assert one["PRM", name, aggregator] == two["PRM", name, aggregator]


def test_differences_are_between_all_ways_at_the_largest_k():
    pools, scores = made(11, sizes=(4,))
    worse = {i: [1 - s for s in own] for i, own in scores.items()}
    found, findings = measured(pools, {"A": table(scores), "B": table(scores), "C": table(worse)})
    assert {d.name for d in findings.differences} == {"best-of-4"}
    ways = sum(key[1] == "best-of-4" for key in found)
    assert len(findings.differences) == ways * (ways - 1) / 2
    by_names = {(d.a, d.b): d for d in findings.differences}
    for variant in (*AGGREGATORS, *(f"{a} vote" for a in AGGREGATORS)):
        same = by_names[f"B {variant}", f"A {variant}"]
        assert (same.value, same.low, same.high, same.variant) == (0, 0, 0, variant)
    lower = by_names["A min", "pass@1"]
    assert lower.value == found["A", "best-of-4", "min"].value - found["", "best-of-4", "pass@1"].value
    assert (by_names["oracle", "C min"].low > 0, by_names["oracle", "C min"].variant) == (True, "")


def test_a_seed_repeats_all():
    pools, scores = made(12)
    one, two, three = (measured(pools, {"PRM": table(scores)}, seed=seed)[0] for seed in (1, 1, 2))
    assert one == two
    assert one["", "best-of-2", "majority"].value != three["", "best-of-2", "majority"].value
    assert one["", "best-of-2", "oracle"].low != three["", "best-of-2", "oracle"].low
