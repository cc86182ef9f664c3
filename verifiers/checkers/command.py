r"""A checker that is a program, in any language. Its processes are kept alive, and killed if they hang.

A process reads one JSON object per line, and answers each with one line before it gets the next:

    {"prediction": "…", "gold": "7", "problem": {"id": "p1", "text": "…", "answer": "7", "meta": {}}}
    {"outcome": "correct", "reason": "all tests pass"}

An answer is an object with an outcome and, if it likes, a reason and the `answer` that it found; or `true`, `false` or
`null` (no answer). Its stdout is for answers alone, its stderr is ours. It should end when its input ends.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..checking import LOOK_AHEAD
from ..expressions.processors import processors
from ..verdict import Outcome, Verdict
from .processes import LostError, Pool
from .protocol import CheckerError, Question, StreamChecker, as_verdict

SECONDS = 60.0
"""Time allowed for one answer, if nothing else is said."""
LOST_AT_FIRST, LOST_LATER = 3, 20
"""Answers lost in a row that end the job: while the program has given none at all, and later."""
_LONGEST_TEXT = 200
_EXAMPLE = "such as 'command: python grader.py'"


class Command(StreamChecker):
    """A program that checks answers. It is started when it is first asked, and can be pickled.

    A line that is not a verdict, a process that dies and one that takes too long cost one verdict each: `error`, or
    `timeout`. The process is killed, with all that it started, and replaced.

    Args:
        command: the program and its arguments, quoted as in a shell; but no shell runs it.
        seconds: time allowed for one answer, above 0; the first one of each process may take a minute more.
        processes: how many may run at the same time, from 1; None for one per processor, up to four.

    Raises:
        CheckerError: there is no such program, or a setting is out of range; later, if it can no longer be started, or
            if it loses `LOST_AT_FIRST` answers before it has given one, or `LOST_LATER` in a row.
    """

    def __init__(self, command: str, *, seconds: float = SECONDS, processes: int | None = None) -> None:
        self.command = command
        self.seconds = seconds
        self.processes = min(processors(), 4) if processes is None else processes
        if not 0 < seconds < math.inf or self.processes < 1:
            raise CheckerError(f"{self}: seconds must be above 0, and processes from 1", "such as seconds=10")
        self._arguments = _arguments(command)
        self._pool = Pool(self._arguments, self.processes)
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
        except LostError as lost:
            self._require_some_answers(lost)
            return Verdict(lost.outcome, f"the checker command {lost}", None)
        except OSError as error:
            raise CheckerError(f"{self} cannot be started: {error}", _EXAMPLE) from error
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

    def _own_pool(self) -> Pool:
        if self._pool.owner != os.getpid():  # a forked process must not read the answers to its parent
            self._pool = Pool(self._arguments, self.processes)
        return self._pool

    def _require_some_answers(self, lost: LostError) -> None:
        self._lost += 1
        if self._lost >= (LOST_LATER if self._has_answered else LOST_AT_FIRST):
            what = f"the checker command {self.command!r} gave no verdict {self._lost} times in a row"
            hint = "try it by hand: it reads one JSON object per line, and answers each with one line"
            line = f": {_short(lost.line.decode(errors='replace'))!r}" if lost.line else ""
            raise CheckerError(f"{what}: it {lost}{line}", hint) from lost


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
        raise LostError(Outcome.ERROR, "wrote a line that is not a verdict", line) from error
    found = answer.get("answer")
    return replace(
        verdict,
        reason=_short(answer.get("reason") or verdict.reason),
        answer=None if found is None else _short(found),
    )


def _short(value: Any) -> str:
    """A text of one line that can be written to a file."""
    return " ".join(str(value).split())[:_LONGEST_TEXT].encode("utf-8", "replace").decode()
