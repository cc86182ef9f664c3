"""How scores of a suite are measured: first-error localization, step classification, best of n, preference.

Runs of a search are no scores of a suite; `prm.benchmarks.search` measures them.
"""

from __future__ import annotations

from typing import Any

from ..results import Protocol
from .best_of_n import BEST_OF_N
from .entry import ProtocolEntry
from .localization import LOCALIZATION, STEPS
from .preference import PREFERENCE

__all__ = ["PROTOCOLS", "TITLES", "ProtocolEntry", "who_of", "words_of"]

PROTOCOLS: dict[Protocol, ProtocolEntry[Any]] = {
    "localization": LOCALIZATION,
    "steps": STEPS,
    "best-of-n": BEST_OF_N,
    "preference": PREFERENCE,
}
"""By the name that a result carries."""

TITLES: dict[Protocol, str] = {name: entry.title for name, entry in PROTOCOLS.items()} | {"search": "search"}
"""Of everything that a result can be about."""


def who_of(protocol: Protocol) -> str:
    """What a result compares."""
    return "method" if protocol == "search" else "scorer"


def words_of(protocol: Protocol) -> tuple[str, str]:
    """What right and wrong chains are called."""
    return PROTOCOLS[protocol].words if protocol in PROTOCOLS else ("right", "wrong")
