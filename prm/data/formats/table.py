"""The formats of other tools, each with all that the code knows of it.

To add one, write a module with the functions that read and write its rows, and add an entry to `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..records import LabelView
from ..rows import Row
from .listed import plain, trl, trl_row
from .prm800k import prm800k
from .saving import save_dataset, save_lines
from .solutions import Labels, Reading, Solution, Written
from .tagged import math_shepherd, math_shepherd_row, openrlhf, openrlhf_row, rlhflow, rlhflow_row
from .trajectories import trajectories
from .trees import math_aps

Read = Callable[[Row, Reading], Iterable[Solution]]
Write = Callable[[str, Sequence[str], Labels, str], Written]
Save = Callable[[Path, Sequence[Written], LabelView], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A file format of another tool."""

    help: str
    """What its rows hold, in a few words."""
    fields: Sequence[frozenset[str]] = ()
    """Sets of fields; a row that has all fields of one set is taken for this format. None for plain text."""
    read: Read | None = None
    """Row → its solutions; None for a format that is only written."""
    write: Write | None = None
    """Problem, steps, labels and tag → a row; None for a format that is only read."""
    save: Save = save_lines
    """Writes all rows, whole or not at all."""
    carries_shares: bool = False
    """Whether a written label can be a number in [0, 1]: soft and pooled labels."""
    is_one_text: bool = False
    """Whether problem and first step are one text, so that "Step 1:" marks where the steps begin."""
    settings: Sequence[str] = ()
    """The settings of `jobs` that affect it, of "neutral_is_right", "tag", "splitter" and "hub"."""

    @property
    def is_tagged(self) -> bool:
        """Whether a tag ends each step."""
        return "tag" in self.settings


def _any_of(*fields: str) -> tuple[frozenset[str], ...]:
    """Sets of fields, each written as one text."""
    return tuple(frozenset(names.split()) for names in fields)


FORMATS: dict[str, Format] = {
    "math-shepherd": Format(
        help="input with a tag after each step, label with + or - instead",
        fields=_any_of("input label"),
        read=math_shepherd,
        write=math_shepherd_row,
        is_one_text=True,
        settings=("tag",),
    ),
    "prm800k": Format(
        help="steps rated by people, raw or as chains",
        fields=_any_of("question label", "problem steps step_ratings"),
        read=prm800k,
        settings=("neutral_is_right",),
    ),
    "trl": Format(
        help="prompt, completions, labels",
        fields=_any_of("prompt completions labels"),
        read=trl,
        write=trl_row,
        carries_shares=True,
    ),
    "openrlhf": Format(
        help="input with a tag after each step, value",
        fields=_any_of("input value"),
        read=openrlhf,
        write=openrlhf_row,
        carries_shares=True,
        is_one_text=True,
        settings=("tag",),
    ),
    "rlhflow": Format(
        help="conversations of steps, answered by + or -",
        fields=_any_of("conversations"),
        read=rlhflow,
        write=rlhflow_row,
        is_one_text=True,
    ),
    "math-aps": Format(
        help="a tree of steps with their values, or its prefixes",
        fields=_any_of("question reasoning_steps", "text mc_value children"),
        read=math_aps,
    ),
    "trajectories": Format(
        help="messages of an agent with tools, labels by turn",
        fields=_any_of("messages", "trajectory"),
        read=trajectories,
        settings=("neutral_is_right",),
    ),
    "text": Format(
        help="problem and solutions as plain text, no labels",
        read=plain,
        settings=("splitter",),
    ),
    "datasets": Format(
        help="trl's columns, as a directory for datasets.load_from_disk",
        write=trl_row,
        save=save_dataset,
        carries_shares=True,
        settings=("hub",),
    ),
}
FORMATS_READ: dict[str, Read] = {name: row.read for name, row in FORMATS.items() if row.read}
FORMATS_WRITTEN: dict[str, Write] = {name: row.write for name, row in FORMATS.items() if row.write}
FORMATS_WITH_SHARES = tuple(name for name, row in FORMATS.items() if row.carries_shares)
