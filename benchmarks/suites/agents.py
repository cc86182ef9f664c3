"""Suites of agents that use tools: a trajectory becomes a chain with one step for each turn of the agent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prm.data.formats.solutions import objects, typed
from prm.data.rows import Row, RowError, optional_text

from .building import judged_chain, make_problem
from .fields import EMPTY_CHAIN, NO_SUCH_STEP, UNREADABLE, Place, whole_number
from .truth import Found

_AGENT = "assistant"
_EFFECT = {1: True, 0: None, None: None, -1: False}
"""Whether a turn is right, by its label: it helps, it neither helps nor harms, there is none, it harms."""


def agentprocessbench(row: Row, place: Place) -> Iterator[Found]:
    """`messages`, and `step_labels`: 1, 0 or -1 by the place of each of the agent's messages, from 0.

    The messages before the agent's first one are the problem. A step is a turn: what the agent was shown since its last
    message, results of tools or words of the user, and then what it wrote, its calls of tools included. So each step
    ends where the agent ends, and is judged there. Whether a turn labeled 0, or not labeled, is right is unknown.

    Differs from RUCBM/AgentProcessBench, eval/compare.py: it counts how often a critic names one of the three labels.
    """
    messages, labels = objects(row, "messages"), typed(row, "step_labels", dict)
    turns = [number for number, message in enumerate(messages) if message.get("role") == _AGENT]
    if not turns:
        raise RowError(EMPTY_CHAIN)
    if strangers := sorted(set(labels) - set(map(str, turns))):
        raise RowError(NO_SUCH_STEP, f"message {strangers[0]} is not the agent's")
    starts = [turns[0], *(turn + 1 for turn in turns[:-1])]
    steps = [_spelled(messages[start : turn + 1]) for start, turn in zip(starts, turns, strict=True)]
    asked = messages[: turns[0]]
    text = _text(asked[0]) if len(asked) == 1 else _spelled(asked)
    identity = place.id(optional_text(row, "total_index", "record_id"))
    yield judged_chain(
        make_problem(identity, text, meta={"tools": row.get("tools")}),
        identity,
        steps,
        tuple(_effect(labels.get(str(turn))) for turn in turns),
        place.stem,
        is_answer_right=_effect(row.get("final_label")),
    )


def _effect(label: object) -> bool | None:
    number = whole_number(label)
    if number not in _EFFECT:
        raise RowError(UNREADABLE, f"a label of {label!r}")
    return _EFFECT[number]


def _spelled(messages: Sequence[Mapping[str, Any]]) -> str:
    """The messages, each after its role."""
    return "\n\n".join(f"{message.get('role')}: {_text(message)}".rstrip() for message in messages)


def _text(message: Mapping[str, Any]) -> str:
    """What a message says, and the calls of tools in it, one a line."""
    content = message.get("content")
    calls = objects(message, "tool_calls") if message.get("tool_calls") else []
    written = [_called(typed(call, "function", dict)) for call in calls]
    return "\n".join(filter(None, [content if isinstance(content, str) else "", *written]))


def _called(function: Mapping[str, Any]) -> str:
    arguments = function.get("arguments")
    told = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return f"{typed(function, 'name', str)}({told})"
