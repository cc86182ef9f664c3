"""`prm.import_rows` and `prm.export_labels` from Python: any source of rows, and what the commands write."""

import json

import datasets
import pytest

import prm as toolkit
from prm import Chain, InputError, Problem, StepLabels, write_records
from prm.data.formats.importing import read_public

ROWS = [
    {"prompt": "How many?", "completions": ["a = 1 + 1", "b"], "labels": [True, False]},
    {"prompt": "How many?", "completions": ["c"], "labels": [True]},
]
BAD = {"prompt": "Which?", "completions": ["a"], "labels": []}
PROBLEM = Problem("p", "How many?")
CHAINS = [Chain("c", "p", ("a\n", "b")), Chain("d", "p", ("a",))]
LABELS = [
    StepLabels("c", "p", (2, 1), (0, 1), (0, 0), ("drawn", "drawn"), "no_answer"),
    StepLabels("d", "p", (0,), (0,), (0,), ("none",), "no_answer"),
]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rows_are_imported_from_any_source(tmp_path):
    path = write(tmp_path / "rows.jsonl", ROWS)
    found = {
        name: toolkit.import_rows(source)
        for name, source in {"file": path, "list": ROWS, "dataset": datasets.Dataset.from_list(ROWS)}.items()
    }
    expected = list(read_public(path, "trl"))
    for imported in found.values():
        assert list(imported.problems) == [expected[0][0]]
        assert list(imported.chains) == [chain for _, chain, _ in expected]
        assert list(imported.labels) == [labels for _, _, labels in expected]


def test_what_python_imports_the_command_finds_there(prm, tmp_path):
    write(tmp_path / "rows.jsonl", [*ROWS, BAD])
    imported = toolkit.import_rows("rows.jsonl", "in", format="trl")
    assert imported.chains.path == toolkit.import_rows("rows.jsonl", "in", format="trl").chains.path
    assert [(drop.id, drop.reason) for drop in imported.drops] == [("rows:3", "labels and steps differ in number")]
    assert imported.chains.counts["labeled chains"] == 2
    assert "already there" in prm("import", "rows.jsonl", "--format", "trl", "--out", "in")[2]
    assert prm("import", "rows.jsonl", "--out", "again")[0] == 0
    for name in ("problems", "chains", "labels"):
        assert (tmp_path / "in" / f"{name}.jsonl").read_bytes() == (tmp_path / "again" / f"{name}.jsonl").read_bytes()


def test_a_temporary_import_lives_as_long_as_its_result():
    imported = toolkit.import_rows([{"problem": "q", "solution": "a. B"}], format="text", splitter="sentence")
    assert imported.labels is None
    (chain,), path = list(imported.chains), imported.chains.path
    assert chain.steps == ("a. ", "B")
    del imported
    assert not path.parent.exists()


def test_known_problems_are_a_source_too():
    imported = toolkit.import_rows(ROWS, problems=[Problem("known", "How many?", "6")])
    assert [(problem.id, problem.answer) for problem in imported.problems] == [("known", "6")]
    assert {chain.problem_id for chain in imported.chains} == {"known"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "csv"}, "unknown format 'csv'"),
        ({"format": "datasets"}, "unknown format 'datasets'"),
        ({"tag": "x"}, "tag='x' has no effect on the format 'trl'"),
        ({"neutral_is_right": False}, "neutral_is_right=False has no effect"),
        ({"format": "openrlhf", "tag": " "}, "tag=' ' is blank"),
        ({"format": "math-aps"}, "no row can be used: lacks a field"),
    ],
)
def test_an_import_that_cannot_be_names_the_parameter(settings, message):
    with pytest.raises(InputError, match=message) as caught:
        toolkit.import_rows(ROWS, **settings)
    assert caught.value.hint
    assert "--" not in str(caught.value) + caught.value.hint


def test_labels_are_exported_from_any_source(tmp_path, prm):
    for name, records in {"p": [PROBLEM], "c": CHAINS, "l": LABELS}.items():
        write_records(tmp_path / f"{name}.jsonl", records)
    files = ("--problems", "p.jsonl", "--chains", "c.jsonl", "--labels", "l.jsonl")
    assert prm("export", *files, "--format", "trl", "--labels-as", "soft", "--out", "rows.jsonl")[0] == 0
    expected = [{"prompt": "How many?", "completions": ["a", "b"], "labels": [1.0, 0.5]}]
    assert lines(tmp_path / "rows.jsonl") == expected
    sources = {
        "files": ("p.jsonl", "c.jsonl", tmp_path / "l.jsonl"),
        "records": ([PROBLEM], CHAINS, LABELS),
        "datasets": tuple(
            datasets.load_dataset("json", data_files=f"{name}.jsonl", cache_dir=str(tmp_path / "cache"), split="train")
            for name in "pcl"
        ),
    }
    for source in sources.values():
        output = toolkit.export_labels(*source, format="trl", labels_as="soft")
        assert lines(output.path) == expected
        assert output.counts == {"chains": 1, "dropped (a step has no soft label)": 1}
        assert [drop.id for drop in output.drops] == ["d"]
    again = toolkit.export_labels(*sources["files"], "rows.jsonl", format="trl", labels_as="soft")
    assert again.counts["chains"] == 1
    with pytest.raises(toolkit.OutputError, match="made with other settings"):
        toolkit.export_labels(*sources["files"], "rows.jsonl", format="trl")


def test_an_export_as_datasets_is_a_directory():
    output = toolkit.export_labels([PROBLEM], CHAINS, LABELS, format="datasets")
    assert datasets.load_from_disk(output.path)["labels"] == [[True, True]]


def test_imported_labels_go_out_as_they_came():
    imported = toolkit.import_rows(ROWS)
    output = toolkit.export_labels(imported.problems, imported.chains, imported.labels, format="trl")
    assert lines(output.path) == ROWS
