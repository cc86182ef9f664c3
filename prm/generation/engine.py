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
    top_k: int = 0
    """Number of the most likely tokens to draw from; 0 for all."""
    min_p: float = 0.0
    """Least probability of a token, as a share of that of the most likely one, in [0, 1]."""
    repetition_penalty: float = 1.0
    """Divides the logits of tokens that have occurred; above 0, and 1 for no penalty."""
    max_tokens: int = 1024
    """Longest continuation in tokens; one cut off by it before its answer is undecided, not wrong."""
    seed: int = 0
    """If draws are reproducible: determines, with the prompt, the seed of every draw."""
    stop: tuple[str, ...] = ()
    """Texts that end a continuation, besides the model's own end; they are not part of it."""

    reproducible: bool = False
    """Whether every draw has a seed of its own. Engines draw seeded requests one by one, which can cost them time."""

    def __post_init__(self) -> None:
        require_number("temperature", self.temperature, "(0, inf)")
        require_number("top_p", self.top_p, "(0, 1]")
        require_number("top_k", self.top_k, "[0, inf)", whole=True)
        require_number("min_p", self.min_p, "[0, 1]")
        require_number("repetition_penalty", self.repetition_penalty, "(0, inf)")
        require_number("max_tokens", self.max_tokens, "[1, inf)", whole=True)


@dataclass(frozen=True, slots=True)
class Request:
    """Continuations of one prompt: draws `first` to `first + n - 1`."""

    key: str
    """Identifies the prompt, and determines the seeds."""
    prompt_ids: tuple[int, ...]
    n: int
    first: int = 0
    max_tokens: int | None = None
    """Longest continuation in tokens, where it is not that of the sampling settings."""
    stop: tuple[str, ...] = ()
    """Texts that end a continuation, besides those of the sampling settings."""

    @property
    def id(self) -> str:
        """Unique in a stream."""
        return f"{self.key}+{self.first}"

    def seed(self, sampling: Sampling) -> int | None:
        """Seed of the first draw; each next draw adds 1, however the draws are divided into requests.

        None if the draws need not be reproducible: then each is random.
        """
        return draw_seed(sampling.seed, self.key) + self.first if sampling.reproducible else None


@dataclass(frozen=True, slots=True)
class Completion:
    """One continuation."""

    text: str
    tokens: int
    """Number of tokens generated."""
    finish: Finish
    ids: tuple[int, ...] = ()
    """The tokens generated, with those of the text that ended it; empty if the engine does not tell."""
    stop: str = ""
    """The text that ended it, of those that the request or the sampling settings name; "" if none did."""


def longest(request: Request, sampling: Sampling) -> int:
    """Longest continuation of a request, in tokens."""
    return sampling.max_tokens if request.max_tokens is None else request.max_tokens


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
        earlier results. It yields None to say: nothing now, ask again soon, after a result at the latest.
        """

    def close(self) -> None:
        """Free the engine's resources."""


def draw_seed(seed: int, key: str) -> int:
    """Seed of a prompt's first draw: the same for a job seed and key on every machine; below 2**31."""
    digest = hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1
