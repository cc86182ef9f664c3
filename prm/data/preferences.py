r"""Preference rows and rated answers in the usual shapes → records for training an outcome reward model.

A row says which answers to the same context are better: `chosen` and `rejected`, as texts or as messages, or as lists
of these, with the context in `prompt` or at the beginning of each answer ("standard" and "conversational", "explicit"
and "implicit prompt" in TRL's terms, huggingface.co/docs/trl/dataset_formats); or two answers and a label. A rated row
has one answer in `response`, and numbers, as those of HelpSteer. Nothing is guessed: an incomplete row is dropped, for
one of the reasons below, and fields that are not read are named.

Not supported: messages whose content is not a text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from prm import console
from prm.errors import InputError

from .drops import Drops
from .formats.solutions import objects, typed
from .reading import read_source, splits_in
from .records import Message
from .rows import Row, RowError, Values, optional_text, require_every_output, values_in

NO_ANSWER = "lacks a chosen or a rejected answer"
NO_RESPONSE = "lacks a response"
NO_LABEL = "lacks a label that says which answer is chosen"
NO_CONTEXT = "has no clear context"
CONTEXTS_DIFFER = "different contexts"
WRONG_ROLES = "roles that make no sense"
EMPTY = "an empty text"
SAME_TEXTS = "two answers that are the same"
TIE = "a tie"
NO_WEIGHT = "a weight that is not above 0"
WRONG_WAY_ROUND = "scored the wrong way round"
TWICE = "the same pair twice"
BOTH_WAYS = "the same pair in both directions"
"""The reasons for a drop; the only others are those of `prm.data.formats.solutions.typed` and `prm.data.reading`."""

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
_IDS = ("id", "idx", "prompt_id", "pair_id")
_SCORES = (("score_chosen", "chosen_score"), ("score_rejected", "rejected_score"))
_SPLIT = "train"
"""The split that is read where there are several."""


@dataclass(frozen=True, slots=True)
class Preference:
    """Answers to the same context, some better than the others: mostly one and one."""

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
    other_chosen: tuple[str, ...] = ()
    """Further answers, each of them as good as `chosen` and better than every rejected one."""
    other_rejected: tuple[str, ...] = ()
    """Further answers, each of them as bad as `rejected`."""
    weight: float = 1.0
    """How much the row counts in a loss, above 0, however many answers it has."""
    agreement: float | None = None
    """Share of the votes for the chosen answer, in [0, 1]; None if the row does not say."""

    def __post_init__(self) -> None:
        if not self.id or not self.context:
            raise ValueError("id and context must not be empty")
        better, worse = ({text.strip() for text in side} for side in (self.all_chosen, self.all_rejected))
        if "" in better | worse or better & worse:
            raise ValueError("chosen and rejected must be different texts that are not blank")
        if self.margin is not None and not self.margin > 0:
            raise ValueError("margin must be a number above 0, or null")
        if not 0 < self.weight < float("inf"):
            raise ValueError("weight must be a number above 0")
        if self.agreement is not None and not 0 <= self.agreement <= 1:
            raise ValueError("agreement must be a share in [0, 1], or null")

    @property
    def all_chosen(self) -> tuple[str, ...]:
        """The better answers."""
        return self.chosen, *self.other_chosen

    @property
    def all_rejected(self) -> tuple[str, ...]:
        """The worse answers."""
        return self.rejected, *self.other_rejected

    @property
    def answers(self) -> list[tuple[str, Values, str]]:
        """Name, value and text of each answer: 1 for the better ones, 0 for the worse ones."""
        sides = (("chosen", 1.0, self.all_chosen), ("rejected", 0.0, self.all_rejected))
        return [
            (f"{self.id}/{side}" + (f"-{n}" if n > 1 else ""), (value,), text)
            for side, value, texts in sides
            for n, text in enumerate(texts, start=1)
        ]


@dataclass(frozen=True, slots=True)
class RatedAnswer:
    """An answer with the values that someone gave it."""

    id: str
    """Unique in its file."""
    context: str | tuple[Message, ...]
    """As that of a `Preference`."""
    answer: str
    """With the row's whitespace around it. Not blank."""
    values: Values
    """One for each of the names that were asked for."""

    @property
    def answers(self) -> list[tuple[str, Values, str]]:
        """Name, values and text of the only answer."""
        return [(self.id, self.values, self.answer)]


def read_preferences(path: Path, drops: Drops) -> Iterator[Preference]:
    """Yield the preferences of a file or folder, in order.

    A repeated pair is dropped. Rows with a pair that occurs in both directions are dropped, since nothing says which
    direction is right; so all is read before the first preference is yielded. Fields that are not read are named on
    standard error, with the number of rows that have them.

    Args:
        path: see `prm.data.reading`; of several splits, only `train` is read. A row's id is its `id`, `idx`,
            `prompt_id` or `pair_id`, followed by its number in the file if it is repeated; a row without these gets one
            from the file's name and its number.
        drops: records the rows that cannot be used, by the file's name and the number.

    Raises:
        InputError: the file cannot be read, or there are several splits, none of them `train`.
    """
    found = list(_preferences(path, drops))
    places: dict[_Pair, str] = {}
    for place, preference in found:
        for pair in _pairs(preference):
            places.setdefault(pair, place)
    for place, preference in found:
        pairs = _pairs(preference)
        reverse = next((places[back] for c, a, b in pairs if (back := (c, b, a)) in places), None)
        if reverse is not None:
            drops.add(place, BOTH_WAYS, f"reversed in {reverse}")
        elif all(places[pair] != place for pair in pairs):
            drops.add(place, TWICE, f"first in {places[pairs[0]]}")
        else:
            yield preference


def read_rated(path: Path, outputs: Sequence[str], drops: Drops) -> Iterator[RatedAnswer]:
    """Yield the rated answers of a file or folder, in order.

    Args:
        path: as in `read_preferences`, like the ids of the rows. A row has a context as a preference has, and one
            answer in `response`, as a text or as messages.
        outputs: names of the values, see `prm.data.rows.values_in`; empty for the one `value`.
        drops: records the rows that cannot be used, by the file's name and the number.

    Raises:
        InputError: as `read_preferences`; or no row has a value of some name.
    """
    names, given = outputs or ("value",), set[Values]()
    for _, fields in _usable(path, drops, partial(_rated_fields, outputs=names), partial(_unrated, outputs=names)):
        row = RatedAnswer(**fields)
        given.add(tuple(None if value is None else 0.0 for value in row.values))
        yield row
    require_every_output(path, names, given)


_Context = str | tuple[Message, ...]
_Answer = str | tuple[Message, ...]
"""An answer, or the messages that end in it."""
_Pair = tuple[_Context, str, str]


def _pairs(preference: Preference) -> list[_Pair]:
    sides = product(preference.all_chosen, preference.all_rejected)
    return [(preference.context, chosen.strip(), rejected.strip()) for chosen, rejected in sides]


def _preferences(path: Path, drops: Drops) -> Iterator[tuple[str, Preference]]:
    """The rows that can be used, each considered by itself, with their places: file and number."""
    for place, fields in _usable(path, drops, _fields, _unread):
        yield place, Preference(**fields)


def _usable(
    path: Path, drops: Drops, fields_of: Callable[[Row], dict[str, Any]], unread: Callable[[Row], Set[str]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Places and fields of the rows that can be used; `fields_of` gives all of these but the id."""
    taken, ignored = set[str](), Counter[str]()
    _tell_splits(path)
    for stem, number, row in read_source(path, _SPLIT):
        place = f"{stem}:{number}"
        try:
            if isinstance(row, RowError):
                raise row
            fields = fields_of(row)
        except RowError as error:
            drops.add(place, error.reason, error.detail)
            continue
        identity = optional_text(row, *_IDS) or f"{stem}-{number}"
        while identity in taken:
            identity += f":{number}"
        taken.add(identity)
        ignored.update(unread(row))
        yield place, {"id": identity, **fields}
    if ignored:
        named = ", ".join(f"{name} ({count:,})" for name, count in sorted(ignored.items()))
        console.say(f"{path}: ignored fields (in so many rows): {named}")


def _tell_splits(path: Path) -> None:
    """Say which splits are left out; refuse to choose between several."""
    splits = splits_in(path)
    if len(splits) > 1 and _SPLIT not in splits:
        raise InputError(f"{path}: holds the splits {', '.join(splits)}", "give the file, or a folder, of one of them")
    if others := [split for split in splits if split != _SPLIT and len(splits) > 1]:
        console.say(f"{path}: the split {_SPLIT} is read; left out: {', '.join(others)}")


def _unread(row: Row) -> set[str]:
    """Names of the fields of a row that hold something and are not read."""
    answers = next((names for names in _LABELED if set(names) <= row.keys()), None)
    prompt = next((name for name in _PROMPTS if row.get(name) is not None), "")
    read = {"system", "margin", "weight", *_IDS, prompt, *((*answers, "label") if answers else ("chosen", "rejected"))}
    read.update(_VOTES if _votes(row) else (), *(_SCORES if None not in _scores(row) else ()))
    return _filled(row) - read


def _unrated(row: Row, outputs: Sequence[str]) -> Set[str]:
    """The same of a rated row."""
    prompt = next((name for name in _PROMPTS if row.get(name) is not None), "")
    values = outputs if row.get("values") is None else ("values",)
    return _filled(row) - {"system", "response", prompt, *_IDS, *values}


def _filled(row: Row) -> set[str]:
    return {name for name, value in row.items() if value not in (None, "", [], {})}


def _rated_fields(row: Row, outputs: Sequence[str]) -> dict[str, Any]:
    """The fields of a rated answer but its id."""
    if row.get("response") is None:
        raise RowError(NO_RESPONSE)
    given = _given_context(row)
    before, answer = _split(_text_or_messages(row, "response"), given)
    if not answer.strip():
        raise RowError(EMPTY, "the response")
    try:
        values = values_in(row, outputs)
    except ValueError as error:
        raise RowError("a field of the wrong kind", str(error)) from error
    return {"context": _with_system(row, _checked(_joined(given, before))), "answer": answer, "values": values}


def _fields(row: Row) -> dict[str, Any]:
    """The fields of a preference but its id."""
    context, (chosen, *more_chosen), (rejected, *more_rejected) = _compared(row)
    return {
        "context": context,
        "chosen": chosen,
        "rejected": rejected,
        "margin": _margin(row),
        "other_chosen": tuple(more_chosen),
        "other_rejected": tuple(more_rejected),
        "weight": _weight(row),
        "agreement": _agreement(row),
    }


def pair_of(row: Row, *, may_be_same: bool = False) -> _Pair:
    """Context, chosen and rejected answer of a row with one of each; both the same only if `may_be_same`."""
    context, chosen, rejected = _compared(row, may_be_same=may_be_same)
    for name, answers in (("chosen", chosen), ("rejected", rejected)):
        if len(answers) > 1:
            raise RowError("a field of the wrong kind", f"{name!r} holds {len(answers)} answers")
    return context, chosen[0], rejected[0]


def _compared(row: Row, *, may_be_same: bool = False) -> tuple[_Context, Sequence[str], Sequence[str]]:
    """Context, better and worse answers, each at least one."""
    given = _given_context(row)
    better, worse = ([_split(answer, given) for answer in _answers(row, name)] for name in _names(row))
    before = better[0][0]
    if any(other != before for other, _ in (*better, *worse)):
        raise RowError(CONTEXTS_DIFFER, "the texts before the answers differ")
    sides = [list(dict.fromkeys(text for _, text in side)) for side in (better, worse)]
    for name, texts in zip(("chosen", "rejected"), sides, strict=True):
        if not all(text.strip() for text in texts):
            raise RowError(EMPTY, f"the {name} answer")
    if not may_be_same and {text.strip() for text in sides[0]} & {text.strip() for text in sides[1]}:
        raise RowError(SAME_TEXTS)
    return _with_system(row, _checked(_joined(given, before))), sides[0], sides[1]


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


def _answers(row: Row, name: str) -> list[_Answer]:
    """The answers in a field: one, or a list of them. A list of objects is one answer, as messages."""
    value = row.get(name)
    if value is None or value == []:
        raise RowError(NO_ANSWER, repr(name))
    if isinstance(value, list) and not isinstance(value[0], dict):
        return [_text_or_messages({name: item}, name) for item in value]
    return [_text_or_messages(row, name)]


def _text_or_messages(row: Row, name: str) -> _Answer:
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


def _split(answer: _Answer, given: _Context | None) -> tuple[_Context, str]:
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
    chosen, rejected = _scores(row)
    difference = None if chosen is None or rejected is None else chosen - rejected
    margin = _number(row, "margin")
    for value, said in ((margin, f"margin {margin}"), (difference, f"scores {chosen} and {rejected}")):
        if value is not None and value <= 0:
            raise RowError(WRONG_WAY_ROUND if value < 0 else TIE, said)
    return difference if margin is None else margin


def _scores(row: Row) -> tuple[float | None, float | None]:
    chosen, rejected = _SCORES
    return _number(row, *chosen), _number(row, *rejected)


def _weight(row: Row) -> float:
    weight = _number(row, "weight")
    if weight is not None and weight <= 0:
        raise RowError(NO_WEIGHT, f"weight {weight}")
    return 1.0 if weight is None else weight


_VOTES = ("votes_chosen", "votes_rejected", "votes")


def _votes(row: Row) -> tuple[float, float] | None:
    """Votes for the chosen and for the rejected answer; `votes` is the number of all. None without both."""
    if any(isinstance(row.get(name), list | dict | str) for name in _VOTES):
        return None
    chosen, rejected, total = (_number(row, name) for name in _VOTES)
    if rejected is None and chosen is not None and total is not None:
        rejected = total - chosen
    return None if chosen is None or rejected is None else (chosen, rejected)


def _agreement(row: Row) -> float | None:
    """Share of the votes for the chosen answer; as with scores, it must have the most."""
    votes = _votes(row)
    if votes is None:
        return None
    chosen, rejected = votes
    if min(votes) < 0:
        raise RowError("a field of the wrong kind", f"votes {chosen:g} and {rejected:g}")
    if chosen <= rejected:
        raise RowError(TIE if chosen == rejected else WRONG_WAY_ROUND, f"votes {chosen:g} and {rejected:g}")
    return chosen / (chosen + rejected)


def _number(row: Row, *names: str) -> float | None:
    """The first of these fields that is present and not null."""
    name = next((name for name in names if row.get(name) is not None), None)
    if name is None:
        return None
    value: Any = row[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise RowError("a field of the wrong kind", f"{name!r} is not a number")
    return float(value)
