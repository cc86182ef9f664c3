"""Checkers of any kind behind one protocol: our rules under a policy, a function, or a program.

    >>> from prm.verifiers.checkers import checker_of, judge
    >>> judge(checker_of("minerva"), "The answer is 9.79", "9.8", None).outcome
    <Outcome.CORRECT: 'correct'>

A checker takes the prediction, the gold answer and the problem. It can be named by one text (`checker_of`), the same on
the command line and in Python.
"""

from .command import Command
from .naming import Named, checker_of
from .protocol import Checker, CheckerError, Question, StreamChecker, judge, judge_each
from .rules import RULES, Rules

__all__ = [
    "RULES",
    "Checker",
    "CheckerError",
    "Command",
    "Named",
    "Question",
    "Rules",
    "StreamChecker",
    "checker_of",
    "judge",
    "judge_each",
]
