"""Gold answers and questions as data sets write them: texts, numbers, several right answers, objects, options.

golds_of(["7", "8"])                    # ('7', '8'): either is right
question_of({"body": "Ann has 3 pens.", "question": "How many are left?"})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from string import ascii_uppercase
from typing import Any

from .rows import Row, first_field

GOLDS = (
    "answer", "gold", "final_answer", "expected_answer", "ground_truth", "target", "reference", "gold_solution",
    "solution", "reference_solution",
)  # fmt: skip
"""Usual names of the field with the gold answer, in the order in which they are looked for."""
QUESTIONS = ("question", "problem", "prompt", "input", "content")
"""Usual names of the field with the question."""
_VALUES = ("value", "answer", "text", "gold")
"""Where an object has its answer; TriviaQA's has further ones in `aliases`."""


def golds_of(value: Any) -> tuple[str, ...]:
    """The gold answers that a field holds, each of them right by itself; none for null, NaN and blank text.

    A list is several answers, an object its `value`, `answer`, `text` or `gold`, with its `aliases`.

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
        return (str(int(value)) if float(value).is_integer() else str(value),)
    if isinstance(value, Sequence):
        return tuple(dict.fromkeys(gold for item in value for gold in golds_of(item)))
    if isinstance(value, Mapping) and (found := first_field(dict(value), *_VALUES)) is not None:
        return golds_of([found, value.get("aliases")])
    raise ValueError(f"the gold answer is {value!r}, which is not a text, a number, or a list of them")


def plain_row(row: Row) -> Row:
    """The row with its fields' names in lower case: SVAMP has `Body`, `Question` and `Answer`."""
    return {name.casefold(): value for name, value in row.items()} | row


def question_of(row: Row) -> Any:
    r"""The question in a row, after its `body` (ASDiv, SVAMP) and before its `options`; None if it has none.

    >>> question_of({"question": "2 + 2?", "options": ["3", "4"]})
    '2 + 2?\nA) 3\nB) 4'
    """
    text = first_field(row, *QUESTIONS)
    if not isinstance(text, str):
        return text
    body, options = first_field(row, "body"), _options(first_field(row, "options"))
    before = f"{body.strip()} " if isinstance(body, str) and body.strip() else ""
    return before + "\n".join([text, *options])


def _options(value: Any) -> list[str]:
    """The options of a multiple-choice question, each after its letter."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        return []
    letters = ascii_uppercase[: len(value)]
    has_letters = all(text.lstrip(" (").startswith(letter) for letter, text in zip(letters, value, strict=False))
    return value if has_letters else [f"{letter}) {text}" for letter, text in zip(letters, value, strict=False)]
