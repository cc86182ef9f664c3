"""Everything a search needs besides its problems; can be sent to another machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from prm import console
from prm.errors import InputError
from prm.generation.choice import EngineChoice
from prm.generation.engine import Sampling
from prm.generation.prompts import Asking
from prm.scoring.scorer import Scorer

from .methods import method_named
from .plan import Plan
from .searcher import Searcher


@dataclass(frozen=True, slots=True)
class Setup:
    """How to search."""

    engine: EngineChoice
    method: str
    """Name in `METHODS`."""
    plan: Plan
    sampling: Sampling
    scorer: str | os.PathLike[str] | Scorer | None = None
    """What to load, or what is loaded and stays open."""
    scorer_options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `prm.load_scorer`."""
    aggregate: str | None = None
    """None for that of the scorer, or "min"."""
    threshold: float | None = None
    """None for that of the scorer."""
    asked: Asking = field(default_factory=Asking)
    splitter: str = "newline"

    @contextmanager
    def searcher(self) -> Iterator[Searcher]:
        """Load the scorer, start the engine, and close both at the end.

        Raises:
            PrmError: one of them cannot be had, or the scorer does not fit the method.
        """
        with self._scoring() as scorer, closing(self.engine.start()) as engine:
            renderer = self.engine.renderer(self.asked)
            method, plan = method_named(self.method), self._fitted(scorer)
            yield Searcher(engine, renderer, scorer, method, plan, self.sampling, self.splitter)

    @contextmanager
    def _scoring(self) -> Iterator[Scorer | None]:
        if self.scorer is None or not method_named(self.method).is_scored:
            yield None
        elif isinstance(self.scorer, Scorer):
            yield self.scorer
        else:
            from prm.scoring.loading import load_scorer

            console.say(f"loading {os.fspath(self.scorer)} …")
            with closing(load_scorer(os.fspath(self.scorer), **self.scorer_options)) as loaded:
                yield loaded

    def _fitted(self, scorer: Scorer | None) -> Plan:
        """The plan with what the scorer says."""
        if scorer is None:
            return self.plan
        if method_named(self.method).is_stepwise and scorer.kind != "prm":
            raise InputError(f"the method {self.method!r} scores steps, which an ORM cannot", "give a PRM")
        threshold = scorer.threshold if self.threshold is None else self.threshold
        if self.method == "prune" and threshold is None:
            raise InputError("the scorer has no threshold", "give one: threshold=…, see prm.fit_pruning")
        return replace(
            self.plan,
            is_orm=scorer.kind == "orm",
            aggregate=self.aggregate or scorer.aggregator or "min",
            threshold=threshold or 0.0,
        )
