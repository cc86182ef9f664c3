"""`prm verify`: what it counts, what it compares, and what its exit code says."""

import json

import pytest

from prm.data.reading import read_each_row
from prm.verifiers import Outcome, Verdict, check

ROWS = [
    {"id": "a", "completion": "3 + 4 = 7\n#### 7", "answer": "7", "correct": True},
    {"id": "b", "completion": "The answer is 5", "answer": "4", "correct": True},
    {"id": "c", "completion": "I do not know", "answer": "4", "correct": False},
    {"id": "d", "completion": "The answer is 6", "answer": "6", "correct": False},
    {"id": "e", "completion": "The answer is 6", "answer": 6, "correct": None},
]


@pytest.fixture
def write(tmp_path):
    def write(*rows, name="r.jsonl"):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return tmp_path

    return write


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def cells(out, name):
    """The cells after `name`, in the last row that begins with it."""
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines()]
    return [row[1:] for row in rows if row[0] == name][-1]


def test_a_time_limit_above_a_day_is_wrong_usage(prm, write):
    write(*ROWS)
    code, _, err = prm("verify", "r.jsonl", "--timeout", "1e9")
    assert code == 2
    assert "--timeout" in err


def test_accuracy_and_its_interval(prm, write):
    write(*ROWS)
    code, out, err = prm("verify", "r.jsonl")
    assert code == 0
    # Three of five, and of the four that are decided. Jeffreys intervals, from the quantiles of Beta(3.5, 2.5) and
    # Beta(3.5, 1.5) in scipy.stats.
    assert cells(out, "correct of all checked") == ["3 of 5", "60.0", "20.9-90.6"]
    assert cells(out, "correct of the decided") == ["3 of 4", "75.0", "28.4-97.2"]
    assert cells(out, "no_answer") == ["no answer in the prediction", "1"]
    assert "prediction = 'completion', gold = 'answer', stored verdict = 'correct'" in err
    assert "5/5" in err


def test_stored_verdicts_are_compared_only_where_there_is_evidence(prm, write):
    write(*ROWS)
    code, out, err = prm("verify", "r.jsonl")
    assert cells(out, "correct") == ["1", "1", "0", "0", "0"]
    assert [line for line in out.splitlines() if line.startswith("r.jsonl:")] == [
        "r.jsonl:2: stored correct, found incorrect (different numbers): '5' for '4'",
        "r.jsonl:4: stored incorrect, found correct (same text): '6' for '6'",
    ]
    assert "not as stored: 2 of 4" in err
    assert code == 0


def test_strict_exits_with_1_where_verdicts_disagree(prm, write):
    write(*ROWS)
    assert prm("verify", "r.jsonl", "--strict")[0] == 1
    write(ROWS[0], ROWS[2])  # no answer is no evidence against a stored "incorrect"
    assert prm("verify", "r.jsonl", "--strict")[0] == 0


def test_all_disagreements_go_into_a_file(prm, write):
    path = write(*ROWS)
    _, out, _ = prm("verify", "r.jsonl", "--show", 1, "--disagreements", "d.jsonl")
    assert "r.jsonl:2:" in out
    assert "r.jsonl:4:" not in out
    assert [(row["line"], row["id"], row["label"]) for row in read(path / "d.jsonl")] == [
        (2, "b", True),
        (4, "d", False),
    ]


@pytest.mark.parametrize(("least", "code"), [(0.6, 0), (0.61, 1)])
def test_fail_under_is_of_all_checked_rows(prm, write, least, code):
    write(*ROWS)
    found, _, err = prm("verify", "r.jsonl", "--fail-under", least)
    assert found == code
    assert ("below --fail-under" in err) == bool(code)


def test_verdicts_are_written_once_with_a_manifest(prm, write):
    path = write(*ROWS, {"id": "f", "answer": "6"})
    code, out, err = prm("verify", "r.jsonl", "--out", "v.jsonl")
    assert code == 0
    rows = read(path / "v.jsonl")
    assert rows[0] == {
        "schema": "verdict/1",
        "line": 1,
        "id": "a",
        "outcome": "correct",
        "reason": "same text",
        "answer": "7",
        "gold": "7",
        "label": True,
    }
    assert [row["outcome"] for row in rows] == ["correct", "incorrect", "no_answer", "correct", "correct"]
    (dropped,) = read(path / "v.jsonl.dropped.jsonl")
    assert (dropped["id"], dropped["reason"]) == ("r.jsonl:6", "field 'completion' holds no text")
    manifest = json.loads((path / "v.jsonl.manifest.json").read_text())
    assert manifest["settings"]["prediction"] == "completion"
    assert manifest["counts"] == {"verdicts": 5, f"dropped ({dropped['reason']})": 1}
    again = prm("verify", "r.jsonl", "--out", "v.jsonl", "--fail-under", 0.9)
    assert (again[0], again[1]) == (1, out)
    assert "already there" in again[2]
    code, _, err = prm("verify", "r.jsonl", "--out", "v.jsonl", "--label", "none")
    assert code == 1
    assert "--overwrite" in err


def test_rows_that_cannot_be_used_are_counted_and_named(prm, write):
    write(*ROWS, {"completion": None, "answer": "6"}, {"completion": "6", "answer": [True]})
    code, out, err = prm("verify", "r.jsonl")
    assert code == 0
    assert cells(out, "correct of all checked")[0] == "3 of 5"
    assert "rows that cannot be used, field 'completion' holds no text: 1" in err
    assert "r.jsonl:6: field 'completion'" in err
    assert "r.jsonl:7: field 'answer'" in err


@pytest.mark.parametrize(
    ("row", "options", "found"),
    [
        ({"problem": "?", "solution": "It is 4.", "answer": "4"}, "--prediction solution", "gold = 'answer'"),
        ({"pred": "4", "solution": "4"}, "", "'pred', gold = 'solution', stored verdict = None"),
        ({"answer": "It is 4.", "solution": "4"}, "--prediction answer", "gold = 'solution'"),
        ({"prediction": "4", "response": "It is 4."}, "--gold prediction", "prediction = 'response'"),
        ({"pred": "1", "label": "1"}, "--gold label", "stored verdict = None"),
        ({"output": "4", "answer": "4", "label": "+-+"}, "", "stored verdict = None"),
        ({"output": "4", "answer": "4", "score": 1.0}, "--label score", "stored verdict = 'score'"),
        ({"answer": "4", "gold": "4", "label": " Correct"}, "--prediction answer", "stored verdict = 'label'"),
    ],
)
def test_fields_are_told_or_named(prm, write, row, options, found):
    write(row)
    code, out, err = prm("verify", "r.jsonl", *options.split(), "--fail-under", 1)
    assert found in err
    assert code == 0, out + err


GOLDS = [
    {"question": "?", "answer": "#### 7"},
    {"question": "?", "answer": ""},
    {"question": "?", "answer": "9" * 3_000},
    {"question": "?"},
    {"question": "?", "answer": 12},
]


def test_audit_names_each_gold_answer_that_cannot_be_used(prm, write):
    write(*GOLDS)
    code, out, err = prm("verify", "r.jsonl", "--audit-golds")
    assert code == 1
    assert out.splitlines() == [
        "r.jsonl:2: '': no answer in the gold",
        f"r.jsonl:3: …'{'9' * 60}': the gold answer is too long",
        "r.jsonl:4: None: field 'answer' holds no text",
    ]
    assert "refused: 3 of 5" in err
    write(GOLDS[0], GOLDS[4])
    assert prm("verify", "r.jsonl", "--audit-golds")[:2] == (0, "")


def test_audit_checks_each_gold_answer_against_itself(prm, write, monkeypatch):
    """A checker that answers no to everything must not pass."""
    from prm.scoring import verifying

    def never(checker, questions):
        for prediction, gold, _ in questions:
            assert prediction == gold
            assert checker.timeout == 5.0
            yield Verdict(Outcome.TIMEOUT, "not decided", gold)

    monkeypatch.setattr(verifying, "verdicts", never)
    write({"gold": "x+1"})
    code, out, _ = prm("verify", "r.jsonl", "--audit-golds", "--timeout", 5)
    assert (code, out) == (1, "r.jsonl:1: 'x+1': against itself it is timeout: not decided\n")


GOOD = {"pred": "4", "gold": "4"}
FAULTS = {
    "no file": ("none.jsonl", [], "none.jsonl"),
    "no rows": ("r.jsonl", [], "holds no rows"),
    "no prediction": ("r.jsonl", [{"text": "4", "gold": "4"}], "r.jsonl:1: has no field for the prediction"),
    "no gold": ("r.jsonl", [{"pred": "4", "number": "4"}], "it has pred, number"),
    "no row of that field": ("r.jsonl --gold truth", [GOOD], "no row can be used: field 'truth' holds no text"),
    "label that is none": (
        "r.jsonl --label l",
        [GOOD, {**GOOD, "l": "maybe"}],
        "r.jsonl:2: field 'l' is 'maybe'",
    ),
    "nothing to be strict about": ("r.jsonl --strict", [GOOD], "--strict"),
    "nothing to disagree with": ("r.jsonl --disagreements d", [GOOD], "--disagreements"),
    "audit of predictions": ("r.jsonl --audit-golds --fail-under 0.5", [GOOD], "--fail-under"),
    "audit without golds": ("r.jsonl --audit-golds", [{"pred": "4"}], "no field for the gold"),
}


@pytest.mark.parametrize(("arguments", "rows", "message"), FAULTS.values(), ids=FAULTS)
def test_bad_input_is_one_line_and_a_hint(prm, write, arguments, rows, message):
    write(*rows)
    code, out, err = prm("verify", *arguments.split())
    assert (code, out) == (1, "")
    (error,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert message in error
    assert err.splitlines()[-1].startswith("hint: ")


def test_a_broken_line_is_dropped_by_name(prm, write):
    path = write(*ROWS)
    with (path / "r.jsonl").open("a") as file:
        file.write('{"completion":\n')
    code, _, err = prm("verify", "r.jsonl", "--out", "v.jsonl")
    assert (code, "1 dropped (not a JSON object)" in err) == (0, True), err
    (drop,) = (path / "v.jsonl.dropped.jsonl").read_text().splitlines()
    assert json.loads(drop)["id"] == "r.jsonl:6"
    code, out, err = prm("verify", "r.jsonl", "--audit-golds")
    assert (code, out) == (1, "")
    assert "error: r.jsonl:6: cannot be read: not a JSON object" in err
    assert "checking" not in err


def test_a_file_without_a_row_that_can_be_read_is_an_error(prm, write):
    path = write(*ROWS)
    (path / "r.jsonl").write_text("x\ny\n")
    code, _, err = prm("verify", "r.jsonl")
    assert code == 1
    assert "error: r.jsonl:1: cannot be read: not a JSON object" in err


def test_a_file_is_not_held_in_memory(write, monkeypatch):
    """The first verdict is there before the second row is read, but for the reading that looks for rows to check."""
    from prm.data.drops import Drops
    from prm.scoring import verifying

    file, read_so_far = write(*ROWS) / "r.jsonl", []

    def counted(path):
        for row in read_each_row(path):
            read_so_far.append(row)
            yield row

    monkeypatch.setattr(verifying, "read_each_row", counted)
    fields = verifying.Fields("completion", "answer", None)
    rows = verifying._verdicts(file, fields, lambda text, gold, _: check(text, gold), Drops(), is_guessed=True)
    assert next(rows).outcome == "correct"
    assert len(read_so_far) == len(ROWS) + 1
    rows.close()


def test_what_looks_like_markup_is_shown_as_it_is(prm, write, monkeypatch):
    from prm.scoring import verifying

    monkeypatch.setattr(verifying, "solution_verdicts", lambda *_: iter([Verdict(Outcome.ERROR, "at [/b]", None)]))
    write({"pred": "7", "gold": "7"})
    code, out, _ = prm("verify", "r.jsonl")
    assert code == 0
    assert cells(out, "error") == ["at [/b]", "1"]
