"""Several values: sets, lists, tuples, points, labeled solutions, several boxes, matrices and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from random import Random

from .parts import (
    SQUAREFREE,
    another,
    integer,
    joined,
    other,
    other_fraction,
    pick,
    rational,
    several,
    tex,
    write_integer,
)
from .tables import Made, Texts, equal, kind, wrong

NAMES = "xyzabcmnpq"


def item(r: Random) -> str:
    """A value as it may stand in a list."""
    if r.random() < 0.15:
        return rf"{r.randint(2, 9)}\sqrt{{{r.choice(SQUAREFREE)}}}"
    return tex(rational(r))


def _changed_items(r: Random, items: Sequence[str]) -> list[str]:
    """One item changed, missing, too many, or negated."""
    place = r.randrange(len(items))
    fresh = other(r, items[place], lambda: item(r))
    while fresh in items:
        fresh = item(r)
    rest = [*items[:place], *items[place + 1 :]]
    return r.choice(([*items[:place], fresh, *items[place + 1 :]], rest, [*items, fresh], [fresh, *items]))


@kind("sets")
def _sets(r: Random) -> Made:
    items = several(r, item)

    def write(items: Sequence[str]) -> str:
        sized = pick(r, (r"\{", r"\}"), (r"\{", r"\}"), (r"\left\{", r"\right\}"), (r"\{ ", r" \}"))
        return sized[0] + pick(r, ", ", ",").join(r.sample(items, len(items))) + sized[1]

    return write(items), write(items), write(_changed_items(r, items))


@kind("lists")
def _lists(r: Random) -> Made:
    items = several(r, item)

    def write(items: Sequence[str]) -> str:
        mixed = r.sample(items, len(items))
        joint = pick(r, ", ", ",", r",\ ", r",\, ", "; ")
        if r.random() < 0.2 and len(items) > 1:
            return joint.join(mixed[:-1]) + pick(r, " and ", r" \text{ and } ") + mixed[-1]
        return joint.join(mixed)

    return ", ".join(items), write(items), write(_changed_items(r, items))


@kind("lists joined by or, with labels")
def _alternatives(r: Random) -> Made:
    items, x = several(r, item, 2, 3), r.choice("xyztmk")

    def write(items: Sequence[str]) -> str:
        mixed = r.sample(items, len(items))
        joint = pick(r, " or ", r" \text{ or } ", ", ", "或", r" \text{ and } ")
        labeled = [f"{x} = {text}" for text in mixed]
        once = f"{x} = " + pick(r, ", ", r" \text{ or } ").join(mixed)
        return pick(r, joint.join(labeled), joint.join(labeled), once, ", ".join(mixed))

    return write(items), write(items), write(_changed_items(r, items))


@kind("plus or minus")
def _plus_minus(r: Random) -> Made:
    a, b = Fraction(integer(r, 1)), abs(rational(r))
    x = r.choice("xyt")
    root = r.random() < 0.3

    def both(a: Fraction, b: Fraction, label: str) -> str:
        body = rf"\sqrt{{{int(b.numerator * 100 + 2)}}}" if root else tex(b)
        center = tex(a) if a else ""
        split = [joined_text(center, sign, body) for sign in "+-"]
        form = rf"{center} \pm {body}"
        return label + pick(r, form, form, f", {label}".join(split), r" \text{ or } ".join(split) if label else form)

    center = a if r.random() < 0.5 else Fraction(0)
    label = pick(r, "", "", f"{x} = ")
    changed = other(
        r,
        (center, b),
        lambda: (center, b + 1),
        lambda: (center + 1, b),
        lambda: (-center, b),
    )
    only_one = label + joined_text(tex(center) if center else "", pick(r, "+", "-"), tex(b))
    wrong_text = both(*changed, label) if root or r.random() < 0.7 else only_one
    return both(center, b, label), both(center, b, pick(r, label, "")), wrong_text


def joined_text(center: str, sign: str, body: str) -> str:
    """A center plus or minus a body."""
    return f"{center} {sign} {body}" if center else (f"-{body}" if sign == "-" else body)


def _write_tuple(r: Random, items: Sequence[str]) -> str:
    sized = pick(r, ("(", ")"), ("(", ")"), (r"\left(", r"\right)"), ("(", ")"))
    return sized[0] + pick(r, ", ", ",", r",\ ").join(items) + sized[1]


def _changed_tuple(r: Random, items: list[str]) -> list[str]:
    place = r.randrange(len(items))
    fresh = other(r, items[place], lambda: item(r))
    return other(
        r,
        items,
        lambda: r.sample(items, len(items)),
        lambda: [*items[:place], fresh, *items[place + 1 :]],
        lambda: items[::-1],
        lambda: [*items, fresh],
        lambda: items[:-1],
    )


@kind("tuples")
def _tuples(r: Random) -> Made:
    items = several(r, item, 2, 5)
    return _write_tuple(r, items), _write_tuple(r, items), _write_tuple(r, _changed_tuple(r, items))


@kind("points with a name")
def _points(r: Random) -> Made:
    items, name = several(r, item, 2, 3), r.choice("ABCMPQR")

    def write(items: list[str]) -> str:
        text = _write_tuple(r, items)
        return pick(r, text, f"{name}{text}", f"{name} = {text}")

    return write(items), write(items), write(_changed_tuple(r, items))


@kind("labeled tuples")
def _labeled_tuples(r: Random) -> Made:
    names = r.sample(NAMES, r.randint(2, 4))
    items = several(r, item, len(names), len(names))
    moved = other(r, items, lambda: r.sample(items, len(items)))
    label = f"({','.join(names)})"
    changed = moved if r.random() < 0.6 else _changed_tuple(r, items)

    def write(items: list[str], named: bool) -> str:
        return (f"{label} = " if named else "") + _write_tuple(r, items)

    gold_named = r.random() < 0.6
    return write(items, gold_named), write(items, r.random() < 0.5), write(changed, r.random() < 0.5)


@kind("systems of labeled values")
def _systems(r: Random) -> Made:
    names = r.sample(NAMES, r.randint(2, 3))
    items = several(r, item, len(names), len(names))
    moved = other(r, items, lambda: r.sample(items, len(items)))
    changed = moved if r.random() < 0.6 else [*items[:-1], other(r, items[-1], lambda: item(r))]

    def write(items: list[str]) -> str:
        parts = [f"{name} = {text}" for name, text in zip(names, items, strict=True)]
        if r.random() < 0.2:
            return r"\begin{cases} " + r" \\ ".join(parts) + r" \end{cases}"
        return pick(r, ", ", r" \text{ and } ", r",\ ", "; ").join(r.sample(parts, len(parts)))

    same = write(items)
    if names == sorted(names) and r.random() < 0.3:
        same = _write_tuple(r, items)
    return write(items), same, write(changed)


@kind("lists of points")
def _lists_of_points(r: Random) -> Made:
    points = several(r, lambda r: (integer(r, 1), integer(r, 1)), 2, 4)
    place = r.randrange(len(points))
    a, b = points[place]
    spoiled = other(r, (a, b), lambda: (b, a), lambda: (-a, b), lambda: (a, b + 1))
    while spoiled in points:
        spoiled = (spoiled[0] + 10, spoiled[1])
    changed = r.choice(([*points[:place], spoiled, *points[place + 1 :]], [*points, spoiled], points[:-1]))

    def write(points: list[tuple[int, int]]) -> str:
        texts = [f"({x},{y})" for x, y in r.sample(points, len(points))]
        text = pick(r, ", ", ",", r" \text{ and } ").join(texts) if len(points) < 3 else ", ".join(texts)
        return pick(r, text, text, rf"\{{{', '.join(texts)}\}}")

    return write(points), write(points), write(changed)


def _boxes(r: Random, items: Sequence[str]) -> str:
    boxed = [f"\\boxed{{{text}}}" for text in items]
    start, math = (
        pick(r, "The solutions are ", "We get ", "So the values are ", "Hence the answers: "),
        r.random() < 0.5,
    )
    if math:
        boxed = [f"${text}$" for text in boxed]
    if len(boxed) == 1:
        return start + boxed[0] + "."
    style = r.randrange(4)
    if style == 0:
        return start + ", ".join(boxed[:-1]) + pick(r, " and ", ", and ", " or ") + boxed[-1] + "."
    if style == 1:
        return start + ", ".join(boxed)
    if style == 2:
        return start + " and ".join(boxed) + "."
    return start + pick(r, "\n", "\n\n", " or ").join(boxed)


@equal("several boxes", whole=True)
def _same_boxes(r: Random) -> Texts:
    items = several(r, item, 2, 3)
    text = _boxes(r, r.sample(items, len(items)))
    while "\n" in text:
        text = _boxes(r, r.sample(items, len(items)))
    return pick(r, ", ".join(items), r" \text{ and } ".join(items), rf"\{{{', '.join(items)}\}}"), text


@wrong("several boxes", whole=True)
def _other_boxes(r: Random) -> Texts:
    items = several(r, item, 2, 3)
    changed = _changed_items(r, items)
    return pick(r, ", ".join(items), r" \text{ and } ".join(items), rf"\{{{', '.join(items)}\}}"), _boxes(r, changed)


@equal("several labeled boxes", whole=True)
def _same_labeled_boxes(r: Random) -> Texts:
    items, x = several(r, item, 2, 3), r.choice("xyt")
    boxed = [rf"${x} = \boxed{{{text}}}$" for text in items]
    return r" \text{ or } ".join(f"{x}={text}" for text in items), "So " + " or ".join(boxed) + "."


@wrong("several boxes against one value", whole=True)
def _boxes_for_one(r: Random) -> Texts:
    a, b = several(r, item, 2, 2)
    gold = pick(r, f"{a}, {b}", rf"\boxed{{{a}}} \text{{ and }} \boxed{{{b}}}", f"{a} or {b}")
    return gold, pick(r, f"The answer is \\boxed{{{b}}}.", b, f"\\boxed{{{a}}}", f"#### {b}")


@equal("the last of two boxes", whole=True)
def _corrected_boxes(r: Random) -> Texts:
    a, b = several(r, item, 2, 2)
    return b, f"First I got \\boxed{{{a}}}, but that is wrong: a sign was lost. So it is \\boxed{{{b}}}."


Rows = list[list[str]]


def _matrix(r: Random) -> Rows:
    rows, columns = r.randint(2, 3), r.randint(2, 3)
    return [[item(r) for _ in range(columns)] for _ in range(rows)]


def _write_matrix(r: Random, rows: Rows) -> str:
    body = pick(r, r" \\ ", r"\\", "\\\\\n").join(pick(r, " & ", "&").join(row) for row in rows)
    name = pick(r, "pmatrix", "pmatrix", "bmatrix")
    if r.random() < 0.15:
        return rf"\left(\begin{{array}}{{{'c' * len(rows[0])}}} {body} \end{{array}}\right)"
    return rf"\begin{{{name}}} {body} \end{{{name}}}"


@kind("matrices")
def _matrices(r: Random) -> Made:
    rows = _matrix(r)
    i, j = r.randrange(len(rows)), r.randrange(len(rows[0]))
    entry = other(r, rows[i][j], lambda: item(r))
    spoiled = [[entry if (i, j) == (a, b) else text for b, text in enumerate(row)] for a, row in enumerate(rows)]
    turned = [list(column) for column in zip(*rows, strict=True)]
    changed = other(r, rows, lambda: spoiled, lambda: turned, lambda: rows[::-1], lambda: rows[:-1])
    return _write_matrix(r, rows), _write_matrix(r, rows), _write_matrix(r, changed)


@kind("matrices times a number")
def _scaled_matrices(r: Random) -> Made:
    k, rows = r.randint(2, 9), [[integer(r, 1) for _ in range(2)] for _ in range(2)]
    i, j = r.randrange(2), r.randrange(2)
    spoiled = [[n + ((a, b) == (i, j)) for b, n in enumerate(row)] for a, row in enumerate(rows)]

    def write(rows: list[list[int]], k: int) -> str:
        return _write_matrix(r, [[str(n * k) for n in row] for row in rows])

    changed = pick(r, write(spoiled, k), write(rows, k + 1), write(rows, 1), f"{k + 1}{write(rows, 1)}")
    return write(rows, k), pick(r, f"{k}{write(rows, 1)}", write(rows, k)), changed


@kind("vectors")
def _vectors(r: Random) -> Made:
    items = several(r, item, 2, 4)

    def write(items: list[str]) -> str:
        column = r"\begin{pmatrix} " + r" \\ ".join(items) + r" \end{pmatrix}"
        row = r"\langle " + ", ".join(items) + r" \rangle"
        return pick(r, column, column, row, r"\left\langle " + ", ".join(items) + r"\right\rangle")

    return write(items), write(items), write(_changed_tuple(r, items))


@kind("vectors of unit vectors")
def _unit_vectors(r: Random) -> Made:
    values = [Fraction(integer(r, 1)) for _ in range(r.randint(2, 3))]
    changed = other(
        r,
        values,
        lambda: values[::-1],
        lambda: [-values[0], *values[1:]],
        lambda: [other_fraction(r, values[0]) or Fraction(11), *values[1:]],
    )

    def write(values: list[Fraction]) -> str:
        style = pick(r, r"\mathbf{{{}}}", r"\hat{{{}}}", r"\vec{{{}}}")
        return joined(r, [(value, style.format(letter)) for value, letter in zip(values, "ijk", strict=False)])

    return write(values), write(values), write(changed)


@kind("sequences in order")
def _sequences(r: Random) -> Made:
    values = several(r, lambda r: integer(r, 2), 3, 6)
    changed = other(
        r,
        values,
        lambda: [*values[:-1], another(r, values[-1]) + 500],
        lambda: values[:-1],
        lambda: [*values, values[0] + 1000],
    )

    def write(values: list[int]) -> str:
        return pick(r, ", ", ",").join(write_integer(r, n) for n in values)

    return write(values), write(values), write(changed)


@wrong("kinds of brackets")
def _brackets(r: Random) -> Texts:
    a, b = several(r, item, 2, 2)
    two = pick(r, (f"({a},{b})", rf"\{{{a},{b}\}}"), (f"({a},{b})", f"({b},{a})"), (rf"\{{{a}\}}", rf"\{{{a},{b}\}}"))
    return two if r.random() < 0.5 else two[::-1]
