"""The endpoint, with two clients at once."""

import json
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from trees import TreeEngine, TreeScorer, is_last

from prm.generation.engine import Sampling
from prm.models.rendering import Renderer
from prm.search.methods import METHODS
from prm.search.plan import Plan
from prm.search.searcher import Searcher
from prm.search.serving import Counter, serve


@pytest.fixture
def ask(tokenizer):
    engine = TreeEngine(tokenizer)
    renderer, sampling = Renderer(tokenizer, separator=None), Sampling(max_tokens=400)
    plan = Plan(n=4, width=2, max_tokens=400)
    counter = Counter(Searcher(engine, renderer, TreeScorer(), METHODS["weighted"], plan, sampling), "weighted")
    server = serve(counter, "tree", "127.0.0.1", 0)
    threads = [threading.Thread(target=work) for work in (counter.work, server.serve_forever)]
    for thread in threads:
        thread.start()

    def post(body, path="chat/completions"):
        url = f"http://127.0.0.1:{server.server_port}/v1/{path}"
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=60) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    yield post
    counter.is_closed = True
    server.shutdown()
    server.server_close()
    for thread in threads:
        thread.join()


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


def test_the_stream_spells_the_chosen_answer(ask):
    whole = json.loads(ask(asked(budget=4))[1])
    *chunks, end = [line for line in ask(asked(budget=4, stream=True))[1].split("\n\n") if line]
    assert end == "data: [DONE]"
    rows = [json.loads(chunk.removeprefix("data: ")) for chunk in chunks]
    spelled = "".join(row["choices"][0]["delta"].get("content", "") for row in rows)
    assert spelled == whole["choices"][0]["message"]["content"]
    assert rows[-1]["usage"] == whole["usage"]


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"{", 400, "not JSON"),
        (b"[]", 400, "not an object"),
        ({"messages": []}, 400, "one message"),
        (asked(budget=0), 400, "budget=0 is not a whole number"),
        (asked(method="mcts"), 400, "unknown method"),
        (asked("word " * 4000), 422, "longer than the model's context"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_reason(ask, body, status, why):
    code, text = ask(body)
    assert code == status
    assert why in json.loads(text)["error"]["message"]
    assert ask(asked(budget=1))[0] == 200, "and the server goes on"


def test_the_model_is_listed(ask):
    assert json.loads(ask(None, "models")[1])["data"][0]["id"] == "tree"
    assert ask(None, "nothing")[0] == 404
