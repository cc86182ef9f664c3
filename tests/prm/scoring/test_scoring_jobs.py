"""`prm.score` and `prm.chain_values` from Python: any source, the output of the commands, a job that resumes."""

import json

import datasets
import pandas as pd
import pytest
from conftest import write_prm

import prm as toolkit
from prm import Chain, Problem, StepScores
from prm.models.checkpoint import Metadata, load_model
from prm.scoring import jobs
from prm.scoring import scorer as scoring
from prm.scoring.reward_model import RewardModel

ROWS = [
    {"question": "what is 2 + 2?", "answer": "2 + 2 = 4\n#### 4"},
    {"question": "what is 3 + 3?", "answer": "3 + 3 = 6\n#### 6"},
]
SOLUTIONS = [{"problem_id": f"p-{i}", "solution": f"So {i}.\nThe answer is {i}"} for i in (1, 1, 2, 2, 2)]
CHAINS = [
    Chain(f"p-{i}/{n}", f"p-{i}", (f"So {i}.\n", f"The answer is {i}"))
    for i, n in ((1, 0), (1, 1), (2, 0), (2, 1), (2, 2))
]
PAIRS = [
    {"winner": "a", "loser": "b", "weight": 3},
    {"winner": "b", "loser": "c"},
    {"winner": "c", "loser": "a", "tie": True},
]  # fmt: skip


@pytest.fixture(scope="module")
def scorer(tmp_path_factory, base_model, tokenizer):
    return write_prm(tmp_path_factory.mktemp("scorer"), base_model, tokenizer)


@pytest.fixture
def files(tmp_path):
    write(tmp_path / "p.jsonl", ROWS)
    write(tmp_path / "c.jsonl", SOLUTIONS)
    write(tmp_path / "pairs.jsonl", PAIRS)
    return tmp_path


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def manifest(path):
    row = json.loads(path.with_name(path.name + ".manifest.json").read_text())
    return row["command"], row["settings"], row["inputs"]


def test_python_and_the_command_write_the_same_and_reuse_each_other(prm, files, scorer, capsys):
    command = ["score", "--scorer", scorer, "--problems", "p.jsonl", "--chains", "c.jsonl", "--out"]
    code, _, said = prm(*command, "by-command")
    assert code == 0, said
    made = toolkit.score(scorer, "p.jsonl", "c.jsonl", "by-python")
    assert made.path.read_bytes() == (files / "by-command").read_bytes()
    assert manifest(made.path) == manifest(files / "by-command")
    assert "already there" in prm(*command, "by-python")[2]
    again = toolkit.score(scorer, "p.jsonl", "c.jsonl", "by-command")
    assert "already there" in capsys.readouterr().err
    assert list(again) == list(made)


def test_any_source_gives_the_same_scores(files, scorer):
    problems = [Problem(f"p-{i}", row["question"], row["answer"]) for i, row in enumerate(ROWS, start=1)]
    named = [row | {"id": problem.id} for row, problem in zip(ROWS, problems, strict=True)]
    expected = list(toolkit.score(scorer, files / "p.jsonl", files / "c.jsonl"))
    assert [row.chain_id for row in expected] == [chain.id for chain in CHAINS]
    assert all(len(row.scores) == 2 for row in expected)
    sources = {
        "records": (problems, CHAINS),
        "rows": (named, SOLUTIONS),
        "datasets": (datasets.Dataset.from_list(named), datasets.Dataset.from_list(SOLUTIONS)),
        "pandas": (pd.DataFrame(named), pd.DataFrame(SOLUTIONS)),
    }
    for given in sources.values():
        made = toolkit.score(scorer, *given)
        assert list(made) == expected
        assert made.counts["scored chains"] == len(made) == 5


def test_what_one_job_makes_the_next_one_takes(files, scorer):
    scores = toolkit.score(scorer, files / "p.jsonl", files / "c.jsonl")
    expected = list(toolkit.rerank_chains(files / "p.jsonl", files / "c.jsonl", scores.path))
    for given in (scores, list(scores), scores.to_dataset(), scores.to_pandas()):
        assert list(toolkit.rerank_chains(files / "p.jsonl", files / "c.jsonl", given)) == expected


def test_chains_that_cannot_be_scored_are_dropped_with_their_reason(scorer):
    chains = [CHAINS[0], Chain("lost", "q", ("a",)), Chain("empty", "p-1", ())]
    made = toolkit.score(scorer, [Problem("p-1", "?")], chains)
    assert [row.chain_id for row in made] == ["p-1/0"]
    assert {drop.id: drop.reason for drop in made.drops} == {"lost": "its problem is missing", "empty": "empty chain"}


def test_a_job_that_was_stopped_resumes_after_its_last_round(files, scorer, monkeypatch, capsys, tmp_path):
    for module in (jobs, scoring):
        monkeypatch.setattr(module, "CHAINS_A_ROUND", 2)
    whole = toolkit.score(scorer, files / "p.jsonl", files / "c.jsonl")
    score_each, rounds = RewardModel.score_each, []

    def stopped(model, problems, chains):
        rounds.append(len(chains))
        if len(rounds) == 2:
            raise KeyboardInterrupt
        return score_each(model, problems, chains)

    monkeypatch.setattr(RewardModel, "score_each", stopped)
    out = tmp_path / "s.jsonl"
    with pytest.raises(KeyboardInterrupt):
        toolkit.score(scorer, files / "p.jsonl", files / "c.jsonl", out)
    assert "the same command resumes it" in capsys.readouterr().err
    assert not out.exists()
    made = toolkit.score(scorer, files / "p.jsonl", files / "c.jsonl", out)
    assert "resuming after 2 chains" in capsys.readouterr().err
    assert rounds == [2, 2, 2, 1], "the first round is not scored again"
    assert made.path.read_bytes() == whole.path.read_bytes()


def test_what_does_not_go_together_names_the_argument(files, scorer):
    with pytest.raises(toolkit.ModelError, match=r"engine_options=.* has no effect on the backend transformers"):
        toolkit.score(scorer, files / "p.jsonl", files / "c.jsonl", engine_options={"max_model_len": 9})
    with pytest.raises(toolkit.InputError, match="unknown aggregator 'median'"):
        toolkit.rerank_chains(files / "p.jsonl", files / "c.jsonl", [StepScores("p-1/0", "p-1", (0.5,), "prm")],
                              aggregate="median")  # fmt: skip


def test_values_of_pairs_from_any_source_are_what_the_command_writes(prm, files):
    code, _, said = prm("strengths", "pairs.jsonl", "--prior", 0.5, "--out", "by-command")
    assert code == 0, said
    expected = (files / "by-command").read_text()
    sources = {
        "path": "pairs.jsonl",
        "rows": PAIRS,
        "dataset": datasets.load_dataset("json", data_files="pairs.jsonl", cache_dir=str(files / "cache"))["train"],
        "pandas": pd.DataFrame(PAIRS),
    }
    for source in sources.values():
        made = toolkit.chain_values(source, prior=0.5)
        assert made.path.read_text() == expected
        assert made.counts["chains"] == 3
    assert toolkit.chain_values("pairs.jsonl", "by-command", prior=0.5).path.read_text() == expected
    with pytest.raises(toolkit.OutputError, match="made with other settings"):
        toolkit.chain_values("pairs.jsonl", "by-command", prior=0.5, model="thurstone")
    value = {row["chain_id"]: row["value"] for row in map(json.loads, expected.splitlines())}
    assert value["a"] > value["b"] > value["c"]


def test_scores_may_be_written_by_hand():
    scores = [StepScores("p-1/0", "p-1", (0.25, 0.5), "prm"), StepScores("p-1/1", "p-1", (0.75, 0.5), "prm")]
    (choice,) = toolkit.rerank_chains([Problem("p-1", "?")], CHAINS[:2], scores)
    assert choice.index == 1


class Lengths(toolkit.Scorer):
    """A scorer of one's own: the shorter the better, and none for a chain that says "secret"."""

    kind = "orm"

    def score_each(self, problems, chains):
        return [
            toolkit.Refusal("secret") if "secret" in "".join(steps) else (-float(len("".join(steps))),)
            for steps in chains
        ]


def test_a_scorer_of_ones_own_scores_files_and_suites(tmp_path):
    problems = [{"id": "p", "question": "How many?", "answer": "7"}]
    chains = [
        {"problem_id": "p", "solution": f"{words}The answer is {n}"}
        for words, n in (("", 7), ("secret ", 8), ("well ", 9))
    ]
    scored = toolkit.score(Lengths(), problems, chains, tmp_path / "s.jsonl")
    assert [row.scores for row in scored] == [(-15.0,), (-20.0,)]
    assert [drop.reason for drop in scored.drops] == ["secret"]
    manifest = json.loads((tmp_path / "s.jsonl.manifest.json").read_text())
    assert manifest["settings"]["scorer"].endswith("test_scoring_jobs.Lengths")
    with pytest.raises(toolkit.InputError, match=r"dtype='bfloat16' has no effect"):
        toolkit.score(Lengths(), problems, chains, dtype="bfloat16")
    found = toolkit.evaluate(
        "best-of-n", problems=problems, chains=chains[::2], scorers={"short": Lengths()}, draws=100
    )
    assert "short" in found.result.scorers


def test_a_loaded_scorer_scores_as_its_name_does(base_model, tmp_path):
    from prm.models.checkpoint import load_tokenizer, save_model

    model = load_model(base_model, "prm", 0)
    save_model(model.config, model.state_dict(), "prm", tmp_path / "m")
    load_tokenizer(base_model).save_pretrained(tmp_path / "m")
    Metadata("prm").save(tmp_path / "m")
    rows = [{"id": "p", "question": "How many?"}], [{"problem_id": "p", "solution": "So 2\nThe answer is 4"}]
    by_name = toolkit.score(tmp_path / "m", *rows, tmp_path / "a.jsonl")
    loaded = toolkit.load_scorer(str(tmp_path / "m"))
    assert [row.scores for row in toolkit.score(loaded, *rows)] == [row.scores for row in by_name]
    before = (tmp_path / "a.jsonl").read_bytes()
    toolkit.score(loaded, *rows, tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == before, "the same job"


def test_every_chain_of_a_problem_keeps_its_place():
    problems = [Problem("p", "?"), Problem("q", "?")]
    chains = [Chain(i, i[0], ("So it is.\n", f"The answer is {i[2]}")) for i in ("p/0", "p/1", "p/2", "q/3", "q/4")]
    scores = [StepScores("p/1", "p", (0.5, 0.25), "prm"), StepScores("p/2", "p", (0.5,), "prm")]
    made = toolkit.rerank_chains(problems, chains, scores)
    first, second = made
    assert (first.index, first.best) == (1, chains[1].text)
    assert (first.scores, first.step_scores) == ((None, 0.25, None), ((), (0.5, 0.25), ()))
    assert first.refusals == ("it has no score", None, "scores and steps differ in number: 1 scores, 2 steps")
    assert (second.problem_id, second.index, second.scores) == ("q", 0, (None, None))
    assert [(drop.id, drop.reason, drop.detail) for drop in made.drops] == [
        ("p/0", "it has no score", ""),
        ("p/2", "scores and steps differ in number", "1 scores, 2 steps"),
        ("q/3", "it has no score", ""),
        ("q/4", "it has no score", ""),
    ]


@pytest.mark.parametrize("option", [{"aggregate": "typo"}, {"selection": "typo"}, {"splitter": "typo"}])
def test_an_unknown_option_is_refused_before_any_work(option, tmp_path):
    with pytest.raises(toolkit.InputError, match=r"unknown .* 'typo'"):
        toolkit.rerank_chains([], [], [], tmp_path / "best", **option)
    assert list(tmp_path.iterdir()) == []


BAD_ROWS = [
    '{"problem_id": "p-1", "steps": ["fine", " "]}',
    '{"problem_id": "p-1", "solution": "\\ud83d half"}',
    '{"problem_id": "p-1", "solution": 3}',
    '{"schema": "chain/1", "id": "x", "problem_id": "p-1", "steps": ["a", ""]}',
    '{"problem_id": "p-1", "sol',
]


def test_a_bad_row_is_one_drop_with_its_place_and_reason(files, scorer):
    """A blank step, half of a surrogate pair, a number, and a line that was cut: the others keep their scores."""
    good = (files / "c.jsonl").read_text()
    expected = list(toolkit.score(scorer, files / "p.jsonl", files / "c.jsonl"))
    lines = good.splitlines()
    (files / "c.jsonl").write_text("\n".join([lines[0], *BAD_ROWS, *lines[1:]]) + "\n")
    made = toolkit.score(scorer, files / "p.jsonl", files / "c.jsonl")
    assert [(row.problem_id, row.scores) for row in made] == [
        (row.problem_id, pytest.approx(row.scores, abs=1e-6)) for row in expected
    ]
    assert [drop.id for drop in made.drops] == [f"c.jsonl:{n}" for n in range(2, 7)]
    assert made.counts["dropped (row that cannot be used)"] == 5
    assert "not a list of non-blank texts" in made.drops[0].detail
    chosen = toolkit.rerank_chains(files / "p.jsonl", files / "c.jsonl", made)
    assert len(chosen) == 2
    assert chosen.counts["dropped (row that cannot be used)"] == 5


def test_a_file_of_which_no_row_can_be_used_is_an_error(files, scorer):
    (files / "c.jsonl").write_text("\n".join(BAD_ROWS))
    with pytest.raises(toolkit.InputError, match=r"c\.jsonl:1: field 'steps' is not a list of non-blank texts"):
        toolkit.score(scorer, files / "p.jsonl", files / "c.jsonl")


def test_chains_of_no_problem_are_an_error_that_says_how_they_are_linked(files, scorer):
    write(files / "other.jsonl", [{"problem_id": "gsm-7", "solution": "The answer is 4"}])
    for make in (
        lambda: toolkit.score(scorer, files / "p.jsonl", files / "other.jsonl"),
        lambda: toolkit.rerank_chains(files / "p.jsonl", files / "other.jsonl", [StepScores("a", "p", (0.5,), "prm")]),
    ):
        with pytest.raises(
            toolkit.InputError, match="the first one is of 'gsm-7', the first problem is 'p-1'"
        ) as caught:
            make()
        assert "problem_id" in caught.value.hint


def test_chains_without_ids_are_scored_with_the_problem_of_their_text_or_row(files, scorer):
    write(files / "text.jsonl", [{"question": row["question"], "solution": "So.\nIt is 4"} for row in reversed(ROWS)])
    write(files / "row.jsonl", [{"solution": "So.\nIt is 4"}] * 2)
    by_text = list(toolkit.score(scorer, files / "p.jsonl", files / "text.jsonl"))
    assert [row.problem_id for row in by_text] == ["p-2", "p-1"]
    by_row = list(toolkit.score(scorer, files / "p.jsonl", files / "row.jsonl"))
    assert [row.scores for row in by_row] == [pytest.approx(row.scores, abs=1e-6) for row in reversed(by_text)]


def test_chains_are_linked_by_the_whole_and_exact_text(files, scorer):
    write(files / "p.jsonl", [
        {"Body": "Ann has 3.", "Question": "How many?", "Answer": 3},
        {"Body": "Bob has 4.", "Question": "How many?", "Answer": 4},
        {"question": "Find f(X) for X", "answer": "1"},
        {"question": "Find F(x) for x", "answer": "2"},
        {"question": "twice?", "answer": "1"},
        {"question": "twice?", "answer": "2"},
    ])  # fmt: skip
    write(files / "c.jsonl", [
        {"Body": "Bob has 4.", "Question": "How many?", "completion": "It is 4"},
        {"Body": "Ann has 3.", "Question": "How many?", "completion": "It is 3"},
        {"question": "Find F(x) for x", "completion": "It is 2"},
        {"question": "twice?", "completion": "It is 1"},
        {"prompt": [{"role": "user", "content": "?"}], "completion": "It is 1"},
    ])  # fmt: skip
    made = toolkit.score(scorer, files / "p.jsonl", files / "c.jsonl")
    assert [row.problem_id for row in made] == ["p-2", "p-1", "p-4"]
    assert len(made.drops) == 2


def test_a_loaded_scorer_with_other_settings_is_another_job(files, base_model, tmp_path):
    one, other = ({"layout": "pieces", "marker": "\n", "answers": pair} for pair in (("a", "b"), ("b", "a")))
    scorers = [toolkit.load_scorer(base_model, dialect=toolkit.Dialect(**row)) for row in (one, other)]
    toolkit.score(scorers[0], files / "p.jsonl", files / "c.jsonl", tmp_path / "s.jsonl")
    with pytest.raises(toolkit.OutputError, match="made with other settings"):
        toolkit.score(scorers[1], files / "p.jsonl", files / "c.jsonl", tmp_path / "s.jsonl")


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ([StepScores(chain.id, chain.problem_id, (0.5,), "prm") for chain in CHAINS], r"1 scores, 2 steps"),
        ([StepScores("else/0", "p-1", (0.5, 0.5), "prm")], r"it has no score; the first score is of 'else/0'"),
    ],
    ids=["another length", "other chains"],
)
def test_scores_of_which_none_can_be_used_are_an_error(files, scores, reason):
    with pytest.raises(toolkit.InputError, match=reason):
        toolkit.rerank_chains(files / "p.jsonl", files / "c.jsonl", scores)


def test_a_dialect_file_is_part_of_the_job(files, tmp_path, base_model):
    (tmp_path / "d.toml").write_text('layout = "pieces"\nmarker = "\\n"\nanswers = ["a", "b"]\n')
    job = {"dialect": str(tmp_path / "d.toml")}
    made = toolkit.score(base_model, files / "p.jsonl", files / "c.jsonl", tmp_path / "s.jsonl", **job)
    assert len(made) == 5
    (tmp_path / "d.toml").write_text('layout = "pieces"\nmarker = "\\n"\nanswers = ["b", "a"]\n')
    with pytest.raises(toolkit.OutputError, match="made with other inputs"):
        toolkit.score(base_model, files / "p.jsonl", files / "c.jsonl", tmp_path / "s.jsonl", **job)
