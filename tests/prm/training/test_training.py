"""Real, short trainings: they learn, follow from their seed, and come out the same however they are carried out."""

import json
import math
import re
from array import array
from dataclasses import replace

import pytest
import torch
from places import ROOT
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BertConfig,
    BertForTokenClassification,
)

from prm.errors import InputError, ModelError
from prm.models.checkpoint import load_model, save_model
from prm.models.heads import HEADS
from prm.statistics.metrics import expected_calibration_error
from prm.training import trainer as training
from prm.training.examples import ChainExample, GroupExample
from prm.training.lengths import length_coefficient
from prm.training.measuring import measure
from prm.training.objectives import DEFAULT, TERMS, LossOptions, check_terms, heads_of
from prm.training.trainer import FitSettings, RewardTrainer, fit

pytestmark = pytest.mark.timeout(3600)  # a limit for what hangs, not for what a busy machine makes slow


def chain(identity, ids, ends, targets, value=None):
    return ChainExample(identity, array("i", ids), ends, targets, (1.0,) * len(ends), (value,))


# Token 20 is right and token 21 wrong; everything else is noise.
STEPS = [
    GroupExample(
        str(i),
        1,
        (chain(f"s{i}", (1, 30 + i, 20 + i % 2, 10, 21 - i % 2, 10), (3, 5), (float(i % 2 == 0), float(i % 2 == 1))),),
    )
    for i in range(8)
]
GROUPS = [
    GroupExample(
        str(i),
        1,
        (
            chain(f"a{i}", (1, 30 + i, 20, 10), (3,), (1.0,), 1.0),
            chain(f"b{i}", (1, 31 + i, 40, 21, 10), (2, 4), (None, 0.0), 0.0),
        ),
    )
    for i in range(8)
]
COUNTED = [replace(g, chains=tuple(replace(c, weights=(8.0,) * len(c.targets)) for c in g.chains)) for g in STEPS]
NEVER = 10**9
QUICK = FitSettings(epochs=12, learning_rate=1e-2, batch_size=4, save_every=NEVER)
ALL_OF_ORM = {
    "bradley-terry": 1.0, "bradley-terry-scaled": 0.5, "length-debiased": 0.5, "centering": 0.01, "plackett-luce": 0.5,
    "pointwise": 0.5, "regression": 0.1, "every-step": 1.0, "language-model": 0.1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "groups", "metrics", "settings"),
    [
        ("prm", STEPS, ["step_auroc_within_position"], {}),
        ("prm", STEPS, ["step_auroc_within_position"], {"terms": {"step-squared-error": 1.0}, "epochs": 16}),
        ("prm", COUNTED, ["step_auroc_within_position"], {"terms": {"beta-binomial": 1.0}}),
        ("prm", STEPS, ["step_auroc_within_position"], {"terms": {"q-ranking": 1.0}, "epochs": 16}),
        ("prm", STEPS, ["step_auroc_within_position"], {"lora_rank": 8, "epochs": 16}),
        ("prm", STEPS, ["step_auroc_within_position"], {"precision": "bfloat16", "gradient_checkpointing": True}),
        ("orm", GROUPS, ["pair_accuracy"], {}),
        ("orm", GROUPS, ["pair_accuracy"], {"terms": {"bradley-terry-scaled": 1.0}}),
        ("orm", GROUPS, ["pair_accuracy"], {"terms": {"length-debiased": 1.0}, "epochs": 16}),
        ("orm", GROUPS, ["pair_accuracy"], {"terms": ALL_OF_ORM}),
        ("joint", GROUPS, ["step_auroc", "pair_accuracy"], {}),
    ],
    ids=[
        "prm",
        "squared error",
        "beta-binomial",
        "q-ranking",
        "lora",
        "bfloat16",
        "orm",
        "scaled",
        "length-debiased",
        "orm with all losses",
        "joint",
    ],
)
def test_training_learns(base_model, tmp_path, kind, groups, metrics, settings):
    model = load_model(base_model, kind, 0)
    model.config.tie_word_embeddings = True
    made = fit(model, kind, groups, groups, replace(QUICK, **settings), tmp_path)
    losses = [row["loss"] for row in made.log if "loss" in row]
    assert losses[-1] < 0.5 * losses[0]
    assert {name: made.metrics[name].value for name in metrics} == dict.fromkeys(metrics, 1.0)
    terms = settings.get("terms", DEFAULT[kind])
    if len(terms) > 1:
        first = made.log[0]
        assert first["loss"] == pytest.approx(sum(first[f"loss_{name}"] for name in terms), rel=1e-4)


def test_smoothed_labels_leave_a_loss_that_is_that_of_the_noise(base_model, tmp_path):
    """Half of the training's loss or less is out of reach: with a tenth of the labels wrong, no less than 0.325."""
    settings = replace(QUICK, options=LossOptions(label_smoothing=0.1))
    made = fit(load_model(base_model, "prm", 0), "prm", STEPS, STEPS, settings, tmp_path)
    last = [row["loss"] for row in made.log if "loss" in row][-1]
    assert 0.32 < last < 0.4
    assert made.metrics["ece"].value == pytest.approx(0.1, abs=0.05)


def test_the_part_of_length_is_fitted_once_and_reported(base_model, tmp_path):
    """The right chain of each group is the shorter one."""
    settings = replace(QUICK, terms={"length-debiased": 1.0}, epochs=1)
    made = fit(load_model(base_model, "orm", 0), "orm", GROUPS, (), settings, tmp_path)
    assert made.log[-1] == {"length_coefficient": pytest.approx(length_coefficient(GROUPS))}
    assert made.log[-1]["length_coefficient"] < -1


def pair_of(longer_wins, number, agreement=None):
    sides = (chain("l", (1, 2, 3, 4, 5), (4,), (None,)), chain("s", (1, 2, 3), (2,), (None,)))
    values = (1.0, 0.0) if longer_wins else (0.0, 1.0)
    chains = tuple(replace(side, values=(value,)) for side, value in zip(sides, values, strict=True))
    return GroupExample(str(number), 1, chains, agreement=agreement)


def test_the_coefficient_of_length_by_hand():
    """Twice as long wins three of four times: log 3 for log 2. Votes count as wins, and no prior at all is needed."""
    expected = math.log(3) / math.log(2)
    assert length_coefficient([pair_of(i % 4 > 0, i) for i in range(4000)]) == pytest.approx(expected, rel=1e-3)
    assert length_coefficient([pair_of(True, i, agreement=0.75) for i in range(1000)]) == pytest.approx(
        expected, rel=1e-3
    )
    assert length_coefficient([pair_of(i % 2 > 0, i) for i in range(10)]) == pytest.approx(0)
    assert 5 < length_coefficient([pair_of(True, i) for i in range(10)]) < 20, "finite where the longer one always wins"


def test_what_length_alone_explains_is_not_learned(base_model, tmp_path):
    """Only length tells them apart, and the longer one wins three of four times: log-odds of log 3."""
    groups = [pair_of(i % 4 > 0, i) for i in range(16)]
    margins = {}
    for name in ("bradley-terry", "length-debiased"):
        settings = replace(QUICK, terms={name: 1.0}, batch_size=16, epochs=30, learning_rate=3e-3)
        made = fit(load_model(base_model, "orm", 0), "orm", groups, groups, settings, tmp_path / name)
        margins[name] = made.metrics["mean_margin"].value * 2  # half of the pairs cancel out
    assert margins["bradley-terry"] == pytest.approx(math.log(3), abs=0.15)
    assert margins["length-debiased"] == pytest.approx(0, abs=0.15)


def weights(base_model, work, kind="prm", groups=STEPS, **settings):
    options = {"epochs": 2, "learning_rate": 1e-3, "batch_size": 4, "save_every": NEVER, **settings}
    model = load_model(base_model, kind, 0, options.get("seed", 0))
    return fit(model, kind, groups, (), FitSettings(**options), work).weights


def distance(left, right):
    assert left.keys() == right.keys()
    return max(float((left[name].float() - right[name].float()).abs().max()) for name in left)


def test_a_training_follows_from_its_seed(base_model, tmp_path):
    first = weights(base_model, tmp_path / "a")
    assert distance(first, weights(base_model, tmp_path / "b")) == 0, "the new head is drawn from the seed as well"
    assert distance(first, weights(base_model, tmp_path / "c", seed=1)) > 1e-3


@pytest.mark.parametrize(("kind", "groups"), [("prm", STEPS), ("joint", GROUPS)])
def test_passes_without_padding_give_what_one_padded_pass_gives(base_model, tmp_path, kind, groups):
    """The batch of an optimizer step cut into passes of one group each, and not cut at all."""
    uneven = [*groups, GroupExample("long", 1, (chain("l", (1, *range(30, 70), 20, 10), (42,), (1.0,), 1.0),))]
    cut = weights(base_model, tmp_path / "a", kind, uneven, tokens_per_pass=1)
    whole = weights(base_model, tmp_path / "b", kind, uneven, tokens_per_pass=10_000)
    assert distance(cut, whole) < 2e-5
    assert distance(cut, weights(base_model, tmp_path / "c", kind, groups)) > 1e-4, "the weights hardly move at all"


def test_a_training_that_breaks_off_goes_on_to_the_same_result(base_model, tmp_path, monkeypatch):
    whole = weights(base_model, tmp_path / "whole", epochs=4)
    step = RewardTrainer.training_step

    def breaks_off(self, *arguments):
        if self.state.global_step == 5:
            raise KeyboardInterrupt
        return step(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(RewardTrainer, "training_step", breaks_off)
        with pytest.raises(KeyboardInterrupt):
            weights(base_model, tmp_path / "cut", epochs=4, save_every=2)
    torn = tmp_path / "cut" / "checkpoint-6"  # as a kill while it is written leaves it
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")
    assert (tmp_path / "cut" / "checkpoint-4").is_dir()
    assert distance(weights(base_model, tmp_path / "cut", epochs=4, save_every=2), whole) == 0


def test_a_language_model_loss_needs_the_output_embeddings(base_model, tmp_path):
    model = load_model(base_model, "orm", 0)
    terms = {"bradley-terry": 1.0, "language-model": 0.1}
    with pytest.raises(ModelError, match="output embeddings"):
        fit(model, "orm", GROUPS, (), FitSettings(terms=terms), tmp_path)


@pytest.mark.parametrize(
    ("kind", "terms", "message"),
    [
        ("prm", {"bradley-terry": 1.0}, "trains a head"),
        ("orm", {"step": 1.0}, "trains a head"),
        ("joint", {"step": 1.0}, "no loss trains the outcome head"),
        ("prm", {"stepp": 1.0}, "unknown loss 'stepp'"),
        ("prm", {"step": 0.0}, "weight"),
        ("prm", {"step": float("nan")}, "weight"),
        ("prm", {"step": float("inf")}, "weight"),
    ],
)
def test_losses_that_do_not_fit_are_refused(kind, terms, message):
    with pytest.raises(InputError, match=message):
        check_terms(kind, terms)


def test_each_kind_has_its_heads():
    assert {kind: heads_of(kind) for kind in HEADS} == {kind: set(heads) for kind, heads in HEADS.items()}


def test_the_documented_losses_are_the_table():
    """Each row of docs/training.md names the term, its head, and begins with its summary."""
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)`(.*?) \| (.*?) \| (.*?) \|$", text, flags=re.MULTILINE)
    assert [name for name, *_ in rows] == list(TERMS)
    for name, default, head, items in rows:
        kinds = [kind for kind in ("prm", "orm", "implicit") if name in DEFAULT[kind]]
        assert default == "".join(f" (default of {kind})" for kind in kinds)
        assert head == {"step": "step head", "outcome": "outcome head", None: "backbone"}[TERMS[name].head]
        assert items.startswith(TERMS[name].summary)


def test_nothing_to_train_on_is_refused(base_model, tmp_path):
    with pytest.raises(InputError, match="nothing to train on"):
        fit(load_model(base_model, "prm", 0), "prm", [], (), FitSettings(), tmp_path)


def test_an_example_without_a_scored_position_is_refused(base_model, tmp_path):
    blank = GroupExample("p", 1, (chain("blank", (1, 30, 10), (2,), (None,)),))
    with pytest.raises(InputError, match="'blank' has no scored position"):
        fit(load_model(base_model, "prm", 0), "prm", [*STEPS, blank], (), FitSettings(), tmp_path)


@pytest.mark.parametrize(
    ("kind", "groups", "terms", "name"),
    [
        ("joint", [GroupExample("p", 1, GROUPS[0].chains[:1])], {}, "bradley-terry"),
        ("joint", [GroupExample("p", 1, tuple(replace(c, targets=(None,) * len(c.targets)) for c in GROUPS[0].chains))],
         {}, "step"),
        ("orm", [GroupExample("p", 1, GROUPS[0].chains[:1])], {"pointwise": 1.0, "centering": 1.0}, "centering"),
    ],
)  # fmt: skip
def test_a_loss_that_finds_nothing_to_learn_from_is_refused(base_model, tmp_path, kind, groups, terms, name):
    """A head would be left as it was drawn."""
    with pytest.raises(InputError, match=f"'{name}' has nothing to learn from"):
        fit(load_model(base_model, kind, 0), kind, groups, (), FitSettings(terms=terms), tmp_path)


def test_a_soft_label_is_refused_where_only_right_and_wrong_make_sense(base_model, tmp_path):
    soft = replace(STEPS[0], chains=(replace(STEPS[0].chains[0], targets=(0.7, 0.0)),))
    with pytest.raises(InputError, match="takes right and wrong"):
        fit(load_model(base_model, "prm", 0), "prm", [soft], (), FitSettings(terms={"q-ranking": 1.0}), tmp_path)


def test_a_value_that_is_no_share_is_refused_where_one_is_needed(base_model, tmp_path):
    groups = [GroupExample("p", 1, (replace(GROUPS[0].chains[0], values=(2.0,)), GROUPS[0].chains[1]))]
    with pytest.raises(InputError, match="takes values from 0 to 1"):
        fit(load_model(base_model, "orm", 0), "orm", groups, (), FitSettings(terms={"pointwise": 1.0}), tmp_path)


def test_a_training_that_diverges_is_an_error(base_model, tmp_path):
    with pytest.raises(ModelError, match="diverged"):
        fit(load_model(base_model, "prm", 0), "prm", STEPS, (), replace(QUICK, learning_rate=1e18), tmp_path)


def test_a_training_of_one_step_learns(base_model, tmp_path):
    """A warm-up would begin with a rate of 0."""
    before = load_model(base_model, "prm", 0).state_dict()
    assert distance(before, weights(base_model, tmp_path, epochs=1, batch_size=8)) > 1e-4


def test_half_precision_leaves_the_head_exact(base_model, tmp_path):
    made = fit(
        load_model(base_model, "orm", 0), "orm", GROUPS, GROUPS, replace(QUICK, precision="bfloat16"), tmp_path / "work"
    )
    save_model(made.config, made.weights, "orm", tmp_path)
    again = measure(load_model(str(tmp_path), "orm"), ("outcome",), GROUPS, 100)
    assert {name: one.value for name, one in again.items()} == pytest.approx(
        {name: one.value for name, one in made.metrics.items()}, abs=0.05
    ), "the backbone is measured as it was trained"
    reward = made.metrics["reward_max"].value
    assert reward != float(torch.tensor(reward).bfloat16())


def test_a_backbone_that_looks_ahead_is_refused(tmp_path):
    config = BertConfig(vocab_size=99, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    model = BertForTokenClassification(config)
    with pytest.raises(ModelError, match="looks ahead"):
        fit(model, "prm", STEPS, (), FitSettings(), tmp_path)


def test_measures_by_hand():
    """A model that says of each token what stands here: margins and rewards are known, so all measures are."""

    class Said(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.device = torch.device("cpu")
            self.config = type("Config", (), {"pad_token_id": 0, "max_position_embeddings": 99})()
            self.config.get_text_config = lambda: self.config

        def forward(self, input_ids, **_):
            value = (input_ids - 50).float()
            return type("Output", (), {"logits": torch.stack([torch.zeros_like(value), value, value / 10], dim=-1)})

    groups = [
        GroupExample(
            "p", 0, (chain("a", (1, 60, 45), (1, 2), (1.0, 0.0), 0.0), chain("b", (1, 55), (1,), (1.0,), 1.0))
        ),
        # d has no label: it is no chain without an error
        GroupExample("q", 0, (chain("c", (1, 52), (1,), (0.0,), 1.0), chain("d", (1, 2, 3, 57), (3,), (None,), 0.0))),
    ]
    found = measure(Said(), ("step", "outcome"), groups, 100, draws=200)
    value = {name: one.value for name, one in found.items()}
    # margins 10 (right), -5 (wrong), 5 (right), 2 (wrong); rewards -0.5 < 0.5 in p, 0.2 < 0.7 the wrong way in q
    assert value["step_auroc"] == 1.0
    assert value["step_auroc_within_position"] == 1.0
    assert value["first_error_f1"] == pytest.approx(2 * 0.5 * 1 / 1.5), "the error of a is found, that of c is not"
    sigmoids = [1 / (1 + math.exp(-margin)) for margin in (10, -5, 5, 2)]
    assert value["ece"] == pytest.approx(expected_calibration_error(sigmoids, [1, 0, 1, 0]))
    assert value["pair_accuracy"] == 0.5
    assert value["mean_margin"] == pytest.approx((1.0 - 0.5) / 2)
    rewards = (value["reward_mean"], value["reward_min"], value["reward_max"])
    assert rewards == pytest.approx(((-0.5 + 0.5 + 0.2 + 0.7) / 4, -0.5, 0.7))
    # ranks of rewards 1, 3, 2, 4 and of lengths 3, 1.5, 1.5, 4: products -0.75, -0.5, 0.5, 2.25
    assert value["length_correlation"] == pytest.approx(1.5 / (5 * 4.5) ** 0.5)
    # and of values 1.5, 3.5, 3.5, 1.5: products 1.5, 0.5, -0.5, -1.5
    assert value["value_correlation"] == pytest.approx(0)
    assert (found["pair_accuracy"].low, found["pair_accuracy"].high) == (0.0, 1.0), "draws of p twice and of q twice"
    assert found["reward_min"].low is None


@pytest.mark.parametrize("kind", ["prm", "orm", "joint"])
def test_plain_transformers_loads_what_is_saved(base_model, tmp_path, kind):
    model = load_model(base_model, kind, 0).eval()
    torch.nn.init.normal_(model.score.weight)
    save_model(model.config, model.state_dict(), kind, tmp_path)
    auto = AutoModelForSequenceClassification if kind == "orm" else AutoModelForTokenClassification
    plain, report = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    ids = torch.tensor([[1, 30, 20, 10]])
    ours = model(ids).logits.detach()
    expected = ours[:, -1] if kind == "orm" else ours
    assert torch.allclose(plain(ids).logits.detach(), expected, atol=1e-6)
    assert float(ours.std()) > 0.05, "all outputs are alike: nothing would be shown"
    again = load_model(str(tmp_path), kind, 0).eval()
    assert torch.equal(again(ids).logits, model(ids).logits)


def test_the_log_is_kept_in_a_file(base_model, tmp_path):
    model = load_model(base_model, "prm", 0)
    made = fit(model, "prm", STEPS, STEPS, replace(QUICK, measure_every=4, report_to=("tensorboard",)), tmp_path)
    log = json.loads((tmp_path / training.LOG).read_text())["log"]
    assert [row for row in log if "loss" in row] == [row for row in made.log if "loss" in row]
    assert [row["step"] for row in log if "eval_step_auroc" in row] == [4, 8, 12, 16, 20, 24]
    assert list((tmp_path / "tensorboard").glob("events*"))
