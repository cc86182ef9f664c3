"""Problems → chains: `n` solutions for each problem, all in one stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prm.data.drops import Drops
from prm.data.records import Chain, Problem
from prm.data.steps import split_steps
from prm.models.rendering import Renderer

from .engine import Completion, Engine, Request, Sampling


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
    """Draw `n` chains for each problem and yield them a problem at a time, in the order in which they finish.

    A problem whose prompt leaves no room in the model's context goes to `drops`. The chain `"<problem>/<i>"` is the
    i-th draw of its problem; its steps are cut by `splitter`.
    """

    def requests() -> Iterator[Request | None]:
        for problem in problems:
            ids = tuple(renderer.prompt_ids(problem.text))
            if len(ids) >= engine.max_length:
                drops.add(problem.id, "problem longer than the model's context", f"{len(ids)} tokens")
                continue
            yield Request(problem.id, ids, n)

    for request, completions in engine.stream(requests(), sampling):
        yield [_chain(request.key, i, c, splitter) for i, c in enumerate(completions)]


def _chain(problem_id: str, index: int, completion: Completion, splitter: str) -> Chain:
    steps = split_steps(completion.text, splitter)
    return Chain(id=f"{problem_id}/{index}", problem_id=problem_id, steps=steps, finish=completion.finish)
