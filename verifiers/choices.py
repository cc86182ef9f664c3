"""Multiple choice with known options: an answer may be an option's letter or its text."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

from .checking import DEFAULT_TIMEOUT, check
from .comparison import choice_letter
from .extract import extract_answer, single_line
from .reading.answers import read_answer
from .verdict import Outcome, Verdict


def check_choice(prediction: str, gold: str, options: Sequence[str], *, timeout: float = DEFAULT_TIMEOUT) -> Verdict:
    """`verifiers.check` for a multiple-choice question; the first option is A.

    Args:
        prediction: A whole solution, or a bare answer: a letter, a letter with text, or the text of an option.
        gold: The same.
        options: The texts of the options, from 2 to 26.
        timeout: See `check`.

    Returns:
        The verdict on the chosen option; `error` if the gold is not among the options.

    Raises:
        ValueError: fewer than 2 or more than 26 options.

    >>> check_choice("So it is 12 cm.", "B", ["10 cm", "12 cm"]).outcome
    <Outcome.CORRECT: 'correct'>
    >>> check_choice("The answer is (A).", "12 cm", ["10 cm", "12 cm"]).outcome
    <Outcome.INCORRECT: 'incorrect'>
    """
    if not 2 <= len(options) <= len(ascii_uppercase):
        raise ValueError(f"there must be 2 to 26 options, not {len(options)}")
    expected = _option(gold, options, timeout)
    if expected is None:
        return Verdict(Outcome.ERROR, "the gold answer is not among the options", None)
    found = extract_answer(prediction) or single_line(prediction)
    chosen = None if found is None else choice_letter(read_answer(found))
    is_text = any(chosen == option.strip() for option in options)  # an option may be a letter itself
    if chosen is None or is_text or chosen not in ascii_uppercase[: len(options)]:
        return check(prediction, options[expected], timeout=timeout)
    is_equal = chosen == ascii_uppercase[expected]
    return Verdict(Outcome.CORRECT if is_equal else Outcome.INCORRECT, "the letter of an option", found)


def _option(gold: str, options: Sequence[str], timeout: float) -> int | None:
    """The index of the gold among the options, by its text or else by its letter; None if it is not there."""
    equal = [i for i, option in enumerate(options) if check(option, gold, timeout=timeout).is_correct]
    letter = choice_letter(read_answer(extract_answer(gold) or gold))
    by_letter = ascii_uppercase.index(letter) if letter else len(options)
    return equal[0] if len(equal) == 1 else by_letter if by_letter < len(options) else None
