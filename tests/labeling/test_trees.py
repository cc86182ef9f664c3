"""Trees of chains and rollouts, and their growth: counts by hand, and the loop of label and grow on a server."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

import prm as toolkit
from prm import Chain, Problem, Rollout, StepLabels, write_records
from prm.benchmarks.perf.waiting_server import serve
from prm.labeling.growing.lineage import ancestors, inherited
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


def test_a_grown_chain_inherits_from_all_its_ancestors_what_it_shares():
    drawn = {"c": [rollout("c", 0, 0), rollout("c", 2, 1), rollout("c", 3, 0)], "d": [rollout("d", 1, 0)]}
    origins = {"d": ("c", 2, 1), "e": ("d", 4, 7)}
    child = Chain("d", "p", ("a", "b", "c", "x"), origin=origins["d"])
    assert [(r.chain_id, r.step, r.draw, r.shared) for r in inherited(child, origins, drawn)] == [
        ("d", 0, 0, True), ("d", 2, 1, True)
    ]  # fmt: skip
    grandchild = Chain("e", "p", ("a", "b", "c", "x", "y", "z"), origin=origins["e"])
    assert list(ancestors(grandchild, origins)) == [("d", 4), ("c", 2)]
    assert [(r.step, r.draw) for r in inherited(grandchild, origins, drawn)] == [(1, 0), (0, 0), (2, 1)]
    drawn["e"] = [rollout("e", 0, 0)]
    assert [(r.step, r.draw) for r in inherited(grandchild, origins, drawn)] == [(1, 0), (2, 1)], "not what it has"
    lookalike = Chain("c>0.0", "p", ("other",))
    assert list(inherited(lookalike, origins, drawn)) == []


@pytest.fixture
def loop(base_model, tmp_path):
    """The loop of the documentation: label, grow, extend. Gives functions for each, and the server."""
    chains = [Chain(f"c{i}", "p", ("First.\n", "So 2 + 2 = 5.\n", "Thus.\n", "The answer is 5")) for i in range(4)]
    write_records(tmp_path / "c.jsonl", chains)
    out = tmp_path / "l.jsonl"
    with serve() as server:
        settings = {"model": base_model, "endpoints": [server.url], "reproducible": True}

        def label(given, k, **more):
            return toolkit.label([PROBLEM], given, out, rollouts=k, **settings, **more)

        def grow(given, name, n=2):
            return toolkit.grow(out, [PROBLEM], given, tmp_path / name, n=n)

        yield SimpleNamespace(label=label, grow=grow, out=out, chains=tmp_path / "c.jsonl", server=server)


def drawn(loop, since=0):
    return sum(row["n"] for row in loop.server.asked[since:])


def test_grown_chains_are_labeled_with_what_they_share(loop):
    before = {row.chain_id: row for row in loop.label(loop.chains, 8)}
    grown = loop.grow(loop.chains, "more.jsonl")
    new = [chain for chain in grown if chain.origin]
    assert len(new) == 2
    asked = len(loop.server.asked)
    made = loop.label(grown.path, 8, extend=True)
    after = {row.chain_id: row for row in made}
    assert {name: after[name] for name in before} == before
    for chain in new:
        parent, step, _ = chain.origin
        shared = slice(0, step + 1)
        assert after[chain.id].right[shared] == before[parent].right[shared]
        assert after[chain.id].wrong[shared] == before[parent].wrong[shared]
        assert all(n == 8 for n in after[chain.id].drawn[:-1])
    fresh = sum(len(chain.steps) - 2 - chain.origin[1] for chain in new)
    assert drawn(loop, asked) == 8 * fresh
    assert made.counts["rollouts"] == drawn(loop), "what is shared is counted once"
    trees = toolkit.export_trees(loop.out, [PROBLEM], grown)
    row = json.loads(trees.path.read_text())
    assert [row["right"], row["wrong"]] == [0, 4], "a grown chain is no rollout from the problem"


def test_rejudging_and_a_larger_k_count_the_same_evidence(loop):
    loop.label(loop.chains, 4)
    grown = loop.grow(loop.chains, "more.jsonl")
    for k in (8, 12):
        made = loop.label(grown.path, k, extend=True)
        assert all(n == k for row in made for n in row.drawn[:-1])
        assert list(toolkit.rejudge(loop.out, [PROBLEM], grown)) == list(made)
        assert made.counts["rollouts"] == drawn(loop)
    rows = [json.loads(line) for line in rollouts_path(loop.out).read_text().splitlines()]
    keys = [(row["chain_id"], row["step"], row["draw"]) for row in rows]
    assert len(set(keys)) == len(keys)


def test_grown_chains_labeled_anew_share_nothing(loop, tmp_path, base_model):
    loop.label(loop.chains, 4)
    grown = loop.grow(loop.chains, "more.jsonl")
    settings = {"model": base_model, "endpoints": [loop.server.url], "rollouts": 4, "reproducible": True}
    made = toolkit.label([PROBLEM], grown, tmp_path / "new.jsonl", **settings)
    assert all(n == 4 for row in made for n in row.drawn[:-1])
    assert list(toolkit.rejudge(tmp_path / "new.jsonl", [PROBLEM], grown)) == list(made)


def test_growing_goes_on_whether_or_not_the_new_chains_are_labeled(loop):
    loop.label(loop.chains, 8)
    once = loop.grow(loop.chains, "more.jsonl")
    twice = loop.grow(once.path, "most.jsonl")
    ids = [chain.id for chain in twice]
    assert (len(ids), len(set(ids))) == (8, 8)
    made = loop.label(twice.path, 8, extend=True)
    assert [row.chain_id for row in made] == ids
    again = loop.grow(twice.path, "all.jsonl", n=1)
    assert len({chain.id for chain in again}) == 9


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b""], ids=["lines", "CRLF", "no last line end"])
def test_any_file_of_chains_can_be_grown_and_extended(loop, ending):
    odd = Chain("odd", "p", ("First\u2028still first.\n", "So 2 + 2 = 5.\n", "The answer is 5"))
    lines = [*loop.chains.read_bytes().splitlines(), toolkit_json(odd)]
    loop.chains.write_bytes((ending or b"\n").join(lines) + ending)
    loop.label(loop.chains, 8)
    grown = loop.grow(loop.chains, "more.jsonl")
    assert [chain.id for chain in grown][:5] == ["c0", "c1", "c2", "c3", "odd"]
    assert len(loop.label(grown.path, 8, extend=True)) == len(grown)


def toolkit_json(chain):
    return json.dumps({"schema": "chain/1", "id": chain.id, "problem_id": "p", "steps": chain.steps},
                      ensure_ascii=False).encode()  # fmt: skip


def test_chains_without_ids_cannot_be_grown(tmp_path, made):
    (tmp_path / "rows.jsonl").write_text('{"id": "p", "completions": ["First.\\nThe answer is 5"]}\n')
    with pytest.raises(toolkit.InputError, match="is not a chain of our own format") as caught:
        toolkit.grow(made[0], made[1], tmp_path / "rows.jsonl")
    assert "prm import" in caught.value.hint


def test_chains_cut_in_another_way_are_refused(made, tmp_path):
    write_records(tmp_path / "c.jsonl", [replace(chain, steps=(chain.text,)) for chain in CHAINS])
    for make in (toolkit.grow, toolkit.export_trees):
        with pytest.raises(toolkit.InputError, match="'a' has 3 labels, but 1 steps"):
            make(*made[:2], tmp_path / "c.jsonl")


def test_a_tree_too_deep_for_json_is_dropped_alone(made):
    deep = Chain("deep", "q", tuple(f"step {i}\n" for i in range(1200)))
    write_records(made[1], [PROBLEM, Problem("q", "why?", "4")])
    write_records(made[2], [*CHAINS, deep])
    known, none = ("none",) * 1199 + ("answer",), (0,) * 1200
    rows = [*toolkit.read_records(made[0], StepLabels), StepLabels("deep", "q", none, none, none, known, "incorrect")]
    write_records(made[0], rows)
    found = toolkit.export_trees(*made)
    assert (found.counts["trees"], [drop.id for drop in found.drops]) == (1, ["q"])
