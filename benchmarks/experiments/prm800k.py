"""A small PRM trained from scratch on real text: PRM800K's human ratings, measured on unseen problems.

    PRM_SAMPLE_DATA=../shared/data python -m prm.benchmarks.experiments.prm800k --out runs/prm800k.json

The tokenizer and the model (half a million parameters, with layers that look back `--window` tokens) see only the
training problems and their chains. `prm.data.splits` cuts the problems of the train file into folds; the model trained
on the other folds scores each fold, and the first fold's model also scores the test file. So every problem is measured
once, and the test file is never trained on. `--only-first` stops after the first fold: it measures the test file and
one fold of the train file. The settings were chosen on the first fold; the others played no part in that. With
`--base`, a pretrained backbone takes the place of the new one, and LoRA adapters with the head are trained.

Each distinct step counts once. The chains of a problem share their first steps, so that among 36,000 ratings only some
4,000 are of distinct steps after distinct beginnings; a causal model gives all copies the same score, and counting them
would only measure how the data were collected.

A known bias: a chain ends with its first wrong step. The model cannot see that a step is the last, since it reads from
left to right and scores a step at its end, before anything that follows. But position alone is informative, since late
steps are wrong more often. Hence the figures `within position`, which compare only steps at the same position, and two
baselines that read no text: the position, and the length of the step (each with the sign that is better on the training
problems).

AUROC: the probability that a right step scores above a wrong one, over pairs within a fold, since scores of different
models are not comparable. Intervals: 95% percentile bootstrap over problems.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast, set_seed
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from prm.data.drops import Drops
from prm.data.formats import read_public
from prm.data.joining import LabeledChain
from prm.data.splits import hold_out, prove
from prm.data.writing import write_json
from prm.models.checkpoint import load_model, load_tokenizer
from prm.models.heads import token_head
from prm.models.rendering import Renderer
from prm.scoring.backends import TransformersBackend
from prm.statistics.metrics import grouped_auroc
from prm.training.examples import GroupExample, Recipe, class_weights, label_examples, reweighted
from prm.training.trainer import FitSettings, fit

from ..arithmetic.train_policy import END, PAD
from ..perf.job import machine

SAMPLES = Path(os.environ.get("PRM_SAMPLE_DATA", "../shared/data"))
TRAIN, TEST = "prm800k_phase1/phase1_train_chains.jsonl.gz", "prm800k_phase1/phase1_test_chains.jsonl"
CONTEXT = 2048
"""Longest chain that is measured, in tokens."""
SCORERS = ("model", "position", "step length")


@dataclass(frozen=True, slots=True)
class Step:
    """A held-out rated step, with its score from each of `SCORERS`."""

    fold: int
    problem_id: str
    position: int
    is_right: bool
    scores: Mapping[str, float]


def main() -> None:
    """Train a model for each fold on the other problems, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, default=5, help="folds of the train file (default: 5)")
    parser.add_argument("--only-first", action="store_true", help="stop after the first fold")
    parser.add_argument("--base", help="directory of a pretrained backbone, in place of a new model")
    parser.add_argument("--lora-rank", type=int, default=8, help="of the adapters on a pretrained backbone")
    parser.add_argument("--vocabulary", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--window", type=int, default=48, help="tokens a layer looks back (default: 48)")
    parser.add_argument("--max-length", type=int, default=768, help="longest chain to train on, in tokens")
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--batch", type=int, default=64, help="chains per optimizer step")
    parser.add_argument("--tokens-per-pass", type=int, default=1024)
    parser.add_argument("--draws", type=int, default=1000, help="bootstrap draws")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON to write")
    arguments = parser.parse_args()
    disable_progress_bar()
    set_verbosity_error()
    started, ours, tests = time.time(), list(public_rows(TRAIN, "prm800k")), list(public_rows(TEST, "prm800k"))
    steps, about = list[Step](), list[dict[str, Any]]()
    for fold in range(1 if arguments.only_first else arguments.folds):
        kept, measured = split(ours, fold, arguments.folds)
        found, counts = one_fold(fold, kept, measured + (tests if fold == 0 else []), arguments)
        steps += found
        about.append(counts)
    print(f"{machine()}, {torch.get_num_threads()} threads, {(time.time() - started) / 60:.1f} minutes\n")
    report(steps, about, arguments)


def public_rows(name: str, form: str) -> Iterator[LabeledChain]:
    """Labeled chains from a file of the sample data, in a format of `prm import`, gzipped or not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name.removesuffix(".gz")
        open_any = gzip.open if name.endswith(".gz") else open
        with open_any(SAMPLES / name, "rb") as source, path.open("wb") as target:
            shutil.copyfileobj(source, target)
        for problem, chain, labels in read_public(path, form, drops=Drops()):
            if labels is not None:
                yield problem, chain, labels


def split(rows: Sequence[LabeledChain], fold: int, folds: int) -> tuple[list[LabeledChain], list[LabeledChain]]:
    """Split chains into those of all other problems, and those of the fold."""
    texts = {problem.id: problem.text for problem, _, _ in rows}
    held_out = hold_out(texts, (fold + 1) / folds) - hold_out(texts, fold / folds)
    return [row for row in rows if row[0].id not in held_out], [row for row in rows if row[0].id in held_out]


def one_fold(
    fold: int, kept: Sequence[LabeledChain], measured: Sequence[LabeledChain], arguments: argparse.Namespace
) -> tuple[list[Step], dict[str, Any]]:
    """Train on some problems, and score the steps of others."""
    proof = prove(*([(problem.id, problem.text) for problem, _, _ in side] for side in (kept, measured)))
    tokenizer = load_tokenizer(arguments.base) if arguments.base else train_tokenizer(kept, arguments.vocabulary)
    renderer, started = Renderer(tokenizer), time.time()
    train_groups = examples(kept, renderer, arguments.max_length)
    model = trained(tokenizer, train_groups, arguments)
    test_groups = examples(measured, renderer, CONTEXT)
    steps = list(score(fold, model, train_groups, test_groups))
    counts = {
        "split": proof.as_json(),
        "parameters": model.num_parameters(),
        "train": count(train_groups),
        "held out": count(test_groups),
        "seconds": round(time.time() - started),
    }
    return steps, counts


def train_tokenizer(rows: Iterable[LabeledChain], vocabulary: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on the distinct problems and steps."""
    texts = dict.fromkeys(text for problem, chain, _ in rows for text in (problem.text, *chain.steps))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[END, PAD], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )


def examples(rows: Sequence[LabeledChain], renderer: Renderer, max_length: int) -> list[GroupExample]:
    """Training examples of at most `max_length` tokens, where each distinct beginning is rated once."""
    seen, found = set[bytes](), list[GroupExample]()
    for group in label_examples(rows, renderer, Recipe(frozenset({"step"}), max_length=max_length), Drops()):
        (chain,) = group.chains
        beginnings = [chain.ids[: end + 1].tobytes() for end in chain.step_ends]
        targets = tuple(
            None if beginning in seen else target for beginning, target in zip(beginnings, chain.targets, strict=True)
        )
        seen |= set(beginnings)
        if any(target is not None for target in targets):
            found.append(replace(group, chains=(replace(chain, targets=targets),)))
    return found


def trained(tokenizer: Any, groups: Sequence[GroupExample], arguments: argparse.Namespace) -> Any:
    """Train a model from scratch or on a base, with equal total weight on right and wrong ratings."""
    set_seed(arguments.seed)
    weights = class_weights(groups)
    settings = FitSettings(
        epochs=arguments.epochs,
        learning_rate=arguments.lr,
        batch_size=arguments.batch,
        tokens_per_pass=arguments.tokens_per_pass,
        weight_decay=arguments.weight_decay,
        lora_rank=arguments.lora_rank if arguments.base else 0,
        save_every=10**9,
        seed=arguments.seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        base = arguments.base or f"{folder}/base"
        if not arguments.base:
            build_model(tokenizer, arguments).save_pretrained(base)
        model = load_model(base, "prm", tokenizer.pad_token_id, arguments.seed)
        fit(model, "prm", [reweighted(group, *weights) for group in groups], [], settings, Path(folder) / "work")
    return model


def build_model(tokenizer: Any, arguments: argparse.Namespace) -> Any:
    """Build a small Mistral, a Llama with a sliding window: some 3,000 distinct steps teach no longer context."""
    return MistralForCausalLM(
        MistralConfig(
            vocab_size=len(tokenizer),
            hidden_size=arguments.hidden,
            intermediate_size=3 * arguments.hidden,
            num_hidden_layers=arguments.layers,
            num_attention_heads=arguments.hidden // 32,
            num_key_value_heads=arguments.hidden // 32,
            max_position_embeddings=CONTEXT,
            sliding_window=arguments.window,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def score(
    fold: int, model: Any, train_groups: Sequence[GroupExample], test_groups: Sequence[GroupExample]
) -> Iterator[Step]:
    """Score each rated step with the model and the baselines."""
    plain = {name: [scores[name] for _, _, scores in baselines(train_groups)] for name in SCORERS[1:]}
    truth = [target for _, target, _ in baselines(train_groups)]
    signs = {name: 1 if np.corrcoef(values, truth)[0, 1] > 0 else -1 for name, values in plain.items()}
    backend = TransformersBackend(model, token_head)
    outputs = backend.outputs([(group.chains[0].ids, group.chains[0].step_ends) for group in test_groups])
    for group, values in zip(test_groups, outputs, strict=True):
        margins = (values[:, 1] - values[:, 0]).tolist()
        for position, target, scores in baselines([group]):
            signed = {name: signs[name] * value for name, value in scores.items()}
            yield Step(fold, group.problem_id, position, target > 0, {"model": margins[position], **signed})


def baselines(groups: Iterable[GroupExample]) -> Iterator[tuple[int, float, dict[str, float]]]:
    """Yield position, rating and baseline scores of each rated step."""
    for group in groups:
        (chain,) = group.chains
        starts = (group.prompt_length, *(end + 1 for end in chain.step_ends))
        for position, (start, end, target) in enumerate(zip(starts, chain.step_ends, chain.targets, strict=False)):
            if target is not None:
                yield position, target, {"position": float(position), "step length": float(end + 1 - start)}


def count(groups: Sequence[GroupExample]) -> dict[str, int]:
    """Size of the data."""
    targets = [target for group in groups for target in group.chains[0].targets if target is not None]
    return {
        "problems": len({group.problem_id for group in groups}),
        "chains": len(groups),
        "tokens": sum(len(group.chains[0].ids) for group in groups),
        "steps": len(targets),
        "right": int(sum(targets)),
    }


def report(steps: Sequence[Step], about: Sequence[Mapping[str, Any]], arguments: argparse.Namespace) -> None:
    """Print the tables, and write all figures to `--out`."""
    print("| fold | trained on: problems, chains, steps | held out: problems, chains, steps (right) | seconds |")
    print("| --- | --- | --- | --- |")
    for fold, counts in enumerate(about):
        kept, out = counts["train"], counts["held out"]
        print(
            f"| {fold} | {kept['problems']}, {kept['chains']:,}, {kept['steps']:,} | "
            f"{out['problems']}, {out['chains']:,}, {out['steps']:,} ({out['right']:,}) | {counts['seconds']} |"
        )
    rows = []
    print("\n| held out | scorer | step AUROC | within position |\n| --- | --- | --- | --- |")
    first, others = ([step for step in steps if (step.fold == 0) == is_first] for is_first in (True, False))
    sides = {"test file and fold 0": first, **({"other folds": others, "all": steps} if others else {})}
    for side, own in sides.items():
        for name in SCORERS:
            plain, within = (interval(own, name, within, arguments) for within in (False, True))
            rows.append({"held_out": side, "scorer": name, "auroc": plain, "within_position": within})
            print(f"| {side} | {name} | {_shown(plain)} | {_shown(within)} |")
    if arguments.out:
        settings = {name: value for name, value in vars(arguments).items() if name != "out"}
        write_json(arguments.out, {"machine": machine(), "settings": settings, "folds": list(about), "rows": rows})


def interval(steps: Sequence[Step], name: str, within: bool, arguments: argparse.Namespace) -> dict[str, float]:
    """AUROC of a scorer with its interval, by resampling problems; one drawn twice counts twice."""
    own: defaultdict[str, list[tuple[object, float, bool]]] = defaultdict(list)
    for step in steps:
        key = (step.fold, step.position) if within else step.fold
        own[step.problem_id].append((key, step.scores[name], step.is_right))
    problems, rng = sorted(own), np.random.default_rng(arguments.seed)
    draws = [
        grouped_auroc(row for i in rng.integers(len(problems), size=len(problems)) for row in own[problems[i]])
        for _ in range(arguments.draws)
    ]
    low, high = np.percentile([draw for draw in draws if draw is not None], [2.5, 97.5])
    value = grouped_auroc(row for rows in own.values() for row in rows)
    return {"value": float("nan") if value is None else value, "low": float(low), "high": float(high)}


def _shown(estimate: Mapping[str, float]) -> str:
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


if __name__ == "__main__":
    main()
