"""`prm.label` from Python, on a server in this process: any source, what the command writes, a job that resumes."""

import json
import sys

import datasets
import pandas as pd
import pytest

import prm as toolkit
from prm import Chain, Problem, StepLabels, write_records
from prm.benchmarks.perf.waiting_server import serve
from prm.labeling.journal import rollouts_path

PROBLEMS = [Problem("p", "what is 2 + 2?", "4"), Problem("open", "why?")]
CHAINS = [
    Chain("a", "p", ("First.\n", "Then 2 + 2 = 4.\n", "The answer is 4")),
    Chain("b", "p", ("First.\n", "So 2 + 2 = 5.\n", "Thus.\n", "The answer is 5")),
    Chain("c", "p", ("It is so.\n", "The answer is 9")),
    Chain("d", "open", ("The answer is 9",)),
]
DROPPED = ("d", "its problem has no gold answer")
ROLLOUTS = 4 * (2 + 3 + 1)


@pytest.fixture(scope="module")
def server():
    with serve() as started:
        yield started


@pytest.fixture
def label(server, base_model):
    """`prm.label` with a model that answers 4 or 5."""

    def run(problems, chains, out=None, **settings):
        settings = {"model": base_model, "rollouts": 4, "max_unusable": 0.5, "reproducible": True} | {
            "endpoints": [server.url],
            **settings,
        }
        return toolkit.label(problems, chains, out, **settings)

    return run


@pytest.fixture
def files(tmp_path):
    write_records(tmp_path / "p.jsonl", PROBLEMS)
    write_records(tmp_path / "c.jsonl", CHAINS)
    return tmp_path / "p.jsonl", tmp_path / "c.jsonl"


def manifest(path):
    row = json.loads(path.with_name(path.name + ".manifest.json").read_text())
    return row["command"], row["settings"], row["inputs"]


def public(records, *names):
    """Rows as another tool writes them."""
    return [{name: getattr(record, name) for name in names} for record in records]


def test_labels_of_every_chain_with_their_rollouts_and_drops(label):
    made = label(PROBLEMS, CHAINS)
    assert [labels.chain_id for labels in made] == ["a", "b", "c"]
    assert all(isinstance(labels, StepLabels) and set(labels.drawn) == {4, 0} for labels in made)
    assert [(drop.id, drop.reason) for drop in made.drops] == [DROPPED]
    assert (len(made), made.counts["rollouts"], made.counts["labeled chains"]) == (3, ROLLOUTS, 3)
    assert len(rollouts_path(made.path).read_text().splitlines()) == ROLLOUTS
    assert list(made.to_pandas()["chain_id"]) == list(made.to_dataset()["chain_id"]) == ["a", "b", "c"]


def test_any_source_gives_the_same_labels(label, files):
    expected = list(label(*files))
    problems = public(PROBLEMS, "id", "text", "answer")
    sources = {
        "records": (PROBLEMS, CHAINS),
        "datasets": tuple(datasets.Dataset.from_list(rows) for rows in (problems, chain_rows())),
        "pandas": tuple(pd.DataFrame(rows) for rows in (problems, chain_rows())),
    }
    for name, given in sources.items():
        assert list(label(*given)) == expected, name


def chain_rows():
    return [{"schema": "chain/1", **row} for row in public(CHAINS, "id", "problem_id", "steps")]


def test_rows_of_gsm8k_and_their_solutions(label):
    rows = [{"question": "what is 2 + 2?", "answer": "2 + 2 = 4\n#### 4"}]
    solutions = [{"problem_id": "problems-1", "solution": "First.\nThe answer is 4"}]
    (labels,) = label(rows, solutions)
    assert (labels.chain_id, labels.problem_id, labels.outcome) == ("problems-1/0", "problems-1", "correct")


def test_python_and_the_command_write_the_same_and_reuse_each_other(prm, server, base_model, label, files, capsys):
    given = ["--model", base_model, "--problems", files[0], "--chains", files[1], "--strategy", "bisect", "-k", 4]
    given += ["--max-unusable", 0.5, "--reproducible"]
    code, _, said = prm("label", *given, "--endpoint", server.url, "--out", "by-command")
    assert code == 0, said
    made = label(*files, "by-python", strategy="bisect")
    other = files[0].with_name("by-command")
    assert made.path.read_bytes() == other.read_bytes()
    assert manifest(made.path) == manifest(other)
    asked = len(server.asked)
    assert "already there" in prm("label", *given, "--endpoint", server.url, "--out", "by-python")[2]
    assert list(label(*files, "by-command", strategy="bisect")) == list(made)
    assert "already there" in capsys.readouterr().err
    assert len(server.asked) == asked
    with pytest.raises(toolkit.OutputError, match="made with other settings"):
        label(*files, "by-command", strategy="fixed")


CHECKED = []


def is_four(text, gold, problem):
    """A custom checker; its tenth answer stops the job."""
    CHECKED.append(text)
    if len(CHECKED) == 10:
        raise KeyboardInterrupt
    return text.endswith(gold)


def test_a_job_that_was_stopped_draws_only_the_rest(label, files, capsys, tmp_path):
    """From another server: the first one may still be asked what was in flight."""
    whole, out = label(*files), tmp_path / "labels.jsonl"
    CHECKED.clear()
    with serve() as first, pytest.raises(KeyboardInterrupt):
        label(*files, out, checker=is_four, endpoints=[first.url])
    assert not out.exists()
    kept = rollouts_path(out).read_text().splitlines()
    assert 0 < len(kept) < ROLLOUTS
    with serve() as second:
        again = label(*files, out, checker=is_four, endpoints=[second.url])
        assert sum(asked["n"] for asked in second.asked) == ROLLOUTS - len(kept)
    assert f"resuming after 0 chains and {len(kept)} rollouts" in capsys.readouterr().err
    assert list(again) == list(whole)
    assert rollouts_path(out).read_text().startswith("\n".join(kept))


def test_a_job_does_not_go_on_with_another_model_on_the_server(label, files, tmp_path):
    out = tmp_path / "labels.jsonl"
    CHECKED.clear()
    with serve() as first, pytest.raises(KeyboardInterrupt):
        label(*files, out, checker=is_four, endpoints=[first.url])
    facts = json.loads(out.with_name("labels.jsonl.manifest.json").read_text())["facts"]
    assert facts == {"served": {"model": "tiny", "root": "models/tiny"}, "endpoints": [first.url]}
    with serve() as second:
        second.root = "models/other"
        with pytest.raises(toolkit.OutputError, match=r"was begun with served .*models/tiny.* not .*models/other"):
            label(*files, out, checker=is_four, endpoints=[second.url])
        assert not second.asked
        second.root = "models/tiny"
        made = label(*files, out, checker=is_four, endpoints=[second.url])
    assert len(made) == 3
    assert json.loads(out.with_name("labels.jsonl.manifest.json").read_text())["facts"]["endpoints"] == [second.url]


def test_a_job_does_not_resume_or_reuse_with_another_checker(label, tmp_path):
    def stopping_at(number):
        seen = iter(range(100))

        def ends_with_gold(text, gold, problem):
            if next(seen) == number:
                raise KeyboardInterrupt
            return text.endswith(gold)

        return ends_with_gold

    out = tmp_path / "labels.jsonl"
    with pytest.raises(KeyboardInterrupt):
        label(PROBLEMS, CHAINS, out, checker=stopping_at(5))
    for checker in (lambda text, gold, problem: True, stopping_at(6), is_four):
        with pytest.raises(toolkit.OutputError, match="made with other settings"):
            label(PROBLEMS, CHAINS, out, checker=checker)
    made = label(PROBLEMS, CHAINS, out, checker=lambda text, gold, problem: text.endswith(gold), overwrite=True)
    assert ".<locals>.<lambda>#" in manifest(made.path)[1]["checker"]
    with pytest.raises(toolkit.OutputError, match="made with other settings"):
        label(PROBLEMS, CHAINS, out, checker=lambda text, gold, problem: text == gold)


def test_a_checker_that_cannot_be_used_is_refused_before_anything_starts(server, label, files):
    asked = len(server.asked)
    for checker, message in ((None, "is not a function"), (lambda text, gold: True, "cannot be called")):
        with pytest.raises(toolkit.InputError, match=message):
            label(*files, checker=checker)
        with pytest.raises(toolkit.InputError, match=message):
            toolkit.labeling_cost(*files, model="none", checker=checker)
    assert len(server.asked) == asked
    with pytest.raises(toolkit.InputError, match=r"returned 0\.7, which is not a verdict"):
        label(*files, checker=lambda text, gold, problem: 0.7)


def test_what_python_samples_is_labeled_without_naming_a_file(server, base_model, label):
    chains = toolkit.sample(PROBLEMS[:1], model=base_model, n=2, endpoints=[server.url])
    labels = label(PROBLEMS[:1], chains)
    assert [row.chain_id for row in labels] == ["p/0", "p/1"]
    assert all(row.known == ("answer",) for row in labels)


def test_the_cost_is_estimated_without_the_engine(server, base_model, files):
    asked = len(server.asked)
    cost = toolkit.labeling_cost(*files, model=base_model, rollouts=4)
    again = toolkit.labeling_cost(PROBLEMS, CHAINS, model=base_model, rollouts=4)
    assert (cost.chains, cost.right, cost.unusable, cost.prefixes, cost.rollouts) == (4, 1, 1, 6, ROLLOUTS)
    assert again == cost
    assert toolkit.labeling_cost(*files, model=base_model, rollouts=4, strategy="bisect").rollouts < ROLLOUTS
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"strategy": "guess"}, toolkit.InputError, "unknown strategy 'guess'"),
        ({"max_unusable": 2}, toolkit.InputError, "^max_unusable=2 is not a number in"),
        ({"drop_solved": "often"}, toolkit.InputError, "unknown drop_solved 'often'"),
        ({"rollouts": 0}, toolkit.InputError, "^rollouts=0 is not a whole number"),
        ({"width": 5}, toolkit.InputError, "^width=5 is not a number in"),
        ({"check_share": 1.5}, toolkit.InputError, "^check_share=1.5 is not a number in"),
        ({"max_tokens": 0}, toolkit.InputError, "^max_tokens=0 is not a whole number"),
        ({"ray_workers": -1}, toolkit.InputError, "^ray_workers=-1 is not a whole number"),
        ({"ray_gpus": -0.5}, toolkit.InputError, "^ray_gpus=-0.5 is not a number"),
        ({"stop": 5}, toolkit.InputError, "stop: 5 is not a text"),
        ({"splitter": "words"}, toolkit.InputError, "'words'"),
        ({"engine_options": {"max_len": 5}}, toolkit.EngineError, "max_len"),
    ],
)
def test_a_wrong_setting_is_one_error(label, files, settings, error, message):
    with pytest.raises(error, match=message):
        label(*files, **settings)


def test_a_job_with_too_many_unusable_gold_answers_stops_before_its_first_rollout(server, label):
    asked = len(server.asked)
    problems = [Problem("p", "?", "4"), Problem("a", "?", "see above, as it stands"), Problem("b", "?")]
    chains = [Chain(name, name, ("Step.\n", "The answer is 5")) for name in ("p", "a", "b", "lost")]
    with pytest.raises(toolkit.InputError, match="3 of 4 problems have no gold answer that can be used") as caught:
        label(problems, chains)
    for part in ("a has 'see above, as it stands'", "b has no gold answer", "lost is not among the problems"):
        assert part in str(caught.value)
    assert "--max-unusable" in caught.value.hint
    assert len(server.asked) == asked
    made = label(problems, chains, max_unusable=0.75)
    assert [row.chain_id for row in made] == ["p"]


def wrong(text, gold, problem):
    return False


def cannot_say(text, gold, problem):
    return None


@pytest.mark.parametrize(
    ("checker", "reason"), [(wrong, "all decided"), (cannot_say, r"\d+ no answer")], ids=["wrong", "undecided"]
)
def test_a_hopeless_job_stops_early_and_goes_on_only_if_told(label, tmp_path, checker, reason):
    out = tmp_path / "labels.jsonl"
    chains = [Chain(f"c{i}", "p", ("First.\n", "Then.\n", "The answer is 9")) for i in range(100)]
    with pytest.raises(toolkit.InputError, match=rf"none of the first 2\d\d rollouts is right \({reason}\)") as caught:
        label(PROBLEMS[:1], chains, out, checker=checker)
    assert "--keep-going" in caught.value.hint
    drawn = len(rollouts_path(out).read_text().splitlines())
    assert 200 <= drawn < 210
    made = label(PROBLEMS[:1], chains, out, checker=checker, keep_going=True)
    assert (len(made), made.counts["rollouts"], made.counts["% right rollouts"]) == (100, 800, 0)
    assert made.counts["prefixes never solved"] == (200 if checker is wrong else 0)


def test_a_job_with_right_chains_is_not_hopeless(label):
    """Rollouts from the last steps of wrong chains may all fail, and a strategy may begin with these."""
    right = Chain("right", "p", ("It is 4. That is all.",))
    wrong_ones = [Chain(f"c{i}", "p", ("First.\n", "Then.\n", "The answer is 9")) for i in range(80)]
    for chains in ([right, *wrong_ones], [*wrong_ones, right]):
        made = label(PROBLEMS[:1], chains, strategy="first-success", checker=lambda text, gold, problem: "all" in text)
        assert (len(made), made.counts["% right rollouts"]) == (81, 0)


def test_an_unusable_row_of_chains_costs_no_other(label, tmp_path, capsys):
    path = tmp_path / "chains.jsonl"
    rows = [{"problem_id": "p", "steps": steps} for steps in (["a", "b"], ["a", " "], ["c"])]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = label(PROBLEMS[:1], path)
    assert [row.chain_id for row in made] == ["p/0", "p/1"]
    assert made.counts["dropped (row that cannot be used)"] == 1
    assert "chains.jsonl:2 is left out" in capsys.readouterr().err
    (drop,) = made.drops
    assert (drop.id, drop.reason) == ("chains.jsonl:2", "row that cannot be used")
    assert "blank" in drop.detail


def test_unusable_rows_are_written_down_once_however_often_a_job_goes_on(label, tmp_path):
    path, out = tmp_path / "chains.jsonl", tmp_path / "labels.jsonl"
    rows = [{"problem_id": "p", "steps": steps} for steps in (["a", " "], ["b"], ["c"])]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    label(PROBLEMS[:1], path, out, rollouts=2)
    made = label(PROBLEMS[:1], path, out, rollouts=4, extend=True)
    assert (len(made), [drop.id for drop in made.drops]) == (2, ["chains.jsonl:1"])


def test_what_follows_labeling_leaves_an_unusable_row_out_too(label, base_model, tmp_path, capsys):
    path = tmp_path / "chains.jsonl"
    path.write_text('{"problem_id": "p", "steps": ["First.", "The answer is 5"]}\nbroken\n')
    made = label(PROBLEMS[:1], path, tmp_path / "labels.jsonl")
    for again in (toolkit.rejudge(made, PROBLEMS[:1], path), toolkit.export_trees(made, PROBLEMS[:1], path)):
        assert [drop.id for drop in again.drops] == ["chains.jsonl:2"]
        assert again.counts["dropped (row that cannot be used)"] == 1
    capsys.readouterr()
    assert toolkit.labeling_cost(PROBLEMS[:1], path, model=base_model).chains == 1
    assert "chains.jsonl:2 is left out" in capsys.readouterr().err


def is_five(text, gold, problem):
    return "5" in text


def test_stored_rollouts_are_judged_again_without_an_engine(server, label, files, tmp_path):
    made = label(*files, tmp_path / "labels.jsonl")
    asked = len(server.asked)
    same = toolkit.rejudge(made, *files)
    assert [(row.right, row.wrong, row.outcome) for row in same] == [(r.right, r.wrong, r.outcome) for r in made]
    assert same.counts["changed verdicts"] == 0
    out = tmp_path / "again.jsonl"
    again = toolkit.rejudge(made.path, *files, out, checker=is_five)
    assert len(server.asked) == asked
    assert [(row.right, row.wrong) for row in again] == [(r.wrong, r.right) for r in made]
    assert [row.outcome for row in again] == ["incorrect", "correct", "incorrect"]
    assert again.counts["changed verdicts"] == again.counts["rollouts"] == ROLLOUTS
    old, new = (rollouts_path(path).read_text().splitlines() for path in (made.path, out))
    assert [json.loads(a) | {"outcome": ""} for a in old] == [json.loads(b) | {"outcome": ""} for b in new]
    assert all(json.loads(b)["outcome"] == ("correct" if "5" in json.loads(b)["text"] else "incorrect") for b in new)


def test_the_check_of_a_strategy_ends_with_its_verdicts(label, files, tmp_path):
    made = label(*files, tmp_path / "labels.jsonl", strategy="bisect", check_share=1.0)
    assert all(row.unchecked is not None for row in made)
    again = toolkit.rejudge(made, *files, checker=is_five)
    assert [row.unchecked for row in again] == [None] * len(list(made))
    assert [sum(row.drawn) for row in again] == [sum(row.drawn) for row in made]


def test_a_chain_whose_gold_answer_is_gone_is_dropped_when_judged_again(label, files, tmp_path):
    made = label(*files, tmp_path / "labels.jsonl")
    write_records(tmp_path / "none.jsonl", [Problem("p", "what is 2 + 2?")])
    again = toolkit.rejudge(made.path, tmp_path / "none.jsonl", files[1])
    assert (len(again), again.counts["rollouts"]) == (0, 0)
    assert {drop.reason for drop in again.drops} == {"its problem has no gold answer"}


def test_the_command_judges_again(prm, label, files, tmp_path):
    made = label(*files, tmp_path / "labels.jsonl")
    code, _, said = prm("label", "rejudge", made.path, "--problems", files[0], "--chains", files[1], "--out", "again")
    assert code == 0, said
    assert "24 rollouts" in said


def test_an_output_is_extended_and_only_what_is_missing_is_drawn(server, label, files, tmp_path):
    out = tmp_path / "labels.jsonl"
    label(*files, out, rollouts=2)
    whole = label(*files, rollouts=4)
    asked = len(server.asked)
    with pytest.raises(toolkit.OutputError, match="made with other settings"):
        label(*files, out, rollouts=4)
    made = label(*files, out, rollouts=4, extend=True)
    assert sum(row["n"] for row in server.asked[asked:]) == ROLLOUTS // 2
    assert list(made) == list(whole)
    drawn = [
        (row["chain_id"], row["step"], row["draw"])
        for row in map(json.loads, rollouts_path(out).read_text().splitlines())
    ]
    assert len(drawn) == len(set(drawn)) == ROLLOUTS
    asked = len(server.asked)
    assert list(label(*files, out, rollouts=4, extend=True)) == list(whole)
    assert len(server.asked) == asked


def test_another_strategy_on_top_counts_all_that_is_there(server, label, files, tmp_path):
    out = tmp_path / "labels.jsonl"
    fixed = label(*files, out)
    asked = len(server.asked)
    made = label(*files, out, strategy="bisect", extend=True)
    assert [row.right for row in made] == [row.right for row in fixed]
    assert len(server.asked) == asked


def test_chains_are_appended(server, label, files, tmp_path):
    out = tmp_path / "labels.jsonl"
    first = list(label(files[0], CHAINS[:2], out))
    asked = len(server.asked)
    made = label(*files, out, extend=True)
    assert list(made)[:2] == first
    assert [row.chain_id for row in made] == ["a", "b", "c"]
    assert sum(row["n"] for row in server.asked[asked:]) == 4
    with pytest.raises(toolkit.OutputError, match="cannot be extended: it was made with other settings: temperature"):
        label(*files, out, extend=True, temperature=0.5)


def test_only_rows_at_the_end_may_be_new_in_an_extension(label, files, tmp_path):
    out = tmp_path / "labels.jsonl"
    made = list(label(PROBLEMS[:1], CHAINS[:2], out))
    other = Chain("a", "p", ("Quite other.\n", "Steps.\n", "The answer is 4"))
    for problems, chains in (
        (PROBLEMS[:1], [CHAINS[1], CHAINS[0], CHAINS[2]]),
        (PROBLEMS[:1], [other, *CHAINS[1:3]]),
        ([Problem("p", "what is 2 + 2?", "5")], CHAINS[:3]),
    ):
        with pytest.raises(toolkit.OutputError, match="is not the earlier file with rows added at its end"):
            label(problems, chains, out, extend=True)
    assert list(label(PROBLEMS[:1], CHAINS[:2], out)) == made
    with pytest.raises(toolkit.InputError, match="either extended or overwritten"):
        label(PROBLEMS[:1], CHAINS[:3], out, extend=True, overwrite=True)


def test_an_extension_that_cannot_begin_leaves_everything_as_it_was(label, files, tmp_path):
    out = tmp_path / "labels.jsonl"
    made = list(label(*files, out))
    before = {path.name: path.read_bytes() for path in tmp_path.glob("labels.jsonl*")}
    with pytest.raises(toolkit.EngineError, match="no server answers"):
        label(*files, out, rollouts=8, extend=True, endpoints=["http://127.0.0.1:9/v1"])
    assert {path.name: path.read_bytes() for path in tmp_path.glob("labels.jsonl*")} == before
    assert list(label(*files, out)) == made


def test_rejudging_does_not_touch_another_job(label, files, tmp_path):
    made, out = label(*files, tmp_path / "labels.jsonl"), tmp_path / "other.jsonl"
    CHECKED.clear()
    with pytest.raises(KeyboardInterrupt):
        label(*files, out, checker=is_four)
    before = rollouts_path(out).read_bytes()
    with pytest.raises(toolkit.OutputError, match="made with other"):
        toolkit.rejudge(made.path, *files, out)
    assert rollouts_path(out).read_bytes() == before


def test_chains_that_are_not_those_that_were_labeled_are_dropped_when_judged_again(label, files, tmp_path):
    made = label(*files, tmp_path / "labels.jsonl")
    shorter = Chain("a", "p", ("First.\n", "The answer is 4"))
    again = toolkit.rejudge(made.path, files[0], [shorter, CHAINS[1]])
    assert [row.chain_id for row in again] == ["b"]
    assert {drop.id: drop.reason for drop in again.drops} == {
        "a": "its steps are not those that were labeled",
        "c": "it is not among the chains",
    }


def test_an_extension_that_was_stopped_goes_on(label, files, tmp_path):
    out, whole = tmp_path / "labels.jsonl", label(*files, rollouts=8)
    CHECKED.clear()
    CHECKED.extend([""] * 20)  # the tenth answer is past
    label(*files, out, rollouts=4, checker=is_four)
    CHECKED.clear()
    with serve() as first, pytest.raises(KeyboardInterrupt):
        label(*files, out, rollouts=8, checker=is_four, extend=True, endpoints=[first.url])
    assert not out.exists()
    assert len(out.with_name("labels.jsonl.replaced").read_text().splitlines()) == 3
    kept = rollouts_path(out).read_text().splitlines()
    assert ROLLOUTS < len(kept) < 2 * ROLLOUTS
    with serve() as second:
        made = label(*files, out, rollouts=8, checker=is_four, extend=True, endpoints=[second.url])
        assert sum(row["n"] for row in second.asked) == 2 * ROLLOUTS - len(kept)
    assert list(made) == list(whole)
    assert not out.with_name("labels.jsonl.replaced").exists()


def test_without_ray_there_is_one_line(label, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    for module in ("prm.labeling.ray_labeling", "prm.generation.ray_blocks"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(toolkit.EngineError, match="Ray cannot be imported") as caught:
        label(PROBLEMS, CHAINS, ray_workers=1)
    assert caught.value.hint == 'pip install "prm-toolkit[ray]"'


@pytest.mark.parametrize(
    ("which", "left"), [("never", ["a", "b", "c", "e"]), ("always", ["a", "b", "c", "f"]), ("both", ["a", "b", "c"])]
)
def test_problems_that_are_never_or_always_solved_are_dropped(label, which, left):
    problems = [*PROBLEMS[:1], Problem("easy", "1 + 3?", "4"), Problem("hard", "2 * 2?", "4")]
    chains = [*CHAINS[:3], Chain("e", "easy", ("The answer is 4",)), Chain("f", "hard", ("The answer is 5",))]
    made = label(problems, chains, drop_solved=which)
    assert [row.chain_id for row in made] == left
    reasons = {"e": "its problem is always solved", "f": "its problem is never solved"}
    assert {drop.id: drop.reason for drop in made.drops} == {i: reasons[i] for i in "ef" if i not in left}


def scored(**scores):
    return [toolkit.StepScores(name, "p", row, "prm") for name, row in scores.items()]


@pytest.mark.parametrize(
    ("scores", "left"),
    [
        ([scored(a=(0.95, 0.93, 0.99), b=(0.99, 0.04, 0.5, 0.5), c=(0.95, 0.6))], ["c"]),
        ([scored(a=(0.95, 0.93, 0.99)), scored(a=(0.93, 0.93, 0.99))], ["a", "b", "c"]),
        ([scored(a=(0.95, 0.93, 0.99)), scored(a=(0.96, 0.93, 0.99))], ["b", "c"]),
        ([scored(a=(0.95, 0.93)), scored(b=(0.1, 0.5, 0.5, 0.5))], None),
        ([scored(b=(0.1, 0.5, 0.5, 0.5))], ["a", "c"]),
    ],
    ids=["one", "they differ", "they agree", "other chains", "nothing after the first wrong step"],
)
def test_chains_that_the_reward_model_is_sure_of_are_dropped(label, scores, left):
    if left is None:
        with pytest.raises(toolkit.InputError, match="none of its scores belongs to a chain"):
            label(PROBLEMS, CHAINS, scores=scores)
        return
    made = label(PROBLEMS, CHAINS, scores=scores)
    assert [row.chain_id for row in made] == left
    assert {d.id for d in made.drops if d.reason == "the reward model is sure of it"} == {*"abc"} - set(left)


def test_scores_come_from_any_source(label, tmp_path):
    rows = scored(a=(0.95, 0.93, 0.99))
    write_records(tmp_path / "s.jsonl", rows)
    table = pd.DataFrame([{"chain_id": "a", "problem_id": "p", "scores": [0.95, 0.93, 0.99], "kind": "prm"}])
    for scores in (rows, [rows], str(tmp_path / "s.jsonl"), [tmp_path / "s.jsonl"], table):
        assert [row.chain_id for row in label(PROBLEMS, CHAINS, scores=scores)] == ["b", "c"]


def test_chains_without_ids_are_linked_by_text_or_row(label, tmp_path):
    (tmp_path / "gsm.jsonl").write_text(
        '{"question": "What is 2 + 2?", "answer": "4"}\n{"question": "And 2 + 3?", "answer": "5"}\n'
    )
    (tmp_path / "by_text.jsonl").write_text(
        '{"question": "And 2 + 3?", "solution": "The answer is 5"}\n'
        '{"question": "what is 2 + 2", "solution": "The answer is 4"}\n'
    )
    (tmp_path / "by_row.jsonl").write_text('{"solution": "The answer is 4"}\n{"solution": "The answer is 5"}\n')
    for name, owners in (("by_text", ["gsm-2", "gsm-1"]), ("by_row", ["gsm-1", "gsm-2"])):
        made = list(label(tmp_path / "gsm.jsonl", tmp_path / f"{name}.jsonl"))
        assert [row.problem_id for row in made] == owners
        assert {row.outcome for row in made} == {"correct"}


def test_the_scores_of_an_orm_choose_nothing(label):
    with pytest.raises(toolkit.InputError, match="chain 'a' has no step scores"):
        label(PROBLEMS, CHAINS, scores=[[toolkit.StepScores("a", "p", (3.5,), "orm")]])


def test_one_text_is_one_stop_and_one_server(server, label):
    made = label(PROBLEMS, CHAINS, stop="\n\n", endpoints=server.url)
    assert manifest(made.path)[1]["stop"] == ["\n\n"]
    assert server.asked[-1]["stop"] == ["\n\n"]


def test_a_row_that_is_neither_is_refused_by_name(label):
    with pytest.raises(toolkit.InputError, match="chains: row 2 is a list"):
        label(PROBLEMS, [CHAINS[0], ["First.\n"]])
