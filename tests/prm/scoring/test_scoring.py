"""Scores depend on their own chain and the steps so far, on nothing beside or after them."""

import json
import math
import pickle

import pytest
import torch

import prm
from prm.data.records import Chain, Drop, Problem, StepScores
from prm.errors import InputError, ModelError, RenderError
from prm.models.checkpoint import Metadata, load_metadata, load_model, load_tokenizer, renderer_of, save_model
from prm.models.heads import token_head
from prm.scoring import scorer as scoring
from prm.scoring.backends import TransformersBackend
from prm.scoring.batching import batches_by_tokens
from prm.scoring.loading import load_scorer
from prm.scoring.reward_model import RewardModel
from prm.scoring.scorer import Refusal, score_chains
from prm.statistics.calibration import Calibration

CHAINS = [("So 2.\n", "The answer is 4"), ("x",), ("a\n", "b\n", "c " * 20 + "\n", "d"), ("y\n", "z")]
TEXTS = ["what is 2 + 2?", "?", "a much longer problem than the others have", "is it 12 / 3?"]
CLOSE = {"abs": 1e-5}


def make(base_model, kind):
    """A scorer whose new head is large enough for scores to differ."""
    model = load_model(base_model, kind, 0)
    torch.manual_seed(1)
    model.score.weight.data.normal_(0, 1)
    renderer = renderer_of(load_tokenizer(base_model), Metadata(kind))
    return RewardModel(TransformersBackend(model, token_head), renderer, "softmax" if kind == "prm" else "reward", kind)


@pytest.fixture(scope="module", params=["prm", "orm"])
def scorer(request, base_model):
    return make(base_model, request.param)


@pytest.fixture(scope="module")
def step_scorer(base_model):
    return make(base_model, "prm")


def test_one_score_per_step(scorer):
    scores = scorer.score(TEXTS, CHAINS)
    assert [len(s) for s in scores] == ([len(c) for c in CHAINS] if scorer.kind == "prm" else [1] * len(CHAINS))
    flat = [v for s in scores for v in s]
    assert max(flat) - min(flat) > 0.1, "all scores are alike: the tests of this module would mean nothing"
    assert scorer.kind == "orm" or all(0 <= v <= 1 for v in flat)


def test_scores_do_not_depend_on_neighbors_or_batches(scorer, monkeypatch):
    together = scorer.score(TEXTS, CHAINS)
    alone = [scorer.score([t], [c])[0] for t, c in zip(TEXTS, CHAINS, strict=True)]
    backwards = scorer.score(TEXTS[::-1], CHAINS[::-1])[::-1]
    monkeypatch.setattr(scorer.backend, "tokens_per_pass", 80)
    in_small_batches = scorer.score(TEXTS, CHAINS)
    for other in (alone, backwards, in_small_batches):
        assert all(a == pytest.approx(b, **CLOSE) for a, b in zip(together, other, strict=True))


def test_a_later_step_never_changes_an_earlier_score(step_scorer):
    steps = CHAINS[2]
    ((*whole,),) = step_scorer.score([TEXTS[0]], [steps])
    for count in range(1, len(steps)):
        ((*other,),) = step_scorer.score([TEXTS[0]], [(*steps[:count], "something else\n", "1")])
        assert other[:count] == pytest.approx(whole[:count], **CLOSE)
        assert other[count] != pytest.approx(whole[count], **CLOSE)


def test_an_empty_chain_and_no_chain(step_scorer):
    assert step_scorer.score([], []) == []
    assert step_scorer.score(["?"], [()]) == [()]


def test_a_chain_longer_than_the_context_is_never_truncated(scorer):
    with pytest.raises(RenderError, match="chain 1: longer than the model's context"):
        scorer.score(["?", "?"], [("a",), ("12 " * 300,)])


BAD = {
    "not a list of texts": "So 2.\nThe answer is 4",
    "longer than the model's context": ("12 " * 300,),
    "blank step": ("a", " \n"),
}


def test_each_chain_is_refused_or_scored_on_its_own(scorer):
    chains = [CHAINS[0], *BAD.values(), ("a", 5), CHAINS[1]]
    found = scorer.score_each([TEXTS[0]] * len(chains), chains)
    assert [item.reason for item in found[1:-1]] == [*BAD, "not a list of texts"]
    assert all(isinstance(item, Refusal) and item.detail for item in found[1:-1])
    expected = scorer.score([TEXTS[0]] * 2, [CHAINS[0], CHAINS[1]])
    assert [found[0], found[-1]] == [pytest.approx(scores, **CLOSE) for scores in expected]


@pytest.mark.parametrize("reason", BAD)
def test_score_raises_on_the_first_refusal(scorer, reason):
    with pytest.raises(RenderError, match=f"chain 1: {reason}") as caught:
        scorer.score(["?"] * 3, [("a",), BAD[reason], ("12 " * 300,)])
    assert caught.value.reason == reason


def test_one_problem_for_many_chains_is_refused(scorer):
    with pytest.raises(InputError, match="one text for 2 chains"):
        scorer.score_each("??", [("a",), ("b",)])


def test_scores_that_are_not_numbers_are_a_refusal(scorer, monkeypatch):
    outputs = scorer.backend.outputs

    def broken(rows):
        first, *others = outputs(rows)
        return [first * float("nan"), *others]

    monkeypatch.setattr(scorer.backend, "outputs", broken)
    refused, scores = scorer.score_each(["?", "?"], [("a",), ("b",)])
    assert refused.reason == "scores that are not finite"
    assert all(map(math.isfinite, scores))


def test_a_scorer_can_be_sent_to_another_process(scorer):
    sent = pickle.loads(pickle.dumps(scorer))
    assert sent.score(TEXTS, CHAINS) == scorer.score(TEXTS, CHAINS)


def test_score_chains_keeps_order_and_gives_reasons(step_scorer, monkeypatch):
    monkeypatch.setattr(scoring, "CHAINS_A_ROUND", 2)
    chains = [Chain(str(i), "p", c) for i, c in enumerate(CHAINS)]
    given = [chains[2], Chain("lost", "q", ("a",)), chains[0], Chain("none", "p", ()), chains[1],
             Chain("long", "p", ("12 " * 300,))]  # fmt: skip
    taken = []
    stream = score_chains(step_scorer, (taken.append(c) or c for c in given), {"p": Problem("p", TEXTS[0])})
    found = [next(stream)]
    assert taken == given[:2], "a round is scored before the next is taken"
    found += stream
    assert [f.chain_id if isinstance(f, StepScores) else f.id for f in found] == [c.id for c in given]
    assert [len(f.scores) for f in found if isinstance(f, StepScores)] == [4, 2, 1]
    assert found[2].scores == pytest.approx(step_scorer.score([TEXTS[0]], [CHAINS[0]])[0], **CLOSE)
    reasons = {f.id: f.reason for f in found if isinstance(f, Drop)}
    expected = {"lost": "its problem is missing", "none": "empty chain", "long": "longer than the model's context"}
    assert reasons == expected


def test_a_chain_that_cannot_be_rendered_is_dropped_alone(step_scorer, monkeypatch):
    alone = step_scorer.score(["?"], [("a", "b")])[0]
    refused = RenderError("step 1 has no token")
    render = step_scorer.renderer.render_many
    monkeypatch.setattr(step_scorer.renderer, "render_many", lambda p, c: [refused, *render(p[1:], c[1:])])
    chains = [Chain("refused", "p", ("a",)), Chain("fine", "p", ("a", "b"))]
    drop, scores = score_chains(step_scorer, chains, {"p": Problem("p", "?")})
    assert drop == Drop("refused", "cannot be rendered", "step 1 has no token")
    assert scores.scores == pytest.approx(alone, **CLOSE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "onnx"}, "unknown backend 'onnx'"),
        ({"dtype": "float8"}, "unknown dtype 'float8'"),
        ({"backend": "vllm", "tokens_per_pass": 9}, "tokens_per_pass=9 has no effect on the backend vllm"),
        ({"engine_options": {"max_model_len": 9}}, "has no effect on the backend transformers"),
    ],
)
def test_options_without_effect_are_refused(base_model, options, message):
    with pytest.raises(ModelError, match=message) as caught:
        load_scorer(base_model, **options)
    assert caught.value.hint


@pytest.mark.parametrize("value", [-1, 0, 2.5, "9"])
def test_tokens_per_pass_out_of_range_is_refused_by_name(base_model, value):
    with pytest.raises(InputError, match=f"^tokens_per_pass={value!r} is not a whole number"):
        load_scorer(base_model, tokens_per_pass=value)


def test_save_and_load(scorer, tmp_path):
    model = scorer.backend.model
    save_model(model.config, model.state_dict(), scorer.kind, tmp_path)
    scorer.renderer.tokenizer.save_pretrained(tmp_path)
    Metadata(scorer.kind).save(tmp_path)
    loaded = prm.load_scorer(str(tmp_path))
    assert loaded.kind == scorer.kind
    for a, b in zip(loaded.score(TEXTS, CHAINS), scorer.score(TEXTS, CHAINS), strict=True):
        assert a == pytest.approx(b, **CLOSE)


def test_metadata_round_trip(tmp_path):
    metadata = Metadata("prm", separator=" ки\n", chat=True, labels="soft")
    metadata.save(tmp_path)
    assert load_metadata(tmp_path) == metadata


@pytest.mark.parametrize(
    "text",
    [
        None,
        "{",
        "[]",
        "3",
        '"prm"',
        "{}",
        json.dumps({"schema": "checkpoint/2", "kind": "prm"}),
        json.dumps({"schema": "checkpoint/1"}),
        json.dumps({"schema": "checkpoint/1", "kind": "prm", "color": 1}),
        json.dumps({"schema": "checkpoint/1", "kind": "banana"}),
        json.dumps({"schema": "checkpoint/1", "kind": "prm", "separator": ""}),
        json.dumps({"schema": "checkpoint/1", "kind": "prm", "separator": 5}),
        json.dumps({"schema": "checkpoint/1", "kind": "prm", "chat": "no"}),
        json.dumps([["schema", "checkpoint/1"], ["kind", "prm"]]),
    ],
)
def test_a_directory_that_is_not_a_checkpoint_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "prm.json").write_text(text)
    with pytest.raises(ModelError, match=r"prm\.json") as caught:
        load_scorer(str(tmp_path))
    assert caught.value.hint


def test_a_checkpoint_without_a_model_is_refused(tmp_path):
    Metadata("prm").save(tmp_path)
    with pytest.raises(ModelError, match=r"config\.json"):
        load_scorer(str(tmp_path))


def test_a_path_that_does_not_exist_is_refused(tmp_path):
    for load in (load_tokenizer, lambda name: load_model(name, "prm")):
        with pytest.raises(ModelError, match="no such directory"):
            load(str(tmp_path / "none"))


def test_a_head_of_another_kind_is_refused(base_model, tmp_path):
    load_model(base_model, "orm", 0).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="as a PRM"):
        load_model(str(tmp_path), "prm")


@pytest.mark.parametrize("budget", [1, 10, 25, 1000])
def test_batches_cover_everything_once_within_the_budget(budget):
    lengths = [3, 9, 4, 12, 1, 9, 9]
    batches = list(batches_by_tokens(lengths, budget))
    assert sorted(i for b in batches for i in b) == list(range(len(lengths)))
    assert all(len(b) == 1 or len(b) * max(lengths[i] for i in b) <= budget for b in batches)


def test_a_stored_calibration_is_applied_on_request(scorer, tmp_path):
    scorer.backend.model.save_pretrained(tmp_path)
    scorer.renderer.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="no calibration"):
        store_and_load(scorer, tmp_path, None)
    level, scale = ("step", "probability") if scorer.kind == "prm" else ("reward", "reward")
    stored = Calibration("platt", scale, {"slope": 2.0, "offset": -0.5})
    plain = scorer.score(TEXTS, CHAINS)
    for given, found in zip(plain, store_and_load(scorer, tmp_path, {level: stored.to_json()}), strict=True):
        odds = [math.log(p / (1 - p)) if scorer.kind == "prm" else p for p in given]
        assert found == pytest.approx([1 / (1 + math.exp(0.5 - 2 * x)) for x in odds], abs=1e-5)


def store_and_load(scorer, directory, calibration):
    Metadata(scorer.kind, calibration=calibration).save(directory)
    return load_scorer(str(directory), is_calibrated=True).score(TEXTS, CHAINS)
