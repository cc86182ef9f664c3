"""Generated pairs, of which it is known by construction whether they are equal."""

import os

from prm.benchmarks.perf.generators import EQUAL, WRONG, pairs
from prm.verifiers import check

EXAMPLES = int(os.environ.get("PRM_FUZZ_EXAMPLES", "3000"))
"""`PRM_FUZZ_EXAMPLES=100000` turns these tests into a fuzzer."""


def test_no_wrong_pair_is_accepted():
    found = [pair for pair in pairs(WRONG, EXAMPLES, seed=EXAMPLES) if check(pair.prediction, pair.gold).is_correct]
    assert not found


def test_no_equal_pair_is_called_incorrect():
    found = [
        pair
        for pair in pairs(EQUAL, EXAMPLES, seed=EXAMPLES)
        if check(pair.prediction, pair.gold).outcome.value == "incorrect"
    ]
    assert not found
