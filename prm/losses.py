"""Losses of the two heads."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid


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


def bradley_terry_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """Negative log-likelihood that the chosen chain beats the rejected one (InstructGPT, arXiv 2203.02155, eq. 1).

    Args:
        chosen: ``(pairs,)`` rewards.
        rejected: ``(pairs,)`` rewards.

    Returns:
        Scalar, the mean of ``-log sigmoid(chosen - rejected)``.

    >>> round(float(bradley_terry_loss(Tensor([2.0]), Tensor([2.0]))), 4)
    0.6931
    """
    return -logsigmoid((chosen - rejected).float()).mean()
