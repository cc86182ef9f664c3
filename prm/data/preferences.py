r"""Preference rows in the usual shapes → records for training an outcome reward model.

A row says which of two answers to the same context is better: `chosen` and `rejected`, as texts or as messages, with
the context in `prompt` or at the beginning of both ("standard" and "conversational", "explicit" and "implicit prompt"
in TRL's terms, huggingface.co/docs/trl/dataset_formats); or two answers and a label. Nothing is guessed: an incomplete
row is dropped, for one of the reasons below.

Not supported: rows with more than two answers, and messages whose content is not a text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .drops import Drops
from .formats.solutions import RowError, objects, typed
from .records import Message
from .rows import Row, optional_text, read_rows

NO_ANSWER = "lacks a chosen or a rejected answer"
NO_LABEL = "lacks a label that says which answer is chosen"
NO_CONTEXT = "has no clear context"
CONTEXTS_DIFFER = "different contexts"
WRONG_ROLES = "roles that make no sense"
EMPTY = "an empty text"
SAME_TEXTS = "two answers that are the same"
TIE = "a tie"
WRONG_WAY_ROUND = "scored the wrong way round"
TWICE = "the same pair twice"
BOTH_WAYS = "the same pair in both directions"
"""The reasons for a drop; the only others are those of `prm.data.formats.solutions.typed`."""

_PROMPTS = ("prompt", "question", "problem", "instruction", "input")
_LABELED: Mapping[tuple[str, str], Mapping[str, int | None]] = {
    ("response_A", "response_B"): {"A>B": 0, "B>A": 1, "A=B": None},
    ("output_1", "output_2"): {"1": 0, "2": 1},
}
"""The two answers in JudgeBench and LLMBar, and which one each label calls better; None for a tie."""
TAG = "\n\nAssistant:"
"""Precedes an answer in the transcripts of HH-RLHF."""
_ASKING = ("user", "tool")
_ROLES = (*_ASKING, "system", "assistant")
_LARGEST = 1e300
"""Largest score, so that the difference of two scores is finite."""


@dataclass(frozen=True, slots=True)
class Preference:
    """Two answers to the same context, one better than the other."""

    id: str
    """Unique in its file."""
    context: str | tuple[Message, ...]
    """The prompt as text, or messages of which the last is the user's (or a tool's). Not empty."""
    chosen: str
    """The better answer, with the row's whitespace around it. Not blank."""
    rejected: str
    """The other answer. Not blank, and different from `chosen` even without the whitespace around them."""
    margin: float | None = None
    """How much better the chosen answer is, above 0, in the row's own unit; None if the row does not say."""

    def __post_init__(self) -> None:
        if not self.id or not self.context:
            raise ValueError("id and context must not be empty")
        if not self.chosen.strip() or not self.rejected.strip() or self.chosen.strip() == self.rejected.strip():
            raise ValueError("chosen and rejected must be different texts that are not blank")
        if self.margin is not None and not self.margin > 0:
            raise ValueError("margin must be a number above 0, or null")


def read_preferences(path: Path, drops: Drops) -> Iterator[Preference]:
    """Yield the preferences of a file, in order.

    A repeated pair is dropped. A pair that occurs in both directions is dropped everywhere, since nothing says which
    direction is right; so the whole file is read before the first preference is yielded.

    Args:
        path: JSONL. A row's id is its `id`, `idx`, `prompt_id` or `pair_id`, followed by the line number if it is
            repeated; a row without these gets one from the file's name and its line.
        drops: records the rows that cannot be used, by the file's name and the line.

    Raises:
        InputError: the file cannot be read, or a line is not one JSON object.
    """
    found = list(_preferences(path, drops))
    lines: dict[_Pair, int] = {}
    for number, preference in found:
        lines.setdefault(_pair(preference), number)
    for number, preference in found:
        context, chosen, rejected = pair = _pair(preference)
        reverse = lines.get((context, rejected, chosen))
        if reverse is not None:
            drops.add(f"{path.stem}:{number}", BOTH_WAYS, f"reversed in line {reverse}")
        elif lines[pair] != number:
            drops.add(f"{path.stem}:{number}", TWICE, f"first in line {lines[pair]}")
        else:
            yield preference


_Context = str | tuple[Message, ...]
_Pair = tuple[_Context, str, str]


def _pair(preference: Preference) -> _Pair:
    return preference.context, preference.chosen.strip(), preference.rejected.strip()


def _preferences(path: Path, drops: Drops) -> Iterator[tuple[int, Preference]]:
    """The rows that can be used, each considered by itself, with their line numbers."""
    taken = set[str]()
    for number, row in read_rows(path):
        try:
            (context, chosen, rejected), margin = pair_of(row), _margin(row)
        except RowError as error:
            drops.add(f"{path.stem}:{number}", error.reason, error.detail)
            continue
        identity = optional_text(row, "id", "idx", "prompt_id", "pair_id") or f"{path.stem}-{number}"
        while identity in taken:
            identity += f":{number}"
        taken.add(identity)
        yield number, Preference(identity, context, chosen, rejected, margin)


def pair_of(row: Row) -> _Pair:
    """Context, chosen and rejected answer."""
    answers, given = [_answer(row, name) for name in _names(row)], _given_context(row)
    (before, chosen), (same, rejected) = (_split(answer, given) for answer in answers)
    if before != same:
        raise RowError(CONTEXTS_DIFFER, "the texts before the two answers differ")
    for name, answer in (("chosen", chosen), ("rejected", rejected)):
        if not answer.strip():
            raise RowError(EMPTY, f"the {name} answer")
    if chosen.strip() == rejected.strip():
        raise RowError(SAME_TEXTS)
    return _with_system(row, _checked(_joined(given, before))), chosen, rejected


def _names(row: Row) -> tuple[str, str]:
    """The fields of the chosen and the rejected answer."""
    names = next((names for names in _LABELED if set(names) <= row.keys()), None)
    if names is None:
        return "chosen", "rejected"
    label, places = optional_text(row, "label"), _LABELED[names]
    if label is None or label not in places:
        raise RowError(NO_LABEL, "" if label is None else f"not {label!r}")
    place = places[label]
    if place is None:
        raise RowError(TIE, f"label {label!r}")
    return names[place], names[1 - place]


def _answer(row: Row, name: str) -> str | tuple[Message, ...]:
    if row.get(name) is None:
        raise RowError(NO_ANSWER, repr(name))
    return _text_or_messages(row, name)


def _text_or_messages(row: Row, name: str) -> str | tuple[Message, ...]:
    if not isinstance(row[name], list):
        return typed(row, name, str)
    return tuple(Message(typed(m, "role", str), typed(m, "content", str)) for m in objects(row, name))


def _given_context(row: Row) -> _Context | None:
    """The context, if the row has a field for it."""
    name = next((name for name in _PROMPTS if row.get(name) is not None), None)
    if name is None:
        return None
    if name == "instruction" and row.get("input"):
        raise RowError(NO_CONTEXT, "'instruction' and 'input' can be joined in many ways")
    return _text_or_messages(row, name)


def _split(answer: str | tuple[Message, ...], given: _Context | None) -> tuple[_Context, str]:
    """The context before an answer (`()` if there is none), and the answer itself."""
    if isinstance(answer, tuple):
        if not answer or answer[-1].role != "assistant":
            raise RowError(WRONG_ROLES, "the last message of an answer is not the assistant's")
        return answer[:-1], answer[-1].content
    if given is not None:
        return (), answer
    before, tag, text = answer.rpartition(TAG)
    if not tag:
        raise RowError(NO_CONTEXT, f"no prompt, and no {TAG.strip()!r} in the text of an answer")
    if "\n\nHuman:" in text:
        raise RowError(WRONG_ROLES, "the last turn of an answer is not the assistant's")
    return before + tag, text


def _joined(given: _Context | None, before: _Context) -> _Context:
    """Join the context field with the context before the answers; one of them may be part of the other.

    UltraFeedback's `prompt` is the user's message, which is repeated before both answers; a system message may be in
    only one of the two.
    """
    if given is None or isinstance(before, str):
        return before
    messages = (Message("user", given),) if isinstance(given, str) else given
    shorter, longer = sorted((_bare(messages), _bare(before)), key=len)
    if not shorter <= longer:
        raise RowError(CONTEXTS_DIFFER, "the prompt is not the context before the answers")
    return before if len(before) >= len(messages) else given


def _bare(messages: tuple[Message, ...]) -> set[tuple[str, str]]:
    return {(message.role, message.content.strip()) for message in messages}


def _checked(context: _Context) -> _Context:
    if context == ():
        raise RowError(NO_CONTEXT, "no prompt, and no message before the answers")
    if not isinstance(context, str) and (context[-1].role not in _ASKING or {m.role for m in context} - set(_ROLES)):
        raise RowError(WRONG_ROLES, ", ".join(message.role for message in context))
    if not (context if isinstance(context, str) else context[-1].content).strip():
        raise RowError(EMPTY, "the context")
    return context


def _with_system(row: Row, context: _Context) -> _Context:
    """The context, after a system message with the row's `system`, if it has one."""
    system = Message("system", typed(row, "system", str) if row.get("system") is not None else "")
    messages = (Message("user", context),) if isinstance(context, str) else context
    if not system.content.strip() or messages[0] == system:
        return context
    if messages[0].role == "system":
        raise RowError(CONTEXTS_DIFFER, "'system' is not the system message")
    return system, *messages


def _margin(row: Row) -> float | None:
    """How much better the chosen answer is: the row's margin, or the difference of its two scores."""
    chosen, rejected = _number(row, "score_chosen", "chosen_score"), _number(row, "score_rejected", "rejected_score")
    difference = None if chosen is None or rejected is None else chosen - rejected
    margin = _number(row, "margin")
    for value, said in ((margin, f"margin {margin}"), (difference, f"scores {chosen} and {rejected}")):
        if value is not None and value <= 0:
            raise RowError(WRONG_WAY_ROUND if value < 0 else TIE, said)
    return difference if margin is None else margin


def _number(row: Row, *names: str) -> float | None:
    """The first of these fields that is present and not null."""
    name = next((name for name in names if row.get(name) is not None), None)
    if name is None:
        return None
    value: Any = row[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise RowError("a field of the wrong kind", f"{name!r} is not a number")
    return float(value)
