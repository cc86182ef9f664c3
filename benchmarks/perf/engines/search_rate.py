"""Tokens per second that a search generates, against `prm sample` on the same engine, problems and number of branches.

    python -m prm.benchmarks.perf.engines.search_rate --scorer runs/demo/prm

One engine in this process, all problems in flight; the ways take turns in every repeat, and the figure is the median
ratio of their rates to that of plain sampling. `instant` is a scorer that costs nothing, so what is left is the cost of
the search itself: requests of a step each in place of whole chains. Of each request the engine reads what its cache of
blocks does not hold: the tokens after the last whole block, for each draw; `read again` has them for each token that is
generated. With `--scorer`, scoring has its own lines. The last line is all figures as JSON. Run it on an otherwise idle
machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice

from prm.data.drops import Drops
from prm.data.records import Asked, Problem
from prm.generation.choice import EngineChoice
from prm.generation.engine import Completion, Engine, Request, Sampling
from prm.generation.prompts import Asking
from prm.generation.sampling import sample_chains
from prm.models.vllm_process import run_in_this_process
from prm.scoring.loading import load_scorer
from prm.scoring.scorer import Refusal, Scorer, Scores
from prm.search.methods import METHODS
from prm.search.plan import Plan
from prm.search.searcher import Searcher

from ...arithmetic import POLICY
from ...arithmetic.world import stories
from ...experiments.search import LENGTH, REUSED
from ..job import machine

BLOCK = 32
"""Tokens of a block in vLLM's prefix cache, without a GPU."""


class Counted:
    """An engine, and the tokens that it has generated, and read outside whole blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.tokens, self.read = engine, 0, 0

    @property
    def max_length(self) -> int:
        """As of the engine."""
        return self._engine.max_length

    def stream(
        self, requests: Iterator[Request | None], sampling: Sampling
    ) -> Iterator[tuple[Request, list[Completion]]]:
        """As of the engine, counted."""
        for request, completions in self._engine.stream(requests, sampling):
            self.read += request.n * (len(request.prompt_ids) % BLOCK)
            self.tokens += sum(completion.tokens for completion in completions)
            yield request, completions

    def close(self) -> None:
        """As of the engine."""
        self._engine.close()


class Instant(Scorer):
    """Scores that cost nothing, and differ."""

    kind = "prm"
    name = "instant"
    threshold = 0.5

    def score_each(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Scores | Refusal]:
        """One score for each step, by its text."""
        return [tuple(sum(map(ord, step)) % 97 / 97 for step in steps) for steps in chains]


def main() -> None:
    """Measure, and print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scorer", help="a PRM, for lines with scoring")
    parser.add_argument("--methods", nargs="+", default=["majority", "rebase", "dvts"])
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    made = enumerate(islice(stories(7), arguments.problems))
    problems = [Problem(f"p{i}", story.text, str(story.answer)) for i, story in made]
    scorers: dict[str, Scorer] = {"instant": Instant()}
    if arguments.scorer:
        scorers[arguments.scorer] = load_scorer(arguments.scorer, reuse_tokens=REUSED)
    run_in_this_process()
    with closing(Counted(EngineChoice(str(POLICY)).start())) as engine:
        ways = {"sample": lambda: sampled(engine, problems, arguments.n)}
        for method in arguments.methods:
            for name, scorer in scorers.items() if METHODS[method].is_scored else [("", None)]:
                ways[f"{method} {name}".strip()] = searching(engine, problems, method, scorer, arguments.n)
        found, read = rates(engine, ways, arguments.repeats)
    plain = found["sample"]
    print(f"{machine()}, {len(problems)} problems, n = {arguments.n}, {arguments.repeats} repeats\n")
    for name, own in found.items():
        ratio = statistics.median(a / b for a, b in zip(own, plain, strict=True))
        rate = f"{statistics.median(own):10,.0f} tokens/s {ratio:8.2f} of sampling"
        print(f"{name:40} {rate} {read[name]:8.2f} read again a token")
    print(json.dumps({"machine": machine(), "rates": found, "read again": read}))


def sampled(engine: Engine, problems: Sequence[Problem], n: int) -> None:
    """Draw whole chains, as `prm sample`."""
    renderer = EngineChoice(str(POLICY)).renderer(Asking())
    for _ in sample_chains(problems, engine, renderer, Drops(), n=n, sampling=Sampling(max_tokens=LENGTH)):
        pass


def searching(
    engine: Engine, problems: Sequence[Problem], method: str, scorer: Scorer | None, n: int
) -> Callable[[], None]:
    """Search, as `prm solve`."""
    how = METHODS[method]
    plan = Plan(n=n, selection=how.selection, budget=4 * n * LENGTH, max_tokens=LENGTH)

    def run() -> None:
        renderer = EngineChoice(str(POLICY)).renderer(Asking())
        searcher = Searcher(engine, renderer, scorer, how, plan, Sampling(max_tokens=LENGTH))
        for _ in searcher.run(problems):
            pass

    return run


def rates(
    engine: Counted, ways: dict[str, Callable[[], None]], repeats: int
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Tokens per second of each way in each repeat, and the tokens that it reads again for each token in the last."""
    found, read = {name: list[float]() for name in ways}, dict[str, float]()
    for number in range(repeats + 1):
        for name, run in ways.items():
            started, engine.tokens, engine.read = time.perf_counter(), 0, 0
            run()
            if number:  # the first round warms up
                found[name].append(engine.tokens / (time.perf_counter() - started))
                read[name] = engine.read / engine.tokens
    return found, read


if __name__ == "__main__":
    main()
