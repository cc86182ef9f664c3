"""Train a PRM (step head), an ORM (outcome head) or both at once, with transformers' Trainer.

The Trainer and accelerate bring mixed precision, several devices, checkpoints and logs; what is ours is the batch and
the loss. An optimizer step takes a fixed number of examples. They are read in as many forward passes as a budget of
tokens asks for, each of chains of like lengths, and every loss is a mean over the whole step: so the budget decides
about memory and speed alone, and accumulation needs no setting of its own.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import FullyShardedDataParallelPlugin
from accelerate.state import PartialState
from accelerate.utils import DistributedType
from torch import Tensor
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

from prm import console
from prm.data.writing import write_json
from prm.errors import InputError, ModelError
from prm.models.heads import HEADS, Kind

from .collation import collate, idle, passes
from .examples import ChainExample, GroupExample, to_last_target
from .measuring import Metrics, measure
from .objectives import DEFAULT, TERMS, Read, check_terms, losses, total_weights

Precision = Literal["float32", "bfloat16", "float16"]
"""Of the computation; weights and optimizer stay in float32."""
LOG = "training_log.json"
CPU_TOKENS, GPU_TOKENS = 1024, 8192
"""Padded tokens in a forward pass. On a CPU more of them are slower, see `prm.benchmarks.perf.train_throughput`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train."""

    terms: Mapping[str, float] = field(default_factory=dict)
    """Weight of each loss, see `prm.training.objectives`; empty for the default of the kind."""
    epochs: float = 1.0
    learning_rate: float = 1e-5
    """Peak; warmed up over the first 5% of the steps, then a cosine to 0."""
    batch_size: int = 64
    """Groups (chains for a PRM, else problems) in an optimizer step on one device."""
    tokens_a_pass: int | None = None
    """Padded tokens in one forward pass; None for what suits the device. Makes no difference to the result."""
    margin_scale: float = 0.0
    """Multiplies how much better a chain is, for the margins of Bradley-Terry."""
    weight_decay: float = 0.0
    precision: Precision = "float32"
    gradient_checkpointing: bool = False
    """Whether to compute activations again in the backward pass, for memory."""
    lora_rank: int = 0
    """Rank of the adapters that are trained in place of the whole backbone, and merged into it at the end; 0 for none
    (LoRA, arXiv 2106.09685; on all linear layers, alpha twice the rank, as in QLoRA, arXiv 2305.14314)."""
    fsdp: bool = False
    """Whether the processes share weights and optimizer out among them (ZeRO, arXiv 1910.02054, stage 3)."""
    measure_every: int = 0
    """Optimizer steps between two measurements; 0 for one at the end."""
    save_every: int = 0
    """Optimizer steps between two checkpoints from which a killed training goes on; 0 for ten in all."""
    report_to: tuple[str, ...] = ()
    """Where logs go beside the log file: `tensorboard`, or what else the Trainer knows, such as `wandb`."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training."""

    config: Any
    """Configuration of the model."""
    weights: Mapping[str, Tensor]
    """State of the model; whole in the main process."""
    log: list[dict[str, float]]
    """The Trainer's log: one dict for every few steps, with loss, learning rate and epoch, and one for each
    measurement, whose names begin with `eval_`."""
    metrics: Metrics
    """See `prm.training.measuring.measure`."""


def train(
    model: Any,
    kind: Kind,
    groups: Sequence[GroupExample],
    held_out: Sequence[GroupExample],
    settings: Settings,
    work: Path,
) -> Trained:
    """Fit `model` in place.

    Args:
        model: from `prm.models.checkpoint.load_model`, of that kind.
        kind: see `prm.training.objectives`.
        groups: what to learn from, at least one.
        held_out: what to measure on.
        settings: see `Settings`.
        work: directory for checkpoints and logs. A training that was killed goes on from the last checkpoint there, to
            the same result.

    Raises:
        InputError: there is no example, one has nothing to learn from, or the losses do not fit.
        ModelError: a setting does not fit the model.
    """
    terms = dict(settings.terms or DEFAULT[kind])
    check_terms(kind, terms)
    _require_scored(groups, kind, terms)
    _require_possible(model, terms, settings)
    set_seed(settings.seed)
    _keep_head_exact(model)
    if settings.lora_rank:
        model = _with_adapters(model, settings.lora_rank)
    if HEADS[kind] == ("step",) and "language-model" not in terms:
        groups = [to_last_target(group) for group in groups]
    try:
        trainer = RewardTrainer(model, kind, terms, groups, held_out, settings, work)
    except ValueError as error:  # so the Trainer says that a setting is not for this machine
        raise ModelError(f"cannot be trained here: {error}", "change that setting") from error
    trainer.train(resume_from_checkpoint=_last_whole_checkpoint(work))
    trained = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)  # it is scored without autocast
    if settings.lora_rank:
        trained = trained.merge_and_unload()
    metrics = trainer.measured(trained)
    weights = trainer.accelerator.get_state_dict(trained) if settings.fsdp else trained.state_dict()
    if not all(torch.isfinite(weight).all() for weight in weights.values()):
        raise ModelError(*_DIVERGED)
    return Trained(trained.config, weights, trainer.state.log_history, metrics)


_DIVERGED = "the training has diverged: loss or weights are no numbers any more", "lower --lr"


def _require_scored(groups: Sequence[GroupExample], kind: Kind, terms: Collection[str]) -> None:
    if not groups:
        raise InputError("there is nothing to train on", "see what was dropped, and why")
    needs_shares = [name for name in ("pointwise", "every-step") if name in terms]
    for chain in (chain for group in groups for chain in group.chains):
        if (chain.value is None or HEADS[kind] == ("step",)) and not _has_target(chain):
            raise InputError(
                f"chain {chain.chain_id!r} has no scored position: nothing would be learned from it", "leave it out"
            )
        if needs_shares and not 0 <= (chain.value or 0.0) <= 1:
            raise InputError(
                f"chain {chain.chain_id!r} is worth {chain.value}, and {needs_shares[0]} takes values from 0 to 1",
                "--loss regression=1",
            )
    for name in terms:
        if not any(_has_item(TERMS[name].weights, group) for group in groups):
            raise InputError(f"the loss {name!r} has nothing to learn from", "leave it out, or give what it needs")


def _has_target(chain: ChainExample) -> bool:
    return any(target is not None for target in chain.targets)


def _has_item(weights: str, group: GroupExample) -> bool:
    """Whether a group has an item of these weights of `prm.training.collation.collate`."""
    values = {chain.value for chain in group.chains} - {None}
    if weights == "step_weights":
        return any(_has_target(chain) for chain in group.chains)
    if weights in ("pair_weights", "list_weights"):
        return len(values) > 1
    return weights == "token_weights" or bool(values)


def _require_possible(model: Any, terms: Mapping[str, float], settings: Settings) -> None:
    if "language-model" in terms and not model.config.tie_word_embeddings:
        raise ModelError(
            "the language-model loss needs a backbone whose output embeddings are its input embeddings",
            "leave --loss language-model out",
        )
    if any(getattr(module, "is_causal", None) is False for module in model.modules()):
        raise ModelError("this backbone looks ahead: a step's score would depend on later steps", "choose a decoder")
    if settings.fsdp and (settings.lora_rank or "language-model" in terms):
        raise ModelError("--fsdp goes neither with --lora-rank nor with the language-model loss", "leave one out")


class _ExactLinear(torch.nn.Linear):
    """A head in float32 where all else is in half precision: rewards near 10 would come in steps of 0.06."""

    def forward(self, hidden: Tensor) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            return super().forward(hidden.float())


def _keep_head_exact(model: Any) -> None:
    if isinstance(model.score, torch.nn.Linear):
        model.score.__class__ = _ExactLinear


def _with_adapters(model: Any, rank: int) -> Any:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ModelError("LoRA needs peft, which is not installed", 'pip install "prm-toolkit[lora]"') from error
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", exclude_modules=["score"], modules_to_save=["score"]
    )
    return get_peft_model(model, config)


def _last_whole_checkpoint(work: Path) -> str | None:
    """The Trainer writes its state last, so a checkpoint without one was cut short; it will be written again."""
    whole = [path for path in work.glob("checkpoint-*") if _is_json(path / "trainer_state.json")]
    return str(max(whole, key=lambda path: int(path.name.rpartition("-")[2]))) if whole else None


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


class RewardTrainer(Trainer):
    """Trains a model of some kind on groups of chains; see `train`."""

    def __init__(
        self,
        model: Any,
        kind: Kind,
        terms: Mapping[str, float],
        groups: Sequence[GroupExample],
        held_out: Sequence[GroupExample],
        settings: Settings,
        work: Path,
    ) -> None:
        self.heads = HEADS[kind]
        self.terms = terms
        self.settings = settings
        self.term_sums: dict[str, Any] = dict.fromkeys(terms, 0.0)
        self.term_steps = 0
        super().__init__(
            model=model,
            args=_arguments(settings, len(groups), len(held_out), work),
            train_dataset=groups,
            eval_dataset=held_out,
            data_collator=_collator(settings, model.config.pad_token_id or 0),
        )
        self.remove_callback(PrinterCallback)
        if self.is_world_process_zero():
            for callback in (ProgressBar(), LogFile(work / LOG), *_tensorboard(settings, work)):
                self.add_callback(callback)

    def create_accelerator_and_postprocess(self) -> None:
        """As the Trainer does; and shard on CPUs too, which accelerate can do but does not offer."""
        super().create_accelerator_and_postprocess()
        state = self.accelerator.state
        if self.settings.fsdp and state.distributed_type is DistributedType.MULTI_CPU:
            state.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
            state.fsdp_plugin = FullyShardedDataParallelPlugin(**self.args.fsdp_plugin_args)
            self.is_fsdp_enabled = True

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Forward and backward over all passes of an optimizer step.

        Every process makes as many passes as the one that has most, for sharded weights are gathered by all at once.
        """
        model.train()
        parts = self._prepare_inputs(inputs)["passes"]
        totals = self._totals(parts)
        if self.args.world_size > 1:
            most = int(self.accelerator.gather(torch.tensor([len(parts)], device=self.args.device)).max())
            parts += [idle(parts[-1])] * (most - len(parts))
        whole = torch.zeros((), device=self.args.device)
        for number, part in enumerate(parts, start=1):
            with self._passing(model, is_last=number == len(parts)):
                with self.compute_loss_context_manager():
                    found = losses(self.terms, self._read(model, part), part, totals)
                loss = torch.stack(list(found.values())).sum()
                self.accelerator.backward(loss)
            whole += loss.detach()
            for name, value in found.items():
                self.term_sums[name] = self.term_sums[name] + value.detach()  # not read yet: that would wait for it
        self.term_steps += 1
        return whole

    def _totals(self, parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Weights of each term over all passes, as a mean over the processes, whose gradients are averaged too."""
        own = [total_weights(self.terms, part) for part in parts]
        sums = torch.stack([torch.stack([one[name] for one in own]).sum() for name in self.terms])
        means = self.accelerator.reduce(sums, "mean")
        return dict(zip(self.terms, means, strict=True))

    def _passing(self, model: Any, *, is_last: bool) -> AbstractContextManager[Any]:
        """Gradients are exchanged after the last pass alone, but where each process can only hold its share of them."""
        return nullcontext() if is_last or self.settings.fsdp else self.accelerator.no_sync(model)

    def _read(self, model: Any, part: Mapping[str, Tensor]) -> Read:
        with_hidden = "language-model" in self.terms
        output = model(
            input_ids=part["input_ids"],
            attention_mask=part["attention_mask"],
            use_cache=False,
            output_hidden_states=with_hidden,
        )
        logits, none = output.logits, output.logits.new_zeros(0)
        steps = logits[part["step_rows"], part["step_places"]]
        rows = torch.arange(len(logits), device=logits.device)
        has_steps, has_outcome = "step" in self.heads, "outcome" in self.heads
        return Read(
            margins=steps[:, 1] - steps[:, 0] if has_steps else none,
            rewards=logits[rows, part["last"], -1] if has_outcome else none,
            end_rewards=logits[part["end_rows"], part["end_places"], -1] if has_outcome else none,
            token_logits=self._token_logits(output.hidden_states[-1], part) if with_hidden else none,
        )

    def _token_logits(self, hidden: Tensor, part: Mapping[str, Tensor]) -> Tensor:
        """Of the tokens that count alone: a large vocabulary times all tokens is much memory."""
        embeddings: Tensor = self.accelerator.unwrap_model(self.model).get_input_embeddings().weight
        return hidden[part["token_rows"], part["token_places"]] @ embeddings.T

    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        """Measure on what is held out, and log it."""
        found = {f"{metric_key_prefix}_{k}": v for k, v in self.measured(self.model).items() if v is not None}
        self.log(found)
        self.callback_handler.on_evaluate(self.args, self.state, self.control, found)
        return found

    def measured(self, model: Any) -> Metrics:
        """Metrics of a model on what is held out; none where nothing is."""
        groups = self.eval_dataset
        return measure(model, self.heads, groups, _tokens_a_pass(self.settings)) if groups else {}

    def log(self, logs: dict[str, float], *args: Any, **options: Any) -> None:
        """As the Trainer does, with the mean of each term since the last time where there are several.

        Raises:
            ModelError: the loss is not finite.
        """
        if "loss" in logs and self.term_steps:
            if not math.isfinite(logs["loss"]):
                raise ModelError(*_DIVERGED)
            if len(self.terms) > 1:
                sums = torch.stack([self.term_sums[name] for name in self.terms])
                means = self.accelerator.reduce(sums, "mean") / self.term_steps
                logs |= {f"loss_{name}": float(mean) for name, mean in zip(self.terms, means, strict=True)}
            self.term_sums, self.term_steps = dict.fromkeys(self.terms, 0.0), 0
        super().log(logs, *args, **options)

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted."""
        return 0


def _tokens_a_pass(settings: Settings) -> int:
    return settings.tokens_a_pass or (GPU_TOKENS if torch.accelerator.is_available() else CPU_TOKENS)


def _collator(settings: Settings, pad_id: int) -> Callable[[Sequence[GroupExample]], dict[str, Any]]:
    budget = _tokens_a_pass(settings)

    def collate_batch(groups: Sequence[GroupExample]) -> dict[str, Any]:
        return {"passes": [collate(part, pad_id, settings.margin_scale) for part in passes(groups, budget)]}

    return collate_batch


def _arguments(settings: Settings, groups: int, held_out: int, work: Path) -> TrainingArguments:
    batches = math.ceil(groups / (settings.batch_size * int(os.environ.get("WORLD_SIZE", "1"))))
    return TrainingArguments(
        output_dir=str(work),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="cosine",
        # none in a short training, whose first step would have no rate
        warmup_steps=int(batches * settings.epochs * 0.05),
        per_device_train_batch_size=settings.batch_size,
        remove_unused_columns=False,
        bf16=settings.precision == "bfloat16",
        fp16=settings.precision == "float16",
        gradient_checkpointing=settings.gradient_checkpointing,
        use_cpu=not torch.accelerator.is_available(),
        fsdp=settings.fsdp or None,
        ddp_find_unused_parameters=False,
        logging_steps=0.05,  # numbers below 1 are shares of all steps
        logging_nan_inf_filter=False,
        eval_strategy="steps" if settings.measure_every and held_out else "no",
        eval_steps=settings.measure_every or None,
        save_strategy="steps",
        save_steps=settings.save_every or 0.1,
        save_total_limit=1,
        report_to=[name for name in settings.report_to if name != "tensorboard"] or "none",
        seed=settings.seed,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
    )


def _tensorboard(settings: Settings, work: Path) -> list[TrainerCallback]:
    if "tensorboard" not in settings.report_to:
        return []
    try:
        from torch.utils.tensorboard import SummaryWriter
        from transformers.integrations import TensorBoardCallback
    except ImportError as error:
        raise ModelError("TensorBoard is not installed", 'pip install "prm-toolkit[tensorboard]"') from error
    return [TensorBoardCallback(SummaryWriter(str(work / "tensorboard")))]


class LogFile(TrainerCallback):
    """Keeps the whole log in a file while training."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write it anew."""
        write_json(self.path, {"log": state.log_history})


class ProgressBar(TrainerCallback):
    """A bar on stderr with the time left and the last loss."""

    def __init__(self) -> None:
        self.open = ExitStack()
        self.advance: console.Meter | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Show the bar, from where a killed training goes on."""
        self.advance = self.open.enter_context(console.progress("training", state.max_steps))
        self.advance(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Move it."""
        if self.advance:
            self.advance()

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float], **_: Any) -> None:
        """Show the last numbers behind it."""
        shown = ("loss", "eval_step_auroc", "eval_pair_accuracy")
        if self.advance:
            self.advance(
                0, "  ".join(f"{name.removeprefix('eval_')} {logs[name]:.3f}" for name in shown if name in logs)
            )

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Leave it."""
        self.open.close()
