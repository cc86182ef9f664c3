"""The process that compares expressions, started by `symbolic` beside this module with `python -m`.

Once sympy is loaded it writes a line `{"spent": s}`. It then reads one JSON object per line, `{"left": tree, "right":
tree, "seconds": s}`, and answers each with one line, `{"outcome": …, "reason": …, "spent": s, "is_fit": …}`. `spent` is
its processor time since its start; `is_fit` is false if another worker must take over. It ends with its input. The
parent watches its time and kills it. It limits its own memory, where the system can (Linux), and a timer ends it if its
parent disappears in the middle of a question.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

MEMORY_BYTES = 384 * 2**20
"""Address space allowed beyond that in use once sympy is loaded (about 60 MB): below 512 MB in total."""
FIT_BYTES = 64 * 2**20
"""The part of it that sympy's caches may keep after a question. A worker that holds more is replaced, so that each
question finds the same memory whatever was asked before."""
HAS_TIMER = hasattr(signal, "setitimer")
"""Whether there is a timer that counts processor time and ends a process that it cannot interrupt; not on Windows."""
_SEED = 0


def main() -> None:
    """Serve until the input ends."""
    from sympy.core.random import seed  # the heavy engine, in this process only

    from . import algebra

    def compare(left: Any, right: Any) -> tuple[str, str]:
        seed(_SEED)  # sympy draws random numbers, and no verdict may depend on earlier questions
        return algebra.compare(left, right)

    # Only answers may reach the pipe, so anything that a library prints goes to stderr.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    obey_timer()
    in_use = address_space()
    limit_memory(in_use + MEMORY_BYTES)
    _send(answers, {})
    for line in sys.stdin:
        _send(answers, _answer(compare, json.loads(line), in_use + FIT_BYTES))


def _answer(compare: Callable[[Any, Any], tuple[str, str]], job: dict[str, Any], fit_bytes: int) -> dict[str, Any]:
    set_timer(2 * job["seconds"] + 1)  # more than twice what the parent allows: the kernel counts in coarse ticks
    outcome, reason, is_fit = _outcome(compare, job)
    set_timer(0)
    return {
        "outcome": outcome,
        "reason": reason,
        "is_fit": is_fit and address_space() <= fit_bytes,
    }


def _outcome(compare: Callable[[Any, Any], tuple[str, str]], job: dict[str, Any]) -> tuple[str, str, bool]:
    try:
        return *compare(job["left"], job["right"]), True
    except MemoryError:
        return "timeout", "out of memory", False
    except Exception as error:  # sympy may raise anything on unusual expressions; that is never "wrong"
        return "error", f"sympy raised {type(error).__name__}", True


def obey_timer() -> None:
    """Let SIGPROF end this process, whatever signal settings it inherited from its parent."""
    if HAS_TIMER:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])


def set_timer(seconds: float) -> None:
    """End this process after so many seconds: of processor time, or else of time. 0 for never."""
    if HAS_TIMER:
        signal.setitimer(signal.ITIMER_PROF, seconds)
    elif seconds:
        faulthandler.dump_traceback_later(seconds, exit=True)  # works while Python code cannot run
    else:
        faulthandler.cancel_dump_traceback_later()


def address_space() -> int:
    """Bytes of address space in use; 0 if the system does not say (only Linux does)."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


def limit_memory(size: int) -> None:
    """Limit the address space to `size` bytes in total, if the system can (Linux)."""
    if address_space():
        import resource  # POSIX only

        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _send(stream: IO[str], message: dict[str, Any]) -> None:
    stream.write(json.dumps({**message, "spent": time.process_time()}) + "\n")
    stream.flush()


if __name__ == "__main__":
    main()
