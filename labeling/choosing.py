"""Which chains are not worth a rollout: those of problems too hard or too easy, and those a reward model is sure of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import tee
from pathlib import Path
from statistics import fmean, stdev

from prm.data.files import read_records
from prm.data.records import Chain, Problem, StepScores
from prm.errors import InputError, require_number
from prm.verifiers import Checker

from .judging import outcomes_of_each

SOLVED = ("never", "always", "both")
"""Which problems can be dropped, by how many of their chains are right: none, all, or either."""


def solved(checker: Checker, chains: Iterable[Chain], problems: Mapping[str, Problem], which: str) -> dict[str, str]:
    """The chains whose problems are never or always solved by their chains, each with the reason to drop it.

    Args:
        checker: of the job.
        chains: all chains.
        problems: by id; chains of problems without a gold answer are left out.
        which: see `SOLVED`.
    """
    usable, again = tee(c for c in chains if c.problem_id in problems and problems[c.problem_id].golds)
    judged = outcomes_of_each(checker, ((c.text, c.finish, problems[c.problem_id]) for c in again))
    of, right = defaultdict[str, list[str]](list), Counter[str]()
    for chain, outcome in zip(usable, judged, strict=True):
        of[chain.problem_id].append(chain.id)
        right[chain.problem_id] += outcome == "correct"
    found: dict[str, str] = {}
    for problem, ids in of.items():
        if which != "always" and not right[problem]:
            found |= dict.fromkeys(ids, "its problem is never solved")
        elif which != "never" and right[problem] == len(ids):
            found |= dict.fromkeys(ids, "its problem is always solved")
    return found


def surely_known(scores: Sequence[Path], chains: Iterable[Chain], least: float, spread: float) -> dict[str, str]:
    """The chains whose labels the current reward models are sure of, each with the reason to drop it.

    Efficient Process Reward Model Training via Active Learning (ActPRM, arXiv 2504.10559) labels only the others: a
    chain is sure if all its steps up to the first that is predicted wrong have a mean score of at least `least` or at
    most 1 - `least`, with a standard deviation among the models of at most `spread`.

    Args:
        scores: files of step scores in [0, 1], from `prm score`, one of each model of an ensemble.
        chains: all chains. One without scores is not sure.
        least: in (0.5, 1]; the authors' code uses 0.9.
        spread: at least 0; the authors' code uses 0.01.

    Raises:
        InputError: the scores are not those of a PRM, or of none of these chains.
    """
    require_number("sure", least, "(0.5, 1]")
    require_number("spread", spread, "[0, inf)")
    steps = {chain.id: len(chain.steps) for chain in chains}
    found, matched = {}, 0
    for chain_id, rows in _by_chain(scores).items():
        if {len(row) for row in rows} != {steps.get(chain_id)} or len(rows) < len(scores):
            continue
        matched += 1
        if _is_sure(rows, least, spread):
            found[chain_id] = "the reward model is sure of it"
    if not matched:
        raise InputError(
            f"{scores[0]}: none of its scores belongs to a chain", "give the scores of these chains' steps"
        )
    return found


def _by_chain(paths: Sequence[Path]) -> dict[str, list[tuple[float, ...]]]:
    found = defaultdict[str, list[tuple[float, ...]]](list)
    for path in paths:
        for row in read_records(path, StepScores):
            if row.kind != "prm" or not all(0 <= score <= 1 for score in row.scores):
                raise InputError(f"{path}: chain {row.chain_id!r} has no step scores in [0, 1]", "score with a PRM")
            found[row.chain_id].append(row.scores)
    return found


def _is_sure(rows: Sequence[Sequence[float]], least: float, spread: float) -> bool:
    for scores in zip(*rows, strict=True):
        mean = fmean(scores)
        if max(mean, 1 - mean) < least - 1e-9 or (len(scores) > 1 and stdev(scores) > spread):
            return False
        if mean < 0.5:
            break
    return True
