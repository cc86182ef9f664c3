"""Suites of your own files: problems and chains of any origin, and the arithmetic world with its exact truth."""

from __future__ import annotations

from pathlib import Path

from prm.data.drops import Drops
from prm.data.files import by_id, read_chains, read_problems
from prm.data.records import Chain
from prm.errors import InputError
from prm.verifiers import Checker
from prm.verifiers.checkers import RULES

from ..conventions import ConventionName
from . import SuiteData, convention_of, suite_named
from .judging import BEST_OF_N, WORLD

__all__ = ["BEST_OF_N", "WORLD", "read_own"]


def read_own(
    name: str,
    problems: Path,
    chains: Path,
    drops: Drops,
    *,
    splitter: str = "newline",
    checker: Checker = RULES,
    convention: ConventionName = "exact",
) -> SuiteData:
    """Read a suite from a file of problems and one of chains.

    A chain whose problem is missing goes to `drops`.

    Raises:
        InputError: as in `prm.data.files`; the suite is not one of own files; or "world" with problems that have no
            exact truth.
    """
    suite = suite_named(name)
    if suite.judge is None:
        raise InputError(f"{name} is not a suite of problems and chains", "give its rows")
    known, kept = by_id(read_problems(problems)), dict[str, Chain]()
    for chain in read_chains(chains, splitter):
        if chain.problem_id in known:
            kept[chain.id] = chain
        else:
            drops.add(chain.id, "its problem is missing")
    truths = tuple(suite.judge(known, kept, checker))
    how = convention_of(name, convention)
    return SuiteData(name, suite.protocol, known, kept, truths, {}, suite.note, rule=suite.rule, convention=how)
