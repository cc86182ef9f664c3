"""What counts as the same answer where people differ: tolerance, units, multiple choice, and what is extracted.

The default is exact. `PRESETS` has the settings that fit some data sets, by name:

    >>> from prm.verifiers import PRESETS, Policy, check
    >>> check("9.79", "9.8").is_correct, check("9.79", "9.8", policy=Policy(relative=0.01)).is_correct
    (False, True)
    >>> check("b", "B").is_correct, check("b", "B", policy=PRESETS["choice"]).is_correct
    (False, True)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Boxes = Literal["last", "first", "all"]
Units = Literal["optional", "required", "ignored"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of a check.

    Raises:
        ValueError: at construction, if a setting is out of range.
    """

    boxes: Boxes = "last"
    r"""Which boxes hold the answer if a text has several: the last one with those that are joined to it by "and", "or",
    a comma or a line break; the first; or all, as one list."""
    marked_only: bool = False
    r"""Whether only a marked answer counts (`\boxed{…}`, `####`, `<answer>`, "The answer is …"), or a text that is
    itself an answer: the last number of a text is none."""
    relative: float = 0.0
    """Numbers within this share of the gold are equal to it: 0.01 for 1%; from 0 and below 1."""
    significant: int | None = None
    """Numbers that agree with the gold when both are rounded to this many significant digits are equal; from 1 to 15;
    None for the rounding rule of the docs alone."""
    units: Units = "optional"
    """Whether a unit may be missing on one side, must be on both sides if the gold has one, or is not looked at."""
    choice: bool = False
    """Whether the gold is the letter of a choice (or several): lower case counts, and so does a letter at the start or
    the end of a text."""

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if self.boxes not in ("last", "first", "all"):
            raise ValueError(f"boxes must be 'last', 'first' or 'all', not {self.boxes!r}")
        if self.units not in ("optional", "required", "ignored"):
            raise ValueError(f"units must be 'optional', 'required' or 'ignored', not {self.units!r}")
        if not 0 <= self.relative < 1:
            raise ValueError(f"relative must be from 0 and below 1, not {self.relative}")
        if self.significant is not None and not 1 <= self.significant <= 15:
            raise ValueError(f"significant must be from 1 to 15, not {self.significant}")


DEFAULT = Policy()
PRESETS: Mapping[str, Policy] = MappingProxyType(
    {
        "exact": DEFAULT,
        "gsm8k": Policy(units="ignored"),
        "math": Policy(),
        "minerva": Policy(relative=0.01),
        "theoremqa": Policy(relative=0.04),
        "scibench": Policy(relative=0.05),
        "olympiadbench": Policy(relative=1e-8),
        "choice": Policy(choice=True),
        "chinese": Policy(),
    }
)
"""Settings by name, for `--checker NAME` too."""
