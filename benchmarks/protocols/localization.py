"""First-error localization and step classification: how well step scores find wrong steps.

A step is called wrong when it scores below a threshold (by some conventions, at it too); the first such step is the
predicted error of the chain.
The true first error is found by every threshold above its score that is not above the score of an earlier step. So
each row is one interval of thresholds, and all thresholds can be evaluated at once.

Three ways of setting the threshold are reported side by side, for they give different numbers (ProcessBench, arXiv
2412.06559, section 3.2, chooses it on its GSM8K split): "fixed", the scorer's own; "chosen on SPLIT", the one with the
highest F1 on that split, chosen anew in every bootstrap draw; "oracle", the best on the split it is measured on, which
is an upper bound, not a result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from prm.data.records import StepScores
from prm.errors import InputError
from prm.statistics.arrays import Floats, Ints, average_ranks
from prm.statistics.bootstrap import Resampling, harmonic, matthews, ratio, resample
from prm.statistics.detection import Accepted

from ..conventions import EXACT, Convention
from ..eval_rows import EvalRow, Kept
from ..numbers import (
    ALL,
    BINS,
    MACRO,
    EvalSettings,
    Findings,
    Number,
    PerRow,
    averaged,
    differences,
    headline_of,
    is_probability,
    lengths_picture,
    reliability_picture,
)
from ..results import Curve, Picture, Result
from ..scores import ScoreTable, table_of
from ..suites.collecting import SuiteData
from ..suites.truth import StepTruth
from .acceptance import Found, abstaining, told_apart
from .entry import Again, Mark, ProtocolEntry
from .official import official_measures
from .rows import FIXED, Measure, Rows, Steps, fixed_mode

ORACLE = "oracle"
_ACCURACIES = ("first_error_accuracy", "all_right_accuracy")
_FLAT = 1e-9
"""Ranks count as constant if their spread is below this share of their squares."""
_CANDIDATES = 201
"""The most thresholds that the oracle of a classification tries: quantiles, if there are more distinct scores."""


def localization(
    truths: Sequence[StepTruth],
    lengths: Sequence[int],
    scorers: Mapping[str, ScoreTable],
    settings: EvalSettings,
    convention: Convention = EXACT,
) -> Findings:
    """Measure on chains whose first wrong step is known.

    Args:
        truths: of chains that every scorer has scored.
        lengths: characters of each chain.
        scorers: PRMs by name.
        settings: as in `EvalSettings`.
        convention: decides about steps at the threshold, further metrics and the headline.

    Returns:
        By split, with `macro` and `weighted` means, for each threshold mode: "first_error_accuracy" (share of chains
        with an error whose first wrong step is predicted exactly), "all_right_accuracy" (share of the others in which
        no step is called wrong) and "f1", their harmonic mean, 0 if both are 0.
        For each split and over all: "solution_auroc" of the lowest step score, and the metrics of `_extras`,
        `_of_steps` and `acceptance`. A metric is None without chains of its kind, such as the F1 of a split in which
        all have an error.

    Raises:
        InputError: the split to choose the threshold on is missing.
    """
    kinds = {truth.first_error is not None for truth in truths}
    name = "f1" if len(kinds) == 2 else _ACCURACIES[0] if True in kinds else _ACCURACIES[1]
    measures = [_located, _extras, _of_steps, *official_measures(convention)]
    headline = ((name, MACRO), (name, ALL))
    return _evaluate(truths, lengths, scorers, settings, convention, measures, _solutions_and_steps, headline)


def classification(
    truths: Sequence[StepTruth],
    lengths: Sequence[int],
    scorers: Mapping[str, ScoreTable],
    settings: EvalSettings,
    convention: Convention = EXACT,
) -> Findings:
    """Measure on chains in which many steps are judged; arguments as in `localization`.

    Returns:
        By split (PRMBench: by class of errors), and over all steps together (`all`): "f1" of the right steps,
        "f1_wrong" of the wrong ones, "prmscore", their mean (PRMBench, arXiv 2501.03124, section 4; f1 alone for a
        split without wrong steps, such as its multi_solutions), at the fixed threshold and at the oracle's; and the
        metrics of `_of_steps` and `acceptance`. An F1 is None without steps of its kind.
    """
    measures = [_classified, _of_steps, *official_measures(convention)]
    return _evaluate(truths, lengths, scorers, settings, convention, measures, _accepted_steps, (("prmscore", ALL),))


def _evaluate(
    truths: Sequence[StepTruth],
    lengths: Sequence[int],
    scorers: Mapping[str, ScoreTable],
    settings: EvalSettings,
    convention: Convention,
    measures: Sequence[Measure],
    accepting: Callable[[str, Rows], Iterator[Found]],
    headline: Sequence[tuple[str, str]],
) -> Findings:
    """All numbers; the headline is the first of these pairs of metric and split that is there, at fixed thresholds."""
    originals = [truth for truth in truths if truth.is_original]
    kept = [i for i, truth in enumerate(truths) if not truth.is_original]
    truths, sizes = [truths[i] for i in kept], np.array([float(lengths[i]) for i in kept])
    drawn = resample([t.problem_id for t in truths], [t.split for t in truths], settings.draws, settings.seed)
    numbers: list[Number] = []
    curves: list[Curve] = []
    pictures: list[Picture | None] = []
    for name, table in scorers.items():
        scores, before = ([t.fitted(table[t.chain_id].tolist()) for t in own] for own in (truths, originals))
        others = {truth.chain_id: own for truth, own in zip(originals, before, strict=True)}
        rows = Rows(truths, scores, sizes, drawn, convention, others)
        numbers += [number for measure in measures for number in measure(name, rows, settings)]
        for more, drawn_curves in accepting(name, rows):
            numbers += more
            curves += drawn_curves
        steps = rows.steps
        pictures += [
            reliability_picture(name, "steps", steps.scores, steps.is_right.astype(float)),
            lengths_picture(name, "min", rows.lengths, rows.lowest, (~rows.has_error).astype(float)),
        ]
    is_headline = headline_of([n for n in numbers if n.variant.startswith(FIXED)], convention.headline or headline)
    return Findings(
        settings=_spelled_out(scorers, settings, convention),
        numbers=tuple(numbers),
        headline=is_headline,
        differences=differences(numbers, alike=_alike),
        counts={"chains with an error": sum(t.first_error is not None for t in truths)},
        curves=tuple(curves),
        pictures=tuple(picture for picture in pictures if picture is not None),
        keys=tuple((truth.id, truth.split) for truth in truths),
        is_kept=is_headline,
    )


def _alike(number: Number) -> tuple[str, str, str]:
    """Numbers at fixed thresholds are compared, though each scorer has its own threshold."""
    return number.name, number.split, FIXED if number.variant.startswith(FIXED) else number.variant


def _spelled_out(
    scorers: Mapping[str, ScoreTable], settings: EvalSettings, convention: Convention
) -> dict[str, object]:
    return {
        "called wrong": f"a step that scores {'at or ' if convention.wrong_at_threshold else ''}below the threshold",
        "threshold": {name: settings.threshold(name) for name in scorers},
        "chain score": "least step score",
        "intervals": "95% percentile bootstrap over problems, within splits; of a share at 0 or 1, Jeffreys'",
        "draws": settings.draws,
        "seed": settings.seed,
    }


def _located(scorer: str, rows: Rows, settings: EvalSettings) -> Iterator[Number]:
    fixed = np.full(len(rows.drawn.weights), rows.convention.cut(settings.threshold(scorer)))
    best = {split: _best_threshold(rows, own) for split, own in rows.splits.items()}
    modes = {fixed_mode(scorer, settings): dict.fromkeys(best, fixed), ORACLE: best}
    chosen = settings.threshold_split or next(iter(best))
    require_split(chosen, best)
    if len(best) > 1:
        modes[f"chosen on {chosen}"] = dict.fromkeys(best, best[chosen])
    for mode, thresholds in modes.items():
        parts = [
            n for split, own in rows.splits.items() for n in _at(scorer, rows, split, own, mode, thresholds[split])
        ]
        yield from parts if len(best) > 1 else (replace(part, split=ALL) for part in parts)
        yield from averaged(parts)


def require_split(name: str, splits: Iterable[str]) -> None:
    """Refuse an unknown split to choose the threshold on."""
    known = list(dict.fromkeys(splits))
    if name not in known:
        raise InputError(f"there is no split {name!r} to choose the threshold on", f"choose from {', '.join(known)}")


def _at(scorer: str, rows: Rows, split: str, own: Ints, mode: str, threshold: Floats) -> Iterator[Number]:
    """Accuracies and F1 of a split, with one threshold per draw."""
    hits = (threshold[:, None] > rows.found_above[own]) & (threshold[:, None] <= rows.found_to[own])
    weights, wrong = rows.drawn.at(own).of_rows, rows.has_error[own]
    accuracies = [ratio((weights * hits)[:, kind].sum(1), weights[:, kind].sum(1)) for kind in (wrong, ~wrong)]
    found = np.full(len(rows.truths), np.nan)
    found[own] = hits[0]
    for name, drawn, kind in zip(_ACCURACIES, accuracies, (True, False), strict=True):
        outcomes = np.where(rows.has_error == kind, found, np.nan)
        yield Number(scorer, name, split, mode, drawn, int((wrong == kind).sum()), PerRow.mean(outcomes))
    yield Number(scorer, "f1", split, mode, harmonic(*accuracies), len(own), PerRow(found))


def _best_threshold(rows: Rows, own: Ints) -> Floats:
    """The threshold with the highest F1 in each draw, the lowest of several.

    If all rows have an error, or none has, their accuracy replaces F1. Both fall only where a threshold passes the end
    of a row's interval, so the best is one of these ends; inf calls every step wrong.
    """
    ends = np.unique(rows.found_to[own])
    wrong, right = (_accuracy_by_end(rows, own[rows.has_error[own] == kind], ends) for kind in (True, False))
    f1 = harmonic(wrong, right)
    best: Floats = ends[np.argmax(np.where(np.isnan(f1), np.fmax(wrong, right), f1), axis=1)]
    return best


def _accuracy_by_end(rows: Rows, own: Ints, ends: Floats) -> Floats:
    """Share of these rows that each end finds as threshold, (draws + 1, ends)."""
    weights = rows.drawn.at(own).of_rows
    first = np.searchsorted(ends, rows.found_above[own], side="right")
    after = np.searchsorted(ends, rows.found_to[own], side="right")
    signs = np.concatenate([np.ones(len(own)), -np.ones(len(own))])
    places = (np.tile(np.arange(len(own)), 2), np.concatenate([first, np.maximum(after, first)]))
    changes = csr_matrix((signs, places), shape=(len(own), len(ends) + 1))
    found = np.cumsum(weights @ changes, axis=1)[:, :-1]
    return ratio(found, np.broadcast_to(weights.sum(axis=1)[:, None], found.shape))


def _extras(scorer: str, rows: Rows, settings: EvalSettings) -> Iterator[Number]:
    """The other metrics of localization suites.

    "solution_auroc": how often the lowest step score of a chain without an error is above that of one with an error.
    "mcc": Matthews correlation of "some step is called wrong" with "some step is wrong" (MR-GSM8K, arXiv 2312.17080).
    "lowest_step_accuracy": share of chains with an error whose lowest step is the first wrong one; needs no threshold.
    "lowest_is_last": share of chains with their lowest score on the last step.
    "right_answer_found" and "right_answer_first_error": of the chains with a right answer but a wrong step, the share
    called wrong at all, and at exactly that step. "length_correlation": Spearman's, of the lowest step score with the
    number of characters.
    """
    threshold, fixed = rows.convention.cut(settings.threshold(scorer)), fixed_mode(scorer, settings)
    for split, own in _parts(rows):
        auroc = rows.drawn.at(own).auroc(rows.lowest[own], ~rows.has_error[own])
        yield Number(scorer, "solution_auroc", split, "min", auroc, len(own))
        mcc = matthews(rows.lowest[own] < threshold, rows.has_error[own], rows.drawn.at(own).of_rows)
        yield Number(scorer, "mcc", split, fixed, mcc, len(own))
    shares = {name: _shares(rows, name, threshold) for name in _SHARES}
    drawn = rows.drawn.means(np.stack(list(shares.values()), axis=1))
    for (name, share), column in zip(shares.items(), drawn.T, strict=True):
        variant = fixed if name.startswith("right_answer") else ""
        yield Number(scorer, name, ALL, variant, column, int((~np.isnan(share)).sum()), PerRow.mean(share))
    yield length_correlation(scorer, "min", average_ranks(rows.lengths), rows.lowest, rows.drawn)


def _parts(rows: Rows) -> Iterator[tuple[str, Ints]]:
    """Every split if there are several, and all rows together."""
    if len(rows.splits) > 1:
        yield from rows.splits.items()
    yield ALL, np.arange(len(rows.truths))


_SHARES = ("lowest_step_accuracy", "lowest_is_last", "right_answer_found", "right_answer_first_error")


def _shares(rows: Rows, name: str, threshold: float) -> Floats:
    """1 for a hit, 0 for a miss, nan for a row outside the share."""
    errors = [truth.first_error for truth in rows.truths]
    lowest = [_lowest_place(scores) for scores in rows.scores]
    slips = [truth.is_answer_right is True and e is not None for truth, e in zip(rows.truths, errors, strict=True)]
    if name == "lowest_step_accuracy":
        return np.array([np.nan if e is None else float(place == e) for place, e in zip(lowest, errors, strict=True)])
    if name == "lowest_is_last":
        ends = [len(scores) - 1 for scores in rows.scores]
        return np.array([np.nan if end < 1 else float(place == end) for place, end in zip(lowest, ends, strict=True)])
    found = rows.lowest < threshold
    if name == "right_answer_first_error":
        found = (threshold > rows.found_above) & (threshold <= rows.found_to)
    return np.where(slips, found.astype(float), np.nan)


def _lowest_place(scores: Sequence[float]) -> int:
    """The first step with the lowest score; -1 without steps."""
    return min(range(len(scores)), key=scores.__getitem__, default=-1)


def length_correlation(scorer: str, variant: str, length_ranks: Floats, scores: Floats, drawn: Resampling) -> Number:
    """Spearman's correlation of chain scores with lengths in characters, given as average ranks.

    Ranks are taken among all chains, in every draw. None if all scores, or all lengths, are the same.
    """
    x, y = (ranks - (len(ranks) + 1) / 2 for ranks in (length_ranks, average_ranks(scores)))
    ones = np.ones_like(x)
    count, sx, sy, sxx, syy, sxy = drawn.sums(np.stack([ones, x, y, x * x, y * y, x * y], axis=1)).T
    count = np.maximum(count, 1)  # 0, like all other sums, in a draw without any of these chains
    spreads = [np.where(s2 - s * s / count > _FLAT * s2, s2 - s * s / count, 0.0) for s, s2 in ((sx, sxx), (sy, syy))]
    value = ratio(sxy - sx * sy / count, np.sqrt(spreads[0] * spreads[1]))
    return Number(scorer, "length_correlation", ALL, variant, value, len(x))


def _of_steps(scorer: str, rows: Rows, settings: EvalSettings) -> Iterator[Number]:
    """Metrics of the judged steps, by split and over all.

    "step_auroc": how often a right step scores above a wrong one; "step_auroc_within_position" compares only steps at
    the same position, over all splits. "ece" (ten bins of equal width) and "brier" for scores in [0, 1].
    """
    steps = rows.steps
    for split, own in _parts(rows):
        part = steps.of(own)
        yield Number(
            scorer, "step_auroc", split, "", rows.drawn.at(part.rows).auroc(part.scores, part.is_right), len(part)
        )
    within = rows.drawn.at(steps.rows).auroc(steps.scores, steps.is_right, steps.places)
    yield Number(scorer, "step_auroc_within_position", ALL, "", within, len(steps))
    yield from calibration(scorer, "steps", steps.scores, steps.is_right.astype(float), rows.drawn.at(steps.rows))


def _accepted_steps(scorer: str, rows: Rows) -> Iterator[Found]:
    """What step scores are worth as a filter of steps; see `acceptance`."""
    steps = rows.steps
    if len(steps):
        accepted = Accepted.of(steps.scores, steps.is_right.astype(float), rows.drawn.at(steps.rows))
        yield told_apart(scorer, "step", "", accepted, len(steps))


def _solutions_and_steps(scorer: str, rows: Rows) -> Iterator[Found]:
    """… and the lowest of them as a filter of solutions, or as a reason to abstain from one."""
    accepted = Accepted.of(rows.lowest, (~rows.has_error).astype(float), rows.drawn)
    yield told_apart(scorer, "solution", "min", accepted, len(rows.truths))
    yield abstaining(scorer, "solution_", "min", "solutions", accepted, len(rows.truths))
    yield from _accepted_steps(scorer, rows)


def calibration(scorer: str, variant: str, scores: Floats, labels: Floats, drawn: Resampling) -> Iterator[Number]:
    """Expected calibration error and Brier score; nothing for scores that are not probabilities."""
    if not is_probability(scores):
        return
    count, squares = drawn.sums(np.stack([np.ones_like(scores), (scores - labels) ** 2], axis=1)).T
    yield Number(scorer, "ece", ALL, variant, drawn.calibration_error(scores, labels, BINS), len(scores))
    yield Number(scorer, "brier", ALL, variant, ratio(squares, count), len(scores))


def _classified(scorer: str, rows: Rows, settings: EvalSettings) -> Iterator[Number]:
    for split, own in _parts(rows):
        steps = rows.steps.of(own)
        counts = _Counts(rows.drawn.at(steps.rows), steps)
        fixed = np.array([rows.convention.cut(settings.threshold(scorer))])
        for mode, thresholds in (
            (fixed_mode(scorer, settings), fixed),
            (ORACLE, _candidates(steps.scores, fixed)),
        ):
            f1, f1_wrong, score = counts.f1s(thresholds)
            best = np.argmax(np.where(np.isnan(score), -1.0, score), axis=1)[:, None]
            found = PerRow(_share_found(steps, thresholds[best[0, 0]], len(rows.truths)))
            for name, drawn in (("f1", f1), ("f1_wrong", f1_wrong), ("prmscore", score)):
                value = np.take_along_axis(drawn, best, axis=1)[:, 0]
                yield Number(scorer, name, split, mode, value, len(steps), found)


def _share_found(steps: Steps, threshold: float, count: int) -> Floats:
    """Of each of `count` chains, the share of its judged steps that are called what they are; nan without any."""
    hits = (steps.is_right == (steps.scores >= threshold)).astype(float)
    found, judged = (np.bincount(steps.rows, values, count).astype(float) for values in (hits, np.ones_like(hits)))
    return ratio(found, judged)


def _candidates(scores: Floats, fixed: Floats) -> Floats:
    """Thresholds for the oracle: the scores or their quantiles, the fixed threshold, and inf."""
    different = np.unique(scores)
    places = np.linspace(0, 1, _CANDIDATES)
    chosen = different if len(different) <= _CANDIDATES else np.quantile(scores, places)
    return np.unique(np.concatenate([chosen, fixed, [np.inf]]))


@dataclass(frozen=True, slots=True)
class _Counts:
    """Counts of steps called right and wrong, at any thresholds."""

    drawn: Resampling
    steps: Steps

    def f1s(self, thresholds: Floats) -> tuple[Floats, Floats, Floats]:
        """F1 of right steps, of wrong steps, and PRMScore, each (draws + 1, thresholds).

        An F1 is nan in a draw without steps of its kind. PRMScore omits the F1 of wrong steps only if the data have
        none, so that it is the same measure in all draws.
        """
        right, wrong = (self._called_right(thresholds, kind) for kind in (True, False))
        all_right, all_wrong = (self._all(kind) for kind in (True, False))
        f1 = _f1(right, right + wrong, all_right)
        f1_wrong = _f1(all_wrong - wrong, all_right + all_wrong - right - wrong, all_wrong)
        return f1, f1_wrong, f1 if self.steps.is_right.all() else (f1 + f1_wrong) / 2

    def _called_right(self, thresholds: Floats, kind: bool) -> Floats:
        """How many steps of this kind score at least each threshold."""
        inside = self.steps.is_right == kind
        places = np.searchsorted(thresholds, self.steps.scores, side="right")
        by_place = self.drawn.binned(inside.astype(float), places, len(thresholds) + 1)
        return np.cumsum(by_place[:, ::-1], axis=1)[:, ::-1][:, 1:]

    def _all(self, kind: bool) -> Floats:
        return self.drawn.sums((self.steps.is_right == kind)[:, None].astype(float))


def _f1(hits: Floats, called: Floats, actual: Floats) -> Floats:
    """2·hits / (called + actual); nan without an actual one."""
    return ratio(2 * hits, np.where(actual > 0, called + actual, 0.0))


_Function = Callable[[Sequence[StepTruth], Sequence[int], Mapping[str, ScoreTable], EvalSettings, Convention], Findings]


def _measure(
    function: _Function,
    data: SuiteData,
    truths: Sequence[StepTruth],
    scorers: Mapping[str, ScoreTable],
    settings: EvalSettings,
) -> Findings:
    _require_step_scores(truths, scorers)
    lengths = [len(data.chains[truth.chain_id].text) for truth in truths]
    return function(truths, lengths, scorers, settings, data.convention)


def _require_step_scores(truths: Sequence[StepTruth], scorers: Mapping[str, ScoreTable]) -> None:
    for name, table in scorers.items():
        if table.kind == "orm":
            raise InputError(f"{name} scores whole chains, and this suite asks for steps", "give a PRM's scores")
        wrong = next((t for t in truths if len(t.fitted(table[t.chain_id].tolist())) != len(t.steps)), None)
        if wrong is not None:
            raise InputError(
                f"{name}: chain {wrong.chain_id!r} has {len(table[wrong.chain_id])} scores, {len(wrong.steps)} steps",
                "score the chains that `prm suite` writes",
            )


def _marks(truth: StepTruth, scorers: Mapping[str, ScoreTable]) -> Iterator[Mark]:
    yield Mark(truth.chain_id, truth.is_answer_right, truth.of_chain)


def _keep(data: SuiteData, truths: Sequence[StepTruth], scorers: Mapping[str, ScoreTable]) -> Iterator[Kept]:
    for truth in truths:
        facts = {name: getattr(truth, name) for name in _FACTS if getattr(truth, name) is not None}
        known = {**facts, "length": len(data.chains[truth.chain_id].text)}
        scores = {name: table[truth.chain_id].tolist() for name, table in scorers.items()}
        yield Kept(truth.id, truth.problem_id, truth.split, known, scores, truth.chain_ids)


_FACTS = ("steps", "is_answer_right", "places", "original")
"""What is kept of a truth, besides its ids."""


def _again(
    function: _Function, rows: Sequence[EvalRow], result: Result, settings: EvalSettings, convention: Convention
) -> Again:
    truths = [StepTruth(row.id, row.problem_id, row.split, **_facts(row)) for row in rows]
    tables = {
        name: table_of(StepScores(row.id, row.problem_id, tuple(row.scores[name]), "prm") for row in rows)
        for name in result.scorers
    }
    how = replace(settings, thresholds=result.settings["threshold"])
    found = function(truths, [row.truth["length"] for row in rows], tables, how, convention)
    return found.numbers, found.keys, found.curves


def _facts(row: EvalRow) -> dict[str, Any]:
    return {n: tuple(v) if isinstance(v, list) else v for n in _FACTS if (v := row.truth.get(n)) is not None}


LOCALIZATION = ProtocolEntry(
    title="first-error localization",
    item=StepTruth,
    measure=partial(_measure, localization),
    marks=_marks,
    keep=_keep,
    again=partial(_again, localization),
    heeds=frozenset({"thresholds", "threshold_split"}),
)
STEPS = ProtocolEntry(
    title="step classification",
    item=StepTruth,
    measure=partial(_measure, classification),
    marks=_marks,
    keep=_keep,
    again=partial(_again, classification),
    heeds=frozenset({"thresholds"}),
)
