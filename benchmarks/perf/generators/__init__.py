"""Seeded pairs of gold answer and prediction whose relation is known by construction, to try a checker on.

Every pair comes from exact values that its generator draws; no checker is asked. `WRONG` makes pairs that differ in
meaning, `EQUAL` pairs that are the same value written differently.
"""

from . import (  # noqa: F401 (each enters its generators in the tables)
    algebra,
    amounts,
    collections,
    discrete,
    equations,
    lookalikes,
    names,
    numbers,
    regions,
    statements,
    texts,
)
from .tables import EQUAL, WRONG, Pair, pairs

__all__ = ["EQUAL", "WRONG", "Pair", "pairs"]
