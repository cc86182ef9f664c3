"""Everything a search needs besides its problems; can be sent to another machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prm import console
from prm.data.steps import split_steps, step_stops
from prm.errors import InputError, require_number, require_texts
from prm.generation.choice import EngineChoice
from prm.generation.engine import Sampling
from prm.generation.prompts import Asking, asking, merged
from prm.scoring.checking import job_checker
from prm.scoring.scorer import Scorer
from prm.verifiers.checkers import Named

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
        if self.scorer is None:
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
            threshold=threshold,
        )


def setup_of(
    *,
    model: str,
    scorer: str | os.PathLike[str] | Scorer | None,
    scorer_options: Mapping[str, Any] | None,
    method: str,
    n: int,
    width: int,
    budget_tokens: int | None,
    aggregate: str | None,
    selection: str | None,
    rebase_temperature: float,
    threshold: float | None,
    settled: float,
    temperature: float,
    top_p: float,
    top_k: int,
    min_p: float,
    repetition_penalty: float,
    max_tokens: int,
    stop: str | Sequence[str],
    seed: int,
    reproducible: bool,
    splitter: str,
    chat: bool,
    prompt: str | Path | Mapping[str, Any],
    checker: Named,
    endpoints: str | Sequence[str],
    engine_options: Mapping[str, Any] | None,
) -> Setup:
    """The setup that the arguments of `solve` mean.

    Raises:
        InputError: one of them cannot be used.
    """
    chosen, asked = method_named(method), asking(prompt, chat=chat)
    split_steps("", splitter)
    if chosen.is_stepwise:
        step_stops(splitter)
    if chosen.is_scored and scorer is None:
        raise InputError(f"the method {method!r} needs a scorer", "give one, or choose majority or refine")
    require_number("rebase_temperature", rebase_temperature, "(0, inf)")  # by the names that the caller knows
    require_number("max_tokens", max_tokens, "[1, inf)", whole=True)
    if budget_tokens is not None:
        require_number("budget_tokens", budget_tokens, "[1, inf)", whole=True)
    plan = Plan(
        n=n, width=width, aggregate=aggregate or "min", selection=selection or chosen.selection,
        temperature=rebase_temperature, threshold=threshold, settled=settled,
        budget=n * max_tokens if budget_tokens is None else budget_tokens,
        seed=seed, max_tokens=max_tokens, checker=job_checker(checker),
    )  # fmt: skip
    sampling = Sampling(
        temperature, top_p, top_k, min_p, repetition_penalty,
        max_tokens=max_tokens, seed=seed, stop=merged(require_texts("stop", stop), asked), reproducible=reproducible,
    )  # fmt: skip
    engine = EngineChoice(model, require_texts("endpoints", endpoints), engine_options or {}, reproducible)
    options = scorer_options or {}
    return Setup(engine, method, plan, sampling, scorer, options, aggregate, threshold, asked, splitter)
