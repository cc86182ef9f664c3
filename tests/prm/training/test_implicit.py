"""Implicit PRMs: rewards and losses by hand, from the records to the scores of the stored model."""

import json
import math
import shutil
from array import array
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

import prm as toolkit
from prm import Chain, InputError, ModelError, Problem, StepLabels, TrainSettings
from prm.data.splits import hold_out
from prm.models.checkpoint import load_policy
from prm.models.decoders import classifier_class, form_of
from prm.models.dialects import DIALECT_FILE, Dialect, make_renderer, read_dialect
from prm.models.heads import likelihood_head, logits_at
from prm.training import trainer as training
from prm.training.examples import ChainExample, GroupExample
from prm.training.measuring import log_likelihoods, measure
from prm.training.objectives import check_terms
from prm.training.trainer import REFERENCES, FitSettings, RewardTrainer, fit

BETA = 0.5
"""Large, so that short trainings of tiny models move the rewards."""


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread):
    return one_thread


def chain(identity, ids, value, end=None):
    return ChainExample(identity, array("i", ids), (end or len(ids) - 1,), (None,), (1.0,), (value,))


GROUPS = [
    GroupExample(str(i), 2, (chain(f"a{i}", (1, 30 + i, 20, 10), 1.0), chain(f"b{i}", (1, 30 + i, 40, 21, 10), 0.0)))
    for i in range(6)
]
NEVER = 10**9
QUICK = FitSettings(epochs=6, learning_rate=1e-2, batch_size=3, save_every=NEVER, beta=BETA)


def by_hand(model, ids, prompt_length):
    """Log-probability of a solution, from the logits of all tokens."""
    with torch.no_grad():
        logits = model(torch.tensor([list(ids)])).logits[0].double()
    return sum(float(logits[i - 1].log_softmax(-1)[ids[i]]) for i in range(prompt_length, len(ids)))


def likely(model, groups=GROUPS):
    return [by_hand(model, chain.ids, group.prompt_length) for group in groups for chain in group.chains]


def loaded(trained, base_model):
    model = AutoModelForCausalLM.from_pretrained(base_model, dtype=torch.float32)
    model.load_state_dict(trained.weights)
    return model.eval()


def capped():
    torch.manual_seed(0)
    sizes = {"vocab_size": 300, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 8}
    config = Gemma2Config(**sizes, num_attention_heads=4, num_key_value_heads=2, final_logit_softcapping=0.5)
    config._attn_implementation = "eager"
    return Gemma2ForCausalLM(config).eval()


@torch.no_grad()
def test_logits_are_the_models_own_capped_ones_at_the_asked_places():
    model, ids = capped(), torch.tensor([[1, 5, 9, 12], [2, 7, 3, 8]])
    rows, places = torch.tensor([0, 1, 1]), torch.tensor([2, 0, 3])
    found = logits_at(model, model.get_output_embeddings(), {"input_ids": ids}, rows, places)
    whole = model(ids).logits
    assert torch.allclose(found, whole[rows, places], atol=1e-6)
    assert whole.abs().max() < 0.5, "they are capped"
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    read = likelihood_head(model, inputs, torch.tensor([0, 1]), torch.tensor([1, 3]))[:, 0]
    expected = whole.log_softmax(-1)[[0, 1], [0, 2], [5, 8]]
    assert torch.allclose(read, expected, atol=1e-6)
    assert model(ids).logits.shape == whole.shape, "no hook is left"


class Doubled(Gemma2ForCausalLM):
    """Changes its logits in a way that its configuration does not tell."""

    def forward(self, *args, **kwargs):
        output = super().forward(*args, **kwargs)
        output.logits = 2 * output.logits
        return output


@torch.no_grad()
@pytest.mark.parametrize(("kind", "most"), [(Gemma2ForCausalLM, 4), (Doubled, 10)])
def test_the_logits_of_a_whole_pass_are_not_held_at_once(kind, most, monkeypatch):
    monkeypatch.setattr("prm.models.heads.LOGITS_AT_ONCE", 4)
    config = capped().config
    config.final_logit_softcapping = None
    model, sizes = kind(config).eval(), []
    ids = torch.arange(1, 12).unsqueeze(0)
    expected = model(ids).logits.log_softmax(-1)[0, range(10), range(2, 12)]
    model.lm_head.register_forward_hook(lambda _, read, __: sizes.append(read[0].reshape(-1, 32).shape[0]))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    read = likelihood_head(model, inputs, torch.zeros(10, dtype=torch.long), torch.arange(1, 11))[:, 0]
    assert torch.allclose(read, expected, atol=1e-5)
    assert max(sizes) == most


def test_the_likelihood_of_solutions(base_model):
    model = load_policy(base_model)
    assert log_likelihoods(model, GROUPS, 64) == pytest.approx(likely(model), abs=1e-5)


def first_step(base_model, work, terms, groups=GROUPS, **settings):
    """The loss before the first step, and the gradients of a training that does not move."""
    model = load_policy(base_model)
    made = fit(model, "implicit", groups, (), replace(QUICK, terms=terms, epochs=1, batch_size=6, **settings), work)
    return made.log[0]["loss"]


def test_an_untrained_model_rewards_nothing(base_model, tmp_path):
    """The reference is the model itself: every reward is 0, and the cross-entropy log 2."""
    assert first_step(base_model, tmp_path, {"pointwise": 1.0}) == pytest.approx(math.log(2), abs=1e-6)
    model = load_policy(base_model)
    found = measure(model, {"outcome"}, with_references(likely(model)), 64, beta=BETA)
    assert found["reward_max"].value == pytest.approx(0, abs=1e-5)


def with_references(values):
    rest = iter(values)
    return [replace(g, chains=tuple(replace(c, reference=next(rest)) for c in g.chains)) for g in GROUPS]


@pytest.mark.parametrize("terms", [{"pointwise": 1.0}, {"bradley-terry": 1.0}], ids=str)
@pytest.mark.parametrize("budget", [10_000, 12, 4], ids=["whole", "parts", "cached"])
def test_loss_and_gradients_are_those_of_the_paper(base_model, tmp_path, monkeypatch, terms, budget):
    """Against the formulas, written with plain transformers: cross-entropy, and DPO (arXiv 2305.18290, eq. 7)."""
    given = [-3.0, -4.0, -2.5, -7.0, -30.0, -1.0, -6.0, -9.0, -20.0, -15.0, -11.0, -12.0]
    monkeypatch.setattr(training, "log_likelihoods", lambda _, groups, __: given[: 2 * len(groups)])
    gradients = {}

    def keep(self, *arguments, **options):
        loss = stepped(self, *arguments, **options)
        model = self.accelerator.unwrap_model(self.model)
        gradients.update({name: p.grad.clone() for name, p in model.named_parameters()}, loss=loss)
        return loss

    stepped = RewardTrainer.training_step
    monkeypatch.setattr(RewardTrainer, "training_step", keep)
    first_step(base_model, tmp_path, terms, tokens_per_pass=budget)
    model = AutoModelForCausalLM.from_pretrained(base_model, dtype=torch.float32)
    rewards = []
    for (group, own), reference in zip([(g, c) for g in GROUPS for c in g.chains], given, strict=True):
        ids = torch.tensor([list(own.ids)])
        ratios = model(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[group.prompt_length - 1 :]
        rewards.append(BETA * (ratios.sum() - reference))
    right, wrong = torch.stack(rewards).view(-1, 2).unbind(dim=1)
    if "pointwise" in terms:
        expected = -torch.cat([right.sigmoid().log(), (1 - wrong.sigmoid()).log()]).mean()
    else:
        expected = -(right - wrong).sigmoid().log().mean()
    expected.backward()
    assert float(gradients.pop("loss")) == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, parameter in model.named_parameters():
        assert torch.allclose(gradients[name], parameter.grad, rtol=1e-3, atol=1e-5), name


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"terms": {"bradley-terry": 1.0}},
        {"lora_rank": 4, "keep_adapter": True},
        {"terms": {"pointwise": 1, "language-model": 1}},
    ],
    ids=["cross-entropy", "DPO", "LoRA", "with next tokens"],
)
def test_training_moves_the_rewards_of_the_trained_weights(base_model, tmp_path, settings):
    """What is measured at the end is beta times the log-ratio of the model that is given back to its base."""
    made = fit(load_policy(base_model), "implicit", GROUPS, GROUPS, replace(QUICK, **settings), tmp_path)
    trained, base = loaded(made, base_model), load_policy(base_model)
    rewards = [BETA * (own - other) for own, other in zip(likely(trained), likely(base), strict=True)]
    assert made.metrics["pair_accuracy"].value == 1.0
    assert made.metrics["reward_max"].value == pytest.approx(max(rewards), abs=1e-4)
    gaps = [right - wrong for right, wrong in zip(rewards[::2], rewards[1::2], strict=True)]
    assert made.metrics["mean_margin"].value == pytest.approx(sum(gaps) / len(gaps), abs=1e-4)
    assert min(gaps) > 0.4


def test_a_training_that_breaks_off_keeps_its_reference(base_model, tmp_path, monkeypatch):
    whole = fit(load_policy(base_model), "implicit", GROUPS, GROUPS, replace(QUICK, save_every=2), tmp_path / "a")

    def broken(self, *arguments, **options):
        if self.state.global_step == 5:
            raise InterruptedError
        return stepped(self, *arguments, **options)

    stepped = RewardTrainer.training_step
    with monkeypatch.context() as patch:
        patch.setattr(RewardTrainer, "training_step", broken)
        with pytest.raises(InterruptedError):
            fit(load_policy(base_model), "implicit", GROUPS, GROUPS, replace(QUICK, save_every=2), tmp_path / "b")
    assert (tmp_path / "b" / REFERENCES).is_file()
    monkeypatch.setattr(training, "log_likelihoods", lambda *_: pytest.fail("the reference is read again"))
    resumed = fit(load_policy(base_model), "implicit", GROUPS, GROUPS, replace(QUICK, save_every=2), tmp_path / "b")
    assert all(torch.equal(resumed.weights[name], weight) for name, weight in whole.weights.items())
    assert resumed.metrics == whole.metrics


def records():
    """Problems with a right and a wrong chain each."""
    problems = [Problem(f"p{i}", f"what is {i}?", "4") for i in range(12)]
    chains, labels = [], []
    for problem in problems:
        for k, (steps, outcome) in enumerate(((("So 4.\n", "Thus 4.\n"), "correct"), (("So 12.\n",) * 3, "incorrect"))):
            identity, count = f"{problem.id}/{k}", len(steps)
            chains.append(Chain(identity, problem.id, steps))
            labels.append(StepLabels(identity, problem.id, *((0,) * count,) * 3, ("none",) * count, outcome))
    return {"problems": problems, "chains": chains, "labels": labels}


LISTS = records()
SHORT = {"objective": "implicit", "beta": BETA, "epochs": 3, "lr": 1e-2, "batch_size": 4, "report_to": ()}


@pytest.fixture(scope="module")
def chat_base(tmp_path_factory, chat_tokenizer):
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=len(chat_tokenizer), tie_word_embeddings=True, **sizes)
    directory = tmp_path_factory.mktemp("chat")
    LlamaForCausalLM(config).save_pretrained(directory)
    chat_tokenizer.save_pretrained(directory)
    return str(directory)


@pytest.mark.parametrize(
    ("chat", "settings"),
    [
        (False, {}),
        (True, {}),
        (False, {"template": "Check.\n{problem}\nAnswer:\n", "lora_rank": 4}),
    ],
    ids=["plain", "chat", "template and LoRA"],
)
def test_the_stored_model_scores_as_it_was_rewarded(base_model, chat_base, tmp_path, chat, settings):
    base = chat_base if chat else base_model
    settings = TrainSettings(base, chat=chat, held_out=0.25, **SHORT, **settings)
    made = toolkit.train(settings, **LISTS, out=tmp_path / "out")
    log = json.loads((made.path / "training_log.json").read_text())["held_out"]
    scorer = toolkit.load_scorer(str(made.path))
    texts = {problem.id: problem.text for problem in LISTS["problems"]}
    steps = [chain.steps for chain in LISTS["chains"]]
    scores = scorer.score([texts[chain.problem_id] for chain in LISTS["chains"]], steps)
    assert [len(found) for found in scores] == [len(own) for own in steps]
    assert (scorer.kind, scorer.aggregator) == ("prm", "last")
    out = hold_out(texts, 0.25)
    rewards = [found[-1] for found, chain in zip(scores, LISTS["chains"], strict=True) if chain.problem_id in out]
    assert log["reward_min"]["value"] == pytest.approx(min(rewards), abs=1e-5)
    assert log["reward_max"]["value"] == pytest.approx(max(rewards), abs=1e-5)
    assert log["reward_mean"]["value"] == pytest.approx(sum(rewards) / len(rewards), abs=1e-5)
    assert log["pair_accuracy"]["value"] == 1.0

    renderer = make_renderer(AutoTokenizer.from_pretrained(made.path), "", read_dialect(made.path / DIALECT_FILE))
    policy, reference = (AutoModelForCausalLM.from_pretrained(name).eval() for name in (made.path, base))
    rendered = renderer.render(texts["p3"], steps[6])
    ratio = by_hand(policy, rendered.ids, rendered.prompt_length) - by_hand(
        reference, rendered.ids, rendered.prompt_length
    )
    assert scores[6][-1] == pytest.approx(BETA * ratio, abs=1e-5)
    card = (made.path / "README.md").read_text()
    assert "AutoModelForCausalLM" in card
    assert "0.5 · log(this model / its reference)" in card
    assert str(Path(base)) in card


def test_a_plain_text_is_read_from_after_the_problem(tokenizer):
    """Problem, line end, steps: each step ends with the line end after it, the last one where it ends."""
    dialect = Dialect("plain", "sum", problem_end="\n", joint="\n")
    rendered = make_renderer(tokenizer, "", dialect).render(" what is 4? ", ["So 4.\n", "Thus 4."])
    text = tokenizer.decode(rendered.ids)
    assert text == "<s>what is 4?\nSo 4.\nThus 4."
    assert tokenizer.decode(rendered.ids[: rendered.prompt_length]) == "<s>what is 4?\n"
    parts = [tokenizer.decode(rendered.ids[: end + 1]) for end in rendered.step_ends]
    assert parts == ["<s>what is 4?\nSo 4.\n", text]


def test_a_checkpoint_and_its_reference_can_be_moved_together(base_model, tmp_path, monkeypatch):
    shutil.copytree(base_model, tmp_path / "here" / "base")
    monkeypatch.chdir(tmp_path / "here")
    settings = TrainSettings("base", **{**SHORT, "epochs": 1}, held_out=0)
    made = toolkit.train(settings, **LISTS, out="runs/out")
    said = [(made.path / name).read_text() for name in (DIALECT_FILE, "README.md")]
    assert all("../../base" in text and str(tmp_path) not in text for text in said)
    asked = ["what is 4?"], [("So 4.\n",)]
    before = toolkit.load_scorer("runs/out").score(*asked)
    shutil.move(tmp_path / "here", tmp_path / "there")
    monkeypatch.chdir(tmp_path)
    assert toolkit.load_scorer(str(tmp_path / "there/runs/out")).score(*asked) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"readout": "sum", "layout": "plain", "marker": "x"}, "marker"),
        ({"readout": "sum", "layout": "chat"}, "'spans' or 'plain'"),
        ({"readout": "sum", "layout": "spans", "beta": 0.0}, "beta must be"),
        ({"readout": "softmax", "layout": "plain", "marker": "x", "beta": 0.1}, "beta has no effect"),
    ],
)
def test_dialects_of_sums_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Dialect(**change)


def test_a_dialect_of_a_sum_is_stored_and_read(tmp_path):
    dialect = Dialect("plain", "sum", beta=0.05, problem_end="\n", joint="\n", companion="base", aggregator="last")
    dialect.save(tmp_path)
    assert asdict(read_dialect(tmp_path / DIALECT_FILE)) == asdict(dialect)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": 0.0}, "beta"),
        ({"beta": 0.1, "objective": "orm"}, "beta makes no difference"),
        ({"fsdp": True}, "fsdp"),
        ({"head_from": ("-", "+")}, "head_from makes no difference"),
        ({"labels_as": "soft"}, "labels_as makes no difference"),
        ({"chat": True, "template": "{problem}"}, "template"),
        ({"losses": {"every-step": 1.0}}, "every-step"),
        ({"losses": {"step": 1.0}}, "head that an implicit PRM lacks"),
        ({"losses": {"language-model": 1.0}}, "no loss trains"),
    ],
    ids=str,
)
def test_settings_that_an_implicit_prm_does_not_heed_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        TrainSettings("m", **{"objective": "implicit", **change})


def test_the_losses_of_a_whole_chain_fit():
    for name in ("pointwise", "bradley-terry", "plackett-luce", "regression", "centering", "length-debiased"):
        check_terms("implicit", {name: 1.0})


def test_a_backbone_alone_does_not_know_how_its_logits_are_capped(tmp_path):
    """The loss of next tokens reads an ORM's backbone by its embedding; an implicit PRM has its own logits."""
    config = capped().config
    with pytest.raises(ModelError, match="neither scales nor caps"):
        training._require_possible(classifier(config), "orm", ["language-model"], FitSettings())
    training._require_possible(capped(), "implicit", ["pointwise", "language-model"], FitSettings())


def classifier(config):
    return classifier_class(config, form_of(config, "orm"))(config)


def test_what_is_no_language_model_is_refused(base_model, tmp_path):
    prm = toolkit.train(TrainSettings(base_model, max_steps=1, report_to=()), **with_targets(), out=tmp_path / "prm")
    with pytest.raises(ModelError, match="LlamaForTokenClassification is no language model"):
        load_policy(str(prm.path))


def with_targets():
    """The same records with labels of steps."""
    known = [replace(one, right=(1,) * len(one.right), known=("drawn",) * len(one.right)) for one in LISTS["labels"]]
    return {**LISTS, "labels": known}
