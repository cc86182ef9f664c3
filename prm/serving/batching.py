"""Which of the waiting chains go into the next pass: the oldest, and those closest to it in length.

The oldest always goes, so that none waits for ever; neighbors in length go with it, so that a pass has little padding.
A chain that comes while a pass runs is in the next one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Waiting:
    """A chain that waits for its pass."""

    id: int
    scorer: str
    row: Any
    """What the scorer reads of it."""
    tokens: int
    """Its length, from 1."""
    since: float = field(default_factory=time.monotonic)


def next_pass(waiting: Iterable[Waiting], budget: int) -> list[Waiting]:
    """The chains of the next pass.

    Args:
        waiting: chains of one scorer, the oldest first; at least one.
        budget: padded tokens that a pass holds; a longer chain goes alone.

    >>> lengths = [10, 100, 12, 9]
    >>> [w.id for w in next_pass((Waiting(i, "prm", None, n) for i, n in enumerate(lengths)), 36)]
    [0, 3, 2]
    """
    chains = list(waiting)
    batch, longest = list[Waiting](), 0
    for chain in sorted(chains, key=lambda chain: abs(chain.tokens - chains[0].tokens)):
        longest = max(longest, chain.tokens)
        if batch and longest * (len(batch) + 1) > budget:
            break
        batch.append(chain)
    return batch


class Pool:
    """Chains that wait, filled by one thread and emptied by another.

    Args:
        budgets: tokens of a pass, by scorer.
        patience: seconds for which the oldest chain waits, at most, for a fuller pass.
    """

    def __init__(self, budgets: Mapping[str, int], patience: float) -> None:
        self._budgets, self._patience = budgets, patience
        self._waiting = dict[int, Waiting]()
        self._changed = threading.Condition()
        self._is_closed = False

    def add(self, chains: Iterable[Waiting]) -> None:
        """Let chains wait."""
        with self._changed:
            self._waiting |= {chain.id: chain for chain in chains}
            self._changed.notify()

    def remove(self, ids: Iterable[int]) -> None:
        """Forget chains, those that are not there too."""
        with self._changed:
            for number in ids:
                self._waiting.pop(number, None)

    def close(self) -> None:
        """Let `take` end; what waits is forgotten."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def take(self) -> list[Waiting] | None:
        """The next pass, once there is one; None once the pool is closed."""
        with self._changed:
            while not self._is_closed:
                chains = self._of_the_oldest()
                left = self._seconds_left(chains)
                if left <= 0:
                    batch = next_pass(chains, self._budgets[chains[0].scorer])
                    for chain in batch:
                        del self._waiting[chain.id]
                    return batch
                self._changed.wait(left if chains else None)
        return None

    def _of_the_oldest(self) -> list[Waiting]:
        """The chains that wait for the same scorer as the oldest one."""
        oldest = next(iter(self._waiting.values()), None)
        return [] if oldest is None else [c for c in self._waiting.values() if c.scorer == oldest.scorer]

    def _seconds_left(self, chains: list[Waiting]) -> float:
        """For how long the oldest may still wait for others; 0 if there are enough of them."""
        if chains and sum(chain.tokens for chain in chains) >= self._budgets[chains[0].scorer]:
            return 0.0
        return self._patience - (time.monotonic() - chains[0].since) if chains else self._patience + 1
