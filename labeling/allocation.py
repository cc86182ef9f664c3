"""Which prefix of a chain gets the next rollouts. A strategy is a generator over one chain's ledger.

It yields the draws it wants as [(step, n), …] and is resumed once their outcomes are in the ledger; when it returns,
the chain is labeled. The last step never needs a draw: its label is the chain's own answer. For a chain of s steps:

    fixed          hard and soft labels; K(s - 1) draws
                   (Math-Shepherd, arXiv 2312.08935, section 3)
    first-success  hard labels; no draws if the answer is right, else K for each prefix that can no longer succeed, and
                   up to K for the last one that can
    bisect         hard labels; no draws if the answer is right, else at most K·ceil(log2(s)); the search takes a prefix
                   whose K rollouts are all undecided as a failure, but its label stays unknown
                   (OmegaPRM, arXiv 2406.06592, section 3)
    adaptive       soft labels, best read as `StepLabels.pooled`; as many draws from each prefix as its interval needs,
                   at most K (prm.statistics.pooling)

`first-success` and `bisect` rest on the definition of a hard label: a rollout that succeeds from a step is a success
from every step before it. `bisect` also assumes the reverse: if K rollouts from a prefix fail, none from a later prefix
would succeed. That holds for true labels, but estimates err where a prefix rarely succeeds; `checked` measures how
often.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from math import ceil, log2

from prm.data.records import Known, Outcome, StepLabels
from prm.errors import entry, require_number

Draws = list[tuple[int, int]]
Allocation = Generator[Draws, None, None]


@dataclass(frozen=True, slots=True)
class Budget:
    """The rollouts that a prefix may cost."""

    rollouts: int = 8
    """K, the most rollouts from one prefix. Math-Shepherd uses 8."""
    width: float = 0.35
    """`adaptive` draws until the 95% credible interval of a step's value is no wider than this, in (0, 1)."""

    def __post_init__(self) -> None:
        require_number("rollouts", self.rollouts, "[1, inf)", whole=True)
        require_number("width", self.width, "(0, 1)")


@dataclass(slots=True)
class Ledger:
    """The outcomes of one chain so far."""

    steps: int
    """Number of steps, at least 1."""
    outcome: Outcome
    """Verdict on the chain's own answer."""
    right: list[int] = field(init=False)
    wrong: list[int] = field(init=False)
    undecided: list[int] = field(init=False)
    unchecked: tuple[bool | None, ...] | None = None
    """See `StepLabels.unchecked`."""

    def __post_init__(self) -> None:
        self.right, self.wrong, self.undecided = ([0] * self.steps for _ in range(3))

    def add(self, step: int, outcome: Outcome) -> None:
        """Count one rollout from the prefix that ends with `step`."""
        counts = {"correct": self.right, "incorrect": self.wrong}.get(outcome, self.undecided)
        counts[step] += 1

    def drawn(self, step: int) -> int:
        """Number of rollouts drawn from `step`."""
        return self.right[step] + self.wrong[step] + self.undecided[step]

    @property
    def rollouts(self) -> int:
        """Number of rollouts drawn from all steps."""
        return sum(self.right) + sum(self.wrong) + sum(self.undecided)

    def labels(self, chain_id: str, problem_id: str) -> StepLabels:
        """The labels, as a record."""
        return StepLabels(
            chain_id=chain_id,
            problem_id=problem_id,
            right=tuple(self.right),
            wrong=tuple(self.wrong),
            undecided=tuple(self.undecided),
            known=tuple(self._known(step) for step in range(self.steps)),
            outcome=self.outcome,
            unchecked=self.unchecked,
        )

    def _known(self, step: int) -> Known:
        if self.right[step] or self.wrong[step]:
            return "drawn"
        if step == self.steps - 1:
            return "answer"
        if self.outcome == "correct":
            return "right-answer"
        if any(self.right[step:]):
            return "later-success"
        has_failed = any(w and not r for r, w in zip(self.right[:step], self.wrong[:step], strict=True))
        return "earlier-failure" if has_failed else "undecided" if self.undecided[step] else "none"


def fixed(ledger: Ledger, budget: Budget) -> Allocation:
    """K rollouts from every prefix except the whole chain, earlier draws included."""
    missing = ((step, budget.rollouts - ledger.drawn(step)) for step in range(ledger.steps - 1))
    if draws := [(step, n) for step, n in missing if n > 0]:
        yield draws


def first_success(ledger: Ledger, budget: Budget) -> Allocation:
    """In a chain with a wrong answer, from the last prefix back until one succeeds."""
    if ledger.outcome == "correct":
        return
    for step in reversed(range(ledger.steps - 1)):
        yield from _until_success(ledger, step, budget.rollouts)
        if ledger.right[step]:
            return


def bisect(ledger: Ledger, budget: Budget) -> Allocation:
    """In a chain with a wrong answer, binary search for the last step from which the gold answer is still reached."""
    if ledger.outcome == "correct":
        return
    reached, missed = -1, ledger.steps - 1
    while missed - reached > 1:
        step = (reached + missed) // 2
        yield from _until_success(ledger, step, budget.rollouts)
        if ledger.right[step]:
            reached = step
        else:
            missed = step


def _until_success(ledger: Ledger, step: int, rollouts: int) -> Allocation:
    """Up to `rollouts` draws from one prefix, in batches of 2, 2, 4, 8, … until one succeeds."""
    while not ledger.right[step] and (drawn := ledger.drawn(step)) < rollouts:
        yield [(step, min(max(2, drawn), rollouts - drawn))]
        if ledger.drawn(step) == drawn:
            return  # the engine gave nothing: keep what is known


def adaptive(ledger: Ledger, budget: Budget) -> Allocation:
    """Batches for every prefix whose credible interval is still too wide, until none is or K is spent.

    The interval is that of `prm.statistics.pooling`, so a prefix benefits from the draws of its neighbors. The first
    batch is 4; later ones are what the interval would need if the value stayed the same, and at most double the draws.
    """
    drawn = -1
    while ledger.rollouts > drawn and (batches := _batches(ledger, budget)):  # stop if the engine gave nothing
        drawn = ledger.rollouts
        yield batches


def _batches(ledger: Ledger, budget: Budget) -> Draws:
    """Rollouts to draw next from each prefix that needs more and has budget left."""
    from prm.statistics.pooling import pooled_intervals

    right, wrong = ledger.right[:-1], ledger.wrong[:-1]
    widths = [high - low for low, high in pooled_intervals(right, wrong)]
    wanted = (
        _batch(r + w, width / budget.width) if width > budget.width else 0
        for r, w, width in zip(right, wrong, widths, strict=True)
    )
    left = ((step, min(n, budget.rollouts - ledger.drawn(step))) for step, n in enumerate(wanted))
    return [(step, n) for step, n in left if n > 0]


def _batch(decided: int, ratio: float) -> int:
    """Draws that make an interval narrower by `ratio`, as its width falls with the root of their number; 4 at first."""
    return min(max(1, ceil(decided * (ratio**2 - 1))), decided) if decided else 4


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to allocate rollouts."""

    allocate: Callable[[Ledger, Budget], Allocation]
    """From a chain's ledger, the draws it wants; see above."""
    most_rounds: Callable[[int, bool], int]
    """From the number of prefixes and whether the chain is right, the most rollouts it may take, in multiples of K."""
    help: str
    """Its purpose, in a few words."""
    in_batches: bool = False
    """Whether it draws from a prefix batch by batch until one rollout succeeds: the next batch can be drawn ahead."""


STRATEGIES: dict[str, Strategy] = {
    "fixed": Strategy(fixed, lambda prefixes, _: prefixes, "hard and soft labels"),
    "first-success": Strategy(
        first_success, lambda prefixes, is_right: 0 if is_right else prefixes, "hard labels, cheaper", in_batches=True
    ),
    "bisect": Strategy(
        bisect,
        lambda prefixes, is_right: 0 if is_right else ceil(log2(prefixes + 1)),
        "hard labels, far cheaper",
        in_batches=True,
    ),
    "adaptive": Strategy(adaptive, lambda prefixes, _: prefixes, "soft labels, with rollouts where they are needed"),
}
"""Name to strategy."""


def strategy_named(name: str) -> Strategy:
    """The strategy of this name; raises InputError if it is unknown."""
    return entry("strategy", name, STRATEGIES)


def checked(ledger: Ledger, allocation: Allocation, budget: Budget) -> Allocation:
    """Run an allocation, keep its hard labels, then draw K rollouts from every prefix anyway.

    The chain's record then holds both: `StepLabels.unchecked` and, in `hard`, the labels from all draws.
    """
    yield from allocation
    ledger.unchecked = ledger.labels("check", "check").hard
    yield from fixed(ledger, budget)


def most_rollouts(strategy: str, steps: int, is_right: bool, budget: Budget) -> int:
    """The most rollouts that a strategy spends on a chain of `steps` steps; raises like `strategy_named`."""
    return strategy_named(strategy).most_rounds(steps - 1, is_right) * budget.rollouts
