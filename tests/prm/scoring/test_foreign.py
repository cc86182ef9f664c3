"""Scores of other tools, where `prm rerank`, `prm combine` and `prm calibrate` read scores."""

import json

import pytest

import prm
from prm.data.drops import Drops
from prm.data.records import Chain, Problem, StepLabels, StepScores
from prm.errors import InputError
from prm.scoring.foreign import Links, Siblings, read_step_scores

PROBLEMS = [Problem(p, f"What is {p}?", "4") for p in ("p", "q")]
CHAINS = [Chain(f"{p}/{i}", p, ("So.\n", f"The answer is {4 + i}")) for p in ("p", "q") for i in range(3)]
VALUES = [(0.9, 0.2), (0.8, 0.7), (0.9, 0.1), (0.5, 0.4), (0.3, 0.3), (0.9, 0.9)]
OURS = [StepScores(c.id, c.problem_id, values, "prm") for c, values in zip(CHAINS, VALUES, strict=True)]
FORMS = {
    "ids": [{"id": c.id, "scores": v} for c, v in zip(CHAINS, VALUES, strict=True)],
    "other names, nested": [{"chain_id": c.id, "step_scores": [list(v)]} for c, v in zip(CHAINS, VALUES, strict=True)],
    "all chains of a problem, by its text": [
        {"prompt": p.text, "step_scores": [list(v) for v in VALUES[3 * i : 3 * i + 3]]} for i, p in enumerate(PROBLEMS)
    ],
}


def written(tmp_path, rows, name="scores.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("form", FORMS)
def test_rerank_chooses_as_by_our_own_scores(tmp_path, form):
    ours = list(prm.rerank_chains(PROBLEMS, CHAINS, OURS))
    assert list(prm.rerank_chains(PROBLEMS, CHAINS, written(tmp_path, FORMS[form]))) == ours
    assert [choice.index for choice in ours] == [1, 2]


def test_rerank_reads_rewards_of_whole_chains(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({c.id: sum(v) for c, v in zip(CHAINS, VALUES, strict=True)}))
    assert [choice.index for choice in prm.rerank_chains(PROBLEMS, CHAINS, path)] == [1, 2]


def test_a_row_that_cannot_be_used_is_dropped_with_its_reason(tmp_path):
    rows = [{"id": "p/0", "scores": [0.9, None]}, {"id": "p/9"}, *FORMS["ids"][1:]]
    chosen = prm.rerank_chains(PROBLEMS, CHAINS, written(tmp_path, rows))
    assert [(d.id, d.reason) for d in chosen.drops] == [
        ("scores:1", "a score that cannot be read"), ("scores:2", "no scores in it"), ("p/0", "it has no score"),
    ]  # fmt: skip
    assert chosen.counts["dropped (no scores in it)"] == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"chain_id": "p/0", "scores": [0.1, 0.2], "kind": "orm"}, "an ORM gives exactly one score per chain"),
        ({"chain_id": "p/0", "scores": [1, 2], "kind": "orm"}, "an ORM gives exactly one score per chain"),
        ({"chain_id": "p/0", "scores": [], "kind": "orm"}, "an ORM gives exactly one score per chain"),
        ({"chain_id": "p/0", "scores": "[" * 100_000}, "a score that cannot be read"),
    ],
)
def test_what_no_scorer_gives_is_dropped_too(tmp_path, row, reason):
    drops = Drops()
    path = written(tmp_path, [row, {"chain_id": "p/1", "scores": [0.5], "kind": "orm"}])
    assert list(read_step_scores(path, drops)) == ["p/1"]
    assert [(drop.id, drop.reason) for drop in drops] == [("scores:1", reason)]


@pytest.mark.parametrize("quote", ["", '"'])
def test_lists_in_lists_by_chain_cost_no_other_chain(tmp_path, quote):
    path, drops = tmp_path / "scores.json", Drops()
    path.write_text(f'{{"p/0": {quote}{"[" * 900}{"]" * 900}{quote}, "p/1": [0.5]}}')
    assert list(read_step_scores(path, drops)) == ["p/1"]
    assert [(drop.id, drop.reason) for drop in drops] == [("scores:1", "a score that cannot be read")]


def test_combine_takes_ours_and_those_of_others(tmp_path):
    theirs = written(tmp_path, [{"id": c.id, "scores": [0.5, 0.5]} for c in CHAINS])
    made = {row.chain_id: row for row in prm.combine({"a": OURS, "b": theirs}, how="mean")}
    assert made["p/1"].scores == pytest.approx((0.65, 0.6))
    assert (len(made), made["q/2"].problem_id, made["q/2"].kind) == (6, "q", "prm")


def test_calibrate_fits_the_same_to_both(tmp_path):
    chains = [Chain(f"c{i}", f"p{i}", ("a", "b")) for i in range(40)]
    scores = [((i % 10) / 10 + 0.05, (i % 7) / 10 + 0.1) for i in range(40)]
    labels = [
        StepLabels(
            c.id,
            c.problem_id,
            (r := (4 * (i % 2), 4 * (i % 3 == 0))),
            tuple(4 - n for n in r),
            (0, 0),
            ("drawn", "drawn"),
            "incorrect",
        )
        for i, c in enumerate(chains)
    ]
    ours = [StepScores(c.id, c.problem_id, own, "prm") for c, own in zip(chains, scores, strict=True)]
    theirs = written(tmp_path, [{"id": c.id, "scores": own} for c, own in zip(chains, scores, strict=True)])
    fits = [prm.calibrate(given, labels, method="platt").fit for given in (ours, theirs)]
    assert fits[0] == fits[1]


def test_a_chain_belongs_to_the_problem_that_is_known_or_that_its_id_names(tmp_path):
    path = written(tmp_path, [{"id": "x", "score": 1}, {"id": "p/7", "score": 2}, {"id": "alone", "score": 3}])
    found = read_step_scores(path, Drops(), lambda: Links([Siblings("of x", ("x",))]))
    assert {row.chain_id: row.problem_id for row in found.values()} == {"x": "of x", "p/7": "p", "alone": "alone"}


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        ({"p/0": ["0.9", "0.2"], "p/1": "[0.4, 0.1]", "p/2": [None, 0.5]}, {"p/0": (0.9, 0.2), "p/1": (0.4, 0.1)}),
        ({"p/0": "1.5", "p/1": 2, "p/2": "nan"}, {"p/0": (1.5,), "p/1": (2.0,)}),
        ({"problem_id": "p", "score_chosen": 1.5, "score_rejected": 2}, {"p/0": (1.5,), "p/1": (2.0,)}),
        ({"problem_id": ["p"], "chosen_score": [1.5], "rejected_score": [2]}, {"p/0": (1.5,), "p/1": (2.0,)}),
    ],
)
def test_an_object_that_is_the_whole_file(tmp_path, whole, expected):
    """Scores by chain, also as texts; or one row of a pair, or the columns of such rows."""
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(whole))
    assert {row.chain_id: row.scores for row in read_step_scores(path, Drops()).values()} == expected


def test_a_file_without_a_row_is_named(tmp_path):
    path = tmp_path / "scores.jsonl"
    path.write_text("\n\n")
    with pytest.raises(InputError, match=r"scores\.jsonl: holds no scores: it is empty"):
        read_step_scores(path, Drops())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "a", "scores": [0.1, 0.2]}, {"id": "b", "score": 1}], "mixes PRM and ORM"),
        ([{"id": "a", "score": 1}, {"id": "a", "score": 1}], "'a' comes twice"),
        ([{"id": "a"}], "holds no scores: no scores in it"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        read_step_scores(written(tmp_path, rows), Drops())
