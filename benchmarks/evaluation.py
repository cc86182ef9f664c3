"""From a suite and scores to a result: what the protocols share.

    data = read_suite("processbench", "processbench/", drops)
    result, shown, rows = measure_suite(data, {"PRM": read_scores(path)}, EvalSettings(), drops)

A row that one of the scorers has not scored is dropped for all of them, so that all are measured on the same rows; it
is noted in `drops` and counted in the result.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version

import numpy as np

from prm.data.drops import Drops
from prm.errors import InputError
from prm.scoring.foreign import BAD_SCORE

from .conventions import Convention
from .eval_rows import Costs, EvalRow, eval_rows
from .numbers import EvalSettings, Findings
from .pools import Pool, of_size
from .protocols import PROTOCOLS
from .protocols.entry import Item
from .protocols.localization import require_split
from .results import Result, ShownChain
from .scores import ScoreTable
from .suites import SuiteData
from .suites.truth import StepTruth

_UNHEEDED = {
    "thresholds": "calls no step wrong, so it has no threshold",
    "threshold_split": "does not choose a threshold on a split",
    "n": "does not choose among solutions",
}
"""Why a suite has no use for a setting."""


def measure_suite(
    data: SuiteData,
    scorers: Mapping[str, ScoreTable],
    settings: EvalSettings,
    drops: Drops,
    pools: Iterable[Pool] = (),
    show: int = 5000,
) -> tuple[Result, list[ShownChain], Iterator[EvalRow]]:
    """Measure scorers on a suite: the result, chains to look at, and the rows behind it.

    Args:
        data: from `prm.benchmarks.suites.read_suite`.
        scorers: at least one, by name.
        settings: of metrics and intervals.
        drops: the rows dropped so far; those without a score join them.
        pools: best of n only, from `prm.benchmarks.pools`.
        show: about how many chains to keep, to look at; whole problems, drawn evenly.

    Raises:
        InputError: no row is left, a chain has more or fewer scores than steps, or a setting has no meaning for the
            suite.
    """
    require_used(data, scorers, settings)
    protocol = PROTOCOLS[data.protocol]
    candidates = of_size(pools, settings.n, drops) if protocol.is_pooled else data.truths
    items = _scored([item for item in candidates if isinstance(item, protocol.item)], scorers, drops)
    _require_fitting(items, scorers, data)
    findings = protocol.measure(data, items, scorers, settings)
    rows = eval_rows(data, protocol.keep(data, items, scorers), findings, _costs(items, scorers))
    return _result(data, items, scorers, findings, drops), _shown(data, items, scorers, show, settings.seed), rows


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
    for name in settings.given:
        if name not in PROTOCOLS[data.protocol].heeds:
            raise InputError(f"the suite {data.name} {_UNHEEDED[name]}", f"omit {name}")
    if settings.threshold_split is not None:
        require_split(settings.threshold_split, [truth.split for truth in data.truths])


def strange_scores(name: str, table: ScoreTable, settings: EvalSettings) -> str | None:
    """What to say of step scores outside [0, 1] that are compared with a threshold nobody chose; None for all others.

    A few are named as faults of the file; with many the scale is another, and a threshold that fits it is offered: 0
    where scores lie on both sides of it, else their median.
    """
    if table.kind == "orm" or name in settings.thresholds or not len(table.values):
        return None
    outside = (table.values < 0) | (table.values > 1)
    if not outside.any():
        return None
    if outside.mean() < _FEW:
        owners = np.searchsorted(table.starts, np.flatnonzero(outside), side="right") - 1
        ids = list(table.rows)
        named = ", ".join(dict.fromkeys(ids[row] for row in owners[:_NAMED]))
        return f"{name}: {outside.sum():,} of {len(outside):,} scores are outside [0, 1], such as those of {named}"
    low, high = table.values.min(), table.values.max()
    fitting = 0.0 if low < 0 < high else float(np.median(table.values))
    return (
        f"{name}: scores from {low:g} to {high:g} are measured at the threshold {settings.threshold(name):g}; "
        f"set the one that they are meant for, such as --threshold {name}={fitting:g}"
    )


_FEW = 0.01
"""Share of the scores below which they count as faults."""
_NAMED = 5


def _scored(items: Iterable[Item], scorers: Mapping[str, ScoreTable], drops: Drops) -> list[Item]:
    kept = []
    for item in items:
        lacking = next((name for name, table in scorers.items() if not table.has_all(item.to_score)), None)
        if lacking is None:
            kept.append(item)
        else:
            faults = scorers[lacking].faults
            fault = next((faults[chain_id] for chain_id in item.to_score if chain_id in faults), None)
            drops.add(item.id, "no score" if fault is None else BAD_SCORE, f"of {lacking}" if fault is None else fault)
    if not kept:
        raise InputError("no row has a score of every scorer", "do the chain ids of the scores belong to this suite?")
    return kept


def _require_fitting(items: Iterable[Item], scorers: Mapping[str, ScoreTable], data: SuiteData) -> None:
    """Refuse step scores that differ in number from the steps of their chain, or those that the suite judges in it."""
    steps = {i: len(data.chains[i].steps) for item in items for i in item.chain_ids if i in data.chains}
    judged = {item.chain_id: len(item.steps) for item in items if isinstance(item, StepTruth)}
    for name, table in scorers.items():
        for chain_id, count in steps.items() if table.kind == "prm" else ():
            if chain_id in table and len(table[chain_id]) not in (count, judged.get(chain_id)):
                raise InputError(
                    f"{name}: chain {chain_id!r} has {len(table[chain_id])} scores, {count} steps",
                    "score the chains that `prm suite` writes, or these chains with the same splitter",
                )


def _result(
    data: SuiteData, items: Sequence[Item], scorers: Mapping[str, ScoreTable], findings: Findings, drops: Drops
) -> Result:
    splits: dict[str, int] = {}
    for item in items:
        splits[item.split] = splits.get(item.split, 0) + 1
    counts = {
        "rows": len(items),
        "problems": len({item.problem_id for item in items}),
        "chains": len({chain_id for item in items for chain_id in item.chain_ids}),
        "splits": splits,
        "dropped": drops.by_reason(),
        **findings.counts,
        "digest": _digest(items),
    }
    return Result(
        suite=data.name,
        protocol=data.protocol,
        convention=data.convention.name,
        settings={**_official(data.convention), **findings.settings, **({"note": data.note} if data.note else {})},
        data=counts,
        versions={name: version(name) for name in ("prm-toolkit", "numpy", "sympy")},
        scorers=tuple(scorers),
        headline=tuple(number.metric() for number in findings.numbers if findings.headline(number)),
        metrics=tuple(number.metric() for number in findings.numbers),
        differences=findings.differences,
        curves=findings.curves,
        pictures=findings.pictures,
    )


def _costs(items: Sequence[Item], scorers: Mapping[str, ScoreTable]) -> Mapping[tuple[str, str], Costs]:
    """What scoring took, by id and split of a row, for scorers that tell it of every chain they scored."""
    found: defaultdict[tuple[str, str], dict[str, dict[str, float]]] = defaultdict(dict)
    for name, table in scorers.items():
        for item in items if table.costs else ():
            own = [table.costs.get(chain_id, {}) for chain_id in item.chain_ids if chain_id in table]
            known = [cost for cost in own[0] if all(cost in one for one in own)] if own else []
            found[item.id, item.split][name] = {cost: sum(one[cost] for one in own) for cost in known}
    return found


def _official(convention: Convention) -> dict[str, str]:
    return {"official": convention.source} if convention.source else {}


def _digest(items: Iterable[object]) -> str:
    """The same for two results of the same rows with the same truth."""
    found = hashlib.sha256()
    for item in items:
        found.update(repr(item).encode("utf-8", "surrogatepass"))
    return found.hexdigest()[:16]


def _shown(
    data: SuiteData, items: Sequence[Item], scorers: Mapping[str, ScoreTable], show: int, seed: int
) -> list[ShownChain]:
    """The chains of whole problems, drawn evenly, in the order of the suite; none where only pools were given."""
    if not data.chains:
        return []
    by_problem: dict[str, list[Item]] = {}
    for item in items:
        by_problem.setdefault(item.problem_id, []).append(item)
    order = random.Random(seed).sample(list(by_problem), len(by_problem))
    kept, count = set(), 0
    for problem_id in order:
        own = sum(len(item.chain_ids) for item in by_problem[problem_id])
        if count + own <= show:
            kept.add(problem_id)
            count += own
    return [
        chain
        for problem_id, own in by_problem.items()
        if problem_id in kept
        for item in own
        for chain in _show(data, item, scorers)
    ]


def _show(data: SuiteData, item: Item, scorers: Mapping[str, ScoreTable]) -> Iterator[ShownChain]:
    """The chains of an item, but for those without a text."""
    problem = data.problems[item.problem_id]
    for mark in PROTOCOLS[data.protocol].marks(item, scorers):
        chain_id = mark.chain_id
        if chain_id in data.chains:
            yield ShownChain(
                problem_id=item.problem_id,
                problem=problem.text,
                answer=problem.answer,
                chain_id=chain_id,
                split=item.split,
                steps=data.chains[chain_id].steps,
                truth=mark.truth,
                is_right=mark.is_right,
                scores={name: tuple(table[chain_id].tolist()) for name, table in scorers.items() if chain_id in table},
                chosen_by=mark.chosen_by,
            )
