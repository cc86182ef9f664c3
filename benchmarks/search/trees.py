"""The tree of one problem in one run, merged from its chains: what they begin with alike is one path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..results import ShownChain


@dataclass(slots=True)
class Node:
    """A step, after those above it."""

    text: str
    truth: bool | None
    """Whether it is right; None if unknown."""
    parent: int
    """Place of the step before it in the tree; -1 for a first step."""
    depth: int
    """Place of the step in its chains, from 0."""
    chains: list[ShownChain] = field(default_factory=list)
    """Those that have it, in their order."""

    @property
    def ends(self) -> list[ShownChain]:
        """The chains that end with it."""
        return [chain for chain in self.chains if len(chain.steps) == self.depth + 1]

    @property
    def is_chosen(self) -> bool:
        """Whether the chosen chain has it."""
        return any(chain.chosen_by for chain in self.chains)

    @property
    def is_given_up(self) -> bool:
        """Whether no chain through it came to an end or was chosen."""
        return not any(chain.is_whole or chain.chosen_by for chain in self.chains)

    def score(self, scorer: str) -> float | None:
        """From the first chain through it that has one; an ORM scores the last step alone."""
        for chain in self.chains:
            scores = chain.scores.get(scorer, ())
            if len(scores) == 1 and len(chain.steps) == self.depth + 1:
                return scores[0]
            if 1 < len(scores) > self.depth:
                return scores[self.depth]
        return None


def tree_of(chains: Sequence[ShownChain]) -> list[Node]:
    """The steps of these chains of one problem, each before those that follow it.

    Of the steps that follow one, the first is that of the chosen chain, else the one that most chains have: reading on
    from each step to the next in the list, one reads the chosen chain first.
    """
    nodes: list[Node] = []
    below: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for chain in chains:
        parent = -1
        for depth, text in enumerate(chain.steps):
            place = below[parent].setdefault(text, len(nodes))
            if place == len(nodes):
                nodes.append(Node(text, None if chain.truth is None else chain.truth[depth], parent, depth))
            nodes[place].chains.append(chain)
            parent = place

    def ranked(parent: int) -> list[int]:
        """The last to be read first."""
        own = below[parent].values()
        return sorted(own, key=lambda place: (nodes[place].is_chosen, len(nodes[place].chains), -place))

    places: dict[int, int] = {-1: -1}
    ordered, waiting = list[Node](), ranked(-1)
    while waiting:
        place = waiting.pop()
        places[place] = len(ordered)
        ordered.append(nodes[place])
        waiting += ranked(place)
    for node in ordered:
        node.parent = places[node.parent]
    return ordered
