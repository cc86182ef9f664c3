"""Train a PRM (step head) or an ORM (outcome head) with transformers' Trainer.

The Trainer brings mixed precision, accumulation, several devices and logging; what is ours is the batch and the loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import Trainer, TrainingArguments, set_seed

from prm.errors import InputError, ModelError
from prm.examples import GroupExample, StepExample
from prm.losses import bradley_terry_loss, language_model_loss, outcome_loss, step_loss
from prm.metrics import auroc, grouped_auroc
from prm.scoring import head_outputs, pad

Example = StepExample | GroupExample


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train."""

    epochs: float = 1.0
    learning_rate: float = 1e-5
    """Peak; warmed up over the first 5% of the steps, then a cosine to 0."""
    batch_size: int = 64
    """Chains (PRM) or problems (ORM) in an optimiser step on one device."""
    outcome_weight: float = 0.0
    """Weight of `prm.losses.outcome_loss` beside the Bradley-Terry loss (ORM)."""
    lm_weight: float = 0.0
    """Weight of `prm.losses.language_model_loss` beside the Bradley-Terry loss (ORM)."""
    weight_decay: float = 0.0
    seed: int = 0


class StepTrainer(Trainer):
    """Trains a token classifier on `StepExample`s."""

    def compute_loss(self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, **_: Any) -> Any:
        """Cross-entropy over the labelled steps of the batch; see `prm.losses.step_loss`."""
        logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        loss = step_loss(logits[inputs["rows"], inputs["positions"]], inputs["targets"])
        return (loss, {}) if return_outputs else loss


class GroupTrainer(Trainer):
    """Trains a sequence classifier on `GroupExample`s: all pairs of a right and a wrong chain of each problem.

    All pairs of a problem are in one batch, so each chain is read once however many pairs it is in. Pairs that are
    shuffled one by one make a reward model overfit (InstructGPT, arXiv 2203.02155, section 3.5).
    """

    def __init__(self, *, outcome_weight: float, lm_weight: float, **options: Any) -> None:
        super().__init__(**options)
        self.outcome_weight = outcome_weight
        self.lm_weight = lm_weight

    def compute_loss(self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, **_: Any) -> Any:
        """Bradley-Terry loss, with the outcome loss and the language-model loss by their weights."""
        output = model(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], output_hidden_states=True
        )
        rewards, hidden, head = output.logits[:, 0], output.hidden_states[-1], self.accelerator.unwrap_model(model)
        loss = bradley_terry_loss(rewards[inputs["chosen"]], rewards[inputs["rejected"]], inputs["weights"])
        if self.outcome_weight:
            ends = head.score(hidden[inputs["rows"], inputs["positions"]])[:, 0]
            loss = loss + self.outcome_weight * outcome_loss(ends, inputs["targets"])
        if self.lm_weight:
            logits = hidden @ head.get_input_embeddings().weight.T
            loss = loss + self.lm_weight * language_model_loss(logits, inputs["input_ids"], inputs["solution_mask"])
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


def collate_groups(examples: Sequence[dict[str, Any]], pad_id: int) -> dict[str, Tensor]:
    """One batch of groups: all their chains, and the pairs as indices of chains, each problem of the same weight.

    `rows`, `positions` and `targets` list the step ends with the outcome of their chain; `solution_mask` is 1 for
    the tokens after the problem.
    """
    ids, mask = pad([row for e in examples for row in e["ids"]], pad_id)
    outcomes = [is_right for e in examples for is_right in e["is_right"]]
    ends = [(row, end) for row, own in enumerate(own for e in examples for own in e["step_ends"]) for end in own]
    chosen, rejected, weights = zip(*_pairs(examples), strict=True)
    prompts = torch.tensor([[e["prompt_length"]] for e in examples for _ in e["ids"]])
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "solution_mask": mask * (torch.arange(ids.shape[1]) >= prompts),
        "chosen": torch.tensor(chosen),
        "rejected": torch.tensor(rejected),
        "weights": torch.tensor(weights),
        "rows": torch.tensor([row for row, _ in ends]),
        "positions": torch.tensor([end for _, end in ends]),
        "targets": torch.tensor([float(outcomes[row]) for row, _ in ends]),
    }


def _pairs(examples: Sequence[dict[str, Any]]) -> Iterator[tuple[int, int, float]]:
    """Each pair of a right and a wrong chain of one problem, with its weight; the weights sum to 1."""
    start = 0
    for example in examples:
        right, wrong = ([start + i for i, r in enumerate(example["is_right"]) if r == kind] for kind in (True, False))
        yield from ((r, w, 1 / (len(right) * len(wrong) * len(examples))) for r in right for w in wrong)
        start += len(example["is_right"])


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
    trainer = _trainer(model, examples, settings, out)
    trainer.train()
    return [entry for entry in trainer.state.log_history if "loss" in entry]


def _trainer(model: Any, examples: Sequence[Example], settings: Settings, out: Path) -> Trainer:
    pad_id = model.config.pad_token_id or 0
    options = {
        "model": model,
        "args": _arguments(settings, len(examples), out),
        "train_dataset": Dataset.from_list([_row(e) for e in examples]),
    }
    if isinstance(examples[0], StepExample):
        return StepTrainer(data_collator=lambda batch: collate_steps(batch, pad_id), **options)
    if settings.lm_weight and not model.config.tie_word_embeddings:
        raise ModelError(
            "the language-model loss needs a backbone whose output embeddings are its input embeddings",
            "leave --lm-weight out",
        )
    return GroupTrainer(
        data_collator=lambda batch: collate_groups(batch, pad_id),
        outcome_weight=settings.outcome_weight,
        lm_weight=settings.lm_weight,
        **options,
    )


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
        train_sampling_strategy="random" if settings.batch_size == 1 else "group_by_length",
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
    rows = [example.ids] if isinstance(example, StepExample) else example.ids
    return {**asdict(example), "length": max(map(len, rows))}


def evaluate(model: Any, examples: Sequence[Example]) -> dict[str, float | None]:
    """Metrics on examples that were not trained on.

    Returns:
        For steps: `step_auroc` over all steps and `step_auroc_within_position`, which compares only steps that are
        equally far into their chains (soft labels count as positive from 0.5). For groups: `pair_accuracy`, over all
        pairs of a right and a wrong chain of one problem, ties counted half. None where there is nothing to compare.
    """
    model.eval()
    steps = [e for e in examples if isinstance(e, StepExample)]
    if steps:
        return _evaluate_steps(model, steps)
    chains = [
        (e.problem_id, ids, r)
        for e in examples
        if isinstance(e, GroupExample)
        for ids, r in zip(e.ids, e.is_right, strict=True)
    ]
    rewards = head_outputs(model, [ids for _, ids, _ in chains])
    return {"pair_accuracy": grouped_auroc((p, float(v[0]), r) for (p, _, r), v in zip(chains, rewards, strict=True))}


def _evaluate_steps(model: Any, examples: Sequence[StepExample]) -> dict[str, float | None]:
    rows: list[tuple[object, float, bool]] = []
    for example, logits in zip(examples, head_outputs(model, [e.ids for e in examples]), strict=True):
        margins = (logits[:, 1] - logits[:, 0])[list(example.positions)].tolist()
        rows += [(i, m, t >= 0.5) for i, (m, t) in enumerate(zip(margins, example.targets, strict=True))]
    return {
        "step_auroc": auroc([r[1] for r in rows], [r[2] for r in rows]),
        "step_auroc_within_position": grouped_auroc(rows),
    }
