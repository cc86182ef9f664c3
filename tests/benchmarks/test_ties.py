"""The score of RewardBench 2's subset Ties, worked out by hand."""

import math

import numpy as np
import pytest

from prm.benchmarks.protocols.ties import ties_score
from prm.benchmarks.suites.truth import Comparison
from prm.statistics.bootstrap import resample


def comparison(kind, better, worse, split="Ties"):
    identity = f"test/{kind}"
    ids = [f"{identity}/{i}" for i in range(better + worse)]
    return Comparison(identity, identity, split, tuple(ids[:better]), tuple(ids[better:]))


ROWS = [
    comparison("ref:1", 1, 2),
    comparison("tied:1", 2, 2),
    comparison("ref:2", 1, 1),
    comparison("tied:2", 3, 1),
    comparison("tied:3", 2, 1),
    comparison("x", 1, 3, split="Focus"),
]


def score(*values):
    ids = [i for row in ROWS for i in (*row.better, *row.worse)]
    drawn = resample([row.id for row in ROWS], [row.split for row in ROWS], draws=50, seed=0)
    return ties_score(dict(zip(ids, values, strict=True)), ROWS, drawn)


def test_by_hand():
    """ref 1: 5 - 2 = 3, right. ref 2: 1 - 2 = -1, wrong. So a half.
    tied 1: worst right 4, best wrong 2: 2, right; spread 5 - 4 = 1; 2 > 1 preferred; least(2, 3) = 2 > 1 hard; tanh(1).
    tied 2: 3 - 2.5 = 0.5, right; spread 5 - 3 = 2; neither; least(0.5, -1) = -1: tanh(-1.5).
    tied 3: 1 - 2 = -1, wrong, without a ref. So two thirds of tied are right, a half preferred, a half hard."""
    found = score(5, 2, 1, 4, 5, 2, 0, 1, 2, 5, 4, 3, 2.5, 1, 3, 2, 9, 1, 2, 3)
    gaps = (math.tanh(1) + math.tanh(-1.5)) / 2
    assert found[0] == pytest.approx(0.3 * 0.5 + 0.3 * 2 / 3 + 0.2 * 0.5 + 0.2 * 0.5 + 0.01 * gaps)
    assert len(found) == 51


def test_responses_without_any_spread_are_infinitely_far_above():
    """All tied responses of a prompt score the same: spread 0, so every margin above 0 is above it, and tanh is 1."""
    found = score(5, 2, 1, 4, 4, 2, 0, 3, 2, 5, 5, 5, 2, 4, 4, 2, 9, 1, 2, 3)
    assert found[0] == pytest.approx(1.01)


def test_other_subsets_do_not_count():
    few = [row for row in ROWS if row.split == "Focus"]
    drawn = resample([row.id for row in few], [row.split for row in few], draws=10)
    assert np.isnan(ties_score(dict.fromkeys((*few[0].better, *few[0].worse), 0.0), few, drawn)).all()
