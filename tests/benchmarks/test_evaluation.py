"""From a suite and scores to a result: which rows count, what is shown, and what becomes of several splits."""

import json
import math
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from prm.benchmarks.evaluation import measure_suite
from prm.benchmarks.numbers import (
    EvalSettings,
    Number,
    averaged,
    differences,
    is_probability,
    lengths_picture,
    reliability_picture,
)
from prm.benchmarks.pools import Pool, make_pools
from prm.benchmarks.protocols import PROTOCOLS, TITLES
from prm.benchmarks.results import Protocol, read_result, result_to_json
from prm.benchmarks.scores import table_of
from prm.benchmarks.suites import SUITES, SuiteData
from prm.benchmarks.suites.own import read_own
from prm.benchmarks.suites.truth import Candidates, Comparison, StepTruth
from prm.data.drops import Drops
from prm.data.files import write_records
from prm.data.records import Chain, Problem, StepScores
from prm.errors import InputError
from prm.statistics.metrics import reliability

T, F, N = True, False, None
HOW = EvalSettings(draws=50)


def table(scores, kind="prm"):
    return table_of(StepScores(i, "p", tuple(own), kind) for i, own in scores.items())


def suite(protocol, truths, chains, name="made up"):
    """Every chain has the steps of its score list; its problem is what stands before the "/"."""
    problems = {i.partition("/")[0]: Problem(i.partition("/")[0], "What?", "4") for i in chains}
    of_chains = {i: Chain(i, i.partition("/")[0], tuple(f"step {k}\n" for k in range(n))) for i, n in chains.items()}
    return SuiteData(name, protocol, problems, of_chains, tuple(truths), {})


def located(count=6):
    """Chains of two steps, of which every second one has an error; three chains of each problem."""
    truths = [
        StepTruth(f"p{i // 3}/{i}", f"p{i // 3}", "xy"[i // 3 % 2], (T, F) if i % 2 else (T, T), N)
        for i in range(count)
    ]
    return suite("localization", truths, {t.chain_id: 2 for t in truths}), {
        t.chain_id: (0.9, 0.8 - i % 2 / 2) for i, t in enumerate(truths)
    }


def pools(count=4, n=3):
    own = [
        Pool(f"p{i}", "all", tuple(f"p{i}/{k}" for k in range(n)), (T, F, N), (0, 1, N), (5, 6, 0))
        for i in range(count)
    ]
    scores = {i: (0.5, 0.9 - k / 10) for p in own for k, i in enumerate(p.chain_ids)}
    return suite("best-of-n", [], {i: 2 for p in own for i in p.chain_ids}), own, scores


def drawn(value, *others):
    return np.array([value, *others], float)


def number(scorer="A", value=0.5, split="x", name="f1", variant="", n=1):
    return Number(scorer, name, split, variant, drawn(value, value - 0.1, value + 0.1), n)


@pytest.mark.parametrize(
    ("name", "value", "n", "interval"),
    [
        ("accuracy", 1.0, 8, (1 - 0.262, 1.0)),  # Beta(8.5, 0.5): the mirror image of 0 in 8
        ("accuracy", 0.0, 8, (0.0, 0.262)),
        ("accuracy", 0.5, 8, (0.5, 0.5)),
        ("step_auroc", 1.0, 8, (1.0, 1.0)),
    ],
)
def test_a_share_at_0_or_1_in_every_draw_keeps_an_interval(name, value, n, interval):
    metric = Number("A", name, "all", "", drawn(value, value, value), n).metric()
    assert (metric.low, metric.high) == pytest.approx(interval, abs=5e-4)


def test_a_row_without_a_score_of_one_scorer_is_left_out_for_all():
    data, scores = located()
    drops, few = Drops(), {i: s for i, s in scores.items() if i not in ("p0/1", "p1/4")}
    result, shown, _ = measure_suite(data, {"A": table(scores), "B": table(few)}, HOW, drops)
    assert [(d.id, d.reason, d.detail) for d in drops] == [("p0/1", "no score", "of B"), ("p1/4", "no score", "of B")]
    counts = {name: result.data[name] for name in ("rows", "problems", "chains", "splits", "dropped")}
    assert counts == {"rows": 4, "problems": 2, "chains": 4, "splits": {"x": 2, "y": 2}, "dropped": {"no score": 2}}
    assert {m.n for m in result.metrics if (m.name, m.split) == ("f1", "macro")} == {4}
    assert {c.chain_id for c in shown} == {"p0/0", "p0/2", "p1/3", "p1/5"}
    only, *_ = measure_suite(data, {"A": table(few)}, HOW, Drops())
    mine = [m for m in result.metrics if m.scorer == "A"]
    assert mine == list(only.metrics), "A is measured on the rows that both have"


def test_a_comparison_counts_only_with_all_its_responses():
    truths = [Comparison(f"c{i}", f"p{i}", "x", (f"p{i}/0",), (f"p{i}/1", f"p{i}/2")) for i in range(3)]
    data = suite("preference", truths, {f"p{i}/{k}": 1 for i in range(3) for k in range(3)})
    scores, drops = {f"p{i}/{k}": (1.0 - k,) for i in range(3) for k in range(3)}, Drops()
    del scores["p1/2"]
    result, shown, _ = measure_suite(data, {"RM": table(scores, "orm")}, HOW, drops)
    assert [(d.id, d.detail) for d in drops] == [("c1", "of RM")]
    assert (result.data["rows"], result.data["pairs"]) == (2, 4)
    assert [c.is_right for c in shown] == [T, F, F] * 2
    assert {c.truth for c in shown} == {N}


def test_a_pool_needs_the_scores_of_its_answers():
    data, own, scores = pools()
    del scores["p1/2"], scores["p2/0"]  # one without an answer, and one with
    drops = Drops()
    result, shown, _ = measure_suite(data, {"PRM": table(scores)}, HOW, drops, own)
    assert [(d.id, d.reason, d.detail) for d in drops] == [("p2", "no score", "of PRM")]
    assert (result.data["rows"], result.data["undecided"]) == (3, 3)
    lacking = next(c for c in shown if c.chain_id == "p1/2")
    assert (lacking.scores, lacking.is_right) == ({}, N)


def test_rows_dropped_before_are_counted_too():
    data, own, scores = pools()
    drops = Drops()
    drops.add("row 7", "a field of the wrong kind")
    small = replace(own[0], problem_id="q", chain_ids=("q/0",), is_right=(T,), groups=(0,), lengths=(5,))
    result, *_ = measure_suite(data, {"PRM": table(scores)}, replace(HOW, n=2), drops, [small, *own])
    assert result.data["dropped"] == {"a field of the wrong kind": 1, "fewer than 2 solutions": 1}
    assert (result.settings["n"], result.data["chains"]) == (2, 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scorers": {}}, "no scorer to measure"),
        ({"scorers": {"A": table({"q": (0.5,)})}}, "no row has a score of every scorer"),
        ({"scorers": {"A": table(dict.fromkeys(located()[1], (0.5,)), "orm")}}, "A scores whole chains"),
        ({"scorers": {"A": table(dict.fromkeys(located()[1], (0.5,) * 3))}}, "A: chain 'p0/0' has 3 scores, 2 steps"),
        ({"settings": EvalSettings({"B": 0.5})}, "a threshold is set for 'B', which is not a scorer"),
        ({"settings": EvalSettings(threshold_split="z")}, "there is no split 'z'"),
        ({"settings": EvalSettings(n=4)}, "the suite made up does not choose among solutions"),
    ],
)
def test_what_cannot_be_measured(change, message):
    data, scores = located()
    given = {"scorers": {"A": table(scores)}, "settings": HOW} | change
    with pytest.raises(InputError, match=message) as caught:
        measure_suite(data, given["scorers"], given["settings"], Drops())
    assert caught.value.hint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (EvalSettings({"PRM": 0.3}), "has no threshold"),
        (EvalSettings(threshold_split="x"), "does not choose a threshold on a split"),
        (EvalSettings(n=4), "no problem has as many solutions as n=4"),
    ],
)
def test_settings_that_best_of_n_would_ignore(settings, message):
    data, own, scores = pools()
    with pytest.raises(InputError, match=message):
        measure_suite(data, {"PRM": table(scores)}, settings, Drops(), own)


def test_candidates_are_not_rows():
    """Best of n is measured on pools, whatever truths the suite holds."""
    data, own, scores = pools()
    data = replace(data, truths=tuple(Candidates(p.problem_id, "all", p.chain_ids) for p in own))
    result, *_ = measure_suite(data, {"PRM": table(scores)}, HOW, Drops(), own[:2])
    assert result.data["rows"] == 2
    with pytest.raises(InputError, match="no problem has a solution"):
        measure_suite(data, {"PRM": table(scores)}, HOW, Drops())


def test_pools_alone_are_enough():
    """Without texts there is nothing to show."""
    _, own, scores = pools()
    result, shown, _ = measure_suite(
        SuiteData("best-of-n", "best-of-n", {}, {}, (), {}), {"PRM": table(scores)}, HOW, Drops(), own
    )
    assert (result.data["problems"], shown) == (4, [])


@pytest.mark.parametrize("show", [0, 2, 3, 10, 11, 60, 10**6])
def test_whole_problems_are_shown(show):
    """Three chains each: as many problems as fit, in the order of the suite, drawn by the seed."""
    data, scores = located(60)
    _, shown, _ = measure_suite(data, {"A": table(scores)}, HOW, Drops(), show=show)
    ids = [c.chain_id for c in shown]
    assert len(ids) == min(show // 3, 20) * 3
    assert all(
        ids.count(f"{p}/{k}") == 1
        for p in {c.problem_id for c in shown}
        for k in range(int(p[1:]) * 3, int(p[1:]) * 3 + 3)
    )
    assert ids == sorted(ids, key=lambda i: int(i.partition("/")[2]))


def test_shown_problems_are_drawn():
    data, scores = located(60)
    one, two, three = (
        {
            c.problem_id
            for c in measure_suite(data, {"A": table(scores)}, EvalSettings(draws=10, seed=seed), Drops(), show=12)[1]
        }
        for seed in (1, 1, 2)
    )
    assert one == two
    assert one != three
    assert one != {"p0", "p1", "p2", "p3"}


def test_a_shown_chain_has_all_that_is_known():
    data, scores = located()
    data = replace(data, truths=tuple(replace(t, is_answer_right=F) for t in data.truths))
    _, shown, _ = measure_suite(data, {"A": table(scores), "B": table(scores)}, HOW, Drops())
    first = shown[1]
    assert (first.problem_id, first.problem, first.answer, first.chain_id, first.split) == (
        "p0",
        "What?",
        "4",
        "p0/1",
        "x",
    )
    assert (first.steps, first.truth, first.is_right) == (("step 0\n", "step 1\n"), (T, F), F)
    assert first.scores == {"A": (0.9, pytest.approx(0.3)), "B": (0.9, pytest.approx(0.3))}


def test_who_chose_a_shown_chain():
    """p/0 and p/2 have the same answer; p/1 has the highest least score, p/2 the highest last one.

    By least score the votes are 0.1 + 0.2 against 0.4, by the last 0.3 + 0.9 against 0.4; the heavier of both is shown.
    """
    own = Pool("p", "all", ("p/0", "p/1", "p/2"), (T, F, T), (0, 1, 0), (5, 5, 5))
    data = suite("best-of-n", [], dict.fromkeys(own.chain_ids, 2))
    scores = {"p/0": (0.1, 0.3), "p/1": (0.5, 0.4), "p/2": (0.2, 0.9)}
    _, shown, _ = measure_suite(
        data, {"X": table(scores), "R": table({i: (s[1],) for i, s in scores.items()}, "orm")}, HOW, Drops(), [own]
    )
    by_way = {way: c.chain_id for c in shown for way in c.chosen_by}
    expected = {
        "majority": "p/0", "X min": "p/1", "X min vote": "p/1", "X last": "p/2", "X last vote": "p/2", "R": "p/2",
        "R vote": "p/2",
    }  # fmt: skip
    assert {way: by_way[way] for way in expected} == expected
    assert len(by_way) == 1 + 2 * 6 + 2


def test_a_result_says_what_it_is_of():
    data, scores = located()
    result, *_ = measure_suite(data, {"A": table(scores)}, HOW, Drops())
    assert (result.suite, result.protocol, result.scorers) == ("made up", "localization", ("A",))
    assert (result.settings["draws"], result.settings["seed"], result.settings["threshold"]) == (50, 0, {"A": 0.5})
    assert set(result.versions) == {"prm-toolkit", "numpy", "sympy"}
    assert [(m.name, m.split, m.variant, m.value) for m in result.headline] == [("f1", "macro", "fixed 0.5", 1.0)]
    assert set(result.headline) <= set(result.metrics)


def test_a_digest_is_of_rows_and_truth():
    data, scores = located()
    other = replace(data, truths=(replace(data.truths[0], steps=(F, N)), *data.truths[1:]))
    digests = [measure_suite(d, {"A": table(scores)}, HOW, Drops())[0].data["digest"] for d in (data, other, data)]
    assert digests[0] == digests[2] != digests[1]
    less, *_ = measure_suite(data, {"A": table({i: s for i, s in scores.items() if i != "p0/0"})}, HOW, Drops())
    assert less.data["digest"] != digests[0]
    worse, *_ = measure_suite(data, {"A": table(dict.fromkeys(scores, (0.1, 0.1)))}, HOW, Drops())
    assert worse.data["digest"] == digests[0], "it does not depend on scores"


@pytest.mark.parametrize("protocol", ["localization", "steps", "preference", "best-of-n"])
def test_a_result_is_plain_json(tmp_path, protocol):
    """No nan and no infinity, which are no JSON; read again, it is the same."""
    own = []
    if protocol == "best-of-n":
        data, own, scores = pools()
        scores = dict.fromkeys(scores, (0.0, 0.5))
    elif protocol == "preference":
        truths = [Comparison(f"c{i}", f"p{i}", "xy"[i % 2], (f"p{i}/0",), (f"p{i}/1",), weight=2.0) for i in range(4)]
        data = suite("preference", truths, {f"p{i}/{k}": 1 for i in range(4) for k in range(2)})
        scores = dict.fromkeys(data.chains, (0.0,))
    else:
        data, scores = located()
        data = replace(data, protocol=protocol)
    result, *_ = measure_suite(data, {"A": table(scores)}, HOW, Drops(), own)
    path = tmp_path / "result.json"
    path.write_text(json.dumps(result_to_json(result), allow_nan=False), encoding="utf-8")
    assert read_result(path) == result


def test_every_protocol_has_one_entry():
    assert [*PROTOCOLS, "search"] == list(TITLES) == list(get_args(Protocol))
    assert {suite.protocol for suite in SUITES.values()} == set(PROTOCOLS)
    optional = EvalSettings({"A": 0.5}, "x", 1).given
    assert optional == ("thresholds", "threshold_split", "n")
    assert set().union(*(entry.heeds for entry in PROTOCOLS.values())) == set(optional)
    assert EvalSettings().given == ()
    assert [name for name, entry in PROTOCOLS.items() if entry.is_pooled] == ["best-of-n"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"thresholds": {"A": math.nan}}, "^thresholds\\['A'\\]=nan is not a number"),
        ({"thresholds": {"A": "0.5"}}, "^thresholds\\['A'\\]='0.5' is not a number"),
        ({"n": 0}, "^n=0 is not a whole number"),
        ({"n": "4"}, "^n='4' is not a whole number"),
        ({"draws": 0}, "^draws=0 is not a whole number"),
        ({"draws": 10.0}, "^draws=10.0 is not a whole number"),
        ({"seed": -1}, "^seed=-1 is not a whole number"),
    ],
)
def test_settings_that_mean_nothing(given, message):
    with pytest.raises(InputError, match=message):
        EvalSettings(**given)


def test_the_same_again_is_the_same():
    data, own, scores = pools()
    one, two = (measure_suite(data, {"A": table(scores)}, HOW, Drops(), own) for _ in range(2))
    assert one[:2] == two[:2]
    assert list(one[2]) == list(two[2])


def test_a_difference_is_a_minus_b():
    """A 0.9 and B 0.2, draw by draw: B - A is -0.7."""
    (found,) = differences([number("A", 0.9), number("B", 0.2), number("B", 0.3, split="y")])
    assert (found.a, found.b, found.name, found.split, found.variant) == ("B", "A", "f1", "x", "")
    assert (found.value, found.low, found.high) == (pytest.approx(-0.7),) * 3


def test_three_scorers_have_three_differences_and_an_undefined_number_none():
    found = differences([number("A"), number("B", math.nan), number("C"), number("D")])
    assert [(d.a, d.b) for d in found] == [("C", "A"), ("D", "A"), ("D", "C")]


def test_means_of_splits_by_hand():
    """0.25 of one row and 0.75 of three: macro 0.5, weighted (0.25 + 3 · 0.75) / 4 = 0.625."""
    macro, weighted = averaged([number(value=0.25, n=1), number(value=0.75, split="y", n=3)])
    assert (macro.split, macro.drawn[0], macro.n) == ("macro", 0.5, 4)
    assert (weighted.split, weighted.drawn[0], weighted.n) == ("weighted", 0.625, 4)
    assert list(averaged([number(), number(name="mcc")])) == []


def test_a_split_without_rows_weighs_nothing():
    macro, weighted = averaged([number(value=0.25, n=2), number(value=math.nan, split="y", n=0)])
    assert np.isnan(macro.drawn).all()
    assert weighted.drawn == pytest.approx([0.25, 0.15, 0.35])
    _, weighted = averaged([number(value=math.nan, n=0), number(value=math.nan, split="y", n=0)])
    assert np.isnan(weighted.drawn).all()


@pytest.mark.parametrize(
    ("scores", "expected"), [([0.0, 1.0], T), ([0.5, 1.1], F), ([-0.1], F), ([], F), ([math.nan], F)]
)
def test_what_a_probability_is(scores, expected):
    assert is_probability(np.array(scores)) is expected


def test_pictures_by_hand():
    scores, right = np.array([0.05, 0.1, 0.95, 1.0]), np.array([0.0, 1.0, 1.0, 1.0])
    picture = reliability_picture("A", "min", scores, right)
    assert [(b.low, b.high, b.count) for b in picture.bins if b.count] == [(0.0, 0.1, 2), (0.9, 1.0, 2)]
    assert [b.share_right for b in picture.bins] == [
        b.share_right for b in reliability(scores.tolist(), right.tolist())
    ]
    assert reliability_picture("A", "min", scores - 1, right) is None
    many = lengths_picture("A", "min", np.arange(5001.0), np.append(np.arange(5000.0), -np.inf), np.arange(5001) % 2)
    assert (many.points[0], many.points[1], len(many.points)) == ((0, 0, F), (3, 3, T), 1667)


def test_our_own_files_for_best_of_n(tmp_path):
    """q has no chain, and a chain no problem: both are counted."""
    write_records(tmp_path / "problems.jsonl", [Problem("p", "2 + 2?", "4"), Problem("q", "?", "1")])
    texts = {"p/0": "The answer is 4", "p/1": "The answer is 5"}
    chains = [*(Chain(i, "p", (text,)) for i, text in texts.items()), Chain("r/0", "r", ("a",))]
    write_records(tmp_path / "chains.jsonl", chains)
    drops = Drops()
    data = read_own("best-of-n", tmp_path / "problems.jsonl", tmp_path / "chains.jsonl", drops)
    own = list(make_pools(data.truths, data.problems, data.chains, drops))
    result, shown, _ = measure_suite(data, {"A": table(dict.fromkeys(texts, (0.5,)))}, HOW, drops, own)
    assert result.data["dropped"] == {"its problem is missing": 1, "no solution": 1}
    assert (result.data["rows"], [c.is_right for c in shown]) == (1, [T, F])


def test_our_own_files_of_the_arithmetic_world(tmp_path):
    """The steps after a first error are judged too; the suite has one split."""
    write_records(tmp_path / "problems.jsonl", [Problem("w", "?", "3", {"values": [1, 3]})])
    chains = [
        Chain("a", "w", ("found: 1 + 2 = 3\n", "The answer is 3")),
        Chain("b", "w", ("found: 1 + 2 = 4\n", "The answer is 4")),
    ]
    write_records(tmp_path / "chains.jsonl", chains)
    data = read_own("world", tmp_path / "problems.jsonl", tmp_path / "chains.jsonl", Drops())
    assert [(t.steps, t.is_answer_right) for t in data.truths] == [((T, T), T), ((F, F), F)]
    result, *_ = measure_suite(
        data,
        {"A": table({"a": (0.9, 0.9), "b": (0.1, 0.9)}), "B": table({"a": (0.9, 0.9), "b": (0.9, 0.1)})},
        HOW,
        Drops(),
    )
    own = [(m.scorer, m.split, m.value) for m in result.metrics if (m.name, m.variant) == ("f1", "fixed 0.5")]
    assert own == [("A", "all", 1.0), ("B", "all", 0.0)], "each number stands once, though the split is called all too"
    assert {(d.a, d.b) for d in result.differences} == {("B", "A")}


def test_step_scores_that_do_not_fit_are_named_whatever_the_protocol():
    data, own, scores = pools()
    scores["p1/1"] = (0.5,)
    with pytest.raises(InputError, match="PRM: chain 'p1/1' has 1 scores, 2 steps") as caught:
        measure_suite(data, {"PRM": table(scores)}, HOW, Drops(), own)
    assert "splitter" in caught.value.hint
    rewards = table({i: (own_scores[0],) for i, own_scores in scores.items()}, "orm")
    assert measure_suite(data, {"RM": rewards}, HOW, Drops(), own)[0].data["rows"] == 4
    truths = [Comparison("c", "p", "x", ("p/0",), ("p/1",))]
    compared = suite("preference", truths, {"p/0": 1, "p/1": 2})
    with pytest.raises(InputError, match="PRM: chain 'p/0' has 2 scores, 1 steps"):
        measure_suite(compared, {"PRM": table({"p/0": (0.5, 0.5), "p/1": (0.5, 0.5)})}, HOW, Drops())
