"""From two texts to a verdict: extraction, reading and comparison put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from verifiers.answers import Answer, read_answer
from verifiers.compare import Decide, compare
from verifiers.extract import bare_answer, extract_answer, last_number, marked_answer, single_line
from verifiers.parser import Node
from verifiers.symbolic import WORKER, Budget
from verifiers.verdict import Finding, Outcome, Verdict

DEFAULT_TIMEOUT = 2.0
"""Seconds of symbolic work allowed for one check."""
MAX_TIMEOUT = 86_400
_NO_ANSWER = Verdict(Outcome.NO_ANSWER, "no answer in the prediction", None)
_NO_GOLD = Verdict(Outcome.ERROR, "no answer in the gold", None)


def check(prediction: str, gold: str, *, timeout: float = DEFAULT_TIMEOUT) -> Verdict:
    r"""Say whether the answer in `prediction` equals the answer in `gold`.

    Args:
        prediction: A whole solution, or a bare answer.
        gold: A whole solution (with `#### 72` or `\boxed{72}`), or a bare answer.
        timeout: Seconds, above 0, that algebra may take; plain numbers take microseconds and are not timed.

    Returns:
        The verdict. No text makes this function raise: what cannot be decided is `error` or `timeout` with a reason.

    Raises:
        TypeError: one of the texts is no string.
        ValueError: `timeout` is not above 0, or above a day.

    >>> check("3 + 4 = 7\nThe answer is 7.", "#### 7").is_correct
    True
    >>> check("50%", r"\frac{1}{2}").reason
    'equal as a percentage'
    """
    if not (isinstance(prediction, str) and isinstance(gold, str)):
        raise TypeError(f"prediction and gold must be str, not {type(prediction).__name__} and {type(gold).__name__}")
    if not 0 < timeout <= MAX_TIMEOUT:
        raise ValueError(f"timeout must be above 0 and at most {MAX_TIMEOUT} seconds, not {timeout}")
    try:
        return _check(prediction, gold, timeout)
    except Exception as error:  # the boundary: a bug met by one text must not end a run, nor call an answer wrong
        return Verdict(Outcome.ERROR, f"the checker failed: {type(error).__name__}", None)


def check_many(pairs: Iterable[tuple[str, str]], *, timeout: float = DEFAULT_TIMEOUT) -> Iterator[Verdict]:
    """Check (prediction, gold) pairs: one verdict for each, in order, as they are asked for."""
    for prediction, gold in pairs:
        yield check(prediction, gold, timeout=timeout)


def gold_problem(gold: str) -> str | None:
    """Why a gold answer cannot be used, in one line; None if it can.

    An answer that is only text can be used: it is compared as text.

    >>> gold_problem("#### 72") is None, gold_problem(" ")
    (True, 'no answer in the gold')
    """
    answer = _read_gold(gold)
    if answer is None:
        return _NO_GOLD.reason
    return f"the gold answer is {answer.reason}" if answer.kind == "unusable" else None


def answer_key(text: str) -> str | None:
    r"""A key for grouping the votes of several solutions: equal keys mean equal answers; None for no answer.

    Numbers have one key whatever their spelling, without unit; a percentage has the key of its fraction. Expressions
    that are written differently keep different keys, even if algebra would find them equal.

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
        inner = ",".join(sorted(keys) if answer.brackets == "{}" else keys)
        return f"{answer.brackets or 'list'}:{inner}"
    if answer.node is not None:
        return _written(answer.node)
    return answer.words if answer.kind == "words" else answer.text


def _written(node: Node) -> str:
    return f"{node.op}{node.value}({','.join(map(_written, node.args))})" if node.args else node.value


def _check(prediction: str, gold: str, timeout: float) -> Verdict:
    gold_answer = _read_gold(gold)
    if gold_answer is None:
        return _NO_GOLD
    found = _find(prediction, gold_answer)
    if found is None:
        return _NO_ANSWER
    finding = compare(read_answer(found), gold_answer, _decide_within(timeout))
    return Verdict(finding.outcome, finding.reason, found)


@lru_cache(maxsize=4_096)
def _read_gold(gold: str) -> Answer | None:
    found = marked_answer(gold) or _whole_gold(gold)
    return None if found is None else read_answer(found)


def _whole_gold(gold: str) -> str | None:
    line = gold.strip()
    return line if line and "\n" not in line else extract_answer(gold)


def _find(prediction: str, gold: Answer) -> str | None:
    found = marked_answer(prediction) or bare_answer(prediction)
    if found is not None:
        return found
    line = single_line(prediction)
    if line is not None and (gold.kind == "words" or read_answer(line).text == gold.text != ""):
        return line
    return last_number(prediction) if gold.kind == "number" else None


def _decide_within(timeout: float) -> Decide:
    """A `decide` whose calls share `timeout` seconds, so that a long list gets no more than one expression."""
    budget = Budget(timeout)

    def decide(answer: Node, gold: Node) -> Finding:
        return WORKER.compare(answer, gold, budget)

    return decide
