r"""Hostile text: how long the checker takes, how much memory a worker uses, and which verdicts it gives.

    python -m prm.benchmarks.perf.verify_hostile

Every pair is checked from the main thread, from 8 and from 64 threads, and in 200 concurrent asyncio calls, each time
among ordinary pairs with known verdicts. With more calls than workers, the time of a call includes its wait in the
queue.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

import psutil

from prm.verifiers import Verdict, check, check_async
from prm.verifiers.expressions.symbolic import WORKER

from .job import machine

Pairs = list[tuple[str, str]]
"""Predictions and golds."""
Timed = list[tuple[float, Verdict]]
"""The seconds that each check took, and its verdict."""
LIMIT = 2.0
"""Time limit of a check in seconds, the default of `check`."""
ORDINARY = [
    (r"\boxed{\frac{1}{2}}", "0.5", True),
    ("The answer is 7.", "8", False),
    (r"\boxed{(x+1)(x-1)}", "x^2-1", True),
    (r"\boxed{(x+1)^2}", "x^2+1", False),
    (r"\boxed{\frac{\sqrt{6}+\sqrt{2}}{4}}", r"\frac{1}{4}(\sqrt{2}+\sqrt{6})", True),
    (r"\boxed{[0,\infty)}", r"x \geq 0", True),
]
"""Prediction, gold, and whether they are equal."""


def texts() -> Iterator[str]:
    """Yield answers that hang, exhaust memory or run as code in one checker or another."""
    yield from _powers()
    yield from _large()
    yield from _nested()
    yield from _calculus()
    yield from _injected()
    yield from _strange()
    yield from _long()


def _powers() -> Iterator[str]:
    for base, top in product(
        ("9", "x", "(x+y)", "0.1", r"\pi", "(1+i)"), ("9^{9^9}", "9999999", "-9999999", "9^{9^{9^9}}")
    ):
        yield f"{base}^{{{top}}}"
    for depth in (10, 50, 400):
        yield "2^" * depth + "2"
        yield "2^{" * depth + "2" + "}" * depth
    yield from (f"((((3^{{{n}}})^{{{n}}})^{{{n}}})^{{{n}}})" for n in (99, 999, 9999))
    yield from (f"(a+b+c+d)^{{{n}}}-(d+c+b+a)^{{{n}}}" for n in (30, 60, 200, 900))
    yield from (rf"(\sqrt{{x}}+\sqrt{{y}}+\sqrt{{z}}+w)^{{{n}}}(x+1)" for n in (20, 60, 90))


def _large() -> Iterator[str]:
    yield from (f"{n}!" for n in (999, 4999, 5001, 99999, 10**9, 10**30))
    yield from ("9!!!", "99!!", "((5!)!)!", "x!!!!!!", "(10^9)!/(10^9-1)!")
    yield from (rf"\binom{{{n}}}{{{n // 2}}}" for n in (1999, 4000, 10**6, 10**12))
    yield from ("9" * n for n in (401, 1_999, 10_000, 1_000_000))
    yield from (f"1e{n}" for n in (399, 401, 9999, 999999999))
    yield from (f"0.{'3' * n}" for n in (399, 401, 100_000))
    yield from (rf"0.\overline{{{'7' * n}}}" for n in (40, 41, 5_000))
    yield from (rf"\sqrt[{n}]{{2}}" for n in (3, 10**6, "10^{9}", "0", "-1", r"\infty"))
    yield from (rf"\log_{{{n}}} {m}" for n, m in (("1", "2"), ("0", "5"), ("10", "0"), ("2", "9^{9^9}"), ("-1", "-1")))
    yield from (f"{n}_{{{b}}}" for n, b in (("Z" * 300, "36"), ("1" * 390, "2"), ("9", "99"), ("1", "0"), ("2", "1")))


def _nested() -> Iterator[str]:
    for opening, closing in (("(", ")"), ("{", "}"), ("[", "]"), (r"\{", r"\}"), (r"\frac{", "}{2}"), (r"\sqrt{", "}")):
        for depth in (30, 300, 900):
            yield opening * depth + "1" + closing * depth
    for piece in ("|", "-", "+", "!", r"\frac", r"\sqrt", r"\sin ", "^", "_", "1,", "(1,", "x=", r"\pm ", "1+", "1/"):
        yield piece * 300 + "1"
        yield "1" + piece * 300


def _calculus() -> Iterator[str]:
    for bound in ("10^{9}", "9^{9^9}", r"\infty"):
        yield rf"\sum_{{k=1}}^{{{bound}}} k^{{k}}"
        yield rf"\prod_{{k=1}}^{{{bound}}} k"
        yield rf"\int_0^{{{bound}}} e^{{-x^2}}\sin(x^x) dx"
        yield rf"\lim_{{x\to {bound}}} x^x"
    for n in (5, 30, 200):
        row = "&".join(f"a_{{{j}}}" for j in range(n))
        yield r"\begin{pmatrix}" + r"\\".join([row] * n) + r"\end{pmatrix}"
        yield r"\det\begin{pmatrix}" + r"\\".join([row] * n) + r"\end{pmatrix}"
    yield from (r"\int" * n + "x" for n in (1, 100))
    yield from ("+".join(rf"\sin({i}x)\cos({i}y)" for i in range(1, n)) for n in (5, 20, 40))
    yield from ("*".join(f"(x-{i})" for i in range(1, n)) for n in (10, 40, 90))
    yield from ("/".join(["x"] * n) for n in (10, 200))
    yield from (
        r"\tan(\tan(\tan(\tan(10^{50}))))",
        r"\sin(10^{300})",
        r"\ln(\ln(\ln(\ln(2))))",
        r"\frac{1}{0}",
        "0^0",
        "0^{-1}",
    )


def _injected() -> Iterator[str]:
    target = "pwned"
    for code in (
        f"__import__('os').system('touch {target}')",
        f"open('{target}', 'w')",
        f"exec(\"open('{target}','w')\")",
        f"eval('open(\\'{target}\\',\\'w\\')')",
        "[c for c in ().__class__.__base__.__subclasses__()]",
        "lambda: 1",
        "Symbol('x').__class__.__init__.__globals__",
        "sympify('x')",
        "S('1')",
        "Integer(10)**Integer(10**10)",
        "x.__class__",
        "globals()",
        "print(1)",
        "1 if True else 2",
        "import os",
        "os.abort()",
        "{}.__class__",
        "f'{1}'",
        "%s%n%x",
        "$(touch pwned)",
        "`touch pwned`",
        "; rm -rf /",
        "' OR 1=1 --",
        "<script>alert(1)</script>",
        "../../etc/passwd",
    ):
        yield code
        yield rf"\text{{{code}}}"
        yield f"5+{code}"
    for command in (
        r"\input{/etc/passwd}",
        r"\write18{touch pwned}",
        r"\immediate\write18{ls}",
        r"\csname x\endcsname",
        r"\def\x{\x\x}\x",
        r"\newcommand{\a}{\a\a}\a",
        r"\loop\iftrue\repeat",
        r"\catcode`\{=12",
        r"\openout5=pwned",
    ):
        yield command
        yield rf"\frac{{1}}{{{command}}}"


def _strange() -> Iterator[str]:
    for mark in (
        "\x00",
        "\ud800",
        "\udfff",
        "\u202e",
        "\u200b",
        "\ufeff",
        "\u0661",
        "\u00b2",
        "\uff15",
        "\U0001d7d8",
        "\u0301",
        "\x1b[2J",
        "\r",
        "\x0b",
        "\u2028",
    ):
        yield mark
        yield f"5{mark}"
        yield f"{mark}5{mark}6"
    yield from (
        "nan",
        "inf",
        "-inf",
        "1_000",
        "0x10",
        "0b1",
        "1j",
        "None",
        "True",
        "١٢٣",
        "Ⅻ",
        "½½",
        "①",
        "\U0001d7d4",
        "5\u0301",
    )


def _long() -> Iterator[str]:
    for piece in (
        "7 ",
        r"\boxed{",
        "{",
        "}",
        "answer is ",
        "#",
        "####",
        "1,",
        "a=",
        "$",
        r"\text{",
        "(",
        "0.",
        "x+",
        r"\frac{1}{2}",
        "<answer>",
        "<think>",
        " ",
        "\n",
        "1 ",
    ):
        yield piece * (400_000 // len(piece))
    yield "answer" + " " * 100_000 + "is"
    yield "answer is" + "*" * 100_000
    yield "1" + " 000" * 50_000
    yield r"\text{" + "a " * 50_000 + "}"
    yield "a" * 50_000 + "!"


def slow_pairs() -> Iterator[tuple[str, str]]:
    """Yield pairs that are equal only after expanding a sum to a high power; most exceed any worker's time."""
    for n in range(30, 100, 10):
        power = rf"(\sqrt{{x}}+\sqrt{{y}}+\sqrt{{z}}+w)^{{{n}}}"
        yield f"\\boxed{{{power}(x+1)}}", f"{power}x+{power}"


def corpus() -> Pairs:
    """The slow pairs, each text as a boxed prediction, and some short texts as the gold answer of an ordinary one."""
    found = list(slow_pairs())
    for i, text in enumerate(texts()):
        gold = ("5", "x+1", r"\frac{\pi}{6}", "(1,2)")[i % 4]
        found.append((f"\\boxed{{{text}}}", gold))
        if len(text) < 2_000 and i % 3 == 0:
            found.append((f"\\boxed{{{gold}}}", text))
    return found


def main() -> None:
    """Measure, and print one line per way of calling."""
    pairs = corpus()
    ways: dict[str, Callable[[Pairs], tuple[Timed, int]]] = {
        "main thread": in_turn,
        "8 threads": partial(in_threads, threads=8),
        "64 threads": partial(in_threads, threads=64),
        "asyncio, 200 at once": in_asyncio,
    }
    found: dict[str, Timed] = {}
    print(f"{machine()}: {len(pairs)} hostile pairs, limit {LIMIT:g} s")
    with tempfile.TemporaryDirectory() as folder:
        home = Path.cwd()
        os.chdir(folder)
        for name, run in ways.items():
            found[name], wrong = run(pairs)
            report(name, found[name], wrong, differing(found[name], found["main thread"]))
        left = list(Path(folder).iterdir())
        os.chdir(home)
    print("no side effects" if not left else f"LEFT BEHIND: {left}")
    WORKER.close()
    print(f"{len(psutil.Process().children(recursive=True))} processes left")


def differing(hostile: Timed, alone: Timed) -> int:
    """The number of pairs whose outcome is another than in the main thread."""
    return sum(one.outcome != other.outcome for (_, one), (_, other) in zip(hostile, alone, strict=True))


def report(name: str, hostile: Timed, wrong: int, differ: int) -> None:
    """Print one line: slowest check, outcomes, memory, wrong verdicts on ordinary pairs, and differing outcomes."""
    outcomes = Counter(verdict.outcome.value for _, verdict in hostile)
    workers = psutil.Process().children(recursive=True)
    memory = max((worker.memory_info().rss for worker in workers), default=0) / 2**20
    worst = max(seconds for seconds, _ in hostile)
    late = sum(seconds > LIMIT + 0.5 for seconds, _ in hostile)
    print(
        f"{name}: worst {worst:.2f} s, {late} late, {dict(outcomes)}, worker {memory:.0f} MiB, "
        f"{wrong} ordinary wrong, {differ} differ"
    )


def in_turn(pairs: Pairs) -> tuple[Timed, int]:
    """Check one pair after the other, with an ordinary one after every fifth."""
    found, wrong = [], 0
    for i, pair in enumerate(pairs):
        found.append(_timed(pair))
        if i % 5 == 0:
            prediction, gold, is_equal = ORDINARY[i // 5 % len(ORDINARY)]
            wrong += check(prediction, gold).is_correct != is_equal
    return found, wrong


def _timed(pair: tuple[str, str]) -> tuple[float, Verdict]:
    started = time.perf_counter()
    verdict = check(*pair)
    return time.perf_counter() - started, verdict


def in_threads(pairs: Pairs, threads: int) -> tuple[Timed, int]:
    """Check from several threads at once, with ordinary pairs among them."""
    ordinary = [ORDINARY[i % len(ORDINARY)] for i in range(len(pairs) // 5)]
    with ThreadPoolExecutor(threads) as pool:
        hostile = pool.map(_timed, pairs)
        verdicts = pool.map(lambda row: check(row[0], row[1]).is_correct != row[2], ordinary)
        return list(hostile), sum(verdicts)


def in_asyncio(pairs: Pairs) -> tuple[Timed, int]:
    """Check in 200 concurrent calls, with ordinary pairs among them."""

    async def run() -> tuple[Timed, list[bool]]:
        room = asyncio.Semaphore(200)

        async def one(prediction: str, gold: str) -> tuple[float, Verdict]:
            async with room:
                started = time.perf_counter()
                verdict = await check_async(prediction, gold)
                return time.perf_counter() - started, verdict

        async def ordinary(i: int) -> bool:
            prediction, gold, is_equal = ORDINARY[i % len(ORDINARY)]
            return (await one(prediction, gold))[1].is_correct != is_equal

        hostile = [one(*pair) for pair in pairs]
        known = [ordinary(i) for i in range(len(pairs) // 5)]
        return await asyncio.gather(*hostile), await asyncio.gather(*known)

    verdicts, wrong = asyncio.run(run())
    return verdicts, sum(wrong)


if __name__ == "__main__":
    main()
