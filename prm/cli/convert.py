"""`prm convert`: a checkpoint → the architecture that another tool expects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import OutDirectory, Overwrite


def convert(
    scorer: Annotated[Path, typer.Option(help="checkpoint directory from `prm train`")],
    to: Annotated[
        str,
        typer.Option(
            help="target architecture; qwen2-process-reward: that of Qwen2.5-Math-PRM, for PRMs based on Qwen2"
        ),
    ],
    out: OutDirectory,
    overwrite: Overwrite = False,
) -> None:
    """Convert a checkpoint to another architecture, with the same scores."""
    from prm.models import conversion

    conversion.convert(scorer, out, to=to, overwrite=overwrite)
