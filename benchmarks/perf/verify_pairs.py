"""Pairs of prediction and gold answer to measure verifiers on, and the peer to compare with."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

SAMPLES = Path(os.environ.get("PRM_SAMPLE_DATA", "../shared/data"))


class Pair(NamedTuple):
    """A prediction, a gold answer, and the label of a person or another program: whether they are equal."""

    prediction: str
    gold: str
    label: bool


def _rows(name: str) -> Iterator[dict[str, Any]]:
    with (SAMPLES / name).open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def gsm8k() -> Iterator[Pair]:
    """GSM8K's own solutions against their last line."""
    for row in _rows("gsm8k/test.jsonl"):
        yield Pair(row["answer"], row["answer"].rpartition("####")[2].strip(), True)


def gsm8k_candidates() -> Iterator[Pair]:
    """Sixteen models' solutions of GSM8K."""
    for row in _rows("gsm8k_candidates/gsm8k_bon16.jsonl"):
        gold = row["gold_solution"].rpartition("####")[2].strip()
        yield from (Pair(c["solution"], gold, c["is_correct"]) for c in row["candidates"])


def math() -> Iterator[Pair]:
    """MATH's own solutions against their answers."""
    for row in _rows("math/math500.jsonl"):
        yield Pair(row["solution"], row["answer"], True)


def hardverify() -> Iterator[Pair]:
    """HardVerify-Math: equal answers that rule-based checkers reject, and wrong answers."""
    for row in _rows("answer_verification/hardverify_pairs.jsonl"):
        yield Pair(f"\\boxed{{{row['pred']}}}", row["gold"], row["label"])


def harness() -> Iterator[Pair]:
    """Whole outputs of three models; the labels are verdicts of Qwen2.5-Math's grader, some of them wrong."""
    for row in _rows("harness_outputs/harness_pairs.jsonl"):
        yield Pair(row["model_output"], row["gold"], row["label"])


SETS: dict[str, Callable[[], Iterator[Pair]]] = {
    "GSM8K solutions": gsm8k,
    "GSM8K candidates": gsm8k_candidates,
    "MATH solutions": math,
    "HardVerify": hardverify,
    "harness outputs": harness,
}
"""Name of a set to the function that yields its pairs."""


def ours(prediction: str, gold: str) -> str:
    """Our verdict."""
    from prm.verifiers import check

    return check(prediction, gold).outcome.value


def math_verify(prediction: str, gold: str) -> str:
    """The verdict of math-verify, called as its README does.

    Install it by hand: `pip install math-verify==0.9.0 antlr4-python3-runtime==4.13.2`.
    """
    from math_verify import parse, verify

    try:
        return "correct" if verify(parse(f"${gold}$"), parse(prediction)) else "incorrect"
    except Exception as error:
        return type(error).__name__
