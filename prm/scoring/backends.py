"""Where a reward model runs: rows of token ids go in, its head's outputs at the positions to read come out.

A backend knows nothing of problems, steps or probabilities; `prm.scoring.reward_model` adds those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from prm.models.decoders import length_limit
from prm.models.heads import ReadHead

from .batching import Side, batches_by_tokens, pad, positions_of

TokenRow = tuple[Sequence[int], Sequence[int]]
"""Token ids, and the positions among them to read."""

CPU_TOKENS = 2048
"""Padded tokens in one forward pass. For a small model, larger passes take 1.2 to 1.7 times as long per token, because
a layer's activations no longer fit in the caches. `prm.benchmarks.perf.score_throughput --tokens-per-pass N` measures
it."""
GPU_TOKENS = 8192
"""The same on a GPU, which needs this many tokens to stay busy."""


class Backend(Protocol):
    """Runs a model over rows. Can be pickled, to run in another process or on another machine."""

    max_length: int
    """Most tokens a row may have."""
    tokens_per_pass: int
    """Padded tokens that one call should hold, if there are so many to score."""

    def outputs(self, rows: Sequence[TokenRow]) -> list[Tensor]:
        """The head's outputs for each row, in order: ``(reads, channels)`` in float32."""

    def close(self) -> None:
        """Free what the backend holds."""


class TransformersBackend:
    """A model in this process.

    Args:
        model: any transformers model, on its device.
        head: how to read it.
        tokens_per_pass: padded tokens in one forward pass; None for a number that is fast on the model's device.
        padding_side: does not change the outputs.
    """

    def __init__(
        self, model: Any, head: ReadHead, *, tokens_per_pass: int | None = None, padding_side: Side = "right"
    ) -> None:
        self.model = model.eval()
        self.head = head
        self.tokens_per_pass = tokens_per_pass or (CPU_TOKENS if model.device.type == "cpu" else GPU_TOKENS)
        self.padding_side: Side = padding_side
        self.max_length = length_limit(model.config)

    @torch.inference_mode()
    def outputs(self, rows: Sequence[TokenRow]) -> list[Tensor]:
        """See `Backend.outputs`."""
        found: list[Tensor] = [torch.empty(0)] * len(rows)
        for batch in batches_by_tokens([len(ids) for ids, _ in rows], self.tokens_per_pass):
            values = self._forward([rows[i] for i in batch])
            counts = [len(rows[i][1]) for i in batch]
            for index, value in zip(batch, torch.split(values.float().cpu(), counts), strict=True):
                found[index] = value
        return found

    def close(self) -> None:
        """Let go of the model."""
        del self.model

    def _forward(self, rows: Sequence[TokenRow]) -> Tensor:
        ids, mask = pad(
            [ids for ids, _ in rows], self.model.config.get_text_config().pad_token_id or 0, self.padding_side
        )
        shift = (
            mask.shape[1] - mask.sum(dim=1) if self.padding_side == "left" else torch.zeros(len(rows), dtype=torch.long)
        )
        numbers = torch.tensor([i for i, (_, reads) in enumerate(rows) for _ in reads], dtype=torch.long)
        places = torch.tensor([p for _, reads in rows for p in reads], dtype=torch.long) + shift[numbers]
        inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": positions_of(mask)}
        device = self.model.device
        return self.head(
            self.model, {k: v.to(device) for k, v in inputs.items()}, numbers.to(device), places.to(device)
        )
