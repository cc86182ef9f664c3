"""A server's scores are those of `prm score`, whatever the dialect; and of a model on another server."""

import inspect
import json
import threading
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from fake_scorers import Unloadable, serving
from families import MADE, options

import prm
from prm.errors import InputError, ModelError
from prm.scoring.loading import load_scorer

SCRIPT = str(Path(__file__).with_name("fake_scorers.py"))
COUNT = 12
PROBLEMS = [f"What is {i} + 4?" + " Say it." * (i % 5) for i in range(COUNT)]
CHAINS = [tuple(f"So {n} + 4 is {i}. \n\n" for n in range(i % 4 + 1)) for i in range(COUNT)]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Arguments of `load_scorer` for a model of each dialect."""
    made = {name: make(tmp_path_factory.mktemp(name)) for name, make in MADE.items()}
    return {name: {"name": str(path), "dialect": name, **options(name, path)} for name, path in made.items()}


TASKS = {"trl": "token_classify", "outcome": "classify"}
"""By dialect, the task of vLLM that serves it."""


@pytest.fixture(scope="module")
def ours(models):
    """The scorers in this process, loaded when they are first asked for."""
    return cache(lambda dialect: load_scorer(**models[dialect]))


@pytest.fixture(scope="module")
def upstreams(ours):
    """By dialect, the address of a vLLM server of the model."""
    with ExitStack() as servers:
        yield {
            dialect: servers.enter_context(vllm_server(ours(dialect).backend.model, task))
            for dialect, task in TASKS.items()
        }


@pytest.fixture(scope="module")
def url(models, upstreams):
    """A server of all, and of the same models on other servers."""
    before = {
        f"{dialect} upstream": {**models[dialect], "backend": "server", "engine_options": {"url": [address, address]}}
        for dialect, address in upstreams.items()
    }
    with serving(SCRIPT, json.dumps({"scorers": models | before})) as (address, _):
        yield address


@pytest.mark.parametrize("dialect", MADE)
def test_a_server_gives_the_scores_of_prm_score(dialect, ours, url):
    expected = ours(dialect).score(PROBLEMS, CHAINS)
    with closing(prm.RemoteScorer(url, dialect)) as scorer:
        found = scorer.score(PROBLEMS, CHAINS)
    assert all(own == pytest.approx(other, abs=1e-6) for own, other in zip(expected, found, strict=True))
    assert max(max(scores) for scores in expected) - min(min(scores) for scores in expected) > 1e-3, "all alike"


@pytest.mark.parametrize("dialect", TASKS)
def test_a_model_on_a_vllm_server_gives_the_same_scores(dialect, ours, url, models):
    expected = ours(dialect).score(PROBLEMS, CHAINS)
    with closing(prm.RemoteScorer(url, f"{dialect} upstream")) as scorer:
        found = scorer.score(PROBLEMS, CHAINS)
        assert scorer.name == models[dialect]["name"]
    for own, other in zip(expected, found, strict=True):  # a batch and single rows differ in the last bits
        assert own == pytest.approx(other, abs=1e-5)


def handler(model, task):
    """vLLM's `/v1/models` and `/pooling`, as far as a reward model is asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer({"data": [{"id": "served", "max_model_len": 2048}]})

        def do_POST(self):
            assert self.headers["Content-Type"] == "application/json", "vLLM reads nothing else"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert (self.path, body["model"], body["task"], body["use_activation"]) == (
                "/pooling",
                "served",
                task,
                False,
            )
            self.answer({"data": [{"index": i, "data": self.pooled(ids)} for i, ids in enumerate(body["input"])][::-1]})

        def pooled(self, ids):
            with torch.inference_mode():
                return model(torch.tensor([ids])).logits[0].tolist()

        def answer(self, found):
            content = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    return Handler


@contextmanager
def vllm_server(model, task):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(model, task))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_server_that_pools_otherwise_is_refused(models):
    made = models["trl"]["name"]
    with vllm_server(lambda ids: type("Outputs", (), {"logits": torch.zeros(1, 3, 2)}), "token_classify") as address:
        scorer = load_scorer(made, dialect="trl", backend="server", engine_options={"url": address})
        with pytest.raises(ModelError, match="gives 3 outputs for"):
            scorer.score(["p"], [("a", "b")])
        scorer.close()
        with pytest.raises(ModelError, match="does not serve 'other'"):
            load_scorer(made, dialect="trl", backend="server", engine_options={"url": address, "model": "other"})
    with pytest.raises(ModelError, match="no server is given"):
        load_scorer(made, dialect="trl", backend="server")


def test_the_command_passes_its_options_on(prm, monkeypatch):
    given = {}
    monkeypatch.setattr("prm.serving.job.serve", lambda scorers, **settings: given.update(settings, scorers=scorers))
    options = ["--upstream", "http://a", "--upstream", "http://b", "--dialect", "trl", "--max-body", "99"]
    assert prm("serve", "--scorer", "x=runs/x", "--scorer", "runs/y", *options)[0] == 0
    assert list(given["scorers"]) == ["x", "runs/y"]
    arguments = given["scorers"]["x"]
    assert (arguments["name"], arguments["dialect"], arguments["backend"]) == ("runs/x", "trl", "server")
    assert arguments["engine_options"] == {"url": ["http://a", "http://b"]}
    assert (given["host"], given["port"], given["token"], given["limits"].body) == ("127.0.0.1", 8400, None, 99)
    assert inspect.signature(load_scorer).bind(**arguments)
    code, _, said = prm("serve", "--scorer", "a=x", "--scorer", "a=y")
    assert (code, "a name comes twice" in said) == (1, True)


def test_a_server_that_cannot_start_says_why():
    with pytest.raises(InputError, match="cannot listen at 203"):
        prm.serve(host="203.0.113.1")
    with pytest.raises(ModelError, match="there is no such model"):
        prm.serve({"a": Unloadable()}, port=0)
