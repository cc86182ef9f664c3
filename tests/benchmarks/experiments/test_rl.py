"""The loop of the experiment in reinforcement learning, with the real policy and a few solutions."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from prm.benchmarks.arithmetic import POLICY
from prm.benchmarks.arithmetic.world import write_world
from prm.benchmarks.experiments import rl
from prm.data.steps import split_steps
from prm.models.rendering import spelled
from prm.rl import StepCredit

pytestmark = pytest.mark.usefixtures("one_thread")
PROBLEM = rl.Posed("Ann has 5 pens. Ann finds 2 more. How many pens does Ann have?", (5, 7))
RIGHT, WRONG = "found: 5 + 2 = 7\nThe answer is 7", "found: 5 + 2 = 8\nThe answer is 8"


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(POLICY, padding_side="left")


@pytest.fixture
def policy():
    return AutoModelForCausalLM.from_pretrained(POLICY).eval()


def drawn(tokenizer, *texts):
    ids = [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id] for text in texts]
    prompt = tokenizer(f"{PROBLEM.text}\n")["input_ids"]
    return rl.Drawn([PROBLEM] * len(texts), [prompt] * len(texts), ids)


def logs(policy, solutions, pad):
    """The log-probability of each solution."""
    with torch.no_grad():
        table, chosen, is_own = rl.log_probabilities(policy, solutions, pad)
    return (table.gather(-1, chosen[..., None])[..., 0] * is_own).sum(dim=1)


def test_log_probabilities_are_those_of_the_solutions_alone(policy, tokenizer):
    both = drawn(tokenizer, RIGHT, WRONG + "\nand more")
    ids = torch.tensor([both.prompts[0] + both.completions[0]])
    with torch.no_grad():
        expected = -policy(input_ids=ids).logits[0, :-1].log_softmax(-1)
    start = len(both.prompts[0])
    by_hand = -sum(float(expected[place - 1, ids[0, place]]) for place in range(start, ids.shape[1]))
    assert float(logs(policy, both, tokenizer.pad_token_id)[0]) == pytest.approx(by_hand, rel=1e-4)


def test_an_update_makes_the_better_solution_more_likely(policy, tokenizer):
    both = drawn(tokenizer, RIGHT, WRONG)
    before = logs(policy, both, tokenizer.pad_token_id)
    lasts = [len(ids) - 1 for ids in both.completions]
    given = [StepCredit((), np.array([reward]), (last,), ()) for reward, last in zip((1.0, 0.0), lasts, strict=True)]
    rl.learn(policy, torch.optim.SGD(policy.parameters(), lr=0.05), both, given, 2, tokenizer.pad_token_id)
    after = logs(policy, both, tokenizer.pad_token_id)
    assert after[0] - after[1] > before[0] - before[1]


def test_measures_by_hand(policy, tokenizer):
    solutions = drawn(tokenizer, RIGHT, WRONG, "The answer is 7")
    judge = rl.judge_of("exact answer", Path(), 0, tokenizer)
    row = rl.measured(solutions, judge, policy, policy, tokenizer)
    assert row["proxy"] == row["answers"] == row["gold"] == pytest.approx(2 / 3)
    assert row["chains"] == pytest.approx(1 / 3)  # a right answer alone is no right solution
    assert row["steps"] == 2 / 5
    assert row["length"] == pytest.approx(5 / 3)
    assert row["kl"] == 0.0
    assert split_steps(row["example"]) == split_steps(spelled(tokenizer, solutions.completions[0]))


def test_a_run_is_written_once(tmp_path, monkeypatch):
    write_world(tmp_path / "test.problems.jsonl", count=2, seed=3)
    plan = rl.Plan(
        tmp_path, tmp_path, tmp_path, updates=1, every=1, problems=1, group=2, lr=1e-4, tested=2, draws=1, max_tokens=16
    )
    rows = rl.run(plan, "exact answer", 0)
    assert [row["update"] for row in rows] == [0, 1]
    assert rows == [json.loads(line) for line in (tmp_path / "exact-answer-0.jsonl").read_text().splitlines()]
    monkeypatch.setattr(rl, "trained", None)
    assert rl.run(plan, "exact answer", 0) == rows
    pytest.importorskip("matplotlib")
    rl.draw(rows, tmp_path / "rl.svg")
    assert "<svg" in (tmp_path / "rl.svg").read_text()
