"""A checker that is a program: runs the Python code of a completion against the unit tests of its problem.

    prm verify completions.jsonl --checker "command: python examples/code_checker.py"

The tests are in the problem's `meta`: {"tests": ["assert add(2, 3) == 5"]}. Each is a call and the literal that it must
equal. Only the calls are run beside the code, in a process with limits that is killed as a whole; the literals stay
here. So whatever the code prints, and however it ends, it passes only if the calls give the right values.

The code runs without privileges and, where the system allows, without a network. It can read what every user can read:
for code of an attacker, rather than of a model, run this program in a virtual machine.
"""

import ast
import ctypes
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from typing import Any

SECONDS = 5
"""Of processor time; of real time twice as many."""
LIMITS = {
    resource.RLIMIT_CPU: SECONDS,
    resource.RLIMIT_AS: 512 * 2**20,
    resource.RLIMIT_FSIZE: 2**20,
    resource.RLIMIT_NPROC: 0,
    resource.RLIMIT_NOFILE: 32,
    resource.RLIMIT_CORE: 0,
}
NOBODY = 65534


def check(question: dict[str, Any]) -> dict[str, str]:
    """The verdict on one completion."""
    try:
        tests = [read_test(test) for test in question["problem"]["meta"]["tests"]]
    except (KeyError, TypeError, ValueError, SyntaxError) as error:
        return {"outcome": "error", "reason": f"unusable tests: {error!r}"}
    blocks = re.findall(r"```(?:python)?\n(.*?)```", question["prediction"], re.DOTALL)
    code = blocks[-1] if blocks else question["prediction"]
    return judge(run(code, [call for call, _ in tests]), [value for _, value in tests])


def read_test(test: str) -> tuple[str, Any]:
    """The call and the value of a test `assert CALL == LITERAL`."""
    (node,) = ast.parse(test).body
    if isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare) and isinstance(node.test.ops[0], ast.Eq):
        (right,) = node.test.comparators
        return ast.unparse(node.test.left), ast.literal_eval(right)
    raise ValueError(f"{test!r} is not of the form assert CALL == LITERAL")


def judge(written: str | None, expected: list[Any]) -> dict[str, str]:
    """Compare what the calls gave with what they should give."""
    if written is None:
        return {"outcome": "timeout", "reason": f"not done in {SECONDS} s, or in the memory allowed"}
    try:
        found = [ast.literal_eval(value) for value in json.loads(written)]
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return {"outcome": "incorrect", "reason": "the code failed, or ended before its tests"}
    passed = sum(value == right for value, right in zip(found, expected, strict=False))
    is_correct = passed == len(found) == len(expected) > 0
    return {"outcome": "correct" if is_correct else "incorrect", "reason": f"{passed} of {len(expected)} tests pass"}


def run(code: str, calls: list[str]) -> str | None:
    """Run the code and then the calls; what the process wrote, or None if it was killed for its time or memory."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as written:
        os.chmod(folder, 0o777)  # noqa: PTH101  # it may be nobody's
        process = subprocess.Popen(
            [*sandbox(), sys.executable, "-I", __file__, "--inside"],
            stdin=subprocess.PIPE,
            stdout=written,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={},
            start_new_session=True,
        )
        try:
            process.communicate(json.dumps([code, calls]).encode(), timeout=2 * SECONDS)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError):  # nothing is left of it
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        written.seek(0)
        return None if process.returncode == -signal.SIGKILL else written.read().decode(errors="replace")


@cache
def sandbox() -> list[str]:
    """The start of a command line that runs the rest without a network, where that is possible."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(4, 0)  # PR_SET_DUMPABLE: no other process of this user can write to our stdout
    for options in (["--net"], ["--user", "--net"]):
        command = ["unshare", *options, "--"]
        if shutil.which("unshare") and not subprocess.run([*command, "true"], capture_output=True).returncode:
            return command
    print("code_checker: unshare does not work here, so the code can use the network", file=sys.stderr)
    return []


def inside() -> None:
    """The process with the code: read it and its calls, and write what each call gives."""
    code, calls = json.loads(sys.stdin.read())
    written = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for limit, value in LIMITS.items():
        resource.setrlimit(limit, (value, value))
    if os.geteuid() == 0:  # the limit on processes does not hold for root
        give_up_root()
    names = {"__name__": "solution"}
    exec(code, names)
    os.write(written, json.dumps([repr(eval(call, names)) for call in calls]).encode())


def give_up_root() -> None:
    """Become nobody, who may not be able to read Python's own library: load first what solutions use."""
    import bisect, collections, copy, datetime, decimal, fractions, functools, heapq, itertools, math, operator  # noqa
    import random, statistics, string, typing  # noqa

    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def main() -> None:
    """Answer each line."""
    if "--inside" in sys.argv:
        inside()
        return
    for line in sys.stdin:
        print(json.dumps(check(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
