"""Preference rows: each usual shape comes out as the same record, and a row that says too little is dropped."""

import gzip
import json

import pytest
from datasets import Dataset, DatasetDict
from hypothesis import given, settings
from hypothesis import strategies as st
from places import SAMPLES

from prm import InputError
from prm.data.drops import Drops
from prm.data.preferences import Preference, read_preferences
from prm.data.records import Message

needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no sample data in {SAMPLES}; set PRM_SAMPLE_DATA")


def read(folder, *rows):
    """What is read of rows, and what is dropped."""
    path, drops = folder / "rows.jsonl", Drops()
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return list(read_preferences(path, drops)), drops


def talk(*turns):
    """Messages of a row: "u: hi" is the user's."""
    roles = {"s": "system", "u": "user", "a": "assistant", "t": "tool", "h": "human"}
    return [{"role": roles[turn[0]], "content": turn[3:]} for turn in turns]


def messages(*turns):
    return tuple(Message(**turn) for turn in talk(*turns))


HUMAN = "\n\nHuman: 3 + 4?\n\nAssistant:"
TALKS = {"chosen": talk("u: 3 + 4?", "a: 7"), "rejected": talk("u: 3 + 4?", "a: 8")}
ANSWERS = {"chosen": talk("a: 7"), "rejected": talk("a: 8")}
TEXTS = {"chosen": "7", "rejected": "8"}

SHAPES = {
    "prompt": ({"prompt": "3 + 4?"} | TEXTS, "3 + 4?"),
    "question": ({"question": "3 + 4?"} | TEXTS, "3 + 4?"),
    "problem": ({"problem": "3 + 4?"} | TEXTS, "3 + 4?"),
    "instruction": ({"instruction": "3 + 4?", "input": ""} | TEXTS, "3 + 4?"),
    "a prompt that is null": ({"prompt": None, "question": "3 + 4?"} | TEXTS, "3 + 4?"),
    "HH-RLHF": ({"chosen": HUMAN + "7", "rejected": HUMAN + "8"}, HUMAN),
    "HH-RLHF, more turns": (
        {side: f"{HUMAN} 7\n\nHuman: Sure?\n\nAssistant:{answer}" for side, answer in TEXTS.items()},
        f"{HUMAN} 7\n\nHuman: Sure?\n\nAssistant:",
    ),
    "system": ({"system": "be short", "question": "3 + 4?"} | TEXTS, messages("s: be short", "u: 3 + 4?")),
    "system, blank": ({"system": "", "question": "3 + 4?"} | TEXTS, "3 + 4?"),
    "system, null": ({"system": None, "question": "3 + 4?"} | TEXTS, "3 + 4?"),
    "messages": ({"prompt": talk("u: 3 + 4?")} | ANSWERS, messages("u: 3 + 4?")),
    "messages and text": ({"prompt": talk("u: 3 + 4?")} | TEXTS, messages("u: 3 + 4?")),
    "text and messages": ({"prompt": "3 + 4?"} | ANSWERS, "3 + 4?"),
    "implicit prompt": (TALKS, messages("u: 3 + 4?")),
    "UltraFeedback": ({"prompt": "3 + 4? \n", "messages": talk("u: 3 + 4?", "a: 7")} | TALKS, messages("u: 3 + 4?")),
    "the prompt again": ({"prompt": talk("u: 3 + 4?")} | TALKS, messages("u: 3 + 4?")),
    "the prompt without its system": ({"prompt": talk("s: x", "u: 3 + 4?")} | TALKS, messages("s: x", "u: 3 + 4?")),
    "system and messages": ({"system": "x"} | TALKS, messages("s: x", "u: 3 + 4?")),
    "system, twice": (
        {"system": "x", "prompt": talk("s: x", "u: 3 + 4?")} | ANSWERS,
        messages("s: x", "u: 3 + 4?"),
    ),
    "more turns": (
        {side: talk("s: x", "u: 3?", "a: 3", "t: sum", f"a: {answer}") for side, answer in TEXTS.items()},
        messages("s: x", "u: 3?", "a: 3", "t: sum"),
    ),
    "the first of more turns as prompt": (
        {"prompt": "3?"} | {side: talk("u: 3?", "a: 3", "u: +4?", f"a: {answer}") for side, answer in TEXTS.items()},
        messages("u: 3?", "a: 3", "u: +4?"),
    ),
    "JudgeBench": ({"question": "3 + 4?", "response_A": "8", "response_B": "7", "label": "B>A"}, "3 + 4?"),
    "LLMBar": ({"input": "3 + 4?", "output_1": "7", "output_2": "8", "label": 1}, "3 + 4?"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_says_the_same(tmp_path, name):
    row, context = SHAPES[name]
    found, drops = read(tmp_path, row)
    assert (found, list(drops)) == ([Preference("rows-1", context, "7", "8")], [])


@pytest.mark.parametrize(
    ("scores", "margin"),
    [
        ({}, None),
        ({"margin": 2}, 2.0),
        ({"margin": None, "score_chosen": 4.5, "score_rejected": 4}, 0.5),
        ({"chosen_score": 1, "rejected_score": -1}, 2.0),
        ({"margin": 0.25, "score_chosen": 9, "score_rejected": 1}, 0.25),
        ({"score_chosen": 4.5}, None),
        ({"score_chosen": 4.5, "score_rejected": None}, None),
    ],
)
def test_margin(tmp_path, scores, margin):
    ((found,), _) = read(tmp_path, {"prompt": "p", **TEXTS, **scores})
    assert found.margin == margin


P = {"prompt": "p"}
DROPPED = {
    "lacks a chosen or a rejected answer": {
        "no chosen": ({"prompt": "p", "rejected": "8"}, "'chosen'"),
        "null": (P | {"chosen": "7", "rejected": None}, "'rejected'"),
        "nothing": ({}, "'chosen'"),
        "no message": (P | {"chosen": [], "rejected": talk("a: 8")}, "'chosen'"),
        "no answer in a list": (P | {"chosen": ["7"], "rejected": []}, "'rejected'"),
        "one labeled answer": ({"question": "p", "response_A": "7", "label": "A>B"}, "'chosen'"),
    },
    "lacks a label that says which answer is chosen": {
        "no label": ({"question": "p", "response_A": "7", "response_B": "8"}, ""),
        "another label": ({"input": "p", "output_1": "7", "output_2": "8", "label": 3}, "not '3'"),
    },
    "a tie": {
        "labeled a tie": ({"question": "p", "response_A": "7", "response_B": "8", "label": "A=B"}, "label 'A=B'"),
        "equal scores": (P | TEXTS | {"score_chosen": 3, "score_rejected": 3.0}, "scores 3.0 and 3.0"),
        "no margin": (P | TEXTS | {"margin": 0}, "margin 0.0"),
        "equal votes": (P | TEXTS | {"votes_chosen": 2, "votes_rejected": 2}, "votes 2 and 2"),
    },
    "has no clear context": {
        "no prompt": (TEXTS, "no prompt, and no 'Assistant:' in the text of an answer"),
        "no prompt for one": (
            {"chosen": HUMAN + "7", "rejected": "8"},
            "no prompt, and no 'Assistant:' in the text of an answer",
        ),
        "no message before": (ANSWERS, "no prompt, and no message before the answers"),
        "instruction and input": (
            {"instruction": "add", "input": "3, 4", **TEXTS},
            "'instruction' and 'input' can be joined in many ways",
        ),
    },
    "different contexts": {
        "other transcripts": (
            {"chosen": HUMAN + "7", "rejected": HUMAN.replace("4", "5") + "8"},
            "the texts before the answers differ",
        ),
        "a transcript that goes on": (
            {"chosen": HUMAN + "7", "rejected": HUMAN + "8\n\nHuman: Sure?\n\nAssistant: 8"},
            "the texts before the answers differ",
        ),
        "other messages": (
            TALKS | {"chosen": talk("u: 3 + 5?", "a: 7")},
            "the texts before the answers differ",
        ),
        "one with messages before": (P | TALKS | {"chosen": "7"}, "the texts before the answers differ"),
        "another prompt": (P | TALKS, "the prompt is not the context before the answers"),
        "another prompt of messages": (
            {"prompt": talk("u: 3?", "a: 3", "u: 4?")} | TALKS,
            "the prompt is not the context before the answers",
        ),
        "the answer is in the prompt": (
            {"prompt": talk("a: 3 + 4?")} | TALKS,
            "the prompt is not the context before the answers",
        ),
        "another system": (
            {"system": "x", "prompt": talk("s: y", "u: z")} | ANSWERS,
            "'system' is not the system message",
        ),
    },
    "roles that make no sense": {
        "the user's answer": (
            P | {"chosen": talk("u: 7"), "rejected": talk("a: 8")},
            "the last message of an answer is not the assistant's",
        ),
        "the human has the last word": (
            {side: f"{HUMAN} {answer}\n\nHuman: Thanks." for side, answer in TEXTS.items()},
            "the last turn of an answer is not the assistant's",
        ),
        "nobody asked": ({"prompt": talk("u: 3?", "a: 3")} | ANSWERS, "user, assistant"),
        "an unknown role": ({"prompt": talk("h: 3?", "u: 4?")} | ANSWERS, "human, user"),
    },
    "an empty text": {
        "an empty answer of several": (P | {"chosen": "7", "rejected": ["8", " "]}, "the rejected answer"),
        "an empty answer": (P | {"chosen": " \n", "rejected": "8"}, "the chosen answer"),
        "an empty message": (P | {"chosen": talk("a: 7"), "rejected": talk("a: ")}, "the rejected answer"),
        "an empty transcript": ({"chosen": HUMAN + " ", "rejected": HUMAN + "8"}, "the chosen answer"),
        "an empty prompt": ({"prompt": " "} | TEXTS, "the context"),
        "an empty question": ({"prompt": talk("s: x", "u:  ")} | ANSWERS, "the context"),
    },
    "two answers that are the same": {
        "the same": (P | {"chosen": "7", "rejected": " 7\n"}, ""),
        "one of several": (P | {"chosen": ["7", "seven"], "rejected": ["8", "7 "]}, ""),
        "the same transcripts": ({"chosen": HUMAN + " 7", "rejected": HUMAN + "7"}, ""),
    },
    "scored the wrong way round": {
        "the wrong way round": (P | TEXTS | {"chosen_score": 3, "rejected_score": 4}, "scores 3.0 and 4.0"),
        "fewer votes": (P | TEXTS | {"votes_chosen": 2, "votes": 5}, "votes 2 and 3"),
        "a margin below 0": (P | TEXTS | {"margin": -1}, "margin -1.0"),
        "scores against the margin": (
            P | TEXTS | {"margin": 1, "chosen_score": 3, "rejected_score": 4},
            "scores 3.0 and 4.0",
        ),
    },
    "a field of the wrong kind": {
        "a text among messages": (
            P | {"chosen": [*talk("a: 7"), "7"], "rejected": "8"},
            "'chosen' does not hold objects only",
        ),
        "votes below 0": (P | TEXTS | {"votes_chosen": 3, "votes_rejected": -1}, "votes 3 and -1"),
        "more votes than all": (P | TEXTS | {"votes_chosen": 3, "votes": 2}, "votes 3 and -1"),
        "a weight that is a word": (P | TEXTS | {"weight": "2"}, "'weight' is not a number"),
        "numbers": (P | {"chosen": 7, "rejected": 8}, "'chosen' is not a text"),
        "a prompt that is a number": ({"prompt": 7, **TEXTS}, "'prompt' is not a text"),
        "a system in a list": (P | TEXTS | {"system": ["x"]}, "'system' is not a text"),
        "content in parts": (
            {"prompt": [{"role": "user", "content": [{"type": "text", "text": "p"}]}]} | ANSWERS,
            "'content' is not a text",
        ),
        "a score that is a word": (P | TEXTS | {"score_chosen": "good"}, "'score_chosen' is not a number"),
        "a score that is a truth": (P | TEXTS | {"margin": True}, "'margin' is not a number"),
        "a score that is no number": (P | TEXTS | {"margin": float("nan")}, "'margin' is not a number"),
        "a score without end": (P | TEXTS | {"rejected_score": 10**400}, "'rejected_score' is not a number"),
    },
    "a weight that is not above 0": {
        "no weight": (P | TEXTS | {"weight": 0}, "weight 0.0"),
        "a weight below 0": (P | TEXTS | {"weight": -1}, "weight -1.0"),
    },
    "lacks a field": {
        "ShareGPT's names": ({"prompt": [{"from": "human", "value": "p"}]} | ANSWERS, "'role'"),
    },
}
CASES = [pytest.param(*case, reason, id=name) for reason, cases in DROPPED.items() for name, case in cases.items()]


@pytest.mark.parametrize(("row", "detail", "reason"), CASES)
def test_a_row_that_cannot_be_used_is_dropped(tmp_path, row, detail, reason):
    found, drops = read(tmp_path, {"prompt": "other", "chosen": "a", "rejected": "b"}, row)
    assert [preference.id for preference in found] == ["rows-1"]
    assert [(drop.id, drop.reason, drop.detail) for drop in drops] == [("rows:2", reason, detail)]


def test_answers_keep_their_blanks(tmp_path):
    ((found,), _) = read(tmp_path, {"chosen": HUMAN + " 7\n", "rejected": HUMAN + " 8"})
    assert (found.context + found.chosen, found.context + found.rejected) == (HUMAN + " 7\n", HUMAN + " 8")


def test_the_same_pair_twice_is_kept_once(tmp_path):
    row = P | TEXTS
    found, drops = read(tmp_path, row, row | {"prompt": "q"}, row | {"chosen": " 7\n", "margin": 2}, row | {"id": "x"})
    assert [(p.id, p.context, p.margin) for p in found] == [("rows-1", "p", None), ("rows-2", "q", None)]
    assert [(d.id, d.reason, d.detail) for d in drops] == [
        (f"rows:{line}", "the same pair twice", "first in rows:1") for line in (3, 4)
    ]


def test_a_pair_in_both_directions_is_dropped_wherever_it_stands(tmp_path):
    row = P | TEXTS
    reverse = P | {"chosen": "8", "rejected": "7 "}
    found, drops = read(tmp_path, row, row | {"chosen": "9"}, reverse, row, reverse | {"prompt": "q"})
    assert [(p.context, p.chosen) for p in found] == [("p", "9"), ("q", "8")]
    assert [(d.id, d.detail) for d in drops] == [
        ("rows:1", "reversed in rows:3"),
        ("rows:3", "reversed in rows:1"),
        ("rows:4", "reversed in rows:3"),
    ]
    assert drops.by_reason() == {"the same pair in both directions": 3}


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
def test_which_pairs_are_used_does_not_depend_on_their_order(tmp_path, order):
    rows = [P | TEXTS, P | {"chosen": "8", "rejected": "7"}, P | TEXTS | {"chosen": "9"}, P | TEXTS]
    found, drops = read(tmp_path, *(rows[i] for i in order))
    assert ([p.chosen for p in found], len(drops)) == (["9"], 3)


def test_ids(tmp_path):
    rows = [
        {"id": "a"},
        {"idx": 7},
        {"prompt_id": "u"},
        {"pair_id": "v"},
        {},
        {"id": ""},
        {"id": "a", "idx": 7},
        {"id": "a:7"},
        {"id": "a:10"},
        {"id": "a"},
    ]
    found, _ = read(tmp_path, *({"prompt": f"p{i}", **TEXTS, **row} for i, row in enumerate(rows)))
    assert [p.id for p in found] == ["a", "7", "u", "v", "rows-5", "rows-6", "a:7", "a:7:8", "a:10", "a:10:10"]


FIELDS = ["prompt", "chosen", "rejected", "system", "margin", "label", "response_A", "response_B", "id"]
TURNS = [talk("u: 7"), talk("a: 8"), talk("u: 7", "a: 7"), talk("s: x")]
VALUES = ["7", "8", "", "A>B", None, 0, 1.5, [], *TURNS]


@settings(max_examples=50)
@given(rows=st.lists(st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(VALUES)), max_size=8))
def test_every_row_is_used_or_dropped_for_one_reason(tmp_path_factory, rows):
    found, drops = read(tmp_path_factory.mktemp("rows"), *rows)
    assert len(found) + len(drops) == len(rows)
    assert len({p.id for p in found}) == len(found)
    assert len({d.id for d in drops}) == len(drops)


@pytest.mark.parametrize("line", ["{", "[1]", '"a"'])
def test_a_line_that_is_no_row_is_dropped(tmp_path, line):
    path, drops = tmp_path / "rows.jsonl", Drops()
    path.write_text(f"{json.dumps(P | TEXTS)}\n{line}\n")
    assert len(list(read_preferences(path, drops))) == 1
    assert [(drop.id, drop.reason) for drop in drops] == [("rows:2", "not a JSON object")]


WRONG = {
    "id": "",
    "context": (),
    "chosen": " ",
    "rejected": "7 ",
    "margin": 0.0,
    "other_chosen": ("8",),
    "other_rejected": ("9", ""),
    "weight": 0.0,
    "agreement": 1.5,
}


@pytest.mark.parametrize("name", WRONG)
def test_a_preference_that_exists_is_consistent(name):
    right = {"id": "a", "context": "p", "chosen": "7", "rejected": "8", "margin": 0.5}
    assert Preference(**right)
    with pytest.raises(ValueError, match=r"id and context|chosen and rejected|margin|weight|agreement"):
        Preference(**right | {name: WRONG[name]})


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


LISTS = {"prompt": "p", "chosen": ["7", "seven"], "rejected": ["8", "eight", "8"]}


def test_lists_of_answers_are_one_row(tmp_path):
    several, one_each = LISTS, {"prompt": "q", "chosen": ["7"], "rejected": ["8"]}
    mixed = {"prompt": "r", "chosen": "7", "rejected": [talk("a: 8"), talk("a: 9")]}
    messages_each = {"chosen": [talk("u: s", "a: 7")], "rejected": [talk("u: s", "a: 8"), talk("u: s", "a: 9")]}
    found, drops = read(tmp_path, several, one_each, mixed, messages_each)
    assert [(p.context, p.all_chosen, p.all_rejected) for p in found] == [
        ("p", ("7", "seven"), ("8", "eight")),
        ("q", ("7",), ("8",)),
        ("r", ("7",), ("8", "9")),
        (messages("u: s"), ("7",), ("8", "9")),
    ]
    assert len(drops) == 0


def test_a_row_of_lists_is_dropped_if_a_pair_of_it_is_reversed_or_all_of_them_were_there(tmp_path):
    twice = LISTS | {"chosen": "seven", "rejected": ["8 "]}
    new = LISTS | {"chosen": "seven", "rejected": ["8", "9"]}
    found, drops = read(tmp_path, LISTS, twice, new)
    assert [p.id for p in found] == ["rows-1", "rows-3"]
    assert [(d.id, d.reason) for d in drops] == [("rows:2", "the same pair twice")]
    reverse = {"prompt": "p", "chosen": ["eight"], "rejected": ["7", "none"]}
    found, drops = read(tmp_path, LISTS, reverse)
    assert ([p.id for p in found], drops.by_reason()) == ([], {"the same pair in both directions": 2})


def test_weights_and_votes(tmp_path):
    votes = {"votes_chosen": 3, "votes_rejected": 1}, {"votes_chosen": 4, "votes": 5}, {"votes_chosen": 4}
    rows = [{"prompt": f"p{i}", **TEXTS, **more} for i, more in enumerate((*votes, {"weight": 2}, {"weight": None}))]
    found, _ = read(tmp_path, *rows)
    assert [p.agreement for p in found] == [0.75, 0.8, None, None, None]
    assert [p.weight for p in found] == [1, 1, 1, 2, 1]


def test_fields_that_are_not_read_are_named_once(tmp_path, capsys):
    rows = [
        {"prompt": "a", **TEXTS, "annotator": "x", "weight": 2, "votes_chosen": 3, "votes": [1, 1], "note": None},
        {"prompt": "b", "question": "c", **TEXTS, "annotator": "y", "score_chosen": 2, "id": 3},
        {"prompt": "c", **TEXTS, "votes_chosen": 3, "votes_rejected": 1, "score_chosen": 2, "score_rejected": 1},
        {"prompt": "d", "other": "of a row that is dropped"},
    ]
    read(tmp_path, *rows)
    said = " ".join(capsys.readouterr().err.split())
    named = "annotator (2), question (1), score_chosen (1), votes (1), votes_chosen (1)"
    assert said.endswith(f"ignored fields (in so many rows): {named}")
    read(tmp_path, P | TEXTS)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl.gz", "rows.json.gz", "rows.parquet", "rows.NDJSON"])
def test_files_as_they_are_published(tmp_path, name):
    rows, path = [LISTS, LISTS | {"prompt": "q"}], tmp_path / name
    if name.endswith(".parquet"):
        Dataset.from_list(rows).to_parquet(path)
    else:
        is_list = ".json" in name and ".jsonl" not in name
        text = json.dumps(rows, indent=1) if is_list else "".join(json.dumps(row) + "\n" for row in rows)
        data = text.encode("utf-8-sig")
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    drops = Drops()
    found = list(read_preferences(path, drops))
    assert ([p.id for p in found], [p.context for p in found], len(drops)) == (["rows-1", "rows-2"], ["p", "q"], 0)
    assert found[0].all_rejected == ("8", "eight")


def clone(folder, **splits):
    """A data set as the Hub has it, with a file that describes it."""
    (folder / "data").mkdir(parents=True)
    (folder / "dataset_infos.json").write_text("{}")
    for split, rows in splits.items():
        Dataset.from_list(rows).to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


def test_a_clone_of_the_hub(tmp_path, capsys):
    row = P | {"chosen": talk("a: 7"), "rejected": talk("a: 8")}
    folder = clone(tmp_path / "one", test=[row])
    capsys.readouterr()
    assert [p.id for p in read_preferences(folder, Drops())] == ["test-1"]
    assert "split" not in capsys.readouterr().err
    folder = clone(tmp_path / "two", train=[row], test=[row | {"prompt": "q"}])
    assert [p.id for p in read_preferences(folder, Drops())] == ["train-1"]
    assert "the split train is read; left out: test" in " ".join(capsys.readouterr().err.split())
    folder = clone(tmp_path / "three", train_prefs=[row], test_prefs=[row])
    with pytest.raises(InputError, match="holds the splits test_prefs, train_prefs"):
        list(read_preferences(folder, Drops()))


def test_what_datasets_saved_to_disk(tmp_path):
    data = Dataset.from_list([P | TEXTS])
    data.save_to_disk(tmp_path / "one")
    DatasetDict(train=data, test=Dataset.from_list([LISTS])).save_to_disk(tmp_path / "two")
    assert [p.id for p in read_preferences(tmp_path / "one", Drops())] == ["one-1"]
    assert [p.id for p in read_preferences(tmp_path / "two", Drops())] == ["train-1"]


@needs_samples
def test_judgebench(tmp_path):
    rows = [row for path in sorted((SAMPLES / "judgebench").glob("*.jsonl")) for row in lines(path)]
    found, drops = read(tmp_path, *rows)
    assert (len(found), len(drops)) == (103, 0)
    for row, preference in zip(rows, found, strict=True):
        better, worse = (row[f"response_{row['label'][i]}"] for i in (0, -1))
        assert preference == Preference(row["pair_id"], row["question"], better, worse)


@needs_samples
def test_llmbar(tmp_path):
    rows = [row for path in sorted((SAMPLES / "llmbar").glob("*.json")) for row in json.loads(path.read_text())]
    found, drops = read(tmp_path, *rows)
    assert (len(found), len(drops)) == (156, 0)
    for row, preference in zip(rows, found, strict=True):
        outputs = row["output_1"], row["output_2"]
        better, worse = outputs if row["label"] == 1 else outputs[::-1]
        assert (preference.context, preference.chosen, preference.rejected) == (row["input"], better, worse)


@needs_samples
@pytest.mark.parametrize(("name", "count"), [("chat", 17), ("code", 26)])
def test_rm_bench_pair_by_pair(tmp_path, name, count):
    """Three chosen and three rejected answers are nine pairs."""
    path, drops = SAMPLES / "rm_bench" / f"{name}_filtered.json", Drops()
    rows, whole = json.loads(path.read_text(encoding="utf-8")), list(read_preferences(path, drops))
    assert (len(whole), len(drops)) == (count, 0)
    for row, preference in zip(rows, whole, strict=True):
        assert (preference.all_chosen, preference.all_rejected) == (tuple(row["chosen"]), tuple(row["rejected"]))
    pairs = [row | {side: row[side][i] for side in ("chosen", "rejected")} for row in rows for i in range(3)]
    found, drops = read(tmp_path, *pairs)
    assert (len(found), len(drops)) == (3 * count, 0)
    assert [p.id for p in found[:3]] == [str(rows[0]["id"]), f"{rows[0]['id']}:2", f"{rows[0]['id']}:3"]
    for pair, preference in zip(pairs, found, strict=True):
        assert (preference.context, preference.chosen) == (pair["prompt"], pair["chosen"])


@needs_samples
def test_alpacaeval_best_against_worst(tmp_path):
    """The rated answers to two of the prompts are all the same."""
    rows = lines(SAMPLES / "alpacaeval_bon16" / "alpacaeval_bon16.jsonl")
    assert read(tmp_path, *rows)[1].by_reason() == {"lacks a chosen or a rejected answer": 59}
    pairs = [best_and_worst(row) for row in rows]
    found, drops = read(tmp_path, *pairs)
    assert (len(found), drops.by_reason()) == (57, {"two answers that are the same": 2})
    assert all(p.margin > 0 for p in found)
    swapped = [p | {"chosen_score": p["rejected_score"], "rejected_score": p["chosen_score"]} for p in pairs]
    assert read(tmp_path, *swapped)[1].by_reason()["scored the wrong way round"] == 57


def best_and_worst(row):
    rated = [c for c in row["candidates"] if c["gpt4_preference_over_ref"] is not None]
    worst, *_, best = sorted(rated, key=lambda c: c["gpt4_preference_over_ref"])
    return {
        "instruction": row["instruction"],
        "chosen": best["output"],
        "rejected": worst["output"],
        "chosen_score": best["gpt4_preference_over_ref"],
        "rejected_score": worst["gpt4_preference_over_ref"],
    }
