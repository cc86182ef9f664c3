"""Trees of chains and rollouts, and their growth: counts by hand, and the loop of label and grow on a server."""

import json

import pytest

import prm as toolkit
from prm import Chain, Problem, Rollout, StepLabels, write_records
from prm.benchmarks.perf.waiting_server import serve
from prm.labeling.growing.lineage import ancestors, inherited, origin
from prm.labeling.growing.trees import ALPHA, BETA, EXPLORATION, LENGTH, State, _chosen, _worth
from prm.labeling.journal import rollouts_path

PROBLEM = Problem("p", "what is 2 + 2?", "4")
CHAINS = [
    Chain("a", "p", ("First.\n", "So 2 + 2 = 5.\n", "The answer is 5")),
    Chain("b", "p", ("First.\n", "So 2 + 2 = 4.\n", "The answer is 4")),
]


def rollout(chain, step, draw, outcome="incorrect", text="Thus.\nThe answer is 5", tokens=50):
    return Rollout(chain, step, draw, text, tokens, "stop", outcome)


def labels(chain, outcome, right, wrong):
    known = ("drawn",) * (len(right) - 1) + ("answer",)
    return StepLabels(chain, "p", right, wrong, (0,) * len(right), known, outcome)


@pytest.fixture
def made(tmp_path):
    """A label file as it might be: both chains share their first step, from which one of three rollouts is right."""
    paths = [tmp_path / name for name in ("l.jsonl", "p.jsonl", "c.jsonl")]
    rows = [labels("a", "incorrect", (1, 0, 0), (1, 2, 0)), labels("b", "correct", (0, 0, 0), (1, 0, 0))]
    for path, records in zip(paths, (rows, [PROBLEM], CHAINS), strict=True):
        write_records(path, records)
    drawn = [
        rollout("a", 0, 0, "correct", "So 4.\nThe answer is 4"),
        rollout("a", 0, 1, tokens=500),
        rollout("a", 1, 0),
        rollout("a", 1, 1),
        rollout("b", 0, 0, text="Hence.\nThe answer is 6\nQ: what is 3 + 3?\nThe answer is 6"),
    ]
    write_records(rollouts_path(paths[0]), drawn)
    return paths


def test_chains_with_the_same_steps_share_a_state(made, tmp_path):
    toolkit.export_trees(*made, tmp_path / "t.jsonl")
    (row,) = map(json.loads, (tmp_path / "t.jsonl").read_text().splitlines())
    assert (row["problem_id"], row["text"], row["final_answer"], row["mc_value"]) == ("p", PROBLEM.text, "4", 0.5)
    (first,) = row["children"]
    assert (first["text"], first["right"], first["wrong"], first["mc_value"]) == ("First.\n", 1, 2, 1 / 3)
    wrong, right = first["children"]
    assert (wrong["mc_value"], wrong["wrong"], right["mc_value"], right["wrong"]) == (0.0, 2, None, 0)
    assert [leaf["mc_value"] for leaf in (*wrong["children"], *right["children"])] == [0.0, 1.0]


def test_a_tree_is_read_by_import(made, tmp_path):
    toolkit.export_trees(*made, tmp_path / "t.jsonl")
    toolkit.import_rows(tmp_path / "t.jsonl", tmp_path / "read", format="math-aps")
    read = list(toolkit.read_records(tmp_path / "read" / "labels.jsonl", StepLabels))
    assert [row.given for row in read] == [(1 / 3, 0.0, 0.0), (1 / 3, None, 1.0)]


def test_the_rollout_grown_first_is_short_and_from_a_state_that_is_sometimes_solved(made, tmp_path):
    grown = toolkit.grow(*made, tmp_path / "more.jsonl", n=1)
    *earlier, new = grown
    assert earlier == CHAINS
    assert (new.id, new.finish) == ("b>0.0", "stop")
    assert new.steps == ("First.\n", "Hence.\n", "The answer is 6"), "without the question that the model asked itself"
    *_, second, third = toolkit.grow(*made, tmp_path / "two.jsonl", n=5)
    assert (second.id, third.id) == ("b>0.0", "a>0.1"), "nothing is grown from the state that is never solved"


def test_the_worth_of_a_rollout_by_hand():
    state = State("x", [1, 3, 0], visits=2)
    expected = ALPHA**0.75 * BETA ** (100 / LENGTH) + EXPLORATION * 3 / (1 + 2)
    assert _worth(state, rollout("a", 0, 0, tokens=100), 9) == pytest.approx(expected)


def test_a_state_that_was_chosen_waits_for_the_others():
    root = State("problem", [1, 1, 0])
    for name in "xy":
        child = root.children.setdefault(name, State(name, [2, 2, 0]))
        child.rollouts = [rollout(name, 0, draw, tokens=10 + draw) for draw in range(2)]
    assert [(r.chain_id, r.draw) for r in _chosen(root, 4)] == [("x", 0), ("y", 0), ("x", 1), ("y", 1)]
    assert [r.chain_id for r in _chosen(root, 4)] == []


def test_only_chains_that_were_grown_inherit():
    drawn = {"c": [rollout("c", 0, 0), rollout("c", 2, 1), rollout("c", 3, 0)], "c>2.1": [rollout("c>2.1", 1, 0)]}
    assert [(r.chain_id, r.step) for r in inherited("c>2.1", drawn)] == [("c", 0), ("c", 2)]
    drawn["c>2.1"].append(rollout("c>2.1", 4, 7))
    assert [(r.chain_id, r.step) for r in inherited("c>2.1>4.7", drawn)] == [
        ("c>2.1", 1), ("c>2.1", 4), ("c", 0), ("c", 2)
    ]  # fmt: skip
    assert list(inherited("c>2.9", drawn)) == [], "no such rollout: an id that only looks like ours"
    assert (origin("x > 1"), list(ancestors("x"))) == (None, [])


def test_grown_chains_are_labeled_with_what_they_share(base_model, tmp_path):
    """The loop of the documentation: label, grow, extend; nothing is drawn again from the states that are shared."""
    chains = [Chain(f"c{i}", "p", ("First.\n", "So 2 + 2 = 5.\n", "Thus.\n", "The answer is 5")) for i in range(4)]
    with serve() as server:
        settings = {"model": base_model, "endpoints": [server.url], "rollouts": 8, "reproducible": True}
        first = toolkit.label([PROBLEM], chains, tmp_path / "l.jsonl", **settings)
        before = {row.chain_id: row for row in first}
        grown = toolkit.grow(tmp_path / "l.jsonl", [PROBLEM], chains, tmp_path / "more.jsonl", n=2)
        new = [chain for chain in grown if origin(chain.id)]
        assert len(new) == 2
        asked = len(server.asked)
        made = toolkit.label([PROBLEM], grown, tmp_path / "l.jsonl", extend=True, **settings)
    after = {row.chain_id: row for row in made}
    assert {name: after[name] for name in before} == before
    for chain in new:
        parent, step, _ = origin(chain.id)
        shared = slice(0, step + 1)
        assert after[chain.id].right[shared] == before[parent].right[shared]
        assert after[chain.id].wrong[shared] == before[parent].wrong[shared]
        assert all(n == 8 for n in after[chain.id].drawn[:-1])
    fresh = sum(len(chain.steps) - 2 - origin(chain.id)[1] for chain in new)
    assert sum(row["n"] for row in server.asked[asked:]) == 8 * fresh
    again = toolkit.rejudge(tmp_path / "l.jsonl", [PROBLEM], grown)
    assert list(again) == list(made)
    trees = toolkit.export_trees(tmp_path / "l.jsonl", [PROBLEM], grown)
    row = json.loads(trees.path.read_text())
    assert [row["right"], row["wrong"]] == [0, 4], "a grown chain is no rollout from the problem"
