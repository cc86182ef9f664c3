"""Batches by hand, and a real, short training that learns."""

import pytest
import torch

from prm.checkpoint import load_model
from prm.errors import InputError
from prm.examples import PairExample, StepExample
from prm.training import Settings, collate_pairs, collate_steps, evaluate, train


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


def test_collate_pairs_by_hand():
    rows = [{"chosen": [1, 2], "rejected": [3]}, {"chosen": [4], "rejected": [5, 6, 7]}]
    batch = collate_pairs(rows, pad_id=0)
    assert batch["input_ids"].tolist() == [[1, 2, 0], [4, 0, 0], [3, 0, 0], [5, 6, 7]]
    assert batch["attention_mask"].sum(dim=1).tolist() == [2, 1, 1, 3]


# Token 20 is right and token 21 wrong; everything else is noise.
STEPS = [
    StepExample(str(i), (1, 30 + i, 20 + i % 2, 10, 21 - i % 2, 10), (3, 5), (float(i % 2 == 0), float(i % 2 == 1)))
    for i in range(8)
]
PAIRS = [PairExample(str(i), (1, 30 + i, 20, 10), (1, 31 + i, 40, 21, 10)) for i in range(8)]


@pytest.mark.parametrize(
    ("kind", "examples", "metric"),
    [("prm", STEPS, "step_auroc_within_position"), ("orm", PAIRS, "pair_accuracy")],
    ids=["prm", "orm"],
)
def test_training_learns(base_model, tmp_path, kind, examples, metric):
    model = load_model(base_model, kind, 0)
    log = train(model, examples, Settings(epochs=8, learning_rate=2e-2, batch_size=4), tmp_path)
    assert log[0]["loss"] > 0.5, "an untrained head must be near log 2"
    assert log[-1]["loss"] < 0.2
    assert evaluate(model, examples)[metric] == 1.0


def test_nothing_to_train_on_is_refused(base_model, tmp_path):
    with pytest.raises(InputError, match="nothing to train on"):
        train(load_model(base_model, "prm", 0), [], Settings(), tmp_path)


def test_nothing_to_measure_is_none(base_model):
    assert set(evaluate(load_model(base_model, "orm", 0), []).values()) == {None}
