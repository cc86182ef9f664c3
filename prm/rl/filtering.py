"""Which chains of a group to learn from."""

from __future__ import annotations

import math
from collections.abc import Sequence

from prm.errors import InputError, require_number


def most_consistent(is_right: Sequence[bool], values: Sequence[float], keep: int) -> list[int]:
    """The chains whose process agrees with their outcome: PROF, arXiv 2509.03403, in its form for both sides.

    Among the right chains those of the lowest value are dropped (a right answer by a bad process), among the wrong
    ones those of the highest. How many of each stay is chosen so that right and wrong are as near to balance as their
    numbers allow: k+ + k- = `keep` with k+·k- as large as possible, and of two equal choices the one with more right
    chains. Of equal values the earlier chain stays.

    Left out: the paper's deduction for chains of a single step or of very many, which depends on the splitter; subtract
    it from `values`.

    Args:
        is_right: ``(chains,)`` whether the answer of each chain of one problem is right.
        values: ``(chains,)`` the mean of the PRM's scores of its steps.
        keep: number of chains that stay, from 0 to all.

    Returns:
        ``(keep,)`` places of the chains that stay, rising.

    Raises:
        InputError: numbers differ, a value is not finite, or `keep` is out of range.

    >>> most_consistent([True, True, True, False, False], [0.9, 0.2, 0.8, 0.7, 0.1], keep=3)
    [0, 2, 4]
    """
    if len(is_right) != len(values):
        raise InputError(f"{len(values)} values for {len(is_right)} chains", "give one value per chain")
    if not all(map(math.isfinite, values)):
        raise InputError("the value of a chain is not a finite number", "drop the chain")
    require_number("keep", keep, f"[0, {len(values)}]", whole=True)
    right = sorted((i for i, is_good in enumerate(is_right) if is_good), key=lambda i: -values[i])
    wrong = sorted((i for i, is_good in enumerate(is_right) if not is_good), key=lambda i: values[i])
    most = min(len(right), keep)
    rights = min(max((keep + 1) // 2, keep - len(wrong)), most)
    return sorted(right[:rights] + wrong[: keep - rights])
