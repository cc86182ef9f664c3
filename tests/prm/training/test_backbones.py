"""Every decoder of transformers can be trained, stored and scored; anything else is refused before data are read."""

import json
import pickle
import re
from array import array
from contextlib import suppress
from dataclasses import replace

import peft
import pytest
import torch
from places import ROOT
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BertConfig,
    BertModel,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Llama4Config,
    Llama4ForConditionalGeneration,
    T5Config,
    T5Model,
)

import prm as toolkit
from prm.errors import ModelError
from prm.models.checkpoint import Metadata, load_model, load_policy, save_model
from prm.models.decoders import form_of
from prm.scoring.vllm_backend import pooling_task
from prm.training.examples import ChainExample, GroupExample
from prm.training.job import audit_of
from prm.training.trainer import ADAPTER, FitSettings, RewardTrainer, fit

pytestmark = [pytest.mark.timeout(3600), pytest.mark.usefixtures("one_thread")]
SMALL = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
BACKBONES = {
    "Llama": ("llama", {}),
    "Mistral": ("mistral", {}),
    "Mixtral": ("mixtral", {"num_local_experts": 4}),
    "Qwen 2": ("qwen2", {}),
    "Qwen 3": ("qwen3", {"head_dim": 8}),
    "Qwen 3 MoE": (
        "qwen3_moe",
        {"head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32},
    ),
    "Phi 3": ("phi3", {}),
    "Gemma 2": ("gemma2", {"head_dim": 8}),
    "Gemma 3": ("gemma3_text", {"head_dim": 8}),
    "OLMo 2": ("olmo2", {}),
    "Granite": ("granite", {"embedding_multiplier": 2.0, "logits_scaling": 4.0}),
    "Cohere 2": ("cohere2", {"logit_scale": 0.25}),
    "LFM2": ("lfm2", {"layer_types": ["conv", "full_attention"], "conv_L_cache": 3}),
    "GLM 4 MoE": (
        "glm4_moe",
        {
            "head_dim": 8,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "first_k_dense_replace": 1,
        },
    ),
    "GPT-2": ("gpt2", {}),
    "GPT-NeoX": ("gpt_neox", {}),
}
"""By the name in docs/training.md: type of the model, and the settings of a small one that the others do not need."""


def make_base(directory, tokenizer, model_type, options):
    torch.manual_seed(0)
    config = AutoConfig.for_model(model_type, **SMALL | {"vocab_size": len(tokenizer)} | options)
    model = AutoModelForCausalLM.from_config(config)
    for name, parameter in model.named_parameters():
        if "norm" not in name:  # with the initial weights, scores would hardly depend on the text before them
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return str(directory)


@pytest.fixture(scope="module")
def base_of(tmp_path_factory, tokenizer):
    """The directory of a small model by its name in `BACKBONES`."""
    made = {}

    def base(name):
        if name not in made:
            made[name] = make_base(tmp_path_factory.mktemp("base"), tokenizer, *BACKBONES[name])
        return made[name]

    return base


def chain(identity, ids, ends, targets, value=None):
    return ChainExample(identity, array("i", ids), ends, targets, (1.0,) * len(ends), (value,))


GROUPS = [
    GroupExample(
        str(i),
        1,
        (
            chain(f"a{i}", (1, 30 + i, 20, 10), (3,), (1.0,), 1.0),
            chain(f"b{i}", (1, 31 + i, 40, 21, 10), (2, 4), (1.0, 0.0), 0.0),
        ),
    )
    for i in range(3)
]
FIT = FitSettings(learning_rate=1e-2, batch_size=1, save_every=10**9)
ROWS = [(1, 30, 20, 10), (1, 33, 40, 21, 10, 50, 60), (1, 9)]
PROBLEM, STEPS = "what is 2 + 2?", ("So 2 + 2 = 4.", "Thus it is 4.")


def trained(base, kind, tokenizer, directory, **settings):
    """Train for three steps and write a checkpoint; gives the model as it is in memory."""
    model = load_model(base, kind, 0)
    made = fit(model, kind, GROUPS, (), replace(FIT, **settings), directory / "work")
    save_model(made.config, made.weights, kind, directory)
    tokenizer.save_pretrained(directory)
    Metadata(kind, labels="outcome" if kind == "orm" else "hard").save(directory)
    return model.eval()


@torch.no_grad()
def outputs(model, ids):
    return model(torch.tensor([ids])).logits[0]


AUTO = {"prm": AutoModelForTokenClassification, "orm": AutoModelForSequenceClassification}


def table():
    """The rows of docs/training.md: in plain transformers, and in vLLM, by backbone and kind."""
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| prm, orm, LoRA \| (.+?) \| (.+?) \|$", text, flags=re.MULTILINE)
    return {name: {"plain": plain.split(", "), "vllm": vllm.split(", ")} for name, plain, vllm in rows}


@pytest.mark.parametrize(("kind", "lora_rank"), [("prm", 0), ("prm", 4), ("orm", 0)], ids=["prm", "lora", "orm"])
@pytest.mark.parametrize("name", BACKBONES)
def test_it_trains_and_scores_as_before_it_was_stored(name, kind, lora_rank, base_of, tokenizer, tmp_path):
    before = load_model(base_of(name), kind, 0).eval()
    model = trained(base_of(name), kind, tokenizer, tmp_path, lora_rank=lora_rank)
    scorer = toolkit.load_scorer(str(tmp_path))
    places = [(len(ids) - 1,) if kind == "orm" else range(len(ids)) for ids in ROWS]
    stored = scorer.backend.outputs([(ids, reads) for ids, reads in zip(ROWS, places, strict=True)])
    for ids, reads, found in zip(ROWS, places, stored, strict=True):
        torch.testing.assert_close(outputs(model, ids)[list(reads)], found, atol=1e-5, rtol=0)
    assert (outputs(before, ROWS[1]) - outputs(model, ROWS[1])).abs().max() > 1e-3, "it has learned nothing"
    assert len(scorer.score([PROBLEM], [STEPS])[0]) == (1 if kind == "orm" else 2)
    if not lora_rank:
        assert_loads_as_documented(name, kind, model, tmp_path)


@pytest.mark.parametrize(
    ("name", "lora_rank"),
    [
        *((name, 0) for name in ("Mixtral", "Gemma 2", "Granite", "Cohere 2", "LFM2", "GPT-2", "GPT-NeoX")),
        ("Gemma 2", 4),
    ],
)
def test_it_trains_as_an_implicit_prm(name, lora_rank, base_of, tmp_path):
    """The rewards at the end are the log-ratios of the stored model to its base, by plain transformers' own logits."""
    settings = replace(FIT, lora_rank=lora_rank, beta=1.0)
    made = fit(load_policy(base_of(name)), "implicit", GROUPS, GROUPS, settings, tmp_path / "work")
    save_model(made.config, made.weights, None, tmp_path)
    chains = [chain for group in GROUPS for chain in group.chains]
    before, after = ([log_likelihood(path, own.ids) for own in chains] for path in (base_of(name), tmp_path))
    rewards = [one - other for one, other in zip(after, before, strict=True)]
    assert made.metrics["reward_max"].value == pytest.approx(max(rewards), abs=1e-4)
    assert made.metrics["reward_min"].value == pytest.approx(min(rewards), abs=1e-4)
    assert max(rewards) - min(rewards) > 0.01, "it has learned nothing"


def log_likelihood(path, ids):
    """Of all tokens but the first."""
    model, report = AutoModelForCausalLM.from_pretrained(path, output_loading_info=True)
    assert not report["missing_keys"]
    logits = outputs(model.eval(), list(ids))[:-1]
    return float(logits.log_softmax(-1).gather(1, torch.tensor(list(ids))[1:, None]).sum())


def assert_loads_as_documented(name, kind, model, directory):
    """In plain transformers with its head, or else the backbone alone."""
    options = {"output_loading_info": True}
    if kind in table()[name]["plain"]:
        plain, report = AUTO[kind].from_pretrained(directory, **options)
        assert not report["missing_keys"]
        assert not report["unexpected_keys"]
        assert AutoConfig.from_pretrained(directory).architectures == [type(plain).__name__]
        expected = outputs(model, ROWS[1])
        torch.testing.assert_close(
            outputs(plain.eval(), ROWS[1]), expected[-1] if kind == "orm" else expected, atol=1e-5, rtol=0
        )
    else:
        with pytest.raises(ValueError, match="Unrecognized configuration class"):
            AUTO[kind].from_pretrained(directory)
        backbone, report = AutoModel.from_pretrained(directory, **options)
        assert not report["missing_keys"]
        ids = torch.tensor([ROWS[1]])
        ours = model.base_model(input_ids=ids).last_hidden_state
        torch.testing.assert_close(backbone.eval()(input_ids=ids).last_hidden_state, ours, atol=1e-5, rtol=0)


def test_the_document_names_these_backbones():
    assert list(table()) == list(BACKBONES)


@pytest.mark.filterwarnings("ignore")
def test_the_document_says_what_vllm_has(base_of):
    """vLLM takes a classifier from its causal model of the same family; what it would read wrongly is refused."""
    registry = pytest.importorskip("vllm.model_executor.models.registry")
    known = set(registry.ModelRegistry.get_supported_archs())
    for name, row in table().items():
        found = []
        for kind, labels in (("prm", 2), ("orm", 1)):
            config = AutoConfig.from_pretrained(base_of(name), num_labels=labels)
            architecture = form_of(config, kind).name
            config.architectures = [architecture]
            family = re.sub("For(Token|Sequence)Classification", "", architecture)
            if known & {architecture, f"{family}ForCausalLM", f"{family}LMHeadModel"} and is_served(config):
                found.append(kind)
        assert row["vllm"] == (found or ["-"]), name


def is_served(config):
    with suppress(ModelError):
        return bool(pooling_task("model", config))
    return False


@pytest.mark.parametrize("name", ["Llama", "GPT-2", "OLMo 2"])
def test_a_model_can_be_sent_to_another_process(name, base_of):
    model = load_model(base_of(name), "prm", 0).eval()
    again = pickle.loads(pickle.dumps(model))
    assert type(again) is type(model)
    assert torch.equal(outputs(again, ROWS[0]), outputs(model, ROWS[0]))


@pytest.mark.parametrize("name", ["Mixtral", "GLM 4 MoE"])
def test_a_training_that_breaks_off_goes_on_to_the_same_result(name, base_of, tmp_path, monkeypatch):
    """Also where weights are stored in another form than they have in memory, as those of experts."""
    settings = replace(FIT, epochs=2, save_every=2)
    whole = fit(load_model(base_of(name), "prm", 0), "prm", GROUPS, (), settings, tmp_path / "whole").weights
    step = RewardTrainer.training_step

    def breaks_off(self, *arguments):
        if self.state.global_step == 3:
            raise KeyboardInterrupt
        return step(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(RewardTrainer, "training_step", breaks_off)
        with pytest.raises(KeyboardInterrupt):
            fit(load_model(base_of(name), "prm", 0), "prm", GROUPS, (), settings, tmp_path / "cut")
    again = fit(load_model(base_of(name), "prm", 0), "prm", GROUPS, (), settings, tmp_path / "cut").weights
    assert max(float((again[key] - whole[key]).abs().max()) for key in whole) == 0


VISION = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "patch_size": 14,
}
SEEING = {
    "gemma3_text": (Gemma3Config, Gemma3ForConditionalGeneration, {"head_dim": 8}, {"image_size": 14}),
    "llama4_text": (
        Llama4Config,
        Llama4ForConditionalGeneration,
        {"head_dim": 8, "num_local_experts": 2, "intermediate_size_mlp": 32},
        {"image_size": 28, "vision_output_dim": 16, "projector_input_dim": 16, "projector_output_dim": 16},
    ),
}
"""By the type of its decoder: a model that also takes images."""


@pytest.mark.parametrize("model_type", SEEING)
def test_of_a_model_that_sees_the_decoder_is_trained(model_type, tokenizer, tmp_path):
    config_class, model_class, text, vision = SEEING[model_type]
    torch.manual_seed(0)
    config = config_class(text_config=SMALL | {"vocab_size": len(tokenizer)} | text, vision_config=VISION | vision)
    whole = model_class(config).eval()
    whole.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    model = load_model(str(tmp_path / "base"), "prm", 0).eval()
    ids = torch.tensor([ROWS[1]])
    with torch.no_grad():
        theirs = whole(input_ids=ids, output_hidden_states=True).hidden_states[-1]
        torch.testing.assert_close(model.base_model(input_ids=ids).last_hidden_state, theirs)
    assert 0 < float(model.score.weight.detach().abs().max()) < 1
    model = trained(str(tmp_path / "base"), "prm", tokenizer, tmp_path)
    family = model_type.removesuffix("_text").capitalize()
    stored = AutoConfig.from_pretrained(tmp_path)
    assert (stored.model_type, stored.architectures) == (model_type, [f"{family}ForTokenClassification"])
    (found,) = toolkit.load_scorer(str(tmp_path)).backend.outputs([(ROWS[1], range(len(ROWS[1])))])
    torch.testing.assert_close(found, outputs(model, ROWS[1]), atol=1e-5, rtol=0)


ENCODER = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
SEQ2SEQ = {"d_model": 32, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda d: BertModel(BertConfig(vocab_size=99, **ENCODER)).save_pretrained(d), "a bert is no decoder"),
        (lambda d: T5Model(T5Config(vocab_size=99, **SEQ2SEQ)).save_pretrained(d), "a t5 is no decoder"),
        (lambda d: (d / "config.json").write_text('{"model_type": "brand-new"}'), "is not a model"),
        (lambda d: (d / "config.json").write_text('{"model_type": "mllama"}'), "a mllama is no decoder"),
    ],
    ids=["encoder", "encoder with decoder", "unknown", "text part unknown"],
)
@pytest.mark.parametrize("job", [toolkit.train, audit_of])
def test_what_is_no_decoder_is_refused_before_data_are_read(made, says, job, tmp_path):
    (tmp_path / "base").mkdir()
    made(tmp_path / "base")
    (tmp_path / "rubbish.jsonl").write_text("this would be an error\n")
    data = dict.fromkeys(("problems", "chains", "labels"), tmp_path / "rubbish.jsonl")
    with pytest.raises(ModelError, match=says) as refused:
        job(toolkit.TrainSettings(str(tmp_path / "base")), **data)
    assert "\n" not in str(refused.value)
    assert refused.value.hint


def test_an_adapter_is_kept_and_gives_the_merged_model(base_of, tokenizer, tmp_path):
    """Loaded by peft over the base, and by `prm` through it; with one scale, one dropout and two layers of its own."""
    given = {"lora_rank": 4, "lora_alpha": 2.0, "lora_dropout": 0.1, "lora_targets": ("q_proj", "up_proj")}
    for name in ("Llama", "OLMo 2"):
        base, out = base_of(name), tmp_path / name
        model = trained(base, "prm", tokenizer, out, keep_adapter=True, **given)
        adapter = out / "work" / ADAPTER
        row = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        assert (row["r"], row["lora_alpha"], row["lora_dropout"], row["task_type"]) == (4, 2.0, 0.1, "TOKEN_CLS")
        assert (set(row["target_modules"]), row["base_model_name_or_path"]) == ({"q_proj", "up_proj"}, base)
        loaded = peft.PeftModel.from_pretrained(load_model(base, "prm", 0, seed=1), adapter).eval()
        torch.testing.assert_close(outputs(loaded, ROWS[1]), outputs(model, ROWS[1]), atol=1e-5, rtol=0)
        scorer = toolkit.load_scorer(str(adapter), dialect="trl")
        (found,) = scorer.backend.outputs([(ROWS[1], range(len(ROWS[1])))])
        torch.testing.assert_close(found, outputs(model, ROWS[1]), atol=1e-5, rtol=0)


def test_the_job_keeps_the_adapter_in_its_output(base_of, tmp_path):
    settings = toolkit.TrainSettings(base_of("Llama"), objective="orm", held_out=0, lora_rank=2, keep_adapter=True)
    pairs = [{"prompt": "what is 4?", "chosen": "It is 4.", "rejected": f"It is {i}."} for i in (5, 6)]
    made = toolkit.train(settings, preferences=pairs, out=tmp_path / "out")
    row = json.loads((made.path / ADAPTER / "adapter_config.json").read_text(encoding="utf-8"))
    assert (row["task_type"], row["lora_alpha"]) == ("SEQ_CLS", 4)
    assert "plain transformers loads it" in (made.path / "README.md").read_text(encoding="utf-8").lower()


def test_layers_that_are_not_there_are_refused(base_of, tmp_path):
    settings = replace(FIT, lora_rank=2, lora_targets=("q_projection",))
    with pytest.raises(ModelError, match="LoRA does not fit this backbone") as refused:
        fit(load_model(base_of("Llama"), "prm", 0), "prm", GROUPS, (), settings, tmp_path)
    assert "lora_targets" in refused.value.hint


def test_the_card_says_what_loads_it(base_of, tmp_path):
    pairs = [{"prompt": "what is 4?", "chosen": "It is 4.", "rejected": "It is 5."}]
    settings = toolkit.TrainSettings(base_of("Granite"), objective="orm", held_out=0)
    made = toolkit.train(settings, preferences=pairs, out=tmp_path / "out")
    card = (made.path / "README.md").read_text(encoding="utf-8")
    assert "It loads through prm-toolkit only" in card
    assert "library_name: prm-toolkit" in card
