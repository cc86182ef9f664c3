"""A PRM in another architecture gives the same scores."""

import json

import families
import pytest
import torch
from families import qwen_tokenizer
from transformers import (
    AutoModelForTokenClassification,
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForTokenClassification,
    Olmo2Config,
    Olmo2ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2ForTokenClassification,
)

import prm
from prm.errors import ModelError
from prm.models.checkpoint import Metadata, load_model
from prm.models.conversion import to_qwen2_process_reward
from prm.scoring.loading import load_scorer

SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 512}  # fmt: skip
CHAINS = [("So 2.\n", "The answer is 4"), ("x",), ("a 1\n", "b\n", "c " * 20 + "\n", "d"), ("y\n", "z")]
TEXTS = ["what is 2 + 2?", "?", "a much longer problem than the others have", "is it 12 / 3?"]


def save(directory, model_class=Qwen2ForTokenClassification, config_class=Qwen2Config, kind="prm", **options):
    torch.manual_seed(0)
    tokenizer = qwen_tokenizer()
    model = model_class(config_class(**SIZES, vocab_size=len(tokenizer), num_labels=2, **options))
    for name, parameter in model.named_parameters():
        if "norm" not in name:  # with the default initialization, no score would depend on the text before it
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    Metadata(kind).save(directory)
    return directory


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return save(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def converted(source, tmp_path_factory):
    target = tmp_path_factory.mktemp("theirs")
    to_qwen2_process_reward(source, target)
    return target


def test_scores_stay_the_same(source, converted):
    before, after = (load_scorer(str(path)).score(TEXTS, CHAINS) for path in (source, converted))
    assert max(v for s in before for v in s) - min(v for s in before for v in s) > 0.1
    for a, b in zip(before, after, strict=True):
        assert a == pytest.approx(b, abs=1e-6)


def test_the_layers_are_the_weights_and_their_negatives(source, converted):
    score = load_model(str(source), "prm", is_trained=True).score
    scorer = load_scorer(str(converted))
    first, _, second = scorer.backend.model.score
    assert torch.equal(
        first.weight[:4], torch.stack([score.weight[0], -score.weight[0], score.weight[1], -score.weight[1]])
    )
    assert not first.weight[4:].any()
    assert not first.bias.any()
    assert second.weight[:, :4].tolist() == [[1, -1, 0, 0], [0, 0, 1, -1]]
    assert torch.equal(second.bias, score.bias)


def test_the_directory_is_one_that_other_tools_load(converted, source):
    config = json.loads((converted / "config.json").read_text())
    assert (config["architectures"], config["model_type"]) == (["Qwen2ForProcessRewardModel"], "qwen2")
    for name in ("tokenizer.json", "tokenizer_config.json", "prm.json"):
        assert (converted / name).read_bytes() == (source / name).read_bytes()


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"model_class": LlamaForTokenClassification, "config_class": LlamaConfig}, "is a llama model"),
        ({"kind": "joint"}, "is of kind joint"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(tmp_path, made, message):
    with pytest.raises(ModelError, match=message) as caught:
        to_qwen2_process_reward(save(tmp_path / "ours", **made), tmp_path / "theirs")
    assert caught.value.hint
    assert not (tmp_path / "theirs").exists()


def test_the_command(prm, source, tmp_path):
    code, _, said = prm("convert", "--scorer", source, "--to", "qwen2-process-reward", "--out", "new")
    assert code == 0, said
    assert (tmp_path / "new" / "config.json").exists()
    assert "already there" in prm("convert", "--scorer", source, "--to", "qwen2-process-reward", "--out", "new")[2]
    code, _, said = prm("convert", "--scorer", source, "--to", "gguf", "--out", "other")
    assert code == 1
    assert "'gguf'" in said


CAUSAL = ["math-shepherd", "rlhflow", "versaprm", "openr"]


@pytest.mark.parametrize("name", CAUSAL)
def test_a_causal_prm_as_a_token_classifier_gives_the_same_scores(name, tmp_path):
    """The two rows of its output embedding are the classifier's head; an adapter is merged."""
    (tmp_path / "source").mkdir()
    source = families.MADE[name](tmp_path / "source")
    made = prm.convert(source, tmp_path / "made", to="token-classifier", dialect=name)
    before, after = prm.load_scorer(str(source), dialect=name), prm.load_scorer(str(made.path))
    assert type(after.backend.model).__name__.endswith("ForTokenClassification")
    problems, chains = ["what is 2 + 2?", "why?"], [("So 2 + 2 = 4.\n", "Thus it is 4."), ("a - b\n",)]
    for one, other in zip(before.score(problems, chains), after.score(problems, chains), strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    assert (after.threshold, after.aggregator) == (before.threshold, before.aggregator)
    rendered = after.renderer.render(problems[0], chains[0])
    with torch.no_grad():
        plain = AutoModelForTokenClassification.from_pretrained(made.path)(torch.tensor([rendered.ids])).logits[0]
    read = plain.softmax(-1)[list(rendered.step_ends), 1].tolist()
    assert read == pytest.approx(after.score(problems[:1], chains[:1])[0], abs=1e-5)


def test_a_backbone_without_a_token_classifier_in_transformers_is_converted(tmp_path):
    source = families.save(tmp_path / "source", Olmo2ForCausalLM, Olmo2Config, families.qwen_tokenizer())
    before = prm.load_scorer(str(source), dialect="openr")
    made = prm.convert(source, tmp_path / "made", to="token-classifier", dialect="openr")
    after = prm.load_scorer(str(made.path))
    assert after.backend.model.config.architectures == ["Olmo2ForTokenClassification"]
    pairs = ["what is 2 + 2?"], [("So 2 + 2 = 4.\n", "Thus it is 4.")]
    assert after.score(*pairs)[0] == pytest.approx(before.score(*pairs)[0], abs=1e-5)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_adapter_of_shared_embeddings_keeps_the_scores(tmp_path):
    """LoRA on the input embeddings of a tied model leaves its output embedding as it was."""
    from peft import LoraConfig, get_peft_model

    base = families.save(
        tmp_path / "base", Qwen2ForCausalLM, Qwen2Config, families.qwen_tokenizer(), tie_word_embeddings=True
    )
    config = LoraConfig(r=4, target_modules=["q_proj", "embed_tokens"], init_lora_weights=False)
    get_peft_model(Qwen2ForCausalLM.from_pretrained(base), config).save_pretrained(tmp_path / "adapter")
    before = prm.load_scorer(str(tmp_path / "adapter"), dialect="openr")
    made = prm.convert(tmp_path / "adapter", tmp_path / "made", to="token-classifier", dialect="openr")
    pairs = ["what is 2 + 2?"], [("So 2 + 2 = 4.\n", "Thus it is 4.")]
    ((one,), (other,)) = before.score(*pairs), prm.load_scorer(str(made.path)).score(*pairs)
    assert one == pytest.approx(other, abs=1e-5)


def test_another_dialect_file_is_another_conversion(tmp_path):
    source = families.MADE["versaprm"](tmp_path / "source")
    dialect = 'layout = "plain"\nproblem_end = " "\nmarker = " \\n\\n\\n\\n"\nanswers = ["{}", "{}"]\n'
    (tmp_path / "d.toml").write_text(dialect.format("-", "+"))
    given = {"to": "token-classifier", "dialect": str(tmp_path / "d.toml")}
    prm.convert(source, tmp_path / "made", **given)
    (tmp_path / "d.toml").write_text(dialect.format("+", "-"))
    with pytest.raises(prm.OutputError, match="made with other inputs"):
        prm.convert(source, tmp_path / "made", **given)


@pytest.mark.parametrize(
    ("make", "dialect", "message"),
    [
        (lambda d: families.MADE["qwen"](d), None, "is not read by the plain logits of two tokens"),
        (lambda d: families.MADE["nemotron"](d), "nemotron", "is not read by the plain logits of two tokens"),
        (
            lambda d: families.save(
                d,
                Gemma2ForCausalLM,
                Gemma2Config,
                families.mistral_tokenizer(),
                final_logit_softcapping=2.0,
                head_dim=8,
            ),
            "math-shepherd",
            "is not read by the plain logits of two tokens",
        ),
    ],
    ids=["a classifier", "one token", "capped logits"],
)
def test_what_is_no_plain_causal_prm_is_not_converted(make, dialect, message, tmp_path):
    with pytest.raises(ModelError, match=message):
        prm.convert(make(tmp_path / "source"), tmp_path / "made", to="token-classifier", dialect=dialect)
    assert not (tmp_path / "made").exists()
