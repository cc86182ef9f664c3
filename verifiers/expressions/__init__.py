"""Expressions: text to trees, trees to numbers, and trees compared with sympy in processes that can be killed."""
