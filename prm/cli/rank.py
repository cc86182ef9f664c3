"""Commands that use a scorer: `score` (chains → scores) and `rerank` (scores → the chosen solutions)."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Annotated

import typer

from prm import console
from prm.cli.jobs import making, write_drops
from prm.cli.options import Chains, Out, Overwrite, Problems, Splitter
from prm.drops import Drops
from prm.files import by_id, read_chains, read_problems, read_records, write_records
from prm.manifest import Job
from prm.records import Chain, StepScores
from prm.reranking import choose, common_kind


def score(
    scorer: Annotated[Path, typer.Option(help="checkpoint directory from `prm train`")],
    problems: Problems,
    chains: Chains,
    out: Out,
    splitter: Splitter = "newline",
    overwrite: Overwrite = False,
) -> None:
    """Chains → step scores (PRM) or rewards (ORM)."""
    job = Job(out, "score", {"splitter": splitter}, {"scorer": scorer, "problems": problems, "chains": chains})
    with making(job, "scores", overwrite) as counts:
        if counts is None:
            return
        from prm.scoring import load_scorer, score_chains

        drops, known = Drops(), by_id(read_problems(problems))
        rows = list(read_chains(chains, splitter))
        scored = score_chains(load_scorer(str(scorer)), rows, known, drops)
        counts["scored chains"] = write_records(out, console.tracked(scored, "scoring", len(rows)))
        write_drops(drops, out, counts)


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
                selection=selection,  # type: ignore[arg-type]  # an unknown one is refused there
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
