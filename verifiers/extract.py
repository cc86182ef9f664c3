r"""Finds the answer in a solution.

In this order of precedence, in the last `TAIL` characters only, so that a megabyte costs no more than a page:

1. the last complete, non-empty `\boxed{…}` or `\fbox{…}` (if nested, the outermost complete one);
2. the line after the last `####`, unless that line is a Markdown heading (`#### Step 2: …`);
3. the text after the last "answer is" or "answer:", to the end of the line or sentence (a decimal point ends neither);
4. the whole text, if it is itself an answer: one line of at most `MAX_BARE` characters that reads as a number, a
   list or an expression, or that cannot be read but has no words;
5. the last number in the text, unless it is part of something else: the 2 of `\frac{1}{2}`, the 4 of "minus 4".

A one-line gold answer without a marker (1 to 3) is taken whole, and so is a prediction of one short line if the gold
answer is words. The last number (5) counts only if the gold is a number or percentage.
"""

from __future__ import annotations

import re
from typing import Literal

from .answers import NOTHING, read_answer
from .units import FRACTION_WORDS, NOT_UNITS

Boxes = Literal["last", "first", "all"]

TAIL = 20_000
"""Number of characters searched, at the end of a text."""
MAX_BARE = 200
"""Length, in characters, of the longest line that can itself be an answer."""

_LITERAL = r"(?:\d{1,3}(?:(?:,|\{,\})\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][+-]?\d{1,3}(?![\w.]))?(?![eE]?\d)"
_NUMBER = re.compile(
    rf"(?:(?<![\w)\]}}])[-\u2212])?\\?\$?(?:(?<![A-Za-z0-9]){_LITERAL}|(?<![\w.])\.\d+)(?:/\d+(?:\.\d+)?)?(?:\s?\\?%)?"
)
_BOX_OR_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_PHRASE = re.compile(
    r"\b(?:answer|(?:correct|right) (?:option|choice))[ *_]{0,6}(?:is|are|:|=)(?:[\s*_:]|\$\$|\\[\[(]){0,12}",
    re.IGNORECASE,
)
_PHRASE_END = re.compile(r"\.(?=\s|$|\*)|\n|\s(?:because|since|which)\s", re.IGNORECASE)
_EXCLAMATION = re.compile(r"(\d\d)!$")
"""An exclamation mark, not a factorial: nobody writes one of a number this large."""
_HEADING = re.compile(r"(?:step|part|solution|explanation|conclusion|answer|final|case)\b|.*:$", re.IGNORECASE)
_PROSE = re.compile(r"(?!(?:sqrt|pi|ln|log|exp|sin|cos|tan)\b)[A-Za-z]{2,}[ ,'\u2019]")
_NUMBER_THEN_PROSE = re.compile(rf"(-?\\?\$?{_LITERAL}(?:\s?\\?%)?)(?=/[A-Za-z]{{3,}}| (?:an? )?[A-Za-z]{{2,}})")
_OPERATION_WORDS = "plus minus multiplied divided raised sin cos tan log ln exp root roots factorial squared cubed"
_OPERATIONS = frozenset(_OPERATION_WORDS.split())
_JOINED = NOT_UNITS - {"for", "through", "is", "are", "if", "by", "but", "not", "to", "out"}
"""Words after a number that continue it."""
_MATHEMATICAL = re.compile(r"[\d\\^*+=<>()\[\]{}_|]|(?<!['\u2019])\b(?!a\b|I\b)[A-Za-z]\b")
_CIRCUMSTANCE = re.compile(r"(?<=[a-z]) (?:in|for|after|with|on|at|during|from|when|while|by) |^ (?:for|after) ")
"""Where prose goes on to say when, where or what for: in "50 miles in 7 hours" the answer is the miles."""
_PLAIN_WORD = re.compile(r"(?<![\\A-Za-z])[^\W\d_]{2,}")
_DENIED = re.compile(r"\b(?:not|never|cannot|doubt|neither|nor)\b|n['\u2019]t\b", re.IGNORECASE)
_COUNTED = re.compile(
    r"\b(?:step|case|part|eq|equation|problem|question|figure|exercise|line|page)s?\.?\s*\(?$", re.IGNORECASE
)
_SENTENCE = re.compile(r"[.!?]\s|\n")
_NEGATION = re.compile(r"\b(?:not|minus|negative|between)\b", re.IGNORECASE)
_MATH = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_LAST_LINES = 600


def extract_answer(text: str, *, boxes: Boxes = "last") -> str | None:
    r"""Find the answer in a text by the precedence above; None if there is none.

    Args:
        text: A whole solution, or a bare answer.
        boxes: Which boxes count if there are several: the last, the first, or all of them as a list.

    >>> extract_answer(r"So it is $\boxed{\frac{1}{2}}$."), extract_answer("3 + 4 = 7\n#### 7")
    ('\\frac{1}{2}', '7')
    >>> extract_answer("The answer is 3.5. Done."), extract_answer("x+1"), extract_answer("It costs $18 now")
    ('3.5', 'x+1', '$18')
    >>> extract_answer(r"x is \boxed{3}, y is \boxed{4}", boxes="all")
    '3, 4'
    """
    tail = text[-TAIL:]
    return marked_answer(tail, boxes) or bare_answer(text) or last_number(tail)


def marked_answer(text: str, boxes: Boxes = "last") -> str | None:
    """The answer after a marker (1 to 3 of the precedence), or None."""
    tail = text[-TAIL:]
    if tagged := _last_between(tail, "<answer>", "</answer>")[1]:
        return _boxed(tagged, boxes) or _after_phrase(tagged) or tagged
    return _boxed(tail, boxes) or _after_hashes(tail) or _after_phrase(tail)


def without_thought(text: str) -> str:
    """The text after the last `</think>`, without any unfinished thought.

    >>> without_thought("<think>5? no.</think>It is 6."), without_thought("<think>It is 6")
    ('It is 6.', '')
    """
    spoken = text.rpartition("</think>")[2]
    return spoken.partition("<think>")[0]


def last_math(text: str) -> str | None:
    r"""The last piece of inline or displayed math, or None.

    >>> last_math(r"So the area is $12\pi$ square units.")
    '12\\pi'
    """
    found = (_last_between(text[-TAIL:], *marks) for marks in _MATH)
    return max(found)[1] or None


def _last_between(text: str, opening: str, closing: str) -> tuple[int, str]:
    """The position of the last closing mark, and the text from its opening mark to it; (-1, "") if there is none."""
    end = text.rfind(closing)
    start = text.rfind(opening, 0, max(end, 0))
    content = text[start + len(opening) : end].strip() if start >= 0 else ""
    return (end, content) if content else (-1, "")


def bare_answer(text: str) -> str | None:
    """The whole text, if it is itself an answer (4 of the precedence), or None."""
    line = single_line(text)
    if line is None:
        return None
    answer = read_answer(line)
    if answer.kind in ("unread", "unusable"):
        return None if _PLAIN_WORD.search(line) and " " in line else line
    if answer.kind in ("number", "expression", "equation", "list"):
        return line if _is_readable_list(line) else None
    return (
        line
        if line.isalpha() or answer.words == NOTHING or (answer.kind == "words" and line.startswith("\\"))
        else None
    )


def _is_readable_list(line: str) -> bool:
    """False for prose with a comma, which reads as a list of unreadable items."""
    answer = read_answer(line)
    return answer.kind != "list" or all(item.kind not in ("unread", "words") for item in answer.items)


def single_line(text: str) -> str | None:
    """The stripped text if it is one non-empty line, short enough to be an answer; else None."""
    if len(text) > 4 * MAX_BARE:
        return None
    line = text.strip()
    return line if 0 < len(line) <= MAX_BARE and "\n" not in line else None


def last_number(text: str) -> str | None:
    """The last number of a text, as written, or None (5 of the precedence)."""
    for tail in (text[-_LAST_LINES:], text[-TAIL:]):
        found = None
        for found in _NUMBER.finditer(tail):  # noqa: B007  (only the last one matters)
            pass
        if found is not None and (found.start() > 0 or len(tail) == len(text)):
            return None if _is_part(tail[: found.start()], tail[found.end() :]) else found[0]
    return None


def _is_part(before: str, after: str) -> bool:
    """Whether a number's context makes it part of something else, denied, an ordinal, a label or a question."""
    if before.endswith(("{", "^", "_")) or _NEGATION.fullmatch(before[-12:].split(" ")[-2:][0]) is not None:
        return True
    said, following = _SENTENCE.split(before)[-1], _SENTENCE.split(after + "\n")[0]
    is_counted = _COUNTED.search(said) or re.match(r"(?:st|nd|rd|th)\b", after)
    word = re.match(r" ([A-Za-z]+)", after)
    is_more = bool(word and word[1].casefold() in FRACTION_WORDS) or re.search(r"\d,$", before)
    return bool(_DENIED.search(said) or is_counted or is_more or after[len(following) :].startswith("?"))


def _boxed(text: str, boxes: Boxes = "last") -> str | None:
    contents = _box_contents(text) if "\\boxed" in text or "\\fbox" in text else []
    if not contents:
        return None
    return ", ".join(contents) if boxes == "all" else contents[0 if boxes == "first" else -1]


def _box_contents(text: str) -> list[str]:
    """The contents of all complete boxes that lie in no other complete box."""
    found: list[tuple[int, str]] = []  # where each content starts, and the content
    opened: list[int | None] = []  # for each open brace: the start of its box's content, None if it opens no box
    for match in _BOX_OR_BRACE.finditer(text):
        token = match[0]
        if token == "}":
            start = opened.pop() if opened else None
            if start is not None and (content := text[start : match.start()].strip()):
                while found and found[-1][0] > start:
                    found.pop()
                found.append((start, content))
        elif token.endswith("{") and token != "\\{":
            opened.append(None if token == "{" else match.end())
    return [content for _, content in found]


def _after_hashes(text: str) -> str | None:
    start = text.rfind("####")
    if start < 0:
        return None
    line = text[start + 4 :].lstrip("#").partition("\n")[0].strip()
    return None if not line or _HEADING.match(line) else _without_prose(line)


def _after_phrase(text: str) -> str | None:
    for match in reversed(list(_PHRASE.finditer(text))):
        end = _PHRASE_END.search(text, match.end())
        content = text[match.end() : end.start() if end else len(text)].strip()
        if content:
            return _without_prose(_EXCLAMATION.sub(r"\1", content))
    return None


def _without_prose(content: str) -> str:
    """Reduce "that she has 18 apples" to "18", and "18 apples for 3 children" to "18"."""
    if _PROSE.match(content) and not _NEGATION.search(content):
        numbers = _NUMBER.findall(content)
        return numbers[0] if len(numbers) == 1 else content
    leading = _NUMBER_THEN_PROSE.match(content)
    if leading is None or read_answer(content).kind == "number":
        return content
    rest = _CIRCUMSTANCE.split(content[leading.end() :], maxsplit=1)[0]
    words = rest.casefold().split() or [""]
    is_joined = words[0] in _JOINED and not (words[0] == "more" and "than" not in words)
    return content if _MATHEMATICAL.search(rest) or _OPERATIONS & set(words) or is_joined else leading[1]
