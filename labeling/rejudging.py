"""Stored rollouts judged again: another checker, or gold answers that were mended, without generating anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import tee
from pathlib import Path
from typing import Any

from prm import console
from prm.data.drops import Drops
from prm.data.files import ProblemFile, read_records, sound_chains, to_json
from prm.data.jobs import Output, Records, Source, Workspace, making, write_drops
from prm.data.manifest import Job
from prm.data.reading import read_rows
from prm.data.records import Chain, Drop, Outcome, Rollout, StepLabels
from prm.data.writing import write_lines
from prm.scoring.checking import command_files, job_checker, recorded
from prm.verifiers import Checker
from prm.verifiers.checkers import Named

from .allocation import Ledger
from .journal import rollouts_path, stored_labels, unfinished
from .judging import outcomes_of_each, unusable


def rejudge(
    labels: str | Path | Output,
    problems: Source,
    chains: Source,
    out: str | Path | None = None,
    *,
    checker: Named = "exact",
    splitter: str = "newline",
    overwrite: bool = False,
) -> Records[StepLabels]:
    """Judge the rollouts of a label file again, and the chains' own answers; write new labels, and their rollouts.

    The check of a job with a `check_share` is not kept: which draws its strategy asks for depends on the verdicts, so
    the labels before the check (`StepLabels.unchecked`) cannot be had from new ones. All its rollouts count.

    Args:
        labels: what `label` made, or the path of its file, with the rollouts beside it.
        problems: the problems; their gold answers may have changed. Chains that were dropped then stay so.
        chains: the chains that were labeled.
        out: file of the new labels; None for a temporary one.
        checker: decides whether an answer is right; see `prm.verifiers.checkers.checker_of`.
        splitter: as it was when the chains were labeled.
        overwrite: whether to replace an existing output.

    Raises:
        PrmError: an input or the checker cannot be used, or the output cannot be written.
    """
    judge, place = job_checker(checker), Workspace(out, "labels.jsonl")
    files = place.files(problems=problems, chains=chains)
    stored = stored_labels(labels)
    inputs = files | stored | command_files(judge)
    job = Job(place.out, "rejudge", {"splitter": splitter, **recorded(judge)}, inputs, unfinished(place.out))
    with making(job, "labels", overwrite) as counts:
        if counts is not None:
            golds, drops = ProblemFile(files["problems"]), Drops()
            labeled = {row.chain_id: len(row.known) for row in read_records(stored["labels"], StepLabels)}
            chosen = (c for c in sound_chains(files["chains"], splitter, golds, drops.add) if c.id in labeled)
            cases = dict(_cases(chosen, labeled, golds, judge, drops))
            dropped = {drop.id for drop in drops}
            for chain_id in (name for name in labeled if name not in cases and name not in dropped):
                drops.add(chain_id, "it is not among the chains")
            counts["changed verdicts"] = 0
            again = _counted(_judged(stored["rollouts"], cases, golds, judge), cases, counts)
            counts["rollouts"] = write_lines(rollouts_path(place.out), map(to_json, again))
            made = (case.ledger.labels(chain_id, case.problem_id) for chain_id, case in cases.items())
            counts["labeled chains"] = write_lines(place.out, map(to_json, made))
            write_drops(drops, place.out, counts)
    return place.records(job, StepLabels)


@dataclass(frozen=True, slots=True)
class _Case:
    """A chain that is judged again."""

    problem_id: str
    ledger: Ledger


def _cases(
    chains: Iterable[Chain], steps: Mapping[str, int], golds: ProblemFile, checker: Checker, drops: Drops
) -> Iterator[tuple[str, _Case]]:
    """The chains by id, with the verdicts on their own answers; one that cannot be judged goes to `drops`."""

    def usable() -> Iterator[Chain]:
        for chain in chains:
            problem = golds.get(chain.problem_id)
            drop = Drop(chain.id, "its problem is missing") if problem is None else unusable(checker, chain, problem)
            if len(chain.steps) != steps[chain.id]:
                drop = Drop(chain.id, "its steps are not those that were labeled", f"{len(chain.steps)} steps")
            if drop is None:
                yield chain
            else:
                drops.add(drop.id, drop.reason, drop.detail)

    kept, again = tee(usable())
    texts = ((chain.text, chain.finish, golds[chain.problem_id]) for chain in again)
    for chain, outcome in zip(kept, outcomes_of_each(checker, texts), strict=True):
        yield chain.id, _Case(chain.problem_id, Ledger(len(chain.steps), outcome))


def _judged(
    path: Path, cases: Mapping[str, _Case], golds: ProblemFile, checker: Checker
) -> Iterator[tuple[Rollout, Outcome]]:
    """The rollouts of these chains, each with its new verdict."""
    total = sum(1 for _ in read_rows(path))
    rollouts, again = tee(rollout for rollout in read_records(path, Rollout) if rollout.chain_id in cases)
    texts = ((r.text, r.finish, golds[cases[r.chain_id].problem_id]) for r in again)
    return console.tracked(zip(rollouts, outcomes_of_each(checker, texts), strict=True), "judging", total)


def _counted(
    judged: Iterable[tuple[Rollout, Outcome]], cases: Mapping[str, _Case], counts: dict[str, Any]
) -> Iterator[Rollout]:
    """The rollouts with their new verdicts, once the ledgers and the counts have them."""
    for rollout, outcome in judged:
        cases[rollout.chain_id].ledger.add(rollout.step, outcome)
        counts["changed verdicts"] += outcome != rollout.outcome
        yield replace(rollout, outcome=outcome)
