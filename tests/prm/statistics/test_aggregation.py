"""One score from many, worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prm.errors import InputError
from prm.statistics.aggregation import AGGREGATORS, aggregate

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
def test_a_chain_without_steps_is_last(name):
    assert aggregate([], name) == -math.inf


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("score", [0.0, -0.5])
def test_a_step_of_probability_zero_makes_the_product_zero(name, score):
    assert aggregate([0.9, score], name) == aggregate([score, 0.9, 0.9], name) == -math.inf


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
