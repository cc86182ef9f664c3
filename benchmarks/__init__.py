"""Suites, metrics and reports, and the arithmetic world in which every step can be decided."""
