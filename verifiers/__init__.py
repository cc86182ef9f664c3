"""Is this answer right? Extraction, normalization and equivalence of answers to math problems.

    >>> from prm.verifiers import check
    >>> check("He has 3 + 4 = 7 apples.", "#### 7").outcome
    <Outcome.CORRECT: 'correct'>

A verdict is one of five: correct, incorrect, no answer, timeout, error. Only the first two are evidence. Text is never
evaluated as code. Algebra runs in a separate process, killed if it takes too long; only that process imports sympy.
"""

from .checkers import Checker, CheckerError, Command, StreamChecker
from .checking import DEFAULT_TIMEOUT, answer_key, check, check_async, check_many, gold_problem
from .choices import check_choice
from .extract import extract_answer
from .policy import PRESETS, Policy
from .verdict import Outcome, Verdict

__all__ = [
    "DEFAULT_TIMEOUT",
    "PRESETS",
    "Checker",
    "CheckerError",
    "Command",
    "Outcome",
    "Policy",
    "StreamChecker",
    "Verdict",
    "answer_key",
    "check",
    "check_async",
    "check_choice",
    "check_many",
    "extract_answer",
    "gold_problem",
]
