"""Lines of JSON: one value a line, each parsed by itself, so that one that is broken costs no other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from prm.errors import InputError

from ..rows import RowError

NOT_JSON = "not a JSON object"
NOT_TEXT = "text that is not UTF-8"
"""Reasons for a row that cannot be read."""
MARK = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8, which some editors put before the first line."""


def parsed(text: bytes) -> Any:
    """The value of a JSON text in UTF-8, or a `RowError` that says why it cannot be read.

    >>> parsed(b'{"a": [1]}'), str(parsed(b"{"))
    ({'a': [1]}, 'not a JSON object: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)')
    """
    try:
        return _decoded(text)
    except (ValueError, RecursionError):
        return _parsed(text)


_decoded = msgspec.json.Decoder().decode
"""Fast, but refuses NaN, which Python writes, and says less of what is wrong."""


def _parsed(text: bytes) -> Any:
    try:
        value = json.loads(text.removeprefix(MARK).decode("utf-8"))
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate could never be written again
    except UnicodeError as error:
        return RowError(NOT_TEXT, str(error))
    except ValueError as error:
        return RowError(NOT_JSON, str(error))
    except RecursionError:
        return RowError(NOT_JSON, "nested too deeply")
    return value


def numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line) for every line that is not blank."""
    return ((number, line) for number, line in enumerate(lines, start=1) if line.strip())


def numbered_lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield (line number from 1, offset in bytes, line) for every line of a file that is not blank.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = 0
            for number, line in enumerate(file, start=1):
                if not line.isspace():
                    yield number, start, line
                start += len(line)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", "check the path") from error
