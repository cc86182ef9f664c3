"""Multiple choice with known options: a label and its text are the same answer."""

import pytest

from prm.verifiers import Outcome, Policy, check_choice, extract_answer

OPTIONS = ["10 cm", r"$\frac{1}{2}$", "x+1", "none of these"]
BY_LETTER = dict(zip("ABCD", OPTIONS, strict=True))
BY_NUMBER = dict(zip("1234", OPTIONS, strict=True))


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        BY_LETTER,
        {letter.lower(): text for letter, text in BY_LETTER.items()},
        {"label": list(BY_LETTER), "text": OPTIONS},
    ],
)
@pytest.mark.parametrize(
    ("prediction", "gold", "outcome"),
    [
        ("The answer is (B).", "B", "correct"),
        ("The answer is b.", "B", "correct"),
        ("b", "b", "correct"),
        (r"\boxed{0.5}", "B", "correct"),
        (r"\boxed{0.5}", r"\frac{1}{2}", "correct"),
        ("(B) one half", r"\frac{1}{2}", "correct"),
        (r"\boxed{1+x}", "(C)", "correct"),
        (r"\boxed{1+x}", "B", "incorrect"),
        ("A", "B", "incorrect"),
        ("a", "B", "incorrect"),
        (r"\boxed{\text{None of these}}", "D", "correct"),
        ("I cannot tell, sorry", "B", "no_answer"),
        ("A", "E", "error"),
        ("A", "7", "error"),
    ],
)
def test_a_letter_and_its_text_are_the_same_answer(prediction, gold, options, outcome):
    assert check_choice(prediction, gold, options).outcome == Outcome(outcome)


@pytest.mark.parametrize(
    "options",
    [BY_NUMBER, {int(number): text for number, text in BY_NUMBER.items()}, {"label": "1234", "text": OPTIONS}],
)
@pytest.mark.parametrize(
    ("prediction", "gold", "outcome"),
    [
        ("The answer is 2.", "2", "correct"),
        ("The answer is (2).", r"\frac{1}{2}", "correct"),
        (r"\boxed{0.5}", "2", "correct"),
        (r"\boxed{1+x}", "3", "correct"),
        ("The answer is 1.", "2", "incorrect"),
        (r"\boxed{3}", "x+1", "correct"),
        (r"\boxed{x+2}", "3", "incorrect"),
        ("First, I cut it in 4.\nSo I choose 2", "2", "correct"),
        ("I cannot tell, sorry", "2", "no_answer"),
        ("1", "5", "error"),
    ],
)
def test_labels_may_be_numbers(prediction, gold, options, outcome):
    assert check_choice(prediction, gold, options).outcome == Outcome(outcome)


@pytest.mark.parametrize(
    ("prediction", "gold", "options", "reason"),
    [
        ("B", "B", ["0.5", r"\frac{1}{2}", "3"], "two options are equal"),
        ("B", "B", {"A": "The ellipse", "B": "ellipse"}, "two options are equal"),
        ("A", "13 cm", ["10 cm", "12 cm"], "the gold answer is none of the options"),
        ("A", "C", {"A": "10 cm", "B": "12 cm"}, "the gold answer is none of the options"),
        ("1", "2", {"1": "2", "2": "3"}, "the gold answer is several of the options"),
        ("A", "A", ["B", "A"], "the gold answer is several of the options"),
        ("2", "12 cm", {"1": "2 cm", "2": "12 cm"}, "the answer is the label of one option and the text of another"),
    ],
)
def test_what_may_mean_two_options_is_undecided(prediction, gold, options, reason):
    verdict = check_choice(prediction, gold, options)
    assert (verdict.outcome, verdict.reason) == (Outcome.ERROR, reason)


def test_an_option_that_rounds_to_another_is_not_equal_to_it():
    assert check_choice("A", "A", [r"\frac{1}{3}", "0.33"]).is_correct
    assert check_choice("B", "A", [r"\frac{1}{3}", "0.33"]).outcome is Outcome.INCORRECT


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["5"], "2 to 26 options, not 1"),
        ({"label": ["A", "B"], "text": ["5"]}, "2 to 26 options, not 1"),
        ({"label": ["A"], "text": ["5", "6"]}, "2 options needs a label of its own"),
        ({"a": "5", "A": "6"}, "2 options needs a label of its own"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        check_choice("A", "A", options)


def test_the_text_of_an_option_is_compared_by_the_policy():
    options = ["9.81 m", "12 m"]
    assert not check_choice("It is 9.7 m", "A", options).is_correct
    assert check_choice("It is 9.7 m", "A", options, policy=Policy(relative=0.05)).is_correct


def test_a_text_that_is_no_string_is_refused():
    with pytest.raises(TypeError, match="int"):
        check_choice("A", "A", {"A": 5, "B": 6})


@pytest.mark.parametrize(("boxes", "found"), [("last", r"\boxed{2}+3"), ("first", "1"), ("all", r"1, \boxed{2}+3")])
def test_which_box_counts_can_be_chosen(boxes, found):
    assert extract_answer(r"\boxed{1} so \boxed{\boxed{2}+3} and \boxed{", boxes=boxes) == found
