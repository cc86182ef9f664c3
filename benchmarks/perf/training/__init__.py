"""Measurements of training: the preparation of its examples, and passes without padding."""
