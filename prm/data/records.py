"""The records that the stages exchange, linked by id. `prm.data.files` reads and writes them as JSONL.

    Problem ─sample→ Chain ─roll out, check→ StepLabels ─train→ checkpoint ─score→ StepScores ─rerank→ Choice

All are frozen and validated on creation: a record that exists is consistent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import pstdev
from typing import Any, Literal, get_args

Finish = Literal["stop", "length", "unknown"]
"""How a generated text ended: by itself, cut at the token limit, or unknown (text from elsewhere)."""

Known = Literal[
    "drawn", "later-success", "right-answer", "earlier-failure", "answer", "human", "given", "undecided", "none"
]
"""How a step's label is known. "drawn": by rollouts from it. "later-success": implied by a rollout that succeeded from
a later step. "right-answer": implied by the chain's own right answer. "earlier-failure": implied by failures from an
earlier step. "answer": the last step, by the chain's own answer. "human": by a person's rating. "given": by a file from
elsewhere, without counts. "undecided": not at all, since all its rollouts are undecided. "none": not at all."""

LabelView = Literal["hard", "soft", "pooled", "relative", "denoised", "progress"]
"""A view of step labels: a property of `StepLabels`."""
BOOLEAN_VIEWS = ("hard", "relative")
"""The views whose labels are true or false."""
TARGET_VIEWS = ("hard", "soft", "pooled", "relative", "denoised")
"""The views whose labels are in [0, 1]; the others are differences."""

Outcome = Literal["correct", "incorrect", "no_answer", "timeout", "error"]
"""Verdict on a final answer: the values of `prm.verifiers.Outcome`."""


def as_finish(reason: object) -> Finish:
    """How a text ended, as an engine or a file reports it; "unknown" for any value not listed above."""
    return reason if reason in get_args(Finish) else "unknown"  # type: ignore[return-value]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _all(values: Any, kind: type | tuple[type, ...]) -> bool:
    """Whether `values` is a tuple of such values. A bool does not count as a number, though Python says so."""
    return isinstance(values, tuple) and all(isinstance(v, kind) and not isinstance(v, bool) for v in values)


def _require_ids(**ids: str) -> None:
    for name, value in ids.items():
        _require(isinstance(value, str) and value != "", f"{name} must be a non-empty string")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    """Who speaks: "system", "user", "assistant", or another role of the chat template."""
    content: str
    """What is said."""


Asked = str | Sequence[Message]
"""A problem as posed to a model: a text, or the messages of a conversation."""


def texts_of(problem: Asked) -> list[str]:
    """The texts of a problem as posed: one, or that of each message."""
    return [problem] if isinstance(problem, str) else [message.content for message in problem]


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with its gold answer."""

    id: str
    """Unique in its file."""
    text: str
    """The question, as the model sees it. Not blank."""
    answer: str | None = None
    """Gold answer, as `prm.verifiers.check` takes it; None if unknown."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Anything else that came with it, untouched."""
    other_answers: tuple[str, ...] = ()
    """Further gold answers, each of them as right as `answer`."""

    def __post_init__(self) -> None:
        _require_ids(id=self.id)
        _require(isinstance(self.text, str) and self.text.strip() != "", "text must be a non-empty string")
        _require(self.answer is None or isinstance(self.answer, str), "answer must be a string or null")
        _require(_all(self.other_answers, str), "other_answers must be a list of strings")
        _require(self.answer is not None or not self.other_answers, "other_answers need an answer")

    @property
    def golds(self) -> tuple[str, ...]:
        """All gold answers; a solution is right if its answer equals one of them. Empty if none is known."""
        return () if self.answer is None else (self.answer, *self.other_answers)


@dataclass(frozen=True, slots=True)
class Chain:
    """One solution of a problem, in steps."""

    id: str
    """Unique in its file."""
    problem_id: str
    """Id of its problem."""
    steps: tuple[str, ...]
    """Parts of the text: joined, they are exactly the text, separators included. Empty for an empty solution."""
    finish: Finish = "unknown"
    """How its text ended."""
    origin: tuple[str, int, int] | None = None
    """For a chain that was grown from a rollout: the chain, the step (-1 for the problem) and the draw it came from. It
    has the steps of that chain up to this one."""

    def __post_init__(self) -> None:
        _require_ids(id=self.id, problem_id=self.problem_id)
        _require(self.origin is None or -1 <= self.origin[1] < len(self.steps), "origin must name a step that it has")
        _require(
            _all(self.steps, str) and all(s.strip() for s in self.steps), "steps must be strings that are not blank"
        )
        _require(self.finish in get_args(Finish), f"finish must be one of {get_args(Finish)}, not {self.finish!r}")

    @property
    def text(self) -> str:
        """The whole solution."""
        return "".join(self.steps)


@dataclass(frozen=True, slots=True)
class StepLabels:
    """For each step, counts of the rollouts from the prefix that ends with it; labels are views of the counts.

    All tuples have one entry per step. Rollouts whose answer could not be decided are counted apart and are not
    evidence.
    """

    chain_id: str
    problem_id: str
    right: tuple[int, ...]
    """Rollouts that reached the gold answer."""
    wrong: tuple[int, ...]
    """Rollouts that reached another answer."""
    undecided: tuple[int, ...]
    """Rollouts without an answer, cut before it by length, or whose check ran out of time."""
    known: tuple[Known, ...]
    """How each step's label is known."""
    outcome: Outcome
    """Verdict on the chain's own answer."""
    unchecked: tuple[bool | None, ...] | None = None
    """The earlier hard labels of a chain that was later drawn from every prefix to check them; None for all others."""
    given: tuple[bool | float | None, ...] | None = None
    """Labels from a file from elsewhere that has no counts of rollouts (all counts are 0 then): true or false, or the
    share of rollouts that succeed, in [0, 1]; None for a step without a label. None if the counts are the labels."""
    start: tuple[int, int, int] = (0, 0, 0)
    """Rollouts from the bare problem that were right, wrong and undecided."""

    def __post_init__(self) -> None:
        _require_ids(chain_id=self.chain_id, problem_id=self.problem_id)
        counts = (self.right, self.wrong, self.undecided)
        _require(all(_all(c, int) for c in counts), "right, wrong and undecided must be lists of whole numbers")
        _require(_all(self.known, str), f"known must be a list of {get_args(Known)}")
        _require(
            len({len(c) for c in (*counts, self.known)}) == 1,
            "right, wrong, undecided and known must have one entry per step",
        )
        _require(len(self.start) == 3, "start must hold three numbers")
        _require(all(n >= 0 for c in (*counts, self.start) for n in c), "counts must not be negative")
        _require(set(self.known) <= set(get_args(Known)), f"known must hold only {get_args(Known)}")
        _require(self.outcome in get_args(Outcome), f"outcome must be one of {get_args(Outcome)}")
        _require(
            self.unchecked is None or len(self.unchecked) == len(self.known), "unchecked must have one entry per step"
        )
        self._require_given()

    def _require_given(self) -> None:
        given = (None,) * len(self.known) if self.given is None else self.given
        _require(isinstance(given, tuple) and len(given) == len(self.known), "given must have one entry per step")
        shares = [value for value in given if value is not None]
        _require(
            all(isinstance(value, int | float) and 0 <= value <= 1 for value in shares),
            "given must hold only true, false, numbers in [0, 1] and null",
        )
        _require(
            all((value is not None) == (known == "given") for value, known in zip(given, self.known, strict=True)),
            "known must be 'given' where a label is given, and nowhere else",
        )
        _require(
            self.given is None or not any((*self.right, *self.wrong, *self.undecided)), "given labels have no counts"
        )

    @property
    def drawn(self) -> tuple[int, ...]:
        """Number of rollouts drawn from each step; 0 for a person's rating."""
        counts = zip(self.right, self.wrong, self.undecided, self.known, strict=True)
        return tuple(0 if known == "human" else r + w + u for r, w, u, known in counts)

    @property
    def hard(self) -> tuple[bool | None, ...]:
        """Hard estimate of each step (Math-Shepherd, arXiv 2312.08935, section 3): does any rollout succeed?

        Includes what that definition implies: a success from a step, or of the chain itself, is a success from every
        earlier step; if a step was tried and never succeeded, no later step can succeed (unless one did). A person's
        rating and a given label hold for their own step alone; a given share is a success if it is above 0. None if
        nothing decided is known about the step.
        """
        if self.given is not None:
            return tuple(None if value is None else value > 0 for value in self.given)
        reached = [r > 0 if r + w else None for r, w in zip(self.right, self.wrong, strict=True)]
        return tuple(reached) if "human" in self.known else self._closed(reached)

    def _closed(self, reached: Sequence[bool | None]) -> tuple[bool | None, ...]:
        """What is known of each step: all is well up to the last step that is, and nothing after a later failure."""
        last = len(reached) - 1
        last_success = last if self.outcome == "correct" else max((i for i, ok in enumerate(reached) if ok), default=-1)
        failures = [i for i, ok in enumerate(reached) if ok is False] + [last] * (self.outcome == "incorrect")
        first_failure = min((i for i in failures if i > last_success), default=len(reached))
        return tuple(True if i <= last_success else False if i >= first_failure else None for i in range(len(reached)))

    @property
    def soft(self) -> tuple[float | None, ...]:
        """Soft estimate of each step: the share of decided rollouts that succeed, in [0, 1] (ibid.).

        The last step has the value of the chain's own answer. None if no rollout was decided: an implied success, like
        a given true, says that the value is above 0, but not which.
        """
        if self.given is not None:
            return tuple(None if isinstance(value, bool | None) else float(value) for value in self.given)
        own = {"correct": 1.0, "incorrect": 0.0}.get(self.outcome)
        drawn = [r / (r + w) if r + w else None for r, w in zip(self.right, self.wrong, strict=True)]
        return tuple(own if known == "answer" else value for known, value in zip(self.known, drawn, strict=True))

    @property
    def pooled(self) -> tuple[float | None, ...]:
        """Soft estimate of each step, in [0, 1], that also uses the rollouts of the chain's other steps.

        Closer to the true value than `soft`, for the same rollouts. None where `soft` is None: the other steps give no
        label to a step without decided rollouts. Labels that were not drawn are those of `soft`.
        """
        if "drawn" not in self.known:
            return self.soft
        from prm.statistics.pooling import pooled_values

        views = zip(self.known, self.soft, pooled_values(self.right, self.wrong), strict=True)
        return tuple(pooled if known == "drawn" and soft is not None else soft for known, soft, pooled in views)

    @property
    def problem_value(self) -> float | None:
        """Share of the decided rollouts from the bare problem that succeed, in [0, 1]; None without any."""
        right, wrong, _ = self.start
        return right / (right + wrong) if right + wrong else None

    @property
    def relative(self) -> tuple[bool | None, ...]:
        """Whether each step keeps at least half of the value that the bare problem has, with the closure of `hard`.

        EpicPRM (arXiv 2503.02382), with the threshold of its published code; made for `--strategy epicprm`. A right
        chain needs no rollout. None where nothing is known; labels that were not drawn are those of `hard`.
        """
        if "drawn" not in self.known or self.outcome == "correct":
            return self.hard
        least = None if self.problem_value is None else self.problem_value / 2
        counts = zip(self.right, self.wrong, strict=True)
        return self._closed([None if least is None or not r + w else r >= max(least * (r + w), 1) for r, w in counts])

    @property
    def denoised(self) -> tuple[float | None, ...]:
        """Labels that allow for errors of the rollouts (SCAN, arXiv 2509.16548, and its published code), in [0, 1].

        1 up to the first wrong step (of `hard`), which is 0; the two steps before it get their share of successes,
        divided by that of the bare problem (at most 1), since rollouts mostly find an error too late. None after it,
        and for these two steps without rollouts from the bare problem.
        """
        error = next((i for i, ok in enumerate(self.hard) if ok is False), len(self.hard))
        known = [None if ok is None or i > error else float(ok) for i, ok in enumerate(self.hard)]
        if error < len(known):
            for i, share in list(enumerate(self.soft))[max(error - 2, 0) : error]:
                known[i] = None if share is None or not self.problem_value else min(1.0, share / self.problem_value)
        return tuple(known)

    @property
    def progress(self) -> tuple[float | None, ...]:
        """What each step adds to the value: its soft label minus that of the step before it, in [-1, 1].

        The advantage of a step (Rewarding Progress, arXiv 2410.08146, section 3), when the rollouts come from the
        prover. Before the first step stands the bare problem. None if one of the two has no decided rollout.
        """
        values = (self.problem_value, *self.soft)
        steps = pairwise(values)
        return tuple(None if before is None or after is None else after - before for before, after in steps)

    @property
    def evidence(self) -> tuple[int, ...]:
        """Number of decided rollouts behind each soft label.

        A person's rating and a given label count as one. The chain's own answer counts as many times as its most drawn
        step has decided rollouts: all rollouts from the end would say the same.
        """
        decided = [r + w for r, w in zip(self.right, self.wrong, strict=True)]
        most = max(decided, default=0)
        counts = zip(self.known, decided, strict=True)
        return tuple(max(most, 1) if known == "answer" else n or int(known == "given") for known, n in counts)

    def view(self, name: LabelView) -> tuple[bool | float | None, ...]:
        """The labels in this view."""
        found: tuple[bool | float | None, ...] = getattr(self, name)
        return found

    def thresholded(self, threshold: float = 0.0) -> tuple[bool | None, ...]:
        """Whether the soft estimate of each step is above `threshold`, in [0, 1); None where that is None.

        At 0, this is Math-Shepherd's hard estimate without what it implies. Other thresholds: The Lessons of Developing
        Process Reward Models in Mathematical Reasoning, arXiv 2501.07301.
        """
        return tuple(None if value is None else value > threshold for value in self.soft)

    def intervals(self, level: float = 0.95) -> tuple[tuple[float, float] | None, ...]:
        """Credible interval of each step's value, see `prm.statistics.intervals`; None if no rollout was decided."""
        from prm.statistics.intervals import credible_interval

        return tuple(
            credible_interval(r, w, level) if r + w else None for r, w in zip(self.right, self.wrong, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Rollout:
    """One continuation of a chain's prefix, with the verdict on its answer."""

    chain_id: str
    step: int
    """The prefix ends with this step, counted from 0; -1 for the bare problem."""
    draw: int
    """Number of the draw from that prefix, from 0. Its seed follows from the job's, the chain, the step and this."""
    text: str
    """The generated text, without the prefix."""
    tokens: int
    """Number of generated tokens."""
    finish: Finish
    """How it ended. A rollout cut at the token limit before it gave its answer is undecided."""
    outcome: Outcome
    """Verdict on its answer."""
    shared: bool = False
    """Whether it was drawn for another chain, with which this one shares the prefix."""

    def __post_init__(self) -> None:
        _require_ids(chain_id=self.chain_id)
        numbers = (self.step, self.draw, self.tokens)
        _require(_all(numbers, int) and min(numbers[1:]) >= 0, "step, draw and tokens must be whole numbers from 0")
        _require(self.step >= -1, "step must be a whole number from 0, or -1 for the bare problem")
        _require(isinstance(self.text, str), "text must be a string")
        _require(self.finish in get_args(Finish), f"finish must be one of {get_args(Finish)}, not {self.finish!r}")
        _require(self.outcome in get_args(Outcome), f"outcome must be one of {get_args(Outcome)}")


@dataclass(frozen=True, slots=True)
class MemberScores:
    """The scores of a chain by one member of an ensemble."""

    name: str
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class StepScores:
    """The scores of a chain. Higher is better."""

    chain_id: str
    problem_id: str
    scores: tuple[float, ...]
    """One per step for a PRM, mostly in [0, 1] (see docs/scoring.md); exactly one, any real number, for an ORM."""
    kind: Literal["prm", "orm"]
    """Whether `scores` are of steps or of the whole chain."""
    members: tuple[MemberScores, ...] = ()
    """The scores of each member of an ensemble; empty for a single scorer."""
    deviations: tuple[float, ...] = ()
    """Standard deviation of each score, by a model that states one; empty for all others."""

    def __post_init__(self) -> None:
        _require_ids(chain_id=self.chain_id, problem_id=self.problem_id)
        _require(
            all(len(member.scores) == len(self.scores) for member in self.members),
            "members must have as many scores as the chain",
        )
        _require(
            len(self.deviations) in (0, len(self.scores)) and all(d >= 0 for d in self.deviations),
            "deviations must be as many as the scores, and not negative",
        )
        _require(self.kind in ("prm", "orm"), f"kind must be 'prm' or 'orm', not {self.kind!r}")
        _require(_all(self.scores, (int, float)), "scores must be a list of numbers")
        _require(all(math.isfinite(s) for s in self.scores), "scores must be finite numbers")
        _require(self.kind == "prm" or len(self.scores) == 1, "an ORM gives exactly one score per chain")

    @property
    def by_member(self) -> dict[str, tuple[float, ...]]:
        """The scores of each member of an ensemble, by its name."""
        return {member.name: member.scores for member in self.members}

    @property
    def spread(self) -> tuple[float, ...]:
        """Standard deviation of each score: among the members, or as the model states it; 0 for any other scorer."""
        if not self.members:
            return self.deviations or (0.0,) * len(self.scores)
        return tuple(pstdev(column) for column in zip(*self.by_member.values(), strict=True))


@dataclass(frozen=True, slots=True)
class Choice:
    """The outcome of reranking the chains of one problem."""

    problem_id: str
    best: str
    """Text of the chosen solution."""
    index: int
    """Its position among the given solutions, from 0."""
    answer: str | None
    """Its extracted answer; None if it has none."""
    scores: tuple[float | None, ...]
    """Score of each solution, in the given order; None if the scorer refused it."""
    step_scores: tuple[tuple[float, ...], ...]
    """Step scores of each solution, in the given order; empty for a refused one."""
    refusals: tuple[str | None, ...] = ()
    """Why the scorer refused each solution, in the given order; None for one with a score."""
    read: int | None = None
    """How many solutions, from the first on, were looked at before the winner was settled; None for all."""
    generated: int | None = None
    """Of a search: tokens generated for the problem, given-up branches included."""
    scored: int | None = None
    """Of a search: tokens that the scorer read, see `prm.search.budget.Spending`."""


@dataclass(frozen=True, slots=True)
class Drop:
    """A row that a stage could not use."""

    id: str
    """Id of the chain or problem."""
    reason: str
    """One of a few fixed phrases, by which drops are counted."""
    detail: str = ""
    """Details."""
