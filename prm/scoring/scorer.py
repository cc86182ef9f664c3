"""The scorer interface: chains in, and for each chain its scores or the reason it has none. No model is loaded here.

Anything that scores chains is a `Scorer`: a reward model (`prm.load_scorer`), an ensemble, a judge, or your own class
with `kind` and `score_each`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set, Sized
from dataclasses import dataclass
from functools import partial
from itertools import islice
from reprlib import repr as shortened
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

from prm.data.files import Unreadable
from prm.data.records import Asked, Chain, Drop, MemberScores, Message, Problem, StepScores
from prm.errors import InputError, ModelError, PrmError, RenderError

CHAINS_A_ROUND = 512
"""Chains scored together, so that a backend can sort them by length; results come out in rounds of this many."""

ScoreKind = Literal["prm", "orm"]
Scores = tuple[float, ...]
"""The scores of a chain, all finite: one per step from a PRM (none for an empty chain), a single reward from an ORM."""


class CombinedScores(tuple[float, ...]):
    """The scores of a chain by an ensemble, with those of its members."""

    members: Mapping[str, Scores]
    """By name, each of the same length."""

    def __new__(cls, scores: Iterable[float], members: Mapping[str, Scores]) -> CombinedScores:
        """Make them; see the class."""
        made = super().__new__(cls, scores)
        made.members = members
        return made

    def as_members(self) -> tuple[MemberScores, ...]:
        """The members' scores as records."""
        return tuple(MemberScores(name, tuple(scores)) for name, scores in self.members.items())

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle both parts."""
        return CombinedScores, (tuple(self), self.members)


class UncertainScores(tuple[float, ...]):
    """The scores of a chain by a model that states how sure it is."""

    deviations: Scores
    """Standard deviation of each score."""

    def __new__(cls, scores: Iterable[float], deviations: Scores) -> UncertainScores:
        """Make them; see the class."""
        made = super().__new__(cls, scores)
        made.deviations = deviations
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle both parts."""
        return UncertainScores, (tuple(self), self.deviations)


def scores_with(scores: Iterable[float], members: Mapping[str, Scores], deviations: Scores) -> Scores:
    """The scores of a chain with what is known beside them: those of the members, or deviations; both may be empty."""
    if members:
        return CombinedScores(scores, members)
    return UncertainScores(scores, deviations) if deviations else tuple(scores)


NOT_STEPS = "not a list of texts"
NOT_A_PROBLEM = "not a problem"
NOT_UNICODE = "text that is not valid Unicode"
EMPTY = "empty chain"
TOO_LONG = "longer than the model's context"
NOT_FINITE = "scores that are not finite"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a chain has no scores."""

    reason: str
    """A fixed phrase, such as `TOO_LONG`, that can be counted."""
    detail: str = ""
    """The particulars of this chain."""
    hint: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason

    @classmethod
    def of(cls, error: RenderError) -> Refusal:
        """The refusal of a chain that cannot be rendered."""
        return cls(error.reason, str(error), error.hint)


class Scorer(ABC):
    """Scores the steps of chains (PRM) or whole chains (ORM). Can be pickled, to run in another process."""

    kind: ScoreKind
    name: str = ""
    """How manifests name it: the directory or Hub name of a reward model; "" for the name of the class. Scorers of one
    name are taken for the same."""
    settings: Mapping[str, Any] = MappingProxyType({})
    """What else decides its scores, as values of JSON: recorded in manifests beside its name."""
    threshold: float | None = None
    """Score from which a step counts as right; None if there is no such score."""
    aggregator: str | None = None
    """Name in `prm.AGGREGATORS`: how its authors combine step scores into a chain score; None for an ORM or if
    unknown."""

    @abstractmethod
    def score_each(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Scores | Refusal]:
        """Score chains independently of each other.

        Args:
            problems: the problem of each chain, as a text or, if the model has a chat template, as messages. A reward
                model also takes `prm.Problem`, and mappings with `role` and `content` as messages.
            chains: the steps of each chain.

        Returns:
            For each chain, in the order given, its scores or the reason it has none. A bad chain never affects another.
        """

    def score(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Scores]:
        """Like `score_each`, for chains that should all be usable.

        Raises:
            RenderError: at the first refusal; the message gives its index, from 0.
            InputError: problems and chains differ in number.
            ModelError: `score_each` returns anything but scores and refusals.
        """
        found: list[Scores] = []
        for place, item in enumerate(checked_scores(self, problems, chains)):
            if isinstance(item, Refusal):
                raise RenderError(f"chain {place}: {item}", item.hint, reason=item.reason)
            found.append(item)
        return found

    def close(self) -> None:  # noqa: B027  # most scorers hold nothing
        """Free what the scorer holds. A second call does nothing."""


class Prepared(NamedTuple):
    """A chain that is ready for a forward pass."""

    row: Any
    """What its scorer reads of it."""
    tokens: int
    """Its length."""


class PreparingScorer(Scorer):
    """A scorer that knows the length of a chain before it scores it, so that a server can fill a pass by tokens."""

    @property
    @abstractmethod
    def tokens_per_pass(self) -> int:
        """Padded tokens that one pass should hold."""

    @abstractmethod
    def prepare(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Prepared | Refusal]:
        """The first half of `score_each`: chains that are ready, and the refusals of the others, in order.

        Safe to call while another thread scores.
        """

    @abstractmethod
    def score_prepared(self, rows: Sequence[Any]) -> list[Scores | Refusal]:
        """The second half: results for the rows of `prepare`, in order, whichever calls they come from."""

    def score_each(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Scores | Refusal]:
        """See `Scorer.score_each`.

        Raises:
            InputError: problems and chains differ in number.
        """
        items = self.prepare(problems, chains)
        found = iter(self.score_prepared([item.row for item in items if isinstance(item, Prepared)]))
        return [item if isinstance(item, Refusal) else next(found) for item in items]


def checked_scores(scorer: Scorer, problems: object, chains: object) -> list[Scores | Refusal]:
    """`Scorer.score_each`, with a check of what it returns: every use of a scorer goes through here.

    Raises:
        InputError: problems and chains differ in number, or are not lists.
        ModelError: the scorer's kind is unknown, or it returns anything but scores and refusals.
    """
    name, kind = type(scorer).__name__, getattr(scorer, "kind", None)
    if kind not in get_args(ScoreKind):
        raise ModelError(f"{name}: unknown kind {kind!r}", "set its kind to 'prm' or 'orm'")
    asked, given = matched(problems, chains)
    if not given:
        return []
    sizes = [1 if kind == "orm" else _length(steps) for steps in given]
    return checked(scorer.score_each(asked, given), sizes, partial(_not_as_agreed, name))


def _length(steps: object) -> int | None:
    return len(steps) if isinstance(steps, Sized) and not isinstance(steps, str) else None


def _not_as_agreed(name: str, what: str) -> ModelError:
    return ModelError(f"{name}: {what}", "score_each returns for each chain a tuple of floats or a prm.Refusal")


def checked(results: object, sizes: Sequence[int | None], fault: Callable[[str], PrmError]) -> list[Scores | Refusal]:
    """Results as plain tuples of finite floats and refusals. A chain with a score that is not finite is refused.

    Args:
        results: one per chain: a refusal, or numbers as a list, an array or a tensor.
        sizes: the number of scores that each chain must have; None for any.
        fault: makes the error of anything else from what is wrong.
    """
    items = as_list(results)
    if items is None:
        raise fault(f"a {type(results).__name__}, not a list of results")
    if len(items) != len(sizes):
        raise fault(f"{len(items)} results for {len(sizes)} chains")
    return [_result(place, *pair, fault) for place, pair in enumerate(zip(items, sizes, strict=True))]


def _result(place: int, given: object, size: int | None, fault: Callable[[str], PrmError]) -> Scores | Refusal:
    if isinstance(given, Refusal):
        return given
    scores = _floats(given)
    if scores is None:
        raise fault(f"result {place} is {shortened(given)}")
    if size not in (None, len(scores)):
        raise fault(f"result {place} has {len(scores)} scores, not {size}")
    if not all(map(math.isfinite, scores)):
        return Refusal(NOT_FINITE)
    return given if isinstance(given, CombinedScores | UncertainScores) else scores


def _floats(given: object) -> Scores | None:
    values = as_list(given)
    if values is None or any(isinstance(value, str | bytes | bool) for value in values):
        return None
    try:
        return tuple(map(float, values))
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


def as_list(given: object) -> list[Any] | None:
    """The items of a list, an iterator, an array or a tensor; None for a text, a mapping, a set or a single value."""
    to_list = getattr(given, "tolist", None)
    items = to_list() if callable(to_list) else given
    if not isinstance(items, Iterable) or isinstance(items, str | bytes | Mapping | Set):
        return None
    return list(items)


def matched(problems: object, chains: object) -> tuple[list[Any], list[Any]]:
    """Problems and chains as two lists of one length.

    Raises:
        InputError: they differ in number, or are not lists.
    """
    asked, given = as_list(problems), as_list(chains)
    if asked is None or given is None or len(asked) != len(given):
        counts = f"{_counted(problems, asked, 'problems')} for {_counted(chains, given, 'chains')}"
        raise InputError(counts, "pass a list of chains, and one problem per chain")
    return asked, given


def _counted(given: object, items: list[Any] | None, noun: str) -> str:
    if items is not None:
        return f"{len(items)} {noun}"
    return "one text" if isinstance(given, str) else f"a {type(given).__name__} instead of {noun}"


def malformed(steps: object) -> Refusal | None:
    """The refusal of a chain that is not a list of texts; None for a well-formed chain."""
    if isinstance(steps, str):
        return Refusal(NOT_STEPS, f"one text instead of a list of steps: {steps[:40]!r}", "prm.split_steps(text)")
    if not isinstance(steps, Sequence):
        return Refusal(NOT_STEPS, f"a {type(steps).__name__} instead of a list of steps")
    faults = (_not_text(f"step {number}", step, NOT_STEPS) for number, step in enumerate(steps, start=1))
    return next(filter(None, faults), None)


def _not_text(what: str, value: object, reason: str) -> Refusal | None:
    """The refusal of a value that is not a text, or has half of a surrogate pair in it; None for a text."""
    if not isinstance(value, str):
        return Refusal(reason, f"{what} is a {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return Refusal(NOT_UNICODE, f"{what} has a lone surrogate, {value[error.start]!r}", "drop the chain")
    return None


def posed(problem: object) -> Asked | Refusal:
    """A problem as scorers take it, or its refusal.

    A record counts as its text, and a mapping as a `Message` with its `role` and `content`.
    """
    text = problem.text if isinstance(problem, Problem) else problem
    if isinstance(text, str):
        return _not_text("the problem", text, NOT_A_PROBLEM) or text
    messages = as_list(text)
    if not messages:
        what = f"a {type(text).__name__}" if messages is None else "no message"
        return Refusal(NOT_A_PROBLEM, f"{what} instead of a text or messages", "pass a text or a list of messages")
    turns = [_turn(number, message) for number, message in enumerate(messages, start=1)]
    refusal = next((turn for turn in turns if isinstance(turn, Refusal)), None)
    return refusal or [turn for turn in turns if isinstance(turn, Message)]


def _turn(number: int, given: object) -> Message | Refusal:
    parts = {"role": given.role, "content": given.content} if isinstance(given, Message) else given
    if not isinstance(parts, Mapping):
        return Refusal(NOT_A_PROBLEM, f"message {number} is a {type(given).__name__}", "give its role and content")
    fields: dict[str, Any] = {name: parts.get(name) for name in ("role", "content")}
    faults = (_not_text(f"the {name} of message {number}", value, NOT_A_PROBLEM) for name, value in fields.items())
    return next(filter(None, faults), None) or Message(**fields)


def score_chains(
    scorer: Scorer, chains: Iterable[Chain | Unreadable], problems: Mapping[str, Problem]
) -> Iterator[StepScores | Drop]:
    """Yield for each chain, in order, its scores or the reason it has none; a PRM gives one score per step.

    A chain is dropped if its problem is missing, it has no steps, or the scorer refuses it. Chains are read and scored
    in rounds of `CHAINS_A_ROUND`, so that many are in memory at once. A stream that starts at a round boundary gets the
    same scores as the whole stream gets from there. Raises as `checked_scores`.
    """
    remaining = iter(chains)
    while part := list(islice(remaining, CHAINS_A_ROUND)):
        usable = [c for c in part if not isinstance(c, Unreadable) and c.steps and c.problem_id in problems]
        texts = [problems[chain.problem_id].text for chain in usable]
        results = iter(checked_scores(scorer, texts, [chain.steps for chain in usable]))
        for chain in part:
            yield _unusable(chain, problems) or _recorded(chain, next(results), scorer.kind)


def _unusable(chain: Chain | Unreadable, problems: Mapping[str, Problem]) -> Drop | None:
    if isinstance(chain, Unreadable):
        return chain.drop
    if chain.problem_id not in problems:
        return Drop(chain.id, "its problem is missing")
    return None if chain.steps else Drop(chain.id, EMPTY)


def _recorded(chain: Any, result: Scores | Refusal, kind: ScoreKind) -> StepScores | Drop:
    if isinstance(result, Refusal):
        return Drop(chain.id, result.reason, result.detail)
    members = result.as_members() if isinstance(result, CombinedScores) else ()
    deviations = result.deviations if isinstance(result, UncertainScores) else ()
    return StepScores(chain.id, chain.problem_id, tuple(result), kind, members, deviations)
