"""Commands that measure scorers on benchmark suites: `suite` (what to score) and `eval` (scores → a result)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prm import console
from prm.errors import InputError

from ..options import Checker, OutFile, Overwrite, Seed, Splitter, key_values

if TYPE_CHECKING:
    from prm.benchmarks.results import Result


class ConventionName(StrEnum):
    """How a suite counts."""

    exact = "exact"
    official = "official"


_SUITE = "name of the suite; `prm suite` without one lists them"
Convention = Annotated[
    ConventionName,
    typer.Option(help="official: rows, ties and thresholds as in the code of the suite's authors"),
]
Data = Annotated[str | None, typer.Argument(help="the suite's rows: a file, a folder, or a name on the Hub")]


def suite(
    name: Annotated[str | None, typer.Argument(help=_SUITE)] = None,
    data: Data = None,
    out: Annotated[Path | None, typer.Option(help="directory to write")] = None,
    splitter: Splitter = "newline",
    convention: Convention = ConventionName.exact,
    overwrite: Overwrite = False,
) -> None:
    """A benchmark suite → problems and chains for `prm score`; without a name, the list of suites."""
    if name is None:
        _list_suites()
        return
    from prm.benchmarks.jobs import write_suite

    if out is None:
        raise InputError("--out is missing", f"prm suite {name} {data or 'FILE-OR-FOLDER'} --out DIRECTORY")
    write_suite(name, data, out, splitter=splitter, convention=convention.value, overwrite=overwrite)


def _list_suites() -> None:
    from prm.benchmarks.suites import SUITES

    rows = [
        [name, entry.protocol, "-" if entry.base is None else str(entry.base), entry.source]
        for name, entry in SUITES.items()
    ]
    console.table("Suites", ["name", "protocol", "labels count from", "rows of"], rows)


def eval_(
    suite: Annotated[str, typer.Argument(help=f"{_SUITE}; or `search`, to compare runs of `prm solve`")],
    out: OutFile,
    data: Data = None,
    problems: Annotated[Path | None, typer.Option(help="best-of-n, world and search: problems as JSONL")] = None,
    chains: Annotated[Path | None, typer.Option(help="best-of-n and world: chains as JSONL")] = None,
    pools: Annotated[
        Path | None, typer.Option(help="best of n: checked answers of an earlier run, so that none is checked again")
    ] = None,
    scores: Annotated[list[str] | None, typer.Option(help="NAME=FILE of scores, for each scorer; repeatable")] = None,
    scorer: Annotated[
        list[str] | None,
        typer.Option(help="NAME=MODEL to score with first, with the defaults of `prm score`; repeatable"),
    ] = None,
    stored: Annotated[bool, typer.Option("--stored", help="measure the scores in the suite's own rows")] = False,
    threshold: Annotated[
        list[str] | None, typer.Option(help="NAME=NUMBER below which a step is called wrong (default 0.5); repeatable")
    ] = None,
    threshold_split: Annotated[
        str | None, typer.Option(help="split on which to choose the threshold with the best F1 (default: the first)")
    ] = None,
    n: Annotated[
        int | None, typer.Option("--n", "-n", min=1, help="best of n: only the first n solutions (default: all)")
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option(help="search: NAME=FILE of chains from `prm solve`; repeatable, also with one name"),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="search: field of the problems that has their difficulty (default: share of right chains)"),
    ] = None,
    checker: Checker = "exact",
    draws: Annotated[int, typer.Option(min=100, help="bootstrap draws")] = 1000,
    seed: Seed = 0,
    show: Annotated[int, typer.Option(min=0, help="chains to keep beside the result, for `prm report`")] = 5000,
    splitter: Splitter = "newline",
    convention: Convention = ConventionName.exact,
    overwrite: Overwrite = False,
) -> None:
    """Scores → metrics with 95% intervals, any number of scorers side by side.

    First `prm suite` and `prm score`, then this with --scores; or all at once with --scorer. `prm eval search` compares
    runs of `prm solve`: accuracy against tokens.
    """
    from prm.benchmarks.jobs import evaluate

    from .result_tables import show_result

    if suite == "search":
        unread = {
            "data": data, "--chains": chains, "--pools": pools, "--scores": scores, "--scorer": scorer,
            "--stored": stored or None, "--threshold": threshold, "--threshold-split": threshold_split, "--n": n,
            "--splitter": None if splitter == "newline" else splitter,
            "--convention": None if convention is ConventionName.exact else convention,
        }  # fmt: skip
        _refuse("prm eval search", unread)
        how = {"by": by, "checker": checker, "draws": draws, "seed": seed, "show": show, "overwrite": overwrite}
        show_result(_search(problems, run or [], out, **how))
        return
    _refuse(f"the suite {suite}", {"--run": run, "--by": by})
    thresholds = _numbers(_named("--threshold", "NAME=NUMBER", threshold or [], "such as --threshold PURE=0"))
    evaluation = evaluate(
        suite, data, problems=problems, chains=chains, pools=pools, stored=stored,
        scores=_named("--scores", "NAME=FILE", scores or [], "such as --scores PRM=scores.jsonl"),
        scorers=_named("--scorer", "NAME=MODEL", scorer or [], "such as --scorer PRM=runs/prm"),
        thresholds=thresholds, threshold_split=threshold_split, n=n, checker=checker, draws=draws, seed=seed, show=show,
        splitter=splitter, convention=convention.value, out=out, overwrite=overwrite,
    )  # fmt: skip
    show_result(evaluation.result)


def _refuse(what: str, given: Mapping[str, object]) -> None:
    """Refuse what was given but would not be read."""
    unread = next((option for option, value in given.items() if value is not None), None)
    if unread is not None:
        raise InputError(f"{what} does not read {unread}", "omit it")


def _search(problems: Path | None, runs: Sequence[str], out: Path, **settings: Any) -> Result:
    from prm.benchmarks.search.job import evaluate_search

    if problems is None:
        raise InputError("--problems is missing", "prm eval search --problems P.jsonl --run NAME=FILE --out OUT")
    by_name: dict[str, list[str]] = {}
    for given in runs:
        for name, path in key_values("--run", "NAME=FILE", [given], "such as --run rebase=chains.jsonl").items():
            by_name.setdefault(name, []).append(path)
    return evaluate_search(problems, by_name, out, **settings).result


def _named(option: str, shape: str, given: Sequence[str], hint: str) -> dict[str, str]:
    """As `key_values`, but each name only once."""
    found = key_values(option, shape, given, hint)
    if len(found) < len(given):
        raise InputError(f"{option} gives one name twice", "give each scorer a name of its own")
    return found


def _numbers(given: Mapping[str, str]) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in given.items()}
    except ValueError as error:
        raise InputError(f"--threshold: {error}", "such as --threshold PURE=0") from error
