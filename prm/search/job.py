"""The search job: problems → chains, their step scores, and the chosen one of each problem."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from prm import console
from prm.data.drops import Drops, drops_path
from prm.data.files import ProblemFile, read_problems, to_json, write_records
from prm.data.jobs import Records, Source, Workspace, making, write_drops
from prm.data.manifest import Job, directories
from prm.data.records import Chain, Choice, Drop, Problem, StepScores
from prm.data.steps import split_steps, step_stops
from prm.data.writing import partial_path, write_lines
from prm.errors import InputError, require_texts
from prm.generation.choice import EngineChoice
from prm.generation.engine import Sampling
from prm.generation.prompts import asking, merged
from prm.scoring.checking import command_files, job_checker, recorded, solution_verdicts
from prm.scoring.jobs import scorer_name
from prm.scoring.scorer import Scorer
from prm.verifiers import Checker
from prm.verifiers.checkers import Named

from .ending import Solved
from .journal import Journal, journal_path
from .methods import Method, method_named
from .plan import Plan
from .searcher import Drawn, Searcher


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
        overwrite: whether to replace an existing output.

    Raises:
        PrmError: an argument, an input, a model, the engine or the output cannot be used.
    """
    chosen, judge, asked = method_named(method), job_checker(checker), asking(prompt, chat=chat)
    split_steps("", splitter)
    if chosen.is_stepwise:
        step_stops(splitter)
    if chosen.is_scored and scorer is None:
        raise InputError(f"the method {method!r} needs a scorer", "give one, or choose majority or refine")
    plan = Plan(
        n=n, width=width, aggregate=aggregate or "min", selection=selection or chosen.selection,
        temperature=rebase_temperature, threshold=0.0 if threshold is None else threshold, settled=settled,
        budget=n * max_tokens if budget_tokens is None else budget_tokens,
        seed=seed, max_tokens=max_tokens, checker=judge, is_scored=chosen.is_scored,
    )  # fmt: skip
    place = Workspace(out, "chains.jsonl")
    files = place.files(problems=problems)
    sampling = Sampling(
        temperature, top_p, top_k, min_p, repetition_penalty,
        max_tokens=max_tokens, seed=seed, stop=merged(require_texts("stop", stop), asked), reproducible=reproducible,
    )  # fmt: skip
    name = scorer_name(scorer) if scorer is not None and chosen.is_scored else None
    settings = {
        "model": model, "scorer": name, "scorer_options": dict(scorer_options or {}), "method": method, "n": n,
        "width": width, "budget_tokens": plan.budget, "aggregate": aggregate, "selection": plan.selection,
        "rebase_temperature": rebase_temperature, "threshold": threshold, "settled": settled, "splitter": splitter,
        **asked.recorded(), **asdict(sampling), **recorded(judge),
    }  # fmt: skip
    inputs = files | directories(model=model, scorer=name) | command_files(judge)
    beside = (
        partial_path(place.out),
        journal_path(place.out),
        scores_path(place.out),
        choices_path(place.out),
        drops_path(place.out),
    )
    job = Job(place.out, "solve", settings, inputs, beside)
    engine = EngineChoice(model, require_texts("endpoints", endpoints), engine_options or {}, reproducible)
    with making(job, "chains", overwrite) as counts:
        if counts is not None:
            with closing(Journal(journal_path(place.out))) as journal:
                total = sum(1 for _ in read_problems(files["problems"]))
                if journal.places or journal.earlier:
                    console.say(f"resuming after {len(journal.places):,} problems")
                if len(journal.places) < total:
                    engine.announce()
                    engine = engine.settled(job)
                    with ExitStack() as stack:
                        scoring = stack.enter_context(_opened(scorer, scorer_options or {}, chosen))
                        fitted = _fitted(plan, method, chosen, scoring, aggregate, threshold)
                        started = stack.enter_context(closing(engine.start()))
                        searcher = Searcher(
                            started, engine.renderer(asked), scoring, chosen, fitted, sampling, splitter
                        )
                        counts |= _search(searcher, files["problems"], journal, total)
                counts |= _write(journal, files["problems"], place.out, judge)
    journal_path(place.out).unlink(missing_ok=True)
    return Solutions(job.output, Chain, job.counts(), place)


@contextmanager
def _opened(
    scorer: str | os.PathLike[str] | Scorer | None, options: Mapping[str, Any], method: Method
) -> Iterator[Scorer | None]:
    if scorer is None or not method.is_scored:
        yield None
    elif isinstance(scorer, Scorer):
        yield scorer
    else:
        from prm.scoring.loading import load_scorer

        console.say(f"loading {os.fspath(scorer)} …")
        with closing(load_scorer(os.fspath(scorer), **options)) as loaded:
            yield loaded


def _fitted(
    plan: Plan, name: str, method: Method, scorer: Scorer | None, aggregate: str | None, threshold: float | None
) -> Plan:
    """The plan with what the scorer says."""
    if scorer is None:
        return plan
    if method.is_stepwise and scorer.kind != "prm":
        raise InputError(f"the method {name!r} scores steps, which an ORM cannot", "give a PRM")
    if name == "prune" and threshold is None and scorer.threshold is None:
        raise InputError("the scorer has no threshold", "give one: threshold=…, see prm.fit_pruning")
    return replace(
        plan,
        is_orm=scorer.kind == "orm",
        aggregate=aggregate or scorer.aggregator or "min",
        threshold=(scorer.threshold or 0.0) if threshold is None else threshold,
    )


def _search(searcher: Searcher, problems: Path, journal: Journal, total: int) -> dict[str, Any]:
    """Search the problems that are not done; return the speed."""
    started, tokens, answers = time.monotonic(), 0, 0
    waiting = (problem for problem in read_problems(problems) if problem.id not in journal.places)
    with console.progress("solving", total) as advance:
        advance(len(journal.places))
        for event in searcher.run(waiting, dict(journal.earlier)):
            journal.append(event)
            tokens += sum(c.tokens for c in event.completions) if isinstance(event, Drawn) else 0
            is_end = isinstance(event, Solved | Drop)
            answers += isinstance(event, Solved) and event.choice is not None and event.choice.answer is not None
            rate = tokens / max(time.monotonic() - started, 1e-3)
            advance(int(is_end), f"{rate:,.0f} tokens/s  {answers:,} answers" if is_end else "")
    seconds = max(time.monotonic() - started, 1e-3)
    return {"seconds": round(seconds, 1), "tokens a second": round(tokens / seconds)}


def _write(journal: Journal, problems: Path, out: Path, checker: Checker) -> dict[str, Any]:
    """Write the outputs, in the order of the problems; return their counts."""
    ids = [problem.id for problem in read_problems(problems)]
    counts, drops = dict[str, Any](), Drops()

    def ends() -> Iterator[Solved]:
        for event in journal.ends(iter(ids)):
            if isinstance(event, Solved):
                yield event
            else:
                drops.add(event.id, event.reason, event.detail)

    write_records(scores_path(out), (scores for end in ends() for scores in end.scores))
    choices = [end.choice for end in ends() if end.choice is not None]
    write_records(choices_path(out), choices)
    drops = Drops()
    counts["chains"] = write_lines(out, (to_json(chain) for end in ends() for chain in end.chains))
    write_drops(drops, out, counts)
    counts["answers"] = sum(choice.answer is not None for choice in choices)
    counts["generated tokens"] = sum(choice.generated or 0 for choice in choices)
    counts["scored tokens"] = sum(choice.scored or 0 for choice in choices)
    return counts | _right(choices, ProblemFile(problems), checker)


def _right(choices: Iterable[Choice], problems: Mapping[str, Problem], checker: Checker) -> dict[str, float]:
    known = [(choice.best, problems[choice.problem_id]) for choice in choices if problems[choice.problem_id].golds]
    if not known:
        return {}
    verdicts = list(solution_verdicts(checker, known))
    return {"% right": 100 * sum(verdict.is_correct for verdict in verdicts) / len(verdicts)}
