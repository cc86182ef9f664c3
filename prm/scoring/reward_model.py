"""A reward model as a scorer: one forward pass per chain, however many steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.nn.functional import softplus

from prm.data.records import Asked
from prm.errors import ModelError, RenderError
from prm.models.dialects import outputs_read
from prm.models.layouts import StepRenderer
from prm.models.rendering import Rendered
from prm.statistics.calibration import Calibration

from .backends import Backend
from .ensembles import combined, how_named
from .scorer import (
    NOT_FINITE,
    TOO_LONG,
    CombinedScores,
    Prepared,
    PreparingScorer,
    Refusal,
    ScoreKind,
    Scores,
    UncertainScores,
    malformed,
    matched,
    posed,
)

Weights = Sequence[float] | None
"""Of a head's outputs, or of their probabilities; None for the usual ones: the second of two, or the last."""
Readout = Callable[[Tensor, Weights], Tensor]
READOUTS: dict[str, Readout] = {
    "softmax": lambda outputs, weights: _mean(
        (outputs if weights else outputs[:, :2]).softmax(dim=-1), weights or (0.0, 1.0)
    ),
    "difference": lambda outputs, _: ((outputs[:, 1] - outputs[:, 0]) / 2).tanh(),
    "sigmoid": lambda outputs, weights: _weighed(outputs, weights).sigmoid(),
    "reward": lambda outputs, weights: _weighed(outputs, weights),
    "sum": lambda outputs, _: outputs[:, -1],
}
"""From a head's outputs, ``(reads, channels)``, to one score per read. All in float32, where a large gap between logits
gives a score of 0 or 1, never NaN. `difference` is p1 - p0 of a softmax. `sum` reads every token of the solution; the
score of a step is the sum from the first token to the step's end."""


def _weighed(outputs: Tensor, weights: Weights) -> Tensor:
    return outputs[:, -1] if weights is None else outputs[:, : len(weights)] @ outputs.new_tensor(weights)


def _mean(probabilities: Tensor, weights: Sequence[float]) -> Tensor:
    """The mean of the weights; rounding would take a sum of probabilities beyond 1."""
    return _weighed(probabilities, weights).clamp(min(weights), max(weights))


class RewardModel(PreparingScorer):
    """A PRM or ORM.

    Args:
        backend: where it runs.
        renderer: turns problems and steps into token ids.
        readout: name in `READOUTS`.
        kind: whether it scores steps or whole chains.
        weights: see `Weights`.
        threshold: score from which a step counts as right; None if there is no such score.
        aggregator: name in `prm.AGGREGATORS`: how its authors combine step scores into a chain score; None for an ORM.
        calibration: applied to its scores; None to leave them as they are.
        members: number of its step heads, each with two outputs; with several, their probabilities become one score.
        how: the way they do; see `prm.scoring.ensembles.how_named`.
        is_beta: whether the exponentials of a step's outputs are the parameters of a Beta distribution of its value.
    """

    def __init__(
        self,
        backend: Backend,
        renderer: StepRenderer,
        readout: str,
        kind: ScoreKind,
        *,
        weights: Weights = None,
        threshold: float | None = None,
        aggregator: str | None = None,
        calibration: Calibration | None = None,
        members: int = 1,
        how: str = "mean",
        is_beta: bool = False,
    ) -> None:
        self.backend = backend
        self.renderer = renderer
        self.readout = readout
        self.kind = kind
        self.weights = weights
        self.threshold = threshold
        self.aggregator = aggregator
        self.calibration = calibration
        self.members = members
        self.how = how
        self.is_beta = is_beta
        self._is_closed = False

    @property
    def tokens_per_pass(self) -> int:
        """See `PreparingScorer.tokens_per_pass`."""
        return self.backend.tokens_per_pass

    def prepare(self, problems: Sequence[Asked], chains: Sequence[Sequence[str]]) -> list[Prepared | Refusal]:
        """See `PreparingScorer.prepare`. A chain over the model's context is refused, never truncated.

        Raises:
            InputError: problems and chains differ in number.
        """
        pairs = zip(*matched(problems, chains), strict=True)
        items = [(malformed(steps) or posed(problem), steps) for problem, steps in pairs]
        usable = [(problem, steps) for problem, steps in items if not isinstance(problem, Refusal)]
        rendered = iter(self.renderer.render_many([problem for problem, _ in usable], [steps for _, steps in usable]))
        return [item if isinstance(item, Refusal) else self._fitting(next(rendered)) for item, _ in items]

    def score_prepared(self, rows: Sequence[Rendered]) -> list[Scores | Refusal]:
        """See `PreparingScorer.score_prepared`.

        Raises:
            ModelError: the scorer is closed.
        """
        if self._is_closed:
            raise ModelError("the scorer is closed", "load it again")
        outputs = self.backend.outputs([(row.ids, self._reads(row)) for row in rows])
        return [self._scores(row, output) for row, output in zip(rows, outputs, strict=True)]

    def _fitting(self, item: Rendered | RenderError) -> Prepared | Refusal:
        if isinstance(item, RenderError):
            return Refusal.of(item)
        if len(item.ids) > self.backend.max_length:
            most = self.backend.max_length
            return Refusal(TOO_LONG, f"{len(item.ids)} tokens, but the model takes {most}", "drop the chain")
        return Prepared(item, len(item.ids))

    def _reads(self, rendered: Rendered) -> Sequence[int]:
        if self.readout == "sum":
            return range(rendered.prompt_length, len(rendered.ids))
        return rendered.step_ends if self.kind == "prm" else (len(rendered.ids) - 1,)

    def _scores(self, rendered: Rendered, outputs: Tensor) -> Scores | Refusal:
        if self.members > 1:
            return self._of_members(outputs)
        least = outputs_read(self.readout, [self.weights or ()])
        if outputs.shape[1] < least:
            raise ModelError(
                f"{self.name or 'the model'}: has {outputs.shape[1]} output(s), but its dialect reads {least}",
                "mend the readout, the outputs or the answers of the dialect",
            )
        values = READOUTS[self.readout](outputs, self.weights)
        if self.readout == "sum":
            values = values.cumsum(dim=0)[[end - rendered.prompt_length for end in rendered.step_ends]]
        if not values.isfinite().all():
            return Refusal(NOT_FINITE, "", "load the model in bfloat16 or float32")
        scores = values.tolist()
        if self.calibration is not None:
            return tuple(self.calibration.apply(scores).tolist())
        return UncertainScores(scores, tuple(_deviations(outputs, values).tolist())) if self.is_beta else tuple(scores)

    def _of_members(self, outputs: Tensor) -> Scores | Refusal:
        shares = outputs.reshape(len(outputs), self.members, 2).softmax(dim=-1)[..., 1]
        if not shares.isfinite().all():
            return Refusal(NOT_FINITE, "", "load the model in bfloat16 or float32")
        found = combined({str(k): tuple(shares[:, k].tolist()) for k in range(self.members)}, how_named(self.how))
        return (
            found if self.calibration is None else CombinedScores(self.calibration.apply(found).tolist(), found.members)
        )

    def close(self) -> None:
        """Free what the backend holds. A second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self.backend.close()


def _deviations(outputs: Tensor, means: Tensor) -> Tensor:
    """Standard deviations of Beta distributions: ``sqrt(mean·(1 - mean) / (1 + alpha + beta))``."""
    log_precision = outputs[:, :2].logsumexp(dim=-1)
    return (means * (1 - means)).sqrt() * (-softplus(log_precision) / 2).exp()
