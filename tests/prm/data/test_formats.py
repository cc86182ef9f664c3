"""Other tools' files: each label stays at its step, and a row that is not what its format says is dropped."""

import json

import pytest
from places import ROOT, SAMPLES

from prm import Chain, InputError, Problem, StepLabels, read_records
from prm.data.drops import Drops
from prm.data.formats import FORMATS, FORMATS_READ, read_public, tell_format
from prm.data.formats.solutions import KnownProblems, Reading

needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no sample data in {SAMPLES}; set PRM_SAMPLE_DATA")
T, F, N = True, False, None


def write(path, *rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read(tmp_path, name, *rows, **reading):
    """What is read of rows, and what is dropped."""
    drops = Drops()
    found = list(read_public(write(tmp_path / "rows.jsonl", *rows), name, Reading(**reading), drops))
    return found, drops.by_reason()


def summary(found):
    """(problem, steps, hard, soft) of each chain."""
    return [(p.text, c.steps, x.hard, x.soft) for p, c, x in found]


def turns(*contents):
    return [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]


SHEPHERD = {
    "input": "How many? Step 1: 3 + 4 = 7 ки\nStep 2: 7 - 1 = 5 ки",
    "label": "How many? Step 1: 3 + 4 = 7 +\nStep 2: 7 - 1 = 5 -",
    "task": "GSM8K",
}
STEPS = ("Step 1: 3 + 4 = 7\n", "Step 2: 7 - 1 = 5\n")
RAW = {
    "question": {"problem": "How many?", "ground_truth_answer": "6"},
    "label": {
        "steps": [
            {"completions": [{"text": "a", "rating": 1}], "human_completion": None, "chosen_completion": 0},
            {
                "completions": [{"text": "b", "rating": -1}, {"text": "c\n\n# Answer\n\n6", "rating": 0}],
                "human_completion": {"text": "own", "rating": None},
                "chosen_completion": None,
            },
            {"completions": [{"text": "d\n\n# Answer\n\n6", "rating": 1}], "chosen_completion": 0},
        ],
        "finish_reason": "solution",
    },
}
TREE = {
    "text": "How many?",
    "mc_value": 0.5,
    "children": [
        {"text": "a", "mc_value": 0.25, "children": [{"text": "b\n\nc", "mc_value": 1.0, "children": []}]},
        {"text": "d", "mc_value": 0.0, "children": []},
    ],
}
FLAT = {
    "question": "How many?",
    "final_answer": "6",
    "reasoning_steps": [
        {"solution_prefix": "How many?", "mc_value": 0.5},
        {"solution_prefix": "How many?\n\na\n\nb\n\nc", "mc_value": 1.0},
        {"solution_prefix": "How many?\n\na", "mc_value": 0.25},
        {"solution_prefix": "How many?\n\nd", "mc_value": 0.0},
    ],
}
GROWN = [
    ("How many?", ("a\n", "b\n\nc\n"), (T, T), (0.25, 1.0)),
    ("How many?", ("d\n",), (F,), (0.0,)),
]

READ = {
    "math-shepherd": ("math-shepherd", SHEPHERD, [("How many?", STEPS, (T, F), (N, N))]),
    # TRL drops the first label of such a row, and puts the end of its prompt into the first step
    "math-shepherd, tag in the prompt": (
        "math-shepherd",
        {
            "input": "Round to tenths. ки\nHow many? Step 1: 3 ки\nStep 2: 4 ки",
            "label": "Round to tenths. -\nHow many? Step 1: 3 +\nStep 2: 4 +",
        },
        [("Round to tenths.\nHow many?", ("Step 1: 3\n", "Step 2: 4\n"), (T, T), (N, N))],
    ),
    "math-shepherd, tag at the prompt's end": (
        "math-shepherd",
        {"input": "How many? ки\nStep 1: 3 ки", "label": "How many? -\nStep 1: 3 +"},
        [("How many?", ("Step 1: 3\n",), (T,), (N,))],
    ),
    # the word stands in both texts, so it is no tag; nor are the signs of sums marks
    "math-shepherd, the tag in a word": (
        "math-shepherd",
        {
            "input": "Сумки? Step 1: две сумки + 1 - 1 ки\nStep 2: ки - 2\n\n+ ки",
            "label": "Сумки? Step 1: две сумки + 1 - 1 -\nStep 2: ки - 2\n\n+ +",
        },
        [("Сумки?", ("Step 1: две сумки + 1 - 1\n", "Step 2: ки - 2\n\n+\n"), (F, T), (N, N))],
    ),
    "openrlhf": (
        "openrlhf",
        {"input": SHEPHERD["input"], "value": ["+", "-"]},
        [("How many?", STEPS, (T, F), (N, N))],
    ),
    "openrlhf, shares": (
        "openrlhf",
        {"input": SHEPHERD["input"], "value": [0.25, 0.0]},
        [("How many?", STEPS, (T, F), (0.25, 0.0))],
    ),
    "openrlhf, label of a tag in the prompt": (
        "openrlhf",
        {"input": "Round. ки\nHow many? Step 1: 3 ки", "value": [0.0, 1.0]},
        [("Round.\nHow many?", ("Step 1: 3\n",), (T,), (1.0,))],
    ),
    "rlhflow": (
        "rlhflow",
        {"conversations": turns("How many? Step 1: 3 + 4 = 7", "+", "Step 2: 7 - 1 = 5", "-")},
        [("How many?", STEPS, (T, F), (N, N))],
    ),
    "trl": (
        "trl",
        {"prompt": "How many?", "completions": ["a ки +", "b\n\nb"], "labels": [False, True]},
        [("How many?", ("a ки +\n", "b\n\nb\n"), (F, T), (N, N))],
    ),
    # a share after a failure is not raised, and none is lowered
    "trl, shares": (
        "trl",
        {"prompt": "How many?", "completions": ["a", "b", "c"], "labels": [0.0, 0.125, 1.0]},
        [("How many?", ("a\n", "b\n", "c\n"), (F, T, T), (0.0, 0.125, 1.0))],
    ),
    "trl, 0 and 1": (
        "trl",
        {"prompt": "How many?", "completions": ["a", "b"], "labels": [1, 0]},
        [("How many?", ("a\n", "b\n"), (T, F), (N, N))],
    ),
    # a writer that leaves the point out of 1.0 and 0.0
    "trl, shares without a point": (
        "trl",
        {"prompt": "How many?", "completions": ["a", "b", "c"], "labels": [1, 0.5, 0]},
        [("How many?", ("a\n", "b\n", "c\n"), (T, T, F), (1.0, 0.5, 0.0))],
    ),
    "openrlhf, shares without a point": (
        "openrlhf",
        {"input": SHEPHERD["input"], "value": [0.9, 0]},
        [("How many?", STEPS, (T, F), (0.9, 0.0))],
    ),
    # each alternative ends a chain; the person's own step was rated by nobody
    "prm800k, raw": (
        "prm800k",
        RAW,
        [
            ("How many?", ("a\n", "b\n"), (T, F), (1.0, 0.0)),
            ("How many?", ("a\n", "c\n\n# Answer\n\n6\n"), (T, T), (1.0, 1.0)),
            ("How many?", ("a\n", "own\n", "d\n\n# Answer\n\n6\n"), (T, N, T), (1.0, N, 1.0)),
        ],
    ),
    "trajectories": (
        "trajectories",
        {"messages": [{"role": "system", "content": "S."}, *turns("Go.", "a", "Sure?", "b")], "step_labels": [1, -1]},
        [("system: S.\n\nuser: Go.", ("assistant: a\n", "user: Sure?\n\nassistant: b\n"), (T, F), (N, N))],
    ),
    "math-aps, tree": ("math-aps", TREE, GROWN),
    "math-aps, tree in a row": ("math-aps", {"question": "How many?", "reasoning_steps": TREE}, GROWN),
    "math-aps, flat": ("math-aps", FLAT, GROWN),
}  # fmt: skip


@pytest.mark.parametrize(("name", "row", "expected"), READ.values(), ids=READ)
def test_labels_come_out_at_their_steps(tmp_path, name, row, expected):
    found, dropped = read(tmp_path, name, row)
    assert dropped == {}
    assert summary(found) == expected
    assert all(sum(x.right + x.wrong) == 0 for _, _, x in found if "given" in x.known), "no mark counts as a rollout"


@pytest.mark.parametrize(
    ("name", "row", "outcomes"),
    [
        ("math-shepherd", SHEPHERD, ["incorrect"]),
        ("rlhflow", {"conversations": turns("How many? Step 1: 3", "+")}, ["correct"]),
        ("prm800k", RAW, ["incorrect", "correct", "correct"]),
        ("trl", {"prompt": "q", "completions": ["a"], "labels": [True]}, ["no_answer"]),
        ("openrlhf", {"input": "q Step 1: a ки", "value": ["+"]}, ["no_answer"]),
        ("math-aps", FLAT, ["no_answer", "no_answer"]),
    ],
)
def test_the_verdict_on_the_answer_is_what_the_format_tells_of_it(tmp_path, name, row, outcomes):
    found, _ = read(tmp_path, name, row)
    assert [x.outcome for _, _, x in found] == outcomes


def change(text, **fields):
    return {**SHEPHERD, **{name: SHEPHERD[name].replace(*text) for name in ("input", "label")}, **fields}


UNCLEAR = "it is not clear where the first step begins"
APART = "input and label differ in more than the tags"
UNREADABLE = "a label that cannot be read"
NUMBERS, IN_WORD = "labels and tags differ in number", "a tag inside a word"
TURNS = "turns that do not alternate between user and assistant"
VALUED = {"input": SHEPHERD["input"]}
UNUSABLE = {
    "no mark of a step": ("math-shepherd", change(("Step 1:", "First:")), UNCLEAR),
    "two marks": ("math-shepherd", change(("How", "Step 1: read. How")), UNCLEAR),
    "other text": ("math-shepherd", SHEPHERD | {"label": SHEPHERD["label"].replace("3 + 4", "4 + 3")}, APART),
    "a sign missing": ("math-shepherd", SHEPHERD | {"label": SHEPHERD["label"][:-1]}, APART),
    "another sign": ("math-shepherd", SHEPHERD | {"label": SHEPHERD["label"][:-1] + "0"}, APART),
    "more label": ("math-shepherd", SHEPHERD | {"label": SHEPHERD["label"] + " +"}, APART),
    "no last tag": ("math-shepherd", {"input": "q Step 1: a ки\nStep 2: b", "label": "q Step 1: a +\nStep 2: b"},
                    "text after the last tag"),
    "no tag": ("math-shepherd", {"input": "q Step 1: a", "label": "q Step 1: a"}, "text after the last tag"),
    "no text": ("math-shepherd", {"input": "", "label": ""}, UNCLEAR),
    "no problem": ("math-shepherd", {"input": "Step 1: a ки", "label": "Step 1: a +"}, "a problem that is blank"),
    "tag twice": ("math-shepherd", {"input": "q Step 1: a ки ки", "label": "q Step 1: a + +"}, "a step that is blank"),
    # a tool that puts a sign in the place of every ки makes two steps of one
    "tag in a word": ("math-shepherd", {"input": "q Step 1: сумки ки", "label": "q Step 1: сум+ +"}, IN_WORD),
    "tag in a word, valued": ("openrlhf", {"input": "q Step 1: сумки ки", "value": [0.5, 1.0]}, IN_WORD),
    "tag in a step": ("openrlhf", {"input": "q Step 1: a ки b ки", "value": ["+"]}, NUMBERS),
    "few values": ("openrlhf", {**VALUED, "value": ["+"]}, NUMBERS),
    "a value of another kind": ("openrlhf", {**VALUED, "value": ["+", "good"]}, UNREADABLE),
    "a value out of range": ("openrlhf", {**VALUED, "value": [0.5, 1.5]}, UNREADABLE),
    "a value that is no number": ("openrlhf", {**VALUED, "value": [0.5, float("nan")]}, UNREADABLE),
    "system turn": ("rlhflow", {"conversations": [{"role": "system"}, *turns("q Step 1: a", "+")]}, TURNS),
    "unanswered turn": ("rlhflow", {"conversations": turns("q Step 1: a", "+", "b")}, TURNS),
    "another answer": ("rlhflow", {"conversations": turns("q Step 1: a", "yes")}, UNREADABLE),
    "no conversation": ("rlhflow", {"conversations": []}, TURNS),
    "few labels": ("trl", {"prompt": "q", "completions": ["a"], "labels": []}, "labels and steps differ in number"),
    "blank step": ("trl", {"prompt": "q", "completions": ["a", "\n"], "labels": [True, False]}, "a step that is blank"),
    "steps a text": ("trl", {"prompt": "q", "completions": "ab", "labels": [True, False]}, "a field of the wrong kind"),
    "no steps": ("trl", {"prompt": "q", "completions": [], "labels": []}, "empty chain"),
    "no such choice": ("prm800k", {"question": {"problem": "q"}, "label": {"steps": [
        {"completions": [{"text": "a", "rating": 1}], "chosen_completion": 3},
    ]}}, "the chosen completion is missing"),
    "rating of another kind": ("prm800k", {"problem": "q", "steps": ["a"], "step_ratings": [2]}, UNREADABLE),
    "tree without leaves": ("math-aps", {"text": "q", "mc_value": 0.5, "children": []}, "no solution in it"),
    "value of another kind": ("math-aps", {"text": "q", "mc_value": 1.0, "children": [
        {"text": "a", "mc_value": "+", "children": []}]}, UNREADABLE),
    "no field of a text": ("text", {"problem": "q"}, "lacks a field"),
    "an empty text": ("text", {"problem": "q", "solution": " "}, "empty chain"),
}  # fmt: skip


GOOD = {name: row for name, row, _ in READ.values()} | {"text": {"problem": "q", "solution": "a"}}


@pytest.mark.parametrize(("name", "row", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_row_that_cannot_be_used_is_dropped_with_its_reason(tmp_path, name, row, reason):
    found, dropped = read(tmp_path, name, row, GOOD[name])
    assert dropped == {reason: 1}
    assert found, "the next row is read"
    path = write(tmp_path / "alone.jsonl", row)
    with pytest.raises(InputError, match=rf"alone\.jsonl:1: {reason}"):
        list(read_public(path, name))


def test_a_bad_solution_takes_none_of_its_row_with_it(tmp_path):
    found, dropped = read(tmp_path, "text", {"question": "q", "answer": 6, "solutions": ["a\nb", "", "c"]})
    assert [c.steps for _, c, _ in found] == [("a\n", "b"), ("c",)]
    assert dropped == {"empty chain": 1}
    assert [(p.answer, labels) for p, _, labels in found] == [("6", None)] * 2


def test_ids_go_by_the_problem_and_none_comes_twice(tmp_path):
    rows = [{"problem": q, "solution": "a"} for q in ("q", "r", " q\n", "r")]
    found, _ = read(tmp_path, "text", *rows)
    assert [(p.id, c.id) for p, c, _ in found] == [
        ("rows-1", "rows-1/0"), ("rows-2", "rows-2/0"), ("rows-1", "rows-1/1"), ("rows-2", "rows-2/1"),
    ]  # fmt: skip
    rated = {"id": "x", "problem": "q", "steps": ["a"], "step_ratings": [1]}
    found, dropped = read(tmp_path, "prm800k", rated, rated)
    assert ([c.id for _, c, _ in found], dropped) == (["x"], {"its id comes twice": 1})


def test_a_known_problem_tells_where_a_solution_begins_and_gives_its_id_and_answer(tmp_path):
    known = KnownProblems([Problem("k", "How many?\n", "6"), Problem("rows-1", "How many? Now", "7")])
    said = [
        {"conversations": turns("How many? First, a", "+", "b", "-")},
        {"conversations": turns("How many? Now. a", "+")},
        {"conversations": turns("Why? Step 1: a", "+")},
        {"conversations": turns("Which? a", "+")},
        {"conversations": turns("How many? And why? Step 1: a", "+")},
        {"conversations": turns("How many? a", "+", "by Step 1: b", "+")},
    ]
    found, dropped = read(tmp_path, "rlhflow", *said, known=known)
    assert [(p.id, p.answer, c.steps) for p, c, _ in found] == [
        ("k", "6", ("First, a\n", "b\n")),
        ("k", "6", ("Now. a\n",)),
        ("rows-2", None, ("Step 1: a\n",)),
    ]
    assert dropped == {UNCLEAR: 3}


def test_a_prefix_with_two_values_has_none(tmp_path):
    again = FLAT["reasoning_steps"] + [{"solution_prefix": "How many?\n\na", "mc_value": 0.75}]
    found, _ = read(tmp_path, "math-aps", FLAT | {"reasoning_steps": again})
    assert [x.soft for _, _, x in found] == [(None, 1.0), (0.0,)]


def test_neutral_is_right_unless_a_person_says_otherwise(tmp_path):
    found, _ = read(tmp_path, "prm800k", RAW, neutral_is_right=False)
    assert [x.hard for _, _, x in found] == [(T, F), (T, F), (T, N, T)]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_does_something_and_is_documented(name):
    known = FORMATS[name]
    assert known.read or known.write
    assert f"\n| `{name}` |" in (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [n for n in FORMATS_READ if FORMATS[n].fields])
def test_a_format_is_told_by_its_fields(tmp_path, name):
    assert tell_format(write(tmp_path / "rows.jsonl", GOOD[name])) == name


@pytest.mark.parametrize("row", [SHEPHERD | {"value": ["+", "-"]}, {"inputs": "", "labels": ""}, GOOD["text"]])
def test_a_format_is_never_guessed(tmp_path, row):
    with pytest.raises(InputError, match=r"rows\.jsonl:1: has the fields of (more than one|no) format"):
        tell_format(write(tmp_path / "rows.jsonl", row))


@pytest.mark.parametrize(
    "text", [json.dumps(TREE, indent=4), json.dumps([TREE, TREE]), json.dumps(TREE) + "\n" + json.dumps(TREE)]
)
def test_json_over_many_lines_is_read(tmp_path, text):
    (tmp_path / "question_0.json").write_text(text, encoding="utf-8")
    assert summary(read_public(tmp_path / "question_0.json", "math-aps"))[:2] == GROWN


@needs_samples
def test_real_math_shepherd_rows_are_as_their_split_form_says():
    folder = SAMPLES / "math_shepherd_slice"
    split = [json.loads(x) for x in (folder / "math-shepherd_first100_split.jsonl").read_text("utf-8").splitlines()]
    found = list(read_public(folder / "math_shepherd_100_rawstyle.jsonl", "math-shepherd"))
    for row, (problem, chain, labels) in zip(split, found, strict=True):
        assert problem.text == row["questions"].strip()
        expected = [f"{name}: {step['content']}\n" for name, step in row["solution"].items()]
        assert list(chain.steps) == expected
        assert list(labels.hard) == [step["label"] == 1 for step in row["solution"].values()]


@needs_samples
def test_real_raw_ratings_hold_the_chains_derived_from_them():
    folder = SAMPLES / "prm800k_phase1"
    raw = {c.steps: x for _, c, x in read_public(folder / "openr_samples_prm800k_rawformat.jsonl", "prm800k")}
    derived = [r for r in read_public(folder / "phase1_test_chains.jsonl", "prm800k") if "Three pencils" in r[0].text]
    assert len(derived) == 6
    for _, chain, labels in derived[:5]:
        assert raw[chain.steps].hard == labels.hard
    accepted, taken = derived[5], next(steps for steps in raw if steps[-1].startswith("That means a pencil costs 29"))
    assert taken[:-1] == accepted[1].steps[:-1]
    assert raw[taken].hard == accepted[2].hard


def test_import_writes_three_files_and_what_was_dropped(prm, tmp_path):
    write(tmp_path / "rows.jsonl", SHEPHERD, UNUSABLE["two marks"][1])
    code, _, said = prm("import", "rows.jsonl", "--out", "in")
    assert code == 0
    assert "read as math-shepherd" in said
    assert "1 dropped (it is not clear where the first step begins)" in said
    parts = {"problems": Problem, "chains": Chain, "labels": StepLabels}
    assert [len(list(read_records(tmp_path / "in" / f"{name}.jsonl", kind))) for name, kind in parts.items()] == [1] * 3
    (drop,) = (tmp_path / "in" / "chains.jsonl.dropped.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(drop)["id"] == "rows:2"
    assert "already there" in prm("import", "rows.jsonl", "--out", "in")[2]
    assert "other settings" in prm("import", "rows.jsonl", "--tag", "x", "--out", "in")[2]


def test_import_never_writes_over_files_of_another_making(prm, tmp_path):
    write(tmp_path / "labels.jsonl", SHEPHERD)
    code, _, said = prm("import", "labels.jsonl", "--out", ".")
    assert code == 1
    assert "labels.jsonl: is to be written, but holds the input 'file'" in said
    assert not (tmp_path / "chains.jsonl").exists()
    assert (tmp_path / "labels.jsonl").stat().st_size > 0


def test_an_answer_that_any_row_has_is_the_problems(prm, tmp_path):
    rows = [{"problem": "q", "solution": "a"}, {"problem": "q", "solution": "b", "answer": "6"}]
    write(tmp_path / "rows.jsonl", *rows, rows[0])
    assert prm("import", "rows.jsonl", "--format", "text", "--out", "in")[0] == 0
    assert [p.answer for p in read_records(tmp_path / "in" / "problems.jsonl", Problem)] == ["6"]
    assert not (tmp_path / "in" / "labels.jsonl").exists()
