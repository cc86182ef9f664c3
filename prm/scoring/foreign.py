"""Scores as other tools write them: one row → scores of one chain or of several, and whose chains these are.

{"id": "p/0", "scores": [0.9, 0.2]}                     also under "step_scores", "rewards", …; as text, or nested
{"p/0": [0.9, 0.2], "p/1": [0.4]}                       an object of scores by chain
{"id": 30, "score_chosen": 1.7, "score_rejected": 0.2}  a pair; RewardBench has "scores_chosen" and so on
{"prompt": …, "step_scores": [[0.9], [0.4, 0.1]]}       all chains of a problem, in their order in the suite:
                                                        RLHFlow's math-rm, RewardMATH, RewardBench 2
{"question": …, "output": [{"text": …, "value": …}]}    the same, from openr
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from reprlib import repr as short
from typing import Any, Literal, Protocol

from prm.data.drops import Drops
from prm.data.files import read_records
from prm.data.reading import read_source, rows_in
from prm.data.records import StepScores
from prm.data.rows import Row, RowError, first_field, optional_text, question_of
from prm.errors import InputError

Scored = tuple[str, Sequence[float] | RowError, str]
"""Chain id, its scores or why they cannot be read, and their kind; "" for a list of one that may be either."""

BAD_SCORE = "a score that cannot be read"
NO_SCORES = "no scores in it"
NO_CHAIN = "a row of scores without a chain"
NO_KIND = "a kind of scores that is neither prm nor orm"
NOT_ONE = "an ORM gives exactly one score per chain"
"""Reasons to drop a row of scores."""

_IDS = ("chain_id", "id", "idx")
_STEPS = ("scores", "step_scores", "prm_scores", "rewards", "step_rewards")
_SURE = ("step_scores", "prm_scores", "step_rewards")
"""Names that say that each number is a step's."""
_WHOLE = ("score", "reward", "value")
_PAIRS = (
    ("score_chosen", "score_rejected"), ("scores_chosen", "scores_rejected"), ("chosen_score", "rejected_score"),
    ("chosen_scores", "rejected_scores"), ("reward_chosen", "reward_rejected"), ("chosen_reward", "rejected_reward"),
)  # fmt: skip
_NAMES = {*_IDS, *_STEPS, *_WHOLE, *chain.from_iterable(_PAIRS)}
_ANSWERS = ("output", "outputs", "candidates")
_DEEPEST = 8
"""Lists within lists in which scores are looked for."""


class Group(Protocol):
    """Chains of one problem, in their order: all of them, one, or those of a comparison."""

    @property
    def id(self) -> str:
        """The problem's, the chain's or the comparison's."""

    @property
    def problem_id(self) -> str:
        """Of all of them."""

    @property
    def chain_ids(self) -> tuple[str, ...]:
        """At least one."""


@dataclass(frozen=True, slots=True)
class Siblings:
    """All chains of a problem, as a `Group`."""

    problem_id: str
    chain_ids: tuple[str, ...]

    @property
    def id(self) -> str:
        """The problem's."""
        return self.problem_id


class Links:
    """Finds the chains that a row means: by their id, with or without that of their file, or by the problem."""

    def __init__(self, groups: Iterable[Group] = (), texts: Mapping[str, str] | None = None) -> None:
        """`texts` are those of problems, by id."""
        self._owners: dict[str, str] = {}
        self._chains: dict[str, str | None] = {}
        self._items: dict[str, tuple[str, ...] | None] = {}
        for group in groups:
            for chain_id in group.chain_ids:
                self._owners[chain_id] = group.problem_id
                _put(self._chains, (chain_id, chain_id.partition("/")[2]), chain_id)
            text = (texts or {}).get(group.problem_id, "").strip()
            _put(self._items, (group.id, group.id.partition("/")[2], group.problem_id, text), group.chain_ids)

    def owner(self, chain_id: str) -> str:
        """The problem of a chain; of an unknown one what stands before the last slash of its id."""
        return self._owners.get(chain_id) or chain_id.rpartition("/")[0] or chain_id

    def is_chain(self, identity: str | None) -> bool:
        """Whether there is one chain with this id."""
        return identity is not None and self._chains.get(identity) is not None

    def chain(self, identity: str) -> str:
        """The chain with this id; the id itself if there is none, or several."""
        return self._chains.get(identity) or identity

    def chains(self, row: Row) -> tuple[str, ...]:
        """The chains of the comparison or problem that a row is about, by its id or text; none if that is not clear."""
        for key in (optional_text(row, *_IDS), optional_text(row, "problem_id"), question_of(row)):
            if isinstance(key, str) and (found := self._items.get(key.strip())):
                return found
        return ()


def _put(places: dict[str, Any], keys: Iterable[str], value: Any) -> None:
    """Note a value under each key; None where there are two."""
    for key in dict.fromkeys(filter(None, keys)):
        places[key] = value if places.get(key, value) == value else None


def rows_of_scores(value: Any) -> list[Any]:
    """The rows in a JSON value that is the whole of a file of scores; an object may hold scores by chain id."""
    is_row = not isinstance(value, dict) or not value or value.keys() & _NAMES
    if is_row or not all(map(_is_score, value.values())):
        return rows_in(value)
    return [{"id": name, "scores" if isinstance(_loaded(v), list) else "score": v} for name, v in value.items()]


def _is_score(value: Any, depth: int = 0) -> bool:
    """Whether it is a number, also as text, null, or a list of such; `depth` is how deep in lists it stands."""
    if isinstance(value, list):
        return depth == _DEEPEST or all(_is_score(item, depth + 1) for item in value)
    if isinstance(value, str):
        return _is_number(value) or ((loaded := _loaded(value)) is not value and _is_score(loaded, depth))
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def scored(row: Row, links: Links) -> Iterator[Scored]:
    """The scores in a row.

    Raises:
        RowError: it holds none, or they belong to no chain.
    """
    if (plain := _plain(row)) is not None:
        yield links.chain(plain[0]), *plain[1:]
        return
    pair = next((names for names in _PAIRS if names[0] in row and names[1] in row), None)
    if pair is not None:
        yield from _of_many(row, [row[pair[0]], row[pair[1]]], links)
        return
    name = next((name for name in (*_STEPS, *_WHOLE) if row.get(name) is not None), None)
    if name is None:
        answers: list[Any] = next((row[name] for name in _ANSWERS if isinstance(row.get(name), list)), [])
        many = [_value_of(answer) for answer in answers]
        if not many or None in many:
            raise RowError(NO_SCORES, f"none of {', '.join((*_STEPS, *_WHOLE))}")
        yield from _of_many(row, many, links)
        return
    value = _loaded(row[name])
    if _is_of_many(value, row, links):
        yield from _of_many(row, value, links)
        return
    identity = _identity(row)
    if not identity:
        found = links.chains(row)
        if len(found) != 1:
            raise RowError(NO_CHAIN, "it has no id, and no problem of the suite with one chain")
        identity = found[0]
    yield links.chain(identity), *_scores(value, name, row.get("kind"))


def _plain(row: Row) -> Scored | None:
    """What a row as we write it holds, read without a search, for there may be millions; None of any other row."""
    chain_id, scores, kind = row.get("chain_id"), row.get("scores"), row.get("kind")
    if kind not in ("prm", "orm") or not chain_id or type(chain_id) is not str or type(scores) is not list:
        return None
    if set(map(type, scores)) == {float} and math.isfinite(sum(scores)) and (kind == "prm" or len(scores) == 1):
        return chain_id, scores, kind
    return None


def _identity(row: Row) -> str | None:
    """The id of a row; None if it has none, or something that is no id."""
    value = first_field(row, *_IDS)
    return optional_text(row, *_IDS) if isinstance(value, str | int | float) else None


def _value_of(answer: Any) -> Any:
    return first_field(answer, "value", *_STEPS, *_WHOLE) if isinstance(answer, dict) else None


def _is_of_many(value: Any, row: Row, links: Links) -> bool:
    """Whether a list has an entry for each chain of a problem, and not for each step of one chain."""
    if not isinstance(value, list) or links.is_chain(_identity(row)):
        return False
    count = len(links.chains(row))
    return (count > 1 and len(value) == count) or (len(value) > 1 and all(isinstance(v, list) for v in value))


def _of_many(row: Row, many: Sequence[Any], links: Links) -> Iterator[Scored]:
    """The scores of all chains of a problem or comparison, in their order."""
    chain_ids, identity = links.chains(row), optional_text(row, *_IDS, "problem_id")
    if not chain_ids and identity:
        chain_ids = tuple(f"{identity}/{i}" for i in range(len(many)))
    if len(chain_ids) != len(many):
        said = f"scores of {len(many)} chains, and {len(chain_ids)} chains of its problem in the suite"
        raise RowError(NO_CHAIN, said)
    sure = "prm" if any(row.get(name) is not None for name in _SURE) else None
    for chain_id, value in zip(chain_ids, map(_loaded, many), strict=True):
        yield chain_id, *_scores(value, "" if isinstance(value, list) and len(value) == 1 else "score", sure)


def _loaded(value: Any) -> Any:
    """A list in a text, as that."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _scores(value: Any, name: str, kind: Any = None) -> tuple[Sequence[float] | RowError, str]:
    """The scores in a field, and their kind."""
    values = value if isinstance(value, list) else [value]
    is_nested = len(values) == 1 and isinstance(values[0], list)
    if is_nested:
        values = values[0]
    if kind not in ("prm", "orm", None):
        raise RowError(NO_KIND, repr(kind))
    if not isinstance(value, list):
        kind = "orm"
    elif kind is None:
        is_one = len(values) == 1 and (is_nested or name not in _STEPS)
        kind = "" if is_one else "prm"
    if kind == "orm" and len(values) != 1:
        return RowError(NOT_ONE, f"not {len(values)}"), kind
    try:
        return [_number(v[0] if isinstance(v, list) and len(v) == 1 else v) for v in values], kind
    except RowError as error:
        return error, kind


def _number(value: Any) -> float:
    try:
        if isinstance(value, int | float | str) and not isinstance(value, bool) and math.isfinite(float(value)):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise RowError(BAD_SCORE, "null" if value is None else short(value))


def read_step_scores(path: Path, drops: Drops, links: Callable[[], Links] = Links) -> dict[str, StepScores]:
    """The scores in a file by chain id: our own records, or rows of any other tool.

    Args:
        path: see `prm.data.reading`; our own records are read strictly.
        drops: receives rows of others without scores, without a chain, or with a score that cannot be read.
        links: gives the known chains, for rows that name them in another way; asked only for rows of others.

    Raises:
        InputError: one of our records cannot be used, no row of others can, an id comes twice, or kinds are mixed.
    """
    if _is_ours(path):
        return _own(path)
    known, before = links(), len(drops)
    found: dict[str, tuple[tuple[float, ...], str]] = {}
    for stem, number, row in read_source(path, unpack=rows_of_scores):
        try:
            if isinstance(row, RowError):
                raise row
            for chain_id, scores, kind in scored(row, known):
                if isinstance(scores, RowError):
                    raise scores
                if chain_id in found:
                    raise InputError(f"{path}:{number}: chain id {chain_id!r} comes twice", "give each chain one row")
                found[chain_id] = tuple(scores), kind
        except RowError as error:
            drops.add(f"{stem}:{number}", error.reason, error.detail)
    if not found:
        reasons = ", ".join(dict.fromkeys(drop.reason for drop in list(drops)[before:])) or "it is empty"
        raise InputError(f"{path}: holds no scores: {reasons}", _HINT)
    kinds = {kind for _, kind in found.values() if kind}
    if len(kinds) > 1:
        raise InputError(f"{path}: mixes PRM and ORM scores", "give one file per scorer")
    one: Literal["prm", "orm"] = "prm" if "prm" in kinds else "orm"
    return {i: StepScores(i, known.owner(i), scores, one) for i, (scores, _) in found.items()}


_HINT = "each row must have 'chain_id' or 'id', and 'scores' (one per step) or 'score'"


def _own(path: Path) -> dict[str, StepScores]:
    own = {row.chain_id: row for row in read_records(path, StepScores)}
    if not own:
        raise InputError(f"{path}: holds no scores: it is empty", "score the chains first")
    return own


def _is_ours(path: Path) -> bool:
    """Whether the first row names a schema, or is none: our reader says best what is wrong with it."""
    if path.is_dir():
        return False
    first = next(iter(read_source(path, unpack=rows_of_scores)), None)
    return first is None or isinstance(first[2], RowError) or "schema" in first[2]
