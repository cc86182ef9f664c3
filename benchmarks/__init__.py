"""Suites, metrics and reports, and the arithmetic world, where the truth of every step is known."""
