"""The process that compares expressions: `python -m verifiers.worker`, started by `verifiers.symbolic`.

It reads one JSON object a line, `{"left": tree, "right": tree, "seconds": s}`, and answers each with one line,
`{"outcome": …, "reason": …}`, after a first line `{"ready": true}` when sympy is loaded. It ends with its input.
It limits its own memory, and an alarm ends it should its parent be gone and unable to kill it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import IO, Any

MEMORY_BYTES = 2**30
"""Address space beyond what is in use when sympy is loaded."""
ALARM_MARGIN = 5.0
"""Seconds after the time allowed at which an abandoned worker ends itself."""


def main() -> None:
    """Serve until the input ends."""
    from verifiers import algebra  # the heavy engine, in this process only

    # Nothing but answers may reach the pipe, so anything printed by a library goes to stderr.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    limit_memory()
    _send(answers, {"ready": True})
    for line in sys.stdin:
        _send(answers, _answer(algebra.compare, json.loads(line)))


def _answer(compare: Any, job: dict[str, Any]) -> dict[str, str]:
    signal.setitimer(signal.ITIMER_REAL, job["seconds"] + ALARM_MARGIN)
    try:
        outcome, reason = compare(job["left"], job["right"])
    except MemoryError:
        return {"outcome": "timeout", "reason": "out of memory"}
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        # What sympy raises on expressions it was not made for; the parent hears of it, and nothing is called wrong.
        return {"outcome": "error", "reason": f"sympy raised {type(error).__name__}"}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {"outcome": outcome, "reason": reason}


def limit_memory() -> None:
    """Allow `MEMORY_BYTES` more than is in use now, where the system can tell and limit it (Linux)."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        import resource  # POSIX only

        limit = int(statm.read_text().split()[0]) * resource.getpagesize() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _send(stream: IO[str], message: dict[str, Any]) -> None:
    stream.write(json.dumps(message) + "\n")
    stream.flush()


if __name__ == "__main__":
    main()
