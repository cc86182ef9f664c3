"""From a suite and scores to a result: what the protocols share.

    data = read_suite("processbench", "processbench/", drops)
    result, shown = measure_suite(data, {"PRM": read_scores(path)}, EvalSettings(), drops)

A row that one of the scorers has not scored is left out for all of them, so that all are measured on the same rows; it
is noted in `drops`, and the result says how many.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version

from prm.data.drops import Drops
from prm.errors import InputError
from prm.scoring.reranking import select
from prm.statistics.aggregation import aggregate

from .numbers import EvalSettings, Findings
from .pools import Pool, of_size
from .protocols.best_of_n import best_of_n
from .protocols.localization import classification, localization, require_split
from .protocols.preference import RULES, preference
from .results import Result, ShownChain, label_of
from .scores import ScoreTable
from .suites import SUITES, SuiteData
from .suites.truth import Candidates, Comparison, StepTruth

Item = StepTruth | Comparison | Pool
"""What is measured as one, by protocol."""


def measure_suite(
    data: SuiteData,
    scorers: Mapping[str, ScoreTable],
    settings: EvalSettings,
    drops: Drops,
    pools: Iterable[Pool] = (),
    show: int = 5000,
) -> tuple[Result, list[ShownChain]]:
    """Measure scorers on a suite.

    Args:
        data: from `prm.benchmarks.suites.read_suite`.
        scorers: at least one, by name.
        settings: what definitions leave open.
        drops: where rows that could not be used stand already; those without a score join them.
        pools: best of n only, from `prm.benchmarks.pools`.
        show: how many chains are kept to be looked at, about; whole problems, drawn evenly.

    Raises:
        InputError: no row is left; a scorer gave another number of scores than a chain has steps; or a setting has no
            meaning for the suite.
    """
    require_used(data, scorers, settings)
    candidates = of_size(pools, settings.n, drops) if data.protocol == "best-of-n" else data.truths
    rows = _scored([row for row in candidates if not isinstance(row, Candidates)], scorers, drops)
    findings = _measure(data, rows, scorers, settings)
    return _result(data, rows, scorers, findings, drops), _shown(data, rows, scorers, show, settings.seed)


def require_used(data: SuiteData, scorers: Collection[str], settings: EvalSettings) -> None:
    """Refuse settings that would be ignored; `measure_suite` does too, but only once there are scores.

    Raises:
        InputError: there is no scorer, a threshold names none of them, or a setting has no meaning for the suite.
    """
    if not scorers:
        raise InputError("there is no scorer to measure", "give scores or scorers, or set stored")
    unknown = next((name for name in settings.thresholds if name not in scorers), None)
    if unknown is not None:
        raise InputError(
            f"a threshold is set for {unknown!r}, which is not a scorer", f"choose from {', '.join(scorers)}"
        )
    if settings.thresholds and data.protocol not in ("localization", "steps"):
        raise InputError(f"the suite {data.name} calls no step wrong, so it has no threshold", "omit the threshold")
    if settings.threshold_split is not None:
        if data.protocol != "localization":
            raise InputError(f"the suite {data.name} chooses no threshold on a split", "omit threshold_split")
        require_split(settings.threshold_split, [truth.split for truth in data.truths])
    if settings.n is not None and data.protocol != "best-of-n":
        raise InputError(f"the suite {data.name} chooses among no solutions", "omit n")


def _chain_ids(row: Item) -> tuple[str, ...]:
    if isinstance(row, StepTruth):
        return (row.chain_id,)
    return (*row.better, *row.worse) if isinstance(row, Comparison) else row.chain_ids


def _to_score(row: Item) -> tuple[str, ...]:
    """The chains that need a score: a solution without an answer is never chosen, whatever it scores."""
    if isinstance(row, Pool):
        return tuple(i for i, group in zip(row.chain_ids, row.groups, strict=True) if group is not None)
    return _chain_ids(row)


def _id(row: Item) -> str:
    return row.chain_id if isinstance(row, StepTruth) else row.id if isinstance(row, Comparison) else row.problem_id


def _scored(rows: Iterable[Item], scorers: Mapping[str, ScoreTable], drops: Drops) -> list[Item]:
    kept = []
    for row in rows:
        lacking = next((name for name, table in scorers.items() if not table.has_all(_to_score(row))), None)
        if lacking is None:
            kept.append(row)
        else:
            drops.add(_id(row), "no score", f"of {lacking}")
    if not kept:
        raise InputError("no row has a score of every scorer", "do the chain ids of the scores belong to this suite?")
    return kept


def _measure(
    data: SuiteData, rows: Sequence[Item], scorers: Mapping[str, ScoreTable], settings: EvalSettings
) -> Findings:
    if data.protocol == "best-of-n":
        return best_of_n([row for row in rows if isinstance(row, Pool)], scorers, settings)
    lengths = {chain_id: len(data.chains[chain_id].text) for row in rows for chain_id in _chain_ids(row)}
    if data.protocol == "preference":
        comparisons = [row for row in rows if isinstance(row, Comparison)]
        return preference(comparisons, lengths, scorers, settings, RULES.get(data.name, "pairs"))
    truths = [row for row in rows if isinstance(row, StepTruth)]
    _require_step_scores(truths, scorers)
    measure = localization if data.protocol == "localization" else classification
    return measure(truths, [lengths[truth.chain_id] for truth in truths], scorers, settings)


def _require_step_scores(rows: Sequence[StepTruth], scorers: Mapping[str, ScoreTable]) -> None:
    for name, table in scorers.items():
        if table.kind == "orm":
            raise InputError(f"{name} scores whole chains, and this suite asks for steps", "give a PRM's scores")
        wrong = next((row for row in rows if len(table[row.chain_id]) != len(row.steps)), None)
        if wrong is not None:
            raise InputError(
                f"{name}: chain {wrong.chain_id!r} has {len(table[wrong.chain_id])} scores, {len(wrong.steps)} steps",
                "score the chains that `prm suite` writes",
            )


def _result(
    data: SuiteData, rows: Sequence[Item], scorers: Mapping[str, ScoreTable], findings: Findings, drops: Drops
) -> Result:
    splits: dict[str, int] = {}
    for row in rows:
        splits[row.split] = splits.get(row.split, 0) + 1
    counts = {
        "rows": len(rows),
        "problems": len({row.problem_id for row in rows}),
        "chains": len({chain_id for row in rows for chain_id in _chain_ids(row)}),
        "splits": splits,
        "dropped": drops.by_reason(),
        **findings.counts,
        "digest": _digest(rows),
    }
    return Result(
        suite=data.name,
        protocol=data.protocol,
        settings={**findings.settings, **_note(data.name)},
        data=counts,
        versions={name: version(name) for name in ("prm-toolkit", "numpy", "sympy")},
        scorers=tuple(scorers),
        headline=tuple(number.metric() for number in findings.numbers if findings.headline(number)),
        metrics=tuple(number.metric() for number in findings.numbers),
        differences=findings.differences,
        curves=findings.curves,
        pictures=findings.pictures,
    )


def _note(suite: str) -> dict[str, str]:
    """What a person should know who compares numbers of this suite."""
    note = SUITES[suite].note if suite in SUITES else ""
    return {"note": note} if note else {}


def _digest(rows: Iterable[object]) -> str:
    """Two results have the same where they are of the same rows with the same truth."""
    found = hashlib.sha256()
    for row in rows:
        found.update(repr(row).encode("utf-8", "surrogatepass"))
    return found.hexdigest()[:16]


def _shown(
    data: SuiteData, rows: Sequence[Item], scorers: Mapping[str, ScoreTable], show: int, seed: int
) -> list[ShownChain]:
    """The chains of whole problems, drawn evenly, in the order of the suite; none where there are pools alone."""
    if not data.chains:
        return []
    by_problem: dict[str, list[Item]] = {}
    for row in rows:
        by_problem.setdefault(row.problem_id, []).append(row)
    order = random.Random(seed).sample(list(by_problem), len(by_problem))
    kept, count = set(), 0
    for problem_id in order:
        own = sum(len(_chain_ids(row)) for row in by_problem[problem_id])
        if count + own <= show:
            kept.add(problem_id)
            count += own
    return [
        chain
        for problem_id, own in by_problem.items()
        if problem_id in kept
        for row in own
        for chain in _show_row(data, row, scorers)
    ]


def _show_row(data: SuiteData, row: Item, scorers: Mapping[str, ScoreTable]) -> Iterator[ShownChain]:
    if isinstance(row, StepTruth):
        return _show(data, row, scorers, row.chain_id, row.steps, row.is_answer_right)
    return _show_comparison(data, row, scorers) if isinstance(row, Comparison) else _show_pool(data, row, scorers)


def _show(
    data: SuiteData,
    row: Item,
    scorers: Mapping[str, ScoreTable],
    chain_id: str,
    truth: tuple[bool | None, ...] | None,
    is_right: bool | None,
    chosen_by: tuple[str, ...] = (),
) -> Iterator[ShownChain]:
    """The chain as it is shown; nothing where its text is not there, as with pools alone."""
    if chain_id in data.chains:
        problem, steps = data.problems[row.problem_id], data.chains[chain_id].steps
        scores = {name: tuple(table[chain_id].tolist()) for name, table in scorers.items() if chain_id in table}
        yield ShownChain(
            row.problem_id, problem.text, problem.answer, chain_id, row.split, steps, truth, is_right, scores, chosen_by
        )


def _show_comparison(data: SuiteData, row: Comparison, scorers: Mapping[str, ScoreTable]) -> Iterator[ShownChain]:
    for chain_id in _chain_ids(row):
        yield from _show(data, row, scorers, chain_id, None, chain_id in row.better)


def _show_pool(data: SuiteData, row: Pool, scorers: Mapping[str, ScoreTable]) -> Iterator[ShownChain]:
    choices = dict(_choices(row, scorers))
    for place, (chain_id, is_right) in enumerate(zip(row.chain_ids, row.is_right, strict=True)):
        chosen_by = tuple(name for name, chosen in choices.items() if chosen == place)
        yield from _show(data, row, scorers, chain_id, None, is_right, chosen_by)


def _choices(pool: Pool, scorers: Mapping[str, ScoreTable]) -> Iterator[tuple[str, int]]:
    """The name of each way of choosing, and the place of what it chooses."""
    yield "majority", select([0.0] * len(pool.chain_ids), pool.groups, "majority")
    for name, table in scorers.items():
        for aggregator in table.aggregators:
            answered = [
                None if group is None else aggregate(table[chain_id].tolist(), aggregator or "last")
                for chain_id, group in zip(pool.chain_ids, pool.groups, strict=True)
            ]
            label = label_of(name, aggregator)
            yield label, select(answered, pool.groups)
            yield f"{label} vote", select(answered, pool.groups, "weighted")
