"""Chains and step labels in the formats of other tools ↔ our records.

    for problem, chain, labels in read_public(Path("math-shepherd.jsonl"), "math-shepherd"): ...

Labels stay as the file has them: no view (`StepLabels.hard`, `StepLabels.soft`) infers a step's label from other steps.
All that the code knows of a format is one row of `table.FORMATS`; `jobs` has the functions behind `prm import` and
`prm export`.
"""

from .importing import read_public, tell_format
from .table import FORMATS, FORMATS_READ, FORMATS_WRITTEN, Format

__all__ = ["FORMATS", "FORMATS_READ", "FORMATS_WRITTEN", "Format", "read_public", "tell_format"]
