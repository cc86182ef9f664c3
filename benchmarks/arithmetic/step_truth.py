"""Step labels compared with the exact truth of the arithmetic world."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm.data.files import by_id, read_chains, read_problems, read_records
from prm.data.jobs import Output, Source, Workspace, making
from prm.data.manifest import Job
from prm.data.records import TARGET_VIEWS, Chain, LabelView, Problem, StepLabels
from prm.data.writing import write_json
from prm.errors import InputError, require_known

from .world import step_truth


@dataclass(frozen=True, slots=True)
class LabelQuality:
    """How well step labels agree with the exact truth."""

    measures: Mapping[str, Any]
    """What `label_quality` returns."""
    output: Output


def measure_label_quality(
    problems: Source,
    chains: Source,
    labels: Source,
    out: str | Path | None = None,
    *,
    labels_as: LabelView = "hard",
    splitter: str = "newline",
    overwrite: bool = False,
) -> LabelQuality:
    """Compare step labels with the exact truth of the arithmetic world.

    Args:
        problems: problems of `prm world`; see `prm.Source`.
        chains: the labeled chains of these problems.
        labels: step labels of the chains, from `prm.label`.
        labels_as: view of the labels; a number is right if it is at least 0.5.
        out: file of the measures; None for a temporary one.
        splitter: how to split a solution given as one text into steps.
        overwrite: whether to replace an existing output.

    Raises:
        PrmError: an input or the output cannot be used, or a problem has no exact truth.
    """
    require_known("labels_as", labels_as, TARGET_VIEWS)
    place = Workspace(out, "quality.json")
    files = place.files(problems=problems, chains=chains, labels=labels)
    job = Job(place.out, "label quality", {"labels_as": labels_as, "splitter": splitter}, files)
    with making(job, "quality", overwrite) as counts:
        if counts is not None:
            truth = truths(by_id(read_problems(files["problems"])), read_chains(files["chains"], splitter))
            found = label_quality(truth, read_records(files["labels"], StepLabels), labels_as)
            write_json(place.out, found)
            counts |= {"chains": len(truth), "steps": found["steps"], "agreement": found["agreement"]}
    return LabelQuality(json.loads(place.out.read_text(encoding="utf-8")), place.output(job))


def truths(problems: Mapping[str, Problem], chains: Iterable[Chain]) -> dict[str, list[bool]]:
    """Exact truth of each step, by chain id.

    Raises:
        InputError: a problem is missing, or does not come from the arithmetic world.
    """
    found: dict[str, list[bool]] = {}
    for chain in chains:
        problem = problems.get(chain.problem_id)
        if problem is None or "values" not in problem.meta:
            raise InputError(
                f"problem {chain.problem_id!r} is missing or has no exact truth", "only problems of `prm world` have it"
            )
        found[chain.id] = step_truth(problem.meta["values"], chain.steps)
    return found


def label_quality(
    truth: Mapping[str, Sequence[bool]], labels: Iterable[StepLabels], view: LabelView = "hard"
) -> dict[str, Any]:
    """Measure how well labels agree with the truth; a number is right if it is at least 0.5.

    Returns:
        `agreement`: share of the labeled steps whose label is true; `false_negatives` and `false_positives`: share of
        the labeled steps wrongly labeled wrong or right; `unknown`: share of all steps without a label;
        `agreement_by_position`: agreement per step position, from the first step on.

    Raises:
        InputError: no step has a label, or the labels belong to other chains or steps.
    """
    tally: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    wrongly: dict[bool, int] = {True: 0, False: 0}
    unknown = 0
    for record in labels:
        steps = truth.get(record.chain_id, ())
        if len(steps) != len(record.right):
            raise InputError(
                f"chain {record.chain_id!r} has {len(record.right)} labels, {len(steps)} steps",
                "give the chains that were labeled, with the same --splitter",
            )
        for position, (value, is_right) in enumerate(zip(record.view(view), steps, strict=True)):
            if value is None:
                unknown += 1
                continue
            label = value >= 0.5
            tally[position][0] += 1
            tally[position][1] += label == is_right
            wrongly[label] += label != is_right
    known = sum(n for n, _ in tally.values())
    if not known:
        raise InputError(f"no step has a {view} label", "label the chains first")
    return {
        "steps": known + unknown,
        "agreement": sum(a for _, a in tally.values()) / known,
        "false_negatives": wrongly[False] / known,
        "false_positives": wrongly[True] / known,
        "unknown": unknown / (known + unknown),
        "agreement_by_position": [tally[p][1] / tally[p][0] for p in sorted(tally)],
    }
