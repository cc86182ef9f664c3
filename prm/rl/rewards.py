"""Scorers as rewards of completions: every completion gets a number, whatever it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from prm.data.steps import split_steps
from prm.errors import InputError, require_number
from prm.scoring.scorer import EMPTY, Refusal, Scorer, Scores, checked_scores
from prm.statistics.aggregation import aggregate, aggregator_named
from prm.statistics.arrays import Floats

from .alignment import AlignedSteps, aligned_steps
from .credit import Form, step_rewards

REFUSED = 0.0
"""The reward of a completion that a scorer refuses, such as an empty one or one longer than its context: the lowest
probability. Give another value for scores that may be negative, or being refused becomes a way out."""
_ONE_AT_A_TIME = Lock()
"""Tools call a reward from many threads, and a scorer is used by one."""


@dataclass(frozen=True, slots=True)
class ScorePart:
    """A scorer as a part of `prm.verifiers.rewards.RuleReward`: one number per completion, None if it is refused.

    Raises:
        InputError: at construction, if a name is unknown.
    """

    scorer: Scorer
    aggregator: str = ""
    """How step scores become one number: a name in `prm.AGGREGATORS`; "" for the scorer's own, or `min`. A reward of an
    ORM is taken as it is."""
    splitter: str = "newline"
    """See `prm.split_steps`."""

    def __post_init__(self) -> None:
        aggregator_named(self._how)
        split_steps("", self.splitter)

    @property
    def _how(self) -> str:
        return self.aggregator or self.scorer.aggregator or "min"

    def __call__(self, texts: Sequence[str], golds: Sequence[str], problems: Sequence[Any]) -> list[float | None]:
        """The number of each completion; gold answers are not looked at.

        Raises:
            PrmError: as `prm.scoring.scorer.checked_scores`.
        """
        found = score_steps(self.scorer, problems, [split_steps(text, self.splitter) for text in texts])
        return [None if isinstance(scores, Refusal) else self._number(scores) for scores in found]

    def _number(self, scores: Scores) -> float:
        return scores[0] if self.scorer.kind == "orm" else aggregate(scores, self._how)


@dataclass(frozen=True, slots=True)
class StepCredit:
    """A completion's steps and rewards."""

    steps: tuple[str, ...]
    rewards: Floats
    """``(rewards,)`` one per step; or one for all of the completion: an ORM's, or that of a refused one. None for one
    without tokens, for no token could hold it."""
    ends: tuple[int, ...]
    """Index of the token at which each reward is given: the step's last one; see `AlignedSteps.ends`."""
    scores: Scores
    """The scorer's; none if it refused."""
    refusal: Refusal | None = None
    """Why the completion has no scores; None if it has."""


@dataclass(frozen=True, slots=True)
class StepReward:
    """Rewards of a policy's completions, step by step, where the policy's own tokens end the steps.

    Raises:
        InputError: at construction, if a setting is unknown or out of range.
    """

    scorer: Scorer
    """A PRM; or an ORM, whose reward is given at the last token, whatever the form."""
    tokenizer: Any
    """The policy's."""
    form: Form = "sum"
    """See `step_rewards`."""
    temperature: float = 0.1
    """See `step_rewards`."""
    start: float = 0.0
    """See `step_rewards`."""
    refused: float = REFUSED
    """The reward of a completion without scores, given at its last token."""
    splitter: str = "newline"
    """See `prm.split_steps`."""

    def __post_init__(self) -> None:
        require_number("refused", self.refused, "(-inf, inf)")
        step_rewards([], self.form, temperature=self.temperature, start=self.start)
        split_steps("", self.splitter)

    def __call__(
        self, problems: Sequence[Any], completions: Sequence[Sequence[int]], prompts: Sequence[Sequence[int]] = ()
    ) -> list[StepCredit]:
        """The steps and rewards of each completion, in order.

        Args:
            problems: as `Scorer.score_each` takes them.
            completions: token ids of each; one without any is refused.
            prompts: token ids before each; see `aligned_steps`.

        Raises:
            InputError: problems, completions and prompts differ in number.
            PrmError: as `prm.scoring.scorer.checked_scores`.
        """
        before = prompts if len(prompts) else [()] * len(completions)
        if len(before) != len(completions):
            raise InputError(f"{len(before)} prompts for {len(completions)} completions", "give the prompt of each")
        aligned = [
            aligned_steps(self.tokenizer, ids, before=prompt, splitter=self.splitter)
            for ids, prompt in zip(completions, before, strict=True)
        ]
        found = score_steps(self.scorer, problems, [item.steps for item in aligned])
        lasts = [len(ids) - 1 for ids in completions]
        return list(map(self._credit, aligned, found, lasts))

    def _credit(self, aligned: AlignedSteps, found: Scores | Refusal, last: int) -> StepCredit:
        if isinstance(found, Refusal):
            places = (last,) if last >= 0 else ()
            return StepCredit(aligned.steps, np.full(len(places), self.refused), places, (), found)
        if self.scorer.kind == "orm":
            return StepCredit(aligned.steps, np.array(found), (last,), found)
        rewards = step_rewards(found, self.form, temperature=self.temperature, start=self.start)
        return StepCredit(aligned.steps, rewards, aligned.ends, found)


def score_steps(scorer: Scorer, problems: Sequence[Any], chains: Sequence[Sequence[str]]) -> list[Scores | Refusal]:
    """`prm.scoring.scorer.checked_scores` from any thread; a chain without steps is refused before the scorer sees it.

    Raises:
        InputError: problems and chains differ in number.
        PrmError: as `prm.scoring.scorer.checked_scores`.
    """
    if len(problems) != len(chains):
        raise InputError(f"{len(problems)} problems for {len(chains)} completions", "give the problem of each")
    usable = [place for place, steps in enumerate(chains) if steps]
    found: list[Scores | Refusal] = [Refusal(EMPTY)] * len(chains)
    with _ONE_AT_A_TIME:
        scored = checked_scores(scorer, [problems[i] for i in usable], [chains[i] for i in usable])
    for place, item in zip(usable, scored, strict=True):
        found[place] = item
    return found
