"""Values from pairs: closed forms, recovery of known strengths, and properties that hold for any pairs."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, ndtr, ndtri

from prm.data.comparisons import read_comparisons, read_values, write_values
from prm.errors import InputError
from prm.statistics.strengths import strengths

MODELS = {"bradley-terry": expit, "thurstone": ndtr}


def difference(values, one, other):
    return values[one] - values[other]


def both_ways(one, other, wins, losses):
    return [(one, other, float(wins)), (other, one, float(losses))]


@pytest.mark.parametrize(("wins", "losses"), [(3, 1), (1, 1), (2, 7), (1000, 1)])
def test_two_items_have_a_closed_form(wins, losses):
    pairs = both_ways("a", "b", wins, losses)
    logistic, normal = strengths(pairs, prior=0), strengths(pairs, "thurstone", prior=0)
    assert difference(logistic, "a", "b") == pytest.approx(math.log(wins / losses), abs=1e-7)
    assert difference(normal, "a", "b") == pytest.approx(ndtri(wins / (wins + losses)), abs=1e-7)
    assert logistic["a"] == pytest.approx(-logistic["b"], abs=1e-12)


def test_a_chain_of_pairs_adds_up():
    # Without a prior a tree of comparisons is fitted exactly: a over b by log 4, b over c by log 2, c over d by log 3.
    pairs = [*both_ways("a", "b", 4, 1), *both_ways("b", "c", 2, 1), *both_ways("d", "c", 1, 3)]
    found = strengths(pairs, prior=0)
    assert difference(found, "a", "d") == pytest.approx(math.log(24), abs=1e-7)
    assert sum(found.values()) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_at_the_maximum_the_gradient_is_0(model):
    # For Bradley-Terry, this means that each item wins as often as expected.
    rng = np.random.default_rng(0)
    pairs = [(f"i{a}", f"i{b}", 1.0) for a, b in rng.integers(0, 12, (300, 2)) if a != b]
    prior = 0.5
    values = strengths(pairs, model, prior)
    step = 1e-5

    def height(changed):
        chance = MODELS[model](np.array([difference(changed, won, lost) for won, lost, _ in pairs]))
        return np.log(chance).sum() - prior / 2 * sum(v * v for v in changed.values())

    for identity in values:
        up, down = (height(values | {identity: values[identity] + sign * step}) for sign in (1, -1))
        assert (up - down) / (2 * step) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_known_strengths_are_recovered(model):
    rng = np.random.default_rng(1)
    true = rng.normal(size=50)
    true -= true.mean()
    one, other = rng.integers(0, 50, (2, 40_000))
    one, other = one[one != other], other[one != other]
    wins = rng.random(len(one)) < MODELS[model](true[one] - true[other])
    pairs = [
        (f"{a:02}", f"{b:02}", 1.0) if w else (f"{b:02}", f"{a:02}", 1.0)
        for a, b, w in zip(one, other, wins, strict=True)
    ]
    found = np.array(list(strengths(pairs, model).values()))
    assert np.abs(found - true).max() < 0.25
    assert np.corrcoef(found, true)[0, 1] > 0.99


@given(seed=st.integers(0, 1000), model=st.sampled_from(sorted(MODELS)))
def test_order_of_the_pairs_their_repetition_and_names_do_not_matter(seed, model):
    rng = np.random.default_rng(seed)
    pairs = [(f"i{a}", f"i{b}", float(rng.integers(1, 4))) for a, b in rng.integers(0, 8, (15, 2)) if a != b]
    found = strengths(pairs, model)
    shuffled = [pairs[i] for i in rng.permutation(len(pairs))]
    assert strengths(shuffled, model) == pytest.approx(found, abs=1e-7)
    split = [(won, lost, weight / 2) for won, lost, weight in pairs for _ in range(2)]
    assert strengths(split, model) == pytest.approx(found, abs=1e-7)
    renamed = strengths([("x" + lost, "x" + won, weight) for won, lost, weight in pairs], model)  # and reversed
    assert {k.removeprefix("x"): -v for k, v in renamed.items()} == pytest.approx(found, abs=1e-7)


@pytest.mark.parametrize("model", MODELS)
def test_a_winner_of_all_stays_finite_and_more_wins_count_more(model):
    once, often = (strengths([("a", "b", weight)], model)["a"] for weight in (1.0, 1000.0))
    assert 0 < once < often < 10


def test_a_stronger_prior_pulls_toward_0():
    pairs = both_ways("a", "b", 9, 1)
    weak, strong = strengths(pairs, prior=0.01)["a"], strengths(pairs, prior=10)["a"]
    assert 0 < strong < weak < math.log(9) / 2
    # With x = a = -b: 18·expit(-2x) - 2·expit(2x) = 2·prior·x
    assert 9 * expit(-2 * strong) - expit(2 * strong) == pytest.approx(10 * strong, abs=1e-6)


@pytest.mark.parametrize("prior", [0, 0.01])
def test_parts_without_a_path_between_them_each_have_mean_0(prior):
    pairs = [*both_ways("a", "b", 3, 1), *both_ways("c", "d", 3, 1)]
    found = strengths(pairs, prior=prior)
    assert found["a"] == pytest.approx(found["c"], abs=1e-7) == pytest.approx(-found["b"], abs=1e-7)
    assert found["a"] > 0.5


def test_ties_are_half_a_win_each(tmp_path):
    (tmp_path / "p.jsonl").write_text(
        '{"winner": "a", "loser": "b", "weight": 2}\n{"winner": "b", "loser": "a", "tie": true, "weight": 2}\n'
    )
    found = strengths(read_comparisons(tmp_path / "p.jsonl"), prior=0)
    assert difference(found, "a", "b") == pytest.approx(math.log(3))  # 3 wins to 1


def test_ties_alone_give_0():
    assert strengths([("a", "b", 0.5), ("b", "a", 0.5)]) == {"a": 0.0, "b": 0.0}


def test_a_hundred_thousand_items():
    rng = np.random.default_rng(0)
    count = 100_000
    one, other = rng.integers(0, count, (2, 150_000))
    pairs = [(str(a), str(b), 1.0) for a, b in zip(one, other, strict=True) if a != b]
    found = strengths(pairs)
    assert np.isfinite(list(found.values())).all()
    assert len(found) == len({identity for won, lost, _ in pairs for identity in (won, lost)})


@pytest.mark.parametrize(
    ("pairs", "options", "message"),
    [
        ([], {}, "no comparisons"),
        ([("a", "a", 1.0)], {}, "with itself"),
        ([("a", "b", 0.0)], {}, "weight"),
        ([("a", "b", math.nan)], {}, "weight"),
        ([("a", "b", 1.0)], {"model": "elo"}, "'elo'"),
        ([("a", "b", 1.0)], {"prior": -1.0}, "prior"),
        ([("a", "b", 1.0)], {"prior": 0.0}, "infinite"),
        ([*both_ways("a", "b", 1, 1), ("b", "c", 1.0)], {"prior": 0.0}, "infinite"),
    ],
)
def test_invalid_comparisons_are_refused(pairs, options, message):
    with pytest.raises(InputError, match=message) as caught:
        strengths(pairs, **options)
    assert caught.value.hint


# Files and the command.


def test_values_are_read_as_they_were_written(tmp_path):
    pairs = [("a", "b", 2.0), ("b", "c", 1.0)]
    values = strengths(pairs)
    assert write_values(tmp_path / "v.jsonl", values, pairs) == 3
    assert read_values(tmp_path / "v.jsonl") == {name: (value,) for name, value in values.items()}
    rows = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    assert [(r["schema"], r["chain_id"], r["comparisons"]) for r in rows] == [
        ("chain-value/1", "a", 2.0), ("chain-value/1", "b", 3.0), ("chain-value/1", "c", 1.0)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"chain_id": "b"}', "'value'"),
        ('{"chain_id": "b", "value": true}', "'value'"),
        ('{"chain_id": "b", "value": NaN}', "'value'"),
        ('{"chain_id": 3, "value": 1}', "'chain_id'"),
        ('{"chain_id": "a", "value": 1}', "twice"),
        ('{"schema": "chain/1", "chain_id": "b", "value": 1}', "'chain/1'"),
    ],
)
def test_an_invalid_value_row_is_named(tmp_path, line, message):
    (tmp_path / "v.jsonl").write_text(f'{{"chain_id": "a", "value": 1}}\n{line}\n')
    with pytest.raises(InputError, match=r"v\.jsonl:2: .*" + message):
        read_values(tmp_path / "v.jsonl")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"winner": "a"}', "'loser'"),
        ('{"winner": 1, "loser": "b"}', "'winner'"),
        ('{"winner": "a", "loser": "a"}', "'a'"),
        ('{"winner": "a", "loser": "b", "weight": 0}', "'weight'"),
        ('{"winner": "a", "loser": "b", "weight": "2"}', "'weight'"),
        ('{"winner": "a", "loser": "b", "weight": 1' + "0" * 400 + "}", "'weight'"),
        ('{"winner": "a", "loser": "b", "tie": 1}', "'tie'"),
        ("[]", "object"),
    ],
)
def test_an_invalid_comparison_row_is_named(prm, tmp_path, line, message):
    (tmp_path / "p.jsonl").write_text(f'{{"winner": "a", "loser": "b"}}\n{line}\n')
    code, _, err = prm("strengths", "p.jsonl", "--out", "v.jsonl")
    assert code == 1
    assert "error: p.jsonl:2: " in err
    assert message in err
    assert err.splitlines()[-1].startswith("hint: ")
    assert not (tmp_path / "v.jsonl").exists()


def test_the_command(prm, tmp_path):
    rows = [
        {"winner": "a", "loser": "b", "weight": 3},
        {"winner": "b", "loser": "a"},
        {"winner": "b", "loser": "c", "tie": True},
    ]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    command = ["strengths", "p.jsonl", "--model", "thurstone", "--prior", 0, "--out", "v.jsonl"]
    code, out, err = prm(*command)
    assert (code, out) == (0, ""), err
    assert "3 chains, 5 comparisons" in err
    found = {name: value for name, (value,) in read_values(tmp_path / "v.jsonl").items()}
    assert difference(found, "a", "b") == pytest.approx(ndtri(0.75))
    assert difference(found, "b", "c") == pytest.approx(0, abs=1e-7)
    assert "already there" in prm(*command)[2]
    assert prm(*command, "--model", "bradley-terry")[0] == 1
    assert prm(*command, "--model", "elo", "--overwrite")[0] == 1
