"""Multiple choice with known options: a letter and its text are the same answer."""

import pytest

from prm.verifiers import Outcome, check_choice, extract_answer

OPTIONS = ["10 cm", r"$\frac{1}{2}$", "x+1", "none of these"]


@pytest.mark.parametrize(
    ("prediction", "gold", "outcome"),
    [
        ("The answer is (B).", "B", "correct"),
        (r"\boxed{0.5}", "B", "correct"),
        (r"\boxed{0.5}", r"\frac{1}{2}", "correct"),
        ("(B) one half", r"\frac{1}{2}", "correct"),
        (r"\boxed{1+x}", "(C)", "correct"),
        (r"\boxed{1+x}", "B", "incorrect"),
        ("A", "B", "incorrect"),
        (r"\boxed{\text{None of these}}", "D", "correct"),
        ("I cannot tell, sorry", "B", "no_answer"),
        ("A", "E", "error"),
        ("A", "7", "error"),
    ],
)
def test_a_letter_and_its_text_are_the_same_answer(prediction, gold, outcome):
    assert check_choice(prediction, gold, OPTIONS).outcome == Outcome(outcome)


def test_too_few_options_are_refused():
    with pytest.raises(ValueError, match="2 to 26 options, not 1"):
        check_choice("A", "A", ["5"])


@pytest.mark.parametrize(("boxes", "found"), [("last", r"\boxed{2}+3"), ("first", "1"), ("all", r"1, \boxed{2}+3")])
def test_which_box_counts_can_be_chosen(boxes, found):
    assert extract_answer(r"\boxed{1} or \boxed{\boxed{2}+3} and \boxed{", boxes=boxes) == found
