"""The progress of a labeling job, for the person who watches it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from prm.data.records import Drop, Rollout, StepLabels


@dataclass(slots=True)
class Tally:
    """Counts of the events of a job."""

    fixed: int
    """K: the number of rollouts that the strategy `fixed` would draw from each prefix."""
    rollouts: int = 0
    tokens: int = 0
    undecided: int = 0
    labeled: int = 0
    """Chains."""
    steps: int = 0
    """Steps of the labeled chains that have a hard label."""
    dropped: int = 0
    """Chains."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why chains were dropped."""
    _spent: int = 0
    """Rollouts of the labeled chains."""
    _spent_by_fixed: int = 0
    """Rollouts that `fixed` would have drawn for them."""

    def add(self, event: Rollout | StepLabels | Drop) -> None:
        """Count one event."""
        if isinstance(event, Rollout):
            self.rollouts += 1
            self.tokens += event.tokens
            self.undecided += event.outcome not in ("correct", "incorrect")
        elif isinstance(event, StepLabels):
            self.labeled += 1
            self.steps += sum(label is not None for label in event.hard)
            self._spent += sum(event.drawn)
            self._spent_by_fixed += self.fixed * (len(event.known) - 1)
        else:
            self.dropped += 1
            self.reasons[event.reason] += 1

    @property
    def chains(self) -> int:
        """Number of chains done."""
        return self.labeled + self.dropped

    @property
    def saved_share(self) -> float:
        """Share of the rollouts of `fixed` that the labeled chains did not need; below 0 if they needed more."""
        return 1 - self._spent / self._spent_by_fixed if self._spent_by_fixed else 0.0

    @property
    def undecided_share(self) -> float:
        """Share of rollouts that are undecided, in [0, 1]."""
        return self.undecided / self.rollouts if self.rollouts else 0.0
