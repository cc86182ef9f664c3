"""The rows of a source, put together: one problem per text, and each id once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from prm.data.drops import Drops
from prm.data.records import Chain, Problem, StepScores
from prm.data.rows import Row, RowError

from ..conventions import EXACT, Convention
from ..results import Protocol
from .fields import ID_TWICE, TWICE, Place
from .truth import Candidates, Found, Rule, Truth

Plain = str | int | float | bool
"""A value that rows can be grouped by."""
_LONGEST = 80
"""Characters of a text that is a group's name, and not a text to read."""


def plain_fields(row: Mapping[str, Any]) -> dict[str, Plain]:
    """The fields of a row that rows can be grouped by: numbers, truth values and short texts.

    >>> plain_fields({"generator": "Qwen", "steps": ["a"], "problem": "Why? " * 30, "level": 3})
    {'generator': 'Qwen', 'level': 3}
    """
    return {name: value for name, value in row.items() if _is_plain(value)}


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= _LONGEST
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


@dataclass(frozen=True, slots=True)
class SuiteData:
    """A suite: its problems, its chains, and their truth."""

    name: str
    protocol: Protocol
    problems: dict[str, Problem]
    """By id."""
    chains: dict[str, Chain]
    """By id; the chains to score. In best of n, an empty generation is a chain without steps."""
    truths: tuple[Truth, ...]
    """In the order of the rows."""
    stored: dict[str, dict[str, StepScores]]
    """Scores found in the source: by scorer, by chain id. Not every scorer need have scored every chain."""
    note: str = ""
    """As in `Suite`."""
    rule: Rule = "pairs"
    """As in `Suite`."""
    convention: Convention = EXACT
    """By which it was read, and is measured."""
    fields: Mapping[str, Mapping[str, Plain]] = field(default_factory=dict, compare=False)
    """The short values in the row of each chain, comparison or problem that is measured as one, by its id."""


class Collection:
    """Collects rows. Problems with the same text are one, unless their gold answers differ.

    Args:
        is_first_only: whether a later row with the same id is refused, instead of getting an id of its own.
    """

    def __init__(self, *, is_first_only: bool = False) -> None:
        self.is_first_only = is_first_only
        self.problems: dict[str, Problem] = {}
        self.chains: dict[str, Chain] = {}
        self.truths: list[Truth] = []
        self.stored: dict[str, dict[str, StepScores]] = {}
        self.fields: dict[str, Mapping[str, Plain]] = {}
        """As in `SuiteData`."""
        self._by_text: dict[str, list[Problem]] = {}
        self._truths_of: dict[str, tuple[Truth, ...]] = {}
        """By the id of their first chain."""
        self._solutions: dict[_Solutions, Candidates] = {}
        """By what they say; of several the first."""
        self._suffixes: dict[tuple[object, ...], list[str]] = {}
        """Added to an id that several rows share; by the id of the first chain without one, and what the row says."""

    def add(self, row: Row, read: Callable[[Row, Place], Iterable[Found]], place: Place, drops: Drops) -> None:
        """Add what `read` finds in a row, at a place.

        If another row has its id, the row's number is appended to it. A repeated row adds its new scores; without any
        it is dropped.

        Raises:
            RowError: the row cannot be used; nothing of it was added.
        """
        for found in self._under_free_ids(partial(read, row), place):
            for truth in found.truths:
                self.fields.setdefault(truth.id, plain_fields(row))
            if not self._take(found):
                drops.add(f"{place.stem}:{place.number}", TWICE, found.chains[0].id)

    def _under_free_ids(self, read: Callable[[Place], Iterable[Found]], place: Place) -> list[Found]:
        """The row's content, under ids that are free or belong to the same content."""
        founds = [self._about_known(found) for found in read(place)]
        if not founds:
            raise RowError("no solution in it")
        said = (found.problem.text for found in founds), (chain.steps for found in founds for chain in found.chains)
        key = (founds[0].chains[0].id, *map(tuple, said))
        new, others = f":{place.number}", self._suffixes.setdefault(key, [])
        for suffix in (*others, new):
            if not any(map(self._is_other, founds)):
                return founds
            if self.is_first_only:
                raise RowError(ID_TWICE, place.id())
            founds = [self._about_known(found) for found in read(replace(place, suffix=suffix))]
        if any(map(self._is_other, founds)):
            raise RowError(ID_TWICE, place.id())
        if founds[0].chains[0].id not in self.chains:
            others.append(new)
        return founds

    def _about_known(self, found: Found) -> Found:
        """With the problem that is known already, if there is one."""
        given = found.problem
        same_text = self._by_text.get(given.text.strip(), [])
        problem = next((p for p in same_text if p.answer == given.answer or None in (p.answer, given.answer)), given)
        return self._scoring_known(
            Found(
                problem,
                tuple(replace(chain, problem_id=problem.id) for chain in found.chains),
                tuple(replace(truth, problem_id=problem.id) for truth in found.truths),
                {name: tuple(replace(s, problem_id=problem.id) for s in own) for name, own in found.stored.items()},
            )
        )

    def _scoring_known(self, found: Found) -> Found:
        """About the solutions of another file, if these are the same and this row adds scores of them."""
        known = self._solutions.get(_solutions(found)) if found.stored else None
        if known is None or known.split == found.truths[0].split:
            return found
        ids = dict(zip((chain.id for chain in found.chains), known.chain_ids, strict=True))
        stored = {name: tuple(replace(s, chain_id=ids[s.chain_id]) for s in own) for name, own in found.stored.items()}
        return Found(found.problem, tuple(self.chains[i] for i in known.chain_ids), (known,), stored)

    def _is_other(self, found: Found) -> bool:
        """Whether one of its ids belongs to different content."""
        if self.problems.get(found.problem.id, found.problem) != found.problem:
            return True
        taken = [chain for chain in found.chains if chain.id in self.chains]
        is_same = all(self.chains[chain.id] == chain for chain in taken)
        return bool(taken) and not (is_same and self._truths_of.get(found.chains[0].id) == found.truths)

    def _take(self, found: Found) -> bool:
        """Add it; whether anything in it was new."""
        is_new = found.chains[0].id not in self.chains
        if is_new:
            if found.problem.id not in self.problems:
                self._by_text.setdefault(found.problem.text.strip(), []).append(found.problem)
                self.problems[found.problem.id] = found.problem
            self.chains |= {chain.id: chain for chain in found.chains}
            self.truths += found.truths
            self._truths_of[found.chains[0].id] = found.truths
            if isinstance(found.truths[0], Candidates):
                self._solutions.setdefault(_solutions(found), found.truths[0])
        for name, scores in found.stored.items():
            own = self.stored.setdefault(name, {})
            fresh = {s.chain_id: s for s in scores if s.chain_id not in own}
            own |= fresh
            is_new = is_new or bool(fresh)
        return is_new


_Solutions = tuple[Any, ...]


def _solutions(found: Found) -> _Solutions:
    """What a row says, whatever its ids: the problem, the solutions, and what is known of them."""
    known = [(t.is_right, t.answers) for t in found.truths if isinstance(t, Candidates)]
    return found.problem.id, tuple(chain.steps for chain in found.chains), *known
