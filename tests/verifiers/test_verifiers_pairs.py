"""Generated pairs, of which it is known by construction whether they are equal."""

import os
from collections import Counter

import pytest

from prm.benchmarks.perf.generators import EQUAL, WRONG, pairs
from prm.verifiers import check

EXAMPLES = int(os.environ.get("PRM_FUZZ_EXAMPLES", "3000"))
"""`PRM_FUZZ_EXAMPLES=100000` turns these tests into a fuzzer."""
SEED = int(os.environ.get("PRM_FUZZ_SEED", "1"))

SHARE = 0.9
"""At least so many of the equal pairs of a kind are correct, except of these kinds."""
SHARES = {
    "definite integrals and limits": 0.0,
    "determinants": 0.3,
    "several parts": 0.5,
    "matrices times a number": 0.7,
}


def outcome(pair):
    return check(pair.prediction, pair.gold, timeout=10).outcome.value


def test_no_wrong_pair_is_accepted():
    assert [pair for pair in pairs(WRONG, EXAMPLES, SEED) if outcome(pair) == "correct"] == []


def test_equal_pairs_are_accepted_or_undecided_and_mostly_accepted():
    found = [(pair, outcome(pair)) for pair in pairs(EQUAL, EXAMPLES, SEED)]
    assert [pair for pair, verdict in found if verdict == "incorrect"] == []
    counts = Counter((pair.kind, verdict == "correct") for pair, verdict in found)
    shares = {kind: counts[kind, True] / (counts[kind, True] + counts[kind, False]) for kind in EQUAL}
    assert {kind: share for kind, share in shares.items() if share < SHARES.get(kind, SHARE)} == {}


@pytest.mark.parametrize("table", [WRONG, EQUAL])
def test_two_seeds_hardly_share_a_pair_and_one_seed_repeats(table):
    first, again, second = (list(pairs(table, 20 * len(table), seed)) for seed in (SEED, SEED, SEED + 1))
    assert first == again
    assert len(set(first) & set(second)) < 0.05 * len(first)
