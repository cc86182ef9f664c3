r"""Decides whether two answers are the same; the policy of this package on what "same" means.

* Numbers are compared exactly, as fractions: `18.00` = `18`, `0.5` = `1/2`, but `0.333` is not `1/3`: an answer may not
  be less exact than the gold. A decimal gold of three digits or more counts as rounded, and any answer that rounds to
  it is correct (`1587/52` against `30.52`); with two digits, only an answer that is not a finite decimal.
* Percent: `50%` = `50%`; `50%` = `0.5` in both directions; the sign is optional, as in GSM8K's golds: `50%` = `50`.
  `0.5%` against a gold `0.5` is undecided.
* A unit is optional on either side. Units of one kind are converted (`5 km` = `5000 m`), known units of different kinds
  are incorrect, and unknown units are undecided. Both bases must be stated. Degrees are converted to radians if the
  other side contains pi.
* Tuples and vectors are compared item by item, in order; sets (`\{1, 2\}`), unions and items without brackets (the
  solutions of something) in any order. The brackets of a tuple are optional, and so are those of a set of one.
* Inequalities and set-builder notation are intervals: `-1 \leq a \leq 3` = `[-1, 3]`.
* `x = 5` equals `5`; `x = 5` against `y = 5` is undecided. Equations are equal if one is a multiple of the other.
* A variable that ranges over the integers may have another letter: `\pi k` = `n\pi`.
* Words are compared without case and punctuation.
* Everything else goes to `decide`, which compares two trees symbolically.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from itertools import chain

from .answers import NOTHING, Answer, Kind
from .expressions.numeric import approximate, certainly_differ, is_linear, step_of
from .expressions.parser import Node, constants, fold, names, substitute
from .units import measure
from .verdict import Finding, Outcome

Decide = Callable[[Node, Node], Finding]
"""Compares two trees with algebra."""
_Rule = Callable[[Answer, Answer, Decide], Finding | None]
"""Compares a predicted answer with the gold answer; None if the rule does not apply."""

_SAME_TEXT = Finding(Outcome.CORRECT, "same text")
_SAME_NUMBER = Finding(Outcome.CORRECT, "equal as numbers")
_OTHER_NUMBER = Finding(Outcome.INCORRECT, "different numbers")
_CHOICE = re.compile(
    r"(?:\\text\{)?(?:(?:[Oo]ption|[Cc]hoice) )?\(?(?:\\text\{)?([A-J])"
    r"(?:[)}]+\.?(?![-+*/=^!_)])|[.:](?=[\d\\($-]|$)|$)"
)
"""The letter of a choice: B, (B), B. 5, \\text{(B)}."""
_ROUNDED = Finding(Outcome.CORRECT, "equal to the digits of the gold")
_EACH = Finding(Outcome.CORRECT, "equal item by item")
_OTHER_LABEL = Finding(Outcome.ERROR, "the answers name different variables")
_FUNCTION = re.compile(r"y/[a-z] [a-z]|[a-z] [a-z]/y")
_UNORDERED = frozenset({"", "{}"})
_WHOLE = frozenset("kmnl")
"""Letters that may range over the integers, where the text says so or the values are angles."""
_OTHER_ITEM = Finding(Outcome.INCORRECT, "different items")
_UNIT_DIFFERS = Finding(Outcome.INCORRECT, "the units differ")


def compare(answer: Answer, gold: Answer, decide: Decide) -> Finding:
    """Compare a predicted answer with the gold answer; `decide` compares trees that need algebra."""
    return _first(_RULES, answer, gold, decide)


def _first(rules: tuple[_Rule, ...], answer: Answer, gold: Answer, decide: Decide) -> Finding:
    """The finding of the first rule that applies; the last rule of each table always does."""
    for rule in rules:
        finding = rule(answer, gold, decide)
        if finding is not None:
            return finding
    raise LookupError("no rule applies")


def _of_kind(kind: Kind, rule: _Rule) -> _Rule:
    """The rule, applied only if one of the answers is of this kind."""

    def applied(answer: Answer, gold: Answer, decide: Decide) -> Finding | None:
        return rule(answer, gold, decide) if kind in (answer.kind, gold.kind) else None

    return applied


def _compare_texts(answer: Answer, gold: Answer, _decide: Decide) -> Finding | None:
    return _SAME_TEXT if answer.text == gold.text else None


def _compare_choices(answer: Answer, gold: Answer, _decide: Decide) -> Finding | None:
    expected = choice_letter(gold)
    chosen = choice_letter(answer) if expected else None
    if chosen is None:
        return None
    is_equal = chosen == expected
    return Finding(Outcome.CORRECT, "same choice") if is_equal else Finding(Outcome.INCORRECT, "different choices")


def _compare_labels(answer: Answer, gold: Answer, decide: Decide) -> Finding | None:
    """For labels that differ: undecided, unless they are part of equations in the same variables."""
    if not answer.label or not gold.label or _are_same_label(answer.label, gold.label):
        return None
    return _compare_equations(answer, gold, decide) if _share_variables(answer, gold) else _OTHER_LABEL


def _are_same_label(first: str, second: str) -> bool:
    """The same text, or y on one side and a function's value, such as f(x), on the other."""
    return first == second or (_FUNCTION.fullmatch(f"{first}/{second}") is not None)


def _share_variables(answer: Answer, gold: Answer) -> bool:
    """Whether both are equations in the same variables, as a = b and b = a are."""
    first, second = _equation(answer), _equation(gold)
    return first is not None and second is not None and names(first) == names(second)


def choice_letter(answer: Answer) -> str | None:
    """The letter of a multiple-choice option, with or without its text; None for any other answer."""
    match = _CHOICE.match(answer.text)
    return match[1] if match and not re.search(r"(?:and|or|,|;) ?\(?[A-J]+\)", answer.text[match.end() :]) else None


def _cannot_read(answer: Answer, gold: Answer, _decide: Decide) -> Finding:
    unreadable = ("unread", "unusable", "words")
    side, culprit = ("gold answer", gold) if gold.kind in unreadable else ("prediction", answer)
    return Finding(Outcome.ERROR, f"cannot parse the {side}: {culprit.reason or 'words'}")


def _compare_words(answer: Answer, gold: Answer, decide: Decide) -> Finding:
    if NOTHING in (answer.words, gold.words) and {"number", "expression", "list"} & {answer.kind, gold.kind}:
        return Finding(Outcome.INCORRECT, "only one side says there is no solution")
    if _is_wordlike(answer) and _is_wordlike(gold):
        if answer.words == gold.words:
            return Finding(Outcome.CORRECT, "same words")
        shorter, longer = sorted((f" {answer.words} ", f" {gold.words} "), key=len)
        return Finding(Outcome.ERROR if shorter in longer else Outcome.INCORRECT, "different words")
    if _shown(answer) == _shown(gold):
        return Finding(Outcome.CORRECT, "same words")
    return _cannot_read(answer, gold, decide)


def _is_wordlike(answer: Answer) -> bool:
    """Whether it is words, or a single letter that may be the letter of a choice."""
    return answer.kind == "words" or (answer.kind == "expression" and len(answer.text) == 1)


def _shown(answer: Answer) -> str:
    r"""The text without `\text{…}`, for answers such as "4:30 p.m."."""
    return answer.text.replace(r"\text{", "").replace("}", "").strip(" .").casefold()


def _compare_numbers(answer: Answer, gold: Answer, _decide: Decide) -> Finding | None:
    if answer.kind != "number" or gold.kind != "number" or answer.value is None or gold.value is None:
        return None
    if answer.unit == gold.unit:
        return _compare_values(answer, answer.value, gold)
    if answer.unit.startswith("base ") or gold.unit.startswith("base "):
        return _compare_bases(answer, gold)
    if answer.unit and gold.unit:
        return _compare_units(answer, gold)
    if answer.unit == "%":
        return _against_bare_gold(answer.value, gold.value)
    if gold.unit == "%" and answer.value != gold.value:
        finding = _compare_values(answer, 100 * answer.value, gold)
        return _as_percentage(True) if finding == _SAME_NUMBER else finding
    return _compare_values(answer, answer.value, gold)


def _compare_values(answer: Answer, value: Fraction, gold: Answer) -> Finding:
    if value == gold.value:
        return _SAME_NUMBER
    is_decimal = bool(answer.written) or not _is_recurring(value)
    return _ROUNDED if _rounds_to(value, gold, 3 if is_decimal else 2) else _OTHER_NUMBER


def _is_recurring(value: Fraction) -> bool:
    """Whether the decimal expansion of a fraction never ends."""
    rest = value.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    return rest > 1


def _rounds_to(value: Fraction, gold: Answer, digits: int) -> bool:
    """Whether a value rounds to the gold at its number of places, and the gold has at least `digits` digits."""
    if len(gold.written.replace(".", "").lstrip("0")) < digits or gold.value is None:
        return False
    unit = Fraction(1, 10 ** len(gold.written.partition(".")[2]))
    return abs(value - gold.value) * 2 <= unit


def _compare_units(answer: Answer, gold: Answer) -> Finding:
    mine, theirs = measure(answer.unit), measure(gold.unit)
    if mine is None or theirs is None:
        return Finding(Outcome.ERROR, "unknown units")
    if mine.kind != theirs.kind or answer.value is None or gold.value is None:
        return _UNIT_DIFFERS
    is_equal = answer.value * mine.size == gold.value * theirs.size
    return Finding(Outcome.CORRECT, "equal after conversion") if is_equal else _UNIT_DIFFERS


def _against_bare_gold(percent: Fraction, gold: Fraction) -> Finding:
    if percent == gold:
        is_clear = abs(gold) > 1  # 0.5% and 0.5 may differ by a factor of 100
        return Finding(Outcome.CORRECT if is_clear else Outcome.ERROR, "the gold answer omits the percent sign")
    return _as_percentage(percent == 100 * gold)


def _as_percentage(is_equal: bool) -> Finding:
    return Finding(Outcome.CORRECT, "equal as a percentage") if is_equal else _OTHER_NUMBER


def _compare_bases(answer: Answer, gold: Answer) -> Finding:
    if answer.unit and gold.unit and answer.value != gold.value:
        return Finding(Outcome.INCORRECT, "the bases differ")
    return Finding(Outcome.ERROR, "a different or unstated base")


def _compare_expressions(answer: Answer, gold: Answer, decide: Decide) -> Finding:
    return _first(_EXPRESSION_RULES, answer, gold, decide)


def _refuse_other_unit(answer: Answer, gold: Answer, _decide: Decide) -> Finding | None:
    return _UNIT_DIFFERS if answer.unit and gold.unit and answer.unit != gold.unit else None


def _refuse_unit_against_variable(answer: Answer, gold: Answer, _decide: Decide) -> Finding | None:
    r"""`3 \text{ m}` against `3m`."""
    is_refused = any(
        measured.unit and measured.value and names(_tree(other)) for measured, other in ((answer, gold), (gold, answer))
    )
    return Finding(Outcome.ERROR, "a unit against a variable") if is_refused else None


def _refuse_lone_sign(answer: Answer, gold: Answer, _decide: Decide) -> Finding | None:
    """For a percent or degree sign on one side only, unless degrees are converted to radians."""
    sign = answer.unit or gold.unit
    if answer.unit == gold.unit or sign not in ("%", "°") or (sign == "°" and _has_pi(answer, gold)):
        return None
    return Finding(Outcome.ERROR, f"only one of the answers has the sign {sign}")


def _compare_rounded(answer: Answer, gold: Answer, _decide: Decide) -> Finding | None:
    """For a gold that is a decimal."""
    value = approximate(_trees(answer, gold)[0]) if gold.written and gold.value is not None else None
    if value is None:
        return None
    return _ROUNDED if _rounds_to(Fraction(value), gold, 3) else _OTHER_NUMBER


def _refuse_other_family(answer: Answer, gold: Answer, _decide: Decide) -> Finding | None:
    if not answer.family or not gold.family or answer.family == gold.family:
        return None
    return Finding(Outcome.ERROR, "the variables range over different numbers")


def _compare_families(answer: Answer, gold: Answer, decide: Decide) -> Finding | None:
    """For answers with one value per integer, on both sides."""
    first, second = _trees(answer, gold)
    if not (_is_family(first, answer) and _is_family(second, gold)):
        return None
    finding = _compare_trees(_renamed(first, second), second, decide)
    return _compare_steps(first, second) if finding.outcome is Outcome.INCORRECT else finding


def _compare_values_everywhere(answer: Answer, gold: Answer, decide: Decide) -> Finding:
    return _compare_trees(*_trees(answer, gold), decide)


def _trees(answer: Answer, gold: Answer) -> tuple[Node, Node]:
    """Their trees; degrees in radians if the other side has no unit and there is a pi."""
    first, second = _tree(answer), _tree(gold)
    if {answer.unit, gold.unit} != {"", "°"} or not _has_pi(answer, gold):
        return first, second
    return (_radians(first), second) if answer.unit else (first, _radians(second))


def _has_pi(answer: Answer, gold: Answer) -> bool:
    return "pi" in constants(_tree(answer)) | constants(_tree(gold))


def _compare_steps(first: Node, second: Node) -> Finding:
    """Compare two families whose values differ term by term: different steps between values prove them different."""
    mine, theirs = step_of(first), step_of(second)
    if mine is not None and theirs is not None and abs(abs(mine) - abs(theirs)) > 1e-9:
        return Finding(Outcome.INCORRECT, "different steps")
    return Finding(Outcome.ERROR, "families that may be the same, counted from another value")


def _is_family(tree: Node, answer: Answer) -> bool:
    """Whether a tree has one value per integer: the text says so, or the tree is linear and contains pi."""
    found = names(tree)
    if len(found) != 1 or not found <= _WHOLE:
        return False
    return bool(answer.family) or ("pi" in constants(tree) and is_linear(tree))


def _radians(degrees: Node) -> Node:
    return Node("*", args=(degrees, Node("const", "pi"), Node("inv", args=(Node("num", "180"),))))


def _renamed(tree: Node, other: Node) -> Node:
    """A family's tree with the variable of the other family."""
    (own,), (wanted,) = names(tree), names(other)
    return substitute(tree, {own: Node("name", wanted)})


def _compare_equations(answer: Answer, gold: Answer, decide: Decide) -> Finding:
    """Compare `f = 0` with `g = 0`: if f is a multiple of g, and their values at some point are a and b, f·b = g·a."""
    first, second = _equation(answer), _equation(gold)
    if first is None or second is None:
        return Finding(Outcome.ERROR, "only one of the answers is an equation")
    if names(first) != names(second):
        return Finding(Outcome.ERROR, "the equations have different variables")
    point = {name: Node("num", str(Fraction(7 + 4 * i, 3 + i))) for i, name in enumerate(sorted(names(first)))}
    a, b = fold(substitute(first, point)), fold(substitute(second, point))
    if not a or not b:
        return Finding(Outcome.ERROR, "equations that could not be compared")
    mine, theirs = (Node("*", args=(tree, Node("num", str(by)))) for tree, by in ((first, b), (second, a)))
    finding = _compare_trees(mine, theirs, decide)
    if finding.outcome is Outcome.INCORRECT and not (is_linear(first) and is_linear(second)):
        return Finding(Outcome.ERROR, "equations that may have the same solutions")
    return finding


def _equation(answer: Answer) -> Node | None:
    if answer.kind == "equation":
        return answer.node
    if len(answer.label) == 1 and answer.kind in ("number", "expression"):
        return Node("+", args=(Node("name", answer.label), Node("neg", args=(_tree(answer),))))
    return None


def _tree(answer: Answer) -> Node:
    return answer.node or Node("num", str(answer.value))


def _compare_trees(answer: Node, gold: Node, decide: Decide) -> Finding:
    if answer == gold:
        return Finding(Outcome.CORRECT, "same expression")
    if _are_anagrams(answer, gold):
        return Finding(Outcome.ERROR, "the same letters in another order: a word or a product")
    return Finding(Outcome.INCORRECT, "different values") if certainly_differ(answer, gold) else decide(answer, gold)


def _are_anagrams(answer: Node, gold: Node) -> bool:
    """Whether both are products of the same letters, three or more, and nothing else: they may be words."""
    letters = [[arg.value for arg in tree.args if arg.op in ("name", "const")] for tree in (answer, gold)]
    is_word = all(
        tree.op == "*" and len(tree.args) == len(found) > 2 for tree, found in zip((answer, gold), letters, strict=True)
    )
    return is_word and sorted(letters[0]) == sorted(letters[1]) and all(len(x) == 1 for x in letters[0])


# Lists.


def _compare_lists(answer: Answer, gold: Answer, decide: Decide) -> Finding:
    return _first(_LIST_RULES, answer, gold, decide)


def _compare_set_of_one(answer: Answer, gold: Answer, decide: Decide) -> Finding | None:
    r"""`\{5\}` against `5`."""
    if answer.kind == gold.kind:
        return None
    alone = answer if answer.kind == "list" else gold
    if alone.brackets != "{}" or len(alone.items) != 1:
        return None
    (item,) = alone.items
    return compare(item, gold, decide) if alone is answer else compare(answer, item, decide)


def _compare_repeated(answer: Answer, gold: Answer, decide: Decide) -> Finding | None:
    """`1/2, 0.5` against `1/2`."""
    if answer.kind == gold.kind or answer.kind != "list" or answer.brackets:
        return None
    is_equal = _all_of(compare(item, gold, decide) for item in answer.items) == _EACH
    return Finding(Outcome.CORRECT, "the same answer, written more than once") if is_equal else None


def _refuse_single(answer: Answer, gold: Answer, _decide: Decide) -> Finding | None:
    """For a list against a single answer: incorrect, or undecided for a comma that may not separate items."""
    if answer.kind == gold.kind:
        return None
    alone = answer if answer.kind == "list" else gold
    is_decimal = re.fullmatch(r"-?\d+,\d+", alone.text) is not None
    unclear = is_decimal or _has_unread_items(answer) or _has_unread_items(gold)
    return Finding(Outcome.ERROR if unclear else Outcome.INCORRECT, "only one of the answers is a list")


def _refuse_other_length(answer: Answer, gold: Answer, _decide: Decide) -> Finding | None:
    if len(answer.items) == len(gold.items) or "U" in (answer.brackets, gold.brackets):
        return None
    unclear = _has_unread_items(answer) or _has_unread_items(gold)
    return Finding(Outcome.ERROR if unclear else Outcome.INCORRECT, "different numbers of items")


def _compare_unions(answer: Answer, gold: Answer, decide: Decide) -> Finding | None:
    """Equal if the intervals match; otherwise mostly undecided, because [1,2] and [2,3] together are [1,3]."""
    if "U" not in (answer.brackets, gold.brackets):
        return None
    if answer.brackets == gold.brackets and len(answer.items) == len(gold.items):
        finding = _in_any_order(answer, gold, decide)
        are_apart = all(item.brackets in ("()", "{}") for item in (*answer.items, *gold.items))
        if finding.outcome is not Outcome.INCORRECT or are_apart:
            return finding
    return Finding(Outcome.ERROR, "unions that do not match piece by piece")


def _compare_unordered(answer: Answer, gold: Answer, decide: Decide) -> Finding | None:
    return _in_any_order(answer, gold, decide) if {answer.brackets, gold.brackets} <= _UNORDERED else None


def _compare_ordered(answer: Answer, gold: Answer, decide: Decide) -> Finding:
    kinds = {answer.brackets, gold.brackets}
    answer, gold = _by_label(answer, gold), _by_label(gold, answer)
    finding = _all_of(compare(mine, theirs, decide) for mine, theirs in zip(answer.items, gold.items, strict=True))
    if len(kinds) == 1 or finding.outcome is not Outcome.CORRECT:
        return finding
    return finding if kinds == {"", "()"} or _are_vectors(answer, gold) else _brackets_differ(answer, gold)


def _by_label(answer: Answer, other: Answer) -> Answer:
    """Labeled items without brackets, sorted by label for comparison with a tuple; else unchanged."""
    is_named = answer.brackets == "" != other.brackets and all(len(item.label) == 1 for item in answer.items)
    return replace(answer, items=tuple(sorted(answer.items, key=lambda item: item.label))) if is_named else answer


def _are_vectors(answer: Answer, gold: Answer) -> bool:
    """Whether one is a tuple and the other a matrix of one row or column."""
    shape = f"matrix {len(gold.items)}x1", f"matrix 1x{len(gold.items)}"
    return "()" in (answer.brackets, gold.brackets) and (answer.brackets in shape or gold.brackets in shape)


def _has_unread_items(answer: Answer) -> bool:
    return any(item.kind in ("unread", "words") for item in answer.items)


def _brackets_differ(answer: Answer, gold: Answer) -> Finding:
    both = answer.brackets and gold.brackets
    return Finding(Outcome.INCORRECT if both else Outcome.ERROR, "the brackets differ")


def _all_of(findings: Iterable[Finding]) -> Finding:
    """The first incorrect finding; else the first undecided one; else correct."""
    undecided: list[Finding] = []
    for finding in findings:
        if finding.outcome is Outcome.INCORRECT:
            return finding
        if finding.outcome is not Outcome.CORRECT:
            undecided.append(finding)
    return next(chain(undecided, [_EACH]))


def _in_any_order(answer: Answer, gold: Answer, decide: Decide) -> Finding:
    """Pair each gold item with an equal one; equality is transitive, so the first match will do."""
    left = list(answer.items)
    labels = {item.label for item in left}
    are_labeled = "" not in labels and labels == {item.label for item in gold.items}
    for theirs in gold.items:
        findings = [
            _OTHER_ITEM if are_labeled and mine.label != theirs.label else compare(mine, theirs, decide)
            for mine in left
        ]
        outcomes = [finding.outcome for finding in findings]
        if Outcome.CORRECT not in outcomes:
            return next((finding for finding in findings if finding.outcome is not Outcome.INCORRECT), _OTHER_ITEM)
        left.pop(outcomes.index(Outcome.CORRECT))
    return Finding(Outcome.CORRECT, "equal in some order")


# The rules. In each table the first that applies decides.


_RULES: tuple[_Rule, ...] = (
    _of_kind("unusable", _cannot_read),
    _compare_texts,
    _compare_choices,
    _compare_labels,
    _compare_numbers,
    _of_kind("words", _compare_words),
    _of_kind("unread", _cannot_read),
    _of_kind("list", _compare_lists),
    _of_kind("equation", _compare_equations),
    _compare_expressions,
)
"""For any two answers. A new kind of answer is a function and a row here."""
_EXPRESSION_RULES: tuple[_Rule, ...] = (
    _refuse_other_unit,
    _refuse_unit_against_variable,
    _refuse_lone_sign,
    _compare_rounded,
    _refuse_other_family,
    _compare_families,
    _compare_values_everywhere,
)
"""For two expressions, or an expression and a number."""
_LIST_RULES: tuple[_Rule, ...] = (
    _compare_set_of_one,
    _compare_repeated,
    _refuse_single,
    _refuse_other_length,
    _compare_unions,
    _compare_unordered,
    _compare_ordered,
)
"""For a list against any answer that can be read."""
