"""Passes without padding: the chains of a pass stand end to end in one row, and none sees another.

Positions begin anew with each chain. Torch's own attention (`sdpa`) would compute the attention between chains and
discard it. In its place, on a GPU that has it, goes the attention for rows of several texts (`varlen_attn`); elsewhere,
the attention of each chain is computed by itself. All else, which is most of the work, is done for the row at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

_VARLEN = "torch.nn.attention.varlen"
varlen: Any = import_module(_VARLEN) if find_spec(_VARLEN) else None
"""None in a torch that has no such attention."""
NAME = "sdpa_of_each_chain"
"""Of the attention, for transformers. It makes no mask for a name that it does not know one for."""
INPUTS = ("input_ids", "attention_mask", "position_ids", "chain_starts")
"""What a model takes, padded or packed."""
_WIDEST = 256
"""Of the heads that `varlen_attn` takes."""


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    chain_starts: Sequence[int],
    sliding_window: int | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each chain; as `sdpa_attention_forward`.

    Args:
        module: the layer.
        query: ``(1, heads, length, width)``.
        key: the same, perhaps with fewer heads.
        value: as `key`.
        attention_mask: of no use here.
        chain_starts: where each chain of the row begins, and at the end where the last ends.
        sliding_window: most tokens that a token sees, itself included; None for all before it.
        options: of `sdpa_attention_forward`.
    """
    dtype = _computed_in(query)
    if has_varlen(dtype, query.device, query.shape[-1]) and not options.get("dropout"):
        row = [states[0].transpose(0, 1).to(dtype) for states in (query, key, value)]
        return _at_once(row, chain_starts, sliding_window, options.get("scaling"))[None], None
    found = []
    for start, end in pairwise(chain_starts):
        parts = (states[:, :, start:end] for states in (query, key, value))
        band = _band(end - start, sliding_window, query.device)
        found.append(sdpa_attention_forward(module, *parts, band, **options)[0])
    return torch.cat(found, dim=1), None


@cache
def has_varlen(dtype: torch.dtype, device: torch.device, width: int) -> bool:
    """Whether torch has the attention for rows of several texts, for this precision, device and width of heads."""
    return (
        varlen is not None
        and {"window_size", "enable_gqa"} <= signature(varlen.varlen_attn).parameters.keys()
        and device.type == "cuda"
        and dtype in (torch.bfloat16, torch.float16)
        and width <= _WIDEST
        and torch.cuda.get_device_capability(device) >= (8, 0)
    )


def _computed_in(states: Tensor) -> torch.dtype:
    kind = states.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else states.dtype


def _at_once(row: Sequence[Tensor], starts: Sequence[int], window: int | None, scale: float | None) -> Tensor:
    """Causal attention within each chain of a row, from and to ``(length, heads, width)``."""
    cuts = torch.tensor(starts, dtype=torch.int32, device=row[0].device)
    longest = max(end - start for start, end in pairwise(starts))
    sees = (-1 if window is None else window - 1, 0)  # tokens before and after
    found: Tensor = varlen.varlen_attn(
        *row, cuts, cuts, longest, longest, scale=scale, window_size=sees, enable_gqa=True
    )
    return found


def _band(length: int, window: int | None, device: torch.device) -> Tensor | None:
    """The mask of a chain that is longer than the window; None where being causal is enough."""
    if window is None or length <= window:
        return None
    places = torch.arange(length, device=device)
    ages = places[:, None] - places[None, :]
    return ((ages >= 0) & (ages < window))[None, None]


AttentionInterface.register(NAME, attend)


@contextmanager
def unpadded(model: Any) -> Iterator[None]:
    """Let a model read packed rows until the context ends; its backward passes belong in it too."""
    config, usual = model.config, model.config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = usual


def packed(batch: Mapping[str, Tensor]) -> dict[str, Any]:
    """A batch of `prm.training.collation.collate` without its padding: `input_ids` and all places are in one row.

    In place of the `attention_mask`, it has `position_ids`, ``(1, tokens)``, and `chain_starts`.
    """
    mask = batch["attention_mask"].bool()
    lengths = mask.sum(dim=1)
    starts = torch.cat([lengths.new_zeros(1), lengths.cumsum(dim=0)])
    found: dict[str, Any] = {name: column for name, column in batch.items() if name != "attention_mask"}
    for rows in [name for name in batch if name.endswith("_rows")]:
        places = rows.replace("_rows", "_places")
        found[places] = batch[places] + starts[batch[rows]]
        found[rows] = torch.zeros_like(batch[rows])
    positions = torch.arange(mask.shape[1]).expand_as(mask)
    return found | {
        "input_ids": batch["input_ids"][mask][None],
        "position_ids": positions[mask][None],
        "chain_starts": starts.tolist(),
    }


def can_pack(model: Any) -> bool:
    """Whether a model reads a packed row as it reads the chains of it one by one, which is tried.

    A model that carries a state along the row does not, nor one with an attention of its own.
    """
    kinds = set(getattr(model.config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}
    if kinds or not getattr(model, "_supports_flash_attn", False) or model.config._attn_implementation != "sdpa":
        return False
    try:
        alone, together = _tried(model.eval())
    except (TypeError, ValueError, RuntimeError):  # of a model that does not take these arguments
        return False
    is_exact = model.dtype == torch.float32 and not torch.is_autocast_enabled(model.device.type)
    allowed = (1e-3 if is_exact else 5e-2) * float(alone.abs().max())
    return torch.allclose(alone, together, rtol=0, atol=allowed)


@torch.no_grad()
def _tried(model: Any) -> tuple[Tensor, Tensor]:
    """Outputs of two short chains, read one by one and in a row."""
    ids = torch.tensor([[1, 2, 3, 3, 4, 5]], device=model.device)
    places = torch.tensor([[0, 1, 2, 0, 1, 2]], device=model.device)
    alone = [model(input_ids=part).logits for part in (ids[:, :3], ids[:, 3:])]
    with unpadded(model):
        together = model(input_ids=ids, position_ids=places, chain_starts=[0, 3, 6]).logits
    return torch.cat(alone, dim=1).float(), together.float()
