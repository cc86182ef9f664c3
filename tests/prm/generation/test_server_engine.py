"""Servers that answer, fail, refuse and go away."""

import asyncio
import json
import socket
import threading
import time
from contextlib import closing, contextmanager

import pytest

from prm.benchmarks.perf.waiting_server import serve, text
from prm.errors import EngineError, InputError
from prm.generation import server_engine
from prm.generation.choice import EngineChoice
from prm.generation.engine import Request, Sampling
from prm.generation.server_engine import Served, ServerEngine, ask_what_is_served

SEEDED = Sampling(reproducible=True)
REQUESTS = [Request(f"c{i}@0", (1, 2, i), 3, first=i) for i in range(40)]


def connect(*urls):
    return ServerEngine(urls, model="tiny", max_length=256)


def answers(engine, requests=REQUESTS, sampling=SEEDED):
    try:
        return {r.id: [c.text for c in found] for r, found in engine.stream(iter(requests), sampling)}
    finally:
        engine.close()


EXPECTED = {r.id: [text(list(r.prompt_ids), r.seed(SEEDED) + i) for i in range(r.n)] for r in REQUESTS}


class Characters:
    """A tokenizer of one id per character."""

    def __call__(self, text, **options):
        return {"input_ids": list(map(ord, text))}


def test_the_draws_of_a_prompt_are_one_request_with_the_seed_of_the_first():
    with serve() as server:
        assert answers(connect(server.url)) == EXPECTED
        assert len(server.asked) == len(REQUESTS)
        assert {tuple(asked["prompt"]): (asked["n"], asked["seed"]) for asked in server.asked} == {
            r.prompt_ids: (3, r.seed(SEEDED)) for r in REQUESTS
        }


def test_every_parameter_is_sent_and_a_seed_only_if_the_draws_are_to_be_reproducible():
    sampling = Sampling(0.7, 0.9, 20, 0.05, 1.1, stop=("\n\n",))
    with serve() as server:
        assert set(answers(connect(server.url), sampling=sampling)) == set(EXPECTED)
        asked = server.asked[0]
        answers(connect(server.url), sampling=Sampling())
        plain = server.asked[-1]
    assert asked.items() >= {
        "model": "tiny", "temperature": 0.7, "top_p": 0.9, "top_k": 20, "min_p": 0.05, "repetition_penalty": 1.1,
        "presence_penalty": 0.0, "frequency_penalty": 0.0,
        "max_tokens": 253,  # what is left of the context
    }.items()  # fmt: skip
    assert asked["stop"] == ["\n\n"]
    assert "seed" not in asked
    assert (plain["top_k"], plain["min_p"], plain["repetition_penalty"], plain["top_p"]) == (-1, 0.0, 1.0, 1.0)


def test_draws_that_a_server_leaves_out_are_asked_for_one_by_one():
    with serve() as server:
        server.most = 1
        assert answers(connect(server.url)) == EXPECTED
        assert len(server.asked) <= 2 * len(REQUESTS) + 120


def test_a_server_that_refuses_several_draws_is_asked_for_one_at_a_time():
    with serve(failures=[400]) as server:
        assert answers(connect(server.url), REQUESTS[:1]) == {REQUESTS[0].id: EXPECTED[REQUESTS[0].id]}
        assert [asked["n"] for asked in server.asked] == [3, 1, 1, 1]


def test_what_is_served_is_asked_and_compared():
    with serve() as server:
        assert ask_what_is_served([server.url + "/"], Characters()) == Served("tiny", "models/tiny", 256)
        assert ask_what_is_served([server.url], Characters(), max_length=64).max_length == 64
        server.tokens = [1, 2, 3]
        with pytest.raises(EngineError, match="serves 'tiny', whose tokenizer is not that of --model"):
            ask_what_is_served([server.url], Characters())
        with pytest.raises(EngineError, match="does not serve 'other', but tiny"):
            ask_what_is_served([server.url], Characters(), model="other")
        server.tokens = list(map(ord, server_engine._PROBE))
        assert ask_what_is_served([server.url], Characters()).model == "tiny"


def reply_with(server, body):
    server.page = body
    return connect(server.url)


def test_a_lone_surrogate_in_a_text_costs_nothing():
    body = '{"choices": [{"index": 0, "text": "4 \\ud83d", "finish_reason": "stop"}], "usage": null}'
    with serve() as server:
        found = answers(reply_with(server, body), [Request("c@0", (1,), 1)])
    assert found == {"c@0+0": ["4 ?"]}


def test_an_error_with_status_200_is_told_in_its_own_words(monkeypatch):
    monkeypatch.setattr(server_engine, "LONGEST_REST", 0.01)
    with serve() as server, pytest.raises(EngineError, match="overloaded, sorry"):
        answers(reply_with(server, '{"error": {"message": "overloaded, sorry"}}'))


@pytest.mark.parametrize(
    "body", ['{"choices": null}', '{"choices": []}', "[]", '{"choices": [{"text": 5}]}', '{"choices": {"a": 1}}']
)
def test_an_answer_of_another_shape_is_one_line(body):
    with serve() as server, pytest.raises(EngineError, match="does not answer like a completions server"):
        answers(reply_with(server, body))


def test_tokens_that_are_not_told_are_divided_by_length():
    body = {"choices": [{"text": "a" * 30}, {"text": "b" * 10}], "usage": {"completion_tokens": 8}}
    with serve() as server:
        engine = reply_with(server, json.dumps(body))
        ((_, found),) = engine.stream(iter([Request("c@0", (1,), 2)]), Sampling())
        engine.close()
    assert [draw.tokens for draw in found] == [6, 2]


@pytest.mark.parametrize("options", [{"max_length": "abc"}, {"max_length": 0}, {"max_length": -5}])
def test_a_length_that_is_none_is_refused(options):
    with pytest.raises(InputError, match=r"^max_length="):
        EngineChoice("m", ("http://127.0.0.1:9/v1",), options).start()


def test_an_endpoint_without_a_scheme_is_told():
    with pytest.raises(EngineError, match="'localhost:8000/v1' is not the URL of a server"):
        ask_what_is_served(["localhost:8000/v1"], Characters())


def test_a_page_in_place_of_an_answer_is_told_at_once():
    with serve() as server:
        server.page = "<html><body>Sign in</body></html>"
        with pytest.raises(EngineError, match="does not answer with JSON: <html>"):
            ask_what_is_served([server.url], Characters())
        with pytest.raises(EngineError, match="does not answer with JSON: <html>"):
            answers(connect(server.url))


def test_a_key_that_is_refused_is_told_at_once_and_one_that_is_there_is_sent(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with serve(failures=[401]) as server:
        with pytest.raises(EngineError, match=r"refuses the API key \(401\): not now") as caught:
            answers(connect(server.url))
        assert caught.value.hint == "set OPENAI_API_KEY"
        assert server.keys == {"Bearer secret"}


def test_a_server_that_fails_from_the_first_request_on_stops_the_job_within_seconds(capsys):
    started = time.monotonic()
    with serve(failures=[500] * 10_000) as server, pytest.raises(EngineError, match=r"refuses c.*500: not now"):
        answers(connect(server.url))
    assert time.monotonic() - started < 60
    assert "500: not now; it is asked again later" in capsys.readouterr().err


def test_two_servers_share_the_work():
    with serve(delay=0.02) as one, serve(delay=0.02) as other:
        assert answers(connect(one.url, other.url)) == EXPECTED
        assert min(len(one.asked), len(other.asked)) > 10


@pytest.mark.parametrize("status", [500, 503, 429, 408, 409])
def test_a_temporary_failure_is_retried(status, monkeypatch):
    monkeypatch.setattr(server_engine, "LONGEST_REST", 0.05)
    monkeypatch.setattr(server_engine, "FIRST_REFUSALS", 10)
    with serve(failures=[status] * 5) as server:
        assert answers(connect(server.url)) == EXPECTED
        assert len(server.asked) == len(REQUESTS) + 5


def test_a_server_that_is_down_for_long_costs_the_job_nothing(monkeypatch):
    monkeypatch.setattr(server_engine, "LONGEST_REST", 0.01)
    with serve() as good, serve(failures=[503] * 5_000) as bad:
        engine = connect(good.url, bad.url)
        server = engine._servers[1]
        for _ in range(3_000):
            server.rested = 0.0
            server.failed("503")
        server.rested = 0.0
        assert answers(engine) == EXPECTED


def test_an_unknown_option_is_one_clear_error():
    with pytest.raises(EngineError, match="max_len"):
        EngineChoice("m", ("http://127.0.0.1:9/v1",), {"max_len": 5}).start()


def test_a_server_that_goes_away_in_the_middle_costs_nothing(monkeypatch):
    monkeypatch.setattr(server_engine, "IN_FLIGHT", 8)
    with serve(delay=0.02) as stays, serve(delay=0.02) as goes:
        engine = connect(goes.url, stays.url)
        threading.Timer(0.1, goes.server_close).start()
        threading.Timer(0.1, goes.shutdown).start()
        assert answers(engine) == EXPECTED


def test_a_refusal_stops_the_job():
    with serve(failures=[400] * 500) as server, pytest.raises(EngineError, match="not now"):
        answers(connect(server.url))


def test_a_draw_that_always_fails_stops_the_job_and_is_named(monkeypatch):
    monkeypatch.setattr(server_engine, "LONGEST_REST", 0.01)
    monkeypatch.setattr(server_engine, "IN_FLIGHT", 12)
    many = [Request(f"c{i}@0", (1, 2, i), 3, first=i) for i in range(2_000)]
    with serve(delay=0.005) as server:
        server.poison = [1, 2, 20]
        engine = connect(server.url)
        with pytest.raises(EngineError, match=r"refuses c20@0\+20: .*broken"):
            answers(engine, many)


def test_a_closed_stream_leaves_no_request_behind(monkeypatch):
    monkeypatch.setattr(server_engine, "LONGEST_REST", 0.01)
    monkeypatch.setattr(server_engine, "REFUSALS", 10**9)
    with serve() as server:
        server.poison = list(REQUESTS[5].prompt_ids)
        engine = connect(server.url)
        stream = engine.stream(iter(REQUESTS), Sampling())
        for _ in range(len(REQUESTS) - 1):
            next(stream)
        assert asyncio.all_tasks(engine._loop), "the draws at which the server fails are asked again and again"
        stream.close()
        end = time.monotonic() + 30
        while asyncio.all_tasks(engine._loop) and time.monotonic() < end:
            time.sleep(0.01)
        assert not asyncio.all_tasks(engine._loop)
        engine.close()


def test_a_job_stops_when_no_server_answers_anymore(monkeypatch):
    monkeypatch.setattr(server_engine, "PATIENCE", 0.3)
    monkeypatch.setattr(server_engine, "LONGEST_REST", 0.05)
    with serve(failures=[503] * 10_000) as server, pytest.raises(EngineError, match="no server has answered"):
        answers(connect(server.url))


def test_a_request_that_takes_longer_than_the_patience_is_waited_for(monkeypatch):
    monkeypatch.setattr(server_engine, "PATIENCE", 0.2)
    with serve(delay=1.0) as server:
        assert answers(connect(server.url)) == EXPECTED
        assert len(server.asked) == len(REQUESTS), "none is drawn again"


@contextmanager
def hanging():
    """The URL of a server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


def test_a_job_stops_when_its_only_server_hangs(monkeypatch):
    monkeypatch.setattr(server_engine, "PATIENCE", 0.3)
    monkeypatch.setattr(server_engine, "STIRRING", 0.1)
    monkeypatch.setattr(server_engine, "LONGEST_REST", 0.05)
    started = time.monotonic()
    with hanging() as url, pytest.raises(EngineError, match="no server has answered"):
        answers(connect(url), REQUESTS[:4])
    assert time.monotonic() - started < 10


def test_a_server_that_hangs_beside_another_costs_nothing(monkeypatch):
    monkeypatch.setattr(server_engine, "PATIENCE", 0.5)
    monkeypatch.setattr(server_engine, "STIRRING", 0.1)
    with serve() as good, hanging() as url:
        assert answers(connect(url, good.url)) == EXPECTED


def test_a_connection_that_is_silent_for_long_is_kept():
    with server_engine._lasting_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80))) as made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_what_comes_up_while_all_draws_are_out_is_sent_at_once():
    came_up = threading.Event()

    def requests():
        yield REQUESTS[0]
        while not came_up.is_set():
            yield None
        yield REQUESTS[1]

    with serve(delay=1.0) as server, closing(connect(server.url)) as engine:
        threading.Timer(0.2, came_up.set).start()
        stream = engine.stream(requests(), SEEDED)
        assert next(stream)[0] is REQUESTS[0]
        assert len(server.asked) == 2
        assert [request for request, _ in stream] == [REQUESTS[1]]


def test_no_server_is_reported_at_once():
    with serve() as server:
        url = server.url
    started = time.monotonic()
    with pytest.raises(EngineError, match=r"no server answers: .*/models: "):
        ask_what_is_served([url], Characters())
    assert time.monotonic() - started < 10


def test_requests_in_flight_are_bounded(monkeypatch):
    monkeypatch.setattr(server_engine, "IN_FLIGHT", 6)
    taken, done = [], []
    with serve(delay=0.01) as server:
        engine = connect(server.url)
        for request, _ in engine.stream((taken.append(r) or r for r in REQUESTS), SEEDED):
            done.append(request)
            assert len(taken) - len(done) <= 3
        engine.close()
    assert len(done) == len(REQUESTS)
