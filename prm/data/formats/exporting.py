"""Our step labels → rows that other tools train on.

A step is written without its trailing whitespace, because each tool puts its own separator between steps. A chain whose
text contains a mark of the format is dropped: a reader would take that text for a mark, which would shift the labels
after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..drops import Drops
from ..joining import LabeledChain
from ..records import LabelView
from .solutions import TAG, Written
from .table import FORMATS, FORMATS_WRITTEN
from .tagged import FIRST_STEP


def export_rows(
    rows: Iterable[LabeledChain], name: str, view: LabelView, drops: Drops, tag: str = TAG
) -> Iterator[Written]:
    """Yield a row of the format `name` for each chain whose steps all have a label.

    A chain with an unlabeled step is dropped whole: if it were cut short, its last label would pass for the verdict on
    its answer.
    """
    for problem, chain, labels in rows:
        values = [value for value in labels.view(view) if value is not None]
        text, steps = problem.text.strip(), [step.rstrip() for step in chain.steps]
        mark = _mark_within(text, steps, name, tag)
        if not steps:
            drops.add(chain.id, "empty chain")
        elif len(values) < len(steps):
            drops.add(chain.id, f"a step has no {view} label", f"{len(steps) - len(values)} of {len(steps)} steps")
        elif mark:
            drops.add(chain.id, f"its text holds {mark}, which {name} reads as a mark")
        else:
            yield FORMATS_WRITTEN[name](text, steps, values, tag)


def _mark_within(problem: str, steps: Sequence[str], name: str, tag: str) -> str | None:
    """The part of the text that the format would read as a mark."""
    row, whole = FORMATS[name], f"{problem} " + "\n".join(steps)
    starts = sum(bool(FIRST_STEP.match(step)) for step in steps[:1])
    if row.is_tagged and tag in whole:
        return repr(tag)
    return "'Step 1:'" if row.is_one_text and len(FIRST_STEP.findall(whole)) > starts else None
