"""Rows as people have them: in a file, a folder of files, a clone or a data set of the Hub.

An unreadable row is replaced by its reason; the others are read all the same.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from prm.errors import InputError

from ..rows import Row
from .solutions import RowError

KINDS = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz", ".parquet")
"""Endings of the files that are read, in small or capital letters."""
NOT_JSON = "not a JSON object"
NOT_TEXT = "text that is not UTF-8"
"""Reasons for a row that cannot be read."""

_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
Numbered = tuple[str, int, Row | RowError]
"""Name of the file or split, number of the row in it from 1, and the row."""


def read_source(source: str | Path, hub_split: str | None = None, *, is_grouped: bool = False) -> Iterator[Numbered]:
    """Yield the rows of a file, of all files of a folder in the order of their names, or of a data set on the Hub.

    Args:
        source: a path; or a name on the Hub, followed by ":" and a configuration if it has several. A clone of a data
            set has its files in `data/`; what `datasets` saved to disk is read too.
        hub_split: the split of a data set to read, if it has one of this name; else all are read.
        is_grouped: whether an object that has only lists of objects holds the rows in them, and is not a row itself.

    Raises:
        InputError: the source does not exist, or a file cannot be read.
    """
    path = Path(source)
    if path.is_dir() and _is_saved(path):
        yield from _saved(path, hub_split, is_grouped)
    elif path.is_dir():
        files = _files(path)
        wanted = [file for file in files if hub_split is not None and _split_of(file) == hub_split]
        for file in wanted or files:
            yield from _file(file, is_grouped)
    elif path.is_file():
        yield from _file(path, is_grouped)
    elif isinstance(source, Path):
        raise InputError(f"{source}: there is no such file or folder", "give a file or a folder")
    elif _looks_like_a_path(source):
        raise InputError(
            f"{source}: there is no such file or folder", "give a file, a folder, or a name on the Hub (owner/name)"
        )
    else:
        yield from _hub(source, hub_split, is_grouped)


def splits_in(path: Path) -> list[str]:
    """Names of the splits of a clone, or of what `datasets` saved to disk; none for files of any other names."""
    if not path.is_dir():
        return []
    if _is_saved(path):
        return list(json.loads((path / _SPLITS).read_text())["splits"]) if (path / _SPLITS).is_file() else []
    return list(dict.fromkeys(split for file in _files(path) if (split := _split_of(file)) is not None))


_SPLITS = "dataset_dict.json"
"""Names the splits in a folder that `datasets` saved."""


def _is_saved(path: Path) -> bool:
    return (path / _SPLITS).is_file() or (path / "state.json").is_file()


def _files(folder: Path) -> list[Path]:
    """The files of rows in a folder; in a clone, the tables in `data/`: files of JSON beside it only describe them."""
    inner = folder / "data"
    for place in (inner, folder) if any(inner.glob("*.parquet")) else (folder, inner):
        if place.is_dir() and (files := sorted(file for file in place.iterdir() if _kind(file) is not None)):
            return files
    raise InputError(f"{folder}: holds no file that ends in {', '.join(KINDS)}", "give the folder with the rows")


def _kind(path: Path) -> str | None:
    return next((kind for kind in KINDS if path.name.lower().endswith(kind)), None)


def _stem(path: Path) -> str:
    return _SHARD.sub("", path.name[: -len(_kind(path) or "")])


def _split_of(path: Path) -> str | None:
    """The split that a shard belongs to; None for a file that is not named as a shard."""
    stem = _stem(path)
    return stem if path.name.startswith(f"{stem}-") else None


def _looks_like_a_path(source: str) -> bool:
    folder, *rest = source.split("/")
    return source.lower().endswith(KINDS) or len(rest) != 1 or folder in ("", ".", "..", "~") or Path(folder).exists()


def _file(path: Path, is_grouped: bool) -> Iterator[Numbered]:
    kind = _kind(path)
    if kind is None:
        raise InputError(f"{path}: is not a file of rows", f"the name must end in {', '.join(KINDS)}")
    try:
        rows = _parquet(path) if kind == ".parquet" else _json(path, kind)
        yield from _numbered(_stem(path), rows, is_grouped)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}", "check the file") from error


def _numbered(stem: str, rows: Iterable[Any], is_grouped: bool) -> Iterator[Numbered]:
    found = (row for value in rows for row in (_unpacked(value) if is_grouped else [value]))
    for number, row in enumerate(found, start=1):
        yield stem, number, _checked(row)


def _json(path: Path, kind: str) -> Iterator[Any]:
    with _opened(path) as file:
        if not kind.startswith(".json") or kind.startswith(".jsonl"):
            yield from _lines(file)
            return
        whole = file.read()
    value = _parsed(whole)
    if isinstance(value, RowError):
        yield from _lines(whole.splitlines())  # many files of lines end in .json too
        return
    yield from value if isinstance(value, list) else [value]


def _opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _lines(lines: Iterable[bytes]) -> Iterator[Any]:
    return (_parsed(line) for line in lines if line.strip())


def _parsed(text: bytes) -> Any:
    """The value of a JSON text, or why it cannot be read."""
    try:
        return json.loads(text.decode("utf-8-sig"))
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
    yield from _of_splits(_loaded(owner_and_name, configuration or None), split, is_grouped)


def _saved(path: Path, split: str | None, is_grouped: bool) -> Iterator[Numbered]:
    from datasets import load_from_disk

    try:
        found: Any = load_from_disk(path)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot be read: {error}", "check the folder") from error
    yield from _of_splits(found if (path / _SPLITS).is_file() else {path.name: found}, split, is_grouped)


def _of_splits(splits: Mapping[str, Iterable[Any]], split: str | None, is_grouped: bool) -> Iterator[Numbered]:
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
