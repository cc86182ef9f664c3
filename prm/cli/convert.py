"""`prm convert`: a checkpoint in the architecture that another tool wants."""

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
    to: Annotated[str, typer.Option(help="qwen2-process-reward: Qwen2.5-Math-PRM's architecture, for PRMs on Qwen2")],
    out: Out,
    overwrite: Overwrite = False,
) -> None:
    """Checkpoint → checkpoint of another architecture, with the same scores."""
    job = Job(out, "convert", {"to": to}, {"scorer": scorer})
    with making(job, "checkpoint", overwrite) as counts:
        if counts is None:
            return
        from prm.models.conversion import CONVERSIONS

        if to not in CONVERSIONS:
            raise InputError(f"nothing can be converted to {to!r}", f"choose from {', '.join(CONVERSIONS)}")
        with whole_directory(out) as directory:
            CONVERSIONS[to](scorer, directory)
        counts["converted models"] = 1
