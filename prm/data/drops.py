"""Rows that a stage could not use: each is recorded with its reason, and counted in the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from .files import read_records, write_records
from .records import Drop


def drops_path(output: Path) -> Path:
    """The file of an output's drops."""
    return output.with_name(output.name + ".dropped.jsonl")


class Drops:
    """Collects dropped rows, and writes them beside the output as `<output>.dropped.jsonl`."""

    def __init__(self) -> None:
        self._rows: list[Drop] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Drop]:
        return iter(self._rows)

    def add(self, identity: str, reason: str, detail: str = "") -> None:
        """Record that the row `identity` is dropped for `reason`; see `Drop`."""
        self._rows.append(Drop(identity, reason, detail))

    def by_reason(self) -> dict[str, int]:
        """Number of dropped rows for each reason."""
        return dict(Counter(row.reason for row in self._rows))

    @classmethod
    def read(cls, output: Path) -> Drops:
        """The drops that `write` left beside `output`."""
        drops, path = cls(), drops_path(output)
        if path.exists():
            drops._rows.extend(read_records(path, Drop))
        return drops

    def write(self, output: Path) -> Path | None:
        """Write the drops beside `output`; if nothing was dropped, write no file and return None."""
        path = drops_path(output)
        path.unlink(missing_ok=True)
        if not self._rows:
            return None
        write_records(path, self._rows)
        return path
