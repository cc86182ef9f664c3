"""Rows of token ids → tensors, with little padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

Side = Literal["right", "left"]


def batches_by_tokens(lengths: Sequence[int], budget: int, sizes: Sequence[int] | None = None) -> Iterator[list[int]]:
    """Yield index lists that cover `lengths`, longest first, each padded to no more than `budget` tokens.

    An item over the budget becomes a batch of its own.

    Args:
        lengths: length in tokens of each item's longest text.
        budget: tokens per batch, padding included.
        sizes: number of texts in each item; None for one each.

    >>> list(batches_by_tokens([3, 9, 4], 10))
    [[1], [2, 0]]
    """
    batch, texts = list[int](), 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        size = 1 if sizes is None else sizes[index]
        if batch and lengths[batch[0]] * (texts + size) > budget:
            yield batch
            batch, texts = [], 0
        batch.append(index)
        texts += size
    if batch:
        yield batch


def packs_by_tokens(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Index lists that cover `lengths`, longest first, of at most `budget` tokens each without any padding.

    Each item goes to the first list that has room for it (first-fit decreasing). One over the budget has its own.

    >>> packs_by_tokens([3, 9, 4, 1], 10)
    [[1, 3], [2, 0]]
    """
    packs, room = list[list[int]](), list[int]()
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        place = next((i for i, free in enumerate(room) if lengths[index] <= free), len(packs))
        if place == len(packs):
            packs.append([])
            room.append(budget)
        packs[place].append(index)
        room[place] -= lengths[index]
    return packs


def pad(rows: Sequence[Sequence[int]], pad_id: int, side: Side = "right") -> tuple[Tensor, Tensor]:
    """Stack rows of ids into a ``(rows, longest)`` tensor, with `pad_id` on one side.

    Returns:
        The ids, and the attention mask: 1 for a real token.
    """
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(longest - len(row), longest)
        ids[i, place] = torch.as_tensor(row, dtype=torch.long)
        mask[i, place] = 1
    return ids, mask


def positions_of(mask: Tensor) -> Tensor:
    """Position of each token in its own row, from 0, on whichever side the padding is; same shape as `mask`."""
    return (mask.cumsum(dim=1) - 1).clamp(min=0)
