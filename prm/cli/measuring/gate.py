"""Commands that ask whether a scorer is fit to be optimized against: `gate`, `gate probes` and `gate limits`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from prm import console
from prm.errors import InputError, PrmError
from prm.statistics.aggregation import AGGREGATORS

from ..options import Checker, OutDirectory, OutFile, Overwrite, Problems, Seed, Splitter, key_values, one_of

NOT_FIT, FAILED = 1, 2
"""Exit codes. An error is 2 here, as wrong usage is, so that a script can tell it from a verdict."""

GateChains = Annotated[Path, typer.Option(help="several chains of each problem as JSONL, from one policy")]
Fresh = Annotated[
    Path | None, typer.Option("--fresh-chains", help="chains of another or a later policy, measured beside the others")
]
TrainedOn = Annotated[Path | None, typer.Option(help="problems the scorer was trained on, to look for overlap")]
Field = Annotated[str | None, typer.Option(help="key in a problem's `meta`: report accuracy by its values")]
Most = Annotated[int, typer.Option("--pairs", min=1, help="pairs of each probe")]


@contextmanager
def _failing_apart() -> Iterator[None]:
    try:
        yield
    except PrmError as error:
        console.failure(error)
        sys.exit(FAILED)


def run(
    out: OutFile,
    probes: Annotated[Path | None, typer.Option(help="directory from `prm gate probes`")] = None,
    problems: Annotated[Path | None, typer.Option(help="instead of --probes: problems with gold answers")] = None,
    chains: Annotated[Path | None, typer.Option(help="instead of --probes: several chains of each problem")] = None,
    fresh_chains: Fresh = None,
    trained_on: TrainedOn = None,
    field: Field = None,
    pairs: Most = 200,
    scores: Annotated[
        list[str] | None, typer.Option(help="NAME=FILE of scores of the probes' chains, for each scorer; repeatable")
    ] = None,
    scorer: Annotated[
        list[str] | None,
        typer.Option(help="NAME=MODEL to score with first, with the defaults of `prm score`; repeatable"),
    ] = None,
    aggregate: Annotated[str, typer.Option(help=f"of a PRM's step scores: {one_of(AGGREGATORS)}")] = "min",
    limits: Annotated[Path | None, typer.Option(help="a file like that of `prm gate limits`")] = None,
    baseline: Annotated[Path | None, typer.Option(help="an earlier card of the same chains, for drift")] = None,
    rl_run: Annotated[
        Path | None, typer.Option(help='checkpoints of a run against the scorer, as JSONL: {"kl": nats, "gold": …}')
    ] = None,
    checker: Checker = "exact",
    draws: Annotated[int, typer.Option(min=100, help="bootstrap draws")] = 1000,
    seed: Seed = 0,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Is a reward model fit to be optimized against? Scores → a card: measures, limits and a verdict.

    Exit code 0: every scorer is fit. 1: one is not, or is not shown to be. 2: an error.
    """
    with _failing_apart():
        from prm.benchmarks.gate import job

        from .gate_tables import show

        named = _named("--scores", "NAME=FILE", scores or [])
        models = _named("--scorer", "NAME=MODEL", scorer or [])
        if probes is None:
            if problems is None or chains is None:
                raise InputError("--probes is missing", "give --probes, or --problems and --chains to make them of")
            probes = job.gate_probes(
                problems, chains, out.with_name(out.name + ".probes"), fresh=fresh_chains, trained_on=trained_on,
                field=field, most=pairs, checker=checker, seed=seed, splitter=splitter, overwrite=overwrite,
            ).path  # fmt: skip
        else:
            _require_none(
                problems=problems, chains=chains, fresh_chains=fresh_chains, trained_on=trained_on, field=field
            )
        made = job.gate(
            probes, scores=named, scorers=models, aggregate=aggregate, limits=limits, baseline=baseline,
            rl_run=rl_run, draws=draws, seed=seed, out=out, overwrite=overwrite,
        )  # fmt: skip
        show(made.card)
        console.say(f"  {made.page}")
    if not made.card.is_fit:
        raise typer.Exit(NOT_FIT)


def _require_none(**given: object) -> None:
    """Refuse options that only probes yet to be made would heed."""
    if name := next((name for name, value in given.items() if value is not None), None):
        option = f"--{name.replace('_', '-')}"
        raise InputError(f"{option} has no effect: the probes are made already", "omit it, or omit --probes")


def probes(
    problems: Problems,
    chains: GateChains,
    out: OutDirectory,
    fresh_chains: Fresh = None,
    trained_on: TrainedOn = None,
    field: Field = None,
    pairs: Most = 200,
    checker: Checker = "exact",
    seed: Seed = 0,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Chains → what a scorer must score for its card: the chains, and stress pairs made from them."""
    with _failing_apart():
        from prm.benchmarks.gate.job import gate_probes

        gate_probes(
            problems, chains, out, fresh=fresh_chains, trained_on=trained_on, field=field, most=pairs,
            checker=checker, seed=seed, splitter=splitter, overwrite=overwrite,
        )  # fmt: skip


def limits() -> None:
    """Print the default limits with their reasons: a `gate.toml` to begin with."""
    from prm.benchmarks.gate.limits import default_limits

    typer.echo(default_limits(), nl=False)


def _named(option: str, shape: str, given: Sequence[str]) -> dict[str, str]:
    found = key_values(option, shape, given, f"such as {option} PRM=…")
    if len(found) < len(given):
        raise InputError(f"{option} gives one name twice", "give each scorer a name of its own")
    return found
