"""Multiple choice where the options are known: an answer may be the letter of its option, or the option's text."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

from .answers import read_answer
from .checking import DEFAULT_TIMEOUT, check
from .compare import choice_letter
from .extract import extract_answer, single_line
from .verdict import Outcome, Verdict


def check_choice(prediction: str, gold: str, options: Sequence[str], *, timeout: float = DEFAULT_TIMEOUT) -> Verdict:
    """`verifiers.check` for a question with options, the first of which is A.

    Args:
        prediction: A whole solution, or a bare answer: a letter, a letter with text, or the text of an option.
        gold: The same.
        options: Their texts, from 2 to 26.
        timeout: See `check`.

    Returns:
        The verdict on the option that is meant; `error` where the gold is none of the options.

    Raises:
        ValueError: there are fewer than 2 or more than 26 options.

    >>> check_choice("So it is 12 cm.", "B", ["10 cm", "12 cm"]).outcome
    <Outcome.CORRECT: 'correct'>
    >>> check_choice("The answer is (A).", "12 cm", ["10 cm", "12 cm"]).outcome
    <Outcome.INCORRECT: 'incorrect'>
    """
    if not 2 <= len(options) <= len(ascii_uppercase):
        raise ValueError(f"there must be 2 to 26 options, not {len(options)}")
    expected = _option(gold, options, timeout)
    if expected is None:
        return Verdict(Outcome.ERROR, "the gold answer is none of the options", None)
    found = extract_answer(prediction) or single_line(prediction)
    chosen = None if found is None else choice_letter(read_answer(found))
    is_text = any(chosen == option.strip() for option in options)  # options that are letters are meant by their text
    if chosen is None or is_text or chosen not in ascii_uppercase[: len(options)]:
        return check(prediction, options[expected], timeout=timeout)
    is_equal = chosen == ascii_uppercase[expected]
    return Verdict(Outcome.CORRECT if is_equal else Outcome.INCORRECT, "the letter of an option", found)


def _option(gold: str, options: Sequence[str], timeout: float) -> int | None:
    """The place of the gold among the options, by its text or else by its letter."""
    equal = [i for i, option in enumerate(options) if check(option, gold, timeout=timeout).is_correct]
    letter = choice_letter(read_answer(extract_answer(gold) or gold))
    by_letter = ascii_uppercase.index(letter) if letter else len(options)
    return equal[0] if len(equal) == 1 else by_letter if by_letter < len(options) else None
