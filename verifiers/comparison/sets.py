"""Sets of numbers, inequalities, congruences, and functions in pieces."""

from __future__ import annotations

from fractions import Fraction

from ..expressions.regions import Region, any_of, bounds_of, compare_regions, holds_at, interval, points
from ..expressions.tree import Node, fold, names, substitute
from ..reading.answers import INTERVALS, Answer
from ..reading.conditions import Relation
from ..verdict import Finding, Outcome
from .renaming import rename
from .rules import Judge, all_of, correct, incorrect, tree_of, undecided, unmatched
from .trees import compare_trees


def compare_sets(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    """For a set of numbers on at least one side; an interval or a finite set counts as one."""
    mine, theirs = region_of(answer), region_of(gold)
    if mine is None or theirs is None:
        return undecided("a set of numbers against an answer of another form")
    return compare_regions(mine, theirs, lambda first, second: compare_trees(first, second, judge.decide))


def region_of(answer: Answer) -> Region | None:
    """The numbers that an answer names; None if it is no set of numbers."""
    if answer.region is not None:
        return answer.region
    if answer.kind in ("number", "expression") and not answer.unit and not answer.family:
        return points([tree_of(answer)])
    if answer.kind != "list" or answer.family:
        return None
    if answer.brackets == "U":
        parts = [part for part in map(region_of, answer.items) if part is not None]
        return any_of(parts) if len(parts) == len(answer.items) else None
    if not all(item.kind in ("number", "expression") and not item.unit for item in answer.items):
        return None
    trees = [tree_of(item) for item in answer.items]
    if answer.brackets in INTERVALS and len(trees) == 2:
        return interval(answer.brackets, *trees)
    return points(trees) if answer.brackets in ("", "{}") else None


def compare_relations(answer: Answer, gold: Answer, judge: Judge) -> Finding:
    """For inequalities in several variables: equal if each is a multiple of one on the other side."""
    if answer.kind != gold.kind:
        return undecided("only one of the answers is an inequality in several variables")
    if len(answer.relations) == len(gold.relations) == 1:
        return _compare_relation(answer.relations[0], gold.relations[0], judge)
    rest = unmatched(answer.relations, gold.relations, lambda mine, theirs: _compare_relation(mine, theirs, judge))
    is_same = rest is None and len(answer.relations) == len(gold.relations)
    return correct("the same inequalities") if is_same else undecided("inequalities that could not be matched")


def _compare_relation(mine: Relation, theirs: Relation, judge: Judge) -> Finding:
    """Compare f < 0 with g < 0: equal if f is a positive multiple of g; opposite if it is a negative one."""
    if names(mine.tree) != names(theirs.tree):
        return undecided("inequalities in different variables")
    a, b = _sample(mine.tree, theirs.tree)
    if not a or not b:
        return undecided("inequalities that may say the same")
    first, second = (Node("*", args=(tree, Node("num", str(by)))) for tree, by in ((mine.tree, b), (theirs.tree, a)))
    if compare_trees(first, second, judge.decide).outcome is not Outcome.CORRECT:
        return undecided("inequalities that may say the same")
    if mine.sign != theirs.sign:
        return incorrect("inequalities of different strictness")
    is_same = a / b > 0 or mine.sign == r"\neq"
    return correct("the same inequality") if is_same else incorrect("opposite inequalities")


def _sample(first: Node, second: Node) -> tuple[Fraction, Fraction]:
    """The values of two trees at a point where neither is 0; zeros if they have no such rational values."""
    for start in (7, 11, 23):
        point = {
            name: Node("num", str(Fraction(start + 6 * i * i, 5 + 2 * i)))
            for i, name in enumerate(sorted(names(first)))
        }
        a, b = fold(substitute(first, point)), fold(substitute(second, point))
        if a and b:
            return a, b
    return Fraction(0), Fraction(0)


def compare_congruences(answer: Answer, gold: Answer, judge: Judge) -> Finding:
    """For residues: `x = 3 (mod 7)` is 10 (mod 7), and its number is 3."""
    mine, theirs = _residues(answer), _residues(gold)
    if not mine or not theirs:
        return undecided("only one of the answers is a congruence")
    moduli = {item.items[0].value for item in (answer, gold) if item.kind == "congruence"}
    if len(moduli) > 1 or (modulus := moduli.pop()) is None:
        return incorrect("different moduli")
    if {residue % modulus for residue in mine} != {residue % modulus for residue in theirs}:
        return incorrect("different residues")
    if answer.kind == gold.kind or (gold.kind != "congruence" and set(mine) == set(theirs)):
        return correct("the same residues")
    return undecided("a number against a congruence")


def _residues(answer: Answer) -> list[Fraction]:
    """The residues of a congruence, or the numbers of an answer; none for any other answer."""
    items = answer.items[1:] if answer.kind == "congruence" else answer.items if answer.kind == "list" else (answer,)
    values = [item.value for item in items if item.kind == "number" and not item.unit and item.value is not None]
    return values if len(values) == len(items) else []


def compare_cases(answer: Answer, gold: Answer, judge: Judge) -> Finding:
    """For functions in pieces: each piece with its condition, in any order."""
    if answer.kind != gold.kind:
        return _compare_at_points(*((answer, gold) if answer.kind == "cases" else (gold, answer)), judge)
    if len(answer.items) != len(gold.items):
        return undecided("functions with different numbers of pieces")
    findings = unmatched(_pieces(answer), _pieces(gold), lambda mine, theirs: all_of(map(judge.of, mine, theirs)))
    if findings is None:
        return correct("the same pieces")
    is_unclear = any(finding.outcome is not Outcome.INCORRECT for finding in findings)
    return undecided("pieces that could not be matched") if is_unclear else incorrect("different pieces")


def _pieces(cases: Answer) -> list[tuple[Answer, ...]]:
    """Each value with its condition."""
    return [cases.items[i : i + 2] for i in range(0, len(cases.items), 2)]


def _compare_at_points(cases: Answer, other: Answer, judge: Judge) -> Finding:
    """For a function in pieces against one formula, such as |x|: compare at the ends of the pieces and between them."""
    conditions = [region_of(condition) for condition in cases.items[1::2]]
    known = [condition for condition in conditions if condition is not None]
    labels = {condition.label for condition in cases.items[1::2]}
    if len(known) < len(conditions) or len(labels) != 1 or other.kind not in ("number", "expression", "region"):
        return undecided("only one of the answers is a function in pieces")
    (name,) = labels
    ends = {fold(bound) for condition in known for bound in bounds_of(condition)} - {None}
    points = sorted({end + offset for end in ends if end is not None for offset in _OFFSETS})
    findings = []
    for point in points:
        value = {name: Node("num", str(point))}
        here = [holds_at(condition, point) for condition in known]
        if here.count(True) != 1:
            continue
        piece = cases.items[2 * here.index(True)]
        findings.append(judge.of(_at(piece, value), _at(other, value)))
    if not findings or any(finding.outcome not in (Outcome.CORRECT, Outcome.INCORRECT) for finding in findings):
        return undecided("a function in pieces that could not be compared with a formula")
    is_equal = all(finding.outcome is Outcome.CORRECT for finding in findings)
    return correct("equal in each piece") if is_equal else incorrect("different values in a piece")


_OFFSETS = tuple(Fraction(text) for text in ["0", "1/7", "-1/7", "1", "-1", "13/3", "-13/3", "1000", "-1000"])
"""Distances from the ends of pieces at which a function is compared."""


def _at(answer: Answer, value: dict[str, Node]) -> Answer:
    """The answer with numbers in place of a variable, as a number if it is one."""
    put = rename(answer, value)
    exact = None if put.node is None else fold(put.node)
    return put if exact is None else put._replace(kind="number", value=exact, node=None)
