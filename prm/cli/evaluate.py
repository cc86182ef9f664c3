"""Commands that measure scorers on benchmark suites: `suite` (what is to be scored) and `eval` (scores → a result)."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prm import console
from prm.benchmarks.results import read_result, result_to_json, shown_path, shown_to_json
from prm.data.drops import Drops
from prm.data.files import write_records
from prm.data.jobs import making, write_drops
from prm.data.manifest import Job
from prm.data.writing import whole_directory, write_json, write_lines
from prm.errors import InputError, OutputError

from . import rank
from .options import Out, Overwrite, Seed, Splitter, key_values
from .result_tables import show_result

if TYPE_CHECKING:
    from prm.benchmarks.pools import Pool
    from prm.benchmarks.scores import ScoreTable
    from prm.benchmarks.suites import SuiteData

_SUITE = "name of the suite; `prm suite` without one lists them"
Data = Annotated[str | None, typer.Argument(help="the suite's rows: a file, a folder, or a name on the Hub")]


def suite(
    name: Annotated[str | None, typer.Argument(help=_SUITE)] = None,
    data: Data = None,
    out: Annotated[Path | None, typer.Option(help="directory to write")] = None,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """A benchmark suite → problems and chains for `prm score`; without a name, the suites there are."""
    from prm.benchmarks.suites.own import OWN

    if name is None:
        _list_suites()
        return
    if name in OWN:
        raise InputError(f"{name} is a suite of files of your own", f"give them to `prm score` and `prm eval {name}`")
    if data is None:
        raise InputError(f"the rows of {name} are missing", f"prm suite {name} FILE-OR-FOLDER --out DIRECTORY")
    if out is None:
        raise InputError("--out is missing", f"prm suite {name} {data} --out DIRECTORY")
    job = Job(out, "suite", {"suite": name, "data": data, "splitter": splitter}, _inputs({"data": data}))
    with making(job, f"suite {name}", overwrite) as counts:
        if counts is None:
            return
        drops = Drops()
        read = _read(name, data, None, None, splitter, drops)
        with whole_directory(out) as directory:
            directory.mkdir(parents=True)
            _write_suite(read, directory, counts)
        write_drops(drops, out, counts)


def _list_suites() -> None:
    from prm.benchmarks.suites import SUITES
    from prm.benchmarks.suites.own import OWN

    rows = [
        [name, entry.protocol, "-" if entry.base is None else str(entry.base), entry.source]
        for name, entry in SUITES.items()
    ]
    rows += [[name, protocol, "-", rows_of] for name, (protocol, rows_of) in OWN.items()]
    console.table("Suites", ["name", "protocol", "labels count from", "rows of"], rows)


def eval_(
    suite: Annotated[str, typer.Argument(help=_SUITE)],
    out: Out,
    data: Data = None,
    problems: Annotated[Path | None, typer.Option(help="best-of-n and world: problems as JSONL")] = None,
    chains: Annotated[Path | None, typer.Option(help="best-of-n and world: chains as JSONL")] = None,
    pools: Annotated[
        Path | None, typer.Option(help="best of n: checked answers that an earlier run wrote; nothing is checked again")
    ] = None,
    scores: Annotated[list[str] | None, typer.Option(help="NAME=FILE of scores; repeatable")] = None,
    scorer: Annotated[
        list[str] | None,
        typer.Option(help="NAME=MODEL to score with first, as `prm score` does by default; repeatable"),
    ] = None,
    stored: Annotated[bool, typer.Option("--stored", help="measure the scores that the suite's own rows hold")] = False,
    threshold: Annotated[
        list[str] | None, typer.Option(help="NAME=NUMBER below which a step is called wrong (default 0.5); repeatable")
    ] = None,
    threshold_split: Annotated[
        str | None, typer.Option(help="split on which a threshold is chosen as well (default: the first)")
    ] = None,
    n: Annotated[
        int | None, typer.Option("--n", "-n", min=1, help="best of n: the first n solutions (default: all there are)")
    ] = None,
    draws: Annotated[int, typer.Option(min=100, help="bootstrap draws")] = 1000,
    seed: Seed = 0,
    show: Annotated[int, typer.Option(min=0, help="chains kept beside the result for `prm report`")] = 5000,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Scores → metrics with 95% intervals, any number of scorers side by side.

    First `prm suite` and `prm score`, then this with --scores; or all at once with --scorer.
    """
    files = _named("--scores", "NAME=FILE", scores or [], "such as --scores PRM=scores.jsonl")
    models = _named("--scorer", "NAME=MODEL", scorer or [], "such as --scorer PRM=runs/prm")
    thresholds = _numbers(_named("--threshold", "NAME=NUMBER", threshold or [], "such as --threshold PURE=0"))
    _require_names(files, models, thresholds, stored)
    given = {"data": data, "problems": problems, "chains": chains, "pools": pools}
    _require_fitting(suite, {f"--{name}" if name != "data" else name: value for name, value in given.items()})
    if models and pools is not None and chains is None and data is None:
        raise InputError("--scorer has no chains to score: --pools holds none", "give --problems and --chains too")
    settings = {
        "suite": suite, "data": data, "thresholds": thresholds, "threshold_split": threshold_split, "n": n,
        "draws": draws, "seed": seed, "show": show, "stored": stored, "models": models, "splitter": splitter,
    }  # fmt: skip
    inputs = _inputs(given | {f"scores {name}": path for name, path in files.items()})
    inputs |= {f"scorer {name}": Path(model) for name, model in models.items() if Path(model).is_dir()}
    job = Job(out, "eval", settings, inputs)
    with making(job, "result", overwrite) as counts:
        if counts is not None:
            from prm.benchmarks.evaluation import evaluate, require_used
            from prm.benchmarks.numbers import Settings
            from prm.benchmarks.scores import read_scores

            drops = Drops()
            read = _read(suite, data, problems, chains, splitter, drops, pools)
            tables = _stored(read, {*files, *models}) if stored else {}
            how = Settings(thresholds, threshold_split, n, draws=draws, seed=seed)
            require_used(read, {*tables, *files, *models}, how)
            tables |= {name: read_scores(Path(path)) for name, path in files.items()}
            checked = _pools(read, pools, out, drops)
            tables |= {name: read_scores(_score(name, model, read, out, overwrite)) for name, model in models.items()}
            result, shown = evaluate(read, tables, how, drops, checked, show)
            write_json(out, result_to_json(result))
            write_lines(shown_path(out), map(shown_to_json, shown))
            counts |= {name: result.data[name] for name in ("rows", "problems", "chains")}
            write_drops(drops, out, counts)
        show_result(read_result(out))


def _named(option: str, shape: str, given: Sequence[str], hint: str) -> dict[str, str]:
    """As `key_values`; each name is a text, and comes once."""
    found = key_values(option, shape, given, hint)
    for text in given:
        name = text.partition("=")[0]
        if not name.strip() or not name.isprintable():
            raise InputError(f"{option} {text!r}: {name!r} is no name", hint)
    if len(found) < len(given):
        raise InputError(f"{option} gives one name twice", "give each scorer a name of its own")
    return found


def _numbers(given: Mapping[str, str]) -> dict[str, float]:
    try:
        found = {name: float(value) for name, value in given.items()}
    except ValueError as error:
        raise InputError(f"--threshold: {error}", "such as --threshold PURE=0") from error
    wrong = next((name for name, value in found.items() if not math.isfinite(value)), None)
    if wrong is not None:
        raise InputError(f"--threshold {wrong}={given[wrong]} is not a finite number", "such as --threshold PURE=0")
    return found


def _require_names(
    files: Mapping[str, str], models: Mapping[str, str], thresholds: Mapping[str, float], stored: bool
) -> None:
    if both := files.keys() & models.keys():
        raise InputError(f"{min(both)!r} is named by --scores and by --scorer", "give each scorer a name of its own")
    unknown = thresholds.keys() - files.keys() - models.keys()
    if unknown and not stored:
        raise InputError(f"--threshold names {min(unknown)!r}, which is no scorer", "name one of --scores or --scorer")
    if nested := next((name for name in models if "/" in name), None):
        raise InputError(f"--scorer {nested!r}: the name has a /, and a file is called so", "give a name without")


def _require_fitting(suite: str, given: Mapping[str, str | Path | None]) -> None:
    """Refuse a suite that is not there, and files that it would not look at."""
    from prm.benchmarks.suites import SUITES
    from prm.benchmarks.suites.own import OWN

    if suite not in (*SUITES, *OWN):
        raise InputError(f"there is no suite {suite!r}", f"choose from {', '.join((*SUITES, *OWN))}")
    is_own = suite in OWN
    is_pooled = suite == "best-of-n" or (suite not in OWN and SUITES[suite].protocol == "best-of-n")
    useless = [*(["data"] if is_own else ["--problems", "--chains"]), *([] if is_pooled else ["--pools"])]
    wrong = next((name for name in useless if given[name] is not None), None)
    if wrong is not None:
        raise InputError(f"the suite {suite} does not read {wrong} {given[wrong]}", "leave it out")


def _inputs(given: Mapping[str, str | Path | None]) -> dict[str, Path]:
    """The files among what was given; of a folder, those in it. A name on the Hub is none."""
    found: dict[str, Path] = {}
    for name, path in ((name, Path(path)) for name, path in given.items() if path is not None):
        if path.is_dir():
            found |= {f"{name} {file.name}": file for file in sorted(path.iterdir()) if file.is_file()}
        elif path.exists() or name != "data":
            found[name] = path
    return found


def _read(
    name: str,
    data: str | None,
    problems: Path | None,
    chains: Path | None,
    splitter: str,
    drops: Drops,
    pools: Path | None = None,
) -> SuiteData:
    from prm.benchmarks.suites import SuiteData, read_suite
    from prm.benchmarks.suites.own import OWN, read_own

    if name in OWN:
        if problems is not None and chains is not None:
            return read_own(name, problems, chains, drops, splitter=splitter)
        if pools is not None:
            return SuiteData(name, "best-of-n", {}, {}, (), {})
        raise InputError(f"the suite {name} needs --problems and --chains", "or, for best-of-n, --pools")
    if data is None:
        raise InputError(f"the rows of {name} are missing", f"prm eval {name} FILE-OR-FOLDER …")
    return read_suite(name, data, drops, splitter=splitter)


def _stored(data: SuiteData, others: Container[str]) -> dict[str, ScoreTable]:
    """The scores that come with the rows, by scorer; `others` are the names given to more."""
    from prm.benchmarks.scores import table_of

    if not data.stored:
        raise InputError(f"the rows of {data.name} hold no scores", "give --scores or --scorer")
    if (double := next((name for name in data.stored if name in others), None)) is not None:
        raise InputError(f"{double!r} is a scorer of the rows already", "give each scorer a name of its own")
    return {name: table_of(by_chain.values()) for name, by_chain in data.stored.items()}


def _pools(data: SuiteData, pools: Path | None, out: Path, drops: Drops) -> list[Pool]:
    """The checked solutions; those that had to be checked are written beside the result."""
    if data.protocol != "best-of-n":
        return []
    from prm.benchmarks.pools import make_pools, pool_to_json, read_pools
    from prm.benchmarks.suites.truth import Candidates

    if pools is not None:
        read = list(read_pools(pools))
        strange = next((i for pool in read for i in pool.chain_ids if data.chains and i not in data.chains), None)
        if strange is not None:
            raise InputError(f"{pools}: chain {strange!r} is not one of the suite's", "are they pools of these chains?")
        return read
    candidates = [truth for truth in data.truths if isinstance(truth, Candidates)]
    checked = list(
        console.tracked(make_pools(candidates, data.problems, data.chains, drops), "checking", len(candidates))
    )
    write_lines(out.with_name(out.name + ".pools.jsonl"), map(pool_to_json, checked))
    return checked


def _write_suite(data: SuiteData, directory: Path, counts: dict[str, Any]) -> None:
    counts["problems"] = write_records(directory / "problems.jsonl", data.problems.values())
    counts["chains"] = write_records(directory / "chains.jsonl", data.chains.values())


def _score(name: str, model: str, data: SuiteData, out: Path, overwrite: bool) -> Path:
    """Score the suite's chains with a model; goes on where a killed run was.

    Scores that are there already are taken; those that were made in another way are replaced if `overwrite` says so.
    """
    directory = out.with_name(out.name + ".scoring")
    directory.mkdir(parents=True, exist_ok=True)
    _write_suite(data, directory, {})
    path = directory / f"{name}.jsonl"
    score = partial(rank.score, model, directory / "problems.jsonl", directory / "chains.jsonl", path)
    try:
        score()
    except OutputError:
        if not overwrite:
            raise
        score(overwrite=True)
    return path
