"""One score from many, worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prm.errors import InputError
from prm.statistics.aggregation import AGGREGATORS, Segments, aggregate

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
