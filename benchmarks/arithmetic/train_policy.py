"""Train the demo's policy: a causal language model of a million parameters, from scratch, on solutions and reviews.

    python -m prm.benchmarks.arithmetic.train_policy --out benchmarks/arithmetic/policy

The result is an ordinary Hugging Face directory (Llama architecture, byte-level BPE) that transformers and vLLM load
like any other model. Its context is long enough for real problems, on which it runs but hardly ever succeeds.

It learns in three phases.

1. Solutions. It reads problems with imperfect solutions, and becomes a policy. To such a model nothing matters about a
   step but what comes next: whether the operation is the one that the sentence asks for is not to be found in its
   hidden states, and a PRM that starts from them finds it late or never, as chance has it. A real backbone has read
   text in which steps are judged.
2. Exercises. Single steps without a story, under the instruction of `REVIEW`, and after each the verdict on it. To
   judge one, a model must combine two words, neither of which tells anything alone. Among the other tokens of whole
   solutions it learns that late; from exercises in a minute.
3. Reviews. A problem, somebody's solution, and after each step the verdict on the solution so far.

Solutions go on between exercises and between reviews, so without the instruction the policy writes as before. Of the
texts of phases 2 and 3 only the verdicts are learned, as is usual in fine-tuning on instructions, and all verdicts on
one solution come from one pass over it, as in Math-Shepherd (arXiv 2312.08935, section 3): each is the next token after
the text up to that step, which holds no earlier verdict. That is just what a PRM reads.

A PRM that starts from the result needs no instruction: it finds what the verdicts rest on.

The stories are other than the demo's, and their authors are those of `prm.benchmarks.arithmetic.world`, not the policy.

The weights in this repository began, by `--start`, with an earlier policy, whose solutions had slipped more often: one
trained by the command above will slip less.

Left out: evaluation, which `prm sample` and `prm eval` do as for any model.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    DataCollatorForSeq2Seq,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    set_seed,
)

from . import REVIEW, RIGHT, WRONG
from .world import Story, exercise, solution, step_truth, stories

END, PAD = "<|endoftext|>", "<|pad|>"
TRAINING_SEED = 1_000_003
"""Seed of the training stories; the demo draws its problems with other seeds."""
UNREAD = -100
"""Target of a token that is not learned from."""

Row = dict[str, list[int]]
"""`input_ids` and, of the same length, `labels`: the target of the prediction before each token."""
Kind = Callable[[PreTrainedTokenizerFast, Iterator[Story], random.Random], Row]
"""Makes a document of the next story."""


def solved(tokenizer: PreTrainedTokenizerFast, source: Iterator[Story], rng: random.Random) -> Row:
    """A problem with one solution, all of it to learn from."""
    story = next(source)
    ids = tokenizer(f"{story.text}\n{solution(story, rng)}{END}")["input_ids"]
    return {"input_ids": ids, "labels": list(ids)}


def exercises(tokenizer: PreTrainedTokenizerFast, source: Iterator[Story], rng: random.Random) -> Row:
    """Eight steps that have nothing to do with each other, the verdict on each to learn from."""
    steps, truth = zip(*(exercise(rng) for _ in range(8)), strict=True)
    return _judged(tokenizer, REVIEW.partition("{")[0], steps, truth)


def reviewed(tokenizer: PreTrainedTokenizerFast, source: Iterator[Story], rng: random.Random) -> Row:
    """A review of a solution, its verdicts to learn from."""
    story = next(source)
    steps = solution(story, rng).split("\n")
    return _judged(tokenizer, REVIEW.format(problem=story.text), steps, step_truth(story.values, steps))


def _judged(tokenizer: PreTrainedTokenizerFast, prompt: str, steps: Sequence[str], truth: Sequence[bool]) -> Row:
    pieces = tokenizer([prompt, *(f"{step}\n" for step in steps)])["input_ids"]
    verdicts = tokenizer([RIGHT if is_right else WRONG for is_right in truth])["input_ids"]
    ids = [*(i for piece in pieces for i in piece), tokenizer.eos_token_id]
    labels, end = [UNREAD] * len(ids), len(pieces[0])
    for piece, verdict in zip(pieces[1:], verdicts, strict=True):
        end += len(piece)
        (labels[end],) = verdict
    return {"input_ids": ids, "labels": labels}


def train_tokenizer(vocabulary: int = 640) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE: every number of the world becomes one token, and any other text can be encoded."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    rng = random.Random(TRAINING_SEED)
    texts = (f"{story.text}\n{solution(story, rng)}" for story in stories(TRAINING_SEED))
    tokenizer.train_from_iterator(islice(texts, 20_000), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )


class Documents(torch.utils.data.IterableDataset[Row]):
    """An endless stream of documents as token ids; lengths within a batch are similar, and kinds of batches take turns.

    Args:
        tokenizer: of the policy.
        batch: documents in a batch.
        kinds: of documents, in the order of their turns.
        seed: of the stories and solutions.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, batch: int, kinds: Sequence[Kind], seed: int) -> None:
        self.tokenizer = tokenizer
        self.batch = batch
        self.kinds = kinds
        self.seed = seed

    def __iter__(self) -> Iterator[Row]:
        rng, source = random.Random(self.seed), stories(self.seed)
        streams = {kind: self._batches(kind, source, rng) for kind in self.kinds}
        for kind in cycle(self.kinds):
            yield from next(streams[kind])

    def _batches(self, kind: Kind, source: Iterator[Story], rng: random.Random) -> Iterator[Sequence[Row]]:
        while True:
            rows = [kind(self.tokenizer, source, rng) for _ in range(20 * self.batch)]
            rows.sort(key=lambda row: len(row["input_ids"]))
            batches = [rows[i : i + self.batch] for i in range(0, len(rows), self.batch)]
            yield from rng.sample(batches, len(batches))


def build_model(tokenizer: PreTrainedTokenizerFast, layers: int, hidden: int, feed_forward: int) -> LlamaForCausalLM:
    """Build a small Llama with heads of dimension 32, the smallest that vLLM's CPU kernels support."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=feed_forward,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        num_key_value_heads=hidden // 32,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attention_dropout=0.0,
    )
    return LlamaForCausalLM(config)


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the training."""

    kinds: Sequence[Kind]
    """Kinds of its batches, which take turns."""
    batch: int
    """Documents per optimizer step."""
    steps: int
    """Optimizer steps."""
    lr: float
    """Peak learning rate; warmed up over 200 steps, then a cosine to 0."""


def fit(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, phase: Phase, seed: int, out: Path) -> None:
    """Fit the model in place."""
    settings = TrainingArguments(
        output_dir=str(out),
        max_steps=phase.steps,
        per_device_train_batch_size=phase.batch,
        learning_rate=phase.lr,
        lr_scheduler_type="cosine",
        warmup_steps=200,
        weight_decay=0.01,
        adam_beta2=0.98,
        logging_steps=50,
        save_strategy="no",
        report_to="none",
        use_cpu=not torch.cuda.is_available(),
    )
    documents = Documents(tokenizer, phase.batch, phase.kinds, seed)
    collator = DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=UNREAD)
    Trainer(model=model, args=settings, train_dataset=documents, data_collator=collator).train()


PHASES = {
    "solutions": Phase([solved], batch=64, steps=2500, lr=2e-3),
    "exercises": Phase([exercises, exercises, exercises, solved], batch=4, steps=2400, lr=1e-3),
    "reviews": Phase([reviewed, solved], batch=16, steps=1200, lr=6e-4),
}


def main() -> None:
    """Train and save the policy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    parser.add_argument("--start", type=Path, help="a policy to begin with, in place of the phase of solutions")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--feed-forward", type=int, default=384)
    args = parser.parse_args()
    set_seed(0)
    if args.start:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(args.start)
        model = LlamaForCausalLM.from_pretrained(args.start)
    else:
        tokenizer = train_tokenizer()
        model = build_model(tokenizer, args.layers, args.hidden, args.feed_forward)
    for number, (name, phase) in enumerate(PHASES.items()):
        if name != "solutions" or not args.start:
            fit(model, tokenizer, phase, TRAINING_SEED + number, args.out)
    model.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)
    print(f"{model.num_parameters():,} parameters written to {args.out}")


if __name__ == "__main__":
    main()
