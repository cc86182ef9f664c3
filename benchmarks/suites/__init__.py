"""Benchmark suites: rows of public sets → problems, chains and their truth.

    from prm.benchmarks.suites import read_suite
    data = read_suite("processbench", "processbench/", drops)     # or a file, or "Qwen/ProcessBench"

Each suite has one protocol: how scores of its chains are measured. Scores in the rows of a set are kept.

Left out: MR-MATH's perturbations. Their `tags` name a wrong step if a number, an operation or the order was changed,
but not if a step was repeated or removed, or the solution is another problem's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from prm.data.drops import Drops
from prm.data.reading import Numbered, read_source, rows_by_key, rows_in
from prm.data.records import Chain, Problem
from prm.data.rows import Row, RowError
from prm.data.steps import split_steps
from prm.errors import InputError, entry
from prm.verifiers import Checker

from .. import conventions
from ..conventions import EXACT, Convention, ConventionName
from ..results import Protocol
from . import agents, best_of_n, judging, localization, preference, steps
from .collecting import Collection, SuiteData
from .fields import Place
from .truth import Found, Rule, Truth

__all__ = ["SUITES", "Suite", "SuiteData", "convention_of", "read_suite", "suite_named"]


@dataclass(frozen=True, slots=True)
class Suite:
    """All that depends on which suite it is."""

    protocol: Protocol
    read: Callable[[Row, Place], Iterable[Found]] | None
    """A row → its problem, chains and truth; raises RowError for an unusable row. None for a suite of own files."""
    source: str
    """The paper, or the program that writes these files."""
    base: Literal[0, 1] | None = None
    """The number of the first step in its labels; None if no label counts steps."""
    note: str = ""
    """What to know before comparing numbers."""
    rule: Rule = "pairs"
    """Of preference suites: how a comparison is decided."""
    hub_split: str | None = None
    """The split to read where those on the Hub are not parts of one whole."""
    is_grouped: bool = False
    """Whether a file is one object, from a question's id to the list of its rows."""
    joined_by: str | None = None
    """A field: consecutive rows that are equal in it are one, with the list of them in `rows`."""
    is_rated_once: bool = False
    """Whether chains share beginnings, whose ratings count once; see `steps.rated_once`."""
    judge: Callable[[Mapping[str, Problem], Mapping[str, Chain], Checker], Iterable[Truth]] | None = None
    """For a suite of own files, in place of `read`: problems and chains → their truth, by a checker."""
    official: Convention | None = None
    """How its authors count, or for own files the program to compare with; None if it is not known to differ."""


SUITES: dict[str, Suite] = {
    "processbench": Suite(
        "localization",
        localization.processbench,
        "ProcessBench, arXiv 2412.06559",
        0,
        official=conventions.PROCESSBENCH,
    ),
    "mr-gsm8k": Suite(
        "localization", localization.mr_gsm8k, "MR-GSM8K, arXiv 2312.17080", 1, official=conventions.MR_GSM8K
    ),
    "gr-ben": Suite("localization", localization.gr_ben, "GR-Ben, arXiv 2605.01203", 1, official=conventions.GR_BEN),
    "mr-math": Suite(
        "localization",
        localization.mr_math,
        "ReasonEval, arXiv 2404.05692, MR-MATH invalid errors",
        1,
        "every final answer is right",
        official=conventions.MR_MATH,
    ),
    "mr-ben": Suite(
        "localization",
        localization.mr_ben,
        "Mr-Ben, arXiv 2406.13975",
        1,
        "without the task of coding, whose solutions have no steps",
        is_grouped=True,
    ),
    "big-bench-mistake": Suite(
        "localization", localization.big_bench_mistake, "BIG-Bench Mistake, arXiv 2311.08516", 0, "mostly wrong chains"
    ),
    "mathcheck": Suite(
        "localization",
        localization.mathcheck,
        "MathCheck, arXiv 2407.08733, process judging",
        1,
        "every chain is wrong",
    ),
    "prmbench": Suite(
        "steps",
        steps.prmbench,
        "PRMBench, arXiv 2501.03124",
        1,
        "redundant and circular steps count as wrong",
        official=conventions.PRMBENCH,
    ),
    "socratic-prmbench": Suite(
        "steps",
        steps.prmbench,
        "Socratic-PRMBench, arXiv 2505.23474",
        1,
        "rows in the form of PRMBench; redundant steps count as wrong",
    ),
    "hard2verify": Suite(
        "steps",
        steps.hard2verify,
        "Hard2Verify, arXiv 2510.13744",
        note="a step that builds on a wrong one is wrong",
        official=conventions.HARD2VERIFY,
    ),
    "prm800k": Suite(
        "steps",
        steps.prm800k,
        "Let's Verify Step by Step, arXiv 2305.20050",
        note="a rating of 0 counts as right; chains end with their first wrong step",
        is_rated_once=True,
    ),
    "agentprocessbench": Suite(
        "steps",
        agents.agentprocessbench,
        "AgentProcessBench, arXiv 2603.14465",
        note="a step is a turn of the agent; turns labeled neutral are not measured",
    ),
    "mr-math-redundant": Suite(
        "steps",
        steps.mr_math_redundant,
        "ReasonEval, arXiv 2404.05692, MR-MATH redundant errors",
        note="a redundant step counts as wrong",
        official=conventions.MR_MATH,
    ),
    "search-and-learn": Suite(
        "best-of-n",
        best_of_n.search_and_learn,
        "huggingface/search-and-learn",
        official=conventions.SEARCH_AND_LEARN,
    ),
    "qwen-harness": Suite(
        "best-of-n", best_of_n.qwen_harness, "QwenLM/Qwen2.5-Math, evaluation", official=conventions.QWEN_HARNESS
    ),
    "ppe": Suite(
        "best-of-n",
        best_of_n.ppe,
        "Preference Proxy Evaluations, arXiv 2410.14872, correctness",
        note="the rows hold no answers, so votes mean nothing",
    ),
    "candidates": Suite(
        "best-of-n", best_of_n.candidates, "a list of solutions for each problem", official=conventions.SEARCH_AND_LEARN
    ),
    "rewardbench": Suite(
        "preference",
        preference.rewardbench,
        "RewardBench, arXiv 2403.13787",
        note="the leaderboard gives math-prm the weight of the six hep subsets in Reasoning",
        rule="sections",
        hub_split="filtered",
        official=conventions.REWARDBENCH,
    ),
    "rewardbench-2": Suite("preference", preference.rewardbench_2, "RewardBench 2, arXiv 2506.01937", rule="best"),
    "rewardmath": Suite(
        "preference",
        preference.rewardmath,
        "RewardMATH, arXiv 2410.01729",
        rule="best",
        joined_by="problem_id",
        official=conventions.REWARDMATH,
    ),
    "rm-bench": Suite(
        "preference", preference.rm_bench, "RM-Bench, arXiv 2410.16184", rule="styles", official=conventions.RM_BENCH
    ),
    "judgebench": Suite(
        "preference",
        preference.judgebench,
        "JudgeBench, arXiv 2410.12784",
        note="the paper reports the pairs of each response model apart: read one file at a time",
        official=conventions.JUDGEBENCH,
    ),
    "llmbar": Suite("preference", preference.llmbar, "LLMBar, arXiv 2310.07641", official=conventions.LLMBAR),
    "pairs": Suite("preference", preference.pairs, "preference pairs, see `prm.data.preferences`"),
    judging.BEST_OF_N: Suite(
        "best-of-n",
        None,
        "own problems and chains",
        judge=judging.candidates,
        official=conventions.SEARCH_AND_LEARN,
    ),
    judging.WORLD: Suite("localization", None, "problems of `prm world` and chains: exact truth", judge=judging.exact),
}
"""By name."""


def _joined(rows: Iterable[Numbered], name: str) -> Iterator[Numbered]:
    """Rows of one file that are equal in a field as one, with the number of the first; unusable ones as they are."""
    for (stem, value), own in groupby(rows, lambda found: (found[0], _field(found[2], name))):
        (_, number, first), *others = own
        if isinstance(first, RowError) or value is None:
            yield from ((stem, number, first), *others)
        else:
            yield stem, number, {name: value, "rows": [first, *(row for _, _, row in others)]}


def _field(row: Row | RowError, name: str) -> Any:
    return None if isinstance(row, RowError) else row.get(name)


def suite_named(name: str) -> Suite:
    """The suite of this name; raises InputError if it is unknown."""
    return entry("suite", name, SUITES)


def convention_of(name: str, convention: ConventionName) -> Convention:
    """How a suite counts by this convention.

    Raises:
        InputError: the suite or the convention is unknown, or the suite's authors are not known to count otherwise.
    """
    suite = suite_named(name)
    known = entry("convention", convention, {"exact": EXACT, "official": suite.official})
    if known is None:
        raise InputError(f"the suite {name} has no official convention", "omit it: only exact is known")
    return known


def read_suite(
    name: str,
    source: str | Path,
    drops: Drops,
    *,
    splitter: str = "newline",
    convention: ConventionName = "exact",
) -> SuiteData:
    """Read a suite of public rows.

    Args:
        name: in `SUITES`.
        source: a file, a folder with files, or a name on the Hub; see `prm.data.reading`.
        drops: receives unusable rows, by file and number.
        splitter: what ends a step in responses and solutions; a set with steps of its own keeps them.
        convention: whether rows are taken as ours are, or as the authors' code takes them.

    Raises:
        InputError: the suite, the source or the splitter is unknown, no row of the source can be used, or the suite
            has no such convention.
    """
    how = convention_of(name, convention)
    suite, before = suite_named(name), len(drops)
    collection = Collection(is_first_only=how.first_of_id)
    if suite.read is None:
        raise InputError(f"{name} is a suite of your own problems and chains", "give those files")
    split_steps("", splitter)  # refuse a wrong name whatever the rows are
    rows = read_source(source, suite.hub_split, unpack=rows_by_key if suite.is_grouped else rows_in)
    for stem, number, row in rows if suite.joined_by is None else _joined(rows, suite.joined_by):
        place = Place(stem, number, splitter, takes_all=how.takes_all)
        try:
            if isinstance(row, RowError):
                raise row
            collection.add(row, suite.read, place, drops)
        except RowError as error:
            drops.add(f"{stem}:{number}", error.reason, error.detail)
    if not collection.truths:
        reasons = ", ".join(dict.fromkeys(drop.reason for drop in list(drops)[before:])) or "it is empty"
        raise InputError(f"{source}: holds no row of the suite {name}: {reasons}", "is it the right source?")
    truths = steps.rated_once(collection.truths, collection.chains) if suite.is_rated_once else collection.truths
    problems, chains, stored = collection.problems, collection.chains, collection.stored
    return SuiteData(
        name, suite.protocol, problems, chains, tuple(truths), stored, suite.note,
        rule=suite.rule, convention=how, fields=collection.fields,
    )  # fmt: skip
