"""The steps joined are the text, whatever the text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prm.data.steps import SPLITTERS, split_steps
from prm.errors import InputError

MARKS = (
    "<think>",
    "</think>",
    "\n",
    "\n\n",
    " ",
    "\t",
    "\r\n",
    "Step 1:",
    "Step 2. ",
    "a",
    "So x = 2. ",
    "Then",
    "\u2028",
    "$x$",
    "!",
)
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(MARKS), max_size=20).map("".join))
ALL = [*SPLITTERS, "regex:;", "regex:(?=x)", "regex:", "newline,min=4,max=9", "sentence,min=20,thought=one"]


@pytest.mark.parametrize("splitter", ALL)
@given(text=TEXTS)
def test_joined_steps_are_the_text(splitter, text):
    steps = split_steps(text, splitter)
    assert "".join(steps) == (text if text.strip() else "")
    assert all(step.strip() for step in steps)


EXAMPLES = {
    "newline": ("newline", "a\n\n\nb\n c\n", ("a\n\n\n", "b\n", " c\n")),
    "newline, blank lines first": ("newline", "\n \na\n \nb", ("\n \na\n \n", "b")),
    "blank line": ("blank-line", "a\nb\n \nc\n\n\n  d", ("a\nb\n \n", "c\n\n\n  ", "d")),
    "blank line, windows": ("blank-line", "a\r\n\r\nb", ("a\r\n\r\n", "b")),
    "step marker": ("step-marker", "Plan\nStep 1: x\ny\nStep 2. z", ("Plan\n", "Step 1: x\ny\n", "Step 2. z")),
    "step marker in a line": ("step-marker", "As Step 1: says", ("As Step 1: says",)),
    "sentence": ("sentence", "It is 2.5 m. So $x$ is 3! end. no", ("It is 2.5 m. ", "So $x$ is 3! end. no")),
    "sentence with titles": (
        "sentence",
        "Mrs. Hilt has 5 (vs. Dr. Lee). Plan B. So 2 vs. A",
        ("Mrs. Hilt has 5 (vs. Dr. Lee). ", "Plan B. ", "So 2 vs. A"),
    ),
    "regex": ("regex:;", "a;b;;c", ("a;", "b;", ";", "c")),
    "short steps": ("newline,min=3", "a\nbcd\nef\n", ("a\nbcd\nef\n",)),
    "short steps, not too long": ("newline,min=3,max=5", "a\nbc\nde\nfgh", ("a\nbc\n", "de\n", "fgh")),
    "a short last step": ("newline,min=3", "abc\nd", ("abc\nd",)),
    "a thought": ("newline,thought=one", "<think>a\nb\n</think>\n\nc\nd", ("<think>a\nb\n</think>\n\n", "c\n", "d")),
    "a thought begun in the prompt": ("newline,thought=one", "a\nb</think>c\nd", ("a\nb</think>", "c\n", "d")),
    "a thought that is cut": ("newline,thought=one", "<think>a\nb", ("<think>a\nb",)),
    "two thoughts": (
        "newline,thought=one",
        "<think>a\n</think>b\n<think>c\n</think>d\ne",
        ("<think>a\n</think>b\n<think>c\n</think>", "d\n", "e"),
    ),
    "no thought": ("newline,thought=one", "a\nb", ("a\n", "b")),
    "blank": ("newline", " \n\t", ()),
    "empty": ("sentence", "", ()),
}


@pytest.mark.parametrize(("splitter", "text", "steps"), EXAMPLES.values(), ids=EXAMPLES)
def test_examples(splitter, text, steps):
    assert split_steps(text, splitter) == steps


@pytest.mark.parametrize(
    "splitter",
    ["newlines", "", "regex:(", "newline,most=3", "newline,min=a", "newline,thought=two", "newline,min=\u00b2"],
)
@pytest.mark.parametrize("text", ["", "a"])
def test_an_unknown_splitter_is_refused(splitter, text):
    with pytest.raises(InputError) as caught:
        split_steps(text, splitter)
    assert caught.value.hint
