"""Chains → rollouts → step labels: Monte Carlo rollouts from the prefixes of each chain, all in one stream.

Many chains are open at once, each with its own strategy, and the engine takes the next request of any of them as soon
as it has room, so a strategy that waits for outcomes costs no time. At most `WINDOW` chains are open or waiting for an
earlier one, so memory does not grow with the job, and labels come out in the order of the chains.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

from prm.data.records import Chain, Drop, Finish, Outcome, Problem, Rollout, StepLabels
from prm.data.splits import is_in_share
from prm.errors import RenderError, require_number
from prm.generation.engine import Completion, Engine, Request, Sampling
from prm.models.rendering import Rendered, Renderer
from prm.verifiers import Checker
from prm.verifiers.checkers import RULES

from .allocation import PROBLEM, Allocation, Budget, Ledger, begun, checked, strategy_named
from .growing.lineage import inherited
from .judging import outcomes, unusable

WINDOW = 4096
"""Most chains from the first unlabeled one to the last one begun."""

ALMOST_EMPTY = 64
"""Draws under way below which a job draws ahead."""

Event = Rollout | StepLabels | Drop
"""The events of a labeling job: rollouts in any order; one `StepLabels` or `Drop` per chain, in the chains' order."""
Earlier = Mapping[str, Sequence[Rollout]]
"""Rollouts of earlier runs, by chain id."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to spend on each chain."""

    strategy: str = "fixed"
    """A name in `STRATEGIES`."""
    budget: Budget = field(default_factory=Budget)
    check_share: float = 0.0
    """Share of chains, in [0, 1], to draw from every prefix as well, to check their labels."""

    def __post_init__(self) -> None:
        strategy_named(self.strategy)
        require_number("check_share", self.check_share, "[0, 1]")

    def is_checked(self, chain_id: str) -> bool:
        """Whether a chain is one of those to check."""
        return is_in_share(chain_id, self.check_share)


@dataclass(slots=True)
class _OpenChain:
    chain: Chain
    judge: Callable[[Sequence[tuple[str, Finish]]], Iterator[Outcome]]
    """Verdicts on finished texts."""
    rendered: Rendered
    ledger: Ledger
    allocation: Allocation
    earlier: dict[tuple[int, int], Rollout]
    """By step and number of the draw."""
    waiting: int = 0
    """Number of requests without a result yet."""
    ahead: bool = False
    """Whether one of them is ahead of the strategy."""
    result: StepLabels | None = None
    """The labels, once the strategy is done."""

    def count_all(self) -> None:
        """Count the draws of an earlier job at once, those too that the strategy might not ask for."""
        for step in range(PROBLEM, self.ledger.steps):
            while rollout := self.earlier.pop((step, self.ledger.drawn(step)), None):
                self.ledger.add(step, rollout.outcome)

    def next_requests(self) -> list[tuple[int, Request]]:
        """The next requests with their steps, without draws of earlier runs; empty when the chain is labeled."""
        for draws in self.allocation:
            requests = [(step, request) for step, n in draws for request in self._requests(step, n)]
            self.waiting, self.ahead = len(requests), False
            if requests:
                return requests
        for (step, _), rollout in self.earlier.items():  # drawn ahead by an earlier run: evidence all the same
            self.ledger.add(step, rollout.outcome)
        self.result = self.ledger.labels(self.chain.id, self.chain.problem_id)
        return []

    def _requests(self, step: int, n: int) -> Iterator[Request]:
        """Count those of the next `n` draws that earlier runs made, and request each run of missing ones."""
        first = self.ledger.drawn(step)
        missing = []
        for draw in range(first, first + n):
            if rollout := self.earlier.pop((step, draw), None):
                self.ledger.add(step, rollout.outcome)
            else:
                missing.append(draw)
        for _, run in groupby(enumerate(missing), lambda pair: pair[1] - pair[0]):
            draws = [draw for _, draw in run]
            yield self._request(step, draws[0], len(draws))

    def _request(self, step: int, first: int, n: int) -> Request:
        end = self.rendered.prompt_length if step == PROBLEM else self.rendered.step_ends[step] + 1
        prompt_ids = self.rendered.ids[:end]
        return Request(f"{self.chain.id}@{step}", prompt_ids, n, first)

    def request_ahead(self, step: int, asked: int, most: int) -> Request | None:
        """The rest of a prefix's draws, of which `asked` are under way: the strategy will want them if those fail."""
        first = self.ledger.drawn(step) + asked
        if self.ahead or self.earlier or first >= most or step == PROBLEM:
            return None
        self.ahead = True
        self.waiting += 1
        return self._request(step, first, most - first)

    def receive(self, step: int, first: int, completions: Sequence[Completion]) -> Iterator[Rollout]:
        """Judge the completions of a request and count them."""
        self.waiting -= 1
        judged = self.judge([(completion.text, completion.finish) for completion in completions])
        for draw, (completion, outcome) in enumerate(zip(completions, judged, strict=True), start=first):
            self.ledger.add(step, outcome)
            yield Rollout(self.chain.id, step, draw, completion.text, completion.tokens, completion.finish, outcome)


@dataclass(slots=True)
class _Incoming:
    """The chains not begun yet."""

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
    checker: Checker = RULES
    extends: bool = False
    """Whether earlier rollouts are of another job, which this one extends: all of them count, and those of the prefixes
    that a grown chain shares with others too."""
    origins: Mapping[str, tuple[str, int, int]] = field(default_factory=dict)
    """`Chain.origin` of all grown chains, by id."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Why chains are to be dropped, by their ids."""
    _order: deque[_OpenChain | Drop] = field(default_factory=deque)
    """The chains begun but not yet yielded, in order."""
    _copied: deque[Rollout] = field(default_factory=deque)
    """Rollouts that grown chains share, not yielded yet."""
    _ready: deque[tuple[_OpenChain, int, Request]] = field(default_factory=deque)
    _asked: dict[str, tuple[_OpenChain, int, int]] = field(default_factory=dict)
    """Chain, step and number of draws of each request in the engine."""

    def run(
        self, chains: Iterable[Chain], problems: Mapping[str, Problem], earlier: Earlier | None = None
    ) -> Iterator[Event]:
        """Label chains, and yield the events as they happen.

        A chain that cannot be labeled gives a `Drop`: its problem is missing, its gold answer is missing or unusable,
        it has no steps, or its text leaves no room in the model's context.

        Args:
            chains: chains with unique ids.
            problems: problems by id.
            earlier: rollouts of earlier runs: they are counted, but neither drawn again nor yielded.
        """
        incoming = _Incoming(iter(chains))
        while not incoming.is_exhausted:  # a stream also ends when a whole window of chains needs no rollout
            requests = self._requests(incoming, problems, earlier or {})
            for request, completions in self.engine.stream(requests, self.sampling):
                item, step, _ = self._asked.pop(request.id)
                yield from item.receive(step, request.first, completions)
                if not item.waiting:
                    self._advance(item)
                yield from self._settled()
            yield from self._settled()

    def _requests(
        self, incoming: _Incoming, problems: Mapping[str, Problem], earlier: Earlier
    ) -> Iterator[Request | None]:
        while True:
            if self._ready:
                item, step, request = self._ready.popleft()
                self._asked[request.id] = item, step, request.n
                yield request
            elif len(self._order) < WINDOW and (chain := incoming.next()):
                self._begin(chain, problems.get(chain.problem_id), earlier)
            elif self._asked:
                yield self._ahead()
            else:
                return

    def _ahead(self) -> Request | None:
        """A request ahead of its strategy, at the end of a job, when the engine would run almost empty; else None.

        At the end a few chains are left, which draw 2, 2, 4, … rollouts and wait for each batch. What is drawn in vain
        is evidence all the same. Not where draws are to be reproducible: which are in vain depends on the engine.
        """
        strategy, under_way = strategy_named(self.plan.strategy), sum(n for _, _, n in self._asked.values())
        if self.sampling.reproducible or not strategy.in_batches or under_way >= ALMOST_EMPTY:
            return None
        for item, step, n in list(self._asked.values()):
            request = item.request_ahead(step, n, self.plan.budget.rollouts)
            if request is not None:
                self._asked[request.id] = item, step, request.n
                return request
        return None

    def _begin(self, chain: Chain, problem: Problem | None, earlier: Earlier) -> None:
        shared = list(inherited(chain, self.origins, earlier)) if self.extends and chain.origin else []
        begun = self._open(chain, problem, [*earlier.get(chain.id, ()), *shared])
        self._order.append(begun)
        if isinstance(begun, _OpenChain):
            self._copied.extend(shared)
            self._advance(begun)

    def _open(self, chain: Chain, problem: Problem | None, earlier: Sequence[Rollout]) -> _OpenChain | Drop:
        if problem is None:
            return Drop(chain.id, "its problem is missing", chain.problem_id)
        if drop := unusable(self.checker, chain, problem):
            return drop
        if reason := self.skipped.get(chain.id):
            return Drop(chain.id, reason, problem.id)
        try:
            rendered = self.renderer.render(problem.text, chain.steps)
        except RenderError as error:
            return Drop(chain.id, error.reason, str(error))
        if len(rendered.ids) >= self.engine.max_length:
            return Drop(chain.id, "chain longer than the model's context", f"{len(rendered.ids)} tokens")
        judge = partial(outcomes, self.checker, problem=problem)
        (outcome,) = judge([(chain.text, chain.finish)])
        ledger = Ledger(len(chain.steps), outcome)
        known = {(rollout.step, rollout.draw): rollout for rollout in earlier}
        opened = _OpenChain(chain, judge, rendered, ledger, self._allocation(chain, ledger), known)
        if self.extends:
            opened.count_all()
        return opened

    def _allocation(self, chain: Chain, ledger: Ledger) -> Allocation:
        allocation = strategy_named(self.plan.strategy).allocate(ledger, self.plan.budget)
        allocation = begun(ledger, allocation, self.plan.budget)
        return checked(ledger, allocation, self.plan.budget) if self.plan.is_checked(chain.id) else allocation

    def _advance(self, item: _OpenChain) -> None:
        self._ready.extend((item, step, request) for step, request in item.next_requests())

    def _settled(self) -> Iterator[Event]:
        while self._copied:
            yield self._copied.popleft()
        while self._order:
            first = self._order[0]
            result = first if isinstance(first, Drop) else first.result
            if result is None:
                return
            self._order.popleft()
            yield result
