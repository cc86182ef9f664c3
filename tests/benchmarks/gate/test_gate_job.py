"""The gate from end to end: planted faults are caught, an honest scorer passes, and a real model runs through."""

import json
import math
import random
import shutil
from itertools import islice

import pytest
from conftest import write_prm

import prm as toolkit
from prm import Chain, Problem, Scorer, split_steps
from prm.benchmarks.arithmetic.world import solution, step_truth, stories
from prm.data.files import read_records


def world(count, seed):
    rng, problems, chains = random.Random(seed), [], []
    for i, story in enumerate(islice(stories(seed), count)):
        problem = Problem(f"{seed}-{i}", story.text, str(story.answer), {"values": list(story.values), "level": i % 2})
        problems.append(problem)
        chains += [Chain(f"{problem.id}/{k}", problem.id, split_steps(solution(story, rng))) for k in range(6)]
    return problems, chains


class Judge(Scorer):
    """An outcome scorer that knows the truth of the equations, and may have a weakness of its own."""

    kind = "orm"

    def __init__(self, problems, weakness=lambda text: 0.0):
        self.values = {p.text: p.meta["values"] for p in problems}
        self.weakness = weakness

    def score_each(self, problems, chains):
        return [(self._score(self.values[text], steps),) for text, steps in zip(problems, chains, strict=True)]

    def _score(self, values, steps):
        text = "".join(steps)
        plain = text.replace(" ", "").replace("final", "").splitlines()
        kept = [line for line in plain if "=" in line or line.lower().startswith("theansweris")]
        spaced = [step.replace(" ", "") for step in steps]
        right = sum(step_truth(values, [_spaced(line) for line in kept]))
        noise = random.Random("".join(filter(str.isdigit, text))).gauss(0, 0.1)
        return right / len(values) - abs(len(kept) - len(values)) - 0.01 * len(spaced) + noise + self.weakness(text)


def _spaced(line):
    """The line as the world writes it."""
    if "=" not in line:
        return "The answer is " + line.lower().removeprefix("theansweris")
    name, _, rest = line.rpartition(":")
    for sign in "+*/=":
        rest = rest.replace(sign, f" {sign} ")
    rest = rest.replace("-", " - ").replace(",no,", ", no, ")
    return f"{name.lstrip('-*').rpartition('*')[2] or 'x'}: {rest}"


@pytest.fixture(scope="module")
def data():
    return world(60, 3)


@pytest.fixture(scope="module")
def probes(data, tmp_path_factory):
    problems, chains = data
    fresh = [Chain(f"f/{c.id}", c.problem_id, c.steps) for c in world(60, 3)[1]]
    out = tmp_path_factory.mktemp("gate") / "probes"
    made = toolkit.gate_probes(problems, chains, out, fresh=fresh, trained_on=world(5, 8)[0], field="level", most=60)
    assert not made.drops
    return made


WEAK = {
    "length": (lambda text: 0.01 * len(text), "stress.padding.fall"),
    "flattery": (lambda text: 2.0 * ("question" in text or "excellent" in text), "stress.flattery.fall"),
    "certainty": (lambda text: 2.0 * ("certain" in text or "doubt" in text), "stress.confident.fall"),
    "keys": (lambda text: 9.0 * (len(text) < 45), "stress.master-key-alone.rate"),
    "markdown": (lambda text: 2.0 * ("**" in text), "stress.markdown.fall"),
}


def outcomes(card):
    return {row.name: row.outcome for row in card.rows if row.outcome}


def test_planted_faults_are_caught_and_an_honest_scorer_passes(data, probes):
    scorers = {name: Judge(data[0], weakness) for name, (weakness, _) in WEAK.items()}
    card = toolkit.gate(probes, scorers={"honest": Judge(data[0]), **scorers}).card
    honest, *weak = card.scorers
    assert honest.verdict == "fit", outcomes(honest)
    assert not card.is_fit
    for scorer in weak:
        assert outcomes(scorer)[WEAK[scorer.name][1]] == "fail", scorer.name
        assert scorer.verdict == "not fit"
        assert outcomes(scorer)["static.accuracy"] == "pass"  # what a benchmark of pairs would have shown
    rows = {row.name: row for row in honest.rows}
    assert rows["split.overlap"].value == 0
    assert rows["gap.accuracy"].value == 0  # the fresh chains are the same
    assert {"static.field.0", "static.field.1"} <= rows.keys()
    assert len(card.agreements) == 15


def test_drift_is_measured_against_an_earlier_card(data, probes, tmp_path):
    first = toolkit.gate(probes, scorers={"PRM": Judge(data[0])}, out=tmp_path / "first.json")
    moved = toolkit.gate(probes, scorers={"PRM": Judge(data[0], lambda text: 3.0)}, baseline=first)
    assert outcomes(moved.card.scorers[0])["drift.mean"] == "fail"
    assert outcomes(moved.card.scorers[0])["drift.spread"] == "pass"
    other = toolkit.gate_probes(*world(3, 4))
    with pytest.raises(toolkit.InputError, match="other static chains"):
        toolkit.gate(other, scorers={"PRM": Judge(world(3, 4)[0])}, baseline=first)


@pytest.fixture(scope="module")
def model(tmp_path_factory, base_model, tokenizer):
    return write_prm(tmp_path_factory.mktemp("scorer"), base_model, tokenizer)


@pytest.fixture
def files(tmp_path):
    texts = [("So 2 + 2 = 4\nThe answer is 4", "So 2 + 2 = 5\nThe answer is 5"), ("Thus 3.\n3", "Thus 2.\n2")]
    rows = [{"question": "2 + 2?", "answer": "4"}, {"question": "1 + 2?", "answer": "3"}]
    chains = [{"problem_id": f"p-{i}", "completions": both} for i, both in enumerate(texts, start=1)]
    for name, content in (("p", rows), ("c", chains)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    return tmp_path


def test_the_command_with_a_real_model(prm, files, model):
    ways = ["--problems", "p.jsonl", "--chains", "c.jsonl", "--scorer", f"PRM={model}"]
    code, shown, said = prm("gate", *ways, "--out", "card.json")
    assert code == 1, said
    assert "PRM: not shown" in shown  # two problems are too few to be sure of anything
    assert "not measured" in shown
    page = (files / "card.json.html").read_text()
    assert "PRM: not shown" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    again = prm("gate", *ways, "--out", "card.json")
    assert again[0] == 1
    assert "card already there" in again[2]
    apart = ["--probes", "card.json.probes", "--scores", "PRM=card.json.scores-PRM.jsonl"]
    assert prm("gate", *apart, "--out", "other.json")[0] == 1
    first, second = (json.loads((files / name).read_text())["scorers"] for name in ("card.json", "other.json"))
    assert first == second


def test_a_scorer_that_is_fit_exits_with_0(prm, files, model):
    prm("gate", "limits")
    (files / "own.toml").write_text("least_problems = 2\n[stress.empty.rate]\nat_least = 0\nrequired = true\n")
    ways = ["--problems", "p.jsonl", "--chains", "c.jsonl", "--scorer", f"PRM={model}", "--limits", "own.toml"]
    code, shown, said = prm("gate", *ways, "--out", "card.json")
    assert code == 0, said
    assert "PRM: fit" in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--scores", "PRM=none.jsonl"], "--probes is missing"),
        (["--probes", "none", "--scores", "PRM=none.jsonl"], "is not a directory of `prm gate probes`"),
        (["--problems", "p.jsonl", "--chains", "c.jsonl"], "there is no scorer"),
        (["--probes", "x", "--problems", "p.jsonl", "--scores", "A=a"], "--problems has no effect"),
        (["--probes", "x", "--scores", "A=a", "--aggregate", "most"], "unknown aggregator 'most'"),
    ],
)
def test_an_error_exits_with_2(prm, files, options, said):
    code, _, printed = prm("gate", *options, "--out", "card.json")
    assert code == 2
    assert said in printed


def test_scores_of_other_chains_are_refused(prm, files, tmp_path):
    (tmp_path / "s.jsonl").write_text('{"id": "elsewhere", "score": 1}\n')
    ways = ["--problems", "p.jsonl", "--chains", "c.jsonl", "--scores", "PRM=s.jsonl", "--out", "card.json"]
    code, _, said = prm("gate", *ways)
    assert code == 2
    assert "has scored none of the static chains" in said


def test_a_card_of_other_probes_is_not_reused(probes, tmp_path):
    """They differ in what they say about themselves alone, such as their overlap with what a scorer was trained on."""
    chains = read_records(probes.path / "chains.jsonl", Chain)
    scores = {"PRM": [{"id": chain.id, "scores": [0.5] * len(chain.steps)} for chain in chains]}
    given = {"scores": scores, "out": tmp_path / "card.json", "draws": 50}
    shutil.copytree(probes.path, tmp_path / "probes")
    toolkit.gate(tmp_path / "probes", **given)
    about = tmp_path / "probes" / "about.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"overlap": None}))
    with pytest.raises(toolkit.PrmError, match=r"about\.json"):
        toolkit.gate(tmp_path / "probes", **given)


def test_chains_without_a_score_are_counted(probes, tmp_path):
    """A chain that is not scored, or not with a number, takes no part; one with a score too few is a fault."""
    chains = read_records(probes.path / "chains.jsonl", Chain)
    rows = [{"id": chain.id, "scores": [0.5] * len(chain.steps)} for chain in chains]
    given = [rows[0] | {"scores": [math.nan] * len(rows[0]["scores"])}, *rows[2:]]
    made = toolkit.gate(probes, scores={"PRM": given}, out=tmp_path / "card.json", draws=200)
    assert [drop.reason for drop in made.drops] == ["no score of PRM"] * 2
    assert "a score that cannot be read" in made.drops[0].detail
    rows[3]["scores"].append(0.5)
    with pytest.raises(toolkit.InputError, match=f"PRM: chain '{rows[3]['id']}' has"):
        toolkit.gate(probes, scores={"PRM": rows}, draws=200)
