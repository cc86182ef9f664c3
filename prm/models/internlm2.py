"""InternLM2's reward models, which transformers lacks.

A Llama whose weights have other names, and query, key and value as one weight; transformers converts them as it loads.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, LlamaConfig, LlamaModel, LlamaPreTrainedModel
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import ConversionOps, WeightConverter, WeightRenaming


class InternLM2Config(LlamaConfig):
    """Its configuration has the fields of Llama's."""

    model_type = "internlm2"


class InternLM2ForRewardModel(LlamaPreTrainedModel):
    """Llama with a value head; vLLM, model_executor/models/internlm2.py."""

    config_class = InternLM2Config

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = LlamaModel(config)
        self.v_head = nn.Linear(config.hidden_size, 1, bias=False)
        self.post_init()

    @property
    def score(self) -> nn.Module:
        """The head."""
        return self.v_head


class _Split(ConversionOps):
    """One weight ``(outputs, width)`` to those of query, key and value.

    For each key head, the rows of its query heads come first, then its own, then those of its value head.
    """

    def convert(
        self,
        input_dict: dict[str, Any],
        source_patterns: list[str],
        target_patterns: list[str],
        config: Any = None,
        **_: Any,
    ) -> dict[str, Tensor]:
        (found,) = input_dict.values()
        joined = found[0] if isinstance(found, list) else found
        groups = config.num_attention_heads // config.num_key_value_heads
        heads = joined.reshape(config.num_key_value_heads, groups + 2, -1, joined.shape[-1])
        parts = (heads[:, :groups], heads[:, groups], heads[:, groups + 1])
        rows = (part.reshape(-1, joined.shape[-1]).contiguous() for part in parts)
        return dict(zip(target_patterns, rows, strict=True))

    @property
    def reverse_op(self) -> ConversionOps:
        return _Join()


class _Join(ConversionOps):
    """The reverse, to write a model as it was read."""

    def convert(
        self,
        input_dict: dict[str, Any],
        source_patterns: list[str],
        target_patterns: list[str],
        config: Any = None,
        **_: Any,
    ) -> dict[str, Tensor]:
        found = (input_dict[pattern] for pattern in source_patterns)
        parts = [part[0] if isinstance(part, list) else part for part in found]
        width, heads = parts[0].shape[-1], config.num_key_value_heads
        shaped = [part.reshape(heads, -1, config.hidden_size // config.num_attention_heads, width) for part in parts]
        return {target_patterns[0]: torch.cat(shaped, dim=1).reshape(-1, width).contiguous()}

    @property
    def reverse_op(self) -> ConversionOps:
        return _Split()


_NAMES = {
    "tok_embeddings": "embed_tokens",
    "attention.wo": "self_attn.o_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w3": "mlp.up_proj",
    "feed_forward.w2": "mlp.down_proj",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
"""Of weights, and those of Llama."""
_PARTS = [f"self_attn.{part}_proj" for part in "qkv"]

AutoConfig.register("internlm2", InternLM2Config)
register_checkpoint_conversion_mapping(
    "InternLM2ForRewardModel",
    [
        *(WeightRenaming(own, llama) for own, llama in _NAMES.items()),
        WeightConverter("attention.wqkv", _PARTS, operations=[_Split()]),
    ],
)
