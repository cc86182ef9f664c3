"""Tables of numbers: as text for the page, and as plain numbers for files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; the first column names the row."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Data:
    """Rows of values, unrounded; None where undefined."""

    header: tuple[str, ...]
    rows: tuple[tuple[str | float | bool | None, ...], ...]
