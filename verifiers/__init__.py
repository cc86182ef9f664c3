"""Is this answer right? Extraction, normalization and equivalence of the answers of mathematical solutions.

    >>> from prm.verifiers import check
    >>> check("He has 3 + 4 = 7 apples.", "#### 7").outcome
    <Outcome.CORRECT: 'correct'>

A verdict is one of five: correct, incorrect, no answer, timeout, error. Only the first two are evidence. Text is never
evaluated; algebra runs in a process of its own that is killed when late, and only that process imports sympy.
"""

from .checking import DEFAULT_TIMEOUT, answer_key, check, check_async, check_many, gold_problem
from .choices import check_choice
from .extract import extract_answer
from .verdict import Outcome, Verdict

__all__ = [
    "DEFAULT_TIMEOUT",
    "Outcome",
    "Verdict",
    "answer_key",
    "check",
    "check_async",
    "check_choice",
    "check_many",
    "extract_answer",
    "gold_problem",
]
