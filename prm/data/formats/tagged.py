"""Formats in which the problem and the first step are one text: Math-Shepherd, OpenRLHF and RLHFlow.

The first step begins at "Step 1:", or after a known problem that the text starts with. A row with neither, or with
"Step 1:" twice, is dropped: a wrong guess would shift every label.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..records import Outcome
from ..rows import Row, RowError
from .solutions import MARKS, Label, Labels, Reading, Solution, Written, as_labels, ended, objects, typed

FIRST_STEP = re.compile(r"[Ss]tep 1:")
Piece = tuple[str, Label]
"""Text up to a mark, and the label that the mark stands for."""


def math_shepherd(row: Row, reading: Reading) -> Iterator[Solution]:
    """Math-Shepherd (arXiv 2312.08935): `input` with a tag after each step, `label` with + or - in its place.

    Tags before the first step, which some rows have in the prompt, do not label a step. The last label is the verdict
    on the answer, since nothing is left to roll out (ibid., section 3).
    """
    pieces = _aligned(typed(row, "input", str), typed(row, "label", str), reading.tag)
    _require_between_words([text for text, _ in pieces], reading.tag)
    yield _solution(pieces, reading, _VERDICTS)


def math_shepherd_row(problem: str, steps: Sequence[str], labels: Labels, tag: str) -> Written:
    """`input` with a tag after each step, `label` with + or - in its place; unnumbered steps get numbers.

    >>> math_shepherd_row("How many?", ["3 + 4 = 7"], [True], "ки")
    {'input': 'How many? Step 1: 3 + 4 = 7 ки', 'label': 'How many? Step 1: 3 + 4 = 7 +'}
    """
    if not FIRST_STEP.match(steps[0]):
        steps = [f"Step {number}: {step}" for number, step in enumerate(steps, start=1)]
    return {"input": _tagged(problem, steps, [tag] * len(steps)), "label": _tagged(problem, steps, _signs(labels))}


def openrlhf(row: Row, reading: Reading) -> Iterator[Solution]:
    """OpenRLHF's `ProcessRewardDataset`: `input` with a tag after each step, `value` with one label per tag."""
    *parts, rest = typed(row, "input", str).split(reading.tag)
    values = typed(row, "value", list)
    _require_end(rest)
    _require_between_words(parts, reading.tag)
    if len(values) != len(parts):
        raise RowError("labels and tags differ in number", f"{len(values)}, {len(parts)}")
    yield _solution(list(zip(parts, as_labels(values), strict=True)), reading)


def openrlhf_row(problem: str, steps: Sequence[str], labels: Labels, tag: str) -> Written:
    """`input` with a tag after each step, `value` with a sign or a share for each."""
    values = [_sign(label) if isinstance(label, bool) else label for label in labels]
    return {"input": _tagged(problem, steps, [tag] * len(steps)), "value": values}


def rlhflow(row: Row, reading: Reading) -> Iterator[Solution]:
    """RLHFlow's PRM data: `conversations` in which the user says a step and the assistant answers + or -.

    The first step follows the problem. The labels are Math-Shepherd's, so the last is the verdict on the answer.
    """
    turns = objects(row, "conversations")
    roles = [turn.get("role") for turn in turns]
    if not roles or roles != ["user", "assistant"] * (len(roles) // 2):
        raise RowError("turns that do not alternate between user and assistant", repr(roles[:4]))
    said = [typed(turn, "content", str) for turn in turns]
    yield _solution(
        [(text, _mark(answer)) for text, answer in zip(said[::2], said[1::2], strict=True)], reading, _VERDICTS
    )


def rlhflow_row(problem: str, steps: Sequence[str], labels: Labels, _: str) -> Written:
    """`conversations` in which the user says a step, the first after the problem, and the assistant + or -."""
    asked = [f"{problem} {steps[0]}", *steps[1:]]
    turns = zip(asked, _signs(labels), strict=True)
    said = [{"role": role, "content": text} for turn in turns for role, text in zip(_ROLES, turn, strict=True)]
    return {"conversations": said}


_ROLES = ("user", "assistant")


def _sign(label: bool | float) -> str:
    return "+" if label else "-"


def _signs(labels: Labels) -> list[str]:
    return [_sign(label) for label in labels]


def _tagged(problem: str, steps: Sequence[str], marks: Sequence[str]) -> str:
    return f"{problem} " + "\n".join(f"{step} {mark}" for step, mark in zip(steps, marks, strict=True))


def _mark(text: str) -> bool:
    if text.strip() not in MARKS:
        raise RowError("a label that cannot be read", repr(text))
    return MARKS[text.strip()]


_VERDICTS: dict[Label, Outcome] = {True: "correct", False: "incorrect"}


def _aligned(text: str, labeled: str, tag: str) -> list[Piece]:
    """Walk through both texts at once: a tag counts as one only where the other text has a mark in its place."""
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
    """A tag of letters that touches a letter is part of a word, which some tool mistook for its tag."""
    touches = any(part[-1:].isalpha() for part in parts) or any(part[:1].isalpha() for part in parts[1:])
    if tag.isalpha() and touches:
        raise RowError("a tag inside a word", repr(tag))


def _require_end(rest: str) -> None:
    if rest.strip():
        raise RowError("text after the last tag", repr(rest[:40]))


def _solution(pieces: Sequence[Piece], reading: Reading, verdicts: dict[Label, Outcome] | None = None) -> Solution:
    """Cut off the problem, with the pieces that end before the first step."""
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
    """Where the first step begins: after a known problem, unless "Step 1:" comes later; or else at "Step 1:"."""
    known = reading.known.beginning(whole)
    marks = [match.start() for match in FIRST_STEP.finditer(whole, known)]
    is_clear = not marks or not whole[known : marks[0]].strip() if known else len(marks) == 1
    if not is_clear:
        after = " after a known problem" if known else ""
        raise RowError("it is not clear where the first step begins", f"'Step 1:' comes {len(marks)} times{after}")
    return known or marks[0]
