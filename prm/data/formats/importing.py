"""Files of other tools → problems, chains and step labels, row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from prm.errors import InputError, require_known

from ..reading import read_each_row, read_rows
from ..records import Chain, Problem, StepLabels
from ..rows import Row, RowError
from .solutions import Reading, Solution
from .table import FORMATS, FORMATS_READ

if TYPE_CHECKING:
    from ..drops import Drops  # it rests on `prm.data.files`, which rests on this package

ImportedRow = tuple[Problem, Chain, StepLabels | None]


def tell_format(path: Path) -> str:
    """The only format whose fields the first row of the file has.

    Raises:
        InputError: no format fits, or several do.
    """
    number, row = next(read_rows(path), (1, {}))
    found = [name for name, known in FORMATS.items() if any(fields <= row.keys() for fields in known.fields)]
    if len(found) != 1:
        which = f"more than one format: {', '.join(found)}" if found else "no format that they identify"
        raise InputError(f"{path}:{number}: has the fields of {which}", f"name the format: {', '.join(FORMATS_READ)}")
    return found[0]


def read_public(
    path: Path, name: str, reading: Reading | None = None, drops: Drops | None = None
) -> Iterator[ImportedRow]:
    """Yield the solutions of a file; labels are None in a format without labels.

    Args:
        path: a file or folder, see `prm.data.reading`.
        name: a format, see `FORMATS_READ`.
        reading: how to read it; the defaults if None.
        drops: records the rows that cannot be used; None to stop at the first.

    Raises:
        InputError: the format is unknown; or a row cannot be used: names file, line and reason.
    """
    require_known("format", name, FORMATS_READ)
    reading = reading or Reading()
    naming = _Naming(path.stem, reading)
    for number, row in read_each_row(path):
        for found in [row] if isinstance(row, RowError) else _solutions(row, name, reading, naming):
            if not isinstance(found, RowError):
                yield found
            elif drops is None:
                raise InputError(f"{path}:{number}: {found}", "fix or delete that row") from found
            else:
                drops.add(f"{path.stem}:{number}", found.reason, found.detail)


def _solutions(row: Row, name: str, reading: Reading, naming: _Naming) -> Iterator[ImportedRow | RowError]:
    """The solutions of a row, with an error in place of each that cannot be used."""
    try:
        solutions = list(FORMATS_READ[name](row, reading))
    except RowError as error:
        yield error
        return
    if not solutions:
        yield RowError("no solution in it")
    for solution in solutions:
        try:
            yield naming.records(solution)
        except RowError as error:
            yield error


class _Naming:
    """Gives out ids, each once: to problems in the order in which their texts first appear, to chains by problem."""

    def __init__(self, stem: str, reading: Reading) -> None:
        ids = (f"{stem}-{number}" for number in count(1))
        self._free = (identity for identity in ids if identity not in reading.known.ids)
        self._known = reading.known
        self._problems: dict[str, str] = {}
        self._chains: Counter[str] = Counter()
        self._taken: set[str] = set()

    def records(self, solution: Solution) -> ImportedRow:
        """The records of a solution.

        Raises:
            RowError: it is not a valid chain, or its id is taken.
        """
        if not solution.steps:
            raise RowError("empty chain")
        problem = self._problem(solution)
        identity = solution.id or f"{problem.id}/{self._chains[problem.id]}"
        if identity in self._taken:
            raise RowError("its id comes twice", identity)
        try:
            chain = Chain(id=identity, problem_id=problem.id, steps=solution.steps)
        except ValueError as error:
            raise RowError("a step that is blank", str(error)) from error
        self._taken.add(identity)
        self._chains[problem.id] += 1
        return problem, chain, solution.as_labels(chain)

    def _problem(self, solution: Solution) -> Problem:
        text = solution.problem.strip()
        known = self._known.get(text)
        if known is not None:
            return known
        if not text:
            raise RowError("a problem that is blank")
        if text not in self._problems:
            self._problems[text] = next(self._free)
        return Problem(self._problems[text], text, solution.answer)
