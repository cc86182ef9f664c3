"""The subset Ties of RewardBench 2 (arXiv 2506.01937, appendix; `process_single_model` in allenai/reward-bench).

Its prompts come in pairs: "ref:N" has one right response, "tied:N" several equally right ones. The margin of a prompt
is the lowest score of a right response minus the highest of a wrong one; the spread of a tied prompt is the highest
score of a right response minus the lowest. The score of the subset is the sum of

    0.30  share of ref prompts whose margin is above 0
    0.30  share of tied prompts whose margin is above 0
    0.20  share of tied prompts whose margin is above their spread
    0.20  share of tied prompts whose margin and whose ref prompt's margin are above the spread
    0.01  mean of tanh(smaller margin of the two / spread - 1); the sign of that margin if the spread is 0

so it can reach 1.01. The last three count prompts that are present as ref and as tied.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from prm.statistics.arrays import Floats
from prm.statistics.bootstrap import Resampling

from ..suites.truth import Comparison

SUBSET = "Ties"
_PARTS = np.array([0.30, 0.30, 0.20, 0.20, 0.01])


def ties_score(scores: Mapping[str, float], comparisons: Sequence[Comparison], drawn: Resampling) -> Floats:
    """The score of the subset in each draw; nan if one kind of prompt is missing.

    Args:
        scores: by chain id.
        comparisons: of all subsets; their ids end in "/ref:N" or "/tied:N" in this one.
        drawn: of the comparisons.
    """
    own = {_kind(c): c for c in comparisons if c.split == SUBSET}
    parts = np.array([_parts(c, own, scores) if c.split == SUBSET else [math.nan] * len(_PARTS) for c in comparisons])
    score: Floats = drawn.means(parts) @ _PARTS
    return score


def _kind(comparison: Comparison) -> tuple[str, str]:
    """("ref" or "tied", N)."""
    kind, _, number = comparison.id.rpartition("/")[2].partition(":")
    return kind, number


def _parts(
    comparison: Comparison, own: Mapping[tuple[str, str], Comparison], scores: Mapping[str, float]
) -> list[float]:
    """What a prompt adds to each part; nan for a part it does not belong to."""
    (kind, number), margin = _kind(comparison), _margin(comparison, scores)
    if kind == "ref":
        return [float(margin > 0), *[math.nan] * 4]
    ref = own.get(("ref", number))
    if ref is None:
        return [math.nan, float(margin > 0), *[math.nan] * 3]
    right = [scores[i] for i in comparison.better]
    spread, least = max(right) - min(right), min(margin, _margin(ref, scores))
    gap = math.tanh(least / spread - 1) if spread > 0 else float(np.sign(least))
    return [math.nan, float(margin > 0), float(margin > spread), float(least > spread), gap]


def _margin(comparison: Comparison, scores: Mapping[str, float]) -> float:
    return min(scores[i] for i in comparison.better) - max(scores[i] for i in comparison.worse)
