"""Reads the text of an answer: what is written there, and what kind of answer it is."""
