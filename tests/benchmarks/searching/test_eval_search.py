"""`prm eval search` on runs made by hand: its numbers, what is one point, the front, and the choice by difficulty."""

import json

import numpy as np
import pytest
from solved_runs import PROBLEMS, answer, leaf, simple, write_run

import prm
from prm.benchmarks.numbers import EvalSettings
from prm.benchmarks.search.measures import OPTIMAL, Outcomes, halves, levels_of, measure_search
from prm.data.files import write_records
from prm.data.records import Problem
from prm.errors import InputError


@pytest.fixture
def write(tmp_path):
    return lambda name, rows, **settings: write_run(tmp_path / f"{name}.jsonl", rows, **settings)


def evaluate(runs, problems=PROBLEMS, **given):
    return prm.evaluate_search(problems, runs, **{"draws": 200} | given)


def values(result, split="all"):
    return {(m.scorer, m.variant, m.name): m.value for m in result.metrics if m.split == split}


def test_two_runs_on_four_problems_by_hand(write):
    small = write("small", simple((1, 0, 0, 1), (10, 20, 30, 40), 5), n=4)
    large = write("large", simple((1, 1, 0, 1), (20, 40, 60, 80), 7), n=8)
    found = evaluate({"rebase": [large, small]}).result
    assert values(found) == {
        ("rebase", "n=4", "accuracy"): 0.5,
        ("rebase", "n=4", "any_right"): 1.0,
        ("rebase", "n=4", "generated_tokens"): 25,
        ("rebase", "n=4", "scored_tokens"): 5,
        ("rebase", "n=4", "all_tokens"): 30,
        ("rebase", "n=8", "accuracy"): 0.75,
        ("rebase", "n=8", "any_right"): 1.0,
        ("rebase", "n=8", "generated_tokens"): 50,
        ("rebase", "n=8", "scored_tokens"): 7,
        ("rebase", "n=8", "all_tokens"): 57,
    }
    gap = {d.name: d.value for d in found.differences if (d.a, d.b) == ("rebase n=8", "rebase n=4")}
    assert (gap["accuracy"], gap["generated_tokens"], gap["all_tokens"]) == (0.25, 25, 27)
    lines = {(c.name, c.variant): [(p.x, p.value) for p in c.points] for c in found.curves}
    assert lines["rebase", "generated"] == lines["front", "generated"] == [(25, 0.5), (50, 0.75)]
    assert lines["rebase", "generated and scored"] == [(30, 0.5), (57, 0.75)]
    assert (found.protocol, found.data["problems"], found.data["runs"], found.data["chains"]) == ("search", 4, 2, 16)
    assert found.settings["difficulty"].startswith("unknown"), "rebase draws no whole chains"
    ends = {m.name: (m.low, m.high) for m in found.metrics if m.variant == "n=8"}
    assert ends["scored_tokens"] == (7, 7)
    assert 20 <= ends["generated_tokens"][0] < 50 < ends["generated_tokens"][1] <= 80


def test_the_order_of_runs_and_problems_changes_nothing(write):
    rows = simple((1, 0, 0, 1), (10, 20, 30, 40), 5, leaves=(4, 5, 4))
    a = write("a", rows, n=4)
    b = write("b", dict(reversed(simple((1, 1, 0, 1), (20, 40, 60, 80)).items())), n=8)
    c = write("c", simple((0, 1, 0, 1), (9, 9, 9, 9), leaves=(5, 4, 5)), method="weighted")
    one = evaluate({"x": [a, b], "y": c}, by="level").result
    two = evaluate({"y": [c], "x": (b, a)}, PROBLEMS[::-1], by="level").result
    assert set(one.metrics) == set(two.metrics)
    assert one.data["choices"] == two.data["choices"]
    assert set(one.curves) == set(two.curves)


def test_seeds_are_pooled_and_drawn_with_their_problem(write):
    """A problem is right in one seed of two, in each: however problems are drawn, the mean is a half."""
    first = write("first", simple((1, 1, 0, 0), (10, 10, 10, 10)), seed=0)
    second = write("second", simple((0, 0, 1, 1), (30, 30, 30, 30)), seed=1)
    (found,) = [m for m in evaluate({"rebase": [first, second]}).result.metrics if m.name == "accuracy"]
    assert (found.value, found.low, found.high, found.variant, found.n) == (0.5, 0.5, 0.5, "", 4)
    with pytest.raises(InputError, match="two runs of 'rebase' have the seed 0"):
        evaluate({"rebase": [first, write("again", simple((1, 1, 0, 0), (10, 10, 10, 10)), seed=0)]})
    labels = {chain.split for chain in evaluate({"rebase": [first, second]}).shown}
    assert labels == {"rebase seed 0", "rebase seed 1"}


def test_points_are_told_apart_by_as_few_settings_as_possible(write):
    rows = simple((1, 0, 0, 1), (10, 20, 30, 40))
    settings = [{"n": 4, "budget_tokens": 400}, {"n": 8, "budget_tokens": 800}, {"n": 8, "budget_tokens": 900}]
    paths = [write(f"r{i}", rows, **own) for i, own in enumerate(settings)]
    assert {m.variant for m in evaluate({"a": paths[:2]}).result.metrics} == {"n=4", "n=8"}
    assert {m.variant for m in evaluate({"a": paths}).result.metrics} == {
        "n=4, budget tokens=400", "n=8, budget tokens=800", "n=8, budget tokens=900",
    }  # fmt: skip
    wide = [write(f"w{width}", rows, width=width) for width in (2, 4)]
    assert {m.variant for m in evaluate({"a": wide}).result.metrics} == {"width=2", "width=4"}


def outcomes(name, right, price, variant=""):
    right = np.array(right, float)
    price = np.full(len(right), float(price))
    return Outcomes(name, variant, right, right, price, 0 * price)


def test_the_front_by_hand():
    """b is as cheap as c and better; d costs more than b and is no better."""
    runs = [
        outcomes("a", (1, 0, 0, 0), 10),
        outcomes("b", (1, 1, 1, 0), 20),
        outcomes("c", (1, 1, 0, 0), 20),
        outcomes("d", (1, 1, 1, 0), 30),
        outcomes("e", (1, 1, 1, 1), 40),
    ]
    findings, _ = measure_search("wxyz", runs, [], EvalSettings(draws=10))
    (front,) = [c for c in findings.curves if (c.name, c.variant) == ("front", "generated")]
    assert [(p.x, p.value) for p in front.points] == [(10, 0.25), (20, 0.75), (40, 1.0)]


def test_the_best_run_of_each_level_is_chosen_on_the_other_half():
    """Easy problems: a is right in the first half, b in the second. Hard ones: only c, which is dear, is right."""
    names = [f"{level}{i}" for level in "eh" for i in range(4)]
    levels = ["easy"] * 4 + ["hard"] * 4
    second = halves(names, levels, seed=0)
    assert [second[:4].sum(), second[4:].sum()] == [2, 2], "half of each level"
    easy = np.array(levels) == "easy"
    runs = [
        outcomes("a", easy & ~second, 10),
        outcomes("b", easy & second, 10),
        outcomes("c", ~easy, 50),
    ]
    findings, choices = measure_search(names, runs, levels, EvalSettings(draws=10))
    found = {(n.variant, n.name): n.drawn[0] for n in findings.numbers if n.scorer == OPTIMAL}
    assert choices == {
        "10": {"easy": ["a", "b"], "hard": ["a"]},
        "50": {"easy": ["a", "b"], "hard": ["c"]},
    }
    assert found["at most 10 tokens", "accuracy"] == 0, "what is right in one half is wrong in the other"
    assert found["at most 50 tokens", "accuracy"] == 0.5
    assert found["at most 10 tokens", "generated_tokens"] == 10
    assert found["at most 50 tokens", "generated_tokens"] == 30, "half of the problems at 10, half at 50"


def test_the_choice_is_made_again_in_each_draw():
    """One run is right everywhere, so every draw chooses it; with a coin flip between two, draws differ."""
    names, levels = [f"p{i}" for i in range(20)], ["1", "2"] * 10
    chance = np.random.default_rng(0)
    sure = [outcomes("a", np.ones(20), 10), outcomes("b", np.zeros(20), 5)]
    even = [outcomes(name, chance.random(20) < 0.5, 10) for name in "ab"]
    for runs, is_sure in ((sure, True), (even, False)):
        findings, _ = measure_search(names, runs, levels, EvalSettings(draws=50))
        drawn = [n.drawn for n in findings.numbers if (n.scorer, n.name) == (OPTIMAL, "accuracy")][-1]
        assert (drawn == 1).all() == is_sure


def test_levels_share_out_problems_and_never_part_equal_ones():
    assert levels_of(np.array([0.0, 1.0, 0.5, 0.75, 0.25]))[::-1] == [
        "4: 25 to 25% right", "2: 75 to 75% right", "3: 50 to 50% right", "1: 100 to 100% right", "5: 0 to 0% right",
    ]  # fmt: skip
    assert len(set(levels_of(np.ones(7)))) == 1
    assert len(set(levels_of(np.array([1.0] * 6 + [0.0])))) == 2


def test_difficulty_is_the_share_of_right_whole_chains_or_a_field(write):
    """Of p0 and p1 all chains are right, of the others one in three."""
    rows = {f"p{i}": ([answer(4 if i < 2 or j == 0 else 5) for j in range(3)], 0, 30, 3) for i in range(4)}
    whole = write("whole", rows, method="weighted")
    step = write("step", simple((1, 0, 1, 0), (10, 10, 10, 10)), method="rebase")
    found = evaluate({"vote": whole, "rebase": step}).result
    assert values(found, "1: 100 to 100% right")["rebase", "", "accuracy"] == 0.5
    assert values(found, "2: 33 to 33% right")["vote", "", "accuracy"] == 1.0
    assert set(found.data["choices"]) == {"10", "30"}
    named = evaluate({"vote": whole, "rebase": step}, by="level").result
    assert values(named, "easy")["vote", "", "accuracy"] == 1.0
    assert "level" in named.settings["difficulty"]
    with pytest.raises(InputError, match="problem 'p0' has no field 'subject'"):
        evaluate({"vote": whole}, by="subject")


def test_branches_that_were_given_up_are_not_checked_and_are_marked(write):
    rows = simple((1, 1, 1, 1), (10, 10, 10, 10))
    given_up = leaf("The answer is 4", finish="unknown", scores=(0.1,))
    rows["p0"] = ([answer(4, scores=(0.9, 0.8)), given_up, answer("??")], 0, 10, 3)
    shown = evaluate({"rebase": write("a", rows)}).shown
    p0 = [chain for chain in shown if chain.problem_id == "p0"]
    assert [(c.is_whole, c.is_right, bool(c.chosen_by)) for c in p0] == [
        (True, True, True), (False, None, False), (True, p0[2].is_right, False),
    ]  # fmt: skip
    assert p0[2].is_right is not True
    assert p0[0].scores == {"prm": (0.9, 0.8)}
    rows["p1"] = ([given_up, answer(5)], 0, 10, 3)
    assert values(evaluate({"rebase": write("b", rows)}).result)["rebase", "", "accuracy"] == 1, (
        "a chosen one is checked"
    )


def test_problems_that_a_run_lacks_are_left_out_and_written_down(write):
    rows = simple((1, 0, 0, 1), (10, 20, 30, 40))
    few = {name: own for name, own in rows.items() if name != "p3"} | {"p9": rows["p0"]}
    problems = [*PROBLEMS[:2], Problem("p2", "Is there one?"), *PROBLEMS[3:], Problem("p8", "And this?", "4")]
    found = evaluate({"a": write("a", rows), "b": write("b", few)}, problems)
    assert found.result.data["problems"] == 2
    assert found.result.data["dropped"] == {"not in every run": 2, "no gold answer": 1, "not among the problems": 1}
    assert {drop.id for drop in found.drops} == {"p2", "p3", "p8", "p9"}
    with pytest.raises(InputError, match="no problem with a gold answer in common"):
        evaluate({"a": write("c", rows)}, [Problem("q", "Another?", "4")])


def test_what_is_refused(write, tmp_path):
    run = write("run", simple((1, 0, 0, 1), (10, 20, 30, 40)))
    other = write("other", simple((1, 0, 0, 1), (10, 20, 30, 40)), beside="sample")
    for runs, message in (
        ({}, "no runs to compare"),
        ([run], "no runs to compare"),
        ({"a": []}, "no runs to compare"),
        ({" ": run}, "is not a name"),
        ({"a": other}, "not a finished output of `prm solve`"),
        ({"a": tmp_path / "none.jsonl"}, "not a finished output of `prm solve`"),
        ({"a": run, "b": run}, "is given twice"),
        ({OPTIMAL: run}, "two rows of the result would be called 'compute-optimal'"),
    ):
        with pytest.raises(InputError, match=message):
            evaluate(runs)
    (tmp_path / "run.jsonl.choices.jsonl").write_text("")
    with pytest.raises(InputError, match="in common"):
        evaluate({"a": run})


def test_the_command_prints_tables_and_the_front(write, prm, tmp_path):
    write_records(tmp_path / "p.jsonl", PROBLEMS)
    write("a", simple((1, 0, 0, 1), (10, 20, 30, 40), 5), n=4)
    write("b", simple((1, 1, 0, 1), (20, 40, 60, 80), 7), n=8)
    write("c", simple((1, 0, 0, 0), (90, 90, 90, 90)), method="majority")
    runs = ("--run", "rebase=a.jsonl", "--run", "rebase=b.jsonl", "--run", "vote=c.jsonl")
    given = ("eval", "search", "--problems", "p.jsonl", "--out", "r.json", "--draws", 100)
    code, out, err = prm(*given, *runs, "--by", "level")
    assert code == 0, err
    assert "rebase n=4" in out
    assert "at most 25 tokens" in out
    assert err.splitlines()[-1] == "front, by tokens generated: rebase n=4 50.0%, rebase n=8 75.0%"
    assert json.loads((tmp_path / "r.json").read_text())["protocol"] == "search"
    assert "reused" in prm(*given, *runs, "--by", "level")[2]
    assert "does not read --chains" in prm(*given, *runs, "--chains", "a.jsonl")[2]
    assert "--problems is missing" in prm("eval", "search", *runs, "--out", "q.json")[2]
    assert "there are no runs" in prm("eval", "search", "--problems", "p.jsonl", "--out", "q.json")[2]
    assert "best-of-n does not read --run" in prm("eval", "best-of-n", *runs, "--out", "q.json")[2]


def test_a_result_is_not_compared_row_by_row(write, prm, tmp_path):
    """It has the paired differences of its runs; running it again would store no rows."""
    write("vote", simple((1, 0, 0, 1), (10, 10, 10, 10)))
    write_records(tmp_path / "p.jsonl", PROBLEMS)
    assert prm("eval", "search", "--problems", "p.jsonl", "--run", "vote=vote.jsonl", "--out", "s.json")[0] == 0
    code, _, err = prm("compare", "s.json")
    assert code == 1
    assert "error: s.json: compares the runs of a search already" in err
    assert "--overwrite" not in err
