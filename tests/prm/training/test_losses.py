"""Values worked out by hand, and what follows from the definitions."""

import itertools
import math

import pytest
import torch
from torch import Tensor, tensor

from prm.training.losses import (
    beta_binomial,
    bradley_terry,
    centering,
    length_debiased,
    next_token,
    plackett_luce,
    pointwise,
    q_ranking,
    regression,
    scaled_bradley_terry,
    step_cross_entropy,
    step_squared_error,
)

LOG3 = math.log(3)  # log-odds of 3/4


ONE = tensor([1.0])


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


def test_smoothed_labels_are_wrong_with_that_probability():
    """p = 3/4: 0.9 of -log 3/4 and 0.1 of -log 1/4; a soft label of 1/2 stays."""
    found = step_cross_entropy(tensor([LOG3] * 3), tensor([1.0, 0.0, 0.5]), 0.1)
    close(found, [0.3975433, 1.2764332, 0.8369882])


def test_no_loss_overflows():
    """Logits of a thousand, as a broken or very sure head has them."""
    margins = tensor([1000.0, -1000.0])
    close(step_cross_entropy(margins, tensor([0.0, 1.0])), [1000.0, 1000.0])
    close(step_cross_entropy(margins, tensor([1.0, 0.0])), [0.0, 0.0])
    close(bradley_terry(margins, -margins, tensor([0.0, 0.0]), tensor([1.0, 1.0])), [0.0, 2000.0])
    close(plackett_luce(margins, tensor([0.0, 1.0]), tensor([0, 0])), [0.0, 2000.0])
    close(q_ranking(margins, tensor([0.0, 1.0]), tensor([0, 0])), [1004.0, 2004.0])
    sure = tensor([[0.0, 1000.0], [1000.0, 0.0], [-1000.0, 0.0]])
    close(beta_binomial(sure, tensor([1.0, 1.0, 1.0]), tensor([3.0, 1.0, 2.0])), [0.0, 1000.0, 0.0])


def test_squared_error_of_steps_by_hand():
    close(step_squared_error(tensor([LOG3, LOG3]), tensor([1.0, 0.25])), [0.0625, 0.25])


def test_bradley_terry_by_hand():
    """P(win) = sigmoid(log 3) = 3/4; a margin of log 3 makes it 1/2."""
    won = tensor([1.0, 1.0, 1.0])
    found = bradley_terry(tensor([LOG3, LOG3, 0.0]), tensor([0.0, 0.0, LOG3]), tensor([0.0, LOG3, 0.0]), won)
    close(found, [0.2876821, 0.6931472, 1.3862944])


def test_votes_divide_a_pair_as_two_pairs_would():
    """Three of four prefer the first: the loss is least where its log-odds are log 3."""
    both = [bradley_terry(tensor([0.7]), tensor([0.2]), tensor([0.0]), tensor([t])) for t in (1.0, 0.0)]
    voted = bradley_terry(tensor([0.7]), tensor([0.2]), tensor([0.0]), tensor([0.75]))
    close(voted, [0.75 * float(both[0]) + 0.25 * float(both[1])])
    ahead = tensor([LOG3], requires_grad=True)
    bradley_terry(ahead, tensor([0.0]), tensor([0.0]), tensor([0.75])).sum().backward()
    close(ahead.grad, [0.0])


def test_scaled_bradley_terry_by_hand():
    found = scaled_bradley_terry(tensor([LOG3, LOG3]), tensor([0.0, 0.0]), tensor([1.0, 3.0]), tensor([1.0, 1.0]))
    close(found, [0.2876821, 3 * 0.2876821])


def test_the_length_explains_a_part_of_a_win():
    """Twice as long has log-odds log 3: of equal rewards, the longer one wins with 3/4 and the shorter one with 1/4."""
    ratios = tensor([2.0, 1.0, 0.5]).log()
    zeros, won = torch.zeros(3), torch.ones(3)
    found = length_debiased(zeros, zeros, zeros, won, ratios, LOG3 / math.log(2))
    close(found, [0.2876821, 0.6931472, 1.3862944])
    close(length_debiased(ratios, zeros, zeros, won, ratios, 0.0), bradley_terry(ratios, zeros, zeros, won).tolist())


def test_q_ranking_by_hand():
    """Exponentials 1 (problem), 2 and 3 (right), 4 (wrong, times 2 by the margin): 2/(1+2+8), 3/(1+2+3+8), 1/(1+8)."""
    margins = tensor([2.0, 3.0, 4.0]).log()
    found = q_ranking(margins, tensor([1.0, 1.0, 0.0]), tensor([5, 5, 5]), zeta=math.log(2))
    close(found, [math.log(11 / 2), math.log(14 / 3), math.log(9)])
    all_right = q_ranking(margins, tensor([1.0, 1.0, 1.0]), tensor([5, 5, 5]))
    close(all_right, [math.log(3 / 2), math.log(6 / 3), math.log(10 / 4)])


def test_q_ranking_is_the_loss_of_its_definition():
    """Equation 10, written as loops over one chain at a time."""
    generator = torch.Generator().manual_seed(2)
    margins, targets = torch.randn(12, generator=generator), (torch.rand(12, generator=generator) < 0.6).float()
    chains = tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2])
    found = q_ranking(margins, targets, chains)
    for chain in range(3):
        places = [i for i in range(12) if chains[i] == chain]
        wrong = sum(math.exp(float(margins[i]) + 4) for i in places if not targets[i])
        right = [0.0, *(float(margins[i]) for i in places if targets[i])]
        terms = [-math.log(math.exp(q) / (sum(map(math.exp, right[: t + 1])) + wrong)) for t, q in enumerate(right)]
        close(found[[i for i in places if targets[i]]], terms[1:])
        close(found[[i for i in places if not targets[i]]], [terms[0]] * (len(places) - len(right) + 1))


def test_q_ranking_pulls_right_steps_up_in_order_and_wrong_ones_down():
    margins = torch.zeros(4, requires_grad=True)
    q_ranking(margins, tensor([1.0, 1.0, 0.0, 0.0]), tensor([0, 0, 0, 0])).sum().backward()
    assert margins.grad[1] < margins.grad[0] < 0 < margins.grad[2] == margins.grad[3]


def test_beta_binomial_by_hand():
    """Alpha = beta = 1: all numbers k of successes are equally likely, one order of them has 1 / ((n + 1) C(n, k))."""
    flat = torch.zeros(4, 2)
    found = beta_binomial(flat, tensor([0.0, 1.0, 0.5, 1 / 3]), tensor([4.0, 4.0, 2.0, 3.0]))
    close(found, [math.log(5), math.log(5), math.log(3 * 2), math.log(4 * 3)])


def test_beta_binomial_is_the_ratio_of_beta_functions():
    draws, right = tensor([16.0, 7.0, 1.0]), tensor([5.0, 7.0, 0.0])
    logits = tensor([[0.5, 1.5], [-1.0, 2.0], [1.0, -2.0]])
    beta, alpha = logits.double().exp().unbind(dim=1)

    def log_beta(a, b):
        return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)

    expected = log_beta(alpha, beta) - log_beta(alpha + right, beta + draws - right)
    assert torch.allclose(beta_binomial(logits, right / draws, draws).double(), expected, atol=1e-4)


def test_one_draw_is_the_cross_entropy_whatever_the_certainty():
    logits = tensor([[0.0, 1.0], [3.0, 4.0], [-5.0, 2.0]])
    targets = tensor([1.0, 1.0, 0.3])
    expected = step_cross_entropy(logits[:, 1] - logits[:, 0], targets)
    assert torch.allclose(beta_binomial(logits, targets, torch.ones(3)), expected, atol=1e-5)


def test_a_sure_beta_is_the_binomial():
    """And counts that agree ask for more certainty, counts of both extremes for less."""
    logits = tensor([[12.0, 12.0 + LOG3]])
    binomial = 8 * step_cross_entropy(tensor([LOG3]), tensor([0.5]))
    assert torch.allclose(beta_binomial(logits, tensor([0.5]), tensor([8.0])), binomial, atol=1e-3)
    for counts, more in (([0.5, 0.5], True), ([0.0, 1.0], False)):
        level = torch.zeros((), requires_grad=True)
        beta_binomial(level + torch.zeros(2, 2), tensor(counts), tensor([8.0, 8.0])).sum().backward()
        assert (level.grad < 0) == more


def test_centering_by_hand():
    close(centering(tensor([3.0, 1.0]), tensor([1.0, -1.0])), [16.0, 0.0])


def test_pointwise_and_regression_by_hand():
    close(pointwise(tensor([LOG3, LOG3]), tensor([1.0, 0.0])), [0.2876821, 1.3862944])
    close(regression(tensor([3.0, -1.0]), tensor([1.0, -1.0])), [4.0, 0.0])


def test_plackett_luce_of_two_is_bradley_terry():
    rewards, order = tensor([0.3, 1.1]), tensor([1.0, 0.0])
    expected = bradley_terry(rewards[:1], rewards[1:], tensor([0.0]), ONE)
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


STEPS_LOSSES = {
    "step": lambda m: step_cross_entropy(m, tensor([1.0, 0.0, 0.3]), 0.1),
    "squared error": lambda m: step_squared_error(m, tensor([1.0, 0.0, 0.3])),
    "q-ranking": lambda m: q_ranking(m, tensor([1.0, 0.0, 1.0]), tensor([0, 0, 1])),
    "beta-binomial": lambda m: beta_binomial(
        torch.stack([-m, m], dim=1), tensor([1.0, 0.0, 0.25]), tensor([8.0, 3.0, 4.0])
    ),
    "scaled": lambda m: scaled_bradley_terry(m, m.flip(0), tensor([1.0, 2.0, 3.0]), tensor([1.0, 0.6, 1.0])),
    "length-debiased": lambda m: length_debiased(m, m.flip(0), *torch.eye(3), 0.5),
}


@pytest.mark.parametrize("name", STEPS_LOSSES)
def test_gradients_are_those_of_small_changes_and_finite_at_any_size(name):
    loss = STEPS_LOSSES[name]
    margins = tensor([0.4, -0.7, 1.2], requires_grad=True)
    loss(margins).sum().backward()
    for i, change in enumerate(torch.eye(3) * 1e-2):
        slope = (loss(margins.detach() + change).sum() - loss(margins.detach() - change).sum()) / 2e-2
        assert float(margins.grad[i]) == pytest.approx(float(slope), abs=2e-3, rel=1e-2)
    for size in (30.0, 1e3, 1e6):
        far = tensor([size, size, -size], requires_grad=True)
        loss(far).sum().backward()
        assert far.grad.isfinite().all()


@pytest.mark.parametrize(
    "loss",
    [
        lambda r: step_cross_entropy(r, tensor([1.0, 0.0])),
        lambda r: bradley_terry(r, tensor([0.0, 0.0]), tensor([0.0, 0.0]), tensor([1.0, 1.0])),
        lambda r: q_ranking(r, tensor([1.0, 0.0]), tensor([0, 0])),
        lambda r: beta_binomial(r[None], tensor([0.5]), tensor([4.0])),
        lambda r: length_debiased(r, torch.zeros(2), torch.zeros(2), torch.ones(2), torch.ones(2), 0.3),
        lambda r: plackett_luce(r, tensor([1.0, 0.0]), tensor([0, 0])),
    ],
)
def test_half_precision_is_computed_in_full(loss):
    half = tensor([20.0, -20.0], dtype=torch.bfloat16)
    assert torch.allclose(loss(half), loss(half.float()))
    assert loss(half).dtype == torch.float32
