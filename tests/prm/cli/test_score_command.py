"""`prm score`: killed at any moment and run again it writes the very bytes of an undisturbed run, and nothing twice."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from prm.models.checkpoint import Metadata, load_model
from prm.scoring.scorer import CHAINS_A_ROUND

CHAINS = 3 * CHAINS_A_ROUND + 37
LOST = [f"c{number}" for number in range(499, CHAINS, 500)]
DROPPED = {"c0": "longer than the model's context", "c1": "empty chain"} | dict.fromkeys(LOST, "its problem is missing")


@pytest.fixture(scope="module")
def work(tmp_path_factory, base_model, tokenizer):
    """A small PRM, problems, and chains of uneven lengths, some of which cannot be scored."""
    made = tmp_path_factory.mktemp("score")
    load_model(base_model, "prm", seed=1).save_pretrained(made / "prm")
    tokenizer.save_pretrained(made / "prm")
    Metadata("prm").save(made / "prm")
    write(made / "p.jsonl", [{"schema": "problem/1", "id": f"p{i}", "text": f"what is {i} + 2?"} for i in range(50)])
    write(made / "c.jsonl", [chain(i) for i in range(CHAINS)])
    return made


def chain(number):
    steps = [["12 " * 300], []][number] if number < 2 else [f"So {number + i}.\n" for i in range(number % 4 + 1)]
    owner = "lost" if f"c{number}" in LOST else f"p{number % 50}"
    return {"schema": "chain/1", "id": f"c{number}", "problem_id": owner, "steps": steps}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def start(work, out, *more, **streams):
    given = {"scorer": "prm", "problems": "p.jsonl", "chains": "c.jsonl", "out": out}
    words = [f"--{name}={work / path}" for name, path in given.items()]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}  # threads of two runs at once would wait for each other
    return subprocess.Popen([sys.executable, "-m", "prm.cli", "score", *words, *more], text=True, env=alone, **streams)


def score(work, out, *more, ok=True):
    process = start(work, out, *more, stderr=subprocess.PIPE)
    said = process.communicate()[1]
    assert (process.returncode == 0) == ok, said
    return said


def kill_after_a_round(work, out):
    """Start the command and kill it when it has kept one more round; gives how many lines were there."""
    growing = work / f"{out}.scored.jsonl"
    before = growing.stat().st_size if growing.exists() else 0
    process = start(work, out, stderr=subprocess.DEVNULL)
    while process.poll() is None and (not growing.exists() or growing.stat().st_size <= before):
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it was done before it could be killed"
    return growing.read_bytes().count(b"\n")


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def said(work):
    """What an undisturbed run says."""
    return score(work, "whole.jsonl")


def test_an_undisturbed_run_counts_and_says_how_fast_it_was(work, said):
    ids = [row["chain_id"] for row in rows(work / "whole.jsonl")]
    assert ids == [f"c{i}" for i in range(CHAINS) if f"c{i}" not in DROPPED]
    assert {row["id"]: row["reason"] for row in rows(work / "whole.jsonl.dropped.jsonl")} == DROPPED
    assert f"{len(ids):,} scored chains" in said
    assert "chains/s" in next(line for line in said.splitlines() if line.startswith("scores:"))
    assert not (work / "whole.jsonl.scored.jsonl").exists()


def test_a_run_that_was_killed_again_and_again_ends_with_the_same_bytes(work, said):
    finished = [kill_after_a_round(work, "killed.jsonl") for _ in range(2)]
    assert finished == sorted(set(finished)), "each run went on where the last one was"
    assert "other settings" in score(work, "killed.jsonl", "--splitter=sentence", ok=False)
    growing = work / "killed.jsonl.scored.jsonl"
    with growing.open("a") as file:
        file.write('{"schema": "step-sco')
    kept = finished[-1] // CHAINS_A_ROUND * CHAINS_A_ROUND
    again = score(work, "killed.jsonl", "--tokens-per-pass=2048")
    assert f"resuming after {kept:,} chains" in again
    assert not growing.exists()
    for name in ("{}.jsonl", "{}.jsonl.dropped.jsonl"):
        assert (work / name.format("killed")).read_bytes() == (work / name.format("whole")).read_bytes()


def test_a_run_that_was_killed_before_its_manifest_was_written(work, said):
    """The output was there, its manifest not yet."""
    manifest = work / "whole.jsonl.manifest.json"
    unfinished = json.loads(manifest.read_text()) | {"finished": None}
    events = sorted(
        (*rows(work / "whole.jsonl"), *rows(work / "whole.jsonl.dropped.jsonl")),
        key=lambda row: int((row.get("chain_id") or row["id"])[1:]),
    )
    whole = (work / "whole.jsonl").read_bytes()
    write(work / "whole.jsonl.scored.jsonl", events)
    manifest.write_text(json.dumps(unfinished))
    again = score(work, "whole.jsonl")
    assert f"resuming after {3 * CHAINS_A_ROUND:,} chains" in again
    assert (work / "whole.jsonl").read_bytes() == whole
    assert "already there" in score(work, "whole.jsonl")
