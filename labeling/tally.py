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
    right: int = 0
    """Rollouts that reached a gold answer."""
    undecided: Counter[str] = field(default_factory=Counter)
    """Rollouts that were not decided, by reason."""
    labeled: int = 0
    """Chains."""
    right_chains: int = 0
    """Labeled chains whose own answers are right."""
    steps: int = 0
    """Steps of the labeled chains that have a hard label."""
    never: int = 0
    """Prefixes of which no rollout is right, though some are decided."""
    contradicted: int = 0
    """Those among them from whose later steps a rollout is right: their hard labels are true nevertheless."""
    dropped: int = 0
    """Chains."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why chains were dropped."""
    _shared: Counter[str] = field(default_factory=Counter)
    """Rollouts of chains without labels yet that were drawn for another chain, by chain."""
    _spent: int = 0
    """Rollouts of the labeled chains."""
    _spent_by_fixed: int = 0
    """Rollouts that `fixed` would have drawn for them."""

    def add(self, event: Rollout | StepLabels | Drop) -> None:
        """Count one event."""
        if isinstance(event, Rollout) and event.shared:
            self._shared[event.chain_id] += 1
        elif isinstance(event, Rollout):
            self.rollouts += 1
            self.tokens += event.tokens
            self.right += event.outcome == "correct"
            if event.outcome not in ("correct", "incorrect"):
                self.undecided[_why(event)] += 1
        elif isinstance(event, StepLabels):
            self.labeled += 1
            self.right_chains += event.outcome == "correct"
            self.steps += sum(label is not None for label in event.hard)
            self.never += sum(not r and w > 0 for r, w in zip(event.right, event.wrong, strict=True))
            own = zip(event.hard, event.right, event.wrong, strict=True)
            self.contradicted += sum(hard is True and not r and w > 0 for hard, r, w in own)
            self._spent += sum(event.drawn) + sum(event.start) - self._shared.pop(event.chain_id, 0)
            self._spent_by_fixed += self.fixed * (len(event.known) - 1)
        else:
            self.dropped += 1
            self.reasons[event.reason] += 1

    @property
    def chains(self) -> int:
        """Number of chains done."""
        return self.labeled + self.dropped

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing says so far that the model can solve the problems: no right rollout, and no right chain."""
        return self.is_undecided or not (self.right or self.right_chains)

    @property
    def is_undecided(self) -> bool:
        """Whether all rollouts are undecided: then no step gets a label from them, whatever the chains are."""
        return self.undecided.total() == self.rollouts

    @property
    def saved_share(self) -> float:
        """Share of the rollouts of `fixed` that the labeled chains did not need; below 0 if they needed more."""
        return 1 - self._spent / self._spent_by_fixed if self._spent_by_fixed else 0.0

    @property
    def undecided_share(self) -> float:
        """Share of rollouts that are undecided, in [0, 1]."""
        return self.undecided.total() / self.rollouts if self.rollouts else 0.0


def _why(rollout: Rollout) -> str:
    """Why a rollout is undecided."""
    if rollout.outcome == "no_answer":
        return "cut by length before an answer" if rollout.finish == "length" else "no answer"
    return "check ran out of time" if rollout.outcome == "timeout" else "answer that cannot be compared"
