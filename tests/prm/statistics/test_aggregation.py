"""One score from many, worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prm.errors import InputError
from prm.statistics.aggregation import AGGREGATORS, Aggregator, Segments, aggregate, aggregate_many, is_logarithm

BY_HAND = {  # of 0.25, 0.75 and 0.5, whose product is 0.09375
    "min": 0.25,
    "product": math.log(0.09375),
    "geometric-mean": math.log(0.09375) / 3,
    "mean": 0.5,
    "last": 0.5,
    "max": 0.75,
}
LOGS = ("product", "geometric-mean")


@pytest.mark.parametrize("name", AGGREGATORS)
def test_by_hand(name):
    assert aggregate([0.25, 0.75, 0.5], name) == pytest.approx(BY_HAND[name])


@pytest.mark.parametrize("name", AGGREGATORS)
def test_a_chain_without_steps_counts_as_one_step_of_score_0(name):
    assert aggregate([], name) == aggregate([0.0], name)
    assert math.isfinite(aggregate([], name))


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("score", [0.0, -0.5])
def test_a_step_of_probability_zero_is_the_lowest_but_finite(name, score):
    """2^-149, the least positive number in 32 bits, stands for 0."""
    assert aggregate([score], name) == pytest.approx(-149 * math.log(2))
    assert aggregate([1.0, score], "product") == aggregate([score, 1.0, 1.0], "product") > -math.inf
    assert aggregate([1.0, score], name) < aggregate([1.0, 1e-40], name)


@given(chains=st.lists(st.lists(st.floats(-2, 1), max_size=5), max_size=6))
def test_many_chains_at_once_are_as_each_alone(chains):
    bounds = np.cumsum([0, *map(len, chains)])
    segments = Segments.of(np.array([score for chain in chains for score in chain], dtype=float), bounds)
    for name, aggregator in AGGREGATORS.items():
        expected = pytest.approx([aggregate(chain, name) for chain in chains])
        assert aggregator.over(segments) == expected
        assert replace(aggregator, many=None).over(segments) == expected


def test_a_long_product_does_not_underflow():
    assert aggregate([0.1] * 1000, "product") > aggregate([0.1] * 1001, "product") > -math.inf


def test_length_does_not_lower_the_geometric_mean():
    """A chain of 1,000 steps like one of a single step; by the product it is far below."""
    assert aggregate([0.5] * 1000, "geometric-mean") == pytest.approx(math.log(0.5))
    assert aggregate([0.5] * 1000, "product") == pytest.approx(1000 * math.log(0.5))


@given(scores=st.lists(st.floats(0.001, 1), min_size=1, max_size=9))
def test_the_geometric_mean_lies_between_the_least_and_the_mean(scores):
    middle = math.exp(aggregate(scores, "geometric-mean"))
    assert aggregate(scores, "min") - 1e-12 <= middle <= aggregate(scores, "mean") + 1e-12


@given(score=st.floats(0.001, 1), other=st.floats(0.001, 1))
def test_all_agree_on_the_order_of_one_step_chains(score, other):
    for name in AGGREGATORS:
        assert (aggregate([score], name) > aggregate([other], name)) <= (score > other)
        assert aggregate([score], name) == (math.log(score) if name in LOGS else score)


def test_an_unknown_aggregator_is_refused():
    with pytest.raises(InputError, match="median") as caught:
        aggregate([0.5], "median")
    assert all(name in caught.value.hint for name in AGGREGATORS)


FORMS = {
    "array": np.array([0.25, 0.75, 0.5]),
    "32 bits": np.array([0.25, 0.75, 0.5], dtype=np.float32),
    "series": pd.Series([0.25, 0.75, 0.5], index=[5, 6, 7]),
    "tensor": torch.tensor([0.25, 0.75, 0.5]),
    "generator": [0.25, 0.75, 0.5],
}


@pytest.mark.parametrize("name", AGGREGATORS)
@pytest.mark.parametrize("form", FORMS)
def test_scores_may_be_an_array(form, name):
    scores = iter(FORMS[form]) if form == "generator" else FORMS[form]
    assert aggregate(scores, name) == aggregate([0.25, 0.75, 0.5], name)
    assert aggregate(FORMS[form][:0], name) == aggregate([], name)


@pytest.mark.parametrize("name", AGGREGATORS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_refused(bad, name):
    with pytest.raises(InputError, match="not all finite"):
        aggregate([0.5, bad], name)


@pytest.mark.parametrize("scores", [None, 0.5, ["high"], [[0.5, 0.5]], [None]])
def test_what_is_not_a_list_of_numbers_is_refused(scores):
    with pytest.raises(InputError, match="aggregate") as caught:
        aggregate(scores)
    assert caught.value.hint


@pytest.fixture
def own(monkeypatch):
    """Register an aggregator as "own"."""
    return lambda made: monkeypatch.setitem(AGGREGATORS, "own", made)


SEGMENTS = Segments(np.array([0.5, 0.25, 0.75]), np.array([0, 2]))
BROKEN_ONE = {
    "raises": (lambda scores: 1 / 0, "failed on .*: ZeroDivisionError"),
    "None": (lambda scores: None, "(failed on .*: TypeError|gives )"),
    "text": (lambda scores: "high", "failed on .*: ValueError"),
    "nan": (lambda scores: math.nan, "gives n"),
    "inf": (lambda scores: math.inf, "gives "),
}


@pytest.mark.parametrize(("one", "message"), BROKEN_ONE.values(), ids=BROKEN_ONE)
def test_an_aggregator_that_fails_is_named(own, one, message):
    own(Aggregator(one, help="broken"))
    for use in (lambda: aggregate([0.5, 0.25], "own"), lambda: aggregate_many(SEGMENTS, "own")):
        with pytest.raises(InputError, match=f"aggregator 'own' .*{message}") as caught:
            use()
        assert caught.value.hint


BROKEN_MANY = {
    "raises": (lambda segments: 1 / 0, "failed on .*: ZeroDivisionError"),
    "None": (lambda segments: None, "gives shape"),
    "too few": (lambda segments: np.zeros(1), r"gives shape \(1,\) for 2 chains"),
    "too many": (lambda segments: segments.values, r"gives shape \(3,\) for 2 chains"),
    "one number": (lambda segments: 0.5, r"gives shape \(\) for 2 chains"),
    "nan": (lambda segments: np.array([0.5, math.nan]), "not finite"),
}


@pytest.mark.parametrize(("many", "message"), BROKEN_MANY.values(), ids=BROKEN_MANY)
def test_an_aggregator_that_fails_on_many_chains_is_named(own, many, message):
    own(Aggregator(min, help="broken", many=many))
    assert aggregate([0.5, 0.25], "own") == 0.25
    with pytest.raises(InputError, match=f"aggregator 'own' .*{message}") as caught:
        aggregate_many(SEGMENTS, "own")
    assert caught.value.hint


@pytest.mark.parametrize("name", AGGREGATORS)
def test_many_chains_by_name(name):
    assert aggregate_many(SEGMENTS, name).tolist() == pytest.approx(
        [aggregate([0.5, 0.25], name), aggregate([0.75], name)]
    )


def test_a_plain_function_is_not_an_aggregator(own):
    own(min)
    for use in (lambda: aggregate([0.5], "own"), lambda: aggregate_many(SEGMENTS, "own"), lambda: is_logarithm("own")):
        with pytest.raises(InputError, match=r"aggregator 'own' is a \w+, not a prm.Aggregator") as caught:
            use()
        assert "prm.Aggregator(" in caught.value.hint
