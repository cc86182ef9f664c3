"""Files that an evaluation reads: scores of any tool, checked pools, results. Each wrong line is named."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from prm.benchmarks.evaluation import strange_scores
from prm.benchmarks.numbers import EvalSettings
from prm.benchmarks.pools import Pool, make_pools, of_size, pool_to_json, read_pools
from prm.benchmarks.results import (
    Bin,
    Curve,
    Difference,
    Metric,
    Picture,
    Point,
    Result,
    ShownChain,
    read_result,
    read_shown,
    result_to_json,
    shown_path,
    shown_to_json,
)
from prm.benchmarks.scores import read_scores, table_of
from prm.benchmarks.suites.truth import Candidates, Comparison
from prm.data.drops import Drops
from prm.data.files import write_records
from prm.data.records import Chain, Problem, StepScores
from prm.errors import InputError
from prm.scoring.foreign import Links
from prm.statistics.aggregation import AGGREGATORS, Aggregator, aggregate

GOOD = '{"id": "a", "scores": [0.5]}'


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def table(chains, kind="prm"):
    return table_of(StepScores(f"c{i}", "p", tuple(scores), kind) for i, scores in enumerate(chains))


def ragged(seed, count=200):
    """Chains of 0 to 6 scores; in some chains of any size, in some with zeros."""
    rng = np.random.default_rng(seed)
    chains = [rng.random(rng.integers(0, 7)) for _ in range(count)]
    chains += [rng.normal(size=rng.integers(0, 4)) * 10 for _ in range(count)]
    chains += [rng.integers(0, 3, rng.integers(0, 5)) / 2 for _ in range(count)]
    return [chains[i].tolist() for i in rng.permutation(len(chains))]


def refused(read, path, message):
    """The error is one line that names the file, and it has a hint."""
    with pytest.raises(InputError, match=message) as caught:
        list(read(path))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_our_own_files(tmp_path):
    records = [
        StepScores("a", "p", (0.5, 0.25), "prm"),
        StepScores("b", "p", (), "prm"),
        StepScores("c", "q", (1,), "prm"),
    ]
    write_records(tmp_path / "scores.jsonl", records)
    read = read_scores(tmp_path / "scores.jsonl")
    assert read.kind == "prm"
    assert [read[r.chain_id].tolist() for r in records] == [[0.5, 0.25], [], [1.0]]
    assert "b" in read
    assert "d" not in read
    assert read.places(["c", "d", "a"]).tolist() == [2, -1, 0]


def test_files_of_other_tools(tmp_path):
    path = write(
        tmp_path / "x.jsonl", GOOD, "", '{"id": 7, "scores": [1, -2.5], "more": {}}', '{"chain_id": "é", "scores": []}'
    )
    read = read_scores(path)
    assert (read.kind, list(read.rows)) == ("prm", ["a", "7", "é"])
    assert read["7"].tolist() == [1.0, -2.5]
    read = read_scores(
        write(tmp_path / "y.jsonl", '{"id": "a", "score": 1.7}', '{"id": "b", "score": -3, "kind": "prm"}')
    )
    assert (read.kind, read.aggregators) == ("orm", ("",))
    assert read.aggregated("").tolist() == [1.7, -3.0]


def test_our_name_of_the_id_comes_first(tmp_path):
    assert list(read_scores(write(tmp_path / "x.jsonl", '{"id": "row 1", "chain_id": "a", "scores": []}')).rows) == [
        "a"
    ]


def test_more_scores_than_are_held_as_a_list(tmp_path):
    """Two and a half times 2^20 scores, in chains of 2^16."""
    part = (0.5,) * (2**16 - 1)
    read = table_of(StepScores(str(i), "p", (float(i), *part), "prm") for i in range(40))
    assert len(read.values) == 40 * 2**16
    assert [read[str(i)][0] for i in range(40)] == list(range(40))
    assert read.aggregated("max")[39] == 39


WRONG_SCORES = {
    "not JSON": ('{"id": "a", "scores": [0.5]', ":2: not a JSON object"),
    "not UTF-8": (b'{"id": "\xff", "scores": [0.5]}', ":2: text that is not UTF-8"),
    "nested": ("[" * 100_000, ":2: not a JSON object: nested too deeply"),
    "a list": ("[1]", ":2: not a JSON object: it is \\[1\\]"),
    "no id": ('{"scores": [0.5]}', ":2: a row of scores without a chain"),
    "an id that is null": ('{"id": null, "scores": [0.5]}', ":2: a row of scores without a chain"),
    "an id that is a list": ('{"id": ["b"], "scores": [0.5]}', ":2: a row of scores without a chain"),
    "an id that is empty": ('{"chain_id": "", "scores": [0.5]}', ":2: a row of scores without a chain"),
    "no scores": ('{"id": "b"}', ":2: no scores in it"),
    "a word": ('{"id": "b", "scores": ["good"]}', ":2: a score that cannot be read: 'good'"),
    "true": ('{"id": "b", "scores": [true]}', ":2: a score that cannot be read: True"),
    "null": ('{"id": "b", "scores": [0.5, null]}', ":2: a score that cannot be read: null"),
    "no score": ('{"id": "b", "score": null}', ":2: no scores in it"),
    "nan": ('{"id": "b", "scores": [0.5, NaN]}', ":2: a score that cannot be read: nan"),
    "inf": ('{"id": "b", "scores": [-Infinity]}', ":2: a score that cannot be read: -inf"),
    "too large": ('{"id": "b", "scores": [1e999]}', ":2: a score that cannot be read: inf"),
    "too large a whole number": (f'{{"id": "b", "scores": [1{"0" * 400}]}}', ":2: a score that cannot be read: 1000"),
    "twice": (GOOD, ":2: chain id 'a' comes twice"),
    "another kind": ('{"id": "b", "score": 0.5}', ":2: mixes PRM and ORM scores"),
    "no kind": ('{"id": "b", "scores": [0.5], "kind": "rm"}', ":2: a kind of scores that is neither prm nor orm: 'rm'"),
    "a kind that is a list": ('{"id": "b", "scores": [0.5], "kind": []}', ":2: a kind of scores that is neither"),
}


@pytest.mark.parametrize(("line", "message"), WRONG_SCORES.values(), ids=WRONG_SCORES)
def test_a_wrong_line_of_scores_is_named(tmp_path, line, message):
    path = tmp_path / "scores.jsonl"
    path.write_bytes(
        GOOD.encode()
        + b"\n"
        + (line if isinstance(line, bytes) else line.encode())
        + b"\n"
        + b'{"id": "z", "scores": [1]}'
    )
    refused(lambda path: read_scores(path).rows, path, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no score"),
        ("\n \n", "holds no score"),
        ('{"id": "a", "scores": [1, 2], "kind": "orm"}', ":1: an ORM gives"),
    ],
)
def test_a_file_without_use(tmp_path, text, message):
    refused(lambda path: read_scores(path).rows, write(tmp_path / "scores.jsonl", text), message)


def test_two_scores_of_an_orm_are_a_fault_of_their_chain_alone(tmp_path):
    lines = '{"id": "a", "scores": [1, 2], "kind": "orm"}', '{"id": "b", "scores": [1], "kind": "orm"}'
    path = write(tmp_path / "scores.jsonl", *lines)
    read = read_scores(path, Drops())
    assert list(read.rows) == ["b"]
    assert read.faults == {"a": f"{path}:1: an ORM gives exactly one score per chain: not 2"}


def test_a_file_that_is_not_there(tmp_path):
    refused(lambda path: read_scores(path).rows, tmp_path / "scores.jsonl", "there is no such file")
    refused(lambda path: read_scores(path).rows, tmp_path, "holds no file of rows")


def test_stored_scores_of_two_kinds_are_refused():
    with pytest.raises(InputError, match="mixes PRM and ORM scores"):
        table_of([StepScores("a", "p", (0.5,), "prm"), StepScores("b", "p", (0.5,), "orm")])


def test_the_aggregators_are_those_of_prm():
    assert table([[0.5]]).aggregators == tuple(AGGREGATORS)


@pytest.mark.parametrize("aggregator", AGGREGATORS)
@pytest.mark.parametrize("seed", range(3))
def test_aggregated_is_aggregate_of_each(aggregator, seed):
    chains = ragged(seed)
    expected = [aggregate(scores, aggregator) for scores in chains]
    assert table(chains).aggregated(aggregator).tolist() == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_aggregated_at_its_ends(aggregator):
    """Empty chains first, last and side by side; only empty ones."""
    chains = [[], [], [0.5], [], [0.25, 0.0], [], []]
    assert table(chains).aggregated(aggregator).tolist() == [aggregate(scores, aggregator) for scores in chains]
    assert table([[], []]).aggregated(aggregator).tolist() == [aggregate([], aggregator)] * 2


def test_the_single_score_of_an_orm_needs_no_aggregator():
    read = table([[2.5], [-1.0]], kind="orm")
    assert read.aggregated("").tolist() == [2.5, -1.0]


def test_lowest_is_last():
    """By hand: lower; equal; higher; one step; none. And on random chains."""
    found = table([[0.5, 0.25], [0.5, 0.5], [0.25, 0.5], [0.5], []]).lowest_is_last()
    assert found == pytest.approx([1, 0, 0, np.nan, np.nan], nan_ok=True)
    chains = ragged(5)
    expected = [float(c[-1] < min(c[:-1])) if len(c) > 1 else np.nan for c in chains]
    assert table(chains).lowest_is_last() == pytest.approx(expected, nan_ok=True)
    assert np.isnan(table([[]]).lowest_is_last()).all()


PROBLEMS = {"p": Problem("p", "?", "4"), "q": Problem("q", "?")}
POOL = Pool("p", "all", ("p/0", "p/1", "p/2", "p/3"), (None, False, True, False), (None, 0, 1, 0), (14, 15, 15, 17))


def pool_of(texts, problem_id="p", **held):
    chains = {
        f"{problem_id}/{i}": Chain(f"{problem_id}/{i}", problem_id, (t,) if t else ()) for i, t in enumerate(texts)
    }
    drops = Drops()
    return list(make_pools([Candidates(problem_id, "all", tuple(chains), **held)], PROBLEMS, chains, drops)), drops


def test_pools_are_checked_and_grouped():
    """No answer, a wrong one, the right one, and the wrong one in other words."""
    (found,), drops = pool_of(["I do not know.", "The answer is 5", "The answer is 4", "The answer is 5.0"])
    assert found == POOL
    assert len(drops) == 0


def test_an_empty_solution_has_no_answer():
    (found,), _ = pool_of(["", "The answer is 4"])
    assert (found.groups, found.lengths, found.is_right[1]) == ((None, 0), (0, 15), True)
    assert found.is_right[0] is not True


def test_verdicts_and_answers_of_a_file_are_taken_as_they_are():
    (found,), _ = pool_of(
        ["a", "b", "c", "d"], "q", is_right=(True, False, None, True), answers=("1/2", "3", None, "0.5")
    )
    assert (found.is_right, found.groups) == ((True, False, None, True), (0, 1, None, 0))


def test_a_problem_without_gold_is_dropped_where_there_is_something_to_check():
    found, drops = pool_of(["The answer is 4"], "q")
    assert (found, [(d.id, d.reason) for d in drops]) == ([], [("q", "no gold answer")])


def test_the_first_solutions_of_each_problem():
    drops, small = Drops(), Pool("q", "all", ("q/0",), (True,), (0,), (3,))
    (found,) = of_size([POOL, small, Pool("r", "all", (), (), (), ())], 2, drops)
    assert (found.chain_ids, found.is_right, found.groups, found.lengths) == (
        ("p/0", "p/1"), (None, False), (None, 0), (14, 15),
    )  # fmt: skip
    assert [(d.id, d.reason, d.detail) for d in drops] == [
        ("q", "fewer than 2 solutions", "1"),
        ("r", "fewer than 2 solutions", "0"),
    ]
    assert of_size([POOL, small], None, drops) == [POOL, small]
    assert len(drops) == 2


@pytest.mark.parametrize("n", [None, 2])
def test_no_pool_is_left(n):
    with pytest.raises(InputError, match="no problem has " + ("as many solutions as n=2" if n else "a solution")):
        of_size([Pool("r", "all", (), (), (), ())], n, Drops())


def test_pools_are_read_as_they_were_written(tmp_path):
    other = Pool("é", "level 1", (), (), (), ())
    path = write(tmp_path / "pools.jsonl", pool_to_json(POOL), pool_to_json(other))
    assert list(read_pools(path)) == [POOL, other]


WRONG_POOLS = {
    "schema": ({"schema": "pool/2"}, "is not a pool/1 row"),
    "a field more": ({"x": 1}, "must have the fields 'problem_id', 'split'"),
    "no problem": ({"problem_id": None}, "Expected `str`, got `null` - at `$.problem_id`"),
    "an empty problem": ({"problem_id": ""}, "problem_id must not be empty"),
    "a text for ids": ({"chain_ids": "abcd"}, "Expected `array`, got `str` - at `$.chain_ids`"),
    "an id that is a number": ({"chain_ids": ["a", "b", "c", 1]}, "Expected `str`, got `int` - at `$.chain_ids[3]`"),
    "an id twice": ({"chain_ids": ["a", "b", "c", "a"]}, "a chain id comes twice"),
    "a verdict as text": ({"is_right": [True, False, None, "true"]}, "Expected `bool | null`, got `str`"),
    "a verdict as number": ({"is_right": [1, 0, 0, 1]}, "Expected `bool | null`, got `int`"),
    "too few verdicts": ({"is_right": [True]}, "chain_ids, is_right, groups and lengths must have one entry per chain"),
    "a group as truth": ({"groups": [True, 0, 0, 0]}, "Expected `int | null`, got `bool`"),
    "a group below 0": ({"groups": [-1, 0, 0, 0]}, "groups and lengths must not be negative"),
    "a group beyond all": ({"groups": [0, 10**12, 0, 0]}, "groups must be below the number of chains"),
    "no lengths": ({"lengths": None}, "Expected `array`, got `null` - at `$.lengths`"),
    "a length below 0": ({"lengths": [1, 2, 3, -4]}, "groups and lengths must not be negative"),
}


@pytest.mark.parametrize(("change", "message"), WRONG_POOLS.values(), ids=WRONG_POOLS)
def test_a_wrong_line_of_pools_is_named(tmp_path, change, message):
    row = json.loads(pool_to_json(POOL)) | change
    good = pool_to_json(Pool("q", "all", ("q/0",), (True,), (0,), (3,)))
    refused(read_pools, write(tmp_path / "pools.jsonl", good, json.dumps(row)), f":2: {re.escape(message)}")


def test_pools_lack_nothing_and_come_once(tmp_path):
    row = json.loads(pool_to_json(POOL))
    del row["split"]
    refused(read_pools, write(tmp_path / "pools.jsonl", json.dumps(row)), ":1: must have the fields")
    refused(read_pools, write(tmp_path / "pools.jsonl", *[pool_to_json(POOL)] * 2), ":2: chain id 'p/0' comes twice")
    refused(read_pools, write(tmp_path / "pools.jsonl", "{"), ":1: cannot be read: not a JSON")
    refused(read_pools, tmp_path / "no.jsonl", "there is no such file")


def test_pools_of_one_problem_from_several_files(tmp_path):
    """As `prm eval search-and-learn FOLDER` writes them, where two files hold solutions of one problem."""
    other = replace(POOL, chain_ids=tuple(f"other/{i}" for i in POOL.chain_ids))
    assert list(read_pools(write(tmp_path / "pools.jsonl", *map(pool_to_json, (POOL, other))))) == [POOL, other]


RESULT = Result(
    suite="x",
    protocol="localization",
    settings={"threshold": {"A": 0.5}},
    data={"rows": 1},
    versions={},
    scorers=("A",),
    headline=(Metric("A", "f1", "all", "fixed 0.5", None),),
    metrics=(Metric("A", "f1", "all", "fixed 0.5", 0.5, 0.25, 0.75, 3),),
    differences=(Difference("A", "B", "f1", "all", "", 0.25, -0.25, 0.5),),
    curves=(Curve("best-of-k", "A min", "A", "min", (Point(1.0, 0.5), Point(2.0, 0.5, 0.25, 0.75))),),
    pictures=(Picture("lengths", "A", "min", (Bin(0.0, 0.5, 1.0),), ((3.0, 0.5, True),)),),
)


def test_results_are_read_as_they_were_written(tmp_path):
    assert read_result(write(tmp_path / "result.json", json.dumps(result_to_json(RESULT)))) == RESULT


def wrong_results():
    row = result_to_json(RESULT)
    return {
        "empty": ("", "is not JSON"),
        "half": (json.dumps(row)[:-9], "is not JSON"),
        "nested": ("[" * 100_000, "is not JSON"),
        "a list": ("[]", "is not an eval/1 file"),
        "schema": (json.dumps(row | {"schema": "best-of-n/1"}), "is not an eval/1 file"),
        "a field more": (json.dumps(row | {"more": 1}), "is not a valid eval/1 file"),
        "a field less": (json.dumps({k: v for k, v in row.items() if k != "metrics"}), "is not a valid eval/1 file"),
        "no settings": (json.dumps({k: v for k, v in row.items() if k != "settings"}), "is not a valid eval/1 file"),
        "no list": (json.dumps(row | {"metrics": 5}), "is not a valid eval/1 file"),
        "no metric": (json.dumps(row | {"metrics": ["f1"]}), "is not a valid eval/1 file"),
        "half a metric": (json.dumps(row | {"metrics": [{"name": "f1"}]}), "is not a valid eval/1 file"),
        "no curve": (json.dumps(row | {"curves": [None]}), "is not a valid eval/1 file"),
        "no points": (json.dumps(row | {"pictures": [{"kind": "lengths"}]}), "is not a valid eval/1 file"),
    }


@pytest.mark.parametrize(("text", "message"), wrong_results().values(), ids=wrong_results())
def test_what_is_no_result_is_refused(tmp_path, text, message):
    refused(read_result, write(tmp_path / "result.json", text), message)


def test_a_result_that_is_not_there(tmp_path):
    refused(read_result, tmp_path / "result.json", "cannot be read")


SHOWN = ShownChain("p", "What?", None, "p/0", "all", ("a\n", "b"), (True, None), False, {"A": (0.5, 0.25)}, ("A min",))


def test_shown_chains_are_read_as_they_were_written(tmp_path):
    path = shown_path(tmp_path / "result.json")
    assert read_shown(path) == []
    other = ShownChain("q", "What?", "4", "q/0", "all", (), None, None, {"A": ()})
    assert read_shown(write(path, shown_to_json(SHOWN), shown_to_json(other))) == [SHOWN, other]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "shown-chain/2"}, "is not a shown-chain/1 row"),
        ({"steps": 1}, "not iterable"),
        ({"scores": [0.5]}, "has no attribute"),
        ({"scores": {"A": ["x"]}}, "could not convert"),
    ],
)
def test_a_wrong_line_of_shown_chains_is_named(tmp_path, change, message):
    row = json.dumps(json.loads(shown_to_json(SHOWN)) | change)
    refused(read_shown, write(tmp_path / "shown.jsonl", shown_to_json(SHOWN), row), f":2: .*{message}")


def test_a_shown_chain_that_lacks_a_field(tmp_path):
    refused(
        read_shown, write(tmp_path / "shown.jsonl", '{"schema": "shown-chain/1"}'), ":1: the field 'scores' is missing"
    )
    refused(read_shown, write(tmp_path / "shown.jsonl", "{"), ":1: cannot be read: not a JSON")


def test_an_aggregator_that_fails_is_named(monkeypatch):
    monkeypatch.setitem(AGGREGATORS, "own", Aggregator(lambda scores: 1 / 0, help="broken"))
    with pytest.raises(InputError, match="aggregator 'own' "):
        table([[0.5]]).aggregated("own")


PAIRS = [Comparison("rows/7", "a", "x", ("rows/7/0",), ("rows/7/1",)), Comparison("rows/8", "b", "x", ("c",), ("d",))]
"""Suites prefix ids with the name of their file."""
SOLUTIONS = [Candidates("p", "x", ("p/0", "p/1", "p/2")), Candidates("q", "x", ("q/0", "q/1"))]
TEXTS = {"a": "1 + 1?", "b": "2 + 2?", "p": "1 + 1?", "q": "2 + 2?"}
P, Q = [[0.5], [0.25, 1], [1]], [[0.75], [0.125]]
FOREIGN = {
    "scores by id": ({"p/0": [0.5], "p/1": [0.25, 1], "q/1": []}, "prm", {"p/0": [0.5], "p/1": [0.25, 1], "q/1": []}),
    "one score by id": ({"p/0": 3, "p/1": -1.5}, "orm", {"p/0": [3], "p/1": [-1.5]}),
    "a list": ([{"id": "p/0", "scores": [0.5]}], "prm", {"p/0": [0.5]}),
    "lists of one": ([{"id": "p/0", "score": [[2]]}, {"id": "p/1", "score": [[3]]}], "orm", {"p/0": [2], "p/1": [3]}),
    "steps in a list of one": ([{"id": "p/0", "scores": [[0.5, 0.25]]}], "prm", {"p/0": [0.5, 0.25]}),
    "steps as lists of one": ([{"id": "c", "step_scores": [[0.5], [0.25]]}], "prm", {"c": [0.5, 0.25]}),
    "numbers as text": ([{"id": "p/0", "scores": ["0.5", " 1 "]}], "prm", {"p/0": [0.5, 1]}),
    "a list as text": ([{"id": "p/0", "scores": "[0.5, 1]"}], "prm", {"p/0": [0.5, 1]}),
    "rewards": ([{"id": "p/0", "rewards": [0.5, 1]}], "prm", {"p/0": [0.5, 1]}),
    "an id without its file": ([{"id": "7/1", "score": 2}], "orm", {"rows/7/1": [2]}),
    "a pair": ([{"id": 7, "score_chosen": 2, "score_rejected": 1}], "orm", {"rows/7/0": [2], "rows/7/1": [1]}),
    "RewardBench": (
        {"model": "RM", "subset": ["x", "y"], "id": [7, 8], "scores_chosen": [2, [4]], "scores_rejected": [1, [3]]},
        "orm",
        {"rows/7/0": [2], "rows/7/1": [1], "c": [4], "d": [3]},
    ),
    "RewardBench 2": (
        {"model": "RM", "id": ["7", "8"], "num_correct": [1, 1], "scores": [[2, 1], [[4], [3]]]},
        "orm",
        {"rows/7/0": [2], "rows/7/1": [1], "c": [4], "d": [3]},
    ),
    "RewardMATH": (
        [{"problem": "1 + 1?", "solution_reference": ["x"], "score": P}, {"problem": "2 + 2?", "score": Q}],
        "prm",
        {"p/0": [0.5], "p/1": [0.25, 1], "p/2": [1], "q/0": [0.75], "q/1": [0.125]},
    ),
    "math-rm of RLHFlow": (
        [{"prompt": "2 + 2?", "answers": ["x", "y"], "label": [1, 0], "step_scores": Q}],
        "prm",
        {"q/0": [0.75], "q/1": [0.125]},
    ),
    "records of openr": (
        [{"question": "1 + 1?", "output": [{"path_idx": i, "text": "x", "value": v} for i, v in enumerate(P)]}],
        "prm",
        {"p/0": [0.5], "p/1": [0.25, 1], "p/2": [1]},
    ),
}


@pytest.mark.parametrize(("rows", "kind", "scores"), FOREIGN.values(), ids=FOREIGN)
def test_scores_as_other_tools_write_them(tmp_path, rows, kind, scores):
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(rows))
    truths = PAIRS if any(i in scores for i in ("c", "rows/7/1")) else SOLUTIONS
    read = read_scores(path, Drops(), Links(truths, TEXTS))
    assert (read.kind, {chain_id: read[chain_id].tolist() for chain_id in read.rows}) == (kind, scores)


def test_a_score_that_cannot_be_read_is_named_and_costs_its_row_alone(tmp_path):
    path = write(
        tmp_path / "scores.jsonl",
        GOOD,
        '{"id": "b", "scores": [0.5, NaN]}',
        '{"id": "c", "scores": [null]}',
        "{",
        '{"id": "d"}',
        '{"scores": [1]}',
    )
    drops = Drops()
    read = read_scores(path, drops)
    assert list(read.rows) == ["a"]
    assert dict(read.faults) == {
        "b": f"{path}:2: a score that cannot be read: nan",
        "c": f"{path}:3: a score that cannot be read: null",
    }
    assert [(drop.id, drop.reason) for drop in drops] == [
        ("scores:4", "not a JSON object"),
        ("scores:5", "no scores in it"),
        ("scores:6", "a row of scores without a chain"),
    ]
    refused(read_scores, write(tmp_path / "none.jsonl", '{"id": "b", "scores": [NaN]}'), "cannot be read: nan")
    none = write(tmp_path / "none.jsonl", '{"id": "b", "scores": [NaN]}')
    refused(lambda path: read_scores(path, Drops()).rows, none, "holds no scores: .*none.jsonl:1: a score that cannot")


def test_rows_of_several_chains_need_the_suite(tmp_path):
    path = write(tmp_path / "scores.jsonl", json.dumps({"prompt": "9 + 9?", "step_scores": Q}))
    with pytest.raises(InputError, match="scores of 2 chains, and 0 chains of its problem in the suite"):
        read_scores(path)
    path = write(tmp_path / "scores.jsonl", json.dumps({"id": "p", "step_scores": Q}))
    assert list(read_scores(path).rows) == ["p/0", "p/1"]
    with pytest.raises(InputError, match="scores of 2 chains, and 3 chains"):
        read_scores(path, None, Links(SOLUTIONS, TEXTS))


def test_scores_beyond_the_usual_range_are_said_with_a_threshold_that_fits():
    how = EvalSettings({"told": 0.0})
    logits, percent = table([[-10, 10], [3, 4.5]]), table([[20, 90], [40]])
    assert strange_scores("A", table([[0, 1], [0.5]]), how) is None
    assert strange_scores("told", logits, how) is None
    assert strange_scores("RM", table([[7.0]], "orm"), how) is None
    said = strange_scores("A", logits, how)
    assert "from -10 to 10 are measured at the threshold 0.5" in said
    assert said.endswith("--threshold A=0")
    assert strange_scores("A", percent, how).endswith("--threshold A=40")
    few = strange_scores("A", table([*[[0.5]] * 150, [1.5, 0.5]]), how)
    assert few == "A: 1 of 152 scores are outside [0, 1], such as those of c150"
