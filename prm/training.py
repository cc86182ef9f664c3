"""Train a PRM (step head) or an ORM (outcome head) with transformers' Trainer.

The Trainer brings mixed precision, accumulation, several devices and logging; what is ours is the batch and the loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import Trainer, TrainingArguments, set_seed

from prm.errors import InputError
from prm.examples import PairExample, StepExample
from prm.losses import bradley_terry_loss, step_loss
from prm.metrics import auroc, grouped_auroc
from prm.scoring import head_outputs, pad

Example = StepExample | PairExample


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train."""

    epochs: float = 1.0
    learning_rate: float = 1e-5
    """Peak; warmed up over the first 5% of the steps, then a cosine to 0."""
    batch_size: int = 64
    """Chains (PRM) or pairs (ORM) in an optimiser step on one device."""
    weight_decay: float = 0.0
    seed: int = 0


class StepTrainer(Trainer):
    """Trains a token classifier on `StepExample`s."""

    def compute_loss(self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, **_: Any) -> Any:
        """Cross-entropy over the labelled steps of the batch; see `prm.losses.step_loss`."""
        logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        loss = step_loss(logits[inputs["rows"], inputs["positions"]], inputs["targets"])
        return (loss, {}) if return_outputs else loss


class PairTrainer(Trainer):
    """Trains a sequence classifier on `PairExample`s."""

    def compute_loss(self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, **_: Any) -> Any:
        """Bradley-Terry loss; the batch holds the chosen chains first, then the rejected in the same order."""
        logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits[:, 0]
        loss = bradley_terry_loss(*logits.chunk(2))
        return (loss, {}) if return_outputs else loss


def collate_steps(examples: Sequence[dict[str, Any]], pad_id: int) -> dict[str, Tensor]:
    """One batch of step examples: padded ids, and row, position and target of each labelled step in flat lists."""
    ids, mask = pad([e["ids"] for e in examples], pad_id)
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "rows": torch.tensor([i for i, e in enumerate(examples) for _ in e["positions"]]),
        "positions": torch.tensor([p for e in examples for p in e["positions"]]),
        "targets": torch.tensor([t for e in examples for t in e["targets"]], dtype=torch.float32),
    }


def collate_pairs(examples: Sequence[dict[str, Any]], pad_id: int) -> dict[str, Tensor]:
    """One batch of pairs: the chosen chains, then the rejected in the same order."""
    ids, mask = pad([e["chosen"] for e in examples] + [e["rejected"] for e in examples], pad_id)
    return {"input_ids": ids, "attention_mask": mask}


def train(model: Any, examples: Sequence[Example], settings: Settings, out: Path) -> list[dict[str, float]]:
    """Fit `model` in place.

    Args:
        model: from `prm.checkpoint.load_model`, of the kind that fits the examples.
        examples: all of one type, at least one.
        settings: see `Settings`.
        out: directory for the Trainer's own files.

    Returns:
        The Trainer's log: one dict for every few steps, with loss, learning rate and epoch.

    Raises:
        InputError: there is no example.
    """
    if not examples:
        raise InputError("there is nothing to train on", "see what was dropped, and why")
    set_seed(settings.seed)
    is_steps = isinstance(examples[0], StepExample)
    collate = collate_steps if is_steps else collate_pairs
    pad_id = model.config.pad_token_id or 0
    trainer = (StepTrainer if is_steps else PairTrainer)(
        model=model,
        args=_arguments(settings, len(examples), out),
        train_dataset=Dataset.from_list([_row(e) for e in examples]),
        data_collator=lambda batch: collate(batch, pad_id),
    )
    trainer.train()
    return [entry for entry in trainer.state.log_history if "loss" in entry]


def _arguments(settings: Settings, examples: int, out: Path) -> TrainingArguments:
    steps = max(1, round(examples * settings.epochs / settings.batch_size))
    return TrainingArguments(
        output_dir=str(out),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, steps // 20),
        per_device_train_batch_size=settings.batch_size,
        train_sampling_strategy="group_by_length",
        length_column_name="length",
        remove_unused_columns=False,
        logging_steps=max(1, steps // 20),
        save_strategy="no",
        report_to="none",
        seed=settings.seed,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=False,
    )


def _row(example: Example) -> dict[str, Any]:
    """What the Trainer's data set holds; batches are grouped by `length`."""
    if isinstance(example, StepExample):
        return {
            "ids": example.ids,
            "positions": example.positions,
            "targets": example.targets,
            "length": len(example.ids),
        }
    return {
        "chosen": example.chosen,
        "rejected": example.rejected,
        "length": max(len(example.chosen), len(example.rejected)),
    }


def evaluate(model: Any, examples: Sequence[Example]) -> dict[str, float | None]:
    """Metrics on examples that were not trained on.

    Returns:
        For steps: `step_auroc` over all steps and `step_auroc_within_position`, which compares only steps that are
        equally far into their chains (soft labels count as positive from 0.5). For pairs: `pair_accuracy`, ties
        counted half. None where there is nothing to compare.
    """
    model.eval()
    steps = [e for e in examples if isinstance(e, StepExample)]
    if steps:
        return _evaluate_steps(model, steps)
    pairs = [e for e in examples if isinstance(e, PairExample)]
    chosen, rejected = (head_outputs(model, [getattr(e, side) for e in pairs]) for side in ("chosen", "rejected"))
    wins = [(c[0] > r[0]) + (c[0] == r[0]) / 2 for c, r in zip(chosen, rejected, strict=True)]
    return {"pair_accuracy": float(sum(wins)) / len(wins) if wins else None}


def _evaluate_steps(model: Any, examples: Sequence[StepExample]) -> dict[str, float | None]:
    rows: list[tuple[object, float, bool]] = []
    for example, logits in zip(examples, head_outputs(model, [e.ids for e in examples]), strict=True):
        margins = (logits[:, 1] - logits[:, 0])[list(example.positions)].tolist()
        rows += [(i, m, t >= 0.5) for i, (m, t) in enumerate(zip(margins, example.targets, strict=True))]
    return {
        "step_auroc": auroc([r[1] for r in rows], [r[2] for r in rows]),
        "step_auroc_within_position": grouped_auroc(rows),
    }
