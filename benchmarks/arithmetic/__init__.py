"""A world of word problems with known step truth, and a tiny policy model trained on it."""

from pathlib import Path

POLICY = Path(__file__).parent / "policy"
"""Hugging Face directory of the policy model in this repository, made by `train_policy.py`."""

REVIEW = "Review each step.\n{problem}\n"
"""The prompt that makes the policy a reviewer: after each step it then predicts a verdict, `WRONG` or `RIGHT`."""
WRONG, RIGHT = "-", "+"
"""Verdicts on a solution up to a step's end; one token each."""
