"""Problems → searched trees: all problems and branches in one stream of one engine, scored while others are generated.

Each problem has a method of its own going (`prm.search.methods`). What the method asks for is drawn in waves that the
budget surely pays for; what ends a step or a chain is scored, in batches of whatever is waiting; and once all is there,
the method is asked again. A problem's requests follow from its own results alone, so it is searched the same way
whatever else is in flight.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from random import Random

from prm.data.records import Drop, Finish, Problem
from prm.data.steps import finished_steps, split_steps, step_stops
from prm.errors import EngineError, RenderError
from prm.generation.engine import Completion, Engine, Request, Sampling, draw_seed
from prm.generation.sampling import up_to_answer
from prm.models.rendering import Renderer, spelled
from prm.scoring.scorer import EMPTY, Refusal, Scorer, Scores

from .budget import Spending, grants
from .desk import Desk
from .ending import Solved, solved
from .methods import Method, Search
from .plan import Plan
from .tree import Ask, Branch

ABANDONED = "abandoned"
"""Why a problem of `Searcher.abandoned` has no solution."""
WINDOW = 512
"""Most problems that are searched at once."""
RESERVED = 128
"""Tokens that a step surely gets; a longer one goes on in another request, from the same tokens."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """An answer of the engine."""

    problem_id: str
    request_id: str
    completions: tuple[Completion, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """An answer of the scorer."""

    problem_id: str
    branch_id: str
    result: Scores | Refusal


Event = Drawn | Scored | Solved | Drop
"""What happens in a search: one `Solved` or `Drop` for each problem, in the order in which they are done."""


@dataclass(slots=True)
class Earlier:
    """What an earlier run of the same search drew and scored for a problem."""

    drawn: dict[str, tuple[Completion, ...]] = field(default_factory=dict)
    """By `Request.id`."""
    scored: dict[str, Scores | Refusal] = field(default_factory=dict)
    """By `Branch.id`."""


@dataclass(slots=True)
class _Draw:
    """A continuation of a branch that has not come to its end."""

    ask: int
    """Its place among what the method asked for."""
    branch: Branch
    """As far as it goes; with no token at first."""
    is_whole: bool
    spelled: str = ""
    """The text of all its tokens."""

    @property
    def parent(self) -> Branch:
        """The branch that it continues."""
        assert self.branch.parent is not None
        return self.branch.parent

    @property
    def is_begun(self) -> bool:
        """Whether anything was drawn for it."""
        return bool(self.branch.new)


@dataclass(slots=True)
class _Open:
    """A problem that is being searched."""

    problem: Problem
    prompt_ids: tuple[int, ...]
    method: Method
    plan: Plan
    search: Search
    spending: Spending
    earlier: Earlier
    tree: list[Branch] = field(default_factory=list)
    """All branches but the root, in the order of what was asked."""
    grown: list[dict[int, Branch]] = field(default_factory=list)
    """The answer to each `Ask`, by `Branch.draw`."""
    drawing: list[_Draw] = field(default_factory=list)
    """Continuations that go on in the next wave."""
    flying: dict[str, list[_Draw]] = field(default_factory=dict)
    """Those of each request in the engine."""
    scoring: int = 0
    """Number of branches at the scorer."""
    continued: dict[str, int] = field(default_factory=dict)
    """How many continuations of each branch were asked for."""
    candidates: list[Branch] | None = None
    """What the method ended with."""

    @property
    def is_waiting(self) -> bool:
        """Whether there is nothing to do before a result."""
        return bool(self.flying) or self.scoring > 0


class Searcher:
    """Searches problems through an engine.

    Args:
        engine: gives the ids of the tokens that it generates.
        renderer: turns problems into prompts; must keep steps as they are.
        scorer: None for a method that needs no scores.
        method: what to do.
        plan: with which settings.
        sampling: how to draw; the longest chain is that of the plan.
        splitter: says where steps end; see `prm.data.steps.step_stops`.

    Raises:
        InputError: the ends of the splitter's steps cannot be told while they are generated.
    """

    def __init__(
        self,
        engine: Engine,
        renderer: Renderer,
        scorer: Scorer | None,
        method: Method,
        plan: Plan,
        sampling: Sampling,
        splitter: str = "newline",
    ) -> None:
        self.engine, self.renderer, self.method = engine, renderer, method
        self.plan, self.sampling, self.splitter = plan, sampling, splitter
        self.scorer = scorer
        self.own: dict[str, tuple[Method, Plan]] = {}
        """Method and settings of single problems, by id, in place of those of all."""
        self.abandoned = set[str]()
        """Ids of problems that nobody waits for: as soon as nothing is in flight for one, it gives a `Drop`."""
        self.on_end: Callable[[Solved | Drop], None] | None = None
        """Gets the end of each problem as soon as it is there. Without it, `run` yields the ends with the other events,
        once the engine gives its next result."""
        self._stops = () if splitter.startswith("regex:") and not method.is_stepwise else step_stops(splitter)
        self._desk = None if scorer is None else Desk[tuple[_Open, int, Branch]](scorer)
        self._ready = deque[tuple[_Open, Request]]()
        self._asked = dict[str, _Open]()
        self._open = 0
        self._events = deque[Event]()

    def run(self, problems: Iterable[Problem], earlier: Mapping[str, Earlier] | None = None) -> Iterator[Event]:
        """Search problems, and yield the events as they happen.

        A problem that cannot be rendered, or whose prompt leaves no room in the model's context, gives a `Drop`.

        Args:
            problems: with unique ids.
            earlier: what earlier runs drew and scored, by problem: neither asked for again nor yielded.
        """
        requests = self._requests(iter(problems), earlier or {})
        try:
            for request, completions in self.engine.stream(requests, self.sampling):
                item = self._asked.pop(request.id)
                self._events.append(Drawn(item.problem.id, request.id, tuple(completions)))
                self._receive(item, request.id, completions)
                self._go_on(item)
                yield from self._happened()
            yield from self._happened()
        finally:
            if self._desk:
                self._desk.settle()

    def _happened(self) -> Iterator[Event]:
        while self._events:
            yield self._events.popleft()

    def _requests(self, incoming: Iterator[Problem], earlier: Mapping[str, Earlier]) -> Iterator[Request | None]:
        while True:
            self._take_scores()
            if self._ready:
                item, request = self._ready.popleft()
                if item.problem.id in self.abandoned:
                    del item.flying[request.id]
                    self._go_on(item)
                    continue
                self._asked[request.id] = item
                yield request
            elif self._open < WINDOW and (problem := next(incoming, None)):
                self._begin(problem, earlier.get(problem.id) or Earlier())
            elif self._asked:
                yield None
            elif self._open:
                self._take_scores(wait=True)
            else:
                return

    def _take_scores(self, *, wait: bool = False) -> None:
        if self._desk is None:
            return
        for (item, ask, branch), result in self._desk.done(is_patient=wait):
            item.scoring -= 1
            self._events.append(Scored(item.problem.id, branch.id, result))
            _judge(item, ask, branch, result)
            self._go_on(item)

    def _begin(self, problem: Problem, earlier: Earlier) -> None:
        if problem.id in self.abandoned:
            self._end(Drop(problem.id, ABANDONED))
            return
        try:
            ids = tuple(self.renderer.prompt_ids(problem.text))
        except RenderError as error:
            self._end(Drop(problem.id, error.reason, str(error)))
            return
        if len(ids) >= self.engine.max_length:
            self._end(Drop(problem.id, "problem longer than the model's context", f"{len(ids)} tokens"))
            return
        chance = Random(draw_seed(self.plan.seed, problem.id))
        method, plan = self.own.get(problem.id, (self.method, self.plan))
        search = method.search(Branch(problem.id), plan, chance)
        item = _Open(problem, ids, method, plan, search, Spending(plan.budget), earlier)
        self._open += 1
        self._ask(item, None)
        self._go_on(item)

    def _go_on(self, item: _Open) -> None:
        """Take a problem to where it waits for the engine or the scorer, or to its end."""
        while item.candidates is None and not item.is_waiting:
            if item.problem.id in self.abandoned:
                self._open -= 1
                self._end(Drop(item.problem.id, ABANDONED))
                return
            if item.drawing:
                self._draw(item)
            else:
                self._ask(item, [[found[i] for i in sorted(found)] for found in item.grown])
        if item.candidates is not None:
            self._open -= 1
            is_scored = item.method.is_scored
            self._end(solved(item.problem, item.tree, item.candidates, item.plan, item.spending, is_scored=is_scored))

    def _end(self, end: Solved | Drop) -> None:
        if self.on_end is None:
            self._events.append(end)
        else:
            self.on_end(end)

    def _ask(self, item: _Open, grown: list[list[Branch]] | None) -> None:
        """Resume the method, and begin what it asks for."""
        item.tree += [branch for branches in grown or () for branch in branches]
        try:
            asks = next(item.search) if grown is None else item.search.send(grown)
        except StopIteration as stop:
            item.candidates = stop.value
            return
        item.grown = [{} for _ in asks]
        item.drawing = [draw for number, ask in enumerate(asks) for draw in self._begun(item, number, ask)]

    def _begun(self, item: _Open, number: int, ask: Ask) -> Iterator[_Draw]:
        first = item.continued.get(ask.branch.id, 0)
        item.continued[ask.branch.id] = first + ask.n
        joint = "." if ask.branch.parent else "/"
        for i in range(first, first + ask.n):
            name = f"{ask.branch.id}{joint}{i}"
            branch = replace(ask.branch, id=name, new=(), start=ask.branch.length, parent=ask.branch, draw=i)
            yield _Draw(number, branch, ask.is_whole, ask.branch.text)

    def _draw(self, item: _Open) -> None:
        """Request what the budget surely pays for, or end all that is still going if nothing is left."""
        drawing = sorted(item.drawing, key=lambda draw: (draw.ask, draw.branch.draw))
        granted = list(grants(item.spending.left, (self._needed(item, draw) for draw in drawing)))
        item.drawing = drawing[len(granted) :] if granted else []
        if not granted:
            for draw in drawing:
                if draw.is_begun:
                    self._finish(item, draw, "length")
            return
        pairs = zip(drawing, granted, strict=False)
        requests = [self._request(item, *zip(*same, strict=True)) for _, same in groupby(pairs, _together)]
        for request in requests:
            if request.id in item.earlier.drawn:
                self._receive(item, request.id, item.earlier.drawn.pop(request.id))
            else:
                self._ready.append((item, request))

    def _needed(self, item: _Open, draw: _Draw) -> int:
        """Tokens that a continuation may still take before it ends by itself, or in one request."""
        return self._room(item, draw) if draw.is_whole else min(self._room(item, draw), RESERVED)

    def _room(self, item: _Open, draw: _Draw) -> int:
        """Tokens up to the longest chain, or the model's context."""
        return min(item.plan.max_tokens, self.engine.max_length - len(item.prompt_ids)) - draw.branch.length

    def _request(self, item: _Open, draws: tuple[_Draw, ...], tokens: tuple[int, ...]) -> Request:
        """The draws of a branch that nothing was drawn for yet, or the rest of one draw."""
        first, branch = draws[0], draws[0].branch
        rest = f"{_key(branch)}~{branch.length}"
        key, number = (rest, 0) if first.is_begun else (_key(first.parent), branch.draw)
        stops = () if first.is_whole else self._stops
        request = Request(key, item.prompt_ids + branch.ids, len(draws), number, tokens[0], stops)
        item.flying[request.id] = list(draws)
        return request

    def _receive(self, item: _Open, request_id: str, completions: Sequence[Completion]) -> None:
        """Take in what a request gave. A draw that the engine did not give is gone."""
        for draw, completion in zip(item.flying.pop(request_id), completions, strict=False):
            item.spending.generated += completion.tokens
            self._extend(item, draw, completion)

    def _extend(self, item: _Open, draw: _Draw, completion: Completion) -> None:
        if len(completion.ids) != completion.tokens:
            raise EngineError("the engine does not tell the ids of its tokens", "search with vLLM, here or as a server")
        before = draw.spelled
        draw.branch = replace(draw.branch, new=draw.branch.new + completion.ids)
        draw.spelled = self._spelled(item, draw)
        if completion.finish == "length" and self._room(item, draw) > 0:
            item.drawing.append(draw)
        elif completion.stop in self._stops and completion.stop not in self.sampling.stop and not draw.is_whole:
            self._step(item, draw)
        else:
            if completion.stop:  # of the sampling settings: not part of the solution
                draw.spelled = before + completion.text
            self._finish(item, draw, completion.finish)

    def _spelled(self, item: _Open, draw: _Draw) -> str:
        """The text of a draw, from that of its parent on unless this ends in half a character."""
        begun, ids = draw.parent.text, item.prompt_ids + draw.branch.ids
        known = len(item.prompt_ids) + draw.parent.length
        if begun.endswith("\ufffd"):
            begun, known = "", len(item.prompt_ids)
        return begun + spelled(self.renderer.tokenizer, ids[known:], ids[:known])

    def _step(self, item: _Open, draw: _Draw) -> None:
        """The end of a step, if the splitter says so, or of the answer; else the draw goes on."""
        text, _ = up_to_answer(draw.spelled, "stop")
        steps = finished_steps(draw.spelled, self.splitter)
        if len(text) < len(draw.spelled) or self._room(item, draw) <= 0:
            self._finish(item, draw, "stop" if len(text) < len(draw.spelled) else "length")
        elif len(steps) > len(draw.parent.steps):
            rest = draw.spelled[sum(map(len, steps)) :]
            self._grow(item, draw, replace(draw.branch, steps=draw.parent.shared(steps), rest=rest))
        else:
            item.drawing.append(draw)

    def _finish(self, item: _Open, draw: _Draw, finish: Finish) -> None:
        text, end = up_to_answer(draw.spelled, finish)
        steps = draw.parent.shared(split_steps(text, self.splitter))
        self._grow(item, draw, replace(draw.branch, steps=steps, rest="", end=end))

    def _grow(self, item: _Open, draw: _Draw, branch: Branch) -> None:
        """Put a branch into its place, once it is scored."""
        if self._desk is None or not item.method.is_scored or (branch.scores and branch.steps == draw.parent.steps):
            item.grown[draw.ask][branch.draw] = branch
        elif not branch.steps:
            _judge(item, draw.ask, branch, Refusal(EMPTY))
        elif branch.id in item.earlier.scored:
            item.spending.scored += len(item.prompt_ids) + branch.length
            _judge(item, draw.ask, branch, item.earlier.scored.pop(branch.id))
        else:
            item.spending.scored += len(item.prompt_ids) + branch.length
            item.scoring += 1
            self._desk.add((item, draw.ask, branch), item.problem.text, branch.steps)


def _key(branch: Branch) -> str:
    """The key of the draws from a branch: of a problem its id, as when chains are sampled.

    That of any other branch begins with a mark, for a problem may be called as one: "a" and "a/0".
    """
    return branch.id if branch.parent is None else f"\x1f{branch.id}"


def _judge(item: _Open, ask: int, branch: Branch, result: Scores | Refusal) -> None:
    """Put a branch into its place with its scores, or with its refusal."""
    if isinstance(result, Refusal):
        item.grown[ask][branch.draw] = replace(branch, scores=(), refusal=str(result))
    else:
        item.grown[ask][branch.draw] = replace(branch, scores=tuple(result))


def _together(pair: tuple[_Draw, int]) -> tuple[str, int, bool]:
    """Equal for draws that one request can ask for: the first tokens from the same branch, as many for each."""
    draw, tokens = pair
    return (draw.branch.id if draw.is_begun else draw.parent.id), tokens, draw.is_whole
