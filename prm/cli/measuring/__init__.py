"""The commands that measure, and show what was measured."""
