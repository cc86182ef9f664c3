"""Files of pairwise outcomes, and of the values that are recovered from them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from prm.errors import InputError
from prm.statistics.strengths import Comparison

from .rows import read_rows
from .writing import write_lines

SCHEMA = "chain-value/1"


def read_comparisons(path: Path) -> Iterator[Comparison]:
    """Yield the comparisons of a JSONL file of `winner`, `loser`, and, where they are given, `weight` and `tie`.

    A row with `"tie": true` gives two comparisons.

    Raises:
        InputError: naming file, line and field, for a row that is no comparison.
    """
    for number, row in read_rows(path):
        try:
            yield from _comparisons(row)
        except ValueError as error:
            raise InputError(
                f"{path}:{number}: {error}", 'rows must be like {"winner": "c1", "loser": "c2"}'
            ) from error


def _comparisons(row: Mapping[str, Any]) -> Iterator[Comparison]:
    winner, loser = _id(row, "winner"), _id(row, "loser")
    weight, is_tie = row.get("weight"), row.get("tie")
    if winner == loser:
        raise ValueError(f"field 'loser' is {loser!r}, as is 'winner'")
    if weight is not None and not (_is_finite(weight) and weight > 0):
        raise ValueError(f"field 'weight' is {weight!r}, not a number above 0")
    if not isinstance(is_tie, bool | None):
        raise ValueError(f"field 'tie' is {is_tie!r}, not true or false")
    share = float(1 if weight is None else weight) / (2 if is_tie else 1)
    yield Comparison(winner, loser, share)
    if is_tie:
        yield Comparison(loser, winner, share)


def write_values(path: Path, values: Mapping[str, float], comparisons: Iterable[tuple[str, str, float]]) -> int:
    """Write values, a row of `chain-value/1` each, whole or not at all; return how many.

    Args:
        path: where to.
        values: from `strengths`.
        comparisons: those that they were recovered from; each row says what weight of them its item took part in.

    Raises:
        OutputError: the file cannot be written.
    """
    totals = dict.fromkeys(values, 0.0)
    for winner, loser, weight in comparisons:
        totals[winner] += weight
        totals[loser] += weight
    return write_lines(path, (_value_row(identity, value, totals[identity]) for identity, value in values.items()))


def _value_row(identity: str, value: float, comparisons: float) -> str:
    row = {"schema": SCHEMA, "chain_id": identity, "value": value, "comparisons": comparisons}
    return json.dumps(row, ensure_ascii=False)


def read_values(path: Path) -> dict[str, float]:
    """Chain id → value, from a file that `prm strengths` wrote, or one with `chain_id` and `value` in each row.

    Raises:
        InputError: naming file, line and field, for a row that is none, or an id that comes twice.
    """
    values: dict[str, float] = {}
    for number, row in read_rows(path):
        try:
            identity, value = _value(row)
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}", f"this must be a {SCHEMA} file") from error
        if identity in values:
            raise InputError(f"{path}:{number}: chain id {identity!r} comes twice", "ids must be unique in a file")
        values[identity] = value
    return values


def _value(row: Mapping[str, Any]) -> tuple[str, float]:
    if row.get("schema", SCHEMA) != SCHEMA:
        raise ValueError(f"field 'schema' is {row['schema']!r}, not {SCHEMA!r}")
    identity, value = _id(row, "chain_id"), row.get("value")
    if not _is_finite(value):
        raise ValueError(f"field 'value' is {value!r}, not a finite number")
    return identity, float(value)


def _id(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"field {name!r} is {value!r}, not an id (a text that is not empty)")
    return value


def _is_finite(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
