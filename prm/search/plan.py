"""What a search does: its method and settings, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prm.errors import require_known, require_number
from prm.scoring.reranking import SELECTIONS
from prm.statistics.aggregation import aggregate, aggregator_named, is_logarithm
from prm.verifiers import Checker
from prm.verifiers.checkers import RULES

from .tree import Branch


@dataclass(frozen=True, slots=True)
class Plan:
    """How to search."""

    n: int = 16
    """Chains of a method that draws whole ones; else the branches that a search keeps."""
    width: int = 4
    """`beam`, `dvts` and `best-first`: continuations of a branch, M in the papers; 4 as there."""
    aggregate: str = "min"
    """Name in `prm.AGGREGATORS`: how step scores become the value of a branch and of a chain. Of an ORM, ignored."""
    selection: str = "weighted"
    """Name in `prm.SELECTIONS`: how the answer is chosen among the chains that a method ends with."""
    temperature: float = 0.1
    """`rebase`: T_b, in which the softmax measures values; above 0."""
    threshold: float | None = 0.5
    """`prune`: a branch is given up at its first step that scores less. None if it is not known."""
    settled: float = 0.95
    """`refine`: probability that the first answer stays the first, which is enough, in (0.5, 1)."""
    budget: int = 2**31
    """Most tokens to generate for a problem."""
    seed: int = 0
    """Of the draws and of the resampling."""
    max_tokens: int = 1024
    """Longest chain, in tokens."""
    checker: Checker = RULES
    """Decides which answers are equal, in votes."""
    is_orm: bool = False
    """Whether scores are of whole chains."""

    def __post_init__(self) -> None:
        aggregator_named(self.aggregate)
        require_known("selection", self.selection, SELECTIONS)
        require_number("n", self.n, "[1, inf)", whole=True)
        require_number("width", self.width, "[1, inf)", whole=True)
        require_number("temperature", self.temperature, "(0, inf)")
        if self.threshold is not None:
            require_number("threshold", self.threshold, "(-inf, inf)")
        require_number("settled", self.settled, "(0.5, 1)")
        require_number("budget", self.budget, "[1, inf)", whole=True)

    def value(self, branch: Branch) -> float:
        """The value of a branch, higher is better; -inf if it has no score."""
        if not branch.scores:
            return -math.inf
        return aggregate(branch.scores, "last" if self.is_orm else self.aggregate)

    def probability(self, branch: Branch) -> float:
        """The value as a probability, in [0, 1]; 0 without a score."""
        value = self.value(branch)
        return min(max(math.exp(value) if is_logarithm(self.aggregate) else value, 0.0), 1.0)
