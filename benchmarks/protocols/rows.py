"""The chains of a suite with one scorer's scores: what every measure of steps starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from prm.statistics.arrays import Floats, Ints
from prm.statistics.bootstrap import Resampling

from ..conventions import EXACT, Convention
from ..numbers import EvalSettings, Number
from ..suites.truth import StepTruth

Flags = NDArray[np.bool_]

FIXED = "fixed"
"""Begins the variant of numbers at a scorer's own threshold."""


def fixed_mode(scorer: str, settings: EvalSettings) -> str:
    """The name of numbers at a scorer's own threshold."""
    return f"{FIXED} {settings.threshold(scorer):g}"


@dataclass(frozen=True)
class Rows:
    """The chains of a suite with one scorer's scores, and the draws for intervals."""

    truths: Sequence[StepTruth]
    scores: Sequence[Sequence[float]]
    """One list per chain, one score per step."""
    lengths: Floats
    """Characters of each chain."""
    drawn: Resampling
    convention: Convention = EXACT
    originals: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Step scores of the chains that others were made from, by chain id."""

    @cached_property
    def splits(self) -> dict[str, Ints]:
        """The rows of each split, in order of first appearance."""
        names = np.array([truth.split for truth in self.truths])
        return {name: np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())}

    @cached_property
    def has_error(self) -> Flags:
        """Whether each chain has a wrong step."""
        return np.array([truth.first_error is not None for truth in self.truths], dtype=bool)

    @cached_property
    def found_above(self) -> Floats:
        """The first error is found by thresholds above this; -inf for a chain without one."""
        errors = [truth.first_error for truth in self.truths]
        return np.array([-np.inf if e is None else s[e] for s, e in zip(self.scores, errors, strict=True)])

    @cached_property
    def found_to(self) -> Floats:
        """… and up to this: the lowest score before the first error; of all steps if there is no error."""
        errors = [truth.first_error for truth in self.truths]
        return np.array([min(s[:e], default=np.inf) for s, e in zip(self.scores, errors, strict=True)])

    @cached_property
    def lowest(self) -> Floats:
        """The lowest score of each chain; inf for one without steps."""
        return np.array([min(s, default=np.inf) for s in self.scores])

    @cached_property
    def steps(self) -> Steps:
        """All steps that the suite judges."""
        known = [
            (row, place, score, is_right)
            for row, (truth, scores) in enumerate(zip(self.truths, self.scores, strict=True))
            for place, (score, is_right) in enumerate(zip(scores, truth.steps, strict=True))
            if is_right is not None
        ]
        owners, places, values, labels = zip(*known, strict=True) if known else ((), (), (), ())
        return Steps(
            np.array(owners, dtype=np.int64),
            np.array(places, dtype=np.int64),
            np.array(values, dtype=float),
            np.array(labels, dtype=bool),
        )


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps of many chains."""

    rows: Ints
    """The chain of each."""
    places: Ints
    """The position of each in its chain, from 0."""
    scores: Floats
    is_right: Flags

    def __len__(self) -> int:
        return len(self.scores)

    def of(self, rows: Ints) -> Steps:
        """The steps of these chains."""
        inside = np.isin(self.rows, rows)
        return Steps(self.rows[inside], self.places[inside], self.scores[inside], self.is_right[inside])


Measure = Callable[[str, Rows, EvalSettings], Iterator[Number]]
"""A scorer's name and its scores → numbers."""
