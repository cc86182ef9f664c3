"""Rows of JSONL files: one JSON object per line. An error names file and line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prm.errors import InputError

Row = dict[str, Any]


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield (line number from 1, object) for every line that is not blank.

    Raises:
        InputError: the file cannot be read, or a line is not one JSON object.
    """
    for number, _, line in numbered_lines(path):
        yield number, parse_line(path, number, line)


def numbered_lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield (line number from 1, offset in bytes, line) for every line that is not blank."""
    try:
        with path.open("rb") as file:
            start = 0
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, start, line
                start += len(line)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", "check the path") from error


def parse_line(path: Path, number: int, line: bytes) -> Row:
    """The object in a line.

    Raises:
        InputError: the line is not one JSON object in UTF-8.
    """
    try:
        row = json.loads(line.decode("utf-8"))
        if b"\\u" in line:  # only an escape can spell a lone surrogate, which could never be written again
            json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeError as error:
        raise InputError(f"{path}:{number}: is not UTF-8 text: {error}", "convert it to UTF-8") from error
    except ValueError as error:
        raise InputError(f"{path}:{number}: is not JSON: {error}", "fix or delete that line") from error
    except RecursionError as error:
        raise InputError(f"{path}:{number}: is nested too deeply", "fix or delete that line") from error
    if not isinstance(row, dict):
        raise InputError(f"{path}:{number}: is not a JSON object", "each line must be one object: {…}")
    return row


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
