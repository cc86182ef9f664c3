"""`prm suite`, `prm score` and `prm eval`: from the rows of a suite to a result."""

import json
import re

import pytest

STEPS = ["First, 2 + 2 = 4.", "So it is 5."]
ROWS = [
    {"id": "gsm8k-0", "problem": "2 + 2?", "steps": STEPS, "final_answer_correct": False, "label": 1},
    {"id": "gsm8k-1", "problem": "1 + 1?", "steps": ["It is 2."], "final_answer_correct": True, "label": -1},
    {"id": "gsm8k-2", "problem": "1 + 2?", "steps": ["It is 3.", "Yes."], "final_answer_correct": True, "label": 0},
    {"id": "gsm8k-3", "problem": "1 + 3?", "steps": ["It is 4."], "final_answer_correct": True, "label": 7},
]


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def bench(tmp_path):
    """Two splits; the last row of each points at a step that is not there."""
    (tmp_path / "bench").mkdir()
    for split in ("gsm8k", "math"):
        rows = [
            row | {"id": row["id"].replace("gsm8k", split), "problem": f"{split}: {row['problem']}"} for row in ROWS
        ]
        (tmp_path / "bench" / f"{split}.json").write_text(json.dumps(rows), encoding="utf-8")
    return tmp_path / "bench"


@pytest.fixture
def scored(prm, bench, tmp_path):
    """The suite's chains, scored by hand: every first error is found at 0.5, and nothing else is called wrong."""
    assert prm("suite", "processbench", bench, "--out", tmp_path / "suite")[0] == 0
    values = {2: [0.9, 0.1], 1: [0.8]}
    chains = lines(tmp_path / "suite" / "chains.jsonl")
    rows = [{"id": c["id"], "scores": values[len(c["steps"])]} for c in chains]
    for row in rows:
        if row["id"].endswith("-2"):  # wrong from its first step on
            row["scores"] = [0.2, 0.9]
    return write(tmp_path / "scores.jsonl", rows)


def metrics(path):
    result = json.loads(path.read_text())
    return {(m["scorer"], m["name"], m["split"], m["variant"]): m for m in result["metrics"]}


def test_a_suite_is_written_for_scoring_and_says_what_was_dropped(prm, bench, tmp_path):
    code, _, said = prm("suite", "processbench", bench, "--out", tmp_path / "suite")
    assert code == 0
    assert "6 problems, 6 chains, 2 dropped" in said
    assert len(lines(tmp_path / "suite" / "problems.jsonl")) == 6
    assert {row["id"] for row in lines(tmp_path / "suite.dropped.jsonl")} == {"gsm8k:4", "math:4"}


def test_the_suites_are_listed(prm):
    code, said, _ = prm("suite")
    assert code == 0
    assert "processbench" in said
    assert "rm-bench" in said
    assert "best-of-n" in said


def test_from_rows_and_scores_to_a_result(prm, bench, scored, tmp_path):
    out = tmp_path / "result.json"
    code, table, said = prm("eval", "processbench", bench, "--scores", f"X={scored}", "--out", out)
    assert code == 0
    assert "6 rows" in said
    assert "100.0" in table
    result, found = json.loads(out.read_text()), metrics(out)
    assert result["data"]["dropped"] == {"a wrong step that is not there": 2}
    assert result["data"]["splits"] == {"gsm8k": 3, "math": 3}
    assert found["X", "f1", "macro", "fixed 0.5"]["value"] == 1.0
    assert found["X", "f1", "weighted", "chosen on gsm8k"]["value"] == 1.0
    assert found["X", "right_answer_first_error", "all", "fixed 0.5"]["value"] == 1.0
    assert found["X", "right_answer_first_error", "all", "fixed 0.5"]["n"] == 2
    shown = lines(tmp_path / "result.json.chains.jsonl")
    assert [len(row["steps"]) == len(row["scores"]["X"]) for row in shown] == [True] * 6


def test_a_threshold_is_of_its_scorer_alone(prm, bench, scored, tmp_path):
    out, two = tmp_path / "result.json", ("--scores", f"X={scored}", "--scores", f"Y={scored}")
    prm("eval", "processbench", bench, *two, "--threshold", "X=0.95", "--out", out)
    found = metrics(out)
    assert found["X", "f1", "macro", "fixed 0.95"]["value"] == 0.0  # every chain is called wrong
    assert found["Y", "f1", "macro", "fixed 0.5"]["value"] == 1.0
    differences = json.loads(out.read_text())["differences"]
    (oracle,) = (d for d in differences if (d["name"], d["split"], d["variant"]) == ("f1", "macro", "oracle"))
    assert (oracle["a"], oracle["b"], oracle["value"], oracle["low"], oracle["high"]) == ("Y", "X", 0, 0, 0)


def test_by_the_official_convention_a_step_at_the_threshold_is_wrong(prm, bench, scored, tmp_path):
    given = ["processbench", bench, "--scores", f"A={scored}", "--threshold", "A=0.8"]
    exact, official = tmp_path / "exact.json", tmp_path / "official.json"
    assert prm("eval", *given, "--out", exact)[0] == 0
    code, shown, _ = prm("eval", *given, "--convention", "official", "--out", official)
    assert code == 0
    assert "official convention" in shown
    key = ("A", "all_right_accuracy", "macro", "fixed 0.8")
    assert metrics(exact)[key]["value"] == 1  # their only step scores 0.8
    assert metrics(official)[key]["value"] == 0
    assert json.loads(official.read_text())["settings"]["official"].startswith("QwenLM/ProcessBench")


def test_a_row_without_a_score_is_left_out_for_all(prm, bench, scored, tmp_path):
    rows = lines(scored)
    few, out = write(tmp_path / "few.jsonl", rows[1:]), tmp_path / "result.json"
    code, _, said = prm("eval", "processbench", bench, "--scores", f"X={scored}", "--scores", f"Y={few}", "--out", out)
    assert code == 0
    assert "1 dropped (no score)" in said
    assert json.loads(out.read_text())["data"]["rows"] == 5
    (lost,) = (row for row in lines(tmp_path / "result.json.dropped.jsonl") if row["reason"] == "no score")
    assert (lost["id"], lost["detail"]) == (rows[0]["id"], "of Y")


def test_the_wrong_number_of_scores_is_refused(prm, bench, scored, tmp_path):
    rows = lines(scored)
    rows[0]["scores"].append(0.5)
    code, _, said = prm(
        "eval", "processbench", bench, "--scores", f"X={write(scored, rows)}", "--out", tmp_path / "result.json"
    )
    assert code == 1
    assert "has 3 scores, 2 steps" in said
    assert not (tmp_path / "result.json").exists()


def test_a_reward_model_is_refused_where_steps_are_asked_for(prm, bench, scored, tmp_path):
    rewards = write(scored, [{"id": row["id"], "score": 1.5} for row in lines(scored)])
    code, _, said = prm("eval", "processbench", bench, "--scores", f"X={rewards}", "--out", tmp_path / "result.json")
    assert code == 1
    assert "whole chains" in said


def test_scoring_and_measuring_at_once_is_what_both_are_one_after_the_other(prm, bench, base_model, tmp_path):
    data = train_tiny(prm, base_model, tmp_path)
    prm("suite", "processbench", bench, "--out", tmp_path / "suite")
    chains = [f"--problems={tmp_path}/suite/problems.jsonl", f"--chains={tmp_path}/suite/chains.jsonl"]
    assert prm("score", "--scorer", data, *chains, "--out", tmp_path / "s.jsonl")[0] == 0
    prm("eval", "processbench", bench, "--scores", f"X={tmp_path}/s.jsonl", "--out", tmp_path / "one.json")
    code, _, said = prm("eval", "processbench", bench, "--scorer", f"X={data}", "--out", tmp_path / "two.json")
    assert code == 0, said
    assert metrics(tmp_path / "one.json") == metrics(tmp_path / "two.json")


def test_another_model_is_another_result_and_overwriting_scores_anew(prm, base_model, own):
    model, out = train_tiny(prm, base_model, own / "tiny"), own / "one.json"
    line = ("eval", "best-of-n", "--problems", own / "p.jsonl", "--chains", own / "c.jsonl", "--out", out)
    assert prm(*line, "--scorer", f"X={model}")[0] == 0
    settings = json.loads((model / "prm.json").read_text())
    (model / "prm.json").write_text(json.dumps(settings, indent=7))
    code, _, said = prm(*line, "--scorer", f"X={model}")
    assert code == 1
    assert "made with other inputs" in said
    code, _, said = prm(*line, "--scorer", f"X={model}", "--overwrite")
    assert (code, "8 scored chains" in said) == (0, True), said
    code, _, said = prm(*line, "--scorer", f"X={model}", "--overwrite", "--draws", 100)
    assert (code, "scores already there" in said) == (0, True), said


def train_tiny(prm, base_model, tmp_path):
    """A PRM that has seen one chain."""
    tmp_path.mkdir(exist_ok=True)
    write(tmp_path / "p.jsonl", [{"id": "p", "text": "?", "answer": "4"}])
    write(tmp_path / "c.jsonl", [{"schema": "chain/1", "id": "c", "problem_id": "p", "steps": ["The answer is 4"]}])
    label = {"schema": "step-labels/1", "chain_id": "c", "problem_id": "p", "right": [0], "wrong": [0],
             "undecided": [0], "known": ["answer"], "outcome": "correct"}  # fmt: skip
    write(tmp_path / "l.jsonl", [label])
    given = [f"--problems={tmp_path}/p.jsonl", f"--chains={tmp_path}/c.jsonl", f"--labels={tmp_path}/l.jsonl"]
    code, _, said = prm("train", "--base", base_model, *given, "--held-out", 0, "--out", tmp_path / "model")
    assert code == 0, said
    return tmp_path / "model"


@pytest.fixture
def own(tmp_path):
    """Two problems of four solutions each, with a PRM's and an ORM's scores."""
    problems = [{"id": p, "text": "2 + 2?", "answer": "4"} for p in "pq"]
    answers = {"p": (4, 5, 5, 4), "q": (4, 6, 4, None)}
    chains = [
        {"schema": "chain/1", "id": f"{p}/{i}", "problem_id": p,
         "steps": ["I think.\n", "I give up." if a is None else f"The answer is {a}"]}
        for p, own in answers.items() for i, a in enumerate(own)
    ]  # fmt: skip
    scores = [{"id": c["id"], "scores": [0.9, 0.1 * i]} for i, c in enumerate(chains, start=1)]
    rewards = [{"id": c["id"], "score": -i} for i, c in enumerate(chains)]
    for name, rows in {"p": problems, "c": chains, "s": scores, "r": rewards}.items():
        write(tmp_path / f"{name}.jsonl", rows)
    return tmp_path


def test_best_of_n_of_own_files_and_again_from_its_pools(prm, own):
    files, scores = ("--problems", own / "p.jsonl", "--chains", own / "c.jsonl"), ("--scores", f"X={own}/s.jsonl")
    more = ("--scores", f"R={own}/r.jsonl")
    code, table, said = prm("eval", "best-of-n", *files, *scores, *more, "--out", own / "one.json")
    assert code == 0
    assert "8 chains" in said
    assert "majority" in table
    found = metrics(own / "one.json")
    assert found["", "best-of-4", "all", "pass@1"]["value"] == 0.5  # two of four in each
    assert found["X", "best-of-4", "all", "min"]["value"] == 1.0  # p/3 and, as q/3 has no answer, q/2
    assert found["R", "best-of-4", "all", ""]["value"] == 1.0  # p/0 and q/0
    assert found["", "best-of-4", "all", "majority"]["value"] == 0.75  # a tie in p
    assert json.loads((own / "one.json").read_text())["data"]["undecided"] == 1
    pools = ("--pools", own / "one.json.pools.jsonl")
    assert prm("eval", "best-of-n", *pools, *scores, *more, "--out", own / "two.json")[0] == 0
    assert metrics(own / "two.json") == found
    chosen = {c["chain_id"]: c["chosen_by"] for c in lines(own / "one.json.chains.jsonl")}
    assert "X min" in chosen["p/3"]
    assert "X min" in chosen["q/2"]
    assert "R" in chosen["p/0"]


def test_a_result_that_is_there_is_shown_again_and_not_made_again(prm, own):
    line = ("eval", "best-of-n", "--problems", own / "p.jsonl", "--chains", own / "c.jsonl", "--scores")
    _, table, _ = prm(*line, f"X={own}/s.jsonl", "--out", own / "one.json")
    made = (own / "one.json").stat().st_mtime_ns
    code, again, said = prm(*line, f"X={own}/s.jsonl", "--out", own / "one.json")
    assert (code, again) == (0, table)
    assert "already there" in said
    assert (own / "one.json").stat().st_mtime_ns == made
    write(own / "s.jsonl", lines(own / "s.jsonl")[::-1])
    code, _, said = prm(*line, f"X={own}/s.jsonl", "--out", own / "one.json")
    assert code == 1
    assert "--overwrite" in said


def test_the_arithmetic_world_has_exact_truth(prm, tmp_path):
    prm("world", "--count", 3, "--seed", 5, "--out", tmp_path / "p.jsonl")
    problems = lines(tmp_path / "p.jsonl")
    chains = [
        {"id": f"{p['id']}/{i}", "problem_id": p["id"], "steps": ["Nonsense.\n", f"The answer is {a}"]}
        for p in problems
        for i, a in enumerate((p["answer"], "0"))
    ]
    chains = [{"schema": "chain/1", **chain} for chain in chains]
    write(tmp_path / "c.jsonl", chains)
    write(tmp_path / "s.jsonl", [{"id": c["id"], "scores": [0.1, 0.9]} for c in chains])
    files = ("--problems", tmp_path / "p.jsonl", "--chains", tmp_path / "c.jsonl")
    code, _, _ = prm("eval", "world", *files, "--scores", f"X={tmp_path}/s.jsonl", "--out", tmp_path / "r.json")
    assert code == 0
    found = metrics(tmp_path / "r.json")
    assert found["X", "first_error_accuracy", "all", "fixed 0.5"]["value"] == 1.0
    assert found["X", "right_answer_first_error", "all", "fixed 0.5"]["n"] == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--scores", "={s}"], "'' is not a name"),
        (["--scores", " ={s}"], "' ' is not a name"),
        (["--scores", "a\nb={s}"], "is not a name"),
        (["--scores", "X={s}", "--scores", "X={r}"], "--scores gives one name twice"),
        (["--scorer", "org/X=model"], "'org/X' has a /"),
        (["--scores", "X={s}", "--threshold", "X=nan"], "thresholds['X']=nan is not a number"),
        (["rows.json", "--scores", "X={s}"], "best-of-n does not read data rows.json"),
        (["--scores", "majority={r}"], "would be called 'majority'"),
        (["--scores", "X={s}", "--scores", "X min={r}"], "would be called 'X min'"),
    ],
)
def test_what_would_be_misread_is_refused(prm, own, given, message):
    given = [text.format(s=own / "s.jsonl", r=own / "r.jsonl") for text in given]
    files = ("--problems", own / "p.jsonl", "--chains", own / "c.jsonl")
    code, _, said = prm("eval", "best-of-n", *given, *files, "--out", own / "one.json")
    assert code == 1
    assert message in said
    assert not (own / "one.json").exists()


@pytest.mark.parametrize("option", ["--problems", "--chains", "--pools"])
def test_files_that_a_suite_does_not_read_are_refused(prm, bench, scored, tmp_path, option):
    line = ("eval", "processbench", bench, "--scores", f"X={scored}", option, scored, "--out", tmp_path / "r.json")
    code, _, said = prm(*line)
    assert code == 1
    assert f"processbench does not read {option.removeprefix('--')}" in said


def test_pools_belong_to_the_chains(prm, own):
    files, scores = ("--problems", own / "p.jsonl", "--chains", own / "c.jsonl"), ("--scores", f"X={own}/s.jsonl")
    assert prm("eval", "best-of-n", *files, *scores, "--out", own / "one.json")[0] == 0
    pools = lines(own / "one.json.pools.jsonl")
    pools[1]["chain_ids"][0] = "strange"
    others = ("--pools", write(own / "others.jsonl", pools))
    code, _, said = prm("eval", "best-of-n", *files, *scores, *others, "--out", own / "two.json")
    assert code == 1
    assert "chain 'strange' is not one of the suite's" in said
    code, _, said = prm("eval", "best-of-n", *others, "--scorer", "X=model", "--out", own / "two.json")
    assert code == 1
    assert "no chains to score" in said


def test_a_useless_setting_is_refused_before_anything_is_checked_or_scored(prm, own):
    files = ("--problems", own / "p.jsonl", "--chains", own / "c.jsonl", "--out", own / "one.json")
    code, _, said = prm("eval", "best-of-n", *files, "--scorer", "X=no-model", "--threshold", "X=0")
    assert code == 1
    assert "calls no step wrong" in said
    assert not (own / "one.json.scoring").exists()
    assert not (own / "one.json.pools.jsonl").exists()


def test_own_files_need_no_suite(prm):
    code, _, said = prm("suite", "world", "p.jsonl", "--out", "suite")
    assert code == 1
    assert "prm eval world" in said


def test_a_narrow_terminal_folds_no_number(prm, own, monkeypatch):
    line = ("eval", "best-of-n", "--problems", own / "p.jsonl", "--chains", own / "c.jsonl", "--out", own / "one.json")
    monkeypatch.setattr("prm.console.out.width", 60)
    _, table, _ = prm(*line, "--scores", f"PRM={own}/s.jsonl")
    assert max(map(len, table.splitlines())) <= 60
    assert "(part 2)" in table
    assert table.count("PRM geometric-mean vote") == 2
    assert re.search(r"[ │]\d\d\.\d-100\.0", table)


def test_a_split_that_is_not_there_is_refused_before_anything_is_scored(prm, bench, tmp_path):
    line = ("eval", "processbench", bench, "--scorer", "X=none/at/all", "--threshold-split", "omnimath")
    code, _, said = prm(*line, "--out", tmp_path / "result.json")
    assert code == 1
    assert "there is no split 'omnimath'" in said
    assert not (tmp_path / "result.json.scoring").exists()


def test_few_chains_to_look_at_are_whole_problems(prm, own):
    """p and q have four solutions each: seven hold one of them, three none."""
    line = ("eval", "best-of-n", "--problems", own / "p.jsonl", "--chains", own / "c.jsonl", "--scores")
    for show, kept in ((7, 4), (3, 0)):
        prm(*line, f"X={own}/s.jsonl", "--show", show, "--out", own / f"{show}.json")
        assert len(lines(own / f"{show}.json.chains.jsonl")) == kept


def test_the_last_line_says_what_was_made_and_where_and_a_star_finds_results_alone(prm, own, tmp_path):
    line = ("eval", "best-of-n", "--problems", own / "p.jsonl", "--chains", own / "c.jsonl", "--scores")
    _, _, said = prm(*line, f"X={own}/s.jsonl", "--out", own / "one.json")
    assert said.splitlines()[-1].strip() == str(own / "one.json")
    code, table, _ = prm("leaderboard", *sorted(own.glob("one*.json")))
    assert code == 0
    assert "best-of-n" in table
    code, _, said = prm("report", own / "one.json", "--out", own / "report.html")
    assert code == 0, said
    assert "<title>" in (own / "report.html").read_text(encoding="utf-8")
