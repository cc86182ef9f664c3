"""Several scorers as one: in Python as a scorer, from files of scores as a job. The members' scores stay in the result.

Members of one range are combined as they are; those of different ranges are first brought to one by calibrations.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median, pstdev
from typing import TypeVar

from prm.data.drops import Drops
from prm.data.files import to_json
from prm.data.jobs import Records, Source, Workspace, making, write_drops
from prm.data.manifest import Job
from prm.data.records import Asked, StepScores
from prm.data.writing import write_lines
from prm.errors import InputError
from prm.statistics.calibration import Calibration

from .foreign import read_step_scores
from .scorer import CombinedScores, Refusal, ScoreKind, Scorer, Scores, checked_scores

T = TypeVar("T")


def _mean(values: Sequence[float]) -> float:
    return math.fsum(value / len(values) for value in values)  # the sum of the largest rewards would overflow


How = Callable[[Sequence[float]], float]
HOW: dict[str, How] = {"mean": _mean, "median": median, "min": min, "max": max}
"""How the scores of a step become one; besides these, `mean-sd:K` is the mean minus K standard deviations."""


def how_named(name: str) -> How:
    """The function of this name.

    >>> how_named("mean-sd:1")([0.25, 0.75])
    0.25

    Raises:
        InputError: it is unknown.
    """
    if name in HOW:
        return HOW[name]
    kind, _, number = name.partition(":")
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if kind != "mean-sd" or not 0 <= weight < math.inf:
        raise InputError(f"unknown way to combine scores: {name!r}", f"choose from {', '.join(HOW)}, mean-sd:1")
    return lambda values: _mean(values) - weight * pstdev(values)


def combined(members: Mapping[str, Sequence[float]], how: How) -> CombinedScores:
    """The scores of a chain by several scorers as one score per step.

    Args:
        members: scores of the chain by each scorer, all of one length, in one range.
        how: see `how_named`.
    """
    columns = zip(*members.values(), strict=True)
    return CombinedScores(map(how, columns), {name: tuple(scores) for name, scores in members.items()})


class Ensemble(Scorer):
    """Several scorers as one.

    Args:
        members: all PRMs or all ORMs.
        how: see `how_named`.
        calibrations: one for each member, from `prm calibrate`, so that their ranges agree; None to leave the scores as
            they are.

    Raises:
        InputError: there are no members, their kinds differ, or calibrations differ from them in number.
    """

    def __init__(
        self, members: Sequence[Scorer], how: str = "mean", *, calibrations: Sequence[str | Path] | None = None
    ) -> None:
        kinds = {member.kind for member in members}
        if len(kinds) != 1:
            raise InputError("an ensemble is of PRMs alone, or of ORMs alone", "give at least one scorer, of one kind")
        self.members, self.how = list(members), how
        self.kind: ScoreKind = kinds.pop()
        self.calibrations = None if calibrations is None else [read_calibration(path) for path in calibrations]
        if self.calibrations is not None and len(self.calibrations) != len(self.members):
            raise InputError(
                f"{len(self.calibrations)} calibrations for {len(self.members)} scorers", "give one for each"
            )
        how_named(how)
        self.threshold = None if calibrations else _common({member.threshold for member in members})
        self.aggregator = _common({member.aggregator for member in members})
        self.name = "ensemble"
        self.settings = {
            "how": how,
            "members": [[member.name or type(member).__name__, dict(member.settings)] for member in self.members],
            "calibrations": [c.to_json() for c in self.calibrations or ()],
        }

    def _names(self) -> list[str]:
        numbered = enumerate(self.members, start=1)
        return [f"{place}: {member.name or type(member).__name__}" for place, member in numbered]

    def score_each(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Scores | Refusal]:
        """See `Scorer.score_each`. A chain that one member refuses is refused."""
        by_member = [checked_scores(member, problems, chains) for member in self.members]
        return [self._one(results) for results in zip(*by_member, strict=True)]

    def _one(self, results: Sequence[Scores | Refusal]) -> Scores | Refusal:
        found: dict[str, Scores] = {}
        for place, (name, result) in enumerate(zip(self._names(), results, strict=True)):
            if isinstance(result, Refusal):
                return Refusal(result.reason, f"{name}: {result.detail}", result.hint)
            calibration = None if self.calibrations is None else self.calibrations[place]
            found[name] = tuple(calibration.apply(result).tolist()) if calibration and result else result
        return combined(found, how_named(self.how))

    def close(self) -> None:
        """Close the members."""
        for member in self.members:
            member.close()


def _common(values: set[T]) -> T | None:
    """The one value that all have; None if they differ."""
    return next(iter(values)) if len(values) == 1 else None


def read_calibration(path: str | Path) -> Calibration:
    """The calibration in a file that `prm calibrate` wrote.

    Raises:
        InputError: it holds none.
    """
    try:
        row = json.loads(Path(path).read_text(encoding="utf-8"))
        found = Calibration.from_json(row["fit"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: holds no calibration: {error}", "give a file from prm calibrate") from error
    if found.aggregator is not None:
        raise InputError(f"{path}: is for scores of chains, not of steps", "give one of prm calibrate --level step")
    return found


def combine(
    scores: Mapping[str, Source],
    out: str | Path | None = None,
    *,
    how: str = "mean",
    calibrations: Mapping[str, str | Path] | None = None,
    overwrite: bool = False,
) -> Records[StepScores]:
    """Combine the scores of several scorers; the members' scores stay in the records.

    Args:
        scores: scores of the same chains by name of the scorer, from `prm.score` or another tool; see `prm.Source`.
        out: file of the combined scores; None for a temporary one.
        how: "mean", "median", "min", "max", or "mean-sd:1" for the mean minus one standard deviation.
        calibrations: files from `prm calibrate` by name of the scorer, for all or none of them.
        overwrite: whether to replace an existing output.

    Raises:
        PrmError: an input or the output cannot be used, or no chain has a score of every scorer.
    """
    rule, place = how_named(how), Workspace(out, "combined.jsonl")
    if len(scores) < 2:
        raise InputError("there is nothing to combine", "give the scores of at least two scorers, each with a name")
    if calibrations and calibrations.keys() != scores.keys():
        raise InputError("calibrations and scores have different names", "give a calibration for each scorer, or none")
    files = place.files(**{f"scores {name}": source for name, source in scores.items()})
    given = {f"calibration {name}": Path(path) for name, path in (calibrations or {}).items()}
    job = Job(place.out, "combine", {"how": how, "names": list(scores)}, files | given)
    with making(job, "scores", overwrite) as counts:
        if counts is not None:
            drops, fitted = Drops(), {name: read_calibration(path) for name, path in (calibrations or {}).items()}
            tables = {name: read_step_scores(files[f"scores {name}"], drops) for name in scores}
            rows = (to_json(row) for row in _rows(tables, fitted, rule, drops))
            counts["chains"] = write_lines(place.out, rows)
            write_drops(drops, place.out, counts)
            if not counts["chains"]:
                reasons = "; ".join(drops.by_reason()) or "the files are empty"
                raise InputError("no chain has a score of every scorer", f"score the same chains ({reasons})")
    return place.records(job, StepScores)


def _rows(
    tables: Mapping[str, Mapping[str, StepScores]],
    calibrations: Mapping[str, Calibration],
    how: How,
    drops: Drops,
) -> Iterator[StepScores]:
    for chain_id in dict.fromkeys(identity for table in tables.values() for identity in table):
        found = {name: table[chain_id] for name, table in tables.items() if chain_id in table}
        lacking = next((name for name in tables if name not in found), None)
        first = next(iter(found.values()))
        if lacking is not None:
            drops.add(chain_id, "it has no score of every scorer", f"none of {lacking}")
        elif len({row.problem_id for row in found.values()}) > 1:
            drops.add(
                chain_id, "its scores are of different problems", ", ".join(row.problem_id for row in found.values())
            )
        elif len({(row.kind, len(row.scores)) for row in found.values()}) > 1:
            sizes = ", ".join(f"{name}: {row.kind}, {len(row.scores)}" for name, row in found.items())
            drops.add(chain_id, "its scores differ in kind or number", sizes)
        else:
            members = {
                name: tuple(calibrations[name].apply(row.scores).tolist()) if name in calibrations else row.scores
                for name, row in found.items()
            }
            one = combined(members, how)
            yield StepScores(chain_id, first.problem_id, tuple(one), first.kind, one.as_members())
