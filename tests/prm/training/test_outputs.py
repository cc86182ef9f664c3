"""Reward models with several named outputs: what each learns from, and that each is found again by its name."""

import json
from array import array

import pytest
import torch
from torch import tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import prm as toolkit
from prm import Chain, InputError, ModelError, Problem, TrainSettings
from prm.data.comparisons import read_values
from prm.models.checkpoint import Metadata, load_metadata
from prm.training.collation import collate
from prm.training.data.storage import Columns, Writer
from prm.training.examples import ChainExample, GroupExample, blank
from prm.training.job import audit_of
from prm.training.objectives import LossOptions, Read, losses, total_weights
from prm.training.trainer import LOG

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.timeout(3600)]
NAMES = ("helpfulness", "correctness", "verbosity")
MIX = {"helpfulness": 0.6, "verbosity": -0.1}


def group(number, values, weight=1.0):
    chain = ChainExample(f"c{number}", array("i", (1, 2 + number)), (1,), (None,), (1.0,), values, ("none",))
    return GroupExample(f"p{number}", 1, (chain,), weight=weight)


TABLE = [group(0, (1.0, None, 0.25)), group(1, (0.0, 1.0, 0.5))]
"""A table of two chains and three outputs with a missing cell."""


def loss_of(term, rewards, groups):
    """The loss of these rewards, and its gradient with respect to each."""
    batch, rewards = collate(groups, 0), tensor(rewards, requires_grad=True)
    read = Read(tensor([]), rewards, rewards[batch["end_rows"]], tensor([]))
    loss = losses({term: 1.0}, read, batch, total_weights([term], batch), LossOptions())[term]
    loss.backward()
    return loss.item(), rewards.grad


def test_a_loss_is_the_mean_over_the_cells_that_have_a_value():
    rewards = [[0.5, 7.0, 0.25], [0.0, 0.0, 2.0]]
    loss, gradient = loss_of("regression", rewards, TABLE)
    assert loss == pytest.approx((0.25 + 0 + 0 + 1 + 2.25) / 5)
    assert gradient.tolist() == [pytest.approx([-0.2, 0, 0]), pytest.approx([0, -0.4, 0.6])]
    loss, gradient = loss_of("pointwise", [[0.0, 7.0, 0.0], [0.0, 0.0, 0.0]], TABLE)
    assert loss == pytest.approx(torch.tensor(2.0).log().item()), "log-odds of 0 cost that, whatever the value"
    assert gradient.tolist() == [pytest.approx([-0.1, 0, 0.05]), pytest.approx([0.1, -0.1, 0])]
    assert loss_of("every-step", [[0.0, 7.0, 0.0], [0.0, 0.0, 0.0]], TABLE)[0] == pytest.approx(loss)


def test_a_groups_weight_counts_in_each_of_its_cells():
    loss, gradient = loss_of("regression", [[0.0, 7.0], [0.0, 0.0]], [group(0, (1.0, None), 3.0), group(1, (2.0, 1.0))])
    assert loss == pytest.approx((3 * 1 + 4 + 1) / 5)
    assert gradient[0, 1] == 0


def test_a_blank_adds_nothing():
    rewards = [[0.5, 7.0, 0.25], [0.0, 0.0, 2.0], [1.0, 1.0, 1.0]]
    loss, gradient = loss_of("regression", rewards, [*TABLE, blank(3)])
    assert loss == pytest.approx(3.5 / 5)
    assert gradient[2].tolist() == [0, 0, 0]


def test_the_arrays_keep_a_table_of_values(tmp_path):
    with Writer(tmp_path / "a", outputs=3) as writer:
        for one in TABLE:
            writer.add(one)
    columns = Columns.load(tmp_path / "a")
    assert columns.values.shape == (2, 3)
    assert [columns.group(place) for place in range(2)] == TABLE


# Files of values.


def written(path, rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_values_are_an_object_or_fields_of_their_own(tmp_path):
    rows = [
        {"chain_id": "a", "values": {"helpfulness": 3, "verbosity": None, "other": "x"}},
        {"chain_id": "b", "helpfulness": 4, "correctness": 0.5, "prompt": "?"},
        {"chain_id": "c"},
        {"chain_id": "d", "values": None, "verbosity": -1},
    ]
    assert read_values(written(tmp_path / "v.jsonl", rows), NAMES) == {
        "a": (3.0, None, None), "b": (4.0, 0.5, None), "c": (None, None, None), "d": (None, None, -1.0)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"chain_id": "b", "helpfulness": float("inf")}, r"v\.jsonl:2: field 'helpfulness' is inf: expected a finite"),
        ({"chain_id": "b", "values": {"verbosity": float("nan")}}, r"v\.jsonl:2: field 'verbosity' is nan"),
        ({"chain_id": "b", "verbosity": "3"}, r"v\.jsonl:2: field 'verbosity' is '3'"),
        ({"chain_id": "b", "verbosity": True}, r"v\.jsonl:2: field 'verbosity' is True"),
        ({"chain_id": "b", "values": [1, 2]}, r"v\.jsonl:2: field 'values' is \[1, 2\]: expected an object"),
        ({"chain_id": "b", "verbosity": 1}, r"v\.jsonl: no row has a value of 'correctness'\n"),
    ],
)
def test_a_file_of_values_that_cannot_be_used(tmp_path, row, message):
    path = written(tmp_path / "v.jsonl", [{"chain_id": "a", "helpfulness": 1}, row])
    with pytest.raises(InputError, match=message):
        read_values(path, NAMES)


# A model from end to end.


PROBLEMS = [Problem(f"p{i}", f"what is {i}?", "4") for i in range(8)]
CHAINS = [Chain(f"{p.id}/{k}", p.id, (text,)) for p in PROBLEMS for k, text in enumerate(("So 4.\n", "Thus it 12.\n"))]
ROWS = [
    {"chain_id": chain.id, "helpfulness": float(k), "correctness": None if k else 0.5, "verbosity": 1.0 - k}
    for chain, k in zip(CHAINS, [0, 1] * 8, strict=True)
]
UNRATED = {"chain_id": "p7/1", "coherence": 1}
DATA = {"problems": PROBLEMS, "chains": CHAINS, "values": [*ROWS[:-1], UNRATED]}
RATED = [
    {"prompt": f"what is {i}?", "response": text, "helpfulness": float(k), "verbosity": 1 - k, "coherence": 4}
    for i in range(8)
    for k, text in enumerate(("So 4.\n", "Thus it 12.\n"))
]
HOW = {"objective": "orm", "losses": {"regression": 1.0}, "lr": 1e-2, "batch_size": 4, "epochs": 8, "outputs": NAMES}


@pytest.fixture(scope="module")
def made(base_model, tmp_path_factory):
    settings = TrainSettings(base_model, held_out=0.3, **HOW)
    return toolkit.train(settings, **DATA, out=tmp_path_factory.mktemp("outputs") / "orm")


def scores_of(scorer):
    texts = {problem.id: problem.text for problem in PROBLEMS}
    with_problems = [texts[chain.problem_id] for chain in CHAINS]
    return [score for (score,) in scorer.score(with_problems, [chain.steps for chain in CHAINS])]


@torch.no_grad()
def test_each_output_is_that_of_plain_transformers(made):
    assert load_metadata(made.path).outputs == NAMES
    model = AutoModelForSequenceClassification.from_pretrained(made.path)
    assert model.config.id2label == dict(enumerate(NAMES))
    tokenizer = AutoTokenizer.from_pretrained(made.path)
    texts = [f"what is {chain.problem_id[1:]}?\n{chain.text}" for chain in CHAINS]
    plain = torch.cat([model(**tokenizer(text, return_tensors="pt")).logits for text in texts])
    for place, name in enumerate(NAMES):
        assert scores_of(toolkit.load_scorer(str(made.path), output=name)) == pytest.approx(
            plain[:, place].tolist(), abs=1e-6
        )
    mixed = (0.6 * plain[:, 0] - 0.1 * plain[:, 2]).tolist()
    for output in (MIX, "helpfulness=0.6,verbosity=-0.1"):
        scorer = toolkit.load_scorer(str(made.path), output=output)
        assert scores_of(scorer) == pytest.approx(mixed, abs=1e-6)
        assert scorer.settings["output"] == output


def test_each_output_learns_its_own_values(made):
    helpful, correct, verbose = (scores_of(toolkit.load_scorer(str(made.path), output=name)) for name in NAMES)
    assert helpful[1] - helpful[0] > 0.5
    assert verbose[0] - verbose[1] > 0.5
    assert correct[0] == pytest.approx(0.5, abs=0.3)
    held_out = json.loads((made.path / LOG).read_text())["held_out"]
    assert held_out["pair_accuracy_helpfulness"]["value"] == 1
    assert held_out["pair_accuracy_correctness"]["value"] is None, "it has no pairs"
    assert held_out["value_correlation_verbosity"]["value"] > 0.8
    assert "pair_accuracy" not in held_out


def test_a_chain_without_any_of_the_values_is_dropped(made):
    assert [(drop.id, drop.reason) for drop in made.drops] == [("p7/1", "it has no value")]


def test_the_card_and_the_options_name_the_outputs(made, base_model):
    card = (made.path / "README.md").read_text()
    assert 'prm.load_scorer("THIS_DIRECTORY", output="helpfulness")' in card
    assert "Its logits are `helpfulness`, `correctness`, `verbosity`, read at the last token" in card
    assert 'outputs = ["helpfulness", "correctness", "verbosity"]' in (made.path / "train.toml").read_text()


def test_a_single_named_output_is_the_model_without_a_name(base_model, tmp_path):
    how = HOW | {"epochs": 1, "held_out": 0}
    rows = [{"chain_id": chain.id, "value": i % 2} for i, chain in enumerate(CHAINS)]
    named = toolkit.train(TrainSettings(base_model, **how | {"outputs": ("value",)}), **DATA | {"values": rows})
    plain = toolkit.train(TrainSettings(base_model, **how | {"outputs": ()}), **DATA | {"values": rows})
    scores = scores_of(toolkit.load_scorer(str(plain.path)))
    assert scores_of(toolkit.load_scorer(str(named.path))) == scores
    assert scores_of(toolkit.load_scorer(str(named.path), output="value")) == scores
    with pytest.raises(ModelError, match="no output 'value'"):
        toolkit.load_scorer(str(plain.path), output="value")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (None, "has several outputs, and none is chosen: helpfulness, correctness, verbosity"),
        ("charm", "no output 'charm'"),
        ({"charm": 1.0, "verbosity": 1.0}, "no output 'charm'"),
        ({}, "output={} names no score"),
        ("helpfulness=much", "output 'helpfulness=much' is no mix of scores"),
        ("helpfulness=1,helpfulness=2", "is no mix of scores"),
        ({"helpfulness": float("nan")}, "is not a number"),
        ("helpfulness=inf", "is not a number"),
    ],
)
def test_an_output_that_is_not_there_is_refused(made, output, message):
    with pytest.raises((ModelError, InputError), match=message):
        toolkit.load_scorer(str(made.path), output=output)


def test_a_stored_calibration_is_of_one_score_alone(made):
    with pytest.raises(ModelError, match="no calibration of its rewards"):
        toolkit.load_scorer(str(made.path), output="helpfulness", is_calibrated=True)
    known = ("none",)
    labels = [toolkit.StepLabels(c.id, c.problem_id, (0,), (0,), (0,), known, ("correct", "incorrect")[k % 2])
              for k, c in enumerate(CHAINS)]  # fmt: skip
    scores = [toolkit.StepScores(c.id, c.problem_id, (float(k),), "orm") for k, c in enumerate(CHAINS)]
    with pytest.raises(InputError, match="has several outputs, and stores no calibration"):
        toolkit.calibrate(scores, labels, level="chain", scorer=made.path)


def test_the_command_scores_by_name_and_by_mix_and_an_ensembles_members_by_theirs(prm, made, tmp_path):
    for name, rows in (("p", PROBLEMS), ("c", CHAINS)):
        toolkit.write_records(tmp_path / f"{name}.jsonl", rows)
    line = ["score", "--scorer", made.path, "--problems=p.jsonl", "--chains=c.jsonl"]
    assert prm(*line, "--output=verbosity", "--out=v.jsonl")[0] == 0
    assert prm(*line, "--output=helpfulness=0.6,verbosity=-0.1", "--out=m.jsonl")[0] == 0
    code, _, err = prm(*line, "--out=none.jsonl")
    assert code == 1
    assert "none is chosen: helpfulness, correctness, verbosity" in err
    members = [toolkit.load_scorer(str(made.path), output=output) for output in ("verbosity", MIX)]
    records = [
        [row.scores[0] for row in toolkit.read_records(tmp_path / f"{n}.jsonl", toolkit.StepScores)] for n in "vm"
    ]
    assert records == [pytest.approx(scores_of(member), abs=1e-6) for member in members]
    means = [sum(pair) / 2 for pair in zip(*records, strict=True)]
    assert scores_of(toolkit.Ensemble(members)) == pytest.approx(means, abs=1e-6)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"losses": {}}, "the loss 'bradley-terry' compares chains by one value, and there are 3 outputs"),
        (
            {"losses": {"regression": 1.0, "plackett-luce": 1.0}},
            "the loss 'plackett-luce' compares chains by one value",
        ),
        ({"objective": "prm", "losses": {}}, "outputs are those of an ORM, not of a PRM"),
        ({"outputs": ("a", "a")}, "is no tuple of different names"),
        ({"outputs": ("a=1",)}, "is no tuple of different names"),
        ({"outputs": "helpfulness"}, "is no tuple of different names"),
        ({"best": "pair_accuracy", "measure_every": 1}, "unknown best 'pair_accuracy'"),
    ],
)
def test_settings_that_do_not_fit_outputs(changed, message):
    with pytest.raises(InputError, match=message):
        TrainSettings("base", **HOW | changed)


def test_outputs_need_values_and_pointwise_needs_shares(base_model):
    with pytest.raises(InputError, match="no values for the outputs"):
        toolkit.train(TrainSettings(base_model, **HOW), preferences=[])
    rows = [{"chain_id": row["chain_id"], "values": row | {"correctness": 4}} for row in ROWS]
    with pytest.raises(InputError, match=r"'p0/0' has the value 4\.0, but the loss 'pointwise'"):
        toolkit.train(
            TrainSettings(base_model, **HOW | {"losses": {"pointwise": 1.0}}, held_out=0), **DATA | {"values": rows}
        )


@pytest.mark.parametrize(
    ("kind", "outputs"), [("prm", ("a",)), ("orm", ["a"]), ("orm", ("a", "a")), ("orm", ("",)), ("orm", ("a,b",))]
)
def test_metadata_of_outputs_that_cannot_be(kind, outputs):
    with pytest.raises(ValueError, match="outputs must be"):
        Metadata(kind, outputs=outputs)


def test_the_command_takes_names_in_one_text_and_in_a_file_of_options(prm, base_model, tmp_path):
    written(tmp_path / "rated.jsonl", RATED)
    (tmp_path / "train.toml").write_text('objective = "orm"\noutputs = ["helpfulness", "verbosity"]\n')
    line = ["train", "--base", base_model, "--values=rated.jsonl", "--loss=regression=1", "--max-steps=1"]
    by_file = prm(*line, "--config=train.toml", "--out=a")
    by_text = prm(*line, "--objective=orm", "--outputs=helpfulness,verbosity", "--out=b")
    assert [code for code, _, _ in (by_file, by_text)] == [0, 0]
    assert "ignored fields (in so many rows): coherence (16)" in by_text[2]
    assert load_metadata(tmp_path / "a") == load_metadata(tmp_path / "b")
    assert load_metadata(tmp_path / "a").outputs == ("helpfulness", "verbosity")
    assert prm(*line, "--config=b/train.toml", "--out=b")[0] == 0, "the options of the checkpoint are the same job"


# Rated answers, without chains.


def test_rated_answers_give_what_chains_with_these_values_give(base_model, tmp_path):
    how = HOW | {"outputs": ("helpfulness", "verbosity"), "epochs": 1, "held_out": 0}
    rows = [{"chain_id": chain.id, "values": row} for chain, row in zip(CHAINS, RATED, strict=True)]
    settings = TrainSettings(base_model, **how)
    by_chains = toolkit.train(settings, problems=PROBLEMS, chains=CHAINS, values=rows)
    path = written(tmp_path / "helpsteer.jsonl", RATED)
    made = [toolkit.train(settings, values=rated) for rated in (path, RATED)]
    for output in how["outputs"]:
        expected = scores_of(toolkit.load_scorer(str(by_chains.path), output=output))
        for one in made:
            assert scores_of(toolkit.load_scorer(str(one.path), output=output)) == pytest.approx(expected, abs=1e-6)
    talk = [row | {"prompt": [{"role": "user", "content": row["prompt"]}]} for row in RATED]
    with pytest.raises(InputError, match=r"there is nothing to train on: .*: 16"):
        toolkit.train(settings, values=talk)  # this tokenizer has no chat template


def test_answers_to_one_context_are_compared_with_each_other(base_model):
    settings = TrainSettings(base_model, **HOW | {"losses": {}, "outputs": ("helpfulness",), "held_out": 0})
    assert audit_of(settings, values=RATED)["train"]["pairs"] == 8
    found = audit_of(settings, values=[row | {"helpfulness": 1} for row in RATED[:2]] + RATED[2:])
    assert (found["train"]["pairs"], found["dropped"]) == (7, {"all its chains are worth the same": 1})


FAULTS = [
    (
        {"helpfulness": float("inf")},
        "a field of the wrong kind",
        "field 'helpfulness' is inf: expected a finite number",
    ),
    ({"helpfulness": "4"}, "a field of the wrong kind", "field 'helpfulness' is '4': expected a finite number"),
    ({"helpfulness": None, "verbosity": None}, "it has no value", ""),
    ({"response": None}, "lacks a response", ""),
    ({"response": " "}, "an empty text", "the response"),
    ({"prompt": None}, "has no clear context", "no prompt, and no 'Assistant:' in the text of an answer"),
]


def test_a_rated_row_that_cannot_be_used_is_dropped_by_file_and_row(base_model, tmp_path):
    rows = [row | fault for row, (fault, _, _) in zip(RATED, FAULTS, strict=False)]
    path = written(tmp_path / "rated.jsonl", rows + RATED[len(rows) :])
    settings = TrainSettings(base_model, **HOW | {"outputs": ("helpfulness", "verbosity"), "epochs": 0.1})
    drops = {
        drop.id.replace("-", ":"): (drop.reason, drop.detail) for drop in toolkit.train(settings, values=path).drops
    }
    assert drops == {f"rated:{i}": tuple(told) for i, (_, *told) in enumerate(FAULTS, start=1)}


def test_rated_rows_that_no_name_matches_or_a_prm_cannot_use(base_model):
    with pytest.raises(InputError, match="no row has a value of 'correctness'"):
        toolkit.train(TrainSettings(base_model, **HOW), values=RATED)
    with pytest.raises(InputError, match="nothing to train on: lacks a response: 2"):
        toolkit.train(TrainSettings(base_model, **HOW), values=[{"chain_id": "a", "prompt": "?"}] * 2)
    with pytest.raises(InputError, match="values alone hold no step labels"):
        toolkit.train(TrainSettings(base_model), values=RATED)
