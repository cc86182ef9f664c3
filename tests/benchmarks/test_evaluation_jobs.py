"""`prm.evaluate`, `prm.write_suite` and `prm.read_benchmark`: what the commands do, called from Python."""

import json

import pytest
from datasets import Dataset

import prm
from prm.data.drops import Drops
from prm.data.files import write_records
from prm.data.jobs import drops_path
from prm.data.records import Chain, Problem, StepScores
from prm.errors import InputError, OutputError

PROBLEMS = [Problem(p, "2 + 2?", "4") for p in "pq"]
ANSWERS = {"p": (4, 5, 5, 4), "q": (4, 6, 4, None)}
CHAINS = [
    Chain(f"{p}/{i}", p, ("I think.\n", "I give up." if a is None else f"The answer is {a}"))
    for p, own in ANSWERS.items()
    for i, a in enumerate(own)
]
SCORES = [StepScores(c.id, c.problem_id, (0.9, 0.1 * i), "prm") for i, c in enumerate(CHAINS, start=1)]
ROWS = [
    {"id": "gsm8k-0", "problem": "2 + 2?", "steps": ["2 + 2 = 4.", "So 5."], "label": 1, "final_answer_correct": False},
    {"id": "gsm8k-1", "problem": "1 + 1?", "steps": ["It is 2."], "label": -1, "final_answer_correct": True},
    {"id": "gsm8k-2", "problem": "1 + 2?", "steps": ["It is 3."], "label": 7, "final_answer_correct": True},
]
OWN = {"problems": PROBLEMS, "chains": CHAINS}
FEW = {"draws": 100}


def value(evaluation, *key):
    return {(m.scorer, m.name, m.split, m.variant): m.value for m in evaluation.result.metrics}[key]


def test_records_files_and_datasets_give_the_result_of_the_command(prm_command, tmp_path):
    files = {name: tmp_path / f"{name}.jsonl" for name in ("problems", "chains", "scores")}
    for name, rows in (("problems", PROBLEMS), ("chains", CHAINS), ("scores", SCORES)):
        write_records(files[name], rows)
    options = [f"--{name}={files[name]}" for name in ("problems", "chains")]
    code, _, said = prm_command(
        "eval", "best-of-n", *options, f"--scores=A={files['scores']}", "--draws", 100, "--out", "one.json"
    )
    assert code == 0, said
    made = json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))
    tables = {name: Dataset.from_json(str(path), cache_dir=str(tmp_path / "cache")) for name, path in files.items()}
    for given in (
        {**OWN, "scores": {"A": SCORES}},
        {"problems": files["problems"], "chains": str(files["chains"]), "scores": {"A": files["scores"]}},
        {"problems": tables["problems"], "chains": tables["chains"], "scores": {"A": tables["scores"]}},
    ):
        found = prm.evaluate("best-of-n", **given, **FEW)
        assert json.loads(found.path.read_text(encoding="utf-8")) == made
    again = prm.evaluate(
        "best-of-n",
        problems=files["problems"],
        chains=files["chains"],
        scores={"A": files["scores"]},
        out="one.json",
        **FEW,
    )
    assert again.result == found.result, "it is taken up, for its manifest is the command's"


@pytest.fixture
def prm_command(request):
    return request.getfixturevalue("prm")


def test_a_result_is_a_table_with_a_row_per_metric():
    pytest.importorskip("pandas")
    found = prm.evaluate("best-of-n", **OWN, scores={"A": SCORES}, **FEW)
    table = found.to_pandas()
    assert list(table.columns) == ["scorer", "metric", "split", "variant", "value", "low", "high", "n"]
    assert len(table) == len(found.result.metrics)
    (row,) = table[(table.metric == "best-of-4") & (table.variant == "oracle")].itertuples()
    assert (row.scorer, row.split, row.value, row.n) == ("", "all", 1.0, 2)


def test_a_temporary_result_lives_as_long_as_its_object():
    found = prm.evaluate("best-of-n", **OWN, scores={"A": SCORES}, **FEW)
    path = found.path
    assert found.counts == {"rows": 2, "problems": 2, "chains": 8}
    assert [c.chain_id for c in found.shown] == [c.id for c in CHAINS]
    assert found.drops == []
    del found
    assert not path.exists()


def test_a_result_that_exists_is_taken_where_everything_is_the_same(tmp_path):
    given = {**OWN, "out": tmp_path / "one.json", **FEW}
    made = prm.evaluate("best-of-n", **given, scores={"A/B": SCORES, "A%2FB": SCORES[::-1]})
    time = made.path.stat().st_mtime_ns
    assert prm.evaluate("best-of-n", **given, scores={"A/B": SCORES, "A%2FB": SCORES[::-1]}).result == made.result
    assert made.path.stat().st_mtime_ns == time
    with pytest.raises(OutputError, match="made with other settings"):
        prm.evaluate("best-of-n", **given | {"draws": 101}, scores={"A/B": SCORES, "A%2FB": SCORES[::-1]})
    with pytest.raises(OutputError, match="made with other inputs"):
        prm.evaluate("best-of-n", **given, scores={"A/B": SCORES, "A%2FB": SCORES})


def settings_of(evaluation):
    return json.loads(evaluation.path.with_name(evaluation.path.name + ".manifest.json").read_text())["settings"]


def test_a_result_with_another_aggregator_is_another_result(tmp_path, monkeypatch):
    given = {**OWN, "out": tmp_path / "one.json", **FEW, "scores": {"A": SCORES}}
    assert list(settings_of(prm.evaluate("best-of-n", **given))) == [
        "suite", "data", "thresholds", "threshold_split", "n", "draws", "seed", "show", "stored", "models", "splitter",
    ]  # fmt: skip
    monkeypatch.setitem(prm.AGGREGATORS, "first", prm.Aggregator(lambda scores: scores[0], help="first score"))
    with pytest.raises(OutputError, match="made with other settings"):
        prm.evaluate("best-of-n", **given)
    made = prm.evaluate("best-of-n", **given, overwrite=True)
    assert list(settings_of(made)["own_aggregators"]) == ["first"]
    assert value(made, "A", "best-of-4", "all", "first") is not None
    assert prm.evaluate("best-of-n", **given).result == made.result
    monkeypatch.setitem(prm.AGGREGATORS, "first", prm.Aggregator(lambda scores: scores[1], help="first score"))
    with pytest.raises(OutputError, match="made with other settings"):
        prm.evaluate("best-of-n", **given)


class Constant(prm.Scorer):
    """Gives each step the same score."""

    kind = "prm"

    def __init__(self, score):
        self.value, self.name = score, f"constant-{score}"

    def score_each(self, problems, chains):
        return [(self.value,) * len(steps) for steps in chains]


@pytest.mark.parametrize("overwrite", [False, True])
def test_any_name_of_a_scorer_has_a_file_of_its_own(tmp_path, overwrite):
    names = ["problems", "chains", "problems.jsonl", "..", "a%2Fb", "PRM (7B)", "n" * 300, "n" * 299 + "m", "模型" * 60]
    scorers = {name: Constant(1 / (2 + i)) for i, name in enumerate(names)}
    made = prm.evaluate("best-of-n", **OWN, scorers=scorers, out=tmp_path / "one.json", overwrite=overwrite, **FEW)
    assert {metric.scorer for metric in made.result.metrics} >= set(names)
    files = sorted((tmp_path / "one.json.scoring" / "scores").glob("*.jsonl"))
    assert len(files) == len(names)
    written = {json.loads(line)["scores"][0] for file in files for line in file.read_text().splitlines()}
    assert written == {scorer.value for scorer in scorers.values()}
    kept = prm.evaluate("best-of-n", **OWN, scores={"n" * 300: SCORES, "n" * 299 + "m": SCORES}, **FEW)
    assert kept.result.metrics


def test_pools_of_an_earlier_result_are_not_checked_again(tmp_path, monkeypatch):
    made = prm.evaluate("best-of-n", **OWN, scores={"A": SCORES}, out=tmp_path / "one.json", **FEW)
    monkeypatch.setattr("prm.benchmarks.jobs.make_pools", None)
    pools = tmp_path / "one.json.pools.jsonl"
    found = prm.evaluate("best-of-n", pools=pools, scores={"A": SCORES}, **FEW)
    assert found.result.metrics == made.result.metrics


def test_a_suite_is_a_source_of_problems_and_chains(tmp_path):
    """Rows are read alike from memory, a file and a dataset; what is dropped is written down."""
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    rows = [ROWS, path, str(path), Dataset.from_list(ROWS)]
    suites = [prm.write_suite("processbench", source) for source in rows]
    assert [list(suite.chains) for suite in suites] == [list(suites[0].chains)] * 4
    suite = suites[0]
    assert [p.id for p in suite.problems] == ["gsm8k-0", "gsm8k-1"]
    assert suite.counts == {"problems": 2, "chains": 2, "dropped (a wrong step that is not there)": 1}
    assert [d.id for d in suite.drops] == ["data:3"]
    scores = [{"id": chain.id, "scores": [0.9, 0.1][: len(chain.steps)]} for chain in suite.chains]
    found = prm.evaluate("processbench", ROWS, scores={"A": scores}, thresholds={"A": 0}, **FEW)
    assert value(found, "A", "f1", "all", "fixed 0") == 0.0
    assert value(found, "A", "f1", "all", "oracle") == 1.0
    assert drops_path(found.path).exists()


def test_a_suite_in_a_directory_is_taken_up(tmp_path):
    made = prm.write_suite("processbench", ROWS, tmp_path / "suite")
    assert prm.write_suite("processbench", ROWS, tmp_path / "suite").counts == made.counts
    assert (tmp_path / "suite" / "chains.jsonl").exists()
    with pytest.raises(OutputError, match="made with other inputs"):
        prm.write_suite("processbench", ROWS[:2], tmp_path / "suite")


def test_stored_scores_are_measured():
    row = {"id": "a", "problem": "?", "completions": ["1", "2"], "answer": "1", "scores": [[0.9], [0.2]]}
    found = prm.evaluate("search-and-learn", [row], stored=True, **FEW)
    assert value(found, "data", "best-of-2", "all", "min") == 1.0


def test_reading_alone_gives_what_is_known_of_the_chains():
    drops = Drops()
    data = prm.read_benchmark("processbench", ROWS, drops=drops)
    assert [truth.steps for truth in data.truths] == [(True, False), (True,)]
    assert drops.by_reason() == {"a wrong step that is not there": 1}
    own = prm.read_benchmark("best-of-n", **OWN)
    assert [truth.chain_ids[0] for truth in own.truths] == ["p/0", "q/0"]


@pytest.mark.parametrize(
    ("call", "given", "message"),
    [
        ("evaluate", {"suite": "no"}, "unknown suite 'no'"),
        ("evaluate", {"suite": "processbench"}, "the rows of processbench are missing"),
        ("evaluate", {"suite": "world"}, "the suite world needs problems and chains"),
        ("evaluate", {"suite": "processbench", "chains": CHAINS}, "processbench does not read chains"),
        ("evaluate", {"suite": "best-of-n", "data": "rows.json"}, "best-of-n does not read data rows.json"),
        ("evaluate", {"suite": "best-of-n", **OWN}, "there is no scorer to measure"),
        ("evaluate", {"suite": "best-of-n", **OWN, "stored": True}, "the rows of best-of-n hold no scores"),
        ("evaluate", {"suite": "best-of-n", **OWN, "scores": {"A": 5}}, "scores A: a int is not a source of rows"),
        ("evaluate", {"suite": "best-of-n", "scores": {"A": "a"}, "scorers": {"A": "m"}}, "'A' is both in scores"),
        ("evaluate", {"suite": "best-of-n", **OWN, "scores": {"": SCORES}}, "'' is not a name"),
        ("evaluate", {"suite": "best-of-n", **OWN, "scores": [SCORES]}, "scores is a list, without names"),
        ("evaluate", {"suite": "best-of-n", **OWN, "scores": "s.jsonl"}, "scores is a str, without names"),
        ("evaluate", {"suite": "best-of-n", **OWN, "scorers": "runs/prm"}, "scorers is a str, without names"),
        ("evaluate", {"suite": "best-of-n", **OWN, "scorers": {5: "m"}}, "5 is not a name"),
        ("evaluate", {"suite": "best-of-n", **OWN, "scorers": {"A": 5}}, "'A' is a int, not a scorer"),
        ("evaluate", {"suite": "best-of-n", **OWN, "thresholds": 0.5}, "thresholds is a float, without names"),
        ("evaluate", {"suite": "best-of-n", **OWN, "n": 0}, "n=0"),
        ("evaluate", {"suite": "best-of-n", **OWN, "show": -1}, "show=-1 is not a whole number"),
        ("evaluate", {"suite": "best-of-n", **OWN, "thresholds": {"A": float("inf")}}, "'A'\\]=inf is not a number"),
        ("write_suite", {"suite": "world"}, "world is a suite of your own files"),
        ("write_suite", {"suite": "pairs"}, "the rows of pairs are missing"),
        ("read_benchmark", {"suite": "pairs", "problems": PROBLEMS}, "pairs does not read problems"),
    ],
)
def test_what_cannot_be_done_is_refused(call, given, message):
    with pytest.raises(InputError, match=message) as caught:
        getattr(prm, call)(**given)
    assert "--" not in f"{caught.value} {caught.value.hint}", "a library names parameters"


def test_own_chains_are_linked_by_text_and_a_bad_one_is_dropped(tmp_path):
    problems, chains = [{"question": "2 + 2?", "answer": "4"}], tmp_path / "chains.jsonl"
    rows = [{"question": "2 + 2?", "solution": f"The answer is {n}"} for n in (4, 5)]
    bad = ['{"question": "2 + 2?", "steps": ["a", " "]}', '{"question": "2 + 2?", "solution": "\\ud800"}']
    chains.write_text("\n".join([*map(json.dumps, rows), *bad]))
    scores = [{"id": f"problems-1/{i}", "scores": [0.5 + i]} for i in range(2)]
    found = prm.evaluate("best-of-n", problems=problems, chains=chains, scores={"A": scores}, **FEW)
    assert found.counts["chains"] == 2
    assert {(drop.id, drop.reason) for drop in found.drops} == {
        ("chains.jsonl:3", "row that cannot be used"),
        ("chains.jsonl:4", "row that cannot be used"),
    }
    chains.write_text(json.dumps({"question": "9 + 9?", "solution": "The answer is 4"}))
    with pytest.raises(InputError, match="no chain belongs to a problem"):
        prm.evaluate("best-of-n", problems=problems, chains=chains, scores={"A": scores}, **FEW)


def test_scores_that_fit_no_threshold_and_no_chain_are_said(capsys, tmp_path):
    scores = {"gsm8k-0": [4.0, -9.0], "gsm8k-1": [None], "gsm8k-2": [1], "other": [1]}
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(scores))
    found = prm.evaluate("processbench", [*ROWS[:2], ROWS[2] | {"label": -1}], scores={"A": path}, **FEW)
    said = capsys.readouterr().err
    assert "A: scores from -9 to 4 are measured at the threshold 0.5" in said
    assert "A: 1 of 3 scored chains are not in the suite" in said
    assert [(drop.id, drop.detail) for drop in found.drops] == [
        ("gsm8k-1", f"{path}:2: a score that cannot be read: null")
    ]
