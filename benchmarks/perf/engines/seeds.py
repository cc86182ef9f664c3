"""What a seed for each draw costs in vLLM: tokens per second with and without, and the sampler's share of the time.

    python -m prm.benchmarks.perf.engines.seeds --sequences 64 --sequences 256 --sequences 1024

Each figure is one `LLM.generate` of as many sequences as fit in a batch, after a warm-up; the two ways take turns, and
the best of `--repeats` counts. The engine runs in this process, so that the sampler can be timed.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

from ...arithmetic import POLICY
from ..job import machine

SPENT = {"sampler": 0.0}


def main() -> None:
    """Measure, and print one line per batch size and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(POLICY))
    parser.add_argument("--sequences", type=int, action="append")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--prompt", type=int, default=64, help="tokens of the prompt")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_LEVEL": "ERROR"}
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    from vllm import LLM

    most = max(arguments.sequences or [64])
    llm = LLM(
        arguments.model, max_num_seqs=most, enforce_eager=True, enable_chunked_prefill=False, block_size=32,
        max_model_len=arguments.prompt + arguments.tokens, max_num_batched_tokens=max(2048, most),
    )  # fmt: skip
    time_sampler()
    for sequences in arguments.sequences or [64]:
        for seeded in (False, True):
            measure(llm, sequences, 8, arguments.prompt, seeded)
        found = {
            seeded: max(
                measure(llm, sequences, arguments.tokens, arguments.prompt, seeded) for _ in range(arguments.repeats)
            )
            for seeded in (False, True)
        }
        for seeded, (rate, share) in found.items():
            print(
                f"{sequences:5,} sequences, {'seeded' if seeded else 'unseeded':8} {rate:9,.0f} tokens/s, "
                f"{share:5.1%} in the sampler, {rate / found[False][0]:.2f} of unseeded",
                flush=True,
            )
    print(machine())


def time_sampler() -> None:
    """Add up the time that vLLM spends in its sampler."""
    from vllm.v1.sample.sampler import Sampler

    forward = Sampler.forward

    def timed(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        found = forward(*arguments, **options)
        SPENT["sampler"] += time.perf_counter() - started
        return found

    Sampler.forward = timed


def measure(llm: Any, sequences: int, tokens: int, prompt: int, seeded: bool) -> tuple[float, float]:
    """Tokens per second, and the sampler's share of the time."""
    from vllm import SamplingParams, TokensPrompt

    prompts = [TokensPrompt(prompt_token_ids=[3 + (i * 7 + k) % 500 for k in range(prompt)]) for i in range(sequences)]
    params = [SamplingParams(max_tokens=tokens, ignore_eos=True, seed=i if seeded else None) for i in range(sequences)]
    SPENT["sampler"], started = 0.0, time.perf_counter()
    llm.generate(prompts, params, use_tqdm=False)
    seconds = time.perf_counter() - started
    return sequences * tokens / seconds, SPENT["sampler"] / seconds


if __name__ == "__main__":
    main()
