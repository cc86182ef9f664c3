"""Score chains with a reward model: one forward pass a chain, however many steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prm.checkpoint import Kind, load_metadata, load_model, load_tokenizer, make_renderer
from prm.drops import Drops
from prm.errors import RenderError
from prm.records import Chain, Problem, StepScores
from prm.rendering import Rendered, Renderer

TOKENS_A_BATCH = 16_384
"""Padded tokens in one forward pass."""
CHAINS_A_ROUND = 1024
"""Chains that are sorted by length together; results come out in rounds of so many."""


class LocalScorer:
    """A PRM or ORM in this process.

    Args:
        model: from `prm.checkpoint.load_model`.
        renderer: the one it was trained with.
        kind: what it is.
    """

    def __init__(self, model: Any, renderer: Renderer, kind: Kind) -> None:
        self.model = model.eval()
        self.renderer = renderer
        self.kind: Kind = kind
        self.max_length = int(model.config.max_position_embeddings)

    def score(self, problems: Sequence[str], chains: Sequence[Sequence[str]]) -> list[tuple[float, ...]]:
        """Score chains.

        Args:
            problems: text of each chain's problem.
            chains: steps of each chain.

        Returns:
            In the order given: for a PRM one probability a step, in [0, 1] (none for an empty chain); for an ORM one
            reward of any size.

        Raises:
            RenderError: a chain is longer than the model's context; none is ever cut.
        """
        rendered = [self.renderer.render(p, c) for p, c in zip(problems, chains, strict=True)]
        for number, item in enumerate(rendered):
            if len(item.ids) > self.max_length:
                raise RenderError(
                    f"chain {number} has {len(item.ids)} tokens, the model takes {self.max_length}", "drop it first"
                )
        return self.score_rendered(rendered)

    def score_rendered(self, rendered: Sequence[Rendered]) -> list[tuple[float, ...]]:
        """Score chains that are rendered already, each within the model's context; see `score`."""
        outputs = head_outputs(self.model, [r.ids for r in rendered])
        if self.kind == "orm":
            return [(float(reward),) for (reward,) in outputs]
        return [
            tuple(logits.softmax(dim=-1)[list(item.step_ends), 1].tolist())
            for logits, item in zip(outputs, rendered, strict=True)
        ]


@torch.inference_mode()
def head_outputs(model: Any, rows: Sequence[Sequence[int]]) -> list[Tensor]:
    """The head's output for each row of ids, in order: ``(padded length, 2)`` for a PRM, ``(1,)`` for an ORM."""
    results: list[Tensor] = [torch.empty(0)] * len(rows)
    for batch in batches_by_tokens([len(r) for r in rows], TOKENS_A_BATCH):
        ids, mask = pad([rows[i] for i in batch], model.config.pad_token_id or 0)
        logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device)).logits
        for index, value in zip(batch, logits.float().cpu(), strict=True):
            results[index] = value
    return results


def load_scorer(name: str) -> LocalScorer:
    """Load a scorer that `prm train` wrote.

    Raises:
        ModelError: it is not one.
    """
    metadata = load_metadata(Path(name))
    tokenizer = load_tokenizer(name)
    model = load_model(name, metadata.kind)
    if torch.cuda.is_available():
        model = model.to("cuda")
    return LocalScorer(model, make_renderer(tokenizer, metadata), metadata.kind)


def score_chains(
    scorer: LocalScorer, chains: Sequence[Chain], problems: Mapping[str, Problem], drops: Drops
) -> Iterator[StepScores]:
    """Yield the scores of chains, in order; a PRM gives as many scores as the chain has steps.

    A chain goes to `drops` where its problem is missing, it has no step, or it is longer than the model's context.
    """
    for start in range(0, len(chains), CHAINS_A_ROUND):
        found = [(c, _render_usable(scorer, c, problems, drops)) for c in chains[start : start + CHAINS_A_ROUND]]
        usable = [(chain, rendered) for chain, rendered in found if rendered is not None]
        results = scorer.score_rendered([rendered for _, rendered in usable])
        for (chain, _), scores in zip(usable, results, strict=True):
            yield StepScores(chain.id, chain.problem_id, scores, scorer.kind)


def _render_usable(scorer: LocalScorer, chain: Chain, problems: Mapping[str, Problem], drops: Drops) -> Rendered | None:
    if chain.problem_id not in problems:
        drops.add(chain.id, "its problem is missing")
        return None
    if not chain.steps:
        drops.add(chain.id, "empty chain")
        return None
    rendered = scorer.renderer.render(problems[chain.problem_id].text, chain.steps)
    if len(rendered.ids) > scorer.max_length:
        drops.add(chain.id, "longer than the model's context", f"{len(rendered.ids)} tokens")
        return None
    return rendered


def batches_by_tokens(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield index lists that cover `lengths`, longest first, each padded to no more than `budget` tokens.

    A text longer than the budget is a batch of its own.

    >>> list(batches_by_tokens([3, 9, 4], 10))
    [[1], [2, 0]]
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and lengths[batch[0]] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def pad(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Stack rows of ids on the left of a ``(rows, longest)`` tensor; also the attention mask, 1 for a real token."""
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[i, : len(row)] = 1
    return ids, mask
