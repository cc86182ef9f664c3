"""Comparisons whose results stand in the docs; each is a command of its own."""
