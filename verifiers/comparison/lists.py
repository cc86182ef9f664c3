"""Lists: tuples, sets, matrices, ratios, and the items of an answer without brackets."""

from __future__ import annotations

import re

from ..expressions.tree import Node, fold
from ..reading.answers import Answer
from ..verdict import Finding, Outcome
from .renaming import COUNTERS, names_of
from .rules import EACH, OTHER_ITEM, Judge, Rule, all_of, correct, first_finding, incorrect, undecided, unmatched

_UNORDERED = frozenset({"", "{}"})
_STATEMENTS = re.compile(r"(?:\(\d\)){2,}")
"""Numbers of statements side by side, `(1)(3)`, which reads as a product."""
_TUPLES = frozenset({"", "()", "[]"})


def compare_lists(answer: Answer, gold: Answer, judge: Judge) -> Finding:
    """For a list against any answer that can be read."""
    return first_finding(_RULES, answer, gold, judge)


def _compare_ratio(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    """`1:2` against `1/2`; two readings of `2:30` as a time and as a ratio."""
    if ":" not in (answer.brackets, gold.brackets):
        return None
    if answer.brackets == gold.brackets:
        if {answer.family, gold.family} != {"clock"} or answer.label or gold.label:
            return None
        is_ratio = all_of(judge.of(*pair) for pair in zip(answer.items, gold.items, strict=False)) == EACH
        return undecided("times of day, or equal ratios") if is_ratio else incorrect("different times or ratios")
    numbers = [_quotient(side) if side.brackets == ":" else side for side in (answer, gold)]
    if numbers[0] is None or numbers[1] is None or numbers[0].kind == "list" or numbers[1].kind == "list":
        return undecided("a ratio against something else")
    return judge.of(numbers[0], numbers[1])


def _quotient(ratio: Answer) -> Answer | None:
    """The number that a ratio of two parts is."""
    if len(ratio.items) != 2 or not ratio.items[1].value:
        return None
    value = 1 / ratio.items[1].value
    return Answer("number", str(value), value=value, label=ratio.label)


def _compare_choose(answer: Answer, gold: Answer, _judge: Judge) -> Finding | None:
    """`C(5, 2)`, read as a point, against the number of choices."""
    point, other = (answer, gold) if answer.kind == "list" else (gold, answer)
    values = [item.value for item in point.items]
    if point.label != "C" or other.value is None or len(values) != 2 or None in values or other.kind == "list":
        return None
    chosen = fold(Node("binom", args=tuple(Node("num", str(value)) for value in values)))
    return (
        correct("the same number of choices") if chosen == other.value else undecided("a point, or a number of choices")
    )


def _compare_set_of_one(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    r"""`\{5\}` against `5`."""
    if answer.kind == gold.kind:
        return None
    alone = answer if answer.kind == "list" else gold
    if alone.brackets != "{}" or len(alone.items) != 1:
        return None
    (item,) = alone.items
    if item.kind == "list":
        return undecided("a set within a set")
    return judge.of(item, gold) if alone is answer else judge.of(answer, item)


def _compare_repeated(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    """`1/2, 0.5` against `1/2`."""
    if answer.kind == gold.kind or answer.kind != "list" or answer.brackets:
        return None
    is_equal = all_of(judge.of(item, gold) for item in answer.items) == EACH
    return correct("the same answer, written more than once") if is_equal else None


def _refuse_single(answer: Answer, gold: Answer, _judge: Judge) -> Finding | None:
    """For a list against a single answer: undecided where a comma may be none, or a formula may stand for many."""
    if answer.kind == gold.kind:
        return None
    alone, other = (answer, gold) if answer.kind == "list" else (gold, answer)
    if other.written and alone.text.replace(",", ".") == other.written:
        reason = "the same number, with a decimal comma"
        is_sure = alone is answer or alone.text.lstrip("-").startswith("0,")
        return correct(reason) if is_sure else undecided("a list, or a number with a decimal comma")
    if _STATEMENTS.fullmatch(other.text) and alone.brackets == "":
        is_same = re.findall(r"\d", other.text) == sorted(str(item.value) for item in alone.items)
        return correct("the same statements") if is_same else undecided("numbered statements")
    if ",".join(item.text for item in alone.items) == other.text:
        return undecided("a list, or a number with a separator")
    is_decimal = re.fullmatch(r"-?\d+,\d+", alone.text) is not None
    is_formula = other.kind not in ("number", "expression") or bool(names_of(other) & COUNTERS)
    unclear = is_decimal or _has_unread_items(answer) or _has_unread_items(gold) or is_formula
    reason = "only one of the answers is a list"
    return undecided(reason) if unclear else incorrect(reason)


def _refuse_other_length(answer: Answer, gold: Answer, _judge: Judge) -> Finding | None:
    if len(answer.items) == len(gold.items) or "U" in (answer.brackets, gold.brackets):
        return None
    is_family = bool((names_of(answer) | names_of(gold)) & COUNTERS) and {answer.brackets, gold.brackets} <= _UNORDERED
    unclear = _has_unread_items(answer) or _has_unread_items(gold) or is_family
    reason = "different numbers of items"
    return undecided(reason) if unclear else incorrect(reason)


def _compare_unions(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    """For unions that are no sets of numbers: equal if their parts match."""
    if "U" not in (answer.brackets, gold.brackets):
        return None
    if answer.brackets == gold.brackets and len(answer.items) == len(gold.items):
        finding = _in_any_order(answer, gold, judge)
        are_apart = all(item.brackets in ("()", "{}") for item in (*answer.items, *gold.items))
        if finding.outcome is not Outcome.INCORRECT or are_apart:
            return finding
    return undecided("unions that do not match piece by piece")


def _compare_unordered(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    answer, gold = _with_labels(answer, gold), _with_labels(gold, answer)
    return _in_any_order(answer, gold, judge) if {answer.brackets, gold.brackets} <= _UNORDERED else None


def _with_labels(answer: Answer, other: Answer) -> Answer:
    """`(f(n), g(n)) = (n, 1)` as `f(n) = n, g(n) = 1`, if the other side is written that way."""
    parts = tuple_labels(answer)
    if len(parts) != len(answer.items) or answer.brackets != "()" or other.brackets or not other.items[0].label:
        return answer
    items = [item._replace(label=part) for item, part in zip(answer.items, parts, strict=True)]
    return answer._replace(items=tuple(items), brackets="", label="")


def tuple_labels(answer: Answer) -> list[str]:
    """The labels of a tuple's items: x and y for `(x, y) = (1, 2)`; none without a label."""
    is_tuple = answer.label.startswith("(") and answer.label.endswith(")")
    return re.findall(r"[^,(]+(?:\([^()]*\))?", answer.label[1:-1]) if is_tuple else []


def _compare_ordered(answer: Answer, gold: Answer, judge: Judge) -> Finding:
    kinds = {answer.brackets, gold.brackets}
    answer, gold = _by_label(answer, gold), _by_label(gold, answer)
    finding = all_of(judge.of(mine, theirs) for mine, theirs in zip(answer.items, gold.items, strict=True))
    labels = tuple_labels(answer) or tuple_labels(gold)
    if labels in (["y", "x"], ["z", "y", "x"]) and bool(answer.label) is not bool(gold.label):
        return undecided("a tuple in an order of its own")
    if len(kinds) == 1:
        return finding
    is_tuple = kinds == {"", "()"} or (kinds <= _TUPLES and len(answer.items) > 2) or _are_vectors(answer, gold)
    if finding.outcome is Outcome.CORRECT:
        return finding if is_tuple else _brackets_differ(answer, gold)
    if (
        "" in kinds
        and finding.outcome is Outcome.INCORRECT
        and _in_any_order(answer, gold, judge).outcome is Outcome.CORRECT
    ):
        return undecided("the same items in another order, which brackets may fix")
    return finding


def _by_label(answer: Answer, other: Answer) -> Answer:
    """Labeled items without brackets, sorted by label for comparison with a tuple; else unchanged."""
    is_named = answer.brackets == "" != other.brackets and all(len(item.label) == 1 for item in answer.items)
    return answer._replace(items=tuple(sorted(answer.items, key=lambda item: item.label))) if is_named else answer


def _are_vectors(answer: Answer, gold: Answer) -> bool:
    """Whether one is a tuple and the other a matrix of one row or column."""
    shape = f"matrix {len(gold.items)}x1", f"matrix 1x{len(gold.items)}"
    return bool({"()", "[]"} & {answer.brackets, gold.brackets}) and (
        answer.brackets in shape or gold.brackets in shape
    )


def _has_unread_items(answer: Answer) -> bool:
    return any(item.kind in ("unread", "words") for item in answer.items)


def _brackets_differ(answer: Answer, gold: Answer) -> Finding:
    both = answer.brackets and gold.brackets
    return Finding(Outcome.INCORRECT if both else Outcome.ERROR, "the brackets differ")


def _in_any_order(answer: Answer, gold: Answer, judge: Judge) -> Finding:
    """Pair the items; labels, if all have one, decide which belong together."""
    labels = {item.label for item in answer.items}
    are_labeled = "" not in labels and labels == {item.label for item in gold.items}
    findings = unmatched(
        answer.items,
        gold.items,
        lambda mine, theirs: OTHER_ITEM if are_labeled and mine.label != theirs.label else judge.of(mine, theirs),
    )
    if findings is not None:
        return next((finding for finding in findings if finding.outcome is not Outcome.INCORRECT), OTHER_ITEM)
    return correct("equal in some order")


_RULES: tuple[Rule, ...] = (
    _compare_ratio,
    _compare_choose,
    _compare_set_of_one,
    _compare_repeated,
    _refuse_single,
    _refuse_other_length,
    _compare_unions,
    _compare_unordered,
    _compare_ordered,
)
