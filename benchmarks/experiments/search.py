r"""Compare ways to search at equal tokens: accuracy against tokens generated and scored, on the arithmetic world.

    prm demo --out runs/demo
    python -m prm.benchmarks.experiments.search --problems runs/demo/test.problems.jsonl --scorer runs/demo/prm \
        --threshold 0.1 --out runs/search

Every method runs with every n of `--n` and every seed, all on one engine; finished runs are reused. Whole chains are
drawn once, as many as the largest n: `best-of-n`, `majority` and `weighted` choose among the first 1, 2, … of them.

For each run: the share of problems solved, tokens generated and scored for a problem, and two differences in accuracy,
each the mean over problems and seeds, with a 95% interval by resampling problems: from the weighted vote of as many
tokens (linear between two numbers of chains), and from the weighted vote of `--reference` chains, with the share of its
generated tokens. `search.json` holds these figures, `result.json` those of `prm eval search`, for `prm report`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from prm import console
from prm.data.files import read_problems
from prm.data.records import Problem
from prm.data.writing import write_json, write_lines
from prm.generation.choice import EngineChoice
from prm.generation.engine import Engine, Sampling
from prm.generation.prompts import Asking
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
from ..numbers import EvalSettings
from ..perf.job import machine
from ..results import result_to_json
from ..search.job import as_result
from ..search.measures import Outcomes, levels_of, measure_search

VOTES = ("best-of-n", "majority", "weighted")
"""The ways to choose among whole chains."""
LENGTH = 128
"""Longest chain, in tokens, as in the demo."""


REUSED = 400_000
"""Tokens whose keys and values the scorer keeps."""


class Row(NamedTuple):
    """One problem in one run."""

    is_right: bool
    any_right: bool
    """Whether any leaf is."""
    generated: int
    scored: int


def outcomes(method: str, n: int, seeds: Sequence[Sequence[Row]]) -> Outcomes:
    """A method with its n; one row per problem for each seed."""
    columns = np.array(seeds, dtype=float).mean(axis=0).T
    return Outcomes(method, f"n={n}", *columns)


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
        for problem in self.problems:
            end, choice = found[problem.id], found[problem.id].choice
            assert choice is not None
            right = verdicts_of(problem, [chain.text for chain in end.chains])
            yield Row(right[choice.index], any(right), choice.generated or 0, choice.scored or 0)

    def _searched(self, method: str, n: int, seed: int) -> tuple[dict[str, Solved], dict[str, list[int]]]:
        """The end of each problem, and the tokens of its first draws."""
        how = METHODS[method]
        plan = replace(self.plan, n=n, seed=seed, selection=how.selection, budget=n * LENGTH * 4)
        renderer = EngineChoice(str(POLICY)).renderer(Asking())
        sampling = Sampling(max_tokens=LENGTH, seed=seed)
        searcher = Searcher(self.engine, renderer, self.scorer, how, plan, sampling)
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


def verdicts_of(problem: Problem, texts: Sequence[str]) -> list[bool]:
    """Whether each solution of a problem is right."""
    return [verdict.is_correct for verdict in solution_verdicts(RULES, [(text, problem) for text in texts])]


def _pool(problem: Problem, end: Solved, tokens: Sequence[int], renderer: Any) -> dict[str, Any]:
    scores = {row.chain_id: row.scores for row in end.scores}
    texts = [chain.text for chain in end.chains]
    prompt = len(renderer.prompt_ids(problem.text))
    return {
        "problem": problem.id,
        "texts": texts,
        "scores": [scores.get(chain.id, (0.0,)) for chain in end.chains],
        "right": verdicts_of(problem, texts),
        "generated": list(tokens),
        "scored": [prompt + n for n in tokens],
    }


def votes(pools: Sequence[Sequence[dict[str, Any]]], method: str, n: int, aggregate: str) -> Outcomes:
    """A way to choose among the first `n` whole chains; `pools` seed by seed."""

    def row(pool: dict[str, Any]) -> Row:
        choice = choose(pool["problem"], pool["texts"][:n], pool["scores"][:n], aggregate=aggregate, selection=method)
        right, scored = pool["right"][:n], sum(pool["scored"][:n]) if METHODS[method].is_scored else 0
        return Row(right[choice.index], any(right), sum(pool["generated"][:n]), scored)

    return outcomes(method, n, [[row(pool) for pool in seed] for seed in pools])


def at_tokens(curve: Sequence[Outcomes], tokens: float) -> Floats:
    """``(problems,)`` accuracy of a way with as many generated tokens, linear between two of its numbers of chains."""
    means = [own.generated_tokens.mean() for own in curve]
    after = int(np.searchsorted(means, tokens))
    if after == 0 or after == len(curve):
        return curve[min(after, len(curve) - 1)].accuracy
    share = (tokens - means[after - 1]) / (means[after] - means[after - 1])
    between: Floats = (1 - share) * curve[after - 1].accuracy + share * curve[after].accuracy
    return between


def interval(values: Floats, problems: Sequence[str]) -> tuple[float, float, float]:
    """Mean and 95% interval over problems."""
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
            outcomes(method, n, [bench.run(method, n, seed) for seed in seeds])
            for method in arguments.methods
            for n in arguments.n
            if n >= arguments.width or METHODS[method].search is METHODS["prune"].search
        ]
    curves = {vote: [votes(pools, vote, n, plan.aggregate) for n in range(1, arguments.chains + 1)] for vote in VOTES}
    shown = [curves[vote][n - 1] for vote in VOTES for n in dict.fromkeys((1, *arguments.n))]
    reference = curves["weighted"][arguments.reference - 1]
    names = [problem.id for problem in problems]
    rows = [described(own, curves["weighted"], reference, names) for own in (*shown, *runs)]
    print(f"{machine()}, {len(problems)} problems, {arguments.seeds} seeds\n")
    print_table(rows, arguments.reference)
    write_json(arguments.out / "search.json", {"machine": machine(), "arguments": _plain(arguments), "rows": rows})
    whole = np.array([np.mean([pool["right"] for pool in of_one]) for of_one in zip(*pools, strict=True)])
    findings, choices = measure_search(names, [*shown, *runs], levels_of(whole), EvalSettings())
    counts = {"problems": len(problems), "choices": choices}
    write_json(
        arguments.out / "result.json", result_to_json(as_result(findings, counts, "share of right whole chains"))
    )


def _plain(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in vars(arguments).items()}


def described(
    own: Outcomes, weighted: Sequence[Outcomes], reference: Outcomes, problems: Sequence[str]
) -> dict[str, Any]:
    """The figures of a run."""
    generated = float(own.generated_tokens.mean())
    return {
        "method": own.name,
        "n": int(own.variant.removeprefix("n=")),
        "generated": generated,
        "scored": float(own.scored_tokens.mean()),
        "accuracy": interval(own.accuracy, problems),
        "at equal tokens": interval(own.accuracy - at_tokens(weighted, generated), problems),
        "than the reference": interval(own.accuracy - reference.accuracy, problems),
        "share of its tokens": generated / float(reference.generated_tokens.mean()),
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


if __name__ == "__main__":
    main()
