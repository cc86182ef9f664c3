"""The command `compare`: results of one suite, paired over the rows that they share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import Overwrite, Seed
from .report import Results


def compare(
    results: Results,
    by: Annotated[
        str | None, typer.Option(help="also compare within each value of this field of the rows; split is one")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="name of a metric (default: the suite's main one)")] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="variant to compare if a scorer has several numbers, such as one per aggregator, or a baseline; "
            "repeatable; 'all' takes every one (default: each scorer's first)"
        ),
    ] = None,
    moved: Annotated[int, typer.Option(min=0, help="rows to show that moved, each way; the file holds all")] = 2,
    out: Annotated[Path | None, typer.Option(help="file to write, with every row that moved")] = None,
    draws: Annotated[int, typer.Option(min=100, help="bootstrap draws")] = 1000,
    seed: Seed = 0,
    allow_mixed: Annotated[
        bool, typer.Option("--allow-mixed", help="accept results by different conventions of the suite")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="PNG to write: ROC, precision and recall, risk against coverage of every scorer")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Results → differences on the rows they share, with intervals and p-values, and the rows that moved.

    Every two scorers of all results are compared, the later minus the earlier.
    """
    from prm.benchmarks.comparing import compare as compare_results

    from .comparison_tables import show_comparison

    compared = compare_results(
        results, out, by=by, metric=metric, variants=variant or (), draws=draws, seed=seed, allow_mixed=allow_mixed,
        plot=plot, overwrite=overwrite,
    )  # fmt: skip
    show_comparison(compared.comparison, moved)
