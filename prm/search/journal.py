"""The journal of a search: what was drawn and scored is never lost, and a search that resumes repeats none of it.

While `chains.jsonl` is made, `chains.jsonl.search.jsonl` holds every event as a line, handed to the operating system
before the next event is read. A search that resumes begins each unfinished problem anew, with the stored answers in
place of the engine's and the scorer's, and so comes to where it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prm.data.files import from_json, to_json
from prm.data.records import Chain, Choice, Drop, StepScores
from prm.data.writing import GrowingFile
from prm.errors import OutputError
from prm.generation.engine import Completion
from prm.scoring.scorer import Refusal

from .ending import Solved
from .searcher import Drawn, Earlier, Event, Scored


def journal_path(out: Path) -> Path:
    """Path of the events so far."""
    return out.with_name(out.name + ".search.jsonl")


@dataclass(slots=True)
class Journal:
    """The events of a search on disk; raises OutputError if they cannot be read or written."""

    path: Path
    earlier: dict[str, Earlier] = field(default_factory=dict)
    """What was drawn and scored for the problems that are not done, when the journal was opened."""
    places: dict[str, int] = field(default_factory=dict)
    """Where in the file the end of each problem is, by its id."""
    _file: GrowingFile = field(init=False)
    _size: int = 0

    def __post_init__(self) -> None:
        self._file = GrowingFile(self.path)
        try:
            self._read()
        except BaseException:
            self._file.close()
            raise

    def _read(self) -> None:
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    self._remember(event_of(line))
                except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
                    raise OutputError(
                        f"{self.path}:{number}: is no event of a search", "begin anew: --overwrite"
                    ) from error
                self._size += len(line)

    def _remember(self, event: Event) -> None:
        if isinstance(event, Drawn):
            self._of(event.problem_id).drawn[event.request_id] = event.completions
        elif isinstance(event, Scored):
            self._of(event.problem_id).scored[event.branch_id] = event.result
        else:
            name = _name(event)
            self.places[name] = self._size
            self.earlier.pop(name, None)

    def _of(self, problem_id: str) -> Earlier:
        return self.earlier.setdefault(problem_id, Earlier())

    def append(self, event: Event) -> None:
        """Write an event to disk."""
        line = line_of(event)
        if isinstance(event, Solved | Drop):
            self.places[_name(event)] = self._size
        self._file.append(line)
        self._size += len(line.encode()) + 1

    def ends(self, problem_ids: Iterable[str]) -> Iterator[Solved | Drop]:
        """The ends of these problems, in this order."""
        with self.path.open("rb") as file:
            for name in problem_ids:
                if name in self.places:
                    file.seek(self.places[name])
                    event = event_of(file.readline())
                    assert isinstance(event, Solved | Drop)
                    yield event

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _name(event: Solved | Drop) -> str:
    return event.id if isinstance(event, Drop) else event.problem_id


def line_of(event: Event) -> str:
    """An event as a line of JSON."""
    if isinstance(event, Drawn):
        rows = [[c.text, c.tokens, c.finish, c.ids, c.stop] for c in event.completions]
        return json.dumps({"drawn": [event.problem_id, event.request_id, rows]}, ensure_ascii=False)
    if isinstance(event, Scored):
        result = event.result
        what = [result.reason, result.detail, result.hint] if isinstance(result, Refusal) else list(result)
        return json.dumps({"scored": [event.problem_id, event.branch_id, isinstance(result, Refusal), what]})
    if isinstance(event, Drop):
        return json.dumps({"dropped": to_json(event)})
    choices = [event.choice] if event.choice else []
    records = [*map(to_json, event.chains), *map(to_json, event.scores), *map(to_json, choices)]
    return json.dumps({"solved": [event.problem_id, records]}, ensure_ascii=False)


def event_of(line: bytes | str) -> Event:
    """The event in a line."""
    ((kind, what),) = json.loads(line).items()
    event: Event = _READERS[kind](what)
    return event


def _solved(what: Any) -> Solved:
    records = [from_json(text) for text in what[1]]
    choices = [record for record in records if isinstance(record, Choice)]
    return Solved(
        what[0],
        tuple(record for record in records if isinstance(record, Chain)),
        tuple(record for record in records if isinstance(record, StepScores)),
        choices[0] if choices else None,
    )


def _dropped(what: Any) -> Drop:
    drop = from_json(what)
    assert isinstance(drop, Drop)
    return drop


_READERS: dict[str, Any] = {
    "drawn": lambda what: Drawn(
        what[0], what[1], tuple(Completion(text, n, end, tuple(ids), stop) for text, n, end, ids, stop in what[2])
    ),
    "scored": lambda what: Scored(what[0], what[1], Refusal(*what[3]) if what[2] else tuple(what[3])),
    "dropped": _dropped,
    "solved": _solved,
}
