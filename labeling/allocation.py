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
    epicprm        labels best read as `StepLabels.relative`; no draws if the answer is right, else K from the bare
                   problem, whose value decides where a binary search begins and how many draws, at most K, a prefix
                   gets (EpicPRM, arXiv 2503.02382)
    scan           labels best read as `StepLabels.denoised`; no draws if the answer is right, else K from the bare
                   problem and, if the model mostly solves it, K from each prefix, from the first one on until none of
                   a prefix's rollouts succeeds (SCAN, arXiv 2509.16548)

`first-success` and `bisect` rest on the definition of a hard label: a rollout that succeeds from a step is a success
from every step before it. `bisect` also assumes the reverse: if K rollouts from a prefix fail, none from a later prefix
would succeed. That holds for true labels, but estimates err where a prefix rarely succeeds; `checked` measures how
often.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from math import ceil, log2

from prm.data.records import Known, LabelView, Outcome, StepLabels
from prm.errors import entry, require_number

PROBLEM = -1
"""In place of a step: the prefix without any step, the bare problem."""
CONFIDENT = 0.75
"""`scan`: share of the rollouts from the bare problem that must succeed; with fewer, its chains are not labeled."""
SUCCESSES = 10
"""`epicprm`: successes that the draws from a prefix would give on average, if its value were that of the problem."""

Draws = list[tuple[int, int]]
Allocation = Generator[Draws, None, None]


@dataclass(frozen=True, slots=True)
class Budget:
    """The rollouts that a prefix may cost."""

    rollouts: int = 8
    """K, the most rollouts from one prefix. Math-Shepherd uses 8."""
    width: float = 0.35
    """`adaptive` draws until the 95% credible interval of a step's value is no wider than this, in (0, 1)."""
    from_problem: int = 0
    """Rollouts from the bare problem for each chain, before all others; see `StepLabels.progress`."""

    def __post_init__(self) -> None:
        require_number("from_problem", self.from_problem, "[0, inf)", whole=True)
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
    start: list[int] = field(default_factory=lambda: [0, 0, 0])
    """See `StepLabels.start`."""
    unchecked: tuple[bool | None, ...] | None = None
    """See `StepLabels.unchecked`."""

    def __post_init__(self) -> None:
        self.right, self.wrong, self.undecided = ([0] * self.steps for _ in range(3))

    def add(self, step: int, outcome: Outcome) -> None:
        """Count one rollout from the prefix that ends with `step`, or from the bare problem."""
        kind = {"correct": 0, "incorrect": 1}.get(outcome, 2)
        if step == PROBLEM:
            self.start[kind] += 1
        else:
            (self.right, self.wrong, self.undecided)[kind][step] += 1

    def counts(self, step: int) -> tuple[int, int, int]:
        """Number of right, wrong and undecided rollouts from `step`, or from the bare problem."""
        if step == PROBLEM:
            right, wrong, undecided = self.start
            return right, wrong, undecided
        return self.right[step], self.wrong[step], self.undecided[step]

    def drawn(self, step: int) -> int:
        """Number of rollouts drawn from `step`, or from the bare problem."""
        return sum(self.counts(step))

    def share(self, step: int) -> float:
        """Share of the decided rollouts from `step`, or from the bare problem, that succeed; 0 without any."""
        right, wrong, _ = self.counts(step)
        return right / max(right + wrong, 1)

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
            start=self.counts(PROBLEM),
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
    yield from _up_to(ledger, range(ledger.steps - 1), budget.rollouts)


def _up_to(ledger: Ledger, steps: Iterable[int], rollouts: int) -> Allocation:
    """What is missing to `rollouts` draws from each of these prefixes, at once."""
    missing = ((step, rollouts - ledger.drawn(step)) for step in steps)
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


def epicprm(ledger: Ledger, budget: Budget) -> Allocation:
    """In a chain with a wrong answer, binary search for the last step that keeps half of the bare problem's value.

    As in the published code of EpicPRM: the first probe is a quarter of the chain before the middle if the problem is
    hard, and after it if it is easy, in chains of at least 6 steps; and the harder the problem, the more draws.
    Differs: plain shares, not weighted by probability; one model, not two, and at most K draws, not 72.
    """
    if ledger.outcome == "correct" or ledger.steps == 1:
        return
    yield from _up_to(ledger, [PROBLEM], budget.rollouts)
    value, low, high = ledger.share(PROBLEM), 0, ledger.steps - 2
    if not value:
        return  # nothing to compare a step with
    draws, middle = min(budget.rollouts, ceil(SUCCESSES / value)), high // 2
    if high >= 4:
        fifths = round(5 * value)
        middle += high // 4 * ((fifths >= 5) - (fifths < 2))
    while low <= high:
        yield from _up_to(ledger, [middle], draws)
        if ledger.share(middle) < value / 2:
            high = middle - 1
        else:
            low = middle + 1
        middle = (low + high) // 2


def scan(ledger: Ledger, budget: Budget) -> Allocation:
    """In a chain with a wrong answer, from the first prefix on until one fails, if the model is sure of the problem.

    As in the published code of SCAN. Differs: the model's share of right answers comes from K rollouts for each chain,
    not from 128 solutions of each problem.
    """
    if ledger.outcome == "correct" or ledger.steps == 1:
        return
    yield from _up_to(ledger, [PROBLEM], budget.rollouts)
    if ledger.share(PROBLEM) < CONFIDENT:
        return
    for step in range(ledger.steps - 1):
        yield from _up_to(ledger, [step], budget.rollouts)
        if not ledger.right[step]:
            return


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to allocate rollouts."""

    allocate: Callable[[Ledger, Budget], Allocation]
    """From a chain's ledger, the draws it wants; see above."""
    most_rounds: Callable[[int, bool], int]
    """From the number of prefixes and whether the chain is right, the most rollouts it may take, in multiples of K."""
    help: str
    """Its purpose, in a few words."""
    view: LabelView = "hard"
    """The view of its labels that says which steps are right."""
    gives_values: bool = False
    """Whether its soft labels are estimates of the values."""
    in_batches: bool = False
    """Whether it draws from a prefix batch by batch until one rollout succeeds: the next batch can be drawn ahead."""


STRATEGIES: dict[str, Strategy] = {
    "fixed": Strategy(fixed, lambda prefixes, _: prefixes, "hard and soft labels", gives_values=True),
    "first-success": Strategy(
        first_success, lambda prefixes, is_right: 0 if is_right else prefixes, "hard labels, cheaper", in_batches=True
    ),
    "bisect": Strategy(
        bisect,
        lambda prefixes, is_right: 0 if is_right else ceil(log2(prefixes + 1)),
        "hard labels, far cheaper",
        in_batches=True,
    ),
    "adaptive": Strategy(
        adaptive,
        lambda prefixes, _: prefixes,
        "soft labels, with rollouts where they are needed",
        gives_values=True,
    ),
    "epicprm": Strategy(
        epicprm,
        lambda prefixes, is_right: 0 if is_right else 2 + prefixes.bit_length(),
        "relative labels, by the problem's difficulty",
        view="relative",
    ),
    "scan": Strategy(
        scan,
        lambda prefixes, is_right: 0 if is_right else 1 + prefixes,
        "denoised labels of problems it mostly solves",
        view="denoised",
    ),
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


def begun(ledger: Ledger, allocation: Allocation, budget: Budget) -> Allocation:
    """An allocation, after the draws from the bare problem."""
    yield from _up_to(ledger, [PROBLEM], budget.from_problem)
    yield from allocation


def most_rollouts(strategy: str, steps: int, is_right: bool, budget: Budget) -> int:
    """The most rollouts that a strategy spends on a chain of `steps` steps; raises like `strategy_named`."""
    return budget.from_problem + strategy_named(strategy).most_rounds(steps - 1, is_right) * budget.rollouts
