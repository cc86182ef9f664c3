"""What the server and the process of its scorers say to each other: MessagePack frames, each after its length.

The server sends `Loaders` once, pickled, then `Ask` and `Cancel`; the process answers with `Ready` or `Failed` once,
then with `Done` after each pass.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from prm.data.records import Message
from prm.scoring.scorer import CombinedScores, Refusal, ScoreKind, Scores, UncertainScores, scores_with

LENGTH = struct.Struct(">I")
"""What stands before each frame."""


class Card(msgspec.Struct, frozen=True):
    """What a scorer is."""

    name: str
    """Under which requests name it."""
    scorer: str
    """How manifests name it."""
    kind: ScoreKind
    threshold: float | None
    aggregator: str | None
    settings: dict[str, object]


class Chain(msgspec.Struct, frozen=True, array_like=True):
    """One chain to score."""

    id: int
    problem: str | list[Message]
    steps: list[str]


class Ask(msgspec.Struct, frozen=True, tag=True):
    """Chains for one scorer."""

    scorer: str
    chains: list[Chain]


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Chains that nobody waits for any more."""

    ids: list[int]


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The scorers are loaded."""

    cards: list[Card]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A scorer cannot be loaded; the process ends."""

    message: str
    hint: str


class Result(msgspec.Struct, frozen=True, array_like=True):
    """What became of one chain: its scores, a refusal, or what failed in the scorer."""

    id: int
    scores: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()
    members: dict[str, tuple[float, ...]] = {}
    refusal: Refusal | None = None
    failure: str = ""

    @classmethod
    def of(cls, number: int, found: Scores | Refusal) -> Result:
        """The result that a scorer gave."""
        if isinstance(found, Refusal):
            return cls(number, refusal=found)
        deviations = found.deviations if isinstance(found, UncertainScores) else ()
        members = dict(found.members) if isinstance(found, CombinedScores) else {}
        return cls(number, tuple(found), deviations, members)

    def found(self) -> Scores | Refusal:
        """The result as the scorer gave it; a refusal where it failed."""
        if self.failure:
            return Refusal("the scorer failed", self.failure, "the server's log may say more")
        if self.refusal is not None:
            return self.refusal
        return scores_with(self.scores, self.members, self.deviations)


class Done(msgspec.Struct, frozen=True, tag=True):
    """One pass."""

    scorer: str
    results: list[Result]
    tokens: int
    """Of its chains, without padding."""
    seconds: float


ToWorker = Ask | Cancel
FromWorker = Ready | Failed | Done
_encode = msgspec.msgpack.Encoder().encode


def frame(message: ToWorker | FromWorker | bytes) -> bytes:
    """A message, or bytes that are one already, as it is sent."""
    content = message if isinstance(message, bytes) else _encode(message)
    return LENGTH.pack(len(content)) + content


def frames(stream: BinaryIO) -> Iterator[bytes]:
    """The frames of a stream until it ends, even in the middle of one."""
    while len(head := stream.read(LENGTH.size)) == LENGTH.size:
        size = LENGTH.unpack(head)[0]
        content = stream.read(size)
        if len(content) < size:
            return
        yield content
