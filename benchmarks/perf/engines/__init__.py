"""Measurements of the engines: what the client costs, what seeds cost, and whether all ways draw alike."""
