"""A backend that reads a row only from where it parts from an earlier one: for chains that grow step by step."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from prm.errors import ModelError

from .backends import TokenRow, TransformersBackend
from .batching import batches_by_tokens, pad

_TOLERANCE = 0.02
"""How far outputs may differ from those of a whole row, as a share of their size; bfloat16 needs most of it."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is known of a row that was read."""

    ids: tuple[int, ...]
    cache: Tensor
    """Keys and values, ``(layers, 2, heads, tokens, width)``."""
    outputs: dict[int, Tensor]
    """The head's outputs by position."""


class PrefixBackend:
    """A `TransformersBackend` that keeps the keys and values of the rows it read, and goes on from them.

    Scores are those of whole rows but for the last bits, as they are in another batch.

    Args:
        inner: the model and its head, which reads positions one by one.
        tokens: tokens whose keys and values are kept; those unused for longest go first.

    Raises:
        ModelError: the model does not give the same outputs when it goes on from keys and values.
    """

    def __init__(self, inner: TransformersBackend, tokens: int) -> None:
        self.inner, self.tokens = inner, tokens
        self.max_length, self.tokens_per_pass = inner.max_length, inner.tokens_per_pass
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._size = 0
        self._require_same()

    def _require_same(self) -> None:
        ids = tuple(range(2, 10))
        (whole,) = self.inner.outputs([(ids, (3, 7))])
        try:
            self.outputs([(ids[:4], (3,)), (ids[:6], (3,))])
            (parts,) = self.outputs([(ids, (3, 7))])
        except (AttributeError, TypeError, ValueError, RuntimeError, IndexError, NotImplementedError):
            parts = torch.full_like(whole, torch.nan)
        self._kept.clear()
        self._size = 0
        if not torch.allclose(whole, parts, rtol=_TOLERANCE, atol=_TOLERANCE):
            raise ModelError(
                f"{type(self.inner.model).__name__}: cannot go on from the keys and values of an earlier text",
                "omit reuse_tokens",
            )

    @torch.inference_mode()
    def outputs(self, rows: Sequence[TokenRow]) -> list[Tensor]:
        """See `Backend.outputs`."""
        found: list[Tensor] = [torch.empty(0)] * len(rows)
        known = [self._longest(ids, reads) for ids, reads in rows]
        missing = [len(ids) - (len(kept.ids) if kept else 0) for (ids, _), kept in zip(rows, known, strict=True)]
        for index, kept in enumerate(known):
            if kept and not missing[index]:
                found[index] = torch.stack([kept.outputs[read] for read in rows[index][1]])
        left = [index for index, length in enumerate(missing) if length]
        for batch in batches_by_tokens([missing[i] for i in left], self.inner.tokens_per_pass):
            places = [left[i] for i in batch]
            for index, made in zip(places, self._read([(rows[i], known[i]) for i in places]), strict=True):
                found[index] = torch.stack([made.outputs[read] for read in rows[index][1]])
                self._keep(made)
        return found

    def _longest(self, ids: Sequence[int], reads: Sequence[int]) -> _Kept | None:
        """The longest row that this one begins with, and whose outputs are known wherever this one is read in it."""
        for key in reversed(list(_keys(ids))):
            kept = self._kept.get(key)
            if kept is None or kept.ids != tuple(ids[: len(kept.ids)]):
                continue
            if all(read in kept.outputs for read in reads if read < len(kept.ids)):
                self._kept.move_to_end(key)
                return kept
        return None

    def _keep(self, made: _Kept) -> None:
        key = list(_keys(made.ids))[-1]
        if key not in self._kept:
            self._size += len(made.ids)
        self._kept[key] = made
        while self._size > self.tokens:
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest.ids)

    def _read(self, rows: Sequence[tuple[TokenRow, _Kept | None]]) -> Iterator[_Kept]:
        """Read rows together: what is known of each stands left of its new tokens, padded on the left."""
        device, starts = self.inner.model.device, [len(kept.ids) if kept else 0 for _, kept in rows]
        past = max(starts)
        pad_id = self.inner.model.config.get_text_config().pad_token_id or 0
        ids, mask = pad([row[start:] for ((row, _), _), start in zip(rows, starts, strict=True)], pad_id)
        before = torch.zeros(len(rows), past, dtype=mask.dtype)
        for i, start in enumerate(starts):
            before[i, past - start :] = 1
        reads = [
            [read for read in wanted if read >= start] for ((_, wanted), _), start in zip(rows, starts, strict=True)
        ]
        numbers = torch.tensor([i for i, own in enumerate(reads) for _ in own], dtype=torch.long)
        places = torch.tensor([read - starts[i] for i, own in enumerate(reads) for read in own], dtype=torch.long)
        cache = self._cache([kept for _, kept in rows], past)
        inputs: dict[str, Any] = {
            "input_ids": ids.to(device),
            "attention_mask": torch.cat([before, mask], dim=1).to(device),
            "position_ids": (torch.tensor(starts)[:, None] + torch.arange(ids.shape[1])).to(device),
            "past_key_values": cache,
            "use_cache": True,
        }
        outputs = self.inner.head(self.inner.model, inputs, numbers.to(device), places.to(device)).float().cpu()
        values = iter(outputs)
        layers = torch.stack([torch.stack([layer.keys, layer.values]) for layer in cache.layers])
        for i, (((row, _), kept), start, own) in enumerate(zip(rows, starts, reads, strict=True)):
            known = dict(kept.outputs) if kept else {}
            known |= {read: next(values) for read in own}
            own_cache = layers[:, :, i, :, past - start : past + len(row) - start].clone()
            yield _Kept(tuple(row), own_cache, known)

    def _cache(self, known: Sequence[_Kept | None], past: int) -> Any:
        cache = DynamicCache()
        first = next((kept for kept in known if kept), None)
        if first is None:
            return cache
        layers, two, heads, _, width = first.cache.shape
        joined = first.cache.new_zeros(layers, two, len(known), heads, past, width)
        for i, kept in enumerate(known):
            if kept:
                joined[:, :, i, :, past - len(kept.ids) :] = kept.cache
        for layer, (keys, values) in enumerate(joined):
            cache.update(keys, values, layer)
        return cache

    def close(self) -> None:
        """Let go of the model, and of all that was kept."""
        self._kept.clear()
        self.inner.close()


def _keys(ids: Sequence[int]) -> Iterator[int]:
    """A number for each beginning of a row, from the first token on."""
    return accumulate(ids, lambda key, token: hash((key, token)))
