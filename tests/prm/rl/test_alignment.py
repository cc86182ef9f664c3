"""Rewards at the tokens of a policy: on any tokenizer, whatever spelling it drew."""

from itertools import pairwise

import numpy as np
import pytest
from families import llama_tokenizer, qwen_tokenizer
from hypothesis import given
from hypothesis import strategies as st

from prm.data.steps import split_steps
from prm.errors import InputError
from prm.models.rendering import spelled
from prm.rl import aligned_steps, token_advantages, token_rewards, turn_ends

TEXTS = [
    "So 2 + 2 = 4.\n\nThus it is 4.\n",
    "First.\nThen 12 / 3 = 4.\nThe answer is 4",
    "naïve café\n☃ and 你好\n\n\n🙂🙂\n",
    "one",
    "\n\n a\n\tb\n",
    "   ",
    "",
]


@pytest.fixture(scope="module", params=["qwen", "llama"])
def family(request):
    return {"qwen": qwen_tokenizer, "llama": llama_tokenizer}[request.param]()


def check(tokenizer, ids, before=()):
    """What must hold for any tokens; where each step ends is compared with a search through all prefixes."""
    text = spelled(tokenizer, ids, before)
    found = aligned_steps(tokenizer, ids, before=before)
    assert found.steps == split_steps(text)
    assert len(found.ends) == len(found.steps)
    assert list(found.ends) == sorted(found.ends)
    assert all(0 <= end < len(ids) for end in found.ends)
    if found.steps:
        assert found.ends[-1] == len(ids) - 1
    if "\ufffd" not in text:  # else half a character may look like another
        for number, end in enumerate(found.ends[:-1], start=1):
            start = "".join(found.steps[:number])
            whole = [n for n in range(len(ids)) if spelled(tokenizer, ids[: n + 1], before).startswith(start)]
            assert end == whole[0]
    rewards = np.arange(1.0, len(found.steps) + 1)
    conserved(rewards, found.ends, len(ids))


def conserved(rewards, ends, length):
    """The tokens of a step add up to its reward; of steps that end in one token, to their sum."""
    tokens = token_rewards(rewards, ends, length)
    assert tokens.shape == (length,)
    assert tokens.sum() == pytest.approx(sum(rewards))
    bounds = [-1, *sorted(set(ends))]
    for before, end in pairwise(bounds):
        own = sum(reward for reward, place in zip(rewards, ends, strict=True) if place == end)
        assert tokens[before + 1 : end + 1].sum() == tokens[end] == pytest.approx(own)


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_as_the_tokenizer_chooses_them(any_tokenizer, text):
    check(any_tokenizer, any_tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("text", TEXTS)
def test_families(family, text):
    ids = family(text, add_special_tokens=False)["input_ids"]
    check(family, [*ids, family.eos_token_id])


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_as_no_tokenizer_chooses_them(any_tokenizer, text):
    """Character by character, as a policy may draw them."""
    ids = [i for character in text for i in any_tokenizer(character, add_special_tokens=False)["input_ids"]]
    check(any_tokenizer, ids, before=any_tokenizer("Problem\n")["input_ids"])


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 40))
def test_any_tokens_at_all(any_tokenizer, seed, size):
    """Special tokens, halves of characters, spaces: and line ends often enough."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, len(any_tokenizer), size)
    ends = any_tokenizer("\n", add_special_tokens=False)["input_ids"]
    ids[rng.random(size) < 0.2] = ends[-1]
    check(any_tokenizer, ids.tolist(), before=[5, 6])


def test_a_long_completion_is_decoded_a_few_times_and_not_once_for_each_step(tokenizer):
    """The tokens that are decoded for each one of the completion: as many for one of eight times the length."""

    class Counting:
        def __init__(self):
            self.count = 0

        def decode(self, ids, **options):
            self.count += len(ids)
            return tokenizer.decode(ids, **options)

    def cost(steps):
        counting, ids = Counting(), tokenizer("So 2 + 2 = 4.\n" * steps, add_special_tokens=False)["input_ids"]
        assert len(aligned_steps(counting, ids).steps) == steps
        return counting.count / len(ids)

    assert cost(160) < 1.5 * cost(20)


@pytest.mark.parametrize("text", [text for text in TEXTS if text.strip()])
def test_a_text_is_spelled_in_parts_as_it_is_in_one(any_tokenizer, text):
    """Wherever it is cut, but within a character."""
    ids = any_tokenizer(text, add_special_tokens=False)["input_ids"]
    for place in range(1, len(ids)):
        begun = spelled(any_tokenizer, ids[:place])
        if not begun.endswith("\ufffd"):
            assert begun + spelled(any_tokenizer, ids[place:], ids[:place]) == spelled(any_tokenizer, ids)


def test_a_step_ends_with_the_token_that_completes_it(tokenizer):
    """And the end of the text belongs to the last step."""
    first, second = (tokenizer(t, add_special_tokens=False)["input_ids"] for t in ("So 2 + 2 = 4.\n\n", "It is 4."))
    ids = [*first, *second, tokenizer.eos_token_id]
    assert aligned_steps(tokenizer, ids).ends == (len(first) - 1, len(ids) - 1)


def test_steps_within_one_token_share_it():
    """A tokenizer in which one token holds two line ends and more."""

    class Words:
        def decode(self, ids, **_):
            return "".join(["a\nb\nc", "d\n", "e"][i] for i in ids)

    found = aligned_steps(Words(), [0, 1, 2])
    assert (found.steps, found.ends) == (("a\n", "b\n", "cd\n", "e"), (0, 0, 1, 2))
    assert token_rewards([1, 2, 4, 8], found.ends, 3).tolist() == [3, 4, 8]
    assert token_advantages([1, 2, 4, 8], found.ends, 3).tolist() == [1, 4, 8]


def test_tokens_belong_to_the_first_step_that_ends_at_or_after_them():
    assert token_advantages([1.0, 2.0], [1, 2], 5).tolist() == [1, 1, 2, 0, 0]
    assert token_advantages([], [], 2).tolist() == [0, 0]


@given(st.lists(st.booleans(), max_size=30))
def test_rewards_of_turns_fall_on_the_agents_own_tokens(is_own):
    ends = turn_ends(is_own)
    tokens = token_rewards([1.0] * len(ends), ends, len(is_own))
    assert all(own for own, reward in zip(is_own, tokens, strict=True) if reward)
    turns = "".join("x" if own else " " for own in is_own).split()
    assert tokens.sum() == len(turns)


@pytest.mark.parametrize(("rewards", "ends"), [([1.0], []), ([], [0]), ([1.0], [3]), ([1.0], [-1])])
def test_ends_outside_the_tokens_are_refused(rewards, ends):
    for of_tokens in (token_rewards, token_advantages):
        with pytest.raises(InputError, match="do not fit 3 tokens"):
            of_tokens(rewards, ends, 3)


def test_advantages_need_the_order_of_the_steps():
    with pytest.raises(InputError, match=r"\[2, 0\] fall"):
        token_advantages([1.0, 2.0], [2, 0], 3)
