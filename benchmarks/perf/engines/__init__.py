"""Measurements of the engines: the cost of the client and of seeds, whether all ways draw alike, and causal scorers."""
