r"""Trajectories of an agent that uses tools: messages → a chain with one step for each turn of the agent.

A turn is what the agent was shown since its last message, results of tools or words of the user, and then what it
wrote, its calls of tools included. Each step thus ends with the agent's words, so the one score of a step belongs to
the agent. The messages before the agent's first one are the problem.

    told, called = {"role": "tool", "content": "6"}, {"role": "assistant", "content": "Let me count."}
    turns_of([{"role": "user", "content": "How many?"}, called, told, {"role": "assistant", "content": "6"}]).steps
    # ('assistant: Let me count.\n', 'tool: 6\n\nassistant: 6\n')

A file of chats with one answer each holds no trajectories: the answer is a solution, cut into steps as any other.

Left out: the messages after the agent's last one, since no turn ends with them; and parts of messages that are no text,
such as images, for which a row is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..records import Outcome
from ..rows import Row, RowError, first_field, optional_text, plain_row, question_of
from .solutions import MARKS, Label, Reading, Solution, as_share, ended, objects, typed

Message = Mapping[str, Any]
"""`role`, `content` (a text, parts of type "text", or null) and perhaps `tool_calls`, as in OpenAI's chats."""

_FIELDS = ("messages", "trajectory", "conversations")
"""Names of the field with the messages, in the order in which they are looked for."""
_AGENT = "assistant"
_TEXTS = ("text", "input_text", "output_text")
_LABELS = (1, 0, -1)
_VERDICTS: dict[Label, Outcome] = {True: "correct", False: "incorrect"}


@dataclass(frozen=True, slots=True)
class Trajectory:
    """What an agent was asked, and its turns."""

    problem: str
    """The messages before its first one: the text of a single one, or several, each after its role. "" for none."""
    steps: tuple[str, ...]
    """Its turns. Empty if no message is the agent's."""
    places: tuple[int, ...]
    """Where the message that ends each turn stands among all messages, from 0."""
    solution: str | None = None
    """What the agent wrote, if that is one message without a call of a tool: a chat, with a solution to be cut into
    steps as any other. None for the turns of an agent."""


def turns_of(messages: Sequence[Message]) -> Trajectory:
    r"""The turns of an agent.

    Raises:
        RowError: a message is not as it should be.

    >>> asked, told = {"role": "user", "content": "How many?"}, {"role": "tool", "content": "6"}
    >>> call = {"function": {"name": "count", "arguments": "{}"}}
    >>> called = {"role": "assistant", "content": None, "tool_calls": [call]}
    >>> turns_of([asked, called, told, {"role": "assistant", "content": "It is 6."}]).steps
    ('assistant: count({})\n', 'tool: 6\n\nassistant: It is 6.\n')
    """
    places = tuple(place for place, message in enumerate(messages) if message.get("role") == _AGENT)
    asked = messages[: places[0]] if places else messages
    starts = (len(asked), *(place + 1 for place in places))  # the last one is of messages in no turn
    return Trajectory(
        problem=_text(asked[0]) if len(asked) == 1 else _spelled(asked),
        steps=tuple(ended(_spelled(messages[i : place + 1])) for i, place in zip(starts, places, strict=False)),
        places=places,
        solution=_text(messages[places[0]]) if len(places) == 1 and not messages[places[0]].get("tool_calls") else None,
    )


def trajectory_in(row: Row) -> Trajectory | None:
    """The trajectory in a row, in the first of the usual fields that holds one; None if it has no such field.

    Raises:
        RowError: the field does not hold messages, or those of RLHFlow, in which the assistant says + or -.
    """
    name = next((name for name in _FIELDS if row.get(name) is not None), None)
    if name is None:
        return None
    messages = objects(row, name)
    said = [message.get("content") for message in messages if message.get("role") == _AGENT]
    if said and all(isinstance(text, str) and text.strip() in MARKS for text in said):
        raise RowError("messages that are labels", "'prm import --format rlhflow' reads such rows")
    return turns_of(messages)


def problem_in(row: Row, turns: Trajectory | None) -> Any:
    """The question in a row or, without one, the messages before the agent's first; None if it has neither."""
    text = question_of(plain_row(row))
    return text if text is not None or turns is None else turns.problem or None


def trajectories(row: Row, reading: Reading) -> Iterator[Solution]:
    """`messages` with `step_labels`, by the place of each of the agent's messages, from 0, or a list with one per turn.

    Labels are 1 or true (right), -1 or false (wrong) and 0 (neutral); or, in a row with a decimal point, shares in
    [0, 1]. A turn labeled 0, null or not at all has no label, as in AgentProcessBench (arXiv 2603.14465), unless
    0 is to be wrong. `final_label` is the verdict on the whole.
    """
    turns = trajectory_in(row)
    if turns is None:
        raise RowError("lacks a field", f"one of {', '.join(map(repr, _FIELDS))}")
    problem = problem_in(row, turns) or ""
    if not isinstance(problem, str):
        raise RowError("a field of the wrong kind", "the question is not a text")
    yield Solution(
        problem=problem,
        steps=turns.steps,
        labels=_labels(row, turns.places, reading),
        outcome=_VERDICTS.get(_label(row.get("final_label"), reading), "no_answer"),
        answer=optional_text(row, "answer", "gold", "final_answer"),
        id=optional_text(row, "id"),
    )


def _labels(row: Row, places: Sequence[int], reading: Reading) -> tuple[Label, ...] | None:
    """One label per turn; None for a row without labels."""
    given = first_field(row, "step_labels")
    if given is None:
        return None
    values = _placed(given, places) if isinstance(given, dict) else typed(row, "step_labels", list)
    if len(values) != len(places):
        raise RowError("labels and turns differ in number", f"{len(values)}, {len(places)}")
    if any(isinstance(value, float) for value in values) and -1 not in values:
        return tuple(map(as_share, values))
    return tuple(_label(value, reading) for value in values)


def _placed(labels: Mapping[str, Any], places: Sequence[int]) -> list[Any]:
    known = {place: value for place, value in labels.items() if value is not None}
    if strangers := sorted(known.keys() - set(map(str, places))):
        raise RowError("a label of a message that is not the agent's", strangers[0])
    return [known.get(str(place)) for place in places]


def _label(value: Any, reading: Reading) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if value not in _LABELS:
        raise RowError("a label that cannot be read", repr(value))
    return bool(value > 0) if value or not reading.neutral_is_right else None


def _spelled(messages: Sequence[Message]) -> str:
    """The messages, each after its role."""
    return "\n\n".join(f"{typed(message, 'role', str)}: {_text(message)}".rstrip() for message in messages)


def _text(message: Message) -> str:
    """What a message says, and the calls of tools in it, one a line."""
    calls = objects(message, "tool_calls") if message.get("tool_calls") else []
    written = [_called(typed(call, "function", dict)) for call in calls]
    return "\n".join(filter(None, [_said(message), *written]))


def _said(message: Message) -> str:
    content = message.get("content")
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(map(_part, objects(message, "content")))


def _part(part: Message) -> str:
    if part.get("type") not in _TEXTS:
        raise RowError("a message that is not text alone", f"a part of type {part.get('type')!r}")
    return typed(part, "text", str)


def _called(function: Message) -> str:
    arguments = function.get("arguments")
    told = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return f"{typed(function, 'name', str)}({told})"
