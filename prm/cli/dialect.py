"""`prm dialect`: how a reward model is fed and read. `check` renders an example, `show` prints a dialect as a file."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from prm import console
from prm.models.dialects import EXAMPLE, read_dialect
from prm.models.families import DIALECTS

Name = Annotated[str, typer.Argument(help="a built-in dialect, or a TOML or JSON file")]


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
    console.say(f"{len(shown.pieces)} tokens; score: {shown.dialect.readout}, {shown.dialect.range}")


def show(dialect: Name) -> None:
    """Print a dialect as JSON: a file to begin your own with."""
    found = DIALECTS[dialect] if dialect in DIALECTS else read_dialect(dialect)
    print(json.dumps(asdict(found), indent=2, ensure_ascii=False))
