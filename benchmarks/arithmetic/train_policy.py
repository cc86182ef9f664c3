"""Train the demo's policy: a causal language model of a million parameters, from scratch, on solutions and reviews.

    python -m prm.benchmarks.arithmetic.train_policy --out benchmarks/arithmetic/policy

The result is an ordinary Hugging Face directory (Llama architecture, byte-level BPE) that transformers and vLLM load
like any other model. Its context is long enough for real problems, on which it runs but hardly ever succeeds.

It learns in two phases. First it reads problems with imperfect solutions, and becomes a policy. To such a model nothing
ever mattered about a step but what comes next: whether its operation is the one that the sentence asks for is not to be
found in its hidden states, and a PRM that starts from them finds it late, or never, as chance has it. A real backbone
has read text in which solutions are judged. So the second phase mixes in reviews: the instruction of `REVIEW`, a
problem, somebody's solution, and after a step the verdict on the solution so far. Only verdicts are learned from there,
as is usual in fine-tuning on instructions, and all verdicts on one solution come from one pass over it, as in
Math-Shepherd (arXiv 2312.08935, section 3): each is the next token after the text up to that step, which holds no
earlier verdict. That is just what a PRM reads. Without the instruction the policy writes solutions as before.

The stories are other than the demo's, and their authors are those of `prm.benchmarks.arithmetic.world`, not the policy.

Left out: evaluation, which `prm sample` and `prm eval` do as for any model.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

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
from .world import Story, solution, step_truth, stories

END, PAD = "<|endoftext|>", "<|pad|>"
TRAINING_SEED = 1_000_003
"""Seed of the training stories; the demo draws its problems with other seeds."""
REVIEWED_SLIPS = 4.0
"""How many times more often authors slip in the solutions that are reviewed; there would be few to learn from else."""
UNREAD = -100
"""Target of a token that is not learned from."""

Row = dict[str, list[int]]
"""`input_ids` and, of the same length, `labels`: the target of the prediction before each token."""


def solved(tokenizer: PreTrainedTokenizerFast, story: Story, rng: random.Random) -> Row:
    """A problem with one solution, all of it to learn from."""
    ids = tokenizer(f"{story.text}\n{solution(story, rng)}{END}")["input_ids"]
    return {"input_ids": ids, "labels": list(ids)}


def reviewed(tokenizer: PreTrainedTokenizerFast, story: Story, rng: random.Random) -> Row:
    """A review, its verdicts to learn from; every other reviewer stops at the first wrong step."""
    steps = solution(story, rng, REVIEWED_SLIPS).split("\n")
    truth = step_truth(story.values, steps)
    judged = len(steps) if rng.random() < 0.5 else min(truth.count(True) + 1, len(steps))
    lines = [REVIEW.format(problem=story.text), *(f"{step}\n" for step in steps)]
    pieces = tokenizer(lines)["input_ids"]
    verdicts = tokenizer([RIGHT if is_right else WRONG for is_right in truth[:judged]])["input_ids"]
    ids = [*(i for piece in pieces for i in piece), tokenizer.eos_token_id]
    labels, end = [UNREAD] * len(ids), len(pieces[0])
    for piece, verdict in zip(pieces[1:], verdicts, strict=False):
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
        kinds: `solved` or `reviewed`, in the order of their turns.
        seed: of the stories and solutions.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, batch: int, kinds: Sequence[Callable[..., Row]], seed: int
    ) -> None:
        self.tokenizer = tokenizer
        self.batch = batch
        self.kinds = kinds
        self.seed = seed

    def __iter__(self) -> Iterator[Row]:
        rng, source = random.Random(self.seed), stories(self.seed)
        streams = {kind: self._batches(kind, source, rng) for kind in self.kinds}
        for kind in cycle(self.kinds):
            yield from next(streams[kind])

    def _batches(
        self, kind: Callable[..., Row], source: Iterator[Story], rng: random.Random
    ) -> Iterator[Sequence[Row]]:
        while True:
            rows = [kind(self.tokenizer, story, rng) for story in islice(source, 20 * self.batch)]
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


def fit(model: LlamaForCausalLM, documents: Documents, out: Path, *, steps: int, lr: float) -> None:
    """Fit the model in place, a batch of documents per optimizer step."""
    settings: dict[str, Any] = {
        "output_dir": str(out),
        "max_steps": steps,
        "per_device_train_batch_size": documents.batch,
        "learning_rate": lr,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 200,
        "weight_decay": 0.01,
        "adam_beta2": 0.98,
        "logging_steps": 50,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": not torch.cuda.is_available(),
    }
    collator = DataCollatorForSeq2Seq(documents.tokenizer, label_pad_token_id=UNREAD)
    Trainer(model=model, args=TrainingArguments(**settings), train_dataset=documents, data_collator=collator).train()


def main() -> None:
    """Train and save the policy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    parser.add_argument("--start", type=Path, help="directory of a policy after the first phase, to begin with")
    parser.add_argument("--steps", type=int, default=2500, help="optimizer steps of the first phase (default: 2500)")
    parser.add_argument("--batch", type=int, default=64, help="documents per step (default: 64)")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--review-steps", type=int, default=9000, help="of the second phase (default: 9000)")
    parser.add_argument("--review-batch", type=int, default=4, help="documents per step (default: 4)")
    parser.add_argument("--review-lr", type=float, default=5e-4)
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
        documents = Documents(tokenizer, args.batch, [solved], TRAINING_SEED)
        fit(model, documents, args.out, steps=args.steps, lr=args.lr)
    documents = Documents(tokenizer, args.review_batch, [reviewed, reviewed, solved], TRAINING_SEED + 1)
    fit(model, documents, args.out, steps=args.review_steps, lr=args.review_lr)
    model.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)
    print(f"{model.num_parameters():,} parameters written to {args.out}")


if __name__ == "__main__":
    main()
