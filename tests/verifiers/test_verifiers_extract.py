"""Finding the answer in a text, in the order of precedence."""

import pytest

from prm.verifiers import answer_key, extract_answer, gold_problem


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}"),
        (r"\fbox{3}", "3"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{3} and \boxed{}", "3"),
        (r"\boxed{3} and \boxed{4", "3"),
        (r"\boxed{7}" + "\n#### 8\nThe answer is 9", "7"),
        ("#### 8\nThe answer is 9", "8"),
        ("#### 8\n#### 9", "9"),
        ("#### Step 2: add\nThe answer is 9", "9"),
        ("the answer is 9. It is not 10.", "9"),
        ("The answer is 3.5", "3.5"),
        ("The final answer is: x+1\nThere are 2", "x+1"),
        ("ANSWER: 12", "12"),
        ("**Final Answer:**\n\n72", "72"),
        ("The answer is 4 because 2 + 2 is 4", "4"),
        ("she had 3 and then 1,234.5 left over", "1,234.5"),
        ("he owed $-5$ pounds", "-5"),
        ("5-3", "5-3"),
        ("and so we count 10-3", None),
        (r"\frac{1}{2}", r"\frac{1}{2}"),
        ("(1,2)", "(1,2)"),
        ("x+1", "x+1"),
        ("Tuesday", "Tuesday"),
        ("I do not know", None),
        ("", None),
        ("\n \t", None),
    ],
)
def test_extract(text, answer):
    assert extract_answer(text) == answer


def test_the_answer_is_looked_for_at_the_end():
    assert extract_answer("The answer is 5. " + "and so on " * 3_000) is None


@pytest.mark.parametrize(
    "spellings",
    [
        ("0.5", "1/2", r"\frac{1}{2}", "50%", r"50\%", "The answer is .5"),
        ("1,234", "1234.0", "1{,}234", r"\boxed{1\,234}", "1234 apples"),
        ("2\\pi", "2*pi", "2 \\cdot \\pi"),
        ("(1, 2)", "(1.0,2)"),
        (r"\{2, 1\}", r"\{1, 2\}"),
        ("Tuesday", r"\text{tuesday}"),
    ],
)
def test_one_key_for_one_answer(spellings):
    assert len({answer_key(text) for text in spellings}) == 1


def test_other_answers_have_other_keys():
    texts = ["1", "2", "-1", "50", "50%", "(1,2)", "(2,1)", "x", "y", "x+1", "110_2", "Monday", "Tuesday"]
    assert len({answer_key(text) for text in texts}) == len(texts)
    assert answer_key("I do not know") is None


@pytest.mark.parametrize("gold", ["", " \n", r"\boxed{}", r"\frac{1}{{{2", "9" * 3_000, "((1, 2"])
def test_gold_that_cannot_be_used(gold):
    assert gold_problem(gold)


@pytest.mark.parametrize("gold", ["72", "#### 72", r"\boxed{(0, 1]}", r"\text{Tuesday}", "x^2+y^2=1", "4:30 p.m."])
def test_gold_that_can_be_used(gold):
    assert gold_problem(gold) is None
