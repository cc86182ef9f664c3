"""Scores that can be taken at their word: values worked out by hand, and what must hold whatever the data are."""

import json
import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from prm.data.splits import is_in_share
from prm.errors import InputError, OutputError
from prm.models.checkpoint import Metadata, load_metadata
from prm.scoring.calibrating import calibrate
from prm.statistics.aggregation import AGGREGATORS, Aggregator
from prm.statistics.calibration import TEMPERATURES, Calibration, fit
from prm.statistics.metrics import brier_score, expected_calibration_error, log_loss, reliability

PROBABILITY_METHODS = ("temperature", "platt", "isotonic")
MADE = {
    "temperature": Calibration("temperature", "probability", {"temperature": 2.0}),
    "platt": Calibration("platt", "log-probability", {"slope": 0.5, "offset": -1.0}, "product"),
    "isotonic": Calibration("isotonic", "reward", {"log_odds": (-1.0, 0.5), "probabilities": (0.25, 0.75)}),
    "standardize": Calibration("standardize", "reward", {"mean": 3.0, "deviation": 0.5}),
}


# By hand.


def test_temperature_has_a_closed_form_for_two_scores():
    # At log-odds of ±log 4 the share is 0.9 or 0.1, whose log-odds are ±log 9: T = log 4 / log 9.
    found = fit("temperature", [0.8] * 10 + [0.2] * 10, [1] * 9 + [0] + [1] + [0] * 9)
    assert found.parameters["temperature"] == pytest.approx(math.log(4) / math.log(9))
    assert found.apply([0.8, 0.2, 0.5]) == pytest.approx([0.9, 0.1, 0.5])


def test_temperature_of_a_set_that_is_calibrated_already_is_one():
    scores = np.repeat([0.1, 0.3, 0.6, 0.9], 10)
    assert fit("temperature", scores, scores).parameters["temperature"] == pytest.approx(1)


def test_temperature_recovers_how_overconfident_scores_are():
    log_odds = np.random.default_rng(0).normal(size=20_000)
    labels = np.random.default_rng(1).random(20_000) < expit(log_odds)
    found = fit("temperature", 3 * log_odds, labels, scale="reward")
    assert found.parameters["temperature"] == pytest.approx(3, rel=0.05)


def test_platt_smooths_its_targets():
    # Two scores, ten points each, 10 and 0 of them right: targets 11/12 and 1/12, which two parameters meet exactly.
    found = fit("platt", [2.0] * 10 + [-1.0] * 10, [1] * 10 + [0] * 10, scale="reward")
    assert found.apply([2.0, -1.0]) == pytest.approx([11 / 12, 1 / 12], rel=1e-6)
    slope = 2 * math.log(11) / 3
    assert found.parameters == pytest.approx({"slope": slope, "offset": math.log(11) - 2 * slope}, rel=1e-6)


def smoothed_loss(slope, offset, log_odds, labels):
    right = sum(labels)
    targets = np.where(labels, (right + 1) / (right + 2), 1 / (len(labels) - right + 2))
    return np.sum(np.logaddexp(0, slope * log_odds + offset) - targets * (slope * log_odds + offset))


def test_platt_is_the_best_of_a_grid_around_it():
    rng = np.random.default_rng(0)
    log_odds = rng.normal(size=60)
    labels = rng.random(60) < expit(0.4 * log_odds + 1)
    found = fit("platt", expit(log_odds), labels).parameters
    best = smoothed_loss(found["slope"], found["offset"], log_odds, labels)
    grid = [
        smoothed_loss(found["slope"] + a, found["offset"] + b, log_odds, labels)
        for a in np.linspace(-2, 2, 41)
        for b in np.linspace(-2, 2, 41)
        if a or b
    ]
    assert best < min(grid)
    assert min(grid) - best < 0.1  # the grid is fine enough to say something


def test_isotonic_pools_adjacent_violators():
    # The example of scipy's and scikit-learn's documents, worked out by hand: blocks (1.5, 1), (6, 5.7, 5), (9, 7.5), …
    labels = np.array([1.5, 1.0, 4.0, 6.0, 5.7, 5.0, 7.8, 9.0, 7.5, 9.5, 9.0]) / 10
    found = fit("isotonic", range(11), labels, scale="reward").parameters
    assert found["log_odds"] == pytest.approx((0.5, 2, 4, 6, 7.5, 9.5))
    assert found["probabilities"] == pytest.approx((0.125, 0.4, 16.7 / 30, 0.78, 0.825, 0.925))


def test_isotonic_interpolates_and_is_flat_beyond_its_ends():
    found = MADE["isotonic"]
    assert found.apply([-9.0, -1.0, -0.25, 0.5, 9.0]) == pytest.approx([0.25, 0.25, 0.5, 0.75, 0.75])


def test_a_block_stands_at_the_mean_of_its_points():
    found = fit("isotonic", [0] * 6 + [1] * 2 + [3] * 2, [1] * 6 + [0] * 2 + [1] * 2, scale="reward")
    assert found.parameters["log_odds"] == pytest.approx((0.25, 3))
    assert found.parameters["probabilities"] == pytest.approx((0.75, 1))


def test_isotonic_takes_equal_scores_together():
    labels = [0, 1, 1, 0, 0, 1, 1, 1, 1, 1]
    one_way = fit("isotonic", [1] * 5 + [2] * 5, labels, scale="reward")
    other_way = fit("isotonic", [2] * 5 + [1] * 5, labels[5:] + labels[:5], scale="reward")
    assert one_way == other_way
    assert one_way.parameters["probabilities"] == pytest.approx((0.4, 1.0))


def test_standardize_by_hand():
    rewards = [1.0, 5.0] * 5
    found = fit("standardize", rewards, scale="reward")
    assert found.parameters == {"mean": 3.0, "deviation": 2.0}
    assert found.apply([1.0, 4.0, 11.0]).tolist() == [-1.0, 0.5, 4.0]
    weighted = fit("standardize", rewards, weights=[3, 1] * 5, scale="reward")
    assert weighted.parameters == pytest.approx({"mean": 2.0, "deviation": math.sqrt(3)})


def test_platt_by_hand_on_each_scale():
    parameters = {"slope": 0.5, "offset": 0.0}  # log-odds of log 9 are halved: odds of 3
    on = {"probability": 0.9, "log-probability": math.log(0.9), "reward": math.log(9)}
    for scale, score in on.items():
        assert Calibration("platt", scale, parameters).apply(score) == pytest.approx(0.75)


# What must hold.


@pytest.mark.parametrize("method", PROBABILITY_METHODS)
@given(data=st.data())
def test_scores_stay_in_order_and_become_probabilities(method, data):
    labels = data.draw(st.lists(st.floats(0, 1), min_size=10, max_size=30).filter(lambda x: 0 < sum(x) < len(x)))
    several = st.lists(st.floats(0, 1), min_size=len(labels), max_size=len(labels))
    scores = data.draw(several.filter(lambda x: max(x) - min(x) > 1e-6))
    found = fit(method, scores, labels)
    grid = np.sort([0.0, 1e-30, 1e-9, *scores, *np.linspace(0, 1, 101), 1 - 1e-9, 1.0])
    made = found.apply(grid)
    assert (np.diff(made) >= 0).all()
    assert made.min() >= 0
    assert made.max() <= 1
    assert Calibration.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize("method", PROBABILITY_METHODS)
def test_weights_are_copies(method):
    rng = np.random.default_rng(2)
    scores, labels, counts = rng.random(40), rng.random(40), rng.integers(0, 4, 40)
    weighted = fit(method, scores, labels, counts)
    copied = fit(method, np.repeat(scores, counts), np.repeat(labels, counts))
    assert weighted.apply(scores) == pytest.approx(copied.apply(scores), abs=1e-7)


@pytest.mark.parametrize("method", PROBABILITY_METHODS)
def test_the_order_of_points_does_not_matter(method):
    rng = np.random.default_rng(3)
    scores, labels, order = rng.random(50), rng.random(50) < 0.5, rng.permutation(50)
    found, again = fit(method, scores, labels), fit(method, scores[order], labels[order])
    assert found.apply(scores) == pytest.approx(again.apply(scores), abs=1e-7)


@pytest.mark.parametrize("seed", range(10))
def test_the_log_loss_on_the_fitted_data_does_not_rise(seed):
    rng = np.random.default_rng(seed)
    scores = rng.beta(0.5, 0.5, size=200)
    labels = rng.random(200) < expit(rng.uniform(0.2, 2) * logit(scores) + rng.normal())
    before = log_loss(scores, labels)
    assert log_loss(fit("temperature", scores, labels).apply(scores), labels) <= before + 1e-9
    assert log_loss(fit("platt", scores, labels).apply(scores), labels) <= before + 2 / 200  # its targets are smoothed
    assert brier_score(fit("isotonic", scores, labels).apply(scores), labels) <= brier_score(scores, labels)


def test_scores_that_part_right_from_wrong_have_finite_parameters():
    scores, labels = [0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0], [0] * 5 + [1] * 5
    assert fit("temperature", scores, labels).parameters == {"temperature": TEMPERATURES[0]}
    platt = fit("platt", scores, labels)
    assert 0 < platt.parameters["slope"] < 10
    assert 0 < platt.apply(0.0) < platt.apply(1.0) < 1


def test_scores_that_are_worse_than_chance_are_never_turned_around():
    scores, labels = [0.1, 0.2, 0.3, 0.4, 0.45, 0.6, 0.7, 0.8, 0.9, 0.95], [1] * 4 + [0] * 6
    assert fit("temperature", scores, labels).parameters == {"temperature": TEMPERATURES[1]}
    target = (4 * 5 / 6 + 6 * 1 / 8) / 10
    assert fit("platt", scores, labels).apply([0.1, 0.9]) == pytest.approx([target, target])
    assert fit("isotonic", scores, labels).apply([0.1, 0.9]) == pytest.approx([0.4, 0.4])


@pytest.mark.parametrize("name", MADE)
def test_shapes_are_kept_and_no_scores_are_no_scores(name):
    assert MADE[name].apply([]).shape == (0,)
    assert MADE[name].apply(-0.0).shape == ()
    assert MADE[name].apply(np.full((2, 3), -0.0)).shape == (2, 3)


def test_a_chain_without_steps_comes_last():
    for scale in ("probability", "log-probability", "reward"):
        platt = Calibration("platt", scale, {"slope": 1.0, "offset": 0.0})
        lowest = {"probability": 0.0, "log-probability": -1e9, "reward": -1e9}[scale]
        assert 0 <= platt.apply(-math.inf) <= platt.apply(lowest)
        assert Calibration("platt", scale, {"slope": 0.0, "offset": 0.0}).apply(-math.inf) == 0.5


@pytest.mark.parametrize("score", [1.5, -0.1, math.nan, math.inf])
def test_a_score_that_is_not_on_the_scale_is_refused(score):
    with pytest.raises(InputError, match="not a probability"):
        MADE["temperature"].apply([0.5, score])


# What is refused.

TEN = [x / 10 for x in range(10)]
HALF = [0, 1] * 5
REFUSED = {
    "too few": (("platt", TEN[:9], HALF[:9]), "9 scores are too few"),
    "too few of a weight": (("platt", TEN, HALF, [0] + [1] * 9), "9 scores are too few"),
    "one kind": (("isotonic", TEN, [1] * 10), "all labels are right"),
    "one kind with a weight": (("platt", TEN + TEN, [0] * 10 + [1] * 10, [1] * 10 + [0] * 10), "all labels are wrong"),
    "score": (("platt", [*TEN[:9], math.nan], HALF), "nan"),
    "label": (("platt", TEN, [*HALF[:9], math.nan]), r"\[0, 1\]"),
    "label beyond": (("platt", TEN, [*HALF[:9], 2]), r"\[0, 1\]"),
    "weight": (("platt", TEN, HALF, [*HALF[:9], -1]), "weights"),
    "lengths": (("platt", TEN, HALF[:9]), "same length"),
    "equal": (("platt", [0.5] * 10, HALF), "the same"),
    "equal rewards": (("standardize", [0.5] * 10), "the same"),
    "method": (("beta", TEN, HALF), "'beta'"),
    "no labels": (("platt", TEN), "needs labels"),
    "labels": (("standardize", TEN, HALF), "takes no labels"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_fitted_is_refused(arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        fit(*arguments)
    assert caught.value.hint


@pytest.mark.parametrize("name", MADE)
def test_json_round_trip(name):
    assert Calibration.from_json(MADE[name].to_json()) == MADE[name]
    assert Calibration.from_json(json.loads(json.dumps(MADE[name].to_json()))) == MADE[name]


def row(**change):
    return {"method": "platt", "scale": "reward", "parameters": {"slope": 1, "offset": 0}} | change


BROKEN = {
    "list": [],
    "empty": {},
    "more": row(color=1),
    "method": row(method="beta"),
    "method of another kind": row(method=[]),
    "scale": row(scale="cents"),
    "aggregator": row(aggregator="median"),
    "aggregator of another kind": row(aggregator=["min"]),
    "parameters": row(parameters=3),
    "parameter missing": row(parameters={"slope": 1}),
    "parameter of another method": row(parameters={"temperature": 1}),
    "text": row(parameters={"slope": "1", "offset": 0}),
    "truth value": row(parameters={"slope": True, "offset": 0}),
    "nan": row(parameters={"slope": math.nan, "offset": 0}),
    "too large": row(parameters={"slope": 10**400, "offset": 0}),
    "turned around": row(parameters={"slope": -1, "offset": 0}),
    "zero": row(method="temperature", parameters={"temperature": 0}),
    "spread": row(method="standardize", parameters={"mean": 0, "deviation": 0}),
    "no points": row(method="isotonic", parameters={"log_odds": [], "probabilities": []}),
    "one point too many": row(method="isotonic", parameters={"log_odds": [0, 1], "probabilities": [0.5]}),
    "not rising": row(method="isotonic", parameters={"log_odds": [0, 0], "probabilities": [0.5, 0.6]}),
    "falling": row(method="isotonic", parameters={"log_odds": [0, 1], "probabilities": [0.6, 0.5]}),
    "beyond": row(method="isotonic", parameters={"log_odds": [0, 1], "probabilities": [0.5, 1.5]}),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_is_no_calibration_is_refused(broken):
    assert Calibration.from_json(row())
    with pytest.raises(ValueError, match="must"):
        Calibration.from_json(broken)


# Metrics.


def test_metrics_by_hand():
    scores, labels = [0.1, 0.3, 0.3, 0.85, 1.0], [0, 0, 1, 1, 0.5]
    # Bins of 0.5: (0.1, 0.3, 0.3) mean 7/30, right 1/3; (0.85, 1) mean 0.925, right 0.75.
    assert expected_calibration_error(scores, labels, bins=2) == pytest.approx(0.6 * 0.1 + 0.4 * 0.175)
    assert brier_score(scores, labels) == pytest.approx((0.01 + 0.09 + 0.49 + 0.0225 + 0.25) / 5)
    expected = -(math.log(0.9) + math.log(0.7) + math.log(0.3) + math.log(0.85)) / 5 + 24 * math.log(2) * 0.5 / 5
    assert log_loss(scores, labels) == pytest.approx(expected, rel=1e-6)
    assert (expected_calibration_error([], []), brier_score([], []), log_loss([], [])) == (None, None, None)


def test_bins_hold_their_upper_ends_and_the_first_holds_zero():
    rows = reliability([0.0, 0.1, 0.3, 0.7, 1.0], [0, 1, 0, 1, 1])
    assert [r.count for r in rows] == [2, 0, 1, 0, 0, 0, 1, 0, 0, 1]
    assert (rows[0].mean_score, rows[0].share_right) == (0.05, 0.5)
    assert (rows[1].mean_score, rows[1].share_right) == (None, None)
    assert [(r.low, r.high) for r in rows] == [(i / 10, (i + 1) / 10) for i in range(10)]


def test_weights_of_a_reliability_are_copies():
    weighted = reliability([0.2, 0.4, 0.9], [1, 0, 1], [3, 1, 2], bins=3)
    copied = reliability([0.2, 0.2, 0.2, 0.4, 0.9, 0.9], [1, 1, 1, 0, 1, 1], bins=3)
    for one, other in zip(weighted, copied, strict=True):
        assert (one.count, one.share_right) == (other.count, other.share_right)
        assert one.mean_score == pytest.approx(other.mean_score)


# The checkpoint.


@pytest.mark.parametrize("level", ["step", "chain"])
def test_metadata_keeps_a_calibration(tmp_path, level):
    Metadata("prm", calibration={level: MADE["platt"].to_json()}).save(tmp_path)
    loaded = load_metadata(tmp_path).calibration
    assert loaded is not None
    assert Calibration.from_json(loaded[level]) == MADE["platt"]


def test_metadata_without_the_key_is_read(tmp_path):
    (tmp_path / "prm.json").write_text(json.dumps({"schema": "checkpoint/1", "kind": "orm"}))
    assert load_metadata(tmp_path).calibration is None


@pytest.mark.parametrize("broken", [3, [], {"token": row()}, {"step": row(method="beta")}, {"step": None}])
def test_metadata_with_a_wrong_calibration_is_refused(broken):
    with pytest.raises(ValueError, match="must"):
        Metadata("prm", calibration=broken)


# The command.


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read_rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def files(tmp_path):
    """40 problems of 2 chains. s: steps at 0.9, of which 3 in 5 are right, and at 0.1, of which none is.

    o and m: rewards and step scores that tell chains apart.
    """
    scores, rewards, mixed, labels = [], [], [], []
    for i in range(80):
        chain = {"chain_id": f"c{i}", "problem_id": f"p{i // 2}"}
        of_chain = {"schema": "step-scores/1", **chain, "kind": "prm"}
        scores.append({**of_chain, "scores": [0.9, 0.1]})
        mixed.append({**of_chain, "scores": [0.95, 0.2] if i % 3 else [0.9, 0.1]})
        rewards.append({**of_chain, "scores": [2.0 if i % 3 else -2.0], "kind": "orm"})
        outcome = "timeout" if i == 7 else "correct" if i % 5 < 3 and i % 3 else "incorrect"
        right = [9, 0] if i % 5 < 3 else [0, 0]
        labels.append({"schema": "step-labels/1", **chain, "right": right, "wrong": [10 - r for r in right],
                       "undecided": [0, 0], "known": ["drawn", "drawn"], "outcome": outcome})  # fmt: skip
    for name, rows in {"s": scores, "o": rewards, "m": mixed, "l": labels}.items():
        write_rows(tmp_path / f"{name}.jsonl", rows)
    return tmp_path


DATA = "calibrate --scores s.jsonl --labels l.jsonl --out c.json"


def test_calibrate_measures_on_problems_that_it_did_not_fit_on(prm, files):
    code, out, err = prm(*DATA.split(), "--method", "temperature")
    assert code == 0, err
    result = json.loads((files / "c.json").read_text())
    assert (result["schema"], result["level"], result["labels_as"]) == ("calibration/1", "step", "hard")
    counts = result["counts"]
    assert counts["fitted problems"] + counts["measured problems"] == 40
    assert 10 < counts["fitted problems"] < 30
    assert (
        counts["measured steps"] == 4 * counts["measured problems"] == sum(b["count"] for b in result["before"]["bins"])
    )
    assert result["after"]["ece"] < result["before"]["ece"]
    assert "ece" in out
    assert "fitted problems" in err
    assert (files / "c.json.png").read_bytes().startswith(b"\x89PNG")
    assert Calibration.from_json(result["fit"]).scale == "probability"


def test_calibrate_soft_labels_are_the_shares(prm, files):
    assert prm(*DATA.split(), "--labels-as", "soft", "--method", "isotonic", "--no-plot")[0] == 0
    fit_to = [i for i in range(80) if is_in_share(f"calibrate p{i // 2}", 0.5)]
    share = sum(0.9 for i in fit_to if i % 5 < 3) / len(fit_to)
    result = json.loads((files / "c.json").read_text())
    assert Calibration.from_json(result["fit"]).apply([0.1, 0.9]) == pytest.approx([0, share])
    assert not (files / "c.json.png").exists()


def test_calibrate_twice_says_it_is_there_and_overwrite_takes_the_plot_away(prm, files):
    command = DATA.split()
    _, first, _ = prm(*command)
    made = (files / "c.json").read_bytes()
    code, again, err = prm(*command)
    assert (code, again) == (0, first)
    assert "already there" in err
    assert prm(*command, "--fit-on", 0.3)[0] == 1
    assert prm(*command, "--fit-on", 0.3, "--overwrite", "--no-plot")[0] == 0
    assert (files / "c.json").read_bytes() != made
    assert not (files / "c.json.png").exists()


@pytest.mark.parametrize(
    ("scores", "options", "scale", "aggregator"),
    [
        ("m", "", "probability", "min"),
        ("m", "--aggregate max", "probability", "max"),
        ("m", "--aggregate product", "log-probability", "product"),
        ("m", "--aggregate geometric-mean", "log-probability", "geometric-mean"),
        ("o", "", "reward", None),
    ],
)
def test_calibrate_chains(prm, files, scores, options, scale, aggregator):
    command = f"calibrate --scores {scores}.jsonl --labels l.jsonl --level chain --no-plot --out c.json {options}"
    code, _, err = prm(*command.split())
    assert code == 0, err
    assert "1 dropped (its answer is undecided)" in err
    dropped = json.loads((files / "c.json.dropped.jsonl").read_text())
    assert (dropped["id"], dropped["reason"]) == ("c7", "its answer is undecided")
    result = json.loads((files / "c.json").read_text())
    assert (result["fit"]["scale"], result["fit"]["aggregator"]) == (scale, aggregator)
    assert result["labels_as"] == "outcome"
    assert result["counts"]["fitted chains"] + result["counts"]["measured chains"] == 79
    assert result["after"]["log_loss"] < result["before"]["log_loss"]


def test_calibrate_from_python_is_as_from_the_command_line(prm, files):
    assert prm(*DATA.split(), "--no-plot")[0] == 0
    written = json.loads((files / "c.json").read_text())
    rows = [list(map(json.loads, (files / f"{name}.jsonl").read_text().splitlines())) for name in "sl"]
    made = calibrate(*rows)
    assert made.fit.to_json() == Calibration.from_json(written["fit"]).to_json()
    assert (made.before, made.after, made.counts) == (written["before"], written["after"], written["counts"])
    place = made.output.path
    assert place.exists()
    del made
    assert not place.exists(), "an output without a name is gone with its object"


@pytest.mark.parametrize("fit_on", [0, 1, float("nan"), "x"])
def test_calibrate_refuses_a_share_out_of_range_by_name(files, fit_on):
    with pytest.raises(InputError, match=f"^fit_on={fit_on!r} is not a number in "):
        calibrate(files / "s.jsonl", files / "l.jsonl", fit_on=fit_on)


def test_calibrate_standardize_says_mean_and_deviation(prm, files):
    command = "calibrate --scores o.jsonl --labels l.jsonl --level chain --method standardize --out c.json"
    code, out, err = prm(*command.split())
    assert code == 0, err
    assert "deviation" in out
    result = json.loads((files / "c.json").read_text())
    assert abs(result["after"]["mean"]) < 0.5 < abs(result["before"]["mean"])
    assert not (files / "c.json.png").exists()


def test_calibrate_stores_each_level_with_the_checkpoint(prm, files):
    (files / "model").mkdir()
    Metadata("prm", chat=True).save(files / "model")
    command = ["calibrate", "--labels", "l.jsonl", "--scorer", "model", "--no-plot"]
    chains = [*command, "--level", "chain", "--aggregate", "max", "--out", "b.json"]
    assert prm(*command, "--scores", "s.jsonl", "--out", "a.json")[0] == 0
    assert prm(*chains, "--scores", "s.jsonl")[0] == 1  # all maxima are 0.9
    assert set(load_metadata(files / "model").calibration) == {"step"}
    assert prm(*chains, "--scores", "m.jsonl")[0] == 0
    stored = load_metadata(files / "model")
    assert stored.chat
    for level, file in {"step": "a.json", "chain": "b.json"}.items():
        assert stored.calibration[level] == json.loads((files / file).read_text())["fit"]
    assert stored.calibration["chain"]["aggregator"] == "max"


def test_calibrate_stores_what_it_returns_also_where_it_is_reused(files):
    model, data = files / "model", (files / "s.jsonl", files / "l.jsonl")
    model.mkdir()
    Metadata("prm").save(model)
    for method, out in (("platt", "p.json"), ("isotonic", "i.json"), ("platt", "p.json"), ("isotonic", "i.json")):
        made = calibrate(*data, files / out, method=method, scorer=model)
        stored = Calibration.from_json(load_metadata(model).calibration["step"])
        assert stored == made.fit
        assert stored.method == method


def test_calibrate_does_not_reuse_the_fit_of_another_aggregator(files, monkeypatch):
    data = (files / "m.jsonl", files / "l.jsonl", files / "c.json")
    chain = {"level": "chain", "aggregate": "first"}
    monkeypatch.setitem(AGGREGATORS, "first", Aggregator(lambda scores: scores[0], help="first"))
    calibrate(*data, **chain)
    calibrate(*data, **chain)
    monkeypatch.setitem(AGGREGATORS, "first", Aggregator(lambda scores: scores[1], help="first"))
    with pytest.raises(OutputError, match="made with other settings"):
        calibrate(*data, **chain)


def test_calibrate_writes_down_what_it_cannot_use(prm, files):
    rows = read_rows(files / "s.jsonl")
    rows[0]["chain_id"], rows[1]["scores"] = "lost", [0.5]
    write_rows(files / "s.jsonl", rows)
    assert prm(*DATA.split(), "--no-plot")[0] == 0
    dropped = read_rows(files / "c.json.dropped.jsonl")
    assert [(d["id"], d["reason"]) for d in dropped] == [
        ("lost", "it has no labels"),
        ("c1", "scores and labels differ in number"),
    ]


FAULTS = {
    "method": (f"{DATA} --method beta", "'beta'"),
    "level": (f"{DATA} --level token", "'token'"),
    "labels": (f"{DATA} --labels-as sharp", "'sharp'"),
    "labels of a chain": (f"{DATA} --level chain --labels-as soft", "--labels-as soft"),
    "aggregate of a step": (f"{DATA} --aggregate min", "--aggregate min"),
    "aggregator": (f"{DATA} --level chain --aggregate median", "'median'"),
    "steps of an ORM": ("calibrate --scores o.jsonl --labels l.jsonl --out c.json", "ORM"),
    "aggregate of an ORM": (
        "calibrate --scores o.jsonl --labels l.jsonl --level chain --aggregate min --out c.json", "aggregate='min'"
    ),
    "no checkpoint": (f"{DATA} --scorer none", "prm.json"),
    "checkpoint of another kind": (f"{DATA} --scorer orm", "orm"),
    "wrong file": ("calibrate --scores l.jsonl --labels l.jsonl --out c.json", "l.jsonl:1"),
    "too few": (f"{DATA} --fit-on 0.01", "too few"),
}  # fmt: skip


@pytest.mark.parametrize(("line", "message"), FAULTS.values(), ids=FAULTS)
def test_bad_input_is_one_line_and_a_hint_and_leaves_nothing(prm, files, line, message):
    (files / "orm").mkdir()
    Metadata("orm").save(files / "orm")
    code, _, err = prm(*line.split())
    assert code == 1
    first, blank, hint = err.splitlines()[-3:]
    assert first.startswith("error: ")
    assert message in first
    assert blank == ""
    assert hint.startswith("hint: ")
    assert not (files / "c.json").exists()
    assert not (files / "c.json.png").exists()


def test_without_matplotlib_there_is_a_remedy(prm, files, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, _, err = prm(*DATA.split())
    assert code == 1
    assert "prm-toolkit[plots]" in err.splitlines()[-1]
    assert prm(*DATA.split(), "--no-plot")[0] == 0
