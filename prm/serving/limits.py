"""What a request may hold, how many may be under way, and how a refusal is said over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields

from prm.errors import InputError, PrmError, require_number
from prm.scoring.scorer import Refusal


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds, all of them numbers from 1; a request over one is refused, and costs no other anything."""

    body: int = 8 * 2**20
    """Bytes of a request."""
    bodies: int = 256 * 2**20
    """Bytes of all requests under way."""
    chains: int = 1024
    """Chains, solutions or pairs in a request."""
    waiting: int = 8192
    """Chains, solutions and pairs of all requests under way."""
    steps: int = 4096
    """Steps of a chain."""
    characters: int = 250_000
    """Of a problem with its chain."""
    seconds: float = 120.0
    """Time that a request may take."""

    def __post_init__(self) -> None:
        for field in fields(self):
            require_number(field.name, getattr(self, field.name), "[1, inf)", whole=field.name != "seconds")

    def require_chains(self, number: int) -> None:
        """Refuse a request of too many chains.

        Raises:
            TooMuchError: there are too many.
        """
        if number > self.chains:
            raise TooMuchError(f"{number:,} chains, but a request may have {self.chains:,}", "send several requests")

    def require_size(self, place: int, steps: Sequence[str], *others: str) -> None:
        """Refuse a chain of too many steps or characters.

        Args:
            place: of the chain in its request, from 0.
            steps: of the chain.
            others: texts that go with it.

        Raises:
            TooMuchError: there are too many.
        """
        if len(steps) > self.steps:
            raise TooMuchError(f"chain {place} has {len(steps):,} steps, but may have {self.steps:,}", "drop the chain")
        characters = sum(map(len, steps)) + sum(map(len, others))
        if characters > self.characters:
            raise TooMuchError(
                f"chain {place} and its problem have {characters:,} characters, but may have {self.characters:,}",
                "drop the chain",
            )


class TooMuchError(PrmError):
    """A request over a limit."""


class BusyError(PrmError):
    """Too many requests are under way."""


class DeniedError(PrmError):
    """A request without the token."""


class GoneError(PrmError):
    """What would answer is not there, for now or for good."""


class UnknownError(PrmError):
    """A scorer that is not served."""


class RefusedError(PrmError):
    """A chain without a reward, where the caller needs a number."""

    @classmethod
    def of(cls, place: int, refusal: Refusal) -> RefusedError:
        """The error of a chain that the scorer refused."""
        return cls(f"chain {place}: {refusal}", refusal.hint)


class Gate:
    """Counts what is under way, up to a bound.

    Args:
        most: the bound.
        what: is counted, for messages.
    """

    def __init__(self, most: int, what: str) -> None:
        self._most, self._what = most, what
        self.inside = 0
        """How many there are."""

    @contextmanager
    def entered(self, number: int) -> Iterator[None]:
        """Let so many in, for as long as the block runs. Nothing under way lets anything in.

        Raises:
            BusyError: there is no room for them.
        """
        if self.inside and self.inside + number > self._most:
            raise BusyError(f"busy: {self.inside:,} {self._what} are under way", "try again in a second")
        self.inside += number
        try:
            yield
        finally:
            self.inside -= number


STATUSES: dict[type[Exception], int] = {
    InputError: 400, DeniedError: 401, UnknownError: 404, TooMuchError: 413, RefusedError: 422, BusyError: 429,
    GoneError: 503, TimeoutError: 503,
}  # fmt: skip
"""By the error, the HTTP status that says it."""
