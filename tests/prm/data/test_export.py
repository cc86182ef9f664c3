"""What is written for other tools reads back as it was, label by label; what would not is never written."""

import json

import datasets
import pytest
from places import SAMPLES

from prm import Chain, Problem, StepLabels, write_records
from prm.data.drops import Drops
from prm.data.formats import FORMATS_WRITTEN, read_public
from prm.data.formats.exporting import export_rows
from prm.data.formats.solutions import KnownProblems, Reading
from prm.data.formats.table import FORMATS_WITH_SHARES

needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no sample data in {SAMPLES}; set PRM_SAMPLE_DATA")
T, F, N = True, False, None
READER = {name: "trl" if name == "datasets" else name for name in FORMATS_WRITTEN}


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def row(*steps, right=None, wrong=None, problem="How many?", given=None):
    """A problem, its chain, and labels of two draws from each step, the last drawn too."""
    n = len(steps)
    right = right or (2 if given is None else 0,) * n
    wrong = wrong or tuple(2 - r if given is None else 0 for r in right)
    known = ("drawn",) * n if given is None else tuple("none" if g is None else "given" for g in given)
    labels = StepLabels("c", "p", tuple(right), tuple(wrong), (0,) * n, known, "no_answer", given=given)
    return Problem("p", problem), Chain("c", "p", tuple(steps)), labels


def written(name, view, *rows, tag="ки"):
    drops = Drops()
    return list(export_rows(rows, name, view, drops, tag)), drops.by_reason()


ROW = row("a = 1 + 1\n", "b\n\n", "c", right=(2, 1, 0))
BY_HAND = {
    ("math-shepherd", "hard"): {
        "input": "How many? Step 1: a = 1 + 1 ки\nStep 2: b ки\nStep 3: c ки",
        "label": "How many? Step 1: a = 1 + 1 +\nStep 2: b +\nStep 3: c -",
    },
    ("openrlhf", "hard"): {"input": "How many? a = 1 + 1 ки\nb ки\nc ки", "value": ["+", "+", "-"]},
    ("openrlhf", "soft"): {"input": "How many? a = 1 + 1 ки\nb ки\nc ки", "value": [1.0, 0.5, 0.0]},
    ("trl", "hard"): {"prompt": "How many?", "completions": ["a = 1 + 1", "b", "c"], "labels": [T, T, F]},
    ("trl", "soft"): {"prompt": "How many?", "completions": ["a = 1 + 1", "b", "c"], "labels": [1.0, 0.5, 0.0]},
    ("rlhflow", "hard"): {
        "conversations": [
            {"role": "user", "content": "How many? a = 1 + 1"},
            {"role": "assistant", "content": "+"},
            {"role": "user", "content": "b"},
            {"role": "assistant", "content": "+"},
            {"role": "user", "content": "c"},
            {"role": "assistant", "content": "-"},
        ]
    },
}


@pytest.mark.parametrize(("name", "view"), BY_HAND)
def test_rows_by_hand(name, view):
    assert written(name, view, ROW) == ([BY_HAND[name, view]], {})


TEXTS = {
    "plain": ("a\n", "b\n", "c"),
    "numbered": ("Step 1: a\n", "Step 2: b\n", "Step 3: see Step 2: c"),
    "signs": ("+ - +\n", "-\n", "1 + 1 = 2 -"),
    "lines in a step": ("a\n\n+\nb\n", "b\n\n\nStep 2: c\n\n", "c\n"),
    "another alphabet": ("две\n", "три\n", "пять"),
}


@pytest.mark.parametrize("name", READER)
@pytest.mark.parametrize("steps", TEXTS.values(), ids=TEXTS)
def test_what_is_written_reads_back(tmp_path, name, steps):
    made = row(*steps, problem="Read. +\n\nHow many - or few?", right=(2, 0, 1))
    rows, dropped = written(name, "hard", made)
    assert (len(rows), dropped) == (1, {})
    reading = Reading(known=KnownProblems([made[0]]))
    ((problem, chain, labels),) = read_public(write(tmp_path / "rows.jsonl", rows), READER[name], reading)
    assert problem == made[0]
    unnumbered = [step.removeprefix(f"Step {i}: ") for i, step in enumerate(chain.steps, start=1)]
    expected = [step.rstrip() + "\n" for step in steps]
    assert expected in (list(chain.steps), unnumbered)
    assert labels.hard == made[2].hard
    unaided = list(read_public(tmp_path / "rows.jsonl", READER[name], drops=Drops()))
    assert [labels.hard for _, _, labels in unaided] in ([], [made[2].hard]), "dropped perhaps, but never shifted"


@pytest.mark.parametrize("name", FORMATS_WITH_SHARES)
def test_shares_read_back(tmp_path, name):
    made = row("Step 1: a\n", "Step 2: b", right=(1, 0), wrong=(7, 8))
    rows, _ = written(name, "soft", made)
    ((_, _, labels),) = read_public(write(tmp_path / "rows.jsonl", rows), READER[name])
    assert (labels.soft, labels.given) == ((0.125, 0.0), (0.125, 0.0))


TAG, STEP_1 = "its text holds 'ки', which {} reads as a mark", "its text holds 'Step 1:', which {} reads as a mark"
TAGGED, ONE_TEXT = ("math-shepherd", "openrlhf"), ("math-shepherd", "openrlhf", "rlhflow")
TRAPS = {
    "tag in a step": (row("a ки b\n", "c"), TAG, TAGGED),
    "tag in a word": (row("две сумки\n", "c"), TAG, TAGGED),
    "tag in the problem": (row("a\n", "b", problem="Сумки?"), TAG, TAGGED),
    "step 1 in a step": (row("a\n", "as Step 1: says"), STEP_1, ONE_TEXT),
    "step 1 in the problem": (row("a\n", "b", problem="Step 1: read."), STEP_1, ONE_TEXT),
    "step 1 twice": (row("Step 1: a Step 1: b\n", "b"), STEP_1, ONE_TEXT),
    "step 1 out of two texts": (row("1: a\n", "b", problem="Step"), STEP_1, ONE_TEXT),
}


@pytest.mark.parametrize("name", READER)
@pytest.mark.parametrize(("made", "reason", "refusing"), TRAPS.values(), ids=TRAPS)
def test_text_that_would_be_read_as_a_mark_is_dropped(name, made, reason, refusing):
    rows, dropped = written(name, "hard", made)
    assert (len(rows), dropped) == ((0, {reason.format(name): 1}) if name in refusing else (1, {}))


def test_another_tag_lets_the_text_through():
    rows, dropped = written("openrlhf", "hard", TRAPS["tag in a step"][0], tag="<step>")
    assert dropped == {}
    assert rows == [{"input": "How many? a ки b <step>\nc <step>", "value": ["+", "+"]}]


def test_a_chain_with_a_step_without_a_label_is_left_out_whole():
    unknown = row("a\n", "b\n", "c", given=(T, N, T))
    assert written("trl", "hard", unknown, row(), ROW) == (
        [BY_HAND["trl", "hard"]],
        {"a step has no hard label": 1, "empty chain": 1},
    )
    assert written("trl", "soft", row("a", given=(T,))) == ([], {"a step has no soft label": 1}), "a mark is no share"


@needs_samples
@pytest.mark.parametrize("file", ["math_shepherd_100_rawstyle.jsonl", "openr_samples_math-shepherd_rawformat.jsonl"])
def test_real_math_shepherd_rows_come_out_byte_for_byte(file):
    path = SAMPLES / "math_shepherd_slice" / file
    rows, dropped = written("math-shepherd", "hard", *read_public(path, "math-shepherd"))
    assert dropped == {}
    assert rows == [{name: original[name] for name in ("input", "label")} for original in lines(path)]


@needs_samples
@pytest.mark.parametrize("name", READER)
def test_real_ratings_read_back_from_every_format(tmp_path, name):
    made = list(read_public(SAMPLES / "prm800k_phase1" / "phase1_test_chains.jsonl", "prm800k"))
    rows, dropped = written(name, "hard", *made)
    unrated = sum(None in labels.hard for _, _, labels in made)
    assert dropped == ({"a step has no hard label": unrated} if unrated else {})
    reading = Reading(known=KnownProblems(problem for problem, _, _ in made))
    back = list(read_public(write(tmp_path / "rows.jsonl", rows), READER[name], reading))
    rated = [labels for _, _, labels in made if None not in labels.hard]
    assert [labels.hard for _, _, labels in back] == [labels.hard for labels in rated]


@pytest.fixture
def export(prm, tmp_path):
    """Run `prm export` in this process on ROW and on a chain without labels; gives (exit code, what it said)."""
    problem, chain, labels = ROW
    write_records(tmp_path / "p.jsonl", [problem])
    write_records(tmp_path / "c.jsonl", [chain, Chain("d", "p", ("a",))])
    unlabeled = StepLabels("d", "p", (0,), (0,), (0,), ("none",), "no_answer")
    write_records(tmp_path / "l.jsonl", [labels, unlabeled])
    files = ["--problems", "p.jsonl", "--chains", "c.jsonl", "--labels", "l.jsonl", "--out", "out"]

    def run(*arguments):
        code, _, said = prm("export", *files, *arguments)
        return code, said

    return run


@pytest.mark.parametrize(("name", "view"), BY_HAND)
def test_export_writes_rows_and_counts_what_was_left_out(export, tmp_path, name, view):
    code, said = export("--format", name, "--labels-as", view)
    assert code == 0
    assert f"1 dropped (a step has no {view} label)" in said
    assert lines(tmp_path / "out") == [BY_HAND[name, view]]
    assert [drop["id"] for drop in lines(tmp_path / "out.dropped.jsonl")] == ["d"]


@pytest.mark.parametrize("view", ["hard", "soft"])
def test_a_datasets_directory_holds_the_rows_of_trl(export, tmp_path, view):
    assert export("--format", "datasets", "--labels-as", view)[0] == 0
    found = datasets.load_from_disk(tmp_path / "out")
    assert found.to_list() == [BY_HAND["trl", view]]
    assert found.features["labels"].feature.dtype == ("bool" if view == "hard" else "float64")


def test_a_directory_of_somebody_else_is_never_replaced(export, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    code, said = export("--format", "datasets", "--overwrite")
    assert (code, "was not made by" in said) == (1, True)
    assert (tmp_path / "out" / "thesis.tex").exists()


def test_a_dataset_that_is_there_is_pushed(export, monkeypatch):
    pushed = []
    monkeypatch.setattr(datasets.Dataset, "push_to_hub", lambda _, name, private: pushed.append((name, private)))
    assert export("--format", "datasets")[0] == 0
    assert export("--format", "datasets", "--hub", "me/steps")[0] == 0
    assert pushed == [("me/steps", True)]


def test_a_push_that_fails_is_one_line_and_a_hint(export, monkeypatch):
    def push(*_, **__):
        raise ConnectionError("no network\nand more")

    monkeypatch.setattr(datasets.Dataset, "push_to_hub", push)
    code, said = export("--format", "datasets", "--hub", "me/steps")
    assert code == 1
    assert "error: me/steps: cannot be pushed to the Hub: no network\n\nhint: " in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--format csv", "unknown format 'csv'"),
        ("--format trl --labels-as both", "unknown labels_as 'both'"),
        ("--format math-shepherd --labels-as soft", "cannot carry soft labels"),
        ("--format rlhflow --labels-as soft", "cannot carry soft labels"),
        ("--format trl --tag x", "tag='x' has no effect"),
        ("--format openrlhf --tag=", "tag='' is blank"),
        ("--format trl --hub me/steps", "hub='me/steps' has no effect"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_a_hint(export, tmp_path, arguments, message):
    code, said = export(*arguments.split())
    assert code == 1
    assert message in said.splitlines()[0]
    assert "hint: " in said
    assert not (tmp_path / "out").exists()


def test_nothing_to_write_is_an_error(export, tmp_path):
    write_records(tmp_path / "l.jsonl", [StepLabels("d", "p", (0,), (0,), (0,), ("none",), "no_answer")])
    code, said = export("--format", "trl")
    assert (code, "no chain can be written: " in said and "a step has no hard label" in said) == (1, True)
    assert not (tmp_path / "out").exists()
