"""Suites of our own files: problems and chains of any origin, and the arithmetic world with its exact truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prm.data.drops import Drops
from prm.data.files import by_id, read_chains, read_problems
from prm.data.records import Chain, Problem
from prm.verifiers import check

from ..arithmetic.step_truth import truths
from ..pools import decided
from ..results import Protocol
from . import SuiteData
from .truth import Candidates, StepTruth

BEST_OF_N, WORLD = "best-of-n", "world"
OWN: dict[str, tuple[Protocol, str]] = {
    BEST_OF_N: ("best-of-n", "own problems and chains"),
    WORLD: ("localization", "problems of `prm world` and chains: exact truth"),
}
"""Name to protocol, and what its rows are."""


def read_own(name: str, problems: Path, chains: Path, drops: Drops, *, splitter: str = "newline") -> SuiteData:
    """Read a suite that is a file of problems and one of chains.

    A chain whose problem is not there goes to `drops`.

    Raises:
        InputError: as `prm.data.files`; or "world" with problems that have no exact truth.
    """
    known, kept = by_id(read_problems(problems)), dict[str, Chain]()
    for chain in read_chains(chains, splitter):
        if chain.problem_id in known:
            kept[chain.id] = chain
        else:
            drops.add(chain.id, "its problem is missing")
    if name == BEST_OF_N:
        return SuiteData(name, "best-of-n", known, kept, tuple(_candidates(known, kept)), {})
    exact = truths(known, kept.values())  # all steps are judged, those after the first error too
    found = tuple(StepTruth(c.id, c.problem_id, name, tuple(exact[c.id]), _is_right(known, c)) for c in kept.values())
    return SuiteData(name, "localization", known, kept, found, {})


def _candidates(problems: Mapping[str, Problem], chains: Mapping[str, Chain]) -> list[Candidates]:
    """Of every problem; one without chains is counted too, where it is dropped."""
    by_problem: dict[str, list[str]] = {problem_id: [] for problem_id in problems}
    for chain in chains.values():
        by_problem[chain.problem_id].append(chain.id)
    return [Candidates(problem_id, BEST_OF_N, tuple(own)) for problem_id, own in by_problem.items()]


def _is_right(problems: Mapping[str, Problem], chain: Chain) -> bool | None:
    return decided(check(chain.text, problems[chain.problem_id].answer or ""))
