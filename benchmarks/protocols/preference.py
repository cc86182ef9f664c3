"""Preference suites: does the better response score higher?

Rules; `Suite.rule` names that of a suite:

    pairs    each better response against each worse one; the share of pairs won (JudgeBench, LLMBar, plain pairs)
    sections as pairs; the suite's number is the mean of its sections (RewardBench, arXiv 2403.13787, section 3)
    styles   as pairs, with responses ordered by style from plain to ornate (RM-Bench, arXiv 2410.16184, section 3.3):
             the worse response is plainer in "easy" pairs, of the same style in "normal" pairs, and more ornate in
             "hard" pairs
    best     the one better response must be above all worse ones (RewardBench 2, arXiv 2506.01937, section 4); for
             several right ones see `prm.benchmarks.protocols.ties`

Equal scores share, half a pair or an equal part of the first place; by some conventions, they lose.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prm.statistics.arrays import Floats, average_ranks
from prm.statistics.bootstrap import Resampling, ratio, resample

from ..conventions import EXACT, Convention
from ..eval_rows import EvalRow, Kept
from ..numbers import (
    ALL,
    MACRO,
    MATCHED,
    EvalSettings,
    Findings,
    Number,
    PerRow,
    averaged,
    differences,
    headline_of,
    lengths_picture,
    require_different,
)
from ..results import Bin, Difference, Picture, Result, label_of
from ..scores import ScoreTable
from ..suites.collecting import SuiteData
from ..suites.truth import Comparison, Rule
from .entry import Again, Mark, ProtocolEntry
from .localization import length_correlation
from .ties import SUBSET, ties_score

_BARS = 40


@dataclass(frozen=True, slots=True)
class Judge:
    """A way of scoring responses: a scorer with an aggregator, or length."""

    scorer: str
    variant: str
    scores: Mapping[str, float]
    """By chain id."""


def preference(
    comparisons: Sequence[Comparison],
    lengths: Mapping[str, int],
    scorers: Mapping[str, ScoreTable],
    settings: EvalSettings,
    rule: Rule = "pairs",
    convention: Convention = EXACT,
) -> Findings:
    """Measure on comparisons whose responses have all been scored by every scorer.

    Args:
        comparisons: at least one.
        lengths: characters of each chain, by id.
        scorers: PRMs and ORMs by name; a PRM is tried with each aggregator.
        settings: as in `EvalSettings`.
        rule: one of those above.
        convention: decides about equal scores, further means and the headline.

    Returns:
        "accuracy" by split, by section if there are sections (the weighted mean of its comparisons), their `macro` and
        `weighted` means, and `all` together; with styles, "accuracy_easy", "…_normal" and "…_hard" too;
        "mrr", the reciprocal rank of the better response, if the convention asks for it;
        "accuracy_length_matched" of pairs whose lengths differ by at most a tenth; "ties", the share of pairs with
        equal scores. Each is the share of a comparison's own pairs, averaged over comparisons. "length_correlation".
        "longer" and "shorter" are baselines that look at length alone.
    """
    return _judged(comparisons, lengths, list(_judges(scorers, comparisons)), settings, rule, convention)


def _judged(
    comparisons: Sequence[Comparison],
    lengths: Mapping[str, int],
    scored: Sequence[Judge],
    settings: EvalSettings,
    rule: Rule,
    convention: Convention,
) -> Findings:
    """See `preference`; with the scores of chains."""
    drawn = resample([c.problem_id for c in comparisons], [c.split for c in comparisons], settings.draws, settings.seed)
    judges = [*scored, *_baselines(lengths)]
    require_different(label_of(judge.scorer, judge.variant) for judge in judges)
    numbers = [n for judge in judges for n in _of_judge(judge, comparisons, lengths, drawn, rule, convention)]
    headline = _headline(numbers, rule, convention)
    return Findings(
        settings={
            "rule": rule,
            "ties": "lost" if convention.ties_lose else "shared evenly",
            "intervals": "95% percentile bootstrap over prompts, within splits; of a share at 0 or 1, Jeffreys'",
            "draws": settings.draws,
            "seed": settings.seed,
        },
        numbers=tuple(numbers),
        headline=headline,
        differences=_differences(numbers, headline),
        counts={"pairs": sum(len(c.better) * len(c.worse) for c in comparisons)},
        pictures=tuple(p for judge in judges if judge.scorer for p in _pictures(judge, comparisons, lengths)),
        keys=tuple((c.id, c.split) for c in comparisons),
        is_kept=headline,
    )


def _headline(numbers: Sequence[Number], rule: Rule, convention: Convention) -> Callable[[Number], bool]:
    """The mean of sections or subsets for suites reported that way, else the mean of all comparisons."""
    splits = (ALL,) if rule == "pairs" else (MACRO, ALL)
    return headline_of(numbers, convention.headline or [("accuracy", split) for split in splits])


def _differences(numbers: Sequence[Number], headline: Callable[[Number], bool]) -> tuple[Difference, ...]:
    """In the suite's main number between all scorers and aggregators; in the others within one aggregator."""
    own = [n for n in numbers if n.scorer]
    main = differences([n for n in own if headline(n)], lambda n: n.label, lambda n: (n.name, n.split))
    return main + differences([n for n in own if not headline(n)])


def _judges(scorers: Mapping[str, ScoreTable], comparisons: Sequence[Comparison]) -> Iterator[Judge]:
    chain_ids = list(dict.fromkeys(chain_id for c in comparisons for chain_id in (*c.better, *c.worse)))
    for name, table in scorers.items():
        places = table.places(chain_ids)
        for aggregator in table.aggregators:
            scores = table.aggregated(aggregator)[places].tolist()
            yield Judge(name, aggregator, dict(zip(chain_ids, scores, strict=True)))


def _baselines(lengths: Mapping[str, int]) -> Iterator[Judge]:
    yield Judge("", "longer", {chain_id: float(n) for chain_id, n in lengths.items()})
    yield Judge("", "shorter", {chain_id: -float(n) for chain_id, n in lengths.items()})


def _of_judge(
    judge: Judge,
    comparisons: Sequence[Comparison],
    lengths: Mapping[str, int],
    drawn: Resampling,
    rule: Rule,
    convention: Convention,
) -> Iterator[Number]:
    signs = [_signs(judge.scores, c) for c in comparisons]
    wins = [(own > 0) + (0.0 if convention.ties_lose else 0.5) * (own == 0) for own in signs]
    won = _best if rule == "best" else np.mean
    known = {SUBSET: ties_score(judge.scores, comparisons, drawn)} if rule == "best" else {}
    accuracies = list(_by_split(judge, "accuracy", comparisons, np.array([float(won(w)) for w in wins]), drawn, known))
    yield from accuracies
    yield from _means(accuracies, convention)
    if "mrr" in convention.measures:
        yield _pooled(judge, "mrr", np.array([_reciprocal_rank(own) for own in signs]), drawn)
    if rule == "styles":
        for name, pick in (("easy", np.tril), ("normal", np.diag), ("hard", np.triu)):
            yield from _by_split(judge, f"accuracy_{name}", comparisons, _styled(wins, pick), drawn)
    matched = np.array([_share(w[_alike(lengths, c)]) for w, c in zip(wins, comparisons, strict=True)])
    yield _pooled(judge, "accuracy_length_matched", matched, drawn)
    yield _pooled(judge, "ties", np.array([np.mean(own == 0) for own in signs]), drawn)
    if judge.scorer:
        ids = [(row, chain_id) for row, c in enumerate(comparisons) for chain_id in (*c.better, *c.worse)]
        owners = np.array([row for row, _ in ids])
        values, sizes = (np.array([float(of[i]) for _, i in ids]) for of in (judge.scores, lengths))
        yield length_correlation(judge.scorer, judge.variant, average_ranks(sizes), values, drawn.at(owners))


def _means(accuracies: Sequence[Number], convention: Convention) -> Iterator[Number]:
    """The unweighted means of splits that the convention names, where all of these are there."""
    by_split = {number.split: number for number in accuracies}
    for name, splits in convention.means.items():
        if by_split.keys() >= set(splits):
            own = [by_split[split] for split in splits]
            mean = np.mean([number.drawn for number in own], axis=0)
            of_rows = PerRow.mixed([n.rows for n in own if n.rows is not None], np.full(len(own), 1 / len(own)))
            yield replace(own[0], split=name, drawn=mean, n=sum(number.n for number in own), rows=of_rows)


def _signs(scores: Mapping[str, float], comparison: Comparison) -> Floats:
    """1 if the better response scores higher, 0 if both are equal, else -1; (better, worse)."""
    better, worse = (np.array([scores[i] for i in ids]) for ids in (comparison.better, comparison.worse))
    signs: Floats = (better[:, None] > worse[None, :]).astype(float) - (better[:, None] < worse[None, :])
    return signs


def _reciprocal_rank(signs: Floats) -> float:
    """1 over the rank of the best of the better responses; worse ones come before it if they score the same."""
    return 1 / (1 + float((signs <= 0).sum(axis=1).min()))


def _best(wins: Floats) -> float:
    """Whether the better response is the best of all; equal ones share the place."""
    if len(wins) > 1:
        return float((wins == 1).all())
    return 0.0 if (wins == 0).any() else 1 / (1 + float((wins == 0.5).sum()))


def _styled(wins: Sequence[Floats], pick: Callable[..., Floats]) -> Floats:
    """Mean over the pairs of one kind. Rows are styles of the better response, columns of the worse."""
    if pick is np.diag:
        return np.array([np.diag(w).mean() for w in wins])
    masks = [pick(np.ones(w.shape), k=-1 if pick is np.tril else 1) > 0 for w in wins]
    return np.array([_share(w[mask]) for w, mask in zip(wins, masks, strict=True)])


def _share(values: Floats) -> float:
    return float(values.mean()) if values.size else float("nan")


def _alike(lengths: Mapping[str, int], comparison: Comparison) -> NDArray[np.bool_]:
    better, worse = (np.array([lengths[i] for i in ids], float) for ids in (comparison.better, comparison.worse))
    longer = np.maximum(better[:, None], worse[None, :])
    alike: NDArray[np.bool_] = np.abs(better[:, None] - worse[None, :]) <= MATCHED * longer
    return alike


def _pooled(judge: Judge, name: str, values: Floats, drawn: Resampling) -> Number:
    shares = drawn.means(values[:, None])[:, 0]
    counted = int((~np.isnan(values)).sum())
    return Number(judge.scorer, name, ALL, judge.variant, shares, counted, PerRow.mean(values))


def _by_split(
    judge: Judge,
    name: str,
    comparisons: Sequence[Comparison],
    values: Floats,
    drawn: Resampling,
    known: Mapping[str, Floats] = MappingProxyType({}),
) -> Iterator[Number]:
    """By split, section and over all; `known` has the splits whose number is not a mean over rows."""
    ones = np.ones(len(values))
    splits = _grouped(judge, name, [c.split for c in comparisons], values, ones, drawn)
    splits = [_known(split, known) for split in splits]
    weights = np.array([c.weight for c in comparisons])
    sections = _grouped(judge, name, [c.section for c in comparisons], values, weights, drawn)
    yield from splits
    yield from (section for section in sections if section.split not in {split.split for split in splits})
    yield from averaged(sections or splits)
    yield _pooled(judge, name, values, drawn)


def _known(number: Number, known: Mapping[str, Floats]) -> Number:
    """The number, or what is known of its split in its place, which is no mean of outcomes."""
    if number.split not in known or number.rows is None:
        return number
    return replace(number, drawn=known[number.split], rows=PerRow(number.rows.outcomes))


def _grouped(
    judge: Judge, name: str, groups: Sequence[str], values: Floats, weights: Floats, drawn: Resampling
) -> list[Number]:
    """The mean of each group, without nan; nothing for a single group. "" is not a group."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        if group and not np.isnan(values[row]):
            rows[group].append(row)
    if len(rows) < 2:
        return []
    counted = np.zeros((len(values), len(rows)))
    for column, own in enumerate(rows.values()):
        counted[own, column] = weights[own]
    means = ratio(drawn.sums(counted * np.nan_to_num(values)[:, None]), drawn.sums(counted))
    shares = counted / counted.sum(axis=0)
    return [
        Number(
            judge.scorer, name, group, judge.variant, means[:, column], len(own),
            PerRow(np.where(counted[:, column] > 0, values, np.nan), shares[:, column]),
        )
        for column, (group, own) in enumerate(rows.items())
    ]  # fmt: skip


def _pictures(judge: Judge, comparisons: Sequence[Comparison], lengths: Mapping[str, int]) -> Iterator[Picture]:
    margins = np.array([judge.scores[b] - judge.scores[w] for c in comparisons for b in c.better for w in c.worse])
    margins = margins[np.isfinite(margins)]
    if len(margins):
        counts, edges = np.histogram(margins, bins=_BARS)
        bars = zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
        yield Picture("margins", judge.scorer, judge.variant, tuple(Bin(low, high, n) for low, high, n in bars))
    ids = [
        (chain_id, good) for c in comparisons for group, good in ((c.better, 1.0), (c.worse, 0.0)) for chain_id in group
    ]
    values, sizes = (np.array([float(of[i]) for i, _ in ids]) for of in (judge.scores, lengths))
    yield lengths_picture(judge.scorer, judge.variant, sizes, values, np.array([good for _, good in ids]))


def _measure(
    data: SuiteData, comparisons: Sequence[Comparison], scorers: Mapping[str, ScoreTable], settings: EvalSettings
) -> Findings:
    lengths = {chain_id: len(data.chains[chain_id].text) for c in comparisons for chain_id in c.chain_ids}
    return preference(comparisons, lengths, scorers, settings, data.rule, data.convention)


def _marks(comparison: Comparison, scorers: Mapping[str, ScoreTable]) -> Iterator[Mark]:
    return (Mark(chain_id, chain_id in comparison.better) for chain_id in comparison.chain_ids)


def _keep(data: SuiteData, comparisons: Sequence[Comparison], scorers: Mapping[str, ScoreTable]) -> Iterator[Kept]:
    judges = list(_judges(scorers, comparisons))
    for c in comparisons:
        scores: dict[str, dict[str, list[float]]] = {name: {} for name in scorers}
        for judge in judges:
            scores[judge.scorer][judge.variant] = [judge.scores[i] for i in c.chain_ids]
        known = {name: getattr(c, name) for name in _FACTS}
        lengths = [len(data.chains[i].text) for i in c.chain_ids]
        yield Kept(c.id, c.problem_id, c.split, {**known, "lengths": lengths}, scores, c.chain_ids)


_FACTS = ("better", "worse", "section", "weight")
"""What is kept of a comparison, besides its ids."""


def _again(rows: Sequence[EvalRow], result: Result, settings: EvalSettings, convention: Convention) -> Again:
    comparisons = [Comparison(row.id, row.problem_id, row.split, **_facts(row)) for row in rows]
    every = list(zip(comparisons, rows, strict=True))
    lengths = {i: n for c, row in every for i, n in zip(c.chain_ids, row.truth["lengths"], strict=True)}
    judges = [
        Judge(name, variant, _by_chain(every, name, variant))
        for name, variants in rows[0].scores.items()
        for variant in variants
    ]
    found = _judged(comparisons, lengths, judges, settings, result.settings["rule"], convention)
    return found.numbers, found.keys, found.curves


def _by_chain(every: Sequence[tuple[Comparison, EvalRow]], scorer: str, variant: str) -> dict[str, float]:
    """The scores of all chains."""
    return {i: s for c, row in every for i, s in zip(c.chain_ids, row.scores[scorer][variant], strict=True)}


def _facts(row: EvalRow) -> dict[str, Any]:
    return {n: tuple(v) if isinstance(v := row.truth[n], list) else v for n in _FACTS}


PREFERENCE = ProtocolEntry(
    title="preference",
    item=Comparison,
    measure=_measure,
    marks=_marks,
    keep=_keep,
    again=_again,
    tries_aggregators=True,
    words=("better", "worse"),
)
