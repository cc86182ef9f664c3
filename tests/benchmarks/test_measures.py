"""Bootstrap, best of N and step measures, worked out by hand."""

import pytest

from benchmarks.best_of_n import evaluate, make_pools
from benchmarks.bootstrap import bootstrap_mean
from benchmarks.step_truth import label_quality, score_quality, truths
from prm.errors import InputError
from prm.records import Chain, Problem, StepLabels, StepScores


def test_the_interval_of_a_known_case():
    """100 coins, half heads: the standard error is 0.05, so the interval is 0.5 ± 1.96 * 0.05."""
    found = bootstrap_mean([0.0, 1.0] * 50, draws=4000, seed=1)
    assert found.value == 0.5
    assert found.low == pytest.approx(0.402, abs=0.015)
    assert found.high == pytest.approx(0.598, abs=0.015)
    assert found == bootstrap_mean([0.0, 1.0] * 50, draws=4000, seed=1)
    uneven = [i**0.5 for i in range(50)]
    assert bootstrap_mean(uneven, seed=1) != bootstrap_mean(uneven, seed=2)


def test_the_interval_at_its_ends():
    same = bootstrap_mean([0.25] * 8)
    assert (same.value, same.low, same.high) == (0.25, 0.25, 0.25)
    with pytest.raises(ValueError, match="no problem"):
        bootstrap_mean([])


PROBLEMS = {"p": Problem("p", "?", "4")}


def pool(answers=(4, 5, 5, 4), n=4):
    texts = [f"The answer is {a}" if a is not None else "I do not know." for a in answers]
    return make_pools(PROBLEMS, [Chain(f"p/{i}", "p", (t,)) for i, t in enumerate(texts)], n)


def scores(*values, kind="prm"):
    return {f"p/{i}": StepScores(f"p/{i}", "p", (v,), kind) for i, v in enumerate(values)}


BY_HAND = {  # right, wrong, wrong, right; in blocks of one, of two, and all four
    "pass@1": [0.5, 0.5, 0.5],
    "majority": [0.5, 0.5, 1.0],  # the first block of two is a tie, so its first (right) chain; all four too
    "oracle": [0.5, 1.0, 1.0],
    "PRM min": [0.5, 0.5, 0.0],  # 0.2 0.9 | 0.3 0.8: wrong, right; the best of all is wrong
    "PRM product": [0.5, 0.5, 0.0],
    "PRM last": [0.5, 0.5, 0.0],
    "PRM min vote": [0.5, 0.5, 0.0],  # 0.2 + 0.8 against 0.9 + 0.3
    "ORM": [0.5, 0.5, 1.0],  # 6 -2 | 5 4: right, wrong; the best of all is right
}


@pytest.mark.parametrize(("selector", "values"), BY_HAND.items(), ids=BY_HAND)
def test_best_of_n_by_hand(selector, values):
    orm = scores(6.0, -2.0, 5.0, 4.0, kind="orm")
    result = evaluate(pool(), {"PRM": scores(0.2, 0.9, 0.3, 0.8), "ORM": orm}, draws=100)
    rows = {row["k"]: row for row in result["rows"] if row["selector"] == selector}
    assert [rows[k]["value"] for k in (1, 2, 4)] == values
    assert all(row["low"] == row["value"] == row["high"] for row in rows.values()), "one problem has no spread"
    assert result["protocol"]["n"] == 4


def test_chain_auroc_by_hand():
    """Of the four pairs only 0.8 against 0.3 is won."""
    result = evaluate(pool(), {"PRM": scores(0.2, 0.9, 0.3, 0.8)}, draws=100)
    assert result["chain_auroc"]["PRM"] == {"min": 0.25, "product": 0.25, "last": 0.25}


def test_a_size_that_is_no_power_of_two_uses_whole_blocks_only():
    result = evaluate(pool((4, 5, 4), n=3), {}, draws=100)
    assert {(r["k"], r["value"]) for r in result["rows"] if r["selector"] == "oracle"} == {
        (1, 2 / 3),
        (2, 1.0),
        (3, 1.0),
    }


def test_undecided_chains_are_counted_and_never_chosen():
    (found,) = pools = pool((None, 5, 4, None))
    assert (found.undecided, found.is_right, found.groups) == (2, (False, False, True, False), (None, 0, 1, None))
    result = evaluate(pools, {"PRM": scores(0.9, 0.1, 0.2, 0.9)}, draws=100)
    assert result["protocol"]["undecided"] == 2
    assert next(r["value"] for r in result["rows"] if (r["selector"], r["k"]) == ("PRM min", 4)) == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pool(n=5), "fewer than N = 5"),
        (lambda: make_pools({}, [Chain("c", "p", ("a",))], 1), "'p' is missing"),
        (lambda: make_pools({"p": Problem("p", "?")}, [Chain("c", "p", ("a",))], 1), "no answer"),
        (lambda: evaluate([], {}), "no problem"),
        (lambda: evaluate(pool(), {"PRM": scores(0.1)}), "'p/1' has no score"),
        (
            lambda: evaluate(pool(), {"x": scores(0.1, 0.2, 0.3) | {"p/3": StepScores("p/3", "p", (1.0,), "orm")}}),
            "mixes",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


TRUTH = {"a": [True, True, False], "b": [True, False], "c": [True, True], "d": [True]}


def label(identity, right, wrong, outcome="incorrect"):
    n = len(right)
    return StepLabels(identity, "p", right, wrong, (0,) * n, ("drawn",) * (n - 1) + ("answer",), outcome)


def test_label_quality_by_hand():
    given = [
        label("a", (1, 0, 0), (0, 1, 0)),  # True False False: the second is a false negative
        label("b", (1, 0), (0, 0), "timeout"),  # True, unknown
        label("d", (0,), (0,), "correct"),  # True
    ]
    found = label_quality(TRUTH, given)
    assert (found["steps"], found["agreement"], found["unknown"]) == (6, 4 / 5, 1 / 6)
    assert (found["false_negatives"], found["false_positives"]) == (1 / 5, 0.0)
    assert found["agreement_by_position"] == [1.0, 0.0, 1.0]
    found = label_quality(TRUTH, [label("b", (1, 0), (0, 0), "correct")])  # True True: the last is a false positive
    assert (found["false_negatives"], found["false_positives"], found["agreement"]) == (0.0, 0.5, 0.5)


def test_labels_without_evidence_cannot_be_measured():
    with pytest.raises(InputError, match="no step has a hard label"):
        label_quality(TRUTH, [label("b", (0, 0), (0, 0), "timeout")])


def test_score_quality_by_hand():
    given = {"a": (0.9, 0.6, 0.2), "b": (0.4, 0.35), "c": (0.9, 0.3), "d": (0.8,)}
    found = score_quality(TRUTH, [StepScores(i, "p", s, "prm") for i, s in given.items()])
    assert found["step_auroc"] == pytest.approx(11 / 12)  # only 0.3 (c) is below a wrong step, 0.35 (b)
    assert found["step_auroc_within_position"] == 0.5  # second steps: 0.6 and 0.3 against 0.35
    assert found["first_error_accuracy"] == 0.5  # a is found; b is called wrong one step too early
    assert found["all_right_accuracy"] == 0.5  # d; c is called wrong
    assert found["f1"] == 0.5


def test_truth_is_read_from_the_problems_values():
    chain = Chain("c", "w", ("found: 1 + 2 = 3\n", "The answer is 4"))
    assert truths({"w": Problem("w", "?", "3", {"values": [1, 3]})}, [chain]) == {"c": [True, False]}
    for problems in ({}, {"w": Problem("w", "?", "3")}):
        with pytest.raises(InputError, match="'w' is missing or has no exact truth"):
            truths(problems, [chain])
