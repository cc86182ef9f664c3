"""Which engine: vLLM in this process, or servers of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prm.errors import EngineError

from .engine import Engine


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """How to come by an engine; can be sent to another machine and started there."""

    model: str
    """Hugging Face directory or Hub name."""
    endpoints: tuple[str, ...] = ()
    """Base URLs of servers of the model; none for vLLM in this process."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """For vLLM: passed on as they are. For servers: `model`, `max_length`."""

    def start(self) -> Engine:
        """Start vLLM, or connect to the servers.

        Raises:
            ModelError: vLLM is not installed or cannot load the model.
            EngineError: no server answers, an option is not known, or what talks to servers is not installed.
        """
        if self.endpoints:
            return self._connect()
        from .vllm_engine import VLLMEngine

        return VLLMEngine(self.model, **self.options)

    def _connect(self) -> Engine:
        try:
            from .server_engine import ServerEngine

            return ServerEngine(self.endpoints, **self.options)
        except ImportError as error:
            raise EngineError(f"servers cannot be asked: {error}", 'pip install "prm-toolkit[server]"') from error
        except TypeError as error:
            raise EngineError(f"an engine option is wrong: {error}", "servers take model=NAME, max_length=N") from error
