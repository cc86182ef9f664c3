"""The numbers of an evaluation, one per bootstrap draw, and how they enter a result."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from prm.errors import InputError, require_number
from prm.statistics.arrays import Floats
from prm.statistics.bootstrap import Estimate, estimate, estimate_share, ratio
from prm.statistics.metrics import reliability

from .results import Bin, Curve, Difference, Metric, Picture, is_share, label_of

MACRO, WEIGHTED, ALL = "macro", "weighted", "all"
"""Stand-ins for a split: the mean of the splits, their mean weighted by rows, all rows together."""

BINS = 10
"""Bins of equal width, for calibration errors and reliability diagrams."""
MATCHED = 0.1
"""Lengths match if they differ by at most this share of the longer one."""
_MOST_POINTS = 2000


@dataclass(frozen=True, slots=True)
class EvalSettings:
    """The choices that metrics leave open, and how intervals are drawn."""

    thresholds: Mapping[str, float] = field(default_factory=dict)
    """By scorer: a step that scores below it is called wrong. 0.5 for all others."""
    threshold_split: str | None = None
    """Thresholds are also chosen on this split; None for the suite's first."""
    n: int | None = None
    """Best of n: use the first n solutions of each problem, and drop problems with fewer; None for all."""
    draws: int = 1000
    """Bootstrap draws."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in self.thresholds.items():
            require_number(f"thresholds[{name!r}]", value, "(-inf, inf)")
        if self.n is not None:
            require_number("n", self.n, "[1, inf)", whole=True)
        require_number("draws", self.draws, "[1, inf)", whole=True)
        require_number("seed", self.seed, "[0, inf)", whole=True)

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the optional settings that were set: each has a meaning for some protocols only."""
        optional = {"thresholds": self.thresholds or None, "threshold_split": self.threshold_split, "n": self.n}
        return tuple(name for name, value in optional.items() if value is not None)

    def threshold(self, scorer: str) -> float:
        """The fixed threshold of a scorer."""
        return self.thresholds.get(scorer, 0.5)


@dataclass(frozen=True, slots=True)
class PerRow:
    """What each row of a suite says of a number."""

    outcomes: Floats
    """(rows,): 1 for right, 0 for wrong, or a share between; nan for a row that the number is not about."""
    weights: Floats | None = None
    """(rows,): the number is the sum of outcomes times these; None if it is no mean of outcomes, such as an F1."""

    @property
    def added(self) -> Floats | None:
        """(rows,): what each adds to the number; None if it is no mean of outcomes."""
        return None if self.weights is None else np.nan_to_num(self.outcomes * self.weights)

    @classmethod
    def mean(cls, outcomes: Floats) -> PerRow:
        """Of a number that is the mean of the outcomes."""
        counted = ~np.isnan(outcomes)
        return cls(outcomes, counted / max(counted.sum(), 1))

    @classmethod
    def mixed(cls, parts: Sequence[PerRow], shares: Floats) -> PerRow:
        """Of a number that is the sum of others, about rows of their own, times these shares."""
        outcomes = np.full(len(parts[0].outcomes), np.nan)
        for part in parts:
            outcomes = np.where(np.isnan(part.outcomes), outcomes, part.outcomes)
        weights = [share * part.weights for part, share in zip(parts, shares, strict=True) if part.weights is not None]
        return cls(outcomes, np.sum(weights, axis=0) if len(weights) == len(parts) else None)


@dataclass(frozen=True, slots=True)
class Number:
    """See `Metric`; `drawn` holds the value, then one per draw. nan if undefined."""

    scorer: str
    name: str
    split: str
    variant: str
    drawn: Floats
    n: int
    rows: PerRow | None = field(default=None, repr=False)
    """None for a number that no row has a part of, such as an AUROC."""

    @property
    def label(self) -> str:
        """See `label_of`."""
        return label_of(self.scorer, self.variant)

    def metric(self) -> Metric:
        """The number with its interval."""
        found = self.estimate()
        return Metric(self.scorer, self.name, self.split, self.variant, found.value, found.low, found.high, self.n)

    def estimate(self) -> Estimate:
        """The number with its interval; see `estimate_share` for one that is a share."""
        return estimate_share(self.drawn, self.n) if is_share(self.name) else estimate(self.drawn)


@dataclass(frozen=True, slots=True)
class Findings:
    """The outcome of one protocol."""

    settings: Mapping[str, object]
    """The choices behind its metrics, spelled out."""
    numbers: tuple[Number, ...]
    headline: Callable[[Number], bool]
    """Whether a number is the suite's main one."""
    differences: tuple[Difference, ...]
    counts: Mapping[str, int]
    """Such as undecided rows."""
    curves: tuple[Curve, ...] = ()
    pictures: tuple[Picture, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    """Id and split of the rows that `Number.rows` speak of, in this order."""
    is_kept: Callable[[Number], bool] = lambda _: False
    """Whether the outcomes of a number are stored with the rows."""


def headline_of(numbers: Sequence[Number], wanted: Iterable[tuple[str, str]]) -> Callable[[Number], bool]:
    """Whether a number is one of these, and of the first metric and split that has a value for any scorer."""
    named = {(number.name, number.split) for number in numbers}
    valued = {(number.name, number.split) for number in numbers if np.isfinite(number.drawn[0])}
    there = [pair for pair in wanted if pair in named]
    main = next((pair for pair in there if pair in valued), there[0] if there else None)
    variants = {number.variant for number in numbers}
    return lambda number: (number.name, number.split) == main and number.variant in variants


def require_different(labels: Iterable[str]) -> None:
    """Refuse two rows that tables could not tell apart.

    Raises:
        InputError: a label comes twice: a scorer is called "majority", say, or one "A" and another "A min".
    """
    twice = next((label for label, count in Counter(labels).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"two rows of the result would be called {twice!r}", "give the scorer another name")


def differences(
    numbers: Iterable[Number],
    name: Callable[[Number], str] = lambda number: number.scorer,
    alike: Callable[[Number], Hashable] = lambda number: (number.name, number.split, number.variant),
) -> tuple[Difference, ...]:
    """The paired difference of every two numbers with the same `alike`, the later minus the earlier."""
    groups: defaultdict[Hashable, list[Number]] = defaultdict(list)
    for number in numbers:
        groups[alike(number)].append(number)
    pairs = (pair for group in groups.values() for pair in combinations(group, 2))
    return tuple(d for one, two in pairs if (d := _difference(two, one, name)) is not None)


def _difference(a: Number, b: Number, name: Callable[[Number], str]) -> Difference | None:
    found = estimate(a.drawn - b.drawn)
    if found.value is None or found.low is None or found.high is None:
        return None
    variant = a.variant if a.variant == b.variant else ""
    return Difference(name(a), name(b), a.name, a.split, variant, found.value, found.low, found.high)


def averaged(parts: Iterable[Number]) -> Iterator[Number]:
    """`MACRO` and `WEIGHTED` means of numbers that differ only in their split; nothing for a single split."""
    groups: defaultdict[tuple[str, str, str], list[Number]] = defaultdict(list)
    for part in parts:
        groups[part.scorer, part.name, part.variant].append(part)
    for (scorer, name, variant), group in groups.items():
        if len(group) > 1:
            values, rows = np.stack([part.drawn for part in group]), np.array([float(part.n) for part in group])
            counted = rows > 0
            weighted = ratio(rows[counted] @ values[counted], np.full(values.shape[1], rows.sum()))
            of_rows = [part.rows for part in group if part.rows is not None]
            for split, drawn, shares in (
                (MACRO, values.mean(axis=0), np.full(len(group), 1 / len(group))),
                (WEIGHTED, weighted, rows / max(rows.sum(), 1)),
            ):
                own = PerRow.mixed(of_rows, shares) if len(of_rows) == len(group) else None
                yield Number(scorer, name, split, variant, drawn, int(rows.sum()), own)


def is_probability(scores: Floats) -> bool:
    """Whether there are scores, all in [0, 1]."""
    return len(scores) > 0 and bool(scores.min() >= 0 and scores.max() <= 1)


def reliability_picture(scorer: str, variant: str, scores: Floats, labels: Floats) -> Picture | None:
    """The reliability diagram of scores; None if they are not probabilities."""
    if not is_probability(scores):
        return None
    bins = reliability(scores.tolist(), labels.tolist(), bins=BINS)
    return Picture(
        "reliability", scorer, variant, tuple(Bin(b.low, b.high, b.count, b.mean_score, b.share_right) for b in bins)
    )


def lengths_picture(scorer: str, variant: str, lengths: Floats, scores: Floats, is_right: Floats) -> Picture:
    """Scores against lengths in characters; an even sample of many chains."""
    finite = np.flatnonzero(np.isfinite(scores))
    rows = finite[:: max(1, -(-len(finite) // _MOST_POINTS))]
    points = tuple((float(lengths[i]), float(scores[i]), bool(is_right[i] == 1)) for i in rows)
    return Picture("lengths", scorer, variant, points=points)
