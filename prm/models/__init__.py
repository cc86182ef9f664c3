"""Reward models: how text becomes token ids, which heads are read and where, and how checkpoints are loaded."""
