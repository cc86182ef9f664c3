"""Audit of a training set before training: counts, labels, lengths, and one example in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prm.data.drops import Drops
from prm.data.splits import SplitProof
from prm.statistics.arrays import Bools, Floats, Ints

from ..examples import GroupExample
from .storage import KNOWN, Columns

POSITIONS = 12
"""Number of first steps of a chain that are shown by position."""


def side(columns: Columns, groups: Bools, problems: int) -> dict[str, Any]:
    """Summarize one side of the split.

    Args:
        columns: the examples.
        groups: whether each group is on this side.
        problems: number of distinct texts of problems among them.

    Returns:
        Numbers of `problems`, `chains`, `tokens`, tokens of the `longest` chain, labeled `steps` and the `share_right`
        among them; numbers of `chains_with_value`, of any output, and of `pairs` of chains with different values, of
        all outputs together; `by_position`: for each of the first positions, the number of labeled steps and the share
        right.
    """
    lengths = np.diff(columns.token_starts)[columns.chains_in(groups)]
    steps = _labeled(columns, groups)
    targets, positions = columns.targets[steps], _positions(columns)[steps]
    by_position = {position: targets[positions == position] for position in range(POSITIONS)}
    return {
        "problems": problems,
        "chains": len(lengths),
        "tokens": int(lengths.sum()),
        "longest": int(lengths.max(initial=0)),
        "steps": len(targets),
        "share_right": _mean(targets),
        "chains_with_value": int(np.isfinite(columns.values[columns.chains_in(groups)]).any(axis=1).sum()),
        "pairs": sum(_pairs(columns, groups, values) for values in columns.values.T),
        "by_position": [
            {"position": position, "steps": len(found), "share_right": _mean(found)}
            for position, found in by_position.items()
            if len(found)
        ],
    }


def _labeled(columns: Columns, groups: Bools) -> Bools:
    """Whether each step is in one of these groups and learned from."""
    found: Bools = columns.steps_in(groups) & ~np.isnan(columns.targets)
    return found


def _positions(columns: Columns) -> Ints:
    """Position of each step in its chain, from 0."""
    return np.arange(len(columns.targets)) - np.repeat(columns.step_starts[:-1], np.diff(columns.step_starts))


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _pairs(columns: Columns, groups: Bools, values: Floats) -> int:
    """Pairs of chains of a group whose values differ: all pairs but those of equal values."""
    known = columns.chains_in(groups) & ~np.isnan(values)
    owners = np.repeat(np.arange(len(columns)), np.diff(columns.chain_starts))[known]
    _, of_groups = np.unique(owners, return_counts=True)
    _, alike = np.unique(np.stack([owners, values[known]]), axis=1, return_counts=True)
    return int((of_groups**2).sum() - (alike**2).sum()) // 2


def audit(columns: Columns, held_out: Bools, proof: SplitProof, drops: Drops) -> dict[str, Any]:
    """The whole audit as JSON.

    Args:
        columns: the examples.
        held_out: whether each group is measured on and not learned from.
        proof: that the two sides share no problem.
        drops: the dropped rows.

    Returns:
        `train`, `held_out`: see `side`; `split`: the proof; `known`: number of steps trained on per source of their
        label; `dropped`: number of rows per reason.
    """
    sources, counts = np.unique(columns.known[_labeled(columns, ~held_out)], return_counts=True)
    return {
        "schema": "audit/1",
        "train": side(columns, ~held_out, proof.train_texts),
        "held_out": side(columns, held_out, proof.held_out_texts),
        "split": proof.as_json(),
        "known": {KNOWN[source]: int(count) for source, count in zip(sources, counts, strict=True)},
        "dropped": drops.by_reason(),
    }


def summary_rows(found: Mapping[str, Any]) -> list[list[str]]:
    """An audit as rows of (what, train, held out)."""
    both = found["train"], found["held_out"]
    rows = [[name.replace("_", " "), *(_cell(one[name]) for one in both)] for name in both[0] if name != "by_position"]
    split = found["split"]
    rows.append(["on both sides", _cell(split["shared_texts"]), _cell(split["shared_texts"])])
    rows += [[f"dropped: {reason}", _cell(number), ""] for reason, number in found["dropped"].items()]
    return rows


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def example_lines(group: GroupExample, tokenizer: Any) -> list[str]:
    """The first chain of a group as the model reads it: the text before each scored position, and the label there."""
    chain = group.chains[0]
    ids = list(chain.ids)
    lines = [f"One example as the model reads it: chain {chain.chain_id}, {len(ids)} tokens"]
    lines.append(f"  the problem: {_shown(tokenizer, ids[: group.prompt_length])}")
    start = group.prompt_length
    for end, target, weight in zip(chain.step_ends, chain.targets, chain.weights, strict=True):
        label = (
            "not learned from"
            if target is None
            else f"label {target:.3g}" + (f", weight {weight:.3g}" if weight != 1 else "")
        )
        read = f"  {_shown(tokenizer, ids[start:end])} then {_shown(tokenizer, ids[end : end + 1])} at {end}"
        lines.append(f"{read}: {label}" if chain.has_target else read)
        start = end + 1
    if chain.has_value:
        values = ", ".join("unknown" if value is None else f"{value:.3g}" for value in chain.values)
        lines.append(f"  the whole chain at {len(ids) - 1}: value {values}")
    return lines


def _shown(tokenizer: Any, ids: Sequence[int]) -> str:
    text = repr(tokenizer.decode(ids))
    return text if len(text) <= 120 else f"{text[:60]} … {text[-57:]}"
