"""Rows of a suite's source: a file, a folder of files, or a data set on the Hub.

An unreadable row is replaced by its reason; the others are read all the same.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from prm.data.formats.solutions import RowError
from prm.data.rows import Row
from prm.errors import InputError

from .fields import NOT_JSON, NOT_TEXT

KINDS = (".json", ".jsonl", ".json.gz", ".jsonl.gz", ".parquet")
"""Endings of the files that are read."""

_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
Numbered = tuple[str, int, Row | RowError]
"""Name of the file or split, number of the row in it from 1, and the row."""


def read_source(source: str | Path, hub_split: str | None = None, *, is_grouped: bool = False) -> Iterator[Numbered]:
    """Yield the rows of a file, of all files of a folder in the order of their names, or of a data set on the Hub.

    Args:
        source: a path; or a name on the Hub, followed by ":" and a configuration if it has several.
        hub_split: the split of a data set on the Hub to read, if it has one of this name; else all are read.
        is_grouped: whether an object that has only lists of objects holds the rows in them, and is not a row itself.

    Raises:
        InputError: the source does not exist, or a file cannot be read.
    """
    path = Path(source)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.name.endswith(KINDS))
        if not files:
            raise InputError(f"{path}: holds no file that ends in {', '.join(KINDS)}", "give the folder with the rows")
        for file in files:
            yield from _file(file, is_grouped)
    elif path.is_file():
        yield from _file(path, is_grouped)
    elif isinstance(source, Path) or _looks_like_a_path(source):
        raise InputError(
            f"{source}: there is no such file or folder", "give a file, a folder, or a name on the Hub (owner/name)"
        )
    else:
        yield from _hub(source, hub_split, is_grouped)


def _looks_like_a_path(source: str) -> bool:
    folder, *rest = source.split("/")
    return source.endswith(KINDS) or len(rest) != 1 or folder in ("", ".", "..", "~") or Path(folder).exists()


def _file(path: Path, is_grouped: bool) -> Iterator[Numbered]:
    kind = next((kind for kind in KINDS if path.name.endswith(kind)), None)
    if kind is None:
        raise InputError(f"{path}: is not a file of rows", f"the name must end in {', '.join(KINDS)}")
    stem = _SHARD.sub("", path.name.removesuffix(kind))
    try:
        rows = _parquet(path) if kind == ".parquet" else _json(path, kind)
        yield from _numbered(stem, rows, is_grouped)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}", "check the file") from error


def _numbered(stem: str, rows: Iterable[Any], is_grouped: bool) -> Iterator[Numbered]:
    found = (row for value in rows for row in (_unpacked(value) if is_grouped else [value]))
    for number, row in enumerate(found, start=1):
        yield stem, number, _checked(row)


def _json(path: Path, kind: str) -> Iterator[Any]:
    with _opened(path) as file:
        if kind.startswith(".jsonl"):
            yield from _lines(file)
            return
        whole = file.read()
    value = _parsed(whole)
    if isinstance(value, RowError):
        yield from _lines(whole.splitlines())  # many files of lines end in .json too
        return
    yield from value if isinstance(value, list) else [value]


def _opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _lines(lines: Iterable[bytes]) -> Iterator[Any]:
    return (_parsed(line) for line in lines if line.strip())


def _parsed(text: bytes) -> Any:
    """The value of a JSON text, or why it cannot be read."""
    try:
        return json.loads(text.decode("utf-8"))
    except UnicodeError as error:
        return RowError(NOT_TEXT, str(error))
    except (ValueError, RecursionError) as error:
        return RowError(NOT_JSON, str(error))


def _unpacked(value: Any) -> list[Any]:
    """The rows in an object that has only lists of objects; else the value alone."""
    if isinstance(value, dict) and value and all(_is_objects(part) for part in value.values()):
        return [row for rows in value.values() for row in rows]
    return [value]


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(part, dict) for part in value)


def _checked(row: Any) -> Row | RowError:
    if not isinstance(row, dict):
        return row if isinstance(row, RowError) else RowError(NOT_JSON, f"a {type(row).__name__}")
    try:
        json.dumps(row, ensure_ascii=False, default=str).encode("utf-8")
    except UnicodeError as error:  # a lone surrogate could be read, but never written again
        return RowError(NOT_TEXT, str(error))
    return row


def _parquet(path: Path) -> Iterable[Any]:
    rows: Iterable[Any] = _loaded("parquet", data_files=str(path), split="train", streaming=True)
    return rows


def _hub(name: str, split: str | None, is_grouped: bool) -> Iterator[Numbered]:
    owner_and_name, _, configuration = name.partition(":")
    splits = _loaded(owner_and_name, configuration or None)
    for stem in [split] if split is not None and split in splits else list(splits):
        yield from _numbered(stem, splits[stem], is_grouped)


def _loaded(name: str, *arguments: Any, **options: Any) -> Any:
    """`datasets.load_dataset`; whatever it raises (it has no error tree of its own) becomes one message."""
    from datasets import load_dataset

    try:
        return load_dataset(name, *arguments, **options)
    except Exception as error:
        what = options.get("data_files", name)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{what}: cannot be loaded: {reason}", "check the name, and the connection; or give a file or folder"
        ) from error
