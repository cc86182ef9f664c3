"""Step labels against the exact truth of the arithmetic world, worked out by hand."""

import json

import pytest

from prm.benchmarks.arithmetic.step_truth import label_quality, measure_label_quality, truths
from prm.data.files import write_records
from prm.data.records import Chain, Problem, StepLabels
from prm.errors import InputError

TRUTH = {"a": [True, True, False], "b": [True, False], "c": [True, True], "d": [True]}


def label(identity, right, wrong, outcome="incorrect"):
    n = len(right)
    return StepLabels(identity, "p", right, wrong, (0,) * n, ("drawn",) * (n - 1) + ("answer",), outcome)


def test_label_quality_by_hand():
    given = [
        label("a", (1, 0, 0), (0, 1, 0)),  # True False False: the second is a false negative
        label("b", (1, 0), (0, 0), "timeout"),  # True, unknown
        label("d", (0,), (0,), "correct"),  # True
    ]
    found = label_quality(TRUTH, given)
    assert (found["steps"], found["agreement"], found["unknown"]) == (6, 4 / 5, 1 / 6)
    assert (found["false_negatives"], found["false_positives"]) == (1 / 5, 0.0)
    assert found["agreement_by_position"] == [1.0, 0.0, 1.0]
    found = label_quality(TRUTH, [label("b", (1, 0), (0, 0), "correct")])  # True True: the last is a false positive
    assert (found["false_negatives"], found["false_positives"], found["agreement"]) == (0.0, 0.5, 0.5)


def test_labels_without_evidence_cannot_be_measured():
    with pytest.raises(InputError, match="no step has a hard label"):
        label_quality(TRUTH, [label("b", (0, 0), (0, 0), "timeout")])


def test_truth_is_read_from_the_problems_values():
    chain = Chain("c", "w", ("found: 1 + 2 = 3\n", "The answer is 4"))
    assert truths({"w": Problem("w", "?", "3", {"values": [1, 3]})}, [chain]) == {"c": [True, False]}
    for problems in ({}, {"w": Problem("w", "?", "3")}):
        with pytest.raises(InputError, match="'w' is missing or has no exact truth"):
            truths(problems, [chain])


def test_the_quality_of_labels_from_python_is_what_the_command_writes(prm, tmp_path):
    problems = [Problem("w", "?", "3", {"values": [1, 3]})]
    chains = [Chain("c", "w", ("found: 1 + 2 = 3\n", "The answer is 4"))]
    labels = [StepLabels("c", "w", (1, 0), (0, 0), (0, 0), ("drawn", "answer"), "incorrect")]
    for name, records in {"p": problems, "c": chains, "l": labels}.items():
        write_records(tmp_path / f"{name}.jsonl", records)
    files = [f"{name}.jsonl" for name in "pcl"]
    code, out, said = prm("label", "quality", "--problems", files[0], "--chains", files[1], "--labels", files[2],
                          "--out", "q.json")  # fmt: skip
    assert code == 0, said
    assert "agreement" in out
    for sources in (files, (problems, chains, labels)):
        made = measure_label_quality(*sources)
        assert made.measures == json.loads((tmp_path / "q.json").read_text())
        assert made.output.counts == {"chains": 1, "steps": 2, "agreement": 1.0}
    assert measure_label_quality(*files, "q.json").measures == made.measures
    assert "already there" in prm("label", "quality", "--problems", files[0], "--chains", files[1], "--labels",
                                  files[2], "--out", "q.json")[2]  # fmt: skip


@pytest.mark.parametrize(("chain_id", "steps"), [("z", 0), ("a", 3)])
def test_labels_of_other_chains_or_steps_are_refused(chain_id, steps):
    with pytest.raises(InputError, match=f"'{chain_id}' has 2 labels, {steps} steps"):
        label_quality(TRUTH, [label(chain_id, (1, 0), (0, 1))])
