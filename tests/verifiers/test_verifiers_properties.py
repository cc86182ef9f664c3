"""Properties of every number and every text."""

import os
import string
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from prm.verifiers import Outcome, answer_key, check, extract_answer, gold_problem

INTEGERS = st.integers(-(10**30), 10**30)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=4)
MATH = st.text(alphabet=string.digits + "xy+-*/^(){}[]\\|!_,.=$% eE" + "\u221a\u03c0\u2212", max_size=40)
FAST = settings(max_examples=int(os.environ.get("PRM_FUZZ_EXAMPLES", "150")))
"""`PRM_FUZZ_EXAMPLES=100000` turns these tests into a fuzzer."""


@FAST
@given(INTEGERS | DECIMALS)
def test_a_number_equals_itself_however_it_is_marked(number):
    text = f"{number:f}" if not isinstance(number, int) else str(number)
    for prediction in (text, f"#### {text}", f"So \\boxed{{{text}}}.", f"The answer is {text}.", f"It is {text}"):
        assert check(prediction, text).is_correct


@FAST
@given(INTEGERS)
def test_the_next_number_is_different(number):
    assert check(str(number + 1), str(number)).outcome is Outcome.INCORRECT


@FAST
@given(st.integers(-999, 999), st.integers(1, 999))
def test_fractions_are_compared_exactly(top, bottom):
    reduced = Fraction(top, bottom)
    assert check(f"\\frac{{{top}}}{{{bottom}}}", str(reduced)).is_correct
    assert not check(f"{top}/{bottom}", str(reduced + Fraction(1, 10**12))).is_correct
    assert answer_key(f"{top}/{bottom}") == str(reduced)


@FAST
@given(INTEGERS)
def test_thousands_separators_do_not_matter(number):
    assert check(f"{number:,}", str(number)).is_correct


@FAST
@given(st.lists(st.sampled_from(["x", "+", "2", "*", "(", "y", ")"]), min_size=1), st.data())
def test_spaces_between_signs_do_not_matter(tokens, data):
    # A space between two digits or letters may mean something (a mixed number), so there is always at least one.
    text = "#### " + " ".join(tokens)
    gaps = data.draw(st.lists(st.integers(1, 3), min_size=len(tokens), max_size=len(tokens)))
    spaced = "#### " + "".join(token + " " * gap for token, gap in zip(tokens, gaps, strict=True))
    assert check(spaced, text).outcome == check(text, text).outcome


LEAVES = st.integers(1, 30).map(str) | st.sampled_from(["x", "y", r"\pi", r"\sqrt{2}", r"\frac{1}{3}"])
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from("+-"), inner)
        | st.builds(r"{} \cdot {}".format, inner, inner)
        | st.builds(r"\frac{{{}}}{{{}}}".format, inner, LEAVES)
    ),
    max_leaves=6,
)


@FAST
@given(EXPRESSIONS)
def test_adding_one_changes_the_answer_and_rewriting_does_not(text):
    gold = f"\\boxed{{{text}}}"
    assert not check(f"\\boxed{{{text} + 1}}", gold, timeout=10).is_correct
    rewritten = (
        text.replace(r"\frac", r"\dfrac").replace(r"\cdot", r"\times").replace("(", r"\left(").replace(")", r"\right)")
    )
    for equal in (rewritten, f"1 + {text} - 1", f"2 \\cdot ({text}) - ({text})", text.replace(" ", r"\,")):
        verdict = check(f"\\boxed{{{equal}}}", gold, timeout=10)
        assert verdict.is_correct, (equal, verdict)


@FAST
@given(MATH | st.text(max_size=60), MATH | st.text(max_size=60))
def test_no_text_raises_or_breaks_the_checker(prediction, gold):
    verdict = check(prediction, gold, timeout=0.5)
    assert not verdict.reason.startswith("the checker failed"), verdict
    extract_answer(prediction), answer_key(prediction), gold_problem(gold)


@FAST
@given(MATH)
def test_a_gold_that_can_be_used_equals_itself(gold):
    marked = f"#### {gold}"
    assert gold_problem(marked) or check(marked, marked).is_correct
