"""The heads of reward models: which heads a kind has, and how each is read at given positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from prm.errors import ModelError

Kind = Literal["prm", "orm", "joint"]
Head = Literal["step", "outcome"]
HEADS: dict[Kind, tuple[Head, ...]] = {"prm": ("step",), "orm": ("outcome",), "joint": ("step", "outcome")}
"""The heads of each kind of checkpoint."""

ReadHead = Callable[[Any, dict[str, Tensor], Tensor, Tensor], Tensor]
"""``(model, inputs, rows, positions)`` → the head's outputs at these positions, ``(reads, channels)``. A function with
further settings becomes one by `functools.partial`, so that all can be pickled."""
LOGITS_AT_ONCE = 256
"""Tokens whose logits `log_probabilities` copies to float32 at once."""


class PolicyAndReference(nn.Module):
    """Two causal models that share a vocabulary, read together."""

    def __init__(self, policy: Any, reference: Any) -> None:
        super().__init__()
        self.policy = policy
        self.reference = reference
        self.config = policy.config

    @property
    def device(self) -> torch.device:
        """The device of both."""
        device: torch.device = self.policy.device
        return device


def token_head(model: Any, inputs: dict[str, Tensor], rows: Tensor, positions: Tensor) -> Tensor:
    """Read a model that has a head on every token, such as a token classifier."""
    logits: Tensor = model(**inputs).logits
    return _at(logits, rows, positions)


def score_head(model: Any, inputs: dict[str, Tensor], rows: Tensor, positions: Tensor) -> Tensor:
    """Apply a classifier's or value head at the read positions only."""
    hidden = model.base_model(**inputs).last_hidden_state
    values: Tensor = model.score(_at(hidden, rows, positions))
    return values


def gated_head(
    model: Any, inputs: dict[str, Tensor], rows: Tensor, positions: Tensor, *, asked: Sequence[int]
) -> Tensor:
    """The score of a model whose attributes are weighed by a gate, then the attributes: ``(reads, 1 + attributes)``.

    Args:
        model: one of `prm.models.architectures.GATED`.
        inputs: its inputs.
        rows: the row of each read position.
        positions: the read positions.
        asked: ids of the text between the last question and its answer; the gate is read at the first of them.
    """
    hidden = model.base_model(**inputs).last_hidden_state
    ratings, weighed = model.rate(_at(hidden, rows, positions))
    pattern = torch.tensor(list(asked), device=inputs["input_ids"].device)
    places = (inputs["input_ids"].unfold(1, len(asked), 1) == pattern).all(dim=2)
    if not bool(places.any(dim=1)[rows].all()):
        raise ValueError("the text between the question and the answer is not in every chain: another chat template?")
    last = places.shape[1] - 1 - places.flip(1).int().argmax(dim=1)
    gate = model.gating(_at(hidden, rows, last[rows]))
    score = (gate * weighed).sum(dim=1, keepdim=True)
    return torch.cat([score, ratings], dim=1)


def weighed_head(model: Any, inputs: dict[str, Tensor], rows: Tensor, positions: Tensor) -> Tensor:
    """The same for a `LlamaForSequenceClassificationWithNormal_Weights`, whose gate is read where its attributes are.

    Of an attribute's outputs, its mean and its spread, only the mean is used.
    """
    hidden = _at(model.base_model(**inputs).last_hidden_state, rows, positions)
    means = model.score(hidden)[:, 0::2]
    score = (model.weights["fc"](hidden) * means).sum(dim=1, keepdim=True)
    return torch.cat([score, means], dim=1)


def _at(values: Tensor, rows: Tensor, positions: Tensor) -> Tensor:
    """The values at these places, on their own device: a model may end on another one than it begins."""
    return values[rows.to(values.device), positions.to(values.device)]


def candidate_head(
    model: Any, inputs: dict[str, Tensor], rows: Tensor, positions: Tensor, *, candidates: Sequence[int]
) -> Tensor:
    """Next-token logits of a few tokens: a causal model whose output embedding is reduced to their rows.

    Args:
        model: a causal language model.
        inputs: its inputs.
        rows: the row of each read position.
        positions: the read positions.
        candidates: token ids, one per channel.
    """
    hidden = model.base_model(**inputs).last_hidden_state
    return linear(_at(hidden, rows, positions), model.get_output_embeddings().weight[list(candidates)])


def logits_head(
    model: Any, inputs: dict[str, Tensor], rows: Tensor, positions: Tensor, *, candidates: Sequence[int]
) -> Tensor:
    """The same as `candidate_head`, from the model's own logits of the whole vocabulary."""
    logits: Tensor = _at(model(**inputs).logits, rows, positions)
    return logits[:, list(candidates)]


_AFTER = ("final_logit_softcapping", "logits_scaling", "logit_scale", "lm_head_multiplier", "output_multiplier_scale")
"""Settings of a model that change its logits after the output embedding."""


def changes_logits(config: Any) -> bool:
    """Whether a model of this configuration scales or caps its logits."""
    return any(getattr(config.get_text_config(), name, None) not in (None, 1, 1.0) for name in _AFTER)


@torch.inference_mode()
def causal_head(model: Any, candidates: Sequence[int]) -> ReadHead:
    """The cheapest head that reads these tokens' logits: some models scale, cap or shift them after the embedding.

    Raises:
        ModelError: the model is no language model, or has no such token.
    """
    embedding = model.get_output_embeddings()
    if embedding is None:
        raise ModelError(
            f"a {type(model).__name__} has no logits of tokens to read", "omit answers and answer_ids in its dialect"
        )
    if not all(0 <= token < embedding.weight.shape[0] for token in candidates):
        raise ModelError(f"the model has no token {max(candidates)}", "mend answer_ids in its dialect")
    if getattr(embedding, "bias", None) is not None or changes_logits(model.config):
        return partial(logits_head, candidates=tuple(candidates))
    ids = torch.tensor([[*candidates, *candidates]], device=model.device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    places = torch.arange(ids.shape[1], device=model.device)
    whole = logits_head(model, inputs, torch.zeros_like(places), places, candidates=candidates)
    try:
        few = candidate_head(model, inputs, torch.zeros_like(places), places, candidates=candidates)
    except (AttributeError, TypeError, RuntimeError):  # a model that is put together in another way
        return partial(logits_head, candidates=tuple(candidates))
    return partial(candidate_head if _is_same(few, whole) else logits_head, candidates=tuple(candidates))


def _is_same(some: Tensor, others: Tensor) -> bool:
    """Whether logits are equal but for rounding."""
    close = 1e-4 if others.dtype == torch.float32 else 1e-2
    return torch.allclose(some.float(), others.float(), rtol=close, atol=close)


def reward_head(
    model: PolicyAndReference, inputs: dict[str, Tensor], rows: Tensor, positions: Tensor, *, beta: float
) -> Tensor:
    """Implicit reward of each token read: beta · log(policy / reference). One channel.

    Args:
        model: policy and reference.
        inputs: the inputs of both.
        rows: the row of each read position.
        positions: the read positions.
        beta: scale of the reward.

    Source: Free Process Rewards without Process Labels, arXiv 2412.01981, equation 3.
    """
    policy, reference = (likelihood_head(m, inputs, rows, positions) for m in (model.policy, model.reference))
    return beta * (policy - reference)


def likelihood_head(model: Any, inputs: dict[str, Tensor], rows: Tensor, positions: Tensor) -> Tensor:
    """Log-probability of each token read, given all before it, by a causal model. One channel, in float32."""
    places, embedding = positions - 1, model.get_output_embeddings()
    tokens = inputs["input_ids"][rows, positions]
    hidden = None if changes_logits(model.config) else _plain_hidden(model, embedding, inputs, rows, places)
    if hidden is None:
        return log_probabilities(logits_at(model, embedding, inputs, rows, places), tokens).unsqueeze(-1)
    parts = zip(torch.split(hidden, LOGITS_AT_ONCE), torch.split(tokens, LOGITS_AT_ONCE), strict=True)
    return torch.cat([log_probabilities(embedding(part), own) for part, own in parts]).unsqueeze(-1)


def logits_at(model: Any, embedding: nn.Module, inputs: Mapping[str, Any], rows: Tensor, positions: Tensor) -> Tensor:
    """A causal model's own logits, capped and scaled as it does, of these places alone: ``(reads, vocabulary)``.

    Args:
        model: a causal language model, or a wrapper of one.
        embedding: its output embedding.
        inputs: its inputs.
        rows: the row of each read position.
        positions: the read positions.
    """
    return _forward(model, embedding, inputs, lambda hidden: _at(hidden, rows, positions))


def _plain_hidden(
    model: Any, embedding: nn.Module, inputs: Mapping[str, Any], rows: Tensor, positions: Tensor
) -> Tensor | None:
    """What a causal model's output embedding is given at these places; None if the model changes its logits."""
    read = []

    def first(hidden: Tensor) -> Tensor:
        read.append(_at(hidden, rows, positions))
        return read[0][:1]

    logits = _forward(model, embedding, inputs, first)
    return read[0] if _is_same(embedding(read[0][:1]), logits) else None


def _forward(model: Any, embedding: nn.Module, inputs: Mapping[str, Any], chosen: Callable[[Tensor], Tensor]) -> Tensor:
    """A causal model's logits of what is chosen from ``(chains, length, width)`` before its output embedding."""
    hook = embedding.register_forward_pre_hook(lambda _, hidden: (chosen(hidden[0]).unsqueeze(0),))
    try:
        logits: Tensor = model(**inputs, use_cache=False).logits[0]
    finally:
        hook.remove()
    return logits


def log_probabilities(logits: Tensor, tokens: Tensor) -> Tensor:
    """Log-probability of each token by its logits: ``(reads,)`` in float32, computed in parts to save memory."""
    parts = zip(torch.split(logits, LOGITS_AT_ONCE), torch.split(tokens.to(logits.device), LOGITS_AT_ONCE), strict=True)
    return -torch.cat([cross_entropy(part.float(), own, reduction="none") for part, own in parts])
