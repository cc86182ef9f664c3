"""Tokens per second of `prm label` and of a bare `LLM.generate` with the same prompts, sampling and engine settings.

    python -m prm.benchmarks.perf.label_throughput --out runs/throughput

The bare run gets every prefix of every chain with n = K at once, exactly the requests of `fixed`, without seeds, and
once more with a seed for each request. The bare runs and the strategies run in turn, each in its own process, a bare
one first and last; ratios are to the fastest bare run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prm.data.files import read_chains, read_problems

from ..arithmetic import POLICY
from .job import counts, machine, make_chains, run

K = 8


def main() -> None:
    """Measure, and print one line per run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/throughput"))
    parser.add_argument("--problems", type=int, default=150)
    parser.add_argument("--sequences", type=int, default=256, help="of a batch: max_num_seqs")
    parser.add_argument("--bare", choices=["seeded", "unseeded"], help="do only this bare run, in this process")
    arguments = parser.parse_args()
    out: Path = arguments.out
    if arguments.bare:
        print(json.dumps(bare(out, arguments.sequences, is_seeded=arguments.bare == "seeded")))
        return
    data = make_chains(out, arguments.problems, 4)
    data += [f"--engine-option=max_num_seqs={arguments.sequences}"]
    found = {"bare": in_a_process(out, arguments.sequences, "unseeded")}
    for strategy in ("fixed", "bisect", "adaptive"):
        output = out / f"{strategy}.jsonl"
        k = 4 * K if strategy == "adaptive" else K
        run("label", *data, f"--strategy={strategy}", f"--rollouts={k}", f"--out={output}", "--overwrite")
        found[strategy] = from_manifest(output)
    found["bare, seeded"] = in_a_process(out, arguments.sequences, "seeded")
    found["bare again"] = in_a_process(out, arguments.sequences, "unseeded")
    limit = max(rate(row) for name, row in found.items() if name.startswith("bare"))
    print(f"{arguments.sequences} sequences ({machine()})")
    for name, row in found.items():
        print(f"{name:12} {row['rollouts']:7,} rollouts {rate(row):9,.0f} tokens/s  {rate(row) / limit:.3f} of bare")


def rate(row: Mapping[str, Any]) -> float:
    """Tokens per second of a run."""
    return float(row["tokens"]) / float(row["seconds"])


def from_manifest(output: Path) -> dict[str, Any]:
    """Figures from the manifest of a finished job; its seconds exclude the start of the engine."""
    found = counts(output)
    return {name: found[name] for name in ("rollouts", "tokens", "seconds")}


def in_a_process(out: Path, sequences: int, way: str) -> dict[str, Any]:
    """Do a bare run in its own process, like each command."""
    command = [sys.executable, "-m", "prm.benchmarks.perf.label_throughput", f"--bare={way}", f"--out={out}"]
    command += [f"--sequences={sequences}"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def bare(out: Path, sequences: int, *, is_seeded: bool) -> dict[str, Any]:
    """Continue every prefix but the whole chain K times, in one call to vLLM with our engine's settings."""
    os.environ |= {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    from vllm import LLM, SamplingParams, TokensPrompt
    from vllm.sampling_params import RequestOutputKind

    from prm.models.checkpoint import load_tokenizer
    from prm.models.rendering import Renderer

    renderer = Renderer(load_tokenizer(str(POLICY)), separator=None)
    problems = {p.id: p for p in read_problems(out / "problems.jsonl")}
    prompts = []
    for chain in read_chains(out / "chains.jsonl"):
        rendered = renderer.render(problems[chain.problem_id].text, chain.steps)
        prompts += [TokensPrompt(prompt_token_ids=list(rendered.ids[: end + 1])) for end in rendered.step_ends[:-1]]
    llm = LLM(
        str(POLICY),
        enable_prefix_caching=True,
        enforce_eager=True,
        block_size=32,
        max_num_seqs=sequences,
        disable_log_stats=True,
        **({"enable_chunked_prefill": False} if is_seeded else {}),
    )
    options = {"n": K, "temperature": 1.0, "max_tokens": 128, "output_kind": RequestOutputKind.FINAL_ONLY}
    sampling = [SamplingParams(**options, seed=i * K if is_seeded else None) for i in range(len(prompts))]
    started = time.perf_counter()
    outputs = llm.generate(prompts, sampling, use_tqdm=False)
    seconds = time.perf_counter() - started
    drawn = [completion for output in outputs for completion in output.outputs]
    return {"rollouts": len(drawn), "tokens": sum(len(c.token_ids) for c in drawn), "seconds": seconds}


if __name__ == "__main__":
    main()
