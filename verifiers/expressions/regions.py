r"""Sets of real numbers: intervals, unions, exclusions, inequalities, set-builder notation.

A region is a formula: bounds joined by "and", "or" and "not". Two regions are equal if they hold the same points, which
is decided on the finitely many places that their bounds make: each bound, and each gap between two of them. So
`-1 \leq a \leq 3`, `\{x \mid -1 \leq x \leq 3\}` and `[-1, 3]` are equal, and so are `[1,2) \cup (2,3]` and
`[1,3] \setminus \{2\}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, permutations
from math import isclose
from typing import Literal

from ..verdict import Finding, Outcome
from .numeric import evaluate
from .tree import Node, fold, names, substitute

Same = Callable[[Node, Node], Finding]
"""Compares two bounds."""

_MAX_BOUNDS = 30
_MAX_ORDERS = 120
_EQUAL = Finding(Outcome.CORRECT, "the same set of numbers")
_DIFFERENT = Finding(Outcome.INCORRECT, "different sets of numbers")
_UNORDERED = Finding(Outcome.ERROR, "sets whose ends could not be put in order")


@dataclass(frozen=True, slots=True)
class Region:
    """A set of real numbers."""

    op: Literal["<", "<=", "=", "and", "or", "not"]
    """Numbers below a bound, below or at it, at it; or what is in all of, in any of, or not in other regions."""
    bound: Node | None = None
    parts: tuple[Region, ...] = ()


EVERYTHING = Region("and")
NOTHING = Region("or")


def bounded(sign: str, bound: Node) -> Region:
    r"""The numbers x for which `x sign bound`; the sign is one of <, >, \leq, \geq, \neq and =."""
    bound = exact(bound)
    below, up_to, at = Region("<", bound), Region("<=", bound), Region("=", bound)
    regions = {"<": below, r"\leq": up_to, ">": outside(up_to), r"\geq": outside(below), "=": at}
    return regions.get(sign) or outside(at)


def interval(brackets: str, low: Node, high: Node) -> Region:
    """The numbers between two ends; the brackets are one of "()", "[]", "(]" and "[)"."""
    low, high = exact(low), exact(high)
    left = outside(Region("<" if brackets[0] == "[" else "<=", low))
    return both(left, Region("<=" if brackets[1] == "]" else "<", high))


def points(bounds: Sequence[Node]) -> Region:
    """Finitely many numbers."""
    return any_of([Region("=", exact(bound)) for bound in bounds])


def exact(tree: Node) -> Node:
    """The tree, as one number if it is rational."""
    value = fold(tree)
    return tree if value is None else Node("num", str(value))


def outside(region: Region) -> Region:
    """The numbers that are not in a region."""
    return Region("not", parts=(region,))


def both(first: Region, second: Region) -> Region:
    """The numbers in both regions."""
    return Region("and", parts=(first, second))


def any_of(parts: Sequence[Region]) -> Region:
    """The numbers in at least one of the regions."""
    return Region("or", parts=tuple(parts))


def bounds_of(region: Region) -> Iterator[Node]:
    """All bounds of a region, with repetitions."""
    if region.bound is not None:
        yield region.bound
    for part in region.parts:
        yield from bounds_of(part)


def renamed(region: Region, new: dict[str, Node]) -> Region:
    """The region with other trees in place of variables in its bounds."""
    bound = None if region.bound is None else exact(substitute(region.bound, new))
    return Region(region.op, bound, tuple(renamed(part, new) for part in region.parts))


def compare_regions(answer: Region, gold: Region, same: Same) -> Finding:
    """Whether two regions hold the same numbers; undecided if their bounds cannot be put in order.

    Bounds with variables may lie in any order: then the regions are equal if they are so in every order.
    """
    groups = _groups([*bounds_of(answer), *bounds_of(gold)], same)
    if groups is None:
        return _UNORDERED
    orders = list(_orders(groups))
    if not orders:
        return _UNORDERED
    held = [(_held(answer, places, size), _held(gold, places, size)) for places, size in orders]
    if all(mine == theirs for mine, theirs in held):
        return _EQUAL
    if len(held) == 1:
        return _DIFFERENT
    proper = [(mine, theirs) for mine, theirs in held if any(theirs)]
    return _DIFFERENT if all(mine != theirs for mine, theirs in proper) else _UNORDERED


def _groups(bounds: Sequence[Node], same: Same) -> list[list[Node]] | None:
    """The bounds, equal ones together; None if a pair stays undecided, or there are too many."""
    groups: list[list[Node]] = []
    for bound in bounds:
        findings = [_same_bound(bound, group[0], same) for group in groups]
        equal = [group for group, finding in zip(groups, findings, strict=True) if finding.outcome is Outcome.CORRECT]
        if equal:
            equal[0].append(bound)
        elif all(finding.outcome is Outcome.INCORRECT for finding in findings):
            groups.append([bound])
        else:
            return None
    return groups if len(groups) <= _MAX_BOUNDS else None


def _same_bound(first: Node, second: Node, same: Same) -> Finding:
    if first == second:
        return _EQUAL
    is_infinite = any(abs(_value(bound) or 0) == float("inf") for bound in (first, second))
    return _DIFFERENT if is_infinite else same(first, second)


def _orders(groups: list[list[Node]]) -> Iterator[tuple[dict[Node, int], int]]:
    """The orders in which the groups may lie: each as the place of every bound, and the number of places.

    Bounds have the odd places, the gaps between them the even ones.
    """
    values = [_value(group[0]) for group in groups]
    known = sorted((value, i) for i, value in enumerate(values) if value is not None)
    if any(isclose(a, b) for (a, _), (b, _) in pairwise(known)):  # too close for their order to be sure
        return
    free = [i for i, value in enumerate(values) if value is None]
    if any(not names(groups[i][0]) for i in free):
        return
    rank = {i: place for place, (_, i) in enumerate(known)}
    finite = [i for i in range(len(groups)) if values[i] is None or abs(values[i] or 0) != float("inf")]
    for count, order in enumerate(permutations(finite) if free else [tuple(i for _, i in known if i in finite)]):
        if count > _MAX_ORDERS:
            return
        ranks = [rank[i] for i in order if i in rank]
        if ranks == sorted(ranks):
            places = {bound: 2 * place + 1 for place, i in enumerate(order) for bound in groups[i]}
            ends = {i: -1 if (values[i] or 0) < 0 else 2 * len(order) + 1 for i in range(len(groups)) if i not in order}
            places |= {bound: place for i, place in ends.items() for bound in groups[i]}
            yield places, 2 * len(order) + 1


def _value(bound: Node) -> float | None:
    """The value of a bound, infinite ones too; None if it has variables, or cannot be worked out."""
    if bound == Node("const", "oo"):
        return float("inf")
    if bound == Node("neg", args=(Node("const", "oo"),)):
        return float("-inf")
    found = evaluate(bound, {})
    return None if found is None else found.value


def holds_at(region: Region, point: Fraction) -> bool:
    """Whether a number is in a region whose bounds are rational or infinite; other bounds are never reached."""
    match region.op:
        case "and":
            return all(holds_at(part, point) for part in region.parts)
        case "or":
            return any(holds_at(part, point) for part in region.parts)
        case "not":
            return not holds_at(region.parts[0], point)
    bound = _value(region.bound or Node(""))
    exact = fold(region.bound or Node(""))
    limit = exact if exact is not None else bound
    return limit is not None and {"<": point < limit, "<=": point <= limit, "=": point == limit}[region.op]


def _held(region: Region, places: dict[Node, int], size: int) -> list[bool]:
    """For each place, whether it is in the region."""
    return [_holds(region, place, places) for place in range(size)]


def _holds(region: Region, place: int, places: dict[Node, int]) -> bool:
    match region.op:
        case "and":
            return all(_holds(part, place, places) for part in region.parts)
        case "or":
            return any(_holds(part, place, places) for part in region.parts)
        case "not":
            return not _holds(region.parts[0], place, places)
    bound = places[region.bound or Node("")]
    return {"<": place < bound, "<=": place <= bound, "=": place == bound}[region.op]
