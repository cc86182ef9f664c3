"""Which chains go together, and when."""

import threading
import time

from prm.serving.batching import Pool, Waiting, next_pass


def chains(*lengths, scorer="a"):
    return [Waiting(place, scorer, None, tokens) for place, tokens in enumerate(lengths)]


def ids(batch):
    return [chain.id for chain in batch]


def test_the_oldest_goes_with_those_closest_to_it():
    assert ids(next_pass(chains(50, 500, 48, 60, 51), 200)) == [0, 4, 2]  # 60 would pad four chains to 240
    assert ids(next_pass(chains(50, 500, 48, 60, 51), 240)) == [0, 4, 2, 3]


def test_a_chain_over_the_budget_goes_alone():
    assert ids(next_pass(chains(500, 500), 200)) == [0]


def test_each_chain_goes_once_and_none_waits_for_ever():
    pool = Pool({"a": 100}, patience=0.0)
    waiting = chains(*[7 * number % 60 + 1 for number in range(40)])
    pool.add(waiting)
    seen = []
    for rounds in range(40):
        batch = pool.take()
        assert min(set(range(40)) - set(seen)) in ids(batch), f"the oldest did not go in round {rounds}"
        assert max(chain.tokens for chain in batch) * len(batch) <= 100
        seen += ids(batch)
        if len(seen) == 40:
            break
    assert sorted(seen) == list(range(40))


def test_a_pass_is_of_one_scorer():
    pool = Pool({"a": 100, "b": 100}, patience=0.0)
    pool.add([Waiting(0, "b", None, 5), Waiting(1, "a", None, 5), Waiting(2, "b", None, 5)])
    assert [ids(pool.take()), ids(pool.take())] == [[0, 2], [1]]


def test_a_chain_that_nobody_waits_for_is_forgotten():
    pool = Pool({"a": 100}, patience=0.0)
    pool.add(chains(5, 5, 5))
    pool.remove([1, 99])
    assert ids(pool.take()) == [0, 2]


def test_a_pass_is_not_held_back_once_it_is_full():
    pool = Pool({"a": 10}, patience=1000.0)
    threading.Timer(0.05, pool.add, [[Waiting(1, "a", None, 5)]]).start()
    pool.add(chains(5))
    assert ids(pool.take()) == [0, 1]


def test_a_pass_that_is_not_full_goes_once_patience_ends():
    pool = Pool({"a": 10**9}, patience=0.05)
    started = time.monotonic()
    pool.add(chains(5))
    assert ids(pool.take()) == [0]
    assert time.monotonic() - started >= 0.05


def test_a_closed_pool_gives_nothing():
    pool = Pool({"a": 10}, patience=0.0)
    threading.Timer(0.05, pool.close).start()
    assert pool.take() is None
