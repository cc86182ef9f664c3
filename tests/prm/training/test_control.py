"""How a training is steered: data to measure on, the best state, an early end, a schedule, options from a file."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from test_job import LISTS, files, options  # noqa: F401 (files is a fixture)
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

import prm as toolkit
from prm import InputError, ModelError, Problem, TrainSettings, write_records
from prm.cli.train import _template
from prm.training.job import audit_of
from prm.training.options import OPTIONS, options_text
from prm.training.trainer import LOG

FEW = {"batch_size": 8, "report_to": (), "tokens_per_pass": 200}


def logged(out):
    return json.loads((out / LOG).read_text())["log"]


def renamed(problem):
    return Problem(problem.id, f"and now: {problem.text}", problem.answer)


OTHERS = LISTS | {"problems": [renamed(problem) for problem in LISTS["problems"]]}


def test_other_data_are_measured_on(base_model, tmp_path):
    settings = TrainSettings(base_model, lr=1e-3, **FEW)
    made = toolkit.train(settings, **LISTS, evaluation=OTHERS, out=tmp_path / "prm")
    assert (made.counts["chains"], made.counts["held-out chains"]) == (48, 48)
    found = audit_of(settings, **LISTS, evaluation=OTHERS)
    assert found["train"]["problems"] == found["held_out"]["problems"] == 24


def test_what_is_trained_on_is_not_measured_on(base_model):
    with pytest.raises(InputError, match="held-out problems are also trained on: 24 texts"):
        audit_of(TrainSettings(base_model), **LISTS, evaluation=LISTS)
    with pytest.raises(InputError, match="held_out makes no difference with evaluation"):
        audit_of(TrainSettings(base_model, held_out=0.1), **LISTS, evaluation=OTHERS)
    with pytest.raises(InputError, match="unknown data 'label'"):
        audit_of(TrainSettings(base_model), **LISTS, evaluation=OTHERS | {"label": []})


def test_the_best_state_is_kept(base_model, tmp_path):
    """A rate so high that later states are worse than some earlier one."""
    settings = TrainSettings(
        base_model, lr=0.5, epochs=4, measure_every=1, best="ece", held_out=0.3, scheduler="constant", **FEW
    )
    made = toolkit.train(settings, **LISTS, out=tmp_path / "prm")
    measured = [row["eval_ece"] for row in logged(made.path) if "eval_ece" in row]
    assert made.counts["ece"] == pytest.approx(min(measured), abs=1e-6)
    assert measured[-1] > min(measured), "the last state is not the best one, or this shows nothing"


def test_a_training_that_no_longer_improves_ends(base_model, tmp_path):
    settings = TrainSettings(
        base_model, lr=0.0, epochs=9, measure_every=1, best="step_auroc", patience=2, held_out=0.3, **FEW
    )
    made = toolkit.train(settings, **LISTS, out=tmp_path / "prm")
    assert sum("eval_step_auroc" in row for row in logged(made.path)) == 3, "the first is the best, two are not better"


def test_steps_and_schedule(base_model, tmp_path):
    settings = TrainSettings(base_model, lr=0.01, max_steps=20, warmup=0.5, scheduler="constant", **FEW)
    made = toolkit.train(settings, **LISTS, out=tmp_path / "prm")
    rates = [row["learning_rate"] for row in logged(made.path) if "learning_rate" in row]
    assert len(rates) == 20
    assert rates[:10] == pytest.approx([0.001 * step for step in range(10)])
    assert rates[10:] == pytest.approx([0.01] * 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patience": 2}, "patience makes no difference without a metric"),
        ({"best": "ece"}, "best='ece' needs measurements during the training"),
        ({"best": "pair_accuracy", "measure_every": 5}, "unknown best 'pair_accuracy'"),
        ({"best": "ece", "measure_every": 5, "save_every": 5}, "save_every makes no difference with best"),
        ({"scheduler": "step"}, "unknown scheduler 'step'"),
        ({"warmup": 1.0}, "warmup=1.0"),
    ],
)
def test_settings_that_do_not_go_together(change, message):
    with pytest.raises(InputError) as refused:
        TrainSettings("m", **change)
    assert message in str(refused.value)


def test_nothing_to_measure_on_is_refused(base_model):
    settings = TrainSettings(base_model, held_out=0, measure_every=5, best="ece")
    with pytest.raises(InputError, match="best='ece' needs something to measure on"):
        toolkit.train(settings, **LISTS)


def test_the_options_of_a_checkpoint_make_it_again(prm, base_model, files, tmp_path):  # noqa: F811
    write_records(tmp_path / "others.jsonl", OTHERS["problems"])
    given = [
        "--loss=step=0.5",
        "--lr=1e-3",
        "--batch-size=8",
        "--epochs=2",
        "--template=Judge: {problem}",
        "--report-to=none",
        "--seed=3",
    ]
    other = [f"--evaluation={name}={path}" for name, path in (files | {"problems": tmp_path / "others.jsonl"}).items()]
    assert prm("train", f"--base={base_model}", *options(files), *other, *given, "--out=one")[0] == 0
    code, _, said = prm("train", "--config=one/train.toml", "--out=two")
    assert code == 0, said
    one, two, three = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two", "one"))
    assert all((one[name] == two[name]).all() for name in one | three)
    assert (tmp_path / "one" / OPTIONS).read_text() == (tmp_path / "two" / OPTIONS).read_text()
    assert prm("train", "--config=one/train.toml", "--epochs=1", "--out=three")[0] == 0
    assert len(logged(tmp_path / "three")) < len(logged(tmp_path / "one")), "what is given goes before the file"


@pytest.mark.parametrize("tied", [True, False])
def test_a_head_that_begins_as_a_choice_between_two_words(base_model, tmp_path, tied):
    """Step scores before any training are the probability of the second word against the first, at each step's end."""
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(base_model, tie_word_embeddings=tied)
    causal = AutoModelForCausalLM.from_config(config).eval()
    causal.save_pretrained(tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(base_model)
    tokenizer.save_pretrained(tmp_path / "base")
    settings = TrainSettings(str(tmp_path / "base"), lr=0.0, head_from=("4", "2"), **FEW)
    scorer = toolkit.load_scorer(str(toolkit.train(settings, **LISTS, out=tmp_path / "prm").path))
    rendered = scorer.renderer.render("what is 3?", ("So 4.", "thus 12."))
    with torch.no_grad():
        logits = causal(torch.tensor([rendered.ids])).logits[0, list(rendered.step_ends)]
    words = [tokenizer.convert_tokens_to_ids(word) for word in ("4", "2")]
    expected = logits[:, words].softmax(dim=1)[:, 1].tolist()
    assert scorer.score(["what is 3?"], [("So 4.", "thus 12.")])[0] == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ModelError, match=r"'So thus' is \d tokens"):
        toolkit.train(replace(settings, head_from=("4", "So thus")), **LISTS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lrate = 1.0", "unknown option 'lrate'"),
        ("lr = ", "is not TOML"),
        ("lr = 'fast'", "Invalid value for '--lr'"),
    ],
)
def test_options_that_are_none_are_one_line(prm, tmp_path, text, message):
    (tmp_path / "o.toml").write_text(text)
    code, _, said = prm("train", "--config=o.toml", "--base=m", "--out=x")
    assert code != 0
    assert message in " ".join(said.split())


def test_options_of_any_text_are_read_back(tmp_path):
    import tomllib

    settings = TrainSettings(
        "m",
        separator='\\n"x"\\\\',
        template="a\t{problem} \\neq \\\\[2pt]\x7f\u2028é\n",
        lora_rank=2,
        lora_targets="all-linear",
    )
    row = tomllib.loads(options_text(settings, {"problems": "a'b\\c.jsonl", "chains": []}, {}))
    assert _template(row["template"]) == settings.template
    assert row["separator"] == settings.separator
    assert (row["problems"], row["lora_targets"]) == ("a'b\\c.jsonl", ["all-linear"])
    assert "chains" not in row
