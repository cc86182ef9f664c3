"""What tells one function from another: its code, constants, defaults, closure and state; and nothing else."""

import functools
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

import prm
from prm.data.identity import digest_of, identity_of, own_aggregators_in


def closing_over(value):
    return lambda text: value in text


def with_default(value):
    def check(text, limit=value, *, other=value):
        return text == limit

    return check


@dataclass
class Within:
    tolerance: float
    cache: dict = field(default_factory=dict)

    def __call__(self, text):
        return float(text) < self.tolerance

    def method(self, text):
        return self(text)

    @classmethod
    def of_class(cls, text):
        return bool(text)

    def __getstate__(self):
        return {"tolerance": self.tolerance}


class Other(Within):
    def __call__(self, text):
        return float(text) <= self.tolerance


def one(text, gold):
    return text == gold


def two(text, gold):
    return text in gold


class Config:
    """Its `repr` is an address."""

    def __init__(self, value, other=None):
        self.value, self.other = value, other


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


@dataclass
class Rule:
    """Its `repr` is those of its parts."""

    part: object


class Closed(Config):
    def __getstate__(self):
        raise TypeError("cannot be pickled")


def ones_but(value, place):
    array = np.ones(5_000)
    array[place] = value
    return array


def twins(value):
    one = Config(value)
    one.other = Config(value, one)
    return one


def chained(value):
    for _ in range(5_000):
        value = Config(value)
    return value


def doubled(value):
    for _ in range(60):
        value = Config([value, value])
    return value


DIFFERENT = {
    "code": [lambda t: t == "1", lambda t: t != "1"],
    "constant": [lambda t: t == "1", lambda t: t == "2"],
    "name": [lambda t: t.lower(), lambda t: t.upper()],
    "inner function": [lambda t: [(lambda: 1)() for _ in t], lambda t: [(lambda: 2)() for _ in t]],
    "closure": [closing_over("a"), closing_over("b"), closing_over(["a"]), closing_over(one), closing_over(two)],
    "defaults": [with_default(1), with_default(1.0), with_default(True), with_default("1")],
    "partial": [functools.partial(one, "1"), functools.partial(one, "2"), functools.partial(one, text="1"),
                functools.partial(two, "1")],
    "object": [Within(1.0), Within(2.0), Other(1.0)],
    "method": [Within(1.0).method, Within(2.0).method, Other(1.0).method, Within(1.0).of_class],
    "built in": [len, max, "a".startswith, "b".startswith, re.compile("a").match, str.lower, str.upper],
    "wrapped": [functools.lru_cache(one), functools.lru_cache(two)],
    "object without a repr": [closing_over(kind(value)) for kind in (Config, Slotted) for value in (1, 2, Config(1))],
    "object in one with a repr": [closing_over(Rule(Config(1))), closing_over(Rule(Config(2)))],
    "objects in a circle": [closing_over(twins(1)), closing_over(twins(2))],
    "objects again and again": [closing_over(doubled(1)), closing_over(doubled(2))],
    "array": [closing_over(held) for array in (ones_but(2, 2_500), ones_but(3, 2_500), ones_but(2, 2_501),
              ones_but(2, 2_500).reshape(50, 100), ones_but(2, 2_500).astype("float32"))
              for held in (array, Rule(array))],
    "array of objects": [closing_over(np.array([Config(1)])), closing_over(np.array([Config(2)]))],
    "tensor": [closing_over(held) for array in (ones_but(2, 2_500), ones_but(3, 2_500))
               for held in (torch.tensor(array), torch.tensor(array).bfloat16(), torch.tensor(array + 1j).conj())],
    "long pattern": [closing_over(re.compile("a" * 300 + end)) for end in "bc"],
    "text of an address": [closing_over("it lies at 0x10"), closing_over("it lies at 0x20")],
}  # fmt: skip


@pytest.mark.parametrize("functions", DIFFERENT.values(), ids=DIFFERENT)
def test_functions_that_do_different_things_have_different_digests(functions):
    assert len({digest_of(function) for function in functions}) == len(functions)


SAME = {
    "closure": lambda: closing_over({"a", "b", "c"}),
    "defaults": lambda: with_default(object()),
    "partial": lambda: functools.partial(one, gold=["1"]),
    "object": lambda: Within(1.0),
    "method": lambda: Within(1.0).method,
    "object within": lambda: closing_over(Within(1.0)),
    "object without a repr": lambda: closing_over(Rule(twins(1))),
    "object that cannot be pickled": lambda: closing_over([Closed(1), threading.Lock(), threading.Event()]),
    "objects again and again": lambda: closing_over(doubled(1)),
    "a long chain of objects": lambda: closing_over(chained(1)),
    "array": lambda: closing_over(ones_but(2, 2_500)),
    "tensor": lambda: closing_over([torch.ones(3, device=device) for device in ("cpu", "meta")]),
}


@pytest.mark.parametrize("make", SAME.values(), ids=SAME)
def test_made_twice_it_is_the_same(make):
    assert digest_of(make()) == digest_of(make())


def test_a_cache_can_be_left_out():
    checker = Within(1.0)
    before = identity_of(checker)
    checker.cache["1"] = True
    assert identity_of(checker) == before


def test_a_function_may_refer_to_itself_and_to_what_is_not_there_yet():
    def count(n):
        return n and count(n - 1) + later

    assert digest_of(count) == digest_of(count)
    later = 1
    assert digest_of(count)


def test_a_name_and_a_digest():
    assert re.fullmatch(r"test_identity\.one#[0-9a-f]{16}", identity_of(one))
    assert identity_of(Within(1.0)).startswith("test_identity.Within#")
    assert identity_of(functools.partial(one)).startswith("functools.partial#")
    assert identity_of(str.lower).startswith("builtins.str.lower#")


PRINTS = """
from prm.data.identity import digest_of
kinds = {"a", "b", "c"}
print(digest_of([lambda t: t in {"x", "y", "z"} or t in kinds, kinds, (lambda k: lambda t: t in k)(kinds), object()]))
"""


def test_another_process_finds_the_same_digest():
    runs = [[sys.executable, "-c", PRINTS] for _ in range(2)]
    first, second = (
        subprocess.run(run, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}).stdout
        for run, seed in zip(runs, "12", strict=True)
    )
    assert first == second


def test_own_aggregators_are_recorded_and_built_in_ones_are_not(monkeypatch):
    assert own_aggregators_in() == own_aggregators_in("min") == {}
    monkeypatch.setitem(prm.AGGREGATORS, "second", prm.Aggregator(lambda s: s[1], help="second"))
    found = own_aggregators_in()
    assert list(found["own_aggregators"]) == ["second"]
    assert own_aggregators_in("second") == found
    assert own_aggregators_in("min") == {}
    monkeypatch.setitem(prm.AGGREGATORS, "second", prm.Aggregator(lambda s: s[-2], help="second"))
    assert own_aggregators_in() != found
    monkeypatch.setitem(prm.AGGREGATORS, "min", prm.Aggregator(sorted, help="lowest"))
    assert list(own_aggregators_in("min")["own_aggregators"]) == ["min"], "a replaced one is one's own"
