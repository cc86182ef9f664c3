"""Passes without padding, and groups beyond the budget: the same losses and gradients, however chains are read."""

from array import array
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    Lfm2Config,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    MixtralConfig,
    Qwen2Config,
    Qwen3Config,
)

from prm.models.adapters import LoraForm, with_adapters
from prm.models.checkpoint import four_bits, load_model
from prm.models.decoders import attention, classifier_class, form_of
from prm.training import packing
from prm.training import trainer as training
from prm.training.examples import ChainExample, GroupExample
from prm.training.packing import can_pack, unpadded
from prm.training.trainer import FitSettings, RewardTrainer

SMALL = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
CONFIGS = {
    "llama": LlamaConfig(**SMALL),
    "qwen 2": Qwen2Config(**SMALL),
    "qwen 3": Qwen3Config(**SMALL, head_dim=8),
    "mistral": MistralConfig(**SMALL, sliding_window=4),
    "mixtral": MixtralConfig(**SMALL, sliding_window=4, num_local_experts=2),
    "gemma 3": Gemma3TextConfig(
        **SMALL, head_dim=8, sliding_window=4, layer_types=["sliding_attention", "full_attention"]
    ),
    "gpt-2": GPT2Config(
        vocab_size=60,
        n_positions=64,
        n_embd=32,
        n_layer=2,
        n_head=4,
        pad_token_id=0,
        resid_pdrop=0,
        embd_pdrop=0,
        attn_pdrop=0,
    ),
}
PADDED = {
    "attention with a cap": Gemma2Config(**SMALL, head_dim=8),
    "convolutions": Lfm2Config(**SMALL, full_attn_idxs=[1]),
    "a state": MambaConfig(vocab_size=60, hidden_size=32, num_hidden_layers=2, state_size=4, pad_token_id=0),
}
MEMBERS = 3
JOINT = {"step": 1.0, "bradley-terry": 0.5, "plackett-luce": 0.5, "pointwise": 0.5, "every-step": 0.5}


def model_of(config, kind="joint", members=1):
    torch.manual_seed(0)
    config.num_labels = {"prm": 2 * members, "orm": 1, "joint": 2 * members + 1}[kind]
    config._attn_implementation = attention(config).get("attn_implementation")
    return classifier_class(config, form_of(config, kind))(config)


def chain(identity, length, value):
    drawn = torch.Generator().manual_seed(length)
    ids = array("i", torch.randint(1, 60, (length,), generator=drawn).tolist())
    return ChainExample(identity, ids, (2, length - 1), (1.0, value), (1.0, 1.0), (value,))


GROUPS = [
    GroupExample(f"p{i}", 1, tuple(chain(f"p{i}/{n}", 4 + (5 * i + 3 * n) % 13, float(n % 2)) for n in range(2 + i)))
    for i in range(4)
]


def learned(
    model, tmp_path, monkeypatch, *, packed=False, budget=10**6, kind="joint", terms=JOINT, groups=GROUPS, **settings
):
    """The loss and the gradients of one optimizer step."""
    monkeypatch.setattr(training, "can_pack", lambda _: packed)
    settings = FitSettings(terms=terms, tokens_per_pass=budget, **settings)
    trainer = RewardTrainer(model, kind, terms, groups, [], settings, tmp_path)
    model.zero_grad()
    loss = trainer.training_step(model, trainer.data_collator(groups))
    gradients = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    return float(loss), gradients


def require_equal(found, expected):
    assert found[0] == pytest.approx(expected[0], abs=1e-5)
    assert found[1].keys() == expected[1].keys()
    for name, gradient in found[1].items():
        torch.testing.assert_close(gradient, expected[1][name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_without_padding_is_learned_what_is_learned_with_it(name, tmp_path, monkeypatch):
    model = model_of(CONFIGS[name])
    assert can_pack(model)
    padded = learned(model, tmp_path, monkeypatch)
    require_equal(learned(model, tmp_path, monkeypatch, packed=True), padded)
    require_equal(learned(model, tmp_path, monkeypatch, packed=True, budget=40), padded)
    assert model.config._attn_implementation == "sdpa", "only while it learns"


def test_several_heads_learn_the_same(tmp_path, monkeypatch):
    model = model_of(CONFIGS["llama"], "prm", MEMBERS)
    options = {"kind": "prm", "terms": {"step": 1.0}, "members": MEMBERS}
    padded = learned(model, tmp_path, monkeypatch, **options)
    require_equal(learned(model, tmp_path, monkeypatch, packed=True, budget=40, **options), padded)


def test_adapters_learn_the_same(tmp_path, monkeypatch):
    model = with_adapters(model_of(CONFIGS["qwen 2"]), "joint", LoraForm(4))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)  # else the others would have no gradients
    assert can_pack(model)
    padded = learned(model, tmp_path, monkeypatch)
    assert all("lora_" in name or "score" in name for name in padded[1])
    for budget in (10**6, 20):
        require_equal(learned(model, tmp_path, monkeypatch, packed=True, budget=budget), padded)


@pytest.mark.parametrize("settings", [{"weights": "bfloat16"}, {"precision": "bfloat16"}], ids=["held", "computed"])
def test_half_the_bits_change_no_more_than_with_padding(settings, tmp_path, monkeypatch):
    """Packed and padded, the gradients are as far from those in float32."""
    exact = learned(model_of(CONFIGS["llama"]), tmp_path, monkeypatch)
    model = model_of(CONFIGS["llama"])
    if "weights" in settings:
        model.base_model.to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16, enabled="precision" in settings):
        assert can_pack(model)
    found = [learned(model, tmp_path, monkeypatch, packed=packed, **settings) for packed in (False, True)]
    losses = [loss for loss, _ in found]
    assert losses == pytest.approx([exact[0]] * 2, rel=0.02)
    off = [sum(float((g.float() - exact[1][n]).square().sum()) for n, g in gradients.items()) for _, gradients in found]
    size = sum(float(g.square().sum()) for g in exact[1].values())
    assert max(off) < 0.01 * size


def test_four_bits_are_read_in_a_row_too(base_model, tmp_path, monkeypatch):
    pytest.importorskip("bitsandbytes")
    quantized = load_model(base_model, "prm", 0, quantization=four_bits(torch.float32))
    model = with_adapters(quantized, "prm", LoraForm(4))
    assert can_pack(model)
    options = {"kind": "prm", "terms": {"step": 1.0}}
    padded = learned(model, tmp_path, monkeypatch, **options)
    require_equal(learned(model, tmp_path, monkeypatch, packed=True, **options), padded)


def dense(query, key, value, cuts, same_cuts, longest, same_longest, *, scale, window_size, enable_gqa):
    """What torch documents of `varlen_attn`, with one mask over the whole row."""
    assert cuts is same_cuts
    assert cuts.dtype == torch.int32
    assert longest == same_longest == max(cuts.diff().tolist())
    assert enable_gqa
    key, value = (states.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for states in (key, value))
    places = torch.arange(len(query))
    chains = torch.bucketize(places, cuts[1:], right=True)
    before, after = window_size
    ages = places[:, None] - places[None, :]
    seen = (chains[:, None] == chains[None, :]) & (ages >= -after) & (ages <= (before if before >= 0 else len(query)))
    products = torch.einsum("ihd,jhd->hij", query, key) * scale
    return torch.einsum("hij,jhd->ihd", products.masked_fill(~seen, -torch.inf).softmax(dim=-1), value)


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma 3"])
def test_the_attention_for_rows_of_several_texts_is_asked_for_the_same(name, tmp_path, monkeypatch):
    """On a stand-in for the GPU's, which no CPU has."""
    model = model_of(CONFIGS[name])
    padded = learned(model, tmp_path, monkeypatch)
    calls = []
    monkeypatch.setattr(packing, "has_varlen", lambda *_: True)
    monkeypatch.setattr(
        packing, "varlen", SimpleNamespace(varlen_attn=lambda *a, **o: calls.append(a) or dense(*a, **o))
    )
    assert can_pack(model)
    require_equal(learned(model, tmp_path, monkeypatch, packed=True), padded)
    assert calls


def test_gradient_checkpointing_reads_the_same_rows_again(tmp_path, monkeypatch):
    model = model_of(CONFIGS["llama"])
    padded = learned(model, tmp_path, monkeypatch)
    model.gradient_checkpointing_enable()
    require_equal(learned(model, tmp_path, monkeypatch, packed=True), padded)


@pytest.mark.parametrize("name", PADDED)
def test_a_backbone_that_would_mix_the_chains_of_a_row_is_padded(name):
    assert not can_pack(model_of(PADDED[name]))


@pytest.mark.parametrize("packed", [False, True])
def test_a_group_beyond_the_budget_is_learned_as_one_within_it(packed, tmp_path, monkeypatch):
    """Groups of up to five chains and 50 tokens, in passes of at most 20."""
    model = model_of(CONFIGS["llama"])
    whole = learned(model, tmp_path, monkeypatch)
    most, forward = [], type(model).forward

    def seen(self, input_ids, **options):
        most.append(input_ids.numel())
        return forward(self, input_ids=input_ids, **options)

    monkeypatch.setattr(type(model), "forward", seen)
    require_equal(learned(model, tmp_path, monkeypatch, packed=packed, budget=20), whole)
    assert max(most) <= 20


def test_losses_of_tokens_are_passed_on_too(tmp_path, monkeypatch):
    model = model_of(CONFIGS["qwen 2"], "orm")
    options = {"kind": "orm", "terms": {"bradley-terry": 1.0, "language-model": 0.5}}
    whole = learned(model, tmp_path, monkeypatch, **options)
    require_equal(learned(model, tmp_path, monkeypatch, packed=True, budget=20, **options), whole)


def test_dropout_is_the_same_when_chains_are_read_again(tmp_path, monkeypatch):
    """What is read with gradients is what the loss was computed from."""
    model, reads = model_of(LlamaConfig(**SMALL, attention_dropout=0.5)), []
    read = RewardTrainer._read
    monkeypatch.setattr(RewardTrainer, "_read", lambda *given: reads.append(read(*given)) or reads[-1])
    groups = [replace(GROUPS[3], chains=GROUPS[3].chains[:3])]
    learned(model, tmp_path, monkeypatch, packed=True, budget=1, groups=groups)
    rewards = [one.rewards.tolist() for one in reads]
    assert rewards[:3] == rewards[3:]
    assert len(rewards) == 6
    with unpadded(model):
        assert model.config._attn_implementation != "sdpa"
