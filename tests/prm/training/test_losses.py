"""Values worked out by hand, and what follows from the definitions."""

import itertools
import math

import pytest
import torch
from torch import Tensor, tensor

from prm.training.losses import (
    bradley_terry,
    centering,
    next_token,
    plackett_luce,
    pointwise,
    regression,
    step_cross_entropy,
    step_squared_error,
)

LOG3 = math.log(3)  # log-odds of 3/4


def close(found, expected):
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


def test_cross_entropy_of_steps_by_hand():
    """p = 3/4: -log 3/4, -log 1/4, and half of each."""
    found = step_cross_entropy(tensor([LOG3] * 3), tensor([1.0, 0.0, 0.5]))
    close(found, [0.2876821, 1.3862944, 0.8369882])


def test_cross_entropy_is_that_of_two_classes():
    logits = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    labels = tensor([0, 1, 1, 0, 1, 0])
    two_classes = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    assert torch.allclose(step_cross_entropy(logits[:, 1] - logits[:, 0], labels.float()), two_classes)


def test_weighted_by_draws_it_is_the_binomial_likelihood_of_the_counts():
    right, wrong = tensor([3.0, 0.0, 40.0]), tensor([1.0, 8.0, 24.0])
    margins = tensor([0.3, -1.0, 2.0])
    likelihood = torch.distributions.Binomial(right + wrong, logits=margins).log_prob(right)
    constant = torch.lgamma(right + wrong + 1) - torch.lgamma(right + 1) - torch.lgamma(wrong + 1)
    found = (right + wrong) * step_cross_entropy(margins, right / (right + wrong))
    assert torch.allclose(found, constant - likelihood, atol=1e-4)


def test_no_loss_overflows():
    """Logits of a thousand, as a broken or very sure head has them."""
    margins = tensor([1000.0, -1000.0])
    close(step_cross_entropy(margins, tensor([0.0, 1.0])), [1000.0, 1000.0])
    close(step_cross_entropy(margins, tensor([1.0, 0.0])), [0.0, 0.0])
    close(bradley_terry(margins, -margins, tensor([0.0, 0.0])), [0.0, 2000.0])
    close(plackett_luce(margins, tensor([0.0, 1.0]), tensor([0, 0])), [0.0, 2000.0])


def test_squared_error_of_steps_by_hand():
    close(step_squared_error(tensor([LOG3, LOG3]), tensor([1.0, 0.25])), [0.0625, 0.25])


def test_bradley_terry_by_hand():
    """P(win) = sigmoid(log 3) = 3/4; a margin of log 3 makes it 1/2."""
    found = bradley_terry(tensor([LOG3, LOG3, 0.0]), tensor([0.0, 0.0, LOG3]), tensor([0.0, LOG3, 0.0]))
    close(found, [0.2876821, 0.6931472, 1.3862944])


def test_centering_by_hand():
    close(centering(tensor([3.0, 1.0]), tensor([1.0, -1.0])), [16.0, 0.0])


def test_pointwise_and_regression_by_hand():
    close(pointwise(tensor([LOG3, LOG3]), tensor([1.0, 0.0])), [0.2876821, 1.3862944])
    close(regression(tensor([3.0, -1.0]), tensor([1.0, -1.0])), [4.0, 0.0])


def test_plackett_luce_of_two_is_bradley_terry():
    rewards, order = tensor([0.3, 1.1]), tensor([1.0, 0.0])
    expected = bradley_terry(rewards[:1], rewards[1:], tensor([0.0]))
    close(plackett_luce(rewards, order, tensor([7, 7])), [float(expected), 0.0])


def test_plackett_luce_by_hand():
    """Strengths 1, 2, 3 in the order best 3, then 1, then 2: 3/6 · 1/3."""
    rewards = tensor([1.0, 2.0, 3.0]).log()
    found = plackett_luce(rewards, tensor([5.0, 1.0, 9.0]), tensor([0, 0, 0]))
    close(found, [math.log(3), 0.0, math.log(2)])


def test_the_probabilities_of_all_orders_sum_to_one():
    rewards = torch.randn(4, generator=torch.Generator().manual_seed(1))
    orders = itertools.permutations([0.0, 1.0, 2.0, 3.0])
    total = sum(math.exp(-float(plackett_luce(rewards, Tensor(o), torch.zeros(4)).sum())) for o in orders)
    assert total == pytest.approx(1.0, abs=1e-5)


def test_plackett_luce_compares_neither_equals_nor_strangers():
    rewards, values = tensor([0.5, 0.2, 0.9, -1.0]), tensor([1.0, 1.0, 0.0, 0.0])
    together = plackett_luce(rewards, values, tensor([0, 1, 0, 1]))
    apart = [plackett_luce(rewards[i::2], values[i::2], tensor([0, 0])) for i in range(2)]
    close(together, [float(apart[0][0]), float(apart[1][0]), 0.0, 0.0])
    equals = plackett_luce(rewards[:2], values[:2], tensor([0, 0]))
    close(equals, [0.0, 0.0])


def test_next_token_is_the_negative_log_probability_of_what_came():
    logits = tensor([[0.0, LOG3], [0.0, 0.0]])
    close(next_token(logits, tensor([1, 0])), [0.2876821, 0.6931472])


@pytest.mark.parametrize(
    "loss",
    [
        lambda r: step_cross_entropy(r, tensor([1.0, 0.0])),
        lambda r: bradley_terry(r, tensor([0.0, 0.0]), tensor([0.0, 0.0])),
        lambda r: plackett_luce(r, tensor([1.0, 0.0]), tensor([0, 0])),
    ],
)
def test_half_precision_is_computed_in_full(loss):
    half = tensor([20.0, -20.0], dtype=torch.bfloat16)
    assert torch.allclose(loss(half), loss(half.float()))
    assert loss(half).dtype == torch.float32
