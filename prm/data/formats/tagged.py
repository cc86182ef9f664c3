"""Formats in which the problem and the first step are one text: Math-Shepherd, OpenRLHF and RLHFlow.

Where the first step begins is told by "Step 1:", or by a known problem with which the text begins. A row that tells
it by neither, or has "Step 1:" twice, is not used: a guess would shift every label.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..records import Outcome
from ..rows import Row
from .solutions import MARKS, Label, Reading, RowError, Solution, as_labels, ended, objects, typed

FIRST_STEP = re.compile(r"[Ss]tep 1:")
Piece = tuple[str, Label]
"""Text up to a mark, and the label that the mark stands for."""


def math_shepherd(row: Row, reading: Reading) -> Iterator[Solution]:
    """Math-Shepherd (arXiv 2312.08935): `input` with a tag after each step, `label` with + or - in its place.

    Tags before the first step, which some rows carry in the prompt, are no labels. The last label is the verdict on
    the answer, for nothing is left to roll out (ibid., section 3).
    """
    pieces = _aligned(typed(row, "input", str), typed(row, "label", str), reading.tag)
    _require_between_words([text for text, _ in pieces], reading.tag)
    yield _solution(pieces, reading, _VERDICTS)


def openrlhf(row: Row, reading: Reading) -> Iterator[Solution]:
    """OpenRLHF's `ProcessRewardDataset`: `input` with a tag after each step, `value` with one label a tag."""
    *parts, rest = typed(row, "input", str).split(reading.tag)
    values = typed(row, "value", list)
    _require_end(rest)
    _require_between_words(parts, reading.tag)
    if len(values) != len(parts):
        raise RowError("labels and tags differ in number", f"{len(values)}, {len(parts)}")
    yield _solution(list(zip(parts, as_labels(values), strict=True)), reading)


def rlhflow(row: Row, reading: Reading) -> Iterator[Solution]:
    """RLHFlow's PRM data: `conversations` of a step (the first with the problem) by the user, + or - by the assistant.

    Its labels are those of Math-Shepherd, so the last is the verdict on the answer.
    """
    turns = objects(row, "conversations")
    roles = [turn.get("role") for turn in turns]
    if not roles or roles != ["user", "assistant"] * (len(roles) // 2):
        raise RowError("turns that are not user and assistant by turns", repr(roles[:4]))
    said = [typed(turn, "content", str) for turn in turns]
    yield _solution(
        [(text, _mark(answer)) for text, answer in zip(said[::2], said[1::2], strict=True)], reading, _VERDICTS
    )


def _mark(text: str) -> bool:
    if text.strip() not in MARKS:
        raise RowError("a label that cannot be read", repr(text))
    return MARKS[text.strip()]


_VERDICTS: dict[Label, Outcome] = {True: "correct", False: "incorrect"}


def _aligned(text: str, labeled: str, tag: str) -> list[Piece]:
    """Walk through both texts at once, so that a tag is one only where the other text has a mark in its place."""
    pieces: list[Piece] = []
    *parts, rest = text.split(tag)
    piece, at = "", 0
    for part in parts:
        piece, at = piece + part, _after(part, labeled, at)
        if labeled[at : at + 1] in MARKS:
            pieces.append((piece, MARKS[labeled[at]]))
            piece, at = "", at + 1
        else:
            piece, at = piece + tag, _after(tag, labeled, at)
    _require_end(piece + rest)
    if _after(rest, labeled, at) != len(labeled):
        raise _apart(at)
    return pieces


def _after(part: str, labeled: str, at: int) -> int:
    if not labeled.startswith(part, at):
        raise _apart(at)
    return at + len(part)


def _apart(at: int) -> RowError:
    return RowError("input and label differ in more than the tags", f"after {at} characters")


def _require_between_words(parts: Sequence[str], tag: str) -> None:
    """A tag of letters that touches a letter is a piece of a word, which some tool took for its tag."""
    touches = any(part[-1:].isalpha() for part in parts) or any(part[:1].isalpha() for part in parts[1:])
    if tag.isalpha() and touches:
        raise RowError("a tag inside a word", repr(tag))


def _require_end(rest: str) -> None:
    if rest.strip():
        raise RowError("text after the last tag", repr(rest[:40]))


def _solution(pieces: Sequence[Piece], reading: Reading, verdicts: dict[Label, Outcome] | None = None) -> Solution:
    """Cut the problem off; pieces that end before the first step are part of it."""
    trimmed = [(text.rstrip(" "), label) for text, label in pieces]
    whole = "".join(text for text, _ in trimmed)
    start = _first_step(whole, reading)
    steps, labels, end = [], [], 0
    for text, label in trimmed:
        begin, end = end, end + len(text)
        if end > start:
            steps.append(ended(text[max(start - begin, 0) :].strip()))
            labels.append(label)
    outcome = (verdicts or {}).get(labels[-1], "no_answer") if labels else "no_answer"
    return Solution(whole[:start].strip(), tuple(steps), tuple(labels), outcome=outcome)


def _first_step(whole: str, reading: Reading) -> int:
    """Where the first step begins: behind a known problem, unless "Step 1:" says otherwise, or there."""
    known = reading.known.beginning(whole)
    marks = [match.start() for match in FIRST_STEP.finditer(whole, known)]
    is_clear = not marks or not whole[known : marks[0]].strip() if known else len(marks) == 1
    if not is_clear:
        behind = " behind a known problem" if known else ""
        raise RowError("it is not clear where the first step begins", f"'Step 1:' comes {len(marks)} times{behind}")
    return known or marks[0]
