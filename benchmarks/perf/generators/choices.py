# ruff: noqa: RUF001 (the characters that look like others are meant)
"""Multiple choice: letters, several letters, letters with their text."""

from __future__ import annotations

from random import Random

from .parts import integer, other, pick, size
from .tables import Made, Texts, equal, kind, wrong

OPTIONS = "ABCDE"
PHRASES = (
    "The mitochondria",
    "12 cm",
    "A random sample",
    "None of the above",
    "x = 4",
    "It increases",
    r"$\frac{1}{2}$",
)
WHOLE = (
    "The answer is ({}).",
    "The answer is **({})**.",
    "Answer: {}",
    "**Answer: {}**",
    "Therefore, the correct option is {}.",
    r"\boxed{{{}}}",
    r"\boxed{{\text{{({})}}}}",
    r"\boxed{{\text{{{}}}}}",
    r"\boxed{{\textbf{{({})}}}}",
    "故选：{}",
    "故选{}.",
    "答案：{}",
    "<answer>{}</answer>",
    "<answer>({})</answer>",
    "#### {}",
    "Option {}",
    r"\boxed{{\text{{Option {}}}}}",
    "The correct answer is {}.",
    "Antwort: {}",
    "**{}**",
    "({})",
)


def _with_text(r: Random, letter: str) -> str:
    text = r.choice(PHRASES)
    bare = text.replace("$", "")
    return pick(
        r,
        f"**{letter}.** {text}",
        f"({letter}) {text}",
        f"Answer: {letter}) {text}",
        f"<answer>{letter}. {text}</answer>",
        rf"\boxed{{{letter}. \text{{{bare}}}}}" if "\\" not in bare else rf"\boxed{{{letter}}}",
        rf"\boxed{{{letter}: \text{{{bare}}}}}" if "\\" not in bare else rf"\boxed{{{letter}}}",
        rf"\boxed{{\text{{({letter}) }} {size(r, 2)}}}",
        f"Thus the answer is option ({letter}), i.e. {size(r, 2)}.",
    )


def _one(r: Random, letter: str) -> str:
    return r.choice(WHOLE).format(letter) if r.random() < 0.6 else _with_text(r, letter)


@equal("multiple choice", whole=True)
def _same_letter(r: Random) -> Texts:
    letter = r.choice(OPTIONS)
    return letter, _one(r, letter)


@wrong("multiple choice", whole=True)
def _other_letter(r: Random) -> Texts:
    letter = r.choice(OPTIONS)
    far = other(r, letter, lambda: r.choice(OPTIONS))
    before = pick(r, "", "", f"{letter} is wrong, because it is too large. ", f"Option {letter} looks right at first. ")
    gold = pick(r, letter, letter, f"({letter})", rf"\text{{({letter})}}", rf"\boxed{{{letter}}}")
    return gold, before + _one(r, far) if "**" not in before else _one(r, far)


@kind("several letters")
def _several_letters(r: Random) -> Made:
    letters = sorted(r.sample("ABCDE", r.randint(2, 4)))
    changed = other(r, letters, lambda: sorted(r.sample("ABCDE", r.randint(1, 5))))

    def write(letters: list[str]) -> str:
        forms = ["".join(letters), ", ".join(letters), ",".join(letters), rf"\text{{{', '.join(letters)}}}"]
        if len(letters) > 1:
            forms += [", ".join(letters[:-1]) + " and " + letters[-1], "、".join(letters)]
        return r.choice(forms)

    return "".join(letters), write(letters), write(changed)


@wrong("letters and numbers")
def _letters_and_numbers(r: Random) -> Texts:
    letter = r.choice(OPTIONS)
    return r.choice(
        ((letter, str(integer(r, 3))), (str(integer(r, 3)), letter), (letter, f"{letter}x"), (letter, f"2{letter}"))
    )


@wrong("an option's number instead of the answer", whole=True)
def _choice_text(r: Random) -> Texts:
    letter, value = r.choice(OPTIONS), size(r, 3)
    far = other(r, letter, lambda: r.choice(OPTIONS))
    return r.choice(
        (
            (str(value), f"\\boxed{{({letter}) {value + 1}}}"),
            (str(value), f"**{letter}.** {value + 10}"),
            (letter, f"\\boxed{{({far}) {letter}}}"),
            (f"({letter}) {value}", f"\\boxed{{({far}) {value + 1}}}"),
            (f"({letter}) {value}", f"\\boxed{{{far}}}"),
        )
    )
