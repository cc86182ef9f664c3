"""Peak memory of `prm train` in each of its ways to hold weights, for a backbone in the shape of Qwen2.5-0.5B.

    python -m prm.benchmarks.perf.training.memory --out runs/train_memory

The backbone has the sizes of Qwen2.5-0.5B (494 million weights), random ones in bfloat16, as published ones are stored,
and the demo's tokenizer. Every mode trains a PRM for some steps, as a process of its own, on the same chains. Two peaks
of main memory (`VmHWM`) are told: up to the last optimizer step, with the loading, and of the whole command, with the
merging of adapters and the writing. On a GPU, which this script does not measure, the first is mostly there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from prm.data.files import write_records
from prm.data.records import Chain, Known, Problem, StepLabels
from prm.data.writing import write_json

from ...arithmetic import POLICY
from ..job import machine, peak_of, prm

MODES: dict[str, tuple[str, ...]] = {
    "float32, AdamW": (),
    "float32, AdamW, gradient checkpointing": ("--gradient-checkpointing",),
    "float32, AdamW in 8 bits": ("--optimizer=adamw-8bit",),
    "float32, Adafactor": ("--optimizer=adafactor",),
    "bfloat16, AdamW": ("--weights=bfloat16",),
    "bfloat16, AdamW, gradient checkpointing": ("--weights=bfloat16", "--gradient-checkpointing"),
    "bfloat16, AdamW in 8 bits": ("--weights=bfloat16", "--optimizer=adamw-8bit"),
    "LoRA over float32": ("--lora-rank=16",),
    "LoRA over bfloat16": ("--lora-rank=16", "--weights=bfloat16"),
    "LoRA over 4 bits": ("--lora-rank=16", "--weights=bfloat16", "--quantize=4bit"),
}
"""Options of each mode."""
ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": str(2**20), "MALLOC_TRIM_THRESHOLD_": str(2**20)}
"""The GNU C library returns what is freed at once: otherwise up to half of a peak is memory that it keeps in pieces."""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/train_memory"))
    parser.add_argument("--steps", type=int, default=2, help="optimizer steps (default: 2)")
    parser.add_argument("--tokens-per-pass", type=int, default=1024, help="default: 1024")
    parser.add_argument("--mode", nargs="+", choices=MODES, default=list(MODES), help="default: all")
    arguments = parser.parse_args()
    data, base = write_data(arguments.out), arguments.out / "base"
    if not base.exists():
        write_base(base)
    fixed = ["--batch-size=4", "--held-out=0", "--save-every=1000000"]
    sizes = [f"--max-steps={arguments.steps}", f"--tokens-per-pass={arguments.tokens_per_pass}"]
    job = ["train", f"--base={base}", *data, *sizes, *fixed]
    print(f"{machine()}\n\n| mode | peak in training, GiB | peak of the command, GiB |\n| --- | --- | --- |")
    found = {}
    for mode in arguments.mode:
        found[mode] = peaks_of([*job, *MODES[mode]], arguments.out / "made")
        print(f"| {mode} | {found[mode][0]:.1f} | {found[mode][1]:.1f} |", flush=True)
    write_json(arguments.out / "memory.json", {"machine": machine(), "gib": found})


def write_data(out: Path) -> list[str]:
    """Write 32 chains of 40 steps, some 350 tokens each, with labels, and return the options naming them."""
    steps = tuple(f"{n} + {n + 1} = {2 * n + 1}" for n in range(10, 50))
    write_records(out / "problems.jsonl", [Problem("p", "Add some numbers.", "99")])
    write_records(out / "chains.jsonl", [Chain(f"c{i}", "p", steps) for i in range(32)])
    write_records(out / "labels.jsonl", [labels(f"c{i}", i, len(steps)) for i in range(32)])
    return [f"--{name}={out}/{name}.jsonl" for name in ("problems", "chains", "labels")]


def labels(chain: str, number: int, steps: int) -> StepLabels:
    """Labels that are right and wrong by turns."""
    right = tuple((number + place) % 2 for place in range(steps))
    known: list[Known] = ["drawn"] * steps
    return StepLabels(chain, "p", right, tuple(1 - one for one in right), (0,) * steps, tuple(known), "incorrect")


def write_base(directory: Path) -> None:
    """Write the backbone, with random weights."""
    config = Qwen2Config(
        vocab_size=151_936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
    )
    torch.set_default_dtype(torch.bfloat16)
    Qwen2ForCausalLM(config).save_pretrained(directory)
    AutoTokenizer.from_pretrained(POLICY).save_pretrained(directory)


def peaks_of(job: list[str], out: Path) -> tuple[float, float]:
    """Peak memory of a training when its last step is made, and at its end, in GiB."""
    shutil.rmtree(out, ignore_errors=True)
    command = prm(*job, f"--out={out}", "--overwrite")
    given = os.environ | ALLOCATION
    process = subprocess.Popen(command, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    trained = ended = 0.0
    lines = []
    for line in process.stderr or ():
        lines.append(line)
        ended = peak_of(process.pid) / 2**20 or ended
        if line.startswith("training"):  # the bar, which is printed once it is full
            trained = ended
    if process.wait():
        raise SystemExit(f"the training failed: {''.join(lines[-3:])}")
    return trained, ended


if __name__ == "__main__":
    main()
