"""Chains → step labels: Monte Carlo rollouts from the prefixes of each chain, all in one stream to the engine.

Many chains are open at once, each with its strategy; the next request of any of them fills the engine as soon as
there is room. So a strategy that waits for outcomes costs no time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from labeling.allocation import STRATEGIES, Ledger, Strategy
from labeling.engine import Completion, Engine, Request, Sampling
from prm.drops import Drops
from prm.records import Chain, Outcome, Problem, StepLabels
from prm.rendering import Rendered, Renderer
from verifiers import check


@dataclass(slots=True)
class _OpenChain:
    chain: Chain
    gold: str
    rendered: Rendered
    ledger: Ledger
    strategy: Strategy
    waiting: int = 0
    """Requests whose results are not in."""

    def next_requests(self) -> list[Request]:
        """What the strategy wants next; empty when the chain is labelled."""
        requests = [
            Request(
                key=f"{self.chain.id}@{step}+{self.ledger.drawn(step)}",
                prompt_ids=self.rendered.ids[: self.rendered.step_ends[step] + 1],
                n=n,
            )
            for step, n in next(self.strategy, [])
        ]
        self.waiting = len(requests)
        return requests

    def receive(self, step: int, completions: list[Completion]) -> None:
        for completion in completions:
            self.ledger.add(step, _outcome(completion.text, completion.finish, self.gold))
        self.waiting -= 1


def _outcome(text: str, finish: str, gold: str) -> Outcome:
    """Verdict on a finished text; one that was cut by length is undecided whatever it says.

    Of a rollout only the continuation is judged: a number in the prefix is not the answer of a rollout that gives none.
    """
    return "no_answer" if finish == "length" else check(text, gold).outcome.value


@dataclass(slots=True)
class Labeler:
    """Labels chains through an engine. Used once: iterate over `labels`, then read the counts."""

    engine: Engine
    renderer: Renderer
    """Must keep steps as they are (`separator=None`): a rollout continues the chain's own text."""
    drops: Drops
    strategy: str = "fixed"
    """A name in `STRATEGIES`."""
    rollouts: int = 8
    """K, the most rollouts from one prefix. Math-Shepherd uses 8."""
    sampling: Sampling = field(default_factory=Sampling)
    drawn: int = 0
    """Rollouts made so far."""
    tokens: int = 0
    """Tokens generated so far."""
    undecided: int = 0
    """Rollouts so far that are no evidence."""
    _open: dict[str, _OpenChain] = field(default_factory=dict)
    _ready: deque[Request] = field(default_factory=deque)
    _done: deque[StepLabels] = field(default_factory=deque)

    def labels(self, chains: Iterable[Chain], problems: Mapping[str, Problem]) -> Iterator[StepLabels]:
        """Yield the labels of each chain as they are finished.

        A chain that cannot be labelled goes to `drops`: its problem is missing or has no gold answer, it has no
        step, or its text leaves no room in the model's context.
        """
        for request, completions in self.engine.stream(self._requests(chains, problems), self.sampling):
            self._receive(request, completions)
            yield from self._finished()
        yield from self._finished()

    def _requests(self, chains: Iterable[Chain], problems: Mapping[str, Problem]) -> Iterator[Request | None]:
        source = iter(chains)
        while True:
            if self._ready:
                yield self._ready.popleft()
            elif chain := next(source, None):
                self._start(chain, problems.get(chain.problem_id))
            elif self._open:
                yield None
            else:
                return

    def _start(self, chain: Chain, problem: Problem | None) -> None:
        if problem is None or problem.answer is None or not chain.steps:
            self.drops.add(chain.id, _why_unusable(problem, chain))
            return
        rendered = self.renderer.render(problem.text, chain.steps)
        if len(rendered.ids) >= self.engine.max_length:
            self.drops.add(chain.id, "chain longer than the model's context", f"{len(rendered.ids)} tokens")
            return
        ledger = Ledger(len(chain.steps), _outcome(chain.text, chain.finish, problem.answer))
        plan = STRATEGIES[self.strategy](ledger, self.rollouts)
        self._advance(_OpenChain(chain, problem.answer, rendered, ledger, plan))

    def _advance(self, item: _OpenChain) -> None:
        """Ask the strategy for more, or close the chain."""
        requests = item.next_requests()
        if requests:
            self._ready.extend(requests)
            self._open[item.chain.id] = item
        else:
            self._open.pop(item.chain.id, None)
            self._done.append(item.ledger.labels(item.chain.id, item.chain.problem_id))

    def _receive(self, request: Request, completions: list[Completion]) -> None:
        chain_id, _, draw = request.key.rpartition("@")
        item, step = self._open[chain_id], int(draw.partition("+")[0])
        before = item.ledger.undecided[step]
        item.receive(step, completions)
        self.drawn += len(completions)
        self.tokens += sum(c.tokens for c in completions)
        self.undecided += item.ledger.undecided[step] - before
        if not item.waiting:
            self._advance(item)

    def _finished(self) -> Iterator[StepLabels]:
        while self._done:
            yield self._done.popleft()


def _why_unusable(problem: Problem | None, chain: Chain) -> str:
    if problem is None:
        return "its problem is missing"
    return "its problem has no gold answer" if chain.steps else "empty chain"
