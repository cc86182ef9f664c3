"""Files: what is written is read back, by us and by `datasets`; a fault is named by file, line and field."""

import contextlib
import errno
import json
import math

import pytest

from prm.data.files import SCHEMAS, read_chains, read_problems, read_records, write_records
from prm.data.formats import read_public
from prm.data.formats.solutions import Reading
from prm.data.records import Chain, Choice, Problem, StepLabels, StepScores
from prm.errors import InputError, OutputError

RECORDS = {
    "problem": [Problem("p1", "2 + 2?\u2028é", "4", {"values": [1, 2]}), Problem("p2", "?", None, {"values": []})],
    "chain": [Chain("c1", "p1", ("a\n", "b"), "stop"), Chain("c2", "p1", ())],
    "labels": [StepLabels("c1", "p1", (1, 0), (0, 2), (3, 0), ("drawn", "answer"), "incorrect")],
    "scores": [StepScores("c1", "p1", (0.25, 1e-300), "prm"), StepScores("c2", "p1", (-3.5,), "prm")],
    "choice": [Choice("p1", "so 4", 0, "4", (0.5, 0.25), ((0.5,), (0.25, 0.5)))],
    "choice without answers": [Choice("p1", "hm", 0, None, (-math.inf, 0.5), ((), (0.5,)))],
}


def write(path, *rows):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("records", RECORDS.values(), ids=RECORDS)
def test_round_trip(tmp_path, records):
    path = tmp_path / "new" / "records.jsonl"
    assert write_records(path, iter(records)) == len(records)
    back = list(read_records(path, type(records[0])))
    plain = [r if not isinstance(r, Problem) else (r.id, r.text, r.answer) for r in records]
    assert [r if not isinstance(r, Problem) else (r.id, r.text, r.answer) for r in back] == plain
    lines = path.read_text(encoding="utf-8").split("\n")
    assert {json.loads(line)["schema"] for line in lines if line} == {SCHEMAS[type(records[0])]}


def test_meta_comes_back_untouched(tmp_path):
    meta = {"values": [1, 2], "nested": {"a": [None, True]}}
    path = tmp_path / "p.jsonl"
    write_records(path, [Problem("p", "x", "1", meta)])
    (problem,) = read_problems(path)
    assert json.loads(json.dumps(problem.meta)) == meta


@pytest.mark.parametrize("records", RECORDS.values(), ids=RECORDS)
def test_datasets_reads_them_as_they_are(tmp_path, records):
    from datasets import load_dataset

    path = tmp_path / "records.jsonl"
    write_records(path, records)
    table = load_dataset("json", data_files=str(path), cache_dir=str(tmp_path / "cache"), split="train")
    assert len(table) == len(records)
    assert "schema" in table.column_names


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "p.jsonl"
    write_records(path, [Problem("old", "x")])
    before = path.read_bytes()

    def broken():
        yield Problem("new", "x")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_records(path, broken())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_plain_error(tmp_path, monkeypatch):
    path = tmp_path / "p.jsonl"
    write_records(path, [Problem("old", "x")])

    def full(record):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("prm.data.files.to_json", full)
    with pytest.raises(OutputError, match=r"p\.jsonl.*No space left"):
        write_records(path, [Problem("new", "x")])
    monkeypatch.undo()
    assert [p.id for p in read_problems(path)] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_records(tmp_path, [Problem("p", "x")])


def test_text_that_is_no_utf8_is_one_plain_error(tmp_path):
    """JSON may spell half a surrogate pair, which no file can hold."""
    path = write(tmp_path / "p.jsonl", r'{"id": "p", "text": "\ud800"}')
    with pytest.raises((InputError, OutputError)):
        write_records(tmp_path / "q.jsonl", read_problems(path))


OWN = {"schema": "problem/1", "id": "p", "text": "x"}
CHAIN = {"schema": "chain/1", "id": "c", "problem_id": "p", "steps": ["a"]}
LABELS = {"schema": "step-labels/1", "chain_id": "c", "problem_id": "p", "right": [1], "wrong": [0], "undecided": [0]}
SCORES = {"schema": "step-scores/1", "chain_id": "c", "problem_id": "p", "scores": [0.5], "kind": "prm"}
FAULTS = {
    "broken json": (Problem, "{'id': 1}", "JSON"),
    "half a line": (Problem, '{"id": "p", "te', "JSON"),
    "not an object": (Problem, "[1, 2]", "object"),
    "deeply nested": (Problem, "[" * 100_000, "(nested|JSON)"),
    "missing field": (Problem, {"schema": "problem/1", "id": "p"}, "'text'"),
    "missing labels": (StepLabels, LABELS, "'known'.*'outcome'"),
    "wrong schema": (Chain, OWN, "'schema'.*problem/1.*chain/1"),
    "bad value": (Problem, OWN | {"text": " "}, "text"),
    "wrong type of id": (Problem, OWN | {"id": 5}, "id"),
    "steps a string": (Chain, CHAIN | {"steps": "abc"}, "steps"),
    "steps a number": (Chain, CHAIN | {"steps": 5}, "steps"),
    "scores of text": (StepScores, SCORES | {"scores": ["x"]}, "scores"),
    "deviations of another number": (StepScores, SCORES | {"deviations": [0.1, 0.2]}, "deviations must be as many"),
    "scores a number": (StepScores, SCORES | {"scores": 0.5}, "scores"),
}


@pytest.mark.parametrize(("kind", "row", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_names_file_line_and_field(tmp_path, kind, row, message):
    path = write(tmp_path / "rows.jsonl", "", row)  # the fault is on line 2
    with pytest.raises(InputError, match=rf"rows\.jsonl:2: .*{message}") as caught:
        list(read_records(path, kind))
    assert caught.value.hint
    assert "\n" not in str(caught.value)


CHOICE = {"schema": "choice/1", "problem_id": "p", "best": "x", "index": 0, "answer": None, "scores": [0.5, None]}
CHOICE |= {"step_scores": [[0.5], []]}
DRAWN = LABELS | {"known": ["drawn"], "outcome": "correct"}
MESSAGES = {
    "scores of text": (
        StepScores,
        SCORES | {"scores": [0.5, "x"]},
        "field 'scores[1]' is 'x': expected float, got str",
    ),
    "scores of truth": (StepScores, SCORES | {"scores": [True]}, "field 'scores[0]' is True: expected float, got bool"),
    "no scores": (StepScores, SCORES | {"scores": None}, "field 'scores' is None: expected array, got null"),
    "a score beyond floats": (StepScores, SCORES | {"scores": [10**400]}, "number out of range"),
    "NaN": (StepScores, SCORES | {"scores": [math.nan]}, "scores must be finite numbers"),
    "kind": (StepScores, SCORES | {"kind": "PRM"}, "field 'kind' is 'PRM': expected one of 'prm', 'orm'"),
    "known": (
        StepLabels,
        DRAWN | {"known": ["x"]},
        "field 'known[0]' is 'x': expected one of 'drawn', 'later-success'",
    ),
    "counts of truth": (StepLabels, DRAWN | {"right": [True]}, "field 'right[0]' is True: expected int, got bool"),
    "counts with a point": (StepLabels, DRAWN | {"right": [1.0]}, "field 'right[0]' is 1.0: expected int, got float"),
    "lengths": (StepLabels, DRAWN | {"wrong": []}, "must have one entry per step"),
    "meta": (Problem, OWN | {"meta": []}, "field 'meta' is []: expected object, got array"),
    "choice": (Choice, CHOICE | {"step_scores": [[0.5], ["x"]]}, "field 'step_scores[1][0]' is 'x': expected float"),
}


@pytest.mark.parametrize(("kind", "row", "message"), MESSAGES.values(), ids=MESSAGES)
def test_a_fault_is_told_with_its_value(tmp_path, kind, row, message):
    with pytest.raises(InputError) as caught:
        list(read_records(write(tmp_path / "rows.jsonl", row), kind))
    assert str(caught.value).startswith(f"{tmp_path / 'rows.jsonl'}:1: ")
    assert message in str(caught.value)
    assert len(str(caught.value)) < len(str(tmp_path)) + 220


def test_null_and_unknown_fields_do_no_harm(tmp_path):
    """A table with a column that only some rows have, as pandas or `datasets` write it."""
    path = write(tmp_path / "rows.jsonl", OWN | {"meta": None, "answer": None, "source": "x"})
    assert list(read_records(path, Problem)) == [Problem("p", "x")]
    (scores,) = read_records(write(tmp_path / "scores.jsonl", SCORES | {"scores": [1, 0.5]}), StepScores)
    assert [type(score) for score in scores.scores] == [float, float]
    (choice,) = read_records(write(tmp_path / "choices.jsonl", CHOICE), Choice)
    assert choice.scores == (0.5, None)


@pytest.mark.parametrize("row", [CHAIN | {"steps": 5}, SCORES | {"scores": 0.5}], ids=["steps", "scores"])
def test_a_wrong_type_is_not_called_a_missing_field(tmp_path, row):
    kind = Chain if "steps" in row else StepScores
    with pytest.raises(InputError) as caught:
        list(read_records(write(tmp_path / "rows.jsonl", row), kind))
    assert "lacks" not in str(caught.value)


def test_an_id_that_comes_twice_is_refused(tmp_path):
    path = write(tmp_path / "p.jsonl", OWN, OWN)
    for read in (lambda: read_records(path, Problem), lambda: read_problems(path)):
        with pytest.raises(InputError, match=r"p\.jsonl:2: .*'p' comes twice"):
            list(read())


def test_a_chain_id_that_comes_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"c\.jsonl:2: .*'c' comes twice"):
        list(read_chains(write(tmp_path / "c.jsonl", CHAIN, CHAIN)))


def test_several_rows_of_one_problem_do_not_share_a_chain_id(tmp_path):
    rows = [{"problem_id": "p", "completion": text} for text in ("one", "two")]
    path = write(tmp_path / "c.jsonl", *rows)
    with contextlib.suppress(InputError):  # refused is good too; one lost in silence is not
        ids = [c.id for c in read_chains(path)]
        assert len(set(ids)) == len(ids) == 2


def test_text_that_is_not_utf8_names_the_file(tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"id": "p", "text": "é"}\n'.encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.jsonl:1: .*UTF-8"):
        list(read_problems(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.jsonl: there is no such file"):
        list(read_problems(tmp_path / "none.jsonl"))


PROBLEM_SHAPES = {
    "GSM8K": ({"question": "q", "answer": "so 7\n#### 7"}, Problem("rows-1", "q", "so 7\n#### 7")),
    "MATH": ({"problem": "q", "solution": "\\boxed{7}"}, Problem("rows-1", "q", "\\boxed{7}")),
    "MATH, answer first": (
        {"problem": "q", "solution": "long", "answer": "7", "unique_id": "t/1.json"},
        Problem("t/1.json", "q", "7"),
    ),
    "prompt": ({"prompt": "q", "idx": 0, "answer": 0}, Problem("0", "q", "0")),
    "prompt alone": ({"prompt": "q"}, Problem("rows-1", "q", None)),
    "several gold answers": ({"problem": "q", "answer": ["7", 8.0]}, Problem("rows-1", "q", "7", {}, ("8",))),
    "an object": (
        {"question": "q", "answer": {"value": 7, "aliases": ["seven"]}},
        Problem("rows-1", "q", "7", {}, ("seven",)),
    ),
    "a gap in a table": ({"question": "q", "answer": float("nan"), "final_answer": "7"}, Problem("rows-1", "q", "7")),
    "no answer": ({"question": "q", "answer": []}, Problem("rows-1", "q")),
    "ASDiv": (
        {"body": "Ann has 7 jars.", "question": "How many?", "answer": "7 (jars)", "idx": 3},
        Problem("3", "Ann has 7 jars. How many?", "7 (jars)"),
    ),
    "SVAMP": (
        {"Body": "Ann has 7.", "Question": "How many?", "Answer": 7.0},
        Problem("rows-1", "Ann has 7. How many?", "7"),
    ),
    "AQuA": (
        {"question": "q", "options": ["A)5", "B)7"], "rationale": "r", "correct": "B"},
        Problem("rows-1", "q\nA)5\nB)7", "B"),
    ),
    "an integer that no float holds": ({"question": "q", "answer": 10**400}, Problem("rows-1", "q", str(10**400))),
    "MAWPS": ({"input": "q", "target": 7.0}, Problem("rows-1", "q", "7")),
    "an answer left empty": (
        {"question": "q", "answer": "", "solution": "\\boxed{5}"},
        Problem("rows-1", "q", "\\boxed{5}"),
    ),
    "options by letter": (
        {"question": "q", "options": {"A": "3", "B": "4"}, "answer": "A"},
        Problem("rows-1", "q\nA) 3\nB) 4", "A"),
    ),
    "options that begin with their letters": (
        {"question": "q", "options": ["Apple", "Banana", "Cherry"], "answer": "C"},
        Problem("rows-1", "q\nA) Apple\nB) Banana\nC) Cherry", "C"),
    ),
    "own, with options": (
        {"id": "p", "text": "q", "options": [3, 4], "answer": "A", "other_answers": ["a"]},
        Problem("p", "q\nA) 3\nB) 4", "A", {}, ("a",)),
    ),
    "own, several gold answers": ({"id": "p", "text": "q", "answer": ["7", "8"]}, Problem("p", "q", "7", {}, ("8",))),
    "own, without schema": ({"id": "p", "text": "q", "meta": {"a": 1}}, Problem("p", "q", None, {"a": 1})),
}


@pytest.mark.parametrize(("row", "problem"), PROBLEM_SHAPES.values(), ids=PROBLEM_SHAPES)
def test_public_problems(tmp_path, row, problem):
    assert list(read_problems(write(tmp_path / "rows.jsonl", row))) == [problem]


@pytest.mark.parametrize(
    "row",
    [
        {"foo": 1},
        {"question": " "},
        {"prompt": [{"role": "user"}]},
        {"question": "q", "answer": True},
        {"question": "q", "answer": {"unit": "cm"}},
    ],
)
def test_a_row_that_is_no_problem_is_refused(tmp_path, row):
    with pytest.raises(InputError, match=r"rows\.jsonl:1: "):
        list(read_problems(write(tmp_path / "rows.jsonl", row)))


CHAIN_SHAPES = {
    "completion": ({"problem_id": "p", "completion": "a\nb"}, [Chain("p/0", "p", ("a\n", "b"))]),
    "text, no id": ({"text": "a", "finish": "length"}, [Chain("rows-1/0", "rows-1", ("a",), "length")]),
    "solutions": ({"id": 3, "solutions": ["a", "b"]}, [Chain("3/0", "3", ("a",)), Chain("3/1", "3", ("b",))]),
    "completions": ({"id": "p", "completions": ["a"], "finish": "eos"}, [Chain("p/0", "p", ("a",))]),
    "candidates": ({"id": "p", "candidates": [{"solution": "a\nb"}]}, [Chain("p/0", "p", ("a\n", "b"))]),
    "steps": ({"problem_id": "p", "steps": ["a", "b\n"]}, [Chain("p/0", "p", ("a\n", "b\n"))]),
    "none": ({"problem_id": "p", "solutions": []}, []),
}


@pytest.mark.parametrize(("row", "chains"), CHAIN_SHAPES.values(), ids=CHAIN_SHAPES)
def test_public_chains(tmp_path, row, chains):
    assert list(read_chains(write(tmp_path / "rows.jsonl", row))) == chains


def test_public_chains_are_cut_by_the_splitter(tmp_path):
    path = write(tmp_path / "rows.jsonl", {"id": "p", "solution": "a\nb\n\nc"})
    assert next(read_chains(path, "blank-line")).steps == ("a\nb\n\n", "c")


BAD_CHAINS = {
    "nothing": {"problem_id": "p"},
    "steps of numbers": {"problem_id": "p", "steps": [1]},
    "steps null": {"problem_id": "p", "steps": None},
    "empty step": {"problem_id": "p", "steps": ["a", ""]},
    "candidate without solution": {"problem_id": "p", "candidates": [{"text": "a"}]},
    "completions a string": {"problem_id": "p", "completions": "ab"},
    "completions a number": {"problem_id": "p", "completions": 5},
    "solution a number": {"problem_id": "p", "solution": 5},
    "empty id": {"problem_id": "", "solution": "a"},
}


@pytest.mark.parametrize("row", BAD_CHAINS.values(), ids=BAD_CHAINS)
def test_a_row_that_is_no_chain_is_refused(tmp_path, row):
    with pytest.raises(InputError, match=r"rows\.jsonl:1: "):
        list(read_chains(write(tmp_path / "rows.jsonl", row)))


RATED = {"id": "r", "problem": "q", "steps": ["a", "b\n", "c"], "step_ratings": [1, 0, None]}


def test_step_ratings_become_labels(tmp_path):
    path = write(tmp_path / "rated.jsonl", RATED)
    ((problem, chain, label),) = read_public(path, "prm800k")
    assert (problem.text, chain.steps, chain.problem_id) == ("q", ("a\n", "b\n", "c\n"), problem.id)
    assert label.hard == (True, True, None)
    assert label.known == ("human", "human", "none")
    ((_, _, strict),) = read_public(path, "prm800k", Reading(neutral_is_right=False))
    assert strict.hard == (True, False, None)
    assert strict.outcome == "incorrect"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step_ratings": [1]}, "step_ratings"),
        ({"step_ratings": ["good", 1, 1]}, "step_ratings"),
        ({"step_ratings": None}, "step_ratings"),
        ({"steps": [1, 2, 3]}, "steps"),
        ({"steps": "abc"}, "steps"),
        ({"steps": None}, "steps"),
    ],
)
def test_bad_step_ratings_are_refused(tmp_path, change, message):
    with pytest.raises(InputError, match=rf"rated\.jsonl:1: .*{message}"):
        list(read_public(write(tmp_path / "rated.jsonl", RATED | change), "prm800k"))


def test_missing_ratings_are_named(tmp_path):
    row = {k: v for k, v in RATED.items() if k != "step_ratings"}
    with pytest.raises(InputError, match=r"rated\.jsonl:1: .*'step_ratings'"):
        list(read_public(write(tmp_path / "rated.jsonl", row), "prm800k"))
