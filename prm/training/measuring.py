"""Metrics of a model on examples that it was not trained on, during training and at the end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from torch import Tensor

from prm.models.heads import token_head
from prm.scoring.backends import TransformersBackend
from prm.statistics.metrics import auroc, expected_calibration_error, grouped_auroc, localization

from .examples import ChainExample, GroupExample

Metrics = dict[str, float | None]


def measure(model: Any, heads: Collection[str], groups: Sequence[GroupExample], tokens_per_pass: int) -> Metrics:
    """Metrics of each head; None for one that has nothing to compare.

    Args:
        model: from `prm.models.checkpoint.load_model`.
        heads: `step`, `outcome` or both.
        groups: see `prm.training.examples`.
        tokens_per_pass: padded tokens per forward pass.

    Returns:
        Step head, on the labeled steps (a soft label of at least 0.5 counts as right): `step_auroc`;
        `step_auroc_within_position`, which compares only steps equally far into their chains; `first_error_f1`, see
        `prm.statistics.metrics.localization`, at the threshold 0.5; `ece`, in [0, 1].
        Outcome head: `pair_accuracy` over all pairs of chains of a problem with different values, where ties count
        half, and `mean_margin` between their rewards; `reward_mean`, `reward_min`, `reward_max`; `length_correlation`,
        the rank correlation of reward and number of tokens, in [-1, 1].
    """
    chains = [chain for group in groups for chain in group.chains]
    backend = TransformersBackend(model, token_head, tokens_per_pass=tokens_per_pass)
    outputs = backend.outputs([(chain.ids, (*chain.step_ends, len(chain.ids) - 1)) for chain in chains])
    found: Metrics = {}
    if "step" in heads:
        margins = [_margins(values[:-1, :2] if "outcome" in heads else values[:-1]) for values in outputs]
        found |= _step_metrics(list(zip(chains, margins, strict=True)))
    if "outcome" in heads:
        found |= _outcome_metrics(groups, [float(values[-1, -1]) for values in outputs])
    return found


def _margins(values: Tensor) -> Tensor:
    """Log-odds of each step; with several members, those of the mean of their probabilities."""
    margins = values[:, 1::2] - values[:, 0::2]
    return margins[:, 0] if margins.shape[1] == 1 else margins.sigmoid().mean(dim=1).logit(eps=1e-7)


def _step_metrics(chains: Iterable[tuple[ChainExample, Tensor]]) -> Metrics:
    rows: list[tuple[object, float, bool]] = []
    pairs: list[tuple[float, float]] = []
    firsts: list[tuple[int | None, int | None]] = []
    for chain, margins in chains:
        known = [
            (i, float(margin), target)
            for i, (margin, target) in enumerate(zip(margins, chain.targets, strict=True))
            if target is not None
        ]
        rows += [(i, margin, target >= 0.5) for i, margin, target in known]
        pairs += [(float(1 / (1 + np.exp(-margin))), target) for _, margin, target in known]
        if known:
            firsts.append((_first(i for i, m, _ in known if m < 0), _first(i for i, _, t in known if t < 0.5)))
    if not rows:
        return {}
    probabilities, targets = zip(*pairs, strict=True)
    return {
        "step_auroc": auroc([margin for _, margin, _ in rows], [is_right for _, _, is_right in rows]),
        "step_auroc_within_position": grouped_auroc(rows),
        "first_error_f1": localization(firsts)["f1"],
        "ece": expected_calibration_error(probabilities, targets),
    }


def _first(numbers: Iterable[int]) -> int | None:
    return next(iter(numbers), None)


def _outcome_metrics(groups: Sequence[GroupExample], rewards: Sequence[float]) -> Metrics:
    rest = iter(rewards)
    members = [[(chain, next(rest)) for chain in group.chains] for group in groups]
    gaps = [
        better - worse
        for own in members
        for chain, better in own
        for other, worse in own
        if chain.value is not None and other.value is not None and chain.value > other.value
    ]
    if not rewards:
        return {}
    return {
        "pair_accuracy": float(np.mean(np.sign(gaps) / 2 + 0.5)) if gaps else None,
        "mean_margin": float(np.mean(gaps)) if gaps else None,
        "reward_mean": float(np.mean(rewards)),
        "reward_min": min(rewards),
        "reward_max": max(rewards),
        "length_correlation": _rank_correlation(rewards, [len(chain.ids) for own in members for chain, _ in own]),
    }


def _rank_correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman's; None if all values of one side are equal."""
    if len(set(left)) < 2 or len(set(right)) < 2:
        return None
    return float(spearmanr(left, right).statistic)
