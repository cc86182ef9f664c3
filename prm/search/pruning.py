"""Calibrated pruning: the threshold at which a wanted share of the right chains is lost, with its interval.

A chain is given up at its first step, other than the last, that scores below the threshold. On problems of their own,
the threshold is the largest that loses no more than the wanted share of the right chains; on the other problems it is
measured how many it loses, and how many steps it saves.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from prm.data.drops import Drops
from prm.data.files import ProblemFile, sound_chains
from prm.data.jobs import Output, Source, Workspace, making, write_drops
from prm.data.manifest import Job
from prm.data.splits import is_in_share
from prm.data.writing import write_json
from prm.errors import InputError, require_number
from prm.scoring.checking import command_files, job_checker, recorded, solution_verdicts
from prm.scoring.foreign import read_step_scores
from prm.scoring.jobs import links_of, stored_scores
from prm.scoring.scorer import Refusal
from prm.statistics.arrays import Floats
from prm.statistics.bootstrap import estimate, ratio, resample
from prm.verifiers.checkers import Named

_SCORE = "score the steps of these chains, with the same splitter"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold for `prune`, and what it does. Intervals are 95%, by resampling problems."""

    value: float
    """`solve(…, method="prune", threshold=…)`."""
    low: float
    high: float
    """Interval of the threshold: it is a quantile of the right chains fitted on."""
    lost: float
    """Share of the right chains that are given up, of the problems measured on."""
    lost_low: float
    lost_high: float
    wrong_given_up: float
    """Share of the wrong chains that are given up, of the problems measured on."""
    saved: float
    """Share of all steps that are not generated, of the problems measured on."""
    fitted: int
    """Right chains fitted on."""
    measured: int
    """Right chains measured on."""
    output: Output
    """A file with all this."""


@dataclass(frozen=True, slots=True)
class _Scored:
    """A chain with its scores."""

    problem_id: str
    scores: tuple[float, ...]
    is_right: bool

    @property
    def lowest(self) -> float:
        """Lowest score of the steps at which it can be given up."""
        return min(self.scores[:-1], default=np.inf)

    def kept(self, threshold: float) -> int:
        """Number of steps that are generated."""
        return next((i for i, score in enumerate(self.scores[:-1], start=1) if score < threshold), len(self.scores))


def fit_pruning(
    problems: Source,
    chains: Source,
    scores: Source,
    out: str | Path | None = None,
    *,
    lost: float = 0.05,
    fit_on: float = 0.5,
    checker: Named = "exact",
    splitter: str = "newline",
    overwrite: bool = False,
) -> Threshold:
    """Find the threshold of `prune` that loses a wanted share of the right chains.

    Args:
        problems: problems with gold answers, on which the scorer was not trained; see `prm.Source`.
        chains: chains of these problems, from the model that is to be searched with.
        scores: step scores of the chains, from `prm.score` or another tool; see `prm.scoring.foreign`.
        out: file of the result; None for a temporary one.
        lost: share of the right chains that may be given up, in (0, 1).
        fit_on: share of the problems to fit on, in (0, 1); the rest is measured on.
        checker: decides which chains are right; see `prm.verifiers.checkers.checker_of`.
        splitter: how to split a solution given as one text into steps.
        overwrite: whether to replace an existing output.

    Raises:
        PrmError: an input or the output cannot be used, or one of the two parts has no right chain.
    """
    require_number("lost", lost, "(0, 1)")
    require_number("fit_on", fit_on, "(0, 1)")
    judge = job_checker(checker)
    place = Workspace(out, "pruning.json")
    files = place.files(problems=problems, chains=chains, scores=scores)
    settings = {"lost": lost, "fit_on": fit_on, "splitter": splitter, **recorded(judge)}
    job = Job(place.out, "pruning", settings, files | command_files(judge))
    with making(job, "threshold", overwrite) as counts:
        if counts is not None:
            drops, golds = Drops(), ProblemFile(files["problems"])
            stored = read_step_scores(files["scores"], drops, partial(links_of, files["chains"], splitter, golds))
            pairs = []
            for chain in sound_chains(files["chains"], splitter, golds, drops.add):
                row = stored.get(chain.id)
                if chain.problem_id not in golds:
                    drops.add(chain.id, "its problem is missing")
                elif row is not None and row.kind != "prm":
                    drops.add(chain.id, "one score for the whole chain, none for its steps")
                elif isinstance(found := stored_scores(row, chain, "prm"), Refusal):
                    drops.add(chain.id, found.reason, found.detail)
                else:
                    pairs.append((chain, golds[chain.problem_id], found))
            if not pairs:
                reasons = ", ".join(drops.by_reason()) or "there are no chains"
                raise InputError(f"{files['scores']}: no chain has step scores that can be used: {reasons}", _SCORE)
            verdicts = solution_verdicts(judge, ((chain.text, problem) for chain, problem, _ in pairs))
            known = []
            for (chain, problem, scored), verdict in zip(pairs, verdicts, strict=True):
                if verdict.outcome in ("correct", "incorrect"):
                    known.append(_Scored(problem.id, scored, verdict.is_correct))
                else:
                    drops.add(chain.id, "its answer is undecided", verdict.outcome)
            fitted = threshold_of(known, lost, fit_on)
            write_json(place.out, {"schema": "pruning/1", **fitted})
            write_drops(drops, place.out, counts)
            counts |= fitted
    row = json.loads(place.out.read_text(encoding="utf-8"))
    row.pop("schema")
    return Threshold(**row, output=place.output(job))


def threshold_of(chains: Sequence[_Scored], lost: float, fit_on: float) -> dict[str, float]:
    """The fields of a `Threshold`; see the module."""
    sides: tuple[list[_Scored], list[_Scored]] = ([], [])
    for chain in chains:
        sides[is_in_share(f"pruning {chain.problem_id}", fit_on)].append(chain)
    measured, fitted = ([chain for chain in side if chain.is_right] for side in sides)
    if not fitted or not measured:
        raise InputError("too few problems with right chains to fit on and to measure on", "give more problems")
    values = _quantiles(fitted, lost)
    at = float(values[0])
    gone = estimate(_shares([chain.lowest < at for chain in measured], measured))
    wrong = [chain.lowest < at for chain in sides[0] if not chain.is_right]
    steps = sum(len(chain.scores) for chain in sides[0])
    low, high = (float(end) for end in np.percentile(values[1:], [2.5, 97.5]))
    return {
        "value": at, "low": low, "high": high,
        "lost": gone.value or 0.0, "lost_low": gone.low or 0.0, "lost_high": gone.high or 0.0,
        "wrong_given_up": sum(wrong) / max(len(wrong), 1),
        "saved": 1 - sum(chain.kept(at) for chain in sides[0]) / steps,
        "fitted": len(fitted), "measured": len(measured),
    }  # fmt: skip


def _quantiles(right: Sequence[_Scored], lost: float) -> Floats:
    """``(draws + 1,)`` the largest threshold that loses no more than `lost`, for each draw of problems.

    That is the lowest score at which more than this share of the chains would lie at or below it.
    """
    ordered = sorted(right, key=lambda chain: chain.lowest)
    drawn = resample([chain.problem_id for chain in ordered], [""] * len(ordered)).of_rows
    reached = np.cumsum(drawn, axis=1)
    places = (reached <= lost * reached[:, -1:] + 1e-9).sum(axis=1)
    lowest = np.array([chain.lowest for chain in ordered])
    found: Floats = lowest[np.minimum(places, len(lowest) - 1)]
    found[~np.isfinite(found)] = np.max(lowest[np.isfinite(lowest)], initial=0.0)  # of chains of a single step
    return found


def _shares(gone: Sequence[bool], chains: Sequence[_Scored]) -> Floats:
    drawn = resample([chain.problem_id for chain in chains], [""] * len(chains)).of_rows
    return ratio(drawn @ np.array(gone, dtype=float), drawn.sum(axis=1))
