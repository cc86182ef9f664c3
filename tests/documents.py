"""Runs what the documents show, in one process with one real engine: `python documents.py FOLDER`.

The folder becomes a place like a reader's: a model under the name that the README uses, problems, a suite. What came of
each block is written to `results.json`, from its name to its error ("" for none).
"""

import itertools
import json
import os
import re
import runpy
import shlex
import shutil
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[1]
MODEL = "Qwen/Qwen2.5-Math-1.5B"
PROCESSBENCH = [
    {"id": "gsm8k-0", "generator": "somebody", "problem": "Ben has 5 pens. Ben finds 2 more. How many?",
     "steps": ["found: 5 + 2 = 7", "The answer is 7"], "final_answer_correct": True, "label": -1},
    {"id": "gsm8k-1", "generator": "somebody", "problem": "Ben has 5 pens. Ben finds 2 more. How many?",
     "steps": ["found: 5 - 2 = 3", "The answer is 3"], "final_answer_correct": False, "label": 0},
]  # fmt: skip


def blocks(name, language):
    """The fenced blocks of a document, in order."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.findall(r"^```([^\n]*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [body for info, body in found if info.strip() == language]


def quickstart():
    """The README's commands on the reader's own problems."""
    block = next(body for body in blocks("README.md", "") if body.startswith("prm sample"))
    return [line.partition("#")[0].strip() for line in block.splitlines()]


def prepare(folder):
    """What the README takes for granted."""
    from prm.benchmarks.arithmetic import POLICY
    from prm.benchmarks.arithmetic.world import stories

    shutil.copytree(POLICY, folder / MODEL)
    made = stories(7)
    for name, count in (("gsm8k.jsonl", 16), ("test.jsonl", 6)):
        rows = [{"question": s.text, "answer": f"Counted.\n#### {s.answer}"} for s in itertools.islice(made, count)]
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "Qwen" / "ProcessBench").mkdir()
    (folder / "Qwen" / "ProcessBench" / "gsm8k.json").write_text(json.dumps(PROCESSBENCH))


def share_one_engine():
    """Every job gets the engine of the first: starting one takes longer than all that is done with it here."""
    from prm.generation import choice, vllm_engine

    vllm_engine.secrets = SimpleNamespace(randbits=lambda _: 0)  # the same draws in every run
    start, started = choice.ENGINES["vllm"], []

    def shared(wanted):
        if not started:
            started.append(start(wanted))
            close, started[0].close = started[0].close, lambda: None
            started.append(close)
        return started[0]

    choice.ENGINES["vllm"] = shared
    return lambda: [close() for close in started[1:]]


def command(line):
    from prm.cli import app

    code = app(shlex.split(line)[1:], standalone_mode=False)
    assert not code, f"exit code {code}"


def attempt(results, name, run, *arguments):
    try:
        run(*arguments)
        results[name] = ""
    except BaseException:
        results[name] = traceback.format_exc()


def main(folder):
    prepare(folder)
    os.chdir(folder)
    stop, results = share_one_engine(), {}
    for line in quickstart():
        attempt(results, line, command, line)
    from prm import read_chains, read_problems, read_records
    from prm.data.records import StepLabels

    problems = list(read_problems(Path("gsm8k.jsonl")))
    names = {"problem": problems[0], "solutions": ["The answer is 7", "The answer is 8"]}
    for number, body in enumerate(blocks("README.md", "python"), start=1):
        attempt(results, f"README.md, Python {number}", exec, body, names)
    names = {
        "model": MODEL,
        "train_problems": problems,
        "train_chains": list(read_chains(Path("chains.jsonl"))),
        "train_labels": list(read_records(Path("labels.jsonl"), StepLabels)),
    }
    for number, body in enumerate(blocks("docs/python.md", "python"), start=1):
        attempt(results, f"docs/python.md, Python {number}", exec, body, names)
    sys.path.insert(0, str(ROOT / "examples"))
    for script in sorted((ROOT / "examples").glob("*.py")):
        sys.argv = [str(script), *arguments_of(script)]
        attempt(results, f"examples/{script.name}", lambda path: runpy.run_path(path, run_name="__main__"), str(script))
    stop()
    Path("results.json").write_text(json.dumps(results))


def arguments_of(script):
    """What an example needs that the demo would have made."""
    text = script.read_text(encoding="utf-8")
    if "--folder" in text:
        from prm import read_problems, write_records

        write_records("test.problems.jsonl", read_problems("test.jsonl"))  # a copy would name its rows anew
        shutil.copy("test-chains.jsonl", "test.chains.jsonl")
        shutil.copy("prm.jsonl", "test.prm.jsonl")
        return ["--folder", "."]
    return ["--scorer", "runs/prm"] if "--scorer" in text else []


if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # in place of tests/, whose folder prm is not the package
    main(Path(sys.argv[1]))
