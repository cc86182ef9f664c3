"""Ensembles: combined by hand, refusals, ranges brought together, files and records."""

import json
import pickle

import pytest

import prm as toolkit
from prm import Ensemble, Refusal, Scorer, StepScores, combine, write_records
from prm.scoring.ensembles import how_named
from prm.statistics.calibration import Calibration


class Fixed(Scorer):
    """Gives the same scores for each step, and refuses chains that begin with "no"."""

    kind = "prm"

    def __init__(self, value, name="", threshold=0.5, aggregator="min"):
        self.value, self.name, self.threshold, self.aggregator, self.is_closed = (
            value,
            name,
            threshold,
            aggregator,
            False,
        )

    def score_each(self, problems, chains):
        return [
            Refusal("it says no") if steps and steps[0] == "no" and self.value > 0.5 else (self.value,) * len(steps)
            for steps in chains
        ]

    def close(self):
        self.is_closed = True


class Reward(Fixed):
    kind = "orm"

    def score_each(self, problems, chains):
        return [(self.value,) for _ in chains]


@pytest.mark.parametrize(
    ("how", "expected"),
    [("mean", 0.5), ("median", 0.4), ("min", 0.2), ("max", 0.9), ("mean-sd:0", 0.5), ("mean-sd:1", 0.5 - 0.2943920)],
)
def test_scores_are_combined_step_by_step(how, expected):
    made = Ensemble([Fixed(0.2), Fixed(0.4), Fixed(0.9)], how)
    ((first, second),) = made.score(["q"], [("a", "b")])
    assert first == second == pytest.approx(expected)
    assert made.score(["q"], [()]) == [()]


def test_an_ensemble_is_a_scorer(tmp_path):
    members = [Fixed(0.2, "one"), Fixed(0.6, "two")]
    made = Ensemble(members, "mean-sd:1")
    assert (made.kind, made.threshold, made.aggregator) == ("prm", 0.5, "min")
    copied = pickle.loads(pickle.dumps(made))
    assert copied.score(["q"], [("a",)]) == made.score(["q"], [("a",)])
    choice = toolkit.rerank("q", ["So 4.\nThe answer is 4"], made, aggregate="min")
    assert choice.scores == (pytest.approx(0.2),)
    chains = [toolkit.Chain("p/0", "p", ("a", "b"))]
    (row,) = toolkit.score(made, [toolkit.Problem("p", "q?")], chains, tmp_path / "s.jsonl")
    assert row.by_member == {"1: one": (0.2, 0.2), "2: two": (0.6, 0.6)}
    assert row.spread == (pytest.approx(0.2),) * 2
    made.close()
    assert all(member.is_closed for member in members)


def test_a_chain_that_one_member_refuses_is_refused_alone():
    found = Ensemble([Fixed(0.2), Fixed(0.9, "picky")]).score_each(["q"] * 2, [("no", "b"), ("a",)])
    assert (found[0].reason, "picky" in found[0].detail) == ("it says no", True)
    assert found[1] == (pytest.approx(0.55),)


def test_members_that_do_not_go_together_are_refused():
    with pytest.raises(toolkit.InputError, match="PRMs alone, or of ORMs alone"):
        Ensemble([Fixed(0.2), Reward(0.2)])
    with pytest.raises(toolkit.InputError, match="PRMs alone"):
        Ensemble([])
    for how in ("best", "mean-sd", "mean-sd:x", "mean-sd:-1", "mean-sd:inf"):
        with pytest.raises(toolkit.InputError, match="unknown way"):
            how_named(how)
    assert Ensemble([Fixed(0.2), Fixed(0.4, threshold=0.0, aggregator="last")]).threshold is None


def calibration(path, method, scale, parameters):
    path.write_text(json.dumps({"fit": Calibration(method, scale, parameters).to_json()}))
    return path


def test_ranges_are_brought_together_by_calibrations(tmp_path):
    """Rewards of 3 and 30, of means 2 and 20 and deviations 1 and 10: both one deviation above."""
    files = [
        calibration(tmp_path / f"{k}.json", "standardize", "reward", {"mean": 2.0 * k, "deviation": 1.0 * k})
        for k in (1, 10)
    ]
    made = Ensemble([Reward(3.0), Reward(30.0)], calibrations=files)
    assert made.score(["q"], [("a",)]) == [(pytest.approx(1.0),)]
    with pytest.raises(toolkit.InputError, match="1 calibrations for 2 scorers"):
        Ensemble([Reward(3.0), Reward(30.0)], calibrations=files[:1])
    with pytest.raises(toolkit.InputError, match="holds no calibration"):
        Ensemble([Reward(3.0)], calibrations=[tmp_path / "lost.json"])


def test_what_prm_calibrate_writes_is_taken():
    scored = [StepScores(f"p{i}/0", f"p{i}", (i / 40, i / 50), "prm") for i in range(40)]
    labels = [
        toolkit.StepLabels(f"p{i}/0", f"p{i}", (i % 2, 0), (1 - i % 2, 1), (0, 0), ("drawn", "drawn"), "incorrect")
        for i in range(40)
    ]
    fitted = toolkit.calibrate(scored, labels, method="platt")
    member = Fixed(0.3)
    ((first, _),) = Ensemble([member], calibrations=[fitted.output.path]).score(["q"], [("a", "b")])
    assert first == pytest.approx(fitted.fit.apply([0.3])[0])


def rows(**scores):
    return [StepScores(chain, "p", tuple(values), "prm") for chain, values in scores.items()]


def test_files_are_combined_and_what_does_not_match_is_dropped(prm, tmp_path):
    write_records(tmp_path / "a.jsonl", rows(x=[0.2, 0.4], y=[0.5], z=[0.1, 0.1]))
    write_records(tmp_path / "b.jsonl", rows(x=[0.6, 0.8], z=[0.1], w=[0.3]))
    made = combine({"a": tmp_path / "a.jsonl", "b": tmp_path / "b.jsonl"}, tmp_path / "c.jsonl")
    (row,) = made
    assert (row.chain_id, row.scores) == ("x", (pytest.approx(0.4), pytest.approx(0.6)))
    assert row.by_member == {"a": (0.2, 0.4), "b": (0.6, 0.8)}
    assert {drop.id: drop.detail for drop in made.drops} == {
        "y": "none of b", "z": "a: prm, 2, b: prm, 1", "w": "none of a"
    }  # fmt: skip
    code, _, said = prm("combine", "--scores=a=a.jsonl", "--scores=b=b.jsonl", "--out=c.jsonl")
    assert (code, "already there" in said) == (0, True)
    code, _, said = prm("combine", "--scores=a=a.jsonl", "--scores=b=b.jsonl", "--how=best", "--out=d.jsonl")
    assert (code, "unknown way" in said) == (1, True)


def test_an_ensemble_of_another_make_is_another_job(tmp_path):
    problems, chains = [toolkit.Problem("p", "q?")], [toolkit.Chain("p/0", "p", ("a", "b"))]
    members = [Fixed(0.2, "one"), Fixed(0.6, "two")]
    toolkit.score(Ensemble(members), problems, chains, tmp_path / "s.jsonl")
    file = calibration(tmp_path / "c.json", "platt", "probability", {"slope": 1.0, "offset": 2.0})
    for other in (Ensemble(members, "min"), Ensemble(members, calibrations=[file, file]), Ensemble(members[:1] * 2)):
        with pytest.raises(toolkit.OutputError, match="made with other settings"):
            toolkit.score(other, problems, chains, tmp_path / "s.jsonl")


def test_scores_of_different_problems_or_one_name_are_not_combined(prm, tmp_path):
    other = [StepScores("x", "q", (0.2,), "prm"), StepScores("y", "p", (0.2,), "prm")]
    made = combine({"a": rows(x=[0.2], y=[0.4]), "b": other})
    assert [row.chain_id for row in made] == ["y"]
    assert made.drops[0].reason == "its scores are of different problems"
    code, _, said = prm("combine", "--scores=a=x.jsonl", "--scores=a=y.jsonl", "--out=d.jsonl")
    assert (code, "the name 'a' comes twice" in said) == (1, True)
    huge = [StepScores("x", "p", (1.7e308,), "orm")]
    assert next(iter(combine({"a": huge, "b": huge}))).scores == (pytest.approx(1.7e308),)


def test_a_calibration_of_chain_scores_is_refused(tmp_path):
    fit = Calibration("platt", "probability", {"slope": 1.0, "offset": 0.0}, aggregator="min")
    (tmp_path / "c.json").write_text(json.dumps({"fit": fit.to_json()}))
    with pytest.raises(toolkit.InputError, match="is for scores of chains"):
        Ensemble([Fixed(0.2)], calibrations=[tmp_path / "c.json"])


def test_nothing_to_combine_is_an_error(tmp_path):
    with pytest.raises(toolkit.InputError, match="nothing to combine"):
        combine({"a": rows(x=[0.2])})
    with pytest.raises(toolkit.InputError, match="no chain has a score of every scorer"):
        combine({"a": rows(x=[0.2]), "b": rows(y=[0.2])})
    with pytest.raises(toolkit.InputError, match="different names"):
        combine({"a": rows(x=[0.2]), "b": rows(x=[0.2])}, calibrations={"a": tmp_path / "a.json"})


def test_a_combined_file_is_what_an_ensemble_gives(tmp_path):
    members = [Fixed(0.2, "one"), Fixed(0.6, "two")]
    problems, chains = [toolkit.Problem("p", "q?")], [toolkit.Chain("p/0", "p", ("a", "b"))]
    apart = {f"{i}: {member.name}": toolkit.score(member, problems, chains) for i, member in enumerate(members, 1)}
    together = toolkit.score(Ensemble(members, "median"), problems, chains)
    assert list(combine(apart, how="median")) == list(together)
