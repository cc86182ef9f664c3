"""Scorers and models that run behind HTTP."""
