"""Measurements of speed, memory and robustness; each module is a command, `python -m prm.benchmarks.perf.NAME`."""
