"""The forms of files that are read, each told by its content where that says it, else by its name.

A file is opened as bytes, wherever it lies: on disk, compressed, or in an archive. What cannot be read is refused with
a line that says what it is.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

from prm.errors import InputError

from ..rows import RowError
from .containers import rows_in
from .lines import MARK, NOT_TEXT, numbered, parsed

ROWS = (".json", ".jsonl", ".ndjson", ".parquet", ".arrow")
"""Endings of the files of rows, each also with `.gz` after it."""
TABLES = (".csv", ".tsv", ".zip")
"""Further ones, which are read in a folder if it has none of the others."""
READ = "files of rows end in .json, .jsonl, .ndjson, .csv, .tsv, .parquet or .arrow, with or without .gz, or in .zip"
"""Said where a file is refused."""

UNEQUAL_CELLS = "more or fewer cells than the header"
"""A reason for a row that cannot be read, besides those of `lines`."""

_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_ARROW_STREAM = b"\xff\xff\xff\xff"
_REFUSED = {
    b"BZh": ("is compressed with bzip2", "decompress it first: bunzip2 FILE"),
    b"\xfd7zXZ": ("is compressed with xz", "decompress it first: unxz FILE"),
    b"\x28\xb5\x2f\xfd": ("is compressed with Zstandard", "decompress it first: unzstd FILE"),
    b"7z\xbc\xaf": ("is a 7z archive", "unpack it first"),
    b"\xff\xfe": ("is UTF-16 text", "convert it: iconv -f UTF-16 -t UTF-8 FILE"),
    b"\xfe\xff": ("is UTF-16 text", "convert it: iconv -f UTF-16 -t UTF-8 FILE"),
    b"SQLite format 3": ("is a SQLite database", "export its rows as CSV or JSON"),
    b"\x80": ("may be a pickle, which could run code", "save its rows as JSON or Parquet"),
    b"version https://git-lfs": ("is only a pointer of Git LFS", "fetch the file itself: git lfs pull"),
}
"""First bytes of files that are not read, what these are, and what helps."""
_BATCH = 256
"""Rows of a table that are held at a time."""

Value = Any
"""Of JSON, or a RowError in place of what cannot be read."""
Unpack = Callable[[Any], list[Any]]
"""A JSON value that is the whole of a file → its rows."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of rows."""

    path: Path
    member: str = ""
    """Its name in the archive at `path`, "" for a file of its own."""

    def __str__(self) -> str:
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    @property
    def name(self) -> str:
        """Its name without folders, in small letters."""
        return (self.member.rpartition("/")[2] or self.path.name).lower()

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Yield its bytes, decompressed if it is compressed with gzip; they can be peeked at.

        Raises:
            InputError: it cannot be read.
        """
        try:
            with self._raw() as raw:
                if peeked(raw).startswith(_GZIP):
                    with gzip.open(raw) as plain:
                        yield io.BufferedReader(plain)
                else:
                    yield raw
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise InputError(f"{self}: cannot be read: {said}", "check the path, and that the file is whole") from error

    def _raw(self) -> IO[bytes]:
        if not self.member:
            return self.path.open("rb")
        archive = zipfile.ZipFile(self.path)
        try:
            return archive.open(self.member)  # holds the archive open as long as itself
        except RuntimeError as error:  # encrypted, or compressed in a way that Python does not know
            raise InputError(f"{self}: cannot be read: {error}", "unpack it first") from error


def peeked(file: IO[bytes]) -> bytes:
    """The first bytes of a file, without taking them."""
    found: bytes = file.peek(32)  # type: ignore[attr-defined]
    return found[:32]


def members(path: Path) -> list[str]:
    """The names in an archive, without those of folders and of hidden files."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read: {error}", "check that the archive is whole") from error
    return sorted(name for name in names if not any(part.startswith((".", "__")) for part in name.split("/")))


def ending(name: str) -> str | None:
    """The ending of a file of rows, without `.gz`; None for any other name."""
    plain = name.lower().removesuffix(".gz")
    return next((kind for kind in (*ROWS, *TABLES) if plain.endswith(kind)), None)


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive."""
    with File(path).opened() as file:
        return peeked(file).startswith(_ZIP)


def is_lines(file: File) -> bool:
    """Whether a file is lines of JSON on disk, each of which can be found by its position."""
    with file.opened() as data:
        is_archived = peeked(data).startswith(_ZIP)
        return not is_archived and _is_on_disk(data) and _form(file, data) is _lines


def _is_on_disk(data: IO[bytes]) -> bool:
    """Whether these are the bytes of a file as it lies on disk."""
    return isinstance(data, io.BufferedReader) and isinstance(data.raw, io.FileIO)


def values(file: File, unpack: Unpack = rows_in) -> Iterator[tuple[int, Value]]:
    """Yield (number, value) for each row: the number of its line in lines of JSON, of the row from 1 in other forms.

    Lines and tables are read piece by piece, and one JSON value as a whole.

    Raises:
        InputError: the file cannot be read, or has no form that is read.
    """
    with file.opened() as data:
        form = _form(file, data)
    with file.opened() as data:
        if form is _json:
            yield from _json(file, data, unpack)
        else:
            yield from form(file, data)


def _form(file: File, data: IO[bytes]) -> Callable[..., Iterator[tuple[int, Value]]]:
    """The function that reads the file."""
    begin, name = peeked(data), ending(file.name)
    if begin.startswith(b"PAR1"):
        return _parquet
    if begin.startswith((b"ARROW1", _ARROW_STREAM)):
        return _arrow
    if begin.startswith(_ZIP):
        raise InputError(f"{file}: is an archive in an archive", "unpack it first")
    for mark, (what, remedy) in _REFUSED.items():
        if begin.startswith(mark):
            raise InputError(f"{file}: {what}", remedy)
    if name in (".parquet", ".arrow", ".zip") and begin:
        raise InputError(f"{file}: is not a {name[1:]} file, though its name says so", "check the file")
    if b"\0" in begin:
        raise InputError(f"{file}: is not UTF-8 text", "convert it, such as by iconv -f UTF-16LE -t UTF-8 FILE")
    if name in (".csv", ".tsv"):
        return _cells
    text = begin.removeprefix(MARK).lstrip()
    if name is None and text and not text.startswith((b"{", b"[")):
        raise InputError(f"{file}: is not a file of rows", READ)
    return _lines if _has_rows_by_line(data) else _json


def _has_rows_by_line(data: IO[bytes]) -> bool:
    """Whether each line is a row, to judge by the first two."""
    lines = numbered(data)
    first = next(lines, (0, b""))[1].removeprefix(MARK).lstrip()
    if not first.startswith((b"{", b"[")):
        return True
    second = next(lines, (0, b""))[1]
    if not second or first.startswith(b"["):
        return False
    return isinstance(parsed(first), dict) or isinstance(parsed(second), dict)


def _lines(_: File, data: IO[bytes]) -> Iterator[tuple[int, Value]]:
    return ((number, parsed(line)) for number, line in enumerate(data, start=1) if not line.isspace())


def _json(file: File, data: IO[bytes], unpack: Unpack) -> Iterator[tuple[int, Value]]:
    """The rows of one JSON value; of lines if it is none, and some of them are rows."""
    whole = data.read()
    value = parsed(whole)
    if isinstance(value, RowError):
        yield from _broken(file, whole, value, unpack)
        return
    rows = unpack(value)
    is_row = len(rows) == 1 and rows[0] is value
    if is_row or (rows and not any(isinstance(row, dict) for row in rows)):
        yield _first_line(whole), value
    else:
        yield from enumerate(rows, start=1)


def _first_line(text: bytes) -> int:
    """The number of the first line that is not blank."""
    return next(numbered(text.splitlines()))[0]


def _broken(file: File, whole: bytes, fault: RowError, unpack: Unpack) -> Iterator[tuple[int, Value]]:
    """What can be read of a file that is not one JSON value throughout."""
    with suppress(UnicodeError, ValueError, RecursionError):
        rows = unpack(json.loads(whole.removeprefix(MARK).decode("utf-8")))  # a lone surrogate is in one of them
        yield from ((number, _writable(row)) for number, row in enumerate(rows, start=1))
        return
    lines = list(_lines(file, io.BytesIO(whole)))
    is_list = whole.removeprefix(MARK).lstrip().startswith(b"[")
    if len(lines) > 1 and (is_list or not any(isinstance(row, dict) for _, row in lines)):
        remedy = "convert it: iconv -f latin1 -t UTF-8 FILE" if fault.reason == NOT_TEXT else "is the file whole?"
        raise InputError(f"{file}: cannot be read: {fault}", remedy)
    yield from lines


def _cells(file: File, data: IO[bytes]) -> Iterator[tuple[int, Value]]:
    """The rows of a table whose first line names its columns; an empty cell is null."""
    csv.field_size_limit(sys.maxsize)
    text = (line.decode("utf-8", "surrogateescape") for line in data)
    first = next(text, "").removeprefix("\ufeff")
    if not first.strip():
        return
    delimiter = max("\t" if file.name.removesuffix(".gz").endswith(".tsv") else ",", ";", "\t", key=first.count)
    rows = csv.reader(chain([first], text), delimiter=delimiter)
    names = next(rows)
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{file}: has two columns called {twice!r}", "give each a name of its own")
    try:
        for number, cells in enumerate(filter(None, rows), start=1):
            if len(cells) != len(names):
                yield number, RowError(UNEQUAL_CELLS, f"{len(cells)}, {len(names)}")
            else:
                yield number, _writable(dict(zip(names, map(_cell, cells), strict=True)))
    except csv.Error as error:
        raise InputError(f"{file}: is not a table: {error}", "check its quotation marks") from error


def _cell(text: str) -> Any:
    """A cell; one that is a list of texts or objects, or an object, as JSON writes them, as that."""
    if text.startswith(('["', "[{", '{"')):
        value = parsed(text.encode("utf-8", "surrogateescape"))
        return text if isinstance(value, RowError) else value
    return text or None


def _writable(row: Any) -> Any:
    """The row, or a RowError if its text could not be written."""
    try:
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeError as error:
        return RowError(NOT_TEXT, str(error))
    return row


def _parquet(file: File, data: IO[bytes]) -> Iterator[tuple[int, Value]]:
    from pyarrow import parquet

    with _of_arrow(file):
        batches = parquet.ParquetFile(_whole(data)).iter_batches(_BATCH)
        yield from enumerate((row for batch in batches for row in batch.to_pylist()), start=1)


def _arrow(file: File, data: IO[bytes]) -> Iterator[tuple[int, Value]]:
    """An Arrow file, or a stream of Arrow as `datasets` writes it."""
    import pyarrow as pa

    with _of_arrow(file):
        if peeked(data).startswith(_ARROW_STREAM):
            batches = iter(pa.ipc.open_stream(data))
        else:
            table = pa.ipc.open_file(_whole(data))
            batches = (table.get_batch(i) for i in range(table.num_record_batches))
        parts = (batch.slice(i, _BATCH) for batch in batches for i in range(0, batch.num_rows, _BATCH))
        yield from enumerate((row for part in parts for row in part.to_pylist()), start=1)


def _whole(data: IO[bytes]) -> IO[bytes]:
    """The same bytes, so that any place in them can be read."""
    return data if _is_on_disk(data) else io.BytesIO(data.read())


@contextmanager
def _of_arrow(file: File) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except pa.ArrowException as error:
        said = str(error).partition("\n")[0]
        raise InputError(f"{file}: cannot be read: {said}", "check that the file is whole") from error
