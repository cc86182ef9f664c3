"""From a chain's step scores to one chain score, for one chain or for millions at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from reprlib import repr as shortened
from typing import TYPE_CHECKING

from prm.errors import InputError, entry

if TYPE_CHECKING:
    from .arrays import Floats, Ints

FLOOR = 0.0
"""An empty chain counts as one step with this score, the lowest probability."""
_TINY = 2.0**-149
"""The smallest positive 32-bit float. The logarithm of a lower score, such as a probability that underflowed to 0, is
taken of this number instead."""
_LOG_TINY = math.log(_TINY)
"""-103.3 instead of -inf."""
_HINT = "an aggregator gives one finite number per chain"


@dataclass(frozen=True, slots=True)
class Segments:
    """The step scores of many chains, concatenated; every chain has at least one."""

    values: Floats
    """``(steps,)``"""
    starts: Ints
    """``(chains,)``, the index in `values` where each chain begins."""

    @classmethod
    def of(cls, values: Floats, bounds: Ints) -> Segments:
        """From ``(chains + 1,)`` bounds, the last of which is the end; an empty chain becomes one step at `FLOOR`."""
        import numpy as np

        is_empty = np.diff(bounds) == 0
        if not is_empty.any():
            return cls(values, bounds[:-1])
        filled = np.insert(values, bounds[:-1][is_empty], FLOOR)
        return cls(filled, bounds[:-1] + np.cumsum(is_empty) - is_empty)

    @property
    def lengths(self) -> Ints:
        """``(chains,)`` number of steps of each chain."""
        import numpy as np

        return np.diff(self.starts, append=len(self.values))

    def reduced(self, ufunc: str, values: Floats | None = None) -> Floats:
        """``(chains,)``: the scores of each chain, or `values` in their place, reduced by a numpy ufunc."""
        import numpy as np

        own = self.values if values is None else values
        reduced: Floats = getattr(np, ufunc).reduceat(own, self.starts) if len(self.starts) else np.empty(0)
        return reduced

    def log_sums(self) -> Floats:
        """``(chains,)`` sums of logarithms."""
        import numpy as np

        is_zero = self.values < _TINY
        logs = np.log(np.where(is_zero, 1.0, self.values))
        return self.reduced("add", is_zero.astype(float)) * _LOG_TINY + self.reduced("add", logs)


@dataclass(frozen=True, slots=True)
class Aggregator:
    """One way to combine step scores into a chain score."""

    one: Callable[[Sequence[float]], float]
    """Takes the scores of a chain, at least one."""
    help: str
    """What it computes, in a few words."""
    many: Callable[[Segments], Floats] | None = None
    """The same for all chains at once, which is far faster for millions; None to take one after the other."""
    is_logarithm: bool = False
    """Whether it gives the logarithm of a probability, from -103.3 per step to 0."""

    def over(self, segments: Segments) -> Floats:
        """``(chains,)`` one score for each chain."""
        import numpy as np

        if self.many is not None:
            return self.many(segments)
        chains = np.split(segments.values, segments.starts[1:])
        return np.array([self.one(chain.tolist()) for chain in chains if len(chain)])


def _log_sum(scores: Sequence[float]) -> float:
    """Zeros are counted separately, so that the sum does not depend on the order of the scores."""
    logs = [math.log(score) for score in scores if score >= _TINY]
    return (len(scores) - len(logs)) * _LOG_TINY + sum(logs)


AGGREGATORS: dict[str, Aggregator] = {
    "min": Aggregator(min, "lowest score", lambda s: s.reduced("minimum")),
    "product": Aggregator(
        _log_sum,
        "product of the scores, as its logarithm: no underflow on long chains",
        Segments.log_sums,
        is_logarithm=True,
    ),
    "geometric-mean": Aggregator(
        lambda scores: _log_sum(scores) / len(scores),
        "product that does not fall with the number of steps, as its logarithm",
        lambda s: s.log_sums() / s.lengths,
        is_logarithm=True,
    ),
    "mean": Aggregator(lambda scores: sum(scores) / len(scores), "mean score", lambda s: s.reduced("add") / s.lengths),
    "last": Aggregator(
        lambda scores: scores[-1], "score of the last step", lambda s: s.values[s.starts + s.lengths - 1]
    ),
    "max": Aggregator(max, "highest score", lambda s: s.reduced("maximum")),
}
"""Name to aggregator. `min` and `product`: Let's Verify Step by Step, arXiv 2305.20050, appendix F."""
_BUILT_IN = dict(AGGREGATORS)


def own_aggregators() -> dict[str, Aggregator]:
    """The aggregators that were added or replaced, by name."""
    return {name: found for name, found in AGGREGATORS.items() if _BUILT_IN.get(name) is not found}


def aggregator_named(name: str) -> Aggregator:
    """The aggregator of this name; raises InputError if it is unknown, or not an `Aggregator`."""
    found: object = entry("aggregator", name, AGGREGATORS)
    if not isinstance(found, Aggregator):
        raise InputError(
            f"aggregator {name!r} is a {type(found).__name__}, not a prm.Aggregator",
            f"prm.AGGREGATORS[{name!r}] = prm.Aggregator(function, help='…')",
        )
    return found


def is_logarithm(aggregator: str) -> bool:
    """Whether an aggregator gives logarithms of probabilities; an ORM's, named "", does not."""
    return aggregator != "" and aggregator_named(aggregator).is_logarithm


@contextmanager
def blaming(what: str, given: object, hint: str) -> Iterator[None]:
    """Turn any error of a function that a user registered into an InputError that names it and what it was given."""
    try:
        yield
    except Exception as error:  # it may raise anything
        raise InputError(f"{what} failed on {shortened(given)}: {type(error).__name__}: {error}", hint) from error


def aggregate(scores: Iterable[float], aggregator: str = "min") -> float:
    """One score for a chain, always finite, higher is better; an empty chain counts as one step with score 0.

    >>> aggregate([0.9, 0.2, 0.8], "min")
    0.2

    Raises:
        InputError: the aggregator is unknown or does not give a finite number, or a score is not one.
    """
    combine = aggregator_named(aggregator).one
    with blaming("aggregate", scores, "pass a list of numbers"):
        values = tuple(map(float, scores)) or (FLOOR,)
    if not all(map(math.isfinite, values)):
        raise InputError(f"the scores {shortened(values)} are not all finite", "drop the chain")
    with blaming(f"aggregator {aggregator!r}", values, _HINT):
        score = float(combine(values))
    if not math.isfinite(score):
        raise InputError(f"aggregator {aggregator!r} gives {score} for {shortened(values)}", _HINT)
    return score


def aggregate_many(segments: Segments, aggregator: str) -> Floats:
    """``(chains,)``: `aggregate` of each chain; raises as it does."""
    import numpy as np

    found = aggregator_named(aggregator)
    with blaming(f"aggregator {aggregator!r}", segments.values, _HINT):
        values = np.asarray(found.over(segments), dtype=float)
    if values.shape != segments.starts.shape:
        raise InputError(
            f"aggregator {aggregator!r} gives shape {values.shape} for {len(segments.starts)} chains", _HINT
        )
    if not np.isfinite(values).all():
        raise InputError(f"aggregator {aggregator!r} gives numbers that are not finite", _HINT)
    return values
