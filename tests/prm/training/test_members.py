"""Several step heads on one backbone: their samples, their training, and the scorer that they make."""

from array import array
from collections import Counter

import pytest
import torch
from test_job import LISTS
from transformers import AutoModelForTokenClassification

import prm as toolkit
from prm import InputError, ModelError, TrainSettings
from prm.models.checkpoint import load_metadata
from prm.models.conversion import convert
from prm.scoring.ensembles import how_named
from prm.training.collation import collate
from prm.training.examples import ChainExample, GroupExample

PAIRS = ["what is 3?", "what is 5?"], [("So 4.\n", "It is 4."), ("So thus it 12.\n",)]


def group(problem, targets=(1.0, 0.0)):
    ends = tuple(range(2, 2 + len(targets)))
    chain = ChainExample(problem, array("i", range(1, 5 + len(targets))), ends, targets, (1.0,) * len(targets), (None,))
    return GroupExample(problem, 1, (chain,))


def test_each_member_has_a_bootstrap_sample_of_the_problems():
    groups = [group(f"p{i}") for i in range(400)]
    found = collate(groups, 0, members=3, seed=1)
    weights = found["step_weights"].reshape(400, 2, 3)
    assert found["step_members"].tolist() == [0, 1, 2] * 800
    assert torch.equal(weights[:, 0], weights[:, 1]), "a problem is drawn as a whole"
    counts = Counter(weights[:, 0].flatten().int().tolist())
    assert abs(counts[0] / 1200 - 0.368) < 0.05
    assert abs(counts[1] / 1200 - 0.368) < 0.05
    assert abs(float(weights.mean()) - 1) < 0.1
    assert abs(float(torch.corrcoef(weights[:, 0].T)[0, 1])) < 0.15, "members draw apart"
    again = torch.cat([collate(part, 0, members=3, seed=1)["step_weights"] for part in (groups[:7], groups[7:])])
    assert torch.equal(again, found["step_weights"]), "however the batch is divided"
    assert not torch.equal(collate(groups, 0, members=3, seed=2)["step_weights"], found["step_weights"])


def test_one_member_learns_from_everything_once():
    found = collate([group("p"), group("q", (1.0, None, 0.0))], 0)
    assert found["step_weights"].tolist() == [1.0] * 4
    assert found["step_members"].tolist() == [0] * 4


@pytest.fixture(scope="module")
def trained(base_model, tmp_path_factory):
    settings = TrainSettings(base_model, members=3, lr=3e-3, epochs=2, batch_size=8, held_out=0.2)
    return toolkit.train(settings, **LISTS, out=tmp_path_factory.mktemp("members") / "prm")


def test_the_members_score_together_and_stay_in_the_record(trained):
    scorer = toolkit.load_scorer(str(trained.path))
    found = scorer.score(*PAIRS)
    model = AutoModelForTokenClassification.from_pretrained(trained.path).eval()
    assert model.config.num_labels == 6
    for problem, steps, scores in zip(*PAIRS, found, strict=True):
        rendered = scorer.renderer.render(problem, steps)
        with torch.no_grad():
            logits = model(torch.tensor([rendered.ids])).logits[0, list(rendered.step_ends)]
        shares = torch.stack([logits[:, 2 * k : 2 * k + 2].softmax(-1)[:, 1] for k in range(3)])
        assert list(scores) == pytest.approx(shares.mean(dim=0).tolist(), abs=1e-5)
        for k in range(3):
            assert list(scores.members[str(k)]) == pytest.approx(shares[k].tolist(), abs=1e-5)
    assert len({round(row[0], 6) for row in found[0].members.values()}) == 3, "no two members are alike"
    made = toolkit.score(scorer, LISTS["problems"][:2], LISTS["chains"][:4])
    assert all(set(row.by_member) == {"0", "1", "2"} and min(row.spread) > 0 for row in made)


@pytest.mark.parametrize("how", ["min", "median", "mean-sd:1"])
def test_how_they_become_one_is_chosen(how, trained):
    plain, other = (toolkit.load_scorer(str(trained.path), how=h).score(*PAIRS) for h in (None, how))
    for one, changed in zip(plain, other, strict=True):
        columns = zip(*one.members.values(), strict=True)
        assert list(changed) == pytest.approx([how_named(how)(column) for column in columns], abs=1e-6)


def test_members_are_recorded_and_measured_together(trained):
    assert load_metadata(trained.path).members == 3
    assert 0 <= trained.counts["step auroc"] <= 1


def test_members_where_they_make_no_sense_are_refused(trained, base_model, tmp_path):
    with pytest.raises(InputError, match="members makes no difference to an ORM"):
        TrainSettings(base_model, objective="orm", members=2)
    with pytest.raises(InputError, match="members"):
        TrainSettings(base_model, members=0)
    with pytest.raises(ModelError, match="has 3 members"):
        convert(trained.path, tmp_path / "x", to="qwen2-process-reward")
    one = toolkit.train(TrainSettings(base_model, held_out=0), **LISTS, out=tmp_path / "one")
    with pytest.raises(ModelError, match="has one member"):
        toolkit.load_scorer(str(one.path), how="min")
