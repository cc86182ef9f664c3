"""Does true quality fall where the score still rises? Best of n, a run of reinforcement learning, and several scorers.

Scaling Laws for Reward Model Overoptimization (arXiv 2210.10760, sections 2 and 3.1): with d = sqrt(KL), the gain in
gold score is

    best of n                d·(alpha - beta·d)          KL = log n - (n - 1)/n nats
    reinforcement learning   d·(alpha - beta·log d)      KL as the run reports it, in nats

fitted by least squares. Gold is the share of right answers (best of n), or what the run reports.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from prm.data.reading import read_rows
from prm.errors import InputError, require_number
from prm.statistics.arrays import Floats, Ints
from prm.statistics.bootstrap import estimate, resample
from prm.statistics.order_statistics import best_of_k, fit_best_of_n, kl_of_best

from .measures import Drawn, Measure, Scene, Subject


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point of an over-optimization curve."""

    kl: float
    """Nats from the policy."""
    gold: float
    low: float | None
    """Lower end of the 95% interval of `gold`."""
    high: float | None
    proxy: float | None
    """The score itself; None if the run does not report it."""
    n: int | None = None
    """Best of so many; None for a run."""


@dataclass(frozen=True, slots=True)
class Optimized:
    """What a choice by score is worth."""

    measures: tuple[Measure, ...]
    curve: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True)
class Pool:
    """The static chains of the problems that have at least `n` of them."""

    n: int
    """The most common number of chains of a problem."""
    blocks: tuple[tuple[Ints, Ints], ...]
    """Problems with equally many chains: their numbers, and the places of their chains (problems, chains)."""

    @staticmethod
    def of(scene: Scene) -> Pool:
        """The pool of a scene."""
        groups: defaultdict[int, list[int]] = defaultdict(list)
        for place in scene.of("static").tolist():
            groups[int(scene.problems[place])].append(place)
        sizes = Counter(map(len, groups.values()))
        n = max(sizes, key=lambda size: (sizes[size], size), default=0)
        blocks = []
        for size in sorted(size for size in sizes if size >= n):
            own = {problem: places for problem, places in groups.items() if len(places) == size}
            blocks.append((np.array(list(own)), np.array(list(own.values()))))
        return Pool(n, tuple(blocks))

    @property
    def problems(self) -> Ints:
        """Numbers of the problems, block after block."""
        return np.concatenate([numbers for numbers, _ in self.blocks]) if self.blocks else np.empty(0, dtype=np.int64)

    def best(self, subject: Subject, gains: Floats, ks: Sequence[int]) -> Floats:
        """Expected gain of the chain with the highest score among k: (problems, ks). One without a score is last."""
        scores = np.where(np.isnan(subject.scores), -np.inf, subject.scores)
        return np.concatenate([best_of_k(scores[places], gains[places], ks) for _, places in self.blocks])


def best_of_n(subject: Subject) -> Optimized:
    """Best of 1, 2, 4, … n of the static chains.

    Returns:
        "best_of_n.gain": right answers of best of n minus those of a draw. "best_of_n.fall": right answers at the best
        k minus those at n. "best_of_n.alpha", "best_of_n.beta" with at least three k. Nothing for single chains.
    """
    scene, pool = subject.scene, Pool.of(subject.scene)
    if pool.n < 2:
        return Optimized((), ())
    ks = [2**i for i in range(pool.n.bit_length()) if 2**i < pool.n] + [pool.n]
    right = np.array([float(chain.is_right is True) for chain in scene.chains])
    least = np.nanmin(subject.scores)
    drawn = scene.drawn.at(pool.problems)
    gold, proxy = (
        drawn.means(pool.best(subject, gains, ks)) for gains in (right, np.nan_to_num(subject.scores, nan=least))
    )
    kl = kl_of_best(ks)
    found = {"gain": gold[:, -1] - gold[:, 0], "fall": gold[:, np.argmax(gold[0])] - gold[:, -1]}
    if len(ks) > 2:
        alpha, beta = fit_best_of_n(kl, gold)
        found |= {"alpha": alpha, "beta": beta}
    problems = len(pool.problems)
    numbers = [Drawn(f"best_of_n.{name}", values, problems, problems).measure() for name, values in found.items()]
    return Optimized(tuple(numbers), tuple(_points(kl, gold, proxy[0], ks)))


def _points(kl: Floats, gold: Floats, proxy: Floats, ks: Sequence[int]) -> list[CurvePoint]:
    found = [estimate(column) for column in gold.T]
    rows = zip(kl.tolist(), found, proxy.tolist(), ks, strict=True)
    return [CurvePoint(x, float(e.value or 0.0), e.low, e.high, p, k) for x, e, p, k in rows]


def of_run(path: Path, *, draws: int = 1000, seed: int = 0) -> Optimized:
    """A run against the scorer, from a JSONL file with a row per checkpoint: "kl" (nats), "gold" and perhaps "proxy".

    Returns:
        "rl.alpha" and "rl.beta" of the fit, from the checkpoint with the smallest KL on; "rl.fall": the highest gold
        score minus the last one. Intervals are over checkpoints, which are not independent: they are too narrow.

    Raises:
        InputError: there are fewer than four checkpoints, or a row cannot be used.
    """
    rows = sorted((_checkpoint(path, number, row) for number, row in read_rows(path)), key=lambda row: row[0])
    if len(rows) < 4:
        raise InputError(f"{path}: {len(rows)} checkpoints are too few for a fit", "give at least four")
    kl, gold = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    d, gains = np.sqrt(kl[1:]), gold[1:] - gold[0]
    if not (d > 0).all():
        raise InputError(f"{path}: several checkpoints have a KL of 0", "keep one of them")
    features = np.stack([d, -d * np.log(d)], axis=1)
    weights = resample(range(len(d)), [""] * len(d), draws, seed).weights
    grams = np.einsum("wi,ij,ik->wjk", weights, features, features)
    sides = np.einsum("wi,ij,i->wj", weights, features, gains)
    fit = np.einsum("wjk,wk->wj", np.linalg.pinv(grams), sides)
    fall = float(gold.max() - gold[-1])
    numbers = [Drawn(f"rl.{name}", fit[:, i], len(rows), None).measure() for i, name in enumerate(("alpha", "beta"))]
    numbers.append(Measure("rl.fall", fall, fall, fall, len(rows), None))
    return Optimized(tuple(numbers), tuple(CurvePoint(x, y, None, None, proxy) for x, y, proxy in rows))


def _checkpoint(path: Path, number: int, row: Mapping[str, Any]) -> tuple[float, float, float | None]:
    try:
        require_number("kl", row.get("kl"), "[0, inf)")
        require_number("gold", row.get("gold"), "(-inf, inf)")
        if row.get("proxy") is not None:
            require_number("proxy", row["proxy"], "(-inf, inf)")
    except InputError as error:
        raise InputError(f"{path}:{number}: {error}", 'such as {"kl": 4.2, "gold": 0.51, "proxy": 0.8}') from error
    return float(row["kl"]), float(row["gold"]), None if row.get("proxy") is None else float(row["proxy"])


def agreements(subjects: Mapping[str, Subject]) -> dict[str, list[Measure]]:
    """How alike the choices of every two scorers are: by "A and B".

    Returns:
        "choices.same": the share of problems in which both choose the same chain, ties shared. "choices.correlation":
        the correlation over problems of whether their choices are right; scorers that fail on the same problems do not
        correct each other.
    """
    return {f"{a} and {b}": _agreement(subjects[a], subjects[b]) for a, b in combinations(subjects, 2)}


def _agreement(one: Subject, two: Subject) -> list[Measure]:
    scene, pool = one.scene, Pool.of(one.scene)
    if pool.n < 2:
        return []
    same = np.concatenate([(_shares(one, places) * _shares(two, places)).sum(axis=1) for _, places in pool.blocks])
    right = np.array([float(chain.is_right is True) for chain in scene.chains])
    x, y = (
        np.concatenate([(_shares(subject, places) * right[places]).sum(axis=1) for _, places in pool.blocks])
        for subject in (one, two)
    )
    mean = scene.drawn.at(pool.problems).means(np.stack([x, y, x * x, y * y, x * y], axis=1)).T
    spreads = np.sqrt(np.maximum(mean[2] - mean[0] ** 2, 0) * np.maximum(mean[3] - mean[1] ** 2, 0))
    values = np.divide(mean[4] - mean[0] * mean[1], spreads, out=np.full(len(spreads), np.nan), where=spreads > 1e-12)
    correlation = Drawn("choices.correlation", values, len(x), len(x)).measure()
    return [scene.mean("choices.same", same, pool.problems, is_share=True).measure(), correlation]


def _shares(subject: Subject, places: Ints) -> Floats:
    """The probability that each chain is chosen: (problems, chains)."""
    scores = np.where(np.isnan(subject.scores), -np.inf, subject.scores)[places]
    is_best = scores == scores.max(axis=1, keepdims=True)
    return np.asarray(is_best / is_best.sum(axis=1, keepdims=True))
