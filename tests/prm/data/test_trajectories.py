"""Messages of an agent: one step for each of its turns, which ends where it ends, in every file that has them."""

import json
import re

import pytest
from conftest import write_prm
from documents import blocks

from prm.data.drops import Drops
from prm.data.files import ProblemFile, Unreadable, read_chains, read_each_chain, read_problems
from prm.data.formats import read_public, tell_format
from prm.data.formats.solutions import KnownProblems, Reading
from prm.data.formats.trajectories import turns_of
from prm.data.records import Chain, Problem
from prm.errors import InputError

T, F, N = True, False, None


def says(role, content, *calls):
    made = [{"id": "c", "type": "function", "function": call} for call in calls]
    return {"role": role, "content": content, "tool_calls": made or None}


def user(content):
    return says("user", content)


def agent(content, *calls):
    return says("assistant", content, *calls)


def tool(content):
    return says("tool", content)


def parts(*texts):
    return [{"type": "text", "text": text} for text in texts]


SEEN = [
    user("How many pens?"),
    agent(None, {"name": "count", "arguments": '{"of": "pens"}'}, {"name": "look", "arguments": {"at": "the désk"}}),
    tool("6"),
    tool("a lamp"),
    agent("Six.\n"),
    user("Sure?"),
    agent(None),
    tool("nobody reads this"),
]
"""Two calls at once and their results; words of the user in between; a turn without words; a result at the end."""
STEPS = (
    'assistant: count({"of": "pens"})\nlook({"at": "the désk"})\n',
    "tool: 6\n\ntool: a lamp\n\nassistant: Six.\n",
    "user: Sure?\n\nassistant:\n",
)
SHAPES = {
    "a call, results, words in between, an observation at the end": (SEEN, "How many pens?", STEPS, (1, 4, 6)),
    "parts of content": (
        [user(parts("How many", "pens?")), agent(parts("Six."), {"name": "count", "arguments": "{}"})],
        "How many\npens?",
        ("assistant: Six.\ncount({})\n",),
        (1,),
    ),
    "a system message": (
        [says("system", "Be brief."), user("How many?"), agent("6")],
        "system: Be brief.\n\nuser: How many?",
        ("assistant: 6\n",),
        (2,),
    ),
    "two turns in a row": ([user("q"), agent("a"), agent("b")], "q", ("assistant: a\n", "assistant: b\n"), (1, 2)),
    "the agent speaks first": ([agent("a"), user("q"), agent("b")], "",
                               ("assistant: a\n", "user: q\n\nassistant: b\n"), (0, 2)),
    "nobody answers": ([user("q"), tool("6")], "user: q\n\ntool: 6", (), ()),
    "nothing": ([], "", (), ()),
}  # fmt: skip


@pytest.mark.parametrize(("messages", "problem", "steps", "places"), SHAPES.values(), ids=SHAPES)
def test_a_step_is_a_turn_and_ends_where_the_agent_ends(messages, problem, steps, places):
    turns = turns_of(messages)
    assert (turns.problem, turns.steps, turns.places) == (problem, steps, places)


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["messages", "trajectory", "conversations"])
def test_a_row_is_a_problem_and_a_chain(tmp_path, name):
    path = write(tmp_path / "t.jsonl", {name: SEEN, "answer": 6, "finish": "stop"}, {name: SEEN, "id": "own"})
    assert list(read_chains(path)) == [Chain("t-1/0", "t-1", STEPS, "stop"), Chain("own/0", "own", STEPS)]
    assert list(read_problems(path)) == [Problem("t-1", "How many pens?", "6"), Problem("own", "How many pens?")]


def test_fields_of_solutions_and_questions_come_first(tmp_path):
    """As before messages were read; null is no field."""
    full = {"id": "p", "question": "q", "solution": "a\nb", "messages": SEEN}
    path = write(tmp_path / "t.jsonl", full, {"id": "r", "solution": None, "messages": SEEN})
    assert [chain.steps for chain in read_chains(path)] == [("a\n", "b"), STEPS]
    assert [problem.text for problem in read_problems(path)] == ["q", "How many pens?"]


def test_the_splitter_does_not_cut_a_turn(tmp_path):
    path = write(tmp_path / "t.jsonl", {"messages": [user("q"), agent("a\n\nb"), user("And?"), agent("c")]})
    (chain,) = read_chains(path, "blank-line")
    assert chain.steps == ("assistant: a\n\nb\n", "user: And?\n\nassistant: c\n")


def test_the_answer_of_a_chat_is_a_solution_that_is_cut_into_steps(tmp_path):
    path = write(tmp_path / "t.jsonl", {"messages": [user("3 + 4?"), agent("3 + 4 = 7\nThe answer is 7")]})
    (problem,), (chain,) = read_problems(path), read_chains(path, problems=ProblemFile(path))
    assert (problem.text, chain.problem_id) == ("3 + 4?", problem.id)
    assert chain.steps == ("3 + 4 = 7\n", "The answer is 7")


def owners(chains, problems):
    return [chain.problem_id for chain in read_chains(chains, problems=ProblemFile(problems))]


def test_chains_find_their_problems(tmp_path):
    """In the same file by row, even where two have one text; in another one by id or text; else by row."""
    first, second = [user("q"), agent("a")], [user("r"), agent("b")]
    both = write(tmp_path / "t.jsonl", *({"messages": found} for found in (first, second, first)))
    assert owners(both, both) == ["t-1", "t-2", "t-3"]
    asked = write(tmp_path / "asked.jsonl", {"question": "r"}, {"question": "q"}, {"id": "x", "question": "s"})
    told = write(tmp_path / "told.jsonl", {"messages": first}, {"messages": second}, {"messages": first, "id": "x"})
    assert owners(told, asked) == ["asked-2", "asked-1", "x"]
    bare = write(tmp_path / "bare.jsonl", {"messages": first[1:]}, {"messages": second, "question": "q"})
    assert owners(bare, asked) == ["asked-1", "asked-2"]


IMAGE = {"type": "image_url", "image_url": {"url": "data:"}}
UNUSABLE = {
    "nobody answers": ([user("q")], "empty chain: no message is the assistant's"),
    "no messages": ([], "empty chain: no message is the assistant's"),
    "no list": ("q", "a field of the wrong kind: 'messages' is not a list"),
    "texts": (["q"], "a field of the wrong kind: 'messages' does not hold objects only"),
    "no role": ([user("q"), {"content": "6"}, agent("a")], "lacks a field: 'role'"),
    "a number": ([user("q"), agent(6)], "a field of the wrong kind: 'content' is not a list"),
    "an image": ([user("q"), agent([*parts("a"), IMAGE])], "not text alone: a part of type 'image_url'"),
    "a part without text": ([user("q"), agent([{"type": "text"}])], "lacks a field: 'text'"),
    "a call of nothing": ([user("q"), agent("a", {"arguments": "{}"})], "lacks a field: 'name'"),
    "steps and their marks": ([user("q Step 1: a"), agent("+")], "messages that are labels: .*--format rlhflow"),
}


@pytest.mark.parametrize(("messages", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_row_that_is_no_trajectory_is_dropped_with_its_reason(tmp_path, messages, reason):
    path = write(tmp_path / "t.jsonl", {"messages": messages}, {"messages": SEEN})
    bad, chain = read_each_chain(path)
    assert isinstance(bad, Unreadable)
    assert bad.drop.id == "t.jsonl:1"
    assert chain.steps == STEPS
    with pytest.raises(InputError, match=rf"t\.jsonl:1: .*{reason}"):
        list(read_chains(path))


@pytest.mark.parametrize("messages", [[agent("a")], [], [user(" "), agent("a")]])
def test_a_problem_needs_words(tmp_path, messages):
    with pytest.raises(InputError, match=r"t\.jsonl:1: text must be a non-empty string"):
        list(read_problems(write(tmp_path / "t.jsonl", {"messages": messages})))


LABELS = {
    "by place": ({"1": 1, "4": -1, "6": 0}, (T, F, N), (N, N, N)),
    "by place, not all": ({"4": -1, "0": None}, (N, F, N), (N, N, N)),
    "by place, none": ({}, (N, N, N), (N, N, N)),
    "in order": ([1, -1, 0], (T, F, N), (N, N, N)),
    "in order, of a table with gaps": ([1.0, -1.0, None], (T, F, N), (N, N, N)),
    "truth": ([True, None, False], (T, N, F), (N, N, N)),
    "truth by place": ({"1": True, "6": False}, (T, N, F), (N, N, N)),
    "shares": ([1.0, 0.25, 0], (T, T, F), (1.0, 0.25, 0.0)),
    "shares by place": ({"1": 0.5, "6": 0.0}, (T, N, F), (0.5, N, 0.0)),
}


@pytest.mark.parametrize(("labels", "hard", "soft"), LABELS.values(), ids=LABELS)
def test_labels_stand_at_their_turns(tmp_path, labels, hard, soft):
    path = write(tmp_path / "t.jsonl", {"messages": SEEN, "step_labels": labels})
    assert tell_format(path) == "trajectories"
    ((problem, chain, found),) = read_public(path, "trajectories")
    assert (problem.text, chain.steps) == ("How many pens?", STEPS)
    assert (found.hard, found.soft) == (hard, soft)
    assert found.known == tuple("none" if label is None else "given" for label in hard)
    assert not any((*found.right, *found.wrong, *found.undecided))


def test_a_turn_labeled_0_is_wrong_only_if_that_is_asked_for(tmp_path):
    path = write(tmp_path / "t.jsonl", {"messages": SEEN, "step_labels": [1, 0, None]})
    (usual,), (strict,) = (read_public(path, "trajectories", Reading(neutral_is_right=way)) for way in (True, False))
    assert (usual[2].hard, strict[2].hard) == ((T, N, N), (T, F, N))


def test_the_verdict_and_the_ids_are_the_rows(tmp_path):
    labeled = {"messages": SEEN, "step_labels": [1, 1, 1]}
    rows = [labeled | {"id": f"t{number}", "final_label": label} for number, label in enumerate((1, -1, 0))]
    path = write(tmp_path / "t.jsonl", *rows, {"trajectory": SEEN, "question": "How many?", "gold": 6})
    known = KnownProblems([Problem("k", "How many pens?", "six")])
    found = list(read_public(path, "trajectories", Reading(known=known)))
    assert [(p.id, p.answer, c.id) for p, c, _ in found] == [
        ("k", "six", "t0"), ("k", "six", "t1"), ("k", "six", "t2"), ("t-1", "6", "t-1/0"),
    ]  # fmt: skip
    assert [labels and labels.outcome for _, _, labels in found] == ["correct", "incorrect", "no_answer", None]


NOT_OWN, UNREADABLE = "a label of a message that is not the agent's", "a label that cannot be read"
UNLABELED = {
    "of the user's message": ({"step_labels": {"0": 1}}, NOT_OWN),
    "of no message": ({"step_labels": {"9": 1}}, NOT_OWN),
    "of no turn": ({"step_labels": [1, 1, 1, 1]}, "labels and turns differ in number"),
    "one a message": ({"step_labels": [None, 1, None, None, 1, None, 1, None]}, "labels and turns differ in number"),
    "a word": ({"step_labels": [1, "good", 0]}, UNREADABLE),
    "another number": ({"step_labels": {"1": 2}}, UNREADABLE),
    "a share above 1": ({"step_labels": [0.5, 1.5, 0.5]}, UNREADABLE),
    "truth among shares": ({"step_labels": [0.5, True, 0.5]}, UNREADABLE),
    "a list as a label": ({"step_labels": [[1], 0, 1]}, UNREADABLE),
    "a text": ({"step_labels": "1"}, "a field of the wrong kind"),
    "a verdict in words": ({"step_labels": [1, 1, 1], "final_label": "yes"}, UNREADABLE),
    "no turn": ({"messages": [user("q")], "step_labels": {}}, "empty chain"),
    "no question": ({"messages": [agent("a")]}, "a problem that is blank"),
    "a question of messages": ({"prompt": [user("q")]}, "a field of the wrong kind"),
    "no messages": ({"messages": None}, "lacks a field"),
}


@pytest.mark.parametrize(("change", "reason"), UNLABELED.values(), ids=UNLABELED)
def test_labels_that_fit_no_turn_drop_their_row(tmp_path, change, reason):
    row, drops = {"messages": SEEN}, Drops()
    found = list(read_public(write(tmp_path / "t.jsonl", row | change, row), "trajectories", None, drops))
    assert [labels for _, _, labels in found] == [None], "the next row is read, and has no labels"
    assert drops.by_reason() == {reason: 1}


def test_rlhflows_conversations_are_read_as_before(tmp_path):
    path = write(tmp_path / "r.jsonl", {"conversations": [user("q Step 1: a"), agent("+")]})
    assert tell_format(path) == "rlhflow"
    ((problem, chain, labels),) = read_public(path, "rlhflow")
    assert (problem.text, chain.steps, labels.hard) == ("q", ("Step 1: a\n",), (True,))


@pytest.fixture(scope="module")
def scorer(tmp_path_factory, base_model, tokenizer):
    """A small PRM without training."""
    return write_prm(tmp_path_factory.mktemp("agents"), base_model, tokenizer)


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_turn_gets_one_score(prm, scorer, tmp_path):
    """Of one file, which is both problems and chains; as many scores as turns, those of the same steps written out."""
    asked = user("what is 1 + 2?")
    write(tmp_path / "t.jsonl", *({"messages": found} for found in (SEEN, [asked], [asked, agent("3")])))
    code, _, said = prm("score", "--scorer", scorer, "--problems", "t.jsonl", "--chains", "t.jsonl", "--out", "s.jsonl")
    assert code == 0, said
    scores = {row["chain_id"]: row["scores"] for row in read(tmp_path / "s.jsonl")}
    assert {name: len(values) for name, values in scores.items()} == {"t-1/0": 3, "t-3/0": 1}
    (dropped,) = read(tmp_path / "s.jsonl.dropped.jsonl")
    assert (dropped["id"], dropped["reason"]) == ("t.jsonl:2", "row that cannot be used")
    assert "no message is the assistant's" in dropped["detail"]
    write(tmp_path / "p.jsonl", {"id": "p", "text": "How many pens?"})
    write(tmp_path / "c.jsonl", {"problem_id": "p", "steps": STEPS})
    assert prm("score", "--scorer", scorer, "--problems", "p.jsonl", "--chains", "c.jsonl", "--out", "w.jsonl")[0] == 0
    (written,) = read(tmp_path / "w.jsonl")
    assert written["scores"] == pytest.approx(scores["t-1/0"], abs=1e-6)


def test_imported_trajectories_are_what_the_commands_read(prm, tmp_path):
    labels = [{"1": 1, "4": -1, "6": 0}, [0.5, 0.25, 1.0]]
    write(
        tmp_path / "t.jsonl", *({"messages": SEEN, "step_labels": found} for found in labels), {"messages": [user("q")]}
    )
    code, _, said = prm("import", "t.jsonl", "--out", "in")
    assert code == 0, said
    assert "read as trajectories" in said
    assert "1 dropped (empty chain)" in said
    assert [row["steps"] for row in read(tmp_path / "in" / "chains.jsonl")] == [list(STEPS)] * 2
    assert [row["given"] for row in read(tmp_path / "in" / "labels.jsonl")] == [[True, False, None], [0.5, 0.25, 1.0]]
    assert prm("import", "t.jsonl", "--neutral-is-wrong", "--out", "strict")[0] == 0
    assert read(tmp_path / "strict" / "labels.jsonl")[0]["given"] == [True, False, False]


def test_a_trajectory_is_chosen_by_its_scores(prm, tmp_path):
    """The second one, whose lowest score is the higher one."""
    rows = [{"problem_id": "p", "messages": [user("q"), agent("a"), user("Sure?"), agent(text)]} for text in ("5", "6")]
    write(tmp_path / "t.jsonl", *rows)
    write(tmp_path / "p.jsonl", {"id": "p", "question": "q"})
    scores = ([0.9, 0.2], [0.5, 0.4])
    write(tmp_path / "s.jsonl", *(
        {"schema": "step-scores/1", "chain_id": f"p/{n}", "problem_id": "p", "scores": s, "kind": "prm"}
        for n, s in enumerate(scores)
    ))  # fmt: skip
    given = {"problems": "p.jsonl", "chains": "t.jsonl", "scores": "s.jsonl", "out": "c.jsonl"}
    code, _, said = prm("rerank", *(word for name, path in given.items() for word in (f"--{name}", path)))
    assert code == 0, said
    (choice,) = read(tmp_path / "c.jsonl")
    assert (choice["index"], choice["best"]) == (1, "assistant: a\nuser: Sure?\n\nassistant: 6\n")


def test_the_example_of_the_documents_is_read_as_it_says(tmp_path):
    (example,) = blocks("docs/python.md", "jsonc")
    row = json.loads(re.sub(r" +// .*", "", example))
    ((problem, chain, labels),) = read_public(write(tmp_path / "t.jsonl", row), "trajectories")
    assert (problem.text, labels.hard) == ("How many pens?", (T, F))
    assert re.findall(r'step (".*")', example) == [json.dumps(step) for step in chain.steps]
