"""Commands between our records and other tools' files: `import` and `export`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from prm.data.formats import FORMATS, FORMATS_READ, FORMATS_WRITTEN, jobs
from prm.data.formats.solutions import TAG
from prm.data.formats.table import FORMATS_WITH_SHARES

from .options import Chains, Overwrite, Problems, Splitter

_TAG_HELP = f"text that ends a step (math-shepherd, openrlhf); default: {TAG}"


def _described(names: Iterable[str]) -> str:
    """The help on formats: each name, with what its rows hold."""
    return "; ".join(f"{name} ({FORMATS[name].help})" for name in names)


def import_(
    file: Annotated[Path, typer.Argument(help="rows of another tool: a file or folder")],
    out: Annotated[Path, typer.Option(help="directory for problems.jsonl, chains.jsonl and labels.jsonl")],
    name: Annotated[
        str | None,
        typer.Option(
            "--format", help=f"{_described(FORMATS_READ)}; default: recognized by the fields of the first row"
        ),
    ] = None,
    problems: Annotated[
        Path | None,
        typer.Option(help="known problems: they keep their ids and answers, and show where a solution begins"),
    ] = None,
    neutral_is_wrong: Annotated[
        bool,
        typer.Option(
            "--neutral-is-wrong",
            help="prm800k, trajectories: count a label of 0 as wrong (TRL did); default: right in prm800k, "
            "none in trajectories",
        ),
    ] = False,
    tag: Annotated[str | None, typer.Option(help=_TAG_HELP)] = None,
    splitter: Annotated[
        str | None, typer.Option(help="text: cuts solutions into steps, as in `prm sample`; default: newline")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Another tool's chains and step labels → ours, ready for `prm train`.

    Labels stay as the file has them. Rows that cannot be used are written down and counted.
    """
    jobs.import_rows(
        file, out,
        format=name, problems=problems, neutral_is_right=not neutral_is_wrong, tag=tag, splitter=splitter,
        overwrite=overwrite,
    )  # fmt: skip


def export(
    problems: Problems,
    chains: Chains,
    labels: Annotated[Path, typer.Option(help="step labels, from `prm label` or `prm import`")],
    out: Annotated[Path, typer.Option(help="JSONL file; with --format datasets, a directory")],
    name: Annotated[str, typer.Option("--format", help=_described(FORMATS_WRITTEN))],
    view: Annotated[
        str,
        typer.Option(
            "--labels-as",
            help="hard or relative; or soft, pooled, denoised or progress, which are numbers "
            f"({', '.join(FORMATS_WITH_SHARES)})",
        ),
    ] = "hard",
    tag: Annotated[str | None, typer.Option(help=_TAG_HELP)] = None,
    hub: Annotated[
        str | None,
        typer.Option(help="datasets: push it to this repository of the Hub too, OWNER/NAME, private if it is new"),
    ] = None,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Step labels → the rows that another tool trains on.

    A chain is dropped whole if one of its steps has no label, or if its text contains a mark of the format; dropped
    chains are written down and counted. Steps for Math-Shepherd are numbered if they are not yet.
    """
    labels_as: Any = view  # the job refuses an unknown view
    jobs.export_labels(
        problems, chains, labels, out,
        format=name, labels_as=labels_as, tag=tag, hub=hub, splitter=splitter, overwrite=overwrite,
    )  # fmt: skip
