"""The jobs of this room: a suite's rows → problems and chains, and scores → a result.

suite = write_suite("processbench", "processbench/")
scores = prm.score("runs/prm", suite.problems, suite.chains)
evaluate("processbench", "processbench/", scores={"PRM": scores}).to_pandas()
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from prm import console
from prm.data.drops import Drops
from prm.data.files import write_records
from prm.data.identity import own_aggregators_in
from prm.data.jobs import Output, Records, Source, Workspace, making, pandas_table, write_drops
from prm.data.manifest import Job, content_digest
from prm.data.reading import files_in
from prm.data.records import Chain, Problem
from prm.data.writing import whole_directory, write_json, write_lines
from prm.errors import InputError, require_number
from prm.scoring.checking import command_files, job_checker, recorded
from prm.scoring.foreign import Links
from prm.scoring.jobs import scorer_name
from prm.scoring.scorer import Scorer
from prm.verifiers import Checker
from prm.verifiers.checkers import RULES, Named

from .conventions import ConventionName
from .eval_rows import row_to_json, rows_path
from .evaluation import measure_suite, require_used, strange_scores
from .numbers import EvalSettings
from .pools import Pool, make_pools, pool_to_json, read_pools
from .protocols import PROTOCOLS
from .results import Result, ShownChain, read_result, read_shown, result_to_json, shown_path, shown_to_json
from .scores import ScoreTable, read_scores, scored_by, table_of
from .suites import SuiteData, convention_of, read_suite, suite_named
from .suites.own import read_own
from .suites.truth import Candidates

if TYPE_CHECKING:
    import pandas as pd

_LONGEST = 100
"""Bytes of a file name that a scorer's name may take."""
_OWN_NAME = "give each scorer a name of its own"


class SuiteFiles(Output):
    """The problems and chains of a suite, as two files in a directory."""

    @property
    def problems(self) -> Records[Problem]:
        """The problems."""
        return Records(self.path / "problems.jsonl", Problem, self.counts, self._place)

    @property
    def chains(self) -> Records[Chain]:
        """The chains to score."""
        return Records(self.path / "chains.jsonl", Chain, self.counts, self._place)


class Evaluation(Output):
    """What `evaluate` made: a file with the result, and beside it the chains to look at."""

    @cached_property
    def result(self) -> Result:
        """Every number with its interval, every difference, and the settings behind them."""
        return read_result(self.path)

    @property
    def shown(self) -> list[ShownChain]:
        """Chains to look at, with truth and scores."""
        return read_shown(shown_path(self.path))

    def to_pandas(self) -> pd.DataFrame:
        """A table with a row per metric: scorer, metric, split, variant, value, low, high, n.

        Raises:
            PrmError: pandas is not installed.
        """
        return pandas_table([asdict(metric) for metric in self.result.metrics]).rename(columns={"name": "metric"})


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where a suite is read from."""

    suite: str
    data: str | None
    """A path, or a name on the Hub."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """"problems", "chains" and "pools", those that were given."""
    splitter: str = "newline"
    convention: ConventionName = "exact"

    @staticmethod
    def of(
        place: Workspace,
        suite: str,
        data: Source | None,
        splitter: str,
        convention: ConventionName,
        **files: Source | None,
    ) -> _Sources:
        """Write every source that is not a file yet to one.

        Raises:
            InputError: the suite is unknown, does not read one of these, or has no such convention.
        """
        _require_read(suite, {"data": data, **files})
        convention_of(suite, convention)
        if data is not None and not isinstance(data, str):
            data = str(place.files(data=data)["data"])
        return _Sources(suite, data, place.files(**files), splitter, convention)

    @property
    def inputs(self) -> dict[str, Path]:
        """The files by name; in a folder, each of them. A name on the Hub is not a file."""
        data = {} if self.data is None else {"data": Path(self.data)}
        return _inputs({name: path for name, path in data.items() if path.exists()} | dict(self.files))

    @property
    def are_checked(self) -> bool:
        """Whether answers are checked on the way to the result."""
        suite = suite_named(self.suite)
        return (suite.judge is not None or PROTOCOLS[suite.protocol].is_pooled) and "pools" not in self.files

    def read(self, drops: Drops, checker: Checker = RULES) -> SuiteData:
        """Read the suite; rows that cannot be used go to `drops`."""
        suite = suite_named(self.suite)
        if suite.read is not None:
            if self.data is None:
                raise InputError(f"the rows of {self.suite} are missing", "give a file, a folder, or a name on the Hub")
            return read_suite(self.suite, self.data, drops, splitter=self.splitter, convention=self.convention)
        if self.files.keys() >= {"problems", "chains"}:
            problems, chains = self.files["problems"], self.files["chains"]
            return read_own(
                self.suite, problems, chains, drops,
                splitter=self.splitter, checker=checker, convention=self.convention,
            )  # fmt: skip
        if "pools" in self.files:
            how = convention_of(self.suite, self.convention)
            return SuiteData(self.suite, suite.protocol, {}, {}, (), {}, suite.note, convention=how)
        raise InputError(f"the suite {self.suite} needs problems and chains", "or, for best-of-n, pools")


def _require_read(name: str, given: Mapping[str, object]) -> None:
    """Refuse an unknown suite, and sources that it would not read."""
    suite = suite_named(name)
    read = {"data"} if suite.read is not None else {"problems", "chains"}
    read |= {"pools"} if PROTOCOLS[suite.protocol].is_pooled else set()
    wrong = next((source for source, value in given.items() if value is not None and source not in read), None)
    if wrong is not None:
        shown = f" {given[wrong]}" if isinstance(given[wrong], str | os.PathLike) else ""
        raise InputError(f"the suite {name} does not read {wrong}{shown}", "omit it")


def _inputs(files: Mapping[str, Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name, path in files.items():
        if path.is_dir():
            found |= {f"{name} {part.path.relative_to(path)}": part.path for _, part in files_in(path)}
        else:
            found[name] = path
    return found


def _named(data: Source | None) -> str | None:
    """How the manifest names the rows; None for rows without a path, which are known by their content."""
    return str(data) if isinstance(data, str | os.PathLike) else None


def read_benchmark(
    suite: str,
    data: Source | None = None,
    *,
    problems: Source | None = None,
    chains: Source | None = None,
    splitter: str = "newline",
    convention: ConventionName = "exact",
    drops: Drops | None = None,
) -> SuiteData:
    """Read a benchmark suite: its problems, its chains, and what is known of them.

    Args:
        suite: name of a suite; `prm suite` lists them.
        data: rows of a public set: a file, a folder, a name on the Hub, or anything else that is a `prm.Source`; rows
            without a path count as a file called "data".
        problems: of best-of-n and world, see `prm.Source`.
        chains: of best-of-n and world.
        splitter: what ends a step in responses and solutions that are one text.
        convention: "exact", or "official" for the rows and steps that the authors' code takes.
        drops: where rows that cannot be used are noted.

    Raises:
        InputError: the suite is unknown, its rows cannot be used, or it has no such convention.
    """
    place = Workspace(None, suite)
    sources = _Sources.of(place, suite, data, splitter, convention, problems=problems, chains=chains)
    return sources.read(Drops() if drops is None else drops)


def write_suite(
    suite: str,
    data: Source | None = None,
    out: str | Path | None = None,
    *,
    splitter: str = "newline",
    convention: ConventionName = "exact",
    overwrite: bool = False,
) -> SuiteFiles:
    """Write the problems and chains of a suite, for `prm.score`.

    Args:
        suite: name of a suite of public rows; `prm suite` lists them.
        data: its rows, as in `read_benchmark`.
        out: directory; None for a temporary one.
        splitter: what ends a step in responses and solutions that are one text.
        convention: as in `read_benchmark`.
        overwrite: whether to replace an output that exists already.

    Raises:
        PrmError: the suite is unknown or has no rows of its own, or the rows or the output cannot be used.
    """
    if suite_named(suite).read is None:
        raise InputError(f"{suite} is a suite of your own files", f"give them to `prm score` and `prm eval {suite}`")
    place = Workspace(out, "suite")
    sources = _Sources.of(place, suite, data, splitter, convention)
    settings = {"suite": suite, "data": _named(data), "splitter": splitter, "convention": convention}
    job = Job(place.out, "suite", settings, sources.inputs)
    with making(job, f"suite {suite}", overwrite) as counts:
        if counts is not None:
            drops = Drops()
            read = sources.read(drops)
            with whole_directory(place.out) as directory:
                directory.mkdir(parents=True)
                _write_suite(read, directory, counts)
            write_drops(drops, place.out, counts)
    return SuiteFiles(job.output, job.counts(), place)


def _write_suite(data: SuiteData, directory: Path, counts: dict[str, Any]) -> None:
    counts["problems"] = write_records(directory / "problems.jsonl", data.problems.values())
    counts["chains"] = write_records(directory / "chains.jsonl", data.chains.values())


def evaluate(
    suite: str,
    data: Source | None = None,
    *,
    problems: Source | None = None,
    chains: Source | None = None,
    scores: Mapping[str, Source] | None = None,
    scorers: Mapping[str, str | os.PathLike[str] | Scorer] | None = None,
    pools: Source | None = None,
    stored: bool = False,
    thresholds: Mapping[str, float] | None = None,
    threshold_split: str | None = None,
    n: int | None = None,
    checker: Named = "exact",
    draws: int = 1000,
    seed: int = 0,
    show: int = 5000,
    splitter: str = "newline",
    convention: ConventionName = "exact",
    out: str | Path | None = None,
    overwrite: bool = False,
) -> Evaluation:
    """Measure any number of scorers on a suite, side by side, with 95% intervals.

    Args:
        suite: name of a suite; `prm suite` lists them.
        data: rows of a public set, as in `read_benchmark`.
        problems: of best-of-n and world, see `prm.Source`.
        chains: of best-of-n and world.
        scores: of these chains, by the name of the scorer.
        scorers: models to score the chains with first, by name: a directory, a Hub name or a scorer each.
        pools: best of n: checked answers of an earlier run, so that none is checked again.
        stored: whether to measure the scores in the suite's own rows.
        thresholds: by scorer, the score below which a step is called wrong; 0.5 for all others.
        threshold_split: split to choose another threshold on; None for the first.
        n: best of n: only the first n solutions of each problem; None for all.
        checker: best of n and world: decides which answers are right, and which are equal; see
            `prm.verifiers.checkers.checker_of`.
        draws: bootstrap draws.
        seed: of all draws.
        show: about how many chains to keep beside the result, to look at.
        splitter: what ends a step in responses and solutions that are one text.
        convention: "exact", or "official" to count as the code of the suite's authors does; see
            `prm.benchmarks.conventions`.
        out: file of the result; None for a temporary one.
        overwrite: whether to replace an output that exists already.

    Raises:
        PrmError: an input, a setting, a model or the output cannot be used.
    """
    for parameter, given in (("scores", scores), ("scorers", scorers), ("thresholds", thresholds)):
        _require_names(parameter, given)
    scores, scorers = scores or {}, scorers or {}
    models = _models(scorers)
    _require_different(scores, models)
    how = EvalSettings(dict(thresholds or {}), threshold_split, n, draws=draws, seed=seed)
    require_number("show", show, "[0, inf)", whole=True)
    judge = job_checker(checker)
    place = Workspace(out, "result.json")
    sources = _Sources.of(place, suite, data, splitter, convention, problems=problems, chains=chains, pools=pools)
    if recorded(judge) and not sources.are_checked:
        raise InputError(f"checker={checker!r} has no effect: no answer is checked", "omit it")
    if models and sources.files.keys() == {"pools"} and data is None:
        raise InputError("scorers have no chains to score: pools hold none", "give problems and chains too")
    settings = {
        "suite": suite, "data": _named(data), "thresholds": how.thresholds, "threshold_split": threshold_split, "n": n,
        "draws": draws, "seed": seed, "show": show, "stored": stored, "models": models, "splitter": splitter,
        "convention": convention, **own_aggregators_in(), **recorded(judge),
    }  # fmt: skip
    files = {name: _score_file(place, name, source) for name, source in scores.items()}
    inputs = sources.inputs | _inputs({f"scores {name}": path for name, path in files.items()}) | command_files(judge)
    inputs |= {f"scorer {name}": Path(model) for name, model in models.items() if Path(model).is_dir()}
    job = Job(place.out, "eval", settings, inputs)
    with making(job, "result", overwrite) as counts:
        if counts is not None:
            drops = Drops()
            read = sources.read(drops, judge)
            tables = _stored(read, {*files, *models}) if stored else {}
            require_used(read, [*tables, *files, *models], how)
            links = Links(read.truths, {identity: problem.text for identity, problem in read.problems.items()})
            tables |= {name: read_scores(path, drops, links) for name, path in files.items()}
            checked = _pools(read, sources.files.get("pools"), judge, place.out, drops)
            tables |= {name: _score(name, given, read, place.out, overwrite) for name, given in scorers.items()}
            _tell_strange(read, tables, how)
            result, shown, rows = measure_suite(read, tables, how, drops, checked, show)
            write_lines(shown_path(place.out), map(shown_to_json, shown))
            write_lines(rows_path(place.out), map(row_to_json, rows))
            result = replace(result, rows=content_digest(rows_path(place.out)))
            write_json(place.out, result_to_json(result))
            counts |= {name: result.data[name] for name in ("rows", "problems", "chains")}
            write_drops(drops, place.out, counts)
    return Evaluation(job.output, job.counts(), place)


def _tell_strange(data: SuiteData, tables: Mapping[str, ScoreTable], how: EvalSettings) -> None:
    """Say which scores do not fit their threshold, and which belong to no chain of the suite."""
    for name, table in tables.items():
        if "thresholds" in PROTOCOLS[data.protocol].heeds and (said := strange_scores(name, table, how)):
            console.say(said)
        others = len(table.rows.keys() - data.chains.keys()) if data.chains else 0
        if others:
            console.say(f"{name}: {others:,} of {len(table.rows):,} scored chains are not in the suite")


def _require_names(parameter: str, given: Any) -> None:
    """Refuse anything but a mapping from the names of scorers."""
    if given is not None and not isinstance(given, Mapping):
        raise InputError(f"{parameter} is a {type(given).__name__}, without names", f'{parameter}={{"PRM": …}}')
    for name in given or ():
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise InputError(f"{name!r} is not a name", "call each scorer by a printable name")


def _models(scorers: Mapping[str, Any]) -> dict[str, str]:
    """How manifests name each scorer.

    Raises:
        InputError: one is neither a scorer nor the name of a model.
    """
    for name, given in scorers.items():
        if not isinstance(given, str | os.PathLike | Scorer):
            raise InputError(f"{name!r} is a {type(given).__name__}, not a scorer", "give a model's name, or a Scorer")
    return {name: scorer_name(scorer) for name, scorer in scorers.items()}


def _require_different(scores: Mapping[str, object], models: Mapping[str, str]) -> None:
    if both := scores.keys() & models.keys():
        raise InputError(f"{min(both)!r} is both in scores and in scorers", _OWN_NAME)
    if nested := next((name for name in models if "/" in name), None):
        raise InputError(f"{nested!r} has a /, but is the name of a file of scores", "give a name without a /")


def _score_file(place: Workspace, name: str, source: Source) -> Path:
    (path,) = place.files(**{f"scores {_file_name(name)}": source}).values()
    return path


def _file_name(name: str) -> str:
    """A file name, without its ending, for a scorer's name; short enough for any disk."""
    quoted = quote(name, safe=" ")
    return quoted if len(quoted) <= _LONGEST else hashlib.sha256(name.encode()).hexdigest()[:32]


def _stored(data: SuiteData, others: Container[str]) -> dict[str, ScoreTable]:
    """The scores that come with the rows, by scorer; `others` are the names given to more."""
    if not data.stored:
        raise InputError(f"the rows of {data.name} hold no scores", "give scores or scorers")
    if (double := next((name for name in data.stored if name in others), None)) is not None:
        raise InputError(f"{double!r} is a scorer of the rows already", _OWN_NAME)
    return {name: table_of(by_chain.values()) for name, by_chain in data.stored.items()}


def _pools(data: SuiteData, pools: Path | None, checker: Checker, out: Path, drops: Drops) -> list[Pool]:
    """The checked solutions; those that had to be checked are written beside the result."""
    if not PROTOCOLS[data.protocol].is_pooled:
        return []
    if pools is not None:
        read = list(read_pools(pools))
        strange = next((i for pool in read for i in pool.chain_ids if data.chains and i not in data.chains), None)
        if strange is not None:
            raise InputError(f"{pools}: chain {strange!r} is not one of the suite's", "are they pools of these chains?")
        return read
    candidates = [truth for truth in data.truths if isinstance(truth, Candidates)]
    made = make_pools(candidates, data.problems, data.chains, drops, checker)
    checked = list(console.tracked(made, "checking", len(candidates)))
    write_lines(out.with_name(out.name + ".pools.jsonl"), map(pool_to_json, checked))
    return checked


def _score(
    name: str, model: str | os.PathLike[str] | Scorer, data: SuiteData, out: Path, overwrite: bool
) -> ScoreTable:
    """Score the suite's chains with a model, beside the result; see `scored_by`."""
    directory = out.with_name(out.name + ".scoring")
    path = directory / "scores" / f"{_file_name(name)}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_suite(data, directory, {})
    problems, chains = directory / "problems.jsonl", directory / "chains.jsonl"
    return scored_by(model, problems, chains, path, overwrite=overwrite)
