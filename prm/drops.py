"""Rows that a stage could not use: each is written down with its reason, and counted in the summary."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path


class Drops:
    """Collects what is dropped, and writes it beside the output as `<output>.dropped.jsonl`."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, str]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, identity: str, reason: str, detail: str = "") -> None:
        """Note that the row `identity` is dropped for `reason`, one of a few fixed phrases; `detail` says more."""
        self._rows.append((identity, reason, detail))

    def by_reason(self) -> dict[str, int]:
        """How many rows were dropped for each reason."""
        return dict(Counter(reason for _, reason, _ in self._rows))

    def write(self, output: Path) -> Path | None:
        """Write the list beside `output`; None, and no file, where nothing was dropped."""
        path = output.with_name(output.name + ".dropped.jsonl")
        path.unlink(missing_ok=True)
        if not self._rows:
            return None
        rows = [{"id": i, "reason": r, "detail": d} for i, r, d in self._rows]
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return path
