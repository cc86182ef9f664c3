"""Expressions, families with one value per integer, and equations."""

from __future__ import annotations

import re
from fractions import Fraction

from ..expressions.numeric import approximate, certainly_differ, evaluate, is_linear, step_of
from ..expressions.tree import Node, as_products, constants, fold, has_calls, names, substitute
from ..reading.answers import Answer, read_answer, read_measured
from ..reading.literals import plain_number
from ..reading.units import measure
from ..verdict import Finding, Outcome
from .numbers import PRECISE_DIGITS, is_precise, is_tolerated, rounds_to
from .rules import OTHER_NUMBER, Decide, Judge, Rule, correct, first_finding, incorrect, tree_of, undecided

_IN_DEGREES = re.compile(r"sin|cos|tan|cot|sec|csc|\\pi")
_WHOLE = frozenset("kmnl")
"""Letters that may range over the integers, where the text says so or the values are angles."""


def compare_trees(answer: Node, gold: Node, decide: Decide) -> Finding:
    """Whether two trees are equal wherever both have a value."""
    if answer == gold:
        return correct("same expression")
    if _are_anagrams(answer, gold):
        return undecided("the same letters in another order: a word or a product")
    if not (has_calls(answer) or has_calls(gold)):
        return _compare_plain(answer, gold, decide)
    products = as_products(answer), as_products(gold)
    readings = {_compare_plain(*pair, decide).outcome for pair in ((answer, gold), products)}
    if Outcome.CORRECT in readings:
        return correct("same expression") if len(readings) == 1 else undecided("a function's value, or a product")
    return (
        incorrect("different values") if readings == {Outcome.INCORRECT} else undecided("values of unknown functions")
    )


def _compare_plain(answer: Node, gold: Node, decide: Decide) -> Finding:
    return incorrect("different values") if certainly_differ(answer, gold) else decide(answer, gold)


def _are_anagrams(answer: Node, gold: Node) -> bool:
    """Whether both are products of the same letters, three or more, and nothing else: they may be words."""
    letters = [[arg.value for arg in tree.args if arg.op in ("name", "const")] for tree in (answer, gold)]
    is_word = all(
        tree.op == "*" and len(tree.args) == len(found) > 2 for tree, found in zip((answer, gold), letters, strict=True)
    )
    return is_word and sorted(letters[0]) == sorted(letters[1]) and all(len(x) == 1 for x in letters[0])


# Expressions.


def compare_expressions(answer: Answer, gold: Answer, judge: Judge) -> Finding:
    """For two expressions, or an expression and a number."""
    return first_finding(_RULES, answer, gold, judge)


def compare_measured(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    """For a unit of one letter, `40 N`, that is one because the other side has a unit of measurement."""
    for own, other, is_answer in ((answer, gold, True), (gold, answer, False)):
        if own.kind == "expression" and not own.unit and _is_measured(other):
            reread = read_measured(own.text if " " in own.text else _spaced(own.text))
            if reread.kind == "number" and _is_measured(reread):
                return judge.of(reread, gold) if is_answer else judge.of(answer, reread)
    if answer.kind == gold.kind == "expression":
        both = [read_measured(side.text if " " in side.text else _spaced(side.text)) for side in (answer, gold)]
        if all(side.kind == "number" and _is_measured(side) for side in both):
            finding = judge.of(*both)
            return finding if finding.outcome is Outcome.CORRECT else None
    return None


def compare_powers(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    """For `2e-5`, which is 2e minus 5 unless the other side is 0.00002."""
    for own, other in ((answer, gold), (gold, answer)):
        read = plain_number(own.text, powers=True) if own.kind == "expression" else None
        if read is not None and read.value == other.value and not other.unit:
            return undecided("e may be Euler's number or a power of ten")
    return None


def _is_measured(answer: Answer) -> bool:
    return bool(answer.unit) and answer.unit not in ("%", "°") and measure(answer.unit) is not None


def _spaced(text: str) -> str:
    """`40N`, a text without needless spaces, with the space before its last letters."""
    core = text.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz^23")
    return f"{core} {text[len(core) :]}"


def _refuse_other_unit(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    """For two units: convert those of one kind."""
    if not answer.unit or not gold.unit or answer.unit == gold.unit or judge.policy.units == "ignored":
        return None
    mine, theirs = measure(answer.unit), measure(gold.unit)
    if mine is None or theirs is None:
        return undecided("unknown units")
    if mine.kind != theirs.kind:
        return incorrect("the units measure different things")
    first, second = (
        Node("*", args=(tree_of(side), Node("num", str(unit.size)))) for side, unit in ((answer, mine), (gold, theirs))
    )
    return compare_trees(first, second, judge.decide)


def _refuse_unit_against_variable(answer: Answer, gold: Answer, _judge: Judge) -> Finding | None:
    r"""`3 \text{ m}` against `3m`."""
    is_refused = any(
        measured.unit and measured.value and names(tree_of(other))
        for measured, other in ((answer, gold), (gold, answer))
    )
    return undecided("a unit against a variable") if is_refused else None


def _refuse_lone_sign(answer: Answer, gold: Answer, _judge: Judge) -> Finding | None:
    """For a percent or degree sign on one side only, unless degrees are converted to radians."""
    sign = answer.unit or gold.unit
    if answer.unit == gold.unit or sign not in ("%", "°") or (sign == "°" and _has_pi(answer, gold)):
        return None
    return undecided(f"only one of the answers has the sign {sign}")


def _compare_rounded(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    """For decimals on one side, and a tolerance."""
    policy = judge.policy
    if not (gold.written or answer.written or policy.relative or policy.significant):
        return None
    first, second = _trees(answer, gold)
    value, exact = approximate(first), approximate(second)
    if value is None or exact is None:
        return None
    mine, theirs = Fraction(value), Fraction(exact)
    if rounds_to(mine, gold, 3):
        return correct("equal to the digits of the gold")
    if is_tolerated(mine, theirs, policy):
        return correct("equal within the tolerance")
    if is_precise(answer, mine, theirs, abs(theirs) / 10**14):
        return correct(f"equal to {PRECISE_DIGITS} digits")
    return OTHER_NUMBER if gold.written and gold.value is not None else None


def _refuse_other_family(answer: Answer, gold: Answer, _judge: Judge) -> Finding | None:
    if not answer.family or not gold.family or answer.family == gold.family:
        return None
    return undecided("the variables range over different numbers")


def _compare_families(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    """For answers with one value per integer, on both sides."""
    first, second = _trees(answer, gold)
    if not (_is_family(first, answer) and _is_family(second, gold)):
        return None
    finding = compare_trees(_renamed(first, second), second, judge.decide)
    if finding.outcome is not Outcome.INCORRECT:
        return finding
    return _compare_shifted(answer, gold, judge) or _compare_steps(first, second)


def _compare_shifted(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    """For families over all integers that start at different values: k pi + pi/4 and k pi + 5 pi/4."""
    first, second = _trees(answer, gold)
    mine, theirs = step_of(first), step_of(second)
    if mine is None or theirs is None or not mine or "N" in (answer.family, gold.family):
        return None
    (name,) = names(second)
    start = [evaluate(tree, {next(iter(names(tree))): 0.0}) for tree in (first, second)]
    if start[0] is None or start[1] is None:
        return None
    shift, sign = round((start[1].value - start[0].value) / mine), 1 if mine * theirs > 0 else -1
    counted = Node("+", args=(Node("*", args=(Node("num", str(sign)), Node("name", name))), Node("num", str(shift))))
    moved = substitute(first, {next(iter(names(first))): counted})
    finding = compare_trees(moved, second, judge.decide)
    return correct("the same family, counted from another value") if finding.outcome is Outcome.CORRECT else None


def _compare_steps(first: Node, second: Node) -> Finding:
    """Compare two families whose values differ term by term: different steps between values prove them different."""
    mine, theirs = step_of(first), step_of(second)
    if mine is not None and theirs is not None and abs(abs(mine) - abs(theirs)) > 1e-9:
        return incorrect("different steps")
    return undecided("families that may be the same, counted from another value")


def _compare_without_degrees(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    r"""For a degree sign within one of two sums: `180^\circ - 2a` against `180 - 2a`."""
    for own, other, is_answer in ((answer, gold, True), (gold, answer, False)):
        if (
            "°" in own.text
            and "°" not in other.text
            and not other.unit
            and not _IN_DEGREES.search(own.text + other.text)
        ):
            plain = read_answer(own.text.replace("°", ""))
            return judge.of(plain, gold) if is_answer else judge.of(answer, plain)
    return None


def _compare_antiderivatives(answer: Answer, gold: Answer, _judge: Judge) -> Finding | None:
    r"""For `\sin^2 x + C` against `-\cos^2 x + C`: equal if they differ by a number."""
    mine, theirs = _without_constant(tree_of(answer)), _without_constant(tree_of(gold))
    if mine is None or theirs is None or len(names(mine) | names(theirs)) != 1 or is_linear(mine) or is_linear(theirs):
        return None
    (name,) = names(mine) | names(theirs)
    difference = Node("+", args=(mine, Node("neg", args=(theirs,))))
    found = [value for point in (0.37, 0.91, 1.43, 2.21) if (value := evaluate(difference, {name: point}))]
    if len(found) < 3:
        return None
    is_constant = all(abs(value.value - found[0].value) <= 1e-9 + value.error + found[0].error for value in found)
    return correct("equal but for the constant") if is_constant else None


def _without_constant(tree: Node) -> Node | None:
    """A sum without its lone constant C; None if it has none."""
    rest = tuple(term for term in tree.args if not {term, *term.args} <= _LONE)
    is_sum = tree.op == "+" and len(rest) == len(tree.args) - 1
    return Node("+", args=rest) if is_sum else None


_LONE = {Node("name", "C"), Node("neg", args=(Node("name", "C"),))}


def _compare_values_everywhere(answer: Answer, gold: Answer, judge: Judge) -> Finding:
    return compare_trees(*_trees(answer, gold), judge.decide)


def _trees(answer: Answer, gold: Answer) -> tuple[Node, Node]:
    """Their trees; degrees in radians if the other side has no unit and there is a pi."""
    first, second = tree_of(answer), tree_of(gold)
    if {answer.unit, gold.unit} != {"", "°"} or not _has_pi(answer, gold):
        return first, second
    return (_radians(first), second) if answer.unit else (first, _radians(second))


def _has_pi(answer: Answer, gold: Answer) -> bool:
    return "pi" in constants(tree_of(answer)) | constants(tree_of(gold))


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


_RULES: tuple[Rule, ...] = (
    _refuse_other_unit,
    _refuse_unit_against_variable,
    _refuse_lone_sign,
    _compare_rounded,
    _refuse_other_family,
    _compare_families,
    _compare_without_degrees,
    _compare_antiderivatives,
    _compare_values_everywhere,
)
"""For two expressions, or an expression and a number."""


# Equations.


def compare_equations(answer: Answer, gold: Answer, judge: Judge) -> Finding:
    """Compare `f = 0` with `g = 0`: if f is a multiple of g, and their values at some point are a and b, f·b = g·a."""
    first, second = equation_of(answer), equation_of(gold)
    if first is None or second is None:
        return _compare_quantity(answer, gold, judge)
    if names(first) != names(second):
        return undecided("the equations have different variables")
    point = {name: Node("num", str(Fraction(7 + 4 * i, 3 + i))) for i, name in enumerate(sorted(names(first)))}
    a, b = fold(substitute(first, point)), fold(substitute(second, point))
    if not a or not b:
        return undecided("equations that could not be compared")
    mine, theirs = (Node("*", args=(tree, Node("num", str(by)))) for tree, by in ((first, b), (second, a)))
    finding = compare_trees(mine, theirs, judge.decide)
    if finding.outcome is Outcome.INCORRECT and not (is_linear(first) and is_linear(second)):
        return undecided("equations that may have the same solutions")
    return finding


def _compare_quantity(answer: Answer, gold: Answer, judge: Judge) -> Finding:
    """For a predicted `a + b = 5` against 5: its right side is the answer if the gold is no equation."""
    for equation, other in ((answer, gold), (gold, answer)):
        if equation.kind != "equation" or not equation.items or other.kind not in ("number", "expression"):
            continue
        if equation is gold and not all(name[0].isupper() for name in names(equation.node or Node(""))):
            continue  # x + y = 5 may be a line; AB/CD = 5 is a value
        value = equation.items[0]
        finding = judge.of(value, gold) if equation is answer else judge.of(answer, value)
        if finding.outcome is Outcome.CORRECT:
            return correct("the value of what stands on the left")
    return undecided("only one of the answers is an equation")


def equation_of(answer: Answer) -> Node | None:
    """The left side minus the right side of an equation, or of a value with a letter as its label."""
    if answer.kind == "equation":
        return answer.node
    if len(answer.label) == 1 and answer.kind in ("number", "expression"):
        return Node("+", args=(Node("name", answer.label), Node("neg", args=(tree_of(answer),))))
    return None
