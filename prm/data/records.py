"""The records that the stages exchange, linked by id. `prm.data.files` reads and writes each as JSONL.

    Problem ─sample→ Chain ─roll out, check→ StepLabels ─train→ checkpoint ─score→ StepScores ─rerank→ Choice

All are frozen and validated when made: a record that exists is consistent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Finish = Literal["stop", "length", "unknown"]
"""How a generated text ended: by itself, cut by a limit of tokens, or not known (text from elsewhere)."""

Known = Literal["drawn", "later-success", "right-answer", "earlier-failure", "answer", "human", "given", "none"]
"""How a step's label is known: by rollouts drawn from it; implied by a rollout that succeeded further on; implied by
the chain's own right answer; implied by failures further back; by the chain's own answer, which the last step is; by a
person's rating; given by a file from elsewhere, without counts; or not at all."""

LabelView = Literal["hard", "soft", "pooled"]
"""A view of step labels, by the name of its property in `StepLabels`."""

Outcome = Literal["correct", "incorrect", "no_answer", "timeout", "error"]
"""Verdict on a final answer; the values are those of `verifiers.Outcome`."""


def as_finish(reason: object) -> Finish:
    """How a text ended, from what an engine or a file says of it; "unknown" for all that is not known here."""
    return reason if reason in get_args(Finish) else "unknown"  # type: ignore[return-value]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _all(values: Any, kind: type | tuple[type, ...]) -> bool:
    """Whether `values` is a tuple of such values. A truth value is no number, though Python counts it as one."""
    return isinstance(values, tuple) and all(isinstance(v, kind) and not isinstance(v, bool) for v in values)


def _require_ids(**ids: str) -> None:
    for name, value in ids.items():
        _require(isinstance(value, str) and value != "", f"{name} must be a non-empty string")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    """Who speaks: "system", "user", "assistant", or whom else the chat template knows."""
    content: str
    """What is said."""


Asked = str | Sequence[Message]
"""A problem as a model is asked it: a text, or the messages of a conversation."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with its gold answer."""

    id: str
    """Unique in its file."""
    text: str
    """What is asked, as the model sees it. Not empty."""
    answer: str | None = None
    """Gold answer as `verifiers.check` takes it; None where it is not known."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else came with it, untouched."""

    def __post_init__(self) -> None:
        _require_ids(id=self.id)
        _require(isinstance(self.text, str) and self.text.strip() != "", "text must be a non-empty string")
        _require(self.answer is None or isinstance(self.answer, str), "answer must be a string or null")


@dataclass(frozen=True, slots=True)
class Chain:
    """One solution of a problem, in steps."""

    id: str
    """Unique in its file."""
    problem_id: str
    """Id of its problem."""
    steps: tuple[str, ...]
    """Parts of the text; joined they are the text exactly, separators included. Empty for an empty solution."""
    finish: Finish = "unknown"
    """How its text ended."""

    def __post_init__(self) -> None:
        _require_ids(id=self.id, problem_id=self.problem_id)
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
    """Counts of rollouts from the prefix that ends with each step; labels are views of them.

    All tuples have one entry a step. Rollouts whose answer could not be decided are counted apart and are no evidence.
    """

    chain_id: str
    problem_id: str
    right: tuple[int, ...]
    """Rollouts that reached the gold answer."""
    wrong: tuple[int, ...]
    """Rollouts that reached another answer."""
    undecided: tuple[int, ...]
    """Rollouts cut by length, without an answer, or whose check ran out of time."""
    known: tuple[Known, ...]
    """How each step's label is known."""
    outcome: Outcome
    """Verdict on the chain's own answer."""
    unchecked: tuple[bool | None, ...] | None = None
    """Where a chain was drawn from every prefix to check its labels: the hard labels before that. Else None."""
    given: tuple[bool | float | None, ...] | None = None
    """Labels of a file from elsewhere that says nothing of rollouts: true or false where it says no more, else the
    share that succeeds, in [0, 1]; None for a step without a label. The counts are 0 then. Else None."""

    def __post_init__(self) -> None:
        _require_ids(chain_id=self.chain_id, problem_id=self.problem_id)
        counts = (self.right, self.wrong, self.undecided)
        _require(all(_all(c, int) for c in counts), "right, wrong and undecided must be lists of whole numbers")
        _require(_all(self.known, str), f"known must be a list of {get_args(Known)}")
        _require(
            len({len(c) for c in (*counts, self.known)}) == 1,
            "right, wrong, undecided and known must have one entry per step",
        )
        _require(all(n >= 0 for c in counts for n in c), "right, wrong and undecided must not be negative")
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
            "known must be 'given' where there is a given label, and nowhere else",
        )
        _require(
            self.given is None or not any((*self.right, *self.wrong, *self.undecided)), "given labels have no counts"
        )

    @property
    def drawn(self) -> tuple[int, ...]:
        """Rollouts made from each step; a person's rating is none."""
        counts = zip(self.right, self.wrong, self.undecided, self.known, strict=True)
        return tuple(r + w + u if known == "drawn" else 0 for r, w, u, known in counts)

    @property
    def hard(self) -> tuple[bool | None, ...]:
        """Hard estimate of each step (Math-Shepherd, arXiv 2312.08935, section 3): does any rollout succeed?

        Closed under what follows from that definition: a success from a step, or of the chain itself, is a success
        from every step before it; where a step was tried and never succeeded, no step after it can (unless one did).
        A person's rating, and a label from elsewhere, stand for their own step alone; a given share is a success where
        it is above 0. None where nothing decided is known of a step.
        """
        if self.given is not None:
            return tuple(None if value is None else value > 0 for value in self.given)
        if "human" in self.known:
            return tuple(r > 0 if r + w else None for r, w in zip(self.right, self.wrong, strict=True))
        last_success = max((i for i, r in enumerate(self.right) if r), default=-1)
        last_success = len(self.right) - 1 if self.outcome == "correct" else last_success
        failures = [i for i, (r, w) in enumerate(zip(self.right, self.wrong, strict=True)) if w and not r]
        failures += [len(self.right) - 1] if self.outcome == "incorrect" else []
        first_failure = min((i for i in failures if i > last_success), default=len(self.right))
        return tuple(
            True if i <= last_success else False if i >= first_failure else None for i in range(len(self.right))
        )

    @property
    def soft(self) -> tuple[float | None, ...]:
        """Soft estimate of each step: the share of decided rollouts that succeed, in [0, 1] (ibid.).

        The last step has the value of the chain's own answer. None where no rollout was decided: an implied success
        says that a value is above 0, not what it is, and so does a plain true from elsewhere.
        """
        if self.given is not None:
            return tuple(None if isinstance(value, bool | None) else float(value) for value in self.given)
        own = {"correct": 1.0, "incorrect": 0.0}.get(self.outcome)
        drawn = [r / (r + w) if r + w else None for r, w in zip(self.right, self.wrong, strict=True)]
        return tuple(own if known == "answer" else value for known, value in zip(self.known, drawn, strict=True))

    @property
    def pooled(self) -> tuple[float | None, ...]:
        """Soft estimate of each step, in [0, 1], from the rollouts of the chain's other steps too.

        Nearer to the true value than `soft` for the same rollouts. None where `soft` is: a step from which no rollout
        was decided gets no label from the others. What was not drawn stands as in `soft`.
        """
        if "drawn" not in self.known:
            return self.soft
        from prm.statistics.pooling import pooled_values

        views = zip(self.known, self.soft, pooled_values(self.right, self.wrong), strict=True)
        return tuple(pooled if known == "drawn" and soft is not None else soft for known, soft, pooled in views)

    @property
    def evidence(self) -> tuple[int, ...]:
        """How many decided rollouts stand behind each soft label.

        A person's rating and a label from elsewhere count as one. The chain's own answer counts as often as the most
        drawn of its steps: all rollouts from there would say the same.
        """
        decided = [r + w for r, w in zip(self.right, self.wrong, strict=True)]
        most = max(decided, default=0)
        counts = zip(self.known, decided, strict=True)
        return tuple(max(most, 1) if known == "answer" else n or int(known == "given") for known, n in counts)

    def view(self, name: LabelView) -> tuple[bool | float | None, ...]:
        """The labels in one of these views."""
        return {"hard": self.hard, "soft": self.soft, "pooled": self.pooled}[name]

    def thresholded(self, threshold: float = 0.0) -> tuple[bool | None, ...]:
        """Whether the soft estimate of each step is above `threshold`, in [0, 1); None where there is none.

        At 0 it is the hard estimate of Math-Shepherd without any closure. Other thresholds: The Lessons of Developing
        Process Reward Models in Mathematical Reasoning, arXiv 2501.07301.
        """
        return tuple(None if value is None else value > threshold for value in self.soft)

    def intervals(self, level: float = 0.95) -> tuple[tuple[float, float] | None, ...]:
        """Credible interval of each step's value, see `prm.statistics.intervals`; None where no rollout was decided."""
        from prm.statistics.intervals import credible_interval

        return tuple(
            credible_interval(r, w, level) if r + w else None for r, w in zip(self.right, self.wrong, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Rollout:
    """One continuation of a chain's prefix, with the verdict on its answer."""

    chain_id: str
    step: int
    """The prefix ends with this step, counted from 0."""
    draw: int
    """Which draw from that prefix, counted from 0. Its seed follows from the job's, the chain, the step and this."""
    text: str
    """What was generated; not the prefix."""
    tokens: int
    """How many were generated."""
    finish: Finish
    """How it ended. One cut by length is undecided whatever it says."""
    outcome: Outcome
    """Verdict on its answer."""

    def __post_init__(self) -> None:
        _require_ids(chain_id=self.chain_id)
        numbers = (self.step, self.draw, self.tokens)
        _require(_all(numbers, int) and min(numbers) >= 0, "step, draw and tokens must be whole numbers from 0")
        _require(isinstance(self.text, str), "text must be a string")
        _require(self.finish in get_args(Finish), f"finish must be one of {get_args(Finish)}, not {self.finish!r}")
        _require(self.outcome in get_args(Outcome), f"outcome must be one of {get_args(Outcome)}")


@dataclass(frozen=True, slots=True)
class StepScores:
    """What a scorer says of a chain. Higher is better."""

    chain_id: str
    problem_id: str
    scores: tuple[float, ...]
    """One score a step for a PRM, mostly in [0, 1] (see docs/scoring.md); exactly one, of any size, for an ORM."""
    kind: Literal["prm", "orm"]
    """Whether `scores` belong to steps or to the whole chain."""

    def __post_init__(self) -> None:
        _require_ids(chain_id=self.chain_id, problem_id=self.problem_id)
        _require(self.kind in ("prm", "orm"), f"kind must be 'prm' or 'orm', not {self.kind!r}")
        _require(_all(self.scores, (int, float)), "scores must be a list of numbers")
        _require(all(math.isfinite(s) for s in self.scores), "scores must be finite numbers")
        _require(self.kind == "prm" or len(self.scores) == 1, "an ORM gives exactly one score a chain")


@dataclass(frozen=True, slots=True)
class Choice:
    """The outcome of reranking the chains of one problem."""

    problem_id: str
    best: str
    """Text of the chosen solution."""
    index: int
    """Its place among the solutions given, from 0."""
    answer: str | None
    """Its extracted answer; None where it has none."""
    scores: tuple[float | None, ...]
    """Score of each solution, in the order given; None for one that the scorer refused."""
    step_scores: tuple[tuple[float, ...], ...]
    """Scores of each solution's steps, in the order given; none for a refused one."""
    refusals: tuple[str | None, ...] = ()
    """Why the scorer refused a solution, in the order given; None for one with a score."""


@dataclass(frozen=True, slots=True)
class Drop:
    """A row that a stage could not use."""

    id: str
    """Of the chain or problem."""
    reason: str
    """One of a few fixed phrases."""
    detail: str = ""
    """Says more."""
