"""Trees of a search: merged from chains by hand, and in the page."""

from dataclasses import replace

import pytest
from solved_runs import with_a_tree

from prm.benchmarks.report.browse import make_browser
from prm.benchmarks.report.page import make_page
from prm.benchmarks.results import ShownChain, read_shown, shown_to_json
from prm.benchmarks.search.trees import tree_of


def shown(chain_id, *steps, scores=(), is_chosen=False, **more):
    given = {"PRM": scores} if scores else {}
    chosen = ("run",) if is_chosen else ()
    return ShownChain("p", "What?", "4", chain_id, "run", steps, None, None, given, chosen, **more)


def test_chains_merge_where_they_begin_alike_and_the_chosen_one_comes_first():
    chains = [
        shown("1", "a", "b", "c"),
        shown("2", "a", "b", "d", is_whole=False),
        shown("3", "x", "b"),
        shown("4", "a", "e", is_chosen=True),
    ]
    tree = tree_of(chains)
    assert [(node.text, node.parent, node.depth, len(node.chains)) for node in tree] == [
        ("a", -1, 0, 3), ("e", 0, 1, 1), ("b", 0, 1, 2), ("c", 2, 2, 1), ("d", 2, 2, 1),
        ("x", -1, 0, 1), ("b", 5, 1, 1),
    ]  # fmt: skip
    assert [node.is_chosen for node in tree] == [True, True, False, False, False, False, False]
    assert [node.text for node in tree if node.is_given_up] == ["d"]
    assert [[c.chain_id for c in node.ends] for node in tree if node.ends] == [["4"], ["1"], ["2"], ["3"]]
    assert tree_of([]) == tree_of([shown("1")]) == []


def test_a_step_has_the_score_of_the_first_chain_that_has_one():
    chains = [
        shown("1", "a", "b"),
        shown("2", "a", "c", scores=(0.5, 0.25)),
        shown("3", "a", "b", "d", scores=(0.7, 0.6, 0.1)),
    ]
    found = [(node.text, node.score("PRM")) for node in tree_of(chains)]
    assert found == [("a", 0.5), ("b", 0.6), ("d", 0.1), ("c", 0.25)]
    outcome = [shown("1", "a", "b", scores=(0.3,)), shown("2", "a", scores=(0.2,))]
    assert [(node.text, node.score("PRM")) for node in tree_of(outcome)] == [("a", 0.2), ("b", 0.3)]


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    return with_a_tree(tmp_path_factory.mktemp("runs"))


def test_the_page_has_one_row_per_tree(evaluation):
    made = make_browser({"search.json": evaluation.result}, {"search.json": evaluation.shown}, 5000)
    assert (made.title, made.shown) == ("Search trees", 5 + 3 * 2 + 4 * 3)
    rows = made.data["chains"]
    assert [row["id"] for row in rows[:2]] == ["p0 · rebase", "p0 · weighted"]
    assert len(rows) == 8
    tree = rows[0]["tree"]
    assert [(node["text"], node["ends"], node["left"], node["chosen"]) for node in tree] == [
        ("Two and two.", "", False, True),
        ("So four.", "", False, True),
        ("The answer is 4", "1", False, True),
        ("It is $2^2$: the answer is 4", "1", False, False),
        ("So five.", "", False, False),
        ("The answer is 5", "0", False, False),
        ("Hm.", "-", True, False),
        ("No idea <b>at all</b>.", "-", True, False),
    ]
    assert [node["scores"] for node in tree] == [[s] for s in (0.9, 0.8, 0.95, 0.7, 0.2, 0.1, 0.05, 0.3)]
    few = make_browser({"search.json": evaluation.result}, {"search.json": evaluation.shown}, 8)
    assert {row["id"].split(" ")[0] for row in few.data["chains"]} == {"p0"}, "whole problems, in all runs"


def test_the_page_has_the_charts_and_the_choice(evaluation):
    html = make_page({"search.json": evaluation.result}, {"search.json": evaluation.shown}).html
    for text in ("Accuracy against tokens", "By difficulty", "Compute-optimal choice", "Tokens generated and scored"):
        assert text.lower() in html.lower()


def test_a_chain_of_the_old_format_is_whole(tmp_path):
    chain = shown("1", "a")
    row = shown_to_json(chain).replace(', "is_whole": true', "")
    assert "is_whole" not in row
    (tmp_path / "old.jsonl").write_text(row + "\n")
    assert read_shown(tmp_path / "old.jsonl") == [chain]
    other = replace(chain, is_whole=False)
    (tmp_path / "new.jsonl").write_text(shown_to_json(other) + "\n")
    assert read_shown(tmp_path / "new.jsonl") == [other]
