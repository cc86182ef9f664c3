"""Scores inside reinforcement learning: step scores become step rewards, token rewards, advantages and filters.

    >>> from prm.rl import step_rewards
    >>> step_rewards([0.5, 0.75, 0.25], "delta").tolist()
    [0.5, 0.25, -0.5]

`credit` and `filtering` are functions of numbers alone; `alignment` finds steps in the tokens that a policy drew;
`rewards` asks a scorer. Nothing here trains.
"""

from .alignment import AlignedSteps, aligned_steps, token_advantages, token_rewards, turn_ends
from .credit import FORMS, Form, outcome_advantages, step_advantages, step_rewards
from .filtering import most_consistent
from .rewards import REFUSED, ScorePart, StepCredit, StepReward

__all__ = [
    "FORMS",
    "REFUSED",
    "AlignedSteps",
    "Form",
    "ScorePart",
    "StepCredit",
    "StepReward",
    "aligned_steps",
    "most_consistent",
    "outcome_advantages",
    "step_advantages",
    "step_rewards",
    "token_advantages",
    "token_rewards",
    "turn_ends",
]
