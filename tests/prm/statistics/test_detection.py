"""ROC, precision and recall, risk and coverage: by hand, and in every draw against rows that are repeated as drawn."""

from itertools import groupby, pairwise

import numpy as np
import pytest

from prm.statistics.bootstrap import resample
from prm.statistics.detection import Accepted
from prm.statistics.metrics import auroc

POINTS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)


def accepted(scores, is_right, draws=20):
    owners = list(range(len(scores)))
    drawn = resample(owners, [""] * len(scores), draws, seed=0)
    return Accepted.of(np.array(scores, float), np.array(is_right, float), drawn), drawn


def groups(scores, is_right):
    """(right, wrong) of each distinct score, from the top."""
    ordered = sorted(zip(scores, is_right, strict=True), reverse=True)
    for _, same in groupby(ordered, key=lambda pair: pair[0]):
        own = [right for _, right in same]
        yield sum(own), len(own) - sum(own)


def curve(scores, is_right):
    """(wrong, right) accepted at each threshold, from none to all."""
    points = [(0.0, 0.0)]
    for right, wrong in groups(scores, is_right):
        points.append((points[-1][0] + wrong, points[-1][1] + right))
    return points


def recall(scores, is_right, share):
    """Walk along the ROC curve until this many wrong ones are accepted, and as far up as it goes there."""
    points = curve(scores, is_right)
    all_wrong, all_right = points[-1]
    most = share * all_wrong
    best = 0.0
    for (w0, r0), (w1, r1) in pairwise(points):
        if w1 <= most + 1e-12:
            best = max(best, r1)
        elif w0 <= most:
            best = max(best, r0 + (r1 - r0) * (most - w0) / (w1 - w0))
    return best / all_right


def precision(scores, is_right, share):
    """Accept from the top, equal ones in proportion, until this share of the right ones is in."""
    wanted, right, wrong = share * sum(is_right), 0.0, 0.0
    for r, w in groups(scores, is_right):
        if right + r >= wanted - 1e-12:
            part = (wanted - right) / r
            return wanted / (wanted + wrong + part * w)
        right, wrong = right + r, wrong + w
    raise AssertionError


def risk(scores, is_right, coverage):
    wanted, taken, wrong = coverage * len(scores), 0.0, 0.0
    for r, w in groups(scores, is_right):
        if taken + r + w >= wanted - 1e-12:
            return (wrong + w * (wanted - taken) / (r + w)) / wanted
        taken, wrong = taken + r + w, wrong + w
    raise AssertionError


def average_precision(scores, is_right):
    area, right, taken = 0.0, 0, 0
    for r, w in groups(scores, is_right):
        right, taken = right + r, taken + r + w
        area += r * right / taken
    return area / right


def test_by_hand():
    """From the top: right; a right and a wrong one that score the same; wrong; right."""
    found, _ = accepted([0.9, 0.5, 0.5, 0.3, 0.1], [1, 1, 0, 0, 1])
    assert found.recall_at([0, 0.25, 0.5, 1])[0] == pytest.approx([1 / 3, 1 / 2, 2 / 3, 1])
    assert found.precision_at([1 / 3, 1 / 2, 2 / 3, 1])[0] == pytest.approx([1, 3 / 4, 2 / 3, 3 / 5])
    assert found.average_precision()[0] == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3 + 1 / 3 * 3 / 5)
    assert found.risk_at([0.2, 0.4, 0.6, 0.8, 1])[0] == pytest.approx([0, 1 / 4, 1 / 3, 2 / 4, 2 / 5])


@pytest.mark.parametrize("levels", [3, 1000])
def test_every_draw_is_that_of_the_rows_repeated(levels):
    rng = np.random.default_rng(levels)
    is_right = (rng.random(60) < 0.6).astype(int)
    scores = np.round(rng.random(60) * 0.7 + is_right * 0.3, 3 if levels > 3 else 1)
    found, drawn = accepted(scores, is_right)
    for functions, read in (
        (recall, found.recall_at(POINTS)), (precision, found.precision_at(POINTS)), (risk, found.risk_at(POINTS))
    ):  # fmt: skip
        for draw, counts in enumerate(drawn.of_rows.astype(int)):
            rows = np.repeat(np.arange(60), counts)
            own = [functions(scores[rows].tolist(), is_right[rows].tolist(), x) for x in POINTS]
            assert read[draw] == pytest.approx(own), functions
    rows = [np.repeat(np.arange(60), counts) for counts in drawn.of_rows.astype(int)]
    naive = [average_precision(scores[own].tolist(), is_right[own].tolist()) for own in rows]
    assert found.average_precision() == pytest.approx(naive)


def test_the_area_under_roc_is_the_auroc():
    rng = np.random.default_rng(0)
    is_right = rng.random(200) < 0.5
    scores = np.round(rng.random(200) + 0.4 * is_right, 1)
    found, _ = accepted(scores, is_right)
    shares = np.linspace(0, 1, 5001)
    assert np.trapezoid(found.recall_at(shares)[0], shares) == pytest.approx(auroc(scores, is_right), abs=1e-4)


def test_many_scores_are_taken_at_quantiles_and_hardly_differ():
    rng = np.random.default_rng(1)
    is_right = rng.random(20_000) < 0.7
    scores = np.where(is_right, rng.beta(4, 2, 20_000), rng.beta(2, 3, 20_000))
    found, _ = accepted(scores, is_right, draws=1)
    given = scores.tolist(), is_right.astype(int).tolist()
    assert found.recall_at(POINTS)[0] == pytest.approx([recall(*given, x) for x in POINTS], abs=2e-3)
    assert found.risk_at(POINTS)[0] == pytest.approx([risk(*given, x) for x in POINTS], abs=2e-3)
    assert found.average_precision()[0] == pytest.approx(average_precision(*given), abs=2e-3)


def test_one_kind_alone_has_a_risk_and_nothing_else():
    found, _ = accepted([0.9, 0.5], [1, 1])
    assert np.isnan(found.recall_at([0.1])).all()
    assert np.isnan(found.precision_at([0.1])).all()
    assert np.isnan(found.average_precision()).all()
    assert found.risk_at([0.5])[0] == 0


def test_chances_to_be_right_count_as_such():
    found, _ = accepted([0.9, 0.5], [0.5, 1.0])
    assert found.risk_at([0.5, 1])[0] == pytest.approx([0.5, 0.25])


def test_a_perfect_and_a_reversed_scorer():
    found, _ = accepted([4, 3, 2, 1], [1, 1, 0, 0])
    assert found.recall_at([0])[0] == 1
    assert found.average_precision()[0] == 1
    found, _ = accepted([1, 2, 3, 4], [1, 1, 0, 0])
    assert found.recall_at([0, 0.5])[0] == pytest.approx([0, 0])
    assert found.average_precision()[0] == pytest.approx((1 / 3 + 2 / 4) / 2)
