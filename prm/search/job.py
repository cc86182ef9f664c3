"""The search job: problems → chains, their step scores, and the chosen one of each problem."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from prm import console
from prm.data.drops import Drops, drops_path
from prm.data.files import ProblemFile, to_json, write_records
from prm.data.identity import own_aggregators_in
from prm.data.jobs import Records, Source, Workspace, making, write_drops
from prm.data.manifest import Job, directories
from prm.data.records import Chain, Choice, Drop, Problem, StepScores
from prm.data.writing import partial_path, write_lines
from prm.errors import require_number
from prm.generation.choice import ray_at_hand
from prm.scoring.checking import command_files, recorded, solution_verdicts
from prm.scoring.jobs import scorer_name
from prm.scoring.reranking import own_selection
from prm.scoring.scorer import Scorer
from prm.verifiers import Checker
from prm.verifiers.checkers import Named

from .ending import Solved
from .journal import Journal, journal_path
from .methods import method_named
from .searcher import Event
from .setup import Setup, setup_of


class Solutions(Records[Chain]):
    """The chains of a search: all leaves of its trees, those given up included."""

    @property
    def scores(self) -> Records[StepScores]:
        """Step scores of the chains that were scored."""
        return Records(scores_path(self.path), StepScores, self.counts, self._place)

    @property
    def choices(self) -> Records[Choice]:
        """The chosen chain of each problem, with the tokens spent; `Choice.index` counts the problem's chains."""
        return Records(choices_path(self.path), Choice, self.counts, self._place)


def scores_path(out: Path) -> Path:
    """Path of the step scores of a search."""
    return out.with_name(out.name + ".scores.jsonl")


def choices_path(out: Path) -> Path:
    """Path of the choices of a search."""
    return out.with_name(out.name + ".choices.jsonl")


def solve(
    problems: Source,
    out: str | Path | None = None,
    *,
    model: str,
    scorer: str | os.PathLike[str] | Scorer | None = None,
    scorer_options: Mapping[str, Any] | None = None,
    method: str = "weighted",
    n: int = 16,
    width: int = 4,
    budget_tokens: int | None = None,
    aggregate: str | None = None,
    selection: str | None = None,
    rebase_temperature: float = 0.1,
    threshold: float | None = None,
    settled: float = 0.95,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
    max_tokens: int = 1024,
    stop: str | Sequence[str] = (),
    seed: int = 0,
    reproducible: bool = False,
    splitter: str = "newline",
    chat: bool = False,
    prompt: str | Path | Mapping[str, Any] = "",
    checker: Named = "exact",
    endpoints: str | Sequence[str] = (),
    engine_options: Mapping[str, Any] | None = None,
    ray_workers: int = 0,
    ray_gpus: float = 0.0,
    overwrite: bool = False,
) -> Solutions:
    """Solve problems by search: a scorer says which beginnings of solutions to go on with.

    A killed job resumes when it is called again with the same arguments. Beside the chains lie their step scores
    (`<out>.scores.jsonl`) and the choices (`<out>.choices.jsonl`).

    Args:
        problems: see `prm.Source`.
        out: file of chains; None for a temporary one.
        model: causal language model, a Hugging Face directory or Hub name.
        scorer: directory or Hub name of a reward model, or a scorer of any kind, which is left open; None for a method
            that needs no scores.
        scorer_options: for a scorer given by name: arguments of `prm.load_scorer`.
        method: name in `prm.search.methods.METHODS`.
        n: chains, or branches that a search keeps.
        width: for `beam`, `dvts` and `best-first`: continuations of a branch.
        budget_tokens: most tokens to generate for a problem, never passed; None for what `n` chains of `max_tokens`
            have.
        aggregate: name in `prm.AGGREGATORS`: how step scores become the value of a branch and of a chain; None for
            that of the scorer, or "min".
        selection: name in `prm.SELECTIONS`: how the answer is chosen at the end; None for that of the method.
        rebase_temperature: for `rebase`: in which the softmax measures values, above 0.
        threshold: for `prune`: a chain is given up at its first step that scores less; None for that of the scorer.
            See `prm.fit_pruning`.
        settled: for `refine`: probability of the first answer to stay the first, in (0.5, 1).
        temperature: sampling temperature, above 0.
        top_p: nucleus, in (0, 1].
        top_k: number of the most likely tokens to draw from; 0 for all.
        min_p: least probability of a token, as a share of that of the most likely one, in [0, 1].
        repetition_penalty: divides the logits of tokens that have occurred, above 0.
        max_tokens: longest chain, in tokens.
        stop: texts that end a solution, besides the model's own end.
        seed: determines all draws, if they are reproducible, and the resampling of particles.
        reproducible: whether each draw has a seed of its own.
        splitter: what ends a step: a name in `prm.data.steps.SPLITTERS`, with its options.
        chat: whether to put the problem into the model's chat template.
        prompt: what stands around the problem; see `prm.generation.prompts.asking`.
        checker: decides which answers are equal, in votes, and which are right, for the summary.
        endpoints: base URLs of vLLM servers of the model, instead of vLLM in this process.
        engine_options: see `EngineChoice.options`.
        ray_workers: number of Ray workers that search, each with its own engine and scorer; 0 for this process alone.
        ray_gpus: GPUs of each Ray worker.
        overwrite: whether to replace an existing output.

    Raises:
        PrmError: an argument, an input, a model, the engine or the output cannot be used.
    """
    require_number("ray_workers", ray_workers, "[0, inf)", whole=True)
    require_number("ray_gpus", ray_gpus, "[0, inf)")
    needed = scorer if method_named(method).is_scored else None
    setup = setup_of(
        model=model, scorer=needed, scorer_options=scorer_options, method=method, n=n, width=width,
        budget_tokens=budget_tokens, aggregate=aggregate, selection=selection, rebase_temperature=rebase_temperature,
        threshold=threshold, settled=settled, temperature=temperature, top_p=top_p, top_k=top_k, min_p=min_p,
        repetition_penalty=repetition_penalty, max_tokens=max_tokens, stop=stop, seed=seed, reproducible=reproducible,
        splitter=splitter, chat=chat, prompt=prompt, checker=checker, endpoints=endpoints,
        engine_options=engine_options,
    )  # fmt: skip
    place = Workspace(out, "chains.jsonl")
    files, judge = place.files(problems=problems), setup.plan.checker
    name = None if setup.scorer is None else scorer_name(setup.scorer)
    settings = {
        "model": model, "scorer": name, "scorer_options": dict(setup.scorer_options), "method": method, "n": n,
        "width": width, "budget_tokens": setup.plan.budget, "aggregate": aggregate, "selection": setup.plan.selection,
        "rebase_temperature": rebase_temperature, "threshold": threshold, "settled": settled, "splitter": splitter,
        **setup.asked.recorded(), **asdict(setup.sampling), **recorded(judge),
        **own_aggregators_in(), **own_selection(setup.plan.selection),
    }  # fmt: skip
    inputs = files | directories(model=model, scorer=name) | command_files(judge)
    beside = (journal_path(place.out), scores_path(place.out), choices_path(place.out), drops_path(place.out))
    job = Job(place.out, "solve", settings, inputs, (partial_path(place.out), *beside))
    with making(job, "chains", overwrite) as counts:
        if counts is not None:
            with closing(Journal(journal_path(place.out))) as journal:
                known = ProblemFile(files["problems"])
                counts |= _go_on(journal, job, setup, known, ray_workers, ray_gpus)
                counts |= _write(journal, known, place.out, judge)
    journal_path(place.out).unlink(missing_ok=True)
    return Solutions(job.output, Chain, job.counts(), place)


def _go_on(
    journal: Journal, job: Job, setup: Setup, problems: ProblemFile, ray_workers: int, ray_gpus: float
) -> dict[str, Any]:
    """Search the problems that are not done; return the speed."""
    total = len(problems)
    if journal.places or journal.earlier:
        console.say(f"resuming after {len(journal.places):,} problems")
    if len(journal.places) == total:
        return {}
    setup.engine.announce(ray_workers)
    setup = replace(setup, engine=setup.engine.settled(job))
    waiting = [identity for identity in problems if identity not in journal.places]
    if ray_workers:
        with ray_at_hand():
            from .ray_searching import search_on_ray
        found = search_on_ray(setup, job.inputs["problems"], waiting, workers=ray_workers, gpus=ray_gpus)
        return _record(found, journal, total)
    with setup.searcher() as searcher:
        return _record(searcher.run(map(problems.__getitem__, waiting), dict(journal.earlier)), journal, total)


def _record(events: Iterator[Event], journal: Journal, total: int) -> dict[str, Any]:
    """Write the events to the journal and show progress; return the speed."""
    started, tokens, answers = time.monotonic(), 0, 0
    with console.progress("solving", total) as advance:
        advance(len(journal.places))
        for event in events:
            journal.append(event)
            if isinstance(event, Solved) and event.choice is not None:
                tokens += event.choice.generated or 0
                answers += event.choice.answer is not None
            if isinstance(event, Solved | Drop):
                rate = tokens / max(time.monotonic() - started, 1e-3)
                advance(1, f"{rate:,.0f} tokens/s  {answers:,} answers")
    seconds = max(time.monotonic() - started, 1e-3)
    return {"seconds": round(seconds, 1), "tokens a second": round(tokens / seconds)}


def _write(journal: Journal, problems: ProblemFile, out: Path, checker: Checker) -> dict[str, Any]:
    """Write the outputs, in the order of the problems; return their counts."""
    counts, drops, choices = dict[str, Any](), Drops(), list[Choice]()

    def ends() -> Iterator[Solved]:
        """Read anew for each output: all trees need not be in memory at once."""
        return (event for event in journal.ends(problems) if isinstance(event, Solved))

    for event in journal.ends(problems):
        if isinstance(event, Drop):
            drops.add(event.id, event.reason, event.detail)
        elif event.choice is None:
            drops.add(event.problem_id, "nothing was drawn")
        else:
            choices.append(event.choice)
    write_records(scores_path(out), (scores for end in ends() for scores in end.scores))
    write_records(choices_path(out), choices)
    counts["chains"] = write_lines(out, (to_json(chain) for end in ends() for chain in end.chains))
    write_drops(drops, out, counts)
    counts["answers"] = sum(choice.answer is not None for choice in choices)
    counts["generated tokens"] = sum(choice.generated or 0 for choice in choices)
    counts["scored tokens"] = sum(choice.scored or 0 for choice in choices)
    return counts | _right(choices, problems, checker)


def _right(choices: Iterable[Choice], problems: Mapping[str, Problem], checker: Checker) -> dict[str, float]:
    known = [(choice.best, problems[choice.problem_id]) for choice in choices if problems[choice.problem_id].golds]
    if not known:
        return {}
    verdicts = list(solution_verdicts(checker, known))
    return {"% right": 100 * sum(verdict.is_correct for verdict in verdicts) / len(verdicts)}
