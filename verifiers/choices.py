"""Multiple choice with known options: an answer may be an option's label or its text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from string import ascii_uppercase
from typing import Any

from .checking import DEFAULT_TIMEOUT, check
from .comparison import choice_letter
from .extract import extract_answer, single_line
from .policy import DEFAULT, Policy
from .reading.answers import read_answer
from .verdict import Outcome, Verdict

_BARE_LABEL = re.compile(r"\(?(\w+)[).:]?")


def check_choice(
    prediction: str,
    gold: str,
    options: Sequence[str] | Mapping[Any, Any],
    *,
    policy: Policy = DEFAULT,
    timeout: float = DEFAULT_TIMEOUT,
) -> Verdict:
    """`verifiers.check` for a multiple-choice question.

    Args:
        prediction: A whole solution, or a bare answer: a label, a letter with text, or the text of an option.
        gold: The same.
        options: From 2 to 26 options: their texts, the first of which is A; or texts by label (`{"A": "10 cm", …}`; a
            label may be a number, and its case does not count); or labels and texts as ARC and CommonsenseQA have them
            (`{"label": ["A", …], "text": ["10 cm", …]}`).
        policy: See `check`: how the answer is compared with the text of the right option.
        timeout: See `check`.

    Returns:
        The verdict on the chosen option; `error` if two options are equal, if the gold is not exactly one of them, or
        if the answer is the label of one and the text of another.

    Raises:
        TypeError: the text of an option is not a string.
        ValueError: fewer than 2 or more than 26 options, or not one distinct label for each.

    >>> check_choice("So it is 12 cm.", "B", ["10 cm", "12 cm"]).outcome
    <Outcome.CORRECT: 'correct'>
    >>> check_choice("The answer is (a).", "12 cm", {"a": "10 cm", "b": "12 cm"}).outcome
    <Outcome.INCORRECT: 'incorrect'>
    """
    texts = _by_label(options)
    if _has_equal(tuple(texts.values()), timeout):
        return Verdict(Outcome.ERROR, "two options are equal", None)
    meant = _meant(gold, texts, timeout)
    if len(meant) != 1:
        return Verdict(Outcome.ERROR, f"the gold answer is {'several' if meant else 'none'} of the options", None)
    (expected,) = meant
    found = extract_answer(prediction) or single_line(prediction) or ""
    if _label(found, texts) is None:
        return check(prediction, texts[expected], policy=policy, timeout=timeout)
    chosen = _meant(found, texts, timeout)
    if len(chosen) > 1:
        return Verdict(Outcome.ERROR, "the answer is the label of one option and the text of another", found)
    return Verdict(Outcome.CORRECT if chosen == meant else Outcome.INCORRECT, "the label of an option", found)


def _by_label(options: Sequence[str] | Mapping[Any, Any]) -> dict[str, str]:
    """The texts by their labels, in upper case."""
    if not isinstance(options, Mapping):
        labels, texts = list(ascii_uppercase[: len(options)]), list(options)
    elif options.keys() == {"label", "text"} and not isinstance(options["text"], str):
        labels, texts = list(options["label"]), list(options["text"])
    else:
        labels, texts = list(options), list(options.values())
    if not 2 <= len(texts) <= len(ascii_uppercase):
        raise ValueError(f"there must be 2 to 26 options, not {len(texts)}")
    by_label = {str(label).strip().upper(): text for label, text in zip(labels, texts, strict=False)}
    if not len(by_label) == len(labels) == len(texts):
        raise ValueError(f"each of {len(texts)} options needs a label of its own, not {labels}")
    return by_label


@lru_cache(maxsize=1_024)
def _has_equal(texts: tuple[str, ...], timeout: float) -> bool:
    """Whether two of the texts are the same answer, whichever of the two is the gold."""
    return any(
        check(left, right, timeout=timeout).is_correct and check(right, left, timeout=timeout).is_correct
        for left, right in combinations(texts, 2)
    )


def _meant(answer: str, texts: Mapping[str, str], timeout: float) -> set[str]:
    """The labels of the options that an answer may mean: by its label, and by their texts."""
    label = _label(extract_answer(answer) or answer, texts)
    return {name for name, text in texts.items() if name == label or check(text, answer, timeout=timeout).is_correct}


def _label(answer: str, texts: Mapping[str, str]) -> str | None:
    """The label that an answer states, alone or, if it is a letter, with the text of its option."""
    bare = _BARE_LABEL.fullmatch(answer.strip())
    stated = bare[1].upper() if bare else choice_letter(read_answer(answer))
    return stated if stated in texts else None
