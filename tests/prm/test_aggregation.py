"""One score from many, worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prm.aggregation import AGGREGATORS, aggregate
from prm.errors import InputError

BY_HAND = {"min": 0.25, "product": math.log(0.09375), "mean": 0.5, "last": 0.5, "max": 0.75}


@pytest.mark.parametrize("name", AGGREGATORS)
def test_by_hand(name):
    assert aggregate([0.25, 0.75, 0.5], name) == pytest.approx(BY_HAND[name])


@pytest.mark.parametrize("name", AGGREGATORS)
def test_a_chain_without_steps_is_last(name):
    assert aggregate([], name) == -math.inf


def test_a_step_of_probability_zero_makes_the_product_zero():
    assert aggregate([0.9, 0.0], "product") == -math.inf


def test_a_long_product_does_not_underflow():
    assert aggregate([0.1] * 1000, "product") > aggregate([0.1] * 1001, "product") > -math.inf


@given(score=st.floats(0.001, 1), other=st.floats(0.001, 1))
def test_all_agree_on_the_order_of_one_step_chains(score, other):
    for name in AGGREGATORS:
        assert (aggregate([score], name) > aggregate([other], name)) <= (score > other)
        assert name == "product" or aggregate([score], name) == score


def test_an_unknown_aggregator_is_refused():
    with pytest.raises(InputError, match="median") as caught:
        aggregate([0.5], "median")
    assert all(name in caught.value.hint for name in AGGREGATORS)
