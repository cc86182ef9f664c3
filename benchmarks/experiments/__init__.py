"""Experiments behind numbers in the docs; each module is a command, `python -m prm.benchmarks.experiments.NAME`."""
