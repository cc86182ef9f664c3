"""The end of a search: the leaves of the tree as chains with scores, and the chosen one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from prm.data.records import Chain, Choice, Problem, StepScores
from prm.scoring.reranking import choose
from prm.scoring.scorer import Refusal, ScoreKind, Scores

from .budget import Spending
from .plan import Plan
from .tree import Branch, as_chains, leaves

UNSCORED = "not scored"
"""Why a chain has no score where the scorer did not refuse it."""


@dataclass(frozen=True, slots=True)
class Solved:
    """A problem whose search is over."""

    problem_id: str
    chains: tuple[Chain, ...]
    """All leaves of its tree."""
    scores: tuple[StepScores, ...]
    """Of those that have any."""
    choice: Choice | None
    """None if nothing was drawn. `Choice.index` counts all chains."""


def solved(
    problem: Problem,
    tree: Sequence[Branch],
    candidates: Sequence[Branch],
    plan: Plan,
    spending: Spending,
    *,
    is_scored: bool,
) -> Solved:
    """Choose among the candidates, or all leaves if there are none, by their scores if the method asks for any."""
    ends = leaves(tree)
    kind: ScoreKind = "orm" if plan.is_orm and is_scored else "prm"
    chains = as_chains(problem.id, ends)
    scores = tuple(StepScores(leaf.id, problem.id, leaf.scores, kind) for leaf in ends if leaf.scores)
    choice = _chosen(problem, ends, candidates or ends, kind, plan, is_scored=is_scored) if ends else None
    if choice is not None:
        choice = replace(choice, generated=spending.generated, scored=spending.scored)
    return Solved(problem.id, tuple(chains), scores, choice)


def _chosen(
    problem: Problem,
    ends: Sequence[Branch],
    candidates: Sequence[Branch],
    kind: ScoreKind,
    plan: Plan,
    *,
    is_scored: bool,
) -> Choice:
    results = [_result(branch, is_scored=is_scored) for branch in candidates]
    winner = choose(
        problem, ["".join(branch.steps) for branch in candidates], results,
        kind=kind, aggregate=plan.aggregate, selection=plan.selection, checker=plan.checker,
    )  # fmt: skip
    places = {leaf.id: i for i, leaf in enumerate(ends)}
    scored = {branch.id: score for branch, score in zip(candidates, winner.scores, strict=True)}
    return replace(
        winner,
        index=places[candidates[winner.index].id],
        scores=tuple(scored.get(leaf.id) for leaf in ends),
        step_scores=tuple(leaf.scores for leaf in ends),
        refusals=tuple(leaf.refusal or None for leaf in ends),
    )


def _result(branch: Branch, *, is_scored: bool) -> Scores | Refusal:
    if branch.refusal or not branch.steps:
        return Refusal(branch.refusal or UNSCORED)
    return branch.scores if is_scored else (0.0,) * len(branch.steps)
