"""Losses of the heads, one number per item, not averaged: `prm.training.objectives` weights and sums them.

A step's score is a probability ``p = sigmoid(margin)``, where the margin is the log-odds of "right": with two classes,
the difference of their logits. A chain's reward is any real number; a model with several outputs gives one for each.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss


def step_cross_entropy(margins: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of step labels (Math-Shepherd, arXiv 2312.08935, section 3).

    On hard labels this is the cross-entropy of two classes, on soft labels the binary cross-entropy, and with each item
    weighted by its number of draws, the negative log-likelihood of binomial counts (up to a constant).

    Args:
        margins: ``(steps,)`` log-odds.
        targets: ``(steps,)`` in [0, 1].
        smoothing: share of labels taken for the opposite of the truth, in [0, 0.5): half the epsilon of label smoothing
            (Rethinking the Inception Architecture for Computer Vision, arXiv 1512.00567, section 7).

    Returns:
        ``(steps,)``: ``-[t·log p + (1 - t)·log(1 - p)]``, with each t moved toward 1 - t by `smoothing`.

    >>> step_cross_entropy(Tensor([0.0, 0.0]), Tensor([1.0, 0.25])).round(decimals=4)
    tensor([0.6931, 0.6931])
    """
    smoothed = targets + smoothing * (1 - 2 * targets)
    return binary_cross_entropy_with_logits(margins.float(), smoothed, reduction="none")


def step_squared_error(margins: Tensor, targets: Tensor) -> Tensor:
    """Squared error of the probability of each step (Brier 1950); shapes as in `step_cross_entropy`.

    Source: the value head of AlphaMath Almost Zero, arXiv 2405.03553, section 3.2, which regresses Monte Carlo values.

    >>> step_squared_error(Tensor([0.0]), Tensor([1.0]))
    tensor([0.2500])
    """
    return mse_loss(margins.float().sigmoid(), targets, reduction="none")


def q_ranking(margins: Tensor, targets: Tensor, chains: Tensor, zeta: float = 4.0) -> Tensor:
    """Comparative loss of a chain's steps (Process Reward Model with Q-Value Rankings, arXiv 2410.11287, eq. 10).

    The margins of right steps should rise along the chain, from the 0 of the bare problem, and those of wrong steps lie
    below them all. Only their order is learned: the sigmoid of such a margin is a score, but no probability. Differs
    from the authors' code: a right step is no rival of itself (there it is, from the second step on).

    Args:
        margins: ``(steps,)``, those of a chain in the order of its steps.
        targets: ``(steps,)``, 1 right and 0 wrong.
        chains: ``(steps,)`` number of each step's chain.
        zeta: by which a right step should be above a wrong one, 0 or more.

    Returns:
        ``(steps,)``: for a right step ``log(1 + A + B) - margin``, for each wrong step ``log(1 + B)``, the loss of the
        bare problem; ``A`` is the sum of ``exp(margin)`` over the right steps up to this one, and ``B`` that of
        ``exp(margin + zeta)`` over all wrong steps.
    """
    scores = margins.float()
    is_right = targets > 0.5
    places = torch.arange(len(scores), device=scores.device)
    is_rival = (chains[:, None] == chains) & (~is_right | (is_right[:, None] & (places <= places[:, None])))
    rivals = (scores + zeta * ~is_right).expand(len(scores), -1).masked_fill(~is_rival, -torch.inf)
    with_problem = torch.cat([torch.zeros_like(scores[:, None]), rivals], dim=1)
    return with_problem.logsumexp(dim=1) - scores * is_right


def beta_binomial(logits: Tensor, targets: Tensor, draws: Tensor) -> Tensor:
    """Negative log-likelihood of counts of successes, if each step's value follows a Beta distribution (Skellam 1948).

    The mean of the Beta distribution is the softmax of the logits, so it is read as any step score; the sum of their
    exponentials is its precision, which grows with the certainty of the score.

    Args:
        logits: ``(steps, 2)``, logarithms of the distribution's beta (wrong) and alpha (right).
        targets: ``(steps,)`` share of rollouts that succeed. A share that is no whole number of rollouts counts in
            proportion: one rollout that succeeds by 0.3 has the cross-entropy of that label.
        draws: ``(steps,)`` number of rollouts, a whole number.

    Returns:
        ``(steps,)``, without the logarithm of the binomial coefficient, which is constant.

    >>> beta_binomial(Tensor([[0.0, 0.0]]), Tensor([0.5]), Tensor([2.0])).exp()  # one of 6, and 2 orders: 1 of 3
    tensor([6.])
    """
    beta, alpha = logits.float().unbind(dim=1)
    counted = torch.arange(int(draws.max()) if len(draws) else 0, device=logits.device)
    return _log_rising(beta.logaddexp(alpha), draws, counted) - (
        _log_rising(alpha, targets * draws, counted) + _log_rising(beta, (1 - targets) * draws, counted)
    )


def _log_rising(log_base: Tensor, factors: Tensor, counted: Tensor) -> Tensor:
    """Logarithm of ``x·(x + 1)·…`` with so many factors; exact for every x, unlike a difference of log-gammas."""
    terms = log_base[:, None].logaddexp(counted.float().log())
    return (terms * (factors[:, None] - counted).clamp(0, 1)).sum(dim=1)


def bradley_terry(chosen: Tensor, rejected: Tensor, margins: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of whether the chosen chain beats the rejected one (InstructGPT, arXiv 2203.02155, eq. 1).

    Args:
        chosen: ``(pairs,)`` rewards.
        rejected: ``(pairs,)`` rewards.
        margins: ``(pairs,)`` by which the chosen chain should win; 0 for none (Llama 2, arXiv 2307.09288, section
            3.2.2, eq. 2).
        targets: ``(pairs,)`` probability that it wins, in [0, 1]: 1, or the share of annotators who prefer it.

    Returns:
        ``(pairs,)``: ``-[t·log sigmoid(d) + (1 - t)·log sigmoid(-d)]`` with ``d = chosen - rejected - margin``.

    >>> bradley_terry(Tensor([2.0]), Tensor([2.0]), Tensor([0.0]), Tensor([1.0])).round(decimals=4)
    tensor([0.6931])
    """
    return binary_cross_entropy_with_logits((chosen - rejected).float() - margins, targets, reduction="none")


def scaled_bradley_terry(chosen: Tensor, rejected: Tensor, gaps: Tensor, targets: Tensor) -> Tensor:
    """Bradley-Terry times how much better the chosen chain is ("scaled" in HelpSteer2-Preference, arXiv 2410.01257).

    Args:
        chosen: ``(pairs,)`` rewards.
        rejected: ``(pairs,)`` rewards.
        gaps: ``(pairs,)`` how much better, above 0: in the paper 1 (slightly), 2 or 3 (much).
        targets: as in `bradley_terry`.
    """
    return gaps * bradley_terry(chosen, rejected, torch.zeros_like(gaps), targets)


def length_debiased(
    chosen: Tensor, rejected: Tensor, margins: Tensor, targets: Tensor, log_ratios: Tensor, coefficient: float
) -> Tensor:
    """Bradley-Terry in which length explains what it can, so that the reward learns the rest.

    A product of two experts: one sees lengths alone, was fitted before, and is left out when scoring (the "bias
    product" of Don't Take the Easy Way Out, arXiv 1909.03683; for reward models, Loose Lips Sink Ships, arXiv
    2310.05199). Differs from the latter, which learns both at once: with a single coefficient, nothing would decide
    how much of the length the reward itself takes over.

    Args:
        chosen: ``(pairs,)`` rewards.
        rejected: ``(pairs,)`` rewards.
        margins: as in `bradley_terry`.
        targets: as in `bradley_terry`.
        log_ratios: ``(pairs,)`` logarithm of the chosen chain's length over the rejected one's.
        coefficient: log-odds of being chosen per unit of that, see `prm.training.lengths.length_coefficient`.
    """
    return bradley_terry(chosen.float() + coefficient * log_ratios, rejected, margins, targets)


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
        rewards: ``(chains, outputs)`` log-odds.
        values: ``(chains, outputs)`` in [0, 1]: 1 where the chain is right.

    Returns:
        ``(chains, outputs)``.
    """
    return binary_cross_entropy_with_logits(rewards.float(), values, reduction="none")


def regression(rewards: Tensor, values: Tensor) -> Tensor:
    """Squared error of rewards against given values, any real numbers (HelpSteer2, arXiv 2406.08673, section 3).

    Args:
        rewards: ``(chains, outputs)``.
        values: ``(chains, outputs)``.

    Returns:
        ``(chains, outputs)``.
    """
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
