"""The job, from Python and by the command: one checkpoint, whatever holds the data and however it is carried out."""

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict

import datasets
import pytest
import torch
from places import SAMPLES
from transformers import AutoConfig, AutoModelForTokenClassification, AutoTokenizer

import prm as toolkit
from prm import Chain, InputError, ModelError, Problem, StepLabels, TrainSettings, write_records
from prm.data.drops import Drops
from prm.data.formats import read_public
from prm.models.checkpoint import load_model
from prm.training.job import audit_of
from prm.training.trainer import LOG, ProgressBar

pytestmark = pytest.mark.timeout(3600)  # a limit for what hangs, not for what a busy machine makes slow
ALONE = os.environ | {"OMP_NUM_THREADS": "1"}  # threads of tiny models wait for each other more than they work


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """As in the processes of their own, so that results can be equal to the last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def records():
    """Problems with a right and a wrong chain each."""
    problems = [Problem(f"p{i}", f"what is {i}?", "4") for i in range(24)]
    chains, labels = [], []
    for problem in problems:
        for k, (text, value) in enumerate((("So 4.\n", 1), ("So thus it 12.\n", 0))):
            identity = f"{problem.id}/{k}"
            counts = (3 * value,) * 2, (3 - 3 * value,) * 2, (0, 0), ("drawn",) * 2
            chains.append(Chain(identity, problem.id, (text,) * 2))
            labels.append(StepLabels(identity, problem.id, *counts, ("incorrect", "correct")[value]))
    return {"problems": problems, "chains": chains, "labels": labels}


LISTS = records()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    paths = {name: directory / f"{name}.jsonl" for name in LISTS}
    for name, path in paths.items():
        write_records(path, LISTS[name])
    return paths


def options(files):
    return [f"--{name}={path}" for name, path in files.items()]


def loaded(directory):
    return load_model(str(directory), "prm").state_dict()


def distance(left, right):
    assert left.keys() == right.keys()
    return max(float((left[name].float() - right[name].float()).abs().max()) for name in left)


def manifest(out):
    row = json.loads(out.with_name(out.name + ".manifest.json").read_text())
    return {name: row[name] for name in ("command", "settings", "inputs")}


def test_the_command_files_lists_and_data_sets_give_the_same_checkpoint(prm, base_model, files, tmp_path):
    settings = TrainSettings(base_model, lr=1e-3, batch_size=16, save_every=1000)
    line = ["train", "--base", base_model, *options(files), "--lr=1e-3", "--batch-size=16", "--save-every=1000"]
    assert prm(*line, "--out=by-command")[0] == 0
    by_lists = toolkit.train(settings, **LISTS, out=tmp_path / "by-lists")
    rows = {name: datasets.Dataset.from_list([asdict(r) for r in LISTS[name]]) for name in LISTS}
    by_sets = toolkit.train(settings, **rows)
    assert distance(loaded(tmp_path / "by-command"), loaded(by_lists.path)) == 0
    assert distance(loaded(tmp_path / "by-command"), loaded(by_sets.path)) == 0
    assert manifest(tmp_path / "by-command") == manifest(by_lists.path)
    assert by_lists.counts == by_sets.counts
    assert by_lists.counts["chains"] + by_lists.counts["held-out chains"] == 48
    assert toolkit.train(settings, **files, out=tmp_path / "by-command").counts == by_lists.counts, "it is reused"
    scores = toolkit.load_scorer(str(by_sets.path)).score(["what is 1?"], [["So 4.", "So 4."]])
    assert len(scores[0]) == 2


def test_the_manifest_has_all_that_the_result_depends_on(prm, base_model, files, tmp_path):
    settings = TrainSettings(base_model, objective="orm", losses={"pointwise": 1.0}, batch_size=48, lr=0.0)
    toolkit.train(settings, **files, out=tmp_path / "o")
    assert manifest(tmp_path / "o")["settings"] == {
        "base": base_model, "objective": "orm", "losses": {"pointwise": 1.0}, "labels_as": "outcome", "steps": "all",
        "class_balance": False, "margin": 0.0, "label_smoothing": 0.0, "zeta": 4.0, "epochs": 1.0, "lr": 0.0,
        "beta": 0.05, "batch_size": 48, "held_out": 0.05, "max_steps": 0, "warmup": 0.05, "scheduler": "cosine",
        "weight_decay": 0.0, "best": None, "patience": 0, "measure_every": None,
        "max_length": None, "too_long": "drop", "precision": "float32", "weights": "float32", "optimizer": "adamw",
        "quantize": None, "lora_rank": 0, "fsdp": False,
        "lora_alpha": None, "lora_dropout": 0.0, "lora_targets": [], "keep_adapter": False, "separator": "\\n",
        "splitter": "newline", "chat": False, "template": None, "form": "whole", "head_from": [], "members": 1,
        "outputs": [], "seed": 0, "processes": 1,
    }  # fmt: skip
    assert set(manifest(tmp_path / "o")["inputs"]) == {"problems", "chains", "labels", "base"}


def test_values_and_preferences_as_rows(base_model):
    settings = TrainSettings(base_model, objective="orm", losses={"regression": 1.0}, batch_size=48, held_out=0)
    values = [{"chain_id": chain.id, "value": 7.5} for chain in LISTS["chains"]]
    made = toolkit.train(settings, problems=LISTS["problems"], chains=LISTS["chains"], values=values)
    assert made.counts["chains"] == 48
    pairs = [{"prompt": "what is 4?", "chosen": "It is 4.", "rejected": f"It is {i}."} for i in (4, 5, 6)]
    made = toolkit.train(TrainSettings(base_model, objective="orm", held_out=0), preferences=pairs)
    assert made.counts["chains"] == 4
    assert [drop.reason for drop in made.drops] == ["two answers that are the same"]


def test_tokenizer_and_configuration_pad_alike(base_model, tmp_path):
    base = shutil.copytree(base_model, tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(base)
    settings = TrainSettings(str(base), epochs=0.1, batch_size=48, report_to=())
    made = toolkit.train(settings, **LISTS, out=tmp_path / "made")
    saved = AutoTokenizer.from_pretrained(made.path).pad_token_id
    assert saved == AutoConfig.from_pretrained(made.path).pad_token_id == tokenizer.eos_token_id


def test_a_model_of_order_has_no_threshold_and_says_so(base_model, tmp_path):
    settings = TrainSettings(base_model, losses={"q-ranking": 1.0}, lr=3e-3, batch_size=8)
    made = toolkit.train(settings, **LISTS, out=tmp_path / "prm")
    assert toolkit.load_scorer(str(made.path)).threshold is None
    assert "no probabilities" in (made.path / "README.md").read_text()
    assert made.counts["step auroc within position"] > 0.9


def test_a_model_of_counts_says_how_sure_its_scores_are(base_model, tmp_path):
    """The Beta distribution whose parameters are the exponentials of the logits, by plain transformers."""
    settings = TrainSettings(base_model, losses={"beta-binomial": 1.0}, labels_as="counts", lr=3e-3, batch_size=8)
    made = toolkit.train(settings, **LISTS, out=tmp_path / "prm")
    scorer = toolkit.load_scorer(str(made.path))
    problem, chain = LISTS["problems"][0], LISTS["chains"][0]
    rendered = scorer.renderer.render(problem.text, chain.steps)
    model = AutoModelForTokenClassification.from_pretrained(made.path).eval()
    with torch.no_grad():
        wrong, right = model(torch.tensor([rendered.ids])).logits[0, list(rendered.step_ends)].exp().unbind(dim=1)
    values = torch.distributions.Beta(right, wrong)
    (row,) = toolkit.score(scorer, [problem], [chain])
    assert row.scores == pytest.approx(values.mean.tolist(), abs=1e-5)
    assert row.spread == row.deviations == pytest.approx(values.stddev.tolist(), abs=1e-5)
    assert pickle.loads(pickle.dumps(scorer.score([problem], [chain.steps])))[0].deviations == row.deviations


def test_another_objective_under_one_output_is_named(base_model, files, tmp_path):
    short = {"lr": 0.0, "batch_size": 48}
    toolkit.train(TrainSettings(base_model, **short), **files, out=tmp_path / "o")
    with pytest.raises(toolkit.OutputError, match=r"made with other settings \(form, labels_as, losses, objective\)"):
        toolkit.train(TrainSettings(base_model, objective="orm", **short), **files, out=tmp_path / "o")
    swapped = files | {"chains": files["problems"]}
    with pytest.raises(toolkit.OutputError, match=r"other settings \(epochs\) and inputs \(chains\)"):
        toolkit.train(TrainSettings(base_model, epochs=2, **short), **swapped, out=tmp_path / "o")


def test_a_folder_of_preferences_that_has_changed_is_noticed(base_model, tmp_path):
    folder, settings = tmp_path / "pairs" / "data", TrainSettings(base_model, objective="orm", held_out=0, lr=0.0)
    folder.mkdir(parents=True)
    for answer in ("4", "5"):
        rows = [{"prompt": "what is 3?", "chosen": "3", "rejected": answer}]
        datasets.Dataset.from_list(rows).to_parquet(folder / "train-00000-of-00001.parquet")
        if answer == "4":
            toolkit.train(settings, preferences=tmp_path / "pairs", out=tmp_path / "o")
    with pytest.raises(toolkit.OutputError, match=r"made with other inputs \(preferences\)"):
        toolkit.train(settings, preferences=tmp_path / "pairs", out=tmp_path / "o")


def test_something_is_held_out_or_it_is_refused(base_model):
    few = LISTS["problems"][:2]
    found = audit_of(TrainSettings(base_model, held_out=0.01), **LISTS | {"problems": few})
    assert (found["train"]["problems"], found["held_out"]["problems"]) == (1, 1)
    with pytest.raises(InputError, match="only one problem to learn from: nothing can be held out"):
        audit_of(TrainSettings(base_model), **LISTS | {"problems": few[:1]})


def test_the_audit_alone(base_model, tmp_path):
    found = audit_of(TrainSettings(base_model, held_out=0.5), **LISTS)
    assert found["train"]["chains"] + found["held_out"]["chains"] == 48
    assert found["known"] == {"drawn": found["train"]["steps"]}, "labels of held-out chains are not learned from"


def test_the_audit_counts_distinct_problems_and_labels_learned_from(base_model):
    pairs = [{"prompt": f"what is {i // 3}?", "chosen": "It is 4.", "rejected": f"It is {i}."} for i in range(60, 180)]
    found = audit_of(TrainSettings(base_model, objective="orm", held_out=0.3), preferences=pairs)
    assert found["train"]["problems"] + found["held_out"]["problems"] == 40
    assert found["train"]["pairs"] + found["held_out"]["pairs"] == 120
    firsts = audit_of(TrainSettings(base_model, held_out=0.0, steps="first-error"), **LISTS)
    assert firsts["known"] == {"drawn": 72}, "two steps of a right chain, one of a wrong one"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"report_to": "nowhere"}, "report_to='nowhere' is unknown or not installed"),
        ({"lora_rank": 4}, "lora_rank needs peft, which is not installed"),
        ({"precision": "float16"}, "float16 cannot be trained on a CPU"),
        ({"optimizer": "adamw-8bit"}, "optimizer='adamw-8bit' needs torchao, which is not installed"),
        ({"fsdp": True}, "fsdp needs the processes of torchrun"),
    ],
)
def test_what_the_machine_lacks_is_said_before_anything_is_read(monkeypatch, change, message):
    monkeypatch.setattr("prm.training.job.find_spec", lambda name: None)
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    nothing = {name: [] for name in LISTS}
    with pytest.raises(ModelError) as raised:
        toolkit.train(TrainSettings("no/such-model", **change), **nothing)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objective": "rm"}, "unknown objective 'rm'"),
        ({"labels_as": "graded"}, "unknown labels_as 'graded'"),
        ({"steps": "none"}, "unknown steps 'none'"),
        ({"too_long": "cut"}, "unknown too_long 'cut'"),
        ({"precision": "int8"}, "unknown precision 'int8'"),
        ({"weights": "float16"}, "unknown weights 'float16'"),
        ({"optimizer": "sgd"}, "unknown optimizer 'sgd'"),
        ({"quantize": "8bit"}, "unknown quantize '8bit'"),
        ({"weights": "bfloat16", "precision": "float32"}, "precision='float32' with weights in bfloat16"),
        ({"weights": "bfloat16", "optimizer": "adafactor"}, "adafactor would round away small updates"),
        ({"optimizer": "adafactor", "fsdp": True}, "optimizer='adafactor' does not work with fsdp"),
        ({"quantize": "4bit"}, "weights in 4bit cannot be trained themselves"),
        ({"quantize": "4bit", "lora_rank": 4, "fsdp": True}, "quantized weights are not sharded"),
        ({"offload": True}, "offload makes no difference without fsdp"),
        ({"losses": {"stepp": 1.0}}, "unknown loss 'stepp'"),
        ({"losses": "step"}, "losses='step' is not a mapping"),
        ({"losses": {"step": "1"}}, "losses['step']='1' is not a number"),
        ({"losses": {"step": 0.0}}, "the weight of the loss 'step' is 0.0"),
        ({"splitter": "words"}, "'words'"),
        ({"separator": ""}, "separator is empty"),
        ({"separator": "\\"}, "separator="),
        ({"epochs": 0}, "epochs=0"),
        ({"epochs": float("nan")}, "epochs=nan"),
        ({"lr": -1.0}, "lr=-1.0"),
        ({"lr": float("inf")}, "lr=inf"),
        ({"margin": -0.5, "objective": "orm"}, "margin=-0.5"),
        ({"held_out": 0.95}, "held_out=0.95"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"max_length": 0}, "max_length=0"),
        ({"tokens_per_pass": 0}, "tokens_per_pass=0"),
        ({"lora_rank": -1}, "lora_rank=-1"),
        ({"lora_rank": 4, "lora_alpha": 0}, "lora_alpha=0"),
        ({"lora_rank": 4, "lora_dropout": 1.0}, "lora_dropout=1.0"),
        ({"lora_rank": 4, "lora_targets": (1,)}, "lora_targets: 1 is not a text"),
        ({"lora_targets": ("q_proj",)}, "lora_targets makes no difference without LoRA"),
        ({"keep_adapter": True}, "keep_adapter makes no difference without LoRA"),
        ({"seed": -1}, "seed=-1"),
        ({"batch_size": None}, "batch_size=None"),
        ({"batch_size": 2.5}, "batch_size=2.5"),
        ({"margin": "x", "objective": "orm"}, "margin='x'"),
        ({"tokens_per_pass": -1}, "tokens_per_pass=-1"),
        ({"class_balance": "x"}, "class_balance='x' is neither True nor False"),
        ({"report_to": 5}, "report_to: 5 is not a text"),
        ({"objective": "joint", "too_long": "whole-steps"}, "too_long='whole-steps'"),
        ({"margin": 1.0}, "margin makes no difference to a PRM"),
        ({"objective": "orm", "losses": {"pointwise": 1.0}, "margin": 1.0}, "margin makes no difference to an ORM"),
        ({"label_smoothing": 0.5}, "label_smoothing"),
        ({"losses": {"q-ranking": 1.0}, "label_smoothing": 0.1}, "label_smoothing makes no difference to a PRM"),
        ({"zeta": 2.0}, "zeta makes no difference to a PRM"),
        ({"losses": {"q-ranking": 1.0}, "class_balance": True}, "class_balance makes no difference to a PRM"),
        ({"losses": {"beta-binomial": 1.0}}, "needs the counts of the rollouts"),
        (
            {"losses": {"step": 1.0, "beta-binomial": 1.0}, "labels_as": "counts", "class_balance": True},
            "class_balance changes the counts",
        ),
        ({"objective": "orm", "labels_as": "soft"}, "labels_as makes no difference"),
        ({"objective": "orm", "steps": "one-past"}, "steps makes no difference"),
        ({"objective": "orm", "class_balance": True}, "class_balance makes no difference"),
        ({"objective": "orm", "separator": "=="}, "separator makes no difference to an ORM"),
        ({"template": "Judge:"}, "the template has {problem} 0 times"),
        ({"template": "{problem}{solution}", "chat": True}, "the assistant's turn"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(change, message):
    with pytest.raises(InputError, match=re.escape(message)) as refused:
        TrainSettings("m", **change)
    assert refused.value.hint
    assert "--" not in f"{refused.value} {refused.value.hint}", "there are no options in Python"


def test_data_that_cannot_be_are_refused_by_name(base_model, monkeypatch):
    prm_settings = TrainSettings(base_model)
    with pytest.raises(InputError, match="nothing to train on"):
        toolkit.train(prm_settings, problems=LISTS["problems"], labels=LISTS["labels"])
    with pytest.raises(InputError, match="of their own"):
        toolkit.train(prm_settings, **LISTS, preferences=[])
    with pytest.raises(InputError, match="values makes no difference to a PRM"):
        toolkit.train(prm_settings, **LISTS, values=[])
    with pytest.raises(InputError, match="no step labels"):
        toolkit.train(prm_settings, preferences=[])
    for job in (toolkit.train, audit_of):
        with pytest.raises(InputError, match="settings is a dict, not a") as caught:
            job({"base": base_model}, **LISTS)
        assert f"prm.TrainSettings(**{{'base': '{base_model}'}})" in caught.value.hint
        with pytest.raises(InputError, match="settings is a str, not a"):
            job(base_model, **LISTS)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="out=None with 2 processes"):
        toolkit.train(prm_settings, **LISTS)


DIES = """
import os, signal
from prm.cli import main
from prm.training.trainer import ProgressBar

def dies(self, args, state, control, **_):
    if state.global_step == 25:
        os.kill(os.getpid(), signal.SIGKILL)

ProgressBar.on_step_end = dies
main()
"""


def test_a_killed_training_goes_on_to_the_same_result(base_model, files, tmp_path, monkeypatch, capsys):
    settings = TrainSettings(base_model, epochs=3, batch_size=4, lr=1e-3, save_every=10, report_to=())
    whole = toolkit.train(settings, **files, out=tmp_path / "whole")
    cut = ["--epochs=3", "--batch-size=4", "--lr=1e-3", "--save-every=10", "--report-to=none", f"--out={tmp_path}/cut"]
    line = [sys.executable, "-c", DIES, "train", f"--base={base_model}", *options(files), *cut]
    done = subprocess.run(line, capture_output=True, text=True, env=ALONE, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]
    assert not (tmp_path / "cut").exists()
    begun, first = (tmp_path / "cut.training"), []
    assert (begun / "checkpoint-20").exists()
    on_step_end = ProgressBar.on_step_end

    def noting(self, args, state, control, **_):
        first.append(state.global_step)
        on_step_end(self, args, state, control)

    monkeypatch.setattr(ProgressBar, "on_step_end", noting)
    capsys.readouterr()
    made = toolkit.train(settings, **files, out=tmp_path / "cut")
    assert first[0] == 21, "it goes on and does not begin anew"
    assert "PRM checkpoint: " in capsys.readouterr().err
    assert distance(loaded(made.path), loaded(whole.path)) == 0
    assert not begun.exists()


TWICE = """
import sys
from dataclasses import asdict
from prm.cli import app

common, *each = (part.split() for part in " ".join(sys.argv[1:]).split(" then "))
for options in each:
    app([*common, *options], standalone_mode=False)
"""


def test_two_processes_give_what_one_gives(base_model, files, tmp_path):
    """Two processes of 3 chains each read the same 6 chains per optimizer step as one of 6; copied, then sharded.

    The last step of an epoch has only chains for one of the processes.
    """
    common = {"lr": 1e-3, "epochs": 2, "tokens_per_pass": 20, "held_out": 0.1, "measure_every": 5}
    one = toolkit.train(TrainSettings(base_model, **common, batch_size=6), **files, out=tmp_path / "one")
    assert one.counts["chains"] % 6 == 2
    script = tmp_path / "twice.py"
    script.write_text(TWICE)
    given = [f"--{name.replace('_', '-')}={value}" for name, value in common.items()]
    line = ["train", f"--base={base_model}", *options(files), *given, "--batch-size=3", "--report-to=none"]
    each = ["then", f"--out={tmp_path}/copied", "then", "--fsdp", f"--out={tmp_path}/sharded"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script]
    done = subprocess.run([*torchrun, *line, *each], capture_output=True, text=True, env=ALONE, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("PRM checkpoint: ") == 2, "only the main process speaks"
    assert distance(loaded(one.path), load_model(base_model, "prm", 0).state_dict()) > 1e-3
    for name in ("copied", "sharded"):
        assert distance(loaded(tmp_path / name), loaded(one.path)) < 1e-4
        logs = [json.loads((path / LOG).read_text())["log"] for path in (one.path, tmp_path / name)]
        losses = [[row["loss"] for row in log if "loss" in row] for log in logs]
        assert losses[0] == pytest.approx(losses[1], rel=1e-3)
        assert manifest(tmp_path / name)["settings"]["processes"] == 2


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no sample data in {SAMPLES}; set PRM_SAMPLE_DATA")
def test_a_prm_learns_from_human_ratings(base_model, tmp_path):
    ratings = SAMPLES / "prm800k_phase1" / "phase1_test_chains.jsonl"
    few = tmp_path / "ratings.jsonl"
    few.write_text("".join(f"{line}\n" for line in ratings.read_text(encoding="utf-8").splitlines()[:60]))
    rows = list(read_public(few, "prm800k", drops=Drops()))
    data = {"problems": {p.id: p for p, _, _ in rows}.values(), "chains": [c for _, c, _ in rows],
            "labels": [label for _, _, label in rows if label is not None]}  # fmt: skip
    steps = {"too_long": "whole-steps", "batch_size": 8, "epochs": 10}
    settings = TrainSettings(base_model, lr=3e-3, held_out=0, save_every=1000, **steps)
    made = toolkit.train(settings, **data)
    log = json.loads((made.path / LOG).read_text())["log"]
    losses = [entry["loss"] for entry in log if "loss" in entry]
    assert len(losses) >= 6
    assert sum(losses[-4:]) < sum(losses[:4])
