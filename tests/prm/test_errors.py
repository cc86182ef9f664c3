"""Checks of arguments: each refusal names the parameter and its value."""

import math

import numpy as np
import pytest

from prm.errors import InputError, require_number, require_texts


@pytest.mark.parametrize(
    ("value", "within", "whole"),
    [(0, "[0, 1]", False), (1.0, "(0, 1]", False), (1, "[1, inf)", True), (10**400, "[1, inf)", True),
     (np.int64(3), "[1, inf)", True), (np.float32(0.5), "(0, 1)", False), (-5, "(-inf, inf)", True)],
)  # fmt: skip
def test_numbers_in_range(value, within, whole):
    require_number("x", value, within, whole=whole)


@pytest.mark.parametrize(
    ("value", "within", "whole"),
    [(0, "(0, 1]", False), (1, "[0, 1)", False), (-1, "[0, inf)", True), (math.inf, "[0, inf)", False),
     (math.nan, "[0, 1]", False), (math.nan, "(-inf, inf)", False), (10.0, "[1, inf)", True), ("3", "[1, inf)", True),
     ("x", "[0, inf)", False), (None, "[0, 1]", False), (True, "[0, 1]", False), ([1], "[0, 1]", False)],
)  # fmt: skip
def test_anything_else_is_refused(value, within, whole):
    with pytest.raises(InputError) as caught:
        require_number("x", value, within, whole=whole)
    assert str(caught.value) == f"x={value!r} is not a {'whole ' * whole}number in {within}"
    assert caught.value.hint


def test_one_text_is_one_item():
    assert require_texts("stop", "end") == require_texts("stop", ["end"]) == ("end",)
    assert require_texts("stop", ()) == ()
    for wrong in (5, ["a", 5], None):
        with pytest.raises(InputError, match=f"stop: {5 if wrong else None} is not a text"):
            require_texts("stop", wrong)
