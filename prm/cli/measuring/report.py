"""Commands that show results: `report`, one HTML page, and `leaderboard`, one table."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..options import OutFile, Overwrite

Results = Annotated[list[Path], typer.Argument(help="results of `prm eval`", show_default=False)]


class Form(StrEnum):
    """Format of a leaderboard."""

    markdown = "markdown"
    json = "json"
    latex = "latex"
    lm_eval = "lm-eval"


def report(
    results: Results,
    out: OutFile,
    browse: Annotated[int, typer.Option(min=0, help="maximum number of chains in the page")] = 5000,
    figures: Annotated[
        Path | None,
        typer.Option(help="directory for every chart as SVG, PDF and CSV, as wide as one column of a paper"),
    ] = None,
    report_to: Annotated[
        list[str] | None,
        typer.Option(help="wandb, mlflow, inspect:DIRECTORY or hub:USER/MODEL: where results go too; repeatable"),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Results → one HTML page: numbers with intervals, charts, and a browser of chains. Needs no network."""
    from prm.benchmarks.report import job

    job.report(results, out, browse=browse, figures=figures, report_to=report_to or (), overwrite=overwrite)


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
    from prm.benchmarks.report import job

    board = job.leaderboard(
        results, out, form=form.value, variants=variant or [], allow_mixed=allow_mixed, overwrite=overwrite
    )
    if out is None:
        typer.echo(board, nl=False)
