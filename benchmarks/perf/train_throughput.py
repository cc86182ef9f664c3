"""Our training of a PRM against TRL's trainer: real tokens a second, and whether the losses are the same.

    pip install --no-deps trl==1.13.0
    PRM_SAMPLE_DATA=../shared/data python -m prm.benchmarks.perf.train_throughput --out runs/train_throughput.json

The chains are real ones of uneven length, PRM800K (phase 1) and Math-Shepherd, drawn from those that fit the model's
context, as many as the optimizer steps take. Both trainers get the same token ids and labels, the same initial weights
and settings, and by the same seed the same order of chains, which is checked. TRL gets its rows ready tokenized, for
many chains have a step without a label, for which its rows of text have no word; of the others it is counted for how
many its own tokenization gives the same ids and labels. On a GPU: `--precision bfloat16 --steps 70`.

    throughput  tokens that are not padding, by the time from the end of the first optimizer step to that of the last;
                nothing that comes before (loading, tokenization, the first step) counts. The sides take turns.
    padding     share of the tokens that went through the model
    parity      largest difference of the losses of the first optimizer steps, in float32

TRL is run as it stands (all chains of an optimizer step in one pass), in smaller passes, and in smaller passes of
chains that its sampler grouped by length, which changes what is in a step. Gradient checkpointing is off on both sides,
though it is TRL's default.
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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback, set_seed
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from prm.data.drops import Drops
from prm.data.joining import LabeledChain
from prm.data.writing import write_json
from prm.errors import ModelError
from prm.models.checkpoint import context_length, load_model, load_tokenizer
from prm.models.rendering import Renderer
from prm.training.examples import ChainExample, GroupExample, Recipe, label_examples
from prm.training.trainer import RewardTrainer, Settings

from ..arithmetic import POLICY
from ..experiments.prm800k import public_rows
from .job import machine

SOURCES = {
    "prm800k_phase1/phase1_train_chains.jsonl.gz": "prm800k",
    "prm800k_phase1/phase1_test_chains.jsonl": "prm800k",
    "math_shepherd_slice/math_shepherd_100_rawstyle.jsonl": "math-shepherd",
}
"""File to format."""
PARITY_STEPS = 10
SHARED = (
    "output_dir", "num_train_epochs", "learning_rate", "weight_decay", "lr_scheduler_type", "warmup_steps", "optim",
    "max_grad_norm", "bf16", "fp16", "gradient_checkpointing", "use_cpu", "logging_steps", "report_to", "seed",
    "dataloader_pin_memory", "disable_tqdm",
)  # fmt: skip
"""Settings that the peer takes over from us."""


@dataclass(frozen=True, slots=True)
class Data:
    """What both sides train on."""

    groups: list[GroupExample]
    tokenizer: Any
    agreeing: int
    """Chains that TRL tokenizes to the same ids and labels."""
    comparable: int
    """Chains of which each step has a label."""


@dataclass(slots=True)
class Run:
    """What was seen of one training."""

    losses: list[float] = field(default_factory=list)
    """Of each optimizer step."""
    batches: list[list[tuple[int, ...]]] = field(default_factory=list)
    """The ids of each chain, as the collator got them."""
    real: list[int] = field(default_factory=list)
    """Tokens of each batch that are not padding."""
    padded: list[int] = field(default_factory=list)
    """All its tokens."""
    ends: list[float] = field(default_factory=list)
    """When each optimizer step ended."""

    @property
    def rate(self) -> float:
        """Real tokens a second, the first optimizer step left out."""
        first = len(self.real) // len(self.ends)
        return sum(self.real[first:]) / (self.ends[-1] - self.ends[0])

    @property
    def padding(self) -> float:
        """Share of padding."""
        return 1 - sum(self.real) / sum(self.padded)


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(POLICY), help="directory or Hub name (default: the demo's policy)")
    parser.add_argument("--steps", type=int, default=5, help="optimizer steps of a timed run (default: 5)")
    parser.add_argument("--batch", type=int, default=32, help="chains in an optimizer step (default: 32)")
    parser.add_argument("--small-pass", type=int, default=2, help="chains in TRL's smaller passes (default: 2)")
    parser.add_argument("--tokens-per-pass", type=int, default=Settings().tokens_a_pass, help="of ours")
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
    """TRL's module of its PRM trainer."""
    os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}
    try:
        return importlib.import_module("trl.experimental.prm")
    except ImportError:
        raise SystemExit("TRL is not installed: pip install --no-deps trl==1.13.0") from None


def peer_version() -> str:
    """Name and version of the peer."""
    return f"trl {importlib.import_module('trl').__version__}"


def hardware() -> str:
    """Date and machine, with the accelerator where there is one."""
    return f"{machine()}, {torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'no GPU'}"


def describe(data: Data, arguments: argparse.Namespace) -> str:
    """What is measured, in two lines."""
    lengths = sorted(len(group.chains[0].ids) for group in data.groups)
    quantiles = ", ".join(str(lengths[len(lengths) * i // 10]) for i in (0, 1, 5, 9)) + f", {lengths[-1]}"
    return (
        f"{hardware()}, {torch.get_num_threads()} threads, {peer_version()}, {arguments.precision}\n"
        f"{len(lengths):,} chains, {sum(lengths):,} tokens; lengths (least, 10%, half, 90%, most): {quantiles}; "
        f"TRL tokenizes {data.agreeing} of {data.comparable} chains to the same ids and labels"
    )


def read_data(peer: Any, arguments: argparse.Namespace) -> Data:
    """As many chains as a run takes, drawn by the seed from all that fit the model."""
    tokenizer = load_tokenizer(arguments.model)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    recipe = Recipe(heads=frozenset({"step"}), max_length=context_length(arguments.model))
    rows = [row for name, form in SOURCES.items() for row in public_rows(name, form)]
    groups = label_examples(rows, Renderer(tokenizer), recipe, Drops())
    wanted = max(arguments.steps, PARITY_STEPS) * arguments.batch
    if len(groups) < wanted:
        raise SystemExit(f"only {len(groups)} chains fit, and {wanted} are wanted: lower --steps or --batch")
    groups = random.Random(arguments.seed).sample(groups, wanted)
    return Data(groups, tokenizer, *agreement(peer, rows, groups, tokenizer))


def agreement(
    peer: Any, rows: Sequence[LabeledChain], groups: Sequence[GroupExample], tokenizer: Any
) -> tuple[int, int]:
    """For how many chains TRL's own tokenization gives our ids and labels, and how many it can be asked for."""
    examples = {group.chains[0].chain_id: group.chains[0] for group in groups}
    labeled = [row for row in rows if row[1].id in examples and None not in row[2].hard]
    same = sum(tokenized_by_peer(peer, row, tokenizer) == peer_row(examples[row[1].id]) for row in labeled)
    return same, len(labeled)


def tokenized_by_peer(peer: Any, row: LabeledChain, tokenizer: Any) -> dict[str, list[int]]:
    """A chain as TRL tokenizes it, from the texts that its documentation asks for."""
    problem, chain, labels = row
    features = {
        "prompt": problem.text.rstrip("\n") + "\n",
        "completions": [step.rstrip() for step in chain.steps],
        "labels": labels.hard,
    }
    found: dict[str, list[int]] = peer.PRMTrainer.tokenize_row(features, tokenizer, "\n", None, None, False, False)
    return found


def peer_row(example: ChainExample) -> dict[str, list[int]]:
    """Our example as a row of TRL's, tokenized already."""
    labels = [-100] * len(example.ids)
    for end, target in zip(example.step_ends, example.targets, strict=True):
        if target is not None:
            labels[end] = int(target)
    return {"input_ids": list(example.ids), "labels": labels}


def make_ours(data: Data, arguments: argparse.Namespace, work: str) -> RewardTrainer:
    """Our trainer, on a new model."""
    settings = Settings(
        learning_rate=arguments.lr,
        batch_size=arguments.batch,
        tokens_a_pass=arguments.tokens_per_pass,
        precision=arguments.precision,
        save_every=10**9,
        seed=arguments.seed,
    )
    return RewardTrainer(new_model(data, arguments), "prm", {"step": 1.0}, data.groups, [], settings, Path(work))


def new_model(data: Data, arguments: argparse.Namespace) -> Any:
    """The model, with the head that the seed draws."""
    return load_model(arguments.model, "prm", data.tokenizer.pad_token_id, arguments.seed)


def make_peer(
    peer: Any, data: Data, arguments: argparse.Namespace, work: str, chains_a_pass: int, **options: Any
) -> Any:
    """TRL's trainer, on a new model, with the settings of ours."""
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
        model=new_model(data, arguments), args=config, train_dataset=rows, processing_class=data.tokenizer
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def watch(trainer: Any) -> Run:
    """Train to the end, and tell what was seen."""
    run = Run()
    collate, step = trainer.data_collator, trainer.training_step

    def collate_seen(rows: Sequence[Any]) -> Any:
        batch = collate(rows)
        tensors = batch.get("passes", [batch])
        run.batches.append([ids_of(row) for row in rows])
        run.real.append(sum(int(part["attention_mask"].sum()) for part in tensors))
        run.padded.append(sum(part["input_ids"].numel() for part in tensors))
        return batch

    def step_seen(*given: Any, **options: Any) -> Any:
        loss = step(*given, **options)
        run.losses.append(loss)
        return loss

    trainer.data_collator, trainer.training_step = collate_seen, step_seen
    trainer.add_callback(StopWatch(run.ends))
    set_seed(trainer.args.seed)
    trainer.train()
    run.losses = [float(loss) for loss in run.losses]
    return run


def ids_of(row: Any) -> tuple[int, ...]:
    """The ids of a chain, in our form or TRL's."""
    return tuple(row.chains[0].ids if isinstance(row, GroupExample) else row["input_ids"])


class StopWatch(TrainerCallback):  # type: ignore[misc]
    """Notes when optimizer steps end."""

    def __init__(self, ends: list[float]) -> None:
        self.ends = ends

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note it, when the device has come so far."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def measure_parity(peer: Any, data: Data, arguments: argparse.Namespace) -> dict[str, Any]:
    """Losses of the first optimizer steps on both sides, in float32."""
    few = replace(data, groups=data.groups[: PARITY_STEPS * arguments.batch])
    exact = argparse.Namespace(**vars(arguments) | {"precision": "float32"})
    with tempfile.TemporaryDirectory() as work:
        ours = watch(make_ours(few, exact, work))
        theirs = watch(make_peer(peer, few, exact, work, exact.batch))
    if ours.batches != theirs.batches:
        raise SystemExit("the two trainers did not read the same chains in the same order: nothing can be compared")
    print("| step | our loss | TRL's loss | difference |\n| --- | --- | --- | --- |")
    for number, (own, other) in enumerate(zip(ours.losses, theirs.losses, strict=True), start=1):
        print(f"| {number} | {own:.6f} | {other:.6f} | {abs(own - other):.1e} |")
    largest = max(abs(own - other) for own, other in zip(ours.losses, theirs.losses, strict=True))
    print(f"\nLargest difference of the losses of {len(ours.losses)} steps: {largest:.1e}\n")
    return {"ours": ours.losses, "theirs": theirs.losses, "largest_difference": largest}


def measure_throughput(peer: Any, data: Data, arguments: argparse.Namespace) -> dict[str, Any]:
    """Tokens a second and padding of each side, and how many times as fast ours is."""
    data = replace(data, groups=data.groups[: arguments.steps * arguments.batch])
    small = min(arguments.small_pass, arguments.batch)
    grouped = {"train_sampling_strategy": "group_by_length"}
    sides: dict[str, Callable[[str], Any]] = {
        "ours": lambda work: make_ours(data, arguments, work),
        f"TRL, passes of {arguments.batch} chains": lambda w: make_peer(peer, data, arguments, w, arguments.batch),
        f"TRL, passes of {small} chains": lambda w: make_peer(peer, data, arguments, w, small),
        f"TRL, passes of {small}, by length": lambda w: make_peer(peer, data, arguments, w, small, **grouped),
    }
    runs: dict[str, list[Run]] = {name: [] for name in sides}
    for _ in range(arguments.repeats):
        for name, make in sides.items():
            with tempfile.TemporaryDirectory() as work:
                runs[name].append(watch(make(work)))
    print("| side | real tokens a second, median | least and most | padding | ours is faster by |")
    print("| --- | --- | --- | --- | --- |")
    return {name: tell(name, own, runs["ours"]) for name, own in runs.items()}


def tell(name: str, own: Sequence[Run], ours: Sequence[Run]) -> dict[str, Any]:
    """One row; the ratio is the median over the repeats, for runs that follow each other share the machine's mood."""
    rates = [run.rate for run in own]
    times = statistics.median(our.rate / rate for our, rate in zip(ours, rates, strict=True))
    median, padding = statistics.median(rates), own[0].padding
    print(f"| {name} | {median:,.0f} | {min(rates):,.0f}, {max(rates):,.0f} | {padding:.1%} | {times:.2f} |")
    return {"rates": rates, "median": median, "padding": padding, "ours_by_this": times}


if __name__ == "__main__":
    try:
        main()
    except ModelError as error:
        raise SystemExit(str(error)) from error
