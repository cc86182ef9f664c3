"""`prm train`: step labels, values or preferences → checkpoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from prm.data.jobs import is_main_process
from prm.errors import InputError
from prm.models.rendering import PLACE
from prm.training import hub, job
from prm.training.examples import Steps, Targets, TooLong
from prm.training.objectives import TERMS
from prm.training.options import read_options
from prm.training.settings import (
    DEFAULT_BETA,
    METRICS,
    Optimizer,
    Precision,
    Quantize,
    Scheduler,
    TrainSettings,
    Weights,
)

from .options import Chat, Overwrite, Seed, Splitter, key_values, one_of

if TYPE_CHECKING:
    from prm.training.objectives import Objective

DATA, LOSS, FIT, OUTPUT = "Data", "What is learned", "Training", "Output"


def _from_config(context: typer.Context, path: Path | None) -> Path | None:
    """Take the options of a file for defaults."""
    if path is not None:
        names = [parameter.name for parameter in context.command.params if parameter.name]
        context.default_map = read_options(path, names)
    return path


def train(
    base: Annotated[str, typer.Option(help="backbone: Hugging Face directory or Hub name")],
    out: Annotated[Path, typer.Option(help="checkpoint directory to write", rich_help_panel=OUTPUT)],
    config: Annotated[
        Path | None,
        typer.Option(
            help="TOML file with options, such as the train.toml of a checkpoint; those given here go before",
            callback=_from_config,
            is_eager=True,
        ),
    ] = None,
    problems: Annotated[Path | None, typer.Option(help="problems as JSONL", rich_help_panel=DATA)] = None,
    chains: Annotated[Path | None, typer.Option(help="chains of these problems", rich_help_panel=DATA)] = None,
    labels: Annotated[
        Path | None, typer.Option(help="step labels, from `prm label` or `prm import`", rich_help_panel=DATA)
    ] = None,
    values: Annotated[
        Path | None,
        typer.Option(
            help="value of each chain, from `prm strengths` or for each of --outputs, in place of right and wrong; "
            "alone: rows with prompt, response and value (orm)",
            rich_help_panel=DATA,
        ),
    ] = None,
    preferences: Annotated[
        Path | None,
        typer.Option(
            help="rows with prompt, chosen, rejected, in place of the above (orm): JSONL, JSON or Parquet, or a folder",
            rich_help_panel=DATA,
        ),
    ] = None,
    evaluation: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FILE of other problems to measure on, such as chains=e.jsonl; repeatable", rich_help_panel=DATA
        ),
    ] = None,
    held_out: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=0.9,
            help="share of problems to measure on, not train on; default: 0.05, or 0 with --evaluation",
            rich_help_panel=DATA,
        ),
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(min=1, help="longest chain in tokens; default: the model's", rich_help_panel=DATA)
    ] = None,
    too_long: Annotated[
        str,
        typer.Option(
            help=f"what to do with a longer chain: {one_of(get_args(TooLong))}, which keeps the steps that fit (prm)",
            rich_help_panel=DATA,
        ),
    ] = "drop",
    objective: Annotated[
        str,
        typer.Option(
            help="prm (scores steps), orm (scores chains), joint (both) or implicit (learns from outcomes, and scores "
            "steps by its log-ratios to --base)",
            rich_help_panel=LOSS,
        ),
    ] = "prm",
    loss: Annotated[
        list[str] | None,
        typer.Option(
            help=f"NAME=WEIGHT, repeatable: {one_of(f'{name} ({term.summary})' for name, term in TERMS.items())}; "
            "default: step=1, bradley-terry=1, or both; for implicit, pointwise=1",
            rich_help_panel=LOSS,
        ),
    ] = None,
    labels_as: Annotated[
        str,
        typer.Option(
            help=f"{one_of(get_args(Targets))} (soft, weighted by number of rollouts)",
            rich_help_panel=LOSS,
        ),
    ] = "hard",
    steps: Annotated[
        str, typer.Option(help="steps to learn from: all, up to the first-error, or one-past it", rich_help_panel=LOSS)
    ] = "all",
    head_from: Annotated[
        str | None,
        typer.Option(
            help="WRONG,RIGHT: words of one token; the head begins as the language model's choice between them",
            rich_help_panel=LOSS,
        ),
    ] = None,
    members: Annotated[
        int, typer.Option(min=1, help="step heads on the one backbone, each on its own bootstrap sample: an ensemble")
    ] = 1,
    outputs: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME,NAME: values of --values that get an output each, such as helpfulness,verbosity (orm, with the "
            "loss regression or pointwise)",
            rich_help_panel=LOSS,
        ),
    ] = None,
    class_balance: Annotated[
        bool,
        typer.Option("--class-balance", help="right and wrong steps have equal total weight", rich_help_panel=LOSS),
    ] = False,
    margin: Annotated[
        float,
        typer.Option(min=0.0, help="Bradley-Terry margin per unit of value difference", rich_help_panel=LOSS),
    ] = 0.0,
    label_smoothing: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.5, help="share of step labels taken for wrong, by the loss step", rich_help_panel=LOSS
        ),
    ] = 0.0,
    zeta: Annotated[
        float, typer.Option(min=0.0, help="gap between right and wrong steps, of q-ranking", rich_help_panel=LOSS)
    ] = 4.0,
    beta: Annotated[
        float, typer.Option(min=0.0, help="scale of the log-ratios, of implicit", rich_help_panel=LOSS)
    ] = DEFAULT_BETA,
    epochs: Annotated[float, typer.Option(min=0.001, help="passes over the data", rich_help_panel=FIT)] = 1.0,
    max_steps: Annotated[
        int, typer.Option(min=0, help="optimizer steps, in place of --epochs; 0: go by those", rich_help_panel=FIT)
    ] = 0,
    lr: Annotated[float, typer.Option(min=0.0, help="peak learning rate", rich_help_panel=FIT)] = 1e-5,
    warmup: Annotated[
        float, typer.Option(min=0.0, help="share of the steps before the peak", rich_help_panel=FIT)
    ] = 0.05,
    scheduler: Annotated[
        str, typer.Option(help=f"after the peak: {one_of(get_args(Scheduler))}", rich_help_panel=FIT)
    ] = "cosine",
    weight_decay: Annotated[float, typer.Option(min=0.0, help="of AdamW", rich_help_panel=FIT)] = 0.0,
    batch_size: Annotated[
        int,
        typer.Option(
            min=1, help="chains (prm) or problems (else) per optimizer step on one device", rich_help_panel=FIT
        ),
    ] = 64,
    tokens_per_pass: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="tokens per forward pass: affects memory and speed, not the result; default: 8192 on a GPU, else 1024",
            rich_help_panel=FIT,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="of the computation: float32, or mixed: bfloat16 or float16; default: as the weights",
            rich_help_panel=FIT,
        ),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(help=f"in which weights are held and stored: {one_of(get_args(Weights))}", rich_help_panel=FIT),
    ] = "float32",
    optimizer: Annotated[
        str,
        typer.Option(
            help=f"{one_of(get_args(Optimizer))}: less memory for moments from left to right", rich_help_panel=FIT
        ),
    ] = "adamw",
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="less memory, more time", rich_help_panel=FIT)
    ] = False,
    quantize: Annotated[
        str | None,
        typer.Option(help="4bit: hold the backbone under the adapters in four bits (QLoRA)", rich_help_panel=FIT),
    ] = None,
    lora_rank: Annotated[
        int, typer.Option(min=0, help="train adapters of this rank, merged at the end; 0: all", rich_help_panel=FIT)
    ] = 0,
    lora_alpha: Annotated[
        float | None,
        typer.Option(help="scale of the adapters times their rank; default: twice the rank", rich_help_panel=FIT),
    ] = None,
    lora_dropout: Annotated[
        float, typer.Option(help="share of an adapter's inputs dropped in training", rich_help_panel=FIT)
    ] = 0.0,
    lora_targets: Annotated[
        list[str] | None,
        typer.Option(help="layer to adapt, such as q_proj; repeatable; default: all linear", rich_help_panel=FIT),
    ] = None,
    keep_adapter: Annotated[
        bool,
        typer.Option("--keep-adapter", help="keep the adapter beside the merged model", rich_help_panel=OUTPUT),
    ] = False,
    fsdp: Annotated[
        bool,
        typer.Option("--fsdp", help="shard weights and optimizer over the processes of torchrun", rich_help_panel=FIT),
    ] = False,
    offload: Annotated[
        bool,
        typer.Option("--offload", help="keep the shards of --fsdp in main memory: less on GPUs", rich_help_panel=FIT),
    ] = False,
    measure_every: Annotated[
        int, typer.Option(min=0, help="optimizer steps between measurements; 0: at the end", rich_help_panel=OUTPUT)
    ] = 0,
    save_every: Annotated[
        int,
        typer.Option(
            min=0,
            help="optimizer steps between states that a killed training resumes from; 0: ten times per run",
            rich_help_panel=OUTPUT,
        ),
    ] = 0,
    best: Annotated[
        str | None,
        typer.Option(
            help=f"keep the best measured state, by {one_of(name for names in METRICS.values() for name in names)}",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    patience: Annotated[
        int, typer.Option(min=0, help="end after so many measurements without a better one", rich_help_panel=OUTPUT)
    ] = 0,
    report_to: Annotated[
        list[str] | None,
        typer.Option(help="tensorboard (default where installed), wandb, none; repeatable", rich_help_panel=OUTPUT),
    ] = None,
    separator: Annotated[str, typer.Option(help=r"ends every step; \n is a newline")] = r"\n",
    splitter: Splitter = "newline",
    chat: Chat = False,
    template: Annotated[
        str | None,
        typer.Option(
            help="instruction around every problem, with {problem} in it: a file, taken as it is, or a text, whose \\n "
            "is a newline; without --chat it may end in {solution}"
        ),
    ] = None,
    seed: Seed = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print what would be trained on and stop", rich_help_panel=OUTPUT)
    ] = False,
    push_to: Annotated[
        str | None,
        typer.Option(help="repository on the Hub to push the checkpoint to, such as me/my-prm", rich_help_panel=OUTPUT),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="make that repository a private one", rich_help_panel=OUTPUT)
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Labels or preferences → checkpoint: a step head (PRM), an outcome head (ORM) or both, or an implicit PRM.

    On several devices: torchrun --nproc-per-node 8 -m prm.cli train … A killed training resumes with the same command.
    """
    settings = TrainSettings(
        base=base,
        objective=cast("Objective", objective),
        losses=_losses(loss or []),
        labels_as=cast("Targets", labels_as),
        steps=cast("Steps", steps),
        class_balance=class_balance,
        head_from=None if head_from is None else cast("tuple[str, str]", tuple(head_from.split(","))),
        members=members,
        outputs=tuple(name.strip() for text in outputs or () for name in text.split(",")),
        margin=margin,
        label_smoothing=label_smoothing,
        zeta=zeta,
        beta=beta,
        epochs=epochs,
        max_steps=max_steps,
        lr=lr,
        warmup=warmup,
        scheduler=cast("Scheduler", scheduler),
        weight_decay=weight_decay,
        batch_size=batch_size,
        held_out=held_out,
        max_length=max_length,
        too_long=cast("TooLong", too_long),
        precision=cast("Precision | None", precision),
        weights=cast("Weights", weights),
        optimizer=cast("Optimizer", optimizer),
        quantize=cast("Quantize | None", quantize),
        lora_rank=lora_rank,
        lora_alpha=lora_alpha,
        lora_dropout=lora_dropout,
        lora_targets=tuple(lora_targets or ()),
        keep_adapter=keep_adapter,
        fsdp=fsdp,
        offload=offload,
        separator=separator,
        splitter=splitter,
        chat=chat,
        template=None if template is None else _template(template),
        seed=seed,
        tokens_per_pass=tokens_per_pass,
        gradient_checkpointing=gradient_checkpointing,
        measure_every=measure_every,
        save_every=save_every,
        best=best,
        patience=patience,
        report_to=None if report_to is None else tuple(name for name in report_to if name != "none"),
    )
    data = {"problems": problems, "chains": chains, "labels": labels, "values": values, "preferences": preferences}
    other = key_values("--evaluation", "NAME=FILE", evaluation or [], "such as --evaluation chains=e.jsonl")
    if dry_run:
        job.show_audit(job.audit_of(settings, **data, evaluation=other))
    else:
        job.train(settings, **data, evaluation=other, out=out, overwrite=overwrite)
        if push_to and is_main_process():
            hub.push(out, push_to, private=private)


def _template(given: str) -> str:
    r"""A template: the text of a file as it is, or a text in which `\n` is a newline and `\\` a backslash."""
    if PLACE in given:
        return re.sub(r"\\([n\\])", lambda match: "\n" if match[1] == "n" else "\\", given)
    try:
        return Path(given).read_bytes().decode("utf-8")
    except (OSError, ValueError) as error:  # ValueError: it is not UTF-8, or no file can have this name
        raise InputError(
            f"--template {given!r} is neither a file nor a text with {PLACE}", f"write {PLACE} where the problem goes"
        ) from error


def _losses(given: Sequence[str]) -> dict[str, float]:
    hint = "such as --loss bradley-terry=1 --loss pointwise=0.5"
    named = key_values("--loss", "NAME=WEIGHT", given, hint)
    try:
        return {name: float(weight) for name, weight in named.items()}
    except ValueError as error:
        raise InputError(f"--loss: {error}", hint) from error
