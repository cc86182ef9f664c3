r"""Rewards for reinforcement learning: correctness, format, length, repetition, and parts of your own.

Each rule is a pure function; `RuleReward` weighs several and reports every part:

    >>> reward = RuleReward({"correct": 1.0, "boxed": 0.5})
    >>> reward(r"3 + 4 = 7, so \boxed{7}", "#### 7").total
    1.5

A part of your own is a function of many completions; a scorer becomes one as `prm.rl.ScorePart`:

    >>> def brevity(texts, golds, problems):
    ...     return [1 / (1 + len(text)) for text in texts]
    >>> reward = RuleReward({"correct": 1.0, "brevity": 0.5}, parts={"brevity": brevity})
    >>> reward("7", "7").parts
    {'correct': 1.0, 'brevity': 0.5}

Nothing here needs a tokenizer: lengths and token ids come from the caller.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .checkers import Checker, Named, checker_of, judge
from .checking import DEFAULT_TIMEOUT
from .extract import TAIL
from .verdict import Outcome, Verdict

PARTS = ("correct", "boxed", "steps", "think", "overlong", "repetition")
"""The parts of a reward that have a rule here; all but the first depend on the completion alone."""
Part = Callable[[Sequence[str], Sequence[str], Sequence[Any]], Sequence[float | None]]
"""A part of your own: from completions, gold answers and problems, of one length, to a number for each completion; None
where it has none."""

_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_VISIBLE = re.compile(r"[^\W_]")
_STEP_MARK = re.compile(r"\bStep \d+[:.]")


def correctness(verdict: Verdict, *, undecided: float | None = None, no_answer: float | None = 0.0) -> float | None:
    """1.0 for a correct answer, 0.0 for an incorrect one.

    Args:
        verdict: from `prm.verifiers.check`.
        undecided: the reward if the check ran out of time or failed; None = exclude the completion.
        no_answer: the reward if the prediction contains no answer; None = exclude the completion. The default is 0.0
            because a policy that can skip the answer at no cost learns to do so when it expects to be wrong.

    >>> from prm.verifiers import check
    >>> correctness(check("7", "7")), correctness(check("8", "7")), correctness(check("7", ""))
    (1.0, 0.0, None)
    """
    if verdict.is_decided:
        return float(verdict.is_correct)
    return no_answer if verdict.outcome is Outcome.NO_ANSWER else undecided


def boxed_format(text: str) -> float:
    r"""1.0 if the text ends in an answer in `\boxed{…}`, else 0.0.

    The box must be complete and not empty, and no line of text may follow the line in which it ends.

    >>> boxed_format(r"So $\boxed{\frac{1}{2}}$ dollars."), boxed_format("\\boxed{2}\nWait, let me check.")
    (1.0, 0.0)
    """
    tail = text[-TAIL:]
    start = tail.rfind(r"\boxed{")
    end = _closing_brace(tail, start + len(r"\boxed")) if start >= 0 else None
    if end is None or not tail[start + len(r"\boxed{") : end].strip():
        return 0.0
    later_lines = tail[end:].partition("\n")[2]
    return float(not _VISIBLE.search(later_lines))


def step_format(text: str, steps: int) -> float:
    r"""1.0 if the text has at least `steps` steps, else 0.0.

    Steps are the lines with a letter or digit, or the marks "Step 1:", "Step 2:" and so on, whichever are more.

    >>> step_format("2 + 2 = 4\n\nThe answer is 4", 2), step_format("Step 1: add. Step 2: done.", 3)
    (1.0, 0.0)
    """
    lines = sum(_VISIBLE.search(line) is not None for line in text.splitlines())
    return float(max(lines, len(_STEP_MARK.findall(text))) >= steps)


def think_format(text: str) -> float:
    """1.0 for `<think>…</think>` and then an answer, each tag once and neither part blank; else 0.0.

    The opening tag may be missing: some chat templates, such as DeepSeek-R1's, end the prompt with it.

    >>> think_format("<think>2 + 2</think>4"), think_format("<think>2 + 2</think>"), think_format("4")
    (1.0, 0.0, 0.0)
    """
    thought, closing, answer = text.partition("</think>")
    thought = thought.strip().removeprefix("<think>")
    has_more_tags = "<think>" in thought or "<think>" in answer or "</think>" in answer
    return float(bool(closing and thought.strip() and answer.strip()) and not has_more_tags)


def overlong_penalty(length: int, longest: int, cache: int) -> float:
    """DAPO's soft overlong penalty, in [-1, 0]: arXiv 2503.14476, section 3.4, equation 13.

    0 up to `longest - cache`, from there linear to -1 at `longest`, and -1 beyond.

    Args:
        length: length of the completion, from 0, in the same unit as the limits (tokens, in the paper).
        longest: L_max, from 0 (16,384 to 20,480 tokens in the paper).
        cache: L_cache, from 0 to `longest`: the range over which the penalty grows (4,096 tokens in the paper).

    Raises:
        ValueError: an argument is out of range.

    >>> [overlong_penalty(length, longest=100, cache=20) for length in (80, 90, 100, 500)]
    [0.0, -0.5, -1.0, -1.0]
    """
    if length < 0 or not 0 <= cache <= longest:
        raise ValueError(
            f"length must be from 0, and cache from 0 to longest, not length {length}, cache {cache}, longest {longest}"
        )
    if length <= longest - cache:
        return 0.0
    return -1.0 if length > longest else (longest - cache - length) / cache


def repetition_penalty(units: Sequence[Hashable], size: int = 3) -> float:
    """Minus the share of n-grams that occurred earlier in the same completion, in (-1, 0].

    This is the penalty of open-r1 and TRL (`get_repetition_penalty_reward`, whose defaults are n-grams of 3 and -1).
    Differs from: arXiv 2502.03373, appendix C.2, on which those are based, and which penalizes each repeated token
    separately; here the completion gets one number.

    Args:
        units: tokens or words of the completion.
        size: n, from 1.

    Returns:
        0.0 if nothing is repeated, or for a completion of fewer than n units.

    Raises:
        ValueError: `size` is below 1.

    >>> repetition_penalty([5, 5, 5, 5, 5], size=2), repetition_penalty("a b c d".split(), size=2)
    (-0.75, 0.0)
    """
    if size < 1:
        raise ValueError(f"the n-gram size must be at least 1, not {size}")
    grams = [tuple(units[i : i + size]) for i in range(len(units) - size + 1)]
    return len(set(grams)) / len(grams) - 1 if grams else 0.0


@dataclass(frozen=True, slots=True)
class Reward:
    """A reward and its parts."""

    total: float | None
    """Weighted sum of the parts; None if the completion is excluded."""
    parts: Mapping[str, float]
    """Each unweighted part by name; "correct" is missing if the completion is excluded."""
    verdict: Verdict | None
    """The verdict on the answer; None if "correct" is not a part."""
    refused: tuple[str, ...] = ()
    """The parts of your own that have no number for the completion, and got `RuleReward.refused`."""


@dataclass(frozen=True, slots=True)
class RuleReward:
    """A weighted sum of rules. Call an instance with a completion and its gold answer. It can be pickled, as its parts.

    Raises:
        ValueError: at construction, if weights, limits or the checker are invalid.

    >>> RuleReward({"correct": 1, "overlong": 1}, longest=10, cache=4, measured_in="text")("so it is 7", "7").parts
    {'correct': 1.0, 'overlong': -1.0}
    """

    weights: Mapping[str, float] = field(default_factory=lambda: {"correct": 1.0})
    """Finite weights, 0 or above (penalties are already negative); a rule without a weight is not computed."""
    parts: Mapping[str, Part] = field(default_factory=dict)
    """Parts of your own by name; each needs a weight."""
    refused: float = 0.0
    """The value of a part of your own that has no finite number for a completion, such as a scorer that refuses it."""
    undecided: float | None = None
    """See `correctness`."""
    no_answer: float | None = 0.0
    """See `correctness`."""
    steps: int = 2
    """For "steps": the number required."""
    longest: int = 0
    """For "overlong": L_max, above 0, in tokens or characters."""
    cache: int = 0
    """For "overlong": L_cache, from 0 to `longest`."""
    ngram: int = 3
    """For "repetition": n-gram size in tokens or words, from 1."""
    measured_in: Literal["tokens", "text"] = "tokens"
    """The units of "overlong" and "repetition": the token ids given with each completion, or characters and words."""
    timeout: float = DEFAULT_TIMEOUT
    """See `check`; a checker of another kind has its own limits."""
    checker: Named = "exact"
    """For "correct": see `prm.verifiers.checkers.checker_of`."""
    _judge: Checker = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Reject settings that would otherwise fail in the middle of training."""
        known = (*PARTS, *self.parts)
        unknown = [name for name in self.weights if name not in known]
        if unknown or not self.weights:
            raise ValueError(f"weights must name some of {', '.join(known)}, not {', '.join(unknown) or 'none'}")
        if misnamed := [name for name in self.parts if name in PARTS or name not in self.weights]:
            raise ValueError(f"parts of your own need weights, and other names than the rules: {', '.join(misnamed)}")
        if not math.isfinite(self.refused):
            raise ValueError(f"refused must be finite, not {self.refused}")
        wrong = {name: weight for name, weight in self.weights.items() if not 0 <= weight < math.inf}
        if wrong:
            raise ValueError(f"weights must be finite and at least 0, not {wrong}")
        if self.measured_in not in ("tokens", "text"):
            raise ValueError(f"measured_in must be 'tokens' or 'text', not {self.measured_in!r}")
        if "overlong" in self.weights and self.longest <= 0:
            raise ValueError("the part 'overlong' needs longest above 0")
        overlong_penalty(0, self.longest, self.cache)
        repetition_penalty([], self.ngram)
        object.__setattr__(self, "_judge", checker_of(self.checker, timeout=self.timeout))

    def __call__(self, text: str, gold: str, tokens: Sequence[int] | None = None, problem: Any = None) -> Reward:
        """Reward one completion; see `many`."""
        return self.many([text], [gold], [tokens], [problem])[0]

    def many(
        self,
        texts: Sequence[str],
        golds: Sequence[str],
        tokens: Sequence[Sequence[int] | None] | None = None,
        problems: Sequence[Any] | None = None,
    ) -> list[Reward]:
        """Reward completions, in order; parts of your own get them all at once.

        Args:
            texts: the completions.
            golds: the gold answer of each, as for `check`.
            tokens: token ids of each; unused if measured in text.
            problems: the problem of each, for a checker and for parts that look at it.

        Raises:
            ValueError: a part is measured in tokens, but none are given; the checker cannot be used; numbers differ; or
                a part does not give one number for each completion. What a part raises itself is not caught.
        """
        asked = [None] * len(texts) if problems is None else problems
        own = {name: list(part(texts, golds, asked)) for name, part in self.parts.items()} if texts else {}
        if wrong := {name: len(values) for name, values in own.items() if len(values) != len(texts)}:
            raise ValueError(f"{len(texts)} completions, but parts gave other numbers of values: {wrong}")
        rows = zip(texts, golds, tokens or [None] * len(texts), asked, strict=True)
        given = [{name: values[place] for name, values in own.items()} for place in range(len(texts))]
        return [self._one(*row, values) for row, values in zip(rows, given, strict=True)]

    def _one(
        self, text: str, gold: str, tokens: Sequence[int] | None, problem: Any, own: Mapping[str, float | None]
    ) -> Reward:
        numbers = {name: float(value) for name, value in own.items() if value is not None and math.isfinite(value)}
        refused = tuple(name for name in own if name not in numbers)
        forms = {name: self._form(name, text, tokens) for name in self.weights if name in PARTS[1:]}
        parts = {**forms, **{name: numbers.get(name, self.refused) for name in own}}
        if "correct" not in self.weights:
            return Reward(self._total(parts), parts, None, refused)
        verdict = judge(self._judge, text, gold, problem)
        value = correctness(verdict, undecided=self.undecided, no_answer=self.no_answer)
        if value is None:
            return Reward(None, parts, verdict, refused)
        parts = {"correct": value, **parts}
        return Reward(self._total(parts), parts, verdict, refused)

    def _total(self, parts: Mapping[str, float]) -> float:
        return sum(self.weights[name] * value for name, value in parts.items())

    def _form(self, name: str, text: str, tokens: Sequence[int] | None) -> float:
        match name:
            case "boxed":
                return boxed_format(text)
            case "steps":
                return step_format(text, self.steps)
            case "think":
                return think_format(text)
            case "overlong":
                return overlong_penalty(len(self._measured(text, tokens)), self.longest, self.cache)
            case _:
                return repetition_penalty(self._measured(text.lower().split(), tokens), self.ngram)

    def _measured(self, pieces: Sequence[str], tokens: Sequence[int] | None) -> Sequence[int] | Sequence[str]:
        if self.measured_in == "text":
            return pieces
        if tokens is None:
            raise ValueError("the parts 'overlong' and 'repetition' need token ids, or measured_in='text'")
        return tokens


def _closing_brace(text: str, opening: int) -> int | None:
    """The position of the brace that closes the one at `opening`, or None."""
    depth = 0
    for mark in _BRACE.finditer(text, opening):
        depth += {"{": 1, "}": -1}.get(mark[0], 0)
        if depth == 0:
            return mark.start()
    return None
