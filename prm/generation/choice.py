"""Which engine generates: vLLM in this process, or servers of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from prm import console
from prm.data.manifest import Job
from prm.errors import EngineError, require_number
from prm.models.rendering import Renderer

from .engine import Engine
from .prompts import Asking

if TYPE_CHECKING:
    from .server_engine import Served

Name = Literal["vllm", "servers"]


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """How to start an engine; can be sent to another machine and started there."""

    model: str
    """Hugging Face directory or Hub name."""
    endpoints: tuple[str, ...] = ()
    """Base URLs of servers of the model; empty for vLLM in this process."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """For vLLM: passed to `vllm.LLM` unchanged. For servers: `model`, `max_length`."""
    reproducible: bool = False
    """Whether draws have seeds; see `Sampling.reproducible`."""

    @property
    def name(self) -> Name:
        """Its name in `ENGINES`."""
        return "servers" if self.endpoints else "vllm"

    def start(self) -> Engine:
        """Start vLLM, or connect to the servers.

        Raises:
            ModelError: vLLM is not installed or cannot load the model.
            EngineError: no server answers, an option is unknown, or the client package is not installed.
        """
        return ENGINES[self.name](self)

    def served(self) -> Served | None:
        """What the servers serve; None without servers.

        Raises:
            EngineError: no server answers, or they serve another model than `model`; see `ask_what_is_served`.
        """
        return _ask(self) if self.endpoints else None

    def fixed(self, served: Served) -> EngineChoice:
        """The choice of the model that is served, so that no one asks again."""
        return replace(self, options={**self.options, "model": served.model, "max_length": served.max_length})

    def settled(self, job: Job) -> EngineChoice:
        """The choice once it is known what the servers serve; the manifest records it, and holds a resumed run to it.

        Raises:
            EngineError: as `served`.
            OutputError: an earlier run of the job had another model.
        """
        served = self.served()
        if served is None:
            return self
        job.settle("served", {"model": served.model, "root": served.root})
        job.settle("endpoints", list(self.endpoints), may_change=True)
        return self.fixed(served)

    def announce(self, workers: int = 0) -> None:
        """Say what is being started, since it takes a while; `workers`: number of Ray workers, 0 without Ray."""
        what = f"connecting to {len(self.endpoints)} servers" if self.endpoints else f"starting vLLM with {self.model}"
        console.say(what + (f" in each of {workers} Ray workers" if workers else "") + " …")

    def renderer(self, asked: Asking) -> Renderer:
        """The renderer that turns prefixes into prompts for this model; steps stay as they are."""
        from prm.models.checkpoint import load_tokenizer

        return Renderer(load_tokenizer(self.model), separator=None, chat=asked.chat, prompt=asked.prompt)


def _start_vllm(choice: EngineChoice) -> Engine:
    from .vllm_engine import VLLMEngine

    return VLLMEngine(choice.model, reproducible=choice.reproducible, **choice.options)


def _ask(choice: EngineChoice) -> Served:
    from prm.models.checkpoint import load_tokenizer

    with _client_at_hand(choice):
        from .server_engine import ask_what_is_served

        return ask_what_is_served(choice.endpoints, load_tokenizer(choice.model), **choice.options)


def _connect(choice: EngineChoice) -> Engine:
    with _client_at_hand(choice):
        from .server_engine import ServerEngine

        known = choice if choice.options.keys() >= _SERVER_OPTIONS else choice.fixed(_ask(choice))
        return ServerEngine(choice.endpoints, **known.options)


@contextmanager
def ray_at_hand() -> Iterator[None]:
    """Turn a missing Ray into one line.

    Raises:
        EngineError: it cannot be imported.
    """
    try:
        yield
    except ImportError as error:
        raise EngineError(f"Ray cannot be imported: {error}", 'pip install "prm-toolkit[ray]"') from error


@contextmanager
def _client_at_hand(choice: EngineChoice) -> Iterator[None]:
    unknown = choice.options.keys() - _SERVER_OPTIONS
    if unknown:
        raise EngineError(
            f"unknown engine option: {', '.join(sorted(unknown))}", "servers take model=NAME, max_length=N"
        )
    if "max_length" in choice.options:
        require_number("max_length", choice.options["max_length"], "[1, inf)", whole=True)
    try:
        yield
    except ImportError as error:
        raise EngineError(
            f"the client for servers cannot be imported: {error}", 'pip install "prm-toolkit[server]"'
        ) from error


_SERVER_OPTIONS = {"model", "max_length"}
ENGINES: dict[Name, Callable[[EngineChoice], Engine]] = {"vllm": _start_vllm, "servers": _connect}
"""Name to the function that starts the engine."""
