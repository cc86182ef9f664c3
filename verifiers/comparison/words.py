"""Answers that are text: words, letters of choices, times of day."""

from __future__ import annotations

import re

from ..reading.answers import NOTHING, Answer
from ..verdict import Finding, Outcome
from .rules import Judge, correct, incorrect, undecided

_CHOICE = re.compile(
    r"(?:\\text\{)?(?:(?:[Oo]ption|[Cc]hoice|选项?) ?)?\(?(?:\\text\{)?([A-J])"
    r"(?:[)}]+\.?:?(?![-+*/=^!_)])|\.(?=[\d\\($-]|$|[^\W\d_]{2}|A |[a-z][=<>])|:(?=[\d\\($-]|$|.{2})|$)"
)
"""The letter of a choice: B, (B), B. 5, B: text, \\text{(B)}."""
_SEVERAL = re.compile(r"(?:\([A-J]\)){2,}|\(?[A-J]\)?(?:(?:,|;|&|and)+\(?[A-J]\)?)+")
OTHER_CHOICE = incorrect("different choices")
_SENTENCE_WORDS = 5
"""Answers of so many words may say the same in other words."""
_TOGETHER = re.compile(r"[A-H]{2,6}")
_NEXT = re.compile(r"\([A-J]\)")
_AMONG = re.compile(r"(?:and|or|,|;) ?\(?[A-J]+[):]")


def compare_texts(answer: Answer, gold: Answer, _judge: Judge) -> Finding | None:
    """For equal texts; an answer that was derived has none."""
    return correct("same text") if answer.text == gold.text != "" else None


def compare_choices(answer: Answer, gold: Answer, judge: Judge) -> Finding | None:
    """For letters of multiple choice."""
    expected = choice_letters(gold)
    if expected is None:
        return None
    chosen = choice_letters(answer)
    if chosen is None and judge.policy.choice and len(answer.text) == 1 and answer.text.upper() in "ABCDEFGHIJ":
        chosen = frozenset(answer.text.upper())
    if chosen is None:
        return None
    if chosen != expected:
        return OTHER_CHOICE
    mine, theirs = _text_of(answer), _text_of(gold)
    return (
        undecided("the same letter with another text") if mine and theirs and mine != theirs else correct("same choice")
    )


def _text_of(answer: Answer) -> str:
    """What stands beside the letter of a choice."""
    match = _CHOICE.match(answer.text)
    return _shown(answer)[match.end() :].strip(" .:)") if match else ""


def choice_letter(answer: Answer) -> str | None:
    """The letter of a multiple-choice option, with or without its text; None for any other answer."""
    match = _CHOICE.match(answer.text)
    rest = answer.text[match.end() :] if match else ""
    return match[1] if match and not _AMONG.search(rest) and not _NEXT.match(rest) else None


def choice_letters(answer: Answer) -> frozenset[str] | None:
    """The letters of one or several options: {"A", "C"} for "A, C", "(A) and (C)" or "AC"; None for other answers."""
    if answer.choice:
        return frozenset(answer.choice)
    if answer.kind == "number":
        return None
    if letter := choice_letter(answer):
        return frozenset(letter)
    text = re.sub(r"\\text\{([^{}]*)\}", r"\1", answer.text).replace(" ", "")
    is_together = _TOGETHER.fullmatch(text) and list(text) == sorted(set(text))
    return frozenset(re.findall("[A-J]", text)) if is_together or _SEVERAL.fullmatch(text) else None


def compare_words(answer: Answer, gold: Answer, _judge: Judge) -> Finding:
    """For words on at least one side."""
    if NOTHING in (answer.words, gold.words) and {"number", "expression", "list", "region"} & {answer.kind, gold.kind}:
        return incorrect("only one side says there is no solution")
    if _is_wordlike(answer) and _is_wordlike(gold):
        return _compare_shown(answer, gold)
    if _shown(answer) == _shown(gold):
        return correct("same words")
    return _compare_times(answer, gold) or cannot_read(answer, gold, _judge)


def _compare_shown(answer: Answer, gold: Answer) -> Finding:
    if answer.words == gold.words:
        general = gold.words == NOTHING and answer.text.casefold() != gold.text.casefold()
        is_vague = general and "none" in (answer.text.casefold(), gold.text.casefold())
        return undecided("none, or no solution") if is_vague else correct("same words")
    shorter, longer = sorted((f" {answer.words} ", f" {gold.words} "), key=len)
    said = [sorted(filter(str.isalpha, side.words.split())) for side in (answer, gold)]
    may_be_same = said[0] != said[1] and max(map(len, said)) >= _SENTENCE_WORDS
    return Finding(Outcome.ERROR if shorter in longer or may_be_same else Outcome.INCORRECT, "different words")


def _is_wordlike(answer: Answer) -> bool:
    """Whether it is words, or a single letter that may be the letter of a choice."""
    return answer.kind == "words" or (answer.kind == "expression" and len(answer.text) == 1)


def _shown(answer: Answer) -> str:
    r"""The text without `\text{…}`, for answers such as "4:30 p.m."."""
    return answer.text.replace(r"\text{", "").replace("}", "").strip(" .").casefold()


def _compare_times(answer: Answer, gold: Answer) -> Finding | None:
    """For a time of day on a clock of 12 hours against one of 24, or of unknown half of the day."""
    worded, bare = (answer, gold) if answer.kind == "words" else (gold, answer)
    if not worded.words.endswith(" o'clock") or bare.family != "clock":
        return None
    time, shown = worded.words.removesuffix(" o'clock"), bare.text.lstrip("0")
    if time == shown and int(time.partition(":")[0]) > 12:
        return correct("the same time")
    hour, _, minute = time.partition(":")
    either = {time, f"{int(hour) % 12 or 12}:{minute}"}
    return undecided("a time without its half of the day") if shown in either else incorrect("different times")


def cannot_read(answer: Answer, gold: Answer, _judge: Judge) -> Finding:
    """For an answer that cannot be read, and is not the same text."""
    unreadable = ("unread", "unusable", "words")
    side, culprit = ("gold answer", gold) if gold.kind in unreadable else ("prediction", answer)
    return undecided(f"cannot read the {side}: {culprit.reason or 'it is words'}")
