"""Losses and metrics, worked out by hand."""

import math
import random

import pytest
import torch

from prm.losses import bradley_terry_loss, language_model_loss, outcome_loss, step_loss
from prm.metrics import auroc, grouped_auroc

LOGITS = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])  # p(right) = 3/4 and 1/2


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([1.0, 0.0], -(math.log(0.75) + math.log(0.5)) / 2),
        ([0.0, 1.0], -(math.log(0.25) + math.log(0.5)) / 2),
        ([0.25, 0.5], -(0.25 * math.log(0.75) + 0.75 * math.log(0.25) + math.log(0.5)) / 2),
    ],
)
def test_step_loss_by_hand(targets, expected):
    assert step_loss(LOGITS, torch.tensor(targets)).item() == pytest.approx(expected, rel=1e-6)


def test_step_loss_is_least_where_the_probability_is_the_soft_label():
    at = torch.tensor([[0.0, math.log(3.0)]], requires_grad=True)
    step_loss(at, torch.tensor([0.75])).backward()
    assert at.grad.abs().max() < 1e-6


def test_no_step_gives_a_loss_of_zero_that_can_be_differentiated():
    logits = torch.zeros(0, 2, requires_grad=True)
    loss = step_loss(logits, torch.zeros(0))
    loss.backward()
    assert loss.item() == 0.0


def test_bradley_terry_by_hand():
    chosen, rejected = torch.tensor([1.0, 0.0]), torch.tensor([1.0, math.log(3.0)])
    loss = bradley_terry_loss(chosen, rejected, torch.tensor([0.25, 0.75]))
    assert loss.item() == pytest.approx(math.log(2) / 4 + 3 * math.log(4) / 4, rel=1e-6)


def test_bradley_terry_does_not_overflow():
    loss = bradley_terry_loss(torch.tensor([-500.0]), torch.tensor([500.0]), torch.ones(1))
    assert loss.item() == pytest.approx(1000.0)


def test_outcome_loss_by_hand():
    loss = outcome_loss(torch.tensor([math.log(3.0), 0.0]), torch.tensor([1.0, 0.0]))
    assert loss.item() == pytest.approx(-(math.log(0.75) + math.log(0.5)) / 2, rel=1e-6)


def test_language_model_loss_counts_only_the_masked_in_tokens():
    logits = torch.zeros(2, 3, 4)
    logits[0, 0, 2] = math.log(3.0)  # p(2) = 3/6 for the second token of the first chain
    ids, mask = torch.tensor([[1, 2, 3], [1, 0, 0]]), torch.tensor([[1, 1, 1], [1, 0, 0]])
    expected = -(math.log(1 / 2) + math.log(1 / 4)) / 2
    assert language_model_loss(logits, ids, mask).item() == pytest.approx(expected, rel=1e-6)


def brute_force(scores, labels):
    pairs = [(p, n) for p, is_p in zip(scores, labels, strict=True) if is_p
             for n, is_n in zip(scores, labels, strict=True) if not is_n]  # fmt: skip
    return sum((p > n) + (p == n) / 2 for p, n in pairs) / len(pairs) if pairs else None


@pytest.mark.parametrize("seed", range(20))
def test_auroc_is_the_share_of_pairs(seed):
    rng = random.Random(seed)
    scores = [rng.randint(0, 5) / 5 for _ in range(30)]  # many ties
    labels = [rng.random() < 0.3 for _ in scores]
    expected = brute_force(scores, labels)
    assert auroc(scores, labels) == (None if expected is None else pytest.approx(expected))


def test_auroc_at_its_ends():
    assert auroc([1, 2, 3], [False, True, True]) == 1.0
    assert auroc([3, 1, 2], [False, True, True]) == 0.0
    assert auroc([1, 1, 1], [False, True, True]) == 0.5
    assert auroc([-math.inf, 0.0], [False, True]) == 1.0
    assert auroc([1, 2], [True, True]) is None
    assert auroc([], []) is None


def test_grouped_auroc_compares_within_groups_only():
    # a: one pair, won; b: two pairs, both lost; c: no pair. Over all groups together it would be otherwise.
    rows = [("a", 0.2, True), ("a", 0.1, False), ("b", 0.7, True), ("b", 0.8, False), ("b", 0.9, False), ("c", 0, True)]
    assert grouped_auroc(rows) == pytest.approx(1 / 3)
    assert grouped_auroc(reversed(rows)) == pytest.approx(1 / 3)
    assert grouped_auroc([("a", 1, True), ("b", 0, False)]) is None
