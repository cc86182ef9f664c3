"""Measurements of `prm serve`."""
