"""Suites of your own files: problems and chains of any origin, and the arithmetic world with its exact truth."""

from __future__ import annotations

from pathlib import Path

from prm.data.drops import Drops
from prm.data.files import ProblemFile, read_each_chain, require_linked, sound_chains
from prm.data.records import Chain
from prm.errors import InputError
from prm.verifiers import Checker
from prm.verifiers.checkers import RULES

from . import SuiteData, suite_named
from .judging import BEST_OF_N, WORLD

__all__ = ["BEST_OF_N", "WORLD", "read_own"]


def read_own(
    name: str, problems: Path, chains: Path, drops: Drops, *, splitter: str = "newline", checker: Checker = RULES
) -> SuiteData:
    """Read a suite from a file of problems and one of chains.

    A chain whose problem is missing, and a row that is none, go to `drops`.

    Raises:
        InputError: as in `prm.data.files`; no chain belongs to a problem; the suite is not one of own files; or "world"
            with problems that have no exact truth.
    """
    suite = suite_named(name)
    if suite.judge is None:
        raise InputError(f"{name} is not a suite of problems and chains", "give its rows")
    owners, kept = ProblemFile(problems), dict[str, Chain]()
    known = dict(owners)
    require_linked(chains, read_each_chain(chains, splitter, owners), known)
    for chain in sound_chains(chains, splitter, owners, drops.add):
        if chain.problem_id in known:
            kept[chain.id] = chain
        else:
            drops.add(chain.id, "its problem is missing")
    truths = tuple(suite.judge(known, kept, checker))
    return SuiteData(name, suite.protocol, known, kept, truths, {}, note=suite.note, rule=suite.rule)
