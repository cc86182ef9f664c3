"""Rows as people have them: in a file, a folder of files, an archive, a clone or a data set of the Hub.

An unreadable row is replaced by its reason; the others are read all the same.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from reprlib import repr as short
from typing import Any

from prm.errors import InputError

from ..rows import Row, RowError
from .containers import rows_in
from .forms import READ, ROWS, File, Unpack, ending, is_archive, members, values
from .lines import NOT_JSON

Numbered = tuple[str, int, Row | RowError]
"""Name of the file or split, number of the row in it (of its line, in lines of JSON), and the row."""

_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
_SPLITS, _STATE = "dataset_dict.json", "state.json"
"""In a folder that `datasets` saved: the names of its splits, and of one split's files."""
_DESCRIBING = re.compile(r"[._].*|dataset_infos?\.json|.*\.(manifest\.json|dropped\.jsonl)")
"""Names of files beside the rows that only describe them."""
_NOT_THERE = "there is no such file or folder"


def read_source(source: str | Path, split: str | None = None, *, unpack: Unpack = rows_in) -> Iterator[Numbered]:
    """Yield the rows of a file, of all files of a folder in the order of their names, or of a data set on the Hub.

    Args:
        source: a path; or a name on the Hub, followed by ":" and a configuration if it has several. A clone of a data
            set has its files in `data/`; what `datasets` saved to disk is read too.
        split: the split of a data set to read, if it has one of this name; else all are read.
        unpack: a JSON value that is the whole of a file → its rows.

    Raises:
        InputError: the source does not exist, or a file cannot be read.
    """
    path = Path(source)
    if isinstance(source, Path) or path.exists():
        yield from _numbered(files_in(path), split, unpack)
    elif _looks_like_a_path(source):
        raise InputError(f"{source}: {_NOT_THERE}", "give a file, a folder, or a name on the Hub (owner/name)")
    else:
        yield from _hub(source, split)


def splits_in(path: Path) -> list[str]:
    """Names of the splits of a clone, or of what `datasets` saved to disk; none for files of any other names."""
    if not path.is_dir():
        return []
    if (path / _SPLITS).is_file():
        return _saved_splits(path)
    return list(dict.fromkeys(split for _, file in files_in(path) if (split := _split_of(file)) is not None))


def files_in(path: Path) -> list[tuple[str, File]]:
    """The files of rows of a path, in order, each with its name without ending, or that of its split.

    Raises:
        InputError: there are none.
    """
    if not path.exists():
        raise InputError(f"{path}: {_NOT_THERE}", "give a file or a folder")
    if not path.is_dir():
        return _parts(path)
    if (path / _SPLITS).is_file():
        return [(split, file) for split in _saved_splits(path) for file in _saved(path / split)]
    if (path / _STATE).is_file():
        return [(path.name, file) for file in _saved(path)]
    return [part for file in _in_folder(path) for part in _parts(file)]


def _parts(path: Path) -> list[tuple[str, File]]:
    """The file itself, or the files of rows in an archive."""
    if not is_archive(path):
        return [(_stem(path.name), File(path))]
    names = members(path)
    found = [(_stem(name.rpartition("/")[2]), File(path, name)) for name in names if ending(name) is not None]
    if not found:
        raise InputError(f"{path}: holds {', '.join(names[:3]) or 'no file'}, and no file of rows", READ)
    return found


def _in_folder(folder: Path) -> list[Path]:
    """The files of rows in a folder, or else below it; in a clone, the tables in `data/`."""
    inner = folder / "data"
    for place in (inner, folder) if any(inner.glob("*.parquet")) else (folder, inner):
        if files := _rows_directly_in(place):
            return files
    below = [place for place in sorted(folder.iterdir()) if place.is_dir() and _rows_directly_in(place)]
    if len(below) == 1:
        return _rows_directly_in(below[0])
    if below:
        names = ", ".join(place.name for place in below)
        raise InputError(f"{folder}: holds rows in several folders: {names}", f"give one of them, such as {below[0]}")
    raise InputError(f"{folder}: holds no file of rows", READ)


def _rows_directly_in(folder: Path) -> list[Path]:
    """Its files of rows; tables as text, and archives, only if there are no others."""
    if not folder.is_dir():
        return []
    files = sorted(file for file in folder.iterdir() if file.is_file() and not _DESCRIBING.fullmatch(file.name))
    kinds = [(file, kind) for file in files if (kind := ending(file.name)) is not None]
    return [file for file, kind in kinds if kind in ROWS] or [file for file, _ in kinds]


def _saved_splits(path: Path) -> list[str]:
    return list(_described(path / _SPLITS, "splits"))


def _saved(path: Path) -> list[File]:
    """The files of one split that `datasets` saved."""
    return [File(path / part["filename"]) for part in _described(path / _STATE, "_data_files")]


def _described(path: Path, name: str) -> list[Any]:
    try:
        found: list[Any] = json.loads(path.read_text(encoding="utf-8"))[name]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot be read: {error}", "save the data set again") from error
    return found


def _stem(name: str) -> str:
    plain = name[:-3] if name.lower().endswith(".gz") else name
    return _SHARD.sub("", plain[: len(plain) - len(ending(name) or Path(plain).suffix)])


def _split_of(file: File) -> str | None:
    """The split that a shard belongs to; None for a file that is not named as a shard."""
    name = file.member.rpartition("/")[2] or file.path.name
    return stem if name.startswith(f"{(stem := _stem(name))}-") else None


def _looks_like_a_path(source: str) -> bool:
    folder, *rest = source.split("/")
    return ending(source) is not None or len(rest) != 1 or folder in ("", ".", "..", "~") or Path(folder).exists()


def _numbered(files: list[tuple[str, File]], split: str | None, unpack: Unpack) -> Iterator[Numbered]:
    """The rows of files, numbered on over the shards of a split."""
    wanted = [(stem, file) for stem, file in files if split is not None and stem == split]
    before = Counter[str]()
    for stem, file in wanted or files:
        number = 0
        for number, row in values(file, unpack):
            yield stem, before[stem] + number, _checked(row)
        before[stem] += number


def _checked(row: Any) -> Row | RowError:
    if isinstance(row, dict | RowError):
        return row
    return RowError(NOT_JSON, f"it is {short(row)}")


def read_rows(source: Path) -> Iterator[tuple[int, Row]]:
    """Yield (number, row) for every row of a file or folder; numbers are as in `Numbered`, and go on over all files.

    Raises:
        InputError: the source cannot be read, a row is not an object, or a folder has several splits.
    """
    each = read_each_row(source)
    return ((n, row if type(row) is dict else sound(source, n, row)) for n, row in each)


def read_each_row(source: Path) -> Iterator[tuple[int, Row | RowError]]:
    """`read_rows` for whom one row that cannot be read is not the end of the job.

    Raises:
        InputError: the source cannot be read, or a folder has several splits.
    """
    splits = splits_in(source)
    if len(splits) > 1:
        raise InputError(f"{source}: holds the splits {', '.join(splits)}", "give the file, or folder, of one of them")
    number = 0
    for _, file in files_in(source):
        before = number
        for own, row in values(file):
            number = before + own
            yield number, row if type(row) is dict else _checked(row)


def sound(source: Path, number: int, row: Row | RowError) -> Row:
    """The row.

    Raises:
        InputError: it cannot be read.
    """
    if isinstance(row, RowError):
        raise InputError(f"{source}:{number}: cannot be read: {row}", "fix or delete that row") from row
    return row


def _hub(name: str, split: str | None) -> Iterator[Numbered]:
    owner_and_name, _, configuration = name.partition(":")
    splits: Mapping[str, Iterable[Any]] = _loaded(owner_and_name, configuration or None)
    for stem in [split] if split is not None and split in splits else list(splits):
        for number, row in enumerate(splits[stem], start=1):
            yield stem, number, _checked(row)


def _loaded(name: str, configuration: str | None) -> Any:
    """`datasets.load_dataset`; whatever it raises (it has no error tree of its own) becomes one message."""
    from datasets import load_dataset

    try:
        return load_dataset(name, configuration)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{name}: cannot be loaded: {reason}", "check the name, and the connection; or give a file or folder"
        ) from error
