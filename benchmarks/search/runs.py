"""The runs of `prm solve` that are compared, and which of them are one point of a curve.

A run is the output of one `prm solve`. Runs of one name that differ only in their seed are one point.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prm.data.files import read_records
from prm.data.records import Chain, Choice, StepScores
from prm.errors import InputError
from prm.search.job import choices_path, scores_path

from ..results import label_of

UNFINISHED = "unknown"
"""The `Chain.finish` of a branch that was given up."""
_FIRST = ("method", "n", "budget_tokens")
"""Settings by which the points of a name are told apart; others only where these do not suffice."""
_HINT = "give the chains that `prm solve --out` wrote, with the files beside them"


@dataclass(frozen=True, slots=True)
class Run:
    """The output of one `prm solve`."""

    name: str
    """The curve that it belongs to."""
    path: Path
    """Of its chains."""
    settings: Mapping[str, Any]
    """From its manifest."""
    inputs: Mapping[str, str]
    """Digests of model and scorer, where they are directories."""
    choices: Mapping[str, Choice]
    """By problem."""
    chains: Mapping[str, Sequence[Chain]]
    """All leaves by problem, in the order that `Choice.index` counts."""
    scores: Mapping[str, tuple[float, ...]] = field(repr=False)
    """By chain; of those that have any."""

    @property
    def seed(self) -> int:
        """What determined its draws."""
        return int(self.settings["seed"])

    def chosen(self, problem_id: str) -> Chain:
        """The chosen chain of a problem."""
        return self.chains[problem_id][self.choices[problem_id].index]

    def whole(self, problem_id: str) -> list[Chain]:
        """The leaves to check: those that came to an end, and the chosen one."""
        chosen = self.choices[problem_id].index
        return [c for i, c in enumerate(self.chains[problem_id]) if i == chosen or c.finish != UNFINISHED]


@dataclass(frozen=True, slots=True)
class Point:
    """Runs that differ only in their seed."""

    name: str
    variant: str
    """What tells it from the other points of its name, such as "n=8"; "" for the only one."""
    runs: tuple[Run, ...]
    """By seed."""

    @property
    def label(self) -> str:
        """How tables call it."""
        return label_of(self.name, self.variant)

    def label_of(self, run: Run) -> str:
        """How lists of trees call one of its runs."""
        return self.label if len(self.runs) == 1 else f"{self.label} seed {run.seed}"


def read_run(name: str, path: Path) -> Run:
    """Read the chains of a search, and what lies beside them.

    Raises:
        InputError: a file is missing, was not written by `prm solve`, or does not fit the others.
    """
    row = _manifest(path)
    chains: dict[str, list[Chain]] = {}
    for chain in read_records(path, Chain):
        chains.setdefault(chain.problem_id, []).append(chain)
    choices = {choice.problem_id: choice for choice in read_records(choices_path(path), Choice)}
    scores = {own.chain_id: own.scores for own in read_records(scores_path(path), StepScores)}
    for choice in choices.values():
        if choice.generated is None or choice.index >= len(chains.get(choice.problem_id, ())):
            raise InputError(f"{choices_path(path)}: the choice of {choice.problem_id!r} is not of these chains", _HINT)
    inputs = {key: digest for key, digest in row["inputs"].items() if key != "problems"}
    return Run(name, path, row["settings"], inputs, choices, chains, scores)


def _manifest(path: Path) -> dict[str, Any]:
    try:
        row = json.loads(path.with_name(path.name + ".manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        row = None
    if not isinstance(row, dict) or row.get("command") != "solve" or not row.get("finished"):
        raise InputError(f"{path}: is not a finished output of `prm solve`", _HINT)
    return row


def points_of(runs: Sequence[Run]) -> list[Point]:
    """The points of all curves: by name in the order given, then by what tells them apart.

    Raises:
        InputError: a file is given twice, two runs of a point have one seed, or two points cannot be told apart.
    """
    paths = [run.path.resolve() for run in runs]
    if (double := next((path for i, path in enumerate(paths) if path in paths[:i]), None)) is not None:
        raise InputError(f"{double}: is given twice", "give each run once")
    points = []
    for name in dict.fromkeys(run.name for run in runs):
        groups: dict[str, list[Run]] = {}
        for run in runs:
            if run.name == name:
                groups.setdefault(_identity(run), []).append(run)
        variants = _variants([own[0].settings for own in groups.values()])
        points += [
            Point(name, variant, tuple(sorted(own, key=lambda run: run.seed)))
            for variant, own in sorted(zip(variants, groups.values(), strict=True), key=_in_order)
        ]
    for point in points:
        _require_seeds(point)
    _require_told_apart(points)
    return points


def _identity(run: Run) -> str:
    """The same for runs that differ only in their seed."""
    return json.dumps([{**run.settings, "seed": None}, run.inputs], sort_keys=True)


def _in_order(point: tuple[str, Sequence[Run]]) -> tuple[int, int, str]:
    settings = point[1][0].settings
    return settings["n"], settings["budget_tokens"], point[0]


def _variants(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each point of a name the few settings that tell it from the others."""
    used: list[str] = []
    count = 1
    for key in (*_FIRST, *sorted({key for own in settings for key in own} - {*_FIRST, "seed"})):
        told = len({json.dumps([own.get(k) for k in (*used, key)]) for own in settings})
        if told > count:
            used, count = [*used, key], told
    return [", ".join(f"{key.replace('_', ' ')}={own.get(key)}" for key in used) for own in settings]


def _require_seeds(point: Point) -> None:
    seeds = [run.seed for run in point.runs]
    if (double := next((seed for i, seed in enumerate(seeds) if seed in seeds[:i]), None)) is not None:
        raise InputError(f"two runs of {point.label!r} have the seed {double}", "give runs with different seeds")


def _require_told_apart(points: Sequence[Point]) -> None:
    labels = [point.label for point in points]
    if (double := next((label for i, label in enumerate(labels) if label in labels[:i]), None)) is not None:
        raise InputError(f"two points would be called {double!r}", "give the runs of one of them another name")
