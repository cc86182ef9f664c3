"""Splits by problem: the same question is on one side, whatever its id, its neighbors and its place in the file."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prm import InputError
from prm.data.splits import hold_out, normal_text, prove, text_digest

QUESTIONS = {f"q{i}": f"What is {i} + {i}?" for i in range(2000)}


@pytest.mark.parametrize(
    "other",
    [
        "how many apples, and why?",
        "How many  apples,\nand why?",
        "  How many apples, and why ?",
        "«How many apples, and why»",
        "\uff28ow many apples, and why?",
        "How many apples, and why",
        "HOW MANY APPLES, AND WHY??",
    ],
)
def test_the_same_question(other):
    assert normal_text(other) == normal_text("How many apples, and why?") == "how many apples, and why"


@pytest.mark.parametrize(
    "other", ["How many apples and why?", "How many pears, and why?", "How many apples, and why? 2"]
)
def test_another_question(other):
    assert text_digest(other) != text_digest("How many apples, and why?")


@pytest.mark.parametrize(("text", "normal"), [("Straße", "strasse"), ("x ﬁnd", "x find"), ("?!", ""), ("", "")])
def test_normal_texts(text, normal):
    assert normal_text(text) == normal


def test_the_share_that_is_held_out():
    """Of 2,000 at 0.1 the count is binomial with standard deviation 13.4."""
    assert 200 - 54 < len(hold_out(QUESTIONS, 0.1)) < 200 + 54
    assert hold_out(QUESTIONS, 0.0) == frozenset()
    assert hold_out(QUESTIONS, 1.0) == QUESTIONS.keys()
    assert hold_out(QUESTIONS, 0.1) < hold_out(QUESTIONS, 0.2)


def test_what_is_held_out_never_changes():
    assert hold_out({f"q{i}": f"What is {i} + {i}?" for i in range(12)}, 0.25) == {"q10", "q11"}


@given(ids=st.permutations(sorted(QUESTIONS)[:40]), kept=st.integers(0, 40))
def test_neither_order_nor_other_problems_move_one(ids, kept):
    some = {i: QUESTIONS[i] for i in ids[:kept]}
    expected = hold_out(QUESTIONS, 0.5) & some.keys()
    found = hold_out(some, 0.5)
    assert found == expected or (len(found) in (1, kept - 1) and expected in (frozenset(), some.keys())) or kept < 2


@given(text=st.text(st.characters(codec="utf-8")), share=st.floats(0, 1))
def test_the_same_text_is_on_one_side_under_every_id(text, share):
    both = hold_out({"a": text, "b": f"\n{text.upper() if text.isascii() else text} ?"}, share)
    assert both in (frozenset(), {"a", "b"})


@given(
    numbers=st.sets(st.integers(0, 1999), min_size=2, max_size=30),
    shares=st.lists(st.floats(0.001, 0.999), min_size=2, max_size=2).map(sorted),
)
def test_neither_side_is_empty_and_a_greater_share_holds_out_more(numbers, shares):
    few = {f"{twin}{i}": f"What is {i} + {i}{twin}" for i in numbers for twin in (" ", "?")}
    less, more = (hold_out(few, share) for share in shares)
    assert set() < less <= more < few.keys()
    assert {i[1:] for i in less if i[0] == " "} == {i[1:] for i in less if i[0] == "?"}, "twins stay together"


def test_a_single_text_is_held_out_only_with_all(tmp_path):
    one = {"a": "What?", "b": "what"}
    assert [hold_out(one, share) for share in (0.0, 0.5, 1.0)] == [frozenset(), frozenset(), {"a", "b"}]
    assert hold_out({}, 0.5) == frozenset()


def test_proof_of_a_split():
    held_out = hold_out(QUESTIONS, 0.1)
    sides = [[(i, t) for i, t in QUESTIONS.items() if (i in held_out) is side] for side in (False, True)]
    proof = prove(*sides)
    assert (proof.shared_ids, proof.shared_texts) == (0, 0)
    assert proof.held_out_problems == proof.held_out_texts == len(held_out)
    assert proof.train_problems == 2000 - len(held_out)
    random.Random(0).shuffle(sides[0])
    assert prove(*sides) == proof


def test_a_text_under_two_ids_is_one_text():
    proof = prove([("a", "3 + 4"), ("b", "3 + 4."), ("a", "3 + 4")], [("c", "5")])
    assert (proof.train_problems, proof.train_texts) == (2, 1)
    assert proof.train_digest != proof.held_out_digest
    assert proof == prove([("x", "3 + 4"), ("y", "3 +  4")], [("z", "5")])
    assert proof.train_digest != prove([("x", "3 + 4"), ("y", "3")], [("z", "5")]).train_digest


def test_proof_as_json():
    assert prove([("a", "3")], []).as_json() == {
        "train_problems": 1,
        "train_texts": 1,
        "train_digest": prove([("b", "3.")], []).train_digest,
        "held_out_problems": 0,
        "held_out_texts": 0,
        "held_out_digest": prove([], []).train_digest,
        "shared_ids": 0,
        "shared_texts": 0,
    }


@pytest.mark.parametrize(
    ("held_out", "said"),
    [
        ([("c", "ONE?")], "1 texts, 0 ids, such as 'a' and 'c'"),
        ([("a", "three")], "0 texts, 1 ids, such as 'a'"),
        ([("b", "two"), ("c", "one")], "2 texts, 1 ids, such as 'a' and 'c', 'b'"),
    ],
)
def test_an_overlap_is_refused(held_out, said):
    with pytest.raises(InputError) as caught:
        prove([("a", "one"), ("b", "two")], held_out)
    assert said in str(caught.value)
