"""Outputs of `prm solve` made by hand: for each problem its leaves, the chosen one, and the tokens."""

import json

from prm.data.files import write_records
from prm.data.records import Chain, Choice, Problem, StepScores

PROBLEMS = [Problem(f"p{i}", f"How many are {i}?", "4", {"level": "easy" if i < 2 else "hard"}) for i in range(4)]
SETTINGS = {
    "model": "m", "scorer": "runs/prm", "method": "rebase", "n": 8, "width": 4, "budget_tokens": 800, "seed": 0,
    "temperature": 1.0,
}  # fmt: skip


def leaf(*steps, finish="stop", scores=None):
    return steps, finish, scores


def answer(value, **more):
    return leaf("So it is.\n", f"The answer is {value}", **more)


def write_run(path, rows, *, beside="solve", **settings):
    """`rows`: by problem (leaves, place of the chosen one, tokens generated, tokens scored)."""
    chains, scores, choices = [], [], []
    for problem, (leaves, index, generated, scored) in rows.items():
        own = [Chain(f"{problem}.{i}", problem, steps, finish) for i, (steps, finish, _) in enumerate(leaves)]
        chains += own
        for chain, (_, _, values) in zip(own, leaves, strict=True):
            if values:
                scores.append(StepScores(chain.id, problem, values, "prm"))
        text = own[index].text
        choices.append(Choice(problem, text, index, text[-1], (), (), generated=generated, scored=scored))
    write_records(path, chains)
    write_records(path.with_name(path.name + ".scores.jsonl"), scores)
    write_records(path.with_name(path.name + ".choices.jsonl"), choices)
    manifest = {"command": beside, "settings": {**SETTINGS, **settings}, "inputs": {"problems": "0"}, "finished": "now"}
    path.with_name(path.name + ".manifest.json").write_text(json.dumps(manifest))
    return path


def simple(right, generated, scored=0, leaves=(5, 4)):
    """Two leaves a problem, one right; whether the chosen one is."""
    return {
        f"p{i}": ([answer(a) for a in leaves], leaves.index(4 if r else 5), g, scored)
        for i, (r, g) in enumerate(zip(right, generated, strict=True))
    }
