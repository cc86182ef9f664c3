"""Checkers of any kind: which one a text names, what a program may do, and what it may cost."""

import json
import os
import pickle
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from prm.data.records import Problem
from prm.verifiers import CheckerError, Command, Outcome, StreamChecker, Verdict
from prm.verifiers.checkers import Rules, checker_of, judge, judge_each, processes
from prm.verifiers.policy import PRESETS, Policy
from prm.verifiers.rewards import RuleReward

GRADER = """
import json, os, signal, sys, time
if "slow" in sys.argv:
    time.sleep(2)
for line in sys.stdin:
    question = json.loads(line)
    text = question["prediction"]
    if text == "die":
        os._exit(3)
    if text == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if text == "hang":
        if os.fork() == 0:
            open("child", "w").write(str(os.getpid()))
        time.sleep(600)
    while text == "trickle":
        print(" ", end="", flush=True)
        time.sleep(0.01)
    if text == "later":
        time.sleep(0.3)
    answers = {
        "word": "correct", "list": "[true]", "other": '{"outcome": "maybe"}', "empty": "", "deep": "[" * 100_000,
        "latin": b'{"outcome": "\\xff"}', "yes": "true", "no": "false", "none": "null", "text": '"timeout"',
        "two": 'true\\ntrue', "long": " " * 2**21 + "true",
        "pid": json.dumps({"outcome": "correct", "reason": os.getpid()}),
        "surrogate": '{"outcome": "error", "reason": "\\\\ud800\\\\nb", "answer": 7}',
        "problem": json.dumps({"outcome": "correct", "answer": json.dumps(question["problem"])}),
    }
    outcome = "correct" if text == question["gold"] else "incorrect"
    answer = answers.get(text, json.dumps({"outcome": outcome, "reason": f"{len(text)} characters"}))
    sys.stdout.buffer.write((answer if isinstance(answer, bytes) else answer.encode()) + b"\\n")
    sys.stdout.buffer.flush()
"""


@pytest.fixture
def grader(tmp_path, monkeypatch):
    """Starts the program above, with these settings."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grader.py").write_text(GRADER)
    return lambda *words, **settings: Command(" ".join([sys.executable, "grader.py", *words]), **settings)


def ask(checker, *predictions, gold="7"):
    return list(judge_each(checker, ((text, gold, None) for text in predictions)))


def is_alive(pid):
    """Whether a process runs; a zombie, which its parent has not waited for, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


# What a program may answer.


def test_a_program_answers_in_order_while_several_work(grader):
    texts = ["later", *(str(number) for number in range(20)), "7", "later"]
    found = ask(grader(processes=3), *texts)
    assert [verdict.outcome for verdict in found] == ["correct" if text == "7" else "incorrect" for text in texts]
    assert [verdict.reason for verdict in found] == [f"{len(text)} characters" for text in texts]


@pytest.mark.parametrize(
    ("text", "outcome"), [("yes", "correct"), ("no", "incorrect"), ("none", "no_answer"), ("text", "timeout")]
)
def test_an_answer_may_be_bare(grader, text, outcome):
    assert [verdict.outcome for verdict in ask(grader(), text)] == [outcome]


def test_texts_of_any_kind_and_size_arrive(grader):
    for text in ("π ≠ 3 😀\n\r\u2028", "\ud800", "x" * 5_000_000):
        assert ask(grader(processes=1), text, gold=text) == [Verdict(Outcome.CORRECT, f"{len(text)} characters", None)]


def test_reasons_fit_on_a_line_of_a_file(grader):
    assert ask(grader(), "surrogate") == [Verdict(Outcome.ERROR, "? b", "7")]


@pytest.mark.parametrize("problem", [None, Problem("p", "2?", "7", {"tests": ["é"]}), {"id": "p", "at": {1}}])
def test_the_problem_arrives_whole(grader, problem):
    received = json.loads(grader(processes=1)("problem", "7", problem).answer)
    own = {"id": "p", "text": "2?", "answer": "7", "meta": {"tests": ["é"]}, "other_answers": []}
    assert received == (own if isinstance(problem, Problem) else problem and {"id": "p", "at": "{1}"})


# What it may cost.


@pytest.mark.parametrize("wrong", ["word", "list", "other", "empty", "deep", "latin", "two", "long", "die", "kill"])
def test_what_is_no_verdict_costs_one_verdict(grader, wrong):
    found = ask(grader(processes=1), "7", wrong, "7", wrong, "8")
    assert [verdict.outcome for verdict in found] == ["correct", "error", "correct", "error", "incorrect"]
    assert found[1].reason.startswith("the checker command w" if wrong != "die" else "the checker command ended with")


def test_one_that_hangs_is_killed_with_all_it_started(grader, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "START_SECONDS", 5.0)
    found = ask(grader(processes=1, seconds=1), "7", "hang", "7")
    assert [verdict.outcome for verdict in found] == ["correct", "timeout", "correct"]
    assert found[1].reason == "the checker command gave no answer within 1 s"
    assert not is_alive((tmp_path / "child").read_text())


def test_one_that_writes_on_and_on_takes_too_long_too(grader, monkeypatch):
    monkeypatch.setattr(processes, "START_SECONDS", 5.0)
    found = ask(grader(processes=1, seconds=1), "7", "trickle")
    assert [verdict.outcome for verdict in found] == ["correct", "timeout"]


def test_the_start_of_a_process_is_not_part_of_its_first_answer(grader):
    assert [verdict.outcome for verdict in ask(grader("slow", processes=1, seconds=0.5), "7")] == ["correct"]


def test_a_process_that_is_killed_while_it_waits_costs_nothing(grader):
    checker = grader(processes=1)
    pids = []
    for _ in range(3):
        pids.append(int(checker("pid", "7").reason))
        os.kill(pids[-1], signal.SIGKILL)
        wait_until(lambda: not is_alive(pids[-1]))
    assert len(set(pids)) == 3


def test_a_process_that_is_killed_at_work_costs_its_question(grader, tmp_path):
    checker = grader(processes=1)
    pid = int(checker("pid", "7").reason)
    killer = threading.Thread(target=lambda: (wait_until((tmp_path / "child").exists), os.kill(pid, signal.SIGKILL)))
    killer.start()
    found = ask(checker, "hang", "7")
    killer.join()
    assert found[0] == Verdict(Outcome.ERROR, "the checker command was killed by signal 9", None)
    assert found[1].is_correct


def test_a_line_that_comes_too_late_is_not_the_answer_to_the_next_question(tmp_path):
    """It would be the wrong verdict for every question after it."""
    (tmp_path / "g.py").write_text(
        "import json, sys, time\nfor line in sys.stdin:\n"
        "    print('true')\n    time.sleep(0.1)\n    print('true')\n    time.sleep(600)"
    )
    checker = Command(f"{sys.executable} {tmp_path / 'g.py'}", processes=1)
    assert checker("7", "7").is_correct
    time.sleep(1)
    assert checker("8", "7").is_correct, "by another process, asked this very question"


def test_nothing_is_left_running(grader):
    checker = grader(processes=2)
    pids = {verdict.reason for verdict in ask(checker, *["pid"] * 40)}
    assert all(map(is_alive, pids))
    del checker
    assert not any(map(is_alive, pids))


def test_a_stream_that_is_left_early_leaves_no_process_at_work(grader, tmp_path):
    found = judge_each(grader(processes=2), ((text, "7", None) for text in ["7", "hang", "later", "later"]))
    assert next(found).is_correct
    wait_until((tmp_path / "child").exists)
    found.close()
    wait_until(lambda: not is_alive((tmp_path / "child").read_text()))


@pytest.mark.parametrize("line", ["false", "true", f"{sys.executable} none.py", "echo hello"])
def test_a_program_that_never_gives_a_verdict_ends_the_job(line):
    with pytest.raises(CheckerError, match=r"gave no verdict \d times in a row: it ") as caught:
        ask(Command(line), *["7"] * 5)
    assert "one JSON object per line" in caught.value.hint


def test_a_program_that_gives_no_more_verdicts_ends_the_job_later(grader):
    checker = grader(processes=1)
    assert len(ask(checker, "7", *["die"] * 19, "7", *["die"] * 19)) == 40
    with pytest.raises(CheckerError, match="gave no verdict 20 times in a row: it ended with code 3"):
        ask(checker, "die")


def test_a_copy_is_a_checker_of_its_own(grader):
    checker = grader(seconds=9, processes=1)
    copy = pickle.loads(pickle.dumps(checker))
    assert (str(copy), copy.processes) == (str(checker), 1)
    assert int(copy("pid", "7").reason) != int(checker("pid", "7").reason)


def test_a_forked_process_does_not_read_its_parents_answers(grader):
    checker = grader(processes=1)
    before = checker("pid", "7").reason
    child = os.fork()
    if child == 0:
        os._exit(checker("pid", "7").reason == before)
    assert os.waitpid(child, 0)[1] == 0
    assert checker("pid", "7").reason == before


# Which one a text names.


@pytest.mark.parametrize("name", PRESETS)
def test_the_name_of_a_policy_is_our_checker(name):
    assert checker_of(name) == checker_of(PRESETS[name]) == Rules(PRESETS[name])
    assert PRESETS[str(checker_of(name))] == PRESETS[name]


def test_a_policy_without_a_name_is_written_out():
    assert str(checker_of(Policy(relative=0.07))) == repr(Policy(relative=0.07))


def test_a_function_of_a_module_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "my_grader.py").write_text("def is_same(text, gold, problem):\n    return text == gold\n")
    checker = checker_of("my_grader:is_same")
    assert [verdict.outcome for verdict in ask(checker, "7", "8")] == ["correct", "incorrect"]
    assert checker_of(checker) is checker
    with pytest.raises(CheckerError, match=r"module my_grader has no 'is_some'; did you mean 'is_same'\?"):
        checker_of("my_grader:is_some")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("minrva", "there is no checker 'minrva'; did you mean 'minerva'?"),
        ("grader.py", "there is no checker 'grader.py'"),
        ("", "there is no checker ''"),
        ("no_such_module:check", "no_such_module:check cannot be imported: No module named 'no_such_module'"),
        ("os:sep", "checker='/' is not a function"),
        ("os.path:exists", "exists cannot be called: too many positional arguments"),
        ("command:", "the checker command is empty"),
        ("command: 'a", "No closing quotation"),
        ("command: no-such-program 7", "no program 'no-such-program'"),
        ("command(seconds=0): true", "seconds must be above 0"),
        ("command(processes=0): true", "processes from 1"),
        ("command(patience=1): true", "'patience=1' are not settings of a command"),
        ("command(seconds=x): true", "'seconds=x' are not settings of a command"),
    ],
)
def test_a_text_that_names_no_checker_is_refused_with_a_remedy(text, message):
    with pytest.raises(CheckerError) as caught:
        checker_of(text)
    assert message in str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_the_settings_of_a_command_stand_before_it():
    checker = checker_of("command(seconds=2.5, processes=3): grep -c 'a b'")
    assert (checker.seconds, checker.processes, checker.command) == (2.5, 3, "grep -c 'a b'")
    assert str(checker_of(str(checker))) == str(checker) == "command(seconds=2.5): grep -c 'a b'"


# Asking any of them.


def test_what_a_function_raises_costs_one_verdict():
    def broken(text, gold, problem):
        raise RuntimeError("boom")

    assert judge(broken, "7", "7", None) == Verdict(Outcome.ERROR, "the checker raised RuntimeError", None)


def test_an_outcome_written_as_text_is_an_outcome():
    found = judge(lambda *_: Verdict("correct", "by hand", "7"), "7", "7", None)
    assert found.is_correct
    assert found.reason == "by hand"


def test_a_checker_of_yours_may_work_on_several_answers_at_once():
    class Batched(StreamChecker):
        def __call__(self, prediction, gold, problem=None):
            raise AssertionError

        def check_each(self, questions):
            yield from (Verdict(Outcome.CORRECT, str(number), None) for number, _ in enumerate(questions))

    assert [verdict.reason for verdict in ask(Batched(), "7", "8")] == ["0", "1"]


@pytest.mark.parametrize("checker", [lambda text, gold, problem: text == problem, "command: true"])
def test_a_rule_reward_takes_a_checker(checker, grader):
    reward = RuleReward(checker=checker if callable(checker) else f"command: {sys.executable} grader.py")
    assert reward("9", "7", problem="9").parts == ({"correct": 1.0} if callable(checker) else {"correct": 0.0})
    assert reward("7", "7", problem="7").total == 1.0
    assert reward("die", "7").total == (0.0 if callable(checker) else None), "undecided is excluded"


def test_a_rule_reward_with_a_command_can_be_sent_elsewhere(grader):
    reward = pickle.loads(pickle.dumps(RuleReward(checker=f"command: {sys.executable} grader.py")))
    assert reward("7", "7").total == 1.0
    with pytest.raises(ValueError, match="there is no checker"):
        RuleReward(checker="none")
