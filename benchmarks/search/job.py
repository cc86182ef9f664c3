"""`prm eval search`: runs of `prm solve` → one result, and the trees of their searches to look at."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from prm import console
from prm.data.drops import Drops
from prm.data.files import by_id, read_problems
from prm.data.jobs import Output, Source, Workspace, making, write_drops
from prm.data.manifest import Job
from prm.data.records import Chain, Problem
from prm.data.writing import write_json, write_lines
from prm.errors import InputError, require_number
from prm.scoring.checking import command_files, job_checker, recorded, solution_verdicts
from prm.search.job import choices_path, scores_path
from prm.verifiers import Checker
from prm.verifiers.checkers import Named

from ..arithmetic.world import step_truth
from ..jobs import Evaluation
from ..numbers import EvalSettings, Findings
from ..results import Result, ShownChain, result_to_json, shown_path, shown_to_json
from ..suites.truth import decided
from .measures import Outcomes, levels_of, measure_search
from .runs import UNFINISHED, Point, Run, points_of, read_run

Searched = str | os.PathLike[str] | Output
"""Chains that `prm solve` wrote, or what `prm.solve` returned."""
Verdicts = Mapping[tuple[str, str], bool | None]
"""By problem and text of a chain; None if undecided."""
_WHOLE = ("best-of-n", "majority", "weighted")
"""Methods whose chains are drawn whole: a problem's share of right ones is how easy it is."""
_MOST_LEVELS = 20


def evaluate_search(
    problems: Source,
    runs: Mapping[str, Searched | Sequence[Searched]],
    out: str | Path | None = None,
    *,
    by: str | None = None,
    checker: Named = "exact",
    draws: int = 1000,
    seed: int = 0,
    show: int = 5000,
    overwrite: bool = False,
) -> Evaluation:
    """Compare runs of `prm.solve`: accuracy against tokens, with 95% intervals, and the best run by difficulty.

    Only problems that all runs have are measured. Beside the result lie the chains of the trees, to look at.

    Args:
        problems: with gold answers; see `prm.Source`.
        runs: chains that `prm.solve` wrote, by the name of the curve; those that differ only in their seed are one
            point of it.
        out: file of the result; None for a temporary one.
        by: a field of the problems whose values are the levels of difficulty; None for the share of right chains in
            the runs that draw whole ones.
        checker: decides which answers are right; see `prm.verifiers.checkers.checker_of`.
        draws: bootstrap draws.
        seed: of all draws, and of the halves of the problems.
        show: about how many chains to keep beside the result, as whole problems.
        overwrite: whether to replace an output that exists already.

    Raises:
        PrmError: an input or the output cannot be used, or the runs have no problem in common.
    """
    how = EvalSettings(draws=draws, seed=seed)
    require_number("show", show, "[0, inf)", whole=True)
    judge = job_checker(checker)
    named = _named(runs)
    place = Workspace(out, "result.json")
    file = place.files(problems=problems)["problems"]
    settings = {
        "suite": "search", "runs": [name for name, _ in named], "by": by, "draws": draws, "seed": seed, "show": show,
        **recorded(judge),
    }  # fmt: skip
    inputs = {"problems": file} | command_files(judge)
    for i, (name, path) in enumerate(named, start=1):
        inputs |= {
            f"{name} {i}": path,
            f"{name} {i} scores": scores_path(path),
            f"{name} {i} choices": choices_path(path),
        }
    job = Job(place.out, "eval", settings, inputs)
    with making(job, "result", overwrite) as counts:
        if counts is not None:
            drops, known = Drops(), by_id(read_problems(file))
            points = points_of([read_run(name, path) for name, path in named])
            kept = _common(known, [run for point in points for run in point.runs], drops)
            verdicts = _judged(kept, [run for point in points for run in point.runs], judge)
            result = _result(kept, points, verdicts, by, how, drops)
            write_json(place.out, result_to_json(result))
            write_lines(shown_path(place.out), map(shown_to_json, _shown(kept, points, verdicts, show, seed)))
            counts |= {name: result.data[name] for name in ("problems", "runs", "chains")}
            write_drops(drops, place.out, counts)
    return Evaluation(job.output, job.counts(), place)


def _named(runs: Any) -> list[tuple[str, Path]]:
    """Every run with the name of its curve."""
    by_name = runs if isinstance(runs, Mapping) else {}
    for name in by_name:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise InputError(f"{name!r} is not a name", "call each curve by a printable name")
    named = [(name, path) for name, given in by_name.items() for path in _paths(given)]
    if not named:
        raise InputError("there are no runs to compare", 'runs={"rebase": ["chains.jsonl", …], …}')
    return named


def _paths(given: Searched | Sequence[Searched]) -> list[Path]:
    each = [given] if isinstance(given, str | os.PathLike | Output) else given
    return [one.path if isinstance(one, Output) else Path(one) for one in each]


def _common(known: Mapping[str, Problem], runs: Sequence[Run], drops: Drops) -> dict[str, Problem]:
    """The problems that have a gold answer, and a choice in every run; all others go to `drops`."""
    kept = dict[str, Problem]()
    for identity in dict.fromkeys([*known, *(i for run in runs for i in run.choices)]):
        lacking = next((run for run in runs if identity not in run.choices), None)
        if identity not in known:
            drops.add(identity, "not among the problems")
        elif not known[identity].golds:
            drops.add(identity, "no gold answer")
        elif lacking is not None:
            drops.add(identity, "not in every run", f"not in {lacking.path}")
        else:
            kept[identity] = known[identity]
    if not kept:
        raise InputError("the runs have no problem with a gold answer in common", "are they runs on these problems?")
    return kept


def _judged(problems: Mapping[str, Problem], runs: Iterable[Run], checker: Checker) -> Verdicts:
    """Every different text once."""
    asked = list(dict.fromkeys((i, chain.text) for run in runs for i in problems for chain in run.whole(i)))
    found = solution_verdicts(checker, ((text, problems[identity]) for identity, text in asked))
    return dict(zip(asked, map(decided, console.tracked(found, "checking", len(asked))), strict=True))


def _result(
    problems: Mapping[str, Problem],
    points: Sequence[Point],
    verdicts: Verdicts,
    by: str | None,
    how: EvalSettings,
    drops: Drops,
) -> Result:
    runs = [run for point in points for run in point.runs]
    levels, difficulty = _levels(problems, runs, verdicts, by)
    outcomes = [_outcomes(point, list(problems), verdicts) for point in points]
    findings, choices = measure_search(list(problems), outcomes, levels, how)
    counts = {
        "rows": len(problems),
        "problems": len(problems),
        "runs": len(runs),
        "chains": sum(len(run.chains[i]) for run in runs for i in problems),
        "undecided": sum(verdict is None for verdict in verdicts.values()),
        "dropped": drops.by_reason(),
        "choices": choices,
    }
    return as_result(findings, counts, difficulty)


def as_result(findings: Findings, data: Mapping[str, Any], difficulty: str) -> Result:
    """The result of `measure_search`; `data` as in `Result`, with its choices; `difficulty` in words."""
    return Result(
        suite="search",
        protocol="search",
        settings={**findings.settings, "difficulty": difficulty},
        data=data,
        versions={name: version(name) for name in ("prm-toolkit", "numpy", "sympy")},
        scorers=tuple(dict.fromkeys(n.scorer for n in findings.numbers)),
        headline=tuple(number.metric() for number in findings.numbers if findings.headline(number)),
        metrics=tuple(number.metric() for number in findings.numbers),
        differences=findings.differences,
        curves=findings.curves,
    )


def _outcomes(point: Point, problems: Sequence[str], verdicts: Verdicts) -> Outcomes:
    def mean(value: Any) -> Any:
        return np.array([[float(value(run, i)) for i in problems] for run in point.runs]).mean(axis=0)

    return Outcomes(
        point.name,
        point.variant,
        accuracy=mean(lambda run, i: verdicts[i, run.chosen(i).text] is True),
        any_right=mean(lambda run, i: any(verdicts[i, chain.text] for chain in run.whole(i))),
        generated_tokens=mean(lambda run, i: run.choices[i].generated or 0),
        scored_tokens=mean(lambda run, i: run.choices[i].scored or 0),
    )


def _levels(
    problems: Mapping[str, Problem], runs: Iterable[Run], verdicts: Verdicts, by: str | None
) -> tuple[list[str], str]:
    """The level of each problem, and what the levels are, in words; no levels if difficulty is unknown."""
    if by is not None:
        return _field(problems, by), f"the field {by!r} of the problems"
    whole = [run for run in runs if run.settings["method"] in _WHOLE]
    if not whole:
        return [], "unknown: no run draws whole chains"
    shares = [np.mean([verdicts[i, chain.text] is True for run in whole for chain in run.whole(i)]) for i in problems]
    return levels_of(np.array(shares)), "share of right chains in the runs that draw whole ones; up to five levels"


def _field(problems: Mapping[str, Problem], name: str) -> list[str]:
    lacking = next((i for i, problem in problems.items() if name not in problem.meta), None)
    if lacking is not None:
        raise InputError(f"problem {lacking!r} has no field {name!r}", "choose a field that all problems have")
    levels = [str(problem.meta[name]) for problem in problems.values()]
    if len(set(levels)) > _MOST_LEVELS:
        raise InputError(f"the field {name!r} has {len(set(levels)):,} values", "choose one with few values")
    return levels


def _shown(
    problems: Mapping[str, Problem], points: Sequence[Point], verdicts: Verdicts, show: int, seed: int
) -> Iterator[ShownChain]:
    """The leaves of whole problems in all runs, drawn evenly."""
    kept, count = set[str](), 0
    for identity in random.Random(seed).sample(sorted(problems), len(problems)):
        own = sum(len(run.chains[identity]) for point in points for run in point.runs)
        if count + own <= show:
            kept.add(identity)
            count += own
    for identity, problem in problems.items():
        for point in points if identity in kept else ():
            for run in point.runs:
                yield from _leaves(problem, point.label_of(run), run, verdicts)


def _leaves(problem: Problem, label: str, run: Run, verdicts: Verdicts) -> Iterator[ShownChain]:
    scorer = Path(str(run.settings["scorer"])).name
    for place, chain in enumerate(run.chains[problem.id]):
        is_chosen = place == run.choices[problem.id].index
        yield ShownChain(
            problem_id=problem.id,
            problem=problem.text,
            answer=problem.answer,
            chain_id=chain.id,
            split=label,
            steps=chain.steps,
            truth=_truth(problem, chain),
            is_right=verdicts.get((problem.id, chain.text)),
            scores={scorer: run.scores[chain.id]} if chain.id in run.scores else {},
            chosen_by=(label,) if is_chosen else (),
            is_whole=chain.finish != UNFINISHED,
        )


def _truth(problem: Problem, chain: Chain) -> tuple[bool | None, ...] | None:
    """Of a problem of the arithmetic world, which alone has an exact truth."""
    return tuple(step_truth(problem.meta["values"], chain.steps)) if "values" in problem.meta else None
