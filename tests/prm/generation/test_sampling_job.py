"""`prm.sample` from Python, on a server in this process: any source, what the command writes, a job that resumes."""

import json

import datasets
import pandas as pd
import pytest

import prm as toolkit
from prm import Chain, Problem
from prm.benchmarks.perf.waiting_server import serve
from prm.generation import sampling
from prm.models.checkpoint import Metadata, load_model

ROWS = [
    {"question": "what is 2 + 2?", "answer": "2 + 2 = 4\n#### 4"},
    {"question": "what is 3 + 1?", "answer": "3 + 1 = 4\n#### 4"},
    {"question": "12 " * 300, "answer": "#### 4"},
]
LONG = ("problems-3", "problem longer than the model's context")
N = 3


@pytest.fixture(scope="module")
def server():
    with serve() as started:
        yield started


@pytest.fixture
def sample(server, base_model):
    """`prm.sample` with a model that answers 4 or 5."""

    given = {"model": base_model, "n": N, "endpoints": [server.url], "reproducible": True}

    def run(problems, out=None, **settings):
        return toolkit.sample(problems, out, **{**given, **settings})

    return run


@pytest.fixture
def path(tmp_path):
    """The rows as a file that is named as a list of them would be, since ids follow from the name."""
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


def manifest(path):
    row = json.loads(path.with_name(path.name + ".manifest.json").read_text())
    return row["command"], row["settings"], row["inputs"]


def test_chains_of_every_problem_with_their_drops(sample):
    made = sample(ROWS)
    assert [chain.id for chain in made] == [f"problems-{i}/{n}" for i in (1, 2) for n in range(N)]
    assert all(isinstance(chain, Chain) and chain.text in ("The answer is 4", "The answer is 5") for chain in made)
    assert len(made) == 6
    right = [[chain.text.endswith("4") for chain in made if chain.problem_id == f"problems-{i}"] for i in (1, 2)]
    assert made.counts == {
        f"dropped ({LONG[1]})": 1,
        "chains": 6,
        "% right": 100 * sum(map(sum, right)) / 6,
        "problems never solved": sum(not any(own) for own in right),
        "problems always solved": sum(map(all, right)),
        "% cut by length": 0,
        "steps a chain": 1,
        "tokens a chain": 7,
    }
    assert [(drop.id, drop.reason) for drop in made.drops] == [LONG]


def test_problems_without_gold_answers_are_sampled_all_the_same(sample):
    made = sample([{"question": "why?"}])
    assert made.counts == {"chains": N, "% cut by length": 0, "steps a chain": 1, "tokens a chain": 7}
    assert sample([{"question": "12 " * 300}]).counts == {f"dropped ({LONG[1]})": 1, "chains": 0}


def test_any_source_gives_the_same_chains(sample, path):
    expected = list(sample(path))
    assert {chain.finish for chain in expected} == {"stop"}
    sources = {
        "rows": ROWS,
        "records": [Problem(f"problems-{i}", row["question"], "4") for i, row in enumerate(ROWS, start=1)],
        "dataset": datasets.Dataset.from_list(ROWS),
        "pandas": pd.DataFrame(ROWS),
    }
    for name, source in sources.items():
        assert list(sample(source)) == expected, name


def test_python_and_the_command_write_the_same_and_reuse_each_other(prm, server, base_model, sample, path, capsys):
    command = [
        "sample",
        "--model",
        base_model,
        "--problems",
        path,
        "-n",
        N,
        "--endpoint",
        server.url,
        "--reproducible",
        "--out",
    ]
    code, _, said = prm(*command, "by-command")
    assert code == 0, said
    made = sample(path, "by-python")
    other = path.with_name("by-command")
    assert made.path.read_bytes() == other.read_bytes()
    assert manifest(made.path) == manifest(other)
    asked = len(server.asked)
    assert "already there" in prm(*command, "by-python")[2]
    assert list(sample(path, "by-command")) == list(made)
    assert "already there" in capsys.readouterr().err
    assert len(server.asked) == asked
    with pytest.raises(toolkit.OutputError, match="made with other settings"):
        sample(path, "by-command", seed=1)


def test_a_job_that_was_stopped_asks_only_for_the_rest(sample, path, monkeypatch, capsys, tmp_path):
    """From another server: the first one may still be asked what was in flight."""
    whole = sample(path)
    made, chain = [], sampling._chain

    def stopped(*arguments):
        made.append(arguments)
        if len(made) == N + 1:
            raise KeyboardInterrupt
        return chain(*arguments)

    out = tmp_path / "chains.jsonl"
    with serve() as first, monkeypatch.context() as patched:
        patched.setattr(sampling, "_chain", stopped)
        with pytest.raises(KeyboardInterrupt):
            sample(path, out, endpoints=[first.url])
    assert not out.exists()
    with serve() as second:
        again = sample(path, out, endpoints=[second.url])
        assert [asked["n"] for asked in second.asked] == [N]
    assert "resuming after 1 problems" in capsys.readouterr().err
    assert again.path.read_bytes() == whole.path.read_bytes()
    assert [(drop.id, drop.reason) for drop in again.drops] == [LONG]


def test_settings_change_what_is_asked_and_are_checked_first(server, sample, path):
    asked = len(server.asked)
    made = sample(path, temperature=0.5, top_p=0.9, max_tokens=7, stop=["\n\n"], seed=3)
    settings = manifest(made.path)[1]
    assert {name: settings[name] for name in ("temperature", "top_p", "max_tokens", "stop", "seed", "n")} == {
        "temperature": 0.5, "top_p": 0.9, "max_tokens": 7, "stop": ["\n\n"], "seed": 3, "n": N,
    }  # fmt: skip
    last = server.asked[asked]
    assert (last["temperature"], last["top_p"], last["max_tokens"], last["stop"]) == (0.5, 0.9, 7, ["\n\n"])
    asked = len(server.asked)
    with pytest.raises(toolkit.InputError, match="'words'"):
        sample(path, splitter="words")
    with pytest.raises(toolkit.InputError, match="problems: row 1 is a str"):
        sample(["what is 2 + 2?"])
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    ("name", "value"),
    [("n", 0), ("n", "3"), ("temperature", 0), ("top_p", 2), ("max_tokens", 0), ("max_tokens", 7.5)],
)
def test_a_number_out_of_range_is_refused_by_name(sample, path, tmp_path, name, value):
    with pytest.raises(toolkit.InputError, match=f"^{name}={value!r} is not a "):
        sample(path, tmp_path / "chains.jsonl", **{name: value})
    assert not any(tmp_path.glob("chains*"))


def test_one_text_is_one_stop_and_one_server(server, sample, path):
    made = sample(path, stop="\n\n", endpoints=server.url)
    assert manifest(made.path)[1]["stop"] == ["\n\n"]
    assert server.asked[-1]["stop"] == ["\n\n"]
    with pytest.raises(toolkit.InputError, match="endpoints: 5 is not a text"):
        sample(path, endpoints=[5])


def test_chains_go_straight_into_scoring_and_reranking(sample, base_model, tokenizer, tmp_path):
    """From plain rows to the chosen solutions without naming a file."""
    load_model(base_model, "prm", seed=1).save_pretrained(tmp_path / "prm")
    tokenizer.save_pretrained(tmp_path / "prm")
    Metadata("prm").save(tmp_path / "prm")
    chains = sample(ROWS)
    scores = toolkit.score(str(tmp_path / "prm"), ROWS, chains)
    assert [row.chain_id for row in scores] == [chain.id for chain in chains]
    choices = list(toolkit.rerank_chains(ROWS, chains, scores))
    assert [choice.problem_id for choice in choices] == ["problems-1", "problems-2"]
    texts = {chain.id: chain.text for chain in chains}
    assert all(choice.best == texts[f"{choice.problem_id}/{choice.index}"] for choice in choices)
