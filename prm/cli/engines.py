"""The engine that a command generates with, from its options."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from labeling.engines import EngineChoice
from prm import console
from prm.cli.options import key_values

EngineOption = Annotated[
    list[str] | None,
    typer.Option(
        "--engine-option",
        help="KEY=VALUE for the engine: tensor_parallel_size=2 for vLLM, model=NAME for servers; repeatable",
    ),
]
Endpoint = Annotated[
    list[str] | None,
    typer.Option(
        help="base URL of a server of the model, such as http://host:8000/v1, in place of vLLM here; repeatable"
    ),
]


def announce(choice: EngineChoice, workers: int | None = None) -> None:
    """Say what is started, for it takes a while."""
    what = (
        f"connecting to {len(choice.endpoints)} servers" if choice.endpoints else f"starting vLLM with {choice.model}"
    )
    console.say(what + (f" in each of {workers} Ray workers" if workers else "") + " …")


def local_model(model: str) -> dict[str, Path]:
    """A model's directory as an input of a job, so that another one under the same name is noticed."""
    return {"model": Path(model)} if Path(model).is_dir() else {}


def engine_choice(model: str, endpoints: Sequence[str] | None, options: Sequence[str] | None) -> EngineChoice:
    """The engine that these options ask for."""
    return EngineChoice(model, tuple(endpoints or ()), engine_options(options or []))


def engine_options(options: Sequence[str]) -> dict[str, Any]:
    """What `--engine-option` gives: JSON values where they are JSON, else texts."""
    given = key_values("--engine-option", "KEY=VALUE", options, "such as max_model_len=4096")
    return {key: _json_or_text(value) for key, value in given.items()}


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
