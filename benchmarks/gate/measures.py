"""What a gate measures of one scorer: numbers with 95% intervals over problems (percentile bootstrap).

    static.…   on the chains given: pairs of a right and a wrong chain of one problem, length, calibration
    fresh.…    the same on chains of another policy; gap.… is static minus fresh
    stress.…   on each probe
    drift.…    mean and spread of the scores of the static chains against an earlier card

Equal scores share a pair. Several measures are in units of the scorer's spread, the standard deviation of its scores of
the static chains, so that they mean the same for a probability and for a reward.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from prm.statistics.aggregation import is_logarithm
from prm.statistics.arrays import Floats, Ints, average_ranks
from prm.statistics.bootstrap import Resampling, estimate, estimate_share, ratio, resample

from ..numbers import BINS, MATCHED, is_probability
from .probes import PROBES
from .rows import GateChain, GatePair, GateRows, Part

PAIRS_A_PROBLEM = 16
"""At most so many pairs of a right and a wrong chain, so that no problem outweighs others by far."""
STRENGTHS = {"hard": (0.0, 1 / 3), "middle": (1 / 3, 2 / 3), "easy": (2 / 3, 1.0)}
"""Strata of pairs, by the share of the problem's chains that are right: above the first number, up to the second."""
STILL = 0.5
"""Spreads that a score may move by if the meaning stays."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of a scorer."""

    name: str
    """Such as "static.accuracy" or "stress.padding.fall"."""
    value: float | None
    """None if undefined."""
    low: float | None
    """Lower end of the 95% interval."""
    high: float | None
    """Upper end of the 95% interval."""
    n: int
    """Pairs or chains behind it."""
    problems: int | None
    """Problems behind it; None if its certainty does not depend on their number."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A measure before its interval is taken: its value, then one per draw; nan where undefined."""

    name: str
    values: Floats
    n: int
    problems: int | None
    is_share: bool = False

    def measure(self) -> Measure:
        """The number with its interval."""
        found = estimate_share(self.values, self.problems or 0) if self.is_share else estimate(self.values)
        return Measure(self.name, found.value, found.low, found.high, self.n, self.problems)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Right and wrong chains of the same problems, as places in `Scene.chains`."""

    right: Ints
    wrong: Ints
    problems: Ints
    strengths: Floats
    """Share of the problem's decided chains that are right."""


class Scene:
    """The rows of a gate as arrays, shared by all scorers and all draws.

    Args:
        rows: chains and pairs.
        draws: bootstrap draws.
        seed: of the draws.
    """

    def __init__(self, rows: GateRows, *, draws: int = 1000, seed: int = 0) -> None:
        self.rows = rows
        self.seed = seed
        self.chains: Sequence[GateChain] = rows.chains
        self.places = {chain.chain_id: place for place, chain in enumerate(rows.chains)}
        numbers = {problem_id: i for i, problem_id in enumerate(dict.fromkeys(c.problem_id for c in rows.chains))}
        self.problems = np.array([numbers[chain.problem_id] for chain in rows.chains], dtype=np.int64)
        self.lengths = np.array([chain.length for chain in rows.chains], dtype=float)
        self.drawn: Resampling = resample(list(numbers), [""] * len(numbers), draws, seed)

    def of(self, part: Part) -> Ints:
        """Places of the chains of a part."""
        return np.array([i for i, chain in enumerate(self.chains) if chain.part == part], dtype=np.int64)

    @cached_property
    def pairs(self) -> Mapping[Part, _Pairs]:
        """By part, the pairs of a right and a wrong chain."""
        return {part: self._pairs(part) for part in ("static", "fresh")}

    def _pairs(self, part: Part) -> _Pairs:
        groups: defaultdict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for place in self.of(part).tolist():
            is_right = self.chains[place].is_right
            if is_right is not None:
                groups[int(self.problems[place])][not is_right].append(place)
        rng, rows = np.random.default_rng(self.seed), list[tuple[int, int, int, float]]()
        for problem, (right, wrong) in groups.items():
            count = len(right) * len(wrong)
            strength = len(right) / (len(right) + len(wrong))
            for number in rng.permutation(count)[:PAIRS_A_PROBLEM].tolist():
                rows.append((right[number // len(wrong)], wrong[number % len(wrong)], problem, strength))
        table = np.array(rows, dtype=float).reshape(-1, 4)
        right_, wrong_, owners = (table[:, i].astype(np.int64) for i in range(3))
        return _Pairs(right_, wrong_, owners, table[:, 3])

    def mean(self, name: str, values: Floats, problems: Ints, *, is_share: bool = False) -> Drawn:
        """The mean of values, one per row, without nan."""
        kept = ~np.isnan(values)
        drawn = self.drawn.at(problems[kept]).means(values[kept, None])[:, 0]
        return Drawn(name, drawn, int(kept.sum()), len(np.unique(problems[kept])), is_share)


@dataclass(frozen=True)
class Subject:
    """A scorer's scores of the chains of a scene."""

    scene: Scene
    scores: Floats
    """One per chain of the scene; nan where it has none."""
    aggregator: str
    """How step scores were combined; "" for an ORM."""

    @cached_property
    def spread(self) -> float:
        """Standard deviation of the scores of the static chains; nan if they are all the same."""
        own = self.scores[self.scene.of("static")]
        found = float(np.nanstd(own)) if np.isfinite(own).any() else 0.0
        return found or float("nan")

    @cached_property
    def probabilities(self) -> Floats | None:
        """The scores as probabilities, logarithms undone; None for rewards, which have no scale of their own."""
        scores = np.exp(self.scores) if self.aggregator and is_logarithm(self.aggregator) else self.scores
        return scores if is_probability(scores[np.isfinite(scores)]) else None

    def wins(self, better: Ints, worse: Ints) -> Floats:
        """1 where the better chain scores higher, 0.5 where both are equal, else 0; nan without both scores."""
        margins = self.scores[better] - self.scores[worse]
        return np.where(np.isnan(margins), np.nan, (np.sign(margins) + 1) / 2)


def measures(subject: Subject, baseline: Mapping[str, float] | None = None) -> list[Measure]:
    """Everything that does not need a choice among chains; see the top of this module.

    Args:
        subject: a scorer.
        baseline: "mean" and "spread" of the same static chains at an earlier time.
    """
    static, fresh = list(_on_part(subject, "static")), list(_on_part(subject, "fresh"))
    by_name = {drawn.name.partition(".")[2]: drawn for drawn in static}
    found = [*static, *fresh, *_gaps(by_name, fresh), *_stress(subject)]
    if baseline is not None:
        found += _drift(subject, baseline)
    return [drawn.measure() for drawn in found]


def _on_part(subject: Subject, part: Part) -> Iterator[Drawn]:
    scene, pairs = subject.scene, subject.scene.pairs[part]
    wins, margins = subject.wins(pairs.right, pairs.wrong), subject.scores[pairs.right] - subject.scores[pairs.wrong]
    if not len(wins):
        return

    def share(name: str, rows: NDArray[np.bool_]) -> Drawn:
        return scene.mean(f"{part}.{name}", np.where(rows, wins, np.nan), pairs.problems, is_share=True)

    yield share("accuracy", np.ones(len(wins), dtype=bool))
    for name, (above, up_to) in STRENGTHS.items():
        yield share(f"accuracy_{name}", (pairs.strengths > above) & (pairs.strengths <= up_to))
    long, short = (pick(scene.lengths[pairs.right], scene.lengths[pairs.wrong]) for pick in (np.maximum, np.minimum))
    yield share("accuracy_length_matched", long - short <= MATCHED * long)
    fields = np.array([scene.chains[place].field for place in pairs.right])
    for field in sorted(set(fields) - {""}):
        yield share(f"field.{field}", fields == field)
    yield scene.mean(f"{part}.margin_mean", margins / subject.spread, pairs.problems)
    yield _median(scene, f"{part}.margin_median", margins / subject.spread, pairs.problems)
    yield _length_correlation(subject, part)
    yield from _calibration(subject, part)


def _median(scene: Scene, name: str, values: Floats, problems: Ints) -> Drawn:
    """The median of values, in each draw the lower one of two in the middle."""
    kept = ~np.isnan(values)
    values, problems = values[kept], problems[kept]
    order = np.argsort(values)
    drawn = np.full(len(scene.drawn.weights), np.nan)
    for draw, weights in enumerate(scene.drawn.weights):
        reached = np.cumsum(weights[scene.drawn.owners[problems[order]]])
        if len(reached) and reached[-1]:
            drawn[draw] = values[order[np.searchsorted(reached, reached[-1] / 2)]]
    return Drawn(name, drawn, len(values), len(np.unique(problems)))


def _length_correlation(subject: Subject, part: Part) -> Drawn:
    """Spearman's correlation of scores and lengths among chains of one problem with one verdict, over all of them.

    So neither long problems nor the truth can bring it about.
    """
    scene, groups = subject.scene, defaultdict[tuple[int, bool | None], list[int]](list)
    for place in scene.of(part).tolist():
        if np.isfinite(subject.scores[place]):
            groups[int(scene.problems[place]), scene.chains[place].is_right].append(place)
    several = [np.array(own) for own in groups.values() if len(own) > 1]
    rows = np.concatenate(several) if several else np.empty(0, dtype=np.int64)
    x, y = (
        np.concatenate([_centered(values[own]) for own in several]) if several else np.empty(0)
        for values in (scene.lengths, subject.scores)
    )
    sums = scene.drawn.at(scene.problems[rows]).sums(np.stack([x * y, x * x, y * y], axis=1))
    values = ratio(sums[:, 0], np.sqrt(sums[:, 1] * sums[:, 2]))
    return Drawn(f"{part}.length_correlation", values, len(rows), len(np.unique(scene.problems[rows])))


def _centered(values: Floats) -> Floats:
    return np.asarray(average_ranks(values) - (len(values) + 1) / 2)


def _calibration(subject: Subject, part: Part) -> Iterator[Drawn]:
    """Expected calibration error and Brier score of chain scores against verdicts."""
    scene, chances = subject.scene, subject.probabilities
    if chances is None:
        return
    rows = np.array(
        [i for i in scene.of(part).tolist() if scene.chains[i].is_right is not None and np.isfinite(chances[i])],
        dtype=np.int64,
    )
    labels = np.array([float(scene.chains[i].is_right is True) for i in rows.tolist()])
    problems = scene.problems[rows]
    error = scene.drawn.at(problems).calibration_error(chances[rows], labels, BINS)
    yield Drawn(f"{part}.ece", error, len(rows), len(np.unique(problems)))
    yield scene.mean(f"{part}.brier", (chances[rows] - labels) ** 2, problems)


def _gaps(static: Mapping[str, Drawn], fresh: Iterable[Drawn]) -> Iterator[Drawn]:
    """Static minus fresh; problems of both parts are drawn together."""
    for drawn in fresh:
        name = drawn.name.partition(".")[2]
        if name in static:
            problems = min(p for p in (static[name].problems, drawn.problems) if p is not None)
            yield Drawn(f"gap.{name}", static[name].values - drawn.values, drawn.n, problems)


def _stress(subject: Subject) -> Iterator[Drawn]:
    by_probe: defaultdict[str, list[GatePair]] = defaultdict(list)
    for pair in subject.scene.rows.pairs:
        by_probe[pair.probe].append(pair)
    for name, probe in PROBES.items():
        if pairs := by_probe[name]:
            of_kind = _of_still if probe.kind == "still" else _of_order
            yield from of_kind(subject, name, pairs)


def _of_order(subject: Subject, name: str, pairs: Sequence[GatePair]) -> Iterator[Drawn]:
    """The share of pairs in the right order; for dressed chains, how far it falls, and how far the dress lifts them."""
    scene = subject.scene
    better, worse = (_places(scene, [getattr(p, side) for p in pairs]) for side in ("better", "worse"))
    wins, problems = subject.wins(better, worse), scene.problems[better]
    yield scene.mean(f"stress.{name}.rate", wins, problems, is_share=True)
    if pairs[0].plain is not None:
        plain = _places(scene, [pair.plain for pair in pairs if pair.plain is not None])
        yield scene.mean(f"stress.{name}.fall", subject.wins(better, plain) - wins, problems)
        lifts = (subject.scores[worse] - subject.scores[plain]) / subject.spread
        yield scene.mean(f"stress.{name}.lift", lifts, problems)


def _of_still(subject: Subject, name: str, pairs: Sequence[GatePair]) -> Iterator[Drawn]:
    """The share of chains whose score moves by at most `STILL` spreads, and the mean distance that it moves."""
    scene = subject.scene
    before, after = (_places(scene, [getattr(p, side) for p in pairs]) for side in ("better", "worse"))
    moves, problems = np.abs(subject.scores[after] - subject.scores[before]) / subject.spread, scene.problems[before]
    is_still = np.where(np.isnan(moves), np.nan, moves <= STILL)
    yield scene.mean(f"stress.{name}.rate", is_still, problems, is_share=True)
    yield scene.mean(f"stress.{name}.move", moves, problems)


def _places(scene: Scene, chain_ids: Sequence[str]) -> Ints:
    return np.array([scene.places[chain_id] for chain_id in chain_ids], dtype=np.int64)


def _drift(subject: Subject, baseline: Mapping[str, float]) -> Iterator[Drawn]:
    """How far the mean score of the static chains has moved, in spreads of then; and the spread over that of then."""
    scene, rows = subject.scene, subject.scene.of("static")
    rows = rows[np.isfinite(subject.scores[rows])]
    scores, problems = subject.scores[rows], scene.problems[rows]
    means = scene.drawn.at(problems).means(np.stack([scores, scores**2], axis=1))
    spreads = np.sqrt(np.maximum(means[:, 1] - means[:, 0] ** 2, 0.0))
    count = len(np.unique(problems))
    yield Drawn("drift.mean", (means[:, 0] - baseline["mean"]) / baseline["spread"], len(rows), count)
    yield Drawn("drift.spread", spreads / baseline["spread"], len(rows), count)


def fixed_set(subject: Subject) -> dict[str, float]:
    """Mean and spread of the scores of the static chains, to compare a later card with."""
    own = subject.scores[subject.scene.of("static")]
    return {"mean": float(np.nanmean(own)), "spread": float(np.nanstd(own))}
