"""Examples → the tensors of one forward pass, and the division of a batch into passes."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor

from prm.scoring.batching import batches_by_tokens, packs_by_tokens, pad

from .examples import GroupExample
from .packing import packed


def passes(
    groups: Sequence[GroupExample], tokens_per_pass: int, *, is_packed: bool = False
) -> Iterator[list[GroupExample]]:
    """Divide groups into passes of at most `tokens_per_pass` tokens, longest first, padding included if there is any.

    A group is never split, since its chains may be compared: a larger one becomes a pass of its own, see `forwards`.
    """
    if is_packed:
        batches: Iterable[list[int]] = packs_by_tokens(
            [sum(len(chain.ids) for chain in group.chains) for group in groups], tokens_per_pass
        )
    else:
        lengths = [max(len(chain.ids) for chain in group.chains) for group in groups]
        batches = batches_by_tokens(lengths, tokens_per_pass, [len(group.chains) for group in groups])
    for batch in batches:
        yield [groups[i] for i in batch]


def forwards(batch: Mapping[str, Tensor], tokens_per_pass: int, *, is_packed: bool = False) -> list[dict[str, Any]]:
    """What a model reads for a batch of `collate`: one forward pass, or several if it has more tokens than the budget.

    Returns:
        For each: the inputs and the columns of `_rows` and `_places`, with `step_members` and `token_chains` (the
        number of each token's chain), of some of the chains. All that is read for the batch is, in its order, what is
        read for the first of them, then for the second, and so on.
    """
    mask = batch["attention_mask"]
    lengths = mask.sum(dim=1).tolist()
    costs = lengths if is_packed else [mask.shape[1]] * len(lengths)
    parts = [_of_rows(batch, start, end) for start, end in pairwise([*_cuts(costs, tokens_per_pass), len(lengths)])]
    return [packed(part) for part in parts] if is_packed else list[dict[str, Any]](parts)


def _cuts(costs: Sequence[int], budget: int) -> Iterator[int]:
    """Where each run of at most `budget` begins; a cost above it is a run of its own."""
    total = budget
    for place, cost in enumerate(costs):
        total += cost
        if total > budget:
            yield place
            total = cost


def _of_rows(batch: Mapping[str, Tensor], start: int, end: int) -> dict[str, Tensor]:
    """The inputs, and what is read, of the rows from `start` to before `end`, without columns that only pad."""
    longest = int(batch["attention_mask"][start:end].sum(dim=1).max())
    found = {name: batch[name][start:end, :longest] for name in ("input_ids", "attention_mask")}
    for name in (name.removesuffix("_rows") for name in batch if name.endswith("_rows")):
        rows = batch[f"{name}_rows"]
        is_here = (rows >= start) & (rows < end)
        found |= {f"{name}_rows": rows[is_here] - start, f"{name}_places": batch[f"{name}_places"][is_here]}
        if name == "step":
            found["step_members"] = batch["step_members"][is_here]
    return found | {"token_chains": found["token_rows"]}


def collate(groups: Sequence[GroupExample], pad_id: int, *, members: int = 1, seed: int = 0) -> dict[str, Tensor]:
    """The tensors of one forward pass over ``n`` chains.

    Args:
        groups: at least one, see `prm.training.examples`.
        pad_id: pads the ids on the right.
        members: number of step heads. With several, each learns from a bootstrap sample of the problems of its own:
            its weights are multiplied by a draw of Poisson(1) for each problem (Oza and Russell 2001).
        seed: of these draws.

    Returns:
        `input_ids`, `attention_mask`: ``(n, length)``; `last_rows`, `last_places`: ``(n,)``, each chain's last token.
        `step_rows`, `step_places`, `step_targets`, `step_weights`, `step_members`: one entry per labeled step
        and member, in the order of the steps; for the same, `step_chains`, a number of its chain and member;
        `step_draws` and `count_weights`: its rollouts, and a weight that leaves them out; `rank_weights`: they sum to 1
        over a chain, in which the bare problem weighs as much as a right step if any step is wrong, and the wrong ones
        bear that weight together.
        `lengths`, `references`: ``(n,)``, tokens of each solution, and their log-probability by the reference model.
        `values`, `value_weights`: ``(n, outputs)``; the weight is the group's, and 0 where there is no value.
        `groups`, `list_weights`: ``(n,)``; the weight is 0 for a chain without a value and for the lowest chains of a
        group, and sums to the group's weight over the group.
        `chosen`, `rejected`, `pair_gaps`, `pair_targets`, `pair_weights`: one entry per pair of a higher and a lower
        chain of a group: how much better the higher one is, and the share of annotators who say so (1 if unknown); the
        weights sum to the group's weight over the group.
        `end_rows`, `end_places`, `end_values`, `end_weights`: one entry per step of a chain with a value; the last two
        are ``(steps, outputs)``, those of its chain.
        `token_rows`, `token_places`, `token_targets`, `token_weights`: one entry per token of a step: the position that
        predicts it, and its id.
    """
    chains = [chain for group in groups for chain in group.chains]
    ids, mask = pad([chain.ids for chain in chains], pad_id)
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "last_rows": torch.arange(len(chains)),
        "last_places": mask.sum(dim=1) - 1,
        "references": torch.tensor([chain.reference for chain in chains], dtype=torch.float32),
        **_tokens(groups, ids, mask),
        **_steps(groups, members, seed),
        **_values(groups),
        **_lists(groups),
        **pairs(groups),
    }


def _table(rows: Sequence[tuple[float, ...]], **columns: torch.dtype) -> dict[str, Tensor]:
    """Turn a list of rows, perhaps empty, into columns."""
    cells = list(zip(*rows, strict=True)) or [()] * len(columns)
    return {name: torch.tensor(cell, dtype=kind) for (name, kind), cell in zip(columns.items(), cells, strict=True)}


def _steps(groups: Sequence[GroupExample], members: int, seed: int) -> dict[str, Tensor]:
    labeled: list[tuple[float, ...]] = []
    for row, (chain, shares) in enumerate(
        (chain, shares) for group in groups for shares in [_shares(group, members, seed)] for chain in group.chains
    ):
        steps = zip(chain.step_ends, chain.targets, chain.weights, strict=True)
        known = [(end, target, weight) for end, target, weight in steps if target is not None]
        for (end, target, weight), rank in zip(known, _rank_weights([target for _, target, _ in known]), strict=True):
            labeled += [
                (row, end, target, weight * share, k, row * members + k, weight, share, rank * share)
                for k, share in enumerate(shares)
            ]
    whole, real = torch.long, torch.float32
    columns = {
        "step_rows": whole,
        "step_places": whole,
        "step_targets": real,
        "step_weights": real,
        "step_members": whole,
        "step_chains": whole,
        "step_draws": real,
        "count_weights": real,
        "rank_weights": real,
    }
    return _table(labeled, **columns)


def _rank_weights(targets: Sequence[float]) -> list[float]:
    """Weights of the labels of a chain in its ranking; see `collate`."""
    wrong = sum(target <= 0.5 for target in targets)
    terms = len(targets) - wrong + (wrong > 0)
    return [1 / terms if target > 0.5 else 1 / (terms * wrong) for target in targets]


_POISSON = list(accumulate(math.exp(-1) / math.factorial(k) for k in range(12)))
"""Probability of at most k, under Poisson(1)."""


def _shares(group: GroupExample, members: int, seed: int) -> list[int]:
    """How many times each member has the problem of a group in its sample; once, if there is one member."""
    if members == 1:
        return [1]
    drawn = (hashlib.blake2b(f"{seed}/{k}/{group.problem_id}".encode(), digest_size=8).digest() for k in range(members))
    return [bisect(_POISSON, int.from_bytes(digest, "big") / 2**64) for digest in drawn]


def _values(groups: Sequence[GroupExample]) -> dict[str, Tensor]:
    """Values of chains, at their ends and at those of their steps."""
    chains = [chain for group in groups for chain in group.chains]
    cells = [[math.nan if value is None else value for value in chain.values] for chain in chains]
    given, worth = torch.tensor(cells), torch.tensor([group.weight for group in groups for _ in group.chains])
    known = ~given.isnan()
    values, weights = given.where(known, 0.0), known * worth.unsqueeze(1)
    found = [(row, end) for row, chain in enumerate(chains) if chain.has_value for end in chain.step_ends]
    ends = _table(found, end_rows=torch.long, end_places=torch.long)
    rows = ends["end_rows"]
    return {
        "values": values,
        "value_weights": weights,
        **ends,
        "end_values": values[rows],
        "end_weights": weights[rows],
    }


def _lists(groups: Sequence[GroupExample]) -> dict[str, Tensor]:
    """Columns of chains; one without a value gets a group of its own, so that it is compared with no other."""
    rows: list[tuple[float, ...]] = []
    for number, group in enumerate(groups):
        known = [chain.value for chain in group.chains if chain.value is not None]
        lowest = min(known, default=0.0)
        above = sum(value > lowest for value in known)
        for chain in group.chains:
            if chain.value is None:
                rows.append((-1 - len(rows), 0.0))
            else:
                listed = group.weight / above if chain.value > lowest else 0.0
                rows.append((number, listed))
    return _table(rows, groups=torch.long, list_weights=torch.float32)


def pairs(groups: Sequence[GroupExample]) -> dict[str, Tensor]:
    """The columns of pairs, and `lengths`, of `collate`."""
    rows: list[tuple[float, ...]] = []
    start = 0
    for group in groups:
        known = [(start + i, chain.value) for i, chain in enumerate(group.chains) if chain.value is not None]
        own = [(i, j, v - w) for i, v in known for j, w in known if v > w]
        for i, j, gap in own:
            known_gap = gap if group.margin is None else group.margin
            target = 1.0 if group.agreement is None else group.agreement
            rows.append((i, j, known_gap, target, group.weight / len(own)))
        start += len(group.chains)
    whole, real = torch.long, torch.float32
    lengths = [len(chain.ids) - group.prompt_length for group in groups for chain in group.chains]
    return {
        "lengths": torch.tensor(lengths, dtype=real),
        **_table(rows, chosen=whole, rejected=whole, pair_gaps=real, pair_targets=real, pair_weights=real),
    }


def _tokens(groups: Sequence[GroupExample], ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
    prompts = torch.tensor([[group.prompt_length] for group in groups for _ in group.chains])
    is_solution = mask.bool() & (torch.arange(mask.shape[1]) >= prompts)
    rows, places = is_solution[:, 1:].nonzero(as_tuple=True)
    return {
        "token_rows": rows,
        "token_places": places,
        "token_targets": ids[rows, places + 1],
        "token_weights": torch.ones(len(rows)),
    }


def has_items(weights: str, group: GroupExample) -> bool:
    """Whether `collate` would give this group an item with the weights of that name."""
    if weights in ("step_weights", "count_weights", "rank_weights"):
        return any(chain.has_target for chain in group.chains)
    if weights in ("pair_weights", "list_weights"):
        return len({chain.value for chain in group.chains} - {None}) > 1
    return weights == "token_weights" or any(chain.has_value for chain in group.chains)
