# ruff: noqa: RUF001 (the characters that look like others are meant)
"""Vocabulary of the generators: values drawn at random, and ways to write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from random import Random
from typing import TypeVar

T = TypeVar("T")

LETTERS = "abcmnpqrstuvwxyz"
VARIABLES = "xyztuvw"
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31)
SQUAREFREE = (2, 3, 5, 6, 7, 10, 11, 13, 14, 15, 17, 19, 21, 22, 23, 26, 29, 30, 31, 33, 35, 37, 38, 39, 41)
SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
FULL_WIDTH = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}


def pick(r: Random, *options: T) -> T:
    """One of the arguments."""
    return r.choice(options)


def size(r: Random, most: int = 6) -> int:
    """A positive number of 1 to `most` digits; each length is as likely."""
    length = r.randint(1, most)
    return r.randint(10 ** (length - 1), 10**length - 1)


def integer(r: Random, most: int = 6) -> int:
    """A number other than zero, of either sign."""
    return size(r, most) * pick(r, 1, 1, -1)


def other(r: Random, value: T, *changes: Callable[[], T]) -> T:
    """The value of one of the changes that is not the value itself."""
    while True:
        found = r.choice(changes)()
        if found != value:
            return found


def another(r: Random, number: int) -> int:
    """A number easily mistaken for this one: the next, a digit changed, dropped or added, two swapped, a sign lost."""
    text = str(abs(number))
    sign = -1 if number < 0 else 1
    place = r.randrange(len(text))
    swapped = text[:place] + text[place : place + 2][::-1] + text[place + 2 :]
    return other(
        r,
        number,
        lambda: number + pick(r, 1, -1, 2, -2, 10),
        lambda: -number,
        lambda: sign * int(text[:place] + r.choice("0123456789") + text[place + 1 :]),
        lambda: sign * int(text[1:] or "0"),
        lambda: sign * int(text[:-1] or "0"),
        lambda: sign * int(text + r.choice("0123456789")),
        lambda: sign * int(r.choice("123456789") + text),
        lambda: sign * int(swapped),
        lambda: number * 2,
    )


def fraction(r: Random, most: int = 2) -> Fraction:
    """A fraction that is no whole number, of either sign."""
    while True:
        found = Fraction(integer(r, most), size(r, most))
        if found.denominator > 1:
            return found


def other_fraction(r: Random, value: Fraction) -> Fraction:
    """A fraction easily mistaken for this one."""
    top, bottom = value.numerator, value.denominator
    return other(
        r,
        value,
        lambda: Fraction(another(r, top), bottom),
        lambda: Fraction(top, abs(another(r, bottom)) or 1),
        lambda: 1 / value,
        lambda: -value,
        lambda: value + pick(r, 1, -1),
    )


def rational(r: Random) -> Fraction:
    """A small number, whole or not."""
    return Fraction(integer(r, 2)) if r.random() < 0.6 else fraction(r, 1)


def finite(value: Fraction) -> bool:
    """Whether its decimals end."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def decimal(value: Fraction) -> str:
    """All decimals of a number whose decimals end."""
    places = 0
    while (value * 10**places).denominator > 1:
        places += 1
    text = str(abs(value.numerator * 10**places // value.denominator)).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return sign + (f"{text[:-places]}.{text[-places:]}" if places else text)


def tex(value: Fraction | int) -> str:
    """The usual way to write a number in LaTeX."""
    value = Fraction(value)
    if value.denominator == 1:
        return str(value.numerator)
    return f"{'-' if value < 0 else ''}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def write_integer(r: Random, number: int) -> str:
    """A whole number, with or without separators."""
    text = str(number)
    if abs(number) > 9999:
        text = pick(r, text, text, f"{number:,}", f"{number:,}".replace(",", "{,}"), f"{number:,}".replace(",", r"\,"))
    return text.replace("-", "−") if r.random() < 0.1 else text


def write_fraction(r: Random, value: Fraction) -> str:
    """A fraction in one of its notations, not always in lowest terms."""
    if value.denominator == 1:
        return write_integer(r, value.numerator)
    factor = pick(r, 1, 1, 1, 2, 3, 10)
    top, bottom = abs(value.numerator) * factor, value.denominator * factor
    sign = "-" if value < 0 else ""
    forms = [rf"{sign}\{name}frac{{{top}}}{{{bottom}}}" for name in ("", "", "d", "t")]
    forms += [f"{sign}{top}/{bottom}", rf"\frac{{{sign}{top}}}{{{bottom}}}", rf"{sign}{{{top} \over {bottom}}}"]
    forms += [rf"{sign}\frac {{{top}}} {{{bottom}}}"]
    if top < 10 and bottom < 10:
        forms += [rf"{sign}\frac{top}{bottom}", rf"{sign}\dfrac{top}{bottom}"]
    return r.choice(forms)


def write_number(r: Random, value: Fraction) -> str:
    """A number in any notation: whole, fraction, mixed or decimal."""
    value = Fraction(value)
    if value.denominator > 1 and finite(value) and r.random() < 0.3:
        return decimal(value)
    return write_fraction(r, value)


def power(r: Random, base: str, exponent: int) -> str:
    """A power with a whole exponent."""
    if exponent == 1:
        return base
    forms = [f"{base}^{{{exponent}}}", f"{base}^{{{exponent}}}", base + str(exponent).translate(SUPERSCRIPTS)]
    if 0 <= exponent < 10:
        forms.append(f"{base}^{exponent}")
    return r.choice(forms)


def times(r: Random) -> str:
    """A sign of multiplication, with spaces around it."""
    return pick(r, r" \cdot ", r" \times ", "*", r"\cdot ", r"\times ")


def coefficient(value: Fraction, body: str) -> str:
    """A product of a number and something that is no number."""
    if abs(value) == 1:
        return body if value > 0 else f"-{body}"
    return tex(value) + body


def joined(r: Random, terms: Sequence[tuple[Fraction, str]]) -> str:
    """A sum of coefficients times bodies (an empty body is a number), in any order."""
    terms = [term for term in terms if term[0]]
    terms = r.sample(terms, len(terms)) if r.random() < 0.5 else terms
    plus = pick(r, "+", " + ")
    text = ""
    for value, body in terms:
        part = coefficient(value, body) if body else tex(value)
        text += part if not text else (plus.replace("+", "-") + part[1:] if part.startswith("-") else plus + part)
    return text or "0"


def loose(r: Random, text: str) -> str:
    """The same LaTeX with other fractions, brackets or spaces."""
    if r.random() < 0.3:
        text = text.replace(r"\frac", pick(r, r"\dfrac", r"\tfrac"))
    if r.random() < 0.3 and r"\left" not in text:
        text = text.replace("(", r"\left(").replace(")", r"\right)")
    return text


def several(r: Random, make: Callable[[Random], T], low: int = 2, high: int = 4) -> list[T]:
    """Different values, in the order drawn."""
    found: list[T] = []
    count = r.randint(low, high)
    while len(found) < count:
        value = make(r)
        if value not in found:
            found.append(value)
    return found


BOXES = (
    r"\boxed{%s}",
    r"\boxed{%s}",
    r"\boxed{%s}",
    r"So the answer is $\boxed{%s}$.",
    "Adding them up, we get the result.\n\n\\[\\boxed{%s}\\]",
    r"Therefore, \(\boxed{%s}\).",
    "$$\\boxed{%s}$$\n\nThis completes the solution.",
    r"\fbox{%s}",
    r"\boxed{ %s }",
    r"<think>Let me see. Maybe 7?</think> \boxed{%s}",
    r"所以答案是 \boxed{%s}。",
    "**Final Answer**\n\n$\\boxed{%s}$<|im_end|>",
)
SENTENCES = (
    "#### %s",
    "We work it out step by step.\n#### %s",
    "<answer>%s</answer>",
    "<think>It could be 3.</think>\n<answer>\n%s\n</answer>",
    "The answer is %s",
    "Answer: %s",
    "**Answer:** %s",
    "Final answer: %s",
    "%s",
)
MATH = ("The answer is $%s$.", "**Final Answer**: $%s$", r"The final answer is \(%s\).", "#### $%s$")
DISTRACTORS = (
    "At first I thought it was %s, but that is wrong. ",
    "One might guess $%s$. That overlooks a case. ",
    "\\[\\boxed{%s}\\] is what we get if we forget the condition. Corrected: ",
)


def marked(r: Random, answer: str, distractor: str = "", boxed: bool = False) -> str:
    """The answer as a model would give it; some outputs mention `distractor` before, and take it back."""
    plain = "$" not in answer
    roll = 1.0 if boxed else r.random()
    if roll < 0.15 and "\n" not in answer:
        text = r.choice(SENTENCES) % answer
    elif roll < 0.3 and plain and "\n" not in answer:
        text = r.choice(MATH) % answer
    else:
        text = r.choice(BOXES) % answer
        if distractor and "$" not in distractor and r.random() < 0.1:
            return r.choice(DISTRACTORS) % distractor + text
    return text


def gold_marked(r: Random, gold: str) -> str:
    """The gold as data sets have it: mostly bare, sometimes in dollar signs or a box."""
    if "$" in gold or r.random() < 0.8:
        return gold
    return r.choice((f"${gold}$", f"\\boxed{{{gold}}}"))
