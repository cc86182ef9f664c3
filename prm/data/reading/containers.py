"""One JSON value that holds many rows: a list, an object around a list, an object of columns or of rows by id.

    [{…}, {…}]                              a list of rows
    {"data": [{…}, {…}]}                    an object around one, also under "rows", "results" and the like
    {"id": [1, 2], "prompt": ["a", "b"]}    columns, as `Dataset.to_dict` has them; other values stand for every row
    {"id": {"0": 1, "1": 2}, …}             columns, as `DataFrame.to_json` has them
    {"a": {"prompt": "…"}, "b": {…}}        rows by their ids

Any other object is a row itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..rows import Row

_AROUND = ("data", "rows", "examples", "instances", "records", "items", "results", "problems", "samples", "outputs")
"""Usual names of the list in an object around one."""
_NAMING = (
    "id", "idx", "chain_id", "problem_id", "unique_id", "pair_id",
    "question", "problem", "prompt", "input", "instruction", "text",
)  # fmt: skip
"""Fields that are one text or number in every row, so that a list of these is a column."""

_TELLING = ("steps", "solution", "completion", "scores", "score", "chosen", "answer")
"""Further fields that tell a row from a part of one."""


def rows_in(value: Any) -> list[Any]:
    """The rows in a JSON value that is the whole of a file.

    >>> rows_in({"data": [{"question": "1 + 1?"}]})
    [{'question': '1 + 1?'}]
    >>> rows_in({"id": ["a", "b"], "score": [1, 2], "model": "RM"})
    [{'id': 'a', 'score': 1, 'model': 'RM'}, {'id': 'b', 'score': 2, 'model': 'RM'}]
    >>> rows_in({"a": {"question": "1 + 1?"}, "b": {"question": "2 + 2?"}})
    [{'question': '1 + 1?', 'id': 'a'}, {'question': '2 + 2?', 'id': 'b'}]
    >>> rows_in({"question": "1 + 1?", "steps": ["2"]})
    [{'question': '1 + 1?', 'steps': ['2']}]
    """
    if isinstance(value, list):
        return [_of_server(row) for row in value]
    if not isinstance(value, dict):
        return [value]
    around = [name for name in _AROUND if is_objects(value.get(name))]
    if len(around) == 1 and not any(_is_scalar(value.get(name)) for name in _NAMING):
        return [_of_server(row) for row in value[around[0]]]
    columns = _of_frame(value) or value
    if any(_is_column(columns.get(name)) for name in _NAMING):
        return _of_columns(columns)
    return _by_id(value) or [value]


def rows_by_key(value: Any) -> list[Any]:
    """The rows in an object that has only lists of objects, whatever its keys; else as `rows_in`.

    >>> rows_by_key({"q1": [{"a": 1}], "q2": [{"a": 2}, {"a": 3}]})
    [{'a': 1}, {'a': 2}, {'a': 3}]
    """
    if isinstance(value, dict) and value and all(map(is_objects, value.values())):
        return [row for rows in value.values() for row in rows]
    return rows_in(value)


def is_objects(value: Any) -> bool:
    """Whether a value is a list of objects, at least one."""
    return isinstance(value, list) and bool(value) and all(isinstance(part, dict) for part in value)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _is_column(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_scalar, value))


def _of_server(row: Any) -> Any:
    """A row as the Hub's server wraps it; any other as it is."""
    return row["row"] if isinstance(row, dict) and {"row_idx", "row"} <= row.keys() else row


def _of_frame(value: Mapping[str, Any]) -> Row:
    """The columns of an object in which each is an object from the same indices; none if it is something else."""
    indices = {tuple(column) if isinstance(column, dict) else () for column in value.values()}
    is_frame = len(indices) == 1 and () not in indices
    return {name: list(column.values()) for name, column in value.items()} if is_frame else {}


def _of_columns(columns: Mapping[str, Any]) -> list[Row]:
    """The rows of columns; a value that is not as long as they are belongs to each row."""
    count = next(len(columns[name]) for name in _NAMING if _is_column(columns.get(name)))
    long = {name for name, values in columns.items() if isinstance(values, list) and len(values) == count}
    return [{name: v[i] if name in long else v for name, v in columns.items()} for i in range(count)]


def _by_id(value: Mapping[str, Any]) -> list[Row]:
    """The rows of an object of rows by their ids; none if it is something else."""
    rows = list(value.values())
    if len(rows) < 2 or not all(isinstance(row, dict) for row in rows):
        return []
    if not set.intersection(*map(set, rows)) & {*_NAMING, *_TELLING}:
        return []
    return [{**row, "id": row.get("id", identity)} for identity, row in value.items()]
