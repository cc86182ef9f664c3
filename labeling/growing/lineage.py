"""Chains made of rollouts: which chain, step and draw a grown chain comes from, by its id.

The chain `"c>2.5"` has the steps of the chain `c` up to step 2, counted from 0, and goes on as draw 5 from there; `-1`
is the bare problem. What was drawn from the prefixes that it shares with `c` holds for it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from prm.data.records import Rollout

_GROWN = re.compile(r"(.+)>(-1|\d+)\.(\d+)", re.DOTALL)


def grown_id(chain_id: str, step: int, draw: int) -> str:
    """The id of the chain that is made of a rollout."""
    return f"{chain_id}>{step}.{draw}"


def origin(chain_id: str) -> tuple[str, int, int] | None:
    """Chain, step and draw that a chain was grown from; None for another chain.

    >>> origin("p/1>2.5>0.3"), origin("p/1")
    (('p/1>2.5', 0, 3), None)
    """
    found = _GROWN.fullmatch(chain_id)
    return (found[1], int(found[2]), int(found[3])) if found else None


def ancestors(chain_id: str) -> Iterator[tuple[str, int]]:
    """The chains that a chain shares its first steps with, nearest first, each with the last step that is shared.

    >>> list(ancestors("c>4.0>2.1"))
    [('c>4.0', 2), ('c', 2)]
    """
    shared = None
    while found := origin(chain_id):
        chain_id, step, _ = found
        shared = step if shared is None else min(shared, step)
        yield chain_id, shared


def inherited(chain_id: str, drawn: Mapping[str, Sequence[Rollout]]) -> Iterator[Rollout]:
    """The rollouts of other chains from the prefixes that a chain shares with them.

    Args:
        chain_id: of the chain.
        drawn: rollouts by chain. Without the very rollout that a chain was grown from, the chain is none of ours that
            happens to have such an id.
    """
    if (found := origin(chain_id)) is None or not _has(drawn.get(found[0], ()), *found[1:]):
        return
    for name, last in ancestors(chain_id):
        yield from (rollout for rollout in drawn.get(name, ()) if rollout.step <= last)


def _has(rollouts: Sequence[Rollout], step: int, draw: int) -> bool:
    return any((rollout.step, rollout.draw) == (step, draw) for rollout in rollouts)
