"""Chains per second of our scorer, against a forward pass per step and against bare forward passes on the same tokens.

    PRM_SAMPLE_DATA=../shared/data python -m prm.benchmarks.perf.score_throughput

The model is the demo's policy with a two-label head, on all cores; the chains are real: PRM800K (phase 1) and GSM8K
candidates. The sides of a comparison take turns in every repeat; the figure is the median ratio:

    steps    chains cut to eight steps: our scorer against a forward pass per step, one chain at a time as in the
             scripts on model cards, and against all prefixes, batched like our chains
    bare     whole chains: our scorer, from text to scores, against the model on the same batches, as ready tensors
    padding  share of padding in those batches, in % of their tokens

The last line is all figures as JSON. Run it on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import torch

from prm.data.files import by_id, read_chains, read_problems
from prm.data.records import Chain, Problem
from prm.models.checkpoint import load_model, load_tokenizer
from prm.models.heads import token_head
from prm.models.rendering import Renderer
from prm.scoring.backends import TokenRow, TransformersBackend
from prm.scoring.batching import batches_by_tokens, pad, positions_of
from prm.scoring.reward_model import RewardModel
from prm.scoring.scorer import CHAINS_A_ROUND, score_chains

from ..arithmetic import POLICY
from .job import machine

STEPS = 8
Problems = dict[str, Problem]
Side = Callable[[], object]


def main() -> None:
    """Measure, and print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("PRM_SAMPLE_DATA", "../shared/data")))
    parser.add_argument("--chains", type=int, default=CHAINS_A_ROUND)
    parser.add_argument("--step-chains", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tokens-per-pass", type=int)
    arguments = parser.parse_args()
    model = load_model(str(POLICY), "prm")
    backend = TransformersBackend(model, token_head, tokens_per_pass=arguments.tokens_per_pass)
    scorer = RewardModel(backend, Renderer(load_tokenizer(str(POLICY))), "softmax", "prm")
    problems, chains = real_chains(arguments.data)
    chains = [c for c in chains if len(rows_of(scorer, problems, [c])[0][0]) <= backend.max_length]
    short = [replace(c, steps=c.steps[:STEPS]) for c in chains if len(c.steps) >= STEPS][: arguments.step_chains]
    found = {
        **against_steps(scorer, problems, short, arguments.repeats),
        **against_bare(scorer, backend, problems, chains[: arguments.chains], arguments.repeats),
    }
    settings = (
        f"{torch.get_num_threads()} threads, {backend.tokens_per_pass:,} tokens a pass, rounds of {CHAINS_A_ROUND}"
    )
    print(f"{machine()}, {settings}\n")
    for name, value in found.items():
        print(f"{name:64} {value:10,.2f}")
    print(json.dumps({"machine": machine(), "settings": settings, **found}))


def real_chains(data: Path) -> tuple[Problems, list[Chain]]:
    """Read chains of many lengths, in random order."""
    problems, chains = dict[str, Problem](), list[Chain]()
    with gzip.open(data / "prm800k_phase1" / "phase1_train_chains.jsonl.gz", "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            problems[row["id"]] = Problem(row["id"], row["problem"])
            chains.append(Chain(row["id"], row["id"], tuple(step + "\n" for step in row["steps"] if step.strip())))
    candidates = data / "gsm8k_candidates" / "gsm8k_bon16.jsonl"
    problems |= by_id(read_problems(candidates))
    chains += [chain for chain in read_chains(candidates) if chain.steps]
    Random(0).shuffle(chains)
    return problems, chains


def rows_of(scorer: RewardModel, problems: Problems, chains: Sequence[Chain]) -> list[TokenRow]:
    """Token ids of chains, and the positions to read."""
    rendered = (scorer.renderer.render(problems[chain.problem_id].text, chain.steps) for chain in chains)
    return [(item.ids, item.step_ends) for item in rendered]


def against_steps(scorer: RewardModel, problems: Problems, chains: Sequence[Chain], repeats: int) -> dict[str, float]:
    """Compare our scorer with a forward pass per step, over the same chains."""
    rows = rows_of(scorer, problems, chains)
    prefixes: list[TokenRow] = [(ids[: end + 1], (end,)) for ids, ends in rows for end in ends]
    seconds = taken(
        {
            "ours": lambda: list(score_chains(scorer, chains, problems)),
            "single": lambda: [scorer.backend.outputs([prefix]) for prefix in prefixes],
            "batched": lambda: scorer.backend.outputs(prefixes),
        },
        repeats,
    )
    return {
        f"steps: chains of {STEPS} steps": len(chains),
        "steps: tokens of a forward pass per step, relative to ours": tokens_of(prefixes) / tokens_of(rows),
        "steps: ours, chains/s": len(chains) / statistics.median(seconds["ours"]),
        "steps: speedup over a forward pass per step, one at a time": ratio(seconds["single"], seconds["ours"]),
        "steps: speedup over a forward pass per step, batched": ratio(seconds["batched"], seconds["ours"]),
    }


def tokens_of(rows: Sequence[TokenRow]) -> int:
    """Total number of tokens."""
    return sum(len(ids) for ids, _ in rows)


def against_bare(
    scorer: RewardModel, backend: TransformersBackend, problems: Problems, chains: Sequence[Chain], repeats: int
) -> dict[str, float]:
    """Compare our scorer with the bare model over the same tokens, and measure their padding."""
    rows = rows_of(scorer, problems, chains)
    batches = [
        batch
        for start in range(0, len(rows), CHAINS_A_ROUND)
        for batch in tensors(rows[start : start + CHAINS_A_ROUND], backend.tokens_per_pass)
    ]
    seconds = taken(
        {
            "ours": lambda: list(score_chains(scorer, chains, problems)),
            "bare": lambda: run_bare(backend.model, batches),
        },
        repeats,
    )
    real, padded = (sum(int(count(b["attention_mask"])) for b in batches) for count in (torch.sum, torch.numel))
    return {
        "bare: chains": len(chains),
        "bare: tokens per chain": real / len(chains),
        "bare: ours, chains/s": len(chains) / statistics.median(seconds["ours"]),
        "bare: ours, tokens/s": real / statistics.median(seconds["ours"]),
        "bare: ours, fraction of the speed of bare forward passes": ratio(seconds["bare"], seconds["ours"]),
        "padding, % of tokens": 100 * (1 - real / padded),
    }


def tensors(rows: Sequence[TokenRow], budget: int) -> Iterator[dict[str, torch.Tensor]]:
    """The batches that our backend forms from a round."""
    for batch in batches_by_tokens([len(ids) for ids, _ in rows], budget):
        ids, mask = pad([rows[i][0] for i in batch], 0)
        yield {"input_ids": ids, "attention_mask": mask, "position_ids": positions_of(mask)}


@torch.inference_mode()
def run_bare(model: Any, batches: Sequence[dict[str, torch.Tensor]]) -> None:
    """Run forward passes and nothing else."""
    for batch in batches:
        model(**batch)


def taken(sides: Mapping[str, Side], repeats: int) -> dict[str, list[float]]:
    """Seconds of each side in each repeat; the sides take turns, and also take turns at going first."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(repeats):
        names = list(sides)
        for name in [*names[number % len(names) :], *names[: number % len(names)]]:
            started = time.perf_counter()
            sides[name]()
            found[name].append(time.perf_counter() - started)
    return found


def ratio(some: Sequence[float], others: Sequence[float]) -> float:
    """Median over the repeats of the one's time divided by the other's."""
    return statistics.median(a / b for a, b in zip(some, others, strict=True))


if __name__ == "__main__":
    main()
