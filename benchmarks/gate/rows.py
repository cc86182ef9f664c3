"""What a gate needs to know of each chain, and the pairs it compares, as files beside the chains to score.

DIRECTORY/problems.jsonl   the problems
DIRECTORY/chains.jsonl     every chain to score: those given, and those made from them
DIRECTORY/facts.jsonl      {"schema": "gate-chain/1", "chain_id": "p/0", "problem_id": "p", "part": "static", …}
DIRECTORY/pairs.jsonl      {"schema": "gate-pair/1", "probe": "padding", "better": "p/1", "worse": "p/0~padding", …}
DIRECTORY/about.json       the counts behind them: what could not be made, and why
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from prm.data.reading import read_rows
from prm.data.writing import write_json, write_lines
from prm.errors import InputError

Part = Literal["static", "fresh", "probe"]
"""Where a chain comes from: the chains given, those of another policy, or a change of one of them."""


@dataclass(frozen=True, slots=True)
class GateChain:
    """What is known of a chain."""

    chain_id: str
    problem_id: str
    part: Part
    is_right: bool | None
    """Whether its answer is right; None where the check decided neither, or the problem has no gold answer."""
    length: int
    """Characters."""
    field: str = ""
    """The field of its problem, such as algebra; "" if none was asked for."""


@dataclass(frozen=True, slots=True)
class GatePair:
    """Two chains of one problem whose order is known, or whose scores should be nearly the same."""

    probe: str
    """A name in `probes.PROBES`."""
    problem_id: str
    better: str
    """Chain id. Of a change that keeps the meaning, the chain as it was."""
    worse: str
    """Chain id."""
    plain: str | None = None
    """The worse chain as it was before it was dressed; None if it was not."""


@dataclass(frozen=True, slots=True)
class GateRows:
    """All rows of a gate."""

    chains: tuple[GateChain, ...]
    pairs: tuple[GatePair, ...]
    about: Mapping[str, Any]
    """"digest" of the fixed set, "overlap" with the training problems or None, "not made" {probe: {reason: count}}."""


_SCHEMAS = {GateChain: "gate-chain/1", GatePair: "gate-pair/1"}
_R = TypeVar("_R", GateChain, GatePair)


def write_rows(directory: Path, rows: GateRows) -> None:
    """Write `facts.jsonl`, `pairs.jsonl` and `about.json`."""
    write_lines(directory / "facts.jsonl", _lines(rows.chains))
    write_lines(directory / "pairs.jsonl", _lines(rows.pairs))
    write_json(directory / "about.json", rows.about)


def read_rows_of(directory: Path) -> GateRows:
    """Read what `write_rows` wrote.

    Raises:
        InputError: a file is missing, or a row is of another kind.
    """
    try:
        about = json.loads((directory / "about.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{directory}: is not a directory of `prm gate probes`", "make it first") from error
    chains, pairs = _read(directory / "facts.jsonl", GateChain), _read(directory / "pairs.jsonl", GatePair)
    return GateRows(tuple(chains), tuple(pairs), about)


def _lines(rows: Iterable[GateChain | GatePair]) -> Iterable[str]:
    return (json.dumps({"schema": _SCHEMAS[type(row)], **asdict(row)}, ensure_ascii=False) for row in rows)


def _read(path: Path, kind: type[_R]) -> Iterable[_R]:
    for number, row in read_rows(path):
        try:
            if row.pop("schema", None) != _SCHEMAS[kind]:
                raise ValueError(f"is not a {_SCHEMAS[kind]} row")
            yield msgspec.convert(row, kind)
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}", "make the probes again") from error
