"""The search job, with an engine of a few lines in place of vLLM."""

import inspect
import json
import queue
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from trees import TreeEngine, TreeScorer, is_last

from prm import InputError, Problem, Refusal, Scorer, evaluate_search, fit_pruning, solve
from prm.data.files import read_records, write_records
from prm.data.records import Chain, Choice, StepScores
from prm.errors import ModelError, OutputError
from prm.generation.choice import EngineChoice
from prm.models.checkpoint import load_tokenizer
from prm.search.journal import journal_path
from prm.search.serving import answer_forever
from prm.search.setup import setup_of

PROBLEMS = [Problem(f"p{i}", f"How many are {i}?", str(i % 4)) for i in range(3)]


@pytest.fixture
def engine(monkeypatch, base_model):
    """What starts in place of vLLM; `dies_after` kills the next job."""
    settings = {}

    def start(choice):
        engine = TreeEngine(load_tokenizer(choice.model), **settings)
        engine.close = lambda: None
        return engine

    monkeypatch.setattr(EngineChoice, "start", start)
    return settings


def test_chains_scores_and_choices_fit_together(engine, base_model, tmp_path):
    out = tmp_path / "chains.jsonl"
    solved = solve(PROBLEMS, out, model=base_model, scorer=TreeScorer(), method="rebase", n=8, max_tokens=400)
    chains, scores, choices = list(solved), list(solved.scores), list(solved.choices)
    assert {row.chain_id for row in scores} == {chain.id for chain in chains}
    assert [choice.problem_id for choice in choices] == ["p0", "p1", "p2"]
    for choice in choices:
        own = [chain for chain in chains if chain.problem_id == choice.problem_id]
        assert own[choice.index].text == choice.best
        assert is_last(choice.best)
        assert len(choice.scores) == len(own)
    assert solved.counts["generated tokens"] == sum(choice.generated for choice in choices) > 0
    assert solved.counts["scored tokens"] == sum(choice.scored for choice in choices) > 0
    assert not journal_path(out).exists()


@pytest.mark.parametrize("method", ["dvts", "weighted"])
def test_a_killed_job_goes_on_to_the_same_files(engine, base_model, tmp_path, method):
    def run(name):
        given = {"model": base_model, "scorer": TreeScorer(), "method": method, "n": 8, "max_tokens": 400}
        return solve(PROBLEMS, tmp_path / name, **given, budget_tokens=700)

    run("whole.jsonl")
    for dies_after in (1, 2, 3):
        engine["dies_after"] = dies_after
        with pytest.raises(KeyboardInterrupt):
            run("killed.jsonl")
    engine.clear()
    run("killed.jsonl")
    for end in ("", ".scores.jsonl", ".choices.jsonl"):
        assert (tmp_path / f"killed.jsonl{end}").read_bytes() == (tmp_path / f"whole.jsonl{end}").read_bytes()


def test_the_command_and_what_it_refuses(engine, base_model, prm, tmp_path):
    write_records(tmp_path / "p.jsonl", PROBLEMS)
    given = ("solve", "--model", base_model, "--problems", "p.jsonl", "--out", "c.jsonl", "--max-tokens", 400)
    code, _, err = prm(*given, "--method", "refine", "-n", 8)
    assert code == 0
    assert "% right" in err
    assert set(map(type, read_records(tmp_path / "c.jsonl.choices.jsonl", Choice))) == {Choice}
    assert "already there" in prm(*given, "--method", "refine", "-n", 8)[2]
    assert "needs a scorer" in prm(*given, "--method", "beam", "--overwrite")[2]
    assert "unknown method 'mcts'" in prm(*given, "--method", "mcts", "--overwrite")[2]


def test_a_server_takes_no_files(prm):
    given = ("solve", "--model", "m", "--method", "majority", "--serve", 8000)
    for more in (("--problems", "p.jsonl"), ("--out", "c.jsonl"), ("--overwrite",), ("--engine", "ray")):
        code, _, err = prm(*given, *more)
        assert code == 1
        assert "error: --serve reads and writes no file" in err


@pytest.mark.parametrize(
    "given", [{"budget_tokens": 0}, {"max_tokens": 0}, {"rebase_temperature": 0}, {"rebase_temperature": float("nan")}]
)
def test_a_wrong_setting_is_called_by_its_own_name(base_model, given):
    with pytest.raises(InputError, match=f"^{next(iter(given))}="):
        solve(PROBLEMS, model=base_model, method="majority", **given)


def test_a_journal_that_cannot_be_read_is_pointed_out(engine, base_model, tmp_path):
    def run(**more):
        given = {"model": base_model, "scorer": TreeScorer(), "method": "rebase", "n": 4, "max_tokens": 400}
        return solve(PROBLEMS, tmp_path / "c.jsonl", **given, **more)

    engine["dies_after"] = 3
    with pytest.raises(KeyboardInterrupt):
        run()
    engine.clear()
    journal = journal_path(tmp_path / "c.jsonl")
    first, rest = journal.read_bytes().split(b"\n", 1)
    for wrong in (b"\0" * len(first), b"7", b'{"drawn": []}', b'{"other": []}', b'{"solved": ["p0", ["[]"]]}', b"\xff"):
        journal.write_bytes(wrong + b"\n" + rest)
        with pytest.raises(OutputError, match=r"search\.jsonl:1: is no event of a search"):
            run()
    assert len(list(run(overwrite=True).choices)) == len(PROBLEMS)


def test_what_was_solved_is_compared(engine, base_model, tmp_path):
    """Accuracy and tokens are those that each job said; the leaves of every tree can be looked at."""

    def run(method, n, seed=0):
        out = tmp_path / f"{method}-{n}-{seed}.jsonl"
        given = {"model": base_model, "scorer": TreeScorer(), "max_tokens": 400}
        return solve(PROBLEMS, out, **given, method=method, n=n, seed=seed)

    runs = {"rebase": [run("rebase", 8), run("rebase", 8, 1)], "weighted": [run("weighted", 2), run("weighted", 8)]}
    found = evaluate_search(PROBLEMS, runs, draws=100)
    values = {(m.scorer, m.variant, m.name): m.value for m in found.result.metrics if m.split == "all"}
    for solved, variant in zip(runs["weighted"], ("n=2", "n=8"), strict=True):
        assert 100 * values["weighted", variant, "accuracy"] == pytest.approx(solved.counts["% right"])
        assert 3 * values["weighted", variant, "generated_tokens"] == pytest.approx(solved.counts["generated tokens"])
        assert 3 * values["weighted", variant, "scored_tokens"] == pytest.approx(solved.counts["scored tokens"])
    both = [solved.counts["generated tokens"] for solved in runs["rebase"]]
    assert 6 * values["rebase", "", "generated_tokens"] == pytest.approx(sum(both))
    assert len(found.shown) == found.result.data["chains"] == sum(len(run) for own in runs.values() for run in own)
    assert sum(bool(chain.chosen_by) for chain in found.shown) == 4 * len(PROBLEMS)


def search_setup(**given):
    """A setup with the defaults of `solve`."""
    defaults = {name: p.default for name, p in inspect.signature(solve).parameters.items() if p.kind is p.KEYWORD_ONLY}
    return setup_of(**{name: given.get(name, defaults[name]) for name in inspect.signature(setup_of).parameters})


def test_a_server_ends_with_what_went_wrong(engine, base_model, monkeypatch):
    """It answers until its scorer fails, tells the client, and stops."""

    class Failing(TreeScorer):
        def score_each(self, problems, chains):
            if "three" in "".join(map(str, problems)):
                raise ModelError("the scorer is gone", "start it again")
            return super().score_each(problems, chains)

    said = queue.SimpleQueue()
    monkeypatch.setattr("prm.console.say", said.put)
    setup = search_setup(model=base_model, scorer=Failing(), method="rebase", n=4, max_tokens=400)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(answer_forever, setup, "127.0.0.1", 0)
        while not (line := said.get(timeout=60)).startswith("listening on "):
            pass

        def status(text):
            body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
            try:
                return urllib.request.urlopen(line.split()[-1] + "/chat/completions", body, timeout=60).status
            except urllib.error.HTTPError as error:
                with error:
                    return error.code

        assert status("How many are two?") == 200
        assert status("How many are three?") == 503
        with pytest.raises(ModelError, match="the scorer is gone"):
            running.result(timeout=60)


class Orm(Scorer):
    kind = "orm"

    def score_each(self, problems, chains):
        return [(float(len(steps)),) if len(steps) > 2 else Refusal("too short") for steps in chains]


def test_an_orm_scores_whole_chains_alone(engine, base_model):
    given = {"model": base_model, "scorer": Orm(), "n": 8, "max_tokens": 400}
    solved = solve(PROBLEMS, **given, method="best-of-n")
    for choice in solved.choices:
        assert choice.scores[choice.index] == max(score for score in choice.scores if score is not None)
    with pytest.raises(InputError, match="an ORM cannot"):
        solve(PROBLEMS, **given, method="beam")


def test_steps_that_end_at_an_expression_are_refused(base_model):
    with pytest.raises(InputError, match="is an expression"):
        solve(PROBLEMS, model=base_model, scorer=TreeScorer(), method="beam", splitter="regex:;")


def test_a_threshold_by_hand(prm, tmp_path):
    """Ten right chains a side with lowest scores 0.01 … 0.10: to lose a tenth, the threshold is the second one."""
    problems = [Problem(f"p{i}", f"{i}?", "4") for i in range(40)]
    chains, scores = [], []
    for problem in problems:
        for i in range(1, 11):
            chains.append(Chain(f"{problem.id}/{i}", problem.id, ("a\n", "b\n", "The answer is 4"), "stop"))
            scores.append(StepScores(chains[-1].id, problem.id, (i / 100, 0.9, 0.001), "prm"))
        chains.append(Chain(f"{problem.id}/wrong", problem.id, ("a\n", "b\n", "c\n", "The answer is 5"), "stop"))
        scores.append(StepScores(chains[-1].id, problem.id, (0.9, 0.015, 0.9, 0.9), "prm"))
    found = fit_pruning(problems, chains, scores, lost=0.1)
    assert (found.value, found.low, found.high) == (0.02, 0.02, 0.02), "the last step gives up no chain"
    assert found.lost == pytest.approx(0.1)
    assert found.wrong_given_up == 1
    assert found.saved == pytest.approx((2 + 2) / 34)
    write_records(tmp_path / "p.jsonl", problems)
    write_records(tmp_path / "c.jsonl", chains)
    write_records(tmp_path / "s.jsonl", scores)
    given = ("--problems", "p.jsonl", "--chains", "c.jsonl", "--scores", "s.jsonl")
    code, out, _ = prm("pruning", *given, "--lost", 0.1, "--out", "t.json")
    assert code == 0
    assert "0.0200 (0.0200 to 0.0200)" in out
    assert json.loads((tmp_path / "t.json").read_text())["value"] == 0.02


def test_chains_that_fit_no_threshold_are_dropped_by_reason():
    problems = [Problem(f"p{i}", f"{i}?", "4") for i in range(40)]
    chains = [Chain(f"{p.id}/{i}", p.id, ("a\n", "The answer is 4"), "stop") for p in problems for i in range(2)]
    chains += [Chain("p0/none", "p0", ("a\n", "b"), "stop"), Chain("p0/short", "p0", ("a\n", "b"), "stop")]
    scores = [{"id": chain.id, "scores": [0.5, 0.5]} for chain in chains[1:-1]] + [{"id": "p0/short", "scores": [0.5]}]
    found = fit_pruning(problems, chains, scores)
    assert sorted(drop.reason for drop in found.output.drops) == [
        "it has no score", "its answer is undecided", "scores and steps differ in number",
    ]  # fmt: skip
    with pytest.raises(InputError, match="no chain has step scores that can be used: it has no score"):
        fit_pruning(problems, chains, [{"id": "q", "scores": [0.5, 0.5]}])
    with pytest.raises(InputError, match="used: one score for the whole chain"):
        fit_pruning(problems, chains[:2], [{"id": chain.id, "score": 0.5} for chain in chains[:2]])
