"""The jobs of this folder: chains → probes, and scores → a card.

probes = gate_probes(problems, chains, "probes")
scores = prm.score("runs/prm", "probes/problems.jsonl", "probes/chains.jsonl")
gate("probes", scores={"PRM": scores}).card.is_fit
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from prm.data.drops import Drops
from prm.data.files import ProblemFile, Unreadable, read_each_chain, read_problems, read_records, write_records
from prm.data.identity import own_aggregators_in
from prm.data.jobs import Output, Source, Workspace, making, write_drops
from prm.data.manifest import Job
from prm.data.records import Chain, Problem
from prm.data.splits import text_digest
from prm.data.writing import whole_directory, write_bytes, write_json
from prm.errors import InputError, require_number
from prm.scoring.checking import command_files, job_checker, recorded, solution_verdicts
from prm.scoring.jobs import scorer_name
from prm.scoring.scorer import Scorer
from prm.statistics.aggregation import aggregator_named
from prm.verifiers import Checker
from prm.verifiers.checkers import Named

from ..scores import ScoreTable, read_scores, scored_by
from ..suites.truth import decided
from .card import Card, compared, data_of, read_card, scorer_card, to_json
from .limits import read_limits
from .measures import Scene, Subject
from .overoptimization import of_run
from .page import card_page
from .probes import make_probes
from .rows import GateChain, GateRows, Part, read_rows_of, write_rows


class GateCard(Output):
    """What `gate` made: the card as JSON, and beside it as an HTML page."""

    @cached_property
    def card(self) -> Card:
        """Every measure, limit and verdict."""
        return read_card(self.path)

    @property
    def page(self) -> Path:
        """The HTML page."""
        return page_path(self.path)


def page_path(card: Path) -> Path:
    """The HTML page of a card."""
    return card.with_name(card.name + ".html")


def gate_probes(
    problems: Source,
    chains: Source,
    out: str | Path | None = None,
    *,
    fresh: Source | None = None,
    trained_on: Source | None = None,
    field: str | None = None,
    most: int = 200,
    checker: Named = "exact",
    seed: int = 0,
    splitter: str = "newline",
    overwrite: bool = False,
) -> Output:
    """Write what a scorer must score for its card: the chains themselves, and stress pairs made from them.

    Args:
        problems: with gold answers; see `prm.Source`.
        chains: several of each problem, from one policy.
        out: directory for `problems.jsonl`, `chains.jsonl` and what `gate` reads; None for a temporary one.
        fresh: chains of another or a later policy, of the same problems or others among `problems`.
        trained_on: problems the scorer was trained on, to look for in `problems`.
        field: key of a problem's `meta` that names its field, to report accuracy by.
        most: pairs of each probe.
        checker: decides which answers are right; see `prm.verifiers.checkers.checker_of`.
        seed: of the choice of chains and places.
        splitter: what ends a step in solutions that are one text.
        overwrite: whether to replace an output that exists already.

    Raises:
        PrmError: an input, a setting or the output cannot be used.
    """
    require_number("most", most, "[1, inf)", whole=True)
    require_number("seed", seed, "[0, inf)", whole=True)
    judge = job_checker(checker)
    place = Workspace(out, "probes")
    files = place.files(problems=problems, chains=chains, fresh=fresh, trained_on=trained_on)
    settings: dict[str, Any] = {"field": field, "most": most, "seed": seed, "splitter": splitter, **recorded(judge)}
    job = Job(place.out, "gate probes", settings, files | command_files(judge))
    with making(job, "probes", overwrite) as counts:
        if counts is not None:
            drops = Drops()
            owners = ProblemFile(files["problems"])
            known = dict(owners)
            parts: dict[Part, list[Chain]] = {"static": list(_usable(files["chains"], splitter, owners, known, drops))}
            if "fresh" in files:
                parts["fresh"] = list(_usable(files["fresh"], splitter, owners, known, drops))
            trained = list(read_problems(files["trained_on"])) if "trained_on" in files else None
            rows, made = _rows(known, parts, trained, field, most, seed, judge)
            with whole_directory(place.out) as directory:
                directory.mkdir(parents=True)
                own = [chain for part in parts.values() for chain in part]
                used = {chain.problem_id for chain in own}
                write_records(directory / "problems.jsonl", (known[i] for i in known if i in used))
                counts["chains to score"] = write_records(directory / "chains.jsonl", [*own, *made])
                write_rows(directory, rows)
            counts |= {"pairs": len(rows.pairs), "problems": len(used)}
            write_drops(drops, place.out, counts)
    return place.output(job)


def _usable(
    path: Path, splitter: str, owners: ProblemFile, problems: Mapping[str, Problem], drops: Drops
) -> Iterable[Chain]:
    for chain in read_each_chain(path, splitter, owners):
        if isinstance(chain, Unreadable):
            drops.add(chain.id, chain.drop.reason, chain.drop.detail)
        elif chain.problem_id not in problems:
            drops.add(chain.id, "its problem is missing")
        elif not chain.steps:
            drops.add(chain.id, "empty chain")
        else:
            yield chain


def _rows(
    problems: Mapping[str, Problem],
    parts: Mapping[Part, list[Chain]],
    trained: list[Problem] | None,
    field: str | None,
    most: int,
    seed: int,
    checker: Checker,
) -> tuple[GateRows, tuple[Chain, ...]]:
    """All rows of a gate, and the changed chains."""
    own = [(part, chain) for part, chains in parts.items() for chain in chains]
    _require_distinct(chain.id for _, chain in own)
    if not parts["static"]:
        raise InputError("no chain belongs to a problem", "are these the chains of these problems?")
    verdicts = _verdicts([chain for _, chain in own], problems, checker)
    made = make_probes(problems, parts["static"], verdicts, most=most, seed=seed, checker=checker)
    _require_distinct([*(chain.id for _, chain in own), *(chain.id for chain in made.chains)])

    def fact(part: Part, chain: Chain, is_right: bool | None) -> GateChain:
        named = problems[chain.problem_id].meta.get(field) if field else None
        return GateChain(
            chain.id, chain.problem_id, part, is_right, len(chain.text), "" if named is None else str(named)
        )

    facts = [fact(part, chain, verdicts[chain.id]) for part, chain in own]
    facts += [fact("probe", chain, made.verdicts[chain.id]) for chain in made.chains]
    used = {chain.problem_id for _, chain in own}
    about = {
        "digest": _digest(parts["static"]),
        "overlap": None if trained is None else _overlap([problems[i] for i in used], trained),
        "not made": made.left_out,
    }
    return GateRows(tuple(facts), made.pairs, about), made.chains


def _require_distinct(ids: Iterable[str]) -> None:
    seen = set[str]()
    for chain_id in ids:
        if chain_id in seen:
            raise InputError(
                f"chain id {chain_id!r} comes twice", "ids must be unique, in static and fresh chains alike"
            )
        seen.add(chain_id)


def _verdicts(chains: list[Chain], problems: Mapping[str, Problem], checker: Checker) -> dict[str, bool | None]:
    """Whether each chain's answer is right; None if undecided, or without a gold answer."""
    known = [chain for chain in chains if problems[chain.problem_id].answer is not None]
    found = solution_verdicts(checker, ((chain.text, problems[chain.problem_id]) for chain in known))
    own = {chain.id: decided(verdict) for chain, verdict in zip(known, found, strict=True)}
    return {chain.id: own.get(chain.id) for chain in chains}


def _overlap(problems: Iterable[Problem], trained: Iterable[Problem]) -> int:
    """How many of the problems were trained on, by text."""
    known = {text_digest(problem.text) for problem in trained}
    return sum(text_digest(problem.text) in known for problem in problems)


def _digest(chains: Iterable[Chain]) -> str:
    parts = sorted(f"{chain.problem_id}\0{chain.id}\0{chain.text}" for chain in chains)
    return hashlib.sha256("\0\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def gate(
    probes: str | os.PathLike[str] | Output,
    *,
    scores: Mapping[str, Source] | None = None,
    scorers: Mapping[str, str | os.PathLike[str] | Scorer] | None = None,
    aggregate: str = "min",
    limits: str | Path | None = None,
    baseline: str | Path | Output | None = None,
    rl_run: Source | None = None,
    draws: int = 1000,
    seed: int = 0,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> GateCard:
    """Hold scorers against limits: are they fit to be optimized against?

    Args:
        probes: directory from `gate_probes`, or what it returned.
        scores: of its chains, by the name of the scorer.
        scorers: models to score the chains with first, by name: a directory, a Hub name or a scorer each.
        aggregate: name in `prm.AGGREGATORS`: how a PRM's step scores become one; ignored for an ORM.
        limits: a file like that of `prm gate limits`; None for the defaults.
        baseline: an earlier card of the same static chains, for drift.
        rl_run: checkpoints of a run against the only scorer, see `overoptimization.of_run`.
        draws: bootstrap draws.
        seed: of all draws.
        out: file of the card; None for a temporary one.
        overwrite: whether to replace an output that exists already.

    Raises:
        PrmError: an input, a setting, a model or the output cannot be used.
    """
    scores, scorers = scores or {}, scorers or {}
    _require_names(scores, scorers)
    aggregator_named(aggregate)
    require_number("draws", draws, "[1, inf)", whole=True)
    require_number("seed", seed, "[0, inf)", whole=True)
    if rl_run is not None and len(scores) + len(scorers) > 1:
        raise InputError("a run of reinforcement learning is against one scorer", "give one scorer, or no run")
    directory = probes.path if isinstance(probes, Output) else Path(probes)
    judged = read_limits(None if limits is None else Path(limits))
    place = Workspace(out, "card.json")
    files = place.files(**{f"scores {name}": source for name, source in scores.items()}, run=rl_run)
    rows = ("about.json", "problems.jsonl", "chains.jsonl", "facts.jsonl", "pairs.jsonl")
    inputs = {f"probes {name}": directory / name for name in rows} | files
    inputs |= {"limits": Path(limits)} if limits is not None else {}
    earlier = baseline.path if isinstance(baseline, Output) else baseline
    inputs |= {"baseline": Path(earlier)} if earlier is not None else {}
    models = {name: scorer_name(scorer) for name, scorer in scorers.items()}
    inputs |= {f"scorer {name}": Path(model) for name, model in models.items() if Path(model).is_dir()}
    settings = {"aggregate": aggregate, "draws": draws, "seed": seed, "models": models}
    job = Job(place.out, "gate", settings | own_aggregators_in(aggregate), inputs)
    with making(job, "card", overwrite) as counts:
        if counts is not None:
            scene = Scene(read_rows_of(directory), draws=draws, seed=seed)
            drops = Drops()
            tables = {name: read_scores(files[f"scores {name}"], drops) for name in scores}
            tables |= {name: _scored(name, given, directory, place.out, overwrite) for name, given in scorers.items()}
            _require_fitting(directory, tables)
            subjects = {name: _subject(scene, name, table, aggregate, drops) for name, table in tables.items()}
            run = of_run(files["run"], draws=draws, seed=seed) if rl_run is not None else None
            before = _baselines(None if earlier is None else Path(earlier), scene, list(subjects))
            overlap = scene.rows.about["overlap"]
            cards = tuple(
                scorer_card(name, subject, judged, overlap=overlap, run=run, baseline=before.get(name))
                for name, subject in subjects.items()
            )
            card = Card(cards, data_of(scene), settings, compared(subjects), run.curve if run else ())
            write_json(place.out, to_json(card))
            write_bytes(page_path(place.out), card_page(card).encode("utf-8", "replace"))
            counts |= Counter(scorer.verdict for scorer in cards)
            write_drops(drops, place.out, counts)
    return GateCard(job.output, job.counts(), place)


def _require_names(scores: Mapping[str, object], scorers: Mapping[str, object]) -> None:
    if not scores and not scorers:
        raise InputError("there is no scorer", "give scores, or models to score with")
    if both := scores.keys() & scorers.keys():
        raise InputError(f"{min(both)!r} is both in scores and in scorers", "give each scorer a name of its own")
    for name in (*scores, *scorers):
        if not name.strip() or not name.isprintable() or "/" in name:
            raise InputError(f"{name!r} is not a name", "call each scorer by a printable name without a /")


def _scored(
    name: str, model: str | os.PathLike[str] | Scorer, directory: Path, out: Path, overwrite: bool
) -> ScoreTable:
    """Score the chains with a model, beside the card; see `scored_by`."""
    path = out.with_name(f"{out.name}.scores-{name}.jsonl")
    problems, chains = directory / "problems.jsonl", directory / "chains.jsonl"
    return scored_by(model, problems, chains, path, overwrite=overwrite)


def _require_fitting(directory: Path, tables: Mapping[str, ScoreTable]) -> None:
    """Refuse step scores that differ in number from the steps of their chain."""
    for chain in read_records(directory / "chains.jsonl", Chain):
        for name, table in tables.items():
            if table.kind == "prm" and chain.id in table and len(table[chain.id]) != len(chain.steps):
                raise InputError(
                    f"{name}: chain {chain.id!r} has {len(table[chain.id])} scores, {len(chain.steps)} steps",
                    "score `chains.jsonl` of the probes",
                )


def _subject(scene: Scene, name: str, table: ScoreTable, aggregate: str, drops: Drops) -> Subject:
    """A scorer; the chains that it has not scored go to `drops`."""
    aggregator = "" if table.kind == "orm" else aggregate
    places = table.places([chain.chain_id for chain in scene.chains])
    static = scene.of("static")
    if not (places[static] >= 0).any():
        raise InputError(f"{name}: has scored none of the static chains", "score `chains.jsonl` of the probes")
    for chain in scene.chains:
        if chain.chain_id not in table:
            drops.add(chain.chain_id, f"no score of {name}", table.faults.get(chain.chain_id, ""))
    return Subject(scene, np.where(places >= 0, table.aggregated(aggregator)[places], np.nan), aggregator)


def _baselines(path: Path | None, scene: Scene, names: list[str]) -> dict[str, Mapping[str, float]]:
    """What an earlier card says of each scorer of these names; of a single one, whatever its name.

    Raises:
        InputError: it is of other chains, has none of the scorers, or their scores were all the same.
    """
    if path is None:
        return {}
    card = read_card(path)
    if card.data["digest"] != scene.rows.about["digest"]:
        raise InputError(f"{path}: is of other static chains", "drift is measured on a fixed set of chains")
    fixed = {scorer.name: scorer.fixed for scorer in card.scorers}
    if len(names) == len(fixed) == 1:
        fixed = dict(zip(names, fixed.values(), strict=True))
    if not fixed.keys() & set(names):
        raise InputError(f"{path}: has none of {', '.join(names)}", f"it has {', '.join(fixed)}")
    if flat := next((name for name, own in fixed.items() if name in names and not own["spread"]), None):
        raise InputError(f"{path}: all scores of {flat} were the same", "drift is measured in their spread")
    return fixed
