"""How long the examples of a training take to prepare: the first time, and when they are there.

    git worktree add /tmp/before COMMIT
    python -m prm.benchmarks.perf.training.preparation --before /tmp/before --chains 50000

Chains in the style of Math-Shepherd: eight labeled steps of some 110 characters, eight chains to a problem. Each start
is a process of its own, and the sides take turns: `before`, the toolkit at an earlier commit, if it is given; `first`;
and `second`, which finds what the first has kept. All figures are of `prepare` alone, but `start`, which is the whole
process with its imports, and the peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, PreTrainedTokenizerFast

from prm.data.files import write_records
from prm.data.records import Chain, Known, Problem, StepLabels

from ...arithmetic import POLICY
from ..job import machine

STEPS, EACH = 8, 8
TEXT = """
the a of to and in is that each have there are so we get then how many total number she sells gives buys apples dollars
hours minutes cost left more than half twice sum product answer step with for from by per week pens boxes
"""
WORDS = TEXT.split()
START = """
import inspect, json, sys, time
from pathlib import Path
from prm.training.settings import TrainSettings
try:
    from prm.training.data.preparation import prepare
except ImportError:
    from prm.training.preparation import prepare
base, data, place = sys.argv[1:]
files = {name: Path(data) / f"{name}.jsonl" for name in ("problems", "chains", "labels")}
more = ({}, Path(place))[: len(inspect.signature(prepare).parameters) - 2]
wall, cpu = time.perf_counter(), time.process_time()
made = prepare(TrainSettings(base), files, *more)
found = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "tokens": made.found["train"]["tokens"]}
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({**found, "peak": int(peak.split()[1]) / 1024, "longest": made.found["train"]["longest"]}))
"""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chains", type=int, default=50_000)
    parser.add_argument("--vocabulary", type=int, default=0, help="of a BPE to train; 0 for the demo's tokenizer")
    parser.add_argument("--before", type=Path, help="a checkout of the toolkit to compare with")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/preparation"))
    arguments = parser.parse_args()
    write_data(arguments.out, arguments.chains)
    base = make_base(arguments.out / "base", arguments.vocabulary) if arguments.vocabulary else POLICY
    sides = (["before"] if arguments.before else []) + ["first", "second"]
    found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    place = arguments.out / "kept"
    for _ in range(arguments.repeats):
        shutil.rmtree(place, ignore_errors=True)
        for side in sides:
            found[side].append(start(base, arguments.out, place, arguments.before if side == "before" else None))
    last = found["first"][-1]
    print(f"{machine()}; {arguments.chains:,} chains, {last['tokens']:,} tokens, longest {last['longest']}")
    print("| start | seconds | of which computing | whole start | peak MiB | speedup over before |")
    print("| --- | --- | --- | --- | --- | --- |")
    for side in sides:
        print(row(side, found[side], found.get("before")))


def row(side: str, runs: list[dict[str, float]], before: list[dict[str, float]] | None) -> str:
    """A row of the table: medians, and of the speedup the median and the range over the repeats."""
    names = ("wall", "cpu", "start", "peak")
    wall, cpu, start_, peak = (statistics.median(run[name] for run in runs) for name in names)
    ratios = sorted(one["wall"] / run["wall"] for one, run in zip(before or [], runs, strict=False))
    speedup = f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})" if ratios else "-"
    return f"| {side} | {wall:.2f} | {cpu:.2f} | {start_:.1f} | {peak:,.0f} | {speedup} |"


def start(base: Path, data: Path, place: Path, checkout: Path | None) -> dict[str, float]:
    """Prepare in a process of its own; gives its seconds, and its peak memory in MiB."""
    elsewhere = {} if checkout is None else {"PYTHONPATH": str(checkout.resolve())}
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", START, str(base), str(data.resolve()), str(place.resolve())],
        capture_output=True, text=True, check=True, cwd=checkout, env=os.environ | elsewhere,
    )  # fmt: skip
    return {**json.loads(done.stdout.splitlines()[-1]), "start": time.perf_counter() - begun}


def write_data(out: Path, chains: int) -> None:
    """Write problems, chains and labels, the same ones every time."""
    draw = random.Random(0)
    problems = [Problem(f"p{i}", f"{words(draw, 40).capitalize()}? ({i})", "7") for i in range(-(-chains // EACH))]
    made = [
        Chain(f"{p.id}/{n}", p.id, tuple(step(draw, i) for i in range(1, STEPS + 1)))
        for p in problems
        for n in range(EACH)
    ]
    out.mkdir(parents=True, exist_ok=True)
    write_records(out / "problems.jsonl", problems)
    write_records(out / "chains.jsonl", made[:chains])
    write_records(out / "labels.jsonl", (labels(draw, chain) for chain in made[:chains]))


def words(draw: random.Random, count: int) -> str:
    """Some words."""
    return " ".join(draw.choices(WORDS, k=count))


def step(draw: random.Random, number: int) -> str:
    """A step with a calculation, as in GSM8K."""
    a, b = draw.randrange(100), draw.randrange(100)
    return f"Step {number}: {words(draw, 12).capitalize()} {a} * {b} = <<{a}*{b}={a * b}>>{a * b} {words(draw, 3)}.\n"


def labels(draw: random.Random, chain: Chain) -> StepLabels:
    """Labels of eight rollouts from each step."""
    right = tuple(draw.randrange(9) for _ in chain.steps)
    wrong, none = tuple(8 - count for count in right), (0,) * len(right)
    known = tuple[Known, ...](["drawn"] * len(right))
    return StepLabels(chain.id, chain.problem_id, right, wrong, none, known, "incorrect")


def make_base(directory: Path, vocabulary: int) -> Path:
    """A configuration, and a tokenizer trained on made-up words: a byte-level BPE of at most so many tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=["</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(corpus(vocabulary), trainer)
    print(f"a BPE of {tokenizer.get_vocab_size():,} tokens")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>").save_pretrained(directory)
    LlamaConfig(vocab_size=tokenizer.get_vocab_size(), architectures=["LlamaForCausalLM"]).save_pretrained(directory)
    return directory


def corpus(vocabulary: int) -> Iterator[str]:
    """The words and calculations of the chains, among as many other words as a vocabulary of that size needs."""
    draw = random.Random(1)
    for _ in range(max(vocabulary // 4, 1000)):
        rare = " ".join("".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 9))) for _ in range(4))
        yield f"{step(draw, draw.randint(1, STEPS))} {rare}"


if __name__ == "__main__":
    main()
