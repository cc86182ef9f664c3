"""Join problems, chains and labels by id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .drops import Drops
from .records import Chain, Problem, StepLabels

LabeledChain = tuple[Problem, Chain, StepLabels]


def join_rows(
    problems: Mapping[str, Problem], chains: Iterable[Chain], labels: Iterable[StepLabels], drops: Drops
) -> Iterator[LabeledChain]:
    """Join labels with their chains and problems, in the order of the labels; rows without a partner go to `drops`.

    Only chains that come before their labels are kept in memory: none where both are in the same order.
    """
    rest, waiting = iter(chains), dict[str, Chain]()
    for label in labels:
        chain, problem = _chain(label.chain_id, rest, waiting), problems.get(label.problem_id)
        if chain is None or problem is None:
            drops.add(label.chain_id, "its chain is missing" if chain is None else "its problem is missing")
        elif chain.problem_id != label.problem_id:
            drops.add(label.chain_id, "chain and labels name different problems", chain.problem_id)
        elif len(chain.steps) != len(label.right):
            drops.add(label.chain_id, "labels and steps differ in number", f"{len(label.right)}, {len(chain.steps)}")
        else:
            yield problem, chain, label
    for chain in (*waiting.values(), *rest):
        drops.add(chain.id, "it has no labels")


def _chain(identity: str, rest: Iterator[Chain], waiting: dict[str, Chain]) -> Chain | None:
    """The chain of that id, among those that wait or come next; those before it wait."""
    if identity in waiting:
        return waiting.pop(identity)
    for chain in rest:
        if chain.id == identity:
            return chain
        waiting[chain.id] = chain
    return None
