"""Commands between our records and other tools' files: `import` and `export`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from prm import console
from prm.data.drops import Drops
from prm.data.files import by_id, read_chains, read_problems, read_records, write_records
from prm.data.formats import FORMATS, Imported, read_public, tell_format
from prm.data.formats.export import FORMATS as FORMATS_WRITTEN
from prm.data.formats.export import SOFT, export_rows, push_dataset, save_dataset, write_rows
from prm.data.formats.solutions import TAG, KnownProblems, Reading
from prm.data.jobs import making, write_drops
from prm.data.joining import LabeledChain, join_rows
from prm.data.manifest import Job
from prm.data.records import LabelView, Problem, StepLabels
from prm.errors import InputError

from .options import Chains, Overwrite, Problems, Splitter

_TAG_HELP = f"what ends a step in the text (math-shepherd, openrlhf); default: {TAG}"


def import_(
    file: Annotated[Path, typer.Argument(help="rows of another tool: JSONL, or .json with a list of objects")],
    out: Annotated[Path, typer.Option(help="directory for problems.jsonl, chains.jsonl and labels.jsonl")],
    name: Annotated[
        str | None,
        typer.Option("--format", help=f"{', '.join(FORMATS)}; default: told by the fields of the first row"),
    ] = None,
    problems: Annotated[
        Path | None,
        typer.Option(help="known problems: they keep their ids and answers, and tell where a solution begins"),
    ] = None,
    neutral_is_wrong: Annotated[
        bool, typer.Option("--neutral-is-wrong", help="prm800k: count a rating of 0 as wrong (TRL did); default: right")
    ] = False,
    tag: Annotated[str | None, typer.Option(help=_TAG_HELP)] = None,
    splitter: Annotated[
        str | None, typer.Option(help="text: what ends a step, as in `prm sample`; default: newline")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Another tool's chains and step labels → ours, ready for `prm train`.

    Labels come out as the file says them. Rows that cannot be used are written down and counted.
    """
    given = {"neutral_is_right": False if neutral_is_wrong else None, "tag": tag, "splitter": splitter}
    settings: dict[str, Any] = {option: value for option, value in given.items() if value is not None}
    name = name or _told(file)
    _require_used(name, settings)
    inputs = {"file": file, **({"problems": problems} if problems else {})}
    others = (out / "problems.jsonl", out / "labels.jsonl")
    job = Job(out / "chains.jsonl", "import", {"format": name, **settings}, inputs, others)
    with making(job, "import", overwrite) as counts:
        if counts is not None:
            known = KnownProblems(read_problems(problems) if problems else ())
            reading = replace(Reading(known=known), **settings)
            counts |= _import(job, lambda drops: read_public(file, name, reading, drops))


def export(
    problems: Problems,
    chains: Chains,
    labels: Annotated[Path, typer.Option(help="step labels, from `prm label` or `prm import`")],
    out: Annotated[Path, typer.Option(help="JSONL file to write; with --format datasets, a directory")],
    name: Annotated[str, typer.Option("--format", help=", ".join(FORMATS_WRITTEN))],
    view: Annotated[
        str, typer.Option("--labels-as", help=f"hard; or soft, pooled: shares of right rollouts ({', '.join(SOFT)})")
    ] = "hard",
    tag: Annotated[str | None, typer.Option(help=_TAG_HELP)] = None,
    hub: Annotated[
        str | None, typer.Option(help="datasets: push it to this Hub repository too, OWNER/NAME, private if it is new")
    ] = None,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Step labels → the rows that another tool trains on.

    A chain is left out whole where one of its steps has no label, or where its text holds what the format marks steps
    with; these chains are written down and counted. Math-Shepherd's steps are numbered where they are not.
    """
    if name not in FORMATS_WRITTEN or view not in get_args(LabelView):
        choices = f"formats: {', '.join(FORMATS_WRITTEN)}; labels: {', '.join(get_args(LabelView))}"
        raise InputError(f"--format {name} --labels-as {view}", choices)
    if view != "hard" and name not in SOFT:
        raise InputError(
            f"--format {name} cannot carry {view} labels", f"--labels-as hard, or one of {', '.join(SOFT)}"
        )
    _require_used(name, {option: value for option, value in {"tag": tag, "hub": hub}.items() if value is not None})
    settings = {"format": name, "labels_as": view, "tag": tag or TAG, "splitter": splitter}
    job = Job(out, "export", settings, {"problems": problems, "chains": chains, "labels": labels})
    with making(job, "export", overwrite) as counts:
        if counts is not None:
            drops, files = Drops(), (by_id(read_problems(problems)), by_id(read_chains(chains, splitter)))
            joined = join_rows(*files, read_records(labels, StepLabels), drops)
            counts |= _export(job, joined, drops)
    if hub:
        push_dataset(out, hub)
        console.say(f"  https://huggingface.co/datasets/{hub}")


def _export(job: Job, joined: list[LabeledChain], drops: Drops) -> dict[str, Any]:
    s = job.settings
    rows = list(export_rows(joined, s["format"], s["labels_as"], drops, s["tag"]))
    if not rows:
        reasons = "; ".join(drops.by_reason())
        raise InputError(f"{job.inputs['labels']}: no chain can be written: {reasons}", "try the other --labels-as")
    if s["format"] == "datasets":
        save_dataset(job.output, rows, s["labels_as"])
    else:
        write_rows(job.output, rows)
    counts: dict[str, Any] = {"chains": len(rows)}
    write_drops(drops, job.output, counts)
    return counts


def _told(file: Path) -> str:
    name = tell_format(file)
    console.say(f"{file}: read as {name}, by its fields")
    return name


_USED_BY = {
    "neutral_is_right": ("prm800k",),
    "tag": ("math-shepherd", "openrlhf"),
    "splitter": ("text",),
    "hub": ("datasets",),
}
"""Which formats look at an option."""


def _require_used(name: str, settings: Mapping[str, Any]) -> None:
    if not str(settings.get("tag", TAG)).strip():
        raise InputError("--tag is blank", "give a text that stands in no step")
    unused = [option for option in settings if name not in _USED_BY[option]]
    if unused:
        option = unused[0].replace("_right", "_wrong").replace("_", "-")
        raise InputError(f"--{option} says nothing of --format {name}", f"leave --{option} out")


def _import(job: Job, rows: Callable[[Drops], Iterator[Imported]]) -> dict[str, Any]:
    """Write the three files, each from one reading, so that no file need fit into memory; the chains last."""
    out, drops, counts = job.output.parent, Drops(), dict[str, Any]()
    problems = _problems(rows(drops))
    if not problems:
        reasons = "; ".join(drops.by_reason())
        raise InputError(f"{job.inputs['file']}: no row can be used: {reasons}", "is it the right --format?")
    labels = (found for _, _, found in rows(Drops()) if found is not None)
    counts["problems"] = write_records(out / "problems.jsonl", problems.values())
    counts["labeled chains"] = write_records(out / "labels.jsonl", labels)
    if not counts["labeled chains"]:
        (out / "labels.jsonl").unlink()
    write_drops(drops, job.output, counts)
    counts["chains"] = write_records(job.output, (chain for _, chain, _ in rows(Drops())))
    return counts


def _problems(rows: Iterator[Imported]) -> dict[str, Problem]:
    """The problems by id, with the answer of whichever row has one."""
    problems: dict[str, Problem] = {}
    for problem, _, _ in rows:
        earlier = problems.get(problem.id, problem)
        problems[problem.id] = problem if earlier.answer is None else earlier
    return problems
