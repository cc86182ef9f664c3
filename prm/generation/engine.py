"""What the labeler asks of whatever generates text: one stream of requests in, one stream of results out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from prm.data.records import Finish


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw. Recorded beside every output."""

    temperature: float = 1.0
    """Above 0: draws must differ."""
    top_p: float = 1.0
    """Nucleus, in (0, 1]."""
    max_tokens: int = 1024
    """Longest continuation in tokens; one that is cut by it is undecided, not wrong."""
    seed: int = 0
    """Every draw's own seed follows from this one and from what is drawn."""
    stop: tuple[str, ...] = ()
    """Texts at which a continuation ends, besides the model's own end; they are not part of it."""

    def __post_init__(self) -> None:
        if not self.temperature > 0 or not 0 < self.top_p <= 1 or self.max_tokens < 1:
            raise ValueError(f"temperature must be above 0, top-p in (0, 1], max-tokens at least 1: {self}")


@dataclass(frozen=True, slots=True)
class Request:
    """Draws `first` to `first + n - 1` of the continuations of one prompt."""

    key: str
    """Names the prompt; the seeds follow from it."""
    prompt_ids: tuple[int, ...]
    n: int
    first: int = 0

    @property
    def id(self) -> str:
        """Unique in a stream."""
        return f"{self.key}+{self.first}"

    def seed(self, sampling: Sampling) -> int:
        """Seed of the first draw; that of each next one is greater by 1, however the draws are cut into requests."""
        return draw_seed(sampling.seed, self.key) + self.first


@dataclass(frozen=True, slots=True)
class Completion:
    """One continuation."""

    text: str
    tokens: int
    """How many were generated."""
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

        Requests are taken only when there is room for them, so the iterator may be endless, and may decide the next
        request from results that were yielded before. It yields None to say: nothing now, ask again after a result.
        """

    def close(self) -> None:
        """Free what the engine holds."""


def draw_seed(seed: int, key: str) -> int:
    """The seed of a prompt's first draw: the same for the same job and key, on every machine; below 2**31."""
    digest = hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1
