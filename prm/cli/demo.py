"""Commands of the built-in example: `world` (its problems) and `demo` (the whole pipeline)."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from prm import console
from prm.benchmarks.arithmetic import POLICY, REVIEW, RIGHT, WRONG
from prm.benchmarks.arithmetic.world import write_world

from .options import OutFile, Overwrite, Seed


def world(
    out: OutFile,
    count: Annotated[int, typer.Option(min=1, help="problems to write")] = 300,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Write problems of the arithmetic world, where the truth of every step is known exactly."""
    write_world(out, count=count, seed=seed, overwrite=overwrite)


def demo(
    out: Annotated[Path, typer.Option(help="output directory")] = Path("runs/demo"),
) -> None:
    """Run the whole pipeline on the built-in example: sample, label, train, score, rerank, compare."""
    started = time.time()
    commands = list(_demo_commands(str(out), str(POLICY)))
    for done, arguments in enumerate(commands):
        left = _minutes_left(commands, done, time.time() - started)
        console.say(f"\nstep {done + 1} of {len(commands)}{left}\n$ {shlex.join(['prm', *arguments])}")
        command = [sys.executable, "-m", "prm.cli", *arguments]
        if code := subprocess.run(command, env={**_ONE_THREAD, **os.environ}, check=False).returncode:
            raise typer.Exit(code)
    console.say(f"\nThe demo took {(time.time() - started) / 60:.1f} minutes. Everything it wrote is in {out}:")
    for path in sorted(out.iterdir()):
        if not path.name.endswith(".manifest.json"):
            console.say(f"  {path}")


_SECONDS = {"sample": 60.0, "label": 150.0, "train": 55.0, "score": 30.0, "eval": 5.0}
"""What commands took on two idle cores; each of the others a second."""


_ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Threads of a model this small wait for each other longer than they compute."""


def _minutes_left(commands: Sequence[Sequence[str]], done: int, elapsed: float) -> str:
    """How long the rest will take, by what the first commands took; "" before the first."""
    if not done:
        return ""
    usual = [_SECONDS.get(command[0], 1.0) for command in commands]
    left = sum(usual[done:]) * elapsed / sum(usual[:done]) / 60
    return f", about {max(round(left), 1)} minutes left"


_JUDGE = [f"--template={REVIEW}".replace("\n", r"\n"), f"--head-from={WRONG},{RIGHT}"]
_FIT = {
    "prm": ["--epochs=1", "--lr=1e-4", "--batch-size=8", *_JUDGE],
    "orm": ["--epochs=1", "--lr=1e-4", "--batch-size=2", *_JUDGE, "--loss=bradley-terry=1", "--loss=every-step=3"],
}
"""Tuned on training problems alone. The policy has read reviews under this instruction; heads begin as its verdicts."""


def _demo_commands(out: str, policy: str) -> Iterator[list[str]]:
    """Yield the commands of the demo; each also runs on its own."""
    train, held_out = (
        [f"--problems={out}/{part}.problems.jsonl", f"--chains={out}/{part}.chains.jsonl"] for part in ("train", "test")
    )
    draws = ["--max-tokens=128", "--reproducible"]
    yield ["world", "--count=600", "--seed=1", f"--out={out}/train.problems.jsonl"]
    yield ["world", "--count=300", "--seed=2", f"--out={out}/test.problems.jsonl"]
    yield ["sample", f"--model={policy}", train[0], "--n=4", *draws, f"--out={out}/train.chains.jsonl"]
    yield ["sample", f"--model={policy}", held_out[0], "--n=16", *draws, f"--out={out}/test.chains.jsonl"]
    yield ["label", f"--model={policy}", *train, "--strategy=bisect", *draws, f"--out={out}/train.labels.jsonl"]
    yield ["label", "quality", *train, f"--labels={out}/train.labels.jsonl", f"--out={out}/labels.json"]
    for objective in _FIT:
        fit = [f"--base={policy}", *train, f"--labels={out}/train.labels.jsonl", *_FIT[objective]]
        yield ["train", f"--objective={objective}", *fit, f"--out={out}/{objective}"]
        yield ["score", f"--scorer={out}/{objective}", *held_out, f"--out={out}/test.{objective}.jsonl"]
    prm = f"--scores=PRM={out}/test.prm.jsonl"
    yield ["eval", "world", *held_out, prm, f"--out={out}/steps.json"]
    yield ["rerank", *held_out, f"--scores={out}/test.prm.jsonl", f"--out={out}/test.choices.jsonl"]
    orm = f"--scores=ORM={out}/test.orm.jsonl"
    yield ["eval", "best-of-n", *held_out, orm, prm, f"--out={out}/best-of-n.json"]
    yield ["report", f"{out}/best-of-n.json", f"{out}/steps.json", f"--out={out}/report.html"]
