"""Rule-based rewards, with values worked out by hand."""

import pickle

import pytest

from prm.verifiers import Outcome, Verdict
from prm.verifiers.rewards import (
    PARTS,
    RuleReward,
    boxed_format,
    correctness,
    overlong_penalty,
    repetition_penalty,
    step_format,
    think_format,
)


def verdict(outcome):
    return Verdict(outcome, "a reason", None)


@pytest.mark.parametrize(
    ("outcome", "by_default", "given"),
    [
        (Outcome.CORRECT, 1.0, 1.0),
        (Outcome.INCORRECT, 0.0, 0.0),
        (Outcome.NO_ANSWER, 0.0, -0.25),
        (Outcome.TIMEOUT, None, 0.5),
        (Outcome.ERROR, None, 0.5),
    ],
)
def test_correctness_of_the_five_outcomes(outcome, by_default, given):
    assert correctness(verdict(outcome)) == by_default
    assert correctness(verdict(outcome), undecided=0.5, no_answer=-0.25) == given


def test_a_missing_answer_can_be_excluded():
    assert correctness(verdict(Outcome.NO_ANSWER), no_answer=None) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"So it is \boxed{7}", 1.0),
        (r"So it is $\boxed{7}$ apples.", 1.0),
        ("Then\n\\[\n\\boxed{\\frac{1}{2}}\n\\]\n", 1.0),
        ("\\boxed{\\begin{pmatrix} 1 \\\\\n 2 \\end{pmatrix}}", 1.0),
        (r"\boxed{\{1, 2\}}", 1.0),
        ("\\boxed{7}\nWait, let me check.", 0.0),
        (r"\boxed{7} and then \boxed{8", 0.0),
        (r"\boxed{ }", 0.0),
        (r"\boxed{\}", 0.0),
        (r"\boxed", 0.0),
        ("#### 7", 0.0),
        ("", 0.0),
    ],
)
def test_boxed(text, value):
    assert boxed_format(text) == value


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("one\ntwo\nthree", 3),
        ("one\n\n\ntwo\n \n---\n\\[\n", 2),
        ("Step 1: add. Step 2: halve. Step 3. done", 3),
        ("Step 1: add\nso 4\nStep 2: halve\nso 2", 4),
        ("a single line of Stepping 1: 2", 1),
        (" \n", 0),
    ],
)
def test_steps_are_lines_or_marks(text, steps):
    assert step_format(text, steps) == 1.0
    assert step_format(text, steps + 1) == 0.0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<think>\n2 + 2\n</think>\nIt is 4.", 1.0),
        ("2 + 2\n</think>\nIt is 4.", 1.0),
        ("<think>2 + 2</think>\n", 0.0),
        ("<think> </think>It is 4.", 0.0),
        ("<think>2 + 2 It is 4.", 0.0),
        ("Hm. <think>2 + 2</think>It is 4.", 0.0),
        ("<think>a</think>b<think>c</think>d", 0.0),
        ("<think>a</think>b</think>c", 0.0),
        ("<think>a</think>b<think>c", 0.0),
        ("It is 4.", 0.0),
    ],
)
def test_think(text, value):
    assert think_format(text) == value


@pytest.mark.parametrize(
    ("length", "value"),
    [(0, 0.0), (12_288, 0.0), (12_289, -1 / 4_096), (13_312, -0.25), (16_384, -1.0), (16_385, -1.0), (10**9, -1.0)],
)
def test_overlong_is_equation_13_of_dapo(length, value):
    assert overlong_penalty(length, longest=16_384, cache=4_096) == value


def test_overlong_without_a_cache_is_a_step():
    assert [overlong_penalty(length, longest=10, cache=0) for length in (10, 11)] == [0.0, -1.0]


@pytest.mark.parametrize(("length", "longest", "cache"), [(-1, 10, 5), (1, 10, 11), (1, 10, -1)])
def test_limits_out_of_range_are_refused(length, longest, cache):
    with pytest.raises(ValueError, match=f"cache {cache}"):
        overlong_penalty(length, longest, cache)


@pytest.mark.parametrize(
    ("units", "size", "value"),
    [
        ([], 3, 0.0),
        ([1, 2], 3, 0.0),
        ([1, 2, 3], 3, 0.0),
        ([1, 2, 1, 2, 1], 2, -0.5),  # 12, 21, 12, 21: two of four are repeats
        (["so"] * 10, 1, -0.9),
        ("to be or not to be".split(), 2, -0.2),  # noqa: SIM905
    ],
)
def test_repetition(units, size, value):
    assert repetition_penalty(units, size) == pytest.approx(value)


def test_repetition_needs_a_size():
    with pytest.raises(ValueError, match="not 0"):
        repetition_penalty([1], 0)


TEXT = "<think>\n3 + 4\n</think>\nso so so so\nit is \\boxed{7}"


def test_the_parts_stay_visible_and_the_total_is_their_weighted_sum():
    weights = {"correct": 2.0, "boxed": 0.5, "steps": 0.25, "think": 1.0, "overlong": 1.0, "repetition": 0.1}
    rule = RuleReward(weights, steps=6, longest=10, cache=4, ngram=2)
    reward = rule(TEXT, "#### 7", tokens=[1, 2, 3, 4, 1, 2, 3, 9, 9])
    # 9 tokens of at most 10, the last 4 penalized: (6 - 9) / 4. Pairs: 12 23 34 41 12 23 39 99, two of eight repeated.
    parts = {"correct": 1.0, "boxed": 1.0, "steps": 0.0, "think": 1.0, "overlong": -0.75, "repetition": -0.25}
    assert reward.parts == parts
    assert set(parts) == set(PARTS)
    assert reward.total == pytest.approx(2.0 + 0.5 + 0.0 + 1.0 - 0.75 - 0.025)
    assert reward.verdict.is_correct


def test_measured_in_text():
    rule = RuleReward({"overlong": 1.0, "repetition": 1.0}, longest=20, cache=10, ngram=1, measured_in="text")
    reward = rule("So so it goes.", "7", tokens=range(1000))
    assert reward.parts == {"overlong": -0.4, "repetition": -0.25}  # 14 characters; one of 4 words is a repeat
    assert reward.verdict is None
    assert reward.total == pytest.approx(-0.65)


def test_an_undecided_answer_excludes_the_completion_but_keeps_its_parts():
    weights = {"correct": 1.0, "boxed": 1.0}
    reward = RuleReward(weights)(r"\boxed{7}", "")
    assert (reward.total, reward.parts, reward.verdict.outcome) == (None, {"boxed": 1.0}, Outcome.ERROR)
    reward = RuleReward(weights, undecided=0.5)(r"\boxed{7}", "")
    assert (reward.total, reward.parts) == (1.5, {"correct": 0.5, "boxed": 1.0})


def test_no_answer_differs_from_a_wrong_one():
    rule = RuleReward(no_answer=-1.0)
    assert [rule(text, "7").total for text in ("It is 7.", "It is 8.", "I do not know")] == [1.0, 0.0, -1.0]


def test_a_part_measured_in_tokens_needs_them():
    with pytest.raises(ValueError, match="token ids"):
        RuleReward({"repetition": 1.0})("text", "7")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": {}}, "none"),
        ({"weights": {"length": 1.0}}, "length"),
        ({"weights": {"correct": -1.0}}, "-1.0"),
        ({"weights": {"correct": float("nan")}}, "nan"),
        ({"weights": {"overlong": 1.0}}, "longest"),
        ({"weights": {"overlong": 1.0}, "longest": 5, "cache": 6}, "cache 6"),
        ({"ngram": 0}, "at least 1, not 0"),
        ({"measured_in": "words"}, "'words'"),
    ],
)
def test_an_invalid_rule_is_refused_at_construction(options, message):
    with pytest.raises(ValueError, match=message):
        RuleReward(**options)


def test_a_rule_can_be_sent_to_another_process():
    rule = RuleReward({"correct": 1.0, "think": 0.5})
    assert pickle.loads(pickle.dumps(rule)) == rule
