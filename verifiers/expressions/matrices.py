"""Arithmetic of matrices whose cells are trees: sums, products, multiples and whole powers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction

from .tree import Node, fold

_MAX_CELLS = 100
_MAX_POWER = 10
_MAX_NODES = 1_000
"""Of the tree of a cell: a power of a matrix with letters would have as many as a number with as many digits."""


def has_matrix(node: Node) -> bool:
    """Whether there is a matrix in a tree."""
    return node.op == "matrix" or any(map(has_matrix, node.args))


def evaluated(node: Node) -> Node | None:
    """The tree of a matrix that a tree of matrices and numbers amounts to; None if it amounts to none.

    >>> one = Node("num", "1")
    >>> evaluated(Node("+", args=(Node("matrix", "1x1", (one,)), Node("matrix", "1x1", (one,))))).value
    '1x1'
    """
    found = _evaluated(node)
    return found if found is not None and found.op == "matrix" and len(found.args) <= _MAX_CELLS else None


def _evaluated(node: Node) -> Node | None:
    if node.op == "matrix" or not has_matrix(node):
        return node
    parts = [_evaluated(arg) for arg in node.args]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    match node.op:
        case "neg":
            return _product(Node("num", "-1"), known[0])
        case "+":
            return _combined(known, _sum)
        case "*":
            return _combined(known, _product)
        case "^":
            power = fold(known[1])
            is_small = power is not None and power.denominator == 1 and 1 <= power <= _MAX_POWER
            return _combined([known[0]] * int(power), _product) if is_small and power is not None else None
    return None


def _combined(parts: Sequence[Node], combine: Callable[[Node, Node], Node | None]) -> Node | None:
    total: Node | None = parts[0]
    for part in parts[1:]:
        total = None if total is None else combine(total, part)
    return total


def _sum(first: Node, second: Node) -> Node | None:
    if first.op != "matrix" or second.op != "matrix" or first.value != second.value:
        return None
    return _matrix(first.value, (Node("+", args=pair) for pair in zip(first.args, second.args, strict=True)))


def _product(first: Node, second: Node) -> Node | None:
    if first.op != "matrix" and second.op != "matrix":
        return Node("*", args=(first, second))
    if first.op != "matrix" or second.op != "matrix":
        factor, matrix = (second, first) if first.op == "matrix" else (first, second)
        return _matrix(matrix.value, (Node("*", args=(factor, cell)) for cell in matrix.args))
    (rows, inner), (same, columns) = _shape(first), _shape(second)
    if inner != same or rows * columns > _MAX_CELLS:
        return None
    cells = (Node("+", args=tuple(_terms(first, second, i, j))) for i in range(rows) for j in range(columns))
    return _matrix(f"{rows}x{columns}", cells)


def _matrix(shape: str, cells: Iterable[Node]) -> Node | None:
    """A matrix of cells that are worked out as far as they are numbers; None if one is too large."""
    found = list[Node]()
    for cell in cells:
        value = fold(cell)
        if value is None and _is_large(cell):
            return None
        found.append(cell if value is None else _number(value))
    return Node("matrix", shape, tuple(found))


def _number(value: Fraction) -> Node:
    size = Node("num", str(abs(value)))
    return size if value >= 0 else Node("neg", args=(size,))


def _is_large(cell: Node) -> bool:
    waiting, count = [cell], 0
    while waiting and count <= _MAX_NODES:
        waiting += waiting.pop().args
        count += 1
    return count > _MAX_NODES


def _terms(first: Node, second: Node, row: int, column: int) -> Iterator[Node]:
    inner, columns = _shape(first)[1], _shape(second)[1]
    for k in range(inner):
        yield Node("*", args=(first.args[row * inner + k], second.args[k * columns + column]))


def _shape(matrix: Node) -> tuple[int, int]:
    rows, _, columns = matrix.value.partition("x")
    return int(rows), int(columns)
