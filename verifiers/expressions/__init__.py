"""Expressions: text to trees, trees to numbers, and comparison of trees with sympy in killable processes."""
