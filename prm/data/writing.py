"""Files that a kill or a full disk cannot corrupt: written all or nothing, or grown line by line."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from prm.errors import OutputError

_AGAIN = "free space and run the same job again: it continues, and nothing written so far is lost"
_before: dict[Path, Callable[[], None]] = {}
"""What is to be done right before a file or directory is replaced, by its path."""


@contextmanager
def before_replacing(path: Path, act: Callable[[], None]) -> Iterator[None]:
    """Within the context, call `act` right before a new file or directory takes the place of `path`."""
    _before[path] = act
    try:
        yield
    finally:
        del _before[path]


def _announce(path: Path) -> None:
    if act := _before.get(path):
        act()


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Write lines to a file, all or nothing; return their number.

    Raises:
        OutputError: the file cannot be written (a full disk, say). An earlier file stays untouched.
    """
    partial, count = partial_path(path), 0
    with _writing(path), ExitStack() as stack:
        file = stack.enter_context(_made(partial).open("w", encoding="utf-8"))
        stack.callback(partial.unlink, missing_ok=True)
        for line in lines:
            file.write(line + "\n")
            count += 1
        file.close()
        _announce(path)
        partial.replace(path)
    return count


def write_bytes(path: Path, data: bytes) -> None:
    """Write a binary file; see `write_lines`."""
    partial = partial_path(path)
    with _writing(path), ExitStack() as stack:
        stack.callback(partial.unlink, missing_ok=True)
        _made(partial).write_bytes(data)
        _announce(path)
        partial.replace(path)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write one JSON object, indented for people; see `write_lines`."""
    write_lines(path, [json.dumps(value, indent=2, ensure_ascii=False)])


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """Yield the path of a directory to create, which replaces `path` at the end.

    Raises:
        OutputError: it cannot be written.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path}: is a file, not a directory", "choose another output")
    partial, old = partial_path(path), path.with_name(path.name + ".old")
    with _writing(path), ExitStack() as stack:
        shutil.rmtree(partial, ignore_errors=True)
        stack.callback(shutil.rmtree, partial, ignore_errors=True)
        yield partial
        shutil.rmtree(old, ignore_errors=True)
        _announce(path)
        if path.exists():
            path.rename(old)
        partial.rename(path)
        shutil.rmtree(old, ignore_errors=True)


def discard(path: Path) -> None:
    """Delete a file or a directory, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def partial_path(path: Path) -> Path:
    """Where an output is kept until it is complete."""
    return path.with_name(path.name + ".partial")


@contextmanager
def hold(output: Path) -> Iterator[None]:
    """Keep other processes from an output until the context ends.

    Raises:
        OutputError: another process holds it, or the directory cannot be written.
    """
    lock = FileLock(output.with_name(output.name + ".lock"))
    with _writing(output, _AGAIN):
        _made(output)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise OutputError(
                f"{output}: another process is working on it", "wait for it, or choose another output"
            ) from error
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)  # while it is held: who opened it before sees that it is gone
        lock.release()


class GrowingFile:
    """Lines that are handed to the operating system one by one, so that none is lost if this process dies.

    Args:
        path: existing lines are kept, except for an incomplete last line or group of lines.
        group: number of lines that belong together.

    Raises:
        OutputError: the file cannot be written; also raised by each method.
    """

    def __init__(self, path: Path, group: int = 1) -> None:
        self.path = path
        with _writing(path, _AGAIN):
            self.cut, self.count = _repair(path, group)
            self._file = path.open("ab", buffering=0)

    def append(self, *lines: str) -> None:
        """Write lines at the end."""
        rest = memoryview("".join(line + "\n" for line in lines).encode())
        with _writing(self.path, _AGAIN):
            while rest:
                rest = rest[self._file.write(rest) :]
        self.count += len(lines)

    def become(self, output: Path) -> None:
        """Replace `output` with this file, now complete."""
        with _writing(output, _AGAIN):
            os.fsync(self._file.fileno())
            _announce(output)
            self.path.replace(output)

    def close(self) -> None:
        """Close the file after all of it is on disk."""
        with _writing(self.path, _AGAIN):
            try:
                os.fsync(self._file.fileno())
            finally:
                self._file.close()


def _repair(path: Path, group: int) -> tuple[int, int]:
    """Cut off an incomplete group of lines; return the number of bytes cut and of lines left."""
    path.touch()
    lines, end, whole, size = 0, 0, 0, path.stat().st_size
    with path.open("rb") as file:
        for line in file:
            end += len(line)
            if line.endswith(b"\n"):
                lines += 1
                whole = whole if lines % group else end
    os.truncate(path, whole)
    return size - whole, lines - lines % group


def _made(path: Path) -> Path:
    """The path, after making its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def _writing(path: Path, full: str = "free space, or choose another output") -> Iterator[None]:
    """Turn an error of the operating system into one line; `full` is the hint for a full disk."""
    try:
        yield
    except OSError as error:
        hint = full if error.errno in (errno.ENOSPC, errno.EDQUOT) else "choose another output, or fix its path"
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}", hint) from error
