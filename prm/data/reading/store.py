"""Rows that are looked up by their position, so that memory holds none of them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..rows import Row
from .forms import File, is_lines
from .lines import numbered_lines, parsed
from .sources import read_rows, sound


class RowStore:
    """The rows of a file or folder, each read on access. What is not lines of JSON is copied to a temporary file.

    Raises:
        InputError: as `read_rows`.
    """

    def __init__(self, source: Path) -> None:
        self.source = source
        self._copy = None if not source.is_dir() and is_lines(File(source)) else _copied(source)
        self._lines = source if self._copy is None else Path(self._copy.name)

    def __iter__(self) -> Iterator[tuple[int, int, Row]]:
        """Yield (number, position, row)."""
        for number, start, line in numbered_lines(self._lines):
            yield number, start, sound(self.source, number, parsed(line))

    def at(self, number: int, start: int) -> Row:
        """The row with this number, at this position."""
        with self._lines.open("rb") as file:
            file.seek(start)
            return sound(self.source, number, parsed(file.readline()))


def _copied(source: Path) -> tempfile._TemporaryFileWrapper[str]:
    """The rows as lines of JSON; blank lines keep their numbers."""
    copy = tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".jsonl")  # noqa: SIM115  # deleted with the store
    at = 1
    for number, row in read_rows(source):
        copy.write("\n" * (number - at) + json.dumps(row, ensure_ascii=False, default=str) + "\n")
        at = number + 1
    copy.flush()
    return copy
