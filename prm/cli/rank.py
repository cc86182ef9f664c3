"""Commands that use a scorer: `score` (chains → scores) and `rerank` (scores → the chosen chains)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prm.errors import InputError
from prm.scoring import jobs
from prm.scoring.reranking import SELECTIONS
from prm.statistics.aggregation import AGGREGATORS

from .options import Chains, Checker, OutFile, Overwrite, Problems, Splitter, engine_options, key_values, one_of


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
    output: Annotated[str | None, typer.Option(help="which score of a model that has several")] = None,
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
    backend: Annotated[str, typer.Option(help="transformers (in this process) or vllm")] = "transformers",
    tokens_per_pass: Annotated[
        int | None, typer.Option(min=1, help="transformers: padded tokens in one forward pass; fewer need less memory")
    ] = None,
    engine_option: Annotated[
        list[str] | None,
        typer.Option(help="vllm: KEY=VALUE for the engine, such as tensor_parallel_size=2; repeatable"),
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
