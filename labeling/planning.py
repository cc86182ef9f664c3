"""What labels would cost, and how good they would be, before they are paid for.

A pilot labels a random sample of the chains by a few rollouts from every prefix, in an ordinary job that resumes and
keeps its rollouts. From its counts the values of the steps are drawn (`prm.statistics.pooling`), and every strategy
runs on chains with these values: its own allocation, with rollouts that succeed as often as the values say and are as
long as those of the pilot. The error is that of the labels against unlimited rollouts; it says nothing about rollouts
that reach the right answer from a wrong step.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import accumulate
from math import isfinite, nan, sqrt
from operator import attrgetter
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any, NamedTuple

import numpy as np

from prm.data.drops import Drops
from prm.data.files import ProblemFile, read_records, sound_chains, to_json
from prm.data.jobs import Output, Source, Workspace, making, write_drops
from prm.data.manifest import Job, directories
from prm.data.records import LabelView, Outcome, Rollout, StepLabels
from prm.data.writing import write_json, write_lines
from prm.errors import InputError, require_number
from prm.generation.prompts import asking
from prm.scoring.checking import command_files, job_checker, recorded
from prm.statistics.arrays import Floats
from prm.statistics.pooling import sampled_values

from .allocation import PROBLEM, STRATEGIES, Budget, Ledger
from .job import label, scored_files
from .journal import rollouts_path

DRAWS = 4
"""Rollouts of the pilot from each prefix, and from the bare problem."""
BUDGETS = (4, 8, 16, 32)
"""The K for which every strategy is simulated."""
REPEATS = 10
"""Jobs simulated with each chain, each with values of its own."""


_OWN = {"strategy", "rollouts", "width", "from_problem", "max_unusable", "keep_going", "extend"}
"""Settings of `label` that a plan sets for its pilot."""
_NO_PART_OF_THE_RESULT = {"endpoints", "engine_options", "prompt", "chat", "checker"}
"""Settings that say where it runs, or are recorded in full."""


@dataclass(frozen=True, slots=True)
class Option:
    """What one strategy would cost and give, for all chains."""

    strategy: str
    k: int
    labeled: float
    """Share of the steps that get a label."""
    hard_error: float
    """Share of the hard labels (of the view made for the strategy) that unlimited rollouts would change."""
    hard_error_se: float
    """Standard error of `hard_error`, by chains."""
    value_error: float | None
    """Mean distance of the pooled soft labels from the values; None for a strategy that gives none."""
    rollouts: int
    tokens: int
    """Drawn; the prompts are not counted."""
    hours: float | None
    """At the rate of the pilot; a long job fills the engine better and is faster. None if the rate is not known."""
    price: float | None
    """Of the tokens; None without a price."""


@dataclass(frozen=True, slots=True)
class LabelPlan:
    """The options, and the cheapest ones that are good enough."""

    options: tuple[Option, ...]
    hard: Option
    """The cheapest one whose hard labels have at most the wanted error, or the one with the least error."""
    soft: Option
    """The same for soft labels."""
    pilot: Mapping[str, Any]
    """Chains, rollouts, tokens and rate of the pilot."""
    output: Output


def plan_labels(
    problems: Source,
    chains: Source,
    out: str | Path | None = None,
    *,
    model: str,
    pilot: int = 400,
    target: float = 0.05,
    price_per_million: float | None = None,
    splitter: str = "newline",
    overwrite: bool = False,
    **settings: Any,
) -> LabelPlan:
    """Estimate, by a pilot, the cost and the label error of every strategy.

    Args:
        problems: problems with gold answers; see `prm.Source`.
        chains: chains of these problems.
        out: file of the plan; the pilot's files stay beside it. None for a temporary one.
        model: the model that continues the prefixes.
        pilot: rollouts to draw, about.
        target: label error that is good enough, in [0, 1].
        price_per_million: price of a million drawn tokens, in any currency.
        splitter: how to split a solution given as one text into steps.
        overwrite: whether to replace an existing output.
        settings: of the rollouts, as `prm.label` takes them.

    Raises:
        PrmError: an input, the model, the engine or the output cannot be used, or no chain of the pilot can be labeled.
    """
    require_number("pilot", pilot, "[1, inf)", whole=True)
    require_number("target", target, "[0, 1]")
    if price_per_million is not None:
        require_number("price_per_million", price_per_million, "[0, inf)")
    if wrong := sorted(settings.keys() & _OWN):
        raise InputError(f"a plan sets {wrong[0]} itself", f"omit {', '.join(wrong)}")
    judge = job_checker(settings.get("checker", "exact"))
    asked = asking(settings.get("prompt", ""), chat=settings.get("chat", False))
    place = Workspace(out, "plan.json")
    scored = scored_files(settings.pop("scores", ()))
    files = place.files(problems=problems, chains=chains, **scored)
    known = {"model": model, "pilot": pilot, "target": target, "price": price_per_million, "splitter": splitter}
    known |= {name: value for name, value in settings.items() if name not in _NO_PART_OF_THE_RESULT}
    inputs = files | directories(model=model) | command_files(judge)
    job = Job(place.out, "label plan", known | asked.recorded() | recorded(judge), inputs)
    with making(job, "plan", overwrite) as counts:
        if counts is not None:
            golds, drops = ProblemFile(files["problems"]), Drops()
            total, number, chosen = _chosen(files["chains"], splitter, golds, drops, pilot, place.out)
            made = label(
                files["problems"], chosen, _beside(place.out, "pilot"), model=model, strategy="fixed", rollouts=DRAWS,
                from_problem=DRAWS, max_unusable=1.0, keep_going=True, splitter=splitter, overwrite=overwrite,
                scores=[files[name] for name in scored], **settings,
            )  # fmt: skip
            usable = total * made.counts["labeled chains"] / number
            write_json(place.out, _planned(made.path, usable, made.counts, target, price_per_million))
            counts |= {"chains": total, "pilot rollouts": made.counts["rollouts"]}
            write_drops(drops, place.out, counts)
    row = json.loads(place.out.read_text(encoding="utf-8"))
    options = {name: Option(**row[name]) for name in ("hard", "soft")}
    return LabelPlan(
        tuple(Option(**option) for option in row["options"]), **options, pilot=row["pilot"], output=place.output(job)
    )


def _beside(out: Path, name: str) -> Path:
    return out.with_name(f"{out.name}.{name}.jsonl")


def _chosen(
    chains: Path, splitter: str, problems: ProblemFile, drops: Drops, rollouts: int, out: Path
) -> tuple[int, int, Path]:
    """The number of chains, and that in a file of randomly chosen ones that take about so many rollouts."""
    read = partial(sound_chains, chains, splitter, problems)
    steps = [len(chain.steps) for chain in read(drops.add)]
    if not steps:
        raise InputError(f"{chains}: holds no chain", "give the chains to label")
    order = random.Random(0).sample(range(len(steps)), len(steps))
    spent = accumulate(DRAWS * max(steps[i], 1) for i in order)
    kept = {i for i, before in zip(order, [0, *spent], strict=False) if before < rollouts}
    path = _beside(out, "pilot-chains")
    write_lines(path, (to_json(chain) for i, chain in enumerate(read()) if i in kept))
    return len(steps), len(kept), path


@dataclass(frozen=True, slots=True)
class _Case:
    """A labeled chain of the pilot. Arrays begin with the bare problem; the last step has no rollouts."""

    outcome: Outcome
    values: Floats
    """Of shape (repeats, steps): values that the counts of the pilot allow."""
    tokens: Sequence[float]
    """Mean length of a rollout from each prefix."""
    undecided: float
    """Share of all the chain's rollouts."""

    @property
    def steps(self) -> int:
        return len(self.tokens)


def _cases(labels: Path) -> Iterator[_Case]:
    """The chains of the pilot."""
    lengths = defaultdict[tuple[str, int], list[int]](list)
    for rollout in read_records(rollouts_path(labels), Rollout):
        lengths[rollout.chain_id, rollout.step].append(rollout.tokens)
    mean, rng = fmean(n for found in lengths.values() for n in found) if lengths else 0.0, np.random.default_rng(0)
    for row in read_records(labels, StepLabels):
        right, wrong = ((row.start[kind], *counts[:-1]) for kind, counts in enumerate((row.right, row.wrong)))
        drawn = sum(row.drawn) + sum(row.start)
        yield _Case(
            row.outcome,
            sampled_values(right, wrong, REPEATS, rng),
            [fmean(lengths.get((row.chain_id, step), [mean])) for step in range(PROBLEM, len(row.known) - 1)],
            (sum(row.undecided) + row.start[2]) / max(drawn, 1),
        )


def _planned(
    labels: Path, chains: float, spent: Mapping[str, Any], target: float, price: float | None
) -> dict[str, Any]:
    """The plan, for so many chains that can be labeled."""
    cases = list(_cases(labels))
    if not cases or not spent["rollouts"]:
        raise InputError("no chain of the pilot can be labeled by rollouts", "look at the chains it dropped")
    if max(case.steps for case in cases) == 1:
        raise InputError("all chains of the pilot have one step, which needs no rollout", "cut solutions into steps")
    rng, rate = np.random.default_rng(1), spent.get("tokens a second")
    options = [
        _option(name, k, [_simulated(name, k, case, rng) for case in cases], chains, rate, price)
        for name in STRATEGIES
        for k in BUDGETS
    ]
    kept = ("rollouts", "tokens", "tokens a second", "% right rollouts")
    return {
        "pilot": {"chains": len(cases), **{name: spent[name] for name in kept if name in spent}},
        "options": [asdict(option) for option in options],
        "hard": asdict(_cheapest(options, target, attrgetter("hard_error"))),
        "soft": asdict(_cheapest([o for o in options if o.value_error is not None], target, attrgetter("value_error"))),
    }


class _Outcome(NamedTuple):
    """The jobs simulated with one chain."""

    labeled: float
    hard_error: float
    value_error: float
    rollouts: float
    tokens: float


def _simulated(strategy: str, k: int, case: _Case, rng: np.random.Generator) -> _Outcome:
    """The mean of the jobs with each of the chain's drawn values."""
    found = [_run(strategy, Budget(k), case, values, rng) for values in case.values]
    return _Outcome(*(_mean(column) for column in zip(*found, strict=True)))


def _run(strategy: str, budget: Budget, case: _Case, values: Floats, rng: np.random.Generator) -> _Outcome:
    ledger, tokens = Ledger(case.steps, case.outcome), 0.0
    for draws in STRATEGIES[strategy].allocate(ledger, budget):
        for step, n in draws:
            tokens += n * case.tokens[step + 1]
            for is_right, is_undecided in zip(
                rng.random(n) < values[step + 1], rng.random(n) < case.undecided, strict=True
            ):
                ledger.add(step, "no_answer" if is_undecided else "correct" if is_right else "incorrect")
    labels = ledger.labels("simulated", "simulated")
    view = STRATEGIES[strategy].view
    pairs = zip(labels.view(view), _truth(case, values, view), strict=True)
    wrong = [(label >= 0.5) != truth for label, truth in pairs if label is not None]
    own = [*values[1:], float(case.outcome == "correct")]
    off = [abs(label - value) for label, value in zip(labels.pooled, own, strict=True) if label is not None]
    return _Outcome(len(wrong) / case.steps, _mean(wrong), _mean(off), ledger.rollouts + ledger.drawn(PROBLEM), tokens)


def _truth(case: _Case, values: Floats, view: LabelView) -> list[bool]:
    """The labels by unlimited rollouts."""
    least = values[0] / 2 if view == "relative" else 0.0
    reached = [bool(value > 0 and value >= least) for value in values[1:]] + [case.outcome == "correct"]
    return [any(reached[i:]) for i in range(case.steps)]


def _option(
    strategy: str, k: int, found: Sequence[_Outcome], chains: float, rate: float | None, price: float | None
) -> Option:
    labeled, hard_error, value_error, rollouts, tokens = (_mean(column) for column in zip(*found, strict=True))
    drawn, errors = tokens * chains, [row.hard_error for row in found if isfinite(row.hard_error)]
    if not errors:
        raise InputError("no step of the pilot gets a label: all its rollouts are undecided", "see its summary")
    return Option(
        strategy, k, labeled, hard_error, pstdev(errors) / sqrt(len(errors)),
        value_error if STRATEGIES[strategy].gives_values else None,
        round(rollouts * chains), round(drawn),
        drawn / rate / 3600 if rate else None,
        drawn / 1e6 * price if price is not None else None,
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    """The mean of the finite values; not a number without any."""
    known = [value for value in values if isfinite(value)]
    return fmean(known) if known else nan


def _cheapest(options: Sequence[Option], target: float, error: Callable[[Option], float]) -> Option:
    """The cheapest option with at most the wanted error that labels nearly all that can be, or that with the least."""
    most = max(option.labeled for option in options)
    whole = [option for option in options if option.labeled >= 0.95 * most]
    good = [option for option in whole if error(option) <= target]
    return min(good, key=attrgetter("tokens")) if good else min(whole, key=error)
