"""Two expressions compared in processes that can be killed.

A thread cannot be stopped while it raises an integer to a huge power; a process can. A few worker processes are
started as they are needed, one for each thread that asks at the same time, and live until the program ends; one that
is late is killed, and a later question starts another.

What counts is the processor time that a worker spends on a question. Waiting for a worker, its start, and a machine
that is busy with other things count against nobody, so that a verdict under load is the verdict at rest.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..verdict import Finding, Outcome
from .parser import Node

MAX_WORKERS = 8
START_SECONDS = 60.0
"""Time allowed for a worker to start and import sympy; not part of any question's time."""
WALL_FACTOR = 20
"""How many times the allowed processor time may pass on the clock, on a machine busy with other things."""
ATTEMPTS = 2
"""Workers that may be lost over one question: killed by someone else, for want of memory say."""
_POLL_SECONDS = 0.02
_MAX_REPLY = 65_536
_CANCELED = Finding(Outcome.ERROR, "the check was canceled")
_LOST = Finding(Outcome.ERROR, "the symbolic worker ended or did not start")


@dataclass(slots=True)
class Budget:
    """The time that the comparisons of one check share. It belongs to one thread."""

    seconds: float
    """Seconds of processor time allowed in all."""
    left: float = field(init=False)
    """Seconds not yet used by a worker."""
    is_canceled: bool = field(init=False, default=False)
    """Whether nobody waits for the verdict any more."""

    def __post_init__(self) -> None:
        """Start with all of it left."""
        self.left = self.seconds

    def overrun(self) -> Finding:
        """Use up what is left, and say so."""
        self.left = 0
        return Finding(Outcome.TIMEOUT, f"not decided in {self.seconds:g} s")


class Worker:
    """The client's end of one worker process, from its start to its end."""

    def __init__(self, budget: Budget) -> None:
        self.budget: Budget | None = budget
        """Whose question it works on; None while it is free."""
        self._process = _start()
        self._spent = 0.0  # seconds of processor time up to its last line; 0 before the first, which says it is ready
        self._unread = b""

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def ask(self, trees: dict[str, Any], budget: Budget) -> tuple[Finding, bool]:
        """Have two trees compared: the finding, and whether the worker is fit for another question.

        Raises:
            EOFError: the process ended or did not start.
            BrokenPipeError: the same, seen when writing.
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
        """End the process and wait for its end; safe from any thread, and while another one asks."""
        self._process.kill()
        self._process.wait()

    def close_pipes(self) -> None:
        """Close the pipes; only for the thread that asks."""
        _stdout(self._process).close()
        _stdin(self._process).close()

    def forget(self) -> None:
        """Let go of the process of the parent, in a forked child."""
        self._process.returncode = 0  # ours to forget, not to wait for
        self.close_pipes()

    def _wait_ready(self) -> None:
        if not self._wait(START_SECONDS):
            raise EOFError("the worker did not start")
        self._read_line()

    def _write(self, question: dict[str, Any]) -> None:
        unwritten = json.dumps(question).encode() + b"\n"
        while unwritten:
            unwritten = unwritten[os.write(_stdin(self._process).fileno(), unwritten) :]

    def _wait_working(self, limit: float, wall_seconds: float) -> bool:
        """Wait for a reply until the worker has spent `limit` seconds of processor time since it started."""
        deadline = time.monotonic() + wall_seconds
        left = limit - self._spent
        while not self._wait(left):
            spent = _processor_seconds(self.pid)
            if spent is None or spent >= limit or time.monotonic() >= deadline:
                return False
            left = max(limit - spent, _POLL_SECONDS)
        return True

    def _wait(self, seconds: float) -> bool:
        """Whether the process writes, or ends, within `seconds`."""
        with selectors.DefaultSelector() as selector:  # select.select fails on descriptors above 1,023
            selector.register(_stdout(self._process), selectors.EVENT_READ)
            return bool(selector.select(seconds))

    def _read_line(self) -> dict[str, Any]:
        while b"\n" not in self._unread:
            chunk = os.read(_stdout(self._process).fileno(), _MAX_REPLY)
            if not chunk:
                raise EOFError("the worker ended")
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        self._spent = reply["spent"]
        return reply


class Pool:
    """Up to `size` workers, for any number of threads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.threads = ThreadPoolExecutor(size, "verifiers")
        """Threads for callers that cannot wait for a worker themselves; started when first used."""
        self._workers: list[Worker] = []
        self._changed = threading.Condition()

    @property
    def pids(self) -> list[int]:
        """The ids of the worker processes."""
        return [worker.pid for worker in self._workers]

    def compare(self, left: Node, right: Node, budget: Budget) -> Finding:
        """Compare two trees within what is left of `budget`; never raises for what the trees hold."""
        trees = {"left": left.as_json(), "right": right.as_json()}
        for _ in range(ATTEMPTS):
            if budget.left <= 0:
                return budget.overrun()
            with contextlib.suppress(BrokenPipeError, EOFError):
                return self._ask(trees, budget)
        return _CANCELED if budget.is_canceled else _LOST

    def cancel(self, budget: Budget) -> None:
        """Have the comparison on `budget` end at once, and no other begin."""
        with self._changed:
            budget.is_canceled = True
            for worker in self._of(budget):
                worker.kill()

    def close(self) -> None:
        """End all workers, and the questions they work on; a later question starts another."""
        with self._changed:
            for worker in self._workers:
                if worker.budget is not None:
                    worker.budget.is_canceled = True
                worker.kill()
            self._drop_ended()

    def hold(self) -> None:
        """Start no worker until `resume`: a child forked meanwhile would hold its pipes open."""
        self._changed.acquire()

    def resume(self) -> None:
        """End of `hold`."""
        self._changed.release()

    def abandon(self) -> None:
        """Forget the workers: they belong to the parent of this forked process."""
        workers, self._workers = self._workers, []
        self._changed = threading.Condition()
        self.threads = ThreadPoolExecutor(self.size, "verifiers")
        for worker in workers:
            worker.forget()

    def _ask(self, trees: dict[str, Any], budget: Budget) -> Finding:
        is_fit = False  # an interrupt between question and answer would leave the answer for the next question
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
    # -P: a sympy.py in the current folder must not be what the worker imports.
    package = __package__ or ""
    root = Path(__file__).parents[len(package.split("."))]
    paths = [str(root), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", f"{package}.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,  # a forked child that closes its copies must not write what its parent was about to
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        start_new_session=True,  # Ctrl-C in a terminal is for the parent, which then closes the worker
    )


def _processor_seconds(pid: int) -> float | None:
    """Processor time that a process has used so far, in steps of some 10 ms; None where only the clock can tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except FileNotFoundError:  # not Linux
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _stdin(process: subprocess.Popen[bytes]) -> Any:
    return process.stdin


def _stdout(process: subprocess.Popen[bytes]) -> Any:
    return process.stdout


WORKER = Pool(min(os.cpu_count() or 1, MAX_WORKERS))
"""The workers of this process."""

atexit.register(WORKER.close)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=WORKER.hold, after_in_parent=WORKER.resume, after_in_child=WORKER.abandon)
