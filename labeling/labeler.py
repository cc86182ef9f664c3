"""Chains → rollouts → step labels: Monte Carlo rollouts from the prefixes of each chain, all in one stream.

Many chains are open at once, each with its strategy; the next request of any of them fills the engine as soon as
there is room. So a strategy that waits for outcomes costs no time. No more than `WINDOW` chains are open or waiting
for one before them, so memory does not grow with the job, and labels come out in the order of the chains.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from prm.data.records import Chain, Drop, Finish, Outcome, Problem, Rollout, StepLabels
from prm.data.splits import is_in_share
from prm.errors import RenderError
from prm.generation.engine import Completion, Engine, Request, Sampling
from prm.models.rendering import Rendered, Renderer

from .allocation import Allocation, Budget, Ledger, checked, strategy_named
from .judging import Checker, check_answer, unusable, verdict

WINDOW = 4096
"""Most chains between the first that is not labeled and the last that was begun."""

Event = Rollout | StepLabels | Drop
"""The events of a labeling job: rollouts in any order; one `StepLabels` or `Drop` per chain, in the order of the chains."""
Earlier = Mapping[str, Sequence[Rollout]]
"""Rollouts that were made before, by chain."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to spend on each chain."""

    strategy: str = "fixed"
    """A name in `STRATEGIES`."""
    budget: Budget = field(default_factory=Budget)
    check_share: float = 0.0
    """Share of chains, in [0, 1], that are drawn from every prefix as well, to check their labels."""

    def __post_init__(self) -> None:
        strategy_named(self.strategy)

    def is_checked(self, chain_id: str) -> bool:
        """Whether a chain is one of these."""
        return is_in_share(chain_id, self.check_share)


@dataclass(slots=True)
class _OpenChain:
    chain: Chain
    judge: Callable[[str, Finish], Outcome]
    """Verdict on a finished text."""
    rendered: Rendered
    ledger: Ledger
    allocation: Allocation
    earlier: dict[tuple[int, int], Rollout]
    """By step and draw."""
    waiting: int = 0
    """Requests whose results are not in."""
    result: StepLabels | None = None
    """The labels, once they are settled."""

    def next_requests(self) -> list[tuple[int, Request]]:
        """What the strategy wants and was not made before, by step; empty when the chain is labeled."""
        for draws in self.allocation:
            requests = [(step, request) for step, n in draws if (request := self._request(step, n))]
            self.waiting = len(requests)
            if requests:
                return requests
        self.result = self.ledger.labels(self.chain.id, self.chain.problem_id)
        return []

    def _request(self, step: int, n: int) -> Request | None:
        """Count those of the next `n` draws that were made before; ask for the rest."""
        first = self.ledger.drawn(step)
        end = first + n
        while first < end and (rollout := self.earlier.pop((step, first), None)):
            self.ledger.add(step, rollout.outcome)
            first += 1
        if first == end:
            return None
        prompt_ids = self.rendered.ids[: self.rendered.step_ends[step] + 1]
        return Request(f"{self.chain.id}@{step}", prompt_ids, end - first, first)

    def receive(self, step: int, first: int, completions: Sequence[Completion]) -> Iterator[Rollout]:
        """Judge the completions of a request and count them."""
        self.waiting -= 1
        for draw, completion in enumerate(completions, start=first):
            outcome = self.judge(completion.text, completion.finish)
            self.ledger.add(step, outcome)
            yield Rollout(self.chain.id, step, draw, completion.text, completion.tokens, completion.finish, outcome)


@dataclass(slots=True)
class _Source:
    """Chains to come."""

    chains: Iterator[Chain]
    is_exhausted: bool = False

    def next(self) -> Chain | None:
        chain = next(self.chains, None)
        self.is_exhausted = chain is None
        return chain


@dataclass(slots=True)
class Labeler:
    """Labels chains through an engine."""

    engine: Engine
    renderer: Renderer
    """Must keep steps as they are (`separator=None`): a rollout continues the chain's own text."""
    plan: Plan = field(default_factory=Plan)
    sampling: Sampling = field(default_factory=Sampling)
    checker: Checker = check_answer
    _order: deque[_OpenChain | Drop] = field(default_factory=deque)
    """All chains that are begun and not yet given out, in their order."""
    _ready: deque[tuple[_OpenChain, int, Request]] = field(default_factory=deque)
    _asked: dict[str, tuple[_OpenChain, int]] = field(default_factory=dict)
    """Chain and step of the requests that the engine holds."""

    def run(
        self, chains: Iterable[Chain], problems: Mapping[str, Problem], earlier: Earlier | None = None
    ) -> Iterator[Event]:
        """Label chains, and yield what comes of it as it comes.

        A chain that cannot be labeled gives a `Drop`: its problem is missing, or has no gold answer or one that the
        checker cannot use; it has no step; its text leaves no room in the model's context.

        Args:
            chains: with different ids.
            problems: by id.
            earlier: rollouts that are there already, by chain: they are counted, not made again, nor yielded.
        """
        source = _Source(iter(chains))
        while not source.is_exhausted:  # a stream also ends where a whole window of chains needs no rollout
            requests = self._requests(source, problems, earlier or {})
            for request, completions in self.engine.stream(requests, self.sampling):
                item, step = self._asked.pop(request.id)
                yield from item.receive(step, request.first, completions)
                if not item.waiting:
                    self._advance(item)
                yield from self._settled()
            yield from self._settled()

    def _requests(self, source: _Source, problems: Mapping[str, Problem], earlier: Earlier) -> Iterator[Request | None]:
        while True:
            if self._ready:
                item, step, request = self._ready.popleft()
                self._asked[request.id] = item, step
                yield request
            elif len(self._order) < WINDOW and (chain := source.next()):
                self._begin(chain, problems.get(chain.problem_id), earlier.get(chain.id, ()))
            elif self._asked:
                yield None
            else:
                return

    def _begin(self, chain: Chain, problem: Problem | None, earlier: Sequence[Rollout]) -> None:
        begun = self._open(chain, problem, earlier)
        self._order.append(begun)
        if isinstance(begun, _OpenChain):
            self._advance(begun)

    def _open(self, chain: Chain, problem: Problem | None, earlier: Sequence[Rollout]) -> _OpenChain | Drop:
        if problem is None:
            return Drop(chain.id, "its problem is missing", chain.problem_id)
        if drop := unusable(self.checker, chain, problem):
            return drop
        try:
            rendered = self.renderer.render(problem.text, chain.steps)
        except RenderError as error:
            return Drop(chain.id, error.reason, str(error))
        if len(rendered.ids) >= self.engine.max_length:
            return Drop(chain.id, "chain longer than the model's context", f"{len(rendered.ids)} tokens")
        judge = partial(verdict, self.checker, problem=problem)
        ledger = Ledger(len(chain.steps), judge(chain.text, chain.finish))
        known = {(rollout.step, rollout.draw): rollout for rollout in earlier}
        return _OpenChain(chain, judge, rendered, ledger, self._allocation(chain, ledger), known)

    def _allocation(self, chain: Chain, ledger: Ledger) -> Allocation:
        allocation = strategy_named(self.plan.strategy).allocate(ledger, self.plan.budget)
        return checked(ledger, allocation, self.plan.budget) if self.plan.is_checked(chain.id) else allocation

    def _advance(self, item: _OpenChain) -> None:
        self._ready.extend((item, step, request) for step, request in item.next_requests())

    def _settled(self) -> Iterator[StepLabels | Drop]:
        while self._order:
            first = self._order[0]
            result = first if isinstance(first, Drop) else first.result
            if result is None:
                return
            self._order.popleft()
            yield result
