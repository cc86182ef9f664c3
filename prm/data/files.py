"""Read and write records as JSONL, one object per line, and read problems and chains in the usual public shapes.

Every line written by this toolkit states its format in `schema` ("chain/1"). `datasets.load_dataset("json", …)` reads
the files as they are. `prm.data.reading` says which other forms of files are read. An error names file, line and field.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from prm.errors import InputError

from .converting import converted
from .formats.trajectories import Trajectory, problem_in, trajectory_in
from .reading import RowStore, read_each_row, read_rows, sound
from .records import Chain, Choice, Drop, Problem, Rollout, StepLabels, StepScores, as_finish
from .rows import Row, RowError, golds_in, optional_text, plain_row, question_of
from .splits import normal_text
from .steps import split_steps
from .writing import write_lines

Record = Problem | Chain | Rollout | StepLabels | StepScores | Choice | Drop
R = TypeVar("R", Problem, Chain, Rollout, StepLabels, StepScores, Choice, Drop)

SCHEMAS: dict[type[Record], str] = {
    Problem: "problem/1",
    Chain: "chain/1",
    Rollout: "rollout/1",
    StepLabels: "step-labels/1",
    StepScores: "step-scores/1",
    Choice: "choice/1",
    Drop: "drop/1",
}
_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in SCHEMAS}

_KEYS: dict[type[Record], str] = {
    Problem: "id",
    Chain: "id",
    StepLabels: "chain_id",
    StepScores: "chain_id",
    Choice: "problem_id",
}
"""The field whose value is unique in a file; rollouts and drops have none."""


def read_records(path: str | os.PathLike[str], kind: type[R]) -> Iterator[R]:
    """Yield the records of one of our own files.

    Raises:
        InputError: a line is not such a record, or an id comes twice; names file, line and field.
    """
    path = Path(path)
    yield from _unique(path, ((number, _build(path, number, row, kind)) for number, row in read_rows(path)))


def _unique(path: Path, numbered: Iterable[tuple[int, R]]) -> Iterator[R]:
    """Yield the records of numbered lines; refuse an id that comes twice."""
    seen: set[str] = set()
    for number, record in numbered:
        key = _key(record) if type(record) in _KEYS else ""
        if key in seen:
            owner = "problem" if isinstance(record, Problem | Choice) else "chain"
            raise InputError(f"{path}:{number}: {owner} id {key!r} comes twice", "ids must be unique in a file")
        if key:
            seen.add(key)
        yield record


def _key(record: Record) -> str:
    return str(getattr(record, _KEYS[type(record)]))


def by_id(records: Iterable[R]) -> dict[str, R]:
    """The records by their id, which is unique in a file.

    >>> by_id([StepScores("c", "p", (0.5,), "prm")])["c"].scores
    (0.5,)
    """
    return {_key(record): record for record in records}


def _build(path: Path, number: int, row: Row, kind: type[R]) -> R:
    _check_schema(path, number, row, kind)
    try:
        return converted(row, kind)
    except ValueError as error:
        raise InputError(f"{path}:{number}: {error}", f"fix that row of the {SCHEMAS[kind]} file") from error


def _check_schema(path: Path, number: int, row: Row, kind: type[Record]) -> None:
    schema = row.get("schema", SCHEMAS[kind])
    if schema != SCHEMAS[kind]:
        raise InputError(
            f"{path}:{number}: field 'schema' is {schema!r}, not {SCHEMAS[kind]!r}", "is it the right file?"
        )


def write_records(path: str | os.PathLike[str], records: Iterable[Record]) -> int:
    """Write records to `path`, all or nothing; return their number.

    Raises:
        OutputError: the file cannot be written (a full disk, say). An earlier file stays untouched.
    """
    return write_lines(Path(path), map(to_json, records))


def to_json(record: Record) -> str:
    """One line of JSONL, schema first."""
    values = {name: getattr(record, name) for name in _NAMES[type(record)]}  # `asdict` copies, which takes longer
    return json.dumps({"schema": SCHEMAS[type(record)], **values}, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    """A record within a record, or a mapping of another kind, as a dictionary."""
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"a {type(value).__name__} is not a plain value")


def from_json(line: str) -> Record:
    """The record in a line made by `to_json`.

    >>> from_json(to_json(Drop("c", "empty chain")))
    Drop(id='c', reason='empty chain', detail='')
    """
    row = json.loads(line)
    kind = next(kind for kind, schema in SCHEMAS.items() if schema == row["schema"])
    return _build(Path("-"), 1, row, kind)  # type: ignore[type-var]


def read_problems(path: str | os.PathLike[str]) -> Iterator[Problem]:
    """Yield problems from our own format or a plain public shape.

    Known shapes: `problem/1`; GSM8K (`question`, `answer`); MATH (`problem`, `solution` or `answer`); ASDiv and SVAMP
    (with a `body`); multiple choice (with `options`); `prompt` with an optional `answer`; see `prm.data.rows`. Of a row
    with `messages` alone, those before the agent's first are the problem; see `prm.data.formats.trajectories`. A list
    of gold answers is several right ones. A row without an id gets one from the file's name and its line.
    """
    path = Path(path)
    yield from _unique(path, ((number, _problem(path, number, row)) for number, row in read_rows(path)))


class ProblemFile(Mapping[str, Problem]):
    """The problems of a file by id, each read on access: memory holds only their ids and positions.

    The file is read once at the start, so that an unusable row is found before any work.

    Raises:
        InputError: as `read_problems`.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._rows = path, RowStore(path)
        self._places: dict[str, tuple[int, int]] = {}
        self._by_text: dict[str, str | None] = {}
        """By the text as it is, and in its normal form; None for a text of several problems."""
        self._by_row: dict[int, str] = {}
        """Ids of the rows that have none of their own."""
        self._last: Problem | None = None
        """The one accessed last: the chains of a problem are mostly adjacent."""
        for _ in _unique(path, self._numbered()):
            pass

    def _numbered(self) -> Iterator[tuple[int, Problem]]:
        for number, start, row in self._rows:
            problem = _problem(self._path, number, row)
            self._places.setdefault(problem.id, (number, start))
            for text in {problem.text, normal_text(problem.text)}:
                self._by_text[text] = problem.id if text not in self._by_text else None
            if problem.id == f"{self._path.stem}-{number}":
                self._by_row[number] = problem.id
            yield number, problem

    def owner(self, row: int, text: str | None) -> str | None:
        """Id of the problem of a row without an id in another file: with this text or, without a text, the same row.

        None if there is none, or several problems have the text.
        """
        if not isinstance(text, str):
            return self._by_row.get(row) if text is None else None
        return self._by_text.get(text) or self._by_text.get(normal_text(text))

    def __getitem__(self, identity: str) -> Problem:
        if self._last is None or self._last.id != identity:
            number, start = self._places[identity]
            self._last = _problem(self._path, number, self._rows.at(number, start))
        return self._last

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _problem(path: Path, number: int, row: Row) -> Problem:
    if "schema" in row:
        return _build(path, number, row, Problem)
    row = plain_row(row)
    try:
        golds = golds_in(row)
    except ValueError as error:
        raise InputError(f"{path}:{number}: {error}", _FIX) from error
    if {"id", "text"} <= row.keys():
        row["text"] = question_of({**row, "question": row["text"]})
        return _build(path, number, row | {"answer": next(iter(golds), None), "other_answers": golds[1:]}, Problem)
    return _public_problem(path, number, row, golds)


def _public_problem(path: Path, number: int, row: Row, golds: tuple[str, ...]) -> Problem:
    text = question_of(row)
    if text is None:
        turns = _trajectory(path, number, row)
        text = None if turns is None else turns.problem
    if text is None:
        raise InputError(
            f"{path}:{number}: has no 'question', 'problem', 'prompt' or 'messages'",
            "see the README for the shapes that can be read",
        )
    identity = optional_text(row, "id", "unique_id", "idx")
    try:
        return Problem(
            id=f"{path.stem}-{number}" if identity is None else identity,
            text=text,
            answer=next(iter(golds), None),
            other_answers=golds[1:],
        )
    except ValueError as error:
        raise InputError(f"{path}:{number}: {error}", _FIX) from error


def read_chains(
    path: str | os.PathLike[str], splitter: str = "newline", problems: ProblemFile | None = None
) -> Iterator[Chain]:
    """Yield chains from our own format or a plain public shape.

    Known shapes: `chain/1`; a row with `problem_id` (or `id`) and one solution (`completion`, `solution`, `text`, or
    `steps`) or many (`completions`, `solutions`, or `candidates` with a `solution` each). Text is cut into steps by
    `splitter`. The `messages` of an agent (or its `trajectory` or `conversations`) have a step for each of its turns,
    without those after its last one, and of a chat with a single answer that is the solution; see
    `prm.data.formats.trajectories`. The solutions of a problem are numbered across all its rows.

    A row without an id belongs to the problem among `problems` whose text it repeats or, without a text, to that of the
    same row, if that has no id either; else it is named after its file and row.
    """
    for item in read_each_chain(path, splitter, problems):
        if isinstance(item, Unreadable):
            raise item.error
        yield item


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row of chains that cannot be used."""

    id: str
    error: InputError

    @property
    def drop(self) -> Drop:
        """The row as a drop."""
        return Drop(self.id, "row that cannot be used", str(self.error).partition("\n")[0])


def read_each_chain(
    path: str | os.PathLike[str], splitter: str = "newline", problems: ProblemFile | None = None
) -> Iterator[Chain | Unreadable]:
    """`read_chains` for whom one bad row is not the end of the job.

    Raises:
        InputError: no row can be used, an id comes twice, or the file cannot be read.
    """
    split_steps("", splitter)  # refuse a wrong name, whatever the rows are
    path, numbers, seen, first = Path(path), Counter[str](), set[str](), None
    for number, row in read_each_row(path):
        try:
            chains = list(_chains_of(path, number, sound(path, number, row), splitter, numbers, problems))
        except InputError as error:
            first = first or error
            yield Unreadable(f"{path.name}:{number}", error)
            continue
        for chain in chains:
            if chain.id in seen:
                raise InputError(f"{path}:{number}: chain id {chain.id!r} comes twice", "ids must be unique in a file")
            seen.add(chain.id)
            yield chain
    if first and not seen:
        raise first


def sound_chains(
    path: Path, splitter: str, problems: ProblemFile | None, add: Callable[[str, str, str], None] | None = None
) -> Iterator[Chain]:
    """The chains of `read_each_chain` that can be used; `add` receives id, reason and detail of each other row."""
    for chain in read_each_chain(path, splitter, problems):
        if isinstance(chain, Chain):
            yield chain
        elif add is not None:
            add(chain.id, chain.drop.reason, chain.drop.detail)


def require_linked(path: Path, chains: Iterable[Chain | Unreadable], problems: Mapping[str, Problem]) -> int:
    """The number of chains, if any of them belongs to a problem.

    Raises:
        InputError: none does.
    """
    total, owner = 0, None
    for chain in chains:
        total += 1
        if isinstance(chain, Chain):
            if chain.problem_id in problems:
                owner = ""
            elif owner is None:
                owner = chain.problem_id
    if owner:
        known = next(iter(problems), None)
        raise InputError(
            f"{path}: no chain belongs to a problem: the first one is of {owner!r}, the first problem is {known!r}",
            "give chains the `problem_id` of their problem; a row without one is linked by the problem's text or by "
            "its row, to a problem without an id",
        )
    return total


def _chains_of(
    path: Path, number: int, row: Row, splitter: str, numbers: Counter[str], problems: ProblemFile | None
) -> Iterator[Chain]:
    if row.get("schema") is not None:
        yield _build(path, number, row, Chain)
        return
    has_solution = any(row.get(name) is not None for name in (*_ONE_SOLUTION, *_MANY_SOLUTIONS))
    turns = None if has_solution else _trajectory(path, number, row)
    owner = optional_text(row, "problem_id", "id", "unique_id", "idx")
    if owner is None:
        found = None if problems is None else problems.owner(number, problem_in(row, turns))
        owner = found or f"{path.stem}-{number}"
    for solution in _solutions(path, number, row) if turns is None else [_turns(path, number, turns)]:
        steps = split_steps(solution, splitter) if isinstance(solution, str) else tuple(solution)
        try:
            yield Chain(
                id=f"{owner}/{numbers[owner]}", problem_id=owner, steps=steps, finish=as_finish(row.get("finish"))
            )
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}", _FIX) from error
        numbers[owner] += 1


def _trajectory(path: Path, number: int, row: Row) -> Trajectory | None:
    try:
        return trajectory_in(row)
    except RowError as error:
        raise InputError(f"{path}:{number}: {error}", _FIX) from error


def _turns(path: Path, number: int, turns: Trajectory) -> str | list[str]:
    if not turns.steps:
        raise InputError(f"{path}:{number}: empty chain: no message is the assistant's", _FIX)
    return list(turns.steps) if turns.solution is None else turns.solution


def _solutions(path: Path, number: int, row: Row) -> list[str | list[str]]:
    """The solutions of a row: texts, or lists of steps."""
    name = next((n for n in (*_ONE_SOLUTION, *_MANY_SOLUTIONS) if n in row), None)
    if name is None:
        raise InputError(
            f"{path}:{number}: has none of {', '.join(map(repr, (*_ONE_SOLUTION, *_MANY_SOLUTIONS, 'messages')))}",
            "see the README for the shapes that can be read",
        )
    value = row[name] if name in _MANY_SOLUTIONS else [row[name]]
    if name == "candidates" and isinstance(value, list):
        value = [c.get("solution") if isinstance(c, dict) else c for c in value]
    if name == "steps":
        if not _is_texts(row["steps"]) or not all(s.strip() for s in row["steps"]):
            raise InputError(f"{path}:{number}: field 'steps' is not a list of non-blank texts", _FIX)
        return [[s if s.endswith("\n") else s + "\n" for s in row["steps"]]]
    if not _is_texts(value):
        raise InputError(f"{path}:{number}: field {name!r} does not hold {_MANY_SOLUTIONS.get(name, 'a text')}", _FIX)
    return list(value)


_FIX = "fix or delete that row"
_ONE_SOLUTION = ("steps", "completion", "solution", "text")
_MANY_SOLUTIONS = {
    "candidates": "a list of objects with a text 'solution'",
    "completions": "a list of texts",
    "solutions": "a list of texts",
}


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)
