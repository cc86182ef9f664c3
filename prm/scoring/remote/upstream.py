"""A reward model on running vLLM servers: rows of token ids go to `/pooling`, the head's raw outputs come back.

A server is started so that it gives every token's outputs, and no prefix is cached:

    vllm serve MODEL --runner pooling --no-enable-prefix-caching --pooler-config '{"tok_pooling_type": "ALL"}'

A sequence classifier needs no pooler configuration; a model in float32 needs `--dtype float32`. The text is turned into
ids here, so that every replica gets the same ones, whatever its own template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import torch
from torch import Tensor

from prm.errors import EngineError, ModelError
from prm.models.architectures import load_config

from ..backends import TokenRow
from ..vllm_backend import ENGINE_TOKENS, pooling_task
from .connection import Connection

ROWS = 16
"""Rows of a request: an engine batches them with those of the other requests."""
PATIENCE = 60.0
"""Seconds without an answer after which a pass fails."""
_ALL = 'start it with --pooler-config \'{"tok_pooling_type": "ALL"}\''


class ServerBackend:
    """A model on one or more vLLM servers; see `prm.scoring.backends.Backend`.

    Args:
        name: directory or Hub name of the model, for its tokenizer and configuration.
        urls: base URLs of the servers, which take turns.
        model: name under which they serve it; None for the first one that they list.
        token: that they ask for.
        files: where the model's files are, see `prm.models.architectures.load_config`.

    Raises:
        ModelError: vLLM does not serve it as a reward model, or the servers serve another one.
        EngineError: a server cannot be reached.
    """

    tokens_per_pass = ENGINE_TOKENS

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        *,
        model: str | None = None,
        token: str | None = None,
        files: Mapping[str, Any] | None = None,
    ) -> None:
        self._again = partial(ServerBackend, name, urls, model=model, token=token, files=files)
        self._task = pooling_task(name, load_config(name, **(files or {})))
        self._servers = [Connection(url, token, PATIENCE) for url in urls]
        cards = [_card(server, model) for server in self._servers]
        self._model = str(cards[0]["id"])
        if other := next((str(card["id"]) for card in cards if card["id"] != self._model), None):
            raise ModelError(f"the servers serve {self._model!r} and {other!r}", "serve the same model on all")
        self.max_length = min(int(card["max_model_len"]) for card in cards)
        """Most tokens a row may have."""

    def __reduce__(self) -> tuple[partial[ServerBackend], tuple[()]]:
        """Pickle the arguments: connections cannot be sent elsewhere."""
        return self._again, ()

    def outputs(self, rows: Sequence[TokenRow]) -> list[Tensor]:
        """The head's outputs for each row, in order: ``(reads, channels)`` in float32.

        Raises:
            EngineError: a server gives no answer.
            ModelError: a server gives other outputs than those of every token.
        """
        parts = [rows[start : start + ROWS] for start in range(0, len(rows), ROWS)]
        servers = [self._servers[number % len(self._servers)] for number in range(len(parts))]
        with ThreadPoolExecutor(max(1, len(parts))) as pool:
            return [output for found in pool.map(self._asked, servers, parts) for output in found]

    def close(self) -> None:
        """Let go of the connections."""
        for server in self._servers:
            server.close()

    def _asked(self, server: Connection, rows: Sequence[TokenRow]) -> list[Tensor]:
        ids = [list(row) for row, _ in rows]
        body = {"model": self._model, "input": ids, "task": self._task, "use_activation": False}
        reply = server.ask("/pooling", body)
        try:
            found = [item["data"] for item in sorted(reply["data"], key=lambda item: item["index"])]
        except (KeyError, TypeError) as error:
            raise EngineError(f"{server.url}: does not answer as vLLM does", "is it the right server?") from error
        return [self._at(places, len(row), data) for (row, places), data in zip(rows, found, strict=True)]

    def _at(self, places: Sequence[int], length: int, data: Any) -> Tensor:
        values = torch.tensor(data, dtype=torch.float32)
        if self._task == "classify":
            return values.reshape(1, -1)
        if values.dim() != 2 or len(values) != length:
            raise ModelError(f"the server gives {len(values)} outputs for {length} tokens", _ALL)
        return values[torch.tensor(places, dtype=torch.long)]


def _card(server: Connection, model: str | None) -> dict[str, Any]:
    """What one server says of the model."""
    try:
        cards: list[dict[str, Any]] = server.ask("/v1/models")["data"]
        card = next((card for card in cards if model in (None, card["id"])), None)
    except (KeyError, TypeError) as error:
        raise EngineError(f"{server.url}: does not list models", "is it a vLLM server?") from error
    if card is None:
        names = ", ".join(str(card["id"]) for card in cards)
        raise ModelError(f"{server.url}: does not serve {model!r}", f"it serves {names}")
    return card
