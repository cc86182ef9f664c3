"""Everything a labeling job needs besides its records; can be sent to another machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from prm.data.records import Chain, Problem
from prm.generation.choice import EngineChoice
from prm.generation.engine import Engine, Sampling
from prm.generation.prompts import Asking
from prm.verifiers import Checker
from prm.verifiers.checkers import RULES

from .labeler import Earlier, Event, Labeler, Plan


@dataclass(frozen=True, slots=True)
class Setup:
    """How to label."""

    engine: EngineChoice
    asked: Asking = field(default_factory=Asking)
    """How problems are put to the model; in a chat, rollouts continue the assistant's turn."""
    plan: Plan = field(default_factory=Plan)
    sampling: Sampling = field(default_factory=Sampling)
    checker: Checker = RULES
    extends: bool = False
    """See `Labeler.extends`."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """See `Labeler.skipped`."""
    origins: Mapping[str, tuple[str, int, int]] = field(default_factory=dict)
    """See `Labeler.origins`."""

    def labeler(self, engine: Engine) -> Labeler:
        """A labeler on an engine started from this setup."""
        return Labeler(
            engine,
            self.engine.renderer(self.asked),
            self.plan,
            self.sampling,
            self.checker,
            extends=self.extends,
            origins=self.origins,
            skipped=self.skipped,
        )

    @contextmanager
    def events(
        self, chains: Iterable[Chain], problems: Mapping[str, Problem], earlier: Earlier
    ) -> Iterator[Iterator[Event]]:
        """Start an engine, provide the events of `Labeler.run` on it, and close it at the end."""
        with closing(self.engine.start()) as engine:
            yield self.labeler(engine).run(chains, problems, earlier)
