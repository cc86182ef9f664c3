"""The tree of one problem: branches grow from branches, step by step, and its leaves are chains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from prm.data.records import Chain, Finish


@dataclass(frozen=True, slots=True)
class Branch:
    """A solution as far as it goes: a whole number of steps, or ended.

    It keeps what it adds to its parent, and shares the rest: a tree of long chains would not fit into memory otherwise.
    """

    id: str
    """The root has the problem's id; the i-th continuation of a branch has its id with i after it."""
    new: tuple[int, ...] = ()
    """The tokens generated since its parent. They are continued as they are, never tokenized again."""
    start: int = 0
    """Number of tokens before these, from the problem on."""
    steps: tuple[str, ...] = ()
    """Its steps; of a branch that has not ended, those that are whole."""
    rest: str = ""
    """The beginning of a next step, where it shares a token with the end of the last."""
    end: Finish | None = None
    """How it ended; None if it can go on. "length" too if the budget ended it."""
    scores: tuple[float, ...] = ()
    """One for each step from a PRM, one from an ORM; empty if it was not scored."""
    refusal: str = ""
    """Why the scorer refused it; "" if it did not. A refused branch does not go on."""
    parent: Branch | None = None
    """The branch from which it grew; None for the root."""
    draw: int = 0
    """Which continuation of its parent it is, from 0."""

    @property
    def length(self) -> int:
        """Number of tokens, from the problem on."""
        return self.start + len(self.new)

    @property
    def ids(self) -> tuple[int, ...]:
        """The generated tokens, from the problem on."""
        parts, branch = list[tuple[int, ...]](), self
        while branch.parent is not None:
            parts.append(branch.new)
            branch = branch.parent
        return tuple(chain.from_iterable(reversed(parts)))

    @property
    def text(self) -> str:
        """What they spell."""
        return "".join(self.steps) + self.rest

    def shared(self, steps: tuple[str, ...]) -> tuple[str, ...]:
        """The steps of a continuation, of which the first are the very texts that this branch has."""
        own = len(self.steps)
        return self.steps + steps[own:] if steps[:own] == self.steps else steps

    @property
    def is_open(self) -> bool:
        """Whether it can go on."""
        return self.end is None and not self.refusal


@dataclass(frozen=True, slots=True)
class Ask:
    """What a search asks for: continuations of a branch."""

    branch: Branch
    """An open one."""
    n: int
    """How many, at least 1."""
    is_whole: bool = False
    """Whether they go on to the end, instead of the end of the next step."""


def leaves(branches: Iterable[Branch]) -> list[Branch]:
    """The branches from which none grew, in the order given."""
    kept = list(branches)
    parents = {branch.parent.id for branch in kept if branch.parent}
    return [branch for branch in kept if branch.id not in parents]


def as_chains(problem_id: str, branches: Sequence[Branch]) -> list[Chain]:
    """Leaves as chains.

    A chain that shares steps with an earlier one has it as its `Chain.origin`, so that `prm label` shares rollouts from
    them. A branch that was not continued has the finish "unknown".
    """
    owners: dict[str, str] = {}
    chains: list[Chain] = []
    for leaf in branches:
        chains.append(Chain(leaf.id, problem_id, leaf.steps, leaf.end or "unknown", _origin(leaf, owners)))
        above = leaf.parent
        while above is not None:
            owners.setdefault(above.id, leaf.id)
            above = above.parent
    return chains


def _origin(leaf: Branch, owners: dict[str, str]) -> tuple[str, int, int] | None:
    """The first chain through the nearest branch that is shared, the last shared step, and which continuation it is."""
    child, above = leaf, leaf.parent
    while above is not None and above.steps:
        if above.id in owners:
            return owners[above.id], min(len(above.steps), len(leaf.steps)) - 1, child.draw
        child, above = above, above.parent
    return None
