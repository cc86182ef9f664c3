"""The algebra processes: their limits, their callers, and cleanup."""

import asyncio
import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from places import ROOT

from prm.verifiers import Outcome, check, check_async, check_many, checking
from prm.verifiers.expressions.parser import Node, parse
from prm.verifiers.expressions.symbolic import WORKER, Budget, Pool
from prm.verifiers.verdict import Finding

# Equal, but only after expanding a sum of four terms to its 90th power.
_SUM = r"(\sqrt{x}+\sqrt{y}+\sqrt{z}+w)^{90}"
SLOW = (f"\\boxed{{{_SUM}(x+1)}}", f"{_SUM}x+{_SUM}")
SLOW_TREES = parse(f"{_SUM}(x+1)"), parse(f"{_SUM}x+{_SUM}")
_LARGE = "(a+b+c+d+f+g)^{90}"
LARGE_TREES = parse(f"{_LARGE}(x+1)"), parse(f"{_LARGE}x+{_LARGE}")
EQUAL, OTHER = (parse("x+1"), parse("1+x")), (parse("x+1"), parse("x+2"))
ON_LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
UNDECIDED = Finding(Outcome.ERROR, "needs algebra")
SECONDS = 60
"""Longest wait for an event that takes a second on an idle machine."""


@pytest.fixture
def pool():
    pool = Pool(2)
    yield pool
    pool.close()


@pytest.fixture
def thread():
    with ThreadPoolExecutor(1) as threads:
        yield threads


def pair(number):
    """An ordinary pair that needs algebra, different for each number, and whether it is equal."""
    wrong = number % 3 == 0
    return f"{number}(x+1)^2", f"{number}x^2+{2 * number}x+{number + wrong}", not wrong


def symbolic(numbers):
    return [pair(number)[:2] for number in numbers]


def until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def is_gone(pid):
    """Whether a process has ended, waited for or not."""
    try:
        return b") Z " in Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return True


# Limits.


def test_a_late_worker_is_killed_and_replaced(pool):
    assert pool.compare(*EQUAL, Budget(10)).outcome is Outcome.CORRECT
    (first,) = pool.pids
    assert pool.compare(*SLOW_TREES, Budget(0.2)).outcome is Outcome.TIMEOUT
    assert pool.pids == []
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    assert pool.compare(*OTHER, Budget(10)).outcome is Outcome.INCORRECT
    assert pool.pids not in ([], [first])


def test_comparisons_of_one_check_share_the_time(pool, monkeypatch):
    budget = Budget(0.2)
    assert pool.compare(*SLOW_TREES, budget) == pool.compare(*EQUAL, budget)
    assert pool.pids == []  # the second question was not asked
    budgets = []
    monkeypatch.setattr(WORKER, "compare", lambda _left, _right, budget: budgets.append(budget) or UNDECIDED)
    check(r"\boxed{((x+1)^2, (x+2)^2, (x+3)^2)}", "(x^2+2x+1, x^2+4x+4, x^2+6x+9)")
    assert len(budgets) == 3
    assert all(budget is budgets[0] for budget in budgets)


@ON_LINUX
def test_time_spent_on_other_processes_does_not_count(pool, thread):
    pool.compare(*EQUAL, Budget(10))
    os.kill(pool.pids[0], signal.SIGSTOP)
    asked = thread.submit(pool.compare, *OTHER, Budget(0.5))
    time.sleep(1)
    assert not asked.done()
    os.kill(pool.pids[0], signal.SIGCONT)
    assert asked.result(SECONDS).outcome is Outcome.INCORRECT


def test_a_stalled_worker_is_killed(pool):
    pool.compare(*EQUAL, Budget(10))
    os.kill(pool.pids[0], signal.SIGSTOP)
    assert pool.compare(*EQUAL, Budget(0.05)).outcome is Outcome.TIMEOUT
    assert pool.pids == []


def test_waiting_for_a_worker_costs_no_time(thread):
    pool = Pool(1)
    late = thread.submit(pool.compare, *SLOW_TREES, Budget(2))
    until(lambda: pool.pids)
    assert pool.compare(*EQUAL, Budget(1)).outcome is Outcome.CORRECT
    assert late.result().outcome is Outcome.TIMEOUT
    pool.close()


@ON_LINUX
def test_memory_is_limited_and_a_worker_out_of_memory_replaced(pool, thread):
    pool.compare(*EQUAL, Budget(10))
    (pid,) = pool.pids
    asked, peak = thread.submit(pool.compare, *LARGE_TREES, Budget(SECONDS)), 0
    while not asked.done():
        status = Path(f"/proc/{pid}/status")
        peak = max([peak, *(int(line.split()[1]) for line in _lines(status) if line.startswith("VmPeak"))])
        time.sleep(0.02)
    assert asked.result() == (Outcome.TIMEOUT, "out of memory")
    assert 100_000 < peak < 512 * 1024
    assert pid not in pool.pids
    assert pool.compare(*EQUAL, Budget(10)).outcome is Outcome.CORRECT


def _lines(path):
    try:
        return path.read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return []


def test_an_unknown_tree_is_an_error(pool):
    assert pool.compare(Node("eval", "1"), parse("1"), Budget(10)).outcome is Outcome.ERROR
    (pid,) = pool.pids
    assert pool.compare(*EQUAL, Budget(10)).outcome is Outcome.CORRECT
    assert pool.pids == [pid]


def test_a_worker_killed_in_the_middle_is_replaced_and_the_question_asked_again(pool, thread):
    pool.compare(*EQUAL, Budget(10))
    (pid,) = pool.pids
    os.kill(pid, signal.SIGSTOP)
    asked = thread.submit(pool.compare, *OTHER, Budget(10))
    time.sleep(0.2)
    os.kill(pid, signal.SIGKILL)
    assert asked.result(SECONDS).outcome is Outcome.INCORRECT
    assert pid not in pool.pids


def test_a_question_that_loses_two_workers_is_an_error(pool, thread):
    asked, killed = thread.submit(pool.compare, *SLOW_TREES, Budget(SECONDS)), set()
    for _ in range(2):
        until(lambda: set(pool.pids) - killed)
        (pid,) = set(pool.pids) - killed
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)
    assert asked.result(SECONDS).outcome is Outcome.ERROR
    assert pool.compare(*EQUAL, Budget(10)).outcome is Outcome.CORRECT


def test_workers_killed_while_idle_are_not_missed():
    assert check(*symbolic([1])[0], timeout=10).is_correct
    for pid in WORKER.pids:
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: is_gone(pid))
    assert check(*symbolic([2])[0], timeout=10).is_correct


def test_an_interrupt_leaves_no_answer_for_the_next_question(pool, monkeypatch):
    pool.compare(*EQUAL, Budget(10))
    with monkeypatch.context() as patch:
        patch.setattr("prm.verifiers.expressions.symbolic.Worker._wait_working", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            pool.compare(*EQUAL, Budget(10))
    assert pool.pids == []
    assert pool.compare(*OTHER, Budget(10)).outcome is Outcome.INCORRECT


def _interrupt(*_):
    raise KeyboardInterrupt


# Callers.


def test_one_thread_has_one_worker_and_several_have_several(pool, thread):
    for _ in range(3):
        pool.compare(*EQUAL, Budget(10))
        assert len(pool.pids) == 1
    late = thread.submit(pool.compare, *SLOW_TREES, Budget(1))
    assert pool.compare(*EQUAL, Budget(10)).outcome is Outcome.CORRECT
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: pool.compare(*OTHER, Budget(10)).outcome, range(30)))
    assert found == [Outcome.INCORRECT] * 30
    assert late.result().outcome is Outcome.TIMEOUT
    assert 1 <= len(pool.pids) <= 2


def test_many_threads():
    with ThreadPoolExecutor(64) as threads:
        verdicts = list(threads.map(lambda number: check(*pair(number)[:2], timeout=10), range(1, 101)))
    assert [verdict.is_correct for verdict in verdicts] == [pair(number)[2] for number in range(1, 101)]
    assert all(verdict.is_decided for verdict in verdicts)
    pids = WORKER.pids
    assert 1 <= len(pids) <= WORKER.size
    WORKER.close()
    assert all(is_gone(pid) for pid in pids)


def test_asyncio_with_hostile_and_ordinary_pairs():
    async def one(number):
        if number % 20 == 0:
            return await check_async(*SLOW, timeout=0.2)
        if number % 3 == 1:
            return await check_async(f"The answer is {number}", str(number))
        return await check_async(*pair(number)[:2], timeout=10)

    async def all_of_them():
        checks = asyncio.gather(*map(one, range(200)))
        turns = 0
        while not checks.done():
            await asyncio.sleep(0.01)
            turns += 1
        return await checks, turns

    verdicts, turns = asyncio.run(all_of_them())
    expected = [Outcome.TIMEOUT if n % 20 == 0 else Outcome.CORRECT if n % 3 else Outcome.INCORRECT for n in range(200)]
    assert [verdict.outcome for verdict in verdicts] == expected
    assert turns > 20  # the loop stayed free


def test_canceled_checks_are_ended():
    async def cancel_some():
        checks = [asyncio.ensure_future(check_async(*SLOW, timeout=1_000)) for _ in range(WORKER.size + 3)]
        while not (busy := WORKER.pids):
            await asyncio.sleep(0.01)
        for task in checks:
            task.cancel()
        await asyncio.wait(checks)
        assert all(task.cancelled() for task in checks)
        verdict = await asyncio.wait_for(check_async(*symbolic([1])[0], timeout=10), SECONDS)
        return busy, verdict

    WORKER.close()
    busy, verdict = asyncio.run(cancel_some())
    assert verdict.is_correct
    until(lambda: all(is_gone(pid) for pid in busy))


def test_a_coroutine_checks_its_arguments():
    with pytest.raises(TypeError, match="NoneType"):
        asyncio.run(check_async(None, "1"))
    with pytest.raises(ValueError, match="timeout"):
        asyncio.run(check_async("1", "1", timeout=0))


def check_in_child(texts):
    return check(*texts, timeout=10).outcome, WORKER.pids


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_process_pools(method, thread):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    assert check(*symbolic([1])[0], timeout=10).is_correct
    late = thread.submit(check, *SLOW, timeout=1)  # the parent forks in the middle of a question
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        outcomes, pids = zip(*pool.map(check_in_child, symbolic(range(1, 9))), strict=True)
    assert [outcome is Outcome.CORRECT for outcome in outcomes] == [pair(number)[2] for number in range(1, 9)]
    childrens = set(itertools.chain(*pids))
    assert childrens
    assert childrens.isdisjoint(WORKER.pids)
    assert late.result().outcome is Outcome.TIMEOUT
    assert check(*symbolic([2])[0], timeout=10).is_correct
    until(lambda: all(is_gone(pid) for pid in childrens))


# Streams.


def test_check_many_keeps_order_and_reads_no_more_than_it_must():
    asked = []

    def endless():
        for number in itertools.count(1):
            asked.append(number)
            yield pair(number)[:2] if number % 4 == 0 else (f"The answer is {number}", str(number + number % 2))

    verdicts = check_many(endless(), timeout=10, workers=2)
    for number in range(1, 81):
        expected = pair(number)[2] if number % 4 == 0 else number % 2 == 0
        verdict = next(verdicts)
        assert verdict.is_decided
        assert verdict.is_correct == expected, number
    assert len(asked) <= 80 + checking.LOOK_AHEAD + 1
    verdicts.close()


def test_neither_plain_numbers_nor_a_single_worker_read_ahead():
    pairs = iter([("1", "1"), ("1", "2"), *symbolic([1, 3]), ("never", "asked for")])
    verdicts = check_many(pairs, workers=2)
    assert [next(verdicts).is_correct, next(verdicts).is_correct] == [True, False]
    verdicts = check_many(pairs, timeout=10, workers=1)
    assert [next(verdicts).is_correct, next(verdicts).is_correct] == [True, False]
    assert next(pairs) == ("never", "asked for")


def test_a_pair_that_needs_algebra_is_read_once(monkeypatch):
    read, asked = checking._read, []
    monkeypatch.setattr(checking, "_read", lambda *texts: asked.append(texts) or read(*texts))
    assert [verdict.is_correct for verdict in check_many(symbolic([1, 3]), timeout=10, workers=2)] == [True, False]
    assert [texts[:2] for texts in asked] == symbolic([1, 3])


def test_an_error_in_the_source_is_raised_in_its_place():
    verdicts = check_many([*symbolic([1, 3]), (None, "1")], timeout=10, workers=2)
    assert [next(verdicts).is_correct, next(verdicts).is_correct] == [True, False]
    with pytest.raises(TypeError, match="NoneType"):
        next(verdicts)


def test_a_stream_that_is_closed_leaves_no_work():
    WORKER.close()
    verdicts = check_many([("1", "1"), *symbolic([1]), SLOW, SLOW, SLOW], timeout=1_000, workers=2)
    assert next(verdicts).is_correct
    assert next(verdicts).is_correct
    busy = WORKER.pids
    verdicts.close()
    assert check(*symbolic([2])[0], timeout=10).is_correct
    until(lambda: not any(worker.budget for worker in WORKER._workers))
    assert busy


def test_check_many_uses_two_workers(monkeypatch):
    meeting = threading.Barrier(2, timeout=SECONDS)

    def meet(_left, _right, _budget):
        meeting.wait()  # breaks unless two threads arrive
        return UNDECIDED

    monkeypatch.setattr(WORKER, "threads", ThreadPoolExecutor(2))
    monkeypatch.setattr(WORKER, "compare", meet)
    assert {verdict.reason for verdict in check_many(symbolic([1, 2, 4, 5]), workers=2)} == {"needs algebra"}
    WORKER.threads.shutdown()


def test_wrong_arguments_of_check_many_raise_at_once():
    with pytest.raises(ValueError, match="workers"):
        check_many([], workers=0)
    with pytest.raises(ValueError, match="timeout"):
        check_many([], timeout=0)


# Other systems.

ELSEWHERE = """
import io, os, signal, sys

for module, names in ((signal, ("setitimer", "ITIMER_PROF", "SIGPROF", "pthread_sigmask")),
                      (os, ("fork", "register_at_fork", "sched_getaffinity", "process_cpu_count", "sysconf"))):
    for name in names:
        vars(module).pop(name, None)
sys.modules["resource"] = None

def hidden(function):
    def call(path, *arguments, **options):
        if str(path).startswith(("/proc", "/sys")):
            raise FileNotFoundError(2, "hidden", str(path))
        return function(path, *arguments, **options)
    return call

os.stat, io.open = hidden(os.stat), hidden(io.open)
"""
"""Run at the start of the parent and of its workers: takes away what only Linux or only POSIX has."""


@pytest.mark.parametrize("output", ["SelectedOutput", "ThreadedOutput"])
def test_without_what_other_systems_lack(output, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(ELSEWHERE)
    code = f"""
from prm.verifiers.expressions import symbolic
symbolic.OUTPUT = symbolic.{output}
from prm.verifiers import check, check_many
first = [check("2(x+1)", "2x+2", timeout=60), check("2(x+1)", "2x+3", timeout=60)]
slow = check(*{SLOW!r}, timeout=0.2)
many = list(check_many({symbolic(range(1, 9))!r}, timeout=60, workers=2))
print(*(verdict.outcome for verdict in (*first, slow, *many)), *symbolic.WORKER.pids, slow.reason, sep=",")
"""
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    with python(code, env={**os.environ, "PYTHONPATH": paths}) as process:
        output, errors = process.communicate(timeout=SECONDS)
    *outcomes, reason = output.strip().split(",")
    expected = ["correct", "incorrect", "timeout", *("correct" if pair(n)[2] else "incorrect" for n in range(1, 9))]
    assert (outcomes[:11], reason, errors) == (expected, "not decided in 0.2 s", "")
    assert outcomes[11:]
    assert all(is_gone(int(pid)) for pid in outcomes[11:])


def test_a_worker_without_that_timer_ends_when_its_parent_is_gone(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(ELSEWHERE)
    code = f"""
import threading, time
from prm.verifiers import check
from prm.verifiers.expressions.symbolic import WORKER
threading.Thread(target=check, args={SLOW!r}, kwargs={{"timeout": 4}}, daemon=True).start()
while not any(worker._spent for worker in WORKER._workers):
    time.sleep(0.01)
time.sleep(0.5)  # its first question has reached it
print(*WORKER.pids, flush=True)
time.sleep(1_000)
"""
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    with python(code, env={**os.environ, "PYTHONPATH": paths}) as process:
        pid = int(process.stdout.readline())
        process.kill()
    until(lambda: is_gone(pid))


def test_where_no_process_can_start_the_answer_is_undecided(pool, monkeypatch):
    def refuse(*_, **__):
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert pool.compare(*EQUAL, Budget(10)) == (Outcome.ERROR, "the symbolic worker ended or did not start")


# Cleanup.

BUSY_AND_IDLE = f"""
import json, threading, time
from prm.verifiers import check, check_many
from prm.verifiers.expressions.symbolic import WORKER
WORKER.size, slow = 2, {SLOW!r}
assert check("2(x+1)^2", "2x^2+4x+2", timeout=10).is_correct
def keep_busy():
    while True:
        check(*slow, timeout=2)
threading.Thread(target=keep_busy, daemon=True).start()
while len(pids := WORKER.pids) < 2:  # the first is or soon will be busy
    assert check("2(x+1)^2", "2x^2+4x+2", timeout=10).is_correct
print(json.dumps(pids), flush=True)
"""


def python(code, **options):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_the_end_of_the_interpreter_leaves_no_process():
    with python(BUSY_AND_IDLE) as process:
        output, errors = process.communicate(timeout=SECONDS)
    pids = json.loads(output)
    assert errors == ""
    assert len(pids) == 2
    assert all(is_gone(pid) for pid in pids)


def test_a_killed_parent_leaves_no_process():
    with python(BUSY_AND_IDLE + "time.sleep(1_000)") as process:
        pids = json.loads(process.stdout.readline())
        process.kill()
    assert len(pids) == 2
    until(lambda: all(is_gone(pid) for pid in pids))


def test_a_stream_left_open_does_not_hold_up_the_end():
    code = "from prm.verifiers import check_many\n" + f"verdicts = check_many([('1', '1'), {SLOW!r}] * 9, timeout=1)\n"
    with python(code + "next(verdicts); print(len(list(zip(verdicts, range(1)))))") as process:
        output, errors = process.communicate(timeout=SECONDS)
    assert (output, errors) == ("1\n", "")


def test_a_host_that_ignores_its_children_and_blocks_signals(tmp_path):
    (tmp_path / "sympy.py").write_text("raise SystemExit")
    code = f"""
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPROF, signal.SIGTERM])
from prm.verifiers import check
print(check(*{SLOW!r}, timeout=0.2).outcome, check("2(x+1)", "2x+2", timeout=10).outcome)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["timeout", "correct"]
