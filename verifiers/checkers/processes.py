"""Processes that answer lines with lines, are kept alive, and can be killed with all that they started."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
import weakref
from collections.abc import Iterator, Sequence
from queue import LifoQueue
from typing import Any

from ..verdict import Outcome

START_SECONDS = 60.0
"""Additional time for the first answer of a process, which may have a model to load."""
END_SECONDS = 1.0
"""Time allowed for a process to end after its input."""
LONGEST_LINE = 2**20
"""Of an answer, in bytes."""
_CHUNK = 65_536
_POLL_SECONDS = 0.5


class LostError(Exception):
    """A process that gave no verdict."""

    def __init__(self, outcome: Outcome, reason: str, line: bytes = b"") -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.line = line


class Pool:
    """Places for processes, filled when they are needed. Its processes end with it, or with the program."""

    def __init__(self, arguments: Sequence[str], size: int) -> None:
        self.owner = os.getpid()
        self._arguments = arguments
        self._free: LifoQueue[Process | None] = LifoQueue()
        self._busy = set[Process]()
        for _ in range(size):
            self._free.put(None)
        weakref.finalize(self, _end, self._free, self.owner)

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[Process]:
        """A process that waits for a question; it is killed if anything is raised.

        Raises:
            OSError: none can be started.
        """
        process = self._free.get()
        try:
            if process is not None and not process.is_waiting():
                process.end(0)
                process = None
            process = process or Process(self._arguments)
            self._busy.add(process)
            yield process
        except BaseException:
            if process is not None:
                process.end(0)
                self._busy.discard(process)
            self._free.put(None)
            raise
        self._busy.remove(process)
        self._free.put(process)

    def kill(self) -> None:
        """Kill the processes that are at work, whose questions are then lost."""
        for process in tuple(self._busy):
            process.kill()


def _end(free: LifoQueue[Process | None], owner: int) -> None:
    while os.getpid() == owner and not free.empty():
        process = free.get()
        if process is not None:
            process.end(END_SECONDS)


class Process:
    """The near end of one process."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},  # else Python keeps the answers to itself
            start_new_session=True,  # a group of its own, to be killed as a whole
        )
        os.set_blocking(self._stdin.fileno(), False)
        self._is_new = True

    @property
    def _stdin(self) -> Any:
        return self._process.stdin

    @property
    def _stdout(self) -> Any:
        return self._process.stdout

    def is_waiting(self) -> bool:
        """Whether it is alive, and has written nothing since its last answer."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            return not selector.select(0)

    def ask(self, line: bytes, seconds: float) -> bytes:
        """Write a line, and read one.

        Raises:
            LostError: it ended, took too long, or wrote more than a line.
        """
        allowed = seconds + START_SECONDS * self._is_new
        unwritten, unread, deadline = memoryview(line), b"", time.monotonic() + allowed
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._stdin, selectors.EVENT_WRITE)
            while b"\n" not in unread and len(unread) <= LONGEST_LINE:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LostError(Outcome.TIMEOUT, f"gave no answer within {allowed:g} s")
                ready = [key.fileobj for key, _ in selector.select(min(left, _POLL_SECONDS))]
                if not ready and self._process.poll() is not None:  # what it started may hold its pipes open
                    raise self._ended()
                if self._stdin in ready:
                    unwritten = unwritten[self._write(unwritten) :]
                    if not unwritten:
                        selector.unregister(self._stdin)
                if self._stdout in ready:
                    unread += self._read()
        answer, _, more = unread.partition(b"\n")
        if more or len(answer) > LONGEST_LINE:
            raise LostError(Outcome.ERROR, "wrote more than one line, or too long a line", unread)
        self._is_new = False
        return answer

    def _write(self, unwritten: memoryview) -> int:
        try:
            return os.write(self._stdin.fileno(), unwritten)
        except BrokenPipeError as error:
            raise self._ended() from error

    def _read(self) -> bytes:
        chunk = os.read(self._stdout.fileno(), _CHUNK)
        if not chunk:
            raise self._ended()
        return chunk

    def _ended(self) -> LostError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        code = self._process.returncode
        how = "closed its pipes" if code is None else f"ended with code {code}"
        return LostError(Outcome.ERROR, how if code is None or code >= 0 else f"was killed by signal {-code}")

    def kill(self) -> None:
        """Kill it and all that it started; safe from any thread."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, if it has just ended
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def end(self, seconds: float) -> None:
        """End its input, and kill it if it has not ended after this time."""
        self._stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.kill()
        self._stdout.close()
