"""Commands that show results: `report`, one HTML page, and `leaderboard`, one table."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prm.data.jobs import making
from prm.data.manifest import Job
from prm.errors import InputError

from .options import Out, Overwrite

if TYPE_CHECKING:
    from prm.benchmarks.results import Result

Results = Annotated[list[Path], typer.Argument(help="results of `prm eval`", show_default=False)]


class Form(StrEnum):
    """Format of a leaderboard."""

    markdown = "markdown"
    json = "json"
    latex = "latex"


def report(
    results: Results,
    out: Out,
    browse: Annotated[int, typer.Option(min=0, help="maximum number of chains in the page")] = 5000,
    overwrite: Overwrite = False,
) -> None:
    """Results → one HTML page: numbers with intervals, charts, and a browser of chains. Needs no network."""
    from prm.benchmarks.results import shown_path

    results = _without_manifests(results)
    beside = {f"chains of {path}": shown_path(path) for path in results if shown_path(path).exists()}
    job = Job(out, "report", {"browse": browse}, {str(path): path for path in results} | beside)
    with making(job, "report", overwrite) as counts:
        if counts is not None:
            from prm.benchmarks.report.page import make_page
            from prm.benchmarks.results import read_shown
            from prm.data.writing import write_bytes

            read = _read(results)
            page = make_page(
                read, {name: read_shown(shown_path(path)) for name, path in zip(read, results, strict=True)}, browse
            )
            write_bytes(out, page.html.encode())
            counts |= {"results": len(read), "chains": page.shown}
            if page.shown < page.total:
                counts["chains left out (--browse)"] = page.total - page.shown


def leaderboard(
    results: Results,
    form: Annotated[Form, typer.Option("--format", help="output format")] = Form.markdown,
    out: Annotated[Path | None, typer.Option(help="file to write (default: print it)")] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="variant to show if a scorer has several numbers on a suite, such as one per aggregator; repeatable; "
            "'all' shows every one (default: the first)"
        ),
    ] = None,
    allow_mixed: Annotated[
        bool, typer.Option("--allow-mixed", help="accept results whose settings or data differ, and say so in a note")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Results → one table: one row per scorer, one column per suite."""
    results = _without_manifests(results)
    if out is None:
        typer.echo(_leaderboard(results, form, variant or [], allow_mixed), nl=False)
        return
    settings = {"format": form.value, "variant": variant or [], "allow_mixed": allow_mixed}
    job = Job(out, "leaderboard", settings, {str(path): path for path in results})
    with making(job, "leaderboard", overwrite) as counts:
        if counts is not None:
            from prm.data.writing import write_bytes

            write_bytes(out, _leaderboard(results, form, variant or [], allow_mixed).encode())
            counts["results"] = len(results)


def _leaderboard(results: Sequence[Path], form: Form, variants: Sequence[str], allow_mixed: bool) -> str:
    from prm.benchmarks.report.leaderboard import leaderboard as make
    from prm.benchmarks.report.leaderboard import write

    return write(make(_read(results), variants, allow_mixed=allow_mixed), form.value)


def _without_manifests(paths: Sequence[Path]) -> list[Path]:
    """Leave out manifests, which a `*` matches too."""
    return [path for path in paths if not path.name.endswith(".manifest.json")] or list(paths)


def _read(paths: Sequence[Path]) -> dict[str, Result]:
    """Read results, by file name; by path where two share a name.

    Raises:
        InputError: a file is not a result, or is given twice.
    """
    from prm.benchmarks.results import read_result

    double = next((path for i, path in enumerate(paths) if path in paths[:i]), None)
    if double is not None:
        raise InputError(f"{double}: is given twice", "give each result once")
    names = [path.name for path in paths]
    return {path.name if names.count(path.name) == 1 else str(path): read_result(path) for path in paths}
