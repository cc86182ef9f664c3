"""From two texts to a verdict: extraction, reading and comparison combined."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from threading import Semaphore
from typing import NamedTuple, ParamSpec, TypeVar

from .comparison import Decide, choice_letter, choice_letters, compare
from .expressions.symbolic import WORKER, Budget
from .expressions.tree import Node
from .extract import (
    MAX_LINES,
    bare_answer,
    before_end,
    extract_answer,
    is_left_empty,
    last_math,
    marked_answer,
    marked_choice,
    single_line,
    without_thought,
)
from .policy import DEFAULT, Policy
from .prose import last_number, last_statement
from .reading.answers import NOTHING, Answer, read_answer
from .reading.normalize import undoubled
from .verdict import Finding, Outcome, Verdict

DEFAULT_TIMEOUT = 2.0
"""Seconds of symbolic work allowed for one check."""
MAX_TIMEOUT = 86_400
LOOK_AHEAD = 1_000
"""Most pairs that `check_many` reads ahead of the verdict it yields."""
_P = ParamSpec("_P")
_T = TypeVar("_T")
_MATHEMATICS = re.compile(r"\\[A-Za-z]|[=<>^_]|\d.*[A-Za-z]{3}.*\d")
_PLAIN_TEXT = re.compile(r"\\text(?=\{)")
_NO_ANSWER = Verdict(Outcome.NO_ANSWER, "no answer in the prediction", None)
_NO_GOLD = Verdict(Outcome.ERROR, "no answer in the gold", None)


def check(prediction: str, gold: str, *, policy: Policy = DEFAULT, timeout: float = DEFAULT_TIMEOUT) -> Verdict:
    r"""Say whether the answer in `prediction` equals the answer in `gold`.

    Args:
        prediction: A whole solution, or a bare answer.
        gold: A whole solution (with `#### 72` or `\boxed{72}`), or a bare answer.
        policy: What counts as the same answer where people differ; see `Policy` and `PRESETS`.
        timeout: Seconds, above 0, that algebra may take. Plain numbers take microseconds and are not timed.

    Returns:
        The verdict. No text makes this function raise: undecided pairs are `error` or `timeout`, with a reason.

    Raises:
        TypeError: one of the texts is not a string.
        ValueError: `timeout` is not above 0, or above a day.

    >>> check("3 + 4 = 7\nThe answer is 7.", "#### 7").is_correct
    True
    >>> check("50%", r"\frac{1}{2}").reason
    'equal as a percentage'
    """
    _require_texts(prediction, gold)
    _require_timeout(timeout)
    question = _guarded(_read, prediction, gold, policy)
    return question if isinstance(question, Verdict) else _answered(question, Budget(timeout))


async def check_async(
    prediction: str, gold: str, *, policy: Policy = DEFAULT, timeout: float = DEFAULT_TIMEOUT
) -> Verdict:
    """`check` for coroutines: other tasks run during the algebra, and canceling the coroutine ends the algebra.

    Any number may be awaited at once. Those that need algebra wait for a free worker; waiting uses none of their time.

    Raises:
        TypeError: one of the texts is not a string.
        ValueError: `timeout` is not above 0, or above a day.
    """
    import asyncio  # slow to import, and already loaded wherever a coroutine runs

    _require_texts(prediction, gold)
    _require_timeout(timeout)
    await asyncio.sleep(0)  # a long run of plain numbers must give other tasks a turn
    begun = _begin(prediction, gold, policy, timeout)
    if isinstance(begun, Verdict):
        return begun
    try:
        return await asyncio.wrap_future(begun.future)
    finally:
        begun.cancel()


def check_many(
    pairs: Iterable[tuple[str, str]],
    *,
    policy: Policy = DEFAULT,
    timeout: float = DEFAULT_TIMEOUT,
    workers: int | None = None,
) -> Iterator[Verdict]:
    """Check (prediction, gold) pairs: one verdict for each, in order; the stream may be endless.

    While one pair needs algebra, later pairs are started: up to `LOOK_AHEAD` of them are read, in the thread that asks
    for verdicts. An error raised by `pairs` is raised after the verdicts on the pairs before it.

    Args:
        pairs: (prediction, gold), each a whole solution or a bare answer.
        policy: See `check`.
        timeout: Seconds, above 0, that algebra may take for one pair.
        workers: Number of pairs to run algebra on at the same time, from 1; None for one per processor, up to eight.
            With 1, no pair is read before its verdict is asked for.

    Raises:
        TypeError: one of the texts is not a string; raised at its place in the stream.
        ValueError: `timeout` is not above 0, or above a day; `workers` is below 1.

    >>> [verdict.is_correct for verdict in check_many([("7", "7"), ("7", "8")])]
    [True, False]
    """
    _require_timeout(timeout)
    workers = WORKER.size if workers is None else workers
    if workers < 1:
        raise ValueError(f"workers must be at least 1, not {workers}")
    if workers == 1:
        return (check(prediction, gold, policy=policy, timeout=timeout) for prediction, gold in pairs)
    return _in_order(_begin_each(pairs, policy, timeout, Semaphore(workers)))


def gold_problem(gold: str) -> str | None:
    """Why a gold answer cannot be used, in one line; None if it can.

    An audit of what the reader makes of it, not of whether it equals itself: a gold that cannot be read is equal to the
    same text alone. An answer of words can be used, for it is compared as text, but not words with mathematics in them.

    >>> gold_problem("#### 72") is None, gold_problem(" ")
    (True, 'no answer in the gold')
    >>> gold_problem("an ellipse") is None, gold_problem("5, see above")
    (True, 'a part of the gold answer, "see above", cannot be read: it is words')
    """
    answer = _read_gold(gold)
    return _NO_GOLD.reason if answer is None else _trouble(answer, "the gold answer")


def _trouble(answer: Answer, what: str) -> str | None:
    """What the reader cannot read in an answer."""
    if answer.kind == "unusable":
        return f"{what} is {answer.reason}"
    if answer.kind == "unread":
        return f"{what} cannot be read: {answer.reason}"
    if answer.kind == "words" and _MATHEMATICS.search(_PLAIN_TEXT.sub("", answer.text)) and answer.words != NOTHING:
        return f"{what} is read as words, which only the same words equal"
    parts = (
        f'a part of {what}, "{item.text}", cannot be read: {item.reason or "it is words"}'
        for item in answer.items
        if item.kind in ("unread", "words", "unusable") and choice_letter(item) is None
    )
    return next(parts, None)


def answer_key(text: str) -> str | None:
    r"""A key for grouping the votes of several solutions: equal keys mean equal answers; None for no answer.

    The key of a number ignores its spelling and unit; a percentage has the key of its fraction. Expressions written
    differently have different keys, even if algebra would find them equal.

    >>> {answer_key(text) for text in ("0.5", "1/2", r"\frac{1}{2}", r"50\%", "x = .50")}
    {'1/2'}
    """
    found = extract_answer(text)
    if found is None:
        return None
    answer = read_answer(found)
    return None if answer.kind == "unusable" else _key(answer)


def _key(answer: Answer) -> str:
    if answer.value is not None:
        base = f"{answer.unit}:" if answer.unit.startswith("base ") else ""
        return base + str(answer.value / 100 if answer.unit == "%" else answer.value)
    if answer.kind == "list":
        keys = [_key(item) for item in answer.items]
        is_ordered = answer.brackets not in ("", "{}")
        return f"{answer.brackets if is_ordered else 'set'}:{','.join(keys if is_ordered else sorted(keys))}"
    if answer.node is not None:
        return _written(answer.node)
    return answer.words if answer.kind == "words" else answer.text


def _written(node: Node) -> str:
    return f"{node.op}{node.value}({','.join(map(_written, node.args))})" if node.args else node.value


def _require_texts(prediction: str, gold: str) -> None:
    if not (isinstance(prediction, str) and isinstance(gold, str)):
        raise TypeError(f"prediction and gold must be str, not {type(prediction).__name__} and {type(gold).__name__}")


def _require_timeout(timeout: float) -> None:
    if not 0 < timeout <= MAX_TIMEOUT:
        raise ValueError(f"timeout must be above 0 and at most {MAX_TIMEOUT} seconds, not {timeout}")


class _Question(NamedTuple):
    """A prediction's answer and the gold answer, read and ready to be compared."""

    found: str
    """The answer as written in the prediction."""
    answer: Answer
    gold: Answer
    policy: Policy


def _guarded(step: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T | Verdict:
    try:
        return step(*args, **kwargs)
    except Exception as error:  # the boundary: a bug on one text must not end a run or make an answer wrong
        return Verdict(Outcome.ERROR, f"the checker failed: {type(error).__name__}", None)


def _read(prediction: str, gold: str, policy: Policy) -> _Question | Verdict:
    """The question, or the verdict if there is nothing to compare."""
    gold_answer = _read_gold(gold)
    if gold_answer is None:
        return _NO_GOLD
    found = _find(prediction, gold_answer, policy)
    if gold_answer.kind != "unusable" and prediction.strip() == gold.strip():
        return Verdict(Outcome.CORRECT, "same text", found or prediction.strip())
    if found is None:
        return _NO_ANSWER
    return _Question(found, read_answer(found), gold_answer, policy)


def _answered(question: _Question, budget: Budget) -> Verdict:
    return _guarded(_compare, question, _decide_within(budget))


def _compare(question: _Question, decide: Decide) -> Verdict:
    finding = compare(question.answer, question.gold, decide, question.policy)
    return Verdict(finding.outcome, finding.reason, question.found)


@lru_cache(maxsize=4_096)
def _read_gold(gold: str) -> Answer | None:
    gold = undoubled(gold)
    found = marked_answer(gold) or _whole_gold(gold)
    return None if found is None else read_answer(found)


def _whole_gold(gold: str) -> str | None:
    """A gold without a marker is taken whole; several lines are a list, if each of them is an answer."""
    lines = [line.strip() for line in gold.strip().split("\n") if line.strip()]
    if len(lines) < 2 or r"\begin" in gold:
        return " ".join(lines) or None
    is_list = len(lines) <= MAX_LINES and all(map(bare_answer, lines))
    return (", " if is_list else " ").join(line.rstrip(" ,;.") for line in lines)


def _find(text: str, gold: Answer, policy: Policy) -> str | None:
    prediction = before_end(without_thought(text))
    if is_left_empty(prediction):
        return None
    if choice_letters(gold) and (letters := marked_choice(prediction, is_lenient=policy.choice)):
        return letters
    found = marked_answer(prediction, policy.boxes) or bare_answer(prediction)
    if found is not None:
        return found
    line = single_line(prediction)
    if line is not None and (gold.kind == "words" or read_answer(line).text == gold.text != ""):
        return line
    if policy.marked_only or gold.kind in ("words", "unread", "unusable"):
        return None
    if gold.kind == "number":
        if number := last_number(prediction):
            return number
        math = last_math(prediction)
        return None if math is None or math.isdigit() else math
    return last_math(prediction) or last_statement(prediction)


def _decide_within(budget: Budget) -> Decide:
    """A `decide` whose calls share one budget, so that a long list gets no more time than a single expression."""

    def decide(answer: Node, gold: Node) -> Finding:
        return WORKER.compare(answer, gold, budget)

    return decide


# Many at once.


@dataclass(frozen=True, slots=True)
class _Running:
    """A check that is running in a thread."""

    future: Future[Verdict]
    budget: Budget

    def cancel(self) -> None:
        """Stop the check unless it is done."""
        if not self.future.done() and not self.future.cancel():
            WORKER.cancel(self.budget)


def _begin(
    prediction: str, gold: str, policy: Policy, timeout: float, slots: Semaphore | None = None
) -> Verdict | _Running:
    """The verdict if it needs no algebra; else a check running in a thread, started once there is a slot."""
    question = _guarded(_read, prediction, gold, policy)
    if isinstance(question, Verdict):
        return question
    verdict = _guarded(_without_algebra, question)
    if verdict is not None:
        return verdict
    if slots is not None:
        slots.acquire()
    budget = Budget(timeout)
    future = WORKER.threads.submit(_answered, question, budget)
    if slots is not None:
        future.add_done_callback(lambda _: slots.release())
    return _Running(future, budget)


class _NeedsAlgebraError(Exception):
    """The comparison has reached the first pair of trees that only algebra can decide."""


def _without_algebra(question: _Question) -> Verdict | None:
    """The verdict, or None as soon as it turns out to need algebra."""
    try:
        return _compare(question, _refuse)
    except _NeedsAlgebraError:
        return None


def _refuse(_answer: Node, _gold: Node) -> Finding:
    raise _NeedsAlgebraError


def _begin_each(
    pairs: Iterable[tuple[str, str]], policy: Policy, timeout: float, slots: Semaphore
) -> Iterator[Verdict | _Running | Exception]:
    try:
        for prediction, gold in pairs:
            _require_texts(prediction, gold)
            yield _begin(prediction, gold, policy, timeout, slots)
    except Exception as error:  # raised at its place in the stream, after the verdicts still to come
        yield error


def _in_order(checks: Iterator[Verdict | _Running | Exception]) -> Iterator[Verdict]:
    begun: deque[Verdict | _Running | Exception] = deque()
    try:
        for check in checks:
            begun.append(check)
            while begun and (len(begun) > LOOK_AHEAD or _is_done(begun[0])):
                yield _wait(begun[0])
                begun.popleft()
        while begun:
            yield _wait(begun[0])
            begun.popleft()
    finally:
        for check in begun:
            if isinstance(check, _Running):
                check.cancel()


def _is_done(check: Verdict | _Running | Exception) -> bool:
    return not isinstance(check, _Running) or check.future.done()


def _wait(check: Verdict | _Running | Exception) -> Verdict:
    if isinstance(check, Exception):
        raise check
    return check.future.result() if isinstance(check, _Running) else check
