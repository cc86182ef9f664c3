"""Files of pairwise outcomes, and of the values of chains: those estimated from them, or ratings by several names."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from prm.errors import InputError
from prm.statistics.strengths import PairOutcome

from .converting import converted
from .reading import read_rows
from .rows import Values, require_every_output, values_in
from .writing import write_lines

SCHEMA = "chain-value/1"

_Id = Annotated[str, Meta(min_length=1)]
_LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A row of a file of comparisons."""

    winner: _Id
    loser: _Id
    weight: Annotated[float, Meta(gt=0, le=_LARGEST)] = 1.0
    tie: bool = False

    def __post_init__(self) -> None:
        if self.winner == self.loser:
            raise ValueError(f"field 'loser' is {self.loser!r}, as is 'winner'")


@dataclass(frozen=True, slots=True)
class _Valued:
    """A row of a file of values, without these."""

    chain_id: _Id
    schema: Literal["chain-value/1"] = "chain-value/1"


def read_comparisons(path: Path) -> Iterator[PairOutcome]:
    """Yield the comparisons of a JSONL file with `winner`, `loser` and, optionally, `weight` and `tie`.

    A row with `"tie": true` yields two comparisons of half the weight, one each way.

    Raises:
        InputError: a row is not a comparison; names file, line and field.
    """
    for number, row in read_rows(path):
        try:
            found = converted(row, _Outcome)
        except ValueError as error:
            raise InputError(
                f"{path}:{number}: {error}", 'rows must be like {"winner": "c1", "loser": "c2"}'
            ) from error
        share = found.weight / (2 if found.tie else 1)
        yield PairOutcome(found.winner, found.loser, share)
        if found.tie:
            yield PairOutcome(found.loser, found.winner, share)


def write_values(path: Path, values: Mapping[str, float], comparisons: Iterable[tuple[str, str, float]]) -> int:
    """Write one row of `chain-value/1` per value, all or nothing; return their number.

    Args:
        path: the file.
        values: from `strengths`.
        comparisons: those that the values come from; a row says the total weight of its item's comparisons.

    Raises:
        OutputError: the file cannot be written.
    """
    totals = dict.fromkeys(values, 0.0)
    for winner, loser, weight in comparisons:
        totals[winner] += weight
        totals[loser] += weight
    return write_lines(path, (_value_row(identity, value, totals[identity]) for identity, value in values.items()))


def _value_row(identity: str, value: float, comparisons: float) -> str:
    row = {"schema": SCHEMA, "chain_id": identity, "value": value, "comparisons": comparisons}
    return json.dumps(row, ensure_ascii=False)


def read_values(path: Path, outputs: Sequence[str] = ()) -> dict[str, Values]:
    """Chain id → values, from a file that `prm strengths` wrote, or any with `chain_id` and these values in each row.

    Args:
        path: the file.
        outputs: names of the values, see `values_in`; empty for the one `value`, which then no row may lack.

    Raises:
        InputError: a row has no such value, an id comes twice, or no row has a value of some name; names file, line
            and field.
    """
    values: dict[str, Values] = {}
    for number, row in read_rows(path):
        try:
            identity, found = converted(row, _Valued).chain_id, values_in(row, outputs or ("value",))
            if not outputs and found == (None,):
                raise ValueError("lacks the field 'value'")
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}", f"this must be a {SCHEMA} file") from error
        if identity in values:
            raise InputError(f"{path}:{number}: chain id {identity!r} comes twice", "ids must be unique in a file")
        values[identity] = found
    require_every_output(path, outputs, values.values())
    return values
