"""Statistics of label files, worked out by hand."""

import pytest

from prm.data.records import StepLabels
from prm.labeling.stats import label_stats

CHECKED = StepLabels(
    "a", "p", (4, 0, 0), (0, 3, 0), (0, 1, 0), ("drawn", "drawn", "answer"), "incorrect", unchecked=(True, True, False)
)
RIGHT = StepLabels("b", "p", (0, 0), (0, 0), (0, 0), ("right-answer", "answer"), "correct")
RATED = StepLabels("c", "p", (1, 0), (0, 1), (0, 0), ("human", "human"), "no_answer")


def test_a_file_by_hand():
    found = label_stats([CHECKED, RIGHT, RATED])
    assert (found["chains"], found["right_chains"], found["steps"]) == (3, 1, 7)
    assert (found["rollouts"], found["undecided_share"]) == (8, 1 / 8), "a rating is no rollout"
    assert (found["checked_chains"], found["checked_agreement"]) == (1, 0.5), "the last step cannot change"
    assert (found["steps_drawn"], found["steps_human"], found["steps_answer"]) == (2, 2, 2)
    first, second, third = found["by_position"]
    assert (first["chains"], first["hard"], first["rollouts"]) == (3, 1.0, 4)
    assert (second["chains"], second["hard"], second["rollouts"]) == (3, pytest.approx(1 / 3), 4)
    assert second["soft"] == pytest.approx((0 + 1 + 0) / 3), "3 rollouts failed; a right answer; rated wrong"
    assert (third["chains"], third["width"], third["rollouts"]) == (1, None, 0)


def test_an_empty_file():
    found = label_stats([])
    assert (found["chains"], found["undecided_share"], found["by_position"]) == (0, None, [])
