"""Which prefix of a chain the next rollouts go to. A strategy is a generator over one chain's ledger.

It yields the draws it wants as [(step, n), …] and is resumed when their outcomes stand in the ledger; when it returns,
the chain is labelled. The last step never needs a draw: its label is the chain's own answer.

    fixed    hard and soft labels; K(s - 1) draws for a chain of s steps
             (Math-Shepherd, arXiv 2312.08935, section 3)
    bisect   hard labels; no draw where the answer is right, else at most K·log2(s)
             (OmegaPRM, arXiv 2406.06592, section 3)

`bisect` rests on an assumption: where K rollouts from a prefix fail, none from a later prefix would succeed. By the
definition of the hard label it holds for true labels; for estimates it errs where a prefix rarely succeeds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from prm.records import Known, Outcome, StepLabels

Draws = list[tuple[int, int]]
Strategy = Generator[Draws, None, None]


@dataclass(slots=True)
class Ledger:
    """What is known so far of one chain."""

    steps: int
    """Number of steps, at least 1."""
    outcome: Outcome
    """Verdict on the chain's own answer."""
    right: list[int] = field(init=False)
    wrong: list[int] = field(init=False)
    undecided: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.right, self.wrong, self.undecided = ([0] * self.steps for _ in range(3))

    def add(self, step: int, outcome: Outcome) -> None:
        """Count one rollout from the prefix that ends with `step`."""
        counts = {"correct": self.right, "incorrect": self.wrong}.get(outcome, self.undecided)
        counts[step] += 1

    def drawn(self, step: int) -> int:
        """How many rollouts were made from `step`."""
        return self.right[step] + self.wrong[step] + self.undecided[step]

    def labels(self, chain_id: str, problem_id: str) -> StepLabels:
        """The finished record."""
        known: list[Known] = ["drawn" if self.drawn(s) else "implied" for s in range(self.steps)]
        if not self.drawn(self.steps - 1):
            known[-1] = "answer"
        return StepLabels(
            chain_id=chain_id,
            problem_id=problem_id,
            right=tuple(self.right),
            wrong=tuple(self.wrong),
            undecided=tuple(self.undecided),
            known=tuple(known),
            outcome=self.outcome,
        )


def fixed(ledger: Ledger, rollouts: int) -> Strategy:
    """The same number of rollouts from every prefix but the whole chain."""
    if ledger.steps > 1:
        yield [(step, rollouts) for step in range(ledger.steps - 1)]


def bisect(ledger: Ledger, rollouts: int) -> Strategy:
    """Binary search for the last step from which the gold answer is still reached, in a chain that missed it.

    A prefix is tried with up to `rollouts` draws, in bites of 2, 2, 4, 8, … until the first success.
    """
    if ledger.outcome == "correct":
        return
    reached, missed = -1, ledger.steps - 1
    while missed - reached > 1:
        step = (reached + missed) // 2
        while not ledger.right[step] and (drawn := ledger.drawn(step)) < rollouts:
            yield [(step, min(max(2, drawn), rollouts - drawn))]
            if ledger.drawn(step) == drawn:
                return  # the engine gave nothing: what is known stands, the rest stays unknown
        if ledger.right[step]:
            reached = step
        else:
            missed = step


STRATEGIES: dict[str, Callable[[Ledger, int], Strategy]] = {"fixed": fixed, "bisect": bisect}
"""Name to strategy."""
