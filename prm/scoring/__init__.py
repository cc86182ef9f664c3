"""From a model and chains to scores, and from scores to the chosen chain."""
