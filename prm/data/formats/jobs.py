"""The jobs of this room: other tools' files → our records, and our step labels → other tools' files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from prm import console
from prm.errors import InputError, require_known

from ..drops import Drops
from ..files import ProblemFile, read_problems, read_records, sound_chains, write_records
from ..jobs import Output, Records, Source, Workspace, making, write_drops
from ..joining import join_rows
from ..manifest import Job
from ..records import BOOLEAN_VIEWS, Chain, Drop, LabelView, Problem, StepLabels
from .exporting import export_rows
from .importing import ImportedRow, read_public, tell_format
from .saving import push_dataset
from .solutions import TAG, KnownProblems, Reading
from .table import FORMATS, FORMATS_READ, FORMATS_WITH_SHARES, FORMATS_WRITTEN


@dataclass(frozen=True, slots=True)
class Imported:
    """Another tool's rows as our records, in three files of one directory."""

    problems: Records[Problem]
    chains: Records[Chain]
    labels: Records[StepLabels] | None
    """None if the format has no labels."""

    @property
    def drops(self) -> list[Drop]:
        """The rows that could not be used, each with its reason."""
        return self.chains.drops


def import_rows(
    rows: Source,
    out: str | Path | None = None,
    *,
    format: str | None = None,  # noqa: A002
    problems: Source | None = None,
    neutral_is_right: bool = True,
    tag: str | None = None,
    splitter: str | None = None,
    overwrite: bool = False,
) -> Imported:
    """Read chains and step labels of another tool. Labels stay as the rows have them.

    Args:
        rows: of another tool, see `prm.Source`.
        out: directory for problems.jsonl, chains.jsonl and labels.jsonl; None for a temporary one.
        format: name in `prm.data.formats.FORMATS_READ`; None to recognize it by the fields of the first row.
        problems: known problems, which keep their ids and answers, and show where a solution begins.
        neutral_is_right: "prm800k": whether a rating of 0 counts as right; else it is wrong. "trajectories": whether a
            turn labeled 0 has no label; else it is wrong.
        tag: "math-shepherd" and "openrlhf": text that ends a step; None for Math-Shepherd's.
        splitter: "text": cuts solutions into steps; None for "newline".
        overwrite: whether to replace an existing output.

    Raises:
        PrmError: an input, a setting or the output cannot be used.
    """
    place = Workspace(out, "imported")
    files = place.files(rows=rows, problems=problems)
    file = files.pop("rows")
    name = format or _told(file)
    require_known("format", name, FORMATS_READ)
    settings = _settings(name, neutral_is_right=None if neutral_is_right else False, tag=tag, splitter=splitter)
    others = (place.out / "problems.jsonl", place.out / "labels.jsonl")
    job = Job(place.out / "chains.jsonl", "import", {"format": name, **settings}, {"file": file, **files}, others)
    with making(job, "import", overwrite) as counts:
        if counts is not None:
            known = KnownProblems(read_problems(files["problems"]) if files else ())
            reading = replace(Reading(known=known), **settings)
            counts |= _write_imported(file, place.out, lambda drops: read_public(file, name, reading, drops))
    return _imported(job, place)


def _told(file: Path) -> str:
    name = tell_format(file)
    console.say(f"{file}: read as {name}, by its fields")
    return name


def _write_imported(file: Path, out: Path, rows: Callable[[Drops], Iterator[ImportedRow]]) -> dict[str, Any]:
    """Write the three files, each in a pass of its own, so that none has to fit into memory; the chains last."""
    drops, counts = Drops(), dict[str, Any]()
    problems = _problems(rows(drops))
    if not problems:
        raise InputError(f"{file}: no row can be used: {'; '.join(drops.by_reason())}", "is it the right format?")
    labels = (found for _, _, found in rows(Drops()) if found is not None)
    counts["problems"] = write_records(out / "problems.jsonl", problems.values())
    counts["labeled chains"] = write_records(out / "labels.jsonl", labels)
    if not counts["labeled chains"]:
        (out / "labels.jsonl").unlink()
    write_drops(drops, out / "chains.jsonl", counts)
    counts["chains"] = write_records(out / "chains.jsonl", (chain for _, chain, _ in rows(Drops())))
    return counts


def _problems(rows: Iterator[ImportedRow]) -> dict[str, Problem]:
    """The problems by id, with the answer of the first row that has one."""
    problems: dict[str, Problem] = {}
    for problem, _, _ in rows:
        earlier = problems.get(problem.id, problem)
        problems[problem.id] = problem if earlier.answer is None else earlier
    return problems


def _imported(job: Job, place: Workspace) -> Imported:
    counts, (problems, labels) = job.counts(), job.unfinished
    return Imported(
        problems=Records(problems, Problem, counts, place),
        chains=place.records(job, Chain),
        labels=Records(labels, StepLabels, counts, place) if labels.exists() else None,
    )


def export_labels(
    problems: Source,
    chains: Source,
    labels: Source,
    out: str | Path | None = None,
    *,
    format: str,  # noqa: A002
    labels_as: LabelView = "hard",
    tag: str | None = None,
    hub: str | None = None,
    splitter: str = "newline",
    overwrite: bool = False,
) -> Output:
    """Write step labels as the rows that another tool trains on.

    A chain is dropped whole if one of its steps has no label, or if its text contains a mark of the format.

    Args:
        problems: of the chains, see `prm.Source`.
        chains: the labeled chains.
        labels: their step labels, from `prm.label` or `prm.import_rows`.
        out: JSONL file, or a directory for the format "datasets"; None for a temporary one.
        format: name in `prm.data.formats.FORMATS_WRITTEN`.
        labels_as: "hard" or "relative"; or numbers, which only some formats can hold: "soft" or "pooled", shares of
            right rollouts, "denoised", or "progress", differences in [-1, 1]; see `prm.StepLabels`.
        tag: "math-shepherd" and "openrlhf": text that ends a step; None for Math-Shepherd's.
        hub: "datasets": push it to this repository of the Hub too, OWNER/NAME, private if it is new.
        splitter: cuts solutions that are given as one text into steps.
        overwrite: whether to replace an existing output.

    Raises:
        PrmError: an input, a setting or the output cannot be used.
    """
    require_known("format", format, FORMATS_WRITTEN)
    _require_view(format, labels_as)
    tag = _settings(format, tag=tag, hub=hub).get("tag", TAG)
    place = Workspace(out, "rows" if format == "datasets" else "rows.jsonl")
    files = place.files(problems=problems, chains=chains, labels=labels)
    settings = {"format": format, "labels_as": labels_as, "tag": tag, "splitter": splitter}
    job = Job(place.out, "export", settings, files)
    with making(job, "export", overwrite) as counts:
        if counts is not None:
            drops, known = Drops(), ProblemFile(files["problems"])
            split = sound_chains(files["chains"], splitter, known, drops.add)
            joined = join_rows(known, split, read_records(files["labels"], StepLabels), drops)
            rows = list(export_rows(joined, format, labels_as, drops, tag))
            if not rows:
                reasons = "; ".join(drops.by_reason())
                raise InputError(f"{files['labels']}: no chain can be written: {reasons}", "try other labels_as")
            FORMATS[format].save(place.out, rows, labels_as)
            counts["chains"] = len(rows)
            write_drops(drops, place.out, counts)
    if hub:
        push_dataset(place.out, hub)
        console.say(f"  https://huggingface.co/datasets/{hub}")
    return place.output(job)


def _require_view(name: str, view: str) -> None:
    require_known("labels_as", view, get_args(LabelView))
    if view not in BOOLEAN_VIEWS and name not in FORMATS_WITH_SHARES:
        raise InputError(
            f"the format {name!r} cannot carry {view} labels",
            f"choose hard labels, or one of the formats {', '.join(FORMATS_WITH_SHARES)}",
        )


def _settings(name: str, **settings: Any) -> dict[str, Any]:
    """The settings that were given, all of which the format must use."""
    given = {setting: value for setting, value in settings.items() if value is not None}
    if not str(given.get("tag", TAG)).strip():
        raise InputError(f"tag={given['tag']!r} is blank", "give a text that occurs in no step")
    unused = next((setting for setting in given if setting not in FORMATS[name].settings), None)
    if unused is not None:
        raise InputError(f"{unused}={given[unused]!r} has no effect on the format {name!r}", f"omit {unused}")
    return given
