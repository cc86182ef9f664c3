"""Examples that are kept: as they were made, made once, and whole or not at all."""

import hashlib
import itertools
import json
import multiprocessing
import os
import shutil
import signal
import time
from array import array
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prm.data.files import write_records
from prm.data.records import Chain, Problem, StepLabels
from prm.data.writing import partial_path
from prm.errors import InputError
from prm.training.data import preparation, storage
from prm.training.data.audit import side
from prm.training.data.preparation import prepare
from prm.training.data.storage import Changed, Columns, Groups, Writer
from prm.training.examples import ChainExample, GroupExample
from prm.training.settings import TrainSettings

SPAWN = multiprocessing.get_context("spawn")
GROUPS = [
    GroupExample(
        "π",
        2,
        (
            ChainExample("a", array("i", (1, 2, 3, 4)), (2, 3), (1.0, None), (1.0, 8.0), (None,), ("drawn", "none")),
            ChainExample("b", array("i", (1, 2, 5)), (2,), (0.25,), (1.0,), (0.0,), ("answer",)),
            ChainExample("c", array("i", (1, 2, 5)), (2,), (0.5,), (1.0,), (7.5,), ("drawn",)),
            ChainExample("d", array("i", (1, 2, 6)), (2,), (None,), (1.0,), (7.5,), ("none",)),
        ),
        0.5,
        0.75,
        2.0,
    ),
    GroupExample("q", 1, (ChainExample("", array("i", (9,)), (), (), (), (1.0,)),)),
]


def stored(directory, groups):
    with Writer(directory) as writer:
        for group in groups:
            writer.add(group)
    return Columns.load(directory)


def test_groups_come_back_as_they_were_written(tmp_path):
    columns = stored(tmp_path / "x", GROUPS)
    assert list(Groups(columns, np.array([1, 0, 1]))) == [GROUPS[1], GROUPS[0], GROUPS[1]]
    heavier = Changed(Groups(columns, np.array([1])), lambda group: replace(group, weight=3.0))
    assert list(heavier) == [replace(GROUPS[1], weight=3.0)]
    assert len(heavier) == 1
    assert list(Groups(stored(tmp_path / "empty", []), np.zeros(0, dtype=int))) == []


def test_the_audit_of_one_side_by_hand(tmp_path):
    """Of four chains of one group, three have values, 0 and twice 7.5: two pairs differ."""
    found = side(stored(tmp_path / "x", GROUPS), np.array([True, False]), 1)
    assert found == {
        "problems": 1,
        "chains": 4,
        "tokens": 13,
        "longest": 4,
        "steps": 3,
        "share_right": pytest.approx(1.75 / 3),
        "chains_with_value": 3,
        "pairs": 2,
        "by_position": [{"position": 0, "steps": 3, "share_right": pytest.approx(1.75 / 3)}],
    }


@pytest.fixture
def files(tmp_path):
    chains = [Chain(f"c{i}", f"p{i // 2}", ("So 2.\n", f"It is {i}.\n")) for i in range(8)]
    rows = {
        "problems": [Problem(f"p{i}", f"what is {i}?", str(i)) for i in range(4)],
        "chains": chains,
        "labels": [
            StepLabels(c.id, c.problem_id, (1, i % 2), (0, 1 - i % 2), (0, 0), ("drawn", "drawn"), "no_answer")
            for i, c in enumerate(chains)
        ],
    }
    for name, records in rows.items():
        write_records(tmp_path / f"{name}.jsonl", records)
    return {name: tmp_path / f"{name}.jsonl" for name in rows}


@pytest.fixture
def made(monkeypatch):
    """The calls that read the data."""
    calls, read = [], preparation.sound_chains
    monkeypatch.setattr(preparation, "sound_chains", lambda *given: calls.append(given) or read(*given))
    return calls


def test_what_has_been_made_is_not_made_again_unless_something_differs(base_model, files, tmp_path, made):
    settings, place = TrainSettings(base_model, held_out=0.5), tmp_path / "kept"
    first = prepare(settings, files, {}, place)
    again = prepare(replace(settings, lr=1.0, batch_size=2), files, {}, place)
    assert len(made) == 1
    assert (list(again.train), list(again.held_out)) == (list(first.train), list(first.held_out))
    assert again.found == first.found
    assert again.found["known"] == {"drawn": again.found["train"]["steps"]}
    prepare(replace(settings, separator=r"\n\n"), files, {}, place)
    assert len(made) == 2
    files["labels"].write_text("".join(reversed(files["labels"].read_text().splitlines(keepends=True))))
    reordered = prepare(replace(settings, separator=r"\n\n"), files, {}, place)
    assert len(made) == 3
    assert sorted(group.chains[0].chain_id for side in (reordered.train, reordered.held_out) for group in side) == [
        f"c{i}" for i in range(8)
    ]


@pytest.mark.parametrize("change", ["tokenizer", "chat template", "files", "max_length", "held_out", "evaluation"])
def test_whatever_the_examples_depend_on_makes_them_anew(change, base_model, files, tmp_path, made):
    base = shutil.copytree(base_model, tmp_path / "base")
    settings, evaluation = TrainSettings(str(base), held_out=0.0), {}
    prepare(settings, files, evaluation, tmp_path / "kept")
    if change == "tokenizer":
        change_json(base / "tokenizer.json", lambda row: row["added_tokens"].append(row["added_tokens"][-1] | ADDED))
    elif change == "chat template":
        (base / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    elif change == "files":
        files["problems"].write_text(files["problems"].read_text().replace("what is", "what was"))
    elif change == "evaluation":
        evaluation = files | {"problems": tmp_path / "others.jsonl"}
        evaluation["problems"].write_text(files["problems"].read_text().replace("what is", "what, now, is"))
    else:
        settings = replace(settings, **{change: {"max_length": 500, "held_out": 0.5}[change]})
    prepare(settings, files, evaluation, tmp_path / "kept")
    assert len(made) == (3 if change == "evaluation" else 2)
    prepare(settings, files, evaluation, tmp_path / "kept")
    assert len(made) == (3 if change == "evaluation" else 2), "once"


ADDED = {"id": 5000, "content": "<new>"}


def change_json(path, change):
    row = json.loads(path.read_text())
    change(row)
    path.write_text(json.dumps(row))


def test_drops_and_the_weights_of_classes_are_kept(base_model, files, tmp_path):
    settings = TrainSettings(base_model, held_out=0.25, class_balance=True, max_length=40)
    with files["chains"].open("a") as file:
        file.write('{"schema": "chain/1", "id": "z", "problem_id": "p0", "steps": ["x"]}\n')
    sides = [prepare(settings, files, {}, tmp_path / "kept") for _ in range(2)]
    assert [list(one.drops) for one in sides] == [list(sides[0].drops)] * 2
    assert [drop.id for drop in sides[1].drops] == ["z"]
    steps = [pair for group in sides[1].train for c in group.chains for pair in zip(c.targets, c.weights, strict=True)]
    assert sum(w for t, w in steps if t == 1.0) == pytest.approx(sum(w for t, w in steps if t == 0.0))


def test_nothing_half_made_is_left(base_model, files, tmp_path):
    with files["labels"].open("a") as file:
        file.write("{\n")
    with pytest.raises(InputError):
        prepare(TrainSettings(base_model), files, {}, tmp_path / "kept")
    assert not list(tmp_path.glob("kept*"))


def digests(place):
    """Of each file that is kept."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in place.iterdir()}


def _wait(settings, files, place, found):
    made = prepare(settings, files, {}, place, waits=True)
    found.put((list(made.train), list(made.held_out), digests(place)))


def test_the_others_wait_for_the_process_that_makes_them_and_read_the_same(base_model, files, tmp_path):
    settings, place = TrainSettings(base_model, held_out=0.5), tmp_path / "kept"
    found = SPAWN.Queue()
    other = SPAWN.Process(target=_wait, args=(settings, files, place, found))
    other.start()
    time.sleep(0.5)
    made = prepare(settings, files, {}, place)
    expected = list(made.train), list(made.held_out), digests(place)
    assert len(expected[0]) + len(expected[1]) == 8
    assert found.get(timeout=300) == expected
    other.join()


MOMENTS = [
    ("some rows are written", lambda: storage.Writer, "add", 3),
    ("the columns are written", lambda: storage.Writer, "__exit__", 1),
    ("the split is written", lambda: np, "save", len(storage._NAMES) + 1),
    ("the notes are written", lambda: preparation, "write_json", 1),
    ("the directory gets its name", lambda: Path, "rename", 1),
]
"""Before each of these, as a function of an owner and which call of it."""


def _die_at(moment, settings, files, place):
    _, owner, name, last = moment
    calls, do = itertools.count(1), getattr(owner(), name)

    def dies(*given, **options):
        if next(calls) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return do(*given, **options)

    setattr(owner(), name, dies)
    prepare(settings, files, {}, place)


def _die(settings, files, places, found):
    """At each moment, in a process of its own, which is a copy of this one."""
    for moment, place in zip(MOMENTS, places, strict=True):
        if not (process := os.fork()):
            _die_at(moment, settings, files, place)
            os._exit(0)
        found.put(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))


def test_what_a_killed_process_left_is_not_read(base_model, files, tmp_path):
    """Whenever it died, nothing stands where the examples belong, and the next start makes the same."""
    settings, found = TrainSettings(base_model, held_out=0.5), SPAWN.Queue()
    whole = prepare(settings, files, {}, tmp_path / "whole")
    places = [tmp_path / str(i) for i in range(len(MOMENTS))]
    dying = SPAWN.Process(target=_die, args=(settings, files, places, found))
    dying.start()
    assert [found.get(timeout=300) for _ in MOMENTS] == [-signal.SIGKILL] * len(MOMENTS)
    dying.join()
    for place in places:
        assert not place.exists()
        assert partial_path(place).exists(), "it had begun"
        again = prepare(settings, files, {}, place)
        assert (list(again.train), list(again.held_out)) == (list(whole.train), list(whole.held_out))
        assert digests(place) == digests(tmp_path / "whole")
        assert not partial_path(place).exists()
