"""`serve`: scorers and the verifier behind HTTP."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from prm.errors import InputError
from prm.serving.limits import Limits

from .options import Checker, Splitter, engine_options

USUAL = Limits()


def serve(
    scorer: Annotated[
        list[str] | None, typer.Option(help="directory or Hub name, or NAME=DIRECTORY; repeatable; none: only verify")
    ] = None,
    host: Annotated[str, typer.Option(help="address to listen at; 0.0.0.0 for all of this machine")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one")] = 8400,
    token: Annotated[
        str | None, typer.Option(envvar="PRM_SERVE_TOKEN", help="that requests must bring; better in the environment")
    ] = None,
    upstream: Annotated[
        list[str] | None, typer.Option(help="URL of a vLLM pooling server that runs the model; repeatable")
    ] = None,
    head: Annotated[str | None, typer.Option(help="for a joint model: step (default) or outcome")] = None,
    dialect: Annotated[
        str | None, typer.Option(help="how a public model is fed and read: a dialect, or a file")
    ] = None,
    system: Annotated[str | None, typer.Option(help="system prompt in place of the dialect's; '' for none")] = None,
    output: Annotated[str | None, typer.Option(help="which score of a model that has several")] = None,
    reference: Annotated[str | None, typer.Option(help="for an implicit PRM: the model it is relative to")] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16")] = "auto",
    device: Annotated[str | None, typer.Option(help="such as cuda:1 or cpu; default: a GPU if there is one")] = None,
    backend: Annotated[str, typer.Option(help="transformers or vllm, in the scorers' process")] = "transformers",
    tokens_per_pass: Annotated[int | None, typer.Option(min=1, help="padded tokens in one forward pass")] = None,
    engine_option: Annotated[list[str] | None, typer.Option(help="vllm: KEY=VALUE for the engine; repeatable")] = None,
    is_calibrated: Annotated[bool, typer.Option("--calibrated", help="apply the stored calibration")] = False,
    checker: Checker = "exact",
    splitter: Splitter = "newline",
    batch_wait: Annotated[
        float, typer.Option(min=0, help="seconds for which a chain waits, at most, for others of its forward pass")
    ] = 0.002,
    max_body: Annotated[int, typer.Option(min=1, help="bytes of a request")] = USUAL.body,
    max_chains: Annotated[int, typer.Option(min=1, help="chains of a request")] = USUAL.chains,
    max_waiting: Annotated[
        int, typer.Option(min=1, help="chains of all requests under way; beyond, a client gets status 429")
    ] = USUAL.waiting,
    max_steps: Annotated[int, typer.Option(min=1, help="steps of a chain")] = USUAL.steps,
    max_characters: Annotated[int, typer.Option(min=1, help="of a problem with its chain")] = USUAL.characters,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="time that a request may take")] = USUAL.seconds,
) -> None:
    """Scorers and the verifier behind HTTP, for many clients at once; see docs/serving.md.

    The options on models hold for all scorers of the server.
    """
    try:
        from prm.serving.job import serve as run
    except ImportError as error:
        raise InputError(f"{error.name} is not installed", 'pip install "prm-toolkit[serve]"') from error

    limits = Limits(
        body=max_body, chains=max_chains, waiting=max_waiting, steps=max_steps, characters=max_characters,
        seconds=max_seconds,
    )  # fmt: skip
    arguments: dict[str, Any] = {
        "head": head, "dialect": dialect, "system": system, "output": output, "reference": reference, "dtype": dtype,
        "device": device, "backend": backend, "tokens_per_pass": tokens_per_pass, "is_calibrated": is_calibrated,
        "engine_options": engine_options(engine_option or []),
    }  # fmt: skip
    if upstream:
        arguments |= {"backend": "server", "engine_options": {**arguments["engine_options"], "url": upstream}}
    run(
        {name: arguments | {"name": path} for name, path in _named(scorer or []).items()},
        host=host, port=port, token=token, checker=checker, splitter=splitter, patience=batch_wait,
        limits=limits,
    )  # fmt: skip


def _named(scorers: list[str]) -> dict[str, str]:
    """Each scorer by its name: the one given, or else its directory.

    >>> _named(["runs/prm", "orm=runs/orm"])
    {'runs/prm': 'runs/prm', 'orm': 'runs/orm'}
    """
    parts = [text.partition("=") for text in scorers]
    found = {name: path if equals else name for name, equals, path in parts}
    if len(found) < len(parts):
        raise InputError("--scorer: a name comes twice", "give each scorer a name of its own")
    return found
