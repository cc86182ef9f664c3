"""Metrics of a model on examples that it was not trained on, during training and at the end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from scipy.special import expit
from scipy.stats import spearmanr
from torch import Tensor

from prm.models.heads import likelihood_head, token_head
from prm.scoring.backends import TokenRow, TransformersBackend
from prm.scoring.batching import batches_by_tokens
from prm.statistics.arrays import Bools, Floats, Ints
from prm.statistics.bootstrap import Estimate, Resampling, estimate, harmonic, resample

from .examples import ChainExample, GroupExample

Metrics = dict[str, Estimate]


def measure(
    model: Any,
    heads: Collection[str],
    groups: Sequence[GroupExample],
    tokens_per_pass: int,
    draws: int = 0,
    *,
    beta: float | None = None,
    outputs: Sequence[str] = (),
) -> Metrics:
    """Metrics of each head; without a value where there is nothing to compare.

    The processes of a distributed training each read a part of the chains, and get the same metrics.

    Args:
        model: from `prm.models.checkpoint.load_model`, or from `load_policy`.
        heads: `step`, `outcome` or both.
        groups: at least one, see `prm.training.examples`.
        tokens_per_pass: padded tokens per forward pass.
        draws: of the problems, for intervals; 0 for none.
        beta: scale of the rewards of a language model, whose groups have references; None for a model with heads.
        outputs: names of the outcome head's outputs; empty for its only one, without a name.

    Returns:
        Step head, on the labeled steps (a soft label of at least 0.5 counts as right): `step_auroc`;
        `step_auroc_within_position`, which compares only steps equally far into their chains; `first_error_f1`, see
        `prm.statistics.metrics.localization`, at the threshold 0.5; `ece`, in [0, 1].
        Outcome head: `pair_accuracy` over all pairs of chains of a problem with different values, where ties count
        half, and `mean_margin` between their rewards; `reward_mean`; and without intervals `reward_min`, `reward_max`,
        `value_correlation`, the rank correlation of reward and value, and `length_correlation`, that of reward and
        number of tokens, in [-1, 1]. Where the outputs have names, each has these metrics, as in `reward_mean_NAME`.
    """
    chains = [chain for group in groups for chain in group.chains]
    drawn = resample([group.problem_id for group in groups], [""] * len(groups), draws)
    if beta is not None:
        likely = log_likelihoods(model, groups, tokens_per_pass)
        rewards = [[beta * (own - chain.reference)] for own, chain in zip(likely, chains, strict=True)]
        return _outcome_metrics(groups, rewards, drawn, outputs)
    backend = TransformersBackend(model, token_head, tokens_per_pass=tokens_per_pass)
    read = _outputs(backend, [(chain.ids, (*chain.step_ends, len(chain.ids) - 1)) for chain in chains])
    found: Metrics = {}
    if "step" in heads:
        margins = [_margins(values[:-1, :2] if "outcome" in heads else values[:-1]) for values in read]
        of_chains = drawn.at(np.repeat(np.arange(len(groups)), [len(group.chains) for group in groups]))
        found |= _step_metrics(chains, margins, of_chains)
    if "outcome" in heads:
        rewards = [values[-1, -(len(outputs) or 1) :].tolist() for values in read]
        found |= _outcome_metrics(groups, rewards, drawn, outputs)
    return found


def log_likelihoods(model: Any, groups: Sequence[GroupExample], tokens_per_pass: int) -> list[float]:
    """Log-probability of each chain's solution, given the problem, by a causal language model; shared as `measure`."""
    backend = TransformersBackend(model, likelihood_head, tokens_per_pass=tokens_per_pass)
    rows = [(chain.ids, range(group.prompt_length, len(chain.ids))) for group in groups for chain in group.chains]
    return [float(values.sum(dtype=torch.float64)) for values in _outputs(backend, rows)]


def _outputs(backend: TransformersBackend, rows: Sequence[TokenRow]) -> list[Tensor]:
    """What `backend.outputs` gives, each process having read every n-th pass.

    All make the same number of passes, for a sharded model is put together by all of them at once.
    """
    if not dist.is_initialized():
        return backend.outputs(rows)
    passes = list(batches_by_tokens([len(ids) for ids, _ in rows], backend.tokens_per_pass))
    passes += [passes[0]] * (-len(passes) % dist.get_world_size())
    own = passes[dist.get_rank() :: dist.get_world_size()]
    found = [dict(zip(places, backend.outputs([rows[i] for i in places]), strict=True)) for places in own]
    everywhere: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everywhere, found)
    merged = {place: values for parts in everywhere for part in parts for place, values in part.items()}
    return [merged[place] for place in range(len(rows))]


def _margins(values: Tensor) -> Tensor:
    """Log-odds of each step; with several members, those of the mean of their probabilities."""
    margins = values[:, 1::2] - values[:, 0::2]
    return margins[:, 0] if margins.shape[1] == 1 else margins.sigmoid().mean(dim=1).logit(eps=1e-7)


def _step_metrics(chains: Sequence[ChainExample], margins: Sequence[Tensor], drawn: Resampling) -> Metrics:
    """Metrics of the labeled steps, from the log-odds of each chain's steps."""
    rows = [
        (row, place, float(margin), target)
        for row, chain in enumerate(chains)
        for place, (margin, target) in enumerate(zip(margins[row].tolist(), chain.targets, strict=True))
        if target is not None
    ]
    if not rows:
        return {}
    owners, places, logits, targets = (np.array(column) for column in zip(*rows, strict=True))
    of_steps, is_right = drawn.at(owners), targets >= 0.5
    return {
        "step_auroc": estimate(of_steps.auroc(logits, is_right)),
        "step_auroc_within_position": estimate(of_steps.auroc(logits, is_right, places)),
        "first_error_f1": estimate(_first_error_f1(owners, logits < 0, ~is_right, drawn)),
        "ece": estimate(of_steps.calibration_error(expit(logits), targets)),
    }


def _first_error_f1(owners: Ints, called: Bools, actual: Bools, drawn: Resampling) -> Floats:
    """Harmonic mean of the share of erroneous chains whose first error is found, and of clean ones found clean."""
    rows, by_chain = np.unique(owners, return_inverse=True)
    firsts = np.full((2, len(rows)), len(owners))
    for first, is_wrong in zip(firsts, (called, actual), strict=True):
        np.minimum.at(first, by_chain[is_wrong], np.flatnonzero(is_wrong))
    is_hit, has_error = firsts[0] == firsts[1], firsts[1] < len(owners)
    shares = np.stack([np.where(has_error == kind, is_hit, np.nan) for kind in (True, False)], axis=1)
    return harmonic(*drawn.at(rows).means(shares).T)


def _outcome_metrics(
    groups: Sequence[GroupExample], rewards: Sequence[Sequence[float]], drawn: Resampling, outputs: Sequence[str]
) -> Metrics:
    """Metrics of each output, whose rewards are in the columns of `rewards`."""
    found: Metrics = {}
    for place, (name, own) in enumerate(zip(outputs or [""], zip(*rewards, strict=True), strict=True)):
        values = [[chain.values[place] for chain in group.chains] for group in groups]
        end = f"_{name}" if name else ""
        found |= {metric + end: one for metric, one in _of_output(groups, values, own, drawn).items()}
    return found


def _of_output(
    groups: Sequence[GroupExample],
    values: Sequence[Sequence[float | None]],
    rewards: Sequence[float],
    drawn: Resampling,
) -> Metrics:
    rest = iter(rewards)
    members = [[(value, next(rest)) for value in own] for own in values]
    gaps = [
        (row, better - worse)
        for row, own in enumerate(members)
        for value, better in own
        for other, worse in own
        if value is not None and other is not None and value > other
    ]
    owners = np.array([row for row, _ in gaps], dtype=np.int64)
    gap = np.array([gap for _, gap in gaps])
    of_pairs = drawn.at(owners).means(np.stack([np.sign(gap) / 2 + 0.5, gap], axis=1))
    of_chains = drawn.at(np.repeat(np.arange(len(groups)), [len(own) for own in members]))
    lengths = [len(chain.ids) for group in groups for chain in group.chains]
    known = [(value, reward) for own in members for value, reward in own if value is not None]
    return {
        "pair_accuracy": estimate(of_pairs[:, 0]),
        "mean_margin": estimate(of_pairs[:, 1]),
        "reward_mean": estimate(of_chains.means(np.array(rewards)[:, None])[:, 0]),
        "reward_min": Estimate(min(rewards), None, None),
        "reward_max": Estimate(max(rewards), None, None),
        "value_correlation": Estimate(_rank_correlation(*zip(*known, strict=True)) if known else None, None, None),
        "length_correlation": Estimate(_rank_correlation(rewards, lengths), None, None),
    }


def _rank_correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman's; None if all values of one side are equal."""
    if len(set(left)) < 2 or len(set(right)) < 2:
        return None
    return float(spearmanr(left, right).statistic)
