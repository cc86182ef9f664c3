r"""Whether two answers that were read are the same, and the policy of this package on what "same" means.

* Numbers are compared exactly, as fractions: `18.00` = `18`, `0.5` = `1/2`, but `0.333` is not `1/3`. A rounded answer
  is incorrect.
* Percent: `50%` = `50%`; `50%` = `0.5` either way round; a bare `50` equals a gold `50%` (the unit was left out). `50%`
  against a gold `50` is undecided: the gold may have left the sign out, as GSM8K does, or mean fifty.
* A unit may be left out on either side; two different units are incorrect; nothing is converted. Bases must both be
  named.
* Lists are compared item by item, in order, with their brackets; sets (`\{1, 2\}`) in any order. Items without
  brackets in another order are undecided, because they may be a set of solutions or a sequence.
* `x = 5` equals `5`; `x = 5` against `y = 5` is undecided.
* Words are compared without case and punctuation.
* Everything else goes to `decide`, which compares two trees symbolically.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import chain

from verifiers.answers import Answer
from verifiers.parser import Node
from verifiers.verdict import Finding, Outcome

Decide = Callable[[Node, Node], Finding]

_SAME_TEXT = Finding(Outcome.CORRECT, "same text")
_SAME_NUMBER = Finding(Outcome.CORRECT, "equal as numbers")
_OTHER_NUMBER = Finding(Outcome.INCORRECT, "different numbers")
_UNIT_DIFFERS = Finding(Outcome.INCORRECT, "the units differ")


def compare(answer: Answer, gold: Answer, decide: Decide) -> Finding:
    """Compare a predicted answer with the gold answer; `decide` is called for what needs algebra."""
    if "unusable" in (answer.kind, gold.kind):
        return _cannot_read(answer, gold)
    if answer.text == gold.text:
        return _SAME_TEXT
    if answer.label and gold.label and answer.label != gold.label:
        return Finding(Outcome.ERROR, "the answers name different variables")
    if answer.kind == gold.kind == "number":
        return _compare_numbers(answer, gold)
    if "words" in (answer.kind, gold.kind):
        return _compare_words(answer, gold)
    if "unread" in (answer.kind, gold.kind):
        return _cannot_read(answer, gold)
    if "list" in (answer.kind, gold.kind):
        return _compare_lists(answer, gold, decide)
    return _compare_expressions(answer, gold, decide)


def _cannot_read(answer: Answer, gold: Answer) -> Finding:
    unreadable = ("unread", "unusable", "words")
    side, culprit = ("gold answer", gold) if gold.kind in unreadable else ("prediction", answer)
    return Finding(Outcome.ERROR, f"cannot parse the {side}: {culprit.reason or 'words'}")


def _compare_words(answer: Answer, gold: Answer) -> Finding:
    if _is_wordlike(answer) and _is_wordlike(gold):
        same = answer.words == gold.words
        return Finding(Outcome.CORRECT, "same words") if same else Finding(Outcome.INCORRECT, "different words")
    if _shown(answer) == _shown(gold):
        return Finding(Outcome.CORRECT, "same words")
    return _cannot_read(answer, gold)


def _is_wordlike(answer: Answer) -> bool:
    """Words, or a single letter, which may be the letter of a choice."""
    return answer.kind == "words" or (answer.kind == "expression" and len(answer.text) == 1)


def _shown(answer: Answer) -> str:
    """The text without the command that sets it as text, for answers such as "4:30 p.m."."""
    return answer.text.replace(r"\text{", "").replace("}", "").strip(" .").casefold()


def _compare_numbers(answer: Answer, gold: Answer) -> Finding:
    if answer.value is None or gold.value is None:  # cannot happen: a number has a value
        return Finding(Outcome.ERROR, "a number without a value")
    if answer.unit == gold.unit:
        return _SAME_NUMBER if answer.value == gold.value else _OTHER_NUMBER
    if answer.unit.startswith("base ") or gold.unit.startswith("base "):
        return _compare_bases(answer, gold)
    if answer.unit and gold.unit:
        return _UNIT_DIFFERS
    if answer.unit == "%":
        return _against_bare_gold(answer.value, gold.value)
    if gold.unit == "%" and answer.value != gold.value:
        return _as_percentage(100 * answer.value == gold.value)
    return _SAME_NUMBER if answer.value == gold.value else _OTHER_NUMBER


def _against_bare_gold(percent: Fraction, gold: Fraction) -> Finding:
    if percent == gold:
        return Finding(Outcome.ERROR, "the gold answer may have left out a percent sign")
    return _as_percentage(percent == 100 * gold)


def _as_percentage(is_equal: bool) -> Finding:
    return Finding(Outcome.CORRECT, "equal as a percentage") if is_equal else _OTHER_NUMBER


def _compare_bases(answer: Answer, gold: Answer) -> Finding:
    if answer.unit and gold.unit:
        return Finding(Outcome.INCORRECT, "the bases differ")
    return Finding(Outcome.ERROR, "only one of the answers names its base")


def _compare_expressions(answer: Answer, gold: Answer, decide: Decide) -> Finding:
    if answer.unit and gold.unit and answer.unit != gold.unit:
        return _UNIT_DIFFERS
    if answer.unit != gold.unit and (answer.unit or gold.unit) in ("%", "°"):  # degrees against radians
        return Finding(Outcome.ERROR, f"only one of the answers has the sign {answer.unit or gold.unit}")
    return _compare_trees(_tree(answer), _tree(gold), decide)


def _tree(answer: Answer) -> Node:
    return answer.node or Node("num", str(answer.value))


def _compare_trees(answer: Node, gold: Node, decide: Decide) -> Finding:
    return Finding(Outcome.CORRECT, "same expression") if answer == gold else decide(answer, gold)


# Lists.


def _compare_lists(answer: Answer, gold: Answer, decide: Decide) -> Finding:
    if answer.kind != gold.kind:
        return _only_one_is_list(answer, gold)
    if len(answer.items) != len(gold.items):
        unclear = _has_unread_items(answer) or _has_unread_items(gold)
        return Finding(Outcome.ERROR if unclear else Outcome.INCORRECT, "different numbers of items")
    if "{}" in (answer.brackets, gold.brackets) and {answer.brackets, gold.brackets} <= {"{}", ""}:
        return _in_any_order(answer, gold, decide)
    in_order = _all_of(compare(mine, theirs, decide) for mine, theirs in zip(answer.items, gold.items, strict=True))
    if answer.brackets != gold.brackets and in_order.outcome is Outcome.CORRECT:
        return _brackets_differ(answer, gold)
    if answer.brackets == gold.brackets == "" and in_order.outcome is Outcome.INCORRECT:
        return _unless_reordered(answer, gold, in_order, decide)
    return in_order


def _only_one_is_list(answer: Answer, gold: Answer) -> Finding:
    """Undecided for a set, which may hold the one answer, and for prose with a comma or an "and"."""
    unclear = "{}" in (answer.brackets, gold.brackets) or _has_unread_items(answer) or _has_unread_items(gold)
    return Finding(Outcome.ERROR if unclear else Outcome.INCORRECT, "only one of the answers is a list")


def _has_unread_items(answer: Answer) -> bool:
    return any(item.kind in ("unread", "words") for item in answer.items)


def _brackets_differ(answer: Answer, gold: Answer) -> Finding:
    both = answer.brackets and gold.brackets
    return Finding(Outcome.INCORRECT if both else Outcome.ERROR, "the brackets differ")


def _unless_reordered(answer: Answer, gold: Answer, in_order: Finding, decide: Decide) -> Finding:
    if _in_any_order(answer, gold, decide).outcome is Outcome.CORRECT:
        return Finding(Outcome.ERROR, "the same items in another order")
    return in_order


def _all_of(findings: Iterable[Finding]) -> Finding:
    """Incorrect as soon as one is; else the first that is undecided; else correct."""
    undecided: list[Finding] = []
    for finding in findings:
        if finding.outcome is Outcome.INCORRECT:
            return finding
        if finding.outcome is not Outcome.CORRECT:
            undecided.append(finding)
    return next(chain(undecided, [Finding(Outcome.CORRECT, "equal item by item")]))


def _in_any_order(answer: Answer, gold: Answer, decide: Decide) -> Finding:
    """Pair each gold item with an equal one; equality is transitive, so the first that fits will do."""
    left = list(answer.items)
    for theirs in gold.items:
        findings = [compare(mine, theirs, decide) for mine in left]
        outcomes = [finding.outcome for finding in findings]
        if Outcome.CORRECT in outcomes:
            left.pop(outcomes.index(Outcome.CORRECT))
        else:
            return (
                _all_of(finding for finding in findings if finding.outcome is not Outcome.INCORRECT)
                if any(outcome is not Outcome.INCORRECT for outcome in outcomes)
                else Finding(Outcome.INCORRECT, "different items")
            )
    return Finding(Outcome.CORRECT, "equal in some order")
