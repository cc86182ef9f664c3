"""Your own problems and chains → their truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prm.data.records import Chain, Problem
from prm.scoring.checking import solution_verdicts
from prm.verifiers import Checker

from ..arithmetic.step_truth import truths
from .truth import Candidates, StepTruth, decided

BEST_OF_N, WORLD = "best-of-n", "world"


def candidates(problems: Mapping[str, Problem], chains: Mapping[str, Chain], _checker: Checker) -> Iterator[Candidates]:
    """The chains of every problem, to be checked later; one without chains is counted where it is dropped."""
    by_problem: dict[str, list[str]] = {problem_id: [] for problem_id in problems}
    for chain in chains.values():
        by_problem[chain.problem_id].append(chain.id)
    return (Candidates(problem_id, BEST_OF_N, tuple(own)) for problem_id, own in by_problem.items())


def exact(problems: Mapping[str, Problem], chains: Mapping[str, Chain], checker: Checker) -> Iterator[StepTruth]:
    """The exact truth of every step, those after the first error too.

    Raises:
        InputError: a problem is not one of the arithmetic world.
    """
    known = truths(problems, chains.values())
    owners = [problems[chain.problem_id] for chain in chains.values()]
    solutions = ((chain.text, owner) for chain, owner in zip(chains.values(), owners, strict=True))
    for chain, verdict in zip(chains.values(), solution_verdicts(checker, solutions), strict=True):
        yield StepTruth(chain.id, chain.problem_id, WORLD, tuple(known[chain.id]), decided(verdict))
