"""Step rewards, advantages and filters: values by hand, and what holds for any scores."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prm.errors import InputError
from prm.rl import FORMS, most_consistent, outcome_advantages, step_advantages, step_rewards

SCORES = st.lists(st.floats(-5, 5), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("form", "expected"),
    [("sum", [0.5, 0.75, 0.25]), ("last", [0, 0, 0.25]), ("delta", [0.5, 0.25, -0.5])],
)
def test_rewards_by_hand(form, expected):
    assert step_rewards([0.5, 0.75, 0.25], form).tolist() == expected


def test_min_by_hand():
    """Weights of exp(-10·0.2) and exp(-10·0.1): the lower score has e times the weight."""
    low, high = step_rewards([0.1, 0.2], "min")
    assert low == pytest.approx(0.1 * math.e / (1 + math.e))
    assert high == pytest.approx(0.2 / (1 + math.e))


def test_min_gives_a_bad_step_the_blame():
    """PURE's scores, from -1 to 1: what a chain is worth is its worst step, and no other step can make up for it."""
    rewards = step_rewards([0.9, -0.8, 1.0, 1.0], "min")
    assert rewards[1] == pytest.approx(-0.8, abs=1e-6)
    assert np.abs(np.delete(rewards, 1)).max() < 1e-6


def test_min_of_extreme_scores_does_not_overflow():
    assert step_rewards([-1e300, 1e300], "min", temperature=1e-9).tolist() == [-1e300, 0.0]


def test_delta_from_a_start():
    assert step_rewards([0.5, 1.0], "delta", start=0.25).tolist() == [0.25, 0.5]


@given(SCORES, st.floats(-1, 1))
def test_what_the_rewards_add_up_to(scores, start):
    total = {form: float(step_rewards(scores, form, start=start).sum()) for form in FORMS}
    assert total["sum"] == pytest.approx(sum(scores), abs=1e-9)
    assert total["last"] == scores[-1]
    assert total["delta"] == pytest.approx(scores[-1] - start, abs=1e-9)  # telescopes
    assert min(scores) - 1e-9 <= total["min"] <= sum(scores) / len(scores) + 1e-9


@given(SCORES)
def test_min_approaches_the_lowest_score_and_the_mean(scores):
    cold = step_rewards(scores, "min", temperature=1e-4).sum()
    hot = step_rewards(scores, "min", temperature=1e6).sum()
    assert cold == pytest.approx(min(scores), abs=1e-3)
    assert hot == pytest.approx(np.mean(scores), abs=1e-3)


@given(SCORES)
def test_the_worst_step_is_known_by_min_alone_to_all_earlier_ones(scores):
    """By min, what is to come at a step is at most what is to come at the worst step, unless scores change sign."""
    scores = [abs(score) for score in scores]
    to_come = step_rewards(scores, "min")[::-1].cumsum()[::-1]
    assert (np.diff(to_come) <= 1e-12).all()


@pytest.mark.parametrize("form", FORMS)
def test_a_chain_without_steps_and_one_of_one_step(form):
    assert step_rewards([], form).tolist() == []
    assert step_rewards([0.7], form).tolist() == [0.7]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ([[0.5], "max"], {}, "unknown form 'max'"),
        ([[math.nan], "sum"], {}, "not one row of finite numbers"),
        ([[[0.5]], "sum"], {}, "not one row of finite numbers"),
        ([[0.5], "min"], {"temperature": 0}, "temperature=0"),
        ([[0.5], "delta"], {"start": math.inf}, "start=inf"),
    ],
)
def test_what_is_refused(arguments, options, message):
    with pytest.raises(InputError, match=message):
        step_rewards(*arguments, **options)


def test_advantages_of_outcomes():
    assert outcome_advantages([2, 0, 0, 0]).tolist() == pytest.approx([math.sqrt(3), *[-1 / math.sqrt(3)] * 3])
    assert outcome_advantages([0.1] * 7).tolist() == [0.0] * 7  # though 0.1 is no binary fraction
    assert outcome_advantages([]).tolist() == []


@pytest.mark.parametrize("missing", [math.nan, math.inf, None])
def test_a_missing_reward_is_no_reason_to_learn_nothing_from_its_group(missing):
    with pytest.raises(InputError, match="not a finite number"):
        outcome_advantages([1.0, missing, 0.0])
    with pytest.raises(InputError, match="not a finite number"):
        step_advantages([[1.0, missing], [0.0]])


def test_advantages_of_steps_by_hand():
    """To come: 2, 1 and 0, 0 and 1 (one step). Means 1 and 1/3. Squares add up to 1, 4/9, 1, 1/9 and 0: 23/9 of 5."""
    size = math.sqrt(23 / 45)
    first, second, short = step_advantages([[1, 1], [0, 0], [1]])
    assert first.tolist() == pytest.approx([1 / size, 2 / 3 / size])
    assert second.tolist() == pytest.approx([-1 / size, -1 / 3 / size])
    assert short.tolist() == [0.0]


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=8))
def test_chains_of_one_step_are_outcomes(rewards):
    found = np.concatenate(step_advantages([[reward] for reward in rewards]))
    assert found.tolist() == pytest.approx(outcome_advantages(rewards).tolist())


@given(st.lists(st.lists(st.floats(-2, 2), max_size=5), min_size=1, max_size=6), st.floats(0.5, 20))
def test_advantages_do_not_depend_on_the_unit(chains, unit):
    """Of rewards that differ measurably; a chain keeps its number of steps."""
    found = step_advantages(chains)
    assert list(map(len, found)) == list(map(len, chains))
    if any(np.abs(steps).max() > 0 for steps in found if len(steps)):
        again = step_advantages([[unit * reward for reward in chain] for chain in chains])
        for one, other in zip(found, again, strict=True):
            assert one.tolist() == pytest.approx(other.tolist(), abs=1e-3)


def test_a_step_more_costs_nothing_but_what_it_earns():
    """Chains of one total have one advantage at the first step, however many steps it took."""
    short, long, _ = step_advantages([[1.0], [0.5, 0.5], [0.0]])
    assert short[0] == long[0]


TABLE = {
    "a": (True, 0.9),
    "b": (True, 0.2),  # a right answer by a bad process
    "c": (True, 0.8),
    "d": (True, 0.6),
    "e": (False, 0.7),  # a wrong answer by a good process
    "f": (False, 0.1),
}


@pytest.mark.parametrize(
    ("keep", "kept"),
    [(0, ""), (1, "a"), (2, "af"), (3, "acf"), (4, "acef"), (5, "acdef"), (6, "abcdef")],
)
def test_prof_on_a_small_table(keep, kept):
    names, (is_right, values) = list(TABLE), zip(*TABLE.values(), strict=True)
    assert "".join(names[i] for i in most_consistent(is_right, values, keep)) == kept


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=12), st.data())
def test_prof_balances_as_far_as_numbers_allow(rows, data):
    keep = data.draw(st.integers(0, len(rows)))
    is_right, values = ([row[part] for row in rows] for part in (0, 1))
    kept = most_consistent(is_right, values, keep)
    assert kept == sorted(set(kept))
    assert len(kept) == keep
    rights, all_right = sum(is_right[i] for i in kept), sum(is_right)
    possible = [k for k in range(all_right + 1) if 0 <= keep - k <= len(rows) - all_right]
    assert rights * (keep - rights) == max(k * (keep - k) for k in possible)
    dropped = set(range(len(rows))) - set(kept)
    assert all(values[i] >= values[j] for i in kept for j in dropped if is_right[i] and is_right[j])
    assert all(values[i] <= values[j] for i in kept for j in dropped if not is_right[i] and not is_right[j])


def test_prof_refuses():
    with pytest.raises(InputError, match="1 values for 2 chains"):
        most_consistent([True, False], [0.5], 1)
    with pytest.raises(InputError, match="keep=3"):
        most_consistent([True, False], [0.5, 0.5], 3)
    with pytest.raises(InputError, match="not a finite number"):
        most_consistent([True, False], [math.nan, 0.5], 1)
