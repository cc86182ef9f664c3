"""Hold out problems, and prove that none is on both sides of a split.

Problems are distinguished by their texts, not by their ids: other files have the same question under another id, and
with an extra space or full stop. The side of a text depends on that text alone, not on the order of the problems or on
which others there are, unless a side would stay empty.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from prm.errors import InputError


def is_in_share(identity: str, share: float) -> bool:
    """Whether an id falls into a share, in [0, 1], of all ids. An id in one share is in every greater share."""
    return _place(identity) < share * 2**64


def _place(identity: str) -> int:
    """A random number below 2**64 that depends on the id alone."""
    return int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest(), "big")


def normal_text(text: str) -> str:
    r"""A text reduced to what identifies its problem: NFKC, no case, single spaces, no punctuation at the ends.

    >>> normal_text(" How  many?\n") == normal_text("how many")
    True
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    first = next((i for i, c in enumerate(folded) if _identifies(c)), len(folded))
    end = next((i for i in range(len(folded), first, -1) if _identifies(folded[i - 1])), first)
    return " ".join(folded[first:end].split())


def _identifies(character: str) -> bool:
    """Whether it is neither space nor punctuation."""
    return not character.isspace() and not unicodedata.category(character).startswith("P")


def text_digest(text: str) -> str:
    """Digest of a problem's normal text: 32 hexadecimal digits."""
    return hashlib.blake2b(normal_text(text).encode(), digest_size=16).hexdigest()


def hold_out(texts: Mapping[str, str], share: float) -> frozenset[str]:
    """Ids of the problems to hold out.

    Args:
        texts: text of each problem by its id. Problems with the same `normal_text` fall on the same side.
        share: of distinct texts, in [0, 1]. A problem held out at one share is held out at every greater share. Between
            0 and 1, at least one text is held out and at least one is not; a single text is not.
    """
    digests = {identity: text_digest(text) for identity, text in texts.items()}
    ordered = sorted(set(digests.values()), key=_place)
    count = sum(is_in_share(digest, share) for digest in ordered)
    if 0 < share < 1:
        count = min(max(count, 1), max(len(ordered) - 1, 0))
    out = set(ordered[:count])
    return frozenset(identity for identity, digest in digests.items() if digest in out)


@dataclass(frozen=True, slots=True)
class SplitProof:
    """The result of comparing the two sides of a split."""

    train_problems: int
    """Problem ids in training."""
    train_texts: int
    """Distinct normal texts among them."""
    train_digest: str
    """Digest of these texts: the same for the same texts, in any order."""
    held_out_problems: int
    held_out_texts: int
    held_out_digest: str
    shared_ids: int
    """Ids on both sides: 0."""
    shared_texts: int
    """Normal texts on both sides: 0."""

    def as_json(self) -> dict[str, Any]:
        """For a manifest or a report."""
        return asdict(self)


def prove(train: Iterable[tuple[str, str]], held_out: Iterable[tuple[str, str]]) -> SplitProof:
    """Show that no problem is on both sides, by id or by text.

    Args:
        train: id and text of each training problem, or of each training example.
        held_out: id and text of each held-out problem.

    Raises:
        InputError: a problem is on both sides.
    """
    ours, theirs = _Side.of(train), _Side.of(held_out)
    proof = SplitProof(
        train_problems=len(ours.ids),
        train_texts=len(ours.by_text),
        train_digest=ours.digest,
        held_out_problems=len(theirs.ids),
        held_out_texts=len(theirs.by_text),
        held_out_digest=theirs.digest,
        shared_ids=len(ours.ids & theirs.ids),
        shared_texts=len(ours.by_text.keys() & theirs.by_text.keys()),
    )
    if proof.shared_ids or proof.shared_texts:
        raise InputError(
            f"held-out problems are also trained on: {proof.shared_texts} texts, {proof.shared_ids} ids, "
            f"such as {_examples(ours, theirs)}",
            "remove these problems from one of the two",
        )
    return proof


@dataclass(frozen=True, slots=True)
class _Side:
    ids: frozenset[str]
    by_text: Mapping[str, str]
    """Digest of each text → the first id with it."""

    @classmethod
    def of(cls, problems: Iterable[tuple[str, str]]) -> _Side:
        ids, by_text = set[str](), dict[str, str]()
        for identity, text in problems:
            ids.add(identity)
            by_text.setdefault(text_digest(text), identity)
        return cls(frozenset(ids), by_text)

    @property
    def digest(self) -> str:
        return hashlib.blake2b("".join(sorted(self.by_text)).encode(), digest_size=8).hexdigest()


def _examples(ours: _Side, theirs: _Side) -> str:
    """A few ids that are on both sides, or whose texts are."""
    same_texts = sorted((ours.by_text[t], theirs.by_text[t]) for t in ours.by_text.keys() & theirs.by_text.keys())
    pairs = same_texts or [(identity, identity) for identity in sorted(ours.ids & theirs.ids)]
    return ", ".join(f"{a!r}" if a == b else f"{a!r} and {b!r}" for a, b in pairs[:3])
