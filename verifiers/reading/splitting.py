"""Splits the text of an answer: lists into their items, equations into their sides."""

from __future__ import annotations

import re

from ..expressions.parser import ParseError, matrix_cells
from .conditions import DEPTHS, built_member, depth_of

_SUBSCRIPT = r"_(?:\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|\\?\w+)"
_LETTERS = r"(?:\\(?:angle|measuredangle|triangle|overline|overrightarrow|vec|hat|bar|text|mathcal) ?)*\\?[A-Za-z]+'*"
NAME = rf"(?:{_LETTERS}|\\(?:vec|hat|bar|overline|overrightarrow|text) ?\{{[^{{}}]*\}})(?:{_SUBSCRIPT})?"
LABEL = re.compile(
    rf"(?:m ?|\\(?:Delta|triangle) ?)?{NAME}(?:\^\{{?-1\}}?|\^\{{?\\prime\}}?)?(?: ?\([^()]{{1,20}}\))?"
    rf"(?:{_SUBSCRIPT})?"
    rf"|\|{{1,2}}(?![a-y]\|)[^|=]{{1,20}}\|{{1,2}}|\\\|[^|=]{{1,20}}\\\|"
    rf"|\\(?:sin|cos|tan|cot|sec|csc) ?(?:\\angle ?)?\\?[A-Za-z]+"
    rf"|\\text\{{[^{{}}]*\}}(?: ?(?:\\triangle ?)?[A-Z]{{1,6}})?|[A-Za-z]+(?: [A-Za-z]+){{1,5}}|\\lim.*"
    rf"|(?:{NAME}|\d?[A-Z]{{2}}) ?: ?{NAME}(?: ?: ?{NAME})?"
)
_LISTLIKE = re.compile(r"[,;(\[{]|\\[cmplb]|\band\b|\bor\b|\+/-")
"""Something that every list has."""
_QUANTITY = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)? ?[A-Za-z°%][^,;]{0,20}")
"""A number with separators of thousands and a unit."""
_PART = re.compile(r"(?:^|[ ,;])\(([a-z]|[ivx]{1,4}|\d)\) ?")
_RELATION = re.compile(r"=|\\in(?![A-Za-z])")
_CONJUNCTION = re.compile(
    r"(?:, ?)?(?: (?:and|or) |\\text\{ ?,? ?(?:and|or) ?\})|(?<=[)\]}\d]) ?(?:and|or) ?(?=[(\[\d\\-])"
)
_INNER_CONJUNCTION = re.compile(r"(\\text\{[^{}]*?\w[^{}]*?),? (?:and|or) ?\} ?")
SIGNS = re.compile(r"\\pm(?![A-Za-z])|\\mp(?![A-Za-z])|\+/-")
_MATRIX = re.compile(r"[(\[]?\\begin\{([pbB]?matrix|array)\}(?:\{[lcr|]*\})?(.*)\\end\{\1\}[)\]]?", re.DOTALL)

List = tuple[str, list[str]]
"""The brackets of a list, see `Answer.brackets`, and the texts of its items."""


def split_list(text: str) -> List | None:
    """The brackets and items of a list; None for any other text."""
    if not _LISTLIKE.search(text):
        return None
    for splitter in _SPLITTERS:
        if (found := splitter(text)) is not None:
            return found
    return None


def _split_matrix(text: str) -> List | None:
    match = _MATRIX.fullmatch(text)
    if match is None or r"\begin" in match[2]:
        return None
    try:
        rows = matrix_cells(match[2].replace(r"\hline", ""))
    except ParseError:
        return None
    return f"matrix {len(rows)}x{len(rows[0])}", [cell for row in rows for cell in row]


def _split_nested(text: str) -> List | None:
    """`[[1, 2], [3, 4]]`, a matrix as code writes it."""
    if not text.startswith("[[") or not encloses(text):
        return None
    rows = split_commas(text[1:-1])
    cells = [split_commas(row[1:-1]) for row in rows if _is_bracketed(row)]
    if len(cells) < len(rows) or len({len(row) for row in cells}) != 1:
        return None
    return f"matrix {len(cells)}x{len(cells[0])}", [cell for row in cells for cell in row]


def _split_union(text: str) -> List | None:
    parts = re.split(r"\\cup(?![A-Za-z])", text) if "\\cup" in text else []
    return ("U", [part.strip() for part in parts]) if len(parts) > 1 else None


def _split_built_set(text: str) -> List | None:
    member = built_member(text)
    return None if member is None else ("{}", [member])


def _split_set(text: str) -> List | None:
    r"""`\{1, 2\}`."""
    braces = text.replace(r"\{", "{").replace(r"\}", "}")
    return ("{}", split_commas(braces[1:-1])) if len(braces) < len(text) and encloses(braces) else None


def _split_tuple(text: str) -> List | None:
    parts = split_commas(text[1:-1]) if _is_bracketed(text) else []
    return (text[0] + text[-1], parts) if len(parts) > 1 else None


def _split_vector(text: str) -> List | None:
    r"""`\langle 1, 2 \rangle`."""
    is_vector = text.startswith("\\langle") and text.endswith("\\rangle")
    return ("()", split_commas(text[7:-7])) if is_vector else None


def _split_parts(text: str) -> List | None:
    """`(a) 8 (b) 87`, the parts of an answer."""
    if not _PART.match(text):
        return None
    parts = [part.strip(" ,;") for part in _PART.split(text)]
    names, values = parts[1::2], parts[2::2]
    is_list = not parts[0] and len(names) > 1 and names[0] in ("a", "i", "1") and all(values)
    return ("", [f"\\text{{{name}}} = {value}" for name, value in zip(names, values, strict=True)]) if is_list else None


def _split_bare(text: str) -> List | None:
    r"""`1, 2`, `1 and 2` or `\pm 1`."""
    if _is_bracketed(text) or _QUANTITY.fullmatch(text):
        return None
    if groups := _labeled_groups(text):
        return "", groups
    parts = split_commas(_CONJUNCTION.sub(", ", _INNER_CONJUNCTION.sub(r"\1}, ", text)))
    return ("", parts) if len(parts) > 1 or len(both_signs(parts[0])) > 1 else None


def _labeled_groups(text: str) -> list[str]:
    """`p = 5, q = 2; p = 7, q = 2` as two tuples; none for any other text."""
    if ";" not in text or "=" not in text:
        return []
    groups = [dict(map(_pair, group.split(","))) for group in text.split(";")]
    labels = [sorted(group) for group in groups]
    if len(groups) < 2 or len(labels[0]) < 2 or "" in labels[0] or any(label != labels[0] for label in labels):
        return []
    return [f"({', '.join(group[label] for label in labels[0])})" for group in groups]


def _pair(text: str) -> tuple[str, str]:
    label, equals, value = text.partition("=")
    return (label.strip(), value.strip()) if equals and LABEL.fullmatch(label.strip()) else ("", text)


_SPLITTERS = (
    _split_matrix,
    _split_nested,
    _split_union,
    _split_built_set,
    _split_set,
    _split_tuple,
    _split_vector,
    _split_parts,
    _split_bare,
)
"""The kinds of list, in order: each gives the brackets and the items' texts, or None. The first that splits wins."""


def _is_bracketed(text: str) -> bool:
    return text[:1] in ("(", "[") and text[-1:] in (")", "]") and encloses(text)


def both_signs(part: str) -> list[str]:
    r"""`1 \pm 2` is two answers; several signs are left as they are, since their pairing is unknown."""
    if len(SIGNS.findall(part)) != 1:
        return [part]
    return [" ".join(SIGNS.sub(sign, part).split()).removeprefix("+").strip() for sign in ("+", "-")]


def encloses(text: str) -> bool:
    """Whether the first bracket of a text closes at its end."""
    depth = 0
    for position, character in enumerate(text):
        depth += DEPTHS.get(character, 0)
        if depth <= 0:
            return position == len(text) - 1 > 0
    return False


def split_commas(text: str) -> list[str]:
    """Split at commas and semicolons outside all brackets."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += DEPTHS.get(character, 0)
        if character in ",;" and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    return [*parts, text[start:].strip()]


def split_relations(text: str) -> list[str]:
    r"""Split at = and \in outside brackets and environments: the equation in P(X=2) is part of a label."""
    parts, start = [], 0
    for match in _RELATION.finditer(text):
        before = text[start : match.start()]
        is_outside = depth_of(before) == 0
        if (
            is_outside
            and text[match.start() - 1 : match.start()] != "!"
            and before.count(r"\begin") == before.count(r"\end")
        ):
            parts.append(before.strip())
            start = match.end()
    return [*parts, text[start:].strip()]
