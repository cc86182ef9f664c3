"""The arithmetic world: word problems where the truth of every step of every solution is known exactly.

No public data set says which steps of an arbitrary chain are right, so label quality cannot be measured on one.
Here it can: a problem is a short story about one number, told in 3 to 8 sentences, and each sentence asks for one
operation. `step_truth` judges any chain, whoever wrote it.

`solution` writes the solutions that the demo's policy learns from. Some of its authors are careful; most are not, and
err as people do, in two ways:

* They misread. A *backward* sentence ("That is 5 more than Tom has." asks for a subtraction) is read the wrong way
  round, with a probability given for each phrase. Learners make this very error (Lewis and Mayer 1987, the
  consistency hypothesis). It is systematic: many readers misread the same sentence, so a majority vote does not
  remove it.
* They slip. A result comes out a little off, more often if the step is hard (a carry, or a factor of three).
  Three in four slips are noticed at once and corrected within the step ("= 18, no, 19").

Left out on purpose: fractions, negative numbers and numbers over 99, so that a model of a million parameters can
master the arithmetic and makes only the errors above.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from prm.data.files import write_records
from prm.data.jobs import Records, Workspace, making
from prm.data.manifest import Job
from prm.data.records import Problem

LARGEST = 99
"""Largest number in the world; the smallest is 1 in a problem and 0 in a careless solution."""

NAMES = ("Ann", "Ben", "Eve", "Ian", "Joy", "Mia", "Sam", "Tom")
THINGS = ("apples", "books", "cards", "coins", "pens", "shells", "stamps", "stones")

_TIMES = {2: "twice", 3: "three times"}
_PARTS = {2: "half", 3: "a third"}
_INVERSE = {"+": "-", "-": "+", "*": "/", "/": "*"}


@dataclass(frozen=True, slots=True)
class Phrase:
    """One way to ask for an operation: `{who}` has the number before the sentence, `{next}` after it if it switches."""

    operator: str
    gist: str
    """One word that stands for the phrase in solutions."""
    text: str
    misread: float = 0.0
    """Probability that a careless reader does the inverse operation; 0 for plain phrases."""

    @property
    def switches(self) -> bool:
        """Whether the sentence passes the number on to another person."""
        return "{next}" in self.text


PLAIN = (
    Phrase("+", "found", "{who} finds {n} more."),
    Phrase("+", "bought", "{who} buys {n} new ones."),
    Phrase("+", "ahead", "{next} has {n} more than that."),
    Phrase("-", "given", "{who} gives away {n}."),
    Phrase("-", "lost", "{who} loses {n} of them."),
    Phrase("-", "behind", "{next} has {n} fewer than that."),
    Phrase("*", "grown", "Soon {who} has {times} as many."),
    Phrase("*", "fold", "{next} has {times} as many as that."),
    Phrase("/", "kept", "{who} keeps only {part} of them."),
    Phrase("/", "share", "{next} has {part} as many as that."),
)

BACKWARD = (
    Phrase("-", "above", "That is {n} more than {next} has.", misread=0.6),
    Phrase("-", "needing", "{next} would need {n} more to match that.", misread=0.9),
    Phrase("+", "below", "That is {n} fewer than {next} has.", misread=0.8),
    Phrase("+", "spare", "{next} could lose {n} and still match that.", misread=0.5),
    Phrase("/", "multiple", "That is {times} as many as {next} has.", misread=0.7),
    Phrase("/", "lacking", "{next} would need {times} as many to match that.", misread=0.6),
    Phrase("*", "portion", "That is {part} as many as {next} has.", misread=0.9),
    Phrase("*", "surplus", "{next} could give up all but {part} and still match that.", misread=0.7),
)

BACKWARD_COUNTS = (0, 1, 1, 2, 2)
"""Number of backward sentences in a problem, drawn uniformly."""

CAREFUL_SHARE = 0.3
"""Share of solutions whose author never misreads and rarely slips; the solutions do not show their author."""

STEP_PATTERN = re.compile(r"[a-z]+: (\d+) ([-+*/]) (\d+) = (\d+)(?:, no, (\d+))?\s*", re.ASCII)
ANSWER_PATTERN = re.compile(r"The answer is (\d+)\.?\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a story, and the operation it asks for."""

    phrase: Phrase
    operand: int
    text: str


@dataclass(frozen=True, slots=True)
class Story:
    """A problem of the arithmetic world."""

    text: str
    """The whole problem, ending in the question."""
    values: tuple[int, ...]
    """The number at the start and after each sentence; the last is the answer. Length: sentences + 1."""
    sentences: tuple[Sentence, ...]

    @property
    def answer(self) -> int:
        """The right answer."""
        return self.values[-1]


def stories(seed: int, min_steps: int = 3, max_steps: int = 8) -> Iterator[Story]:
    """Yield an endless stream of distinct random stories; the same seed gives the same stories."""
    rng = random.Random(seed)
    seen: set[str] = set()
    while True:
        story = _story(rng, rng.randint(min_steps, max_steps))
        if story.text not in seen:
            seen.add(story.text)
            yield story


def _story(rng: random.Random, steps: int) -> Story:
    backward = set(rng.sample(range(steps), rng.choice(BACKWARD_COUNTS)))
    who, thing = rng.choice(NAMES), rng.choice(THINGS)
    values = [rng.randint(4, 60)]
    lines = [f"{who} has {values[0]} {thing}."]
    sentences: list[Sentence] = []
    for position in range(steps):
        phrase, operand = _draw_operation(rng, BACKWARD if position in backward else PLAIN, values[-1])
        other = rng.choice([name for name in NAMES if name != who])
        text = phrase.text.format(who=who, next=other, n=operand, times=_TIMES.get(operand), part=_PARTS.get(operand))
        who = other if phrase.switches else who
        sentences.append(Sentence(phrase, operand, text))
        lines.append(text)
        values.append(calculate(values[-1], phrase.operator, operand))
    lines.append(f"How many {thing} does {who} have?")
    return Story(" ".join(lines), tuple(values), tuple(sentences))


def _draw_operation(rng: random.Random, phrases: Sequence[Phrase], value: int) -> tuple[Phrase, int]:
    """Draw a phrase and operand possible from `value`, if possible a phrase that can be misread."""
    drawn = [(phrase, rng.randint(2, 9) if phrase.operator in "+-" else rng.choice((2, 3))) for phrase in phrases]
    rng.shuffle(drawn)
    possible = [(p, n) for p, n in drawn if is_possible(value, p.operator, n)]
    deceptive = [(p, n) for p, n in possible if p.misread and is_possible(value, _INVERSE[p.operator], n)]
    return (deceptive or possible)[0]


def calculate(value: int, operator: str, operand: int) -> int:
    """Apply one operation as a careless author does: round down, and clip to 0 to `LARGEST`."""
    results = {"+": value + operand, "-": value - operand, "*": value * operand, "/": value // max(operand, 1)}
    return min(max(results[operator], 0), LARGEST)


def is_possible(value: int, operator: str, operand: int) -> bool:
    """Whether the operation gives a whole number from 1 to `LARGEST` without rounding."""
    if operator == "/" and value % operand:
        return False
    return (
        1
        <= {"+": value + operand, "-": value - operand, "*": value * operand, "/": value // operand}[operator]
        <= LARGEST
    )


def solution(story: Story, rng: random.Random) -> str:
    """Write a solution with the errors described at the top of this module, one step per line."""
    is_careful = rng.random() < CAREFUL_SHARE
    value, lines = story.values[0], []
    for sentence in story.sentences:
        operator, operand = sentence.phrase.operator, sentence.operand
        if not is_careful and rng.random() < sentence.phrase.misread:
            operator = _INVERSE[operator]
        result = calculate(value, operator, operand)
        line = f"{sentence.phrase.gist}: {value} {operator} {operand} = "
        if rng.random() < _slip_probability(value, operator, operand) * (0.25 if is_careful else 1):
            slip, is_noticed = _slip(rng, result), rng.random() < 0.75
            result, line = (result, f"{line}{slip}, no, ") if is_noticed else (slip, line)
        lines.append(f"{line}{result}")
        value = result
    return "\n".join([*lines, f"The answer is {value}"])


def exercise(rng: random.Random) -> tuple[str, bool]:
    """Write a step without a story, and say whether it is right.

    All phrases are equally frequent; backward ones are misread half of the time.
    """
    while True:
        phrase, value = rng.choice(PLAIN + BACKWARD), rng.randint(1, LARGEST)
        operand = rng.randint(2, 9) if phrase.operator in "+-" else rng.choice((2, 3))
        if is_possible(value, phrase.operator, operand):
            is_right = not phrase.misread or rng.random() < 0.5
            operator = phrase.operator if is_right else _INVERSE[phrase.operator]
            return f"{phrase.gist}: {value} {operator} {operand} = {calculate(value, operator, operand)}", is_right


def _slip_probability(value: int, operator: str, operand: int) -> float:
    carries = operator in "+-" and value // 10 != calculate(value, operator, operand) // 10
    thirds = operator in "*/" and operand == 3
    return 0.05 if carries or thirds else 0.01


def _slip(rng: random.Random, result: int) -> int:
    near = [result + d for d in (-10, -2, -1, 1, 2, 10) if 0 <= result + d <= LARGEST]
    return rng.choice(near)


def step_truth(values: Sequence[int], steps: Sequence[str]) -> list[bool]:
    """Decide for each step of a chain whether the chain is right up to and including it.

    Args:
        values: the true numbers of the story, at the start and after each sentence (`Story.values`).
        steps: any text at all, one string per step.

    Returns:
        One bool per step: whether this step and all before it are right. After the first False all are False, since a
        step that rests on a wrong one cannot be right. An equation is right if it starts from the current number, is
        true, and gives the next number; a slip corrected within the step is right. The step after the last equation
        must state the answer; any step after that is wrong.
    """
    truth: list[bool] = []
    for position, step in enumerate(steps):
        is_right = all(truth[-1:]) and _is_right(values, position, step)
        truth.append(is_right)
    return truth


def _is_right(values: Sequence[int], position: int, step: str) -> bool:
    if position == len(values) - 1:
        answer = ANSWER_PATTERN.fullmatch(step)
        return answer is not None and int(answer[1]) == values[-1]
    equation = STEP_PATTERN.fullmatch(step)
    if equation is None or position >= len(values):
        return False
    start, operator, operand = int(equation[1]), equation[2], int(equation[3])
    stated = int(equation[5] or equation[4])
    before, after = values[position], values[position + 1]
    return start == before and stated == after and _exactly(start, operator, operand) == after


def _exactly(value: int, operator: str, operand: int) -> int | None:
    """The exact result, or None if it is not a whole number."""
    if operator == "/":
        return value // operand if operand and value % operand == 0 else None
    return {"+": value + operand, "-": value - operand, "*": value * operand}[operator]


def write_world(
    out: str | Path | None = None, *, count: int = 300, seed: int = 0, overwrite: bool = False
) -> Records[Problem]:
    """Write the first `count` problems of a seed.

    Args:
        out: file of problems; None for a temporary one.
        count: how many.
        seed: of the stories.
        overwrite: replace an existing output.

    Raises:
        OutputError: the file cannot be written, or holds something else.
    """
    place = Workspace(out, "problems.jsonl")
    job = Job(place.out, "world", {"count": count, "seed": seed}, {})
    with making(job, "problems", overwrite) as counts:
        if counts is not None:
            made = (
                Problem(f"world-{seed}-{i}", s.text, str(s.answer), {"values": list(s.values)})
                for i, s in enumerate(islice(stories(seed), count))
            )
            counts["problems"] = write_records(place.out, made)
    return place.records(job, Problem)
