"""Commands that use a scorer: `score` (chains → scores) and `rerank` (scores → the chosen solutions)."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prm import console
from prm.data.drops import Drops, drops_path
from prm.data.files import (
    ProblemFile,
    by_id,
    from_json,
    read_chains,
    read_problems,
    read_records,
    to_json,
    write_records,
)
from prm.data.jobs import making, write_drops
from prm.data.manifest import Job
from prm.data.records import Chain, Drop, StepScores
from prm.data.writing import GrowingFile, partial_path, write_lines
from prm.scoring.reranking import choose, common_kind

from .options import Chains, EngineOption, Out, Overwrite, Problems, Splitter, engine_options

if TYPE_CHECKING:
    from prm.scoring.scorer import Scorer


def score(
    scorer: Annotated[
        str, typer.Option(help="from `prm train`, or a public reward model: a directory or a name on the Hub")
    ],
    problems: Problems,
    chains: Chains,
    out: Out,
    head: Annotated[str | None, typer.Option(help="of a joint model: step (default) or outcome")] = None,
    dialect: Annotated[
        str | None, typer.Option(help="how a public model is fed and read, where its name does not tell")
    ] = None,
    reference: Annotated[str | None, typer.Option(help="of an implicit PRM: the model it is relative to")] = None,
    dtype: Annotated[str, typer.Option(help="auto (as stored; ours: float32), float32 or bfloat16")] = "auto",
    backend: Annotated[str, typer.Option(help="transformers, in this process, or vllm")] = "transformers",
    tokens_per_pass: Annotated[
        int | None, typer.Option(min=1, help="transformers: padded tokens in a forward pass; less takes less memory")
    ] = None,
    engine_option: EngineOption = None,
    is_calibrated: Annotated[
        bool, typer.Option("--calibrated", help="apply the calibration that `prm calibrate --scorer` stored")
    ] = False,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Chains → step scores (PRM) or rewards (ORM).

    A killed job goes on where it was when the same command is run again.
    """
    how = {
        "head": head, "dialect": dialect, "reference": reference, "dtype": dtype, "backend": backend,
        "is_calibrated": is_calibrated,
    }  # fmt: skip
    directories = {"scorer": scorer, "reference": reference or ""}
    inputs = {name: Path(path) for name, path in directories.items() if path and Path(path).is_dir()}
    settings = {"scorer": scorer, **how, "splitter": splitter}
    job = Job(out, "score", settings, {"problems": problems, "chains": chains, **inputs}, _unfinished(out))
    speed = {"tokens_a_batch": tokens_per_pass, "engine_options": engine_options(engine_option or [])}
    with making(job, "scores", overwrite) as counts:
        if counts is not None:
            counts |= _go_on(partial(_load, scorer, {**how, **speed}), problems, chains, splitter, out)
            counts |= _sort_out(out)
    _scored(out).unlink(missing_ok=True)


def _unfinished(out: Path) -> tuple[Path, ...]:
    return partial_path(out), _scored(out), drops_path(out)


def _scored(out: Path) -> Path:
    """Where the scores and drops of the first rounds of chains stand while the others are scored."""
    return out.with_name(out.name + ".scored.jsonl")


def _load(scorer: str, how: Mapping[str, Any]) -> Scorer:
    from prm.scoring.loading import load_scorer

    console.say(f"loading {scorer} …")
    return load_scorer(scorer, **how)


def _go_on(load: Callable[[], Scorer], problems: Path, chains: Path, splitter: str, out: Path) -> dict[str, Any]:
    """Score the chains that are not scored yet; gives how fast it was.

    Each round is kept as a whole: one that was half written is scored again, for what a forward pass says depends in
    its last bits on the chains beside.
    """
    from prm.scoring.scorer import CHAINS_A_ROUND, score_chains

    total, known = sum(1 for _ in read_chains(chains, splitter)), ProblemFile(problems)
    with closing(GrowingFile(_scored(out), group=CHAINS_A_ROUND)) as file:
        if file.count:
            console.say(f"going on after {file.count:,} chains")
        if file.count == total:
            return {}
        rows = islice(read_chains(chains, splitter), file.count, None)
        with closing(load()) as scorer:
            return _keep(score_chains(scorer, rows, known), CHAINS_A_ROUND, file, total)


def _keep(events: Iterator[StepScores | Drop], group: int, file: GrowingFile, total: int) -> dict[str, Any]:
    started, before, rate = time.monotonic(), file.count, 0.0
    with console.progress("scoring", total) as advance:
        advance(before)
        while part := list(islice(events, group)):
            file.append(*map(to_json, part))
            rate = (file.count - before) / max(time.monotonic() - started, 1e-3)
            advance(len(part), f"{rate:,.1f} chains/s")
    return {"chains/s": rate}


def _sort_out(out: Path) -> dict[str, Any]:
    """Scores become the output, drops go beside it; gives how many there are."""
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


def rerank(
    problems: Problems,
    chains: Chains,
    scores: Annotated[Path, typer.Option(help="from `prm score`")],
    out: Out,
    aggregate: Annotated[str, typer.Option(help="min, product, mean, last or max")] = "min",
    selection: Annotated[str, typer.Option(help="best-of-n, majority or weighted")] = "best-of-n",
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Scores → the chosen solution of each problem."""
    settings = {"aggregate": aggregate, "selection": selection, "splitter": splitter}
    job = Job(out, "rerank", settings, {"problems": problems, "chains": chains, "scores": scores})
    with making(job, "choices", overwrite) as counts:
        if counts is None:
            return
        drops, known = Drops(), by_id(read_problems(problems))
        scored = by_id(read_records(scores, StepScores))
        groups = _scored_groups(read_chains(chains, splitter), known, scored, drops)
        kind = common_kind(scored.values())
        choices = (
            choose(
                problem_id,
                [c.text for c in group],
                [scored[c.id].scores for c in group],
                kind=kind,
                aggregate=aggregate,
                selection=selection,
            )
            for problem_id, group in groups.items()
        )
        counts["problems"] = write_records(out, choices)
        write_drops(drops, out, counts)


def _scored_groups(
    chains: Iterable[Chain], problems: Container[str], scores: Container[str], drops: Drops
) -> dict[str, list[Chain]]:
    """The chains of each problem, by its id; one without its problem or a score goes to `drops`."""
    groups: dict[str, list[Chain]] = {}
    for chain in chains:
        if chain.problem_id not in problems:
            drops.add(chain.id, "its problem is missing")
        elif chain.id not in scores:
            drops.add(chain.id, "it has no score")
        else:
            groups.setdefault(chain.problem_id, []).append(chain)
    return groups
