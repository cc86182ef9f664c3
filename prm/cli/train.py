"""`prm train`: step labels, or preferences → checkpoint."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from prm import console
from prm.data.drops import Drops, drops_path
from prm.data.files import by_id, read_chains, read_problems, read_records
from prm.data.jobs import is_main_process, making, write_drops
from prm.data.joining import LabeledChain, join_rows
from prm.data.manifest import Job
from prm.data.preferences import Preference, read_preferences
from prm.data.records import Problem, StepLabels
from prm.data.splits import SplitProof, hold_out, prove
from prm.data.writing import discard, whole_directory, write_json
from prm.errors import InputError, PrmError
from prm.plots import training_curves
from prm.training.examples import (
    GroupExample,
    Recipe,
    Steps,
    Targets,
    TooLong,
    class_weights,
    label_examples,
    preference_examples,
    reweighted,
    unlabeled,
)

from .options import Chat, Overwrite, Seed, Splitter, key_values

if TYPE_CHECKING:
    from prm.models.checkpoint import Metadata
    from prm.models.rendering import Renderer
    from prm.training.trainer import Settings, Trained

DATA, LOSS, FIT, OUTPUT = "Data", "What is learned", "Training", "Output"


def train(
    base: Annotated[str, typer.Option(help="backbone: Hugging Face directory or Hub name")],
    out: Annotated[Path, typer.Option(help="checkpoint directory to write", rich_help_panel=OUTPUT)],
    problems: Annotated[Path | None, typer.Option(help="problems as JSONL", rich_help_panel=DATA)] = None,
    chains: Annotated[Path | None, typer.Option(help="chains of these problems", rich_help_panel=DATA)] = None,
    labels: Annotated[
        Path | None, typer.Option(help="step labels, from `prm label` or `prm import`", rich_help_panel=DATA)
    ] = None,
    values: Annotated[
        Path | None,
        typer.Option(
            help="value of each chain, from `prm strengths`, in place of right and wrong", rich_help_panel=DATA
        ),
    ] = None,
    preferences: Annotated[
        Path | None,
        typer.Option(help="rows with prompt, chosen, rejected, in place of the above (orm)", rich_help_panel=DATA),
    ] = None,
    held_out: Annotated[
        float,
        typer.Option(min=0.0, max=0.9, help="share of problems to measure on, not train on", rich_help_panel=DATA),
    ] = 0.05,
    max_length: Annotated[
        int | None, typer.Option(min=1, help="longest chain in tokens; default: the model's", rich_help_panel=DATA)
    ] = None,
    too_long: Annotated[
        str, typer.Option(help="a longer chain: drop it, or keep the whole-steps that fit (prm)", rich_help_panel=DATA)
    ] = "drop",
    objective: Annotated[
        str, typer.Option(help="prm (scores steps), orm (scores chains) or joint (both)", rich_help_panel=LOSS)
    ] = "prm",
    loss: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=WEIGHT, repeatable: step, step-squared-error; bradley-terry, centering, plackett-luce, "
            "pointwise, regression, every-step; language-model. Default: step=1, bradley-terry=1, or both",
            rich_help_panel=LOSS,
        ),
    ] = None,
    view: Annotated[
        str,
        typer.Option(
            "--labels-as", help="hard, soft, pooled, or counts: soft, heavier with more draws", rich_help_panel=LOSS
        ),
    ] = "hard",
    steps: Annotated[
        str, typer.Option(help="learn from all steps, up to the first-error, or one-past it", rich_help_panel=LOSS)
    ] = "all",
    class_balance: Annotated[
        bool, typer.Option("--class-balance", help="right and wrong steps weigh the same", rich_help_panel=LOSS)
    ] = False,
    margin: Annotated[
        float,
        typer.Option(min=0.0, help="Bradley-Terry margin for each unit that a chain is better", rich_help_panel=LOSS),
    ] = 0.0,
    epochs: Annotated[float, typer.Option(min=0.001, rich_help_panel=FIT)] = 1.0,
    lr: Annotated[float, typer.Option(min=0.0, help="peak learning rate", rich_help_panel=FIT)] = 1e-5,
    batch_size: Annotated[
        int,
        typer.Option(
            min=1, help="chains (prm) or problems (else) in an optimizer step of one device", rich_help_panel=FIT
        ),
    ] = 64,
    tokens_per_pass: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="tokens in a forward pass: for memory, not for the result; default: 8192 on a GPU, else 1024",
            rich_help_panel=FIT,
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="float32, or bfloat16 or float16 mixed with it", rich_help_panel=FIT)
    ] = "float32",
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="less memory, more time", rich_help_panel=FIT)
    ] = False,
    lora_rank: Annotated[
        int, typer.Option(min=0, help="train adapters of this rank, merged at the end; 0: all", rich_help_panel=FIT)
    ] = 0,
    fsdp: Annotated[
        bool, typer.Option("--fsdp", help="shard over the processes of torchrun", rich_help_panel=FIT)
    ] = False,
    measure_every: Annotated[
        int, typer.Option(min=0, help="optimizer steps between measurements; 0: at the end", rich_help_panel=OUTPUT)
    ] = 0,
    save_every: Annotated[
        int,
        typer.Option(
            min=0,
            help="optimizer steps between states to go on from after a kill; 0: ten in all",
            rich_help_panel=OUTPUT,
        ),
    ] = 0,
    report_to: Annotated[
        list[str] | None,
        typer.Option(help="tensorboard (default where installed), wandb, none; repeatable", rich_help_panel=OUTPUT),
    ] = None,
    separator: Annotated[str, typer.Option(help=r"ends every step; \n is a newline")] = r"\n",
    splitter: Splitter = "newline",
    chat: Chat = False,
    seed: Seed = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print what would be trained on and stop", rich_help_panel=OUTPUT)
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Labels or preferences → checkpoint: a step head (PRM), an outcome head (ORM) or both, on a backbone.

    On several devices: torchrun --nproc-per-node 8 -m prm.cli train … A killed training goes on with the same command.
    """
    choices = {
        "objective": (objective, ("prm", "orm", "joint")), "labels-as": (view, get_args(Targets)),
        "steps": (steps, get_args(Steps)), "too-long": (too_long, get_args(TooLong)),
        "precision": (precision, ("float32", "bfloat16", "float16")),
    }  # fmt: skip
    _require_choices(choices)
    settings = {
        "base": base, "objective": objective, "losses": _losses(loss or []),
        "labels_as": "outcome" if objective == "orm" else view, "steps": steps, "class_balance": class_balance,
        "margin": margin, "epochs": epochs, "lr": lr, "batch_size": batch_size, "held_out": held_out,
        "max_length": max_length, "too_long": too_long, "precision": precision, "lora_rank": lora_rank, "fsdp": fsdp,
        "separator": separator, "splitter": splitter, "chat": chat, "seed": seed,
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
    }  # fmt: skip
    files = _files(problems, chains, labels, values, preferences)
    _require_heeded(settings, files, view)
    files |= {"base": Path(base)} if Path(base).is_dir() else {}
    work = out.with_name(out.name + ".training")
    job = Job(out, "train", settings, files, (work,))
    if dry_run:
        _say_audit(_prepare(job).found)
        return
    running = {
        "tokens_a_pass": tokens_per_pass, "gradient_checkpointing": gradient_checkpointing,
        "measure_every": measure_every, "save_every": save_every, "report_to": _reporters(report_to),
    }  # fmt: skip
    with making(job, f"{objective.upper()} checkpoint", overwrite) as counts:
        if counts is not None:
            counts |= _train(job, work, running)
    if is_main_process():
        discard(work)


def _require_choices(choices: Mapping[str, tuple[str, Sequence[str]]]) -> None:
    for option, (given, possible) in choices.items():
        if given not in possible:
            raise InputError(f"there is no --{option} {given!r}", f"choose from {', '.join(possible)}")


def _losses(given: Sequence[str]) -> dict[str, float]:
    hint = "such as --loss bradley-terry=1 --loss pointwise=0.5"
    named = key_values("--loss", "NAME=WEIGHT", given, hint)
    try:
        return {name: float(weight) for name, weight in named.items()}
    except ValueError as error:
        raise InputError(f"--loss: {error}", hint) from error


def _reporters(given: Sequence[str] | None) -> tuple[str, ...]:
    if given is None:
        return ("tensorboard",) if find_spec("tensorboard") else ()
    return tuple(name for name in given if name != "none")


def _files(
    problems: Path | None, chains: Path | None, labels: Path | None, values: Path | None, preferences: Path | None
) -> dict[str, Path]:
    named = {"problems": problems, "chains": chains, "labels": labels, "values": values, "preferences": preferences}
    files = {name: path for name, path in named.items() if path is not None}
    if preferences is not None and len(files) > 1:
        raise InputError("--preferences comes with problems and chains of its own", "leave the other files out")
    if preferences is None and not ({"problems", "chains"} <= files.keys() and {"labels", "values"} & files.keys()):
        raise InputError(
            "there is nothing to train on", "give --problems, --chains and --labels (or --values), or --preferences"
        )
    return files


def _require_heeded(settings: Mapping[str, Any], files: Container[str], view: str) -> None:
    """Refuse what would make no difference, so that nobody believes it did."""
    kind, terms = settings["objective"], settings["losses"]
    has_pairs = kind != "prm" and (not terms or "bradley-terry" in terms)
    idle = {
        "--values": kind == "prm" and "values" in files,
        "--margin": bool(settings["margin"]) and not has_pairs,
        "--class-balance": kind == "orm" and settings["class_balance"],
        "--steps": kind == "orm" and settings["steps"] != "all",
        "--labels-as": kind == "orm" and view != "hard",
    }
    for option, is_idle in idle.items():
        if is_idle:
            raise InputError(f"{option} makes no difference to an {kind} with these losses", "leave it out")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Everything but the model's weights."""

    tokenizer: Any
    metadata: Metadata
    train: list[GroupExample]
    held_out: list[GroupExample]
    drops: Drops
    found: dict[str, Any]
    """The audit."""


def _prepare(job: Job) -> _Prepared:
    """Read, render and split what a job trains on."""
    from prm.data.comparisons import read_values
    from prm.models.checkpoint import context_length, load_tokenizer, renderer_of
    from prm.models.heads import HEADS
    from prm.training.audit import audit
    from prm.training.objectives import DEFAULT, check_terms, need_pairs

    s, drops, metadata = job.settings, Drops(), _metadata(job.settings)
    terms = s["losses"] or DEFAULT[s["objective"]]
    check_terms(s["objective"], terms)
    if s["too_long"] == "whole-steps" and s["objective"] != "prm":
        raise InputError("--too-long whole-steps cuts off a chain's outcome", "only with --objective prm")
    tokenizer = load_tokenizer(s["base"])
    recipe = Recipe(
        heads=frozenset(HEADS[s["objective"]]),
        labels_as="hard" if s["objective"] == "orm" else s["labels_as"],
        steps=s["steps"],
        max_length=min(s["max_length"] or sys.maxsize, context_length(s["base"])),
        too_long=s["too_long"],
        needs_pairs=need_pairs(terms),
        values=read_values(job.inputs["values"]) if "values" in job.inputs else None,
    )
    renderer = renderer_of(tokenizer, metadata)
    read = _read_preferences if "preferences" in job.inputs else _read_labels
    groups, texts, labels = read(job, renderer, recipe, drops)
    kept, measured, proof = _split(groups, texts, s["held_out"])
    if s["class_balance"]:
        weights = class_weights(kept)
        kept = [reweighted(group, *weights) for group in kept]
    found = audit(kept, measured, proof, labels, drops)
    return _Prepared(tokenizer, metadata, kept, measured, drops, found)


_Read = tuple[list[GroupExample], Mapping[str, str], list[StepLabels]]
"""Examples, the text of each problem by id, and the labels that were read."""


def _read_labels(job: Job, renderer: Renderer, recipe: Recipe, drops: Drops) -> _Read:
    problems = by_id(read_problems(job.inputs["problems"]))
    chains = by_id(read_chains(job.inputs["chains"], job.settings["splitter"]))
    if "labels" in job.inputs:
        labels = list(read_records(job.inputs["labels"], StepLabels))
    else:
        labels = [unlabeled(chain) for chain in chains.values()]
    rows: list[LabeledChain] = join_rows(problems, chains, labels, drops)
    return label_examples(rows, renderer, recipe, drops), _texts(problems), labels


def _texts(problems: Mapping[str, Problem]) -> dict[str, str]:
    return {identity: problem.text for identity, problem in problems.items()}


def _read_preferences(job: Job, renderer: Renderer, recipe: Recipe, drops: Drops) -> _Read:
    if "step" in recipe.heads:
        raise InputError("preferences hold no step labels", "--objective orm")
    rows = list(read_preferences(job.inputs["preferences"], drops))
    groups = preference_examples(rows, renderer, recipe, job.settings["splitter"], drops)
    return groups, {row.id: _context_text(row) for row in rows}, []


def _context_text(preference: Preference) -> str:
    context = preference.context
    return context if isinstance(context, str) else "\n\n".join(f"{m.role}: {m.content}" for m in context)


def _split(
    groups: Iterable[GroupExample], texts: Mapping[str, str], share: float
) -> tuple[list[GroupExample], list[GroupExample], SplitProof]:
    out = hold_out(texts, share)
    sides: tuple[list[GroupExample], list[GroupExample]] = ([], [])
    for group in groups:
        sides[group.problem_id in out].append(group)
    proof = prove(*([(group.problem_id, texts[group.problem_id]) for group in side] for side in sides))
    return *sides, proof


def _say_audit(found: Mapping[str, Any]) -> None:
    from prm.training.audit import summary_rows

    console.table("What there is to learn from", ["", "train", "held out"], summary_rows(found))


def _train(job: Job, work: Path, running: Mapping[str, Any]) -> dict[str, Any]:
    """Write a checkpoint and return the counts of what went into it and its measures."""
    from transformers.utils.logging import disable_progress_bar

    from prm.models.checkpoint import load_model
    from prm.training.audit import example_lines
    from prm.training.trainer import train as fit

    disable_progress_bar()  # ours says what is going on; theirs would come again with every state that is saved
    prepared = _prepare(job)
    _say_audit(prepared.found)
    if not prepared.train:
        prepared.drops.write(job.output)
        why = "everything is held out: lower --held-out" if prepared.held_out else f"see {drops_path(job.output)}"
        raise InputError("there is nothing to train on", why)
    for line in example_lines(prepared.train[0], prepared.tokenizer):
        console.say(line)
    s, tokenizer = job.settings, prepared.tokenizer
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    model = load_model(s["base"], s["objective"], pad_id, s["seed"])
    trained = fit(model, s["objective"], prepared.train, prepared.held_out, _settings(s, running), work)
    counts: dict[str, Any] = {
        "chains": prepared.found["train"]["chains"],
        "held-out chains": prepared.found["held_out"]["chains"],
        **{name.replace("_", " "): value for name, value in trained.metrics.items() if value is not None},
    }
    if is_main_process():
        _write(job, work, prepared, trained)
        write_drops(prepared.drops, job.output, counts)
    return counts


def _settings(s: Mapping[str, Any], running: Mapping[str, Any]) -> Settings:
    from prm.training.trainer import Settings

    return Settings(
        terms=s["losses"],
        epochs=s["epochs"],
        learning_rate=s["lr"],
        batch_size=s["batch_size"],
        margin_scale=s["margin"],
        precision=s["precision"],
        lora_rank=s["lora_rank"],
        fsdp=s["fsdp"],
        seed=s["seed"],
        **running,
    )


def _write(job: Job, work: Path, prepared: _Prepared, trained: Trained) -> None:
    """The checkpoint with all that lies beside it."""
    from prm.models.checkpoint import save_model
    from prm.training.card import model_card
    from prm.training.trainer import LOG

    metadata = prepared.metadata
    with whole_directory(job.output) as directory:
        save_model(trained.config, trained.weights, metadata.kind, directory)
        prepared.tokenizer.save_pretrained(directory)
        metadata.save(directory)
        write_json(directory / "audit.json", prepared.found)
        write_json(directory / LOG, {"log": trained.log, "held_out": trained.metrics})
        card = model_card(metadata.kind, metadata.separator, job.settings, job.digests, prepared.found, trained.metrics)
        (directory / "README.md").write_text(card, encoding="utf-8")
        _draw(trained.log, directory / "training.png")
        if (work / "tensorboard").is_dir():
            shutil.copytree(work / "tensorboard", directory / "tensorboard")


def _draw(log: Sequence[Mapping[str, float]], path: Path) -> None:
    """A picture is no reason to fail once the training is over."""
    try:
        path.write_bytes(training_curves(log))
    except PrmError as error:
        console.say(f"no picture of the training: {error}")


def _metadata(settings: Mapping[str, Any]) -> Metadata:
    from prm.models.checkpoint import Metadata

    try:  # as Latin-1, because that is what `unicode_escape` reads; what it lacks is escaped
        separator = settings["separator"].encode("latin-1", "backslashreplace").decode("unicode_escape")
        return Metadata(settings["objective"], separator, settings["chat"], settings["labels_as"])
    except ValueError as error:
        raise InputError(f"--separator {settings['separator']!r}: {error}", r"give a text, such as \n") from error
