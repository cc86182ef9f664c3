"""Audit of a training set before training: counts, labels, lengths, and one example in full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prm.data.drops import Drops
from prm.data.records import StepLabels
from prm.data.splits import SplitProof

from .examples import GroupExample

POSITIONS = 12
"""Number of first steps of a chain that are shown by position."""


def side(groups: Sequence[GroupExample], problems: int) -> dict[str, Any]:
    """Summarize one side of the split.

    Args:
        groups: its examples.
        problems: number of distinct texts of problems among them.

    Returns:
        Numbers of `problems`, `chains`, `tokens`, tokens of the `longest` chain, labeled `steps` and the `share_right`
        among them; numbers of `chains_with_value` and of `pairs` of chains with different values; `by_position`: for
        each of the first positions, the number of labeled steps and the share right.
    """
    chains = [chain for group in groups for chain in group.chains]
    labeled = [(i, t) for chain in chains for i, t in enumerate(chain.targets) if t is not None]
    by_position = {position: [t for i, t in labeled if i == position] for position in range(POSITIONS)}
    return {
        "problems": problems,
        "chains": len(chains),
        "tokens": sum(len(chain.ids) for chain in chains),
        "longest": max((len(chain.ids) for chain in chains), default=0),
        "steps": len(labeled),
        "share_right": _mean([t for _, t in labeled]),
        "chains_with_value": sum(chain.value is not None for chain in chains),
        "pairs": sum(_pairs(group) for group in groups),
        "by_position": [
            {"position": position, "steps": len(found), "share_right": _mean(found)}
            for position, found in by_position.items()
            if found
        ],
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _pairs(group: GroupExample) -> int:
    counts = Counter(chain.value for chain in group.chains if chain.value is not None)
    total = counts.total()
    return sum(n * (total - n) for n in counts.values()) // 2


def audit(
    train: Sequence[GroupExample],
    held_out: Sequence[GroupExample],
    proof: SplitProof,
    labels: Iterable[StepLabels],
    drops: Drops,
) -> dict[str, Any]:
    """The whole audit as JSON.

    Args:
        train: examples to learn from.
        held_out: examples to measure on.
        proof: that the two share no problem.
        labels: the step labels that were read.
        drops: the dropped rows.

    Returns:
        `train`, `held_out`: see `side`; `split`: the proof; `known`: number of steps trained on per source of their
        label; `dropped`: number of rows per reason.
    """
    learned = {chain.chain_id: chain.targets for group in train for chain in group.chains}
    known = Counter(
        source
        for record in labels
        for source, target in zip(record.known, learned.get(record.chain_id, ()), strict=False)  # cut to whole steps
        if target is not None
    )
    return {
        "schema": "audit/1",
        "train": side(train, proof.train_texts),
        "held_out": side(held_out, proof.held_out_texts),
        "split": proof.as_json(),
        "known": dict(known),
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
    if chain.value is not None:
        lines.append(f"  the whole chain at {len(ids) - 1}: value {chain.value:.3g}")
    return lines


def _shown(tokenizer: Any, ids: Sequence[int]) -> str:
    text = repr(tokenizer.decode(ids))
    return text if len(text) <= 120 else f"{text[:60]} … {text[-57:]}"
