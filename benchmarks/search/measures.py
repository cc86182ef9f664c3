"""What runs of a search are measured by: accuracy against tokens, the front, and the best run by difficulty.

    generated_tokens, scored_tokens, all_tokens   means over problems
    accuracy       share of problems whose chosen chain is right; undecided counts as not right
    any_right      share of problems with a right leaf: what a perfect choice would reach

Compute-optimal, as in Scaling LLM Test-Time Compute Optimally (arXiv 2408.03314, section 3.2): for a budget, each level
of difficulty has the run that is best on it among those within the budget. As there, it is chosen on one half of the
problems and measured on the other, and the other way around. A run's price is its mean over all problems, so that the
tokens that are spent, which are measured too, may differ a little from the budget.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prm.statistics.arrays import Bools, Floats, Ints, average_ranks
from prm.statistics.bootstrap import Resampling, ratio, resample

from ..numbers import ALL, EvalSettings, Findings, Number, differences, require_different
from ..results import Curve, Point, label_of

OPTIMAL, FRONT = "compute-optimal", "front"
"""Names of curves that no run may have."""
LEVELS = 5
"""Levels of difficulty, as in arXiv 2408.03314, section 3.2."""
PRICES = {"generated": "generated_tokens", "generated and scored": "all_tokens"}
"""What the horizontal axis of a curve counts, and the metric that has it."""
Choices = dict[str, dict[str, list[str]]]
"""By budget and level: the run chosen on each half of the problems; one label where both agree."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What one point did: arrays are (problems,), each value the mean over its seeds."""

    name: str
    variant: str
    accuracy: Floats
    """Share of the seeds whose choice is right."""
    any_right: Floats
    """Share of the seeds with a right leaf."""
    generated_tokens: Floats
    scored_tokens: Floats

    @property
    def label(self) -> str:
        """How tables call it."""
        return label_of(self.name, self.variant)

    @property
    def columns(self) -> dict[str, Floats]:
        """By the name of the metric."""
        return {
            "accuracy": self.accuracy,
            "any_right": self.any_right,
            "generated_tokens": self.generated_tokens,
            "scored_tokens": self.scored_tokens,
            "all_tokens": self.generated_tokens + self.scored_tokens,
        }


def measure_search(
    problems: Sequence[str], outcomes: Sequence[Outcomes], levels: Sequence[str], settings: EvalSettings
) -> tuple[Findings, Choices]:
    """Compare runs on the problems that all of them have.

    Args:
        problems: ids, each once; the values of `outcomes` are in their order.
        outcomes: at least one.
        levels: the level of difficulty of each problem; empty if it is unknown, and then nothing is chosen by it.
        settings: draws and seed.

    Returns:
        All numbers; and for each budget, a whole number of tokens, what each level gets.

    Raises:
        InputError: two points have one label, or one has the name of a curve of its own.
    """
    require_different([OPTIMAL, FRONT, *(own.label for own in outcomes)])
    order = sorted(range(len(problems)), key=problems.__getitem__)
    drawn = resample([problems[i] for i in order], [""] * len(order), settings.draws, settings.seed)
    table = {name: np.stack([own.columns[name] for own in outcomes], axis=1)[order] for name in outcomes[0].columns}
    numbers = [
        Number(own.name, name, ALL, own.variant, column, len(order))
        for name, values in table.items()
        for own, column in zip(outcomes, drawn.means(values).T, strict=True)
    ]
    own_levels = [levels[i] for i in order] if levels else []
    by_level = list(_by_level(outcomes, table["accuracy"], own_levels, drawn))
    best, choices = list[Number](), Choices()
    if by_level:
        best, choices = _optimal([problems[i] for i in order], outcomes, table, own_levels, drawn, settings.seed)
    findings = Findings(
        settings={
            "accuracy": "share of problems whose chosen chain is right; undecided counts as not right",
            "tokens": "means over problems",
            "front": "no other run is as accurate with fewer tokens, or more accurate with as few",
            "intervals": "95% percentile bootstrap over problems, with all seeds; of a share at 0 or 1, Jeffreys'",
            "draws": settings.draws,
            "seed": settings.seed,
        },
        numbers=(*numbers, *best, *by_level),
        headline=lambda number: (number.name, number.split) == ("accuracy", ALL),
        differences=differences(
            [*numbers, *best], lambda number: number.label, lambda number: (number.name, number.split)
        ),
        counts={},
        curves=tuple(_curves([*numbers, *best])),
    )
    return findings, choices


def _by_level(
    outcomes: Sequence[Outcomes], right: Floats, levels: Sequence[str], drawn: Resampling
) -> Iterator[Number]:
    """Accuracy on the problems of each level; nothing for a single level."""
    names = in_order(levels)
    for level in names if len(names) > 1 else ():
        inside = np.array([own == level for own in levels])
        shares = drawn.means(np.where(inside[:, None], right, np.nan))
        for own, column in zip(outcomes, shares.T, strict=True):
            yield Number(own.name, "accuracy", level, own.variant, column, int(inside.sum()))


def _curves(numbers: Sequence[Number]) -> Iterator[Curve]:
    """For each price a curve per name, and the front of all runs; what is chosen by difficulty is no run."""
    of = {(n.scorer, n.variant, n.name): n for n in numbers}
    for axis, metric in PRICES.items():
        points: dict[str, list[Point]] = {}
        for (name, variant, kind), number in of.items():
            price = of.get((name, variant, metric))
            if kind == "accuracy" and price is not None:
                found = number.estimate()
                points.setdefault(name, []).append(
                    Point(float(price.drawn[0]), found.value or 0.0, found.low, found.high)
                )
        for name, own in points.items():
            yield Curve("search", name, name, axis, tuple(sorted(own, key=lambda p: (p.x, p.value))))
        runs = [point for name, own in points.items() if name != OPTIMAL for point in own]
        places = front([(point.x, point.value) for point in runs])
        yield Curve("search", FRONT, "", axis, tuple(sorted((runs[i] for i in places), key=lambda p: (p.x, p.value))))


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Places of the (price, value) that no other beats: in value at as low a price, or in price at as high a value.

    >>> front([(100, 0.5), (200, 0.7), (300, 0.6), (200, 0.6)])
    [0, 1]
    """
    return [
        i
        for i, (price, value) in enumerate(points)
        if not any(p <= price and v >= value and (p, v) != (price, value) for p, v in points)
    ]


def levels_of(shares: Floats, count: int = LEVELS) -> list[str]:
    """A level for each problem by its share of right whole chains, (problems,): the first level is the easiest.

    The levels have as many problems each as ties allow: problems with one share are in one level.

    >>> levels_of(np.array([1.0, 0.0, 0.5, 1.0]), 2)
    ['1: 100 to 100% right', '2: 0 to 50% right', '2: 0 to 50% right', '1: 100 to 100% right']
    """
    ranks = average_ranks(-shares) - 0.5
    places = np.unique(np.minimum(ranks / len(shares) * count, count - 1).astype(int), return_inverse=True)[1]
    ends = [(shares[places == i].min(), shares[places == i].max()) for i in range(places.max() + 1)]
    names = [f"{i}: {100 * low:.0f} to {100 * high:.0f}% right" for i, (low, high) in enumerate(ends, start=1)]
    return [names[place] for place in places]


def in_order(levels: Iterable[str]) -> list[str]:
    """Each level once, with numbers in their order.

    >>> in_order(["level 10", "level 2", "level 10"])
    ['level 2', 'level 10']
    """
    return sorted(
        set(levels),
        key=lambda level: [(not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in re.split(r"(\d+)", level)],
    )


def halves(problems: Sequence[str], levels: Sequence[str], seed: int) -> Bools:
    """Whether each problem is in the second half, (problems,): half of every level, whatever the order of problems."""
    chance, second = random.Random(seed), set[str]()
    for level in in_order(levels):
        own = sorted(problem for problem, its in zip(problems, levels, strict=True) if its == level)
        second.update(chance.sample(own, len(own) // 2))
    return np.array([problem in second for problem in problems])


def _optimal(
    problems: Sequence[str],
    outcomes: Sequence[Outcomes],
    table: Mapping[str, Floats],
    levels: Sequence[str],
    drawn: Resampling,
    seed: int,
) -> tuple[list[Number], Choices]:
    """For every budget the accuracy and the tokens of the best run of each level, chosen on the other half."""
    cheap = sorted(range(len(outcomes)), key=lambda i: (table["generated_tokens"][:, i].mean(), outcomes[i].label))
    columns = {name: values[:, cheap] for name, values in table.items()}
    labels = [outcomes[i].label for i in cheap]
    prices = columns["generated_tokens"].mean(axis=0)
    names, second = in_order(levels), halves(problems, levels, seed)
    cells = [
        [_Cell.of(columns, (second == half) & _is(levels, name), drawn) for name in names] for half in (False, True)
    ]
    numbers, choices = [], Choices()
    for budget in sorted({math.ceil(price) for price in prices}):
        within = int((prices <= budget).sum())
        sums = {name: np.zeros(len(drawn.weights)) for name in columns}
        chosen: dict[str, list[str]] = {name: [] for name in names}
        for choosing, measured in (cells, cells[::-1]):
            for name, own, other in zip(names, choosing, measured, strict=True):
                best = own.best(within, choosing)
                chosen[name].append(labels[best[0]])
                for metric, values in other.sums.items():
                    sums[metric] += np.take_along_axis(values, best[:, None], axis=1)[:, 0]
        variant, total = f"at most {budget:,} tokens", drawn.weights.sum(axis=1)
        numbers += [Number(OPTIMAL, n, ALL, variant, ratio(own, total), len(problems)) for n, own in sums.items()]
        choices[f"{budget:,}"] = {name: list(dict.fromkeys(own)) for name, own in chosen.items()}
    return numbers, choices


def _is(levels: Sequence[str], name: str) -> Bools:
    return np.array([level == name for level in levels])


@dataclass(frozen=True, slots=True)
class _Cell:
    """The problems of one level in one half."""

    count: Floats
    """(draws + 1,): how many are drawn."""
    sums: Mapping[str, Floats]
    """By metric, (draws + 1, points), the cheapest point first."""

    @classmethod
    def of(cls, columns: Mapping[str, Floats], inside: Bools, drawn: Resampling) -> _Cell:
        weights = drawn.weights[:, inside]
        return cls(weights.sum(axis=1), {name: weights @ values[inside] for name, values in columns.items()})

    def best(self, within: int, half: Sequence[_Cell]) -> Ints:
        """(draws + 1,): the most accurate of the first `within` points, the cheapest of equals.

        Where no problem of the level is drawn, it is the best of the whole half.
        """
        whole = np.sum([cell.sums["accuracy"] for cell in half], axis=0)
        right = np.where(self.count[:, None] > 0, self.sums["accuracy"], whole)
        found: Ints = np.argmax(np.round(right[:, :within], 9), axis=1)
        return found
