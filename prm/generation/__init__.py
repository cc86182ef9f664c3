"""Engines that generate text, and what is sampled with them."""
