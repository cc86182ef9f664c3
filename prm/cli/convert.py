"""`prm convert`: a checkpoint → the architecture that another tool expects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prm.data.jobs import making
from prm.data.manifest import Job
from prm.data.writing import whole_directory
from prm.errors import InputError

from .options import Out, Overwrite


def convert(
    scorer: Annotated[Path, typer.Option(help="checkpoint directory from `prm train`")],
    to: Annotated[
        str,
        typer.Option(
            help="target architecture; qwen2-process-reward: that of Qwen2.5-Math-PRM, for PRMs based on Qwen2"
        ),
    ],
    out: Out,
    overwrite: Overwrite = False,
) -> None:
    """Convert a checkpoint to another architecture, with the same scores."""
    job = Job(out, "convert", {"to": to}, {"scorer": scorer})
    with making(job, "checkpoint", overwrite) as counts:
        if counts is None:
            return
        from prm.models.conversion import CONVERSIONS

        if to not in CONVERSIONS:
            raise InputError(f"unknown target architecture {to!r}", f"choose from {', '.join(CONVERSIONS)}")
        with whole_directory(out) as directory:
            CONVERSIONS[to](scorer, directory)
        counts["converted models"] = 1
