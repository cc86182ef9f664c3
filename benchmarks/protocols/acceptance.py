"""Scores that decide what to accept: numbers and curves of `prm.statistics.detection`, in the form of a result.

"…_auprc": area under precision and recall. "…_recall_at_fpr_1", 5 and 10: share of the right ones accepted where that
many percent of the wrong ones are. "…aurc": mean share of wrong ones among the accepted, over all coverages; lower is
better.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from prm.statistics.arrays import Floats
from prm.statistics.detection import Accepted

from ..numbers import ALL, Number
from ..results import Curve, Point, label_of

FALSE_POSITIVES = (1, 5, 10)
"""Percent of the wrong ones that may be accepted."""
_SHARES = (*(i / 100 for i in range(11)), *(i / 20 for i in range(3, 21)))
_RECALLS = tuple(i / 20 for i in range(1, 21))
"""Where curves are drawn."""
_COVERAGES = tuple(i / 100 for i in range(1, 101))
"""Whose mean risk is the area under the curve (Geifman, Uziel and El-Yaniv 2019, Bias-Reduced Uncertainty Estimation
for Deep Neural Classifiers, section 2)."""
_EVERY = 5
"""Which of them are drawn."""
Found = tuple[list[Number], list[Curve]]


def told_apart(scorer: str, what: Literal["solution", "step"], variant: str, accepted: Accepted, count: int) -> Found:
    """How well scores tell right ones from wrong ones: AUPRC, recall at fixed shares of false positives, and curves.

    Args:
        scorer: its name.
        what: is accepted.
        variant: of the numbers.
        accepted: how many of them, by their scores.
        count: how many there are.
    """
    recalls = accepted.recall_at(_SHARES)
    measured = {f"{what}_auprc": accepted.average_precision()}
    measured |= {f"{what}_recall_at_fpr_{p}": recalls[:, _SHARES.index(p / 100)] for p in FALSE_POSITIVES}
    numbers = [Number(scorer, name, ALL, variant, own, count) for name, own in measured.items()]
    curves = [
        *_curve("roc", scorer, f"{what}s", _SHARES, recalls, count),
        *_curve("precision-recall", scorer, f"{what}s", _RECALLS, accepted.precision_at(_RECALLS), count),
    ]
    return numbers, curves


def abstaining(scorer: str, prefix: str, variant: str, curve: str, accepted: Accepted, count: int) -> Found:
    """The risk of a scorer that abstains where its score is low: AURC, and the curve.

    Args:
        scorer: its name.
        prefix: of the name of the number.
        variant: of the number.
        curve: variant of the curve.
        accepted: how many are answered, by their scores.
        count: how many there are.
    """
    risks = accepted.risk_at(_COVERAGES)
    number = Number(scorer, f"{prefix}aurc", ALL, variant, risks.mean(axis=1), count)
    shown = slice(_EVERY - 1, None, _EVERY)
    return [number], list(_curve("risk-coverage", scorer, curve, _COVERAGES[shown], risks[:, shown], count))


def _curve(
    kind: Literal["roc", "precision-recall", "risk-coverage"],
    scorer: str,
    variant: str,
    xs: Sequence[float],
    drawn: Floats,
    count: int,
) -> Iterator[Curve]:
    """Nothing if the values are undefined."""
    found = [
        (x, Number(scorer, "share", ALL, variant, own, count).estimate()) for x, own in zip(xs, drawn.T, strict=True)
    ]
    points = tuple(Point(x, e.value, e.low, e.high) for x, e in found if e.value is not None)
    if points:
        yield Curve(kind, label_of(scorer, variant), scorer, variant, points)
