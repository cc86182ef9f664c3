"""The sources that a job reads and the records that it returns, shown on a job that needs no model."""

import copy
import gc
import json
import os
import sys
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest

import prm as toolkit
from prm import Chain, Choice, InputError, Problem, StepScores, write_records
from prm.data.jobs import Workspace
from prm.data.writing import hold
from prm.errors import OutputError

PROBLEMS = [Problem("p", "what is 2 + 2?", "4"), Problem("q", "what is 3 + 3?", "6")]
CHAINS = [
    Chain("p/0", "p", ("It is four.\n", "The answer is 4")),
    Chain("p/1", "p", ("The answer is 5",)),
    Chain("q/0", "q", ("The answer is 6",)),
    Chain("q/1", "q", ("The answer is 7",)),
]
TINY = 1e-20 / 3
"""Lost if numbers are rounded to 15 decimals."""
SCORES = [
    StepScores("p/0", "p", (0.9, 0.8), "prm"),
    StepScores("p/1", "p", (TINY,), "prm"),
    StepScores("q/0", "q", (1 / 3,), "prm"),
]
DROPPED = ("q/1", "it has no score")


def table(records):
    return pd.DataFrame(rows(records))


def rows(records):
    schema = {Problem: "problem/1", Chain: "chain/1", StepScores: "step-scores/1"}
    return [{"schema": schema[type(r)], **{name: getattr(r, name) for name in r.__slots__}} for r in records]


def without_meta(problems):
    """Rows of problems, as in a table made by hand."""
    return [{"id": p.id, "text": p.text, "answer": p.answer} for p in problems]


SOURCES = {
    "records": (PROBLEMS, CHAINS, SCORES),
    "rows": (rows(PROBLEMS), rows(CHAINS), rows(SCORES)),
    "generators": tuple((r for r in records) for records in (PROBLEMS, CHAINS, SCORES)),
    "datasets": tuple(
        datasets.Dataset.from_list(r) for r in (without_meta(PROBLEMS), rows(CHAINS), rows(SCORES))
    ),
    "pandas": (pd.DataFrame(without_meta(PROBLEMS)), table(CHAINS), table(SCORES)),
}  # fmt: skip


@pytest.fixture
def files(tmp_path):
    paths = []
    for name, records in {"p": PROBLEMS, "c": CHAINS, "s": SCORES}.items():
        paths.append(tmp_path / f"{name}.jsonl")
        write_records(paths[-1], records)
    return paths


@pytest.fixture
def by_command(prm, files):
    """The choices that the command writes."""
    code, _, said = prm(
        "rerank", "--problems", "p.jsonl", "--chains", "c.jsonl", "--scores", "s.jsonl", "--out", "best"
    )
    assert code == 0, said
    return Path("best").read_text()


@pytest.mark.parametrize("sources", SOURCES.values(), ids=SOURCES)
def test_any_source_gives_what_the_command_writes(by_command, sources):
    made = toolkit.rerank_chains(*sources)
    assert made.path.read_text() == by_command
    assert [choice.answer for choice in made] == ["4", "6"]
    assert next(iter(made)).step_scores == ((0.9, 0.8), (TINY,))


def test_a_path_may_be_a_text_and_is_read_in_place(by_command, files):
    problems, chains, scores = files
    made = toolkit.rerank_chains(str(problems), chains, str(scores), "best")
    assert made.path == Path("best")
    assert made.path.read_text() == by_command, "made by the command, reused from Python"


def test_records_are_iterated_counted_and_listed_with_their_drops(files):
    made = toolkit.rerank_chains(*files)
    assert len(made) == len(list(made)) == 2
    assert all(isinstance(choice, Choice) for choice in made)
    assert [(drop.id, drop.reason) for drop in made.drops] == [DROPPED]
    assert made.counts == {"problems": 2, f"dropped ({DROPPED[1]})": 1}
    assert toolkit.rerank_chains(PROBLEMS, CHAINS[:3], SCORES).drops == []


def test_records_as_tables_have_a_row_each_and_are_sources_again():
    """Also a part of a table: the ids stay, and so does the text of each step."""
    place, kept = Workspace(None, "x"), [CHAINS[0], CHAINS[2]]
    made = toolkit.rerank_chains(PROBLEMS, CHAINS, SCORES)
    assert list(made.to_pandas()["answer"]) == ["4", "6"]
    assert list(made.to_dataset()["answer"]) == ["4", "6"]
    path = place.files(chains=CHAINS)["chains"]
    chains = toolkit.Records(path, Chain, {})
    frame, dataset = chains.to_pandas(), chains.to_dataset()
    assert list(frame.columns) == dataset.column_names == ["schema", "id", "problem_id", "steps", "finish", "origin"]
    for part in (frame.iloc[[0, 2]], dataset.select([0, 2])):
        again = place.files(chains=part)["chains"]
        assert list(toolkit.read_chains(again)) == kept


def test_a_table_of_pandas_may_hold_gaps_arrays_and_dates():
    frame = pd.DataFrame(
        {
            "problem": ["what is 2 + 2?", "how many?"],
            "answer": ["4", np.nan],
            "scores": [np.array([0.5, 0.25]), [1]],
            "seen": pd.to_datetime(["2026-11-28", None]),
        }
    )
    place = Workspace(None, "x")
    path = place.files(problems=frame)["problems"]
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["answer"], first["scores"], first["seen"][:10]) == ("4", [0.5, 0.25], "2026-11-28")
    assert (second["answer"], second["scores"], second["seen"]) == (None, [1], None)
    assert [(p.id, p.answer) for p in toolkit.read_problems(path)] == [("problems-1", "4"), ("problems-2", None)]


def test_pandas_missing_is_one_error(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(toolkit.PrmError, match="pandas is not installed") as caught:
        toolkit.rerank_chains(*files).to_pandas()
    assert caught.value.hint == "pip install pandas"


WITHIN_ITSELF: dict = {"problem_id": "p"}
WITHIN_ITSELF["meta"] = [WITHIN_ITSELF]

REFUSED = {
    "a row that is neither": ([CHAINS[0], ("p/1", "p")], "chains: row 2 is a tuple"),
    "texts": (["The answer is 4"], "chains: row 1 is a str"),
    "a mapping of rows": ({"c": CHAINS[0]}, "chains: a dict is not a source of rows"),
    "a number": (5, "chains: a int is not a source of rows"),
    "a column": (pd.Series(["The answer is 4"]), "chains: row 1 is a str"),
    "a set among the values": ([{"steps": {"a"}}], "chains: row 1 cannot be written as JSON: .*set"),
    "a row that contains itself": ([CHAINS[0], WITHIN_ITSELF], "chains: row 2 cannot be written as JSON: .*itself"),
}


@pytest.mark.parametrize(("source", "message"), REFUSED.values(), ids=REFUSED)
def test_an_invalid_source_is_refused_by_name(source, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        toolkit.rerank_chains(PROBLEMS, source, SCORES, tmp_path / "best")
    assert caught.value.hint
    assert not (tmp_path / "best").exists()


def test_a_temporary_output_lives_as_long_as_its_records(files):
    made = toolkit.rerank_chains(*files)
    path = made.path
    choices = iter(made)
    del made
    assert len(list(choices)) == 2
    del choices
    assert not path.parent.exists()
    assert [choice.answer for choice in toolkit.rerank_chains(*files)] == ["4", "6"]


def test_running_again_reuses_and_other_rows_are_refused(files, capsys, tmp_path):
    out = tmp_path / "best"
    first = toolkit.rerank_chains(PROBLEMS, CHAINS, SCORES, out)
    written = out.stat().st_mtime_ns
    capsys.readouterr()
    again = toolkit.rerank_chains(PROBLEMS, CHAINS, SCORES, out)
    assert "already there, reused" in capsys.readouterr().err
    assert (out.stat().st_mtime_ns, list(again), again.counts) == (written, list(first), first.counts)
    with pytest.raises(toolkit.OutputError, match="made with other inputs"):
        toolkit.rerank_chains(PROBLEMS, CHAINS[:3], SCORES, out)
    with pytest.raises(toolkit.OutputError, match="made with other settings"):
        toolkit.rerank_chains(PROBLEMS, CHAINS, SCORES, out, aggregate="mean")
    changed = toolkit.rerank_chains(PROBLEMS, CHAINS, SCORES, out, aggregate="mean", overwrite=True)
    assert next(iter(changed)).scores[0] == pytest.approx(0.85)


# Inputs nobody thought of.


@pytest.mark.parametrize("out", [".", "", "/", "a\0b", 5])
def test_an_output_without_a_name_is_refused(out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if out in (".", ""):
        assert Workspace(out, "x").out.name == tmp_path.name
    else:
        with pytest.raises(InputError, match="out="):
            Workspace(out, "x")


def test_a_source_that_is_needed_and_missing_is_refused_by_name():
    with pytest.raises(InputError, match="chains is missing"):
        toolkit.rerank_chains(PROBLEMS, None, SCORES)


def test_a_lone_surrogate_is_refused_by_row(tmp_path):
    for row in ({"id": "p", "text": "x\ud800"}, Problem("p", "x\ud800")):
        with pytest.raises(InputError, match="problems: row 2 cannot be written as JSON"):
            Workspace(tmp_path / "o", "x").files(problems=[PROBLEMS[0], row])


def test_what_is_not_a_number_is_missing_and_numpy_is_plain():
    given = [{"id": 1.0, "text": "a", "answer": float("nan"), "meta": {"x": [float("nan"), np.int64(3)]}}]
    place = Workspace(None, "x")
    (line,) = place.files(problems=given)["problems"].read_text().splitlines()
    assert json.loads(line) == {"id": 1.0, "text": "a", "answer": None, "meta": {"x": [None, 3]}}


def test_ids_of_a_table_with_gaps_are_whole_numbers(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": 7.0, "question": "?", "answer": NaN}\n')
    (problem,) = toolkit.read_problems(path)
    assert (problem.id, problem.answer) == ("7", None)


def test_a_forked_process_and_a_copy_leave_the_files_of_a_result(tmp_path):
    made = toolkit.rerank_chains(PROBLEMS, CHAINS, SCORES)
    if (child := os.fork()) == 0:
        del made
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    assert len(made) == 2
    copied = copy.deepcopy(made)
    del made
    gc.collect()
    assert len(copied) == 2


def test_an_empty_result_has_its_columns():
    made = toolkit.rerank_chains(PROBLEMS, [], SCORES)
    assert len(made) == 0
    assert "problem_id" in made.to_pandas().columns
    assert "problem_id" in made.to_dataset().column_names


def test_jobs_on_one_output_refuse_each_other_and_leave_no_lock(tmp_path):
    with hold(tmp_path / "o.jsonl"), pytest.raises(OutputError, match="another process"):
        toolkit.rerank_chains(PROBLEMS, CHAINS, SCORES, tmp_path / "o.jsonl")
    toolkit.rerank_chains(PROBLEMS, CHAINS, SCORES, tmp_path / "o.jsonl")
    assert not list(tmp_path.glob("*.lock"))
