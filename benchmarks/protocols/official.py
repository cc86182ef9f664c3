"""Metrics of steps and solutions that only the authors of a suite report; `Convention.measures` names them.

All are over all rows together, at the fixed threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from prm.statistics.arrays import Floats
from prm.statistics.bootstrap import harmonic, matthews, ratio

from ..conventions import Convention
from ..numbers import ALL, EvalSettings, Number
from .rows import Measure, Rows, fixed_mode

_MR_WEIGHTS = (0.2, 0.3, 0.5)


def official_measures(convention: Convention) -> list[Measure]:
    """The measures that a convention asks for, besides those of its protocol."""
    return [measure for name, measure in _MEASURES.items() if name in convention.measures]


def macro_f1(scorer: str, rows: Rows, settings: EvalSettings) -> Iterator[Number]:
    """Mean of the F1 of right ones and the F1 of wrong ones (GAIR-NLP/ReasonEval, codes/mr-math_eval.py).

    "solution_macro_f1": a solution is called right if its lowest step scores above the threshold, wrong if below, and
    counts as mistaken at it. "step_macro_f1": a step is called right above the threshold, else wrong; only judged steps
    count. None without right ones or without wrong ones.
    """
    threshold, mode = settings.threshold(scorer), fixed_mode(scorer, settings)
    is_right = ~rows.has_error
    hits = np.where(is_right, rows.lowest > threshold, rows.lowest < threshold)
    yield Number(scorer, "solution_macro_f1", ALL, mode, _macro(rows.drawn.sums(_kinds(is_right, hits))), len(hits))
    steps = rows.steps
    hits = steps.is_right == (steps.scores > threshold)
    sums = rows.drawn.at(steps.rows).sums(_kinds(steps.is_right, hits))
    yield Number(scorer, "step_macro_f1", ALL, mode, _macro(sums), len(steps))


def balanced(scorer: str, rows: Rows, settings: EvalSettings) -> Iterator[Number]:
    """Arithmetic and harmonic mean of the shares of right ones called right and wrong ones called wrong.

    "step_balanced_accuracy" and "step_balanced_f1" of judged steps, "solution_…" of chains, which are right if every
    step is, and called right if no step is called wrong (Hard2Verify, arXiv 2510.13744, section 4.1).
    """
    cut, mode, steps = rows.convention.cut(settings.threshold(scorer)), fixed_mode(scorer, settings), rows.steps
    parts = {
        "step": (steps.is_right, steps.is_right == (steps.scores >= cut), rows.drawn.at(steps.rows)),
        "solution": (~rows.has_error, rows.has_error == (rows.lowest < cut), rows.drawn),
    }
    for name, (is_right, hits, drawn) in parts.items():
        right, wrong, found_right, found_wrong = drawn.sums(_kinds(is_right, hits)).T
        shares = ratio(found_right, right), ratio(found_wrong, wrong)
        yield Number(scorer, f"{name}_balanced_accuracy", ALL, mode, (shares[0] + shares[1]) / 2, len(hits))
        yield Number(scorer, f"{name}_balanced_f1", ALL, mode, harmonic(*shares), len(hits))


def _kinds(is_right: np.ndarray, hits: np.ndarray) -> Floats:
    """Per row whether it is right, wrong, a right one that was found, a wrong one that was found."""
    kinds: Floats = np.stack([is_right, ~is_right, is_right & hits, ~is_right & hits], axis=1).astype(float)
    return kinds


def _macro(sums: Floats) -> Floats:
    right, wrong, found_right, found_wrong = sums.T
    f1 = ratio(2 * found_right, right + found_right + wrong - found_wrong)
    f1_wrong = ratio(2 * found_wrong, wrong + found_wrong + right - found_right)
    return np.where((right > 0) & (wrong > 0), (f1 + f1_wrong) / 2, np.nan)


def mr_score(scorer: str, rows: Rows, settings: EvalSettings) -> Iterator[Number]:
    """MR-Score: 0.2·max(0, MCC) + 0.3·first-error accuracy + 0.5·accuracy of reasons (arXiv 2312.17080, section 3).

    A scorer gives no reasons, so the last part is 0, and the score is at most 0.5. None without right or without wrong
    solutions. Differs from scripts/calculate_mr_score.py in dvlab-research/MR-GSM8K, which counts 1,427 right and 1,573
    wrong solutions whatever the file holds.
    """
    cut = rows.convention.cut(settings.threshold(scorer))
    mcc = matthews(rows.lowest < cut, rows.has_error, rows.drawn.of_rows)
    found = np.where(rows.has_error, (cut > rows.found_above) & (cut <= rows.found_to), np.nan)
    accuracy = rows.drawn.means(found[:, None])[:, 0]
    score = _MR_WEIGHTS[0] * np.maximum(mcc, 0) + _MR_WEIGHTS[1] * accuracy
    yield Number(scorer, "mr_score", ALL, fixed_mode(scorer, settings), score, len(found))


def prmbench(scorer: str, rows: Rows, settings: EvalSettings) -> Iterator[Number]:
    """PRMBench's further metrics (`evaluate_function` in ssmisya/PRMBench, mr_eval/tasks/prmtest_classified/task.py).

    "first_error_recall": share of chains whose first wrong step is called wrong, whatever the steps before it are;
    its `first_error_acc`. "similarity": mean difference between the share of steps called right in a chain and in the
    original that it was made from; without those whose original has no step called right, as there.
    """
    cut, mode = rows.convention.cut(settings.threshold(scorer)), fixed_mode(scorer, settings)
    found = np.where(rows.has_error, rows.found_above < cut, np.nan)
    similar = np.array([_similarity(*pair, cut) for pair in _with_originals(rows)])
    for name, values in (("first_error_recall", found), ("similarity", similar)):
        shares = rows.drawn.means(values[:, None])[:, 0]
        yield Number(scorer, name, ALL, mode, shares, int((~np.isnan(values)).sum()))


def _with_originals(rows: Rows) -> Iterator[tuple[Sequence[float], Sequence[float]]]:
    """The scores of each chain and of its original; () where that was not scored."""
    for truth, scores in zip(rows.truths, rows.scores, strict=True):
        yield scores, rows.originals.get(truth.original or "", ())


def _similarity(scores: Sequence[float], before: Sequence[float], cut: float) -> float:
    shares = [sum(score >= cut for score in own) / len(own) if own else 0.0 for own in (scores, before)]
    return abs(shares[0] - shares[1]) if scores and shares[1] > 0 else np.nan


_MEASURES: Mapping[str, Measure] = {
    "balanced": balanced,
    "macro_f1": macro_f1,
    "mr_score": mr_score,
    "prmbench": prmbench,
}
