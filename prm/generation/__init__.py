"""Engines that generate text, and the chains sampled with them."""
