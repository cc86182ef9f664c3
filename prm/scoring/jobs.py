"""The scoring jobs: chains → scores, and scores → the chosen chain of each problem."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from prm import console
from prm.data.drops import Drops, drops_path
from prm.data.files import (
    ProblemFile,
    Unreadable,
    by_id,
    from_json,
    read_each_chain,
    read_problems,
    require_linked,
    sound_chains,
    to_json,
    write_records,
)
from prm.data.identity import own_aggregators_in
from prm.data.jobs import Records, Source, Workspace, making, write_drops
from prm.data.manifest import Job, directories
from prm.data.records import Chain, Choice, Drop, StepScores
from prm.data.steps import split_steps
from prm.data.writing import GrowingFile, partial_path, write_lines
from prm.errors import InputError
from prm.models.dialects import Dialect, OutputChoice
from prm.verifiers.checkers import Named

from .checking import command_files, job_checker, recorded
from .foreign import Links, Siblings, read_step_scores
from .reranking import choose, common_kind, own_selection, require_options
from .scorer import CHAINS_A_ROUND, Refusal, ScoreKind, Scorer, Scores, score_chains


def score(
    scorer: str | os.PathLike[str] | Scorer,
    problems: Source,
    chains: Source,
    out: str | Path | None = None,
    *,
    head: str | None = None,
    dialect: str | Dialect | None = None,
    system: str | None = None,
    output: OutputChoice | None = None,
    how: str | None = None,
    reference: str | None = None,
    dtype: str = "auto",
    device: str | None = None,
    device_map: Any = None,
    revision: str | None = None,
    subfolder: str = "",
    backend: str = "transformers",
    is_calibrated: bool = False,
    tokens_per_pass: int | None = None,
    engine_options: Mapping[str, Any] | None = None,
    splitter: str = "newline",
    overwrite: bool = False,
) -> Records[StepScores]:
    """Score chains: of a PRM one score per step, of an ORM one reward per chain.

    A killed job resumes when it is called again with the same arguments.

    Args:
        scorer: directory or Hub name of a reward model; or a scorer of any kind, which is left open.
        problems: the problems of the chains; see `prm.Source`.
        chains: the chains to score.
        out: file of step scores; None for a temporary one.
        head: as in `prm.load_scorer`, like every argument down to `engine_options`; only for a scorer given by name.
        dialect: how a public model is fed and read.
        system: system prompt in place of the dialect's.
        output: name of the score, of a model that has several, or a weight for each of them.
        how: how the scores of its members become one.
        reference: reference model of an implicit PRM.
        dtype: of the weights.
        device: where it runs.
        device_map: how a public model is spread over devices.
        revision: of a model on the Hub.
        subfolder: where the model lies.
        backend: "transformers" or "vllm".
        is_calibrated: whether to apply the stored calibration.
        tokens_per_pass: padded tokens in one forward pass.
        engine_options: options for vLLM.
        splitter: how to split a solution given as one text into steps.
        overwrite: whether to replace an existing output.

    Raises:
        PrmError: an input, the model or the output cannot be used.
    """
    place, name = Workspace(out, "scores.jsonl"), scorer_name(scorer)
    dialect = os.fspath(dialect) if isinstance(dialect, os.PathLike) else dialect
    what: dict[str, Any] = {
        "head": head, "dialect": dialect, "system": system, "output": output, "how": how,
        "reference": reference, "dtype": dtype,
        "backend": backend, "is_calibrated": is_calibrated, "revision": revision, "subfolder": subfolder,
    }  # fmt: skip
    where = {"device": device, "device_map": device_map, "tokens_per_pass": tokens_per_pass}
    where |= {"engine_options": engine_options}
    files = place.files(problems=problems, chains=chains)
    settings = {"scorer": name, **what, "splitter": splitter}
    settings |= {"dialect": asdict(dialect)} if isinstance(dialect, Dialect) else {}
    inputs = files | directories(scorer=scorer.name if isinstance(scorer, Scorer) else name, reference=reference)
    inputs |= {"dialect": Path(dialect)} if isinstance(dialect, str) and Path(dialect).is_file() else {}
    inputs |= {"calibration": Path(name) / "prm.json"} if is_calibrated else {}
    job = Job(place.out, "score", settings, inputs, _unfinished(place.out))

    @contextmanager
    def opened() -> Iterator[Scorer]:
        if isinstance(scorer, Scorer):
            yield scorer
            return
        from .loading import load_scorer

        console.say(f"loading {name} …")
        loaded = load_scorer(name, **what, **where)
        with closing(loaded):
            yield loaded

    if isinstance(scorer, Scorer):
        _require_defaults(what | where)
    with making(job, "scores", overwrite) as counts:
        if counts is not None:
            counts |= _go_on(opened, files["problems"], files["chains"], splitter, place.out)
            counts |= _sort_out(place.out)
    _scored(place.out).unlink(missing_ok=True)
    return place.records(job, StepScores)


def _unfinished(out: Path) -> tuple[Path, ...]:
    return partial_path(out), _scored(out), drops_path(out)


def _scored(out: Path) -> Path:
    """Scores and drops of the rounds finished so far, kept while the rest is scored."""
    return out.with_name(out.name + ".scored.jsonl")


def scorer_name(scorer: str | os.PathLike[str] | Scorer) -> str:
    """How manifests name a scorer."""
    if not isinstance(scorer, Scorer):
        return os.fspath(scorer)
    name = scorer.name or f"{type(scorer).__module__}.{type(scorer).__qualname__}"
    settings = ", ".join(f"{key}={value!r}" for key, value in scorer.settings.items())
    return f"{name} ({settings})" if settings else name


def _require_defaults(given: Mapping[str, Any]) -> None:
    """Refuse arguments that say how to load a scorer that is loaded already."""
    defaults = {"dtype": "auto", "backend": "transformers", "is_calibrated": False, "subfolder": ""}
    for name, value in given.items():
        if value != defaults.get(name):
            raise InputError(
                f"{name}={value!r} has no effect: the scorer is loaded already", "give its name, or omit it"
            )


def _go_on(
    opened: Callable[[], AbstractContextManager[Scorer]], problems: Path, chains: Path, splitter: str, out: Path
) -> dict[str, Any]:
    """Score the chains that have no score yet; return the speed.

    A round is kept as a whole: one that was half written is scored again, since the last bits of a forward pass depend
    on the other chains in the batch.
    """
    known = ProblemFile(problems)
    total = require_linked(chains, read_each_chain(chains, splitter, known), known)
    with closing(GrowingFile(_scored(out), group=CHAINS_A_ROUND)) as file:
        if file.count:
            console.say(f"resuming after {file.count:,} chains")
        if file.count == total:
            return {}
        rows = islice(read_each_chain(chains, splitter, known), file.count, None)
        with opened() as scorer:
            return _keep(score_chains(scorer, rows, known), file, total)


def _keep(events: Iterator[StepScores | Drop], file: GrowingFile, total: int) -> dict[str, Any]:
    started, before, rate = time.monotonic(), file.count, 0.0
    with console.progress("scoring", total) as advance:
        advance(before)
        while part := list(islice(events, CHAINS_A_ROUND)):
            file.append(*map(to_json, part))
            rate = (file.count - before) / max(time.monotonic() - started, 1e-3)
            advance(len(part), f"{rate:,.1f} chains/s")
    return {"chains/s": rate}


def _sort_out(out: Path) -> dict[str, Any]:
    """Write the scores to the output and the drops beside it; return their counts."""
    drops, counts = Drops(), dict[str, Any]()
    counts["scored chains"] = write_lines(out, _scores_alone(_scored(out), drops))
    write_drops(drops, out, counts)
    return counts


def _scores_alone(scored: Path, drops: Drops) -> Iterator[str]:
    with scored.open(encoding="utf-8") as file:
        for line in file:
            event = from_json(line)
            if isinstance(event, Drop):
                drops.add(event.id, event.reason, event.detail)
            else:
                yield line.rstrip("\n")


def rerank_chains(
    problems: Source,
    chains: Source,
    scores: Source,
    out: str | Path | None = None,
    *,
    aggregate: str = "min",
    selection: str = "best-of-n",
    stop_when: float | None = None,
    abstain_below: float | None = None,
    checker: Named = "exact",
    splitter: str = "newline",
    overwrite: bool = False,
) -> Records[Choice]:
    """Choose one chain per problem by stored scores.

    Args:
        problems: the problems of the chains; see `prm.Source`.
        chains: the chains to choose from.
        scores: scores of these chains, from `prm.score` or another tool; see `prm.scoring.foreign`.
        out: file of choices; None for a temporary one.
        aggregate: name in `prm.AGGREGATORS`; ignored for an ORM, which gives a single score.
        selection: "best-of-n", "majority" or "weighted".
        stop_when: for a vote: look at no more chains once the winner is settled with this probability, in (0.5, 1);
            see `prm.scoring.reranking.settled`.
        abstain_below: make no choice for a problem whose chosen chain scores less than this.
        checker: decides which answers are equal; see `prm.scoring.reranking.group_answers`.
        splitter: how to split a solution given as one text into steps.
        overwrite: whether to replace an existing output.

    Returns:
        A choice for each problem with chains; `Choice.index` counts all its chains in the order given. A chain without
        a score, or whose step scores differ in number from its steps, ranks last and goes to the drops.

    Raises:
        PrmError: an argument, an input or the output cannot be used.
    """
    require_options(aggregate, selection)
    split_steps("", splitter)  # refuses an unknown splitter
    judge = job_checker(checker)
    place = Workspace(out, "choices.jsonl")
    files = place.files(problems=problems, chains=chains, scores=scores)
    settings: dict[str, Any] = {
        "aggregate": aggregate, "selection": selection, "splitter": splitter, **own_aggregators_in(aggregate),
        **own_selection(selection), **recorded(judge),
    }  # fmt: skip
    selective = {"stop_when": stop_when, "abstain_below": abstain_below}
    settings |= {name: value for name, value in selective.items() if value is not None}
    job = Job(place.out, "rerank", settings, files | command_files(judge))
    with making(job, "choices", overwrite) as counts:
        if counts is not None:
            drops, known = Drops(), by_id(read_problems(files["problems"]))
            owners = ProblemFile(files["problems"])
            scored = read_step_scores(files["scores"], drops, partial(links_of, files["chains"], splitter, owners))
            kind = common_kind(scored.values())
            groups = _groups(read_each_chain(files["chains"], splitter, owners), known, scored, kind, drops)
            require_linked(files["chains"], read_each_chain(files["chains"], splitter, owners), owners)
            _require_matches(files["scores"], groups, scored)
            choices = (
                choose(
                    known[problem_id],
                    [chain.text for chain, _ in group],
                    [result for _, result in group],
                    kind=kind,
                    aggregate=aggregate,
                    selection=selection,
                    checker=judge,
                    stop_when=stop_when,
                )
                for problem_id, group in groups.items()
            )
            counts["problems"] = write_records(place.out, _kept(choices, abstain_below, drops, counts))
            write_drops(drops, place.out, counts)
    return place.records(job, Choice)


def links_of(chains: Path, splitter: str, problems: ProblemFile) -> Links:
    """The chains of each problem, for scores of other tools."""
    groups: dict[str, list[str]] = {}
    for chain in sound_chains(chains, splitter, problems):
        groups.setdefault(chain.problem_id, []).append(chain.id)
    siblings = [Siblings(problem_id, tuple(own)) for problem_id, own in groups.items()]
    return Links(siblings, {problem_id: problems[problem_id].text for problem_id in groups if problem_id in problems})


def _kept(
    choices: Iterable[Choice], abstain_below: float | None, drops: Drops, counts: dict[str, Any]
) -> Iterator[Choice]:
    """The choices that are good enough; counts the chains that were looked at, if not all were."""
    for choice in choices:
        if choice.read is not None:
            counts["chains"] = counts.get("chains", 0) + len(choice.scores)
            counts["chains looked at"] = counts.get("chains looked at", 0) + choice.read
        score = choice.scores[choice.index]
        if abstain_below is not None and (score is None or score < abstain_below):
            drops.add(choice.problem_id, "its best chain scores too little", f"{score}")
        else:
            yield choice


def _groups(
    chains: Iterable[Chain | Unreadable],
    problems: Container[str],
    scores: Mapping[str, StepScores],
    kind: ScoreKind,
    drops: Drops,
) -> dict[str, list[tuple[Chain, Scores | Refusal]]]:
    """All chains with their results, by problem id; a chain without its problem, and every refusal, goes to `drops`."""
    groups: dict[str, list[tuple[Chain, Scores | Refusal]]] = {}
    for chain in chains:
        if isinstance(chain, Unreadable):
            drops.add(chain.id, chain.drop.reason, chain.drop.detail)
            continue
        if chain.problem_id not in problems:
            drops.add(chain.id, "its problem is missing")
            continue
        result = stored_scores(scores.get(chain.id), chain, kind)
        if isinstance(result, Refusal):
            drops.add(chain.id, result.reason, result.detail)
        groups.setdefault(chain.problem_id, []).append((chain, result))
    return groups


def _require_matches(
    path: Path, groups: Mapping[str, Sequence[tuple[Chain, Scores | Refusal]]], scores: Mapping[str, StepScores]
) -> None:
    """Refuse to choose among chains without a single score that can be used."""
    pairs = [pair for group in groups.values() for pair in group]
    refusals = [(chain, result) for chain, result in pairs if isinstance(result, Refusal)]
    if refusals and len(refusals) == len(pairs):
        chain, refusal = refusals[0]
        raise InputError(
            f"{path}: no chain has a score that can be used; the first one, {chain.id!r}: {refusal.reason}"
            + (f" ({refusal.detail})" if refusal.detail else f"; the first score is of {next(iter(scores), None)!r}"),
            "score these chains, with the same splitter",
        )


def stored_scores(found: StepScores | None, chain: Chain, kind: ScoreKind) -> Scores | Refusal:
    """The scores that a file has of a chain, or why they cannot be used."""
    if found is None:
        return Refusal("it has no score")
    if kind == "prm" and len(found.scores) != len(chain.steps):
        return Refusal("scores and steps differ in number", f"{len(found.scores)} scores, {len(chain.steps)} steps")
    return found.scores
