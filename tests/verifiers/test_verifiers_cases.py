"""The table of cases: equal, different and undecided pairs."""

import json
from collections import Counter
from pathlib import Path

import pytest

from prm.verifiers import Outcome, check

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
