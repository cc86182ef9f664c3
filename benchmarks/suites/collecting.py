"""What the rows of a source hold, put together: one problem a text, and each id once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from prm.data.drops import Drops
from prm.data.formats.solutions import RowError
from prm.data.records import Chain, Problem, StepScores

from ..results import Protocol
from .fields import ID_TWICE, TWICE, Place
from .truth import Found, Rule, Truth


@dataclass(frozen=True, slots=True)
class SuiteData:
    """A suite that was read."""

    name: str
    protocol: Protocol
    problems: dict[str, Problem]
    """By id."""
    chains: dict[str, Chain]
    """By id; what is to be scored. A chain of best of n may have no steps, where nothing was generated."""
    truths: tuple[Truth, ...]
    """In the order of the rows."""
    stored: dict[str, dict[str, StepScores]]
    """Scores that the source holds: by scorer, by chain id. A scorer need not have scored all chains."""
    note: str = ""
    """As in `Suite`."""
    rule: Rule = "pairs"
    """As in `Suite`."""


class Collection:
    """Takes in what rows hold. Problems with the same text are one, unless they have different gold answers."""

    def __init__(self) -> None:
        self.problems: dict[str, Problem] = {}
        self.chains: dict[str, Chain] = {}
        self.truths: list[Truth] = []
        self.stored: dict[str, dict[str, StepScores]] = {}
        self._by_text: dict[str, list[Problem]] = {}
        self._truths_of: dict[str, tuple[Truth, ...]] = {}
        """By the id of their first chain."""
        self._suffixes: dict[str, list[str]] = {}
        """Behind an id, where several rows have it; by the id of the first chain without one."""

    def add(self, read: Callable[[Place], Iterable[Found]], place: Place, drops: Drops) -> None:
        """Take in what `read` finds at a place.

        An id that another row has gets the row's number behind it. A row that comes again adds the scores that are new
        in it; one without any is dropped.

        Raises:
            RowError: the row cannot be used, and nothing of it was taken in.
        """
        for found in self._under_free_ids(read, place):
            if not self._take(found):
                drops.add(f"{place.stem}:{place.number}", TWICE, found.chains[0].id)

    def _under_free_ids(self, read: Callable[[Place], Iterable[Found]], place: Place) -> list[Found]:
        """What is found, under ids that are free, or that belong to the same thing."""
        founds = [self._about_known(found) for found in read(place)]
        if not founds:
            raise RowError("no solution in it")
        new, others = f":{place.number}", self._suffixes.setdefault(founds[0].chains[0].id, [])
        for suffix in (*others, new):
            if not any(map(self._is_other, founds)):
                return founds
            founds = [self._about_known(found) for found in read(replace(place, suffix=suffix))]
        if any(map(self._is_other, founds)):
            raise RowError(ID_TWICE, place.id())
        if founds[0].chains[0].id not in self.chains:
            others.append(new)
        return founds

    def _about_known(self, found: Found) -> Found:
        """With the problem that is there already, if it is."""
        given = found.problem
        same_text = self._by_text.get(given.text.strip(), [])
        problem = next((p for p in same_text if p.answer == given.answer or None in (p.answer, given.answer)), given)
        return Found(
            problem,
            tuple(replace(chain, problem_id=problem.id) for chain in found.chains),
            tuple(replace(truth, problem_id=problem.id) for truth in found.truths),
            {name: tuple(replace(s, problem_id=problem.id) for s in own) for name, own in found.stored.items()},
        )

    def _is_other(self, found: Found) -> bool:
        """Whether an id of it belongs to something else."""
        if self.problems.get(found.problem.id, found.problem) != found.problem:
            return True
        taken = [chain for chain in found.chains if chain.id in self.chains]
        is_same = all(self.chains[chain.id] == chain for chain in taken)
        return bool(taken) and not (is_same and self._truths_of.get(found.chains[0].id) == found.truths)

    def _take(self, found: Found) -> bool:
        """Whether there was something new in it."""
        is_new = found.chains[0].id not in self.chains
        if is_new:
            if found.problem.id not in self.problems:
                self._by_text.setdefault(found.problem.text.strip(), []).append(found.problem)
                self.problems[found.problem.id] = found.problem
            self.chains |= {chain.id: chain for chain in found.chains}
            self.truths += found.truths
            self._truths_of[found.chains[0].id] = found.truths
        for name, scores in found.stored.items():
            own = self.stored.setdefault(name, {})
            fresh = {s.chain_id: s for s in scores if s.chain_id not in own}
            own |= fresh
            is_new = is_new or bool(fresh)
        return is_new
