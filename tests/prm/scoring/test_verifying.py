"""`prm.verify` and `prm.audit_golds` from Python: any source of rows, a typed report, and the command's file."""

import json
import math

import datasets
import pytest

import prm as toolkit
from prm import InputError, Problem
from prm.scoring.verifying import GoldAudit, RefusedGold, Share
from prm.verifiers import Outcome

ROWS = [
    {"id": "a", "completion": "3 + 4 = 7\n#### 7", "answer": "7", "correct": True},
    {"id": "b", "completion": "The answer is 5", "answer": "4", "correct": True},
    {"id": "c", "completion": "I do not know", "answer": "4", "correct": False},
    {"id": "d", "completion": "The answer is 6", "answer": "6", "correct": False},
    {"id": "e", "completion": None, "answer": "6", "correct": None},
]


@pytest.mark.parametrize("source", [ROWS, datasets.Dataset.from_list(ROWS)], ids=["rows", "dataset"])
def test_the_report_counts_what_was_found(source):
    report = toolkit.verify(source)
    assert (report.fields.prediction, report.fields.gold, report.fields.label) == ("completion", "answer", "correct")
    assert (report.accuracy, report.of_all, report.of_decided) == (0.5, Share(2, 4), Share(2, 3))
    assert report.outcomes == {
        (Outcome.CORRECT, "same text"): 2,
        (Outcome.INCORRECT, "different numbers"): 1,
        (Outcome.NO_ANSWER, "no answer in the prediction"): 1,
    }
    assert report.stored[True, Outcome.INCORRECT] == 1
    assert [(row.line, row.id, row.label) for row in report.disagreements] == [(2, "b", True), (4, "d", False)]
    assert [row.outcome for row in report] == ["correct", "incorrect", "no_answer", "correct"]
    assert report.counts["verdicts"] == 4
    assert [drop.reason for drop in report.drops] == ["field 'completion' holds no text"]
    # The quantiles of Beta(2.5, 2.5) in scipy.stats.
    assert repr(report) == "<VerifyReport: 2 of 4 correct, 95% interval 0.123-0.877>"


def test_a_share_of_nothing_has_no_value():
    assert math.isnan(Share(0, 0).value)
    assert Share(0, 0).interval == (0.0, 1.0)


def test_verdicts_without_a_name_are_deleted_with_the_report():
    report = toolkit.verify(ROWS, label="correct")
    path = report.path
    assert path.exists()
    del report
    assert not path.exists()


def test_what_python_writes_the_command_finds_there(prm, tmp_path):
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    report = toolkit.verify("r.jsonl", out="v.jsonl")
    assert report.path.read_bytes() == toolkit.verify(ROWS).path.read_bytes()
    assert "already there" in prm("verify", "r.jsonl", "--out", "v.jsonl")[2]
    again = toolkit.verify("r.jsonl", out="v.jsonl")
    assert (again.outcomes, again.counts) == (report.outcomes, report.counts)
    assert len(again.drops) == 1
    with pytest.raises(toolkit.OutputError, match="made with other settings"):
        toolkit.verify("r.jsonl", out="v.jsonl", timeout=9.0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "holds no rows"),
        ([{"text": "4", "gold": "4"}], "has no field for the prediction"),
        ([{"pred": "4", "gold": "4", "l": "maybe"}], "field 'l' is 'maybe', which is not a verdict"),
    ],
)
def test_rows_that_cannot_be_checked_are_refused(rows, message):
    with pytest.raises(InputError, match=message) as caught:
        toolkit.verify(rows, label="l")
    assert caught.value.hint
    assert "--" not in str(caught.value) + caught.value.hint


def test_a_label_that_is_no_verdict_is_missing_where_its_field_was_found_and_an_error_where_it_was_named(
    tmp_path, capsys
):
    rows = [{"pred": "4", "gold": "4", "label": label} for label in (1, 2, 0, "maybe", None, True)]
    report = toolkit.verify(rows, out=tmp_path / "v.jsonl")
    assert [row.label for row in report] == [True, None, False, None, None, True]
    (note,) = [line for line in capsys.readouterr().err.splitlines() if "no verdict" in line]
    assert note.startswith("rows whose 'label' is no verdict, and counts as missing: 2, the first is ")
    assert note.endswith("predictions.jsonl:2")
    with pytest.raises(InputError, match=r"predictions.jsonl:2: field 'label' is 2, which is not a verdict"):
        toolkit.verify(rows, label="label")


@pytest.mark.parametrize(
    ("row", "agrees"),
    [
        ({"answer": "4", "completion": "\\boxed{4}", "gold_correct": True, "answer_type": "number"}, True),
        ({"gold_answer": "4", "llm_response": "\\boxed{4}", "gold_judgment": "A"}, True),
        ({"gold_answer": "4", "llm_response": "\\boxed{5}", "gold_judgment": "C"}, True),
        ({"gold_answer": "4", "llm_response": "\\boxed{4}", "gold_judgment": "B"}, False),
    ],
)
def test_verifybench_and_verifierbench_are_read_as_they_are(row, agrees):
    report = toolkit.verify([{"question": "2 + 2?", **row}])
    assert (report.stored.total(), not report.disagreements) == (1, agrees)


def test_a_letter_is_a_verdict_in_verifierbench_alone():
    assert toolkit.verify([{"answer": "A", "prediction": "A", "label": "A"}]).stored.total() == 0


def test_an_integer_that_no_float_holds_is_a_gold_answer_like_another():
    rows = [{"pred": "4", "gold": 4}, {"pred": str(10**400), "gold": 10**400}]
    assert [row.gold for row in toolkit.verify(rows)] == ["4", str(10**400)]


@pytest.mark.parametrize("timeout", [0, -1, 1e9, float("nan"), "2"])
def test_a_time_limit_out_of_range_is_refused_by_name(timeout):
    for job in (toolkit.verify, toolkit.audit_golds):
        with pytest.raises(InputError, match=f"^timeout={timeout!r} is not a number in "):
            job([{"pred": "4", "gold": "4"}], timeout=timeout)


def test_golds_are_audited_as_records():
    problems = [Problem("p", "How many?", "7"), Problem("q", "Why?"), Problem("r", "Where?", " ")]
    assert toolkit.audit_golds(problems) == GoldAudit(
        "answer",
        3,
        (
            RefusedGold(2, "q", None, "field 'answer' holds no text"),
            RefusedGold(3, "r", " ", "no answer in the gold"),
        ),
    )
    assert toolkit.audit_golds([{"gold": "7"}], gold="gold").refused == ()
