"""Train the demo's policy: a causal language model of a million parameters, from scratch, on imperfect solutions.

    python -m prm.benchmarks.arithmetic.train_policy --out benchmarks/arithmetic/policy

The result is an ordinary Hugging Face directory (Llama architecture, byte-level BPE) that transformers and vLLM load
like any other model. Its context is long enough for real problems, on which it runs but hardly ever succeeds.

Left out: evaluation, which `prm sample` and `prm eval` do as for any model.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    DataCollatorForLanguageModeling,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    set_seed,
)

from .world import solution, stories

END, PAD = "<|endoftext|>", "<|pad|>"
TRAINING_SEED = 1_000_003
"""Seed of the training stories; the demo draws its problems with other seeds."""


def documents(seed: int) -> Iterator[str]:
    """Yield an endless stream of problems with one solution each."""
    rng = random.Random(seed)
    for story in stories(seed):
        yield f"{story.text}\n{solution(story, rng)}"


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
    tokenizer.train_from_iterator(islice(documents(TRAINING_SEED), 20_000), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )


class Documents(torch.utils.data.IterableDataset[dict[str, list[int]]]):
    """An endless stream of documents as token ids, each with an end token; lengths within a batch are similar."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, batch: int) -> None:
        self.tokenizer = tokenizer
        self.batch = batch

    def __iter__(self) -> Iterator[dict[str, list[int]]]:
        rng, source = random.Random(TRAINING_SEED), documents(TRAINING_SEED)
        while True:
            texts = [text + END for text in islice(source, 20 * self.batch)]
            rows = sorted(self.tokenizer(texts)["input_ids"], key=len)
            batches = [rows[i : i + self.batch] for i in range(0, len(rows), self.batch)]
            for batch in rng.sample(batches, len(batches)):
                yield from ({"input_ids": ids} for ids in batch)


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


def main() -> None:
    """Train and save the policy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    parser.add_argument("--steps", type=int, default=2500, help="optimizer steps (default: 2500)")
    parser.add_argument("--batch", type=int, default=64, help="documents per step (default: 64)")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--feed-forward", type=int, default=384)
    parser.add_argument("--lr", type=float, default=2e-3)
    args = parser.parse_args()
    set_seed(0)
    tokenizer = train_tokenizer()
    model = build_model(tokenizer, args.layers, args.hidden, args.feed_forward)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(args.out),
            max_steps=args.steps,
            per_device_train_batch_size=args.batch,
            learning_rate=args.lr,
            lr_scheduler_type="cosine",
            warmup_steps=200,
            weight_decay=0.01,
            adam_beta2=0.98,
            logging_steps=50,
            save_strategy="no",
            report_to="none",
            use_cpu=not torch.cuda.is_available(),
        ),
        train_dataset=Documents(tokenizer, args.batch),
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
    )
    trainer.train()
    model.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)
    print(f"{model.num_parameters():,} parameters written to {args.out}")


if __name__ == "__main__":
    main()
