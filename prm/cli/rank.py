"""Commands that use a scorer: `score` (chains → scores), `rerank` (scores → chosen chains), `serve` (over HTTP)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from prm.errors import InputError
from prm.scoring import jobs
from prm.scoring.reranking import SELECTIONS
from prm.serving.limits import Limits
from prm.statistics.aggregation import AGGREGATORS

from .options import Chains, Checker, OutFile, Overwrite, Problems, Splitter, engine_options, key_values, one_of

USUAL = Limits()
ScoreOutput = Annotated[
    str | None,
    typer.Option(help="which score of a model that has several, or a weighted sum: helpfulness=0.6,verbosity=-0.1"),
]


def score(
    scorer: Annotated[str, typer.Option(help="from `prm train`, or a public reward model: directory or Hub name")],
    problems: Problems,
    chains: Chains,
    out: OutFile,
    head: Annotated[str | None, typer.Option(help="for a joint model: step (default) or outcome")] = None,
    dialect: Annotated[
        str | None,
        typer.Option(help="how a public model is fed and read, if its name does not tell: a dialect, or a file"),
    ] = None,
    system: Annotated[str | None, typer.Option(help="system prompt in place of the dialect's; '' for none")] = None,
    output: ScoreOutput = None,
    how: Annotated[
        str | None, typer.Option(help="our own model with several members: mean (default), median, min, max, mean-sd:1")
    ] = None,
    reference: Annotated[str | None, typer.Option(help="for an implicit PRM: the model it is relative to")] = None,
    dtype: Annotated[
        str, typer.Option(help="auto (as stored; checkpoints of `prm train` are float32), float32, bfloat16, float16")
    ] = "auto",
    device: Annotated[str | None, typer.Option(help="such as cuda:1 or cpu; default: a GPU if there is one")] = None,
    device_map: Annotated[str | None, typer.Option(help="auto: a public model over several GPUs")] = None,
    revision: Annotated[str | None, typer.Option(help="branch, tag or commit of a model on the Hub")] = None,
    subfolder: Annotated[str, typer.Option(help="where the model lies in its repository or directory")] = "",
    backend: Annotated[
        str, typer.Option(help="transformers (in this process), vllm, or server: a running vLLM server")
    ] = "transformers",
    tokens_per_pass: Annotated[
        int | None, typer.Option(min=1, help="transformers: padded tokens in one forward pass; fewer need less memory")
    ] = None,
    engine_option: Annotated[
        list[str] | None,
        typer.Option(help="KEY=VALUE: for vllm, such as tensor_parallel_size=2; for server, url=URL; repeatable"),
    ] = None,
    is_calibrated: Annotated[
        bool, typer.Option("--calibrated", help="apply the calibration that `prm calibrate --scorer` stored")
    ] = False,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Chains → step scores (PRM) or rewards (ORM).

    A killed job resumes when the same command is run again.
    """
    jobs.score(
        scorer, problems, chains, out,
        head=head, dialect=dialect, system=system, output=output, how=how, reference=reference, dtype=dtype,
        device=device, device_map=device_map, revision=revision, subfolder=subfolder, backend=backend,
        is_calibrated=is_calibrated,
        tokens_per_pass=tokens_per_pass, engine_options=engine_options(engine_option or []),
        splitter=splitter, overwrite=overwrite,
    )  # fmt: skip


def combine(
    scores: Annotated[list[str], typer.Option(help="NAME=FILE of scores of the same chains; repeatable")],
    out: OutFile,
    how: Annotated[
        str, typer.Option(help="mean, median, min, max, or mean-sd:1 (minus one standard deviation)")
    ] = "mean",
    calibration: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE from `prm calibrate`, for each of the scores, so that their ranges agree"),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Scores of several scorers → one score each, with those of the members."""
    from prm.scoring import ensembles

    for option, given in (("--scores", scores), ("--calibration", calibration or [])):
        names = [text.partition("=")[0] for text in given]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(f"{option}: the name {twice!r} comes twice", "give each scorer a name of its own")
    named = key_values("--scores", "NAME=FILE", scores, "such as --scores a=a.jsonl --scores b=b.jsonl")
    fitted = key_values("--calibration", "NAME=FILE", calibration or [], "such as --calibration a=a.json")
    ensembles.combine(named, out, how=how, calibrations=fitted or None, overwrite=overwrite)


def rerank(
    problems: Problems,
    chains: Chains,
    scores: Annotated[Path, typer.Option(help="from `prm score`")],
    out: OutFile,
    aggregate: Annotated[str, typer.Option(help=one_of(AGGREGATORS))] = "min",
    selection: Annotated[str, typer.Option(help=one_of(SELECTIONS))] = "best-of-n",
    stop_when: Annotated[
        float | None, typer.Option(help="for a vote: look no further once the winner is this sure, such as 0.95")
    ] = None,
    abstain_below: Annotated[
        float | None, typer.Option(help="make no choice for a problem whose chosen chain scores less")
    ] = None,
    checker: Checker = "exact",
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Scores → the chosen solution of each problem."""
    jobs.rerank_chains(
        problems, chains, scores, out,
        aggregate=aggregate, selection=selection, stop_when=stop_when, abstain_below=abstain_below,
        checker=checker, splitter=splitter, overwrite=overwrite,
    )  # fmt: skip


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
    output: ScoreOutput = None,
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
