"""A row of a file: a fault in it, and the question, the gold answers and the values that it holds.

golds_of(["7", "8"])                    # ('7', '8'): either is right
question_of({"body": "Ann has 3 pens.", "question": "How many are left?"})
values_in({"helpfulness": 4, "verbosity": 2}, ["verbosity"])   # (2.0,)
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from pathlib import Path
from reprlib import repr as short
from string import ascii_uppercase
from typing import Any

from prm.errors import InputError

Row = dict[str, Any]
Values = tuple[float | None, ...]
"""The values of a chain, one for each output of a model; None for one that is not known."""
_LARGEST = sys.float_info.max

_GOLDS = (
    "answer", "gold", "final_answer", "expected_answer", "ground_truth", "target", "reference", "gold_solution",
    "solution", "reference_solution",
)  # fmt: skip
"""Usual names of the field with the gold answer, in the order in which they are looked for."""
_QUESTIONS = ("question", "problem", "prompt", "input", "content")
"""Usual names of the field with the question."""
_DEEPEST = 4
"""Lists within lists of gold answers that are read."""
_VALUES = ("value", "answer", "text", "gold")
"""Where an object has its answer; TriviaQA's has further ones in `aliases`."""


class RowError(Exception):
    """A row that does not follow its format; a `Drop` without its id."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


def optional_text(row: Row, *names: str) -> str | None:
    """The first of these fields that is present and not null, as text: some files have numbers as ids and answers.

    >>> optional_text({"gold": None, "answer": 7}, "gold", "answer")
    '7'
    """
    value = first_field(row, *names)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a table with gaps makes floats of whole numbers
    return None if value is None else str(value)


def first_field(row: Row, *names: str) -> Any:
    """The first of these fields that is present and neither null nor NaN; None if there is none."""
    return next((row[name] for name in names if row.get(name) is not None and row[name] == row[name]), None)


def golds_in(row: Row) -> tuple[str, ...]:
    """The gold answers of a row: in the first of the usual fields that has any, and its `other_answers`.

    Raises:
        ValueError: as `golds_of`.
    """
    names = (*_GOLDS, "correct") if "options" in row else _GOLDS
    found = next((golds for name in names if (golds := golds_of(row.get(name)))), ())
    return tuple(dict.fromkeys((*found, *golds_of(row.get("other_answers"))))) if found else ()


def golds_of(value: Any, depth: int = 0) -> tuple[str, ...]:
    """The gold answers that a field holds, each of them right by itself; none for null, NaN and blank text.

    A list is several answers, an object its `value`, `answer`, `text` or `gold`, with its `aliases`; `depth` is how
    deep in lists it stands.

    Raises:
        ValueError: the field holds something that no text can be compared with, such as true.

    >>> golds_of("7 (jars)"), golds_of(7.0), golds_of(["7", 8]), golds_of({"value": 7})
    (('7 (jars)',), ('7',), ('7', '8'), ('7',))
    """
    if value is None or (isinstance(value, float) and isnan(value)):
        return ()
    if isinstance(value, str):
        return (value,) if value.strip() else ()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (str(int(value) if isinstance(value, float) and value.is_integer() else value),)
    if isinstance(value, Sequence) and depth < _DEEPEST:
        return tuple(dict.fromkeys(gold for item in value for gold in golds_of(item, depth + 1)))
    if isinstance(value, Mapping) and (found := first_field(dict(value), *_VALUES)) is not None:
        return golds_of([found, value.get("aliases")], depth)
    raise ValueError(f"the gold answer is {short(value)}, which is not a text, a number, or a list of them")


def plain_row(row: Row) -> Row:
    """The row with its fields' names in lower case: SVAMP has `Body`, `Question` and `Answer`."""
    return {name.casefold(): value for name, value in row.items()} | row


def question_of(row: Row) -> Any:
    r"""The question in a row, after its `body` (ASDiv, SVAMP) and before its `options`; None if it has none.

    >>> question_of({"question": "2 + 2?", "options": ["3", "4"]})
    '2 + 2?\nA) 3\nB) 4'
    """
    text = first_field(row, *_QUESTIONS)
    if not isinstance(text, str):
        return text
    body, options = first_field(row, "body"), _options(first_field(row, "options"))
    before = f"{body.strip()} " if isinstance(body, str) and body.strip() else ""
    return before + "\n".join([text, *options])


def _options(value: Any) -> list[str]:
    """The options of a multiple-choice question, each after its letter."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [f"{letter}) {text}" for letter, text in value.items()]
    if not isinstance(value, list) or len(value) > len(ascii_uppercase):
        return []
    texts = list(map(str, value))
    has_letters = all(
        text.lstrip(" (").startswith(tuple(letter + mark for mark in ").:"))
        for letter, text in zip(ascii_uppercase, texts, strict=False)
    )
    return texts if has_letters else [f"{letter}) {text}" for letter, text in zip(ascii_uppercase, texts, strict=False)]


def values_in(row: Row, outputs: Sequence[str]) -> Values:
    """The values of these names in a row: in its object `values` or, without one, in fields of their own.

    >>> values_in({"helpfulness": 3, "verbosity": None}, ["helpfulness", "verbosity"])
    (3.0, None)

    Raises:
        ValueError: one is no finite number; names the field.
    """
    given = row if row.get("values") is None else row["values"]
    if not isinstance(given, Mapping):
        raise ValueError(f"field 'values' is {short(given)}: expected an object")
    return tuple(_finite(name, given.get(name)) for name in outputs)


def _finite(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise ValueError(f"field {name!r} is {short(value)}: expected a finite number")
    return float(value)


def require_every_output(path: Path, outputs: Sequence[str], rows: Iterable[Values]) -> None:
    """Refuse a name that none of the rows of a file has a value of; of no rows, nothing is known.

    Raises:
        InputError: there are such names.
    """
    missing = {tuple(value is None for value in values) for values in rows}
    if lacking := [name for name, column in zip(outputs, zip(*missing, strict=True), strict=False) if all(column)]:
        named = ", ".join(map(repr, lacking))
        raise InputError(f"{path}: no row has a value of {named}", "mend the names of the outputs")


def are_value_names(names: object) -> bool:
    """Whether these are a tuple of different names of values, of which none looks like a weighted sum of several."""
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        return False
    is_each = (name.strip() == name != "" and not {"=", ","} & set(name) for name in names)
    return all(is_each) and len(set(names)) == len(names)
