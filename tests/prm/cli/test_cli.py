"""The command line on bad input: one line that says what, one that says what to do, and no traceback."""

import json
import shutil

import pytest


@pytest.fixture
def files(tmp_path):
    rows = {
        "p.jsonl": {"schema": "problem/1", "id": "p", "text": "?", "answer": "4"},
        "c.jsonl": {"schema": "chain/1", "id": "c", "problem_id": "p", "steps": ["The answer is 4"]},
        "s.jsonl": {"schema": "step-scores/1", "chain_id": "c", "problem_id": "p", "scores": [0.5], "kind": "prm"},
        "l.jsonl": {"schema": "step-labels/1", "chain_id": "c", "problem_id": "p", "right": [0], "wrong": [0],
                    "undecided": [0], "known": ["answer"], "outcome": "correct"},
    }  # fmt: skip
    for name, row in rows.items():
        (tmp_path / name).write_text(json.dumps(row) + "\n")
    reward = rows["s.jsonl"] | {"chain_id": "d", "kind": "orm"}
    (tmp_path / "mixed.jsonl").write_text(f"{json.dumps(rows['s.jsonl'])}\n{json.dumps(reward)}\n")
    (tmp_path / "broken.jsonl").write_text('{"id": "p",\n')
    (tmp_path / "empty-directory").mkdir()
    return tmp_path


DATA = "--problems p.jsonl --chains c.jsonl"
FAULTS = {
    "broken line": ("rerank --problems broken.jsonl --chains c.jsonl --scores s.jsonl --out o", "broken.jsonl:1"),
    "missing file": (f"rerank {DATA} --scores none.jsonl --out o", "none.jsonl"),
    "missing problems": ("sample --model empty-directory --problems none.jsonl --out o", "none.jsonl"),
    "wrong file": (f"rerank {DATA} --scores c.jsonl --out o", "c.jsonl:1"),
    "splitter": ("sample --model m --problems p.jsonl --splitter words --out o", "'words'"),
    "splitter, own chains": (f"rerank {DATA} --scores s.jsonl --splitter words --out o", "'words'"),
    "strategy": (f"label --model m {DATA} --strategy guess --out o", "'guess'"),
    "aggregator": (f"rerank {DATA} --scores s.jsonl --aggregate median --out o", "'median'"),
    "scores of two scorers": (f"rerank {DATA} --scores mixed.jsonl --out o", "mixes PRM and ORM"),
    "selection": (f"rerank {DATA} --scores s.jsonl --selection worst --out o", "'worst'"),
    "objective": (f"train --base m --objective rm {DATA} --labels l.jsonl --out o", "rm"),
    "base": (f"train --base empty-directory {DATA} --labels l.jsonl --out o", "empty-directory"),
    "base path": (f"train --base ./none {DATA} --labels l.jsonl --out o", "./none"),
    "separator": (f"train --base m {DATA} --labels l.jsonl --separator= --out o", "separator is empty"),
    "separator that ends in an escape": (
        f"train --base m {DATA} --labels l.jsonl --separator \\ --out o",
        r"separator='\\'",
    ),
    "scorer": (f"score --scorer empty-directory {DATA} --out o", "empty-directory"),
    "nothing to measure": (f"eval best-of-n {DATA} --out o", "no scorer"),
    "no exact truth": (f"eval world {DATA} --scores x=s.jsonl --out o", "'p'"),
    "no such suite": ("eval processbank d --scores x=s.jsonl --out o", "'processbank'"),
    "no rows of a suite": ("eval processbench --scores x=s.jsonl --out o", "processbench"),
    "rows that are not there": ("eval processbench none.jsonl --scores x=s.jsonl --out o", "none.jsonl"),
    "own suite without its files": ("eval best-of-n --scores x=s.jsonl --out o", "problems and chains"),
    "scores without a name": (f"eval best-of-n {DATA} --scores s.jsonl --out o", "NAME=FILE"),
    "threshold that is no number": (f"eval best-of-n {DATA} --scores x=s.jsonl --threshold x=half --out o", "half"),
    "threshold of nobody": (f"eval best-of-n {DATA} --scores x=s.jsonl --threshold y=0.5 --out o", "'y'"),
    "two scorers of one name": (f"eval best-of-n {DATA} --scores x=s.jsonl --scorer x=m --out o", "'x'"),
    "scores of two kinds": (f"eval best-of-n {DATA} --scores x=mixed.jsonl --out o", "mixes PRM and ORM"),
    "too few chains": (f"eval best-of-n {DATA} --scores x=s.jsonl -n 2 --out o", "as many solutions"),
    "suite without a place": ("suite processbench p.jsonl", "--out"),
    "format that cannot be told": ("import p.jsonl --out o", "p.jsonl:1"),
    "format that there is none of": ("import p.jsonl --format jsonl --out o", "'jsonl'"),
    "no row of that format": ("import p.jsonl --format trl --out o", "lacks a field"),
    "option of another format": ("import p.jsonl --format trl --tag x --out o", "tag='x'"),
}


@pytest.mark.parametrize(("line", "message"), FAULTS.values(), ids=FAULTS)
def test_bad_input_is_one_line_and_a_hint(prm, files, line, message):
    code, out, err = prm(*line.split())
    assert code == 1
    assert out == ""
    assert "Traceback" not in err
    errors = [x for x in err.splitlines() if x.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert err.splitlines()[-1].startswith("hint: ")
    assert err.splitlines()[-2] == ""


@pytest.mark.parametrize("line", ["world --count 0 --out o", "world", "nonsense", f"sample {DATA} --out o"])
def test_wrong_usage_is_exit_code_2(prm, line):
    code, _, err = prm(*line.split())
    assert code == 2
    assert "Traceback" not in err


def test_world_twice_says_it_is_there_and_other_settings_are_refused(prm, tmp_path):
    out = tmp_path / "new" / "p.jsonl"
    code, stdout, err = prm("world", "--count", 3, "--seed", 1, "--out", out)
    assert (code, stdout) == (0, "")
    assert "3 problems" in err
    made = out.read_bytes()
    assert len(made.splitlines()) == 3
    code, _, err = prm("world", "--count", 3, "--seed", 1, "--out", out)
    assert code == 0
    assert "already there" in err
    code, _, err = prm("world", "--count", 4, "--seed", 1, "--out", out)
    assert code == 1
    assert "--overwrite" in err
    assert out.read_bytes() == made
    code, _, err = prm("world", "--count", 4, "--seed", 1, "--out", out, "--overwrite")
    assert code == 0
    assert len(out.read_bytes().splitlines()) == 4


def test_rerank_writes_the_choice_and_the_drops(prm, files):
    extra = {"schema": "chain/1", "id": "d", "problem_id": "p", "steps": ["The answer is 5"]}
    with (files / "c.jsonl").open("a") as file:
        file.write(json.dumps(extra) + "\n")
    code, _, err = prm(*f"rerank {DATA} --scores s.jsonl --out o.jsonl".split())
    assert code == 0
    assert "it has no score" in err
    choice = json.loads((files / "o.jsonl").read_text())
    assert (choice["problem_id"], choice["best"], choice["answer"]) == ("p", "The answer is 4", "4")
    dropped = json.loads((files / "o.jsonl.dropped.jsonl").read_text())
    assert (dropped["id"], dropped["reason"]) == ("d", "it has no score")


def test_rerank_of_rewards_needs_no_aggregator(prm, files):
    """The product of rewards below 0 would be -inf for all."""
    with (files / "c.jsonl").open("a") as file:
        file.write(json.dumps({"schema": "chain/1", "id": "d", "problem_id": "p", "steps": ["The answer is 5"]}) + "\n")
    rewards = [{"chain_id": c, "problem_id": "p", "scores": [r], "kind": "orm"} for c, r in (("c", -3.0), ("d", -1.0))]
    (files / "s.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rewards))
    prm(*f"rerank {DATA} --scores s.jsonl --aggregate product --out o.jsonl".split())
    choice = json.loads((files / "o.jsonl").read_text())
    assert (choice["answer"], choice["scores"]) == ("5", [-3.0, -1.0])


def test_a_training_that_was_stopped_can_be_run_again(prm, files, base_model, monkeypatch):
    from prm.training import trainer as training

    def stopped(*arguments):
        work = arguments[-2]
        work.mkdir()
        (work / "checkpoint-1").mkdir()  # half
        raise KeyboardInterrupt

    line = f"train --base {base_model} {DATA} --labels l.jsonl --held-out 0 --separator ки --out o".split()
    with monkeypatch.context() as patched:
        patched.setattr(training, "fit", stopped)
        code, _, said = prm(*line)
        assert code == 130
        assert "the same command resumes it" in said
    assert not (files / "o").exists()
    assert (files / "o.training").exists()
    assert prm(*line)[0] == 0
    assert json.loads((files / "o" / "prm.json").read_text())["separator"] == "ки"
    assert not (files / "o.training").exists()
    assert not (files / "o.partial").exists()
    assert "already there" in prm(*line)[2]
    assert prm(*line, "--lr", 1)[0] == 1, "an output of other settings"


def test_a_training_leaves_all_that_tells_of_it(prm, files, base_model):
    code, out, said = prm(*f"train --base {base_model} {DATA} --labels l.jsonl --held-out 0 --out o".split())
    assert code == 0
    assert "What there is to learn from" in out
    assert "One example as the model reads it: chain c," in said
    assert "label 1" in said
    left = {path.name for path in (files / "o").iterdir()}
    assert {"README.md", "audit.json", "prm.json", "training_log.json", "training.png", "model.safetensors"} <= left
    card = (files / "o" / "README.md").read_text()
    assert "pipeline_tag: token-classification" in card
    assert "AutoModelForTokenClassification" in card
    audit = json.loads((files / "o" / "audit.json").read_text())
    assert (audit["train"]["chains"], audit["split"]["shared_texts"]) == (1, 0)


def test_overwriting_keeps_the_old_checkpoint_until_there_is_a_new_one(prm, files, base_model):
    line = f"train --base {base_model} {DATA} --labels l.jsonl --held-out 0 --out o".split()
    assert prm(*line)[0] == 0
    assert prm(*line, "--lr=1", "--loss=stepp=1", "--overwrite")[0] == 1
    assert (files / "o" / "model.safetensors").exists()
    assert prm(*line, "--epochs=2", "--overwrite")[0] == 0
    assert json.loads((files / "o.manifest.json").read_text())["settings"]["epochs"] == 2
    (files / "mine").mkdir()
    (files / "mine" / "thesis.tex").touch()
    code, _, said = prm(*line[:-1], "mine", "--overwrite")
    assert (code, "was not made by" in said) == (1, True)
    assert (files / "mine" / "thesis.tex").exists()


def test_a_base_that_has_changed_is_noticed(prm, files, base_model):
    shutil.copytree(base_model, files / "base")
    line = f"train --base base {DATA} --labels l.jsonl --held-out 0 --out o".split()
    assert prm(*line)[0] == 0
    weights = files / "base" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    code, _, said = prm(*line)
    assert (code, "other inputs" in said) == (1, True)


def test_a_dry_run_prints_the_audit_and_writes_nothing(prm, files, base_model):
    before = set(files.iterdir())
    line = f"train --base {base_model} {DATA} --labels l.jsonl --objective orm --dry-run --out o".split()
    code, out, _ = prm(*line)
    assert code == 0
    assert "dropped: all its chains are right" in out
    assert set(files.iterdir()) == before


def test_a_training_on_preferences(prm, files, base_model):
    rows = [
        {"prompt": "what is 4?", "chosen": "It is 4.", "rejected": "It is 12."},
        {"prompt": "what is 12?", "chosen": "It is 12.", "rejected": "It is 12."},
        {"chosen": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "4"}],
         "rejected": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "5"}]},
    ]  # fmt: skip
    (files / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    line = f"train --base {base_model} --preferences pairs.jsonl --objective orm --held-out 0 --out o".split()
    assert prm(*line)[0] == 0
    dropped = [json.loads(row)["reason"] for row in (files / "o.dropped.jsonl").read_text().splitlines()]
    assert dropped == ["two answers that are the same", "messages without a chat template"]
    assert "pipeline_tag: text-classification" in (files / "o" / "README.md").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--preferences c.jsonl", "of their own"),
        ("--loss step", "NAME=WEIGHT"),
        ("--loss step=much", "much"),
        ("--loss nothing=1", "unknown loss 'nothing'"),
        ("--objective both", "unknown objective 'both'"),
        ("--labels-as graded", "unknown labels_as 'graded'"),
        ("--steps none", "unknown steps 'none'"),
        ("--precision int8", "unknown precision 'int8'"),
        ("--objective orm --too-long whole-steps", "too_long='whole-steps'"),
        ("--fsdp", "torchrun"),
        ("--margin 1", "margin makes no difference"),
        ("--objective orm --class-balance", "class_balance makes no difference"),
        ("--objective orm --labels-as soft", "labels_as makes no difference"),
        ("--objective orm --steps one-past", "steps makes no difference"),
        ("--objective orm --loss pointwise=1 --margin 1", "margin makes no difference"),
        ("--values v.jsonl", "values makes no difference"),
        ("--objective orm", "nothing to train on"),
    ],
)
def test_what_training_cannot_do_is_said_in_one_line(prm, files, base_model, options, message):
    code, _, said = prm(*f"train --base {base_model} {DATA} --labels l.jsonl --held-out 0 --out o {options}".split())
    assert code == 1
    assert message in said
    assert "hint: " in said
    assert not (files / "o").exists()


def test_the_demo_ends_where_one_of_its_commands_does(prm, monkeypatch):
    from prm.cli import demo

    world = ["world", "--count=2", "--out=p.jsonl"]
    monkeypatch.setattr(demo, "_demo_commands", lambda *_: [world, ["rerank", *RERANK_NOTHING], world])
    code, _, said = prm("demo", "--out", ".")
    assert code == 1
    assert "none.jsonl" in said
    assert "The demo took" not in said
    assert "step 1 of 3\n" in said
    assert "step 2 of 3, about " in said
    assert "step 3" not in said

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo.subprocess, "run", interrupted)
    code, _, said = prm("demo", "--out", ".")
    assert code == 130
    assert "The demo took" not in said


RERANK_NOTHING = ["--problems=none.jsonl", "--chains=none.jsonl", "--scores=none.jsonl", "--out=o.jsonl"]
