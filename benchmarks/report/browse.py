"""The chains of a report: the selection, and the data that the page renders."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..protocols import words_of
from ..results import Result, ShownChain
from ..search.trees import Node, tree_of
from .sections import titles_of

_DIGITS = 4
"""Significant digits of scores in the page."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Color scale of one scorer: `low` and below is one end, `high` and above the other."""

    name: str
    is_outcome: bool
    """It scores whole chains, not steps."""
    low: float
    middle: float
    """Neutral score; for a scorer of steps, also the initial threshold of the page."""
    high: float


@dataclass(frozen=True, slots=True)
class Browser:
    """The chains in the page."""

    data: Mapping[str, Any]
    """JSON, read by `browser.js`."""
    shown: int
    """Chains in the page."""
    total: int
    """Chains in the files."""
    title: str
    """What it shows."""


def make_browser(results: Mapping[str, Result], chains: Mapping[str, Sequence[ShownChain]], most: int) -> Browser:
    """Select chains, and collect what the page needs to show them.

    Args:
        results: by file name.
        chains: by the same names.
        most: limit on the chains; whole problems are sampled evenly from all files.
    """
    everything = [(file, chain) for file, own in chains.items() for chain in own]
    shown = chosen_evenly(everything, [(file, chain.problem_id) for file, chain in everything], most)
    scales = _scales([chain for _, chain in shown], results)
    title = "Search trees" if shown and all(_has_trees(results[file]) for file, _ in shown) else "Chains"
    return Browser(_data(shown, results, scales, len(everything)), len(shown), len(everything), title)


def chosen_evenly(rows: Sequence[Any], problems: Sequence[object], most: int) -> list[Any]:
    """Select at most `most` rows: evenly spaced problems, each with all of its rows.

    A problem is cut only if it alone has more than `most` rows.

    >>> chosen_evenly("aabbccdd", "aabbccdd", 5)
    ['a', 'a', 'c', 'c']
    """
    rows_of: dict[object, list[int]] = {}
    for index, problem in enumerate(problems):
        rows_of.setdefault(problem, []).append(index)
    groups = list(rows_of.values())
    fitting = bisect_right(range(1, len(groups) + 1), most, key=lambda count: sum(map(len, _every(groups, count))))
    taken = _every(groups, max(fitting, min(1, len(groups))))
    return [rows[i] for i in sorted(i for group in taken for i in group)[:most]]


def _every(groups: Sequence[list[int]], count: int) -> list[list[int]]:
    """Select `count` groups, evenly spaced."""
    return [groups[i * len(groups) // count] for i in range(count)]


def _scales(chains: Iterable[ShownChain], results: Mapping[str, Result]) -> list[Scale]:
    """Scales of the scorers with scores in the chains, in the order of the results."""
    lengths: dict[str, set[tuple[int, int]]] = {}
    values: dict[str, list[float]] = {}
    for chain in chains:
        for name, scores in chain.scores.items():
            lengths.setdefault(name, set()).add((len(scores), len(chain.steps)))
            values.setdefault(name, []).extend(score for score in scores if math.isfinite(score))
    order = dict.fromkeys(name for result in results.values() for name in result.scorers)
    thresholds = _thresholds(results.values())
    return [
        _scale(name, _is_outcome(lengths[name]), values[name], thresholds.get(name))
        for name in (*order, *(name for name in values if name not in order))
        if name in values
    ]


def _is_outcome(lengths: set[tuple[int, int]]) -> bool:
    return {scores for scores, _ in lengths} == {1} and any(steps > 1 for _, steps in lengths)


def _thresholds(results: Iterable[Result]) -> dict[str, float]:
    """Thresholds that the results used, by scorer."""
    found: dict[str, float] = {}
    for result in results:
        given = result.settings.get("threshold")
        if isinstance(given, Mapping):
            found |= {name: value for name, value in given.items() if isinstance(value, int | float)}
    return found


def _scale(name: str, is_outcome: bool, values: Sequence[float], threshold: float | None) -> Scale:
    """Range of the colors: 0 to 1 for probabilities; otherwise symmetric around the middle, covering 90% of the scores.

    The middle of step scores is the threshold, if there is one, else 0.5 for probabilities and 0 for others; the middle
    of rewards is their median.
    """
    if not values or (min(values) >= 0 and max(values) <= 1 and not is_outcome):
        return Scale(name, is_outcome, 0.0, 0.5 if threshold is None else threshold, 1.0)
    ordered = sorted(values)
    neutral = ordered[len(ordered) // 2] if is_outcome else 0.0
    middle = neutral if threshold is None or is_outcome else threshold
    reach = sorted(abs(value - middle) for value in values)[int(0.9 * (len(values) - 1))] or 1.0
    return Scale(name, is_outcome, *(_rounded(value) for value in (middle - reach, middle, middle + reach)))


def _data(
    shown: Sequence[tuple[str, ShownChain]], results: Mapping[str, Result], scales: Sequence[Scale], total: int
) -> dict[str, Any]:
    files = _Indexes(results)
    problems, splits, selectors = _Indexes(), _Indexes(), _Indexes()
    rows = [
        {
            "suite": files.of(file),
            "problem": problems.of((file, chain.problem_id, chain.problem, chain.answer)),
            "split": splits.of(chain.split),
            "id": f"{chain.problem_id} · {chain.split}" if tree else chain.chain_id,
            "steps": [step.rstrip() for step in chain.steps],
            "truth": None if chain.truth is None else "".join(_MARKS[is_right] for is_right in chain.truth),
            "right": chain.is_right,
            "scores": [_scores(chain.scores.get(scale.name)) for scale in scales],
            "chosen": [] if tree else [selectors.of(name) for name in chain.chosen_by],
            **({"tree": [_node_row(node, scales) for node in tree]} if tree else {}),
        }
        for file, chain, tree in _rows(shown, results)
    ]
    titles = titles_of(results)
    return {
        "total": total,
        "suites": [
            {"name": titles[file], "words": words_of(results[file].protocol), "trees": _has_trees(results[file])}
            for file in files
        ],
        "scorers": [_scale_row(scale) for scale in scales],
        "splits": list(splits),
        "selectors": list(selectors),
        "problems": [{"id": i, "text": text, "answer": answer} for _, i, text, answer in problems],
        "chains": rows,
    }


def _has_trees(result: Result) -> bool:
    return result.protocol == "search"


def _rows(
    shown: Sequence[tuple[str, ShownChain]], results: Mapping[str, Result]
) -> Iterator[tuple[str, ShownChain, list[Node]]]:
    """Each chain; of a search the chosen chain of each tree, with the tree."""
    trees: dict[tuple[str, str, str], list[ShownChain]] = {}
    for file, chain in shown:
        if _has_trees(results[file]):
            trees.setdefault((file, chain.split, chain.problem_id), []).append(chain)
        else:
            yield file, chain, []
    for (file, _, _), chains in trees.items():
        yield file, next((chain for chain in chains if chain.chosen_by), chains[0]), tree_of(chains)


def _node_row(node: Node, scales: Sequence[Scale]) -> dict[str, Any]:
    return {
        "parent": node.parent,
        "text": node.text.rstrip(),
        "truth": None if node.truth is None else _MARKS[node.truth],
        "scores": _scores([node.score(scale.name) for scale in scales]),
        "chains": len(node.chains),
        "chosen": node.is_chosen,
        "left": node.is_given_up,
        "ends": "".join(_MARKS[end.is_right] if end.is_whole or end.chosen_by else "-" for end in node.ends),
    }


class _Indexes(dict[Any, int]):
    """Index of each distinct value, counted from 0 in order of first use."""

    def __init__(self, known: Iterable[Any] = ()) -> None:
        super().__init__({value: index for index, value in enumerate(known)})

    def of(self, value: Any) -> int:
        """Index of a value; a new value gets the next one."""
        return self.setdefault(value, len(self))


_MARKS = {True: "1", False: "0", None: "?"}


def _scores(scores: Sequence[float | None] | None) -> list[float | None] | None:
    if scores is None:
        return None
    return [None if score is None or not math.isfinite(score) else _rounded(score) for score in scores]


def _rounded(score: float) -> float:
    return float(f"{score:.{_DIGITS}g}")


def _scale_row(scale: Scale) -> dict[str, Any]:
    return {
        "name": scale.name,
        "outcome": scale.is_outcome,
        "low": scale.low,
        "middle": scale.middle,
        "high": scale.high,
    }
