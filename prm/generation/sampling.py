"""Problems → chains: `n` solutions for each problem, all in one stream."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

from prm import console
from prm.data.drops import Drops, drops_path
from prm.data.files import ProblemFile, read_problems, read_records, to_json
from prm.data.jobs import Records, Source, Workspace, making, write_drops
from prm.data.manifest import Job, directories
from prm.data.records import Chain, Finish, Problem
from prm.data.steps import split_steps
from prm.data.writing import GrowingFile, write_lines
from prm.errors import RenderError, require_number, require_texts
from prm.models.rendering import Renderer
from prm.scoring.checking import job_checker, solution_verdicts
from prm.verifiers import Checker
from prm.verifiers.checkers import Named
from prm.verifiers.extract import end_of_answer

from .choice import EngineChoice, ray_at_hand
from .engine import Completion, Engine, Request, Sampling
from .prompts import Asking, asking, merged

_MEASURED = 1000
"""Chains whose tokens are counted."""


def sample(
    problems: Source,
    out: str | Path | None = None,
    *,
    model: str,
    n: int = 16,
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
    endpoints: str | Sequence[str] = (),
    engine_options: Mapping[str, Any] | None = None,
    ray_workers: int = 0,
    ray_gpus: float = 0.0,
    checker: Named = "exact",
    overwrite: bool = False,
) -> Records[Chain]:
    """Sample `n` solutions of each problem.

    A killed job resumes when it is called again with the same arguments.

    Args:
        problems: see `prm.Source`; rows of GSM8K, MATH or prompt and answer are read too.
        out: file of chains; None for a temporary one.
        model: causal language model, a Hugging Face directory or Hub name.
        n: chains per problem.
        temperature: sampling temperature, above 0.
        top_p: nucleus, in (0, 1].
        top_k: number of the most likely tokens to draw from; 0 for all.
        min_p: least probability of a token, as a share of that of the most likely one, in [0, 1].
        repetition_penalty: divides the logits of tokens that have occurred, above 0.
        max_tokens: longest solution, in tokens.
        stop: texts that end a solution, besides the model's own end.
        seed: determines all draws, if they are reproducible.
        reproducible: whether each draw has a seed of its own, so that the same job draws the same texts anywhere.
            It costs time; a job is resumable without it.
        splitter: what ends a step: a name in `prm.data.steps.SPLITTERS`, or `regex:EXPRESSION`.
        chat: whether to put the problem into the model's chat template.
        prompt: what stands around the problem: a preset, a file, or messages; see `prm.generation.prompts.asking`.
        endpoints: base URLs of servers of the model, instead of vLLM in this process.
        engine_options: see `EngineChoice.options`.
        ray_workers: number of Ray workers that sample, each with its own engine; 0 for this process alone.
        ray_gpus: GPUs of each Ray worker.
        checker: decides which answers are right, for the summary alone; see `prm.verifiers.checkers.checker_of`.
        overwrite: whether to replace an existing output.

    Raises:
        PrmError: an input, the model, the engine or the output cannot be used.
    """
    split_steps("", splitter)  # refuse an unknown name before the engine starts
    require_number("n", n, "[1, inf)", whole=True)
    judge, asked = job_checker(checker), asking(prompt, chat=chat)
    place = Workspace(out, "chains.jsonl")
    files = place.files(problems=problems)
    sampling = Sampling(
        temperature, top_p, top_k, min_p, repetition_penalty,
        max_tokens=max_tokens, seed=seed, stop=merged(require_texts("stop", stop), asked), reproducible=reproducible,
    )  # fmt: skip
    settings = {"model": model, "n": n, "splitter": splitter, **asked.recorded(), **asdict(sampling)}
    sampled = place.out.with_name(place.out.name + ".sampled.jsonl")
    job = Job(place.out, "sample", settings, files | directories(model=model), (sampled, drops_path(place.out)))
    require_number("ray_workers", ray_workers, "[0, inf)", whole=True)
    require_number("ray_gpus", ray_gpus, "[0, inf)")
    choice = EngineChoice(model, require_texts("endpoints", endpoints), engine_options or {}, reproducible)
    sampler = Sampler(choice, asked, n, sampling, splitter)
    with making(job, "chains", overwrite) as counts:
        if counts is not None:
            with closing(GrowingFile(sampled, group=n)) as file:
                drops = _go_on(file, job, sampler, files["problems"], ray_workers, ray_gpus)
                write_drops(drops, place.out, counts)
                counts["chains"] = write_lines(place.out, _in_order(file.path, files["problems"], n))
                counts |= summary(place.out, files["problems"], judge, counts["chains"])
                counts |= _lengths(place.out, choice)
                file.path.unlink()
    return place.records(job, Chain)


@dataclass(frozen=True, slots=True)
class Sampler:
    """How to sample; can be sent to another machine."""

    engine: EngineChoice
    asked: Asking
    n: int
    """Chains per problem."""
    sampling: Sampling
    splitter: str

    def groups(self, engine: Engine, problems: Iterable[Problem], drops: Drops) -> Iterator[list[Chain]]:
        """The chains of each problem, on an engine started from this sampler; see `sample_chains`."""
        renderer = self.engine.renderer(self.asked)
        return sample_chains(
            problems, engine, renderer, drops, n=self.n, sampling=self.sampling, splitter=self.splitter
        )


def _go_on(file: GrowingFile, job: Job, sampler: Sampler, problems: Path, ray_workers: int, ray_gpus: float) -> Drops:
    """Sample chains for the problems that have none in the file yet; return the problems dropped.

    The file holds the chains problem by problem, in the order in which the problems finished.
    """
    done = {chain.problem_id for chain in read_records(file.path, Chain)}
    if done:
        console.say(f"resuming after {len(done):,} problems")
    total, drops = sum(1 for _ in read_problems(problems)), Drops()
    if len(done) == total:
        return drops
    rows = (problem for problem in read_problems(problems) if problem.id not in done)
    sampler.engine.announce(ray_workers)
    sampler = replace(sampler, engine=sampler.engine.settled(job))
    with ExitStack() as stack:
        if ray_workers:
            with ray_at_hand():
                from .ray_sampling import sample_on_ray
            ids = [problem.id for problem in rows]
            groups = sample_on_ray(sampler, problems, ids, drops, workers=ray_workers, gpus=ray_gpus)
        else:
            groups = sampler.groups(stack.enter_context(closing(sampler.engine.start())), rows, drops)
        advance = stack.enter_context(console.progress("sampling", total))
        advance(len(done))
        for group in groups:
            file.append(*map(to_json, group))
            advance(1, f"{file.count:,} chains")
    return drops


def summary(chains: Path, problems: Path, checker: Checker, total: int) -> dict[str, Any]:
    """What a file of `total` chains holds: how they ended, and how many are right where there are gold answers."""
    of, right, ends, steps = Counter[str](), Counter[str](), Counter[str](), 0
    owners, asked = ProblemFile(problems), list[str]()

    def solutions() -> Iterator[tuple[str, Problem]]:
        nonlocal steps
        for chain in read_records(chains, Chain):
            steps += len(chain.steps)
            ends[chain.finish] += 1
            if owners[chain.problem_id].golds:
                asked.append(chain.problem_id)
                yield chain.text, owners[chain.problem_id]

    found = solution_verdicts(checker, solutions())
    for number, verdict in enumerate(console.tracked(found, "checking", total)):
        of[asked[number]] += 1
        right[asked[number]] += verdict.is_correct
    made: dict[str, Any] = {}
    if of:
        made["% right"] = 100 * right.total() / of.total()
        made["problems never solved"] = sum(not right[name] for name in of)
        made["problems always solved"] = sum(right[name] == of[name] for name in of)
    if total:
        made |= {"% cut by length": 100 * ends["length"] / total, "steps a chain": steps / total}
    return made


def _lengths(chains: Path, choice: EngineChoice) -> dict[str, float]:
    """The mean number of tokens of the first chains."""
    texts = [chain.text for chain in islice(read_records(chains, Chain), _MEASURED)]
    if not texts:
        return {}
    ids = choice.renderer(Asking()).tokenizer(texts, add_special_tokens=False)["input_ids"]
    return {"tokens a chain": fmean(map(len, ids))}


def _in_order(sampled: Path, problems: Path, n: int) -> Iterator[str]:
    """The lines of the sampled chains in the order of their problems; only their offsets are in memory."""
    offsets: dict[str, int] = {}
    with sampled.open("rb") as file:
        while line := file.readline():
            offsets[json.loads(line)["problem_id"]] = file.tell() - len(line)
            for _ in range(n - 1):
                file.readline()
        for problem in read_problems(problems):
            if problem.id in offsets:
                file.seek(offsets[problem.id])
                yield from (file.readline().decode().rstrip("\n") for _ in range(n))


def sample_chains(
    problems: Iterable[Problem],
    engine: Engine,
    renderer: Renderer,
    drops: Drops,
    *,
    n: int,
    sampling: Sampling,
    splitter: str = "newline",
) -> Iterator[list[Chain]]:
    """Draw `n` chains for each problem, and yield them one problem at a time, in the order in which they finish.

    A problem that cannot be rendered, or whose prompt leaves no room in the model's context, goes to `drops`. The chain
    `"<problem>/<i>"` is the i-th draw of its problem, split into steps by `splitter`.
    """

    def requests() -> Iterator[Request | None]:
        for problem in problems:
            try:
                ids = tuple(renderer.prompt_ids(problem.text))
            except RenderError as error:
                drops.add(problem.id, error.reason, str(error))
                continue
            if len(ids) >= engine.max_length:
                drops.add(problem.id, "problem longer than the model's context", f"{len(ids)} tokens")
                continue
            yield Request(problem.id, ids, n)

    for request, completions in engine.stream(requests(), sampling):
        yield [_chain(request.key, i, c, splitter) for i, c in enumerate(completions)]


def _chain(problem_id: str, index: int, completion: Completion, splitter: str) -> Chain:
    """The chain of a draw."""
    text, finish = up_to_answer(completion.text, completion.finish)
    return Chain(f"{problem_id}/{index}", problem_id, split_steps(text, splitter), finish)


def up_to_answer(text: str, finish: Finish) -> tuple[str, Finish]:
    """A generated text without another question and its answer, with which base models go on, and how it ended."""
    end = end_of_answer(text)
    return (text, finish) if end == len(text) else (text[:end], "stop")
