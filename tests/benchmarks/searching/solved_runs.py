"""Outputs of `prm solve` made by hand: for each problem its leaves, the chosen one, and the tokens."""

import json

import prm
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


def with_a_tree(folder):
    """Two runs on four problems; of p0, `rebase` has a tree with branchings, and branches that were given up."""
    rows = simple((1, 0, 1, 1), (10, 20, 30, 40), 5)
    rows["p0"] = (
        [
            leaf("Two and two.\n", "So five.\n", "The answer is 5", scores=(0.9, 0.2, 0.1)),
            leaf("Two and two.\n", "So four.\n", "The answer is 4", scores=(0.9, 0.8, 0.95)),
            leaf("Two and two.\n", "Hm.\n", finish="unknown", scores=(0.9, 0.05)),
            leaf("No idea <b>at all</b>.\n", finish="unknown", scores=(0.3,)),
            leaf("Two and two.\n", "So four.\n", "It is $2^2$: the answer is 4", scores=(0.9, 0.8, 0.7)),
        ],
        1, 50, 70,
    )  # fmt: skip
    whole = {f"p{i}": ([answer(4), answer(5), answer(4)], i % 2, 30, 3) for i in range(4)}
    runs = {
        "rebase": write_run(folder / "a.jsonl", rows),
        "weighted": write_run(folder / "b.jsonl", whole, method="weighted"),
    }
    return prm.evaluate_search(PROBLEMS, runs, by="level", draws=100)
