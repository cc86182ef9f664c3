"""Rows → typed values: msgspec checks each field against its annotation, and a fault names the field and its value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from reprlib import repr as short
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

T = TypeVar("T")


def converted(row: Mapping[str, Any], kind: type[T]) -> T:
    """The row as a dataclass; lists become tuples, and integers floats, as the annotations say.

    Unknown fields are ignored. Null in a field with a default means the default.

    Raises:
        ValueError: names a field that is missing or of the wrong type, or comes from the class's `__post_init__`.
    """
    required = _required(kind)  # type: ignore[arg-type]  # a class is hashable, whatever mypy makes of type[T]
    missing = [name for name in required if name not in row]
    if missing:
        raise ValueError(f"lacks the field {', '.join(map(repr, missing))}")
    given = {name: value for name, value in row.items() if value is not None or name in required}
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise ValueError(_fault(str(error), row, kind)) from error


@cache
def _required(kind: Any) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING)


def _fault(message: str, row: Mapping[str, Any], kind: Any) -> str:
    """A message of msgspec with field and value. One without a place comes from `__post_init__` and stays as it is.

    >>> from prm.data.records import StepScores
    >>> _fault("Expected `float`, got `str` - at `$.scores[1]`", {"scores": [0.5, "x"]}, StepScores)
    "field 'scores[1]' is 'x': expected float, got str"
    >>> _fault("Invalid enum value 'PRM' - at `$.kind`", {"kind": "PRM"}, StepScores)
    "field 'kind' is 'PRM': expected one of 'prm', 'orm'"
    """
    said, _, place = message.partition(" - at `$.")
    if not place:
        return message
    path, value = place.rstrip("`"), row
    for name, index in re.findall(r"(\w+)|\[(\d+)\]", path.partition("[...]")[0]):
        value = value[name] if name else value[int(index)]  # type: ignore[index]
    choices = _choices(get_type_hints(kind)[re.split(r"\W", path)[0]]) if "enum" in said else ()
    wanted = f"expected one of {', '.join(map(repr, choices))}" if choices else said[0].lower() + said[1:]
    return f"field {path!r} is {short(value)}: {wanted.replace('`', '')}"


def _choices(hint: Any) -> list[str]:
    """The values of a Literal, at any depth of a type."""
    return [hint] if isinstance(hint, str) else [text for part in get_args(hint) for text in _choices(part)]
