"""MATH-APS, written by openr's OmegaPRM: a tree of solutions, or its prefixes in a flat list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..rows import Row, optional_text
from .solutions import Label, Reading, Solution, as_share, ended, objects, typed

Path = list[tuple[str, Label]]
"""Steps from the problem to a leaf, each with the share of rollouts from its end that succeed, in [0, 1]."""


def math_aps(row: Row, _: Reading) -> Iterator[Solution]:
    """One solution per leaf. A node's text is one step, since its value is that of the prefix that ends with it.

    Flat: `question`, `final_answer`, `reasoning_steps` of `solution_prefix` and `mc_value`. Tree: nodes with `text`,
    `mc_value` and `children`, in place of that list or as the row itself; the root is the problem. The format does not
    say how many rollouts a value comes from; a leaf's 1.0 may come from the single rollout that made it.
    """
    for question, path in _paths(row):
        yield Solution(
            problem=question,
            steps=tuple(ended(text) for text, _ in path),
            labels=tuple(value for _, value in path),
            answer=optional_text(row, "final_answer"),
        )


def _paths(row: Row) -> Iterator[tuple[str, Path]]:
    root = row if "children" in row else row.get("reasoning_steps")
    question = typed(row, "text" if root is row else "question", str)
    paths = _tree_paths(root) if isinstance(root, dict) else _flat_paths(row, question.strip())
    return ((question, path) for path in paths)


def _tree_paths(root: Row) -> Iterator[Path]:
    """From the root's children to each leaf; a node without text adds no step."""
    waiting: list[tuple[Row, Path]] = [(child, []) for child in reversed(objects(root, "children"))]
    while waiting:
        node, before = waiting.pop()
        text = typed(node, "text", str).strip()
        path = [*before, (text, as_share(node.get("mc_value")))] if text else before
        children = objects(node, "children") if node.get("children") else []
        waiting += [(child, path) for child in reversed(children)]
        if not children:
            yield path


def _flat_paths(row: Row, question: str) -> Iterator[Path]:
    """Rebuild the paths: each prefix continues the longest other prefix that it begins with."""
    values = _prefixes(row, question)
    shortest_first = sorted(values, key=len)
    parents = {
        prefix: next((p for p in reversed(shortest_first[:i]) if _continues(prefix, p)), "")
        for i, prefix in enumerate(shortest_first)
    }
    inner = set(parents.values())
    return (_climb(prefix, parents, values) for prefix in values if prefix not in inner)


def _prefixes(row: Row, question: str) -> dict[str, Label]:
    """The value of each prefix; None if it occurs with two different values."""
    values: dict[str, Label] = {}
    for entry in objects(row, "reasoning_steps"):
        prefix = typed(entry, "solution_prefix", str).strip().removeprefix(question).strip()
        value = as_share(entry.get("mc_value"))
        if prefix:
            values[prefix] = value if values.get(prefix, value) == value else None
    return values


def _continues(prefix: str, shorter: str) -> bool:
    return prefix.startswith(shorter) and prefix[len(shorter) :][:1].isspace()


def _climb(leaf: str, parents: Mapping[str, str], values: Mapping[str, Label]) -> Path:
    path: Path = []
    while leaf:
        path.append((leaf[len(parents[leaf]) :].strip(), values[leaf]))
        leaf = parents[leaf]
    return path[::-1]
