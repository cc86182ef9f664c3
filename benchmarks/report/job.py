"""The jobs of this folder: results → one page, or one table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from prm.data.jobs import Output, Workspace, making
from prm.data.manifest import Job
from prm.data.writing import write_bytes
from prm.errors import InputError

from ..results import Result, read_result, read_shown, shown_path
from .figures import write_figures
from .leaderboard import BoardFormat
from .leaderboard import leaderboard as make_board
from .leaderboard import write as write_board
from .page import make_page
from .sharing import require_targets, share

Evaluated = str | os.PathLike[str] | Output
"""A file that `prm eval` wrote, or what `prm.evaluate` returned."""


def report(
    results: Sequence[Evaluated],
    out: str | Path | None = None,
    *,
    browse: int = 5000,
    figures: str | Path | None = None,
    report_to: Sequence[str] = (),
    overwrite: bool = False,
) -> Output:
    """Make one HTML page of results: numbers with intervals, charts, and a browser of chains. It needs no network.

    Args:
        results: at least one.
        out: the page; None for a temporary file.
        browse: the most chains in the page.
        figures: a directory for every chart as SVG, PDF and CSV, one column wide; None for none.
        report_to: where headline numbers, page and results go besides: "wandb", "mlflow", "inspect:DIRECTORY" (a log
            of Inspect for each scorer) or "hub:USER/MODEL" (into the model card; of one scorer). Nothing is sent for a
            page that is already there.
        overwrite: replace an existing output.

    Raises:
        PrmError: a result or the output cannot be used, or a result is given twice.
    """
    place, paths = Workspace(out, "report.html"), paths_of(results)
    beside = {f"chains of {path}": shown_path(path) for path in paths if shown_path(path).exists()}
    settings = {"browse": browse} | ({} if figures is None else {"figures": str(figures)})
    job = Job(place.out, "report", settings, {str(path): path for path in paths} | beside)
    with making(job, "report", overwrite) as counts:
        if counts is not None:
            read = read_each(paths)
            require_targets(report_to, read)
            shown = {name: read_shown(shown_path(path)) for name, path in zip(read, paths, strict=True)}
            page = make_page(read, shown, browse)
            write_bytes(place.out, page.html.encode())
            counts |= {"results": len(read), "chains": page.shown}
            if figures is not None:
                counts["figures"] = write_figures(read, Path(figures))
            share(report_to, read, place.out, paths)
            if page.shown < page.total:
                counts["chains left out (--browse)"] = page.total - page.shown
    return place.output(job)


def leaderboard(
    results: Sequence[Evaluated],
    out: str | Path | None = None,
    *,
    form: BoardFormat = "markdown",
    variants: Sequence[str] = (),
    allow_mixed: bool = False,
    overwrite: bool = False,
) -> str:
    """One table of results: a row per scorer, a column per suite.

    Args:
        results: at least one.
        out: a file for the table; None for none.
        form: "markdown", "json", "latex" or "lm-eval" (a scorer's results in the shape of lm-evaluation-harness).
        variants: which to show if a scorer has several numbers on a suite; "all" for every one; none for the first.
        allow_mixed: accept results whose settings or data differ; a note says so.
        overwrite: replace an existing output.

    Returns:
        The table.

    Raises:
        PrmError: a result or the output cannot be used, or a result is given twice.
    """
    paths = paths_of(results)
    if out is None:
        return write_board(make_board(read_each(paths), variants, allow_mixed=allow_mixed), form)
    settings = {"format": form, "variant": list(variants), "allow_mixed": allow_mixed}
    job = Job(Path(out), "leaderboard", settings, {str(path): path for path in paths})
    with making(job, "leaderboard", overwrite) as counts:
        if counts is not None:
            board = write_board(make_board(read_each(paths), variants, allow_mixed=allow_mixed), form)
            write_bytes(job.output, board.encode())
            counts["results"] = len(paths)
    return job.output.read_text(encoding="utf-8")


def paths_of(results: Sequence[Evaluated]) -> list[Path]:
    """The files of results, without manifests, which a `*` matches too."""
    if isinstance(results, str | os.PathLike | Output):
        raise InputError("results is one result, not a list of them", "give a list")
    paths = [result.path if isinstance(result, Output) else Path(result) for result in results]
    return [path for path in paths if not path.name.endswith(".manifest.json")] or paths


def read_each(paths: Sequence[Path]) -> dict[str, Result]:
    """Read results, by file name; by path where two share a name.

    Raises:
        InputError: a file is not a result, or is given twice.
    """
    double = next((path for i, path in enumerate(paths) if path in paths[:i]), None)
    if double is not None:
        raise InputError(f"{double}: is given twice", "give each result once")
    names = [path.name for path in paths]
    return {path.name if names.count(path.name) == 1 else str(path): read_result(path) for path in paths}
