"""Scores of chains as an evaluation reads them: our own files and those of other tools, see `prm.scoring.foreign`.

    {"chain_id": "p/0", "scores": [0.9, 0.2], "kind": "prm"}     ours
    {"id": "p/0", "scores": [0.9, 0.2]}                          one score per step
    {"id": "p/0", "score": 1.7}                                  one score for the whole chain

A row of one chain may have `tokens` and `seconds`: what scoring it took. Scores are held as one array of numbers, so
millions fit.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Literal

import numpy as np

from prm.data.drops import Drops
from prm.data.reading import read_source
from prm.data.records import StepScores
from prm.data.rows import RowError
from prm.errors import InputError, OutputError
from prm.scoring.foreign import Links, rows_of_scores, scored
from prm.scoring.jobs import score
from prm.scoring.scorer import Scorer
from prm.statistics.aggregation import AGGREGATORS, Segments, aggregate_many
from prm.statistics.arrays import Floats, Ints


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
    faults: Mapping[str, str] = field(default_factory=dict)
    """Why the scores of a chain could not be read, by its id: file, row and value."""
    costs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """What scoring a chain took, by its id: "tokens" and "seconds", where the rows tell."""

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


def read_scores(path: Path, drops: Drops | None = None, links: Links | None = None) -> ScoreTable:
    """Read a file or folder of scores, ours or another tool's.

    Args:
        path: see `prm.data.reading`.
        drops: receives rows without scores or without a chain; a chain whose scores cannot be read is noted in the
            table. None to stop at the first of either.
        links: the chains of the suite, for rows that name them in another way; None to take ids as they are.

    Raises:
        InputError: no row can be used, an id comes twice, or PRM and ORM scores are mixed; names file and row.
    """
    costs: dict[str, dict[str, float]] = {}
    table = _table(str(path), _rows(path, drops, links or Links(), costs))
    return replace(table, costs=costs)


_HINT = "each row must have 'chain_id' or 'id', and 'scores' (one per step) or 'score'"
_Rows = Iterable[tuple[int, str, Sequence[float] | RowError, str]]


def _rows(path: Path, drops: Drops | None, links: Links, costs: dict[str, dict[str, float]]) -> _Rows:
    """The scores in a file; what they cost is added to `costs`."""
    for stem, number, row in read_source(path, unpack=rows_of_scores):
        try:
            if isinstance(row, RowError):
                raise row
            found = list(scored(row, links))
            fault = next((scores for _, scores, _ in found if isinstance(scores, RowError)), None)
            if fault is not None and drops is None:
                raise fault
        except RowError as error:
            if drops is None:
                raise InputError(f"{path}:{number}: {error}", _HINT) from error
            drops.add(f"{stem}:{number}", error.reason, error.detail)
            continue
        for chain_id, scores, kind in found:
            yield number, chain_id, scores, kind
        if len(found) == 1 and (cost := {name: row[name] for name in _COSTS if name in row and _is_amount(row[name])}):
            costs[found[0][0]] = cost


_COSTS = ("tokens", "seconds")


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _table(name: str, rows: _Rows) -> ScoreTable:
    places: dict[str, int] = {}
    faults: dict[str, str] = {}
    values, flat = [np.empty(0)], list[float]()
    lengths, first = list[int](), ""
    for number, chain_id, scores, kind in rows:
        if chain_id in faults or places.setdefault(chain_id, len(lengths)) != len(lengths):
            raise InputError(f"{name}:{number}: chain id {chain_id!r} comes twice", "ids must be unique in a file")
        if kind and kind != (first := first or kind):
            raise InputError(f"{name}:{number}: mixes PRM and ORM scores", "give one file per scorer")
        if isinstance(scores, RowError):
            faults[chain_id] = f"{name}:{number}: {scores}"
            del places[chain_id]
            continue
        flat += scores
        lengths.append(len(scores))
        if len(flat) > 2**20:
            values.append(np.array(flat, dtype=float))
            flat.clear()
    if not lengths:
        why = f": {next(iter(faults.values()))}" if faults else ""
        raise InputError(f"{name}: holds no scores{why}", _HINT if faults else "score the chains first")
    return ScoreTable(
        kind="prm" if first == "prm" else "orm",
        rows=places,
        values=np.concatenate([*values, np.array(flat, dtype=float)]),
        starts=np.concatenate([[0], np.cumsum(np.array(lengths, dtype=np.int64))]).astype(np.int64),
        faults=faults,
    )


def scored_by(
    model: str | os.PathLike[str] | Scorer, problems: Path, chains: Path, path: Path, *, overwrite: bool
) -> ScoreTable:
    """Score chains with a model into a file, and read it; goes on after a kill.

    Scores that are there already are taken; those made in another way are replaced if `overwrite` says so.
    """
    make = partial(score, model, problems, chains, path)
    try:
        make()
    except OutputError:
        if not overwrite:
            raise
        make(overwrite=True)
    return read_scores(path)
