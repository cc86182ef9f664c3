"""The tables of generators, and the stream of pairs drawn from one."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import NamedTuple

from .parts import gold_marked, marked

Texts = tuple[str, str]
"""A gold answer and a prediction."""
Made = tuple[str, str, str]
"""A gold answer, an answer that equals it, and one that does not."""
Generator = Callable[[Random], Texts]


class Pair(NamedTuple):
    """A gold answer and a prediction, and the kind they are of."""

    kind: str
    gold: str
    prediction: str


WRONG: dict[str, Generator] = {}
"""Kind to a generator of pairs that are not equal."""
EQUAL: dict[str, Generator] = {}
"""Kind to a generator of pairs that are equal."""


def kind(name: str, boxed: bool = False) -> Callable[[Callable[[Random], Made]], Callable[[Random], Made]]:
    """Enter a generator of gold, equal and different answer in both tables; answers are given a marker.

    `boxed` answers are never put into a sentence, whose punctuation could be theirs.
    """

    def enter(make: Callable[[Random], Made]) -> Callable[[Random], Made]:
        def equal_pair(r: Random) -> Texts:
            gold, same, _ = make(r)
            return gold_marked(r, gold), marked(r, same, boxed=boxed)

        def wrong_pair(r: Random) -> Texts:
            gold, _, other = make(r)
            return gold_marked(r, gold), marked(r, other, distractor=gold, boxed=boxed)

        EQUAL[name], WRONG[name] = equal_pair, wrong_pair
        return make

    return enter


def wrong(name: str, whole: bool = False) -> Callable[[Generator], Generator]:
    """Enter a generator of different answers; `whole` predictions need no marker."""

    def enter(make: Generator) -> Generator:
        def pair(r: Random) -> Texts:
            gold, other = make(r)
            return gold, other if whole else marked(r, other, distractor=gold)

        WRONG[name] = pair
        return make

    return enter


def equal(name: str, whole: bool = False) -> Callable[[Generator], Generator]:
    """Enter a generator of equal answers; `whole` predictions need no marker."""

    def enter(make: Generator) -> Generator:
        def pair(r: Random) -> Texts:
            gold, same = make(r)
            return gold, same if whole else marked(r, same)

        EQUAL[name] = pair
        return make

    return enter


def pairs(table: Mapping[str, Generator], count: int, seed: int) -> Iterator[Pair]:
    """Yield `count` pairs, of each kind in turn; the pairs of a kind depend on the seed and its name alone."""
    sources = {name: random.Random(seed << 32 | zlib.crc32(name.encode())) for name in table}
    names = list(table)
    for number in range(count):
        name = names[number % len(names)]
        yield Pair(name, *table[name](sources[name]))
