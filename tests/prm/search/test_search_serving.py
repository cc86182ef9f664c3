"""The endpoint, with two clients at once; a client that leaves; a token; streams."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from trees import END, TreeEngine, TreeScorer, is_last

from prm.errors import EngineError, ModelError
from prm.generation.engine import Request, Sampling
from prm.models.rendering import Renderer
from prm.search.methods import METHODS
from prm.search.plan import Plan
from prm.search.searcher import Searcher
from prm.search.serving import Counter, make_app
from prm.serving.limits import Limits
from prm.serving.web import listening, server_of

PLAN = Plan(n=4, width=2, max_tokens=400)


@contextmanager
def serving(engine, scorer=None, plan=PLAN, **about):
    """The address of a server, and its counter."""
    renderer, sampling = Renderer(engine.tokenizer, separator=None), Sampling(max_tokens=400)
    searcher = Searcher(engine, renderer, scorer or TreeScorer(), METHODS["weighted"], plan, sampling)
    counter = Counter(searcher, "weighted")
    place, address = listening("127.0.0.1", 0, None)
    server = server_of(make_app(counter, "tree", **about))
    threads = [threading.Thread(target=counter.work), threading.Thread(target=server.run, args=[[place]])]
    for thread in threads:
        thread.start()
    yield address, counter
    counter.is_closed = server.should_exit = True
    for thread in threads:
        thread.join()
    place.close()


def posted(address, body, path="/v1/chat/completions", **headers):
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(address + path, data, headers), timeout=60) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def ask(tokenizer):
    with serving(TreeEngine(tokenizer)) as (address, _):
        yield partial(posted, address)


def asked(text="How many?", **fields):
    return {"messages": [{"role": "user", "content": text}], **fields}


def test_two_clients_get_what_each_gets_alone(ask):
    bodies = [asked(f"How many are {i}?", budget=8, method=("rebase", "majority")[i % 2]) for i in range(6)]
    alone = [json.loads(ask(body)[1]) for body in bodies]
    with ThreadPoolExecutor(2) as clients:
        together = [json.loads(text) for _, text in clients.map(ask, bodies)]
    for one, other in zip(alone, together, strict=True):
        assert one["choices"] == other["choices"]
        assert one["usage"] == other["usage"]
        assert is_last(one["choices"][0]["message"]["content"])
    assert all(found["usage"]["scored_tokens"] == 0 for found in alone[1::2])
    assert all(found["usage"]["scored_tokens"] > 0 for found in alone[::2])


def test_a_larger_budget_costs_more(ask):
    costs = [json.loads(ask(asked(budget=n))[1])["usage"]["completion_tokens"] for n in (1, 4, 16)]
    assert costs == sorted(set(costs))
    assert json.loads(ask(asked())[1])["usage"]["completion_tokens"] == costs[1], "that of the command"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("method", ["majority", "rebase"])
def test_chains_are_as_short_as_a_request_says(ask, name, method):
    found = json.loads(ask(asked(budget=2, method=method, **{name: 3}))[1])
    assert found["choices"][0]["finish_reason"] == "length"
    assert found["usage"]["completion_tokens"] == 6
    whole = json.loads(ask(asked(budget=2, method=method))[1])
    assert json.loads(ask(asked(budget=2, method=method, **{name: 10**6}))[1])["choices"] == whole["choices"]


def test_the_stream_spells_the_chosen_answer(ask):
    whole = json.loads(ask(asked(budget=4))[1])
    lines = [line for line in ask(asked(budget=4, stream=True))[1].split("\n\n") if line]
    assert lines[0] == ": searching", "a comment, which clients ignore"
    *chunks, end = [line for line in lines if not line.startswith(":")]
    assert end == "data: [DONE]"
    rows = [json.loads(chunk.removeprefix("data: ")) for chunk in chunks]
    spelled = "".join(row["choices"][0]["delta"].get("content", "") for row in rows)
    assert spelled == whole["choices"][0]["message"]["content"]
    assert rows[-1]["usage"] == whole["usage"]


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"{", 400, "truncated"),
        (b"[]", 400, "Expected `object`"),
        (b" " * (2**20 + 1), 413, "over 1,048,576 bytes"),
        ({"messages": []}, 400, "one message"),
        (asked(budget=0), 400, "budget=0 is not a whole number"),
        (asked(method="mcts"), 400, "unknown method"),
        (asked(method=""), 400, "unknown method ''"),
        (asked(method=[]), 400, "method=[] is not a name"),
        (asked(stream="false"), 400, "stream='false' is not true or false"),
        (asked(n=3), 400, "n=3: there is one answer"),
        (asked(max_tokens=0), 400, "max_tokens=0 is not a whole number"),
        (asked(max_completion_tokens="9"), 400, "max_completion_tokens='9' is not a whole number"),
        (asked("word " * 4000), 422, "longer than the model's context"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_reason(ask, body, status, why):
    code, text = ask(body)
    assert code == status
    assert why in json.loads(text)["error"]["message"]
    assert ask(asked(budget=1))[0] == 200, "and the server goes on"


def test_the_model_is_listed(ask):
    assert json.loads(ask(None, "/v1/models")[1])["data"][0]["id"] == "tree"
    for path, status, said in (
        ("/v1/nothing", 404, "GET /v1/nothing: Not Found"),
        ("/v1/chat/completions", 405, "GET /v1/chat/completions: Method Not Allowed"),
    ):
        code, text = ask(None, path)
        assert code == status
        assert json.loads(text)["error"] == {
            "message": said, "hint": "see docs/serving.md", "code": status, "type": "RouteError"
        }  # fmt: skip
    assert [ask(None, path)[0] for path in ("/health", "/ready")] == [200, 200]


class Held(TreeScorer):
    """Scores nothing before it is let go."""

    def __init__(self):
        super().__init__()
        self.begun, self.free = threading.Event(), threading.Event()

    def score_each(self, problems, chains):
        self.begun.set()
        self.free.wait(60)
        return super().score_each(problems, chains)


def test_a_search_whose_client_leaves_is_given_up(tokenizer):
    """The first steps are at the scorer when the client leaves; no second step is asked for."""
    engine, scorer = TreeEngine(tokenizer), Held()
    with serving(engine, scorer) as (address, counter):
        host, port = address.removeprefix("http://").split(":")
        client = socket.create_connection((host, int(port)))
        body = json.dumps(asked(budget=4, method="beam")).encode()
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        scorer.begun.wait(60)
        before = len(engine.asked)
        client.close()
        while not counter.searcher.abandoned:
            time.sleep(0.005)
        scorer.free.set()
        while counter.searcher.abandoned:
            time.sleep(0.005)
        assert len(engine.asked) == before
        assert posted(address, asked(budget=1))[0] == 200, "and the server goes on"


def test_comments_come_while_the_search_goes_on(tokenizer, monkeypatch):
    monkeypatch.setattr("prm.search.serving.KEEP_ALIVE", 0.01)
    scorer = Held()
    with serving(TreeEngine(tokenizer), scorer) as (address, _):
        request = urllib.request.Request(f"{address}/v1/chat/completions", json.dumps(asked(stream=True)).encode())
        with urllib.request.urlopen(request, timeout=60) as reply:
            assert reply.headers["Content-Type"].startswith("text/event-stream")
            assert [reply.readline() for _ in range(4)] == [b": searching\n", b"\n"] * 2
            scorer.free.set()
            assert reply.read().endswith(b"data: [DONE]\n\n")


class Outcomes(TreeScorer):
    """Scores whole chains."""

    kind = "orm"
    threshold = None

    def score_each(self, problems, chains):
        return [scores[-1:] for scores in super().score_each(problems, chains)]


def test_methods_without_scores_work_beside_an_orm(tokenizer):
    with serving(TreeEngine(tokenizer), Outcomes(), plan=Plan(n=4, max_tokens=400, is_orm=True)) as (address, _):
        for method in ("majority", "refine", "weighted", "best-of-n"):
            assert posted(address, asked(method=method))[0] == 200
        assert "which an ORM cannot" in posted(address, asked(method="beam"))[1]


def test_pruning_needs_a_threshold(tokenizer):
    with serving(TreeEngine(tokenizer), plan=Plan(n=4, max_tokens=400, threshold=None)) as (address, _):
        code, text = posted(address, asked(method="prune"))
        assert (code, "has no threshold" in text) == (400, True)


class Slow(TreeEngine):
    """Gives the answer to a long question when it is let go, and asks for more requests until then, as vLLM does."""

    def __init__(self, tokenizer):
        super().__init__(tokenizer)
        self.free = threading.Event()

    def stream(self, requests, sampling):
        held = None
        while True:
            request = next(requests, END)
            if held and self.free.is_set():
                yield held, [self.completion(held, i, sampling) for i in range(held.n)]
                held = None
            if isinstance(request, Request) and "long" in self.tokenizer.decode(request.prompt_ids):
                held = request
            elif isinstance(request, Request):
                yield request, [self.completion(request, i, sampling) for i in range(request.n)]
            elif request is END:
                return
            else:
                time.sleep(0.002)


def test_no_answer_waits_for_that_of_another_client(tokenizer):
    """A problem that is done or refused while another one is in the engine."""
    engine = Slow(tokenizer)
    with serving(engine) as (address, counter), ThreadPoolExecutor(1) as others:
        waits = others.submit(posted, address, asked("How long?", budget=1, method="majority"))
        while not counter.searcher._asked:
            time.sleep(0.002)
        assert posted(address, asked("word " * 4000))[0] == 422
        assert not waits.done()
        engine.free.set()
        assert waits.result()[0] == 200


def test_a_stream_says_what_goes_wrong_in_it(ask):
    code, text = ask(asked("word " * 4000, stream=True))
    assert code == 200, "its head is sent already"
    rows = [line for line in text.split("\n\n") if line.startswith("data: ")]
    assert json.loads(rows[0].removeprefix("data: "))["error"]["code"] == 422
    assert rows[1:] == ["data: [DONE]"]
    assert ask(asked(budget=0, stream=True))[0] == 400


def test_a_token_and_limits(tokenizer):
    scorer = Held()
    with serving(TreeEngine(tokenizer), scorer, token="secret", limits=Limits(waiting=6)) as (address, _):
        assert posted(address, asked())[0] == 401
        assert posted(address, None, "/health")[0] == 200
        let_in = {"Authorization": "Bearer secret"}
        with ThreadPoolExecutor(1) as others:
            first = others.submit(posted, address, asked(budget=4), **let_in)
            scorer.begun.wait(60)
            for stream in (False, True):
                code, text = posted(address, asked(budget=4, stream=stream), **let_in)
                assert (code, "4 branches are under way" in text) == (429, True)
            scorer.free.set()
            assert first.result()[0] == 200


class Broken(TreeScorer):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def score_each(self, problems, chains):
        raise self.error


BREAKS = [
    (ModelError("the scorer is gone", "start it again"), ModelError, "the scorer is gone"),
    (RuntimeError("CUDA out of memory"), EngineError, "the search failed: RuntimeError: CUDA out of memory"),
]


@pytest.mark.parametrize(("error", "kind", "said"), BREAKS)
def test_who_waits_is_told_that_the_scorer_is_gone(tokenizer, error, kind, said):
    with serving(TreeEngine(tokenizer), Broken(error)) as (address, counter):
        code, text = posted(address, asked())
        assert (code, json.loads(text)["error"]["message"]) == (503, said)
        assert isinstance(counter.failure, kind)
        assert posted(address, asked())[0] == posted(address, asked(stream=True))[0] == 503
        assert posted(address, None, "/ready")[0] == 503
