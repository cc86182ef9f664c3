"""Batches by hand, and a real, short training that learns."""

import pytest
import torch

from prm.checkpoint import load_model
from prm.errors import InputError, ModelError
from prm.examples import GroupExample, StepExample
from prm.training import Settings, collate_groups, collate_steps, evaluate, train


def test_collate_steps_by_hand():
    batch = collate_steps(
        [
            {"ids": [5, 6, 7], "positions": [0, 2], "targets": [1.0, 0.25]},
            {"ids": [8], "positions": [0], "targets": [0.0]},
        ],
        pad_id=9,
    )
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["rows"].tolist() == [0, 0, 1]
    assert batch["positions"].tolist() == [0, 2, 0]
    assert batch["targets"].tolist() == [1.0, 0.25, 0.0]
    assert batch["targets"].dtype == torch.float32


def test_collate_groups_by_hand():
    """Of two problems one has a single pair and the other two, of half its weight each."""
    rows = [
        {"ids": [[1, 2], [1, 3, 4]], "step_ends": [[1], [1, 2]], "prompt_length": 1, "is_right": [False, True]},
        {
            "ids": [[5, 6], [5], [5, 7]],
            "step_ends": [[1], [0], [1]],
            "prompt_length": 0,
            "is_right": [True, False, True],
        },
    ]
    batch = {name: value.tolist() for name, value in collate_groups(rows, pad_id=0).items()}
    assert batch["input_ids"] == [[1, 2, 0], [1, 3, 4], [5, 6, 0], [5, 0, 0], [5, 7, 0]]
    assert batch["solution_mask"] == [[0, 1, 0], [0, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 0]]
    assert list(zip(batch["chosen"], batch["rejected"], batch["weights"], strict=True)) == [
        (1, 0, 0.5),
        (2, 3, 0.25),
        (4, 3, 0.25),
    ]
    assert list(zip(batch["rows"], batch["positions"], batch["targets"], strict=True)) == [
        (0, 1, 0.0),
        (1, 1, 1.0),
        (1, 2, 1.0),
        (2, 1, 1.0),
        (3, 0, 0.0),
        (4, 1, 1.0),
    ]


# Token 20 is right and token 21 wrong; everything else is noise.
STEPS = [
    StepExample(str(i), (1, 30 + i, 20 + i % 2, 10, 21 - i % 2, 10), (3, 5), (float(i % 2 == 0), float(i % 2 == 1)))
    for i in range(8)
]
GROUPS = [
    GroupExample(str(i), ((1, 30 + i, 20, 10), (1, 31 + i, 40, 21, 10)), ((3,), (2, 4)), 1, (True, False))
    for i in range(8)
]


@pytest.mark.parametrize(
    ("kind", "examples", "metric", "weights"),
    [
        ("prm", STEPS, "step_auroc_within_position", {}),
        ("orm", GROUPS, "pair_accuracy", {}),
        ("orm", GROUPS, "pair_accuracy", {"outcome_weight": 2.0, "lm_weight": 0.2}),
    ],
    ids=["prm", "orm", "orm with all losses"],
)
def test_training_learns(base_model, tmp_path, kind, examples, metric, weights):
    model = load_model(base_model, kind, 0)
    model.config.tie_word_embeddings = True
    log = train(model, examples, Settings(epochs=8, learning_rate=2e-2, batch_size=4, **weights), tmp_path)
    assert log[0]["loss"] > 0.5, "an untrained head must be near log 2"
    assert log[-1]["loss"] < 0.4 * log[0]["loss"]
    assert evaluate(model, examples)[metric] == 1.0


def test_a_language_model_loss_needs_the_output_embeddings(base_model, tmp_path):
    model = load_model(base_model, "orm", 0)
    with pytest.raises(ModelError, match="output embeddings"):
        train(model, GROUPS, Settings(lm_weight=0.1), tmp_path)


def test_a_training_follows_from_its_seed(base_model, tmp_path):
    def weights(seed):
        model = load_model(base_model, "prm", 0, seed)
        train(model, STEPS, Settings(epochs=1, batch_size=4, seed=seed), tmp_path)
        return model.score.weight

    assert torch.equal(weights(0), weights(0)), "the new head is drawn from the seed as well"
    assert not torch.allclose(weights(0), weights(1))


def test_nothing_to_train_on_is_refused(base_model, tmp_path):
    with pytest.raises(InputError, match="nothing to train on"):
        train(load_model(base_model, "prm", 0), [], Settings(), tmp_path)


def test_nothing_to_measure_is_none(base_model):
    assert set(evaluate(load_model(base_model, "orm", 0), []).values()) == {None}
