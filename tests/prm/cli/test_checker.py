"""`--checker` of every command that checks answers: functions and programs of a user, on the command line."""

import json
import shutil
import socket
import subprocess
import sys

import pytest
from places import ROOT

from prm import Chain, Problem, StepScores, write_records
from prm.benchmarks.perf.waiting_server import serve
from prm.benchmarks.results import read_shown, shown_path

GRADER = """
import json, sys

def is_lucky(text, gold, problem):
    return gold in text and problem.meta["lucky"] in text

if __name__ == "__main__":
    for line in sys.stdin:
        q = json.loads(line)
        lucky = q["gold"] in q["prediction"] and q["problem"]["meta"]["lucky"] in q["prediction"]
        print(json.dumps({"outcome": "correct" if lucky else "incorrect", "reason": "by luck"}))
"""
PROBLEM = Problem("p", "what is 2 + 2?", "4", {"lucky": "luck"})
TEXTS = ["By luck, 2 + 2 = 4.\nThe answer is 4", "Then 2 + 2 = 4.\nThe answer is 4", "By luck.\nThe answer is 5"]
BY_LUCK = ["correct", "incorrect", "incorrect"]
CHECKERS = ["grader:is_lucky", f"command(processes=2): {sys.executable} grader.py"]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder like a user's, in which the command runs."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("grader", "choice_checker"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    chains = [Chain(f"p/{n}", "p", tuple(text.splitlines(keepends=True))) for n, text in enumerate(TEXTS)]
    write_records(tmp_path / "p.jsonl", [PROBLEM])
    write_records(tmp_path / "c.jsonl", chains)
    write_records(
        tmp_path / "s.jsonl", [StepScores(c.id, "p", (0.5, 0.5 + n / 9), "prm") for n, c in enumerate(chains)]
    )
    (tmp_path / "grader.py").write_text(GRADER)
    write(tmp_path / "r.jsonl", *({"completion": text, "answer": "4", "lucky": "luck"} for text in TEXTS))
    return tmp_path


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def manifest(path):
    return json.loads(path.with_name(path.name + ".manifest.json").read_text())


@pytest.mark.parametrize("checker", CHECKERS)
def test_verify(prm, place, checker):
    code, out, err = prm("verify", "r.jsonl", "--checker", checker, "--out", "v.jsonl")
    assert code == 0, err
    assert [row["outcome"] for row in read(place / "v.jsonl")] == BY_LUCK
    assert "1 of 3" in out
    assert manifest(place / "v.jsonl")["settings"]["checker"].startswith(
        "grader.is_lucky#" if ":" in checker[:8] else "c"
    )


def test_verify_by_the_rules_of_a_data_set(prm, place):
    write(place / "r.jsonl", {"completion": "It is 9.79", "answer": "9.8"})
    for name, is_correct in {"math": False, "minerva": True}.items():
        assert prm("verify", "r.jsonl", "--checker", name, "--out", name)[0] == 0
        assert (read(place / name)[0]["outcome"] == "correct") == is_correct
    assert manifest(place / "minerva")["settings"]["checker"] == "minerva"
    assert "already there" in prm("verify", "r.jsonl", "--out", "math")[2], "math has the rules of the default"


@pytest.mark.parametrize("checker", CHECKERS)
def test_label(prm, place, base_model, checker):
    """The model's rollouts are 4 or 5, and never lucky."""
    given = (
        "label",
        "--model",
        base_model,
        "--problems",
        "p.jsonl",
        "--chains",
        "c.jsonl",
        "-k",
        4,
        "--out",
        "l.jsonl",
    )
    with serve() as server:
        code, _, err = prm(*given, "--endpoint", server.url, "--checker", checker)
        assert code == 0, err
        labels = read(place / "l.jsonl")
        assert [row["outcome"] for row in labels] == BY_LUCK
        assert {(row["right"][0], row["wrong"][0], row["undecided"][0]) for row in labels} == {(0, 4, 0)}
        code, _, err = prm(*given, "--endpoint", server.url)
        assert (code, "made with other settings" in err) == (1, True)


@pytest.mark.parametrize("checker", CHECKERS)
def test_best_of_n(prm, place, checker):
    given = ("eval", "best-of-n", "--problems", "p.jsonl", "--chains", "c.jsonl", "--scores", "A=s.jsonl")
    code, _, err = prm(*given, "--checker", checker, "--out", "e.json")
    assert code == 0, err
    assert read(place / "e.json.pools.jsonl")[0]["is_right"] == [True, False, False]
    assert prm(*given, "--out", "rules.json")[0] == 0
    assert read(place / "rules.json.pools.jsonl")[0]["is_right"] == [True, True, False]
    assert "checker" not in manifest(place / "rules.json")["settings"]


def test_the_world(prm, place):
    write_records(place / "w.jsonl", [Problem("w", "?", "3", {"values": [1, 3], "lucky": "luck"})])
    write_records(place / "wc.jsonl", [Chain("a", "w", ("found: 1 + 2 = 3\n", "The answer is 3"))])
    write_records(place / "ws.jsonl", [StepScores("a", "w", (0.9, 0.9), "prm")])
    given = ("eval", "world", "--problems", "w.jsonl", "--chains", "wc.jsonl", "--scores", "A=ws.jsonl")
    for number, checker in enumerate(["exact", "grader:is_lucky"]):
        code, _, err = prm(*given, "--checker", checker, "--out", f"{number}.json")
        assert code == 0, err
    shown = [read_shown(shown_path(place / f"{number}.json")) for number in range(2)]
    assert [chain.is_right for (chain,) in shown] == [True, False]


@pytest.mark.parametrize(("checker", "chosen"), [("exact", 0), ("grader:start_alike", 1), ("grader:never", 0)])
def test_rerank_votes_by_which_answers_are_equal(prm, place, checker, chosen):
    """Each gets one vote, or those that start with 6 vote together."""
    texts = [f"\\boxed{{{answer}}}" for answer in ("5", "6", "61", "62")]
    write_records(place / "c.jsonl", [Chain(f"p/{n}", "p", (text,)) for n, text in enumerate(texts)])
    write_records(place / "s.jsonl", [StepScores(f"p/{n}", "p", (0.9 - n / 9,), "prm") for n in range(4)])
    (place / "grader.py").write_text(
        "def start_alike(text, gold, problem):\n    return problem.id == 'p' and text[7] == gold[0]\n"
        "def never(text, gold, problem):\n    return False\n"
    )
    given = ("--problems", "p.jsonl", "--chains", "c.jsonl", "--scores", "s.jsonl", "--selection", "majority")
    code, _, err = prm("rerank", *given, "--checker", checker, "--out", "b.jsonl")
    assert code == 0, err
    assert read(place / "b.jsonl")[0]["index"] == chosen


@pytest.mark.parametrize("change", ["grader:is_lucky", "gsm8k", f"command: {sys.executable} grader.py x", "script"])
def test_a_job_is_done_again_only_by_the_same_checker(prm, place, change):
    given = ("verify", "r.jsonl", "--out", "v.jsonl", "--checker")
    assert prm(*given, CHECKERS[1])[0] == 0
    assert "already there" in prm(*given, CHECKERS[1].replace("processes=2", "processes=1"))[2]
    if change == "script":
        (place / "grader.py").write_text(GRADER + "# another\n")
    code, _, err = prm(*given, CHECKERS[1] if change == "script" else change)
    assert (code, "made with other" in err) == (1, True)


@pytest.mark.parametrize("command", ["verify r.jsonl", "rerank --problems p.jsonl --chains c.jsonl --scores s.jsonl"])
def test_a_checker_that_does_not_exist_is_one_line_and_a_remedy(prm, command):
    code, out, err = prm(*command.split(), "--checker", "minrva", "--out", "o.jsonl")
    assert (code, out) == (1, "")
    assert err.splitlines()[0] == "error: there is no checker 'minrva'; did you mean 'minerva'?"
    assert "module:function" in err


def test_a_program_that_fails_on_everything_ends_the_job(prm, place):
    code, _, err = prm("verify", "r.jsonl", "--checker", f"command(processes=1): {sys.executable} -c 1/0", "--out", "v")
    assert code == 1
    assert "gave no verdict 3 times in a row: it ended with code 1" in err
    assert not (place / "v").exists()


def test_a_checker_without_effect_is_refused(prm, place):
    write(place / "pb.jsonl", {"id": "gsm8k-0"})
    (place / "pools.jsonl").touch()
    for given in (["processbench", "pb.jsonl"], ["best-of-n", "--pools", "pools.jsonl"]):
        code, _, err = prm("eval", *given, "--scores", "A=s.jsonl", "--checker", "gsm8k", "--out", "e.json")
        assert (code, "checker='gsm8k' has no effect" in err) == (1, True)
    code, _, err = prm("verify", "r.jsonl", "--checker", "grader:is_lucky", "--timeout", 9)
    assert (code, "timeout has no effect" in err) == (1, True)


def test_the_audit_asks_the_checker(prm):
    code, out, _ = prm("verify", "r.jsonl", "--gold", "completion", "--audit-golds", "--checker", "grader:is_lucky")
    assert code == 1
    assert "r.jsonl:2" in out
    assert "against itself it is incorrect" in out
    assert "r.jsonl:1" not in out


# The checkers in examples/.


def test_multiple_choice(prm, place):
    shutil.copy(ROOT / "examples" / "choice_checker.py", place)
    options = ["10 cm", "12 cm", "14 cm"]
    texts = {"So it is 12 cm.": "correct", "The answer is (B).": "correct", "The answer is (A).": "incorrect"}
    write(place / "r.jsonl", *({"completion": text, "answer": "B", "options": options} for text in texts))
    code, _, err = prm("verify", "r.jsonl", "--checker", "choice_checker:check_options", "--out", "v.jsonl")
    assert code == 0, err
    assert [row["outcome"] for row in read(place / "v.jsonl")] == list(texts.values())


CODES = {
    "def add(a, b): return a + b": "correct",
    "Sure:\n```python\nimport math\ndef add(a, b):\n    return int(math.fsum([a, b]))\n```\nDone.": "correct",
    "def add(a, b): return a - b": "incorrect",
    "": "incorrect",
    "import sys; sys.exit(0)": "incorrect",
    "import os; os._exit(0)": "incorrect",
    'print(\'{"outcome": "correct"}\'); import os; os._exit(0)': "incorrect",
    'import os\nfor fd in range(20):\n  try: os.write(fd, b\'{"outcome": "correct"}\\n\')\n  except OSError: pass\n'
    "os._exit(0)": "incorrect",
    'import os\nfor fd in range(20):\n  try: os.write(fd, b\'["True", "True"]\')\n  except OSError: pass\n'
    "os._exit(0)": "incorrect",
    "import os\nfor fd in range(20):\n  try: os.write(fd, b'[' * 500000)\n  except OSError: pass\n"
    "os._exit(0)": "incorrect",
    "import os\nopen(f'/proc/{os.getppid()}/fd/1', 'w').write('{\"outcome\": \"correct\"}\\n')": "incorrect",
    "class Any:\n  def __eq__(self, other): return True\ndef add(a, b): return Any()": "incorrect",
    "import os\nwhile True: os.fork()": "incorrect",
    "def add(a, b):\n  import subprocess\n  subprocess.Popen(['sleep', '600'])\n  return a + b": "incorrect",
    "x = bytearray(10**12)\ndef add(a, b): return a + b": "incorrect",
    "f = open('x', 'wb')\nwhile True: f.write(b'x' * 10**6)": "incorrect",
    "while True: pass": "timeout",
    "import time; time.sleep(600)": "timeout",
}


def test_code_by_unit_tests(prm, place):
    tests = ["assert add(2, 3) == 5", "assert add(-1, 1) == 0"]
    write(place / "r.jsonl", *({"completion": code, "answer": "-", "meta": {"tests": tests}} for code in CODES))
    program = ROOT / "examples" / "code_checker.py"
    code, _, err = prm("verify", "r.jsonl", "--checker", f"command: {sys.executable} {program}", "--out", "v.jsonl")
    assert code == 0, err
    assert {row: found["outcome"] for row, found in zip(CODES, read(place / "v.jsonl"), strict=True)} == CODES


def test_code_has_no_network_or_the_program_says_so():
    """The server is on this machine, where a sandbox has another one of that address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket\nsocket.create_connection(('127.0.0.1', {port}))\ndef one(): return 1"
        question = {"prediction": code, "gold": "", "problem": {"meta": {"tests": ["assert one() == 1"]}}}
        program = [sys.executable, ROOT / "examples" / "code_checker.py"]
        done = subprocess.run(program, input=json.dumps(question), capture_output=True, text=True, check=True)
    says_so = "the code can use the network" in done.stderr
    assert json.loads(done.stdout)["outcome"] == ("correct" if says_so else "incorrect")


def test_tests_that_cannot_be_run_are_no_evidence(prm, place):
    tests = [["assert add(1, 1)"], ["assert add(1, 1) == x"], ["add(1, 1) =="], None]
    write(place / "r.jsonl", *({"completion": "def add(a, b): return 2", "answer": "-", "tests": t} for t in tests))
    program = ROOT / "examples" / "code_checker.py"
    assert prm("verify", "r.jsonl", "--checker", f"command: {sys.executable} {program}", "--out", "v.jsonl")[0] == 0
    assert {row["outcome"] for row in read(place / "v.jsonl")} == {"error"}
