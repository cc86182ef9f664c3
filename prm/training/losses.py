"""Losses of the heads, one number per item, not averaged: `prm.training.objectives` weights and sums them.

A step's score is a probability ``p = sigmoid(margin)``, where the margin is the log-odds of "right": with two classes,
the difference of their logits. A chain's reward is any real number.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, logsigmoid, mse_loss


def step_cross_entropy(margins: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of step labels (Math-Shepherd, arXiv 2312.08935, section 3).

    On hard labels this is the cross-entropy of two classes, on soft labels the binary cross-entropy, and with each item
    weighted by its number of draws, the negative log-likelihood of binomial counts (up to a constant).

    Args:
        margins: ``(steps,)`` log-odds.
        targets: ``(steps,)`` in [0, 1].

    Returns:
        ``(steps,)``: ``-[t·log p + (1 - t)·log(1 - p)]``.

    >>> step_cross_entropy(Tensor([0.0, 0.0]), Tensor([1.0, 0.25])).round(decimals=4)
    tensor([0.6931, 0.6931])
    """
    return binary_cross_entropy_with_logits(margins.float(), targets, reduction="none")


def step_squared_error(margins: Tensor, targets: Tensor) -> Tensor:
    """Squared error of the probability of each step (Brier 1950); shapes as in `step_cross_entropy`.

    Source: the value head of AlphaMath Almost Zero, arXiv 2405.03553, section 3.2, which regresses Monte Carlo values.

    >>> step_squared_error(Tensor([0.0]), Tensor([1.0]))
    tensor([0.2500])
    """
    return mse_loss(margins.float().sigmoid(), targets, reduction="none")


def bradley_terry(chosen: Tensor, rejected: Tensor, margins: Tensor) -> Tensor:
    """Negative log-likelihood that the chosen chain beats the rejected one (InstructGPT, arXiv 2203.02155, eq. 1).

    Args:
        chosen: ``(pairs,)`` rewards.
        rejected: ``(pairs,)`` rewards.
        margins: ``(pairs,)`` by which the chosen chain should win; 0 for none (Llama 2, arXiv 2307.09288, section
            3.2.2, eq. 2).

    Returns:
        ``(pairs,)``: ``-log sigmoid(chosen - rejected - margin)``.

    >>> bradley_terry(Tensor([2.0]), Tensor([2.0]), Tensor([0.0])).round(decimals=4)
    tensor([0.6931])
    """
    return -logsigmoid((chosen - rejected).float() - margins)


def centering(chosen: Tensor, rejected: Tensor) -> Tensor:
    """Squared sum of the rewards of each pair: keeps rewards around 0, a shift that Bradley-Terry leaves free.

    Source: Helping or Herding?, arXiv 2312.09244, section 2.2.

    >>> centering(Tensor([2.0]), Tensor([-1.0]))
    tensor([1.])
    """
    return (chosen + rejected).float().square()


def pointwise(rewards: Tensor, values: Tensor) -> Tensor:
    """Cross-entropy of a chain's outcome, with its reward as the log-odds of "right".

    Source: the verifiers of Training Verifiers to Solve Math Word Problems, arXiv 2110.14168, sections 4.2 and 4.3. Its
    token-level verifier, which overfits less, becomes the loss `every-step`. Differs from the paper: cross-entropy
    instead of squared error, and step ends instead of all tokens.

    Args:
        rewards: ``(chains,)`` log-odds.
        values: ``(chains,)`` in [0, 1]: 1 where the chain is right.
    """
    return binary_cross_entropy_with_logits(rewards.float(), values, reduction="none")


def regression(rewards: Tensor, values: Tensor) -> Tensor:
    """Squared error of rewards against given values, any real numbers (HelpSteer2, arXiv 2406.08673, section 3)."""
    return mse_loss(rewards.float(), values, reduction="none")


def plackett_luce(rewards: Tensor, values: Tensor, groups: Tensor) -> Tensor:
    """Negative log-likelihood of the whole order of each group (Plackett 1975; ListMLE, Xia et al. 2008).

    Each chain must win against every chain of its group with a lower value. For a group of two this is Bradley-Terry.
    Differs from the paper, whose orders are strict: chains of equal value are not compared.

    Args:
        rewards: ``(chains,)``.
        values: ``(chains,)`` that order the chains of a group, highest first.
        groups: ``(chains,)`` number of each chain's group.

    Returns:
        ``(chains,)``, 0 for the lowest of a group; the sum over a group is its negative log-likelihood.
    """
    beaten = (groups[:, None] == groups) & (values < values[:, None])
    rivals = beaten | torch.eye(len(rewards), dtype=torch.bool, device=rewards.device)
    scores = rewards.float()
    return scores.expand(len(scores), -1).masked_fill(~rivals, -torch.inf).logsumexp(dim=1) - scores


def next_token(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of tokens, an auxiliary loss that preserves the backbone's knowledge.

    Source: Training Verifiers to Solve Math Word Problems, arXiv 2110.14168, section 4.3 (the joint objective).

    Args:
        logits: ``(tokens, vocabulary)``.
        targets: ``(tokens,)`` ids of the actual tokens.
    """
    return cross_entropy(logits.float(), targets, reduction="none")
