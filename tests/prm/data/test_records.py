"""A record that exists is consistent; labels are views of counts, worked out by hand."""

import dataclasses
import math

import pytest

from prm.data.records import Chain, Problem, StepLabels, StepScores

NAN = float("nan")


def labels(right, wrong, *, undecided=None, known=None, outcome="incorrect"):
    n = len(right)
    known = known if known is not None else ("drawn",) * (n - 1) + ("answer",)
    return StepLabels("c", "p", tuple(right), tuple(wrong), tuple(undecided or (0,) * n), tuple(known), outcome)


def given(values, outcome="no_answer", *, right=0, known=None):
    """Labels of a file from elsewhere."""
    n = len(values)
    known = known if known is not None else tuple("none" if value is None else "given" for value in values)
    return StepLabels("c", "p", (right,) * n, (0,) * n, (0,) * n, known, outcome, given=values)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Problem("", "x"), "id"),
        (lambda: Problem(7, "x"), "id"),
        (lambda: Problem("p", " \n"), "text"),
        (lambda: Problem("p", None), "text"),
        (lambda: Problem("p", "x", 7), "answer"),
        (lambda: Chain("c", "", ("a",)), "problem_id"),
        (lambda: Chain("c", "p", ("a", "")), "steps"),
        (lambda: Chain("c", "p", (1,)), "steps"),
        (lambda: Chain("c", "p", "one text"), "steps"),
        (lambda: Chain("c", "p", ("a",), "eos"), "finish"),
        (lambda: labels((1, 1), (0,)), "one entry per step"),
        (lambda: labels((1, 1), (0, 0), known=("drawn",)), "one entry per step"),
        (lambda: labels((-1, 1), (0, 0)), "negative"),
        (lambda: labels((True,), (0,)), "right"),
        (lambda: labels((0.5,), (0,)), "right"),
        (lambda: labels((1,), (0,), known=({"a": 1},)), "known"),
        (lambda: StepLabels("c", "p", (1,), (0,), (0,), 5, "correct"), "known"),
        (lambda: StepLabels("c", "p", [1], (0,), (0,), ("drawn",), "correct"), "right"),
        (lambda: StepScores("c", "p", [0.1], "prm"), "scores"),
        (lambda: StepScores("c", "p", (True,), "prm"), "scores"),
        (lambda: labels((1,), (0,), known=("guessed",)), "known"),
        (lambda: labels((1,), (0,), outcome="wrong"), "outcome"),
        (lambda: labels((0,), (0,), known=("given",)), "nowhere else"),
        (lambda: given((0.5, None), known=("given", "given")), "nowhere else"),
        (lambda: given((True,), known=("human",)), "nowhere else"),
        (lambda: given((1.5,)), "given must hold"),
        (lambda: given((NAN,)), "given must hold"),
        (lambda: given(("+",)), "given must hold"),
        (lambda: given([True], known=("given",)), "given must have"),
        (lambda: given((True, True), known=("given",)), "one entry per step"),
        (lambda: given((True,), right=1), "no counts"),
        (lambda: StepScores("c", "p", (0.1, NAN), "prm"), "finite"),
        (lambda: StepScores("c", "p", (math.inf,), "orm"), "finite"),
        (lambda: StepScores("c", "p", (0.1, 0.2), "orm"), "exactly one"),
        (lambda: StepScores("c", "p", (), "orm"), "exactly one"),
        (lambda: StepScores("c", "p", (0.1,), "PRM"), "kind"),
    ],
)
def test_faults_are_refused_by_name(make, word):
    with pytest.raises(ValueError, match=word):
        make()


def test_records_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Problem("p", "x").text = "y"


def test_chain_text_is_its_steps_joined():
    assert Chain("c", "p", ("a\n", " b\n\n", "c")).text == "a\n b\n\nc"
    assert Chain("c", "p", ()).text == ""


T, F, N = True, False, None
VIEWS = {
    # four rollouts from each step but the last; the answer is wrong
    "fixed": (labels((3, 1, 0, 0), (1, 3, 4, 0)), (T, T, F, F), (0.75, 0.25, 0.0, 0.0)),
    # a success at the third step is a success from the first two, though the second failed when it was tried
    "fixed, later success": (labels((1, 0, 2, 0), (3, 4, 2, 0)), (T, T, T, F), (0.25, 0.0, 0.5, 0.0)),
    # bisect of 5 steps: step 2 (index 1) succeeds, index 2 fails; nothing else was drawn
    "bisect": (
        labels(
            (0, 1, 0, 0, 0), (0, 1, 8, 0, 0), known=("later-success", "drawn", "drawn", "earlier-failure", "answer")
        ),
        (T, T, F, F, F),
        (N, 0.5, 0.0, N, 0.0),
    ),
    "right chain, no draws": (
        labels((0, 0, 0), (0, 0, 0), known=("later-success", "later-success", "answer"), outcome="correct"),
        (T, T, T),
        (N, N, 1.0),
    ),
    # all four rollouts from the first step missed, yet the chain itself is a success from there
    "right chain, unlucky draws": (labels((0, 0), (4, 0), outcome="correct"), (T, T), (0.0, 1.0)),
    "undecided draws are no evidence": (
        labels((0, 0, 0), (0, 0, 0), undecided=(4, 4, 0), outcome="no_answer"),
        (N, N, N),
        (N, N, N),
    ),
    "undecided share is left out": (
        labels((1, 0, 0), (1, 0, 0), undecided=(2, 4, 0)),
        (T, N, F),
        (0.5, N, 0.0),
    ),
    "undecided answer after a failure": (
        labels((2, 0, 0), (0, 4, 0), outcome="timeout"),
        (T, F, F),
        (1.0, 0.0, N),
    ),
    # ratings: good, bad, good, unrated; each stands for its own step
    "human": (
        labels((1, 0, 1, 0), (0, 1, 0, 0), known=("human", "human", "human", "none")),
        (T, F, T, N),
        (1.0, 0.0, 1.0, N),
    ),
    # plain marks from elsewhere: a success after a failure changes neither, and no share is known
    "given marks": (given((F, T, N, F), "correct"), (F, T, N, F), (N, N, N, N)),
    "given shares": (given((0.25, 0.0, N, 1.0), "incorrect"), (T, F, N, T), (0.25, 0.0, N, 1.0)),
    "one wrong step": (labels((0,), (0,)), (F,), (0.0,)),
    "empty": (labels((), (), known=(), outcome="no_answer"), (), ()),
}


@pytest.mark.parametrize(("record", "hard", "soft"), VIEWS.values(), ids=VIEWS)
def test_views_by_hand(record, hard, soft):
    assert record.hard == hard
    assert record.soft == soft
