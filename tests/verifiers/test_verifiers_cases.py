"""The table of cases: equal, different and undecided pairs."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from places import ROOT

from prm.verifiers import Outcome, Policy, check, check_many

CASES = [json.loads(line) for line in Path(__file__).with_name("cases.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['note']}: {case['prediction'][:30]}")
def test_case(case):
    verdict = check(case["prediction"], case["gold"], timeout=10)
    assert verdict.outcome == case["outcome"], verdict


def test_the_table_covers_both_outcomes_and_repeats_no_pair():
    outcomes = Counter(case["outcome"] for case in CASES)
    assert min(outcomes["correct"], outcomes["incorrect"]) >= 50
    assert set(outcomes) <= set(Outcome)
    assert len({(case["prediction"], case["gold"]) for case in CASES}) == len(CASES)


SIGNS = {"=": {"correct"}, "\u2260": {"incorrect"}, "?": {"error", "timeout", "no_answer"}}


def examples():
    """The pairs that the table of rules in the docs shows, each with the outcomes that its sign stands for."""
    page = (ROOT / "docs" / "verifying.md").read_text(encoding="utf-8")
    table = page[page.index("| kind | rule") : page.index("All of these and more")]
    for row in table.strip().splitlines()[2:]:
        for example in row.rpartition(" | ")[2].split("; "):
            parts = [code or sign for code, sign in re.findall(r"`([^`]*)`|([=\u2260?])", example)]
            for i in range(1, len(parts) - 1, 2):
                yield parts[i - 1], parts[i + 1], SIGNS[parts[i]]


@pytest.mark.parametrize(("prediction", "gold", "outcomes"), list(examples()))
def test_the_examples_of_the_docs_are_true(prediction, gold, outcomes):
    verdict = check(prediction, gold, timeout=10)
    assert verdict.outcome in outcomes, verdict


@pytest.mark.parametrize(
    ("prediction", "gold", "policy", "outcome"),
    [
        ("9.79", "9.8", Policy(relative=0.01), "correct"),
        ("9.69", "9.8", Policy(relative=0.01), "incorrect"),
        ("9.8\\sqrt{1.002}", "9.8", Policy(relative=0.01), "correct"),
        ("-9.79", "9.8", Policy(relative=0.01), "incorrect"),
        ("1.57 cm", "1.6 cm", Policy(significant=2), "correct"),
        ("1.54 cm", "1.6 cm", Policy(significant=2), "incorrect"),
        ("9.79 km", "9800 m", Policy(relative=0.01), "correct"),
        ("5", "5 m", Policy(units="required"), "incorrect"),
        ("500 cm", "5 m", Policy(units="required"), "correct"),
        ("5", "5", Policy(units="required"), "correct"),
        ("5 km", "5 m", Policy(units="ignored"), "correct"),
        ("6 km", "5 m", Policy(units="ignored"), "incorrect"),
        ("b", "B", Policy(choice=True), "correct"),
        ("c", "B", Policy(choice=True), "incorrect"),
        ("It grows.\n(B) twice as fast", "B", Policy(choice=True), "correct"),
        ("\\boxed{4}, then \\boxed{5}", "4", Policy(boxes="first"), "correct"),
        ("\\boxed{4}, then \\boxed{5}", "4, 5", Policy(boxes="all"), "correct"),
        ("So there are 7", "7", Policy(marked_only=True), "no_answer"),
        ("The answer is 7", "7", Policy(marked_only=True), "correct"),
    ],
)
def test_a_policy_decides_where_people_differ(prediction, gold, policy, outcome):
    assert check(prediction, gold, policy=policy).outcome == outcome
    assert [verdict.outcome for verdict in check_many([(prediction, gold)], policy=policy)] == [outcome]


@pytest.mark.parametrize(
    "settings", [{"relative": 1}, {"relative": -0.1}, {"significant": 0}, {"units": "no"}, {"boxes": "last two"}]
)
def test_a_policy_out_of_range_is_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Policy(**settings)
