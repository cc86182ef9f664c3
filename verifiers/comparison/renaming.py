"""Letters that may be exchanged for others: constants of integration, parameters, the argument of a function.

Two answers that are equal once letters are renamed are the same answer if the letters are parameters, and undecided
if they may mean something in the problem; they are never different.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import permutations

from ..expressions.numeric import is_linear
from ..expressions.regions import bounds_of, renamed
from ..expressions.tree import Node, names, substitute
from ..reading.answers import Answer
from ..verdict import Finding, Outcome
from .rules import OTHER_CONDITIONS, Judge, correct, tree_of, undecided

_MAX_LETTERS = 3
_FUNCTION = re.compile(r"(\w+)\(([a-z]|\\[a-z]+)\)")
_ARGUMENTS = frozenset("xt")
"""What y is a function of."""
_NUMBERED = re.compile(r"[Cc]_\d")
_INDEXED = re.compile(r"_.*[^A-Za-z0-9]")
"""A letter with a formula as its index: a_n+1."""
_CONSTANT = re.compile(r"[CcKkABD](?:_\d)?")
_PARAMETERS = frozenset("stuvrkmnlpqabc") | {"lambda", "mu", "alpha", "beta"}
COUNTERS = frozenset("kmnljpqst")
"""Letters that a formula for many values counts with."""


def compare_renamed(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    """For answers that differ, but may be equal with other letters; None if they are not."""
    mine, theirs = names_of(answer), names_of(gold)
    own, wanted = mine - theirs, theirs - mine
    if mine == theirs:  # C_1 and C_2, exchanged
        own = wanted = frozenset(letter for letter in mine if _NUMBERED.fullmatch(letter))
    unclear = None
    for new in _renamings(own, wanted):
        finding = judge.of(rename(answer, new), gold)
        if finding == OTHER_CONDITIONS:
            unclear = finding
        if finding.outcome is Outcome.CORRECT:
            letters = own | wanted
            if letters & arguments_of(gold) or any(_INDEXED.search(letter) for letter in letters):
                return None
            if _are_free(answer, gold, letters) if mine != theirs else is_function(answer) or is_function(gold):
                return correct("equal with other letters")
            return undecided("equal but for the letters' names") if _may_be_free(answer, letters) else None
    return unclear


def arguments_of(answer: Answer) -> frozenset[str]:
    """The argument of the function that an answer is labeled as; x and t for y."""
    function = _FUNCTION.fullmatch(answer.label)
    return frozenset({function[2]}) if function else _ARGUMENTS if answer.label == "y" else frozenset()


def _may_be_free(answer: Answer, letters: frozenset[str]) -> bool:
    """Whether the letters that differ may be parameters; one that is the whole answer is none."""
    is_letter = answer.kind == "expression" and tree_of(answer).op == "name"
    return not is_letter and all(letter in _PARAMETERS or _CONSTANT.fullmatch(letter) for letter in letters)


def _renamings(own: frozenset[str], wanted: frozenset[str]) -> Iterator[dict[str, Node]]:
    if 0 < len(own) == len(wanted) <= _MAX_LETTERS:
        for order in permutations(sorted(wanted)):
            yield {name: Node("name", other) for name, other in zip(sorted(own), order, strict=True)}


def _are_free(answer: Answer, gold: Answer, letters: frozenset[str]) -> bool:
    """Whether the letters that differ are parameters, so that any will do."""
    if is_function(answer) or is_function(gold):
        return True
    if all(map(_CONSTANT.fullmatch, letters)) and len({letter[0].casefold() for letter in letters}) == 1:
        return not names_of(answer) <= letters  # 5C may be a quantity of the problem; in 5x + C it is a constant
    if answer.kind == "list" or answer.family or gold.family:
        return letters <= _PARAMETERS
    tree = tree_of(answer)  # a bare 4t may be a quantity of the problem; 6n + 1 counts
    return letters <= COUNTERS and tree.op == "+" and is_linear(tree)


def is_function(answer: Answer) -> bool:
    """Whether an answer is labeled as a function: `f(x) = …`, `y = …`."""
    return answer.label == "y" or _FUNCTION.fullmatch(answer.label) is not None


def same_argument(answer: Answer, gold: Answer) -> Answer:
    """The answer with the argument of the gold's function, if both name one function: f(n) = n + 1 as f(x) = x + 1."""
    if not answer.label or not gold.label:
        return answer
    mine, theirs = _FUNCTION.fullmatch(answer.label), _FUNCTION.fullmatch(gold.label)
    if mine is None or theirs is None:
        return answer
    (name, argument), (other, wanted) = mine.groups(), theirs.groups()
    if name != other or argument == wanted or wanted in names_of(answer):
        return answer
    return rename(answer, {argument: Node("name", wanted)})._replace(label=gold.label)


def names_of(answer: Answer) -> frozenset[str]:
    """The names of all variables in an answer, without its label."""
    found = frozenset[str]() if answer.node is None else names(answer.node)
    for tree in (*(bounds_of(answer.region) if answer.region else ()), *(part.tree for part in answer.relations)):
        found |= names(tree)
    return found.union(*map(names_of, answer.items))


def rename(answer: Answer, new: dict[str, Node]) -> Answer:
    """The answer with other variables; without its text, which has the old ones."""
    return answer._replace(
        text="" if names_of(answer) & new.keys() else answer.text,
        node=None if answer.node is None else substitute(answer.node, new),
        items=tuple(rename(item, new) for item in answer.items),
        region=None if answer.region is None else renamed(answer.region, new),
        relations=tuple(part._replace(tree=substitute(part.tree, new)) for part in answer.relations),
    )
