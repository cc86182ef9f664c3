"""Suites: every label stays at its step, every row that cannot be used is counted, and each id stands for one thing."""

import base64
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT, SAMPLES

from prm.benchmarks.pools import make_pools
from prm.benchmarks.suites import SUITES, read_suite
from prm.benchmarks.suites.collecting import Collection
from prm.benchmarks.suites.fields import BAD_SCORE, EMPTY_CHAIN, TWICE
from prm.benchmarks.suites.own import read_own
from prm.benchmarks.suites.truth import Candidates, Comparison, StepTruth
from prm.data.drops import Drops
from prm.data.preferences import EMPTY, NO_ANSWER, NO_LABEL, SAME_TEXTS, TIE
from prm.data.reading import read_source, rows_by_key
from prm.data.records import Chain, Problem, StepScores
from prm.errors import InputError

needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no sample data in {SAMPLES}; set PRM_SAMPLE_DATA")
T, F, N = True, False, None
PUBLIC = {name: suite for name, suite in SUITES.items() if suite.judge is None}
LACKS, KIND = "lacks a field", "a field of the wrong kind"
UNREADABLE, NO_SUCH = "a label that cannot be read", "a wrong step that is not there"


def write(path, *rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read(tmp_path, suite, *rows, name="rows", **options):
    """What is read of rows, and what is dropped."""
    drops = Drops()
    return read_suite(suite, write(tmp_path / f"{name}.jsonl", *rows), drops, **options), drops.by_reason()


def refused(tmp_path, suite, *rows):
    """The reasons for which none of the rows can be used."""
    drops = Drops()
    with pytest.raises(InputError, match=f"no row of the suite {suite}"):
        read_suite(suite, write(tmp_path / "rows.jsonl", *rows), drops)
    return drops.by_reason()


THREE = [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.0, 0.0, 1.0]]
ROWS = {
    "processbench": {
        "id": "gsm8k-7",
        "problem": "How many?",
        "steps": ["a", "b\n", "c"],
        "final_answer_correct": False,
        "label": 1,
    },
    "gr-ben": {
        "id": "physics-3",
        "domain": "physics",
        "problem": "How many?",
        "steps": ["a", "b", "c"],
        "label": 2,
        "final_answer_correct": False,
    },
    "socratic-prmbench": {
        "idx": "gsm8k_test#1",
        "modified_question": "How many?",
        "modified_process": ["a", "b", "c"],
        "error_steps": [2],
        "classification": "deduction",
    },
    "hard2verify": {
        "unique_id": "imo-1",
        "question": "How many?",
        "model_response_by_step": ["a", "b", "c"],
        "human_labels": [1, 0, 0],
        "human_labels_first_error_idx": 1,
    },
    "agentprocessbench": {
        "total_index": 7,
        "messages": [
            {"role": "user", "content": "How many?"},
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "count", "arguments": "{}"}}]},
            {"role": "tool", "name": "count", "content": "6"},
            {"role": "assistant", "content": "It is 5."},
            {"role": "user", "content": "Sure?"},
            {"role": "assistant", "content": None},
        ],
        "step_labels": {"1": 1, "3": -1, "5": 0},
        "final_label": -1,
    },
    "ppe": {
        "question_id": "q-1",
        "prompt": "How many?",
        "response_1": "a",
        "response_2": "b",
        "response_3": "c",
        "scores": [True, False, False],
    },
    "rewardmath": {
        "problem": "How many?",
        "eval_solution": ["a", "b"],
        "solution_type": "chosen",
        "answer": "6",
        "problem_id": 4,
        "id": 40,
    },
    "mr-gsm8k": {
        "uuid": "u-1",
        "question_type": "POT",
        "question": "How many?",
        "ground_truth_answer": "6",
        "model_output_steps": ["a", "b", "c"],
        "model_output_answer_correctness": "wrong",
        "model_output_solution_correctness": "wrong",
        "model_output_solution_first_error_step": 2,
        "prm_scores": {"shepherd": [0.5, 0.25, 1], "reasoneval": THREE, "roscoe": 0.5, "gpt4": {"pred": "2"}},
    },
    "mr-math": {
        "id": 11,
        "question": "How many?",
        "ground_truth_answer": 6,
        "model_output_step_format": [["a"], ["b", "b too"], ["c"]],
        "model_output_answer_correctness": "correct",
        "model_output_solution_correctness": "wrong",
        "model_output_solution_first_error_step": "2",
        "prm_scores": {"shepherd": [1, 0.5, 0.25, 0.75], "reasoneval": [*THREE, THREE[0]]},
        "score_index_to_step": [0, 1, 1, 2],
    },
    "mr-ben": {
        "Question_UUID": "q-1",
        "Subject": "high_school_math",
        "Question": "How many?",
        "Options": "A: 5\nB: 6",
        "Ground_Truth_Answer": "A",
        "Ground_Truth_Answer_Modified": "B",
        "Sampled_Model": "M",
        "Model_Solution_Steps": ["Step 1: a", "a too", "", "Step 2: b", "Step 3: c", "Solution: Choice_A"],
        "Model_Solution_Correctness": "incorrect",
        "Model_Solution_First_Error_Step": "2",
    },
    "big-bench-mistake": {
        "input": "How many?",
        "steps": ["a", "b", "c"],
        "target": "6",
        "answer": "5",
        "mistake_index": 1,
    },
    "mathcheck": {
        "task_type": "process_judging",
        "question_type": "seed_question",
        "id": "9",
        "question": "How many?",
        "solution": "Step 1: a\n\nStep 2: b\n\nStep 3: c\n\nThe answer is 5.",
        "answer": "Step 2",
    },
    "prmbench": {
        "original_question": "What?",
        "modified_question": "How many?",
        "original_process": ["x"],
        "modified_process": ["a", "b", "c"],
        "error_steps": [2],
        "classification": "circular",
        "idx": "p_0",
    },
    "prm800k": {
        "id": "p-1",
        "problem": "How many?",
        "steps": ["a", "b", "c"],
        "step_ratings": [1, -1, None],
        "final_answer": None,
    },
    "mr-math-redundant": {
        "id": 14,
        "question": "How many?",
        "ground_truth_answer": "6",
        "model_output_step_format": [["a"], ["b"], ["c"]],
        "rating": [1, 0, 1],
        "prm_scores": {"shepherd": [1, 0.5, 0.25], "reasoneval": THREE},
    },
    "search-and-learn": {
        "problem": "How many?",
        "answer": "6",
        "unique_id": "t/1.json",
        "completions": ["a\n\nb\nb too\n\n", "c"],
        "scores": [[0.5, 0.25, 0.75], [1]],
    },
    "qwen-harness": {
        "idx": 2,
        "question": "How many?",
        "gt": "6",
        "answer": "six",
        "code": ["a\nb", "c", ""],
        "pred": ["6", "", "7"],
        "score": [True, False, None],
        "pred_score": [[4.5], -1, [0]],
    },
    "candidates": {
        "id": "g-4",
        "question": "How many?",
        "gold": 6.0,
        "candidates": [
            {"solution": "a\nb", "answer": 6.0, "is_correct": True},
            {"solution": "c", "answer": None, "is_correct": False},
        ],
    },
    "rewardbench": {"id": 3, "prompt": "How many?", "chosen": "a\nb", "rejected": "c", "subset": "hep-go"},
    "rewardbench-2": {
        "id": "tied:3",
        "prompt": "How many?",
        "chosen": ["a", "b"],
        "rejected": ["c", "d", "e"],
        "num_correct": 2,
        "subset": "Ties",
    },
    "rm-bench": {"id": 8, "prompt": "How many?", "chosen": ["a", "b", "c"], "rejected": ["d", "e", "f"]},
    "judgebench": {
        "pair_id": "j-1",
        "source": "livebench-math",
        "question": "How many?",
        "response_A": "a",
        "response_B": "b",
        "label": "B>A",
        "judgments": [
            {"judgment": {"judge_model": "o/rm", "scores": [1.5, 2.5]}},
            {"judgment": {"judge_model": "o/rm", "scores": [2.5, 1.5]}},
        ],
    },
    "llmbar": {"input": "How many?", "output_1": "a", "output_2": "b", "label": 2},
    "pairs": {"prompt": "How many?", "chosen": "a", "rejected": "b"},
}
"""A row of each suite. In those with steps the second is wrong."""

STEPPED = {
    # identity, split, is the answer right, gold answer, truth, steps
    "processbench": ("gsm8k-7", "gsm8k", F, N, (T, F, N), ("a\n", "b\n", "c\n")),
    "mr-gsm8k": ("u-1", "POT", F, "6", (T, F, N), ("a\n", "b\n", "c\n")),
    "mr-math": ("rows/11", "rows", T, "6", (T, F, N), ("a\n", "b\nb too\n", "c\n")),
    "mr-ben": (
        "q-1/M",
        "math",
        N,
        "B",
        (T, F, N),
        ("Step 1: a\na too\n", "Step 2: b\n", "Step 3: c\nSolution: Choice_A\n"),
    ),
    "big-bench-mistake": ("rows-1", "rows", F, "6", (T, F, N), ("a\n", "b\n", "c\n")),
    "mathcheck": (
        "rows/9",
        "seed_question",
        N,
        N,
        (T, F, N),
        ("Step 1: a\n", "Step 2: b\n", "Step 3: c\n\nThe answer is 5.\n"),
    ),
    "prmbench": ("circular/p_0", "circular", N, N, (T, F, T), ("a\n", "b\n", "c\n")),
    "gr-ben": ("physics-3", "physics", F, N, (T, F, N), ("a\n", "b\n", "c\n")),
    "socratic-prmbench": ("deduction/gsm8k_test#1", "deduction", N, N, (T, F, T), ("a\n", "b\n", "c\n")),
    "hard2verify": ("rows/imo-1", "rows", N, N, (T, F, F), ("a\n", "b\n", "c\n")),
    "agentprocessbench": (
        "rows/7",
        "rows",
        F,
        N,
        (T, F, N),
        ("assistant: count({})\n", "tool: 6\n\nassistant: It is 5.\n", "user: Sure?\n\nassistant:\n"),
    ),
    "prm800k": ("rows/p-1", "rows", N, N, (T, F, N), ("a\n", "b\n", "c\n")),
    "mr-math-redundant": ("rows/14", "rows", N, "6", (T, F, T), ("a\n", "b\n", "c\n")),
}


def test_every_suite_has_a_row_here():
    assert set(ROWS) == set(PUBLIC)


@pytest.mark.parametrize("suite", STEPPED)
def test_steps(tmp_path, suite):
    identity, split, is_right, gold, truth, steps = STEPPED[suite]
    data, drops = read(tmp_path, suite, ROWS[suite])
    ((problem_id, problem),) = data.problems.items()
    assert (problem.text.splitlines()[0], problem.answer, drops) == ("How many?", gold, {})
    assert data.chains == {identity: Chain(identity, problem_id, steps)}
    assert data.truths == (StepTruth(identity, problem_id, split, truth, is_right),)
    assert (data.name, data.protocol) == (suite, SUITES[suite].protocol)


def test_options_belong_to_the_question(tmp_path):
    data, _ = read(tmp_path, "mr-ben", ROWS["mr-ben"], ROWS["mr-ben"] | {"Sampled_Model": "L", "Options": None})
    assert [(p.id, p.text) for p in data.problems.values()] == [
        ("q-1", "How many?\n\nA: 5\nB: 6"),
        ("q-1:2", "How many?"),
    ]
    assert list(data.chains) == ["q-1/M", "q-1/L:2"]


MR, BEN = "model_output_solution", "Model_Solution"
LOCATED = [
    ("processbench", {"label": 0}, 0),
    ("processbench", {"label": "2"}, 2),
    ("processbench", {"label": 1.0}, 1),
    ("processbench", {"label": -1}, None),
    ("gr-ben", {"label": 1}, 0),
    ("gr-ben", {"label": 3}, 2),
    ("gr-ben", {"label": -1}, None),
    ("mr-gsm8k", {f"{MR}_first_error_step": 1}, 0),
    ("mr-gsm8k", {f"{MR}_first_error_step": "3"}, 2),
    ("mr-gsm8k", {f"{MR}_first_error_step": "N/A", f"{MR}_correctness": "correct"}, None),
    ("mr-gsm8k", {f"{MR}_first_error_step": None, f"{MR}_correctness": "correct"}, None),
    ("mr-math", {f"{MR}_first_error_step": 1}, 0),
    ("mr-math", {f"{MR}_first_error_step": 3}, 2),
    ("mr-math", {f"{MR}_first_error_step": "N/A", f"{MR}_correctness": "Correct"}, None),
    ("mr-ben", {f"{BEN}_First_Error_Step": "1"}, 0),
    ("mr-ben", {f"{BEN}_First_Error_Step": "Step 3"}, 2),
    ("mr-ben", {f"{BEN}_First_Error_Step": "1", f"{BEN}_Steps": ["Hm.", "Step 1: a", "Step 2: b"]}, 1),
    ("mr-ben", {f"{BEN}_First_Error_Step": "N/A", f"{BEN}_Correctness": "correct"}, None),
    (
        "mr-ben",
        {f"{BEN}_First_Error_Step": "N/A", f"{BEN}_Correctness": "correct", f"{BEN}_Steps": ["tep 1: a", "b"]},
        None,
    ),
    ("big-bench-mistake", {"mistake_index": 0}, 0),
    ("big-bench-mistake", {"mistake_index": None}, None),
    ("mathcheck", {"answer": "Step 1"}, 0),
    ("mathcheck", {"answer": "step 3"}, 2),
    ("mathcheck", {"answer": "Step 3", "solution": "First a.\n\nStep 2: b\n\nStep 3: c"}, 2),
]


@pytest.mark.parametrize(("suite", "change", "first"), LOCATED)
def test_the_first_wrong_step(tmp_path, suite, change, first):
    data, drops = read(tmp_path, suite, ROWS[suite] | change)
    (truth,) = data.truths
    assert (truth.first_error, drops) == (first, {})
    count = len(data.chains[truth.chain_id].steps)
    assert truth.steps == ((T,) * count if first is None else (T,) * first + (F,) + (N,) * (count - first - 1))


RIGHT_WITH, WRONG_WITHOUT = "a right solution with a wrong step", "a wrong solution without its wrong step"
UNEQUAL, BLANK = "lists that differ in number", "a problem that is blank"
REFUSED = [
    ("processbench", {"label": 3}, NO_SUCH),
    ("processbench", {"label": -2}, NO_SUCH),
    ("processbench", {"label": "first"}, UNREADABLE),
    ("processbench", {"label": True}, UNREADABLE),
    ("processbench", {"label": 0.5}, UNREADABLE),
    ("processbench", {"label": float("nan")}, UNREADABLE),
    ("processbench", {"label": None}, WRONG_WITHOUT),
    ("processbench", {"steps": "a"}, KIND),
    ("processbench", {"steps": ["a", 2]}, KIND),
    ("processbench", {"steps": ["a", " ", "c"]}, "a wrong step that is blank"),
    ("processbench", {"steps": ["", "\n"], "label": -1}, EMPTY_CHAIN),
    ("processbench", {"problem": " "}, "a problem that is blank"),
    ("processbench", {"final_answer_correct": "maybe"}, UNREADABLE),
    ("gr-ben", {"label": 4}, NO_SUCH),
    ("gr-ben", {"label": 0}, NO_SUCH),
    ("gr-ben", {"label": None}, WRONG_WITHOUT),
    ("hard2verify", {"human_labels": [1, 0]}, UNEQUAL),
    ("hard2verify", {"human_labels": [1, 2, 0]}, UNREADABLE),
    ("agentprocessbench", {"step_labels": {"2": 1}}, NO_SUCH),
    ("agentprocessbench", {"step_labels": {"1": 2}}, UNREADABLE),
    ("agentprocessbench", {"step_labels": [1, -1, 0]}, KIND),
    ("agentprocessbench", {"messages": [{"role": "user", "content": "How many?"}]}, EMPTY_CHAIN),
    ("agentprocessbench", {"messages": [{"role": "assistant", "content": "6"}], "step_labels": {}}, BLANK),
    ("agentprocessbench", {"final_label": "maybe"}, UNREADABLE),
    ("agentprocessbench", {"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}], "step_labels": {}}, LACKS),
    ("agentprocessbench", {"messages": [{"role": "assistant", "tool_calls": "count"}], "step_labels": {}}, KIND),
    ("ppe", {"scores": [True, False, False, False]}, LACKS),
    ("rewardmath", {"problem_id": None}, LACKS),
    ("mr-gsm8k", {f"{MR}_first_error_step": 0}, NO_SUCH),
    ("mr-gsm8k", {f"{MR}_first_error_step": 4}, NO_SUCH),
    ("mr-gsm8k", {f"{MR}_first_error_step": "N/A"}, WRONG_WITHOUT),
    ("mr-gsm8k", {f"{MR}_correctness": "correct"}, RIGHT_WITH),
    ("mr-gsm8k", {f"{MR}_correctness": None}, UNREADABLE),
    ("mr-gsm8k", {"prm_scores": {"shepherd": [0.5, 0.5]}}, UNEQUAL),
    ("mr-gsm8k", {"prm_scores": {"shepherd": [0.5, 0.5, None]}}, BAD_SCORE),
    ("mr-gsm8k", {"prm_scores": {"shepherd": [0.5, 0.5, float("inf")]}}, BAD_SCORE),
    ("mr-gsm8k", {"prm_scores": {"shepherd": [0.5, 0.5, 10**400]}}, BAD_SCORE),
    ("mr-gsm8k", {"prm_scores": {"reasoneval": [[0.5, 0.5], *THREE[:2]]}}, BAD_SCORE),
    ("mr-math", {"score_index_to_step": [0, 1, 1, 1]}, BAD_SCORE),
    ("mr-math", {"score_index_to_step": [0, 1, 2]}, UNEQUAL),
    ("mr-math", {"model_output_step_format": [["a"], [2], ["c"]]}, KIND),
    ("mr-math", {f"{MR}_correctness": "correct"}, RIGHT_WITH),
    ("mr-ben", {f"{BEN}_First_Error_Step": "4"}, NO_SUCH),
    ("mr-ben", {f"{BEN}_Steps": ["Step 2: a", "Step 2: b"]}, NO_SUCH),
    ("mr-ben", {f"{BEN}_Steps": "def f(): ..."}, KIND),
    ("mr-ben", {f"{BEN}_Correctness": "correct"}, RIGHT_WITH),
    ("mr-ben", {f"{BEN}_First_Error_Step": "N/A"}, WRONG_WITHOUT),
    ("big-bench-mistake", {"mistake_index": 3}, NO_SUCH),
    ("big-bench-mistake", {"mistake_index": -1}, NO_SUCH),
    ("mathcheck", {"answer": "Step 4"}, NO_SUCH),
    ("mathcheck", {"answer": "N/A"}, WRONG_WITHOUT),
    ("mathcheck", {"task_type": "solving"}, "another task"),
    ("prmbench", {"error_steps": [2, 4]}, NO_SUCH),
    ("prmbench", {"error_steps": [0]}, NO_SUCH),
    ("prmbench", {"error_steps": [None]}, UNREADABLE),
    ("prm800k", {"step_ratings": [1, 2, 1]}, UNREADABLE),
    ("prm800k", {"step_ratings": [1]}, "labels and steps differ in number"),
    ("mr-math-redundant", {"rating": [1, 0]}, UNEQUAL),
    ("mr-math-redundant", {"rating": [1, 0, 2]}, UNREADABLE),
    ("search-and-learn", {"scores": [[0.5, 0.25, 0.75]]}, UNEQUAL),
    ("search-and-learn", {"scores": [[0.5], [1]]}, UNEQUAL),
    ("search-and-learn", {"scores": [0.5, 1]}, KIND),
    ("search-and-learn", {"completions": []}, UNEQUAL),
    ("search-and-learn", {"completions": [], "scores": None}, "no solution in it"),
    ("qwen-harness", {"score": [True]}, UNEQUAL),
    ("qwen-harness", {"score": ["yes", True, True]}, UNREADABLE),
    ("qwen-harness", {"pred_score": [[4.5, 1], 0, 0]}, BAD_SCORE),
    ("candidates", {"candidates": [{"answer": 6}]}, LACKS),
    ("candidates", {"candidates": ["a"]}, KIND),
    ("rewardbench", {"rejected": "a\nb "}, SAME_TEXTS),
    ("rewardbench", {"chosen": None}, NO_ANSWER),
    ("rewardbench-2", {"num_correct": 1}, UNEQUAL),
    ("rewardbench-2", {"rejected": []}, NO_ANSWER),
    ("rewardbench-2", {"rejected": ["a", "c"]}, SAME_TEXTS),
    ("rewardbench-2", {"rejected": ["c", " "]}, EMPTY),
    ("rm-bench", {"chosen": ["a", "b"]}, UNEQUAL),
    ("judgebench", {"label": "A=B"}, TIE),
    ("judgebench", {"label": "A"}, NO_LABEL),
    ("judgebench", {"judgments": [{"judgment": {"scores": [1]}}]}, UNEQUAL),
    ("judgebench", {"judgments": [{"judgment": {"scores": [1, None]}}]}, BAD_SCORE),
    ("llmbar", {"label": 3}, NO_LABEL),
    ("pairs", {"chosen": " "}, EMPTY),
]


@pytest.mark.parametrize(("suite", "change", "reason"), REFUSED)
def test_a_row_that_cannot_be_used(tmp_path, suite, change, reason):
    assert refused(tmp_path, suite, ROWS[suite] | change) == {reason: 1}


NEEDED = {
    "processbench": ["problem", "steps", "label"],
    "mr-gsm8k": ["question", "model_output_steps", f"{MR}_correctness", f"{MR}_first_error_step"],
    "mr-math": ["question", "model_output_step_format", f"{MR}_correctness", f"{MR}_first_error_step"],
    "mr-ben": ["Question_UUID", "Subject", "Question", "Sampled_Model", f"{BEN}_Steps", f"{BEN}_Correctness"],
    "big-bench-mistake": ["input", "steps", "mistake_index"],
    "mathcheck": ["task_type", "question", "solution", "answer"],
    "prmbench": ["modified_question", "modified_process", "error_steps", "classification", "idx"],
    "prm800k": ["problem", "steps", "step_ratings"],
    "mr-math-redundant": ["question", "model_output_step_format", "rating"],
    "search-and-learn": ["problem", "completions"],
    "qwen-harness": ["question"],
    "candidates": ["question", "candidates"],
    "rewardbench": ["subset"],
    "rewardbench-2": ["prompt", "chosen", "rejected", "subset"],
    "rm-bench": ["prompt", "chosen", "rejected"],
    "judgebench": ["pair_id", "source"],
}


@pytest.mark.parametrize(("suite", "field"), [(suite, field) for suite in NEEDED for field in NEEDED[suite]])
def test_a_row_without_a_field(tmp_path, suite, field):
    row = {name: value for name, value in ROWS[suite].items() if name != field}
    assert refused(tmp_path, suite, row) == {LACKS: 1}


def test_blank_steps_are_no_steps(tmp_path):
    row = ROWS["processbench"] | {"steps": ["", "a", "\n", "b", "c"], "label": 3}
    data, _ = read(tmp_path, "processbench", row)
    assert data.chains["gsm8k-7"].steps == ("a\n", "b\n", "c\n")
    assert data.truths[0].steps == (T, F, N)
    scored = ROWS["mr-gsm8k"] | {"model_output_steps": ["a", "b", " "]}
    data, _ = read(tmp_path, "mr-gsm8k", scored)
    assert data.stored["shepherd"]["u-1"].scores == (0.5, 0.25)


def test_stored_step_scores(tmp_path):
    """Of three classes the second and third; in a step of two lines the lowest; judges give no step scores."""
    data, _ = read(tmp_path, "mr-gsm8k", ROWS["mr-gsm8k"])
    assert data.stored == {
        "shepherd": {"u-1": StepScores("u-1", "u-1", (0.5, 0.25, 1.0), "prm")},
        "reasoneval": {"u-1": StepScores("u-1", "u-1", (0.5, 0.75, 1.0), "prm")},
    }
    expected = {"shepherd": (1.0, 0.25, 0.75), "reasoneval": (0.5, 0.75, 0.5)}
    for change in ({}, {"score_index_to_step": None}):
        data, _ = read(tmp_path, "mr-math", ROWS["mr-math"] | change)
        assert {name: own["rows/11"].scores for name, own in data.stored.items()} == expected
    data, _ = read(tmp_path, "mr-math-redundant", ROWS["mr-math-redundant"])
    scores = {name: own["rows/14"].scores for name, own in data.stored.items()}
    assert scores == {"shepherd": (1.0, 0.5, 0.25), "reasoneval": (0.75, 0.5, 1.0)}, "one less the second of three"
    data, _ = read(tmp_path, "mr-gsm8k", ROWS["mr-gsm8k"] | {"prm_scores": None})
    assert data.stored == {}


def test_prmbench_ids(tmp_path):
    """The preview on the Hub has the class in `idx` already; a second solution of the same id stays."""
    row = ROWS["prmbench"] | {"classification": "multi_solutions", "error_steps": []}
    rows = [row, row | {"modified_process": ["d"]}, row, row | {"idx": "multi_solutions_p_1"}]
    data, drops = read(tmp_path, "prmbench", *rows)
    assert {t.chain_id: t.steps for t in data.truths} == {
        "multi_solutions/p_0": (T, T, T),
        "multi_solutions/p_0:2": (T,),
        "multi_solutions_p_1": (T, T, T),
    }
    assert (drops, len(data.problems)) == ({TWICE: 1}, 1)


def test_prm800k_rates_a_step_once(tmp_path):
    """Copies after the same steps are not judged again; 0 counts as right; the raw form has a row for many chains."""
    row = ROWS["prm800k"]
    rows = [row, row | {"id": "p-2", "steps": ["a", "b", "d"], "step_ratings": [1, -1, 0]}]
    data, _ = read(tmp_path, "prm800k", *rows, row | {"id": "p-3", "problem": "What?"})
    assert [t.steps for t in data.truths] == [(T, F, N), (N, N, T), (T, F, N)]
    options = [{"text": "b", "rating": -1}, {"text": "c", "rating": 0}]
    steps = [{"completions": [{"text": "a", "rating": 1}], "chosen_completion": 0}, {"completions": options}]
    raw = {"question": {"problem": "How many?", "ground_truth_answer": "6"}, "label": {"steps": steps}}
    data, _ = read(tmp_path, "prm800k", raw)
    assert {t.chain_id: t.steps for t in data.truths} == {"rows-1/0": (T, F), "rows-1/1": (N, T)}
    assert data.problems == {"rows-1": Problem("rows-1", "How many?", "6")}


def test_search_and_learn(tmp_path):
    """A blank part at the end was scored last, and its score stands for the step before it."""
    data, drops = read(tmp_path, "search-and-learn", ROWS["search-and-learn"])
    ids = ("rows/t/1.json/0", "rows/t/1.json/1")
    assert data.truths == (Candidates("rows/t/1.json", "rows", ids),)
    assert [data.chains[i].steps for i in ids] == [("a\n\n", "b\nb too\n\n"), ("c",)]
    assert [data.stored["rows"][i].scores for i in ids] == [(0.5, 0.75), (1.0,)]
    assert (data.problems["rows/t/1.json"].answer, drops) == ("6", {})
    plain, _ = read(tmp_path, "search-and-learn", ROWS["search-and-learn"] | {"scores": None})
    assert plain.chains[ids[0]].steps == ("a\n\n", "b\n", "b too\n\n")
    assert plain.stored == {}


def test_the_scores_of_two_files_are_two_scorers(tmp_path):
    """The same solutions are the same chains, whichever file they stand in; others are further chains."""
    row = ROWS["search-and-learn"]
    write(tmp_path / "a.jsonl", row)
    write(tmp_path / "b.jsonl", row | {"scores": [[0.0, 0.25, 0.5], [0.75]]})
    data = read_suite("search-and-learn", tmp_path, Drops())
    assert list(data.chains) == ["a/t/1.json/0", "a/t/1.json/1"]
    assert [own["a/t/1.json/1"].scores for own in (data.stored["a"], data.stored["b"])] == [(1.0,), (0.75,)]
    write(tmp_path / "b.jsonl", row | {"completions": ["other", "texts"], "scores": [[0.0], [0.75]]})
    assert len(read_suite("search-and-learn", tmp_path, Drops()).chains) == 4


def test_a_blank_completion_without_scores_costs_no_other(tmp_path):
    row = ROWS["search-and-learn"] | {"completions": ["", "a\n\nb"], "scores": [[], [0.25, 0.5]]}
    data, drops = read(tmp_path, "search-and-learn", row)
    assert [chain.steps for chain in data.chains.values()] == [(), ("a\n\n", "b")]
    assert drops == {}


def test_rows_that_share_an_id_are_each_read_once_or_twice(tmp_path, monkeypatch):
    """An id may be that of a subset, or empty: thousands of rows have it."""
    reads, take = [], Collection._about_known
    monkeypatch.setattr(Collection, "_about_known", lambda self, found: reads.append(1) or take(self, found))
    rows = [ROWS["rewardbench"] | {"chosen": f"a {i}"} for i in range(60)]
    data, drops = read(tmp_path, "rewardbench", *rows, rows[7])
    assert (len(data.truths), sum(drops.values())) == (60, 1)
    assert len(reads) <= 3 * 61


def test_search_and_learn_with_scores_of_lines(tmp_path):
    row = ROWS["search-and-learn"] | {"completions": ["\na\nb", ""], "scores": [[0, 0.25, 0.5], [0.75]]}
    data, _ = read(tmp_path, "search-and-learn", row)
    assert [chain.steps for chain in data.chains.values()] == [("\na\n", "b"), ()]
    assert [own.scores for own in data.stored["rows"].values()] == [(0.25, 0.5)], "an empty completion has none"


def test_qwen_harness(tmp_path):
    data, _ = read(tmp_path, "qwen-harness", ROWS["qwen-harness"])
    ids = ("rows/2/0", "rows/2/1", "rows/2/2")
    assert data.truths == (Candidates("rows/2", "rows", ids, (T, F, N), ("6", None, "7")),)
    assert [data.chains[i].steps for i in ids] == [("a\n", "b"), ("c",), ()]
    assert [data.stored["rows"][i].scores for i in ids] == [(4.5,), (-1.0,), (0.0,)]
    assert {own.kind for own in data.stored["rows"].values()} == {"orm"}
    assert data.problems["rows/2"].answer == "6"
    bare = {"question": "How many?", "answer": "6", "response": ["a b"]}
    data, _ = read(tmp_path, "qwen-harness", bare, splitter=r"regex:\s")
    assert data.truths == (Candidates("rows-1", "rows", ("rows-1/0",)),)
    assert data.chains["rows-1/0"].steps == ("a ", "b")


def test_candidates(tmp_path):
    data, _ = read(tmp_path, "candidates", ROWS["candidates"])
    assert data.truths == (Candidates("rows/g-4", "rows", ("rows/g-4/0", "rows/g-4/1"), (T, F), ("6", None)),)
    assert data.problems["rows/g-4"].answer == "6"
    bare = {"problem": "How many?", "answer": "6", "candidates": [{"solution": "a"}]}
    data, _ = read(tmp_path, "candidates", bare)
    assert data.truths == (Candidates("rows-1", "rows", ("rows-1/0",)),)


COMPARED = {
    # identity, split, section, texts of the better, of the worse
    "rewardbench": ("rows/3", "hep-go", "Reasoning", ["a\nb"], ["c"]),
    "rewardbench-2": ("rows/tied:3", "Ties", "", ["a", "b"], ["c", "d", "e"]),
    "rm-bench": ("rows/8", "rows", "rows", ["a", "b", "c"], ["d", "e", "f"]),
    "judgebench": ("j-1", "livebench-math", "Math", ["b"], ["a"]),
    "llmbar": ("rows-1", "rows", "", ["b"], ["a"]),
    "pairs": ("rows-1", "rows", "", ["a"], ["b"]),
}


@pytest.mark.parametrize("suite", COMPARED)
def test_comparisons(tmp_path, suite):
    identity, split, section, better, worse = COMPARED[suite]
    data, drops = read(tmp_path, suite, ROWS[suite])
    ids = tuple(f"{identity}/{i}" for i in range(len(better + worse)))
    expected = Comparison(identity, identity, split, ids[: len(better)], ids[len(better) :], section)
    assert (data.truths, drops) == ((expected,), {})
    assert [data.chains[i].text for i in ids] == better + worse
    assert data.problems == {identity: Problem(identity, "How many?")}


def test_sections(tmp_path):
    def places(suite, *rows, **options):
        return [(t.split, t.section) for t in read(tmp_path, suite, *rows, **options)[0].truths]

    subsets = ["alpacaeval-hard", "mt-bench-hard", "donotanswer", "math-prm", "own"]
    rows = [ROWS["rewardbench"] | {"subset": subset} for subset in subsets]
    sections = ["Chat", "Chat Hard", "Safety", "Reasoning", ""]
    assert places("rewardbench", *rows) == list(zip(subsets, sections, strict=True))
    assert places("rm-bench", ROWS["rm-bench"], name="safety-refuse_filtered") == [("safety-refuse", "safety")]
    assert places("rm-bench", ROWS["rm-bench"] | {"domain": "chat"}, name="total_dataset") == [("chat", "chat")]
    assert places("judgebench", ROWS["judgebench"] | {"source": "mmlu-pro-law"}) == [("mmlu-pro-law", "Knowledge")]
    assert places("judgebench", ROWS["judgebench"] | {"source": "livecodebench"}) == [("livecodebench", "Coding")]


def test_the_official_subsets_of_rewardbench():
    from prm.benchmarks.suites.preference import REWARDBENCH_SECTIONS as SECTIONS

    counts = {section: list(SECTIONS.values()).count(section) for section in SECTIONS.values()}
    assert counts == {"Chat": 5, "Chat Hard": 6, "Safety": 5, "Reasoning": 7}


def test_judgebench_scores(tmp_path):
    """Scores are those of A and B as they stand in the first judgment, and go with the responses."""
    row = ROWS["judgebench"]
    second = row | {"pair_id": "j-2", "question": "What?", "label": "A>B"}
    data, _ = read(tmp_path, "judgebench", row, second)
    scores = {i: own.scores for i, own in data.stored["o/rm"].items()}
    assert scores == {"j-1/0": (2.5,), "j-1/1": (1.5,), "j-2/0": (1.5,), "j-2/1": (2.5,)}
    unnamed = [{"judgment": {"scores": [1, 2]}}]
    data, _ = read(tmp_path, "judgebench", row | {"judgments": unnamed}, name="some_rm")
    assert list(data.stored) == ["some_rm"]
    for none in (None, [], [None], [{"judgment": {"response": "A"}}]):
        assert read(tmp_path, "judgebench", row | {"judgments": none})[0].stored == {}


def test_scores_of_several_files_come_together(tmp_path):
    folder = tmp_path / "scores"
    folder.mkdir()
    row = ROWS["judgebench"]
    other = [{"judgment": {"judge_model": "o/other", "scores": [1, 0]}}]
    write(folder / "a.jsonl", row)
    write(folder / "b.jsonl", row | {"judgments": other})
    write(folder / "c.jsonl", row)
    drops = Drops()
    data = read_suite("judgebench", folder, drops)
    assert {name: [s.scores for s in own.values()] for name, own in data.stored.items()} == {
        "o/rm": [(2.5,), (1.5,)],
        "o/other": [(0.0,), (1.0,)],
    }
    assert (len(data.truths), [(d.id, d.reason) for d in drops]) == (1, [("c:1", TWICE)])


def test_messages(tmp_path):
    asked = {"role": "user", "content": "How many?"}
    system = {"role": "system", "content": "Be brief."}
    row = {
        side: [system, asked, {"role": "assistant", "content": text}]
        for side, text in (("chosen", "a"), ("rejected", "b"))
    }
    data, _ = read(tmp_path, "pairs", row, {"prompt": [asked], "chosen": "a", "rejected": "b"})
    first, second = data.problems.values()
    assert first.text == "system: Be brief.\n\nuser: How many?"
    assert first.meta == {"messages": [system, asked]}
    assert second.text == "How many?"
    assert [chain.text for chain in data.chains.values()] == ["a", "b", "a", "b"]


def test_responses_are_cut_by_the_splitter(tmp_path):
    row = ROWS["pairs"] | {"chosen": "a\nb\n\nc"}
    for splitter, steps in (("newline", ("a\n", "b\n\n", "c")), ("blank-line", ("a\nb\n\n", "c"))):
        data, _ = read(tmp_path, "pairs", row, splitter=splitter)
        assert data.chains["rows-1/0"].steps == steps


def test_problems_with_the_same_text_are_one(tmp_path):
    row = ROWS["candidates"]
    rows = [
        row,
        row | {"id": "g-5", "question": " How many?\n"},
        row | {"id": "g-6", "gold": 7},
        row | {"id": "g-7", "gold": None},
    ]
    data, _ = read(tmp_path, "candidates", *rows)
    assert {p.id: p.answer for p in data.problems.values()} == {"rows/g-4": "6", "rows/g-6": "7"}, (
        "other gold, other problem"
    )
    assert [t.problem_id for t in data.truths] == ["rows/g-4", "rows/g-4", "rows/g-6", "rows/g-4"]
    assert {c.problem_id for c in data.chains.values()} == {"rows/g-4", "rows/g-6"}


def test_an_id_that_another_row_has(tmp_path):
    row = ROWS["pairs"] | {"id": "x"}
    other = row | {"rejected": "c"}
    rows = [row, row | {"prompt": "What?"}, row, other, other]
    data, drops = read(tmp_path, "pairs", *rows)
    assert [(t.id, t.problem_id) for t in data.truths] == [
        ("rows/x", "rows/x"),
        ("rows/x:2", "rows/x:2"),
        ("rows/x:4", "rows/x"),
    ]
    assert drops == {TWICE: 2}
    assert set(data.chains) == {f"rows/x{suffix}/{i}" for suffix in ("", ":2", ":4") for i in (0, 1)}


def test_the_rest_goes_on(tmp_path):
    """What cannot be used is named by file and line, blank ones counted, with the reason."""
    path = tmp_path / "gsm8k.jsonl"
    row = ROWS["processbench"]
    lines = [json.dumps(row), "", "{", "[1]", '{"problem": "\\ud800"}', json.dumps(row | {"id": "gsm8k-8", "label": 9})]
    path.write_bytes("\n".join(lines).encode() + b'\n"\xff"\n' + json.dumps(row | {"id": "gsm8k-9"}).encode())
    drops = Drops()
    assert list(read_suite("processbench", path, drops).chains) == ["gsm8k-7", "gsm8k-9"]
    assert [(d.id, d.reason) for d in drops] == [
        ("gsm8k:3", "not a JSON object"),
        ("gsm8k:4", "not a JSON object"),
        ("gsm8k:5", "text that is not UTF-8"),
        ("gsm8k:6", NO_SUCH),
        ("gsm8k:7", "text that is not UTF-8"),
    ]
    assert [d.detail for d in drops][3] == "9, counted from 0, of 3 steps"


def rows_of(source, split=None):
    return list(read_source(source, split))


A, B = {"x": 1}, {"x": [2, None], "y": None}
FILES = {
    "s.json": json.dumps([A, B]),
    "s.jsonl": f"{json.dumps(A)}\n\n{json.dumps(B)}",
    "t.json": f"{json.dumps(A)}\n{json.dumps(B)}\n",
    "v.json.gz": json.dumps([A, B]),
    "v.1.jsonl.gz": f"{json.dumps(A)}\n{json.dumps(B)}",
}


@pytest.mark.parametrize("name", FILES)
def test_files(tmp_path, name):
    content = FILES[name].encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    stem = re.sub(r"\.jsonl?(\.gz)?$", "", name)
    assert rows_of(tmp_path / name) == [(stem, 1, A), (stem, 3 if name == "s.jsonl" else 2, B)]
    assert rows_of(str(tmp_path / name)) == rows_of(tmp_path / name)


def test_one_object_is_one_row(tmp_path):
    """But for Mr-Ben, whose files are objects of lists of rows."""
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"k": [A], "l": [B, A]}, indent=1))
    assert rows_of(path) == [("s", 1, {"k": [A], "l": [B, A]})]
    assert [(number, row) for _, number, row in read_source(path, unpack=rows_by_key)] == [(1, A), (2, B), (3, A)]
    path.write_text(json.dumps({"q-1": [ROWS["mr-ben"]], "q-2": [ROWS["mr-ben"] | {"Question_UUID": "q-2"}]}))
    assert list(read_suite("mr-ben", path, Drops()).chains) == ["q-1/M", "q-2/M"]


def test_a_folder(tmp_path):
    write(tmp_path / "b.jsonl", A)
    write(tmp_path / "a.jsonl", A, B)
    (tmp_path / "README.md").write_text("no rows")
    (tmp_path / "more").mkdir()
    write(tmp_path / "more" / "c.jsonl", A)
    assert [(stem, number) for stem, number, _ in rows_of(tmp_path)] == [("a", 1), ("a", 2), ("b", 1)]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return datasets


ARROW = [{"x": 1, "y": ["a"], "z": {"k": [0.5]}}, {"x": None, "y": None, "z": {"k": None}}]


def test_parquet(tmp_path, cache):
    path = tmp_path / "gsm8k-00000-of-00001.parquet"
    cache.Dataset.from_list(ARROW).to_parquet(path)
    assert rows_of(path) == [("gsm8k", 1, ARROW[0]), ("gsm8k", 2, ARROW[1])]


def test_a_clone_and_what_was_saved_to_disk(tmp_path, cache):
    (tmp_path / "clone" / "data").mkdir(parents=True)
    (tmp_path / "clone" / "dataset_infos.json").write_text("{}")
    sides = {split: cache.Dataset.from_list([{"x": split}]) for split in ("filtered", "raw")}
    for split, rows in sides.items():
        rows.to_parquet(tmp_path / "clone" / "data" / f"{split}-00000-of-00001.parquet")
    cache.DatasetDict(sides).save_to_disk(tmp_path / "saved")
    for folder in (tmp_path / "clone", tmp_path / "saved"):
        assert rows_of(folder) == [("filtered", 1, {"x": "filtered"}), ("raw", 1, {"x": "raw"})]
        assert rows_of(folder, "filtered") == [("filtered", 1, {"x": "filtered"})]
        assert len(rows_of(folder, "train")) == 2


def test_a_byte_order_mark_and_capital_letters(tmp_path):
    (tmp_path / "S.JSONL").write_bytes(b"\xef\xbb\xbf" + json.dumps(A).encode())
    assert rows_of(tmp_path) == [("S", 1, A)]


def test_the_hub(tmp_path, cache, monkeypatch):
    """A data set on the Hub is loaded by the same function as a folder in its layout."""
    home = tmp_path / "owner" / "name"
    (home / "data").mkdir(parents=True)
    for split in ("test", "train"):
        cache.Dataset.from_list([{"x": split}]).to_parquet(home / "data" / f"{split}-00000-of-00001.parquet")
    load = cache.load_dataset
    asked = []
    monkeypatch.setattr(
        cache, "load_dataset", lambda name, *rest: asked.append((name, *rest)) or load(str(tmp_path / name))
    )
    assert sorted(rows_of("owner/name")) == [("test", 1, {"x": "test"}), ("train", 1, {"x": "train"})]
    assert rows_of("owner/name:main", "train") == [("train", 1, {"x": "train"})]
    assert len(rows_of("owner/name", "filtered")) == 2
    assert asked == [("owner/name", None), ("owner/name", "main"), ("owner/name", None)]


def test_processbench_as_the_hub_has_it(tmp_path, cache):
    folder = tmp_path / "hub"
    folder.mkdir()
    row = ROWS["processbench"]
    for split in ("gsm8k", "math"):
        rows = [row | {"id": f"{split}-{label}", "label": label} for label in (-1, 2)]
        cache.Dataset.from_list(rows).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    data = read_suite("processbench", folder, Drops())
    assert [(t.chain_id, t.split, t.first_error) for t in data.truths] == [
        ("gsm8k--1", "gsm8k", None),
        ("gsm8k-2", "gsm8k", 2),
        ("math--1", "math", None),
        ("math-2", "math", 2),
    ]


def test_a_hub_that_cannot_be_reached(cache, monkeypatch):
    def fail(*_, **__):
        raise ConnectionError("no way\nmore")

    monkeypatch.setattr(cache, "load_dataset", fail)
    with pytest.raises(InputError, match=r"^owner/name: cannot be loaded: no way(\n|$)"):
        rows_of("owner/name")


@pytest.mark.parametrize("source", ["gone.jsonl", "here/gone", "./gone", "gone", "/gone/at/all", Path("owner/name")])
def test_a_path_that_is_not_there(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    with pytest.raises(InputError, match=rf"^{source}: there is no such file or folder(\n|$)"):
        read_suite("processbench", source, Drops())


def test_wrong_use(tmp_path):
    path = write(tmp_path / "rows.jsonl", ROWS["pairs"])
    with pytest.raises(InputError, match="unknown suite 'pair'"):
        read_suite("pair", path, Drops())
    with pytest.raises(InputError, match="unknown splitter 'word'"):
        read_suite("pairs", path, Drops(), splitter="word")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no file of rows"):
        read_suite("pairs", tmp_path / "empty", Drops())
    (tmp_path / "rows.txt").write_text("a,b")
    with pytest.raises(InputError, match="is not a file of rows"):
        read_suite("pairs", tmp_path / "rows.txt", Drops())
    (tmp_path / "broken.jsonl.gz").write_bytes(gzip.compress(b'{"x": 1}' * 999)[:20])
    with pytest.raises(InputError, match="cannot be read"):
        read_suite("pairs", tmp_path / "broken.jsonl.gz", Drops())
    (tmp_path / "none.json").write_text("[]")
    with pytest.raises(InputError, match="it is empty"):
        read_suite("pairs", tmp_path / "none.json", Drops())


def test_a_suite_has_rows_or_files_of_its_own(tmp_path):
    assert {name for name, suite in SUITES.items() if (suite.read is None) == (suite.judge is None)} == set()
    assert set(SUITES) - set(PUBLIC) == {"best-of-n", "world"}
    with pytest.raises(InputError, match="world is a suite of your own problems and chains"):
        read_suite("world", write(tmp_path / "rows.jsonl", {}), Drops())
    with pytest.raises(InputError, match="pairs is not a suite of problems and chains"):
        read_own("pairs", tmp_path / "p.jsonl", tmp_path / "c.jsonl", Drops())


def test_what_was_read_knows_the_rule_and_the_note_of_its_suite(tmp_path):
    more = {"rewardmath": [ROWS["rewardmath"] | {"solution_type": "rejected", "eval_solution": ["c"]}]}
    read_rows = {name: read(tmp_path, name, ROWS[name], *more.get(name, []))[0] for name in PUBLIC}
    assert {name: (data.rule, data.note) for name, data in read_rows.items()} == {
        name: (suite.rule, suite.note) for name, suite in PUBLIC.items()
    }
    rules = {name: suite.rule for name, suite in SUITES.items() if suite.rule != "pairs"}
    assert rules == {"rewardbench": "sections", "rm-bench": "styles", "rewardbench-2": "best", "rewardmath": "best"}


def test_the_rows_of_one_problem_of_rewardmath_are_one_comparison(tmp_path):
    row = ROWS["rewardmath"]
    rows = [
        row | {"problem_id": problem, "problem": f"p{problem}", "solution_type": kind, "eval_solution": [kind, str(i)]}
        for problem in (4, 7)
        for i, kind in enumerate(("rejected", "chosen", "rejected"))
    ]
    data, drops = read(tmp_path, "rewardmath", *rows, rows[0] | {"problem_id": 9})
    assert [(c.id, c.better, c.worse) for c in data.truths] == [
        (f"rows/{problem}", (f"rows/{problem}/0",), (f"rows/{problem}/1", f"rows/{problem}/2")) for problem in (4, 7)
    ]
    assert data.chains["rows/7/0"].steps == ("chosen\n", "1\n")
    assert drops == {NO_ANSWER: 1}


def test_hard2verify_is_decrypted(tmp_path):
    plain = ROWS["hard2verify"]
    key = hashlib.sha256(b"do not train").digest()

    def hidden(value):
        text = value if isinstance(value, str) else json.dumps(value)
        return base64.b64encode(bytes(c ^ key[i % 32] for i, c in enumerate(text.encode()))).decode()

    names = ("question", "model_response_by_step", "human_labels")
    row = plain | {name: hidden(plain[name]) for name in names} | {"canary": "do not train"}
    assert read(tmp_path, "hard2verify", row)[0] == read(tmp_path, "hard2verify", plain)[0]


def test_each_response_of_ppe_is_an_answer_of_its_own(tmp_path):
    data, _ = read(tmp_path, "ppe", ROWS["ppe"])
    (pool,) = make_pools(data.truths, data.problems, data.chains, Drops())
    assert (pool.is_right, len(set(pool.groups)), None in pool.groups) == ((T, F, F), 3, False)


@pytest.mark.parametrize(
    ("label", "prediction", "is_found"),
    [(1, 1, T), (1, "1", T), (1, 0, F), (1, -1, F), (1, None, F), (1, 9, F), (-1, -1, T), (-1, 2, F), (-1, None, F)],
)
def test_a_critics_prediction_is_found_or_not_and_null_is_not(tmp_path, label, prediction, is_found):
    data, _ = read(tmp_path, "processbench", ROWS["processbench"] | {"label": label, "prediction": prediction})
    (scores,) = data.stored["critic"].values()
    called = next((i for i, score in enumerate(scores.scores) if score <= 0.5), -1)
    assert (called == label) == is_found


def test_importing_the_suites_is_light():
    heavy = ("torch", "datasets", "transformers")
    code = f"import sys, prm.benchmarks.suites; print([m for m in {heavy} if m in sys.modules])"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_document_lists_the_suites():
    text = (ROOT / "docs" / "suites.md").read_text(encoding="utf-8")
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| `")
    ]
    listed = {row[0].strip("` |"): (row[1], row[3]) for row in cells}
    assert listed == {
        name: (suite.protocol, "-" if suite.base is None else str(suite.base)) for name, suite in PUBLIC.items()
    }


OTHER_FILES = {"a field of the wrong kind": 47, "lacks a field": 1}
COUNTS = [
    # suite, source, problems, chains, truths, scorers, dropped
    ("processbench", "processbench", 427, 531, 531, 0, {}),
    ("mr-gsm8k", "mr_gsm8k_subset", 75, 80, 80, 8, {}),
    ("mr-math", "mr_math/mr-math_invalid_errors_with_scores.jsonl", 22, 26, 26, 8, {}),
    ("mr-math-redundant", "mr_math/mr-math_redundant_errors_with_scores.jsonl", 39, 51, 51, 8, {}),
    ("mr-ben", "mr_ben", 49, 147, 147, 0, {}),
    ("big-bench-mistake", "big_bench_mistake", 108, 108, 108, 0, {}),
    ("mathcheck", "mathcheck", 68, 68, 68, 0, {"another task": 340}),
    ("prmbench", "prmbench", 331, 1055, 1055, 0, {NO_SUCH: 16, TWICE: 83}),
    ("prm800k", "prm800k_phase1/phase1_test_chains.jsonl", 20, 264, 264, 0, {}),
    ("prm800k", "prm800k_phase1/phase1_train_chains.jsonl.gz", 135, 2366, 2366, 0, {}),
    ("prm800k", "prm800k_phase1", 157, 2670, 2670, 0, OTHER_FILES),
    ("search-and-learn", "sal_bon_prm", 4, 544, 10, 3, {}),
    ("qwen-harness", "qwen_math_bon8", 21, 168, 21, 1, {}),
    ("candidates", "gsm8k_candidates/gsm8k_bon16.jsonl", 183, 2928, 183, 0, {}),
    ("rm-bench", "rm_bench", 43, 258, 43, 0, {}),
    ("judgebench", "judgebench", 86, 206, 103, 0, {}),
    ("judgebench", "judgebench/rm_scores", 57, 114, 57, 1, {}),
    ("llmbar", "llmbar", 132, 312, 156, 0, {}),
]


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


def sample(suite, source):
    drops = Drops()
    return read_suite(suite, SAMPLES / source, drops), drops.by_reason()


@needs_samples
@pytest.mark.parametrize(("suite", "source", "problems", "chains", "truths", "scorers", "dropped"), COUNTS)
def test_samples(suite, source, problems, chains, truths, scorers, dropped):
    data, drops = sample(suite, source)
    counts = (len(data.problems), len(data.chains), len(data.truths), len(data.stored))
    assert (counts, drops) == ((problems, chains, truths, scorers), dropped)
    assert {chain.problem_id for chain in data.chains.values()} == set(data.problems)
    for own in data.stored.values():
        for chain_id, scores in own.items():
            assert scores.problem_id == data.chains[chain_id].problem_id
            assert len(scores.scores) == (1 if scores.kind == "orm" else len(data.chains[chain_id].steps))


def first_below(scores, threshold=0.5):
    return next((i for i, score in enumerate(scores) if score < threshold), None)


def lowest(scores):
    return scores.index(min(scores))


@needs_samples
def test_labels_and_scores_of_mr_gsm8k_belong_together():
    """Of all 590 rows Math-Shepherd finds 330 by its first score below 0.5 (56%); one step off, it would find few."""
    data, _ = sample("mr-gsm8k", "mr_gsm8k_subset")
    shepherd, reasoneval = (data.stored[n] for n in ("math-shepherd_mistral-7b", "reasoneval_wizardmath-7b-v1.1"))
    assert sum(first_below(shepherd[t.chain_id].scores) == t.first_error for t in data.truths) == 44
    shifts = [
        sum(lowest(reasoneval[t.chain_id].scores) == t.first_error + by for t in data.truths) for by in (-1, 0, 1)
    ]
    assert shifts == [2, 55, 10]


@needs_samples
def test_mr_math_has_right_answers_and_wrong_steps():
    data, _ = sample("mr-math", "mr_math/mr-math_invalid_errors_with_scores.jsonl")
    assert {t.is_answer_right for t in data.truths} == {True}
    assert sum(t.first_error is None for t in data.truths) == 6
    first = next(t for t in data.truths if t.chain_id.endswith("/11"))
    assert first.steps == (T, F, N, N, N)
    several = [c for c in data.chains.values() if any("\n" in step.strip() for step in c.steps)]
    assert len(several) == 12, "of 26 chains, those with a step of several lines"


@needs_samples
def test_the_wrong_step_of_mr_ben_is_the_one_that_says_its_number():
    """In physics a blank line follows most steps: the second wrong step is the third line."""
    rows = [json.loads(line) for name in ("math", "physics") for line in lines(SAMPLES / "mr_ben" / f"{name}.json")]
    data, _ = sample("mr-ben", "mr_ben")
    truths = {t.chain_id: t for t in data.truths}
    wrong = [row for row in rows if row["Model_Solution_First_Error_Step"] != "N/A"]
    assert len(wrong) == 98
    for row in wrong:
        truth = truths[f"{row['Question_UUID']}/{row['Sampled_Model']}"]
        step = data.chains[truth.chain_id].steps[truth.first_error]
        assert step.startswith(f"Step {row['Model_Solution_First_Error_Step']}:")


@needs_samples
def test_mathcheck_names_the_step_that_says_its_number():
    rows = json.loads((SAMPLES / "mathcheck" / "gsm_checklist.json").read_text(encoding="utf-8"))
    answers = {f"gsm_checklist/{row['id']}": row["answer"] for row in rows if row["task_type"] == "process_judging"}
    data, _ = sample("mathcheck", "mathcheck")
    for truth in data.truths:
        assert data.chains[truth.chain_id].steps[truth.first_error].startswith(f"{answers[truth.chain_id]}:")


@needs_samples
def test_prmbench_marks_what_its_rows_mark():
    data, _ = sample("prmbench", "prmbench/prm800k_test_p1_4o_circular.jsonl")
    assert data.truths[0].steps == (T, T, F, F, F, T, T)
    data, _ = sample("prmbench", "prmbench/prm_test_p12_multi_solutions.jsonl")
    assert {value for t in data.truths for value in t.steps} == {True}


@needs_samples
def test_prm800k_has_as_many_ratings_as_different_steps():
    """Of 3,153 rated places in the test file 504 differ, and of 29,154 in the train file 4,007."""
    for name, count in (("test_chains.jsonl", 504), ("train_chains.jsonl.gz", 4007)):
        data, _ = sample("prm800k", f"prm800k_phase1/phase1_{name}")
        assert sum(value is not None for t in data.truths for value in t.steps) == count


@needs_samples
@pytest.mark.parametrize(
    "name", ["bayesprm_llama3.2-1b_n256_complete", "bayesprm_previous_llama3.2-1b_n4", "scatyf3_llama3.2-3b_n4"]
)
def test_the_last_stored_score_is_the_aggregated_one(name):
    path = SAMPLES / "sal_bon_prm" / f"{name}.jsonl"
    rows = [json.loads(line) for line in lines(path)]
    data = read_suite("search-and-learn", path, Drops())
    (scores,) = data.stored.values()
    for row, truth in zip(rows, data.truths, strict=True):
        assert [scores[i].scores[-1] for i in truth.chain_ids] == row["agg_scores"]
        assert [data.chains[i].text for i in truth.chain_ids] == row["completions"]


@needs_samples
def test_judgebench_scores_decide_as_the_file_says():
    path = SAMPLES / "judgebench" / "rm_scores" / "Skywork_Skywork-Reward-Llama-3.1-8B.jsonl"
    rows = [json.loads(line) for line in lines(path)]
    data = read_suite("judgebench", path, Drops())
    (scores,) = data.stored.values()
    right = [scores[t.better[0]].scores > scores[t.worse[0]].scores for t in data.truths]
    assert right == [row["judgments"][0]["decision"] == row["label"] for row in rows]
    assert sum(right) == 35, "of 57, 61%"


@needs_samples
def test_processbench_counts_of_right_chains():
    data, _ = sample("processbench", "processbench")
    rows = {r["id"]: r for p in sorted((SAMPLES / "processbench").glob("*.json")) for r in json.loads(p.read_text())}
    assert all((t.first_error if t.first_error is not None else -1) == rows[t.chain_id]["label"] for t in data.truths)
    assert all(t.is_answer_right == rows[t.chain_id]["final_answer_correct"] for t in data.truths)
