"""Two expressions compared in a process that can be killed.

A thread cannot be stopped while it raises an integer to a huge power; a process can. One worker per process is
started when first needed and lives until the program ends; one that is late is killed, and the next question starts
another. Questions from several threads wait for each other, and that wait counts against nobody's time.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verifiers.parser import Node
from verifiers.verdict import Finding, Outcome

START_SECONDS = 60.0
"""Time allowed for the worker to start and import sympy; not part of any question's time."""
_MAX_REPLY = 65_536


@dataclass(slots=True)
class Budget:
    """The time that the comparisons of one check share."""

    seconds: float
    """Seconds allowed in all."""
    left: float = field(init=False)
    """Seconds not yet used by the worker."""

    def __post_init__(self) -> None:
        """Start with all of it left."""
        self.left = self.seconds

    def overrun(self) -> Finding:
        """What to say when it is used up."""
        return Finding(Outcome.TIMEOUT, f"not decided in {self.seconds:g} s")


class Worker:
    """The client's end of one worker process, started lazily and replaced after it was killed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""

    def compare(self, left: Node, right: Node, budget: Budget) -> Finding:
        """Compare two trees within what is left of `budget`; never raises for what the trees hold."""
        if budget.left <= 0:
            return budget.overrun()
        question = {"left": left.as_json(), "right": right.as_json(), "seconds": budget.left}
        with self._lock:
            try:
                return self._ask(self._running(), json.dumps(question).encode() + b"\n", budget)
            except (BrokenPipeError, EOFError, TimeoutError) as error:
                self._stop()
                return Finding(Outcome.ERROR, f"the symbolic worker ended or did not start ({type(error).__name__})")
            except BaseException:
                self._stop()  # an interrupt between question and answer would leave the answer for the next question
                raise

    def close(self) -> None:
        """End the worker, if there is one; the next question starts another."""
        with self._lock:
            self._stop()

    def abandon(self) -> None:
        """Forget a worker that belongs to the parent of this forked process."""
        process, self._process = self._process, None
        self._lock, self._unread = threading.Lock(), b""
        if process is not None:
            _close_pipes(process)
            process.returncode = 0  # ours to forget, not to wait for

    @property
    def pid(self) -> int | None:
        """The id of the worker process, None where none is running."""
        return None if self._process is None else self._process.pid

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._stop()
        self._process = _start()
        if self._read_line(self._process, START_SECONDS) is None:
            raise TimeoutError
        return self._process

    def _ask(self, process: subprocess.Popen[bytes], question: bytes, budget: Budget) -> Finding:
        start = time.monotonic()
        _stdin(process).write(question)
        _stdin(process).flush()
        reply = self._read_line(process, budget.left)
        budget.left -= time.monotonic() - start
        if reply is None:
            self._stop()
            return budget.overrun()
        return Finding(Outcome(reply["outcome"]), str(reply["reason"]))

    def _read_line(self, process: subprocess.Popen[bytes], seconds: float) -> dict[str, Any] | None:
        """One line of the worker's, or None when the time is over.

        Raises:
            EOFError: the worker ended.
        """
        deadline = time.monotonic() + seconds
        descriptor = _stdout(process).fileno()
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not _is_readable(descriptor, left):
                return None
            chunk = os.read(descriptor, _MAX_REPLY)
            if not chunk:
                raise EOFError("the worker ended")
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _stop(self) -> None:
        process, self._process, self._unread = self._process, None, b""
        if process is not None:
            process.kill()
            process.wait()
            _close_pipes(process)


def _start() -> subprocess.Popen[bytes]:
    # -P: a sympy.py in the current folder must not be what the worker imports.
    paths = [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "verifiers.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        start_new_session=True,  # Ctrl-C in a terminal is for the parent, which then closes the worker
    )


def _is_readable(descriptor: int, seconds: float) -> bool:
    with selectors.DefaultSelector() as selector:  # select.select fails on descriptors above 1,023
        selector.register(descriptor, selectors.EVENT_READ)
        return bool(selector.select(seconds))


def _stdin(process: subprocess.Popen[bytes]) -> Any:
    return process.stdin


def _stdout(process: subprocess.Popen[bytes]) -> Any:
    return process.stdout


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    _stdout(process).close()
    with contextlib.suppress(BrokenPipeError):
        _stdin(process).close()


WORKER = Worker()
"""The worker of this process."""

atexit.register(WORKER.close)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=WORKER.abandon)
