"""Text that means harm, and the process that stands in its way."""

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time

import pytest
from verifier_samples import ROOT

import verifiers
from verifiers import Outcome, Verdict, answer_key, check, checking
from verifiers.parser import MAX_DEPTH, Node, ParseError, fold, parse
from verifiers.symbolic import WORKER, Budget, Worker

# Equal, but only after expanding a sum of four terms to its 90th power.
_SUM = r"(\sqrt{x}+\sqrt{y}+\sqrt{z}+w)^{90}"
SLOW, SLOW_TOO = f"{_SUM}(x+1)", f"{_SUM}x+{_SUM}"


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.close()


@pytest.mark.parametrize(
    "text",
    [
        "9^{9^{9^9}}",
        "((9^9999)^9999)^9999",
        "99999999!",
        "1e999999999",
        "9" * 1_900,
        "(" * 500 + "1" + ")" * 500,
        "{" * 900 + "1" + "}" * 900,
        "-" * 1_900 + "1",
        "2^" * 900 + "2",
        "\\frac" * 300 + "1" * 300,
        "\\sqrt" * 300 + "2",
        "1+" * 900 + "1",
        "|" * 1_000,
        "x!!!!!!",
        "\x00",
        "\ud800",
        "\ud800\\frac{1}{\udfff}",
        "__import__('os').system('touch pwned')",
        "lambda: 1",
        "Symbol('x').__class__",
        "1_000",
        "nan",
        "\u0661\u0662",
        "\u00b2\u00b3",
    ],
)
@pytest.mark.parametrize("gold", ["5", "x+1"])
def test_hostile_answers_are_never_correct_and_never_raise(text, gold, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = time.monotonic()
    for pair in ((f"\\boxed{{{text}}}", gold), (text, gold), (gold, text)):
        verdict = check(*pair, timeout=2)
        assert not verdict.is_correct
        assert not verdict.reason.startswith("the checker failed")
    assert time.monotonic() - start < 20
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "7 " * 500_000,
        "\\boxed{" * 150_000,
        "{" * 1_000_000,
        "answer is " * 100_000,
        "#" * 1_000_000,
        "1," * 500_000,
        "$" * 1_000_000,
        " " * 1_000_000 + "x",
        "answer" + " " * 1_000_000,
        "a" * 1_000_000,
        "9" * 1_000_000,
        "-" * 1_000_000,
    ],
    ids=lambda text: text[:10],
)
def test_a_megabyte_is_read_in_no_time(text):
    start = time.monotonic()
    check(text, "5")
    check("5", text)
    assert time.monotonic() - start < 3
    assert check(text + "\n#### 5", "5").is_correct


def test_the_parser_has_limits():
    parse("(" * (MAX_DEPTH - 2) + "1" + ")" * (MAX_DEPTH - 2))
    for text in ("(" * (MAX_DEPTH + 2) + "1", "1" * 500, "+x" * 600, "1" * 3_000):
        with pytest.raises(ParseError):
            parse(text)
    assert fold(parse("9^{9^{9}}")) is None
    assert fold(parse("1/0")) is None


def test_a_late_worker_is_killed_and_replaced(worker):
    left, right = parse(SLOW), parse(SLOW_TOO)
    assert worker.compare(parse("x+1"), parse("1+x"), Budget(10)).outcome is Outcome.CORRECT
    first = worker.pid
    start = time.monotonic()
    assert worker.compare(left, right, Budget(0.2)).outcome is Outcome.TIMEOUT
    assert time.monotonic() - start < 5
    assert worker.pid is None
    assert worker.compare(parse("x+1"), parse("x+2"), Budget(10)).outcome is Outcome.INCORRECT
    assert worker.pid not in (None, first)
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_a_timeout_is_a_verdict_and_the_next_check_is_decided():
    verdict = check(f"\\boxed{{{SLOW}}}", SLOW_TOO, timeout=0.2)
    assert verdict.outcome is Outcome.TIMEOUT
    assert not verdict.is_decided
    assert check("2(x+1)", "2x+2", timeout=10).is_correct


def test_a_worker_that_died_is_replaced():
    assert check("2(x+1)", "2x+2", timeout=10).is_correct
    os.kill(WORKER.pid, 9)
    verdict = check("3(x+1)", "3x+3", timeout=10)
    assert verdict.is_correct or verdict.outcome is Outcome.ERROR
    assert check("3(x+1)", "3x+3", timeout=10).is_correct


def test_items_of_a_list_share_the_time():
    prediction, gold = f"\\boxed{{({SLOW}, {SLOW}, {SLOW})}}", f"({SLOW_TOO}, {SLOW_TOO}, {SLOW_TOO})"
    check("2(x+1)", "2x+2", timeout=10)  # the worker is up
    start = time.monotonic()
    assert check(prediction, gold, timeout=0.3).outcome is Outcome.TIMEOUT
    assert time.monotonic() - start < 2


def test_large_sums_and_powers_can_be_keyed():
    for text in ("2^11999", "2^12001", "+".join(f"1/{n}^99" for n in range(2, 90)), "7.x"):
        assert answer_key(f"\\boxed{{{text}}}")


def test_a_tree_that_the_worker_does_not_know_is_an_error(worker):
    assert worker.compare(Node("eval", "1"), parse("1"), Budget(10)).outcome is Outcome.ERROR


def test_the_worker_limits_its_memory():
    code = "from verifiers.worker import limit_memory; limit_memory(); bytearray(2 * 2**30)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "MemoryError" in run.stderr


def test_threads_share_the_worker():
    verdicts = {}

    def work(number):
        verdicts[number] = check(f"{number}(x+1)", f"{number}x+{number if number % 2 else 0}", timeout=30)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: verdict.is_correct for number, verdict in verdicts.items()} == {n: n % 2 == 1 for n in range(2, 10)}


def _check_in_child(queue):
    queue.put((check("2(x+1)", "2x+2", timeout=10).outcome.value, WORKER.pid))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_starts_its_own_worker():
    assert check("2(x+1)", "2x+2", timeout=10).is_correct
    parents = WORKER.pid
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_check_in_child, args=(queue,))
    child.start()
    outcome, childs = queue.get(timeout=60)
    child.join()
    queue.close()
    queue.join_thread()
    assert (outcome, WORKER.pid) == ("correct", parents)
    assert childs not in (None, parents)
    assert check("2(x+3)", "2x+6", timeout=10).is_correct


def test_a_bug_is_an_error_with_its_name(monkeypatch):
    def broken(*_):
        raise LookupError("oops")

    monkeypatch.setattr(checking, "compare", broken)
    assert check("1", "1") == Verdict(Outcome.ERROR, "the checker failed: LookupError", None)


def test_wrong_use_raises():
    with pytest.raises(TypeError, match="NoneType"):
        check(None, "1")
    for timeout in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="timeout"):
            check("1", "1", timeout=timeout)


def test_import_is_light():
    code = (
        "import sys, verifiers; verifiers.check('7', '7'); print([m for m in ('sympy', 'torch') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_worker_ends_with_its_parent():
    code = (
        "import json; from verifiers import check; from verifiers.symbolic import WORKER\n"
        "check('2(x+1)', '2x+2', timeout=10); print(json.dumps(WORKER.pid))"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(json.loads(run.stdout), 0)


def test_all_is_what_is_there():
    assert verifiers.DISTRIBUTION == "prm-toolkit"
    assert all(hasattr(verifiers, name) for name in verifiers.__all__)
    assert list(verifiers.__all__) == sorted(verifiers.__all__)
