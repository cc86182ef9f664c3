"""Chains made of rollouts: what was drawn from the prefixes that such a chain shares with others holds for it too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from prm.data.records import Chain, Rollout


def inherited(
    chain: Chain, origins: Mapping[str, tuple[str, int, int]], drawn: Mapping[str, Sequence[Rollout]]
) -> Iterator[Rollout]:
    """The rollouts of other chains from the prefixes that a grown chain shares with them, as its own.

    Args:
        chain: the chain.
        origins: `Chain.origin` of all grown chains, by id.
        drawn: rollouts by chain.
    """
    own = {(rollout.step, rollout.draw) for rollout in drawn.get(chain.id, ())}
    for name, last in ancestors(chain, origins):
        for rollout in drawn.get(name, ()):
            if rollout.step <= last and not rollout.shared and (rollout.step, rollout.draw) not in own:
                own.add((rollout.step, rollout.draw))
                yield replace(rollout, chain_id=chain.id, shared=True)


def ancestors(chain: Chain, origins: Mapping[str, tuple[str, int, int]]) -> Iterator[tuple[str, int]]:
    """The chains that a chain shares its first steps with, nearest first, each with the last step that is shared.

    >>> list(ancestors(Chain("d", "p", ("a", "b"), origin=("b", 1, 0)), {"b": ("a", 0, 3)}))
    [('b', 1), ('a', 0)]
    """
    found, last = chain.origin, len(chain.steps)
    while found:
        name, step, _ = found
        last = min(last, step)
        yield name, last
        found = origins.get(name)
