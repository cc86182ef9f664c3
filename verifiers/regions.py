r"""Sets of real numbers as people write them: inequalities, set-builder notation, all reals, all but one.

Each is rewritten as intervals: that way `-1 \leq a \leq 3`, `\{x \mid -1 \leq x \leq 3\}` and `[-1, 3]` are read alike.
Texts are tidied (`prm.verifiers.normalize`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

_VARIABLE = r"\\?[A-Za-z](?:[a-z]{3,6})?(?:_\{?\w{1,3}\}?)?"
_NAME = re.compile(_VARIABLE)
_ABSOLUTE = re.compile(rf"\|({_VARIABLE})\|")
_SIGN = re.compile(r"(\\(?:leq|geq|neq)(?![A-Za-z])|<=|>=|!=|<|>)")
_OPPOSITE = {"<": ">", ">": "<", r"\leq": r"\geq", r"\geq": r"\leq", r"\neq": r"\neq"}
_PLAIN = {"<=": r"\leq", ">=": r"\geq", "!=": r"\neq"}
_OR = re.compile(r" ?(?:\\text\{ ?,? ?or ?\}|\bor\b|\\vee(?![A-Za-z])|\\lor(?![A-Za-z])) ?")
_AND = re.compile(r" ?(?:\\text\{ ?,? ?and ?\}|\band\b|\\wedge(?![A-Za-z])|\\land(?![A-Za-z])|,) ?")
_BUILDER = re.compile(rf"\\?\{{ ?({_VARIABLE})(?: ?\\in ?\\mathbb\{{R\}})? ?[|:] ?(.*?)\\?\}}")
_REALS = re.compile(r"\\mathbb\{R\}|\(?all real numbers?\)?|\\text\{ ?\(?all real numbers?\)? ?\}", re.IGNORECASE)
_NO_ZERO = re.compile(r"\\mathbb\{R\} ?(?:\\setminus|\\backslash|-|\\) ?\\\{(.*)\\\}")


class Region(NamedTuple):
    """Intervals, and the variable that lies in them."""

    intervals: tuple[str, ...]
    """Each as text with its brackets: "(-\\infty,3]"."""
    variable: str
    """"" for a dummy variable, as in set-builder notation."""


def read_region(text: str) -> Region | None:
    r"""Read a text that describes intervals without writing them; None for any other text.

    >>> read_region(r"x < 1 or x \geq 3")
    Region(intervals=('(-\\infty,1)', '[3,\\infty)'), variable='x')
    """
    if _REALS.fullmatch(text):
        return Region((r"(-\infty,\infty)",), "")
    if (without := _NO_ZERO.fullmatch(text)) and "," not in without[1]:
        return Region(_interval(r"\neq", without[1]), "")
    if built := _BUILDER.fullmatch(text):
        inner = _read_condition(built[2])
        return None if inner is None or inner.variable != built[1] else Region(inner.intervals, "")
    return _read_condition(text)


def built_member(text: str) -> str | None:
    r"""The condition of a set-builder text: `x = 3k, k \in …` for `\{x | x = 3k, k \in \mathbb{Z}\}`."""
    built = _BUILDER.fullmatch(text)
    return built[2].strip() if built else None


def _read_condition(text: str) -> Region | None:
    if not _SIGN.search(text):
        return None
    parts = [_read_conjunction(part) for part in _OR.split(text)]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts) or len({part.variable for part in found}) > 1:
        return None
    return Region(tuple(interval for part in found for interval in part.intervals), found[0].variable)


def _read_conjunction(text: str) -> Region | None:
    """One chain of relations, or two that bound the same variable from below and above."""
    parts = [_read_chain(part) for part in _AND.split(text)]
    if len(parts) == 1:
        return parts[0]
    if len(parts) != 2 or parts[0] is None or parts[1] is None or parts[0].variable != parts[1].variable:
        return None
    if len(parts[0].intervals) != 1 or len(parts[1].intervals) != 1:
        return None
    (first,), (second,), variable = parts[0].intervals, parts[1].intervals, parts[0].variable
    for lower, upper in ((first, second), (second, first)):
        if lower.endswith(r",\infty)") and upper.startswith(r"(-\infty,"):
            return Region((lower.removesuffix(r"\infty)") + upper.removeprefix(r"(-\infty,"),), variable)
    return None


def _read_chain(text: str) -> Region | None:
    r"""`x < 3`, `3 > x` or `1 < x \leq 3`."""
    terms, signs = _chain(text)
    if not all(terms):
        return None
    if len(terms) == 2 and (within := _ABSOLUTE.fullmatch(terms[0])):
        return _around(within[1], signs[0], terms[1])
    if len(terms) == 2:
        if _NAME.fullmatch(terms[0]) and not _NAME.fullmatch(terms[1]):
            return Region(_interval(signs[0], terms[1]), terms[0])
        if _NAME.fullmatch(terms[1]):
            return Region(_interval(_OPPOSITE[signs[0]], terms[0]), terms[1])
    if len(terms) == 3 and _NAME.fullmatch(terms[1]):
        return _between(terms, signs)
    return None


def _around(variable: str, sign: str, bound: str) -> Region | None:
    r"""`|x| < 2` and similar."""
    inner = {"<": f"(-({bound}),{bound})", r"\leq": f"[-({bound}),{bound}]"}
    outer = {">": ("<", ">"), r"\geq": (r"\leq", r"\geq")}
    if sign in inner:
        return Region((inner[sign],), variable)
    if sign not in outer:
        return None
    below, above = outer[sign]
    return Region(_interval(below, f"-({bound})") + _interval(above, bound), variable)


def _chain(text: str) -> tuple[list[str], list[str]]:
    parts = [part.strip() for part in _SIGN.split(text)]
    return parts[::2], [_PLAIN.get(sign, sign) for sign in parts[1::2]]


def _between(terms: list[str], signs: list[str]) -> Region | None:
    if all(sign in (">", r"\geq") for sign in signs):
        terms, signs = terms[::-1], [_OPPOSITE[sign] for sign in signs[::-1]]
    if not all(sign in ("<", r"\leq") for sign in signs):
        return None
    left, right = ("(" if signs[0] == "<" else "["), (")" if signs[1] == "<" else "]")
    return Region((f"{left}{terms[0]},{terms[2]}{right}",), terms[1])


def _interval(sign: str, bound: str) -> tuple[str, ...]:
    below, above = f"(-\\infty,{bound}", f"{bound},\\infty)"
    return {
        "<": (below + ")",),
        r"\leq": (below + "]",),
        ">": ("(" + above,),
        r"\geq": ("[" + above,),
        r"\neq": (below + ")", "(" + above),
    }[sign]
