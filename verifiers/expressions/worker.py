"""The process that compares expressions, started by `symbolic` beside this module with `python -m`.

It reads one JSON object a line, `{"left": tree, "right": tree, "seconds": s}`, and answers each with one line,
`{"outcome": …, "reason": …, "spent": s, "is_fit": false where another worker must take over}`, after a first line
`{"spent": s}` when sympy is loaded; `spent` is the processor time it has used since it started. It ends with its
input. The parent watches its time and kills it; it limits its own memory, and a timer ends it should it be in the
middle of a question with its parent gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

MEMORY_BYTES = 384 * 2**20
"""Address space beyond what is in use when sympy is loaded (some 60 MB): below 512 MB together."""
FIT_BYTES = 64 * 2**20
"""Of these, what sympy's caches may keep after a question; a worker that holds more is replaced, so that a question
finds the same memory whatever was asked before."""
_SEED = 0


def main() -> None:
    """Serve until the input ends."""
    from sympy.core.random import seed  # the heavy engine, in this process only

    from . import algebra

    def compare(left: Any, right: Any) -> tuple[str, str]:
        seed(_SEED)  # sympy draws numbers too, and no verdict may depend on what was asked before
        return algebra.compare(left, right)

    # Nothing but answers may reach the pipe, so anything printed by a library goes to stderr.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    end_on_timer()
    in_use = address_space()
    limit_memory(in_use + MEMORY_BYTES)
    _send(answers, {})
    for line in sys.stdin:
        _send(answers, _answer(compare, json.loads(line), in_use + FIT_BYTES))


def _answer(compare: Callable[[Any, Any], tuple[str, str]], job: dict[str, Any], fit_bytes: int) -> dict[str, Any]:
    # Twice and more what the parent allows, as the kernel counts this timer in coarse ticks.
    signal.setitimer(signal.ITIMER_PROF, 2 * job["seconds"] + 1)
    outcome, reason, is_fit = _outcome(compare, job)
    signal.setitimer(signal.ITIMER_PROF, 0)
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
    except Exception as error:  # sympy raises anything on expressions it was not made for; nothing is called wrong
        return "error", f"sympy raised {type(error).__name__}", True


def end_on_timer() -> None:
    """Let SIGPROF end this process, whatever the parent did with signals: they are inherited."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])


def address_space() -> int:
    """Bytes of address space in use; 0 where the system does not tell (only Linux does)."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


def limit_memory(size: int) -> None:
    """Allow `size` bytes of address space in all, where the system can tell and limit it (Linux)."""
    if address_space():
        import resource  # POSIX only

        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _send(stream: IO[str], message: dict[str, Any]) -> None:
    stream.write(json.dumps({**message, "spent": time.process_time()}) + "\n")
    stream.flush()


if __name__ == "__main__":
    main()
