"""What the rules of comparison share: their signature, the judge that they ask, and common findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from ..expressions.tree import Node
from ..policy import Policy
from ..reading.answers import Answer, Kind
from ..verdict import Finding, Outcome

_Item = TypeVar("_Item")
Decide = Callable[[Node, Node], Finding]
"""Compares two trees with algebra."""

SAME_NUMBER = Finding(Outcome.CORRECT, "equal as numbers")
OTHER_NUMBER = Finding(Outcome.INCORRECT, "different numbers")
EACH = Finding(Outcome.CORRECT, "equal item by item")
OTHER_ITEM = Finding(Outcome.INCORRECT, "different items")


@dataclass(frozen=True, slots=True)
class Judge:
    """What a rule may ask: whether two trees or two answers are equal, and the policy."""

    decide: Decide
    policy: Policy
    compare: Callable[[Answer, Answer, Judge], Finding]

    def of(self, answer: Answer, gold: Answer) -> Finding:
        """The finding on two answers, such as items of two lists."""
        return self.compare(answer, gold, self)


Rule = Callable[[Answer, Answer, Judge], Finding | None]
"""Compares a predicted answer with the gold answer; None if the rule does not apply."""


def first_finding(rules: Sequence[Rule], answer: Answer, gold: Answer, judge: Judge) -> Finding:
    """The finding of the first rule that applies; the last rule of each table always does."""
    for rule in rules:
        finding = rule(answer, gold, judge)
        if finding is not None:
            return finding
    raise LookupError("no rule applies")


def of_kind(kind: Kind, rule: Rule) -> Rule:
    """The rule, applied only if one of the answers is of this kind."""

    def applied(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
        return rule(answer, gold, judge) if kind in (answer.kind, gold.kind) else None

    return applied


def all_of(findings: Iterable[Finding]) -> Finding:
    """The first incorrect finding; else the first undecided one; else correct."""
    unclear: list[Finding] = []
    for finding in findings:
        if finding.outcome is Outcome.INCORRECT:
            return finding
        if finding.outcome is not Outcome.CORRECT:
            unclear.append(finding)
    return next(chain(unclear, [EACH]))


def unmatched(
    answers: Iterable[_Item], golds: Iterable[_Item], compare: Callable[[_Item, _Item], Finding]
) -> list[Finding] | None:
    """Pair each gold item with an equal item of the answer; equality is transitive, so the first match will do.

    Returns:
        None if each has its own; else the findings on the first that has none, against the items that were left.
    """
    left = list(answers)
    for theirs in golds:
        findings = [compare(mine, theirs) for mine in left]
        outcomes = [finding.outcome for finding in findings]
        if Outcome.CORRECT not in outcomes:
            return findings
        left.pop(outcomes.index(Outcome.CORRECT))
    return None


def undecided(reason: str) -> Finding:
    """No verdict, and why."""
    return Finding(Outcome.ERROR, reason)


def correct(reason: str) -> Finding:
    """The answers are equal, and how."""
    return Finding(Outcome.CORRECT, reason)


def incorrect(reason: str) -> Finding:
    """The answers differ, and how."""
    return Finding(Outcome.INCORRECT, reason)


def tree_of(answer: Answer) -> Node:
    """The tree of a number or an expression."""
    return answer.node or Node("num", str(answer.value))


OTHER_CONDITIONS = undecided("conditions in words, which may differ")
