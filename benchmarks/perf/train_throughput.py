"""Our PRM training against TRL's trainer: real tokens per second, and whether the losses agree.

    pip install --no-deps trl==1.13.0
    PRM_SAMPLE_DATA=../shared/data python -m prm.benchmarks.perf.train_throughput --out runs/train_throughput.json

The chains are real and of uneven length: PRM800K (phase 1) and Math-Shepherd, sampled from those that fit the model's
context. Both trainers get the same token ids and labels, the same initial weights and settings, and, from the same
seed, the same order of chains, which is checked. TRL gets tokenized rows, since many chains have a step without a
label, which its text rows cannot express; for the other chains, the output counts how many TRL's own tokenization turns
into the same ids and labels. On a GPU: `--precision bfloat16 --steps 70`.

    throughput  tokens without padding, divided by the time from the end of the first optimizer step to the end of the
                last, so that loading, tokenization and the first step do not count. The sides take turns.
                Per CPU second: the same by the CPU time of the process, the fairer comparison on a busy machine.
    padding     share of padding among the tokens that went through the model
    parity      largest difference between the losses of the first optimizer steps, in float32

TRL runs unchanged (all chains of an optimizer step in one pass), in smaller passes, and in smaller passes of chains
that its sampler grouped by length, which changes the contents of a step. Gradient checkpointing, on by default in TRL,
is off on both sides.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from datasets import Dataset
from transformers import AutoModelForTokenClassification, PrinterCallback, TrainerCallback, set_seed
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from prm.data.drops import Drops
from prm.data.joining import LabeledChain
from prm.data.writing import write_json
from prm.errors import ModelError
from prm.models.checkpoint import context_length, load_model, load_tokenizer
from prm.models.rendering import Renderer
from prm.training import trainer as training
from prm.training.examples import ChainExample, GroupExample, Recipe, label_examples
from prm.training.trainer import FitSettings, RewardTrainer

from ..arithmetic import POLICY
from ..experiments.prm800k import public_rows
from .job import machine

SOURCES = {
    "prm800k_phase1/phase1_train_chains.jsonl.gz": "prm800k",
    "prm800k_phase1/phase1_test_chains.jsonl": "prm800k",
    "math_shepherd_slice/math_shepherd_100_rawstyle.jsonl": "math-shepherd",
}
"""File of the sample data to its format."""
PARITY_STEPS = 10
SHARED = (
    "output_dir", "num_train_epochs", "learning_rate", "weight_decay", "lr_scheduler_type", "warmup_steps", "optim",
    "max_grad_norm", "bf16", "fp16", "gradient_checkpointing", "use_cpu", "logging_steps", "report_to", "seed",
    "dataloader_pin_memory", "disable_tqdm",
)  # fmt: skip
"""Settings that the peer copies from our trainer."""


@dataclass(frozen=True, slots=True)
class Data:
    """The training data of both sides."""

    groups: list[GroupExample]
    tokenizer: Any
    agreeing: int
    """Chains that TRL tokenizes to the same ids and labels."""
    comparable: int
    """Chains in which every step has a label."""


@dataclass(slots=True)
class Run:
    """Observations of one training run."""

    losses: list[float] = field(default_factory=list)
    """Loss of each optimizer step."""
    batches: list[list[tuple[int, ...]]] = field(default_factory=list)
    """Token ids of each chain, as the collator received them."""
    real: list[int] = field(default_factory=list)
    """Tokens per batch without padding."""
    padded: list[int] = field(default_factory=list)
    """Tokens per batch with padding."""
    ends: list[float] = field(default_factory=list)
    """End time of each optimizer step, in seconds."""
    computed: list[float] = field(default_factory=list)
    """The same in CPU seconds of this process."""

    @property
    def rate(self) -> float:
        """Real tokens per second, without the first optimizer step."""
        return self._tokens / (self.ends[-1] - self.ends[0])

    @property
    def cpu_rate(self) -> float:
        """Real tokens per CPU second, without the first optimizer step."""
        return self._tokens / (self.computed[-1] - self.computed[0])

    @property
    def _tokens(self) -> int:
        return sum(self.real[len(self.real) // len(self.ends) :])

    @property
    def padding(self) -> float:
        """Share of padding."""
        return 1 - sum(self.real) / sum(self.padded)


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(POLICY), help="directory or Hub name (default: the demo's policy)")
    parser.add_argument("--steps", type=int, default=5, help="optimizer steps per timed run (default: 5)")
    parser.add_argument("--batch", type=int, default=32, help="chains per optimizer step (default: 32)")
    parser.add_argument("--small-pass", type=int, default=2, help="chains in TRL's smaller passes (default: 2)")
    parser.add_argument("--tokens-per-pass", type=int, default=FitSettings().tokens_per_pass, help="for our trainer")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON to write")
    arguments = parser.parse_args()
    peer = import_peer()
    set_verbosity_error()
    disable_progress_bar()
    data = read_data(peer, arguments)
    print(describe(data, arguments), end="\n\n")
    found = {
        "parity": measure_parity(peer, data, arguments),
        "throughput": measure_throughput(peer, data, arguments),
    }
    if arguments.out:
        settings = {name: value for name, value in vars(arguments).items() if name != "out"}
        write_json(arguments.out, {"machine": hardware(), "peer": peer_version(), "settings": settings, **found})


def import_peer() -> Any:
    """Import the module of TRL's PRM trainer."""
    os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}
    try:
        return importlib.import_module("trl.experimental.prm")
    except ImportError:
        raise SystemExit("TRL is not installed: pip install --no-deps trl==1.13.0") from None


def peer_version() -> str:
    """Name and version of the peer."""
    return f"trl {importlib.import_module('trl').__version__}"


def hardware() -> str:
    """Date and machine, with the GPU if there is one."""
    return f"{machine()}, {torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'no GPU'}"


def describe(data: Data, arguments: argparse.Namespace) -> str:
    """Describe the machine and the data in two lines."""
    lengths = sorted(len(group.chains[0].ids) for group in data.groups)
    quantiles = ", ".join(str(lengths[len(lengths) * i // 10]) for i in (0, 1, 5, 9)) + f", {lengths[-1]}"
    return (
        f"{hardware()}, {torch.get_num_threads()} threads, {peer_version()}, {arguments.precision}\n"
        f"{len(lengths):,} chains, {sum(lengths):,} tokens; lengths (least, 10%, half, 90%, most): {quantiles}; "
        f"TRL tokenizes {data.agreeing} of {data.comparable} chains to the same ids and labels"
    )


def read_data(peer: Any, arguments: argparse.Namespace) -> Data:
    """Sample the chains of a run, by the seed, from all that fit the model's context."""
    tokenizer = load_tokenizer(arguments.model)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    recipe = Recipe(heads=frozenset({"step"}), max_length=context_length(arguments.model))
    rows = [row for name, form in SOURCES.items() for row in public_rows(name, form)]
    groups = list(label_examples(rows, Renderer(tokenizer), recipe, Drops()))
    wanted = max(arguments.steps, PARITY_STEPS) * arguments.batch
    if len(groups) < wanted:
        raise SystemExit(f"only {len(groups)} chains fit, but {wanted} are needed: lower --steps or --batch")
    groups = random.Random(arguments.seed).sample(groups, wanted)
    return Data(groups, tokenizer, *agreement(peer, rows, groups, tokenizer))


def agreement(
    peer: Any, rows: Sequence[LabeledChain], groups: Sequence[GroupExample], tokenizer: Any
) -> tuple[int, int]:
    """Number of chains that TRL tokenizes to our ids and labels, and of chains that it can tokenize."""
    examples = {group.chains[0].chain_id: group.chains[0] for group in groups}
    labeled = [row for row in rows if row[1].id in examples and None not in row[2].hard]
    same = sum(tokenized_by_peer(peer, row, tokenizer) == peer_row(examples[row[1].id]) for row in labeled)
    return same, len(labeled)


def tokenized_by_peer(peer: Any, row: LabeledChain, tokenizer: Any) -> dict[str, list[int]]:
    """Tokenize a chain with TRL, from texts in its documented form."""
    problem, chain, labels = row
    features = {
        "prompt": problem.text.rstrip("\n") + "\n",
        "completions": [step.rstrip() for step in chain.steps],
        "labels": labels.hard,
    }
    found: dict[str, list[int]] = peer.PRMTrainer.tokenize_row(features, tokenizer, "\n", None, None, False, False)
    return found


def peer_row(example: ChainExample) -> dict[str, list[int]]:
    """Our example as a tokenized row of TRL."""
    labels = [-100] * len(example.ids)
    for end, target in zip(example.step_ends, example.targets, strict=True):
        if target is not None:
            labels[end] = int(target)
    return {"input_ids": list(example.ids), "labels": labels}


def make_ours(data: Data, arguments: argparse.Namespace, work: str, *, padded: bool = False) -> RewardTrainer:
    """Make our trainer, with a new model; `padded`: even if it can do without padding."""
    settings = FitSettings(
        learning_rate=arguments.lr,
        batch_size=arguments.batch,
        tokens_per_pass=arguments.tokens_per_pass,
        precision=arguments.precision,
        save_every=10**9,
        seed=arguments.seed,
    )
    model = new_model(data, arguments)
    with patch.object(training, "can_pack", lambda _: False) if padded else nullcontext():
        return RewardTrainer(model, "prm", {"step": 1.0}, data.groups, [], settings, Path(work))


def new_model(data: Data, arguments: argparse.Namespace) -> Any:
    """Load the model, with a head initialized from the seed."""
    return load_model(arguments.model, "prm", data.tokenizer.pad_token_id, arguments.seed)


def new_peer_model(data: Data, arguments: argparse.Namespace) -> Any:
    """The same as transformers' own class, which computes the loss."""
    ours = new_model(data, arguments)
    theirs = AutoModelForTokenClassification.from_config(ours.config)
    theirs.load_state_dict(ours.state_dict())
    return theirs


def make_peer(
    peer: Any, data: Data, arguments: argparse.Namespace, work: str, chains_a_pass: int, **options: Any
) -> Any:
    """Make TRL's trainer, with a new model and our settings."""
    shared = make_ours(data, arguments, work).args
    config = peer.PRMConfig(
        **{name: getattr(shared, name) for name in SHARED},
        per_device_train_batch_size=chains_a_pass,
        gradient_accumulation_steps=arguments.batch // chains_a_pass,
        save_strategy="no",
        max_length=None,
        **options,
    )
    rows = Dataset.from_list([peer_row(group.chains[0]) for group in data.groups])
    trainer = peer.PRMTrainer(
        model=new_peer_model(data, arguments), args=config, train_dataset=rows, processing_class=data.tokenizer
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def watch(trainer: Any) -> Run:
    """Train to the end, and return the observations."""
    run = Run()
    collate, step = trainer.data_collator, trainer.training_step

    def collate_seen(rows: Sequence[Any]) -> Any:
        batch = collate(rows)
        tensors = [one for part in batch.get("passes", []) for one in part["forwards"]] or [batch]
        run.batches.append([ids_of(row) for row in rows])
        run.real.append(sum(len(ids) for ids in run.batches[-1]))
        run.padded.append(sum(part["input_ids"].numel() for part in tensors))
        return batch

    def step_seen(*given: Any, **options: Any) -> Any:
        loss = step(*given, **options)
        run.losses.append(loss)
        return loss

    trainer.data_collator, trainer.training_step = collate_seen, step_seen
    trainer.add_callback(StopWatch(run))
    set_seed(trainer.args.seed)
    trainer.train()
    run.losses = [float(loss) for loss in run.losses]
    return run


def ids_of(row: Any) -> tuple[int, ...]:
    """Token ids of a chain, from our example or TRL's row."""
    return tuple(row.chains[0].ids if isinstance(row, GroupExample) else row["input_ids"])


class StopWatch(TrainerCallback):  # type: ignore[misc]
    """Records when optimizer steps end."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Record the time, once the device has finished the step."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.run.ends.append(time.perf_counter())
        self.run.computed.append(time.process_time())


def measure_parity(peer: Any, data: Data, arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare the losses of the first optimizer steps, in float32."""
    few = replace(data, groups=data.groups[: PARITY_STEPS * arguments.batch])
    exact = argparse.Namespace(**vars(arguments) | {"precision": "float32"})
    with tempfile.TemporaryDirectory() as work:
        ours = watch(make_ours(few, exact, work))
        theirs = watch(make_peer(peer, few, exact, work, exact.batch))
    if ours.batches != theirs.batches:
        raise SystemExit("the trainers read different chains or orders, so their losses cannot be compared")
    print("| step | our loss | TRL's loss | difference |\n| --- | --- | --- | --- |")
    for number, (own, other) in enumerate(zip(ours.losses, theirs.losses, strict=True), start=1):
        print(f"| {number} | {own:.6f} | {other:.6f} | {abs(own - other):.1e} |")
    largest = max(abs(own - other) for own, other in zip(ours.losses, theirs.losses, strict=True))
    print(f"\nLargest difference between the losses of {len(ours.losses)} steps: {largest:.1e}\n")
    return {"ours": ours.losses, "theirs": theirs.losses, "largest_difference": largest}


def measure_throughput(peer: Any, data: Data, arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare tokens per second and padding of all sides."""
    data = replace(data, groups=data.groups[: arguments.steps * arguments.batch])
    small = min(arguments.small_pass, arguments.batch)
    grouped = {"train_sampling_strategy": "group_by_length"}
    sides: dict[str, Callable[[str], Any]] = {
        "ours": lambda work: make_ours(data, arguments, work),
        "ours, padded": lambda work: make_ours(data, arguments, work, padded=True),
        f"TRL, passes of {arguments.batch} chains": lambda w: make_peer(peer, data, arguments, w, arguments.batch),
        f"TRL, passes of {small} chains": lambda w: make_peer(peer, data, arguments, w, small),
        f"TRL, passes of {small}, by length": lambda w: make_peer(peer, data, arguments, w, small, **grouped),
    }
    runs: dict[str, list[Run]] = {name: [] for name in sides}
    for _ in range(arguments.repeats):
        for name, make in sides.items():
            with tempfile.TemporaryDirectory() as work:
                runs[name].append(watch(make(work)))
    print(
        "| side | real tokens per second, median | minimum and maximum | per CPU second | padding | speedup of ours |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    return {name: print_row(name, own, runs["ours"]) for name, own in runs.items()}


def print_row(name: str, own: Sequence[Run], ours: Sequence[Run]) -> dict[str, Any]:
    """Print and return one row; the speedup is the median over repeats, as neighboring runs share the load."""
    rates = [run.rate for run in own]
    times, cpu_times = (
        statistics.median(rate(our) / rate(run) for our, run in zip(ours, own, strict=True))
        for rate in (attrgetter("rate"), attrgetter("cpu_rate"))
    )
    median, cpu, padding = statistics.median(rates), statistics.median(run.cpu_rate for run in own), own[0].padding
    print(
        f"| {name} | {median:,.0f} | {min(rates):,.0f}, {max(rates):,.0f} | {cpu:,.0f} | {padding:.1%} "
        f"| {times:.2f}; {cpu_times:.2f} per CPU second |"
    )
    return {"rates": rates, "median": median, "per_cpu_second": cpu, "padding": padding, "ours_by_this": times}


if __name__ == "__main__":
    try:
        main()
    except ModelError as error:
        raise SystemExit(str(error)) from error
