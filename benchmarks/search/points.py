"""The points of a search result as tables and charts show them, read from its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..numbers import ALL
from ..results import Metric, Result, label_of
from .measures import OPTIMAL, front


@dataclass(frozen=True, slots=True)
class SearchPoint:
    """A run, with all its seeds; or what the best run of each level of difficulty reaches within a budget."""

    name: str
    variant: str
    metrics: Mapping[str, Metric]
    is_on_front: bool
    """Whether no run is better at as few generated tokens."""

    @property
    def label(self) -> str:
        """How tables call it."""
        return label_of(self.name, self.variant)

    @property
    def is_run(self) -> bool:
        """Whether it is a run."""
        return self.name != OPTIMAL


def search_points(result: Result) -> list[SearchPoint]:
    """All points of a result, in its order."""
    found: dict[tuple[str, str], dict[str, Metric]] = {}
    for metric in result.metrics:
        if metric.split == ALL:
            found.setdefault((metric.scorer, metric.variant), {})[metric.name] = metric
    runs = [key for key in found if key[0] != OPTIMAL]
    values = [(found[key]["generated_tokens"].value or 0.0, found[key]["accuracy"].value or 0.0) for key in runs]
    best = {runs[i] for i in front(values)}
    return [SearchPoint(*key, own, key in best) for key, own in found.items()]
