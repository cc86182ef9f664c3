"""Servers that answer, fail, refuse and go away."""

import asyncio
import threading
import time

import pytest

from prm.benchmarks.perf.waiting_server import serve, text
from prm.errors import EngineError
from prm.generation import server_engine
from prm.generation.choice import EngineChoice
from prm.generation.engine import Request, Sampling
from prm.generation.server_engine import ServerEngine

REQUESTS = [Request(f"c{i}@0", (1, 2, i), 3, first=i) for i in range(40)]


def answers(engine, requests=REQUESTS, sampling=None):
    try:
        return {r.id: [c.text for c in found] for r, found in engine.stream(iter(requests), sampling or Sampling())}
    finally:
        engine.close()


EXPECTED = {r.id: [text(list(r.prompt_ids), r.seed(Sampling()) + i) for i in range(r.n)] for r in REQUESTS}


def test_every_draw_is_asked_once_with_its_own_seed():
    with serve() as server:
        engine = ServerEngine([server.url])
        assert (engine.model, engine.max_length) == ("tiny", 256)
        assert answers(engine) == EXPECTED
        assert len(server.asked) == 120
        asked = server.asked[0]
    assert asked.keys() >= {"model", "prompt", "max_tokens", "temperature", "top_p", "seed"}
    assert asked["max_tokens"] == 253, "what is left of the context"


def test_two_servers_share_the_work():
    with serve(delay=0.02) as one, serve(delay=0.02) as other:
        assert answers(ServerEngine([one.url, other.url])) == EXPECTED
        assert min(len(one.asked), len(other.asked)) > 40


@pytest.mark.parametrize("status", [500, 503, 429, 408, 409])
def test_a_temporary_failure_is_retried(status, monkeypatch):
    monkeypatch.setattr(server_engine, "LONGEST_REST", 0.05)
    with serve(failures=[status] * 5) as server:
        assert answers(ServerEngine([server.url])) == EXPECTED
        assert len(server.asked) == 125


def test_a_server_that_is_down_for_long_costs_the_job_nothing(monkeypatch):
    monkeypatch.setattr(server_engine, "LONGEST_REST", 0.01)
    with serve() as good, serve(failures=[503] * 5_000) as bad:
        engine = ServerEngine([good.url, bad.url])
        server = engine._servers[1]
        for _ in range(3_000):
            server.rested = 0.0
            server.failed()
        server.rested = 0.0
        assert answers(engine) == EXPECTED


def test_an_unknown_option_is_one_clear_error():
    with pytest.raises(EngineError, match="max_len"):
        EngineChoice("m", ("http://127.0.0.1:9/v1",), {"max_len": 5}).start()


def test_a_server_that_goes_away_in_the_middle_costs_nothing(monkeypatch):
    monkeypatch.setattr(server_engine, "IN_FLIGHT", 8)
    with serve(delay=0.02) as stays, serve(delay=0.02) as goes:
        engine = ServerEngine([goes.url, stays.url])
        threading.Timer(0.1, goes.server_close).start()
        threading.Timer(0.1, goes.shutdown).start()
        assert answers(engine) == EXPECTED


def test_a_refusal_stops_the_job():
    with serve(failures=[400]) as server, pytest.raises(EngineError, match="not now"):
        answers(ServerEngine([server.url]))


def test_a_draw_that_always_fails_stops_the_job_and_is_named(monkeypatch):
    monkeypatch.setattr(server_engine, "LONGEST_REST", 0.01)
    monkeypatch.setattr(server_engine, "IN_FLIGHT", 12)
    many = [Request(f"c{i}@0", (1, 2, i), 3, first=i) for i in range(2_000)]
    with serve(delay=0.005) as server:
        server.poison = [1, 2, 20]
        engine = ServerEngine([server.url])
        with pytest.raises(EngineError, match=r"refuses c20@0\+20: .*broken"):
            answers(engine, many)


def test_a_closed_stream_leaves_no_request_behind(monkeypatch):
    monkeypatch.setattr(server_engine, "LONGEST_REST", 0.01)
    monkeypatch.setattr(server_engine, "REFUSALS", 10**9)
    with serve() as server:
        server.poison = list(REQUESTS[5].prompt_ids)
        engine = ServerEngine([server.url])
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
        answers(ServerEngine([server.url]))


def test_no_server_is_reported_at_once():
    with serve() as server:
        url = server.url
    started = time.monotonic()
    with pytest.raises(EngineError, match="no server answers"):
        ServerEngine([url])
    assert time.monotonic() - started < 10


def test_requests_in_flight_are_bounded(monkeypatch):
    monkeypatch.setattr(server_engine, "IN_FLIGHT", 6)
    taken, done = [], []
    with serve(delay=0.01) as server:
        engine = ServerEngine([server.url])
        for request, _ in engine.stream((taken.append(r) or r for r in REQUESTS), Sampling()):
            done.append(request)
            assert len(taken) - len(done) <= 3
        engine.close()
    assert len(done) == len(REQUESTS)
