r"""Compare ways to search at equal tokens: accuracy against tokens generated and scored, on the arithmetic world.

    prm demo --out runs/demo
    python -m prm.benchmarks.experiments.search --problems runs/demo/test.problems.jsonl --scorer runs/demo/prm \
        --threshold 0.1 --out runs/search

Every method runs with every n of `--n` and every seed, all on one engine; finished runs are reused. Whole chains are
drawn once, as many as the largest n: `best-of-n`, `majority` and `weighted` choose among the first 1, 2, … of them.

For each run: the share of problems solved, tokens generated and scored for a problem, and two differences in accuracy,
each the mean over problems and seeds, with a 95% interval by resampling problems: from the weighted vote of as many
tokens (linear between two numbers of chains), and from the weighted vote of `--reference` chains, with the share of its
generated tokens. `search.json` holds all figures, `search.png` the curves.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from prm import console
from prm.data.files import read_problems
from prm.data.records import Problem
from prm.data.writing import write_bytes, write_json, write_lines
from prm.generation.choice import EngineChoice
from prm.generation.engine import Engine, Sampling
from prm.generation.prompts import Asking
from prm.plots import new_figure
from prm.scoring.checking import solution_verdicts
from prm.scoring.loading import load_scorer
from prm.scoring.reranking import choose
from prm.scoring.scorer import Scorer
from prm.search.ending import Solved
from prm.search.methods import METHODS
from prm.search.plan import Plan
from prm.search.searcher import Drawn, Searcher
from prm.statistics.arrays import Floats
from prm.statistics.bootstrap import estimate, resample
from prm.verifiers.checkers import RULES

from ..arithmetic import POLICY
from ..perf.job import machine

VOTES = ("best-of-n", "majority", "weighted")
"""The ways to choose among whole chains."""
LENGTH = 128
"""Longest chain, in tokens, as in the demo."""


REUSED = 400_000
"""Tokens whose keys and values the scorer keeps."""


class Row(NamedTuple):
    """One problem in one run."""

    problem: str
    is_right: bool
    generated: int
    scored: int


@dataclass(frozen=True, slots=True)
class Run:
    """A method with its n: one row per problem and seed, in the order of the problems, seed by seed."""

    method: str
    n: int
    rows: Sequence[Row]

    def column(self, name: str) -> Floats:
        """``(rows,)`` values of a field."""
        return np.array([float(getattr(row, name)) for row in self.rows])

    def tokens(self, name: str = "generated") -> float:
        """Mean number for a problem."""
        return float(self.column(name).mean())


@dataclass(frozen=True, slots=True)
class Bench:
    """What all runs share."""

    problems: list[Problem]
    engine: Engine
    scorer: Scorer
    out: Path
    plan: Plan

    def run(self, method: str, n: int, seed: int) -> list[Row]:
        """The rows of a run, from its file if it is done."""
        path = self.out / f"{method}-{n}-{seed}.jsonl"
        if not path.exists():
            started = time.monotonic()
            rows = list(self._rows(method, n, seed))
            write_lines(path, (json.dumps(row) for row in rows))
            share = sum(row.is_right for row in rows) / len(rows)
            console.say(f"{method}, n = {n}, seed {seed}: {share:.3f}, {time.monotonic() - started:.0f} s")
        return [Row(*json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]

    def _rows(self, method: str, n: int, seed: int) -> Iterator[Row]:
        found, _ = self._searched(method, n, seed)
        texts = [(found[problem.id].choice, problem) for problem in self.problems]
        known = [(choice.best, problem) for choice, problem in texts if choice]
        verdicts = solution_verdicts(RULES, known)
        for (choice, problem), verdict in zip(texts, verdicts, strict=True):
            assert choice is not None
            yield Row(problem.id, verdict.is_correct, choice.generated or 0, choice.scored or 0)

    def _searched(self, method: str, n: int, seed: int) -> tuple[dict[str, Solved], dict[str, list[int]]]:
        """The end of each problem, and the tokens of its first draws."""
        from dataclasses import replace

        plan = replace(self.plan, n=n, selection=METHODS[method].selection, seed=seed, budget=n * LENGTH * 4)
        renderer = EngineChoice(str(POLICY)).renderer(Asking())
        sampling = Sampling(max_tokens=LENGTH, seed=seed)
        searcher = Searcher(self.engine, renderer, self.scorer, METHODS[method], plan, sampling)
        ends, tokens = dict[str, Solved](), dict[str, list[int]]()
        for event in searcher.run(self.problems):
            if isinstance(event, Solved):
                ends[event.problem_id] = event
            elif isinstance(event, Drawn):
                tokens.setdefault(event.problem_id, [c.tokens for c in event.completions])
        return ends, tokens

    def pools(self, n: int, seed: int) -> list[dict[str, Any]]:
        """For each problem `n` chains: their texts, scores, verdicts, and tokens generated and scored."""
        path = self.out / f"chains-{n}-{seed}.jsonl"
        if not path.exists():
            ends, tokens = self._searched("weighted", n, seed)
            renderer = EngineChoice(str(POLICY)).renderer(Asking())
            write_lines(path, (json.dumps(_pool(p, ends[p.id], tokens[p.id], renderer)) for p in self.problems))
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _pool(problem: Problem, end: Solved, tokens: Sequence[int], renderer: Any) -> dict[str, Any]:
    scores = {row.chain_id: row.scores for row in end.scores}
    texts = [chain.text for chain in end.chains]
    prompt = len(renderer.prompt_ids(problem.text))
    return {
        "problem": problem.id,
        "texts": texts,
        "scores": [scores.get(chain.id, (0.0,)) for chain in end.chains],
        "right": [verdict.is_correct for verdict in solution_verdicts(RULES, [(text, problem) for text in texts])],
        "generated": list(tokens),
        "scored": [prompt + n for n in tokens],
    }


def votes(pools: Sequence[Sequence[dict[str, Any]]], method: str, n: int, aggregate: str) -> Run:
    """A way to choose among the first `n` whole chains; `pools` seed by seed."""
    rows = []
    for pool in (pool for seed in pools for pool in seed):
        choice = choose(pool["problem"], pool["texts"][:n], pool["scores"][:n], aggregate=aggregate, selection=method)
        is_scored = METHODS[method].is_scored
        rows.append(
            Row(
                pool["problem"], pool["right"][choice.index], sum(pool["generated"][:n]),
                sum(pool["scored"][:n]) if is_scored else 0,
            )
        )  # fmt: skip
    return Run(method, n, rows)


def at_tokens(runs: Sequence[Run], tokens: float) -> Floats:
    """``(rows,)`` accuracy of a way with as many generated tokens, linear between two of its numbers of chains."""
    means = [run.tokens() for run in runs]
    after = int(np.searchsorted(means, tokens))
    if after == 0 or after == len(runs):
        return runs[min(after, len(runs) - 1)].column("is_right")
    share = (tokens - means[after - 1]) / (means[after] - means[after - 1])
    return (1 - share) * runs[after - 1].column("is_right") + share * runs[after].column("is_right")


def interval(values: Floats, problems: Sequence[str]) -> tuple[float, float, float]:
    """Mean and 95% interval over problems: the rows of a problem, one for each seed, are drawn together."""
    found = estimate(resample(problems, [""] * len(problems)).means(values[:, None])[:, 0])
    assert found.value is not None
    return found.value, found.low or 0.0, found.high or 0.0


def main() -> None:
    """Run what is missing, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=Path, required=True)
    parser.add_argument("--scorer", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/search"))
    parser.add_argument("--methods", nargs="+", default=[name for name in METHODS if name not in VOTES])
    parser.add_argument("--n", type=int, nargs="+", default=[2, 4, 8, 16, 32])
    parser.add_argument("--chains", type=int, default=64, help="whole chains drawn for each problem (default: 64)")
    parser.add_argument("--reference", type=int, default=16, help="chains of the weighted vote to compare with")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="problems, for a quick try (default: all)")
    parser.add_argument("--width", type=int, default=4)
    parser.add_argument("--aggregate", default="min")
    parser.add_argument("--threshold", type=float, default=0.5, help="of prune, see `prm.fit_pruning`")
    arguments = parser.parse_args()
    problems = list(islice(read_problems(arguments.problems), arguments.limit))
    plan = Plan(width=arguments.width, aggregate=arguments.aggregate, threshold=arguments.threshold, max_tokens=LENGTH)
    scorer = load_scorer(arguments.scorer, reuse_tokens=REUSED)
    with closing(EngineChoice(str(POLICY)).start()) as engine:
        bench = Bench(problems, engine, scorer, arguments.out, plan)
        seeds = range(arguments.seeds)
        pools = [bench.pools(arguments.chains, seed) for seed in seeds]
        runs = [
            Run(method, n, [row for seed in seeds for row in bench.run(method, n, seed)])
            for method in arguments.methods
            for n in arguments.n
            if n >= arguments.width or METHODS[method].search is METHODS["prune"].search
        ]
    curves = {vote: [votes(pools, vote, n, plan.aggregate) for n in range(1, arguments.chains + 1)] for vote in VOTES}
    shown = [curves[vote][n - 1] for vote in VOTES for n in (1, *arguments.n)]
    reference = curves["weighted"][arguments.reference - 1]
    rows = [described(run, curves["weighted"], reference) for run in (*shown, *runs)]
    print(f"{machine()}, {len(problems)} problems, {arguments.seeds} seeds\n")
    print_table(rows, arguments.reference)
    write_json(arguments.out / "search.json", {"machine": machine(), "arguments": _plain(arguments), "rows": rows})
    write_bytes(arguments.out / "search.png", chart(rows))


def _plain(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in vars(arguments).items()}


def described(run: Run, weighted: Sequence[Run], reference: Run) -> dict[str, Any]:
    """The figures of a run."""
    right, names = run.column("is_right"), [row.problem for row in run.rows]
    return {
        "method": run.method,
        "n": run.n,
        "generated": run.tokens(),
        "scored": run.tokens("scored"),
        "accuracy": interval(right, names),
        "at equal tokens": interval(right - at_tokens(weighted, run.tokens()), names),
        "than the reference": interval(right - reference.column("is_right"), names),
        "share of its tokens": run.tokens() / reference.tokens(),
    }


def print_table(rows: Sequence[dict[str, Any]], reference: int) -> None:
    """Print one row per run."""
    print(
        "| method | n | generated | scored | solved | less the weighted vote of as many tokens | "
        f"less that of {reference} chains | share of its tokens |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for row in rows:
        value, low, high = row["accuracy"]
        gaps = [
            f"{100 * gap:+.1f} ({100 * least:+.1f} to {100 * most:+.1f})"
            for gap, least, most in (row["at equal tokens"], row["than the reference"])
        ]
        print(
            f"| {row['method']} | {row['n']} | {row['generated']:,.0f} | {row['scored']:,.0f} | {value:.1%} "
            f"({low:.1%} to {high:.1%}) | {' | '.join(gaps)} | {row['share of its tokens']:.2f} |"
        )


def chart(rows: Sequence[dict[str, Any]]) -> bytes:
    """Accuracy against tokens generated, and against all tokens."""
    from io import BytesIO

    figure = new_figure(12, 4.5)
    for axes, (title, names) in zip(
        figure.subplots(1, 2, sharey=True),
        {"tokens generated": ("generated",), "tokens generated and scored": ("generated", "scored")}.items(),
        strict=True,
    ):
        for method in dict.fromkeys(row["method"] for row in rows):
            own = [row for row in rows if row["method"] == method]
            points = [sum(row[name] for name in names) for row in own]
            style = "--" if method in VOTES else "-"
            axes.plot(points, [row["accuracy"][0] for row in own], style, marker=".", label=method)
        axes.set(title=title, xscale="log", xlabel="for a problem", ylabel="problems solved")
    axes.legend(fontsize="small")
    image = BytesIO()
    figure.savefig(image, format="png", dpi=150)
    return image.getvalue()


if __name__ == "__main__":
    main()
