"""How scores of a suite are measured: first-error localization, step classification, best of n, preference."""

from __future__ import annotations

from typing import Any

from ..results import Protocol
from .best_of_n import BEST_OF_N
from .entry import ProtocolEntry
from .localization import LOCALIZATION, STEPS
from .preference import PREFERENCE

__all__ = ["PROTOCOLS", "ProtocolEntry"]

PROTOCOLS: dict[Protocol, ProtocolEntry[Any]] = {
    "localization": LOCALIZATION,
    "steps": STEPS,
    "best-of-n": BEST_OF_N,
    "preference": PREFERENCE,
}
"""By the name that a result carries."""
