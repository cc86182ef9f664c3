"""Rows that a stage could not use: each is written down with its reason, and counted in the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from .files import write_records
from .records import Drop


def drops_path(output: Path) -> Path:
    """Where the drops of an output are written down."""
    return output.with_name(output.name + ".dropped.jsonl")


class Drops:
    """Collects what is dropped, and writes it beside the output as `<output>.dropped.jsonl`."""

    def __init__(self) -> None:
        self._rows: list[Drop] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Drop]:
        return iter(self._rows)

    def add(self, identity: str, reason: str, detail: str = "") -> None:
        """Note that the row `identity` is dropped for `reason`; see `Drop`."""
        self._rows.append(Drop(identity, reason, detail))

    def by_reason(self) -> dict[str, int]:
        """How many rows were dropped for each reason."""
        return dict(Counter(row.reason for row in self._rows))

    def write(self, output: Path) -> Path | None:
        """Write the list beside `output`; None, and no file, where nothing was dropped."""
        path = drops_path(output)
        path.unlink(missing_ok=True)
        if not self._rows:
            return None
        write_records(path, self._rows)
        return path
