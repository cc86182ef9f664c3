"""Examples as a few flat arrays: written once to a directory, and mapped into memory by every process that reads them.

A group is made of the arrays when it is asked for. So a training set of any size opens at once, and several processes
of one machine share its pages.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np

from prm.data.records import Known
from prm.statistics.arrays import Bools, Floats, Ints

from ..examples import ChainExample, GroupExample

KNOWN: tuple[Known, ...] = get_args(Known)
"""By their places in the column `known`."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The arrays of some groups. `…_starts` are where the parts of each begin, and at the end where the last ends."""

    ids: Ints
    """Token ids of all chains, one after the other."""
    token_starts: Ints
    """Of each chain in `ids`."""
    step_starts: Ints
    """Of each chain in the columns of steps."""
    values: Floats
    """``(chains, outputs)``; NaN where one is unknown or not learned, which gives that cell no weight."""
    chain_names: Ints
    """Ids of the chains in UTF-8."""
    chain_name_starts: Ints
    step_ends: Ints
    targets: Floats
    """Of each step; NaN for one that is not learned from."""
    weights: Floats
    known: Ints
    """How the label of each step is known: a place in `prm.data.records.Known`."""
    chain_starts: Ints
    """Of each group in the columns of chains."""
    prompt_lengths: Ints
    margins: Floats
    agreements: Floats
    group_weights: Floats
    group_names: Ints
    """Ids of the groups' problems in UTF-8."""
    group_name_starts: Ints

    @classmethod
    def load(cls, directory: Path) -> Columns:
        """Map the arrays that a `Writer` left in a directory."""
        raw = directory / _IDS
        ids: Any = np.memmap(raw, dtype=np.int32, mode="r") if raw.stat().st_size else np.zeros(0, dtype=np.int32)
        rest = {name: np.asarray(np.load(directory / f"{name}.npy", mmap_mode="r")) for name in _NAMES}
        return cls(np.asarray(ids), **rest)  # as plain arrays, which are still mapped: numpy's class of maps is slow

    def __len__(self) -> int:
        """Number of groups."""
        return len(self.prompt_lengths)

    def chains_in(self, groups: Bools) -> Bools:
        """Whether each chain is in one of the groups that are marked."""
        return np.repeat(groups, np.diff(self.chain_starts))

    def steps_in(self, groups: Bools) -> Bools:
        """Whether each step is in one of the groups that are marked."""
        return np.repeat(self.chains_in(groups), np.diff(self.step_starts))

    def group(self, place: int) -> GroupExample:
        """The group at a place."""
        first, end = self.chain_starts[place : place + 2].tolist()
        return GroupExample(
            _text(self.group_names, self.group_name_starts, place),
            int(self.prompt_lengths[place]),
            tuple(map(self._chain, range(first, end))),
            _known(float(self.margins[place])),
            _known(float(self.agreements[place])),
            float(self.group_weights[place]),
        )

    def _chain(self, place: int) -> ChainExample:
        start, end = self.token_starts[place : place + 2].tolist()
        steps = slice(*self.step_starts[place : place + 2].tolist())
        return ChainExample(
            _text(self.chain_names, self.chain_name_starts, place),
            array("i", self.ids[start:end].tobytes()),
            tuple(self.step_ends[steps].tolist()),
            tuple(map(_known, self.targets[steps].tolist())),
            tuple(self.weights[steps].tolist()),
            tuple(map(_known, self.values[place].tolist())),
            tuple([KNOWN[code] for code in self.known[steps].tolist()]),
        )


_NAMES = tuple(field.name for field in fields(Columns) if field.name != "ids")
_IDS = "ids.raw"


class Groups(Sequence[GroupExample]):
    """Some of the groups in columns, each made when it is asked for.

    Args:
        columns: the arrays.
        places: of the groups, in order.
    """

    def __init__(self, columns: Columns, places: Ints) -> None:
        self.columns = columns
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> GroupExample:  # type: ignore[override]  # no slices
        return self.columns.group(int(self.places[place]))


class Changed(Sequence[GroupExample]):
    """Groups, each changed by a function when it is asked for."""

    def __init__(self, groups: Sequence[GroupExample], change: Callable[[GroupExample], GroupExample]) -> None:
        self.groups = groups
        self.change = change

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, place: int) -> GroupExample:  # type: ignore[override]  # no slices
        return self.change(self.groups[place])


class Referenced(Sequence[GroupExample]):
    """Groups whose chains have a reference.

    Args:
        groups: the groups.
        values: `ChainExample.reference` of all their chains, in order.
    """

    def __init__(self, groups: Sequence[GroupExample], values: Floats) -> None:
        self.groups = groups
        self.values = values
        self.starts = [0, *accumulate(len(group.chains) for group in groups)]

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, place: int) -> GroupExample:  # type: ignore[override]  # no slices
        group, start = self.groups[place], self.starts[place]
        chains = (replace(chain, reference=float(self.values[start + i])) for i, chain in enumerate(group.chains))
        return replace(group, chains=tuple(chains))


def _known(value: float) -> float | None:
    """The value; None for NaN."""
    return None if value != value else value


def _text(texts: Ints, starts: Ints, place: int) -> str:
    first, end = starts[place : place + 2].tolist()
    return texts[first:end].tobytes().decode()


class Writer:
    """Writes groups to a directory, the ids at once, so that memory holds only what is small: a context manager.

    Args:
        directory: is created; can be read when the context has ended.
        outputs: number of values of each chain.
    """

    def __init__(self, directory: Path, outputs: int = 1) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        self._outputs = outputs
        self._ids = (directory / _IDS).open("wb")
        integers = {name: array("q", [0]) for name in _NAMES if name.endswith("_starts")}
        reals = {name: array("d") for name in ("values", "targets", "weights", "margins", "agreements")}
        self._columns: dict[str, Any] = {
            **integers, **reals, "group_weights": array("d"), "known": array("b"), "step_ends": array("i"),
            "prompt_lengths": array("i"), "chain_names": array("B"), "group_names": array("B"),
        }  # fmt: skip

    def add(self, group: GroupExample) -> None:
        """Append a group."""
        columns = self._columns
        for chain in group.chains:
            self._ids.write(chain.ids.tobytes())
            _extend(columns["token_starts"], len(chain.ids))
            _extend(columns["step_starts"], len(chain.step_ends))
            columns["values"].extend(map(_number, chain.values))
            columns["step_ends"].extend(chain.step_ends)
            columns["targets"].extend(map(_number, chain.targets))
            columns["weights"].extend(chain.weights)
            columns["known"].extend(map(KNOWN.index, chain.known or ("none",) * len(chain.step_ends)))
            self._name("chain", chain.chain_id)
        _extend(columns["chain_starts"], len(group.chains))
        columns["prompt_lengths"].append(group.prompt_length)
        columns["margins"].append(_number(group.margin))
        columns["agreements"].append(_number(group.agreement))
        columns["group_weights"].append(group.weight)
        self._name("group", group.problem_id)

    def _name(self, owner: str, name: str) -> None:
        written = name.encode()
        self._columns[f"{owner}_names"].frombytes(written)
        _extend(self._columns[f"{owner}_name_starts"], len(written))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ids.close()
        for name, column in self._columns.items():
            table = np.asarray(column)
            np.save(self._directory / f"{name}.npy", table.reshape(-1, self._outputs) if name == "values" else table)


def _extend(starts: array[int], length: int) -> None:
    starts.append(starts[-1] + length)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
