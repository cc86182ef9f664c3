"""Train a PRM (step head), an ORM (outcome head), both at once or an implicit PRM, with transformers' Trainer.

The Trainer and accelerate bring mixed precision, several devices, checkpoints and logs; batch and loss are ours.
An optimizer step takes a fixed number of examples. A budget of tokens cuts them into forward passes over chains of
similar length, and every loss is a mean over the whole step. So the budget affects memory and speed only, and gradient
accumulation needs no setting of its own.
"""

from __future__ import annotations

import atexit
import json
import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import FullyShardedDataParallelPlugin
from accelerate.state import PartialState
from accelerate.utils import DistributedType
from torch import Tensor
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy
from torch.distributed.tensor import DTensor
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

from prm import console
from prm.data.jobs import is_main_process
from prm.data.writing import write_bytes, write_json
from prm.errors import InputError, ModelError
from prm.models.adapters import LoraForm, give_adapters, with_adapters
from prm.models.architectures import require_complete
from prm.models.decoders import ExactLinear, reads_ahead
from prm.models.heads import Kind, changes_logits, log_probabilities, logits_at
from prm.models.rounding import StochasticAdamW

from .caching import Forward, cached, drawing_as, idle
from .collation import collate, forwards, has_items, passes
from .data.storage import Changed, Referenced
from .examples import ChainExample, GroupExample, blank, to_last_target
from .lengths import length_coefficient
from .measuring import Metrics, log_likelihoods, measure
from .objectives import (
    DEFAULT,
    TERMS,
    LossOptions,
    Objective,
    Read,
    check_terms,
    heads_of,
    heeded,
    losses,
    total_weights,
)
from .packing import INPUTS, can_pack, unpadded
from .settings import DEFAULT_BETA, Optimizer, Precision, Scheduler, Weights

LOG = "training_log.json"
ADAPTER = "adapter"
REFERENCES = "references.f64"
"""In the working directory: log-probability of each chain by the reference of an implicit reward."""
CPU_TOKENS, GPU_TOKENS = 1024, 8192
"""Tokens per forward pass. More are slower on a CPU, see `prm.benchmarks.perf.train_throughput`."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How to fit a model."""

    terms: Mapping[str, float] = field(default_factory=dict)
    """Weight of each loss, see `prm.training.objectives`; empty for the default of the kind."""
    epochs: float = 1.0
    """Passes over the groups."""
    max_steps: int = 0
    """Optimizer steps, in place of `epochs`; 0 to go by those."""
    learning_rate: float = 1e-5
    """Peak."""
    warmup: float = 0.05
    """Share of the steps over which the learning rate rises to its peak."""
    scheduler: Scheduler = "cosine"
    """How it goes on."""
    batch_size: int = 64
    """Groups (chains for a PRM, else problems) per optimizer step on one device."""
    tokens_per_pass: int | None = None
    """Tokens per forward pass, with any padding; None for `GPU_TOKENS` or `CPU_TOKENS`. Does not change the result."""
    options: LossOptions = field(default_factory=LossOptions)
    """Of the losses; a loss that heeds `length_coefficient` has it fitted to the groups."""
    beta: float = DEFAULT_BETA
    """Scale of an implicit reward."""
    weight_decay: float = 0.0
    """Of AdamW."""
    precision: Precision = "float32"
    """Of the computation."""
    weights: Weights = "float32"
    """In which the model is held, and the result is given; the head is in float32 in any case."""
    optimizer: Optimizer = "adamw"
    """See `prm.training.settings.TrainSettings.optimizer`."""
    gradient_checkpointing: bool = False
    """Whether to recompute activations in the backward pass, to save memory."""
    lora_rank: int = 0
    """Rank of the adapters that are trained instead of the whole backbone, and merged into it at the end; 0 for none
    (LoRA, arXiv 2106.09685)."""
    lora_alpha: float | None = None
    """Scale of the adapters times their rank; None for twice the rank."""
    lora_dropout: float = 0.0
    """Share of an adapter's inputs that is dropped in training."""
    lora_targets: tuple[str, ...] = ()
    """Names of the layers that get adapters; empty for all linear layers (QLoRA, arXiv 2305.14314)."""
    keep_adapter: bool = False
    """Whether to write the adapters, before they are merged, into `ADAPTER` of the working directory."""
    fsdp: bool = False
    """Whether to shard weights and optimizer over the processes (ZeRO, arXiv 1910.02054, stage 3)."""
    offload: bool = False
    """Whether to keep the shards in main memory, and update them there (ZeRO-Offload, arXiv 2101.06840)."""
    measure_every: int = 0
    """Optimizer steps between two measurements; 0 for one at the end."""
    save_every: int = 0
    """Optimizer steps between two checkpoints that a killed training resumes from; 0 for ten in all."""
    best: str | None = None
    """Metric by which the best of the measured states is kept; None for the last one."""
    patience: int = 0
    """Measurements without a better one that end the training; 0 to go on."""
    report_to: tuple[str, ...] = ()
    """Where to log besides the log file: `tensorboard`, or another integration of the Trainer, such as `wandb`."""
    seed: int = 0
    """Draws the order of the groups."""
    members: int = 1
    """Step heads of the model, see `prm.training.collation.collate`."""
    outputs: tuple[str, ...] = ()
    """Names of the outcome head's outputs, if they have any."""

    @property
    def rewards(self) -> int:
        """Number of the outcome head's outputs."""
        return len(self.outputs) or 1

    @property
    def lora(self) -> LoraForm:
        """The adapters, if there are any."""
        return LoraForm(self.lora_rank, self.lora_alpha, self.lora_dropout, self.lora_targets)


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted model."""

    config: Any
    """Configuration of the model."""
    weights: Mapping[str, Tensor]
    """State dict of the model; complete in the main process."""
    log: list[dict[str, float]]
    """The Trainer's log: a dict every few steps with loss, learning rate and epoch, and a dict per measurement with
    names that begin with `eval_`. At its end, the `length_coefficient`, if a loss heeds it."""
    metrics: Metrics
    """See `prm.training.measuring.measure`."""


def fit(
    model: Any,
    kind: Objective,
    groups: Sequence[GroupExample],
    held_out: Sequence[GroupExample],
    settings: FitSettings,
    work: Path,
    reload: Callable[[], Any] | None = None,
) -> Trained:
    """Fit `model` in place.

    Args:
        model: from `prm.models.checkpoint.load_model`, of that kind, or `load_policy`; see `load_for`.
        kind: see `prm.training.objectives`.
        groups: to learn from, at least one.
        held_out: to measure on.
        settings: how to fit.
        work: directory for checkpoints and logs. A killed training resumes from the last checkpoint there, to the same
            result.
        reload: loads the same model again, in float32 and without quantization, for the adapters to be merged into.
            None to merge them into `model`, if that is neither sharded nor quantized.

    Raises:
        InputError: there are no examples, one of them teaches nothing, or the losses do not fit.
        ModelError: a setting does not fit the model or the machine, or the training diverged.
    """
    terms = dict(settings.terms or DEFAULT[kind])
    check_terms(kind, terms, settings.rewards)
    _require_scored(groups, kind, terms)
    if "length_coefficient" in heeded(terms):
        settings = replace(settings, options=replace(settings.options, length_coefficient=length_coefficient(groups)))
    _require_possible(model, kind, terms, settings)
    set_seed(settings.seed)
    if settings.lora_rank:
        model = with_adapters(model, _head_kind(kind), settings.lora)
    if heads_of(kind) == {"step"} and not _reads_tokens(terms):
        groups = Changed(groups, to_last_target)
    with _environment_kept():
        try:
            trainer = RewardTrainer(model, kind, terms, groups, held_out, settings, work)
        except (ValueError, ImportError) as error:  # the Trainer's way to refuse a setting on this machine
            raise ModelError(f"cannot train on this machine: {error}", "change that setting") from error
        if kind == "implicit":
            trainer.refer(work / REFERENCES)
        trainer.train(resume_from_checkpoint=_last_whole_checkpoint(work))
        metrics = trainer.measured(trainer.model, _DRAWS)
    config, weights = _result(trainer, kind, settings, work, reload)
    if not all(torch.isfinite(weight).all() for weight in weights.values()):
        raise ModelError(*_DIVERGED)
    fitted = {"length_coefficient": settings.options.length_coefficient}
    log = trainer.state.log_history + [fitted] * ("length_coefficient" in heeded(terms))
    return Trained(config, weights, log, metrics)


def _result(
    trainer: RewardTrainer, kind: Objective, settings: FitSettings, work: Path, reload: Callable[[], Any] | None
) -> tuple[Any, Mapping[str, Tensor]]:
    """Configuration and weights of the trained model; in other processes than the main one, the weights of none."""
    trained = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    if not settings.lora_rank:
        weights = trainer.accelerator.get_state_dict(trained) if settings.fsdp else trained.state_dict()
        return trained.config, weights
    if reload is not None:
        adapters = {name: _whole(p.detach()) for name, p in trained.named_parameters() if p.requires_grad}
        if not trainer.is_world_process_zero():
            return trained.config, {}
        trained = with_adapters(reload(), _head_kind(kind), settings.lora)
        give_adapters(trained, adapters)
    if settings.keep_adapter and trainer.is_world_process_zero():
        trained.save_pretrained(work / ADAPTER)
    merged = trained.merge_and_unload()
    head = () if kind == "implicit" else (f"{merged.head_name}.",)
    dtype = getattr(torch, settings.weights)
    weights = {name: w if name.startswith(head) else w.to(dtype) for name, w in merged.state_dict().items()}
    return merged.config, weights


def _head_kind(objective: Objective) -> Kind | None:
    """The kind of the model's own heads; None for a language model."""
    return None if objective == "implicit" else objective


def _whole(parameter: Tensor) -> Tensor:
    """A parameter on the CPU, gathered from all processes if it is sharded."""
    return (parameter.full_tensor() if isinstance(parameter, DTensor) else parameter).cpu()


def load_for(settings: FitSettings, load: Callable[[], Any]) -> Any:
    """Call `load`; where the model will be sharded, only the main process really reads the weights."""
    if not settings.fsdp:
        return load()
    with _environment_kept():
        os.environ |= dict.fromkeys(("ACCELERATE_USE_FSDP", "FSDP_CPU_RAM_EFFICIENT_LOADING"), "true")
        os.environ["FSDP_OFFLOAD_PARAMS"] = str(settings.offload).lower()
        PartialState(cpu=not torch.accelerator.is_available())
        model = load()
    return model if _is_sent(model) else load()


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Restore the variables by which transformers knows that it need not read weights: later models are not sharded."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith(("ACCELERATE_", "FSDP_"))]:
            del os.environ[name]
        os.environ |= before


def _is_sent(model: Any) -> bool:
    """Whether the main process can send all weights to the others: accelerate sends parameters, and no buffers."""
    return set(model.state_dict()) <= {name for name, _ in model.named_parameters(remove_duplicate=False)}


_DRAWS = 1000
"""Draws of the held-out problems for the intervals of the last metrics."""
_DIVERGED = "the training diverged: the loss or the weights became NaN or infinite", "lower the learning rate"


def _reads_tokens(terms: Iterable[str]) -> bool:
    return any(TERMS[name].reads_tokens for name in terms)


def _require_scored(groups: Sequence[GroupExample], kind: Objective, terms: Collection[str]) -> None:
    if not groups:
        raise InputError("there is nothing to train on", "see which rows were dropped, and why")
    of_shares = next((name for name in terms if TERMS[name].needs_shares), None)
    of_hard = next((name for name in terms if TERMS[name].needs_hard), None)
    for chain in (chain for group in groups for chain in group.chains):
        if not (chain.has_value and "outcome" in heads_of(kind)) and not chain.has_target:
            raise InputError(f"chain {chain.chain_id!r} has no scored position: it would teach nothing", "omit it")
        if of_shares:
            _require_share(chain, of_shares)
        if of_hard:
            _require_hard(chain, of_hard)
    for name in terms:
        if not any(has_items(TERMS[name].weights, group) for group in groups):
            raise InputError(f"the loss {name!r} has nothing to learn from", "omit it, or give the data it needs")


def _require_share(chain: ChainExample, term: str) -> None:
    """Refuse a value outside [0, 1] for a term that needs it inside."""
    outside = next((value for value in chain.values if value is not None and not 0 <= value <= 1), None)
    if outside is not None:
        raise InputError(
            f"chain {chain.chain_id!r} has the value {outside}, but the loss {term!r} takes values from 0 to 1",
            "rescale the values, or use a loss that takes any number",
        )


def _require_hard(chain: ChainExample, term: str) -> None:
    """Refuse step labels between 0 and 1 for a term that cannot use them."""
    if not set(chain.targets) <= {0.0, 1.0, None}:
        raise InputError(
            f"chain {chain.chain_id!r} has a step label between 0 and 1, but the loss {term!r} takes right and wrong",
            "give labels_as='hard' and labels without shares, or use another loss",
        )


def _require_possible(model: Any, kind: Objective, terms: Collection[str], settings: FitSettings) -> None:
    on_tokens = [name for name in terms if TERMS[name].reads_tokens]
    if on_tokens and kind != "implicit":
        _require_plain_logits(model.config, on_tokens[0])
    if is_main_process() and reads_ahead(model):  # others may not have the weights
        raise ModelError("this backbone looks ahead: a step's score would depend on later steps", "choose a decoder")
    if settings.fsdp and on_tokens:
        raise ModelError(f"fsdp does not work with the loss {on_tokens[0]!r}", "omit one of them")


def _require_plain_logits(config: Any, term: str) -> None:
    """Refuse a backbone without its language model's head, if that is not known by the backbone alone."""
    if not config.tie_word_embeddings:
        raise ModelError(
            f"the loss {term!r} needs a backbone whose output embeddings are its input embeddings", "omit that loss"
        )
    if changes_logits(config):
        raise ModelError(f"the loss {term!r} needs a backbone that neither scales nor caps logits", "omit that loss")


def _last_whole_checkpoint(work: Path) -> str | None:
    """The Trainer writes its state last: a checkpoint without one was cut short and will be rewritten."""
    whole = [path for path in work.glob("checkpoint-*") if _is_json(path / "trainer_state.json")]
    return str(max(whole, key=lambda path: int(path.name.rpartition("-")[2]))) if whole else None


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


class Order(torch.utils.data.Sampler[int]):
    """Another order of the groups in every epoch, the same in all processes.

    Processes take batches in turn. So that all have as many, which accelerate would reach by repeating groups, the last
    batches are filled up with the place after the last group: that of a blank one.
    """

    def __init__(self, groups: int, batch: int, processes: int, seed: int) -> None:
        self.groups = groups
        self.blanks = -groups % (batch * processes) if processes > 1 else 0
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is given next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.groups + self.blanks

    def __iter__(self) -> Iterator[int]:
        drawn = torch.Generator().manual_seed(self.seed + (self.epoch << 32))
        yield from torch.randperm(self.groups, generator=drawn).tolist()
        yield from [self.groups] * self.blanks


class _WithBlank(torch.utils.data.Dataset[GroupExample]):
    """Groups, and after them one that teaches nothing."""

    def __init__(self, groups: Sequence[GroupExample], outputs: int) -> None:
        self.groups = groups
        self.blank = blank(outputs)

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, place: int) -> GroupExample:
        return self.groups[place] if place < len(self.groups) else self.blank


class RewardTrainer(Trainer):
    """Trains a model on groups of chains; see `fit`."""

    def __init__(
        self,
        model: Any,
        kind: Objective,
        terms: Mapping[str, float],
        groups: Sequence[GroupExample],
        held_out: Sequence[GroupExample],
        settings: FitSettings,
        work: Path,
    ) -> None:
        self.heads = heads_of(kind)
        self.groups, self.held_out = groups, held_out
        self.beta = settings.beta if kind == "implicit" else None
        self.terms = terms
        self.settings = settings
        self.term_sums: dict[str, Any] = dict.fromkeys(terms, 0.0)
        self.term_steps = 0
        super().__init__(
            model=model,
            args=_arguments(settings, model, len(groups), len(held_out), work),
            train_dataset=_WithBlank(groups, settings.rewards),
            eval_dataset=held_out,
            optimizer_cls_and_kwargs=_rounding(settings),
        )
        self.is_packed = self._can_pack(model)
        self.data_collator = _collator(settings, model.config.pad_token_id or 0, is_packed=self.is_packed)
        self.remove_callback(PrinterCallback)
        if settings.patience:
            self.add_callback(EarlyStoppingCallback(settings.patience))
        if self.is_world_process_zero():
            for callback in (ProgressBar(), LogFile(work / LOG), *_tensorboard(settings, work)):
                self.add_callback(callback)

    def refer(self, place: Path) -> None:
        """Note how likely each chain is to the model, which is yet untrained: the reference of an implicit reward.

        Args:
            place: file that keeps it for a training that is resumed.
        """
        sides, tokens = (self.groups, self.held_out), _tokens_per_pass(self.settings)
        if self._most(int(not place.is_file())):
            with self._computing():
                found = np.array([one for side in sides for one in log_likelihoods(self.model, side, tokens)])
            if self.is_world_process_zero():
                write_bytes(place, found.tobytes())
        else:
            found = np.frombuffer(place.read_bytes())
        train, held_out = np.split(found, [sum(len(group.chains) for group in self.groups)])
        self.train_dataset = _WithBlank(Referenced(self.groups, train), self.settings.rewards)
        self.eval_dataset = Referenced(self.held_out, held_out)

    def _can_pack(self, model: Any) -> bool:
        """See `can_pack`; the main process says, for others may not have the weights."""
        with self._computing():
            return bool(self._most(int(is_main_process() and can_pack(model))))

    def create_accelerator_and_postprocess(self) -> None:
        """Shard on CPUs too, which accelerate can do but does not offer."""
        super().create_accelerator_and_postprocess()
        if torch.distributed.is_initialized():
            atexit.register(_leave_group)
        state = self.accelerator.state
        if self.settings.fsdp and state.distributed_type is DistributedType.MULTI_CPU:
            state.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
            state.fsdp_plugin = FullyShardedDataParallelPlugin(**self.args.fsdp_plugin_args)
            self.is_fsdp_enabled = True

    def _get_train_sampler(self, train_dataset: Any = None) -> Order:
        batch, processes = self.args.per_device_train_batch_size, self.args.world_size
        return Order(len(self.train_dataset), batch, processes, self.args.seed)

    def _load_best_model(self) -> None:
        """Load the weights of the best state as those of any other."""
        if self.is_fsdp_enabled or self.settings.lora_rank:
            super()._load_best_model()
        else:
            self._load_from_checkpoint(str(self.state.best_model_checkpoint))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load the weights of a state as `from_pretrained` does.

        The Trainer's own way would leave out those that are stored in another form than they have in memory, such as
        the experts of Mixtral, and only log it.
        """
        if self.is_fsdp_enabled or self.settings.lora_rank:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        own = self.model
        stored, found = type(own).from_pretrained(
            resume_from_checkpoint, config=own.config, dtype=own.dtype, output_loading_info=True
        )
        require_complete(resume_from_checkpoint, found["missing_keys"])
        own.load_state_dict(stored.state_dict())

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Forward and backward over all passes of an optimizer step."""
        model.train()
        parts = self._prepare_inputs(inputs)["passes"]
        totals = self._totals(parts)
        self.step_loss = torch.zeros((), device=self.args.device)
        with unpadded(self.model) if self.is_packed else nullcontext():
            self._keep_step(model, parts)
            work = [one for part in parts for one in self._work(model, part, totals)]
            lacking = self._most(len(work)) - len(work)
            work += [replace(work[-1], loss=idle)] * lacking
            for number, one in enumerate(work, start=1):
                with self._passing(model, is_last=number == len(work)), drawing_as(one.random):
                    self.accelerator.backward(one.loss(self._read(model, one.inputs)))
        self.term_steps += 1
        return self.step_loss

    def _work(self, model: Any, part: Mapping[str, Any], totals: Mapping[str, Tensor]) -> Iterator[Forward]:
        """The forward passes with gradients that a part of the batch needs: one, if it is within the budget."""
        loss = partial(self._loss, part=part, totals=totals)
        if len(part["forwards"]) == 1:
            yield Forward(part["forwards"][0], loss)
        else:
            yield from cached(part["forwards"], partial(self._read, model), loss)

    def _loss(self, read: Read, part: Mapping[str, Any], totals: Mapping[str, Tensor]) -> Tensor:
        """The loss of a part of the batch, which is also added to the sums for the log."""
        if self.beta is not None:
            read = replace(read, rewards=read.rewards - self.beta * part["references"].unsqueeze(1))
        found = losses(self.terms, read, part, totals, self.settings.options)
        for name, value in found.items():
            self.term_sums[name] = self.term_sums[name] + value.detach()  # not read yet, which would wait for it
        loss = torch.stack(list(found.values())).sum()
        self.step_loss += loss.detach()
        return loss

    def _most(self, number: int) -> int:
        """The largest of the processes' numbers: each makes as many passes, as sharded weights are gathered by all."""
        if self.args.world_size == 1:
            return number
        return int(self.accelerator.gather(torch.tensor([number], device=self.args.device)).max())

    def _keep_step(self, model: Any, parts: Sequence[Mapping[str, Any]]) -> None:
        """Make the passes without gradients that other processes make more of, see `cached`."""
        own = sum(len(part["forwards"]) for part in parts if len(part["forwards"]) > 1)
        with torch.no_grad():
            for _ in range(self._most(own) - own):
                self._read(model, parts[-1]["forwards"][-1])

    def _computing(self) -> AbstractContextManager[Any]:
        """The precision of a forward pass, in training and in measuring; float16 comes with accelerate's scaling."""
        return torch.autocast(self.args.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16")

    def _totals(self, parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The total weight of each term over all passes, averaged over the processes, as their gradients are."""
        own = [total_weights(self.terms, part) for part in parts]
        sums = torch.stack([torch.stack([one[name] for one in own]).sum() for name in self.terms])
        means = self.accelerator.reduce(sums, "mean")
        return dict(zip(self.terms, means, strict=True))

    def _passing(self, model: Any, *, is_last: bool) -> AbstractContextManager[Any]:
        """Exchange gradients only after the last pass; sharded ones after each, since no process holds all of them."""
        return nullcontext() if is_last or self.settings.fsdp else self.accelerator.no_sync(model)

    def _read(self, model: Any, part: Mapping[str, Any]) -> Read:
        if self.beta is not None:
            return self._read_policy(model, part, self.beta)
        with_hidden = _reads_tokens(self.terms)
        inputs = {name: part[name] for name in INPUTS if name in part}
        with self._computing():
            output = model(**inputs, use_cache=False, output_hidden_states=with_hidden)
        logits, none = output.logits, output.logits.new_zeros(0)
        steps = logits[part["step_rows"], part["step_places"]]
        wrong = 2 * part["step_members"].unsqueeze(1)
        has_steps, has_outcome = "step" in self.heads, "outcome" in self.heads
        outcomes = slice(-self.settings.rewards, None)
        with_ends = has_outcome and any(TERMS[name].reads_ends for name in self.terms)
        return Read(
            step_logits=torch.cat([steps.gather(1, wrong), steps.gather(1, wrong + 1)], dim=1) if has_steps else none,
            rewards=logits[part["last_rows"], part["last_places"], outcomes] if has_outcome else none,
            end_rewards=logits[part["end_rows"], part["end_places"], outcomes] if with_ends else none,
            token_logits=self._token_logits(output.hidden_states[-1], part) if with_hidden else none,
        )

    def _read_policy(self, model: Any, part: Mapping[str, Any], beta: float) -> Read:
        """The same of a language model; its rewards yet lack the reference, see `_loss`."""
        rows, places = part["token_rows"], part["token_places"]
        inputs = {name: part[name] for name in INPUTS if name in part}
        embedding = self.accelerator.unwrap_model(model).get_output_embeddings()
        with self._computing():
            logits = logits_at(model, embedding, inputs, rows, places)
        likely = log_probabilities(logits, part["input_ids"][rows, places + 1])
        sums = likely.new_zeros(len(part["last_rows"])).index_add(0, part["token_chains"], likely)
        none = logits.new_zeros(0)
        return Read(none, (beta * sums).unsqueeze(1), none, logits if _reads_tokens(self.terms) else none)

    def _token_logits(self, hidden: Tensor, part: Mapping[str, Tensor]) -> Tensor:
        """Logits of the scored tokens only: those of all tokens take much memory with a large vocabulary."""
        embeddings: Tensor = self.accelerator.unwrap_model(self.model).get_input_embeddings().weight
        return (hidden[part["token_rows"], part["token_places"]].to(embeddings.dtype) @ embeddings.T).float()

    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        """Measure on the held-out groups, and log it."""
        measured = self.measured(self.model)
        found = {f"{metric_key_prefix}_{k}": one.value for k, one in measured.items() if one.value is not None}
        if self.settings.best and f"{metric_key_prefix}_{self.settings.best}" not in found:
            raise InputError(f"the held-out problems have no {self.settings.best}", "hold out more, or omit best")
        self.log(found)
        self.callback_handler.on_evaluate(self.args, self.state, self.control, found)
        return found

    def measured(self, model: Any, draws: int = 0) -> Metrics:
        """Metrics of a model on the held-out groups; empty where there are none."""
        groups = self.eval_dataset
        with self._computing():
            tokens = _tokens_per_pass(self.settings)
            outputs = self.settings.outputs
            return measure(model, self.heads, groups, tokens, draws, beta=self.beta, outputs=outputs) if groups else {}

    def log(self, logs: dict[str, float], *args: Any, **options: Any) -> None:
        """Log, with the mean of each term since the last log where there are several.

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


def _leave_group() -> None:
    """Let the processes part in order: a process group that is left to the interpreter's exit aborts it at times."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _tokens_per_pass(settings: FitSettings) -> int:
    return settings.tokens_per_pass or (GPU_TOKENS if torch.accelerator.is_available() else CPU_TOKENS)


def _collator(
    settings: FitSettings, pad_id: int, *, is_packed: bool
) -> Callable[[Sequence[GroupExample]], dict[str, Any]]:
    budget = _tokens_per_pass(settings)

    def collate_batch(groups: Sequence[GroupExample]) -> dict[str, Any]:
        parts = passes(groups, budget, is_packed=is_packed)
        batches = (collate(part, pad_id, members=settings.members, seed=settings.seed) for part in parts)
        return {"passes": [_divided(batch, budget, is_packed=is_packed) for batch in batches]}

    return collate_batch


def _divided(batch: Mapping[str, Tensor], budget: int, *, is_packed: bool) -> dict[str, Any]:
    """The columns of a batch that losses need, and its forward passes."""
    columns = {name: column for name, column in batch.items() if name not in INPUTS}
    return {**columns, "forwards": forwards(batch, budget, is_packed=is_packed)}


_OPTIMIZERS: dict[Optimizer, dict[str, str]] = {
    "adamw": {},
    "adamw-8bit": {"optim": "adamw_torch_8bit", "optim_args": "bf16_stochastic_round=True"},
    "adafactor": {"optim": "adafactor"},
}
"""Arguments of the Trainer for each; stochastic rounding is of weights in bfloat16 only."""


def _rounding(settings: FitSettings) -> tuple[type[torch.optim.Optimizer], dict[str, Any]] | None:
    """The optimizer in place of the Trainer's, if weights in bfloat16 are trained themselves."""
    if settings.optimizer != "adamw" or settings.weights == "float32" or settings.lora_rank:
        return None
    return StochasticAdamW, {"lr": settings.learning_rate, "seed": settings.seed}


def _sharding(model: Any, settings: FitSettings) -> dict[str, Any]:
    """How accelerate shards: layer by layer, and the head by itself, which is in float32."""
    names = {type(module).__name__ for module in model.modules()}
    return {
        "version": 2,
        "transformer_layer_cls_to_wrap": [*names.intersection(model._no_split_modules or ()), ExactLinear.__name__],
        "cpu_ram_efficient_loading": _is_sent(model),
    }


def _policies(settings: FitSettings) -> dict[str, Any]:
    """In which precision the shards are exchanged, and where they are kept."""
    found: dict[str, Any] = {}
    if settings.offload:
        found["cpu_offload"] = CPUOffloadPolicy(pin_memory=torch.accelerator.is_available())
    if settings.weights == "float32" and settings.precision == "bfloat16":
        found["mixed_precision_policy"] = MixedPrecisionPolicy(torch.bfloat16, reduce_dtype=torch.float32)
    return found


def _arguments(settings: FitSettings, model: Any, groups: int, held_out: int, work: Path) -> TrainingArguments:
    batches = math.ceil(groups / (settings.batch_size * int(os.environ.get("WORLD_SIZE", "1"))))
    steps = settings.max_steps or batches * settings.epochs
    measures = settings.measure_every and held_out
    arguments = TrainingArguments(
        output_dir=str(work),
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        lr_scheduler_type=_SCHEDULERS[settings.scheduler],
        # none in a short training, where it would make the first rate 0
        warmup_steps=int(steps * settings.warmup),
        per_device_train_batch_size=settings.batch_size,
        remove_unused_columns=False,
        fp16=settings.precision == "float16",
        gradient_checkpointing=settings.gradient_checkpointing,
        use_cpu=not torch.accelerator.is_available(),
        fsdp=settings.fsdp or None,
        fsdp_config=_sharding(model, settings) if settings.fsdp else None,
        **_OPTIMIZERS[settings.optimizer],
        ddp_find_unused_parameters=False,
        logging_steps=0.05,  # numbers below 1 are shares of all steps
        logging_nan_inf_filter=False,
        eval_strategy="steps" if measures else "no",
        eval_steps=settings.measure_every or None,
        save_strategy="steps",
        save_steps=settings.measure_every if settings.best else settings.save_every or 0.1,
        load_best_model_at_end=bool(settings.best),
        metric_for_best_model=settings.best,
        greater_is_better=settings.best != "ece",
        restore_callback_states_from_checkpoint=bool(settings.patience),
        save_total_limit=1,
        report_to=[name for name in settings.report_to if name != "tensorboard"] or "none",
        seed=settings.seed,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
    )
    if settings.fsdp:
        arguments.fsdp_plugin_args |= _policies(settings)
    return arguments


_SCHEDULERS: dict[Scheduler, str] = {
    "cosine": "cosine",
    "linear": "linear",
    "constant": "constant_with_warmup",
}
"""Their names in transformers."""


def _tensorboard(settings: FitSettings, work: Path) -> list[TrainerCallback]:
    if "tensorboard" not in settings.report_to:
        return []
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import TensorBoardCallback

    return [TensorBoardCallback(SummaryWriter(str(work / "tensorboard")))]


class LogFile(TrainerCallback):
    """Keeps the log in a file during training."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Rewrite the file."""
        write_json(self.path, {"log": state.log_history})


class ProgressBar(TrainerCallback):
    """A bar on stderr with the time left and the last loss."""

    def __init__(self) -> None:
        self.open = ExitStack()
        self.advance: console.Meter | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Show the bar, from the step that a killed training resumes at."""
        self.advance = self.open.enter_context(console.progress("training", state.max_steps))
        self.advance(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Advance the bar."""
        if self.advance:
            self.advance()

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float], **_: Any) -> None:
        """Show the latest numbers after the bar."""
        shown = ("loss", "eval_step_auroc", "eval_pair_accuracy")
        if self.advance:
            self.advance(
                0, "  ".join(f"{name.removeprefix('eval_')} {logs[name]:.3f}" for name in shown if name in logs)
            )

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Close the bar."""
        self.open.close()
