"""What is chosen among more and more candidates: by one step head, by several on one backbone, by several models.

    python -m prm.benchmarks.experiments.optimization --members runs/members --out runs/optimization

The models are those that `prm.benchmarks.experiments.members` trained. Candidates are drawn for new problems of the
arithmetic world, whose steps are judged exactly, and the best of n is chosen by the lowest score of a step. Reported
for each n, as an expectation over all choices of n among the candidates: the share of chosen solutions that are right
in every step. Where it falls as n rises, the scores have been optimized against too far (arXiv 2210.10760). Intervals
are over problems; rows of several models of one kind are averages over the models.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from prm.data.files import by_id, read_chains, read_problems, read_records
from prm.data.records import Chain, StepScores
from prm.scoring.ensembles import combined, how_named
from prm.statistics.arrays import Floats
from prm.statistics.bootstrap import estimate, resample
from prm.statistics.order_statistics import best_of_k

from ..arithmetic.step_truth import truths
from ..perf.job import machine, make_chains, run, server
from ..report.wording import with_interval
from .members import WAYS

COUNTS = (1, 2, 4, 8, 16, 32, 64)
Scores = Mapping[str, Mapping[str, Sequence[float]]]
"""Scores of each chain's steps, by chain and member."""


def main() -> None:
    """Draw, score and choose, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=Path, default=Path("runs/members"), help="where the models are")
    parser.add_argument("--out", type=Path, default=Path("runs/optimization"))
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--seed", type=int, default=71)
    parser.add_argument("--port", type=int, default=8126)
    arguments = parser.parse_args()
    with server(arguments.port) as url:
        make_chains(arguments.out, arguments.problems, COUNTS[-1], arguments.seed, f"--endpoint={url}")
    trained = sorted(arguments.members.glob("seed*"))
    one, four = (scored(arguments.out, trained, name) for name in ("prm1", "prm4"))
    rows = {"one head": [lowest(table, "mean") for table in one]}
    rows |= {f"four heads, {how}": [lowest(table, how) for table in four] for how in WAYS}
    rows |= {f"{len(one)} models, {how}": [lowest(together(one), how)] for how in WAYS}
    chains = list(read_chains(arguments.out / "chains.jsonl"))
    is_right = truths(by_id(read_problems(arguments.out / "problems.jsonl")), chains)
    print(f"{machine()}, {arguments.problems} problems\n\n| best of | {' | '.join(map(str, COUNTS))} |")
    print(f"| --- |{' --- |' * len(COUNTS)}")
    for name, tables in rows.items():
        print(f"| {name} | {' | '.join(shares(chains, is_right, tables))} |", flush=True)


def scored(out: Path, trained: Sequence[Path], name: str) -> list[Scores]:
    """The scores of each trained model of this name."""
    data = [f"--{part}={out}/{part}.jsonl" for part in ("problems", "chains")]
    tables: list[Scores] = []
    for place in trained:
        file = out / f"{place.name}-{name}.jsonl"
        run("score", f"--scorer={place / name}", *data, f"--out={file}")
        tables.append({row.chain_id: row.by_member or {name: row.scores} for row in read_records(file, StepScores)})
    return tables


def together(tables: Sequence[Scores]) -> Scores:
    """Scores whose members are the models of several tables with one head each."""
    models = list(enumerate(tables))
    return {key: {str(n): scores for n, table in models for scores in table[key].values()} for key in tables[0]}


def lowest(scores: Scores, how: str) -> dict[str, float]:
    """The lowest score of each chain's steps, its members combined."""
    rule = how_named(how)
    return {key: min(combined(members, rule)) for key, members in scores.items()}


def shares(
    chains: Sequence[Chain], is_right: Mapping[str, Sequence[bool]], tables: Sequence[Mapping[str, float]]
) -> list[str]:
    """For each n, the share of chosen solutions that are right in every step, with its interval."""
    problems = sorted({chain.problem_id for chain in chains})
    places = {key: [c.id for c in chains if c.problem_id == key] for key in problems}
    gains = np.array([[float(all(is_right[i])) for i in places[key]] for key in problems])
    chosen: Floats = np.mean([best_of_k(_values(table, places), gains, COUNTS) for table in tables], axis=0)
    drawn = resample(problems, [""] * len(problems), 1000, 0)
    found = [estimate(draws) for draws in drawn.means(chosen).T]
    return [with_interval("accuracy", f.value, f.low, f.high) for f in found]


def _values(table: Mapping[str, float], places: Mapping[str, Sequence[str]]) -> Floats:
    return np.array([[table[i] for i in ids] for ids in places.values()])


if __name__ == "__main__":
    main()
