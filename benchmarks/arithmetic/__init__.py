"""A world of word problems with exact step truth, and a tiny policy model trained on it."""

from pathlib import Path

POLICY = Path(__file__).parent / "policy"
"""Hugging Face directory of the committed policy model; `train_policy.py` made it."""
