"""Our step labels → the files that other tools train on.

A step is written without the whitespace that ends it, which is each tool's own separator. Text that a reader would take
for a mark of the format is never written: its chain is dropped, for it would shift the labels after it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prm.errors import OutputError

from ..drops import Drops
from ..joining import LabeledChain
from ..records import LabelView
from ..writing import whole_directory, write_lines
from .solutions import TAG
from .tagged import FIRST_STEP

if TYPE_CHECKING:
    from datasets import Dataset

Labels = Sequence[bool | float]
Written = dict[str, Any]


def math_shepherd(problem: str, steps: Sequence[str], labels: Labels, tag: str) -> Written:
    """`input` with a tag after each step, `label` with + or - in its place; steps are numbered where they are not.

    >>> math_shepherd("How many?", ["3 + 4 = 7"], [True], "ки")
    {'input': 'How many? Step 1: 3 + 4 = 7 ки', 'label': 'How many? Step 1: 3 + 4 = 7 +'}
    """
    if not FIRST_STEP.match(steps[0]):
        steps = [f"Step {number}: {step}" for number, step in enumerate(steps, start=1)]
    signs = [_sign(label) for label in labels]
    return {"input": _tagged(problem, steps, [tag] * len(steps)), "label": _tagged(problem, steps, signs)}


def openrlhf(problem: str, steps: Sequence[str], labels: Labels, tag: str) -> Written:
    """`input` with a tag after each step, `value` with a sign or a share for each."""
    values = [_sign(label) if isinstance(label, bool) else label for label in labels]
    return {"input": _tagged(problem, steps, [tag] * len(steps)), "value": values}


def rlhflow(problem: str, steps: Sequence[str], labels: Labels, _: str) -> Written:
    """`conversations` of a step by the user, the first after the problem, and + or - by the assistant."""
    asked = [f"{problem} {steps[0]}", *steps[1:]]
    turns = zip(asked, map(_sign, labels), strict=True)
    said = [{"role": role, "content": text} for turn in turns for role, text in zip(_ROLES, turn, strict=True)]
    return {"conversations": said}


_ROLES = ("user", "assistant")


def trl(problem: str, steps: Sequence[str], labels: Labels, _: str) -> Written:
    """TRL's stepwise supervision: `prompt`, `completions` and `labels`."""
    return {"prompt": problem, "completions": list(steps), "labels": list(labels)}


FORMATS: dict[str, Callable[[str, Sequence[str], Labels, str], Written]] = {
    "math-shepherd": math_shepherd,
    "trl": trl,
    "openrlhf": openrlhf,
    "rlhflow": rlhflow,
    "datasets": trl,
}
"""Name to what makes a row of problem, steps, labels and tag."""

SOFT = ("trl", "openrlhf", "datasets")
"""Formats that can carry shares."""

_TAGGED = ("math-shepherd", "openrlhf")
_ONE_TEXT = (*_TAGGED, "rlhflow")
"""Formats in which the problem and the first step are one text."""


def _sign(label: bool | float) -> str:
    return "+" if label else "-"


def _tagged(problem: str, steps: Sequence[str], marks: Sequence[str]) -> str:
    return f"{problem} " + "\n".join(f"{step} {mark}" for step, mark in zip(steps, marks, strict=True))


def export_rows(
    rows: Iterable[LabeledChain], name: str, view: LabelView, drops: Drops, tag: str = TAG
) -> Iterator[Written]:
    """Yield a row of the format `name` for each chain of which every step has a label.

    A chain with a step that has none is left out whole: cut short, its last label would be taken for the verdict on
    its answer.
    """
    for problem, chain, labels in rows:
        values = [value for value in labels.view(view) if value is not None]
        text, steps = problem.text.strip(), [step.rstrip() for step in chain.steps]
        fault = _fault(text, steps, name, tag)
        if not steps:
            drops.add(chain.id, "empty chain")
        elif len(values) < len(steps):
            drops.add(chain.id, f"a step has no {view} label", f"{len(steps) - len(values)} of {len(steps)} steps")
        elif fault:
            drops.add(chain.id, f"its text holds {fault}, which {name} reads as a mark")
        else:
            yield FORMATS[name](text, steps, values, tag)


def _fault(problem: str, steps: Sequence[str], name: str, tag: str) -> str | None:
    """What of the text the format would read as a mark."""
    whole = f"{problem} " + "\n".join(steps)
    starts = sum(bool(FIRST_STEP.match(step)) for step in steps[:1])
    if name in _TAGGED and tag in whole:
        return repr(tag)
    return "'Step 1:'" if name in _ONE_TEXT and len(FIRST_STEP.findall(whole)) > starts else None


def write_rows(path: Path, rows: Iterable[Written]) -> None:
    """Write rows as JSONL, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_lines(path, (json.dumps(row, ensure_ascii=False) for row in rows))


def save_dataset(path: Path, rows: Sequence[Written], view: LabelView) -> None:
    """Write TRL's rows as a directory that `datasets.load_from_disk` reads, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    with whole_directory(path) as partial:
        _dataset(rows, view).save_to_disk(partial)


def _dataset(rows: Sequence[Written], view: LabelView) -> Dataset:
    import datasets

    text, label = datasets.Value("string"), datasets.Value("bool" if view == "hard" else "float64")
    columns = {"prompt": text, "completions": datasets.Sequence(text), "labels": datasets.Sequence(label)}
    return datasets.Dataset.from_list(list(rows), features=datasets.Features(columns))


def push_dataset(path: Path, repository: str) -> None:
    """Push a dataset directory to the Hub, as a private repository where there is none yet.

    Raises:
        OutputError: it cannot be pushed, with the Hub's own words.
    """
    from datasets import load_from_disk

    try:
        load_from_disk(path).push_to_hub(repository, private=True)
    except Exception as error:  # what the Hub and the network raise has no common base
        said = str(error).partition("\n")[0]
        raise OutputError(
            f"{repository}: cannot be pushed to the Hub: {said}", "log in with `hf auth login`; the name is OWNER/NAME"
        ) from error
