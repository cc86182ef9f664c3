r"""A checker that is a program, in any language. Its processes are kept alive, and killed if they hang.

A process reads one JSON object per line, and answers each with one line before it gets the next:

    {"prediction": "…", "gold": "7", "problem": {"id": "p1", "text": "…", "answer": "7", "meta": {}}}
    {"outcome": "correct", "reason": "all tests pass"}

An answer is an object with an outcome and, if it likes, a reason and the `answer` that it found; or `true`, `false` or
`null` (no answer). Its stdout is for answers alone, its stderr is ours. It should end when its input ends.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from queue import LifoQueue
from typing import Any

from ..checking import LOOK_AHEAD
from ..verdict import Outcome, Verdict
from .protocol import CheckerError, Question, StreamChecker, as_verdict

SECONDS = 60.0
"""Time allowed for one answer, if nothing else is said."""
START_SECONDS = 60.0
"""Additional time for the first answer of a process, which may have a model to load."""
END_SECONDS = 1.0
"""Time allowed for a process to end after its input."""
LOST_AT_FIRST, LOST_LATER = 3, 20
"""Answers lost in a row that end the job: while the program has given none at all, and later."""
_LONGEST_LINE = 2**20
_LONGEST_TEXT = 200
_CHUNK = 65_536
_POLL = 0.5


class Command(StreamChecker):
    """A program that checks answers. It is started when it is first asked, and can be pickled.

    A line that is not a verdict, a process that dies and one that takes too long cost one verdict each: `error`, or
    `timeout`. The process is killed, with all that it started, and replaced.

    Args:
        command: the program and its arguments, quoted as in a shell; but no shell runs it.
        seconds: time allowed for one answer, above 0; the first one of each process may take `START_SECONDS` more.
        processes: how many may run at the same time, from 1; None for one per processor, up to four.

    Raises:
        CheckerError: there is no such program, or a setting is out of range; later, if it can no longer be started, or
            if it loses `LOST_AT_FIRST` answers before it has given one, or `LOST_LATER` in a row.
    """

    def __init__(self, command: str, *, seconds: float = SECONDS, processes: int | None = None) -> None:
        self.command = command
        self.seconds = seconds
        self.processes = min(os.cpu_count() or 1, 4) if processes is None else processes
        if not 0 < seconds < math.inf or self.processes < 1:
            raise CheckerError(f"{self}: seconds must be above 0, and processes from 1", "such as seconds=10")
        self._arguments = _arguments(command)
        self._pool = _Pool(self._arguments, self.processes)
        self._has_answered = False
        self._lost = 0  # in a row

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Command, self.command, seconds=self.seconds, processes=self.processes), ()

    def __str__(self) -> str:
        """As `checker_of` reads it, without the number of processes, which no verdict depends on."""
        return f"command(seconds={self.seconds:g}): {self.command}"

    @property
    def files(self) -> list[Path]:
        """Those parts of the command that are files."""
        return [path for path in map(Path, self._arguments) if path.is_file()]

    def __call__(self, prediction: str, gold: str, problem: Any = None) -> Verdict:
        """The verdict on one answer; safe from several threads.

        Raises:
            CheckerError: see above.
        """
        question = {"prediction": prediction, "gold": gold, "problem": problem}
        line = json.dumps(question, default=_plain).encode() + b"\n"
        try:
            with self._own_pool().borrowed() as process:
                verdict = _verdict(process.ask(line, self.seconds))
        except _LostError as lost:
            self._require_some_answers(lost)
            return Verdict(lost.outcome, f"the checker command {lost}", None)
        self._has_answered, self._lost = True, 0
        return verdict

    def check_each(self, questions: Iterable[Question]) -> Iterator[Verdict]:
        """One verdict per question, in order; several are asked at once, and up to `LOOK_AHEAD` are read ahead."""
        threads = ThreadPoolExecutor(self.processes, "checker")
        begun: deque[Future[Verdict]] = deque()
        try:
            for question in questions:
                begun.append(threads.submit(self, *question))
                while begun and (len(begun) > LOOK_AHEAD or begun[0].done()):
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            if begun:
                self._own_pool().kill()

    def _own_pool(self) -> _Pool:
        if self._pool.owner != os.getpid():  # a forked process must not read the answers to its parent
            self._pool = _Pool(self._arguments, self.processes)
        return self._pool

    def _require_some_answers(self, lost: _LostError) -> None:
        self._lost += 1
        if self._lost >= (LOST_LATER if self._has_answered else LOST_AT_FIRST):
            what = f"the checker command {self.command!r} gave no verdict {self._lost} times in a row"
            hint = "try it by hand: it reads one JSON object per line, and answers each with one line"
            raise CheckerError(f"{what}: it {lost}{lost.line}", hint) from lost


def _arguments(command: str) -> list[str]:
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise CheckerError(f"the checker command {command!r} is wrong: {error}", "quote it as in a shell") from error
    if not arguments:
        raise CheckerError("the checker command is empty", _EXAMPLE)
    if shutil.which(arguments[0]) is None:
        raise CheckerError(f"the checker command {command!r} cannot be started: no program {arguments[0]!r}", _EXAMPLE)
    return arguments


_EXAMPLE = "such as 'command: python grader.py'"


def _plain(value: Any) -> Any:
    """A value that JSON has no type for: a record's fields, and the text of anything else."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return dict(value) if isinstance(value, Mapping) else str(value)


def _verdict(line: bytes) -> Verdict:
    try:
        row = json.loads(line)
        answer = row if isinstance(row, dict) else {"outcome": row}
        verdict = as_verdict(answer["outcome"])
    except (ValueError, KeyError, RecursionError) as error:
        raise _LostError(Outcome.ERROR, "wrote a line that is not a verdict", line) from error
    found = answer.get("answer")
    return replace(
        verdict,
        reason=_short(answer.get("reason") or verdict.reason),
        answer=None if found is None else _short(found),
    )


def _short(value: Any) -> str:
    """A text of one line that can be written to a file."""
    return " ".join(str(value).split())[:_LONGEST_TEXT].encode("utf-8", "replace").decode()


class _LostError(Exception):
    """A process that gave no verdict."""

    def __init__(self, outcome: Outcome, reason: str, line: bytes = b"") -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.line = f": {_short(line.decode(errors='replace'))!r}" if line else ""


class _Pool:
    """Places for processes, filled when they are needed. Its processes end with it, or with the program."""

    def __init__(self, arguments: Sequence[str], size: int) -> None:
        self.owner = os.getpid()
        self._arguments = arguments
        self._free: LifoQueue[_Process | None] = LifoQueue()
        self._busy = set[_Process]()
        for _ in range(size):
            self._free.put(None)
        weakref.finalize(self, _end, self._free, self.owner)

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[_Process]:
        """A process that waits for a question; it is killed if anything is raised."""
        process = self._free.get()
        try:
            if process is not None and not process.is_waiting():
                process.end(0)
                process = None
            process = process or _Process(self._arguments)
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


def _end(free: LifoQueue[_Process | None], owner: int) -> None:
    while os.getpid() == owner and not free.empty():
        process = free.get()
        if process is not None:
            process.end(END_SECONDS)


class _Process:
    """The near end of one process."""

    def __init__(self, arguments: Sequence[str]) -> None:
        try:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},  # else Python keeps the answers to itself
                start_new_session=True,  # a group of its own, to be killed as a whole
            )
        except OSError as error:
            raise CheckerError(f"the checker command cannot be started: {error}", _EXAMPLE) from error
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
            _LostError: it ended, took too long, or wrote more than a line.
        """
        allowed = seconds + START_SECONDS * self._is_new
        unwritten, unread, deadline = memoryview(line), b"", time.monotonic() + allowed
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._stdin, selectors.EVENT_WRITE)
            while b"\n" not in unread and len(unread) <= _LONGEST_LINE:
                ready = [key.fileobj for key, _ in selector.select(min(max(deadline - time.monotonic(), 0), _POLL))]
                if not ready and self._process.poll() is not None:  # what it started may hold its pipes open
                    raise self._ended()
                if not ready and time.monotonic() >= deadline:
                    raise _LostError(Outcome.TIMEOUT, f"gave no answer within {allowed:g} s")
                if self._stdin in ready:
                    unwritten = unwritten[self._write(unwritten) :]
                    if not unwritten:
                        selector.unregister(self._stdin)
                if self._stdout in ready:
                    unread += self._read()
        answer, _, more = unread.partition(b"\n")
        if more or len(answer) > _LONGEST_LINE:
            raise _LostError(Outcome.ERROR, "wrote more than one line, or too long a line", unread)
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

    def _ended(self) -> _LostError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        code = self._process.returncode
        how = "closed its pipes" if code is None else f"ended with code {code}"
        return _LostError(Outcome.ERROR, how if code is None or code >= 0 else f"was killed by signal {-code}")

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
