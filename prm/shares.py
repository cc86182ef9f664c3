"""Sharing things out by their ids alone, so that nothing ever changes sides between runs."""

from __future__ import annotations

import hashlib


def is_in_share(identity: str, share: float) -> bool:
    """Whether something belongs to a share in [0, 1] of all. What is in a share is in every greater one."""
    digest = hashlib.blake2b(identity.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64
