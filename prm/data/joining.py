"""Join problems, chains and labels by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .drops import Drops
from .records import Chain, Problem, StepLabels

LabeledChain = tuple[Problem, Chain, StepLabels]


def join_rows(
    problems: Mapping[str, Problem], chains: Mapping[str, Chain], labels: Iterable[StepLabels], drops: Drops
) -> list[LabeledChain]:
    """Join labels with their chains and problems; rows without a partner go to `drops`."""
    rows: list[LabeledChain] = []
    without = dict.fromkeys(chains)
    for label in labels:
        without.pop(label.chain_id, None)
        chain, problem = chains.get(label.chain_id), problems.get(label.problem_id)
        if chain is None or problem is None:
            drops.add(label.chain_id, "its chain is missing" if chain is None else "its problem is missing")
        elif chain.problem_id != label.problem_id:
            drops.add(label.chain_id, "chain and labels name different problems", chain.problem_id)
        elif len(chain.steps) != len(label.right):
            drops.add(label.chain_id, "labels and steps differ in number", f"{len(label.right)}, {len(chain.steps)}")
        else:
            rows.append((problem, chain, label))
    for identity in without:
        drops.add(identity, "it has no labels")
    return rows
