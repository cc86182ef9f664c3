"""Scores of chains as an evaluation reads them: our own files and those of other tools.

    {"chain_id": "p/0", "scores": [0.9, 0.2], "kind": "prm"}     ours
    {"id": "p/0", "scores": [0.9, 0.2]}                          one score per step
    {"id": "p/0", "score": 1.7}                                  one score for the whole chain

They are held as one array of numbers, so millions fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from prm.data.records import StepScores
from prm.errors import InputError
from prm.statistics.aggregation import AGGREGATORS, Segments, aggregate_many
from prm.statistics.arrays import Floats, Ints

_SHAPE = "each line must be an object with 'chain_id' or 'id', and 'scores' (one per step) or 'score'"


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """The scores of one scorer."""

    kind: Literal["prm", "orm"]
    rows: dict[str, int]
    """Chain id to its place."""
    values: Floats
    """All scores, chain after chain."""
    starts: Ints
    """Where each chain's scores begin, and finally where the last ones end."""

    def __contains__(self, chain_id: str) -> bool:
        return chain_id in self.rows

    def has_all(self, chain_ids: Iterable[str]) -> bool:
        """Whether each of these chains was scored."""
        return all(map(self.rows.__contains__, chain_ids))

    def __getitem__(self, chain_id: str) -> Floats:
        row = self.rows[chain_id]
        return self.values[self.starts[row] : self.starts[row + 1]]

    def places(self, chain_ids: Sequence[str]) -> Ints:
        """The places of these chains; -1 if not scored."""
        return np.fromiter(map(self.rows.get, chain_ids, repeat(-1)), dtype=np.int64, count=len(chain_ids))

    @property
    def aggregators(self) -> tuple[str, ...]:
        """Names of aggregators to try; "" for an ORM, whose single score needs none."""
        return tuple(AGGREGATORS) if self.kind == "prm" else ("",)

    def aggregated(self, aggregator: str) -> Floats:
        """`prm.aggregate` of every chain, by place; the single score for an ORM. Raises as it does."""
        return aggregate_many(Segments.of(self.values, self.starts), aggregator or "last")

    def lowest_is_last(self) -> Floats:
        """By place: 1 if a chain's last score is below all before it, else 0; nan with fewer than two scores."""
        others = self.values.copy()
        long = np.diff(self.starts) > 1
        last = self.starts[1:][long] - 1
        others[last] = np.inf
        is_last = np.full(len(self.starts) - 1, np.nan)
        is_last[long] = self.values[last] < Segments.of(others, self.starts).reduced("minimum")[long]
        return is_last


def table_of(records: Iterable[StepScores]) -> ScoreTable:
    """The table of these records.

    Raises:
        InputError: PRM and ORM scores are mixed.
    """
    return _table("the stored scores", ((i, r.chain_id, r.scores, r.kind) for i, r in enumerate(records, start=1)))


def read_scores(path: Path) -> ScoreTable:
    """Read a file of scores, ours or another tool's.

    Raises:
        InputError: a row has another shape, a number is not finite, an id comes twice, or PRM and ORM scores are
            mixed; the message names file and line.
    """
    return _table(str(path), _rows(path))


class _ScoreRow(msgspec.Struct):
    """A line; other fields are ignored."""

    chain_id: str | int | None = None
    id: str | int | None = None
    scores: list[float] | None = None
    score: float | None = None
    kind: Literal["prm", "orm"] = "prm"


def _rows(path: Path) -> Iterable[tuple[int, str, Sequence[float], str]]:
    read = msgspec.json.Decoder(_ScoreRow).decode
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.isspace():
                    yield number, *_row(path, number, line, read)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", "check the path") from error


def _row(path: Path, number: int, line: bytes, read: Callable[[bytes], _ScoreRow]) -> tuple[str, Sequence[float], str]:
    try:
        row = read(line)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}:{number}: {error}", _SHAPE) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}:{number}: is not JSON: {error}", "fix or delete that line") from error
    chain_id = row.id if row.chain_id is None else row.chain_id
    if chain_id is None or chain_id == "":
        raise InputError(f"{path}:{number}: has no chain id", _SHAPE)
    if row.scores is not None:
        return str(chain_id), row.scores, row.kind
    if row.score is None:
        raise InputError(f"{path}:{number}: has no scores", _SHAPE)
    return str(chain_id), [row.score], "orm"


def _table(name: str, rows: Iterable[tuple[int, str, Sequence[float], str]]) -> ScoreTable:
    places: dict[str, int] = {}
    values, flat = [np.empty(0)], list[float]()
    lengths, first = list[int](), ""
    for number, chain_id, scores, kind in rows:
        if places.setdefault(chain_id, len(lengths)) != len(lengths):
            raise InputError(f"{name}:{number}: chain id {chain_id!r} comes twice", "ids must be unique in a file")
        if kind != (first := first or kind):
            raise InputError(f"{name}:{number}: mixes PRM and ORM scores", "give one file per scorer")
        if kind == "orm" and len(scores) != 1:
            raise InputError(f"{name}:{number}: an ORM gives exactly one score per chain", "is it the right file?")
        flat += scores
        lengths.append(len(scores))
        if len(flat) > 2**20:
            values.append(np.array(flat, dtype=float))
            flat.clear()
    if not lengths:
        raise InputError(f"{name}: holds no scores", "score the chains first")
    return ScoreTable(
        kind="orm" if first == "orm" else "prm",
        rows=places,
        values=np.concatenate([*values, np.array(flat, dtype=float)]),
        starts=np.concatenate([[0], np.cumsum(np.array(lengths, dtype=np.int64))]).astype(np.int64),
    )
