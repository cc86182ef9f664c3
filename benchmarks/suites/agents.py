"""Suites of agents that use tools: a trajectory becomes a chain with one step for each turn of the agent."""

from __future__ import annotations

from collections.abc import Iterator

from prm.data.formats.solutions import objects, typed
from prm.data.formats.trajectories import turns_of
from prm.data.rows import Row, RowError, optional_text

from .building import judged_chain, make_problem
from .fields import EMPTY_CHAIN, NO_SUCH_STEP, UNREADABLE, Place, whole_number
from .truth import Found

_EFFECT = {1: True, 0: None, None: None, -1: False}
"""Whether a turn is right, by its label: it helps, it neither helps nor harms, there is none, it harms."""


def agentprocessbench(row: Row, place: Place) -> Iterator[Found]:
    """`messages`, and `step_labels`: 1, 0 or -1 by the place of each of the agent's messages, from 0.

    A step is a turn, see `prm.data.formats.trajectories`, and is judged where it ends. Whether a turn labeled 0, or not
    labeled, is right is unknown.

    Differs from RUCBM/AgentProcessBench, eval/compare.py: it counts how often a critic names one of the three labels.
    """
    messages, labels = objects(row, "messages"), typed(row, "step_labels", dict)
    turns = turns_of(messages)
    if not turns.steps:
        raise RowError(EMPTY_CHAIN)
    if strangers := sorted(set(labels) - set(map(str, turns.places))):
        raise RowError(NO_SUCH_STEP, f"message {strangers[0]} is not the agent's")
    identity = place.id(optional_text(row, "total_index", "record_id"))
    yield judged_chain(
        make_problem(identity, turns.problem, meta={"tools": row.get("tools")}),
        identity,
        turns.steps,
        tuple(_effect(labels.get(str(message))) for message in turns.places),
        place.stem,
        is_answer_right=_effect(row.get("final_label")),
    )


def _effect(label: object) -> bool | None:
    number = whole_number(label)
    if number not in _EFFECT:
        raise RowError(UNREADABLE, f"a label of {label!r}")
    return _EFFECT[number]
