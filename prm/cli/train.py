"""`prm train`: step labels → checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from prm import console
from prm.cli.jobs import making, write_drops
from prm.cli.options import Chains, Chat, Overwrite, Problems, Seed, Splitter
from prm.drops import Drops
from prm.errors import InputError
from prm.examples import GroupExample, Row, StepExample, group_examples, join_rows, step_examples
from prm.files import by_id, read_chains, read_problems, read_records
from prm.manifest import Job
from prm.records import Chain, LabelView, Problem, StepLabels
from prm.rendering import Renderer
from prm.shares import is_in_share
from prm.writing import whole_directory

if TYPE_CHECKING:
    from prm.checkpoint import Metadata


def train(
    base: Annotated[str, typer.Option(help="backbone: Hugging Face directory or Hub name")],
    problems: Problems,
    chains: Chains,
    labels: Annotated[Path, typer.Option(help="step labels, from `prm label`")],
    out: Annotated[Path, typer.Option(help="checkpoint directory to write")],
    objective: Annotated[
        str, typer.Option(help="prm (per-step loss) or orm (Bradley-Terry on all pairs of a right and a wrong chain)")
    ] = "prm",
    view: Annotated[str, typer.Option("--labels-as", help="hard, soft or pooled step labels (prm only)")] = "hard",
    steps: Annotated[str, typer.Option(help="learn from all steps, or up to the first-error (prm)")] = "all",
    epochs: Annotated[float, typer.Option(min=0.001)] = 1.0,
    lr: Annotated[float, typer.Option(min=0.0, help="peak learning rate")] = 1e-5,
    batch_size: Annotated[int, typer.Option(min=1, help="chains (prm) or problems (orm) in an optimiser step")] = 64,
    outcome_weight: Annotated[
        float, typer.Option(min=0.0, help="weight of the chain's outcome predicted at every step (orm)")
    ] = 0.0,
    lm_weight: Annotated[float, typer.Option(min=0.0, help="weight of an auxiliary next-token loss (orm)")] = 0.0,
    held_out: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="share of problems to measure on, not train on")
    ] = 0.05,
    separator: Annotated[str, typer.Option(help=r"ends every step; \n is a newline")] = r"\n",
    splitter: Splitter = "newline",
    chat: Chat = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Labels → checkpoint: a step head (PRM) or an outcome head (ORM) on a backbone."""
    if steps not in ("all", "first-error"):
        raise InputError(f"there is no --steps {steps!r}", "choose from all, first-error")
    if objective not in ("prm", "orm") or view not in get_args(LabelView):
        raise InputError(
            f"--objective {objective} --labels-as {view}", "objectives: prm, orm; labels: hard, soft, pooled"
        )
    settings = {
        "base": base, "objective": objective, "labels_as": view if objective == "prm" else "outcome", "steps": steps,
        "epochs": epochs, "lr": lr, "batch_size": batch_size, "outcome_weight": outcome_weight, "lm_weight": lm_weight,
        "held_out": held_out, "separator": separator, "splitter": splitter,
        "chat": chat, "seed": seed,
    }  # fmt: skip
    job = Job(out, "train", settings, {"problems": problems, "chains": chains, "labels": labels})
    with making(job, f"{objective.upper()} checkpoint", overwrite) as counts:
        if counts is not None:
            files = by_id(read_problems(problems)), by_id(read_chains(chains, splitter))
            counts |= _train(job, *files, list(read_records(labels, StepLabels)))


def _train(
    job: Job, problems: Mapping[str, Problem], chains: Mapping[str, Chain], labels: Iterable[StepLabels]
) -> dict[str, Any]:
    """Write a checkpoint and return the counts of what went into it and its measures."""
    from prm import training
    from prm.checkpoint import load_model, load_tokenizer, make_renderer

    s, drops, metadata = job.settings, Drops(), _metadata(job.settings)
    tokenizer = load_tokenizer(s["base"])
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    model = load_model(s["base"], s["objective"], pad_id, s["seed"])
    renderer, longest = make_renderer(tokenizer, metadata), model.config.max_position_embeddings
    made = _examples(s, join_rows(problems, chains, labels, drops), renderer, longest, drops)
    kept = [e for e in made if not is_in_share(e.problem_id, s["held_out"])]
    measured = [e for e in made if is_in_share(e.problem_id, s["held_out"])]
    console.say(f"training on {len(kept):,} examples, measuring on {len(measured):,} of other problems")
    options = training.Settings(
        s["epochs"], s["lr"], s["batch_size"], s["outcome_weight"], s["lm_weight"], seed=s["seed"]
    )
    with whole_directory(job.output) as partial:
        log = training.train(model, kept, options, partial)
        metrics = training.evaluate(model, measured)
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        metadata.save(partial)
        (partial / "training_log.json").write_text(json.dumps({"log": log, "held_out": metrics}, indent=1) + "\n")
        counts: dict[str, Any] = {"examples": len(kept), "held-out examples": len(measured)}
        counts |= {name.replace("_", " "): value for name, value in metrics.items() if value is not None}
        write_drops(drops, job.output, counts)
    return counts


def _metadata(settings: Mapping[str, Any]) -> Metadata:
    from prm.checkpoint import Metadata

    try:  # as Latin-1, because that is what `unicode_escape` reads; what it lacks is escaped
        separator = settings["separator"].encode("latin-1", "backslashreplace").decode("unicode_escape")
        return Metadata(settings["objective"], separator, settings["chat"], settings["labels_as"])
    except ValueError as error:
        raise InputError(f"--separator {settings['separator']!r}: {error}", r"give a text, such as \n") from error


def _examples(
    settings: Mapping[str, Any], rows: list[Row], renderer: Renderer, longest: int, drops: Drops
) -> Sequence[StepExample | GroupExample]:
    if settings["objective"] == "orm":
        return group_examples(rows, renderer, longest, drops)
    return step_examples(rows, renderer, settings["labels_as"], longest, drops, settings["steps"])
