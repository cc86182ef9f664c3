"""Best of n: how often is the chosen solution right, for every way of choosing and every k?

All N solutions of a problem are used for every k (`prm.statistics.order_statistics`). Solutions without an answer rank
last, as in `prm.rerank`, and have no vote. Undecided solutions count as not right. By conventions that take solutions
in order, k are the first k, the first of equals is chosen, and solutions without an answer compete and vote too.

Ways of choosing, besides each scorer's highest score and weighted vote (per aggregator for scores of steps):

    pass@1      a solution at random
    majority    the most frequent answer
    oracle      a right solution if there is one (pass@k)
    shortest, longest   by characters: a scorer that has learned more than length beats both
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from prm.scoring.reranking import select
from prm.statistics.aggregation import aggregate, is_logarithm
from prm.statistics.arrays import Floats, Ints, average_ranks
from prm.statistics.bootstrap import Resampling, ratio, resample
from prm.statistics.detection import Accepted
from prm.statistics.order_statistics import (
    best_of_k,
    first_of_k,
    first_vote_of_k,
    fit_best_of_n,
    kl_of_best,
    runs_of,
    vote_of_k,
)

from ..conventions import EXACT, Convention
from ..eval_rows import EvalRow, Kept
from ..numbers import (
    ALL,
    MATCHED,
    EvalSettings,
    Findings,
    Number,
    PerRow,
    differences,
    lengths_picture,
    reliability_picture,
    require_different,
)
from ..pools import Pool
from ..results import Curve, Picture, Point, Result, label_of
from ..scores import ScoreTable
from ..suites.collecting import SuiteData
from .acceptance import Found, abstaining
from .entry import Again, Mark, ProtocolEntry
from .localization import calibration, length_correlation

_ORDERS, _ORDERS_IN_ALL = 8, 4096


@dataclass(frozen=True)
class Block:
    """Problems with the same number of solutions; arrays are (problems, n)."""

    rows: Ints
    """Places of these problems among all problems."""
    chain_ids: list[str]
    """Problem after problem."""
    is_right: Floats
    groups: Ints
    """-1 for no answer."""
    lengths: Floats

    @cached_property
    def answered(self) -> Floats:
        """0 for a solution with an answer, -inf for one without."""
        return np.where(self.groups >= 0, 0.0, -np.inf)

    @cached_property
    def by_length(self) -> Ints:
        """Each problem's solutions in order of length; equal lengths in an order that depends on their ids alone."""
        mixed = np.array([zlib.crc32(i.encode("utf-8", "surrogatepass")) for i in self.chain_ids])
        order: Ints = np.lexsort((mixed.reshape(self.lengths.shape), self.lengths), axis=1)
        return order


@dataclass(frozen=True, slots=True)
class Ranking:
    """A scorer with an aggregator."""

    scorer: str
    aggregator: str
    """"" for an ORM."""
    scores: Sequence[Floats]
    """Per block, (problems, n): chain scores; -inf for a solution without an answer."""
    given: Sequence[Floats]
    """As `scores`, but -inf only for solutions that were not scored."""
    places: Sequence[Ints]
    """Per block, (problems, n): places of the chains in the scorer's table; -1 if not scored."""


@dataclass(frozen=True)
class Answered:
    """Every solution with an answer, block after block; their places are the same for all rankings."""

    masks: Sequence[NDArray[np.bool_]]
    """Per block, (problems, n): whether a solution has an answer."""
    is_right: Floats
    lengths: Floats
    length_ranks: Floats
    drawn: Resampling

    def of(self, ranking: Ranking) -> Floats:
        """Their scores."""
        return np.concatenate([own[mask] for own, mask in zip(ranking.scores, self.masks, strict=True)])


def _answered(blocks: Sequence[Block], drawn: Resampling) -> Answered:
    masks = [block.groups >= 0 for block in blocks]
    parts = [
        (block.is_right[mask], block.lengths[mask], block.rows[np.nonzero(mask)[0]])
        for block, mask in zip(blocks, masks, strict=True)
    ]
    is_right, lengths, owners = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Answered(masks, is_right, lengths, average_ranks(lengths), drawn.at(owners))


def _rankings(blocks: Sequence[Block], name: str, table: ScoreTable) -> Iterator[Ranking]:
    places = [table.places(block.chain_ids).reshape(block.is_right.shape) for block in blocks]
    for aggregator in table.aggregators:
        values = table.aggregated(aggregator)
        given = [np.where(place >= 0, values[place], -np.inf) for place in places]
        own = [np.where(b.groups >= 0, scores, -np.inf) for b, scores in zip(blocks, given, strict=True)]
        yield Ranking(name, aggregator, own, given, places)


def _blocks(pools: Sequence[Pool]) -> list[Block]:
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    for row, pool in enumerate(pools):
        by_size[len(pool.chain_ids)].append(row)
    return [_block(np.array(rows), [pools[row] for row in rows]) for rows in by_size.values()]


def _block(rows: Ints, pools: Sequence[Pool]) -> Block:
    return Block(
        rows=rows,
        chain_ids=[chain_id for pool in pools for chain_id in pool.chain_ids],
        is_right=np.array([[is_right is True for is_right in pool.is_right] for pool in pools], dtype=float),
        groups=np.array([[-1 if group is None else group for group in pool.groups] for pool in pools], dtype=np.int64),
        lengths=np.array([pool.lengths for pool in pools], dtype=float),
    )


@dataclass(frozen=True, slots=True)
class Selector:
    """One way of choosing, with the share of right choices."""

    scorer: str
    """"" if it needs none."""
    variant: str
    """Such as "majority", or "min" and "min vote" of a scorer."""
    right: Floats
    """(problems, ks)."""


def best_of_n(
    pools: Sequence[Pool],
    scorers: Mapping[str, ScoreTable],
    settings: EvalSettings,
    convention: Convention = EXACT,
) -> Findings:
    """Compare all ways of choosing.

    Args:
        pools: at least one, none empty; every scorer has scored the chains with an answer.
        scorers: PRMs and ORMs by name; a PRM is tried with each aggregator.
        settings: as in `EvalSettings`.
        convention: decides which k solutions count, and about ties.

    Returns:
        "best-of-k" for k = 1, 2, 4, … up to the fewest solutions of a problem. For each scorer and aggregator:
        "chain_auroc" (how often a right solution scores above a wrong one of the same problem),
        "length_matched_auroc" (the same among neighbors in order of length that differ by at most a tenth),
        "length_correlation", "ece" and "brier" of probabilities, "lowest_is_last", and "alpha" and "beta" of the
        over-optimization curve. Differences compare ways of choosing, at the largest k.
    """
    blocks, most = _blocks(pools), min(len(pool.chain_ids) for pool in pools)
    ks = [2**i for i in range(most.bit_length()) if 2**i < most] + [most]
    drawn = resample([p.problem_id for p in pools], [""] * len(pools), settings.draws, settings.seed)
    rankings = [ranking for name, table in scorers.items() for ranking in _rankings(blocks, name, table)]
    numbers: list[Number] = []
    curves: list[Curve] = []
    rights: dict[tuple[str, str], Floats] = {}
    how = _InOrder(ks) if convention.in_order else _Expected(ks, _orders(len(pools)), settings.seed)
    for chosen in _selectors(blocks, len(pools), rankings, how):
        own = _right(chosen, ks, drawn)
        rights[chosen.scorer, chosen.variant] = chosen.right[:, -1]
        numbers += own
        curves.append(_curve(chosen, ks, own))
    require_different(curve.name for curve in curves)
    last = [n for n in numbers if n.name == _name(most)]
    pictures: list[Picture | None] = []
    answered = _answered(blocks, drawn)
    for ranking in rankings:
        numbers += _of_scores(blocks, ranking, answered, drawn)
        pictures += _pictures(ranking, answered)
        for more, drawn_curves in (
            _overoptimization(blocks, len(pools), ranking, how, drawn),
            _abstaining(blocks, ranking, rights[ranking.scorer, ranking.aggregator], how, drawn),
        ):
            numbers += more
            curves += drawn_curves
        if ranking.aggregator == "min":
            numbers.append(_lowest_is_last(blocks, ranking, scorers[ranking.scorer], drawn))
    return Findings(
        settings=_spelled_out(settings, most, {len(p.chain_ids) for p in pools}, how),
        numbers=tuple(numbers),
        headline=lambda number: number.name == _name(most),
        differences=differences(last, lambda n: n.label, lambda n: (n.name, n.split)),
        counts={"undecided": sum(verdict is None for pool in pools for verdict in pool.is_right)},
        curves=tuple(curves),
        pictures=tuple(picture for picture in pictures if picture is not None),
        keys=tuple((pool.id, pool.split) for pool in pools),
        is_kept=lambda number: number.name.startswith(_BEST),
    )


def _orders(problems: int) -> int:
    """How many random orders to count the votes of a problem in: the fewer problems, the more."""
    return max(_ORDERS, _ORDERS_IN_ALL // problems)


_BEST = "best-of-"


def _name(k: int) -> str:
    return f"{_BEST}{k}"


@dataclass(frozen=True, slots=True)
class _Expected:
    """Choices among k of n in expectation over all subsets of k; ties are shared."""

    ks: Sequence[int]
    orders: int
    seed: int

    def scores(self, ranking: Ranking) -> Sequence[Floats]:
        """What solutions compete by."""
        return ranking.scores

    def weights(self, ranking: Ranking) -> Sequence[Floats]:
        """What their votes count."""
        return [vote_weights(own) for own in ranking.scores]

    def pick(self, scores: Floats, gains: Floats) -> Floats:
        """The gain of the highest score, (problems, ks)."""
        return best_of_k(scores, gains, self.ks)

    def vote(self, weights: Floats, block: Block) -> Floats:
        """How often the winning answer is right, (problems, ks)."""
        return vote_of_k(weights, block.groups, block.is_right, self.ks, orders=self.orders, seed=self.seed)

    @property
    def spelled_out(self) -> dict[str, str]:
        """For the settings of a result."""
        return {
            "best of k": "exact expectation over all subsets of k of a problem's n solutions",
            "votes": f"exact for k = 1 and k = n, else the mean of {self.orders} random orders",
            "vote weights": "scores, or their exponentials in a problem where any is below 0 or none above",
            "ties": "shared evenly",
            "without answer": "ranked last, no vote",
        }


@dataclass(frozen=True, slots=True)
class _InOrder:
    """Choices among the first k; the first of equals is chosen. Methods as in `_Expected`."""

    ks: Sequence[int]

    def scores(self, ranking: Ranking) -> Sequence[Floats]:
        return ranking.given

    def weights(self, ranking: Ranking) -> Sequence[Floats]:
        return [np.exp(own) if is_logarithm(ranking.aggregator) else own for own in ranking.given]

    def pick(self, scores: Floats, gains: Floats) -> Floats:
        return first_of_k(scores, gains, self.ks)

    def vote(self, weights: Floats, block: Block) -> Floats:
        return first_vote_of_k(weights, block.groups, block.is_right, self.ks)

    @property
    def spelled_out(self) -> dict[str, str]:
        return {
            "best of k": "the first k of a problem's n solutions",
            "votes": "of the first k; the verdict is that of the first solution with the answer",
            "vote weights": "scores",
            "ties": "the first",
            "without answer": "competes, votes for no answer",
        }


def _spelled_out(settings: EvalSettings, most: int, sizes: set[int], how: _Expected | _InOrder) -> dict[str, object]:
    return {
        "n": most if sizes == {most} else f"{min(sizes)} to {max(sizes)}",
        **how.spelled_out,
        "undecided": "not right",
        "intervals": "95% percentile bootstrap over problems; of a share at 0 or 1, Jeffreys'",
        "draws": settings.draws,
        "seed": settings.seed,
    }


def _selectors(
    blocks: Sequence[Block], problems: int, rankings: Sequence[Ranking], how: _Expected | _InOrder
) -> Iterator[Selector]:
    def picked(scorer: str, variant: str, scores: Sequence[Floats]) -> Selector:
        parts = [how.pick(own, block.is_right) for own, block in zip(scores, blocks, strict=True)]
        return Selector(scorer, variant, _joined(blocks, parts, problems))

    def voted(scorer: str, variant: str, weights: Sequence[Floats]) -> Selector:
        parts = [how.vote(own, block) for own, block in zip(weights, blocks, strict=True)]
        return Selector(scorer, variant, _joined(blocks, parts, problems))

    yield picked("", "pass@1", [np.zeros_like(block.is_right) for block in blocks])
    yield voted("", "majority", [np.ones_like(block.is_right) for block in blocks])
    for ranking in rankings:
        yield picked(ranking.scorer, ranking.aggregator, how.scores(ranking))
        yield voted(ranking.scorer, f"{ranking.aggregator} vote".strip(), how.weights(ranking))
    yield picked("", "shortest", [block.answered - block.lengths for block in blocks])
    yield picked("", "longest", [block.answered + block.lengths for block in blocks])
    yield picked("", "oracle", [block.is_right for block in blocks])


def vote_weights(scores: Floats) -> Floats:
    """The weight of each vote, (problems, n); see `prm.scoring.reranking.select`. 0 for a score of -inf."""
    highest = scores.max(axis=1, keepdims=True)
    finite = np.where(np.isfinite(highest), highest, 0.0)
    plain = (np.where(np.isfinite(scores), scores, 0.0).min(axis=1, keepdims=True) >= 0) & (highest > 0)
    exponentials = np.exp(scores - finite)
    return np.where(plain, np.maximum(scores, 0.0), np.where(np.isfinite(highest), exponentials, 1.0))


def _joined(blocks: Sequence[Block], parts: Sequence[Floats], problems: int) -> Floats:
    """Rows of all blocks, one per problem, in the order of the problems."""
    out = np.empty((problems, parts[0].shape[1]))
    for block, part in zip(blocks, parts, strict=True):
        out[block.rows] = part
    return out


def _right(chosen: Selector, ks: Sequence[int], drawn: Resampling) -> list[Number]:
    shares, problems = drawn.means(chosen.right).T, len(chosen.right)
    return [
        Number(chosen.scorer, _name(k), ALL, chosen.variant, share, problems, PerRow.mean(right))
        for k, share, right in zip(ks, shares, chosen.right.T, strict=True)
    ]


def _curve(chosen: Selector, ks: Sequence[int], numbers: Sequence[Number]) -> Curve:
    return Curve(
        "best-of-k", label_of(chosen.scorer, chosen.variant), chosen.scorer, chosen.variant, _points(ks, numbers)
    )


def _points(xs: Sequence[float], numbers: Sequence[Number]) -> tuple[Point, ...]:
    found = [(float(x), number.estimate()) for x, number in zip(xs, numbers, strict=True)]
    return tuple(Point(x, e.value, e.low, e.high) for x, e in found if e.value is not None)


def _of_scores(blocks: Sequence[Block], ranking: Ranking, answered: Answered, drawn: Resampling) -> Iterator[Number]:
    """The quality of chain scores, apart from any choice."""
    name, aggregator, scores = ranking.scorer, ranking.aggregator, ranking.scores
    won = [
        np.hstack([pairs_won(own, block.is_right), _neighbors_won(own, block)])
        for own, block in zip(scores, blocks, strict=True)
    ]
    sums = drawn.sums(_joined(blocks, won, len(drawn.owners)))
    for metric, column in (("chain_auroc", 0), ("length_matched_auroc", 2)):
        shares = ratio(sums[:, column], sums[:, column + 1])
        yield Number(name, metric, ALL, aggregator, shares, int(sums[0, column + 1]))
    flat = answered.of(ranking)
    yield length_correlation(name, aggregator, answered.length_ranks, flat, answered.drawn)
    if not is_logarithm(aggregator):
        yield from calibration(name, aggregator, flat, answered.is_right, answered.drawn)


def _lowest_is_last(blocks: Sequence[Block], ranking: Ranking, table: ScoreTable, drawn: Resampling) -> Number:
    """Share of solutions with their lowest score on the last step."""
    places = np.concatenate([own.ravel() for own in ranking.places])
    is_last = np.where(places >= 0, table.lowest_is_last()[places], np.nan)
    owners = np.concatenate([np.repeat(block.rows, block.is_right.shape[1]) for block in blocks])
    shares = drawn.at(owners).means(is_last[:, None])[:, 0]
    return Number(ranking.scorer, "lowest_is_last", ALL, "", shares, int((~np.isnan(is_last)).sum()))


def pairs_won(scores: Floats, is_right: Floats) -> Floats:
    """Per problem: pairs of a right and a wrong solution won by the right one, ties half; and all such pairs."""
    order = np.argsort(scores, axis=1, kind="stable")
    ranked, right = np.take_along_axis(scores, order, 1), np.take_along_axis(is_right, order, 1)
    begins, runs = runs_of(ranked)
    positives, wrong = np.bincount(runs, right.ravel()), np.bincount(runs, 1 - right.ravel())
    before = np.cumsum(1 - right, axis=1) - (1 - right)
    below = before.ravel()[np.flatnonzero(begins)]
    problem = np.nonzero(begins)[0]
    wins = np.bincount(problem, positives * (below + wrong / 2), minlength=len(scores))
    n_right = is_right.sum(axis=1)
    return np.stack([wins, n_right * (is_right.shape[1] - n_right)], axis=1)


def _neighbors_won(scores: Floats, block: Block) -> Floats:
    """As `pairs_won`, for neighbors in order of length whose lengths match."""
    lengths, right, ranked = (
        np.take_along_axis(a, block.by_length, 1) for a in (block.lengths, block.is_right, scores)
    )
    counts = (right[:, 1:] != right[:, :-1]) & (lengths[:, 1:] - lengths[:, :-1] <= MATCHED * lengths[:, 1:])
    later_is_right = np.where(right[:, 1:] > right[:, :-1], 1.0, -1.0)
    with np.errstate(invalid="ignore"):
        signs = np.nan_to_num(np.sign(ranked[:, 1:] - ranked[:, :-1]))
    wins = (1 + signs * later_is_right) / 2
    return np.stack([(wins * counts).sum(axis=1), counts.sum(axis=1)], axis=1)


def _pictures(ranking: Ranking, answered: Answered) -> Iterator[Picture | None]:
    scorer, aggregator, flat = ranking.scorer, ranking.aggregator, answered.of(ranking)
    yield lengths_picture(scorer, aggregator, answered.lengths, flat, answered.is_right)
    if not is_logarithm(aggregator):
        yield reliability_picture(scorer, aggregator, flat, answered.is_right)


def _overoptimization(
    blocks: Sequence[Block], problems: int, ranking: Ranking, how: _Expected | _InOrder, drawn: Resampling
) -> tuple[list[Number], list[Curve]]:
    """Gold and proxy score of best of n against its KL divergence from the policy, log n - (n-1)/n nats.

    Scaling Laws for Reward Model Overoptimization (arXiv 2210.10760, sections 2 and 3.1): with d = sqrt(KL) the gain
    in gold score is fitted as d·(alpha - beta·d), by least squares over the measured n. Gold is the share of right
    choices.
    """
    name, aggregator, scores, ks = ranking.scorer, ranking.aggregator, how.scores(ranking), how.ks
    least = min((own[np.isfinite(own)].min() for own in scores if np.isfinite(own).any()), default=0.0)
    gold, proxy = (
        _joined(blocks, [how.pick(own, gain) for own, gain in zip(scores, gains, strict=True)], problems)
        for gains in ([block.is_right for block in blocks], [np.maximum(own, least) for own in scores])
    )
    kl = kl_of_best(ks)
    curves = []
    for variant, values in (("gold", gold), ("proxy", proxy)):
        means = drawn.means(values)
        own = [Number(name, variant, ALL, aggregator, column, problems) for column in means.T]
        curves.append(Curve("over-optimization", label_of(name, aggregator), name, variant, _points(kl.tolist(), own)))
    if len(ks) < 3:
        return [], curves
    fitted = zip(("alpha", "beta"), fit_best_of_n(kl, drawn.means(gold)), strict=True)
    return [Number(name, n, ALL, aggregator, values, problems) for n, values in fitted], curves


def _abstaining(
    blocks: Sequence[Block], ranking: Ranking, right: Floats, how: _Expected | _InOrder, drawn: Resampling
) -> Found:
    """The risk of answering only the problems whose best solution scores high; `right`: whether that is right."""
    highest = _joined(blocks, [own.max(axis=1, keepdims=True) for own in how.scores(ranking)], len(right))[:, 0]
    accepted = Accepted.of(highest, right, drawn)
    return abstaining(ranking.scorer, "", ranking.aggregator, ranking.aggregator, accepted, len(right))


def _measure(
    data: SuiteData, pools: Sequence[Pool], scorers: Mapping[str, ScoreTable], settings: EvalSettings
) -> Findings:
    return best_of_n(pools, scorers, settings, data.convention)


def _marks(pool: Pool, scorers: Mapping[str, ScoreTable]) -> Iterator[Mark]:
    choices = dict(_choices(pool, scorers))
    for place, (chain_id, is_right) in enumerate(zip(pool.chain_ids, pool.is_right, strict=True)):
        yield Mark(chain_id, is_right, chosen_by=tuple(name for name, chosen in choices.items() if chosen == place))


def _choices(pool: Pool, scorers: Mapping[str, ScoreTable]) -> Iterator[tuple[str, int]]:
    """The name of each way of choosing, and the place of its choice."""
    yield "majority", select([0.0] * len(pool.chain_ids), pool.groups, "majority")
    for name, table in scorers.items():
        for aggregator in table.aggregators:
            answered = [
                None if group is None else aggregate(table[chain_id].tolist(), aggregator or "last")
                for chain_id, group in zip(pool.chain_ids, pool.groups, strict=True)
            ]
            label = label_of(name, aggregator)
            yield label, select(answered, pool.groups)
            yield f"{label} vote", select(answered, pool.groups, "weighted")


def _keep(data: SuiteData, pools: Sequence[Pool], scorers: Mapping[str, ScoreTable]) -> Iterator[Kept]:
    """Of each problem the solution with the highest score, for each scorer and aggregator."""
    blocks = _blocks(pools)
    chosen: list[dict[str, dict[str, tuple[str, float]]]] = [{name: {} for name in scorers} for _ in pools]
    for name, table in scorers.items():
        for ranking in _rankings(blocks, name, table):
            for block, scores in zip(blocks, ranking.scores, strict=True):
                best, n = scores.argmax(axis=1), scores.shape[1]
                for i, (row, place, score) in enumerate(zip(block.rows, best, scores.max(axis=1), strict=True)):
                    if np.isfinite(score):
                        chosen[row][name][ranking.aggregator] = (block.chain_ids[i * n + place], float(score))
    for pool, own in zip(pools, chosen, strict=True):
        shown = tuple(chain_id for variants in own.values() for chain_id, _ in variants.values())
        yield Kept(pool.id, pool.problem_id, pool.split, {}, own, shown)


def _again(rows: Sequence[EvalRow], result: Result, settings: EvalSettings, convention: Convention) -> Again:
    """The shares of right choices: what was chosen is kept, and not the scores of all solutions."""
    drawn = resample([row.problem_id for row in rows], [""] * len(rows), settings.draws, settings.seed)
    first = rows[0].outcomes
    ks = [int(name.removeprefix(_BEST)) for name in first]
    numbers = [
        number
        for scorer, variants in first[_name(ks[0])].items()
        for variant in variants
        for number in _right(Selector(scorer, variant, _stored(rows, scorer, variant)), ks, drawn)
    ]
    curves: list[Curve] = []
    for scorer, variant in dict.fromkeys((n.scorer, n.variant) for n in numbers):
        kept = [row.scores.get(scorer) or {} for row in rows]
        if any(variant in own for own in kept):
            right = _stored(rows, scorer, variant)[:, -1]
            highest = np.array([own.get(variant, _NONE)[1] for own in kept])
            accepted = Accepted.of(highest, right, drawn)
            more, drawn_curves = abstaining(scorer, "", variant, variant, accepted, len(rows))
            numbers += more
            curves += drawn_curves
    return numbers, [row.key for row in rows], curves


_NONE = ("", -np.inf)
"""The best solution of a problem without any that has an answer, and its score."""


def _stored(rows: Sequence[EvalRow], scorer: str, variant: str) -> Floats:
    """(problems, ks)."""
    return np.array([[by[scorer][variant] for by in row.outcomes.values()] for row in rows], dtype=float)


BEST_OF_N = ProtocolEntry(
    title="best of n",
    item=Pool,
    measure=_measure,
    marks=_marks,
    keep=_keep,
    again=_again,
    heeds=frozenset({"n"}),
    tries_aggregators=True,
)
