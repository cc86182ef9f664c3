"""Compares two expressions in processes that can be killed.

A thread cannot be stopped while it raises an integer to a huge power; a process can. A few worker processes start on
demand, one per thread that asks at the same time, and live until the program ends. A worker that runs out of time is
killed, and a later question starts another.

Only the processor time that a worker spends on a question counts against its limit. Waiting for a worker, its start,
and a machine busy with other things do not, so that the verdict is the same under load as at rest. That is on Linux;
other systems do not say what a process has spent, and there it is the time since the question that counts.
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
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..verdict import Finding, Outcome
from .processors import processors
from .tree import Node

MAX_WORKERS = 8
START_SECONDS = 60.0
"""Time allowed for a worker to start and import sympy; not part of any question's time."""
WALL_FACTOR = 20
"""Limit on wall-clock time, as a multiple of the allowed processor time, for a machine busy with other things."""
ATTEMPTS = 2
"""Workers that one question may lose before it fails: killed from outside, for lack of memory for example."""
_POLL_SECONDS = 0.02
_MAX_REPLY = 65_536
_CANCELED = Finding(Outcome.ERROR, "the check was canceled")
_LOST = Finding(Outcome.ERROR, "the symbolic worker ended or did not start")


@dataclass(slots=True)
class Budget:
    """The time shared by the comparisons of one check. It belongs to one thread."""

    seconds: float
    """Seconds of processor time allowed in all."""
    left: float = field(init=False)
    """Seconds not yet used by a worker."""
    is_canceled: bool = field(init=False, default=False)
    """Whether nobody is waiting for the verdict any more."""

    def __post_init__(self) -> None:
        """Start with all of the time left."""
        self.left = self.seconds

    def overrun(self) -> Finding:
        """Use up the time left, and return the timeout."""
        self.left = 0
        return Finding(Outcome.TIMEOUT, f"not decided in {self.seconds:g} s")


class SelectedOutput:
    """The output of a process, where the system can wait for a pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def wait(self, seconds: float) -> bool:
        """Whether the process writes or ends within `seconds`."""
        with selectors.DefaultSelector() as selector:  # select.select fails on descriptors above 1,023
            selector.register(self._descriptor, selectors.EVENT_READ)
            return bool(selector.select(seconds))

    def read(self) -> bytes:
        """Wait for what the process writes next; empty once it has ended."""
        return os.read(self._descriptor, _MAX_REPLY)


class ThreadedOutput:
    """The same where it cannot (Windows): a thread waits. Not used elsewhere, because threads and forks do not mix."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._thread = ThreadPoolExecutor(1, "verifiers-output")
        self._next: Future[bytes] | None = None

    def wait(self, seconds: float) -> bool:
        """Whether the process writes or ends within `seconds`."""
        return bool(wait([self._begun()], seconds).done)

    def read(self) -> bytes:
        """Wait for what the process writes next; empty once it has ended."""
        begun, self._next = self._begun(), None
        return begun.result()

    def _begun(self) -> Future[bytes]:
        if self._next is None:
            self._next = self._thread.submit(os.read, self._descriptor, _MAX_REPLY)
        return self._next


OUTPUT = SelectedOutput if os.name == "posix" else ThreadedOutput


class Worker:
    """The client's end of one worker process, from its start to its end."""

    def __init__(self, budget: Budget) -> None:
        self.budget: Budget | None = budget
        """The budget of its current question; None while it is free."""
        self._process = _start()
        self._output = OUTPUT(_stdout(self._process).fileno())
        self._spent = 0.0  # seconds of processor time at its last line; 0 before the first, which says that it is ready
        self._unread = b""

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def is_running(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    def ask(self, trees: dict[str, Any], budget: Budget) -> tuple[Finding, bool]:
        """Compare two trees; return the finding, and whether the worker is fit for another question.

        Raises:
            EOFError: the process ended or did not start.
            OSError: the same, noticed while writing.
        """
        if not self._spent:
            self._wait_ready()
        before = self._spent
        self._write({**trees, "seconds": budget.left})
        if not self._wait_working(before + budget.left, WALL_FACTOR * budget.seconds):
            return budget.overrun(), False
        reply = self._read_line()
        budget.left -= self._spent - before
        return Finding(Outcome(reply["outcome"]), str(reply["reason"])), bool(reply["is_fit"])

    def kill(self) -> None:
        """End the process and wait until it has ended; safe from any thread, even while another thread asks."""
        self._process.kill()
        self._process.wait()

    def close_pipes(self) -> None:
        """Close the pipes; only for the asking thread."""
        _stdout(self._process).close()
        _stdin(self._process).close()

    def forget(self) -> None:
        """Release the parent's process, in a forked child."""
        self._process.returncode = 0  # not our child, so not ours to wait for
        self.close_pipes()

    def _wait_ready(self) -> None:
        if not self._output.wait(START_SECONDS):
            raise EOFError("the worker did not start")
        self._read_line()

    def _write(self, question: dict[str, Any]) -> None:
        unwritten = json.dumps(question).encode() + b"\n"
        while unwritten:
            unwritten = unwritten[os.write(_stdin(self._process).fileno(), unwritten) :]

    def _wait_working(self, limit: float, wall_seconds: float) -> bool:
        """Wait for a reply; False once the worker has spent `limit` seconds of processor time since its start."""
        deadline = time.monotonic() + wall_seconds
        left = limit - self._spent
        while not self._output.wait(left):
            spent = _processor_seconds(self.pid)
            if spent is None or spent >= limit or time.monotonic() >= deadline:
                return False
            left = max(limit - spent, _POLL_SECONDS)
        return True

    def _read_line(self) -> dict[str, Any]:
        while b"\n" not in self._unread:
            chunk = self._output.read()
            if not chunk:
                raise EOFError("the worker ended")
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        self._spent = reply["spent"]
        return reply


class Pool:
    """Up to `size` workers, shared by any number of threads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.threads = ThreadPoolExecutor(size, "verifiers")
        """Threads for callers that cannot block on a worker themselves; started on first use."""
        self._workers: list[Worker] = []
        self._changed = threading.Condition()

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers."""
        return [worker.pid for worker in self._workers]

    def compare(self, left: Node, right: Node, budget: Budget) -> Finding:
        """Compare two trees within the time left in `budget`; never raises because of the trees' content."""
        trees = {"left": left.as_json(), "right": right.as_json()}
        for _ in range(ATTEMPTS):
            if budget.left <= 0:
                return budget.overrun()
            with contextlib.suppress(OSError, EOFError):
                return self._ask(trees, budget)
        return _CANCELED if budget.is_canceled else _LOST

    def cancel(self, budget: Budget) -> None:
        """End the comparison on `budget` at once, and let no other begin."""
        with self._changed:
            budget.is_canceled = True
            for worker in self._of(budget):
                worker.kill()

    def close(self) -> None:
        """End all workers and their questions; a later question starts another worker."""
        with self._changed:
            for worker in self._workers:
                if worker.budget is not None:
                    worker.budget.is_canceled = True
                worker.kill()
            self._drop_ended()

    def hold(self) -> None:
        """Start no worker until `resume`: a child forked in between would hold its pipes open."""
        self._changed.acquire()

    def resume(self) -> None:
        """Allow workers to start again after `hold`."""
        self._changed.release()

    def abandon(self) -> None:
        """Forget the workers: they belong to the parent of this forked process."""
        workers, self._workers = self._workers, []
        self._changed = threading.Condition()
        self.threads = ThreadPoolExecutor(self.size, "verifiers")
        for worker in workers:
            worker.forget()

    def _ask(self, trees: dict[str, Any], budget: Budget) -> Finding:
        is_fit = False  # after an interrupt, the pending answer must not reach the next question
        try:
            finding, is_fit = self._borrow(budget).ask(trees, budget)
            return finding
        finally:
            self._give_back(budget, is_fit)

    def _borrow(self, budget: Budget) -> Worker:
        with self._changed:
            self._drop_ended()
            while not (free := self._of(None)) and len(self._workers) >= self.size:
                self._changed.wait()
            if budget.is_canceled:
                raise EOFError("canceled while waiting")
            if not free:
                self._workers.append(Worker(budget))
                return self._workers[-1]
            free[0].budget = budget
            return free[0]

    def _give_back(self, budget: Budget, is_fit: bool) -> None:
        with self._changed:
            for worker in self._of(budget):
                if not is_fit:
                    worker.kill()
                worker.budget = None
            self._drop_ended()
            self._changed.notify()

    def _of(self, budget: Budget | None) -> list[Worker]:
        return [worker for worker in self._workers if worker.budget is budget]

    def _drop_ended(self) -> None:
        ended = [worker for worker in self._of(None) if not worker.is_running()]
        for worker in ended:
            self._workers.remove(worker)
            worker.close_pipes()


def _start() -> subprocess.Popen[bytes]:
    # -P: the worker must not import a sympy.py from the current folder.
    package = __package__ or ""
    root = Path(__file__).parents[len(package.split("."))]
    paths = [str(root), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", f"{package}.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,  # a forked child that closes its copies must not flush what its parent had buffered
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        start_new_session=True,  # Ctrl-C in a terminal goes to the parent, which then closes the worker
    )


def _processor_seconds(pid: int) -> float | None:
    """Seconds of processor time used by a process so far, in steps of about 10 ms; None if the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # not Linux, or already killed
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _stdin(process: subprocess.Popen[bytes]) -> Any:
    return process.stdin


def _stdout(process: subprocess.Popen[bytes]) -> Any:
    return process.stdout


WORKER = Pool(min(processors(), MAX_WORKERS))
"""The workers of this process."""

atexit.register(WORKER.close)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=WORKER.hold, after_in_parent=WORKER.resume, after_in_child=WORKER.abandon)
