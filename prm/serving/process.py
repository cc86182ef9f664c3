"""The server's end of the process that holds the scorers: sends chains, hands out results, starts it again if it ends.

scorers = ScorerProcess({"prm": partial(load_scorer, "runs/prm")})
await scorers.start()
results = await scorers.score("prm", problems, chains)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Protocol

import msgspec

from prm import console
from prm.data.records import Asked, Message
from prm.errors import ModelError
from prm.scoring.scorer import Refusal, Scores

from .limits import GoneError
from .wire import LENGTH, Ask, Cancel, Card, Chain, Done, Failed, FromWorker, Ready, Result, frame
from .worker import Loader, Loaders, greeting

LONGEST_REST = 30.0
"""Most seconds between two starts of a process that keeps ending."""
STEADY = 60.0
"""Seconds after which a process counts as well: the next start of one follows at once."""
END_SECONDS = 5.0
"""Time allowed for the process to end after its input."""


class ScorerGoneError(GoneError):
    """The process of the scorers is not there; it is being started again."""


class Observer(Protocol):
    """Is told what the process does."""

    def passed(self, done: Done) -> None:
        """A pass is done."""

    def restarted(self) -> None:
        """The process has ended, and is started again."""


class ScorerProcess:
    """The scorers, in a process of their own.

    Args:
        loaders: what gives each scorer, by the name under which it is asked; must be picklable.
        observer: told what happens.
        patience: seconds for which the first chain of a pass waits, at most, for others.
    """

    def __init__(self, loaders: Mapping[str, Loader], observer: Observer, patience: float) -> None:
        self._loaders = Loaders(list(sys.path), dict(loaders), patience)
        self._observer = observer
        self._numbers = count()
        self._asked = dict[int, asyncio.Future[Result]]()
        self._process: Process | None = None
        self._care: asyncio.Task[None] | None = None
        self._is_ready = False
        self.cards: Mapping[str, Card] = {}
        """What the scorers are, by name; known from the first start on."""
        self.trouble = "the scorers are being loaded"
        """Why it is not ready."""

    @property
    def is_ready(self) -> bool:
        """Whether the scorers can be asked."""
        return self._is_ready

    @property
    def waiting(self) -> int:
        """Number of chains without a result."""
        return len(self._asked)

    async def start(self) -> None:
        """Start the process, and load the scorers.

        Raises:
            ModelError: one cannot be loaded.
        """
        await self._begin()
        self._care = asyncio.create_task(self._take_care())

    async def score(
        self, scorer: str, problems: Sequence[Asked], chains: Sequence[Sequence[str]]
    ) -> list[Scores | Refusal]:
        """One result for each chain, in order; a refusal of one at which the scorer raises something.

        If this is canceled, chains that wait are forgotten.

        Args:
            scorer: name of a scorer.
            problems: the problem of each chain.
            chains: the steps of each chain.

        Raises:
            ScorerGoneError: the process is not there, or ends meanwhile.
        """
        if not self._is_ready:
            raise ScorerGoneError(self.trouble, "try again")
        asked = [Chain(next(self._numbers), _sent(p), list(c)) for p, c in zip(problems, chains, strict=True)]
        futures = {chain.id: asyncio.get_running_loop().create_future() for chain in asked}
        self._asked |= futures
        try:
            await self._send(frame(Ask(scorer, asked)))
            results = await asyncio.gather(*futures.values())
        finally:
            if left := [number for number in futures if self._asked.pop(number, None) is not None]:
                with contextlib.suppress(ScorerGoneError):
                    await self._send(frame(Cancel(left)))
        return [result.found() for result in results]

    async def close(self) -> None:
        """End the process, and all that it started."""
        if self._care is not None:
            self._care.cancel()
            await asyncio.wait([self._care])
        await self._end("the server is stopping")

    async def _begin(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "prm.serving.worker", stdin=PIPE, stdout=PIPE, start_new_session=True
        )
        with contextlib.suppress(ScorerGoneError):  # it has ended at once; why, is found below
            await self._send(frame(greeting(self._loaders)))
        message = await self._read()
        if not isinstance(message, Ready):
            how = f"the process of the scorers {await self._ended()}"
            await self._end(how)
            failed = message if isinstance(message, Failed) else Failed(how, "its messages stand above")
            raise ModelError(failed.message, failed.hint)
        self.cards = {card.name: card for card in message.cards}
        self._is_ready = True

    async def _take_care(self) -> None:
        """Hand out results, and start the process again whenever it has ended."""
        rest = 0.0
        while True:
            started = time.monotonic()
            while isinstance(message := await self._read(), Done):
                self._hand_out(message)
            how = f"the process of the scorers {await self._ended()}"
            await self._end(f"{how}; it is being started again")
            console.say(f"{how}; starting it again")
            rest = rest if time.monotonic() - started < STEADY else 0.0
            while not self._is_ready:
                await asyncio.sleep(rest)
                rest = min(2 * rest + 1, LONGEST_REST)
                self._observer.restarted()
                try:
                    await self._begin()
                except ModelError as error:
                    self.trouble = str(error)

    def _hand_out(self, done: Done) -> None:
        for result in done.results:
            if (future := self._asked.pop(result.id, None)) is not None and not future.done():
                future.set_result(result)
        self._observer.passed(done)

    async def _send(self, content: bytes) -> None:
        if self._process is None or self._process.stdin is None:
            raise ScorerGoneError(self.trouble, "try again")
        self._process.stdin.write(content)
        try:
            await self._process.stdin.drain()
        except ConnectionError as error:
            raise ScorerGoneError("the process of the scorers has ended", "try again") from error

    async def _read(self) -> FromWorker | None:
        """The next message; None once there is none."""
        if self._process is None or self._process.stdout is None:
            return None
        try:
            head = await self._process.stdout.readexactly(LENGTH.size)
            content = await self._process.stdout.readexactly(LENGTH.unpack(head)[0])
        except asyncio.IncompleteReadError:
            return None
        return _decode(content)

    async def _ended(self) -> str:
        """How the process ended, which has closed its output."""
        if self._process is None:
            return "has ended"
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), END_SECONDS)
        code = self._process.returncode
        if code is None:
            return "has closed its output"
        return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"

    async def _end(self, why: str) -> None:
        """End the process, and tell all who wait for it."""
        self._is_ready, self.trouble = False, why
        process, self._process = self._process, None
        if process is not None:
            await _kill(process)
        lost, self._asked = self._asked, {}
        for future in lost.values():
            if not future.done():
                future.set_exception(ScorerGoneError(why, "try again"))


async def _kill(process: Process) -> None:
    """End the process's input, and kill the group if it has not ended after a while; what it started goes with it."""
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), END_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, if it has just ended
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


_decode: Callable[[bytes], FromWorker] = msgspec.msgpack.Decoder(FromWorker).decode


def _sent(problem: Asked) -> str | list[Message]:
    return problem if isinstance(problem, str) else list(problem)
