"""Chains → Monte Carlo step labels, through one stream of requests to an engine."""
