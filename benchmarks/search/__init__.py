"""Runs of `prm solve` compared: accuracy against tokens, the best way by difficulty, and the trees of a search."""
