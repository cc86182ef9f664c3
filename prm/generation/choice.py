"""Which engine generates: vLLM in this process, or servers of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from prm import console
from prm.errors import EngineError
from prm.models.rendering import Renderer

from .engine import Engine

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

    def announce(self, workers: int = 0) -> None:
        """Say what is being started, since it takes a while; `workers`: number of Ray workers, 0 without Ray."""
        what = f"connecting to {len(self.endpoints)} servers" if self.endpoints else f"starting vLLM with {self.model}"
        console.say(what + (f" in each of {workers} Ray workers" if workers else "") + " …")

    def renderer(self, *, chat: bool) -> Renderer:
        """The renderer that turns prefixes into prompts for this model; steps stay as they are."""
        from prm.models.checkpoint import load_tokenizer

        return Renderer(load_tokenizer(self.model), separator=None, chat=chat)


def _start_vllm(choice: EngineChoice) -> Engine:
    from .vllm_engine import VLLMEngine

    return VLLMEngine(choice.model, **choice.options)


def _connect(choice: EngineChoice) -> Engine:
    try:
        from .server_engine import ServerEngine

        return ServerEngine(choice.endpoints, **choice.options)
    except ImportError as error:
        raise EngineError(
            f"the client for servers cannot be imported: {error}", 'pip install "prm-toolkit[server]"'
        ) from error
    except TypeError as error:
        raise EngineError(f"unknown engine option: {error}", "servers take model=NAME, max_length=N") from error


ENGINES: dict[Name, Callable[[EngineChoice], Engine]] = {"vllm": _start_vllm, "servers": _connect}
"""Name to the function that starts the engine."""
