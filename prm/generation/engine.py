"""The engine interface for generating text: one stream of requests in, one stream of results out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from prm.data.records import Finish
from prm.errors import require_number


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling settings. Recorded in every manifest."""

    temperature: float = 1.0
    """Above 0: draws must differ."""
    top_p: float = 1.0
    """Nucleus, in (0, 1]."""
    max_tokens: int = 1024
    """Longest continuation in tokens; one cut off by it before its answer is undecided, not wrong."""
    seed: int = 0
    """Determines, with the prompt, the seed of every draw."""
    stop: tuple[str, ...] = ()
    """Texts that end a continuation, besides the model's own end; they are not part of it."""

    def __post_init__(self) -> None:
        require_number("temperature", self.temperature, "(0, inf)")
        require_number("top_p", self.top_p, "(0, 1]")
        require_number("max_tokens", self.max_tokens, "[1, inf)", whole=True)


@dataclass(frozen=True, slots=True)
class Request:
    """Continuations of one prompt: draws `first` to `first + n - 1`."""

    key: str
    """Identifies the prompt, and determines the seeds."""
    prompt_ids: tuple[int, ...]
    n: int
    first: int = 0

    @property
    def id(self) -> str:
        """Unique in a stream."""
        return f"{self.key}+{self.first}"

    def seed(self, sampling: Sampling) -> int:
        """Seed of the first draw; each next draw adds 1, however the draws are divided into requests."""
        return draw_seed(sampling.seed, self.key) + self.first


@dataclass(frozen=True, slots=True)
class Completion:
    """One continuation."""

    text: str
    tokens: int
    """Number of tokens generated."""
    finish: Finish


class Engine(Protocol):
    """Continues token ids."""

    @property
    def max_length(self) -> int:
        """Longest prompt and continuation together, in tokens."""

    def stream(
        self, requests: Iterator[Request | None], sampling: Sampling
    ) -> Iterator[tuple[Request, list[Completion]]]:
        """Yield each request with its `n` completions as they finish, in any order.

        Requests are taken only when there is room, so the iterator may be endless and may choose the next request by
        earlier results. It yields None to say: nothing now, ask again after a result.
        """

    def close(self) -> None:
        """Free the engine's resources."""


def draw_seed(seed: int, key: str) -> int:
    """Seed of a prompt's first draw: the same for a job seed and key on every machine; below 2**31."""
    digest = hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1
