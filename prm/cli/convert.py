"""`prm convert`: a checkpoint → the architecture that another tool expects."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import OutDirectory, Overwrite


def convert(
    scorer: Annotated[str, typer.Option(help="from `prm train`, or a public causal PRM: directory or Hub name")],
    to: Annotated[
        str,
        typer.Option(
            help="target architecture; qwen2-process-reward: that of Qwen2.5-Math-PRM, for our PRMs based on Qwen2; "
            "token-classifier: for public PRMs that are read by the logits of two tokens"
        ),
    ],
    out: OutDirectory,
    dialect: Annotated[str | None, typer.Option(help="of a public PRM, if its name does not tell")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Convert a checkpoint to another architecture, with the same scores."""
    from prm.models import conversion

    conversion.convert(scorer, out, to=to, dialect=dialect, overwrite=overwrite)
