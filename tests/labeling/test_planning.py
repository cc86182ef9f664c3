"""The plan of a labeling job: simulated strategies against figures worked out by hand, and a pilot on a server."""

import json

import numpy as np
import pytest

import prm as toolkit
from prm import Chain, Problem, write_records
from prm.benchmarks.perf.waiting_server import serve
from prm.labeling.allocation import STRATEGIES, Budget
from prm.labeling.planning import BUDGETS, _Case, _cheapest, _option, _Outcome, _run
from prm.statistics.pooling import GRID, posterior, sampled_values

RNG = np.random.default_rng(3)


def test_drawn_values_follow_the_posterior_and_keep_neighbors_together():
    right, wrong = [4, 3, 0], [0, 1, 4]
    values = sampled_values(right, wrong, 40_000, np.random.default_rng(0))
    expected = posterior(right, wrong)
    for i in range(3):
        shares = np.array([(values[:, i] == value).mean() for value in GRID])
        assert np.abs(shares - expected[i]).max() < 0.01
    assert (values[:, 0] == values[:, 1]).mean() > (values[:, 1] == values[:, 2]).mean() + 0.2


def simulated(strategy, k, values, outcome="incorrect", undecided=0.0, repeats=4000):
    """The mean of many jobs on a chain with these values, the bare problem first, and rollouts of 10, 9, … tokens."""
    case = _Case(outcome, np.array([values]), [10.0 - i for i in range(len(values))], undecided)
    found = [_run(strategy, Budget(k), case, case.values[0], RNG) for _ in range(repeats)]
    return _Outcome(*(np.nanmean(column) for column in zip(*found, strict=True)))


def test_hard_labels_fail_as_often_as_all_rollouts_do():
    """One prefix of value 1/2 and a last step: all 4 rollouts fail in 1 of 16 jobs, and one of two labels is wrong."""
    found = simulated("fixed", 4, [0.5, 0.5])
    assert found.hard_error == pytest.approx(1 / 32, abs=0.006)
    assert (found.labeled, found.rollouts, found.tokens) == (1.0, 4.0, 36.0)


def test_bisect_stops_at_the_first_success():
    """2 rollouts first: enough in 3 of 4 jobs; then the 2 that are left."""
    found = simulated("bisect", 4, [0.5, 0.5])
    assert found.rollouts == pytest.approx(2.5, abs=0.05)
    assert found.tokens == pytest.approx(9 * 2.5, abs=0.5)
    assert found.hard_error == pytest.approx(1 / 32, abs=0.006)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nothing_is_wrong_where_rollouts_are_certain(strategy):
    found = simulated(strategy, 8, [1.0, 1.0, 1.0, 0.0, 0.0], repeats=3)
    assert (found.hard_error, found.value_error < 0.02) == (0.0, True)
    assert simulated(strategy, 8, [1.0, 1.0, 1.0, 1.0], "correct", repeats=3).hard_error == 0.0


def test_undecided_rollouts_are_paid_for_and_say_nothing():
    found = simulated("fixed", 8, [1.0, 1.0], undecided=0.75)
    assert found.rollouts == 8
    assert found.labeled == pytest.approx(1 - 0.75**8 / 2, abs=0.006)


def test_the_cheapest_option_that_is_good_enough_is_recommended():
    def option(strategy, error, tokens, labeled=1.0):
        return _option(strategy, 8, [_Outcome(labeled, error, 0.0, 8.0, tokens)], 10, 100.0, 2.0)

    options = [option("fixed", 0.01, 90), option("bisect", 0.04, 20), option("scan", 0.0, 5, labeled=0.5)]
    assert _cheapest(options, 0.05, lambda o: o.hard_error).strategy == "bisect"
    assert _cheapest(options, 0.001, lambda o: o.hard_error).strategy == "fixed", "none is good enough: the least error"
    assert (options[0].tokens, options[0].hours, options[0].price) == (900, 900 / 100 / 3600, 900 / 1e6 * 2)


PROBLEMS = [Problem("p", "what is 2 + 2?", "4"), Problem("open", "why?")]
CHAINS = [
    *(Chain(f"c{i}", "p", ("First.\n", "So 2 + 2 = 5.\n", "Thus.\n", "The answer is 5")) for i in range(30)),
    *(Chain(f"d{i}", "open", ("The answer is 9",)) for i in range(10)),
]


@pytest.fixture(scope="module")
def server():
    with serve() as started:
        yield started


def test_a_pilot_and_what_it_says_about_all_chains(server, base_model, tmp_path):
    settings = {"model": base_model, "endpoints": [server.url], "price_per_million": 3.0, "pilot": 160}
    found = toolkit.plan_labels(PROBLEMS, CHAINS, tmp_path / "plan.json", **settings)
    assert {(o.strategy, o.k) for o in found.options} == {(s, k) for s in STRATEGIES for k in BUDGETS}
    assert 100 <= found.pilot["rollouts"] <= 200
    by_name = {(o.strategy, o.k): o for o in found.options}
    labelable = by_name["fixed", 8].rollouts / (3 * 8)
    assert 20 <= labelable <= 40, "about 30 of the 40 chains have a gold answer"
    assert by_name["fixed", 16].tokens == pytest.approx(2 * by_name["fixed", 8].tokens, abs=1)
    assert by_name["bisect", 8].tokens < by_name["fixed", 8].tokens
    assert by_name["fixed", 8].price == pytest.approx(by_name["fixed", 8].tokens * 3 / 1e6, rel=1e-3)
    assert found.hard in found.options
    assert found.soft.value_error is not None
    asked = len(server.asked)
    again = toolkit.plan_labels(PROBLEMS, CHAINS, tmp_path / "plan.json", **settings)
    assert (again.options, len(server.asked)) == (found.options, asked), "a finished plan is reused"


def test_the_command_prints_a_table_and_what_to_run(prm, server, base_model, tmp_path):
    write_records(tmp_path / "p.jsonl", PROBLEMS)
    write_records(tmp_path / "c.jsonl", CHAINS)
    code, out, said = prm(
        "label", "plan", f"--model={base_model}", f"--endpoint={server.url}", f"--problems={tmp_path}/p.jsonl",
        f"--chains={tmp_path}/c.jsonl", "--pilot=80", f"--out={tmp_path}/plan.json",
    )  # fmt: skip
    assert (code, "first-success" in out) == (0, True)
    assert "for hard labels: --strategy" in said
    assert json.loads((tmp_path / "plan.json").read_text())["hard"]["strategy"] in STRATEGIES


def test_a_plan_of_nothing_is_one_line(server, base_model):
    settings = {"model": base_model, "endpoints": [server.url]}
    with pytest.raises(toolkit.InputError, match="holds no chain"):
        toolkit.plan_labels(PROBLEMS, [], **settings)
    with pytest.raises(toolkit.InputError, match="have one step"):
        toolkit.plan_labels(PROBLEMS, [Chain("a", "p", ("The answer is 5",))], **settings)
    with pytest.raises(toolkit.InputError, match="a plan sets strategy itself"):
        toolkit.plan_labels(PROBLEMS, CHAINS, strategy="bisect", **settings)


def test_another_prompt_is_another_plan(server, base_model, tmp_path):
    (tmp_path / "few.txt").write_text("Q: {problem}\nA:")
    settings = {"model": base_model, "endpoints": [server.url], "prompt": str(tmp_path / "few.txt"), "pilot": 40}
    toolkit.plan_labels(PROBLEMS, CHAINS, tmp_path / "plan.json", **settings)
    (tmp_path / "few.txt").write_text("Problem: {problem}\nA:")
    with pytest.raises(toolkit.OutputError, match="made with other settings"):
        toolkit.plan_labels(PROBLEMS, CHAINS, tmp_path / "plan.json", **settings)


@pytest.mark.parametrize("broken", ["", "broken\n"])
def test_chains_are_read_as_label_reads_them(server, base_model, tmp_path, broken):
    (tmp_path / "p.jsonl").write_text('{"question": "what is 2 + 2?", "answer": "4"}\n')
    linked = {"question": "What is 2 + 2?", "solution": "First.\nSo 2 + 2 = 5.\nThe answer is 5"}
    (tmp_path / "c.jsonl").write_text(f"{json.dumps(linked)}\n{broken}" * 3)
    settings = {"model": base_model, "endpoints": [server.url], "pilot": 40}
    found = toolkit.plan_labels(tmp_path / "p.jsonl", tmp_path / "c.jsonl", **settings)
    assert found.pilot["chains"] == 3
    assert [drop.id for drop in found.output.drops] == ([f"c.jsonl:{n}" for n in (2, 4, 6)] if broken else [])


def test_other_scores_are_another_plan_and_rows_of_them_are_no_setting(server, base_model, tmp_path):
    def plan(score):
        scores = [toolkit.StepScores("c0", "p", (0.95, 0.95, score, 0.95), "prm")]
        settings = {"model": base_model, "endpoints": [server.url], "pilot": 10**4, "scores": scores}
        return toolkit.plan_labels(PROBLEMS, CHAINS, tmp_path / "plan.json", **settings)

    assert plan(0.95).pilot["chains"] == 29, "the scorer is sure of one of 30"
    row = json.loads((tmp_path / "plan.json.manifest.json").read_text())
    assert ("scores" in row["settings"], "scores 1" in row["inputs"]) == (False, True)
    with pytest.raises(toolkit.OutputError, match=r"made with other inputs \(scores 1\)"):
        plan(0.6)


def test_a_pilot_without_a_chain_to_label_is_an_error(server, base_model):
    with pytest.raises(toolkit.InputError, match="no chain of the pilot can be labeled"):
        toolkit.plan_labels(PROBLEMS, CHAINS[30:], model=base_model, endpoints=[server.url])
