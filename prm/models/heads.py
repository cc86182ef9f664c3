"""The heads of reward models: which a kind has, and how each is read at the places asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

Kind = Literal["prm", "orm", "joint"]
Head = Literal["step", "outcome"]
HEADS: dict[Kind, tuple[Head, ...]] = {"prm": ("step",), "orm": ("outcome",), "joint": ("step", "outcome")}
"""The heads that a checkpoint of a kind has."""

ReadHead = Callable[[Any, dict[str, Tensor], Tensor, Tensor], Tensor]
"""Of a model, its inputs, and (rows, places) to be read: what the head says there, ``(reads, channels)``."""
LOGITS_AT_ONCE = 256
"""Tokens whose whole vocabulary is looked at together by `reward_head`."""


class PolicyAndReference(nn.Module):
    """Two causal models of one vocabulary, read together."""

    def __init__(self, policy: Any, reference: Any) -> None:
        super().__init__()
        self.policy = policy
        self.reference = reference
        self.config = policy.config

    @property
    def device(self) -> torch.device:
        """Where both are."""
        device: torch.device = self.policy.device
        return device


def token_head(model: Any, inputs: dict[str, Tensor], rows: Tensor, places: Tensor) -> Tensor:
    """A head on every token: token classifiers, process reward models."""
    logits: Tensor = model(**inputs).logits
    return logits[rows, places]


def score_head(model: Any, inputs: dict[str, Tensor], rows: Tensor, places: Tensor) -> Tensor:
    """A classifier's or value head, at the places read alone."""
    hidden = model.base_model(**inputs).last_hidden_state
    values: Tensor = model.score(hidden[rows, places])
    return values


def candidate_head(candidates: Sequence[int]) -> ReadHead:
    """The logits of some tokens as what comes next: a causal model's output embedding cut down to their rows.

    Args:
        candidates: token ids, one for each channel.
    """

    def head(model: Any, inputs: dict[str, Tensor], rows: Tensor, places: Tensor) -> Tensor:
        hidden = model.base_model(**inputs).last_hidden_state
        return linear(hidden[rows, places], model.get_output_embeddings().weight[list(candidates)])

    return head


def reward_head(beta: float) -> ReadHead:
    """The implicit reward of each token read: beta · log(policy / reference). One channel.

    Args:
        beta: its scale.

    Source: Free Process Rewards without Process Labels, arXiv 2412.01981, equation 3.
    """

    def head(model: Any, inputs: dict[str, Tensor], rows: Tensor, places: Tensor) -> Tensor:
        policy, reference = (_log_probabilities(m, inputs, rows, places) for m in (model.policy, model.reference))
        return (beta * (policy - reference)).unsqueeze(-1)

    return head


def _log_probabilities(model: Any, inputs: dict[str, Tensor], rows: Tensor, places: Tensor) -> Tensor:
    """Of each token read, given all before it: ``(reads,)`` in float32. A part at a time, for a vocabulary is wide."""
    hidden = model.base_model(**inputs).last_hidden_state[rows, places - 1]
    tokens = inputs["input_ids"][rows, places]
    embedding = model.get_output_embeddings()
    parts = zip(torch.split(hidden, LOGITS_AT_ONCE), torch.split(tokens, LOGITS_AT_ONCE), strict=True)
    found = [embedding(h).float().log_softmax(dim=-1).gather(1, t.unsqueeze(1)).squeeze(1) for h, t in parts]
    return torch.cat(found)
