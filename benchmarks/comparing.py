"""Results against each other, paired over the rows that they share.

    compared = compare(["before.json", "after.json"], by="generator")
    compared.comparison.differences, compared.comparison.moved

Every scorer of every result is measured again on the shared rows, with the same bootstrap draws, so that two numbers
differ by their scorers alone. A mean over rows is tested by its exact permutation test, with the differences of
a problem's rows kept together; another measure, such as an F1, by the paired bootstrap.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from prm.data.jobs import Output, Workspace, making
from prm.data.manifest import Job
from prm.data.writing import write_bytes, write_json
from prm.errors import InputError
from prm.plots import Panel, lines_in_panels
from prm.statistics.arrays import Floats, Ints
from prm.statistics.bootstrap import estimate
from prm.statistics.paired import bootstrap_p, holm, sign_flip_p

from .eval_rows import EvalRow, read_eval_rows, rows_path
from .numbers import ALL, EvalSettings, Number
from .protocols import PROTOCOLS
from .report.charts import BY_SCORE
from .report.job import Evaluated, paths_of, read_each
from .results import Curve, Result
from .suites import convention_of

COMPARISON_SCHEMA = "comparison/1"
_MOST_GROUPS = 50
_MOST_NUMBERS = 12
"""Rows are grouped by the quarters of a field that has more different numbers."""
Key = tuple[str, str]
"""Id and split of a row."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of those that are compared: a scorer in a result, with a variant."""

    label: str
    file: str
    scorer: str
    variant: str


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """`b` minus `a`, over the same rows."""

    a: str
    """Label of the earlier side."""
    b: str
    group: str
    """"" for all shared rows, else the value of the field that they are grouped by."""
    rows: int
    """Rows behind both numbers."""
    value_a: float
    value_b: float
    difference: float
    low: float | None
    """Lower end of the 95% interval of the difference."""
    high: float | None
    p: float | None
    """Two-sided, of no difference."""
    p_holm: float | None
    """Corrected for all differences of this comparison."""
    test: Literal["permutation", "bootstrap"]
    gained: int | None
    """Rows in which `b` is better; None if the measure has no outcome for a row."""
    lost: int | None
    """Rows in which `a` is better."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A row in which two sides differ."""

    a: str
    b: str
    id: str
    split: str
    outcome_a: float
    """1 for right, 0 for wrong, or a share between."""
    outcome_b: float
    problem: str
    answer: str | None
    fields: Mapping[str, Any]
    truth: Mapping[str, Any]
    scores_a: Any
    """Of steps (localization), of chains in the order of the truth (preference), or the chain with the highest score
    and that (best of n); None for a baseline or a vote."""
    scores_b: Any
    texts: Mapping[str, Sequence[str]]
    """Steps, by chain id."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Results of one suite, compared."""

    suite: str
    metric: str
    split: str
    """Of the metric; see `prm.benchmarks.results.Metric`."""
    by: str | None
    rows: int
    """Shared by all results."""
    left_out: Mapping[str, int]
    """Rows that are not shared, by reason."""
    left_out_ids: Mapping[str, Sequence[str]]
    sides: tuple[Side, ...]
    differences: tuple[PairedDifference, ...]
    """All shared rows first, then group by group."""
    moved: tuple[Moved, ...]
    curves: Mapping[str, tuple[Curve, ...]]
    """Of the scores as a filter (see `Curve`), over all shared rows, by the label of a side."""
    costs: Mapping[str, Mapping[str, float]]
    """What scoring took per row, the mean over shared rows: by label of a side, "tokens" and "seconds", where known of
    all of them."""
    settings: Mapping[str, Any]
    ungrouped: Mapping[str, int] = field(default_factory=dict)
    """With `by`: shared rows that are in no difference of a group, by reason."""
    schema: str = field(default=COMPARISON_SCHEMA)


class Compared(Output):
    """What `compare` made: a file with the comparison."""

    @cached_property
    def comparison(self) -> Comparison:
        """Every difference with its interval and p, and every row that moved."""
        row = json.loads(self.path.read_text(encoding="utf-8"))
        return msgspec.convert(row, Comparison)


def compare(
    results: Sequence[Evaluated],
    out: str | Path | None = None,
    *,
    by: str | None = None,
    metric: str | None = None,
    variants: Sequence[str] = (),
    draws: int = 1000,
    seed: int = 0,
    allow_mixed: bool = False,
    plot: str | Path | None = None,
    overwrite: bool = False,
) -> Compared:
    """Compare results of one suite, paired over the rows that they share.

    Args:
        results: of `prm eval`, at least one; every two of their scorers are compared.
        out: file of the comparison; None for a temporary one.
        by: a field of the rows, or "split": the differences in each of its groups, too. Of a field of many numbers, in
            each quarter of the rows.
        metric: name of a metric; None for the suite's main one.
        variants: which to take if a scorer has several numbers, such as one per aggregator; "all" for every one; none
            for the first. A baseline is taken if it is named.
        draws: bootstrap draws.
        seed: of all draws.
        allow_mixed: accept results by different conventions.
        plot: a file for the curves of scores as a filter, as PNG; None for none.
        overwrite: replace an existing output.

    Raises:
        PrmError: a result has no rows, they share none, there is nothing to compare, or the output cannot be used.
    """
    place, paths = Workspace(out, "comparison.json"), paths_of(results)
    how = EvalSettings(draws=draws, seed=seed)
    settings = {
        "by": by, "metric": metric, "variants": list(variants), "draws": draws, "seed": seed,
        "allow_mixed": allow_mixed,
    }  # fmt: skip

    def write() -> dict[str, int]:
        read = read_each(paths)
        require_comparable(read, allow_mixed=allow_mixed)
        rows = {name: read_eval_rows(path, read[name]) for name, path in zip(read, paths, strict=True)}
        found = compared(read, rows, how, by=by, metric=metric, variants=variants)
        write_json(place.out, asdict(replace(found, settings=settings)))
        counts = {"rows": found.rows, "differences": len(found.differences), "moved rows": len(found.moved)}
        return counts | {f"left out ({reason})": number for reason, number in found.left_out.items()}

    if out is None:
        return _plotted(Compared(place.out, write(), place), plot)
    beside = {f"rows of {path}": rows_path(path) for path in paths if rows_path(path).exists()}
    job = Job(place.out, "compare", settings, {str(path): path for path in paths} | beside)
    with making(job, "comparison", overwrite) as counts:
        if counts is not None:
            counts |= write()
    return _plotted(Compared(job.output, job.counts(), place), plot)


def _plotted(made: Compared, plot: str | Path | None) -> Compared:
    if plot is not None:
        panels: dict[str, Panel] = {}
        for label, curves in made.comparison.curves.items():
            for curve in curves:
                title, x, y = BY_SCORE[curve.kind]
                what = f" of {curve.variant}" if curve.variant in ("solutions", "steps") else ""
                points = [(p.x, p.value, p.low, p.high) for p in curve.points]
                panels.setdefault(title + what, Panel(x, y, {})).lines[label] = points
        if not panels:
            raise InputError("there are no curves to plot", "omit plot")
        write_bytes(Path(plot), lines_in_panels(panels))
    return made


def require_comparable(results: Mapping[str, Result], *, allow_mixed: bool = False) -> None:
    """Refuse results of different suites or, unless allowed, conventions."""
    first, *others = results.items()
    for name, result in others:
        if result.suite != first[1].suite:
            raise InputError(
                f"{name} is of the suite {result.suite}, {first[0]} of {first[1].suite}", "compare results of one suite"
            )
        if result.convention != first[1].convention and not allow_mixed:
            raise InputError(
                f"{name} counts by the {result.convention} convention, {first[0]} by the {first[1].convention} one",
                "run `prm eval` with one --convention, or accept both (--allow-mixed, allow_mixed=True)",
            )


def compared(
    results: Mapping[str, Result],
    rows: Mapping[str, Mapping[Key, EvalRow]],
    settings: EvalSettings,
    *,
    by: str | None = None,
    metric: str | None = None,
    variants: Sequence[str] = (),
) -> Comparison:
    """Compare every two sides of results on the rows that all of them share.

    Args:
        results: by file name.
        rows: of each, by id and split.
        settings: draws and seed.
        by: as in `compare`, like all below.
        metric: of the differences.
        variants: of the scorers.

    Raises:
        InputError: no row is shared, or a metric, variant or field is unknown, or there are no two sides.
    """
    shared, left_out = _shared(rows)
    first = next(iter(results.values()))
    name, split = metric or first.headline[0].name, first.headline[0].split
    groups = {"": shared} | (_groups(by, shared, rows.values()) if by else {})
    measured = [
        _measured(group, keys, results, rows, settings, name, split, variants) for group, keys in groups.items()
    ]
    whole = measured[0]
    if len(whole.numbers) < 2:
        raise InputError(f"there is nothing to compare {next(iter(whole.numbers)).label!r} with", "give another result")
    pairs = list(combinations(whole.numbers, 2))
    tested = [one.difference(a, b, settings.seed) for one in measured for a, b in pairs if {a, b} <= one.numbers.keys()]
    differences = [difference for difference in tested if difference is not None]
    corrected = holm([difference.p for difference in differences])
    return Comparison(
        suite=first.suite,
        metric=name,
        split=next(iter(whole.numbers.values())).split,
        by=by,
        rows=len(shared),
        left_out={reason: len(ids) for reason, ids in left_out.items()},
        left_out_ids=left_out,
        sides=tuple(whole.numbers),
        differences=tuple(replace(d, p_holm=p) for d, p in zip(differences, corrected, strict=True)),
        moved=tuple(moved for a, b in pairs for moved in whole.moved(a, b, rows)),
        curves=whole.curves,
        costs={side.label: _costs(side.scorer, [rows[side.file][key] for key in shared]) for side in whole.numbers},
        settings={},
        ungrouped=_ungrouped(by, groups, {difference.group for difference in differences}, name) if by else {},
    )


def _shared(rows: Mapping[str, Mapping[Key, EvalRow]]) -> tuple[list[Key], dict[str, list[str]]]:
    """The rows of all results, in the order of their ids, and the ids of the others by reason."""
    everything = {key: row for own in rows.values() for key, row in own.items()}
    shared, left_out = list[Key](), defaultdict[str, list[str]](list)
    for key in sorted(everything):
        lacking = next((name for name, own in rows.items() if key not in own), None)
        other = next((name for name, own in rows.items() if not lacking and not _same(own[key], everything[key])), None)
        if lacking or other:
            left_out[f"absent in {lacking}" if lacking else f"with another text or truth in {other}"].append(key[0])
        else:
            shared.append(key)
    if not shared:
        reasons = ", ".join(f"{len(ids)} {reason}" for reason, ids in left_out.items())
        raise InputError(f"the results share no row: {reasons}", "compare results on the same rows of a suite")
    return shared, dict(left_out)


def _costs(scorer: str, rows: Sequence[EvalRow]) -> dict[str, float]:
    """The mean of each cost that is known of all rows."""
    own = [row.costs.get(scorer, {}) for row in rows]
    return {name: sum(cost[name] for cost in own) / len(own) for name in own[0] if all(name in cost for cost in own)}


def _same(one: EvalRow, two: EvalRow) -> bool:
    return (one.problem, one.answer, one.truth) == (two.problem, two.answer, two.truth)


def _groups(by: str, keys: Sequence[Key], rows: Collection[Mapping[Key, EvalRow]]) -> dict[str, list[Key]]:
    """The shared rows by the value of a field, in the first result that has it; the others are left to the whole."""
    told = {key: [value for own in rows if (value := own[key].value_of(by)) not in (None, "")] for key in keys}
    values = {key: found[0] for key, found in told.items() if found}
    known = sorted({name for own in rows for key in keys for name in own[key].fields} | {"split"})
    if not values:
        raise InputError(f"no row has a field {by!r} to group by", f"choose from {', '.join(known)}")
    distinct = set(values.values())
    if len(distinct) > _MOST_NUMBERS and all(type(value) in (int, float) for value in distinct):
        return _quarters(values)
    if len(distinct) > _MOST_GROUPS:
        raise InputError(f"the field {by!r} has {len(distinct)} values, too many for groups", "choose another field")
    groups = defaultdict[str, list[Key]](list)
    for key, value in values.items():
        groups[str(value)].append(key)
    return dict(sorted(groups.items()))


def _quarters(values: Mapping[Key, Any]) -> dict[str, list[Key]]:
    """Rows by the quarter of their number, equal ones together; named by the least and the largest of each."""
    numbers = np.array(list(values.values()), dtype=float)
    ends = np.unique(np.quantile(numbers, [0.25, 0.5, 0.75], method="inverted_cdf"))
    places = np.searchsorted(ends, numbers)
    quarters = [np.flatnonzero(places == place) for place in np.unique(places)]
    keys = list(values)
    for digits in (6, 17):  # 17 tell any two numbers apart
        names = [f"{numbers[own].min():.{digits}g} to {numbers[own].max():.{digits}g}" for own in quarters]
        if len(set(names)) == len(names):
            break
    return {name: [keys[i] for i in own] for name, own in zip(names, quarters, strict=True)}


def _ungrouped(by: str, groups: Mapping[str, Sequence[Key]], compared: Container[str], metric: str) -> dict[str, int]:
    """The rows of no group, and of those groups in which the metric is undefined, by reason."""
    without = len(groups[""]) - sum(len(keys) for group, keys in groups.items() if group)
    undefined = {
        f"with {by} {group}: {metric} is undefined there": len(keys)
        for group, keys in groups.items()
        if group and group not in compared
    }
    return ({f"without {by}": without} if without else {}) | undefined


@dataclass(frozen=True, slots=True)
class _Measured:
    """The number of each side over the rows of a group."""

    group: str
    keys: Sequence[Key]
    """The rows of `Number.rows`."""
    owners: Ints
    """The problem of each."""
    numbers: Mapping[Side, Number]
    curves: Mapping[str, tuple[Curve, ...]]
    """By the label of a side."""

    def difference(self, a: Side, b: Side, seed: int) -> PairedDifference | None:
        """`b` minus `a`; None if either is undefined."""
        one, two = self.numbers[a], self.numbers[b]
        drawn = two.drawn - one.drawn
        found, flips, moves = estimate(drawn), self._flips(one, two), self._moves(one, two)
        if found.value is None:
            return None
        return PairedDifference(
            a=a.label, b=b.label, group=self.group, rows=min(one.n, two.n),
            value_a=float(one.drawn[0]), value_b=float(two.drawn[0]),
            difference=found.value, low=found.low, high=found.high,
            p=bootstrap_p(drawn) if flips is None else sign_flip_p(flips, seed), p_holm=None,
            test="bootstrap" if flips is None else "permutation",
            gained=None if moves is None else int((moves > 0).sum()),
            lost=None if moves is None else int((moves < 0).sum()),
        )  # fmt: skip

    def _flips(self, one: Number, two: Number) -> Floats | None:
        """What each problem adds to the difference of two means over rows; None for other measures."""
        before, after = (None if number.rows is None else number.rows.added for number in (one, two))
        if before is None or after is None:
            return None
        flips: Floats = np.bincount(self.owners, after - before).astype(float)
        return flips

    def _moves(self, one: Number, two: Number) -> Floats | None:
        """(rows,): by how much the outcome of `two` is better, 0 for a row without one; None if no row has one."""
        if one.rows is None or two.rows is None:
            return None
        moves: Floats = np.nan_to_num(two.rows.outcomes - one.rows.outcomes)
        return moves

    def moved(self, a: Side, b: Side, rows: Mapping[str, Mapping[Key, EvalRow]]) -> Iterator[Moved]:
        """The rows in which two sides differ: first those that `b` loses, the largest differences first."""
        one, two = self.numbers[a].rows, self.numbers[b].rows
        moves = self._moves(self.numbers[a], self.numbers[b])
        if moves is None or one is None or two is None:
            return
        order = sorted(np.flatnonzero(moves), key=lambda i: (moves[i] > 0, -abs(moves[i])))
        for i in order:
            before, after = rows[a.file][self.keys[i]], rows[b.file][self.keys[i]]
            yield Moved(
                a=a.label, b=b.label, id=before.id, split=before.split,
                outcome_a=float(one.outcomes[i]), outcome_b=float(two.outcomes[i]),
                problem=before.problem, answer=before.answer, fields=before.fields, truth=before.truth,
                scores_a=_scores(before, a), scores_b=_scores(after, b),
                texts={**before.texts, **after.texts},
            )  # fmt: skip


def _scores(row: EvalRow, side: Side) -> Any:
    """Of the scorer, and of the variant if each has its own; None for a baseline or a vote."""
    own = row.scores.get(side.scorer)
    return own.get(side.variant) if isinstance(own, Mapping) else own


def _measured(
    group: str,
    keys: Sequence[Key],
    results: Mapping[str, Result],
    rows: Mapping[str, Mapping[Key, EvalRow]],
    settings: EvalSettings,
    name: str,
    split: str,
    variants: Sequence[str],
) -> _Measured:
    names = Counter(scorer for result in results.values() for scorer in result.scorers)
    found: dict[Side, Number] = {}
    curves: dict[str, tuple[Curve, ...]] = {}
    told: Sequence[Key] = ()
    for file, result in results.items():
        own = [rows[file][key] for key in keys]
        again = PROTOCOLS[result.protocol].again
        numbers, told, drawn = again(own, result, settings, convention_of(result.suite, result.convention))
        for number in _of_metric(numbers, name, split, file):
            if _is_wanted(number, numbers, variants):
                label = number.label if names[number.scorer] == 1 else f"{number.label} [{file}]"
                found[Side(label, file, number.scorer, number.variant)] = number
                curves[label] = tuple(c for c in drawn if c.scorer == number.scorer and _is_of(c, number.variant))
    if not found:
        raise InputError(f"no number of {name} is called {' or '.join(map(repr, variants))}", "omit it for the first")
    problems = {key: row.problem_id for key, row in next(iter(rows.values())).items()}
    _, owners = np.unique([problems[key] for key in told], return_inverse=True)
    return _Measured(group, told, owners, found, curves)


def _is_of(curve: Curve, variant: str) -> bool:
    """Whether a curve is drawn from the scores behind a variant; those of solutions and steps are behind all."""
    return curve.variant in ("solutions", "steps", variant)


def _of_metric(numbers: Sequence[Number], name: str, split: str, file: str) -> list[Number]:
    """The numbers of this metric in one split: in this one, if there are any, else over all rows, else in the first."""
    named = [number for number in numbers if number.name == name]
    if not named:
        known = ", ".join(dict.fromkeys(number.name for number in numbers))
        raise InputError(f"{file}: has no metric {name!r} of its rows", f"choose from {known}")
    splits = [number.split for number in named]
    chosen = next((s for s in (split, ALL) if s in splits), splits[0])
    return [number for number in named if number.split == chosen]


def _is_wanted(number: Number, numbers: Sequence[Number], variants: Sequence[str]) -> bool:
    """Whether it is of a wanted variant; without any, of its scorer's first one."""
    if variants:
        return number.variant in variants or ("all" in variants and number.scorer != "")
    own = next(n for n in numbers if (n.scorer, n.name) == (number.scorer, number.name))
    return number.scorer != "" and number.variant == own.variant
