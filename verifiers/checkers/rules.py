"""Our own rules as a checker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..checking import DEFAULT_TIMEOUT, check, check_many
from ..policy import DEFAULT, PRESETS, Policy
from ..verdict import Verdict
from .protocol import Question, StreamChecker


@dataclass(frozen=True, slots=True)
class Rules(StreamChecker):
    """`check` and `check_many` under a policy; they do not look at the problem."""

    policy: Policy = DEFAULT
    timeout: float = DEFAULT_TIMEOUT
    """See `check`."""

    def __call__(self, prediction: str, gold: str, problem: Any = None) -> Verdict:
        """See `check`."""
        return check(prediction, gold, policy=self.policy, timeout=self.timeout)

    def check_each(self, questions: Iterable[Question]) -> Iterator[Verdict]:
        """See `check_many`."""
        pairs = ((prediction, gold) for prediction, gold, _ in questions)
        return check_many(pairs, policy=self.policy, timeout=self.timeout)

    def __str__(self) -> str:
        """The name of its policy, or the policy itself if it has none."""
        return next((name for name, policy in PRESETS.items() if policy == self.policy), repr(self.policy))


RULES = Rules()
"""The checker of every job that is not told of another."""
