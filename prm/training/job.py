"""The training job: step labels, values or preferences → a checkpoint.

    settings = prm.TrainSettings("Qwen/Qwen2.5-Math-1.5B", objective="prm")
    made = prm.train(settings, problems=problems, chains=chains, labels=labels, out="runs/prm")
    scorer = prm.load_scorer(str(made.path))

`prm train` calls it in the same way.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prm import console
from prm.data.drops import drops_path
from prm.data.jobs import Output, Source, Workspace, is_main_process, making, write_drops
from prm.data.manifest import Job, directories
from prm.data.writing import discard, whole_directory, write_json
from prm.errors import InputError, ModelError, PrmError, require_texts
from prm.plots import training_curves

from .objectives import heads_of
from .options import OPTIONS, options_text
from .settings import DEFAULT_SHARE, TrainSettings, Weights, makes_no_difference

if TYPE_CHECKING:
    from prm.models.checkpoint import Metadata
    from prm.models.dialects import Dialect

    from .data.preparation import Prepared
    from .trainer import FitSettings, Trained


def train(
    settings: TrainSettings,
    *,
    problems: Source | None = None,
    chains: Source | None = None,
    labels: Source | None = None,
    values: Source | None = None,
    preferences: Source | None = None,
    evaluation: Mapping[str, Source] | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> Output:
    """Train a step head (PRM), an outcome head (ORM) or both on a backbone, or itself (implicit PRM).

    A killed training resumes from its last state when it is called again with the same arguments, to the same result.
    Under torchrun every process calls it with the same arguments; the main one writes.

    Args:
        settings: how to train.
        problems: of the chains, see `prm.Source`.
        chains: of these problems.
        labels: step labels of these chains, from `prm.label`.
        values: rows of `chain_id` and `value`, a real number that replaces right and wrong (all but prm); or of the
            numbers that `settings.outputs` name, see `prm.data.rows.values_in`. In place of all of the above,
            rows with a `prompt` and a `response` in place of `chain_id`, see `prm.data.preferences.read_rated`.
        preferences: rows of `prompt`, `chosen` and `rejected`, in place of all of the above (orm, implicit); see
            `prm.data.preferences`. A path may be a file or folder of any kind that `prm.data.reading` reads.
        evaluation: sources by the same names, of other problems to measure on; None to hold some out.
        out: checkpoint directory; None for a temporary one (a single process only).
        overwrite: whether to replace an existing output.

    Returns:
        The checkpoint, with the numbers of chains and the metrics on the held-out problems as its counts.

    Raises:
        PrmError: an input, the model or the output cannot be used, or the training diverged.
    """
    if out is None and _processes() > 1:
        raise InputError(f"out=None with {_processes()} processes, which must share one output", "give a directory")
    place = Workspace(out, "checkpoint")
    named = _named(problems, chains, labels, values, preferences)
    files = _files(place, settings, named, evaluation)
    work = place.out.with_name(place.out.name + ".training")
    recorded = _manifest_settings(settings, has_evaluation=bool(evaluation))
    job = Job(place.out, "train", recorded, files | directories(base=settings.base), (work,))
    with making(job, f"{settings.objective.upper()} checkpoint", overwrite) as counts:
        if counts is not None:
            counts |= _train(settings, files, job, work, options_text(settings, named, evaluation or {}))
    if is_main_process():
        discard(work)
        discard(_kept(place.out))
    return place.output(job)


def audit_of(
    settings: TrainSettings,
    *,
    problems: Source | None = None,
    chains: Source | None = None,
    labels: Source | None = None,
    values: Source | None = None,
    preferences: Source | None = None,
    evaluation: Mapping[str, Source] | None = None,
) -> dict[str, Any]:
    """The audit of what `train` would train on with these arguments; see `prm.training.data.audit.audit`.

    Raises:
        PrmError: an input or the model cannot be used.
    """
    from .data.preparation import prepare

    place = Workspace(None, "checkpoint")
    named = _named(problems, chains, labels, values, preferences)
    return prepare(settings, *_sides(_files(place, settings, named, evaluation)), _kept(place.out)).found


def _kept(out: Path) -> Path:
    """Where the examples are kept until the training is over.

    Not with its state: examples that a job was refused on, or stopped at, are no work that another must not replace.
    """
    return out.with_name(out.name + ".prepared")


def show_audit(found: Mapping[str, Any]) -> None:
    """Print an audit as a table."""
    from .data.audit import summary_rows

    console.table("What there is to learn from", ["", "train", "held out"], summary_rows(found))


def _named(
    problems: Source | None,
    chains: Source | None,
    labels: Source | None,
    values: Source | None,
    preferences: Source | None,
) -> dict[str, Source]:
    given = {"problems": problems, "chains": chains, "labels": labels, "values": values, "preferences": preferences}
    return {name: source for name, source in given.items() if source is not None}


_EVALUATION = "evaluation "
"""Before the names of the files to measure on."""


def _files(
    place: Workspace, settings: TrainSettings, sources: Mapping[str, Source], evaluation: Mapping[str, Source] | None
) -> dict[str, Path]:
    """The files of the sources by name."""
    _require_settings(settings)
    _require_whole(sources, settings)
    if evaluation:
        _require_whole(evaluation, settings)
        if settings.held_out:
            raise InputError("held_out makes no difference with evaluation", "omit one of them")
    return place.files(**sources, **{_EVALUATION + name: source for name, source in (evaluation or {}).items()})


def _sides(files: Mapping[str, Path]) -> tuple[dict[str, Path], dict[str, Path]]:
    """The files to learn from, and those to measure on."""
    own = {name: path for name, path in files.items() if not name.startswith(_EVALUATION)}
    return own, {name.removeprefix(_EVALUATION): path for name, path in files.items() if name not in own}


def _require_whole(sources: Mapping[str, Source], settings: TrainSettings) -> None:
    """Refuse sources that lack one that the others need, or are of no use together."""
    if unknown := sources.keys() - {"problems", "chains", "labels", "values", "preferences"}:
        raise InputError(f"unknown data {min(unknown)!r}", "give problems, chains, labels, values or preferences")
    if "preferences" in sources:
        if len(sources) > 1:
            raise InputError("preferences come with problems and chains of their own", "omit the other data")
    elif not _is_whole(sources):
        raise InputError("there is nothing to train on", "give problems, chains and labels (or values), or preferences")
    if "chains" not in sources and "step" in heads_of(settings.objective):
        raise InputError(f"{min(sources)} alone hold no step labels", "train an ORM on them")
    if "values" in sources and settings.objective == "prm":
        raise makes_no_difference("values", settings.objective)
    if settings.outputs and "values" not in sources:
        raise InputError("there are no values for the outputs", "give values, or omit outputs")


def _is_whole(sources: Mapping[str, Source]) -> bool:
    has_chains = {"problems", "chains"} <= sources.keys() and {"labels", "values"} & sources.keys()
    return bool(has_chains) or sources.keys() == {"values"}


def _require_settings(settings: object) -> None:
    if not isinstance(settings, TrainSettings):
        given = f"TrainSettings(**{settings!r})" if isinstance(settings, dict) else "TrainSettings(base, …)"
        raise InputError(f"settings is a {type(settings).__name__}, not a prm.TrainSettings", f"give prm.{given}")


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def word_id(tokenizer: Any, word: str) -> int:
    """The id of a word that is one token.

    Raises:
        ModelError: it is several.
    """
    ids = tokenizer(word, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise ModelError(f"head_from: {word!r} is {len(ids)} tokens for this tokenizer", "give words of one token each")
    return int(ids[0])


def _manifest_settings(s: TrainSettings, *, has_evaluation: bool) -> dict[str, Any]:
    """The settings that the result depends on."""
    share = (0.0 if has_evaluation else DEFAULT_SHARE) if s.held_out is None else s.held_out
    return {
        "base": s.base, "objective": s.objective, "losses": s.terms, "labels_as": s.score_labels,
        "steps": s.steps, "class_balance": s.class_balance, "margin": s.margin, "label_smoothing": s.label_smoothing,
        "zeta": s.zeta, "beta": s.beta, "epochs": s.epochs, "max_steps": s.max_steps, "lr": s.lr, "warmup": s.warmup,
        "scheduler": s.scheduler, "weight_decay": s.weight_decay, "best": s.best, "patience": s.patience,
        "measure_every": s.measure_every if s.best else None,
        "batch_size": s.batch_size, "held_out": share, "max_length": s.max_length, "too_long": s.too_long,
        "precision": s.computation, "weights": s.weights, "optimizer": s.optimizer, "quantize": s.quantize,
        "lora_rank": s.lora_rank, "lora_alpha": s.lora_alpha, "lora_dropout": s.lora_dropout,
        "lora_targets": list(require_texts("lora_targets", s.lora_targets)), "keep_adapter": s.keep_adapter,
        "fsdp": s.fsdp, "separator": s.separator, "splitter": s.splitter, "chat": s.chat, "template": s.template,
        "form": s.form, "seed": s.seed, "head_from": list(s.head_from or ()), "members": s.members,
        "outputs": list(s.outputs), "processes": _processes(),
    }  # fmt: skip


def _fit_settings(s: TrainSettings) -> FitSettings:
    from .trainer import FitSettings

    return FitSettings(
        terms=s.terms,
        epochs=s.epochs,
        max_steps=s.max_steps,
        learning_rate=s.lr,
        warmup=s.warmup,
        scheduler=s.scheduler,
        weight_decay=s.weight_decay,
        batch_size=s.batch_size,
        tokens_per_pass=s.tokens_per_pass,
        options=s.loss_options,
        beta=s.beta,
        precision=s.computation,
        weights=s.weights,
        optimizer=s.optimizer,
        gradient_checkpointing=s.gradient_checkpointing,
        lora_rank=s.lora_rank,
        lora_alpha=s.lora_alpha,
        lora_dropout=s.lora_dropout,
        lora_targets=require_texts("lora_targets", s.lora_targets),
        keep_adapter=s.keep_adapter,
        fsdp=s.fsdp,
        offload=s.offload,
        measure_every=s.measure_every,
        save_every=s.save_every,
        best=s.best,
        patience=s.patience,
        report_to=_installed_reporters() if s.report_to is None else require_texts("report_to", s.report_to),
        seed=s.seed,
        members=s.members,
        outputs=s.outputs,
    )


def _installed_reporters() -> tuple[str, ...]:
    return ("tensorboard",) if find_spec("tensorboard") else ()


def _require_machine(settings: TrainSettings) -> None:
    """Refuse settings that this machine cannot heed.

    Raises:
        ModelError: a package is not installed or unknown, or the precision needs another device.
    """
    import torch
    from transformers.integrations import get_available_reporting_integrations

    installed = get_available_reporting_integrations()
    for name in require_texts("report_to", settings.report_to or ()):
        if name not in (*installed, "none"):
            raise ModelError(
                f"report_to={name!r} is unknown or not installed", f"here are: {', '.join(installed) or 'none'}"
            )
    needed = {
        "lora_rank": ("peft", bool(settings.lora_rank), "lora"),
        "quantize": ("bitsandbytes", bool(settings.quantize), "quantize"),
        "optimizer='adamw-8bit'": ("torchao", settings.optimizer == "adamw-8bit", "adamw-8bit"),
    }
    for what, (package, is_needed, extra) in needed.items():
        if is_needed and not find_spec(package):
            raise ModelError(f"{what} needs {package}, which is not installed", f'pip install "prm-toolkit[{extra}]"')
    if settings.fsdp and "WORLD_SIZE" not in os.environ:
        raise ModelError("fsdp needs the processes of torchrun", "torchrun --nproc-per-node N -m prm.cli train …")
    if settings.computation == "float16" and not torch.accelerator.is_available():
        raise ModelError("float16 cannot be trained on a CPU", "choose bfloat16 or float32")
    if settings.computation == "bfloat16" and torch.cuda.is_available() and not torch.cuda.is_bf16_supported():
        raise ModelError("this GPU has no bfloat16", "choose float16 or float32")


def _train(settings: TrainSettings, files: Mapping[str, Path], job: Job, work: Path, options: str) -> dict[str, Any]:
    """Write a checkpoint; gives the counts of its examples, and its metrics."""
    from .data.audit import example_lines
    from .data.preparation import prepare
    from .trainer import fit, load_for

    _require_machine(settings)
    with _without_progress_bars():
        prepared = prepare(settings, *_sides(files), _kept(job.output), waits=not is_main_process())
        show_audit(prepared.found)
        if not prepared.train:
            prepared.drops.write(job.output)
            reasons = "; ".join(f"{reason}: {number:,}" for reason, number in prepared.drops.by_reason().items())
            why = "everything is held out" if prepared.held_out else reasons or "there is no example"
            raise InputError(f"there is nothing to train on: {why}", f"lower held_out, or see {drops_path(job.output)}")
        if settings.best and not prepared.held_out:
            raise InputError(f"best={settings.best!r} needs something to measure on", "hold out more, or omit best")
        for line in example_lines(prepared.train[0], prepared.tokenizer):
            console.say(line)
        how = _fit_settings(settings)
        model = load_for(how, lambda: _load(settings, prepared, settings.weights, quantized=bool(settings.quantize)))
        is_exact = settings.weights == "float32" and not (settings.quantize or settings.fsdp)
        reload = None if is_exact else lambda: _load(settings, prepared, "float32")
        trained = fit(model, settings.objective, prepared.train, prepared.held_out, how, work, reload)
        counts: dict[str, Any] = {
            "chains": prepared.found["train"]["chains"],
            "held-out chains": prepared.found["held_out"]["chains"],
            **{name.replace("_", " "): one.value for name, one in trained.metrics.items() if one.value is not None},
        }
        if is_main_process():
            _write(job, work, prepared, trained, options)
            write_drops(prepared.drops, job.output, counts)
    return counts


def _load(settings: TrainSettings, prepared: Prepared, weights: Weights, *, quantized: bool = False) -> Any:
    """The backbone with its head, if it gets one; quantized, its linear layers compute as the whole does."""
    import torch

    from prm.models.checkpoint import begin_head, four_bits, load_model, load_policy

    if settings.objective == "implicit":
        bits = four_bits(getattr(torch, settings.computation), has_head=False) if quantized else None
        return load_policy(settings.base, getattr(torch, weights), bits)
    model = load_model(
        settings.base,
        settings.objective,
        prepared.pad_id,
        settings.seed,
        getattr(torch, weights),
        members=settings.members,
        outputs=settings.outputs,
        quantization=four_bits(getattr(torch, settings.computation)) if quantized else None,
    )
    if settings.head_from:
        words = [word_id(prepared.tokenizer, word) for word in settings.head_from]
        begin_head(model, settings.objective, settings.base, words)
    return model


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Hide those of transformers: ours shows the progress, and theirs would come again with every saved state."""
    from transformers.utils import logging

    was_shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_shown:
            logging.enable_progress_bar()


def _write(job: Job, work: Path, prepared: Prepared, trained: Trained, options: str) -> None:
    """Write the checkpoint and all that belongs beside it."""
    from prm.models.checkpoint import Metadata, save_model
    from prm.models.decoders import form_of

    from .card import model_card
    from .trainer import ADAPTER, LOG

    reading = _seen_from(job.output, prepared.reading)
    kind = reading.kind if isinstance(reading, Metadata) else None
    with whole_directory(job.output) as directory:
        save_model(trained.config, trained.weights, kind, directory)
        prepared.tokenizer.pad_token_id = prepared.pad_id  # as in the configuration
        prepared.tokenizer.save_pretrained(directory)
        reading.save(directory)
        write_json(directory / "audit.json", prepared.found)
        measured = {name: asdict(one) for name, one in trained.metrics.items()}
        write_json(directory / LOG, {"log": trained.log, "held_out": measured})
        is_plain = kind is None or form_of(trained.config, kind).is_plain
        card = model_card(reading, is_plain, job.settings, job.digests, prepared.found, trained.metrics)
        (directory / "README.md").write_text(card, encoding="utf-8")
        (directory / OPTIONS).write_text(options, encoding="utf-8")
        _draw(trained.log, directory / "training.png")
        for part in ("tensorboard", ADAPTER):
            if (work / part).is_dir():
                shutil.copytree(work / part, directory / part)


def _seen_from(place: Path, reading: Metadata | Dialect) -> Metadata | Dialect:
    """The same, with the way from this directory to a reference that is a directory: both may be moved together."""
    from prm.models.dialects import Dialect

    if not isinstance(reading, Dialect) or not Path(reading.companion or "").is_dir():
        return reading
    return replace(reading, companion=os.path.relpath(reading.companion or "", place))


def _draw(log: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw the curves; a failure here must not spoil a finished training."""
    try:
        path.write_bytes(training_curves(log))
    except PrmError as error:
        console.say(f"no plot of the training: {error}")
