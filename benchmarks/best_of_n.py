"""Best of N: how often is the chosen solution right, for every way of choosing and every k?

For k below N the N chains of a problem are cut into blocks of k, as many as fit, and the blocks are averaged: every
chain is used once, nothing is drawn at random, and selectors that vote are treated as those that pick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.bootstrap import bootstrap_mean
from prm.aggregation import aggregate
from prm.errors import InputError
from prm.metrics import grouped_auroc
from prm.records import Chain, Problem, StepScores
from prm.reranking import Selection, common_kind, group_answers, select
from verifiers import check

PRM_AGGREGATORS = ("min", "product", "last")


@dataclass(frozen=True, slots=True)
class Pool:
    """The chains of one problem, checked and grouped by answer."""

    problem_id: str
    chain_ids: tuple[str, ...]
    is_right: tuple[bool, ...]
    groups: tuple[int | None, ...]
    """`prm.reranking.group_answers`."""
    undecided: int
    """Chains whose check was neither right nor wrong; they count as not right."""


Selector = Callable[[Pool, range], float]
"""Share of right choices in one block of a pool."""


def make_pools(problems: Mapping[str, Problem], chains: Sequence[Chain], n: int) -> list[Pool]:
    """Gather the first `n` chains of each problem.

    Raises:
        InputError: a problem is missing, has no gold answer, or has fewer than `n` chains.
    """
    by_problem: dict[str, list[Chain]] = {}
    for chain in chains:
        by_problem.setdefault(chain.problem_id, []).append(chain)
    for problem_id, own in by_problem.items():
        if problem_id not in problems or problems[problem_id].answer is None:
            raise InputError(f"problem {problem_id!r} is missing or has no answer", "do the files belong together?")
        if len(own) < n:
            raise InputError(f"problem {problem_id!r} has {len(own)} chains, fewer than N = {n}", "lower --n")
    return [_pool(problems[p], own[:n]) for p, own in by_problem.items()]


def _pool(problem: Problem, chains: Sequence[Chain]) -> Pool:
    texts = [c.text for c in chains]
    verdicts = [check(text, problem.answer or "") for text in texts]
    return Pool(
        problem_id=problem.id,
        chain_ids=tuple(c.id for c in chains),
        is_right=tuple(v.is_correct for v in verdicts),
        groups=tuple(group_answers(texts)),
        undecided=sum(not v.is_decided for v in verdicts),
    )


def evaluate(
    pools: Sequence[Pool], scorers: Mapping[str, Mapping[str, StepScores]], *, draws: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Compare all ways of choosing.

    Args:
        pools: from `make_pools`, all of the same size N.
        scorers: name to the scores of every chain, by chain id. A PRM is tried with each of `PRM_AGGREGATORS`.
        draws: bootstrap draws over problems.
        seed: seed of the bootstrap.

    Returns:
        A result with its protocol: `rows` hold selector, k, value and the 95% interval; `chain_auroc` says for each
        scorer how often a right chain scores above a wrong one of the same problem.

    Raises:
        InputError: a chain has no score.
    """
    if not pools:
        raise InputError("there is no problem with chains", "check --chains")
    size = len(pools[0].chain_ids)
    ks = [2**i for i in range(size.bit_length()) if 2**i < size] + [size]
    values = {name: _chain_scores(pools, scores) for name, scores in scorers.items()}
    selectors = _selectors(values)
    rows = [
        {"selector": name, "k": k, **asdict(bootstrap_mean([_blocks(p, k, chosen) for p in pools], draws, seed))}
        for name, chosen in selectors.items()
        for k in ks
    ]
    return {
        "schema": "best-of-n/1",
        "protocol": {
            "n": size,
            "problems": len(pools),
            "k": "mean over disjoint blocks of k chains",
            "interval": f"95% percentile bootstrap over problems, {draws} draws, seed {seed}",
            "ties": "the first chain",
            "without_answer": "ranked last",
            "undecided": sum(p.undecided for p in pools),
        },
        "chain_auroc": {name: _chain_auroc(pools, value) for name, value in values.items()},
        "rows": rows,
    }


Values = dict[str, list[float]]


def _chain_scores(pools: Sequence[Pool], scores: Mapping[str, StepScores]) -> dict[str, Values]:
    """Aggregator → problem → one score a chain. An ORM's single score has one aggregator, called ""."""
    missing = next((c for p in pools for c in p.chain_ids if c not in scores), None)
    if missing is not None:
        raise InputError(f"chain {missing!r} has no score", "score the same chains first")
    kind = common_kind(scores[c] for p in pools for c in p.chain_ids)
    names = {"": "last"} if kind == "orm" else {a: a for a in PRM_AGGREGATORS}
    return {
        label: {p.problem_id: [aggregate(scores[c].scores, a) for c in p.chain_ids] for p in pools}
        for label, a in names.items()
    }


def _selectors(scorers: Mapping[str, Mapping[str, Values]]) -> dict[str, Selector]:
    selectors: dict[str, Selector] = {
        "pass@1": lambda pool, block: sum(pool.is_right[i] for i in block) / len(block),
        "majority": _choosing({}, "majority"),
    }
    for name, by_aggregator in scorers.items():
        for aggregator, values in by_aggregator.items():
            label = f"{name} {aggregator}".strip()
            selectors[label] = _choosing(values, "best-of-n")
            selectors[f"{label} vote"] = _choosing(values, "weighted")
    return selectors | {"oracle": lambda pool, block: float(any(pool.is_right[i] for i in block))}


def _choosing(values: Values, selection: Selection) -> Selector:
    def choose(pool: Pool, block: range) -> float:
        scores = [values[pool.problem_id][i] for i in block] if values else [0.0] * len(block)
        return float(pool.is_right[block[select(scores, [pool.groups[i] for i in block], selection)]])

    return choose


def _blocks(pool: Pool, k: int, selector: Selector) -> float:
    starts = range(0, len(pool.chain_ids) - k + 1, k)
    return sum(selector(pool, range(s, s + k)) for s in starts) / len(starts)


def _chain_auroc(pools: Sequence[Pool], by_aggregator: Mapping[str, Values]) -> dict[str, float | None]:
    return {
        aggregator or "reward": grouped_auroc(
            (p.problem_id, score, is_right)
            for p in pools
            for score, is_right in zip(values[p.problem_id], p.is_right, strict=True)
        )
        for aggregator, values in by_aggregator.items()
    }
