"""The labeling job: chains → step labels. It keeps every rollout, and resumes after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

from prm import console
from prm.data.drops import Drops
from prm.data.files import ProblemFile, sound_chains
from prm.data.jobs import Output, Records, Source, Workspace, making
from prm.data.manifest import Job, directories
from prm.data.records import Chain, Drop, Rollout, StepLabels
from prm.errors import InputError, require_known, require_number, require_texts
from prm.generation.choice import EngineChoice, ray_at_hand
from prm.generation.engine import Sampling
from prm.generation.prompts import asking, merged
from prm.scoring.checking import command_files, job_checker, recorded
from prm.verifiers.checkers import Named

from .allocation import Budget
from .choosing import SOLVED, solved, surely_known
from .estimate import Cost, estimate
from .journal import Journal, rollouts_path, unfinished
from .judging import is_any_right, require_golds
from .labeler import WINDOW, Earlier, Event, Plan
from .setup import Setup
from .tally import Tally

_MAY_DIFFER = ("strategy", "budget", "check_share")
"""Settings in which a job may differ from one that it extends."""
TRIAL = 200
"""Rollouts after which a job without a single right one stops."""


def label(
    problems: Source,
    chains: Source,
    out: str | Path | None = None,
    *,
    model: str,
    strategy: str = "fixed",
    rollouts: int = 8,
    width: float = 0.35,
    from_problem: int = 0,
    check_share: float = 0.0,
    max_unusable: float = 0.1,
    drop_solved: str = "",
    scores: Source | Sequence[Source] = (),
    sure: float = 0.9,
    spread: float = 0.01,
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
    keep_going: bool = False,
    extend: bool = False,
    overwrite: bool = False,
) -> Records[StepLabels]:
    """Label the steps of chains by Monte Carlo rollouts from their prefixes, checked against the gold answers.

    A killed job resumes when it is called again with the same arguments. The rollouts are kept beside the output, in
    `<out>.rollouts.jsonl`.

    Args:
        problems: problems with gold answers; see `prm.Source`.
        chains: chains of these problems.
        out: file of step labels; None for a temporary one.
        model: the model that continues the prefixes: a Hugging Face directory or Hub name.
        strategy: name in `prm.labeling.allocation.STRATEGIES`.
        rollouts: K, the most rollouts from one prefix.
        width: for `adaptive`: widest 95% credible interval to accept, in (0, 1).
        from_problem: rollouts from the bare problem for each chain; with them, `StepLabels.progress` has a value for
            the first step too.
        check_share: share of chains, in [0, 1], to draw from every prefix as well, as a check of their labels.
        max_unusable: share of the problems, in [0, 1], whose gold answers may be unusable; their chains are dropped.
            With more, the job stops before its first rollout.
        drop_solved: problems whose chains are to be dropped: "never" (none of them is right), "always" (all are) or
            "both".
        scores: files of the chains' step scores by a PRM, or one by each of several: chains that these are sure of are
            dropped; see `prm.labeling.choosing.surely_known`.
        sure: for `scores`: a step is sure if its mean score is at least this, or at most 1 minus this, in (0.5, 1].
        spread: for several: and if their standard deviation is at most this.
        temperature: sampling temperature, above 0.
        top_p: nucleus, in (0, 1].
        top_k: number of the most likely tokens to draw from; 0 for all.
        min_p: least probability of a token, as a share of that of the most likely one, in [0, 1].
        repetition_penalty: divides the logits of tokens that have occurred, above 0.
        max_tokens: longest rollout, in tokens; one cut off by it before its answer is undecided, not wrong.
        stop: texts that end a rollout, besides the model's own end.
        seed: determines all draws, if they are reproducible.
        reproducible: whether each draw has a seed of its own, so that the same job draws the same texts anywhere.
            It costs time; a job is resumable without it.
        splitter: how to split a solution given as one text into steps.
        chat: whether to put the problem into the model's chat template.
        prompt: what stands around the problem: a preset, a file, or messages; see `prm.generation.prompts.asking`.
        checker: decides whether an answer is right; see `prm.verifiers.checkers.checker_of`.
        endpoints: base URLs of servers of the model, instead of vLLM in this process.
        engine_options: see `EngineChoice.options`.
        ray_workers: number of Ray workers that label, each with its own engine; 0 for this process alone.
        ray_gpus: GPUs of each Ray worker.
        keep_going: whether to go on although all of the first 200 rollouts are undecided, or none of them is right and
            no chain that is labeled by then.
        extend: whether to go on from an output made with another strategy, budget or check share, or with fewer chains:
            all its rollouts count, and only what is missing is drawn.
        overwrite: whether to replace an existing output.

    Raises:
        PrmError: an input, the model, the engine or the output cannot be used, or the job is hopeless.
    """
    judge, asked = job_checker(checker), asking(prompt, chat=chat)
    place = Workspace(out, "labels.jsonl")
    scored = scored_files(scores)
    files = place.files(problems=problems, chains=chains, **scored)
    plan = Plan(strategy, Budget(rollouts, width, from_problem), check_share)
    sampling = Sampling(
        temperature, top_p, top_k, min_p, repetition_penalty,
        max_tokens=max_tokens, seed=seed, stop=merged(require_texts("stop", stop), asked), reproducible=reproducible,
    )  # fmt: skip
    engine = EngineChoice(model, require_texts("endpoints", endpoints), engine_options or {}, reproducible)
    setup = Setup(engine, asked, plan, sampling, judge, extend)
    if drop_solved:
        require_known("drop_solved", drop_solved, SOLVED)
    if extend and overwrite:
        raise InputError("an output is either extended or overwritten", "leave one of the two out")
    require_number("max_unusable", max_unusable, "[0, 1]")
    require_number("ray_workers", ray_workers, "[0, inf)", whole=True)
    require_number("ray_gpus", ray_gpus, "[0, inf)")
    settings = {"model": model, "splitter": splitter, **asked.recorded(), **asdict(plan), **asdict(sampling)}
    settings |= {"drop_solved": drop_solved} if drop_solved else {}
    settings |= {"sure": sure, "spread": spread} if scored else {}
    inputs = files | directories(model=model) | command_files(judge)
    job = Job(place.out, "label", settings | recorded(judge), inputs, unfinished(place.out))
    kept = rollouts_path(place.out)
    extending = job.extending(kept, _MAY_DIFFER, ("problems", "chains")) if extend else nullcontext()
    with extending, making(job, "labels", overwrite) as counts:
        if counts is not None:
            golds = ProblemFile(files["problems"])
            rows, strange = partial(sound_chains, files["chains"], splitter, golds), Drops()
            total, used, origins = _counted(sound_chains(files["chains"], splitter, golds, strange.add))
            _say_left_out(strange)
            require_golds(judge, golds, used, max_unusable)
            skipped = solved(judge, rows(), golds, drop_solved) if drop_solved else {}
            skipped |= surely_known([files[name] for name in scored], rows(), sure, spread) if scored else {}
            setup = replace(setup, skipped=skipped, origins=origins)
            with Journal(place.out, fixed=rollouts, strange=strange) as journal:
                remaining, earlier = _remaining(journal, rows, extend=extend)
                if journal.finished < total:
                    setup.engine.announce(ray_workers)
                    setup = replace(setup, engine=setup.engine.settled(job))
                    begun = (
                        _on_ray(setup, files, splitter, journal, total, ray_workers, ray_gpus)
                        if ray_workers
                        else setup.events(remaining, golds, earlier)
                    )
                    with begun as events:
                        any_right = partial(is_any_right, judge, rows, golds)
                        counts |= _record(events, journal, total, any_right, is_watched=not keep_going)
                journal.finish(total)
                counts |= _summary(journal.tally)
                counts |= {f"dropped ({reason})": number for reason, number in strange.by_reason().items()}
    return place.records(job, StepLabels)


def labeling_cost(
    problems: Source,
    chains: Source,
    *,
    model: str,
    strategy: str = "fixed",
    rollouts: int = 8,
    width: float = 0.35,
    from_problem: int = 0,
    check_share: float = 0.0,
    splitter: str = "newline",
    chat: bool = False,
    prompt: str | Path | Mapping[str, Any] = "",
    checker: Named = "exact",
) -> Cost:
    """Estimate what `label` would cost at most with these arguments; nothing is generated."""
    judge, asked = job_checker(checker), asking(prompt, chat=chat)
    place = Workspace(None, "cost")
    files = place.files(problems=problems, chains=chains)
    plan, renderer = (
        Plan(strategy, Budget(rollouts, width, from_problem), check_share),
        EngineChoice(model).renderer(asked),
    )
    golds, strange = ProblemFile(files["problems"]), Drops()
    cost = estimate(sound_chains(files["chains"], splitter, golds, strange.add), golds, renderer, plan, judge)
    _say_left_out(strange)
    return cost


def scored_files(scores: Source | Sequence[Source]) -> dict[str, Source]:
    """The sources of scores, by their names among a job's inputs."""
    return {f"scores {i}": source for i, source in enumerate(_each(scores), start=1)}


def _each(sources: Source | Sequence[Source]) -> Sequence[Source]:
    """Several sources as they are; one source, which may be a list of rows, as the only one."""
    if isinstance(sources, list | tuple) and all(
        isinstance(s, str | PathLike | Output | list | tuple) for s in sources
    ):
        return sources
    return [sources]


def _say_left_out(drops: Iterable[Drop]) -> None:
    for drop in drops:
        console.say(f"{drop.id} is left out: {drop.detail}")


def _counted(chains: Iterable[Chain]) -> tuple[int, list[str], dict[str, tuple[str, int, int]]]:
    """The number of chains, the ids of their problems in order, and the origins of those that were grown."""
    total, used, origins = 0, dict[str, None](), dict[str, tuple[str, int, int]]()
    for chain in chains:
        total += 1
        used[chain.problem_id] = None
        if chain.origin:
            origins[chain.id] = chain.origin
    return total, list(used), origins


def _on_ray(
    setup: Setup, files: Mapping[str, Path], splitter: str, journal: Journal, total: int, workers: int, gpus: float
) -> AbstractContextManager[Iterator[Event]]:
    with ray_at_hand():
        from .ray_labeling import JobFiles, label_on_ray
    rows = JobFiles(files["problems"], files["chains"], splitter, rollouts_path(journal.output))
    return nullcontext(label_on_ray(setup, rows, journal.finished, total, workers=workers, gpus=gpus))


def _remaining(
    journal: Journal, rows: Callable[[], Iterator[Chain]], *, extend: bool
) -> tuple[Iterator[Chain], Earlier]:
    """The unfinished chains, and the rollouts they already have."""
    if journal.cut:
        console.say(f"{journal.output}: removed a half-written line")
    ids = (chain.id for chain in rows())
    done, following = set(islice(ids, journal.finished)), set(islice(ids, WINDOW))
    earlier: Earlier = journal.stored() if extend else journal.earlier(done, following)
    if journal.tally.rollouts:
        console.say(f"resuming after {journal.tally.chains:,} chains and {journal.tally.rollouts:,} rollouts")
    return islice(rows(), journal.finished, None), earlier


def _record(
    events: Iterator[Event], journal: Journal, total: int, any_right: Callable[[], bool], *, is_watched: bool
) -> dict[str, Any]:
    """Write the events to the journal and show progress; return the rate of labels.

    Args:
        events: of the job.
        journal: where they go.
        total: number of chains.
        any_right: whether any chain is right; asked only if no rollout is, for those of wrong chains may all fail.
        is_watched: whether to stop if the job is hopeless.

    Raises:
        InputError: it is watched, and none of the first `TRIAL` rollouts is right, and no chain.
    """
    tally = journal.tally
    started, rollouts, tokens, steps = time.time(), tally.rollouts, tally.tokens, tally.steps
    with console.progress("labeling", total) as advance:
        advance(tally.chains)
        for event in events:
            before = tally.chains
            journal.append(event)
            if is_watched and tally.rollouts >= TRIAL and tally.is_hopeless:
                is_watched = tally.is_undecided or not any_right()
                if is_watched:
                    raise _hopeless(tally, event)
            seconds = max(time.time() - started, 1e-3)
            advance(
                tally.chains - before,
                f"{(tally.rollouts - rollouts) / seconds:,.0f} rollouts/s  {(tally.tokens - tokens) / seconds:,.0f} "
                f"tokens/s  {tally.undecided_share:.1%} undecided  {tally.saved_share:.0%} saved",
            )
    seconds = max(time.time() - started, 1e-3)
    made: dict[str, Any] = {"seconds": round(seconds, 1), "tokens a second": round((tally.tokens - tokens) / seconds)}
    is_rate = tally.rollouts > rollouts == 0  # labels from an earlier run's rollouts would inflate it
    return {"step labels an hour": round(3600 * (tally.steps - steps) / seconds), **made} if is_rate else made


def _hopeless(tally: Tally, event: Event) -> InputError:
    """The error that ends a job whose labels would all be wrong, or unknown."""
    reasons = "; ".join(f"{number:,} {reason}" for reason, number in tally.undecided.most_common()) or "all decided"
    end = f", the last one ends in {event.text[-80:]!r}" if isinstance(event, Rollout) else ""
    return InputError(
        f"none of the first {tally.rollouts:,} rollouts is right ({reasons}){end}",
        "look at the rollouts beside the output: are the model, the prompt and the answers' format right, and is "
        "max_tokens large enough? To go on all the same: --keep-going (keep_going=True)",
    )


def _summary(tally: Tally) -> dict[str, Any]:
    per_rollout = {"labels a rollout": tally.steps / tally.rollouts} if tally.rollouts else {}
    return {
        "labeled chains": tally.labeled,
        "step labels": tally.steps,
        "rollouts": tally.rollouts,
        "tokens": tally.tokens,
        "% right rollouts": 100 * tally.right / max(tally.rollouts, 1),
        **{f"undecided rollouts ({reason})": number for reason, number in tally.undecided.most_common()},
        **per_rollout,
        "prefixes never solved": tally.never,
        "of these solved later": tally.contradicted,
        "% saved against fixed": 100 * tally.saved_share,
        **{f"dropped ({reason})": number for reason, number in tally.reasons.items()},
    }
