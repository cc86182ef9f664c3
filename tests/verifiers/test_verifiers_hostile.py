"""Hostile text."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from places import ROOT

from prm import verifiers
from prm.verifiers import Outcome, Verdict, answer_key, check, checking
from prm.verifiers.expressions.parser import MAX_DEPTH, ParseError, fold, parse


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
    start = time.process_time()
    check(text, "5")
    check("5", text)
    assert time.process_time() - start < 3
    assert check(text + "\n#### 5", "5").is_correct


def test_64_threads_give_the_verdicts_of_one():
    texts = ["9^{9^{9^9}}", "((9^9999)^9999)^9999", "99999999!", "(" * 500 + "1", "\ud800"]
    golds = ["5", "x+1", r"\frac{\pi}{6}", "(1,2)"]
    jobs = [(rf"\boxed{{{text}}}", gold, 30) for text in texts for gold in golds]
    jobs += [(r"\boxed{\sum_{k=1}^{9^{9}} k^{k}}", gold, 1) for gold in golds]  # never done
    jobs += [(rf"\boxed{{{n}(x+1)^2}}", f"{n}x^2+{2 * n}x+{n + n % 2}", 30) for n in range(1, 41)]

    def verdict(job):
        prediction, gold, seconds = job
        return check(prediction, gold, timeout=seconds)

    alone = [verdict(job) for job in jobs]
    with ThreadPoolExecutor(64) as threads:
        assert list(threads.map(verdict, jobs)) == alone


def test_the_parser_has_limits():
    parse("(" * (MAX_DEPTH - 2) + "1" + ")" * (MAX_DEPTH - 2))
    for text in ("(" * (MAX_DEPTH + 2) + "1", "1" * 500, "+x" * 600, "1" * 3_000):
        with pytest.raises(ParseError):
            parse(text)
    assert fold(parse("9^{9^{9}}")) is None
    assert fold(parse("1/0")) is None


def test_large_sums_and_powers_can_be_keyed():
    for text in ("2^11999", "2^12001", "+".join(f"1/{n}^99" for n in range(2, 90)), "7.x"):
        assert answer_key(f"\\boxed{{{text}}}")


def test_powers_of_matrices_are_worked_out_cell_by_cell():
    ones = "\\\\".join(["&".join("1" * 10)] * 10)
    started = time.process_time()
    key = answer_key(f"\\boxed{{\\begin{{pmatrix}}{ones}\\end{{pmatrix}}^{{10}}}}")
    assert key.startswith("matrix 10x10:1000000000,")
    letters = r"\begin{pmatrix}a&b\\c&d\end{pmatrix}^{10}"
    assert check(letters, r"\begin{pmatrix}1&0\\0&1\end{pmatrix}").outcome in (Outcome.ERROR, Outcome.INCORRECT)
    assert time.process_time() - started < 60, "minutes, if each cell kept all the products in it"
    assert check(r"\begin{pmatrix}x&0\\0&-1\end{pmatrix}^2", r"\begin{pmatrix}x^2&0\\0&1\end{pmatrix}").is_correct


def test_a_bug_is_an_error_with_its_name(monkeypatch):
    def broken(*_):
        raise LookupError("oops")

    monkeypatch.setattr(checking, "compare", broken)
    assert check("1", "2") == Verdict(Outcome.ERROR, "the checker failed: LookupError", None)


def test_wrong_use_raises():
    with pytest.raises(TypeError, match="NoneType"):
        check(None, "1")
    for timeout in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="timeout"):
            check("1", "1", timeout=timeout)


def test_import_is_light():
    heavy = ("sympy", "torch")
    code = (
        f"import sys; from prm.verifiers import check; check('7', '7'); print([m for m in {heavy} if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_all_is_what_is_there():
    assert all(hasattr(verifiers, name) for name in verifiers.__all__)
    assert len(verifiers.__all__) == len(set(verifiers.__all__))
