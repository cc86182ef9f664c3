"""What an evaluation asks of a protocol: one entry holds all that depends on which one it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from ..conventions import Convention
from ..eval_rows import EvalRow, Kept
from ..numbers import EvalSettings, Findings, Number
from ..pools import Pool
from ..results import Curve, Result
from ..scores import ScoreTable
from ..suites.collecting import SuiteData


class Item(Protocol):
    """What is measured as one: a judged chain, a comparison, a pool of solutions."""

    @property
    def id(self) -> str:
        """How drops name it."""

    @property
    def problem_id(self) -> str:
        """Items of one problem are resampled together."""

    @property
    def split(self) -> str:
        """The part of the suite it is reported in."""

    @property
    def chain_ids(self) -> tuple[str, ...]:
        """All its chains."""

    @property
    def to_score(self) -> tuple[str, ...]:
        """Those of its chains without whose score it cannot be measured."""


I = TypeVar("I", bound=Item)  # noqa: E741


@dataclass(frozen=True, slots=True)
class Mark:
    """What a person should see of a chain, beside its text and scores."""

    chain_id: str
    is_right: bool | None
    """As in `ShownChain`, like all below."""
    truth: tuple[bool | None, ...] | None = None
    chosen_by: tuple[str, ...] = ()


Again = tuple[Sequence[Number], Sequence[tuple[str, str]], Sequence[Curve]]
"""Numbers, those of `ProtocolEntry.measure` that kept rows suffice for; id and split of their rows; curves."""


@dataclass(frozen=True, slots=True)
class ProtocolEntry(Generic[I]):
    """One protocol."""

    title: str
    item: type[I]
    """What is measured as one; a `Pool` is made from the suite's `Candidates` by checking their answers."""
    measure: Callable[[SuiteData, Sequence[I], Mapping[str, ScoreTable], EvalSettings], Findings]
    """The numbers of items that every scorer has scored."""
    marks: Callable[[I, Mapping[str, ScoreTable]], Iterable[Mark]]
    """What to show of an item."""
    keep: Callable[[SuiteData, Sequence[I], Mapping[str, ScoreTable]], Iterator[Kept]]
    """What to keep of each item, to measure it again."""
    again: Callable[[Sequence[EvalRow], Result, EvalSettings, Convention], Again]
    """Measures kept rows of a result."""
    heeds: frozenset[str] = frozenset()
    """The optional fields of `EvalSettings` that have a meaning for it; any other is refused."""
    tries_aggregators: bool = False
    """Whether step scores are measured once per aggregator, and not as they are."""
    words: tuple[str, str] = ("right", "wrong")
    """For chains with and without `is_right`."""

    @property
    def is_pooled(self) -> bool:
        """Whether answers are checked first."""
        return issubclass(self.item, Pool)
