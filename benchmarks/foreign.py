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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from reprlib import repr as short
from typing import Any

from prm.data.reading import rows_in
from prm.data.rows import Row, RowError, first_field, optional_text, question_of

from .suites.fields import BAD_SCORE
from .suites.truth import Truth

Scored = tuple[str, Sequence[float] | RowError, str]
"""Chain id, its scores or why they cannot be read, and their kind; "" for a list of one that may be either."""

NO_SCORES = "no scores in it"
NO_CHAIN = "a row of scores without a chain"
NO_KIND = "a kind of scores that is neither prm nor orm"
"""Reasons to drop a row of scores, besides `BAD_SCORE`."""

_IDS = ("chain_id", "id", "idx")
_STEPS = ("scores", "step_scores", "prm_scores", "rewards", "step_rewards")
_SURE = ("step_scores", "prm_scores", "step_rewards")
"""Names that say that each number is a step's."""
_WHOLE = ("score", "reward", "value")
_PAIRS = (
    ("score_chosen", "score_rejected"), ("scores_chosen", "scores_rejected"), ("chosen_score", "rejected_score"),
    ("chosen_scores", "rejected_scores"), ("reward_chosen", "reward_rejected"), ("chosen_reward", "rejected_reward"),
)  # fmt: skip
_ANSWERS = ("output", "outputs", "candidates")


class Links:
    """Finds the chains that a row means: by their id, with or without that of their file, or by the problem."""

    def __init__(self, truths: Iterable[Truth] = (), texts: Mapping[str, str] | None = None) -> None:
        """`truths` are the suite's, and `texts` those of its problems by id."""
        self._chains: dict[str, str | None] = {}
        self._items: dict[str, tuple[str, ...] | None] = {}
        for truth in truths:
            for chain_id in truth.chain_ids:
                _put(self._chains, (chain_id, chain_id.partition("/")[2]), chain_id)
            text = (texts or {}).get(truth.problem_id, "").strip()
            own = truth.id
            _put(self._items, (own, own.partition("/")[2], truth.problem_id, text), truth.chain_ids)

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
    is_row = not isinstance(value, dict) or not value or value.keys() & {*_IDS, *_STEPS, *_WHOLE}
    if is_row or not all(map(_is_score, value.values())):
        return rows_in(value)
    return [{"id": name, "scores" if isinstance(v, list) else "score": v} for name, v in value.items()]


def _is_score(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_score, value))
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def scored(row: Row, links: Links) -> Iterator[Scored]:
    """The scores in a row.

    Raises:
        RowError: it holds none, or they belong to no chain.
    """
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
        except ValueError:
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
