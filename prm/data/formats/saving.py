"""Rows of another tool's format → a JSONL file, a directory of Hugging Face datasets, or a repository on the Hub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prm.errors import OutputError

from ..records import BOOLEAN_VIEWS, LabelView
from ..writing import whole_directory, write_lines
from .solutions import Written

if TYPE_CHECKING:
    from datasets import Dataset


def save_lines(path: Path, rows: Sequence[Written], _: LabelView) -> None:
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

    text, label = datasets.Value("string"), datasets.Value("bool" if view in BOOLEAN_VIEWS else "float64")
    columns = {"prompt": text, "completions": datasets.Sequence(text), "labels": datasets.Sequence(label)}
    return datasets.Dataset.from_list(list(rows), features=datasets.Features(columns))


def push_dataset(path: Path, repository: str) -> None:
    """Push a dataset directory to the Hub; a repository that does not exist yet becomes a private one.

    Raises:
        OutputError: it cannot be pushed, with the Hub's own words.
    """
    from datasets import load_from_disk

    try:
        load_from_disk(path).push_to_hub(repository, private=True)
    except Exception as error:  # the exceptions of the Hub and the network have no common base
        said = str(error).partition("\n")[0]
        raise OutputError(
            f"{repository}: cannot be pushed to the Hub: {said}", "log in with `hf auth login`; the name is OWNER/NAME"
        ) from error
