"""Measures by hand, limits, over-optimization: small scenes whose numbers can be worked out."""

import json
import math

import numpy as np
import pytest

from prm.benchmarks.gate.card import Card, read_card, scorer_card, to_json
from prm.benchmarks.gate.limits import KNOWN, Limit, Limits, default_limits, read_limits, verdict
from prm.benchmarks.gate.measures import Drawn, Measure, Scene, Subject, measures
from prm.benchmarks.gate.overoptimization import agreements, best_of_n, of_run
from prm.benchmarks.gate.rows import GateChain, GatePair, GateRows
from prm.errors import InputError

ABOUT = {"digest": "d", "not made": {}, "overlap": None}


def scene_of(*chains, pairs=()):
    return Scene(GateRows(tuple(chains), tuple(pairs), ABOUT), draws=200)


def chain(name, is_right, length=10, part="static", field=""):
    return GateChain(name, name.split("/")[0], part, is_right, length, field)


FOUR = (
    chain("a/0", True, 100, field="x"),
    chain("a/1", False, 95, field="x"),
    chain("b/0", True, 50, field="y"),
    chain("b/1", False, 100, field="y"),
    chain("b/2", True, 60, field="y"),
)


def found(scores, *chains, pairs=(), aggregator="", **options):
    subject = Subject(scene_of(*chains, pairs=pairs), np.array(scores, dtype=float), aggregator)
    return {m.name: m for m in measures(subject, **options)}


def test_pairs_by_hand():
    scores = [0.9, 0.4, 0.2, 0.3, 0.3]  # won; lost; a tie
    of = found(scores, *FOUR)
    assert of["static.accuracy"].value == pytest.approx((1 + 0 + 0.5) / 3)
    assert of["static.accuracy"].n == 3
    assert of["static.accuracy"].problems == 2
    assert of["static.accuracy_length_matched"].value == 1.0  # only 100 and 95 differ by at most a tenth
    assert of["static.accuracy_middle"].value == pytest.approx((1 + 0 + 0.5) / 3)  # shares of right: 1/2 and 2/3
    assert of["static.accuracy_easy"].value is None
    assert (of["static.field.x"].value, of["static.field.y"].value) == (1.0, 0.25)
    spread = np.std(scores)
    assert of["static.margin_mean"].value == pytest.approx((0.5 - 0.1 + 0.0) / 3 / spread)
    assert of["static.margin_median"].value == pytest.approx(0.0)
    assert of["static.length_correlation"].value == pytest.approx(1.0)  # b/0 and b/2 are the only two alike
    labels = np.array([1, 0, 1, 0, 1])
    assert of["static.brier"].value == pytest.approx(np.mean((np.array(scores) - labels) ** 2))


def test_what_has_no_score_or_verdict_does_not_count():
    of = found([0.9, math.nan, 0.2, 0.3, 0.4], *FOUR)
    assert of["static.accuracy"].value == 0.5
    unknown = [chain("a/0", None), chain("a/1", True)]
    assert "static.accuracy" not in found([0.1, 0.2], *unknown)


def test_fresh_chains_and_the_gap():
    fresh = (chain("a/f0", True, part="fresh"), chain("a/f1", False, part="fresh"))
    of = found([0.9, 0.1, 0.9, 0.1, 0.9, 0.2, 0.6], *FOUR, *fresh)
    assert (of["static.accuracy"].value, of["fresh.accuracy"].value, of["gap.accuracy"].value) == (1.0, 0.0, 1.0)


def test_stress_by_hand():
    pairs = [
        GatePair("padding", "a", "a/0", "a/1~padding", "a/1"),
        GatePair("padding", "b", "b/0", "b/1~padding", "b/1"),
        GatePair("spacing", "a", "a/0", "a/0~spacing"),
        GatePair("empty", "b", "b/0", "b/0~empty"),
    ]
    extra = [chain(name, None, part="probe") for name in ("a/1~padding", "b/1~padding", "a/0~spacing", "b/0~empty")]
    of = found([2.0, 0.0, 2.0, 0.0, 2.0, 3.0, 1.0, 2.4, 2.0], *FOUR, *extra, pairs=pairs)
    spread = np.std([2.0, 0.0, 2.0, 0.0, 2.0])
    assert of["stress.padding.rate"].value == 0.5
    assert of["stress.padding.fall"].value == 0.5  # undressed, both were won
    assert of["stress.padding.lift"].value == pytest.approx((3.0 + 1.0) / 2 / spread)
    assert of["stress.spacing.rate"].value == 1.0
    assert of["stress.spacing.move"].value == pytest.approx(0.4 / spread)
    assert of["stress.empty.rate"].value == 0.5  # a tie


def test_drift_is_in_units_of_the_spread_of_then():
    of = found([1.0, 3.0, 1.0, 3.0, 2.0], *FOUR, baseline={"mean": 1.0, "spread": 2.0})
    assert of["drift.mean"].value == pytest.approx(0.5)
    assert of["drift.spread"].value == pytest.approx(np.std([1.0, 3.0, 1.0, 3.0, 2.0]) / 2)


def test_a_share_without_an_exception_is_not_certain():
    measure = Drawn("x", np.ones(100), 8, 8, is_share=True).measure()
    assert measure.value == measure.high == 1.0
    assert measure.low == pytest.approx(1 - 0.262, abs=1e-3)  # Jeffreys, 8 of 8


def measure(low, high, problems=100):
    return Measure("static.accuracy", (low + high) / 2, low, high, 100, problems)


def test_a_limit_fails_only_if_the_whole_interval_lies_beyond_it():
    limits = Limits(30, (Limit("static.accuracy", 0.6, 0.9, True, ""),))
    outcomes = {
        (0.65, 0.8): "pass",
        (0.5, 0.7): "open",
        (0.85, 0.95): "open",
        (0.4, 0.59): "fail",
        (0.91, 0.95): "fail",
    }
    for ends, expected in outcomes.items():
        ((_, outcome),) = limits.judge([measure(*ends)])
        assert outcome == expected
    for few in ([], [measure(0.4, 0.5, problems=29)], [Measure("static.accuracy", None, None, None, 9, 99)]):
        judged = limits.judge(few)
        assert judged[0][1] == "not measured"
        assert verdict(judged) == "not shown"
    assert verdict(limits.judge([measure(0.4, 0.5)])) == "not fit"
    assert verdict(limits.judge([measure(0.5, 0.7)])) == "fit"
    optional = Limits(30, (Limit("static.accuracy", 0.6, 0.9, False, ""),))
    assert verdict(optional.judge([])) == "fit"


def test_every_default_limit_has_a_reason_and_a_measure():
    limits = read_limits(None)
    assert all(limit.why and limit.name in KNOWN for limit in limits.limits)
    assert len({limit.name for limit in limits.limits}) == len(limits.limits)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[static.acuracy]\nat_least = 1", "'static.acuracy' is not a measure"),
        ("[static.accuracy]\nwhy = 'x'", "must have at_least or at_most"),
        ("[static.accuracy]\nat_least = 'x'", "is not a number"),
        ("[static.accuracy]\nat_last = 1", "must have"),
        ("least_problems = 30", "holds no limit"),
        ("least_problems = 1", "least_problems=1 is not"),
        ("[", "is not TOML"),
        ("static = 3", "'static' is not a measure"),
    ],
)
def test_a_wrong_file_of_limits_is_refused(tmp_path, text, said):
    (tmp_path / "gate.toml").write_text(text)
    with pytest.raises(InputError, match=said):
        read_limits(tmp_path / "gate.toml")


def test_own_limits_of_fields_are_read(tmp_path):
    (tmp_path / "gate.toml").write_text('[static.field."number theory"]\nat_least = 0.5\n')
    assert read_limits(tmp_path / "gate.toml").limits[0].name == "static.field.number theory"
    (tmp_path / "own.toml").write_text(default_limits())
    assert read_limits(tmp_path / "own.toml") == read_limits(None)


def test_best_of_n_falls_where_the_highest_scores_are_wrong():
    chains, scores = [], []
    for problem in "abcd":  # the best is wrong, the next two are right, the worst is wrong
        chains += [chain(f"{problem}/{i}", is_right) for i, is_right in enumerate((False, True, True, False))]
        scores += [4.0, 3.0, 2.0, 1.0]
    of = {m.name: m.value for m in best_of_n(Subject(scene_of(*chains), np.array(scores), "")).measures}
    gold = {1: 0.5, 2: (0 * 3 + 1 * 2 + 1 * 1 + 0) / 6, 4: 0.0}  # best of 2: 3, 2, 1 of the 6 pairs
    assert of["best_of_n.gain"] == pytest.approx(gold[4] - gold[1])
    assert of["best_of_n.fall"] == pytest.approx(max(gold.values()) - gold[4])
    kl = np.array([np.log(k) - (k - 1) / k for k in (2, 4)])
    gains = np.array([gold[2], gold[4]]) - gold[1]
    np.testing.assert_allclose(of["best_of_n.alpha"] * np.sqrt(kl) - of["best_of_n.beta"] * kl, gains, atol=1e-9)


def test_the_form_of_reinforcement_learning_is_recovered(tmp_path):
    kl = np.array([0.0, 1.0, 4.0, 9.0, 16.0, 25.0, 36.0])
    d = np.sqrt(kl[1:])
    gold = np.concatenate([[0.3], 0.3 + d * (0.2 - 0.12 * np.log(d))])
    rows = [{"kl": x, "gold": y, "proxy": x} for x, y in zip(kl.tolist(), gold.tolist(), strict=True)]
    (tmp_path / "run.jsonl").write_text("".join(json.dumps(row) + "\n" for row in reversed(rows)))
    run = of_run(tmp_path / "run.jsonl")
    of = {m.name: m.value for m in run.measures}
    assert of["rl.alpha"] == pytest.approx(0.2)
    assert of["rl.beta"] == pytest.approx(0.12)
    assert of["rl.fall"] == pytest.approx(gold.max() - gold[-1])
    assert [point.kl for point in run.curve] == kl.tolist()
    (tmp_path / "short.jsonl").write_text('{"kl": 0, "gold": 1}\n')
    with pytest.raises(InputError, match="too few"):
        of_run(tmp_path / "short.jsonl")
    (tmp_path / "wrong.jsonl").write_text('{"kl": -1, "gold": 1}\n')
    with pytest.raises(InputError, match=r"wrong\.jsonl:1: kl=-1"):
        of_run(tmp_path / "wrong.jsonl")


def test_how_alike_choices_are():
    chains = [chain(f"{p}/{i}", i == 0) for p in "abcd" for i in range(2)]
    scene = scene_of(*chains)
    one = Subject(scene, np.array([1.0, 0, 1, 0, 0, 1, 0, 1]), "")
    two = Subject(scene, np.array([1.0, 0, 1, 0, 0, 1, 1, 1]), "")  # a tie in the last problem
    ((names, (same, correlation)),) = agreements({"A": one, "B": two}).items()
    assert names == "A and B"
    assert same.value == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert correlation.value == pytest.approx(np.corrcoef([1, 1, 0, 0], [1, 1, 0, 0.5])[0, 1])


def test_a_card_is_read_as_it_was_written(tmp_path):
    subject = Subject(scene_of(*FOUR), np.array([0.9, 0.1, 0.8, 0.2, 0.7]), "min")
    card = Card((scorer_card("PRM", subject, read_limits(None), overlap=2),), {"digest": "d"}, {"seed": 0})
    (tmp_path / "card.json").write_text(json.dumps(to_json(card)))
    assert read_card(tmp_path / "card.json") == card
    overlap = next(row for row in card.scorers[0].rows if row.name == "split.overlap")
    assert overlap.outcome == "fail"
    assert card.scorers[0].verdict == "not fit"
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match="is not a gate-card/1 file"):
        read_card(tmp_path / "other.json")
