"""Chains per second of a causal PRM: whole vocabulary, two rows of it, and both rows as a classifier, here and in vLLM.

    PRM_SAMPLE_DATA=../shared/data python -m prm.benchmarks.perf.engines.causal_scorers

The model is a Llama with random weights in float32 and a large vocabulary, read by the logits of `-` and `+` after each
step; the chains are real (`prm.benchmarks.perf.score_throughput`). The sides take turns in every repeat:

    vocabulary  the model's own logits over all its words, as in the scripts on model cards, on our batches
    two rows    `prm.load_scorer`: hidden states, times the two rows of the output embedding, at the read positions
    classifier  the same model written by `prm convert --to token-classifier`
    vllm        that, through the real vLLM engine

Run it on an otherwise idle machine. The last line is all figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from prm.models.checkpoint import load_tokenizer
from prm.models.conversion import convert
from prm.models.dialects import DIALECT_FILE
from prm.models.public import Wanted, load_public
from prm.scoring.backends import TransformersBackend
from prm.scoring.loading import load_scorer
from prm.scoring.reward_model import RewardModel
from prm.scoring.scorer import Scorer

from ...arithmetic import POLICY
from ..job import machine
from ..score_throughput import Side, ratio, real_chains, rows_of, run_bare, taken, tensors

DIALECT = {"layout": "plain", "problem_end": " ", "joint": " ", "marker": " ~", "answers": ["-", "+"]}


def main() -> None:
    """Measure, and print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("PRM_SAMPLE_DATA", "../shared/data")))
    parser.add_argument("--chains", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--vocabulary", type=int, default=32_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        causal, classes = Path(directory) / "causal", Path(directory) / "classes"
        make_model(causal, arguments.width, arguments.layers, arguments.vocabulary)
        convert(causal, classes, to="token-classifier")
        problems, chains = real_chains(arguments.data)
        public = load_public(Wanted(str(causal)))
        backend = TransformersBackend(public.model, public.head)
        here = RewardModel(backend, public.renderer, "softmax", "prm")
        usable = [c for c in chains if "~" not in "".join((problems[c.problem_id].text, *c.steps))]
        usable = [c for c in usable if len(rows_of(here, problems, [c])[0][0]) <= backend.max_length]
        chains = usable[: arguments.chains]
        batches = list(tensors(rows_of(here, problems, chains), backend.tokens_per_pass))
        served = load_scorer(str(classes), backend="vllm")
        scorers = {"two rows": here, "classifier": load_scorer(str(classes)), "vllm": served}
        sides = {
            name: partial(all_scores, scorer, [problems[c.problem_id].text for c in chains], [c.steps for c in chains])
            for name, scorer in scorers.items()
        }
        found = compared(partial(run_bare, backend.model, batches), sides, len(chains), arguments.repeats)
        served.close()
    settings = f"{arguments.chains} chains, width {arguments.width}, {arguments.layers} layers, "
    settings += f"vocabulary {arguments.vocabulary:,}"
    print(f"{machine()}, {settings}\n")
    for name, value in found.items():
        print(f"{name:64} {value:12,.6g}")
    print(json.dumps({"machine": machine(), "settings": settings, **found}))


def make_model(directory: Path, width: int, layers: int, vocabulary: int) -> None:
    """Write a causal model with a dialect of its own."""
    torch.manual_seed(0)
    sizes = {"hidden_size": width, "intermediate_size": 3 * width, "num_hidden_layers": layers}
    heads = {"num_attention_heads": width // 64, "num_key_value_heads": width // 64}
    config = LlamaConfig(**sizes, **heads, vocab_size=vocabulary, max_position_embeddings=2048, pad_token_id=0)
    model = LlamaForCausalLM(config)
    torch.nn.init.normal_(model.lm_head.weight, std=0.1)  # with the usual 0.02, all scores would be a half
    model.save_pretrained(directory)
    load_tokenizer(str(POLICY)).save_pretrained(directory)
    (directory / DIALECT_FILE).write_text(json.dumps(DIALECT), encoding="utf-8")


def all_scores(scorer: Scorer, problems: Sequence[str], chains: Sequence[Sequence[str]]) -> list[float]:
    """The scores of all steps, in order."""
    return [value for row in scorer.score(problems, chains) for value in row]


def compared(
    vocabulary: Side, sides: Mapping[str, Callable[[], list[float]]], chains: int, repeats: int
) -> dict[str, float]:
    """Speed of each side, and the largest difference of their scores from those of the first."""
    scores = {name: side() for name, side in sides.items()}
    usual = next(iter(scores.values()))
    seconds = taken({"vocabulary": vocabulary, **sides}, repeats)
    found = {f"{name}, chains/s": chains / statistics.median(times) for name, times in seconds.items()}
    for name in sides:
        found[f"{name}, speed relative to the whole vocabulary"] = ratio(seconds["vocabulary"], seconds[name])
        found[f"{name}, largest difference"] = max(abs(a - b) for a, b in zip(scores[name], usual, strict=True))
    return {**found, "standard deviation of the scores": statistics.stdev(usual)}


if __name__ == "__main__":
    main()
