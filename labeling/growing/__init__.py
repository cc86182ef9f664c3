"""Rollouts as new chains, and the chains and rollouts of a problem as one tree."""
