"""Requests of other tools, one module each: from their body to ours, and from our result to their answer.

Each has `ROUTES`, from a path to the type of its body and its handler; see `prm.serving.app`.
"""
