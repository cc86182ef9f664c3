"""Votes that stop once they are settled, and choices that are not made."""

import numpy as np
import pytest

import prm as toolkit
from prm import Chain, InputError, Problem, StepScores
from prm.scoring.reranking import settled


@pytest.mark.parametrize(
    ("groups", "stop_when", "read"),
    [
        ([0, 0, 0, 0, 0], 0.95, 4),  # 1 - 1/2 ** 5 = 0.969
        ([0, 0, 0, 0, 0], 0.9, 3),  # 1 - 1/2 ** 4 = 0.9375
        ([0, 1, 0, 1, 0, 1], 0.95, 6),
        ([0, 0, 1, 0, 0, 0, 0], 0.95, 7),  # Beta(7, 2): 247 of 256, after Beta(6, 2): 120 of 128
        ([None, None, 0, 0, 0, 0, 1], 0.95, 6),
        ([None, None], 0.95, 2),
        ([], 0.95, 0),
    ],
)
def test_a_vote_is_settled_by_hand(groups, stop_when, read):
    assert settled(groups, stop_when) == read


def test_the_winner_of_a_settled_vote_is_mostly_that_of_the_whole():
    rng, same, saved = np.random.default_rng(0), [], []
    for _ in range(400):
        share = rng.uniform(0.55, 1)
        groups = (rng.random(64) >= share).astype(int).tolist()
        read = settled(groups, 0.95)
        same.append(max(set(groups[:read]), key=groups[:read].count) == max(set(groups), key=groups.count))
        saved.append(1 - read / 64)
    assert np.mean(same) > 0.93
    assert np.mean(saved) > 0.7


PROBLEMS = [Problem("p", "2 + 2?", "4"), Problem("q", "3 + 3?", "6")]
ANSWERS = {"p": [4, 4, 4, 4, 4, 5, 5, 5], "q": [6, 7, 6, 7, 6, 7, 6, 7]}
CHAINS = [
    Chain(f"{name}/{i}", name, (f"The answer is {answer}",))
    for name, row in ANSWERS.items()
    for i, answer in enumerate(row)
]
SCORES = [StepScores(chain.id, chain.problem_id, (0.9 if chain.problem_id == "p" else 0.3,), "prm") for chain in CHAINS]


def test_only_so_many_chains_are_looked_at_as_settle_the_vote():
    made = toolkit.rerank_chains(PROBLEMS, CHAINS, SCORES, selection="majority", stop_when=0.95)
    assert [(row.problem_id, row.read, row.answer) for row in made] == [("p", 4, "4"), ("q", 8, "6")]
    assert (made.counts["chains"], made.counts["chains looked at"]) == (16, 12)
    whole = toolkit.rerank_chains(PROBLEMS, CHAINS, SCORES, selection="majority")
    assert [row.read for row in whole] == [None, None]


def test_no_choice_is_made_where_the_best_scores_too_little(prm, tmp_path):
    made = toolkit.rerank_chains(PROBLEMS, CHAINS, SCORES, abstain_below=0.5)
    assert [row.problem_id for row in made] == ["p"]
    assert [(drop.id, drop.reason, drop.detail) for drop in made.drops] == [
        ("q", "its best chain scores too little", "0.3")
    ]


@pytest.mark.parametrize("stop_when", [0.5, 1.0, float("nan")])
def test_a_wrong_probability_is_refused(stop_when):
    with pytest.raises(InputError, match="stop_when"):
        toolkit.rerank_chains(PROBLEMS, CHAINS, SCORES, selection="majority", stop_when=stop_when)


def test_best_of_n_cannot_stop_early():
    with pytest.raises(InputError, match="stop_when needs a vote"):
        toolkit.rerank_chains(PROBLEMS, CHAINS, SCORES, stop_when=0.95)
