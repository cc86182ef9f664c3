"""The arithmetic world, with step truth worked out by hand."""

import random
from itertools import islice

import pytest

from prm.benchmarks.arithmetic import POLICY, REVIEW, RIGHT, WRONG
from prm.benchmarks.arithmetic.train_policy import UNREAD, Documents, exercises, reviewed, solved
from prm.benchmarks.arithmetic.world import (
    BACKWARD,
    LARGEST,
    PLAIN,
    calculate,
    exercise,
    is_possible,
    solution,
    step_truth,
    stories,
)
from prm.data.steps import split_steps
from prm.models.checkpoint import load_tokenizer
from prm.models.rendering import Prompt, Renderer
from prm.verifiers import check


def test_the_same_seed_gives_the_same_stories():
    first, again, other = (list(islice(stories(seed), 50)) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert len({s.text for s in first}) == 50


def test_every_story_is_possible_and_ends_with_its_question():
    for story in islice(stories(7), 500):
        assert 3 <= len(story.sentences) <= 8
        assert len(story.values) == len(story.sentences) + 1
        assert all(1 <= v <= LARGEST for v in story.values)
        for before, sentence, after in zip(story.values, story.sentences, story.values[1:], strict=False):
            assert is_possible(before, sentence.phrase.operator, sentence.operand)
            assert calculate(before, sentence.phrase.operator, sentence.operand) == after
            assert sentence.text in story.text
        assert story.answer == story.values[-1]
        assert story.text.endswith("have?")


VALUES = (10, 15, 30)
GOOD = ("found: 10 + 5 = 15\n", "grown: 15 * 2 = 30\n", "The answer is 30")
T, F = True, False
TRUTH = {
    "right": (GOOD, [T, T, T]),
    "right, other words": (("x: 10 + 5 = 15", "y: 15 + 15 = 30\n\n", "The answer is 30.\n"), [T, T, T]),
    "slip put right": (("found: 10 + 5 = 14, no, 15\n", *GOOD[1:]), [T, T, T]),
    "slip made worse": (("found: 10 + 5 = 15, no, 14\n", *GOOD[1:]), [F, F, F]),
    "slip": ((GOOD[0], "grown: 15 * 2 = 31\n", "The answer is 31"), [T, F, F]),
    "slip, right answer": ((GOOD[0], "grown: 15 * 2 = 31\n", "The answer is 30"), [T, F, F]),
    "misread": (("found: 10 - 5 = 5\n", "grown: 5 * 2 = 10\n", "The answer is 10"), [F, F, F]),
    "right number, false equation": (("found: 10 + 4 = 15\n", *GOOD[1:]), [F, F, F]),
    "wrong start": ((GOOD[0], "grown: 10 * 3 = 30\n", "The answer is 30"), [T, F, F]),
    "answer missing": (GOOD[:2], [T, T]),
    "answer too early": ((GOOD[0], "The answer is 30"), [T, F]),
    "wrong answer": ((*GOOD[:2], "The answer is 31"), [T, T, F]),
    "extra step": ((*GOOD, "found: 30 + 1 = 31"), [T, T, T, F]),
    "said twice": ((*GOOD, "The answer is 30"), [T, T, T, F]),
    "equation instead of the answer": ((*GOOD[:2], "found: 30 + 0 = 30"), [T, T, F]),
    "not whole": (("kept: 10 / 3 = 3\n", *GOOD[1:]), [F, F, F]),
    "by zero": (("kept: 10 / 0 = 15\n",), [F]),
    "chatter": (("Let me think.\n", *GOOD), [F, F, F, F]),
    "other digits": (("found: 10 + 5 = १५\n",), [F]),
    "empty": ((), []),
}


@pytest.mark.parametrize(("steps", "truth"), TRUTH.values(), ids=TRUTH)
def test_truth_by_hand(steps, truth):
    assert step_truth(VALUES, steps) == truth


def test_a_careful_solution_is_right_in_every_step():
    for story in islice(stories(11), 200):
        lines = [
            f"{s.phrase.gist}: {v} {s.phrase.operator} {s.operand} = {after}\n"
            for v, s, after in zip(story.values, story.sentences, story.values[1:], strict=False)
        ]
        assert all(step_truth(story.values, [*lines, f"The answer is {story.answer}"]))


def test_random_solutions():
    """A chain of true steps ends with the right answer; after a False all is False; both kinds of chain occur."""
    rng = random.Random(5)
    all_true = wrong = right_by_luck = 0
    for story in islice(stories(5), 2000):
        text = solution(story, rng)
        steps = split_steps(text)
        truth = step_truth(story.values, steps)
        assert len(truth) == len(story.sentences) + 1
        assert truth == sorted(truth, reverse=True)
        is_right = check(text, str(story.answer)).is_correct
        assert is_right >= all(truth)
        all_true += all(truth)
        wrong += not is_right
        right_by_luck += is_right and not all(truth)
    assert all_true > 400
    assert wrong > 400
    assert right_by_luck < 200


def test_an_exercise_is_wrong_where_its_phrase_is_misread():
    rng, operators = random.Random(1), {phrase.gist: phrase.operator for phrase in (*PLAIN, *BACKWARD)}
    wrong = dict.fromkeys(operators, 0)
    for _ in range(4000):
        step, is_right = exercise(rng)
        gist, equation = step.split(": ")
        value, operator, operand, _, result = equation.split()
        assert is_right == (operator == operators[gist])
        assert int(result) == calculate(int(value), operator, int(operand))
        wrong[gist] += not is_right
    assert {gist for gist, count in wrong.items() if count} == {phrase.gist for phrase in BACKWARD}


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(str(POLICY))


def verdicts(row, tokenizer):
    """What is asked for, by position."""
    return {i: tokenizer.decode(target) for i, target in enumerate(row["labels"]) if target != UNREAD}


def test_a_review_gives_its_verdicts_where_a_prm_reads_and_is_otherwise_its_input(tokenizer):
    rng, renderer, source = random.Random(2), Renderer(tokenizer, prompt=Prompt(REVIEW)), stories(2)
    for story in islice(stories(2), 200):
        row = reviewed(tokenizer, source, rng)
        problem, *steps = tokenizer.decode(row["input_ids"][:-1]).removesuffix("\n").split("\n")[1:]
        rendered = renderer.render(problem, steps)
        assert problem == story.text
        assert row["input_ids"] == [*rendered.ids, tokenizer.eos_token_id]
        truth = [RIGHT if is_right else WRONG for is_right in step_truth(story.values, steps)]
        assert verdicts(row, tokenizer) == dict(zip((end + 1 for end in rendered.step_ends), truth, strict=True))


def test_exercises_have_a_verdict_after_each_step(tokenizer):
    row = exercises(tokenizer, stories(1), random.Random(4))
    first, *steps = tokenizer.decode(row["input_ids"][:-1]).splitlines()
    assert REVIEW.startswith(first + "\n")
    rng = random.Random(4)
    asked = [exercise(rng) for _ in range(8)]
    assert steps == [step for step, _ in asked]
    assert list(verdicts(row, tokenizer).values()) == [RIGHT if is_right else WRONG for _, is_right in asked]


def test_kinds_of_batches_take_turns_and_only_solutions_lack_the_instruction(tokenizer):
    rows = list(islice(Documents(tokenizer, 2, [exercises, reviewed, solved], seed=1), 12))
    instruction = tokenizer(REVIEW.partition("{")[0])["input_ids"]
    has_it = [row["input_ids"][: len(instruction)] == instruction for row in rows]
    assert has_it == [True, True, True, True, False, False] * 2
    assert all((row["labels"] == row["input_ids"]) != marked for row, marked in zip(rows, has_it, strict=True))
    assert len({tuple(row["input_ids"]) for row in rows}) == 12
