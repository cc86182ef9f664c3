"""Every public family, on tiny models of its architecture: scores as its card computes them, in any batch."""

import json
import pickle
import shutil
import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import families
import pytest
import torch
from families import MADE, by_the_card, edit_weights, options
from places import ROOT
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaTokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3ForSequenceClassification,
)

import prm
from prm.data.records import Chain, Message, Problem
from prm.errors import ModelError, RenderError
from prm.models import public as public_models
from prm.models.checkpoint import Metadata, load_tokenizer
from prm.models.dialects import answer_ids, make_renderer
from prm.models.families import DIALECTS, choose_dialect
from prm.models.heads import candidate_head, logits_head
from prm.models.layouts import Layout, start_steps
from prm.scoring import backends
from prm.scoring.backends import TransformersBackend
from prm.scoring.reward_model import READOUTS
from prm.scoring.scorer import score_chains

pytestmark = pytest.mark.usefixtures("one_thread")
PROBLEMS = ["what is 2 + 2?", "a much longer problem = than the others have", "is it 12 / 3?"]
CHAINS = [
    ("So 2 + 2 = 4.\n", "Thus it is 4.\n\n"),
    ("one\n",),
    ("a - b\n", "two lines +\nin one step - here\n", "third 数 é\n", "the answer is 4"),
    ("y =\n\n", "z?"),
]
MANY = [(PROBLEMS[i % 3], CHAINS[i % 4]) for i in range(34)]
CLOSE = {"abs": 1e-5}
PRMS = [name for name, dialect in DIALECTS.items() if dialect.kind == "prm"]
CLASSIFIERS = [name for name, dialect in DIALECTS.items() if not dialect.is_causal]
RANGES = {"0 to 1": (0, 1), "-1 to 1": (-1, 1), "any": (-1e9, 1e9)}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Directory of a model of each family."""
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in MADE.items()}


@pytest.fixture(scope="module")
def scorers(paths):
    return {name: prm.load_scorer(str(path), dialect=name, **options(name, path)) for name, path in paths.items()}


@pytest.fixture(params=DIALECTS)
def scorer(request, scorers):
    return scorers[request.param]


@pytest.fixture(params=PRMS)
def step_scorer(request, scorers):
    return scorers[request.param]


@pytest.fixture
def copy(paths, tmp_path):
    """A function that copies a family's model, for a test to break."""

    def make(name):
        shutil.copytree(paths[name].parent if name in ("openr", "implicit") else paths[name], tmp_path / "copy")
        return tmp_path / "copy" / {"openr": "adapter", "implicit": "policy"}.get(name, "")

    return make


def score(scorer, pairs):
    return scorer.score(*(list(column) for column in zip(*pairs, strict=True)))


def flat(scores):
    return [v for row in scores for v in row]


def test_there_is_a_model_of_every_dialect():
    assert list(MADE) == list(DIALECTS)


@pytest.mark.parametrize("name", DIALECTS)
def test_one_score_per_step_in_range_and_as_on_the_card(name, scorers, paths):
    scores = score(scorers[name], MANY[:6])
    is_prm = DIALECTS[name].kind == "prm"
    assert [len(s) for s in scores] == [len(c) if is_prm else 1 for _, c in MANY[:6]]
    low, high = RANGES[DIALECTS[name].scores]
    assert all(low <= v <= high for v in flat(scores))
    spread = max(flat(scores)) - min(flat(scores))
    assert spread > (0.01 if name == "implicit" else 0.2), "all scores are alike: these tests would prove nothing"
    for (problem, steps), found in zip(MANY[:6], scores, strict=True):
        assert list(found) == pytest.approx(by_the_card(name, paths[name], problem, steps), **CLOSE)


def test_scores_do_not_depend_on_batch_size_or_padding(scorer, monkeypatch):
    together = flat(score(scorer, MANY))
    for size, side in ((1, "right"), (2, "left"), (7, "right"), (7, "left"), (32, "right"), (32, "left")):
        monkeypatch.setattr(backends, "batches_by_tokens", lambda lengths, _, n=size: in_parts(len(lengths), n))
        monkeypatch.setattr(scorer.backend, "padding_side", side)
        assert flat(score(scorer, MANY)) == pytest.approx(together, **CLOSE)


def in_parts(count, size):
    return [range(count)[start : start + size] for start in range(0, count, size)]


def test_a_step_changes_its_own_score_and_no_earlier_one(step_scorer):
    problem, steps = PROBLEMS[0], CHAINS[2]
    ((*whole,),) = step_scorer.score([problem], [steps])
    for changed in range(len(steps)):
        other = [*steps[:changed], "quite another 7\n", *steps[changed + 1 :]]
        ((*found,),) = step_scorer.score([problem], [other])
        assert found[:changed] == pytest.approx(whole[:changed], **CLOSE)
        assert abs(found[changed] - whole[changed]) > 1e-4


def test_an_empty_chain_and_no_chain(step_scorer):
    assert step_scorer.score([], []) == []
    assert step_scorer.score(["what?"], [()]) == [()]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", [n for n in PRMS if n != "implicit"])
def test_a_probability_that_underflows_is_still_a_score(name, dtype, paths):
    scorer = prm.load_scorer(str(paths[name]), dialect=name, dtype=dtype)
    head = scorer.backend.model.get_output_embeddings() if DIALECTS[name].answers else scorer.backend.model.score
    with torch.no_grad():
        (head[-1] if isinstance(head, torch.nn.Sequential) else head).weight.mul_(1000)
    rendered = [scorer.renderer.render(*pair) for pair in MANY[:4]]
    outputs = torch.cat(scorer.backend.outputs([(r.ids, r.step_ends) for r in rendered]))
    gaps = (outputs[:, 1] - outputs[:, 0] if outputs.shape[1] == 2 else outputs[:, 0]).abs()
    assert gaps.max() > 110
    scores = score(scorer, MANY[:4])
    assert [len(s) for s in scores] == [len(c) for _, c in MANY[:4]]
    low, high = RANGES[DIALECTS[name].scores]
    assert {low, high} & set(flat(scores))
    assert all(low <= v <= high for v in flat(scores))


@pytest.mark.parametrize("name", ["math-shepherd", "rlhflow", "openr"])
def test_a_causal_model_gives_two_logits_and_not_its_vocabulary(name, scorers):
    rendered = scorers[name].renderer.render(*MANY[2])
    (outputs,) = scorers[name].backend.outputs([(rendered.ids, rendered.step_ends)])
    assert outputs.shape == (4, 2)


def test_many_chains_are_rendered_as_one_by_one(scorer):
    problems, chains = zip(*MANY, strict=True)
    together = scorer.renderer.render_many(problems, chains)
    assert list(together) == [scorer.renderer.render(p, c) for p, c in MANY]
    assert all(r.step_ends[-1] == len(r.ids) - 1 for r in together)


def test_a_renderer_can_be_pickled(scorer):
    problems, chains = zip(*MANY, strict=True)
    copied = pickle.loads(pickle.dumps(scorer.renderer))
    assert copied.render_many(problems, chains) == scorer.renderer.render_many(problems, chains)


def test_a_head_can_be_pickled(scorer):
    renderer, backend = scorer.renderer, scorer.backend
    rows = [(rendered.ids, rendered.step_ends) for rendered in map(renderer.render, *zip(*MANY[:4], strict=True))]
    copied = TransformersBackend(backend.model, pickle.loads(pickle.dumps(backend.head)))
    for one, other in zip(backend.outputs(rows), copied.outputs(rows), strict=True):
        assert torch.equal(one, other)


MARKS = {"math-shepherd": "ки", "openr": "\n\n\n\n\n", "qwen": "<extra_0>"}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_text_that_contains_a_marker_is_refused_alone(name, scorers):
    renderer = scorers[name].renderer
    marks = [renderer.tokenizer.eos_token, *([MARKS[name]] if name in MARKS else [])]
    for mark in marks:
        for problem, steps in (("q", ("a", f"b{mark} c")), (f"q {mark} r", ("a",))):
            with pytest.raises(RenderError, match="contains"):
                renderer.render(problem, steps)
            first, second, third = renderer.render_many(["q", problem, "q"], [("a",), steps, ("b",)])
            assert isinstance(second, RenderError)
            assert (first, third) == (renderer.render("q", ("a",)), renderer.render("q", ("b",)))
    with pytest.raises(RenderError, match="blank"):
        renderer.render("q", ("a", " \n"))


def test_a_marker_that_merges_with_what_follows_is_refused_at_load(paths):
    with pytest.raises(ModelError, match="the mark of step 1 is not a token of its own"):
        prm.load_scorer(str(paths["versaprm"]), dialect=replace(DIALECTS["versaprm"], joint="\n", hub_names=()))


def test_a_mark_that_merges_with_its_neighbor_is_refused(scorers, monkeypatch):
    renderer = scorers["openr"].renderer
    monkeypatch.setattr(renderer, "lay_out", lambda *_: Layout("a \n\n\n\n\n\nb", 0, (7,)))
    with pytest.raises(RenderError, match="not a token of its own"):
        renderer.render("a", ("b",))


@pytest.mark.parametrize("settings", [None, {"tokenizer_class": "LlamaTokenizer"}, {"add_bos_token": True}])
@pytest.mark.parametrize("model_type", ["llama", "mistral"])
def test_the_ids_of_the_math_shepherd_card_are_those_of_mistral(tmp_path, model_type, settings):
    """With the vocabulary of Mistral-7B-v0.1 itself, which vLLM brings along, and nothing else in the directory."""
    mistral_common = pytest.importorskip("mistral_common")
    vocabulary = Path(mistral_common.__file__).parent / "data" / "tokenizer.model.v1"
    shutil.copy(vocabulary, tmp_path / "tokenizer.model")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type, "vocab_size": 32000}))
    if settings is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer, dialect = load_tokenizer(str(tmp_path)), DIALECTS["math-shepherd"]
    found = make_renderer(tokenizer, dialect.hub_names[0], dialect).render("3*4 =", ("x =\n", "so 12 - 1"))
    expected = LlamaTokenizer.from_pretrained(tmp_path, add_bos_token=True)(
        "3*4 = Step 1: x = ки\nStep 2: so 12 - 1 ки"
    )
    assert list(found.ids) == expected["input_ids"]
    assert (found.ids[0], found.ids[-1]) == (1, 12902)
    assert [i for i, token in enumerate(found.ids) if token == 12902] == list(found.step_ends)
    assert answer_ids(tokenizer, dialect.hub_names[0], dialect) == [387, 648]


def test_a_mark_with_another_id_than_the_card_states_is_refused_at_load(paths):
    tokenizer = load_tokenizer(str(paths["qwen"]))
    own = make_renderer(tokenizer, "my/model", DIALECTS["qwen"]).expected
    assert make_renderer(tokenizer, "my/model", replace(DIALECTS["qwen"], hub_names=(), ids={"<extra_0>": own}))
    with pytest.raises(ModelError, match=f"gives '<extra_0>' the id {own}, not 7"):
        make_renderer(tokenizer, "my/model", replace(DIALECTS["qwen"], hub_names=(), ids={"<extra_0>": 7}))


def test_steps_are_numbered_once():
    assert start_steps(["Step 1: a\n", "b", "Step 2: c"], "Step {n}: ") == ["Step 1: a", "Step 2: b", "Step 2: c"]


def test_an_outcome_model_is_read_before_its_padding_token(scorers, paths, copy):
    path = copy("outcome")
    config = json.loads((path / "config.json").read_text())
    eot = scorers["outcome"].renderer.tokenizer.eos_token_id
    (path / "config.json").write_text(json.dumps({**config, "pad_token_id": eot}))
    scorer = prm.load_scorer(str(path))
    assert eot in scorers["outcome"].renderer.render(*MANY[0]).ids[-1:]
    assert scorer.renderer.render(*MANY[0]).ids[-1] != eot
    for (problem, steps), found in zip(MANY[:4], score(scorer, MANY[:4]), strict=True):
        assert list(found) == pytest.approx(by_the_card("outcome", path, problem, steps), **CLOSE)


# which dialect


@pytest.mark.parametrize(
    ("name", "architecture", "labels"),
    [
        ("qwen", "Qwen2ForProcessRewardModel", 2),
        ("skywork", "Qwen2ForPrmModel", 2),
        ("trl", "GemmaForTokenClassification", 2),
        ("outcome", "GemmaForSequenceClassification", 1),
        ("qwen-outcome", "Qwen2ForRewardModel", 2),
    ],
)
def test_an_architecture_of_one_family_decides_the_dialect(name, architecture, labels):
    assert choose_dialect("my/model", architecture, labels) is DIALECTS[name]


@pytest.mark.parametrize("name", DIALECTS)
def test_a_name_on_the_hub_decides_the_dialect(name):
    dialect = DIALECTS[name]
    assert dialect.hub_names
    for known in dialect.hub_names:
        assert choose_dialect(known, dialect.architectures[0].replace("*", "Qwen2"), dialect.labels or 2) is dialect


def test_two_architectures_of_one_name_are_told_apart_by_a_field(tmp_path, paths):
    path = families.OTHERS["qrm, llama"][1](tmp_path)
    names = [json.loads((p / "config.json").read_text())["architectures"] for p in (path, paths["armorm"])]
    assert names[0] == names[1]
    found = [prm.load_scorer(str(p)).backend.model for p in (path, paths["armorm"])]
    assert [type(model).__name__ for model in found] == [DIALECTS[n].architectures[-1] for n in ("qrm", "armorm")]


def test_part_of_a_name_decides_nothing():
    known = DIALECTS["math-shepherd"].hub_names[0]
    for name in (known + "-v2", known.upper(), f"models/{known}", known.split("/")[1]):
        with pytest.raises(ModelError, match=r"several dialects|no dialect"):
            choose_dialect(name, "LlamaForCausalLM", 2)


def from_the_hub(monkeypatch, path):
    """Load the model in `path` for any name."""
    monkeypatch.setattr(public_models, "adapter_of", lambda _: None)
    monkeypatch.setattr(public_models, "stored_file", lambda *_: None)
    for function in ("load_config", "load_tokenizer", "load_strictly"):
        own = getattr(public_models, function)
        monkeypatch.setattr(public_models, function, lambda _, *rest, own=own, **more: own(str(path), *rest, **more))


def test_a_known_model_is_loaded_by_its_name(monkeypatch, paths, scorers):
    from_the_hub(monkeypatch, paths["pure"])
    scorer = prm.load_scorer("jinachris/PURE-PRM-7B")
    assert (scorer.kind, scorer.threshold, scorer.aggregator) == ("prm", 0.0, "min")
    assert flat(score(scorer, MANY[:4])) == pytest.approx(flat(score(scorers["pure"], MANY[:4])), **CLOSE)


def test_a_known_model_must_have_the_ids_of_its_card(monkeypatch, paths):
    from_the_hub(monkeypatch, paths["qwen"])
    with pytest.raises(ModelError, match="not 151651"):
        prm.load_scorer("Qwen/Qwen2.5-Math-PRM-7B")


def test_the_reference_of_a_known_model_is_that_of_its_card(monkeypatch, paths):
    asked = []
    from_the_hub(monkeypatch, paths["implicit"])
    monkeypatch.setattr(
        public_models, "load_config", lambda name, own=public_models.load_config: asked.append(name) or own(name)
    )
    prm.load_scorer("PRIME-RL/EurusPRM-Stage2")
    assert asked == ["PRIME-RL/EurusPRM-Stage2", "Qwen/Qwen2.5-Math-7B-Instruct"]


# every backbone, every template

BACKBONES = {
    "gemma2": lambda d: families.save(
        d, Gemma2ForCausalLM, Gemma2Config, families.mistral_tokenizer(), final_logit_softcapping=2.0, head_dim=8
    ),
    "granite": lambda d: families.save(
        d, GraniteForCausalLM, GraniteConfig, families.mistral_tokenizer(), logits_scaling=5.0
    ),
    "qwen3": lambda d: families.save(d, Qwen3ForCausalLM, Qwen3Config, families.mistral_tokenizer(), head_dim=8),
}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_causal_dialect_reads_every_backbone(backbone, tmp_path):
    """Gemma 2 caps its logits and Granite divides them: a head that left this out would be wrong."""
    path = BACKBONES[backbone](tmp_path / "model")
    found = score(prm.load_scorer(str(path), dialect="math-shepherd"), MANY[:6])
    for (problem, steps), own in zip(MANY[:6], found, strict=True):
        assert list(own) == pytest.approx(by_the_card("math-shepherd", path, problem, steps), **CLOSE)


def test_whether_logits_are_changed_is_read_from_the_configuration(tmp_path):
    """With a cap of 30 and small logits at a probe, the two ways would look the same."""
    path = families.save(
        tmp_path,
        Gemma2ForCausalLM,
        Gemma2Config,
        families.mistral_tokenizer(),
        final_logit_softcapping=30.0,
        head_dim=8,
    )
    head = prm.load_scorer(str(path), dialect="math-shepherd").backend.head
    assert head.func is logits_head
    plain = families.save(tmp_path / "m", LlamaForCausalLM, LlamaConfig, families.mistral_tokenizer())
    assert prm.load_scorer(str(plain), dialect="math-shepherd").backend.head.func is candidate_head


def test_the_cap_on_attention_is_heeded(tmp_path):
    """Torch's fused attention would leave it out, silently."""
    capped, plain = (
        families.save(
            tmp_path / str(cap), Gemma2ForCausalLM, Gemma2Config, families.mistral_tokenizer(), head_dim=8,
            attn_logit_softcapping=cap,
        )
        for cap in (0.5, None)
    )  # fmt: skip
    found, other = (flat(score(prm.load_scorer(str(p), dialect="math-shepherd"), MANY[:4])) for p in (capped, plain))
    assert max(abs(a - b) for a, b in zip(found, other, strict=True)) > 0.01


QWEN3_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' and loop.last and '</think>' not in m['content'] %}"
    "<think>\n\n</think>\n\n{% endif %}"
    "{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
R1_CHAT = QWEN3_CHAT.replace(
    "{{ m['content'] }}", "{{ m['content'].split('</think>')[-1] if m['role'] == 'assistant' else m['content'] }}"
).replace("<think>\n\n</think>\n\n", "")


@pytest.mark.parametrize("template", [QWEN3_CHAT, R1_CHAT], ids=["an empty thought is added", "a thought is left out"])
@pytest.mark.parametrize("steps", [("So 2 + 2 = 4.\n", "i"), ("<think>\n2 and 2\n</think>\n", "It is 4.")])
def test_an_outcome_model_gets_the_chat_that_its_template_writes(template, steps, tmp_path):
    tokenizer = families.qwen_tokenizer()
    tokenizer.chat_template = template
    path = families.save(tmp_path, Qwen3ForSequenceClassification, Qwen3Config, tokenizer, num_labels=1, head_dim=8)
    ((reward,),) = prm.load_scorer(str(path)).score(["why?"], [steps])
    turns = [{"role": "user", "content": "why?"}, {"role": "assistant", "content": "".join(steps).strip()}]
    ids = torch.tensor([tokenizer.encode(tokenizer.apply_chat_template(turns, tokenize=False))])
    with torch.no_grad():
        expected = Qwen3ForSequenceClassification.from_pretrained(path).eval()(ids).logits[0, 0]
    assert reward == pytest.approx(expected.item(), **CLOSE)


def test_the_steps_of_a_prm_are_found_behind_an_empty_thought(tmp_path):
    tokenizer = families.qwen_tokenizer()
    tokenizer.chat_template = QWEN3_CHAT
    renderer = make_renderer(tokenizer, "m", DIALECTS["qwen"])
    found = renderer.render("why?", ("So 4.", "i"))
    assert "<think>\n\n</think>\n\nSo 4.<extra_0>i<extra_0>" in tokenizer.decode(found.ids)
    assert [found.ids[place] for place in found.step_ends] == tokenizer.encode("<extra_0>") * 2
    tokenizer.chat_template = R1_CHAT
    with pytest.raises(RenderError, match="changes the text"):
        make_renderer(tokenizer, "m", DIALECTS["qwen"]).render("why?", ("a</think>", "b"))


@pytest.mark.parametrize("task", ["TOKEN_CLS", "SEQ_CLS"])
def test_a_lora_head_over_a_base_is_read_as_the_merged_model(task, tmp_path):
    """As peft writes a reward model: an adapter with a head of its own, over a causal language model."""
    from peft import LoraConfig, get_peft_model

    base = families.save(tmp_path / "base", LlamaForCausalLM, LlamaConfig, families.llama_tokenizer())
    autos = {"TOKEN_CLS": (AutoModelForTokenClassification, 2), "SEQ_CLS": (AutoModelForSequenceClassification, 1)}
    auto, labels = autos[task]
    model = auto.from_pretrained(base, num_labels=labels)
    adapted = get_peft_model(model, LoraConfig(task_type=task, r=4, target_modules=["q_proj"], init_lora_weights=False))
    torch.nn.init.normal_(adapted.get_base_model().score.modules_to_save["default"].weight, std=0.5)
    adapted.save_pretrained(tmp_path / "adapter")
    merged = adapted.merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    families.llama_tokenizer().save_pretrained(tmp_path / "merged")
    scores = [score(prm.load_scorer(str(tmp_path / name)), MANY[:4]) for name in ("adapter", "merged")]
    assert flat(scores[0]) == pytest.approx(flat(scores[1]), abs=1e-5)
    assert max(flat(scores[0])) - min(flat(scores[0])) > 0.01


def test_the_system_prompt_can_be_set(paths):
    own, none = (prm.load_scorer(str(paths["qwen"]), system=system) for system in ("Be brief.", ""))
    assert "Be brief." in own.renderer.tokenizer.decode(own.renderer.render(*MANY[0]).ids)
    reasonflux = prm.load_scorer(str(paths["qwen"]), dialect="reasonflux")
    assert none.renderer.render(*MANY[0]) == reasonflux.renderer.render(*MANY[0])
    with pytest.raises(ModelError, match="takes no system prompt"):
        prm.load_scorer(str(paths["trl"]), system="Be brief.")


def test_an_assumed_dialect_is_said(paths, capsys):
    prm.load_scorer(str(paths["qwen"]))
    said = " ".join(capsys.readouterr().err.split())
    assert "read as 'qwen', the usual dialect of a Qwen2ForProcessRewardModel with the system prompt" in said
    prm.load_scorer(str(paths["qwen"]), dialect="qwen")
    assert "read as" not in capsys.readouterr().err


def test_an_output_of_several_is_chosen_by_name(paths):
    usual, one = (prm.load_scorer(str(paths["armorm"]), output=o) for o in (None, "helpsteer-verbosity"))
    rendered = usual.renderer.render(*MANY[0])
    (outputs,) = usual.backend.outputs([(rendered.ids, (len(rendered.ids) - 1,))])
    assert outputs.shape == (1, 20)
    assert score(usual, MANY[:1])[0][0] == pytest.approx(outputs[0, 0].item(), abs=1e-5)
    assert score(one, MANY[:1])[0][0] == pytest.approx(outputs[0, 5].item(), abs=1e-5)
    mix = {"score": 1.0, "helpsteer-verbosity": -0.25}
    (both,) = score(prm.load_scorer(str(paths["armorm"]), output=mix), MANY[:1])
    assert both[0] == pytest.approx((outputs[0, 0] - 0.25 * outputs[0, 5]).item(), abs=1e-5)
    with pytest.raises(ModelError, match="no output 'charm'") as caught:
        prm.load_scorer(str(paths["armorm"]), output="charm")
    assert "helpsteer-verbosity" in caught.value.hint


def test_the_redundancy_of_a_step_is_its_middle_class(paths, scorers):
    rendered = scorers["reasoneval-34b"].renderer.render(*MANY[0])
    (outputs,) = scorers["reasoneval-34b"].backend.outputs([(rendered.ids, rendered.step_ends)])
    ((*found,),) = score(prm.load_scorer(str(paths["reasoneval-34b"]), output="redundancy"), MANY[:1])
    assert found == pytest.approx(outputs.softmax(dim=-1)[:, 1].tolist(), **CLOSE)


def test_a_sum_of_probabilities_is_no_more_than_one():
    gaps = torch.linspace(-5, 5, 1000)
    outputs = torch.stack([torch.full_like(gaps, -40), gaps, torch.zeros_like(gaps)], dim=1)
    assert (outputs.softmax(dim=-1)[:, 1:].sum(dim=1) > 1).any()
    assert READOUTS["softmax"](outputs, (0.0, 1.0, 1.0)).max() == 1


@pytest.mark.parametrize("name", ["qwen", "versaprm", "outcome"])
def test_a_model_in_a_subfolder_on_devices_of_choice(name, paths, scorers, tmp_path):
    shutil.copytree(paths[name], tmp_path / "repository" / "model")
    expected = flat(score(scorers[name], MANY[:4]))
    for more in ({"device": "cpu"}, {"device_map": {"": "cpu"}}, {"device_map": "auto"}):
        found = prm.load_scorer(str(tmp_path / "repository"), subfolder="model", dialect=name, **more)
        assert flat(score(found, MANY[:4])) == pytest.approx(expected, **CLOSE)
    half = prm.load_scorer(str(paths[name]), dialect=name, dtype="float16")
    assert half.backend.model.dtype == torch.float16
    assert flat(score(half, MANY[:4])) == pytest.approx(expected, abs=0.05)
    with pytest.raises(ModelError, match="cannot be put on cuda:7"):
        prm.load_scorer(str(paths[name]), dialect=name, device="cuda:7")
    with pytest.raises(ModelError, match="has no effect on the backend vllm"):
        prm.load_scorer(str(paths[name]), dialect=name, backend="vllm", device_map="auto")


# a dialect of one's own


def test_the_system_prompt_of_an_implicit_reward_is_heeded(paths):
    given = {"dialect": "implicit", **options("implicit", paths["implicit"])}
    plain, other = (prm.load_scorer(str(paths["implicit"]), system=s, **given) for s in (None, "Be brief."))
    assert "Be brief." in other.renderer.tokenizer.decode(other.renderer.render(*MANY[0]).ids)
    assert flat(score(plain, MANY[:1])) != flat(score(other, MANY[:1]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": "pieces", "marker": "\n", "step_start": "Step {n}: "}, "step_start has no effect"),
        ({"layout": "pieces", "marker": "\n", "joint": " "}, "joint has no effect"),
        ({"layout": "pieces", "splits_lines": True}, "needs a marker with splits_lines"),
        ({"layout": "plain", "marker": "x", "reads_earlier": True}, "reads_earlier has no effect"),
        ({"layout": "plain", "marker": "x", "doubles_bos": True}, "doubles_bos has no effect"),
        ({"layout": "plain", "marker": "x", "closing_token": "end_id"}, "closing_token has no effect"),
        ({"layout": "pieces", "marker": "\n", "labels": 3}, "its models have 3 outputs: say which ones"),
        ({"layout": "plain", "marker": "x", "step_start": "({i}) "}, r"step_start has \{i\}, but only \{n\}"),
        ({"layout": "chat", "marker": "x", "problem_start": "Q: "}, "problem_start has no effect"),
        ({"layout": "plain", "marker": "x", "system": "Be brief."}, "system has no effect"),
        ({"layout": "plain", "marker": "x", "readout": "difference", "outputs": {"a": (1.0, 0.0)}}, "outputs have no"),
        ({"layout": "plain", "marker": "x", "outputs": {"a": ()}}, "outputs must have weights"),
        ({"layout": "plain", "marker": "x", "answer_ids": (5,)}, "reads 2 outputs, but its models have 1"),
        ({"layout": "plain", "marker": "x", "labels": 1}, "reads 2 outputs, but its models have 1"),
        ({"layout": "plain", "marker": "x", "labels": 3, "outputs": {"a": (0.0, 0.0, 0.0, 1.0)}}, "reads 4 outputs"),
    ],
)
def test_fields_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        prm.Dialect(**change)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("qwen", {"outputs": {"a": (0.0, 1.0, 1.0)}, "ids": {}}, "has 2 output"),
        ("skywork", {"answers": ("a", "b")}, "no logits of tokens"),
        ("versaprm", {"answers": None, "answer_ids": (5, 99999)}, "has no token 99999"),
        ("versaprm", {"answers": None, "answer_ids": (-1, 5)}, "has no token"),
    ],
)
def test_a_dialect_that_the_model_cannot_give_is_one_line(name, change, message, paths):
    dialect = replace(DIALECTS[name], hub_names=(), **change)
    with pytest.raises(ModelError, match=message):
        score(prm.load_scorer(str(paths[name]), dialect=dialect), MANY[:1])


@pytest.mark.parametrize("text", ["{", "[]", '{"base_model_name_or_path": "x", "peft_type": "NONE"}'])
def test_a_damaged_adapter_is_one_line(text, copy):
    path = copy("openr")
    base = json.loads((path / "adapter_config.json").read_text())["base_model_name_or_path"]
    (path / "adapter_config.json").write_text(text.replace('"x"', json.dumps(base)))
    with pytest.raises(ModelError, match=r"names no base model|does not fit its base model"):
        prm.load_scorer(str(path), dialect="openr")


OWN = """
layout = "plain"
problem_end = "\\n\\n"
step_start = "({n}) "
joint = " "
marker = " \\n\\n\\n\\n"
answers = ["-", "+"]
threshold = 0.5
aggregator = "min"
"""


def test_a_dialect_of_a_file_is_read_as_it_says(paths, tmp_path):
    (tmp_path / "own.toml").write_text(OWN)
    scorer = prm.load_scorer(str(paths["versaprm"]), dialect=str(tmp_path / "own.toml"))
    assert (scorer.threshold, scorer.aggregator) == (0.5, "min")
    rendered = scorer.renderer.render("why?", ("one\n", "(2) two"))
    assert scorer.renderer.tokenizer.decode(rendered.ids[1:]) == "why?\n\n(1) one \n\n\n\n (2) two \n\n\n\n"
    ((*found,),) = scorer.score(["why?"], [("one\n", "(2) two")])
    ids = torch.tensor([rendered.ids])
    words = [scorer.renderer.tokenizer.encode(w, add_special_tokens=False)[0] for w in "-+"]
    with torch.no_grad():
        logits = LlamaForCausalLM.from_pretrained(paths["versaprm"]).eval()(ids).logits[0, list(rendered.step_ends)]
    assert found == pytest.approx(logits[:, words].softmax(-1)[:, 1].tolist(), **CLOSE)
    as_python = prm.Dialect(**{**tomllib.loads(OWN), "answers": ("-", "+")})
    assert prm.load_scorer(str(paths["versaprm"]), dialect=as_python).score(["q"], [("a",)]) == scorer.score(
        ["q"], [("a",)]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layout = 'plane'\nmarker='x'", "layout must be one of|field 'layout'"),
        ("layout = 'plain'", "needs a marker"),
        ("layout = 'plain'\nmarker = 'x'\nmarkers = 'y'", "unknown field 'markers'"),
        ("layout = 'turns'", "needs answers"),
        ("layout = 'whole'", "outcome models"),
        ("layout = 'plain'\nmarker = 3", "field 'marker' is 3"),
        ("layout = 'plain'\nmarker = 'x'\naggregator = 'best'", "aggregator must be one of"),
        ("layout =", "is not a dialect"),
    ],
)
def test_a_wrong_dialect_file_is_one_line(text, message, tmp_path, paths):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(ModelError, match=message):
        prm.load_scorer(str(paths["versaprm"]), dialect=str(tmp_path / "own.toml"))
    with pytest.raises(ModelError, match="cannot be read"):
        prm.load_scorer(str(paths["versaprm"]), dialect=str(tmp_path / "lost.toml"))


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_is_a_file(name, tmp_path, paths, scorers):
    row = {key: value for key, value in asdict(DIALECTS[name]).items() if key not in ("hub_names", "ids")}
    (tmp_path / "d.json").write_text(json.dumps(row))
    again = prm.load_scorer(str(paths[name]), dialect=str(tmp_path / "d.json"), **options(name, paths[name]))
    assert flat(score(again, MANY[:2])) == pytest.approx(flat(score(scorers[name], MANY[:2])), **CLOSE)


# what is refused


@pytest.mark.parametrize("name", ["math-shepherd", "rlhflow", "implicit", "openr"])
def test_a_causal_model_is_refused_as_a_classifier(name, paths):
    with pytest.raises(ModelError, match="reads Qwen2ForProcessRewardModel"):
        prm.load_scorer(str(paths[name]), dialect="qwen")


@pytest.mark.parametrize(("name", "wanted"), [("qwen", "math-shepherd"), ("outcome", "trl"), ("h4", "outcome")])
def test_another_architecture_is_refused(name, wanted, paths):
    with pytest.raises(ModelError, match=f"the dialect '{wanted}' reads"):
        prm.load_scorer(str(paths[name]), dialect=wanted)


def test_another_number_of_labels_is_refused():
    with pytest.raises(ModelError, match="is a model with 3 label\\(s\\), but the dialect 'trl' reads 2"):
        choose_dialect("a", "LlamaForTokenClassification", 3, "trl")
    with pytest.raises(ModelError, match="no dialect reads"):
        choose_dialect("a", "LlamaForTokenClassification", 3)


def test_an_architecture_of_several_families_lists_them(paths):
    with pytest.raises(ModelError, match="several dialects read") as caught:
        prm.load_scorer(str(paths["implicit"]))
    assert "math-shepherd, rlhflow, versaprm, openr, implicit, nemotron" in caught.value.hint
    with pytest.raises(ModelError, match="unknown dialect 'quen'") as caught:
        prm.load_scorer(str(paths["qwen"]), dialect="quen")
    assert "math-shepherd" in caught.value.hint


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_missing_head_is_refused(name, copy):
    path = copy(name)
    heads = ("score.", "score_head.", "v_head.", "regression_layer.")
    edit_weights(path, lambda w: [w.pop(key) for key in list(w) if key.startswith(heads)])
    with pytest.raises(ModelError, match=r"lacks (score|score_head|v_head|regression_layer)\."):
        prm.load_scorer(str(path), dialect=name)


def test_a_base_model_called_a_classifier_is_refused(copy):
    path = copy("rlhflow")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "architectures": ["LlamaForTokenClassification"]}))
    with pytest.raises(ModelError, match=r"lacks score\."):
        prm.load_scorer(str(path))


@pytest.mark.parametrize("name", DIALECTS)
def test_an_unexpected_weight_is_refused(name, copy):
    path = copy(name)
    edit_weights(path, lambda w: w.update({"more.weight": torch.zeros(2)}))
    with pytest.raises(ModelError, match=r"unexpected weights: .*more\.weight"):
        prm.load_scorer(str(path), dialect=name, **options(name, path))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_output_embedding_under_a_head_is_ignored(name, copy, scorers):
    path = copy(name)
    edit_weights(path, lambda w: w.update({"lm_head.weight": torch.zeros(2)}))
    found = score(prm.load_scorer(str(path), dialect=name), MANY[:2])
    assert flat(found) == pytest.approx(flat(score(scorers[name], MANY[:2])), **CLOSE)


def test_code_shipped_with_a_model_is_not_run(copy):
    """As on the Hub: config.json names code for AutoModel and AutoConfig."""
    path = copy("qwen")
    config = json.loads((path / "config.json").read_text())
    code = {"AutoConfig": "configuration_qwen2_rm.Qwen2RMConfig", "AutoModel": "modeling_qwen2_rm.X"}
    (path / "config.json").write_text(json.dumps({**config, "auto_map": code}))
    (path / "configuration_qwen2_rm.py").write_text("raise SystemExit('was run')")
    assert prm.load_scorer(str(path)).threshold == 0.5


def test_an_adapter_without_a_weight_is_refused(copy):
    path = copy("openr")
    edit_weights(path, lambda w: w.pop(next(iter(w))))
    with pytest.raises(ModelError, match=r"lacks .*lora"):
        prm.load_scorer(str(path), dialect="openr")


def test_a_marker_of_several_tokens_is_refused(copy, paths):
    path = copy("math-shepherd")
    (path / "tokenizer.json").write_bytes((paths["rlhflow"] / "tokenizer.json").read_bytes())
    with pytest.raises(ModelError, match="makes no single token of ' ки' where it stands"):
        prm.load_scorer(str(path), dialect="math-shepherd")


def test_a_reference_is_needed_for_an_implicit_reward_only(paths):
    with pytest.raises(ModelError, match="needs a reference model"):
        prm.load_scorer(str(paths["implicit"]), dialect="implicit")
    with pytest.raises(ModelError, match="not a causal language model with the vocabulary"):
        prm.load_scorer(str(paths["implicit"]), dialect="implicit", reference=str(paths["math-shepherd"]))
    with pytest.raises(ModelError, match="takes no reference model"):
        prm.load_scorer(str(paths["qwen"]), reference=str(paths["implicit"]))


def test_a_chain_that_contains_a_marker_is_dropped_alone(scorers):
    chains = [Chain("a", "p", ("one\n",)), Chain("b", "p", ("two <extra_0>\n",)), Chain("c", "p", ("three\n",))]
    found = list(score_chains(scorers["qwen"], chains, {"p": Problem("p", "q")}))
    assert [getattr(x, "reason", "scored") for x in found] == ["scored", "marker in the text", "scored"]
    with pytest.raises(RenderError, match="chain 1: marker in the text: step 1 contains"):
        scorers["qwen"].score(["q", "q"], [("a",), ("<extra_0>",)])


@pytest.mark.parametrize("name", [name for name, dialect in DIALECTS.items() if dialect.has_chat])
def test_the_user_turn_as_messages_is_the_text(name, scorers):
    (text, steps) = MANY[2]
    as_message = scorers[name].renderer.render((Message("user", text),), steps)
    assert as_message == scorers[name].renderer.render(text, steps)
    talk = (Message("user", "hello"), Message("assistant", "yes?"), Message("user", text))
    assert len(scorers[name].renderer.render(talk, steps).ids) > len(as_message.ids)


@pytest.mark.parametrize("name", DIALECTS)
def test_messages_that_a_model_cannot_take_are_a_refusal_and_no_other_chain(name, scorers):
    talk = (Message("user", "q"), Message("assistant", "half an answer"))
    refused, scores = scorers[name].score_each([talk, "q"], [("a",), ("b",)])
    assert refused.reason.startswith("messages without a")
    assert scores == pytest.approx(scorers[name].score(["q"], [("b",)])[0], abs=1e-5)


def test_an_internlm2_is_refused_without_its_closing_token_or_a_tokenizer_that_we_can_read(copy):
    path = copy("internlm2")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k != "reward_token_id"}))
    with pytest.raises(ModelError, match=r"config\.json has no reward_token_id"):
        prm.load_scorer(str(path))
    (path / "tokenizer.json").rename(path / "tokenizer.model")
    with pytest.raises(ModelError, match=r"has a tokenizer\.model, but no tokenizer\.json"):
        prm.load_scorer(str(path))


def test_our_own_models_define_how_they_are_read(copy):
    path = copy("trl")
    Metadata("prm").save(path)
    assert prm.load_scorer(str(path)).kind == "prm"
    with pytest.raises(ModelError, match="says how it is read"):
        prm.load_scorer(str(path), dialect="trl")
    edit_weights(path, lambda w: w.pop("score.weight"))
    with pytest.raises(ModelError, match=r"lacks score\.weight"):
        prm.load_scorer(str(path))


def test_only_our_own_models_have_two_heads(paths):
    with pytest.raises(ModelError, match="outcome head"):
        prm.load_scorer(str(paths["qwen"]), "outcome")


# the document


def test_the_document_shows_the_table():
    text = (ROOT / "docs" / "scoring.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split(" | ")] for line in text.splitlines() if line.startswith("| `")]
    rows = [row for row in rows if row[0].strip("| `") in DIALECTS]
    assert [row[0].strip("| `") for row in rows] == [*DIALECTS, *DIALECTS]
    for row, dialect in zip(rows, [*DIALECTS.values()] * 2, strict=True):
        names, architectures = (
            ", ".join(f"`{n}`" for n in group) for group in (dialect.hub_names, dialect.architectures)
        )
        threshold = "-" if dialect.threshold is None else f"{dialect.threshold:g}"
        used = [names, architectures, dialect.scores, threshold, f"{dialect.aggregator or '-'} |"]
        assert row[1:] in (used, [dialect.form, dialect.read_at, f"{dialect.source} |"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "with 3 label(s), but the dialect 'given' reads 2"),
        ({"readout": "difference"}, "with 3 label(s), but the dialect 'given' reads 2"),
        ({"outputs": {"good": (0.0, 0.0, 0.0, 1.0)}}, "with 3 label(s), but the dialect 'given' reads 4"),
        ({"layout": "plain", "answers": ("-", "+")}, "reads logits of tokens"),
    ],
)
def test_a_dialect_that_does_not_fit_the_outputs_is_refused_before_the_model_is_loaded(change, message):
    with pytest.raises(ModelError) as raised:
        choose_dialect(
            "m", "LlamaForTokenClassification", 3, prm.Dialect(**{"layout": "pieces", "marker": "\n"} | change)
        )
    assert message in str(raised.value)
    assert raised.value.hint == "mend it, or give a model that it is for"


def test_a_language_model_needs_a_dialect_with_answers():
    with pytest.raises(ModelError, match="which has no head, but the dialect 'given' names no answers"):
        choose_dialect("m", "Qwen2ForCausalLM", 2, prm.Dialect(layout="chat", marker="<extra_0>"))


def test_scores_are_weighed_from_three_classes(tmp_path):
    path = families.save(tmp_path, families.LlamaForTokenClassification, families.LlamaConfig,
                         families.llama_tokenizer(), num_labels=3)  # fmt: skip
    outputs = {"quality": (0.0, 0.5, 1.0), "strict": (0.0, 0.0, 1.0)}
    trio = prm.Dialect(layout="pieces", marker="\n\n", outputs=outputs)
    usual, strict = (prm.load_scorer(str(path), dialect=trio, output=output) for output in (None, "strict"))
    tokenizer = usual.renderer.tokenizer
    pieces = tokenizer(["1 + 1?", "2.", "\n\n", "So 2.", "\n\n"], add_special_tokens=False)["input_ids"]
    ids = torch.tensor([[tokenizer.bos_token_id, *(i for piece in pieces for i in piece)]])
    with torch.no_grad():
        _, neutral, good = usual.backend.model(ids).logits[0, -1].softmax(0).tolist()
    assert usual.score(["1 + 1?"], [["2.", "So 2."]])[0][-1] == pytest.approx(neutral / 2 + good, abs=1e-5)
    assert strict.score(["1 + 1?"], [["2.", "So 2."]])[0][-1] == pytest.approx(good, abs=1e-5)
