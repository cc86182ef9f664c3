"""Which branches of a problem go on. A method is a generator over the tree of one problem.

It yields what it asks for, as [`Ask`, …], and is resumed with the continuations of each, scored unless the method
needs no scores: at most as many as asked for, and fewer or none once the budget is spent. It returns the branches to
choose among; without any, the choice is among all leaves. `METHODS` has them by name, with source and cost.

    best-of-n            n whole chains (Let's Verify Step by Step, arXiv 2305.20050, section 2)
    majority             n whole chains, without scores (self-consistency, arXiv 2203.11171, section 2)
    weighted             n whole chains, a vote weighted by their scores (arXiv 2408.03314, section 5.1)
    refine               whole chains until the vote is settled, at most n (adaptive consistency, arXiv 2305.11860,
                         section 3)
    beam                 n branches a step; the n/width best go on, each with its share of the next n
                         (arXiv 2408.03314, section 5.2)
    dvts                 n/width separate trees; in each, the best of `width` continuations goes on
                         (search-and-learn, "Scaling test-time compute with open models")
    best-first           the best branch anywhere in the tree is continued `width` times (arXiv 2407.01476, section 3)
    rebase               n branches a step, shared out by the softmax of the values (arXiv 2408.00724, section 3.2)
    particles            n branches, resampled after each step in proportion to their odds (particle filtering,
                         arXiv 2502.01618, section 3)
    entropic-particles   the same, tempered in the first half of a chain while few branches hold most of the weight
                         (entropic annealing, arXiv 2510.05825; its_hub, `EntropicParticleFiltering`)
    prune                n chains, each given up at its first step below the threshold

Where two branches are worth the same, the earlier one comes first.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, islice, zip_longest
from random import Random

from prm.errors import entry
from prm.scoring.reranking import AnswerGroups, settled

from .plan import Plan
from .tree import Ask, Branch

Search = Generator[list[Ask], list[list[Branch]], list[Branch]]

BATCH = 4
"""`refine`: chains drawn before the vote is counted again."""
EARLY, FEW = 0.5, 0.5
"""`entropic-particles`: share of a chain's tokens after which weights are no longer tempered, and share of the branches
that the effective number of them must be under, as in its_hub."""
SURE = 1e-7
"""Odds are those of a probability this far from 0 and 1, as in its_hub."""


def whole_chains(root: Branch, plan: Plan, chance: Random) -> Search:
    """`n` chains at once."""
    (chains,) = yield [Ask(root, plan.n, is_whole=True)]
    return chains


def refine(root: Branch, plan: Plan, chance: Random) -> Search:
    """`BATCH` chains at a time, until the vote on their answers is settled; see `prm.scoring.reranking.settled`."""
    chains: list[Branch] = []
    answers, groups = AnswerGroups(plan.checker), list[int | None]()
    while len(chains) < plan.n:
        (more,) = yield [Ask(root, min(BATCH, plan.n - len(chains)), is_whole=True)]
        chains += more
        groups += [answers.number(chain.text) for chain in more]
        if not more or settled([*groups, None], plan.settled) <= len(groups):  # before the one still to come
            break
    return chains


def beam(root: Branch, plan: Plan, chance: Random) -> Search:
    """Keep the best n/width branches that have not ended, and continue these `n` times in all, until `n` have ended.

    As in search-and-learn, what has ended stands aside and the others fill the beam again. With a width of 1 each
    branch goes on by itself: best-of-n.
    """
    ended: list[Branch] = []
    kept, keep = [root], max(plan.n // plan.width, 1)
    while kept and len(ended) < plan.n:
        shares = _shared(plan.n if plan.width > 1 or kept == [root] else len(kept), len(kept))
        grown = yield [Ask(branch, n) for branch, n in zip(kept, shares, strict=True) if n]
        found = [branch for row in zip_longest(*grown) for branch in row if branch is not None]
        ended += [branch for branch in found if not branch.is_open]
        kept = _best([branch for branch in found if branch.is_open], keep, plan)
    return ended[: plan.n]


def dvts(root: Branch, plan: Plan, chance: Random) -> Search:
    """In each of n/width trees, the best of `width` continuations goes on, until it has ended.

    The choice is among all continuations of the last step in each tree, as in search-and-learn. Differs: it refuses an
    `n` that is no multiple of `width`; here the trees share the `n` evenly.
    """
    trees = max(plan.n // plan.width, 1)
    widths = _shared(plan.n, trees)
    last: list[list[Branch]] = [[] for _ in range(trees)]
    (first,) = yield [Ask(root, plan.n)]
    rest = iter(first)
    grown = {i: list(islice(rest, width)) for i, width in enumerate(widths)}
    while grown:
        best: dict[int, Branch] = {}
        for i, branches in grown.items():
            last[i] = branches or last[i]
            if branches and (leader := _best(branches, 1, plan)[0]).is_open:
                best[i] = leader
        found = (yield [Ask(branch, widths[i]) for i, branch in best.items()]) if best else []
        grown = dict(zip(best, found, strict=True))
    return [branch for branches in last for branch in branches]


def best_first(root: Branch, plan: Plan, chance: Random) -> Search:
    """Continue the best open branch `width` times, until `n` have ended; only the `n` best open branches are kept.

    Differs: the paper keeps all of them, and stops after a number of continuations.
    """
    ended: list[Branch] = []
    waiting = [root]
    while waiting and len(ended) < plan.n:
        (leader,) = _best(waiting, 1, plan)
        (found,) = yield [Ask(leader, plan.width if leader is not root else plan.n)]
        ended += [branch for branch in found if not branch.is_open]
        waiting = [branch for branch in waiting if branch is not leader]
        waiting = _best([*waiting, *(branch for branch in found if branch.is_open)], plan.n, plan)
    return ended


def rebase(root: Branch, plan: Plan, chance: Random) -> Search:
    """Continue all open branches, each as often as its share of the softmax of their values says, `n` times in all.

    A branch that has ended takes its place in the `n` with it. Differs: shares are rounded so that they add up.
    """
    ended: list[Branch] = []
    (kept,) = yield [Ask(root, plan.n)]
    while True:
        ended += [branch for branch in kept if not branch.is_open]
        kept = [branch for branch in kept if branch.is_open]
        if not kept or len(ended) >= plan.n:
            return ended
        weights = softmax([plan.value(branch) for branch in kept], plan.temperature)
        shares = apportioned(plan.n - len(ended), weights)
        grown = yield [Ask(branch, n) for branch, n in zip(kept, shares, strict=True) if n]
        kept = [branch for branches in grown for branch in branches]


def particles(root: Branch, plan: Plan, chance: Random) -> Search:
    """Draw `n` branches anew after each step, with replacement and in proportion to their odds, until all have ended.

    A branch that has ended stays with its weight, and may be drawn several times: it then counts as often in the vote.
    """
    return (yield from _filtered(root, plan, lambda logits, kept: 1.0, partial(multinomial, chance)))


def entropic_particles(root: Branch, plan: Plan, chance: Random) -> Search:
    """`particles`, with weights to the power 1/T: T = (1 - progress) · n/ESS, at least 1, for as long as `EARLY` says.

    ESS is the effective number of branches, and progress that of the longest one in its `max_tokens`; draws are
    `systematic`, as in its_hub. Differs: its_hub measures progress in steps, of which it has a largest number; the
    paper can look a step ahead besides.
    """

    def heat(logits: Sequence[float], kept: Sequence[Branch]) -> float:
        effective = 1 / sum(share**2 for share in softmax(logits)) / len(logits)
        progress = max(branch.length for branch in kept) / plan.max_tokens
        return max(1.0, (1 - progress) / effective) if effective < FEW and progress < EARLY else 1.0

    return (yield from _filtered(root, plan, heat, partial(systematic, chance)))


def _filtered(
    root: Branch,
    plan: Plan,
    heat: Callable[[Sequence[float], Sequence[Branch]], float],
    draw: Callable[[Sequence[float], int], Counter[int]],
) -> Search:
    (kept,) = yield [Ask(root, plan.n)]
    while any(branch.is_open for branch in kept):
        logits = [_logit(plan.probability(branch)) for branch in kept]
        tempered = heat(logits, kept)
        weights = softmax([logit / tempered for logit in logits])
        drawn = draw(weights, plan.n)
        places = sorted(drawn)
        going = [i for i in places if kept[i].is_open]
        grown = iter((yield [Ask(kept[i], drawn[i]) for i in going]) if going else [])
        kept = [b for i in places for b in (next(grown) if kept[i].is_open else [kept[i]] * drawn[i])]
    return kept


def multinomial(chance: Random, weights: Sequence[float], n: int) -> Counter[int]:
    """How often each comes in `n` draws, each by itself; the weights add up to 1."""
    return Counter(chance.choices(range(len(weights)), weights, k=n))


def systematic(chance: Random, weights: Sequence[float], n: int) -> Counter[int]:
    """How often each comes in `n` draws at even distances from one random start: n · weight times, rounded either way.

    >>> systematic(Random(0), [0.5, 0.25, 0.25], 4)
    Counter({0: 2, 1: 1, 2: 1})
    """
    sums, start = list(accumulate(weights)), chance.random()
    return Counter(min(bisect_right(sums, (start + i) / n), len(sums) - 1) for i in range(n))


def prune(root: Branch, plan: Plan, chance: Random) -> Search:
    """Let `n` chains go on, each as long as no step scores below the threshold; if none is left, the best go on alone.

    See `prm.search.pruning` for the threshold that loses a wanted share of right chains.
    """
    threshold = -math.inf if plan.threshold is None else plan.threshold
    ended: list[Branch] = []
    (kept,) = yield [Ask(root, plan.n)]
    given_up: list[Branch] = []
    while kept:
        ended += [branch for branch in kept if not branch.is_open and not branch.refusal]
        kept = [branch for branch in kept if branch.is_open]
        given_up += [branch for branch in kept if min(branch.scores) < threshold]
        kept = [branch for branch in kept if min(branch.scores) >= threshold]
        if kept:
            kept = [branch for branches in (yield [Ask(branch, 1) for branch in kept]) for branch in branches]
    if not ended and given_up:
        (ended,) = yield [Ask(_best(given_up, 1, plan)[0], 1, is_whole=True)]
    return ended


def _best(branches: Sequence[Branch], n: int, plan: Plan) -> list[Branch]:
    """The `n` branches of the highest value, in the order given."""
    ranked = sorted(range(len(branches)), key=lambda i: -plan.value(branches[i]))
    return [branches[i] for i in sorted(ranked[:n])]


def _shared(n: int, parts: int) -> list[int]:
    """`n` shared out evenly, the first ones getting what remains."""
    return [n // parts + (i < n % parts) for i in range(parts)]


def softmax(values: Sequence[float], temperature: float = 1.0) -> list[float]:
    """Shares in proportion to the exponentials of value / temperature; even ones if all values are -inf."""
    highest = max(values)
    if highest == -math.inf:
        return [1 / len(values)] * len(values)
    weights = [math.exp((value - highest) / temperature) for value in values]
    total = sum(weights)
    return [weight / total for weight in weights]


def apportioned(n: int, weights: Sequence[float]) -> list[int]:
    """`n` seats in proportion to the weights, by the method of the largest remainders.

    >>> apportioned(5, [0.5, 0.3, 0.2])
    [3, 1, 1]
    """
    total = sum(weights)
    exact = [n * weight / total for weight in weights]
    seats = [math.floor(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: seats[i] - exact[i])
    for i in by_remainder[: n - sum(seats)]:
        seats[i] += 1
    return seats


def _logit(probability: float) -> float:
    clipped = min(max(probability, SURE), 1 - SURE)
    return math.log(clipped / (1 - clipped))


@dataclass(frozen=True, slots=True)
class Method:
    """One way to search."""

    search: Callable[[Branch, Plan, Random], Search]
    """From the root, the continuations it wants; see above."""
    selection: str
    """How the answer is chosen, unless told otherwise: a name in `prm.SELECTIONS`."""
    cost: str
    """What it generates and scores, where a chain has s steps."""
    source: str
    """Paper or program, with section."""
    is_stepwise: bool = True
    """Whether it looks at chains that have not ended: only a PRM can score these."""
    is_scored: bool = True
    """Whether it needs scores."""


METHODS: dict[str, Method] = {
    "best-of-n": Method(
        whole_chains, "best-of-n", "n chains; each scored once", "arXiv 2305.20050, section 2", is_stepwise=False
    ),
    "majority": Method(
        whole_chains,
        "majority",
        "n chains; no scores",
        "arXiv 2203.11171, section 2",
        is_stepwise=False,
        is_scored=False,
    ),
    "weighted": Method(
        whole_chains, "weighted", "n chains; each scored once", "arXiv 2408.03314, section 5.1", is_stepwise=False
    ),
    "refine": Method(
        refine,
        "majority",
        "at most n chains; no scores",
        "arXiv 2305.11860, section 3",
        is_stepwise=False,
        is_scored=False,
    ),
    "beam": Method(beam, "weighted", "n branches a step, all scored", "arXiv 2408.03314, section 5.2"),
    "dvts": Method(dvts, "weighted", "n branches a step, all scored", "search-and-learn"),
    "best-first": Method(
        best_first, "weighted", "`width` branches at a time, all scored, until n end", "arXiv 2407.01476, section 3"
    ),
    "rebase": Method(rebase, "weighted", "n branches a step, less those that ended", "arXiv 2408.00724, section 3.2"),
    "particles": Method(
        particles, "weighted", "n branches a step, less those that ended", "arXiv 2502.01618, section 3"
    ),
    "entropic-particles": Method(
        entropic_particles, "weighted", "n branches a step, less those that ended", "arXiv 2510.05825"
    ),
    "prune": Method(prune, "weighted", "n chains, each up to its first step below the threshold", "docs/search.md"),
}
"""Name to method."""


def method_named(name: str) -> Method:
    """The method of this name; raises InputError if it is unknown."""
    return entry("method", name, METHODS)
