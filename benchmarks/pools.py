"""Pools: the solutions of one problem, checked and grouped by answer. Best of n is computed from them.

Checking is the slow part and needs no scores, so it is done once and kept (`pool/1`, one line per problem):

    {"schema": "pool/1", "problem_id": "p", "split": "all", "chain_ids": ["p/0", "p/1"], "is_right": [true, null],
     "groups": [0, null], "lengths": [120, 84]}
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import msgspec

from prm.data.drops import Drops
from prm.data.reading import read_rows
from prm.data.records import Chain, Problem
from prm.data.rows import Row
from prm.errors import InputError
from prm.scoring.checking import solution_verdicts
from prm.scoring.reranking import group_answers
from prm.verifiers import Checker
from prm.verifiers.checkers import RULES

from .suites.truth import Candidates, decided

POOL_SCHEMA = "pool/1"


@dataclass(frozen=True, slots=True)
class Pool:
    """The chains of one problem."""

    problem_id: str
    split: str
    chain_ids: tuple[str, ...]
    is_right: tuple[bool | None, ...]
    """None where the check decided neither; such a chain counts as not right."""
    groups: tuple[int | None, ...]
    """`prm.scoring.reranking.group_answers`: equal for equal answers, None for no answer."""
    lengths: tuple[int, ...]
    """Characters of each chain."""
    repeat: int = 1
    """Which of its problem's pools it is, from 1: several rows may hold solutions of a problem. Not stored."""

    def __post_init__(self) -> None:
        if not self.problem_id:
            raise ValueError("problem_id must not be empty")
        if not len(self.chain_ids) == len(self.is_right) == len(self.groups) == len(self.lengths):
            raise ValueError("chain_ids, is_right, groups and lengths must have one entry per chain")
        if len(set(self.chain_ids)) < len(self.chain_ids):
            raise ValueError("a chain id comes twice")
        if min(self.lengths, default=0) < 0 or min((g for g in self.groups if g is not None), default=0) < 0:
            raise ValueError("groups and lengths must not be negative")

    @property
    def id(self) -> str:
        """The problem's; with a number after it from its second pool on."""
        return self.problem_id if self.repeat == 1 else f"{self.problem_id}#{self.repeat}"

    @property
    def to_score(self) -> tuple[str, ...]:
        """The chains with an answer: one without is never chosen, whatever it scores."""
        return tuple(i for i, group in zip(self.chain_ids, self.groups, strict=True) if group is not None)

    def first(self, n: int) -> Pool:
        """Its first `n` chains."""
        return replace(
            self,
            chain_ids=self.chain_ids[:n],
            is_right=self.is_right[:n],
            groups=self.groups[:n],
            lengths=self.lengths[:n],
        )


_FIELDS = {field.name: None for field in fields(Pool) if field.name != "repeat"}.keys()


def make_pools(
    candidates: Sequence[Candidates],
    problems: Mapping[str, Problem],
    chains: Mapping[str, Chain],
    drops: Drops,
    checker: Checker = RULES,
) -> Iterator[Pool]:
    """Check and group the solutions of each problem; verdicts and answers from a file are used unchanged.

    A problem that needs checking but has no gold answer goes to `drops`.
    """
    usable = [c for c in candidates if c.is_right is not None or problems[c.problem_id].answer is not None]
    for one in candidates:
        if one.is_right is None and problems[one.problem_id].answer is None:
            drops.add(one.problem_id, "no gold answer")
    solutions = (
        (chains[chain_id].text, problems[one.problem_id])
        for one in usable
        if one.is_right is None
        for chain_id in one.chain_ids
    )
    found = solution_verdicts(checker, solutions)
    for one in usable:
        is_right = one.is_right or tuple(decided(next(found)) for _ in one.chain_ids)
        texts = [chains[chain_id].text for chain_id in one.chain_ids]
        answers = texts if one.answers is None else [_boxed(answer) for answer in one.answers]
        groups = group_answers(answers, checker, problems[one.problem_id])
        lengths = tuple(map(len, texts))
        yield Pool(one.problem_id, one.split, one.chain_ids, is_right, tuple(groups), lengths)


def _boxed(answer: str | None) -> str:
    return "" if answer is None else f"\\boxed{{{answer}}}"


def pool_to_json(pool: Pool) -> str:
    """One line of JSONL."""
    return json.dumps({"schema": POOL_SCHEMA, **{name: getattr(pool, name) for name in _FIELDS}}, ensure_ascii=False)


def read_pools(path: Path) -> Iterator[Pool]:
    """Read a file of lines from `pool_to_json`.

    Raises:
        InputError: a row is not a pool, or a chain id comes twice; the message names file and line. A problem may come
            twice: several files can hold solutions of it.
    """
    seen = set[str]()
    for number, row in read_rows(path):
        try:
            pool = _pool(row)
            if twice := next((chain_id for chain_id in pool.chain_ids if chain_id in seen), None):
                raise ValueError(f"chain id {twice!r} comes twice")
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}", "give the pools that `prm eval` wrote") from error
        seen.update(pool.chain_ids)
        yield pool


def _pool(row: Row) -> Pool:
    if row.pop("schema", None) != POOL_SCHEMA:
        raise ValueError(f"is not a {POOL_SCHEMA} row")
    if row.keys() != _FIELDS:
        raise ValueError(f"must have the fields {', '.join(map(repr, _FIELDS))}")
    pool = msgspec.convert(row, Pool)
    if max((group for group in pool.groups if group is not None), default=0) >= max(len(pool.groups), 1):
        raise ValueError("groups must be below the number of chains")
    return pool


def of_size(pools: Iterable[Pool], n: int | None, drops: Drops) -> list[Pool]:
    """The pools cut to their first `n` chains, those with fewer going to `drops`; None keeps all chains.

    Raises:
        InputError: no pool is left.
    """
    kept, seen = [], Counter[tuple[str, str]]()
    for one in pools:
        seen[one.problem_id, one.split] += 1
        pool = replace(one, repeat=seen[one.problem_id, one.split])
        if n is not None and len(pool.chain_ids) < n:
            drops.add(pool.problem_id, f"fewer than {n} solutions", str(len(pool.chain_ids)))
        elif pool.chain_ids:
            kept.append(pool if n is None else pool.first(n))
        else:
            drops.add(pool.problem_id, "no solution")
    if not kept:
        enough = "a solution" if n is None else f"as many solutions as n={n}"
        raise InputError(f"no problem has {enough}", "check the files" if n is None else "check the files, or lower n")
    return kept
