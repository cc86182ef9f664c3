"""Losses of the two heads."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, log_softmax, logsigmoid


def step_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of step labels, hard or soft (Math-Shepherd, arXiv 2312.08935, section 3).

    Args:
        logits: ``(steps, 2)``, class 1 is "right"; the steps of all chains of a batch in one list.
        targets: ``(steps,)`` in [0, 1]; a hard label is 0 or 1.

    Returns:
        Scalar, the mean over steps: ``-[t·log p + (1 - t)·log(1 - p)]``. 0 where there is no step.
    """
    if not len(targets):
        return logits.sum() * 0.0
    log_probs = log_softmax(logits.float(), dim=-1)
    return -(targets * log_probs[:, 1] + (1 - targets) * log_probs[:, 0]).mean()


def bradley_terry_loss(chosen: Tensor, rejected: Tensor, weights: Tensor) -> Tensor:
    """Negative log-likelihood that the chosen chain beats the rejected one (InstructGPT, arXiv 2203.02155, eq. 1).

    Args:
        chosen: ``(pairs,)`` rewards.
        rejected: ``(pairs,)`` rewards.
        weights: ``(pairs,)`` that sum to 1. The paper gives each problem the same weight, shared by its pairs.

    Returns:
        Scalar, the weighted sum of ``-log sigmoid(chosen - rejected)``.

    >>> round(float(bradley_terry_loss(Tensor([2.0]), Tensor([2.0]), Tensor([1.0]))), 4)
    0.6931
    """
    return -(weights * logsigmoid((chosen - rejected).float())).sum()


def outcome_loss(rewards: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the chain's outcome, read at the end of every step.

    The token-level verifier of Training Verifiers to Solve Math Word Problems (arXiv 2110.14168, section 4.3), which
    overfits less than one that is read at the last token alone. Differs from the paper: cross-entropy for its squared
    error, and step ends for all tokens.

    Args:
        rewards: ``(step ends,)``, as logits.
        targets: ``(step ends,)``, 1 where the chain that the step belongs to is right.

    Returns:
        Scalar, the mean over step ends.
    """
    return binary_cross_entropy_with_logits(rewards.float(), targets)


def language_model_loss(logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of the next token, an auxiliary loss that keeps what the backbone knows.

    Source: Training Verifiers to Solve Math Word Problems, arXiv 2110.14168, section 4.3 (the joint objective).

    Args:
        logits: ``(chains, length, vocabulary)``.
        ids: ``(chains, length)``.
        mask: ``(chains, length)``, 1 for a token to be predicted; the first of a chain never is.

    Returns:
        Scalar, the mean over those tokens.
    """
    targets = ids[:, 1:].masked_fill(mask[:, 1:] == 0, -100)
    return cross_entropy(logits[:, :-1].flatten(0, 1).float(), targets.flatten(), ignore_index=-100)
