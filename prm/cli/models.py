"""Commands on reward models.

`convert` gives one the architecture that another tool expects, `dialect check` renders an example as one reads it,
`dialect show` prints a dialect as a file.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from prm import console
from prm.models.dialects import EXAMPLE
from prm.models.families import given_dialect

from .options import OutDirectory, Overwrite

Name = Annotated[str, typer.Argument(help="a built-in dialect, or a TOML or JSON file")]


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


def check(
    dialect: Name,
    model: Annotated[str, typer.Option(help="reward model: directory or Hub name; only its tokenizer is loaded")],
    problem: Annotated[str, typer.Option(help="problem of the example")] = EXAMPLE[0],
    step: Annotated[list[str] | None, typer.Option(help="step of the example; repeatable")] = None,
    system: Annotated[str | None, typer.Option(help="system prompt in place of the dialect's")] = None,
) -> None:
    """Render an example as a model of this dialect reads it, with the read positions between ⟦ and ⟧."""
    from prm.models.public import Wanted, show

    shown = show(Wanted(model, dialect, system), problem, step or EXAMPLE[1])
    print("".join(f"⟦{text}⟧" if is_read else text for text, is_read in shown.pieces))
    rows = [[str(n), str(place), str(token), repr(text)] for n, (place, token, text) in enumerate(shown.reads, start=1)]
    console.table("Read positions", ["step", "token", "id", "text"], rows)
    if shown.answers:
        rows = [[str(token), repr(text)] for token, text in shown.answers]
        console.table("Outputs: logits of these tokens", ["id", "text"], rows)
    used = shown.dialect
    rows = [[name, ", ".join(f"{weight:g}" for weight in weights)] for name, weights in used.outputs.items()]
    if rows:
        what = "probabilities" if used.readout == "softmax" else "outputs"
        console.table(f"Scores, the usual one first: weights of the model's {what}", ["score", "weights"], rows)
    console.say(
        f"{len(shown.pieces)} tokens, up to the last one that is read; score: {used.readout}, {used.scores}; "
        f"threshold: {'none' if used.threshold is None else used.threshold}; aggregator: {used.aggregator or 'none'}"
    )


def show(dialect: Name) -> None:
    """Print a dialect as JSON: a file to begin your own with."""
    print(json.dumps(asdict(given_dialect(dialect)), indent=2, ensure_ascii=False))
