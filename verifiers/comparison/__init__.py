r"""Decides whether two answers are the same; the policy of this package on what "same" means.

* Numbers are compared exactly, as fractions: `18.00` = `18`, `0.5` = `1/2`, but `0.333` is not `1/3`: an answer may not
  be less exact than the gold. A decimal gold of three digits or more counts as rounded, and any answer that rounds to
  it is correct (`1587/52` against `30.52`); with two digits, only an answer that is not a finite decimal. A decimal of
  nine digits or more stands for what it is rounded from. Decimals that differ in rounding only are undecided.
* Percent: `50%` = `50%`; `50%` = `0.5` in both directions; the sign is optional, as in GSM8K's golds: `50%` = `50`.
  `0.5%` against a gold `0.5` is undecided.
* A unit is optional on either side. Units of one kind are converted (`5 km` = `5000 m`), known units of different kinds
  are incorrect, and unknown units are undecided. Both bases must be stated. Degrees are converted to radians if the
  other side contains pi.
* Tuples and vectors are compared item by item, in order; sets (`\{1, 2\}`) and items without brackets (the solutions of
  something) in any order. The brackets of a tuple are optional, and so are those of a set of one.
* Intervals, inequalities, exclusions and set-builder notation are sets of numbers: `-1 \leq a \leq 3` = `[-1, 3]`.
* `x = 5` equals `5`; `x = 5` against `y = 5` is undecided. Equations are equal if one is a multiple of the other.
* A variable that ranges over the integers may have another letter: `\pi k` = `n\pi`; so may constants and parameters.
* Words are compared without case and punctuation.
* Everything else goes to `decide`, which compares two trees symbolically.
"""

from __future__ import annotations

import re

from ..policy import DEFAULT, Policy
from ..reading.answers import REMARK, Answer
from ..verdict import Finding, Outcome
from .lists import compare_lists
from .numbers import compare_numbers
from .renaming import compare_renamed, names_of, same_argument
from .rules import OTHER_CONDITIONS, Decide, Judge, Rule, correct, first_finding, of_kind, undecided
from .sets import compare_cases, compare_congruences, compare_relations, compare_sets
from .trees import compare_equations, compare_expressions, compare_measured, compare_powers, equation_of
from .words import (
    OTHER_CHOICE,
    cannot_read,
    choice_letter,
    choice_letters,
    compare_choices,
    compare_texts,
    compare_words,
)

__all__ = ["Decide", "choice_letter", "choice_letters", "compare"]


_SAME_TEXT = correct("same text")
_SHIFTED = re.compile(r"_\w*[+-]|\(\w[+-]\w\)")
"""A label with a formula as its index or argument: a_n+1, f(x+1)."""


def compare(answer: Answer, gold: Answer, decide: Decide, policy: Policy = DEFAULT) -> Finding:
    """Compare a predicted answer with the gold answer.

    Args:
        answer: The answer of the prediction.
        gold: The gold answer.
        decide: Compares trees that need algebra.
        policy: What counts as the same where people differ.
    """
    if answer.text == gold.text != "" and answer.kind != "unusable":
        return _SAME_TEXT
    judge = Judge(decide, policy, _compare)
    answer = same_argument(answer, gold)
    finding = _compare(answer, gold, judge)
    if finding.outcome is Outcome.INCORRECT and not answer.kind == gold.kind == "number":
        finding = _with_other_letters(answer, gold, judge, finding)
    return finding


def _with_other_letters(answer: Answer, gold: Answer, judge: Judge, finding: Finding) -> Finding:
    """The finding on answers that differ, unless their letters are exchanged, or one is the letter of a choice."""
    if finding == OTHER_CHOICE:
        return finding
    if choice_letters(gold):
        return undecided("no letter of a choice")
    return compare_renamed(answer, gold, judge) or finding


def _compare(answer: Answer, gold: Answer, judge: Judge) -> Finding:
    finding = first_finding(_RULES, answer, gold, judge)
    if finding.outcome is Outcome.CORRECT and gold.clause and answer.clause != gold.clause:
        is_remark = not answer.clause and gold.clause.startswith(REMARK)
        return finding if is_remark else OTHER_CONDITIONS
    return finding


def _compare_labels(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    """For labels that differ: undecided, unless they are part of equations in the same names."""
    if not answer.label or not gold.label:
        label = answer.label or gold.label
        return undecided("the value of another index or argument") if label and _SHIFTED.search(label) else None
    if _are_same_label(answer.label, gold.label):
        return None
    first, second = equation_of(answer), equation_of(gold)
    if first is not None and second is not None and {answer.label, *names_of(answer)} == {gold.label, *names_of(gold)}:
        return compare_equations(answer, gold, judge)
    return undecided("the answers name different things")


def _are_same_label(first: str, second: str) -> bool:
    """The same text; y and a function's value, such as f(x); r and rho; a point's name and its coordinates'."""
    labels = {first, second}
    if len(labels) == 1 or labels == {"r", "rho"} or labels == {"r", "\\rho"}:
        return True
    if "y" in labels:
        return is_function_label((labels - {"y"}).pop())
    return any(label.startswith("(") for label in labels) and any(label[:1].isupper() for label in labels)


def is_function_label(label: str) -> bool:
    """Whether a label is the value of a function, as f(x) is."""
    return re.fullmatch(r"[a-z]\([a-z]\)", label) is not None


_RULES: tuple[Rule, ...] = (
    of_kind("unusable", cannot_read),
    compare_texts,
    compare_choices,
    _compare_labels,
    compare_numbers,
    compare_measured,
    compare_powers,
    of_kind("congruence", compare_congruences),
    of_kind("words", compare_words),
    of_kind("unread", cannot_read),
    of_kind("cases", compare_cases),
    of_kind("region", compare_sets),
    of_kind("relation", compare_relations),
    of_kind("list", compare_lists),
    of_kind("equation", compare_equations),
    compare_expressions,
)
"""For any two answers; the first that applies decides. A new kind of answer is a function and a row here."""
