"""Rows that are looked up by their position, so that memory holds none of them."""

from __future__ import annotations

import json
import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

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
        self.source = self._lines = source
        if source.is_dir() or not is_lines(File(source)):
            handle, name = tempfile.mkstemp(suffix=".jsonl", prefix="prm-")
            self._lines = Path(name)
            weakref.finalize(self, _delete, self._lines, os.getpid())
            with os.fdopen(handle, "w", encoding="utf-8") as copy:
                _write(copy, source)

    def __iter__(self) -> Iterator[tuple[int, int, Row]]:
        """Yield (number, position, row)."""
        for number, start, line in numbered_lines(self._lines):
            yield number, start, sound(self.source, number, parsed(line))

    def at(self, number: int, start: int) -> Row:
        """The row with this number, at this position."""
        with self._lines.open("rb") as file:
            file.seek(start)
            return sound(self.source, number, parsed(file.readline()))


def _write(copy: TextIO, source: Path) -> None:
    """Write the rows as lines of JSON, each in the line of its number."""
    at = 1
    for number, row in read_rows(source):
        copy.write("\n" * (number - at) + json.dumps(row, ensure_ascii=False, default=str) + "\n")
        at = number + 1


def _delete(path: Path, owner: int) -> None:
    """Delete a copy at the end of the process that made it, not of one forked from it."""
    if os.getpid() == owner:
        path.unlink(missing_ok=True)
