"""The cost of a labeling job, estimated from its chains alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prm.data.records import Chain, Problem
from prm.errors import RenderError
from prm.models.rendering import Renderer
from prm.verifiers import Checker
from prm.verifiers.checkers import RULES

from .allocation import most_rollouts
from .judging import outcomes, unusable
from .labeler import Plan


@dataclass(slots=True)
class Cost:
    """The work of a labeling job."""

    chains: int = 0
    right: int = 0
    """Chains with a right answer."""
    unusable: int = 0
    """Chains that would be dropped, except those too long for the model, which are not counted here."""
    prefixes: int = 0
    rollouts: int = 0
    """The most that the strategy may spend."""
    tokens: int = 0
    """Of these rollouts, if each is as long as the rest of its chain after a prefix, averaged over the prefixes."""


def estimate(
    chains: Iterable[Chain],
    problems: Mapping[str, Problem],
    renderer: Renderer,
    plan: Plan,
    checker: Checker = RULES,
) -> Cost:
    """Add up the cost of labeling chains; nothing is generated."""
    cost = Cost()
    for chain in chains:
        cost.chains += 1
        problem = problems.get(chain.problem_id)
        if problem is None or unusable(checker, chain, problem):
            cost.unusable += 1
            continue
        (rendered,) = renderer.render_many([problem.text], [chain.steps])
        if isinstance(rendered, RenderError):
            cost.unusable += 1
            continue
        (outcome,) = outcomes(checker, [(chain.text, chain.finish)], problem)
        is_right = outcome == "correct"
        cost.right += is_right
        cost.prefixes += len(chain.steps) - 1
        strategy = "fixed" if plan.is_checked(chain.id) else plan.strategy
        rollouts = most_rollouts(strategy, len(chain.steps), is_right, plan.budget)
        cost.rollouts += rollouts
        cost.tokens += round(rollouts * _mean_rest(rendered.step_ends))
    return cost


def _mean_rest(step_ends: tuple[int, ...]) -> float:
    """Mean number of tokens after a prefix of a chain."""
    rests = [step_ends[-1] - end for end in step_ends[:-1]]
    return sum(rests) / len(rests) if rests else 0.0
