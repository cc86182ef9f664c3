"""Score chains with a reward model: one forward pass a chain, however many steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Literal

from torch import Tensor

from prm.data.records import Chain, Drop, Problem, StepScores
from prm.errors import RenderError
from prm.models.layouts import StepRenderer
from prm.models.rendering import Rendered
from prm.statistics.calibration import Calibration

from .backends import Backend

CHAINS_A_ROUND = 512
"""Chains that are sorted by length together; results come out in rounds of so many."""

Readout = Callable[[Tensor], Tensor]
READOUTS: dict[str, Readout] = {
    "softmax": lambda outputs: outputs[:, :2].softmax(dim=-1)[:, 1],
    "difference": lambda outputs: ((outputs[:, 1] - outputs[:, 0]) / 2).tanh(),
    "sigmoid": lambda outputs: outputs[:, -1].sigmoid(),
    "reward": lambda outputs: outputs[:, -1],
    "sum": lambda outputs: outputs[:, -1],
}
"""What the head says, ``(reads, channels)`` → one score a read. `difference` is p1 - p0 of a softmax; of `sum`, each
token of the solution is read, and a step's score is the sum from the first to its end. All in float32, where no gap
between logits makes a score disappear: it becomes 0 or 1."""


class Scorer:
    """A PRM or ORM.

    Args:
        backend: where it runs.
        renderer: how it is fed.
        readout: a name in `READOUTS`.
        kind: whether it scores steps or whole chains.
        threshold: from which score on a step is held to be right; None where it has none.
        aggregator: by which its authors make one score of a chain, a name in `prm.AGGREGATORS`; None for an ORM.
        calibration: what is applied to its scores; None for none.
    """

    def __init__(
        self,
        backend: Backend,
        renderer: StepRenderer,
        readout: str,
        kind: Literal["prm", "orm"],
        *,
        threshold: float | None = None,
        aggregator: str | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self.backend = backend
        self.renderer = renderer
        self.readout = READOUTS[readout]
        self.is_summed = readout == "sum"
        self.kind: Literal["prm", "orm"] = kind
        self.threshold = threshold
        self.aggregator = aggregator
        self.calibration = calibration

    def score(self, problems: Sequence[str], chains: Sequence[Sequence[str]]) -> list[tuple[float, ...]]:
        """Score chains.

        Args:
            problems: text of each chain's problem.
            chains: steps of each chain.

        Returns:
            In the order given: for a PRM one score a step (none for an empty chain); for an ORM one reward of any size.

        Raises:
            RenderError: a chain cannot be rendered, or is longer than the model's context; none is ever cut.
        """
        usable: list[Rendered] = []
        for number, item in enumerate(self.renderer.render_many(problems, chains)):
            if isinstance(item, RenderError):
                raise RenderError(f"chain {number}: {item}", item.hint) from item
            if len(item.ids) > self.backend.max_length:
                raise RenderError(
                    f"chain {number} has {len(item.ids)} tokens, the model takes {self.backend.max_length}",
                    "drop it first",
                )
            usable.append(item)
        return self.score_rendered(usable)

    def score_rendered(self, rendered: Sequence[Rendered]) -> list[tuple[float, ...]]:
        """Score chains that are rendered already, each within the model's context; see `score`."""
        outputs = self.backend.outputs([(r.ids, self._reads(r)) for r in rendered])
        scores = [self._scores(r, values).tolist() for r, values in zip(rendered, outputs, strict=True)]
        return [tuple(own if self.calibration is None else self.calibration.apply(own).tolist()) for own in scores]

    def _reads(self, rendered: Rendered) -> Sequence[int]:
        if self.is_summed:
            return range(rendered.prompt_length, len(rendered.ids))
        return rendered.step_ends if self.kind == "prm" else (len(rendered.ids) - 1,)

    def _scores(self, rendered: Rendered, outputs: Tensor) -> Tensor:
        values = self.readout(outputs)
        if not self.is_summed:
            return values
        return values.cumsum(dim=0)[[end - rendered.prompt_length for end in rendered.step_ends]]

    def close(self) -> None:
        """Free what the backend holds."""
        self.backend.close()


def score_chains(
    scorer: Scorer, chains: Iterable[Chain], problems: Mapping[str, Problem]
) -> Iterator[StepScores | Drop]:
    """Yield for each chain, in order, its scores or why it has none; a PRM gives as many scores as the chain has steps.

    A chain is dropped where its problem is missing, it has no step, it cannot be rendered, or it is longer than the
    model's context. Chains are taken and scored in rounds of `CHAINS_A_ROUND`, so many are in memory at once. The rest
    of a stream from the start of a round gets the very scores that it gets in the whole.
    """
    remaining = iter(chains)
    while part := list(islice(remaining, CHAINS_A_ROUND)):
        found = _render_or_drop(scorer, part, problems)
        results = iter(scorer.score_rendered([item for item in found if not isinstance(item, Drop)]))
        for chain, item in zip(part, found, strict=True):
            if isinstance(item, Drop):
                yield item
            else:
                yield StepScores(chain.id, chain.problem_id, next(results), scorer.kind)


def _render_or_drop(scorer: Scorer, chains: Sequence[Chain], problems: Mapping[str, Problem]) -> list[Rendered | Drop]:
    """Each chain rendered, or why it cannot be scored."""
    usable = [chain for chain in chains if chain.steps and chain.problem_id in problems]
    texts = [problems[chain.problem_id].text for chain in usable]
    rendered = iter(scorer.renderer.render_many(texts, [chain.steps for chain in usable]))
    return [_drop(chain, problems) or _fitting(scorer, chain, next(rendered)) for chain in chains]


def _drop(chain: Chain, problems: Mapping[str, Problem]) -> Drop | None:
    if chain.problem_id not in problems:
        return Drop(chain.id, "its problem is missing")
    return None if chain.steps else Drop(chain.id, "empty chain")


def _fitting(scorer: Scorer, chain: Chain, rendered: Rendered | RenderError) -> Rendered | Drop:
    if isinstance(rendered, RenderError):
        return Drop(chain.id, "cannot be rendered", str(rendered))
    if len(rendered.ids) > scorer.backend.max_length:
        return Drop(chain.id, "longer than the model's context", f"{len(rendered.ids)} tokens")
    return rendered
