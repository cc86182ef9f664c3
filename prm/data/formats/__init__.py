"""Chains and step labels in the formats of other tools → our records.

    for problem, chain, labels in read_public(Path("math-shepherd.jsonl"), "math-shepherd"): ...

A label comes out as its file says it: `StepLabels.hard` and `StepLabels.soft` are never worked out from other steps.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path

from prm.errors import InputError

from ..drops import Drops
from ..records import Chain, Problem, StepLabels
from ..rows import Row, read_rows
from .listed import plain, trl
from .prm800k import prm800k
from .solutions import Reading, RowError, Solution
from .tagged import math_shepherd, openrlhf, rlhflow
from .trees import math_aps

FORMATS: dict[str, Callable[[Row, Reading], Iterable[Solution]]] = {
    "math-shepherd": math_shepherd,
    "prm800k": prm800k,
    "trl": trl,
    "openrlhf": openrlhf,
    "rlhflow": rlhflow,
    "math-aps": math_aps,
    "text": plain,
}
"""Name to what reads a row."""

_FIELDS: list[tuple[str, frozenset[str]]] = [
    ("math-shepherd", frozenset({"input", "label"})),
    ("prm800k", frozenset({"question", "label"})),
    ("prm800k", frozenset({"problem", "steps", "step_ratings"})),
    ("trl", frozenset({"prompt", "completions", "labels"})),
    ("openrlhf", frozenset({"input", "value"})),
    ("rlhflow", frozenset({"conversations"})),
    ("math-aps", frozenset({"question", "reasoning_steps"})),
    ("math-aps", frozenset({"text", "mc_value", "children"})),
]
"""By which fields a format can be told. Plain text has none of its own."""

Imported = tuple[Problem, Chain, StepLabels | None]


def tell_format(path: Path) -> str:
    """The one format that has the fields of the file's first row.

    Raises:
        InputError: there is none, or more than one.
    """
    number, row = next(_rows(path), (1, {}))
    found = {name: fields for name, fields in _FIELDS if fields <= row.keys()}
    if len(found) != 1:
        which = f"more than one format: {', '.join(found)}" if found else "no format that can be told by them"
        raise InputError(f"{path}:{number}: has the fields of {which}", f"give --format: {', '.join(FORMATS)}")
    return next(iter(found))


def read_public(
    path: Path, name: str, reading: Reading | None = None, drops: Drops | None = None
) -> Iterator[Imported]:
    """Yield the solutions of a file; labels are None in a format without.

    Args:
        path: JSONL, or a `.json` file that is one object or a list of them.
        name: in `FORMATS`.
        reading: how to read it; the defaults where it is None.
        drops: where rows that cannot be used are noted; None to stop at the first.

    Raises:
        InputError: there is no such format; or naming file, line and reason.
    """
    if name not in FORMATS:
        raise InputError(f"there is no format {name!r}", f"choose from {', '.join(FORMATS)}")
    reading = reading or Reading()
    naming = _Naming(path.stem, reading)
    for number, row in _rows(path):
        for found in _solutions(row, name, reading, naming):
            if not isinstance(found, RowError):
                yield found
            elif drops is None:
                raise InputError(f"{path}:{number}: {found}", "mend or delete that row") from found
            else:
                drops.add(f"{path.stem}:{number}", found.reason, found.detail)


def _solutions(row: Row, name: str, reading: Reading, naming: _Naming) -> Iterator[Imported | RowError]:
    """What a row holds; what cannot be used comes in its place."""
    try:
        solutions = list(FORMATS[name](row, reading))
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
    """Gives ids: to problems in the order in which their texts come, to chains by problem; each id once."""

    def __init__(self, stem: str, reading: Reading) -> None:
        ids = (f"{stem}-{number}" for number in count(1))
        self._free = (identity for identity in ids if identity not in reading.known.ids)
        self._known = reading.known
        self._problems: dict[str, str] = {}
        self._chains: Counter[str] = Counter()
        self._taken: set[str] = set()

    def records(self, solution: Solution) -> Imported:
        """The records of a solution.

        Raises:
            RowError: they cannot be made, or its id is there already.
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


def _rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Numbered rows. What openr writes is one object, or a list of them, over many lines."""
    try:
        value = json.loads(path.read_text(encoding="utf-8")) if path.suffix == ".json" else None
    except (OSError, ValueError, RecursionError):
        value = None  # many files of lines end in .json too, and for all else the message is there
    if value is None:
        return read_rows(path)
    rows = value if isinstance(value, list) else [value]
    if not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: is not one JSON object, nor a list of them", "is it the right file?")
    return iter(enumerate(rows, start=1))
