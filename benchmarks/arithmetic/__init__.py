"""A world of word problems with known step truth, and a tiny policy model trained on it."""

from pathlib import Path

POLICY = Path(__file__).parent / "policy"
"""Hugging Face directory of the policy model in this repository, made by `train_policy.py`."""
