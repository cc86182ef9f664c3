"""From the step scores of a chain to a reward per step, and from the rewards of a group of chains to advantages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from prm.errors import InputError, require_known, require_number
from prm.statistics.arrays import Floats

Form = Literal["sum", "min", "delta", "last"]
FORMS: tuple[Form, ...] = get_args(Form)
"""What the rewards of a chain add up to: the sum of its scores; about the lowest; the last less `start`; the last."""
_NONE = 1e-12
"""Rewards that differ by less are alike: rounding alone would make advantages of them."""


def step_rewards(
    scores: Sequence[float], form: Form = "sum", *, temperature: float = 0.1, start: float = 0.0
) -> Floats:
    """The reward of each step, given when the step ends and not discounted.

    | form | reward of step i of n | adds up to |
    | --- | --- | --- |
    | `sum` | s_i | s_1 + … + s_n |
    | `min` | w_i·s_i with w = softmax(-s / temperature) | a mean of the scores that weighs low ones most |
    | `delta` | s_i - s_(i-1), with s_0 = `start` | s_n - `start` |
    | `last` | s_n at the last step, else 0 | s_n |

    `min` is the credit assignment of PURE (arXiv 2504.15275): its sum lies between the lowest score and the mean, and
    approaches the lowest as the temperature falls. It wants scores that may be negative (PURE's are p1 - p0, from -1 to
    1): of probabilities, a step of score 0 gets and costs nothing, and a chain is worth little because its other steps
    weigh little. By `min` alone, a step changes the rewards of the steps before it: what is still to come, of which
    PURE and `step_advantages` make advantages, is then not all that a step does.

    `delta` is the difference of a potential (Ng, Harada and Russell 1999, undiscounted); as the last potential is not
    0, it rewards a chain by its last score, and changes what is optimal.

    Args:
        scores: ``(steps,)`` finite scores of a chain, higher is better.
        form: one of `FORMS`.
        temperature: of `min`, above 0; the default is PURE's.
        start: of `delta`: the score before the first step.

    Returns:
        ``(steps,)``; nothing for a chain without steps.

    Raises:
        InputError: the form is unknown, or a number is not finite or out of range.

    >>> step_rewards([0.9, 0.1, 0.8], "min").round(4).tolist()
    [0.0003, 0.0999, 0.0007]
    """
    require_known("form", form, FORMS)
    require_number("temperature", temperature, "(0, inf)")
    require_number("start", start, "(-inf, inf)")
    found: Floats = np.asarray(scores, dtype=float)
    if found.ndim != 1 or not np.isfinite(found).all():
        raise InputError("the scores of a chain are not one row of finite numbers", "drop the chain")
    if not len(found):
        return found
    match form:
        case "min":
            with np.errstate(over="ignore"):  # a weight of exp(-inf) is 0
                weights = np.exp((found.min() - found) / temperature)
            rewards: Floats = found * weights / weights.sum()
            return rewards
        case "delta":
            return np.diff(found, prepend=start)
        case "last":
            return np.append(np.zeros(len(found) - 1), found[-1])
        case _:
            return found.copy()


def outcome_advantages(rewards: Sequence[float] | Floats) -> Floats:
    """The advantage of each chain of a group, for all of its tokens: GRPO, arXiv 2402.03300, section 4.1.2.

    Args:
        rewards: ``(chains,)`` rewards of the chains of one problem.

    Returns:
        ``(chains,)`` rewards less their mean, divided by their standard deviation; 0 where all rewards are alike.

    Raises:
        InputError: a reward is not a finite number.

    >>> outcome_advantages([1, 0, 0, 1]).tolist()
    [1.0, -1.0, -1.0, 1.0]
    """
    given = _finite(rewards)
    return _scaled(given - given.mean()) if len(given) else given


def step_advantages(rewards: Sequence[Sequence[float] | Floats]) -> list[Floats]:
    """The advantage of each step of each chain of a group, for all tokens of the step.

    It is the sum of the rewards from this step on, less the mean of that sum over the group (a chain that has ended
    counts as 0), divided by the root mean square of these differences. For chains of one step this is
    `outcome_advantages`.

    Differs from: GRPO with process supervision, arXiv 2402.03300, section 4.1.3, which subtracts the mean reward of a
    step from every reward before it adds them up. Each step then costs the mean, so that the policy learns to write
    fewer steps, or more, which no reward asked for (arXiv 2504.15275 calls it 1-step hacking). A baseline of what is
    still to come leaves what is maximized as it is.

    Args:
        rewards: of each chain, ``(steps,)``.

    Returns:
        Of each chain, ``(steps,)``; 0 where all are alike.

    Raises:
        InputError: a reward is not a finite number.

    >>> [steps.tolist() for steps in step_advantages([[1, 0], [1, 1]])]
    [[-1.0, -1.0], [1.0, 1.0]]
    """
    width = max(map(len, rewards), default=0)
    table = np.zeros((len(rewards), width))
    is_step = np.zeros(table.shape, dtype=bool)
    for row, steps in enumerate(rewards):
        table[row, : len(steps)] = _finite(steps)
        is_step[row, : len(steps)] = True
    to_come = table[:, ::-1].cumsum(axis=1)[:, ::-1]
    gains = np.zeros(table.shape)
    if width:
        gains[is_step] = _scaled((to_come - to_come.mean(axis=0))[is_step])
    return [gains[row, : len(steps)] for row, steps in enumerate(rewards)]


def _finite(rewards: Sequence[float] | Floats) -> Floats:
    """Rewards of a group; one that is missing would make all advantages nothing."""
    given: Floats = np.asarray(rewards, dtype=float)
    if not np.isfinite(given).all():
        raise InputError("a reward is not a finite number", "drop the chain, or give it a reward")
    return given


def _scaled(differences: Floats) -> Floats:
    size = float(np.sqrt(np.mean(differences**2)))
    return differences / size if size > _NONE else np.zeros_like(differences)
